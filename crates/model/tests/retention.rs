//! Retention over decades, against a second reading of the rules, and the worked examples of Azure's documents.

mod common;

use std::collections::BTreeSet;

use common::wanted::Wanted;
use common::{at, point, three_a_day};
use jiff::civil::date;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use strongroom_model::PointId;
use strongroom_model::policy::*;

/// splitmix64: a run is its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// A backup that succeeded.
#[derive(Clone, Copy)]
struct Success {
    due: Timestamp,
    created: Timestamp,
}

/// One life of an item: failures, outages of days and months, runs that come late. After each event what is kept must be
/// what the second reading says. Returns how many decisions were checked.
fn live(zone: &str, years: i16, seed: u64) -> u64 {
    let mut random = Random(seed);
    let policy = three_a_day(zone);
    assert_eq!(policy.violations(Workload::FilesAndFolders), []);
    let start = date(2026, 1, 1);
    let wanted = Wanted::new(zone, start, start.checked_add((years + 1).years()).unwrap());
    let since = policy.zone.instant(start, at(0));
    let end = policy.zone.later(since, i64::from(years).years());
    let (mut now, mut owed) = (since, Owed::nothing(since));
    let mut successes: Vec<Success> = Vec::new();
    let mut until: Vec<Option<Timestamp>> = Vec::new();
    let mut kept: Vec<Kept> = Vec::new();
    let mut decisions = 0;
    while now < end {
        let mut due = policy.schedule.next(&policy.zone, now).unwrap();
        if random.one_in(400) {
            // Away for a while; back, it catches up once, for the last moment that was due.
            let most_hours = if random.one_in(10) { 24 * 200 } else { 24 * 12 };
            let away = SignedDuration::from_hours(random.below(most_hours) as i64);
            due = policy.schedule.last(&policy.zone, due + away).unwrap();
        }
        now = due;
        if !random.one_in(6) {
            let created = due + SignedDuration::from_mins(random.below(90) as i64);
            let before = successes.last().map_or(since, |last| last.due);
            successes.push(Success { due, created });
            let index = successes.len() - 1;
            let (mut tags, paid) = owed.pay(&policy, due);
            owed = paid;
            if policy.is_daily(due) {
                tags.insert(Tag::Daily);
            }
            let expected = wanted.tags(due, before);
            assert_eq!(tags.iter().collect::<Vec<_>>(), expected, "seed {seed}, due {due}");
            until.push(wanted.until(created, &expected));
            kept.push(Kept {
                point: point(index as u64),
                created,
                tags,
                asked_until: None,
                held: false,
            });
            now = created;
        }
        let verdicts = verdicts(&kept, &policy, Aging::ByPolicy, now);
        decisions += verdicts.len() as u64;
        let mut verdicts = verdicts.into_iter();
        kept.retain(|_| matches!(verdicts.next(), Some(Verdict::Keep(_))));
        let there: BTreeSet<PointId> = kept.iter().map(|kept| kept.point).collect();
        assert_eq!(there, expected(&successes, &until, now), "seed {seed}, at {now}");
    }
    decisions
}

/// The newest point, and every one whose time has not come; if there is none, the one whose time came last.
fn expected(successes: &[Success], until: &[Option<Timestamp>], now: Timestamp) -> BTreeSet<PointId> {
    // Nothing older than the longest rule can be there, unless it is the last.
    let old = now - SignedDuration::from_hours(24 * 366 * 11);
    let first = successes.partition_point(|success| success.created < old);
    let alive = (first..successes.len()).filter(|index| until[*index] > Some(now));
    let alive: BTreeSet<PointId> = alive.map(|index| point(index as u64)).collect();
    let last = || (0..successes.len()).max_by_key(|index| (until[*index], successes[*index].created));
    let newest = successes.len().checked_sub(1).map(|newest| point(newest as u64));
    if alive.is_empty() {
        let last = last().map(|index| point(index as u64));
        last.into_iter().chain(newest).collect()
    } else {
        alive.into_iter().chain(newest).collect()
    }
}

#[test]
fn thirty_years_of_three_backups_a_day() {
    const YEARS: i16 = 30;
    let zones = [
        "Europe/Berlin",
        "America/New_York",
        "Asia/Kolkata",
        "Australia/Lord_Howe",
    ];
    let decisions: u64 = zones.iter().zip(1..).map(|(zone, seed)| live(zone, YEARS, seed)).sum();
    let years = YEARS as usize * zones.len();
    println!(
        "{years} years in {} zones, {decisions} decisions, none wrong",
        zones.len()
    );
    assert!(decisions > 1_000_000, "only {decisions} decisions were checked");
}

/// Everything that a policy makes in some years, undisturbed; what is there at the end.
fn kept_after(policy: &Policy, since: Timestamp, end: Timestamp) -> usize {
    let mut owed = Owed::nothing(since);
    let mut kept = Vec::new();
    let mut due = since;
    while let Some(next) = policy.schedule.next(&policy.zone, due).filter(|next| *next <= end) {
        due = next;
        let (mut tags, paid) = owed.pay(policy, due);
        owed = paid;
        if policy.is_daily(due) {
            tags.insert(Tag::Daily);
        }
        kept.push(Kept {
            point: point(kept.len() as u64),
            created: due,
            tags,
            asked_until: None,
            held: false,
        });
    }
    let verdicts = verdicts(&kept, policy, Aging::ByPolicy, end);
    verdicts
        .iter()
        .filter(|verdict| matches!(verdict, Verdict::Keep(_)))
        .count()
}

#[test]
fn the_cloud_as_tape() {
    // Two a day for a week, both of a Saturday for four weeks, both of a month's last Saturday for a year, one of March's
    // last Saturday for ten years: 14 + 8 + 24 + 10 points, if no point counted for two rules.
    let both = vec![at(9), at(18)];
    let last_saturday = DaysOfMonth::Weekdays {
        days: vec![Day::Saturday],
        weeks: vec![Week::Last],
    };
    let policy = Policy {
        zone: "Europe/Berlin".parse().unwrap(),
        snapshot_days: None,
        logs: None,
        schedule: Schedule::Daily { times: both.clone() },
        retention: Retention {
            daily: Some(Daily {
                times: both.clone(),
                keep: 7,
            }),
            weekly: Some(Weekly {
                days: vec![Day::Saturday],
                times: both.clone(),
                keep: 4,
            }),
            monthly: Some(Monthly {
                on: last_saturday.clone(),
                times: both,
                keep: 12,
            }),
            yearly: Some(Yearly {
                months: vec![3],
                on: last_saturday,
                times: vec![at(18)],
                keep: 10,
            }),
        },
    };
    assert_eq!(policy.violations(Workload::FilesAndFolders), []);
    let rules = &policy.retention;
    let (daily, weekly, monthly, yearly) = (
        2 * rules.keep(Tag::Daily).unwrap(),
        2 * rules.keep(Tag::Weekly).unwrap(),
        2 * rules.keep(Tag::Monthly).unwrap(),
        rules.keep(Tag::Yearly).unwrap(),
    );
    assert_eq!(daily + weekly + monthly + yearly, 56);
    let since = "2026-01-01T00:00:00Z".parse().unwrap();
    // A Wednesday in the middle of June, after 15 years. Of the 14 of the week, two are of a Saturday; of the four Saturdays,
    // one is the last of its month; of the twelve last Saturdays, one evening is the year's.
    let kept = kept_after(&policy, since, "2041-06-12T23:00:00Z".parse().unwrap());
    assert_eq!(kept, 56 - 2 - 2 - 1);
}

#[test]
fn ninety_days_and_each_quarter_for_ten_years() {
    let policy = Policy {
        zone: "UTC".parse().unwrap(),
        snapshot_days: None,
        logs: None,
        schedule: Schedule::Daily { times: vec![at(0)] },
        retention: Retention {
            daily: Some(Daily {
                times: vec![at(0)],
                keep: 90,
            }),
            yearly: Some(Yearly {
                months: vec![1, 4, 7, 10],
                on: DaysOfMonth::Dates {
                    dates: vec![1],
                    last: false,
                },
                times: vec![at(0)],
                keep: 10,
            }),
            ..Retention::default()
        },
    };
    let since = "2026-01-01T12:00:00Z".parse().unwrap();
    // 90 + 40; of the days, the first of July was a quarter's.
    let kept = kept_after(&policy, since, "2045-09-15T00:00:00Z".parse().unwrap());
    assert_eq!(kept, 130 - 1);
}
