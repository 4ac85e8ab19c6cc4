//! Thirty years of three backups a day through the vault and its database: schedules, jobs, commits, expiry, on a clock that
//! is simulated, with backups that fail, machines that are away, a service that is off, and a clock that jumps. After each
//! look what is kept must be what a second reading of the rules says.

#[path = "../../model/tests/common/mod.rs"]
mod policy;
mod world;

use std::collections::BTreeMap;

use jiff::civil::date;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use strongroom_model::policy::{Tags, Verdict, Workload};
use strongroom_model::{JobState, Operation, PointId, PolicyName};
use strongroom_store::sim::{Rng, Steps};
use strongroom_vault::{Actor, JobReport};
use world::World;
use world::client::{Client, source, tree};

/// What the clock watch calls a jump: longer than from one backup to the next, as 30 years of hourly looks are many.
const JUMP: SignedDuration = SignedDuration::from_hours(10);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// A recovery point, as the second reading knows it.
#[derive(Clone, Debug)]
struct Kept {
    created: Timestamp,
    tags: Tags,
    until: Option<Timestamp>,
}

/// The second reading of what the service should be doing.
struct Expected {
    wanted: policy::wanted::Wanted,
    /// Long-term moments up to then are settled.
    settled: Timestamp,
    kept: BTreeMap<PointId, Kept>,
    /// When somebody last looked at the clock.
    seen: Timestamp,
    /// How long nobody had looked, and how long is to be looked until that counts.
    unseen: Vec<(SignedDuration, SignedDuration)>,
}

impl Expected {
    /// A look at the clock. Returns the time by which things may expire.
    fn look(&mut self, now: Timestamp) -> Timestamp {
        let before = self.believed();
        let step = now.duration_since(self.seen);
        self.seen = now;
        if step > JUMP {
            self.unseen.push((step, DAY));
        } else if step < -JUMP {
            self.settled = self.settled.min(now);
            while self.believed() < before.min(now) {
                let short = before.min(now).duration_since(self.believed());
                let (unseen, wait) = self.unseen.pop().unwrap();
                if unseen > short {
                    self.unseen.push((unseen - short, wait));
                }
            }
        } else {
            self.unseen.iter_mut().for_each(|(_, wait)| *wait -= step);
            self.unseen.retain(|(_, wait)| wait.is_positive());
        }
        self.believed()
    }

    fn believed(&self) -> Timestamp {
        self.unseen.iter().fold(self.seen, |at, (unseen, _)| at - *unseen)
    }

    fn succeed(&mut self, point: PointId, due: Timestamp, created: Timestamp) {
        let tags = self.wanted.tags(due, self.settled);
        self.settled = self.settled.max(due);
        let until = self.wanted.until(created, &tags);
        let tags = tags.into_iter().collect();
        self.kept.insert(point, Kept { created, tags, until });
    }

    /// What is over goes; but never the newest, and if all of it is over, not the one that lasted longest.
    fn expire(&mut self, now: Timestamp) {
        let newest = self.kept.iter().max_by_key(|(_, kept)| kept.created).map(|(id, _)| *id);
        let longest = self
            .kept
            .iter()
            .max_by_key(|(_, kept)| (kept.until, kept.created))
            .map(|(id, _)| *id);
        let any_lives = self.kept.values().any(|kept| kept.until > Some(now));
        self.kept
            .retain(|id, kept| kept.until > Some(now) || Some(*id) == newest || (!any_lives && Some(*id) == longest));
    }
}

/// How often each thing happened.
#[derive(Default, Debug)]
struct Counts {
    looks: u64,
    decisions: u64,
    successes: u64,
    failures: u64,
    away: u64,
    off: u64,
    ahead: u64,
    behind: u64,
}

struct Life {
    world: World,
    machine: Client,
    rng: Rng,
    expected: Expected,
    counts: Counts,
    next_check: Timestamp,
}

impl Life {
    async fn new(zone: &str, years: i16, seed: u64) -> Self {
        let world = World::tuned(seed, Steps::new(), |options| options.clock_jump = JUMP).await;
        let machine = Client::register(&world, "web", 1).await.unwrap();
        let start = date(2026, 11, 1);
        let wanted = policy::wanted::Wanted::new(
            zone,
            start.saturating_sub(3.years()),
            start.saturating_add((years + 4).years()),
        );
        let rules = policy::three_a_day(zone);
        let name: PolicyName = "three-a-day".parse().unwrap();
        world
            .vaults
            .create_policy(machine.vault, &name, Workload::FilesAndFolders, &rules)
            .await
            .unwrap();
        let item = world.vaults.item_of(machine.item).await.unwrap();
        let somebody = Actor::Nobody { name: String::new() };
        world.vaults.protect(&somebody, &item, &name, None).await.unwrap();
        let now = world.time.now();
        world.vaults.look_at_clock().await.unwrap();
        Self {
            rng: Rng::new(seed),
            expected: Expected {
                wanted,
                settled: now,
                kept: BTreeMap::new(),
                seen: now,
                unseen: Vec::new(),
            },
            counts: Counts::default(),
            next_check: now,
            world,
            machine,
        }
    }

    fn now(&self) -> Timestamp {
        self.world.time.now()
    }

    /// The time by which things may expire, which the service and the second reading must agree on.
    async fn look_at_clock(&mut self) -> Timestamp {
        let now = self.now();
        let look = self.world.vaults.look_at_clock().await.unwrap();
        let believed = self.expected.look(now);
        assert_eq!(look.believed, believed, "at {now}");
        believed
    }

    /// What the service does at each look.
    async fn look(&mut self) {
        let believed = self.look_at_clock().await;
        let now = self.now();
        let vaults = &self.world.vaults;
        let before = self.expected.kept.clone();
        self.expected.expire(believed);
        // A clock that jumps just now has not been believed.
        self.world.time.set(now.checked_add(DAY * 2000).unwrap());
        let pass = vaults.expire(believed).await.unwrap();
        let mut gone: Vec<PointId> = pass.gone.into_iter().map(|(_, point)| point).collect();
        self.world.time.set(now);
        gone.sort();
        let should: Vec<PointId> = before
            .into_keys()
            .filter(|id| !self.expected.kept.contains_key(id))
            .collect();
        assert_eq!(gone, should, "at {now}");
        vaults.dispatch().await.unwrap();
        self.counts.looks += 1;
        self.counts.decisions += self.expected.kept.len() as u64;
        if now >= self.next_check {
            self.next_check = now + DAY * 7;
            self.check(believed == now).await;
        }
    }

    /// The whole of what is there, which is more than what went; and the history that would grow for ever.
    async fn check(&self, may_expire: bool) {
        let vaults = &self.world.vaults;
        let verdicts = vaults.verdicts(self.machine.item).await.unwrap();
        let there: BTreeMap<_, _> = verdicts
            .iter()
            .map(|(kept, _)| (kept.point, (kept.created, kept.tags)))
            .collect();
        let kept = &self.expected.kept;
        let should: BTreeMap<_, _> = kept.iter().map(|(id, kept)| (*id, (kept.created, kept.tags))).collect();
        assert_eq!(there, should, "at {}", self.now());
        let has_a_reason = |verdict: &Verdict| matches!(verdict, Verdict::Keep(_));
        assert!(
            !may_expire || verdicts.iter().all(|(_, verdict)| has_a_reason(verdict)),
            "at {}",
            self.now()
        );
        vaults.forget_jobs(self.now(), DAY * 90).await.unwrap();
    }

    /// Time passes while the service looks, up to a moment: whenever a backup is due, and at the end.
    async fn live_until(&mut self, end: Timestamp) {
        while self.now() < end {
            let due = self.expected.wanted.next(self.now()).unwrap();
            self.world.time.set(end.min(due));
            self.look().await;
        }
    }

    /// Lives up to the next backup, and makes it, or lets it fail.
    async fn back_up(&mut self) {
        let due = self.expected.wanted.next(self.now()).unwrap();
        self.live_until(due).await;
        self.run_what_is_due().await;
    }

    /// The machine takes the job that waits for it.
    async fn run_what_is_due(&mut self) {
        let due = self.expected.wanted.last(self.now()).unwrap();
        let job = self
            .world
            .vaults
            .begin_job(self.machine.container, Operation::Backup)
            .await
            .unwrap();
        assert_eq!(job.due, Some(due), "at {}", self.now());
        let minutes = self.rng.below(90) as i64;
        self.live_until(self.now() + SignedDuration::from_mins(minutes)).await;
        let state = if self.rng.one_in(6) {
            self.counts.failures += 1;
            JobState::Failed
        } else {
            let (world, machine) = (&self.world, &mut self.machine);
            let session = world
                .vaults
                .begin_session(machine.container, Some(job.id))
                .await
                .unwrap();
            let source = tree(&source(1, 3));
            if machine.acknowledged.is_empty() {
                for (kind, blobs) in source.parts() {
                    machine.send(world, session.id, kind, blobs).await.unwrap();
                }
            }
            let (point, bytes) = machine.point(source.root, session.latest.map(|(_, digest)| digest));
            machine.commit(world, session.id, point, bytes).await.unwrap();
            world.vaults.end_session(machine.container, session.id).await.unwrap();
            self.expected.succeed(point, due, world.time.now());
            self.counts.successes += 1;
            JobState::Completed
        };
        let report = JobReport::default();
        self.world
            .vaults
            .finish_job(self.machine.container, job.id, state, &report)
            .await
            .unwrap();
    }

    /// Some hours, more than the clock watch overlooks; seldom some months.
    fn a_while(&mut self) -> SignedDuration {
        let most = if self.rng.one_in(10) { 24 * 200 } else { 24 * 12 };
        SignedDuration::from_hours(11 + self.rng.below(most) as i64)
    }

    /// The machine is away. When it is back it catches up once.
    async fn machine_is_away(&mut self) {
        self.counts.away += 1;
        let end = self.expected.wanted.next(self.now()).unwrap() + self.a_while();
        self.live_until(end).await;
        self.run_what_is_due().await;
    }

    /// Nobody looks for a while.
    async fn service_is_off(&mut self) {
        self.counts.off += 1;
        let end = self.expected.wanted.next(self.now()).unwrap() + self.a_while();
        self.world.time.set(end);
        self.look().await;
        self.run_what_is_due().await;
    }

    /// The clock is wrong for less than a day, which is how long somebody has to set it right.
    async fn clock_is_wrong(&mut self, by: SignedDuration) {
        match by.is_positive() {
            true => self.counts.ahead += 1,
            false => self.counts.behind += 1,
        }
        self.world.time.set(self.now() + by);
        self.look().await;
        if self.rng.one_in(2) {
            self.back_up().await;
        }
        let hours = SignedDuration::from_hours(self.rng.below(12) as i64);
        self.live_until(self.now() + hours).await;
        self.world.time.set(self.now() - by);
        self.look().await;
    }
}

/// Lives for so many years.
async fn live(zone: &str, years: i16, seed: u64) -> Counts {
    let mut life = Life::new(zone, years, seed).await;
    let end = life.now() + DAY * (i32::from(years) * 365 + i32::from(years) / 4);
    while life.now() < end {
        match life.rng.below(1600) {
            0..4 => life.machine_is_away().await,
            4..6 => life.service_is_off().await,
            6 => {
                let by = life.a_while();
                life.clock_is_wrong(by).await;
            }
            7 => {
                let by = life.a_while();
                life.clock_is_wrong(-by).await;
            }
            _ => life.back_up().await,
        }
    }
    life.check(false).await;
    life.counts
}

#[test]
fn thirty_years_with_failures_outages_and_a_clock_that_jumps() {
    const YEARS: i16 = 30;
    let counts = world::run(live("Europe/Berlin", YEARS, 1));
    println!("{YEARS} years: {counts:?}, none wrong");
    assert!(counts.decisions > 5_000_000 && counts.successes > 20_000, "{counts:?}");
    let rare = [counts.away, counts.off, counts.ahead, counts.behind];
    assert!(rare.iter().all(|count| *count > 3), "{counts:?}");
}
