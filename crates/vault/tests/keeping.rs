//! What keeps data from going: whatever changes meanwhile, whichever clock is wrong, whatever else fails.

mod world;

use std::sync::{Arc, Mutex, OnceLock};

use futures_util::future::join;
use jiff::{SignedDuration, Timestamp};
use strongroom_model::policy::Workload;
use strongroom_model::*;
use strongroom_store::sim::{Failure, Fault, Steps};
use strongroom_vault::*;
use world::client::{Client, source};
use world::{Beside, World, run};

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn somebody() -> Actor {
    Actor::Nobody { name: String::new() }
}

fn policy_name(text: &str) -> PolicyName {
    text.parse().unwrap()
}

/// A vault with a machine that has a recovery point.
struct Kept {
    world: World,
    client: Client,
}

impl Kept {
    /// The item is under no policy.
    async fn new() -> Self {
        let world = World::new(1, Steps::new()).await;
        let mut client = Client::register(&world, "web", 1).await.unwrap();
        client.backup(&world, &source(0, 3)).await.unwrap();
        let kept = Self { world, client };
        for (name, days) in [("long", 365), ("short", 7)] {
            let mut rules = policy::DEFAULT_POLICIES[3].policy();
            rules.retention.daily.as_mut().unwrap().keep = days;
            let (vaults, name) = (&kept.world.vaults, policy_name(name));
            let created = vaults.create_policy(kept.client.vault, &name, Workload::FilesAndFolders, &rules);
            created.await.unwrap();
        }
        kept
    }

    async fn under_long() -> Self {
        let mut kept = Self::new().await;
        kept.protect("long").await.unwrap();
        // The first one was made for no policy.
        kept.client.backup(&kept.world, &source(0, 4)).await.unwrap();
        kept
    }

    async fn points(&self) -> usize {
        let points = self.world.vaults.vault_points(self.client.vault).await;
        points.unwrap().len()
    }

    async fn item(&self) -> ItemRow {
        self.world.vaults.item_of(self.client.item).await.unwrap()
    }

    async fn protect(&self, policy: &str) -> Result<ItemChanged, VaultError> {
        protect(&self.world.vaults, self.client.item, policy).await
    }

    async fn stop(&self, how: Stop) -> Result<ItemChanged, VaultError> {
        stop(&self.world.vaults, self.client.item, how).await
    }

    async fn unregister(&self) -> Result<ItemChanged, VaultError> {
        let container = self.world.vaults.container(self.client.container).await?;
        self.world.vaults.unregister(&somebody(), &container).await
    }

    async fn set(&self, change: fn(&mut VaultSettings)) {
        set(&self.world.vaults, self.client.vault, change).await;
    }

    /// The same at another place, where another node does something just before step `n` of what follows.
    async fn disturbed<F: Future<Output = ()>>(
        &self,
        n: u64,
        work: impl FnOnce(Vaults) -> F + Send + 'static,
    ) -> (Self, Steps) {
        let place: Arc<OnceLock<Beside>> = Arc::default();
        let there = place.clone();
        let call = move || there.get().expect("the world has begun").does(work);
        let steps = Steps::with([Fault::before(n, call)]);
        let sim = self.world.sim.crash(1, steps.clone());
        let world = self.world.restart(sim, steps.clone()).await;
        place.set(world.beside()).ok().expect("it is set once");
        let client = self.client.clone();
        (Self { world, client }, steps)
    }
}

async fn protect(vaults: &Vaults, item: ItemId, policy: &str) -> Result<ItemChanged, VaultError> {
    let item = vaults.item_of(item).await?;
    vaults.protect(&somebody(), &item, &policy_name(policy), None).await
}

async fn stop(vaults: &Vaults, item: ItemId, how: Stop) -> Result<ItemChanged, VaultError> {
    let item = vaults.item_of(item).await?;
    vaults.stop(&somebody(), &item, how, None).await
}

async fn set(vaults: &Vaults, vault: VaultId, change: fn(&mut VaultSettings)) {
    let mut settings = vaults.vault(vault).await.unwrap().settings;
    change(&mut settings);
    vaults
        .change_settings(&somebody(), vault, settings, None)
        .await
        .unwrap();
}

fn immutable(settings: &mut VaultSettings) {
    settings.immutability = Immutability::Unlocked;
}

fn locked(settings: &mut VaultSettings) {
    settings.immutability = Immutability::Locked;
}

fn without_days(settings: &mut VaultSettings) {
    settings.soft_delete = SoftDelete::Disabled;
}

fn with_days(settings: &mut VaultSettings) {
    settings.soft_delete = SoftDelete::Enabled;
}

fn assert_immutable<T>(answer: Result<T, VaultError>) -> String {
    match answer {
        Err(error @ VaultError::Immutable { .. }) => error.to_string(),
        Err(other) => panic!("refused otherwise: {other}"),
        Ok(_) => panic!("not refused"),
    }
}

#[test]
fn an_immutable_vault_puts_points_that_are_kept_for_ever_under_no_policy() {
    run(async {
        // One that lost its policy before the vault was immutable, and one that never had any.
        let lost = Kept::under_long().await;
        lost.stop(Stop::Retain).await.unwrap();
        let vault = lost.client.vault;
        let deleted = lost.world.vaults.delete_policy(vault, &policy_name("long"), None).await;
        deleted.unwrap();
        for kept in [lost, Kept::new().await] {
            assert_eq!(kept.item().await.policy, None);
            let before = kept.points().await;
            for next in [immutable, locked] {
                kept.set(next).await;
                assert_immutable(kept.stop(Stop::Delete).await);
                let sentence = assert_immutable(kept.protect("short").await);
                assert!(sentence.contains("kept for ever"), "{sentence}");
                assert!(
                    sentence.contains("register the machine under another name"),
                    "{sentence}"
                );
            }
            kept.world.pass(DAY * 1000);
            kept.world.vaults.expire(kept.world.time.now()).await.unwrap();
            assert_eq!(kept.points().await, before);
            // The way out.
            let other = Client::register(&kept.world, "web-2", 1).await.unwrap();
            protect(&kept.world.vaults, other.item, "short").await.unwrap();
        }
    });
}

/// The vault becomes immutable at any step of a deletion: then nothing is deleted that was not before.
#[test]
fn a_deletion_is_refused_by_a_vault_that_becomes_immutable_meanwhile() {
    run(async {
        let prepared = Kept::under_long().await;
        let (vault, item) = (prepared.client.vault, prepared.client.item);
        for unregisters in [false, true] {
            let mut refused = 0;
            for n in 1.. {
                let was_deleted = Arc::new(Mutex::new(false));
                let told = was_deleted.clone();
                let (kept, steps) = prepared
                    .disturbed(n, async move |vaults: Vaults| {
                        *told.lock().unwrap() = vaults.item_of(item).await.unwrap().deleted.is_some();
                        set(&vaults, vault, immutable).await;
                    })
                    .await;
                let answer = match unregisters {
                    false => kept.stop(Stop::Delete).await,
                    true => kept.unregister().await,
                };
                if steps.taken() < n {
                    answer.unwrap();
                    break;
                }
                if !*was_deleted.lock().unwrap() {
                    assert_immutable(answer);
                    assert_eq!(kept.item().await.deleted, None, "step {n}");
                    refused += 1;
                }
            }
            assert!(refused > 2, "{refused}");
        }
    });
}

/// Soft delete is switched on at any step of a deletion: what is deleted later has its days.
#[test]
fn what_is_deleted_has_the_days_of_that_moment() {
    run(async {
        let prepared = Kept::under_long().await;
        prepared.set(without_days).await;
        let (vault, item) = (prepared.client.vault, prepared.client.item);
        let mut kept_for_days = 0;
        for n in 1.. {
            let was_there = Arc::new(Mutex::new(false));
            let told = was_there.clone();
            let (kept, steps) = prepared
                .disturbed(n, async move |vaults: Vaults| {
                    let found = vaults.item_of(item).await;
                    *told.lock().unwrap() = found.is_ok_and(|item| item.deleted.is_none());
                    set(&vaults, vault, with_days).await;
                })
                .await;
            let changed = kept.stop(Stop::Delete).await.unwrap();
            if steps.taken() < n {
                assert_eq!(changed.item, None);
                break;
            }
            if *was_there.lock().unwrap() {
                let item = changed.item.expect("it has days");
                assert!(item.purge_at > item.deleted, "step {n}");
                assert_eq!(kept.item().await, item, "step {n}");
                kept_for_days += 1;
            }
        }
        assert!(kept_for_days > 2, "{kept_for_days}");
    });
}

/// Nobody has to approve that a machine goes whose data is deleted already. Is that brought back at any step, it stays.
#[test]
fn what_nobody_had_to_approve_is_looked_at_again() {
    run(async {
        let prepared = Kept::under_long().await;
        prepared.stop(Stop::Delete).await.unwrap();
        let (group, guard): (_, GuardName) = (ResourceGroupName::default(), "two-people".parse().unwrap());
        let vaults = &prepared.world.vaults;
        vaults.create_guard(&group, &guard, &[]).await.unwrap();
        vaults.set_guard(prepared.client.vault, &group, &guard).await.unwrap();
        let id = prepared.client.item;
        let mut refused = 0;
        for n in 1.. {
            let (kept, steps) = prepared
                .disturbed(n, async move |vaults: Vaults| {
                    let item = vaults.item_of(id).await.unwrap();
                    vaults.undelete(&item, None).await.unwrap();
                })
                .await;
            let answer = kept.unregister().await;
            if steps.taken() < n {
                answer.unwrap();
                break;
            }
            assert_eq!(kept.item().await.deleted, None, "step {n}");
            match answer {
                Ok(_) => {}
                Err(VaultError::OtherVersion { .. } | VaultError::ApprovalNeeded { .. }) => refused += 1,
                Err(other) => panic!("refused otherwise: {other}"),
            }
        }
        assert!(refused > 2, "{refused}");
    });
}

/// A machine is unregistered while the clock is wrong: that purges nothing whose days are not over.
#[test]
fn unregistering_purges_only_what_it_deletes() {
    run(async {
        let kept = Kept::under_long().await;
        kept.stop(Stop::Delete).await.unwrap();
        kept.set(without_days).await;
        kept.world.pass(DAY * 365);
        let changed = kept.unregister().await.unwrap();
        assert_eq!(changed.item.expect("it is there").id, kept.client.item);
        assert_eq!(kept.points().await, 2);
        // What is deleted now without days goes now.
        let kept = Kept::under_long().await;
        kept.set(without_days).await;
        assert_eq!(kept.unregister().await.unwrap().item, None);
        assert_eq!(kept.points().await, 0);
    });
}

/// Two nodes on one database, one with a clock that is ahead: nothing expires but what was over when both were right.
#[test]
fn nodes_whose_clocks_disagree_let_nothing_expire() {
    run(async {
        for ahead in [SignedDuration::from_mins(61), DAY * 3650] {
            let kept = Kept::under_long().await;
            let world = &kept.world;
            let vault = kept.client.vault;
            let start = world.time.now();
            let (clock, wrong) = Clock::simulated(start + ahead);
            let other = world.beside().open(clock).await;
            world.vaults.look_at_clock().await.unwrap();
            let expire = async |vaults: &Vaults, believed: Timestamp| {
                let pass = vaults.expire(believed).await.unwrap();
                assert_eq!((pass.gone.len(), pass.failed.len()), (0, 0));
            };
            // What no rule wants goes while both are right.
            assert_eq!(world.vaults.expire(start).await.unwrap().gone.len(), 1);
            // Looks of the two in any order, at the same moment too.
            for round in 0_i64..600 {
                let looks = match round % 5 {
                    0 | 3 => vec![other.look_at_clock().await],
                    1 => vec![world.vaults.look_at_clock().await],
                    2 => vec![other.look_at_clock().await, world.vaults.look_at_clock().await],
                    _ => {
                        let (one, two) = join(other.look_at_clock(), world.vaults.look_at_clock()).await;
                        vec![one, two]
                    }
                };
                for look in looks {
                    let believed = look.unwrap().believed;
                    assert!(believed <= world.time.now(), "round {round}: {believed}");
                    expire(&other, believed).await;
                }
                let passes = SignedDuration::from_mins(10);
                world.pass(passes);
                wrong.advance(passes);
            }
            let query = AlertQuery {
                limit: 100,
                ..AlertQuery::default()
            };
            let (alerts, _) = world.vaults.alerts(vault, &query).await.unwrap();
            let is_told = |alert: &AlertRow| alert.kind == AlertKind::ClockJumped && alert.state == AlertState::Active;
            assert_eq!(alerts.iter().filter(|alert| is_told(alert)).count(), 1);
            // Set right, it is believed again within two days.
            wrong.set(world.time.now());
            let mut believed = start;
            for _ in 0..2 * 24 * 6 {
                world.pass(SignedDuration::from_mins(10));
                wrong.set(world.time.now());
                other.look_at_clock().await.unwrap();
                believed = world.vaults.look_at_clock().await.unwrap().believed;
            }
            assert_eq!(believed, world.time.now());
            kept.world.vaults.look_at_clock().await.unwrap();
        }
    });
}

/// What is off every night lets go of what is over, if a little later.
#[test]
fn what_is_off_every_night_still_lets_points_expire() {
    run(async {
        let mut kept = Kept::new().await;
        kept.protect("short").await.unwrap();
        for number in 1..=2 {
            kept.client.backup(&kept.world, &source(0, 3 + number)).await.unwrap();
        }
        let world = &kept.world;
        let mut gone = 0;
        for _day in 0..10 {
            for _half_hour in 0..32 {
                world.pass(SignedDuration::from_mins(30));
                let believed = world.vaults.look_at_clock().await.unwrap().believed;
                gone += world.vaults.expire(believed).await.unwrap().gone.len();
            }
            world.pass(SignedDuration::from_hours(8));
        }
        assert!(gone > 0);
        assert_eq!(
            world.vaults.vault_points(kept.client.vault).await.unwrap().len() + gone,
            3
        );
    });
}

/// A vault that cannot be purged does not keep the others from going, and goes when it can.
#[test]
fn one_vault_that_cannot_be_purged_stops_no_other() {
    run(async {
        let prepared = Kept::under_long().await;
        let mut ids = Vec::new();
        for name in ["one", "two", "three"] {
            let vaults = &prepared.world.vaults;
            let new = NewVault {
                name: name.parse().unwrap(),
                resource_group: ResourceGroupName::default(),
                region: Region::default(),
                redundancy: Redundancy::LocallyRedundant,
            };
            let vault = vaults.create(&new).await.unwrap().vault.id;
            let machine = "machine".parse().unwrap();
            let container = vaults.register_container(vault, &machine, &[1; 32]).await.unwrap();
            protect(vaults, container.item, "DefaultFilesPolicy").await.unwrap();
            vaults.unregister(&somebody(), &container).await.unwrap();
            vaults.delete(&new.name).await.unwrap();
            ids.push(vault);
        }
        prepared.world.pass(DAY * 30);
        let now = prepared.world.time.now();
        let left = async |world: &World| world.vaults.deleted_vaults().await.unwrap().len();
        assert_eq!(left(&prepared.world).await, ids.len());
        let mut failures = 0;
        for n in 1.. {
            let steps = Steps::with([Fault::once(n, Failure::Io)]);
            let sim = prepared.world.sim.crash(1, steps.clone());
            let world = prepared.world.restart(sim, steps.clone()).await;
            let pass = world.vaults.purge_vaults(now).await;
            if steps.taken() < n {
                assert_eq!(pass.unwrap().gone.len(), ids.len());
                break;
            }
            // Which vaults there are could not be asked; or one of them failed.
            if let Ok(pass) = pass {
                assert_eq!((pass.gone.len(), pass.failed.len()), (ids.len() - 1, 1), "step {n}");
                // It may be that only the answer was lost.
                assert!(left(&world).await <= 1, "step {n}");
                failures += 1;
            }
            let again = world.vaults.purge_vaults(now).await.unwrap();
            assert_eq!(again.failed.len(), 0, "step {n}");
            assert_eq!(left(&world).await, 0, "step {n}");
        }
        assert!(failures > 6, "{failures}");
    });
}

/// Nor does an item.
#[test]
fn one_item_that_fails_stops_no_other() {
    run(async {
        let prepared = Kept::new().await;
        for name in ["one", "two", "three"] {
            let mut client = Client::register(&prepared.world, name, 1).await.unwrap();
            protect(&prepared.world.vaults, client.item, "short").await.unwrap();
            for number in 1..=2 {
                client.backup(&prepared.world, &source(0, number)).await.unwrap();
            }
        }
        prepared.world.pass(DAY * 60);
        let now = prepared.world.time.now();
        let all = prepared
            .world
            .vaults
            .vault_points(prepared.client.vault)
            .await
            .unwrap()
            .len();
        let undisturbed = prepared.world.restart(prepared.world.sim.clone(), Steps::new()).await;
        let whole = undisturbed.vaults.expire(now).await.unwrap().gone.len();
        assert!(whole >= 3, "{whole}");
        let mut failures = 0;
        for n in 1.. {
            let steps = Steps::with([Fault::once(n, Failure::Io)]);
            let sim = prepared.world.sim.crash(1, steps.clone());
            let world = prepared.world.restart(sim, steps.clone()).await;
            let pass = world.vaults.expire(now).await;
            if steps.taken() < n {
                break;
            }
            let left = world.vaults.vault_points(prepared.client.vault).await.unwrap().len();
            if let Ok(pass) = pass {
                assert_eq!(pass.failed.len(), 1, "step {n}");
                // It may be that only the answer was lost.
                assert!(left <= all - pass.gone.len(), "step {n}");
                assert!(pass.gone.len() * 3 >= whole * 2, "step {n}");
                failures += 1;
            }
            world.vaults.expire(now).await.unwrap();
        }
        assert!(failures > 2, "{failures}");
    });
}
