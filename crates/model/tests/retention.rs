//! Retention over decades, against a second reading of the rules, and the worked examples of Azure's documents.

use std::collections::BTreeSet;

use jiff::civil::{Date, Time, date, time};
use jiff::tz::TimeZone;
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

fn at(hour: i8) -> Time {
    time(hour, 0, 0, 0)
}

fn point(number: u64) -> PointId {
    PointId::from_uuid(uuid::Uuid::from_u128(u128::from(number)))
}

/// Three backups a day; daily 30, weekly 12, monthly 60, yearly 10.
fn three_a_day(zone: &str) -> Policy {
    let times = vec![at(6), at(14), at(22)];
    Policy {
        zone: zone.parse().unwrap(),
        schedule: Schedule::Daily { times: times.clone() },
        retention: Retention {
            daily: Some(Daily { times, keep: 30 }),
            weekly: Some(Weekly {
                days: vec![Day::Sunday],
                times: vec![at(22)],
                keep: 12,
            }),
            monthly: Some(Monthly {
                on: DaysOfMonth::Weekdays {
                    days: vec![Day::Sunday],
                    weeks: vec![Week::Last],
                },
                times: vec![at(22)],
                keep: 60,
            }),
            yearly: Some(Yearly {
                months: vec![3, 12],
                on: DaysOfMonth::Dates {
                    dates: vec![1],
                    last: true,
                },
                times: vec![at(6)],
                keep: 10,
            }),
        },
    }
}

/// A backup that succeeded.
#[derive(Clone, Copy)]
struct Success {
    due: Timestamp,
    created: Timestamp,
}

/// The second reading of [`three_a_day`]: each moment that a rule wants, in order.
struct Wanted {
    zone: TimeZone,
    moments: [Vec<Timestamp>; 4],
}

impl Wanted {
    fn new(zone: &str, from: Date, to: Date) -> Self {
        let zone = TimeZone::get(zone).unwrap();
        let mut moments = [const { Vec::new() }; 4];
        for day in from.series(1.day()).take_while(|day| *day < to) {
            let mut want = |tag: Tag, time: Time| {
                moments[tag as usize].push(day.to_datetime(time).to_zoned(zone.clone()).unwrap().timestamp());
            };
            for time in [at(6), at(14), at(22)] {
                want(Tag::Daily, time);
            }
            let sunday = day.weekday() == jiff::civil::Weekday::Sunday;
            if sunday {
                want(Tag::Weekly, at(22));
            }
            if sunday && day.checked_add(7.days()).unwrap().month() != day.month() {
                want(Tag::Monthly, at(22));
            }
            let ends = day.tomorrow().unwrap().month() != day.month();
            if [3, 12].contains(&day.month()) && (day.day() == 1 || ends) {
                want(Tag::Yearly, at(6));
            }
        }
        Self { zone, moments }
    }

    /// A point bears a long-term tag if it is the first to succeed at or after a moment that the rule wants (after `since`,
    /// when protection began), and the daily one if it was due at such a moment.
    fn tags(&self, successes: &[Success], index: usize, since: Timestamp) -> Vec<Tag> {
        let due = successes[index].due;
        let before = index.checked_sub(1).map_or(since, |before| successes[before].due);
        let has = |tag: &Tag| {
            let moments = &self.moments[*tag as usize];
            match tag {
                Tag::Daily => moments.binary_search(&due).is_ok(),
                _ => {
                    let first_after = moments.partition_point(|moment| *moment <= before);
                    moments.get(first_after).is_some_and(|moment| *moment <= due)
                }
            }
        };
        Tag::ALL.into_iter().filter(has).collect()
    }

    fn until(&self, success: &Success, tags: &[Tag]) -> Option<Timestamp> {
        let created = success.created.to_zoned(self.zone.clone());
        let ends = tags.iter().map(|tag| match tag {
            Tag::Daily => created.checked_add(30.days()).unwrap(),
            Tag::Weekly => created.checked_add(84.days()).unwrap(),
            Tag::Monthly => created.checked_add(5.years()).unwrap(),
            Tag::Yearly => created.checked_add(10.years()).unwrap(),
        });
        ends.map(|end| end.timestamp()).max()
    }
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
            successes.push(Success { due, created });
            let index = successes.len() - 1;
            let (mut tags, paid) = owed.pay(&policy, due);
            owed = paid;
            if policy.is_daily(due) {
                tags.insert(Tag::Daily);
            }
            let expected = wanted.tags(&successes, index, since);
            assert_eq!(tags.iter().collect::<Vec<_>>(), expected, "seed {seed}, due {due}");
            until.push(wanted.until(&successes[index], &expected));
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

/// Every point whose time has not come; if there is none, the one whose time came last.
fn expected(successes: &[Success], until: &[Option<Timestamp>], now: Timestamp) -> BTreeSet<PointId> {
    // Nothing older than the longest rule can be there, unless it is the last.
    let old = now - SignedDuration::from_hours(24 * 366 * 11);
    let first = successes.partition_point(|success| success.created < old);
    let alive = (first..successes.len()).filter(|index| until[*index] > Some(now));
    let alive: BTreeSet<PointId> = alive.map(|index| point(index as u64)).collect();
    let last = || (0..successes.len()).max_by_key(|index| (until[*index], successes[*index].created));
    if alive.is_empty() {
        last().map(|index| point(index as u64)).into_iter().collect()
    } else {
        alive
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

fn some_policy() -> Policy {
    three_a_day("UTC")
}

fn kept(number: u64, created: &str, tags: &[Tag]) -> Kept {
    Kept {
        point: point(number),
        created: created.parse().unwrap(),
        tags: tags.iter().copied().collect(),
        asked_until: None,
        held: false,
    }
}

#[test]
fn of_points_that_all_expired_the_longest_stays() {
    let points = [
        kept(1, "2026-01-01T00:00:00Z", &[Tag::Daily]),
        kept(2, "2026-01-02T00:00:00Z", &[Tag::Daily, Tag::Weekly]),
        kept(3, "2026-01-03T00:00:00Z", &[]),
    ];
    let now = "2030-01-01T00:00:00Z".parse().unwrap();
    let verdicts = verdicts(&points, &some_policy(), Aging::ByPolicy, now);
    let said: Vec<String> = verdicts.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "expired by the daily rule on 2026-01-31T00:00:00Z",
            "kept as the last recovery point",
            "expired, as no rule keeps it"
        ]
    );
}

#[test]
fn a_fresh_point_lets_the_last_go() {
    let points = [
        kept(1, "2026-01-02T00:00:00Z", &[Tag::Weekly]),
        kept(2, "2030-01-01T00:00:00Z", &[Tag::Daily]),
    ];
    let now = "2030-01-02T00:00:00Z".parse().unwrap();
    let verdicts = verdicts(&points, &some_policy(), Aging::ByPolicy, now);
    assert!(
        matches!(
            verdicts[..],
            [Verdict::Expire(_), Verdict::Keep(Keep::Rule(Tag::Daily, _))]
        ),
        "{verdicts:?}"
    );
}

#[test]
fn holds_stops_and_wishes() {
    let now = "2030-01-01T00:00:00Z".parse().unwrap();
    let mut points = [
        kept(1, "2026-01-01T00:00:00Z", &[Tag::Daily]),
        kept(2, "2026-01-01T00:00:00Z", &[]),
    ];
    for (aging, why) in [(Aging::Stopped, Keep::Stopped), (Aging::SoftDeleted, Keep::SoftDeleted)] {
        let verdicts = verdicts(&points, &some_policy(), aging, now);
        assert_eq!(verdicts, [Verdict::Keep(why); 2]);
    }
    points[0].held = true;
    points[1].asked_until = Some("2031-01-01T00:00:00Z".parse().unwrap());
    let verdicts = verdicts(&points, &some_policy(), Aging::ByPolicy, now);
    assert_eq!(
        verdicts,
        [
            Verdict::Keep(Keep::Held),
            Verdict::Keep(Keep::Asked("2031-01-01T00:00:00Z".parse().unwrap()))
        ]
    );
}

#[test]
fn an_on_demand_backup_takes_over_what_was_missed() {
    let policy = some_policy();
    let owed = Owed::nothing("2026-05-30T00:00:00Z".parse().unwrap());
    // Sunday the 31st was the last of May; nothing ran then. On Monday somebody backs up by hand.
    let (tags, owed) = owed.pay(&policy, "2026-06-01T09:17:00Z".parse().unwrap());
    assert_eq!(tags, [Tag::Weekly, Tag::Monthly].into_iter().collect());
    // Once: the next one is an ordinary one.
    let (tags, _) = owed.pay(&policy, "2026-06-01T14:00:00Z".parse().unwrap());
    assert!(tags.is_empty(), "{tags:?}");
}

#[test]
fn a_new_rule_wants_nothing_of_the_past() {
    let mut before = some_policy();
    before.retention.yearly = None;
    let after = some_policy();
    let owed = Owed::nothing("2026-03-01T00:00:00Z".parse().unwrap());
    let edited: Timestamp = "2026-04-02T00:00:00Z".parse().unwrap();
    let (tags, _) = owed
        .at(&before, edited)
        .pay(&after, edited + SignedDuration::from_hours(6));
    assert_eq!(tags, [Tag::Weekly, Tag::Monthly].into_iter().collect());
}

#[test]
fn a_rule_that_goes_keeps_its_promises_but_for_the_daily_one() {
    let (policy, mut next) = (some_policy(), some_policy());
    next.retention.weekly = None;
    next.retention.daily = None;
    let points = [
        kept(1, "2026-01-01T00:00:00Z", &[Tag::Daily]),
        kept(2, "2026-01-04T22:00:00Z", &[Tag::Daily, Tag::Weekly]),
        kept(3, "2026-01-25T22:00:00Z", &[Tag::Weekly, Tag::Monthly]),
    ];
    let promised = promises(&points, &policy, &next);
    let twelve_weeks = |from: &str| from.parse::<Timestamp>().unwrap() + SignedDuration::from_hours(24 * 84);
    assert_eq!(
        promised,
        [
            None,
            Some(twelve_weeks("2026-01-04T22:00:00Z")),
            Some(twelve_weeks("2026-01-25T22:00:00Z"))
        ]
    );
}

#[test]
fn every_limit_has_its_sentence() {
    type Change = fn(&mut Policy);
    let table: &[(Change, &str)] = &[
        (
            |policy| policy.schedule = Schedule::Daily { times: vec![] },
            "at least one time",
        ),
        (
            |policy| {
                policy.schedule = Schedule::Daily {
                    times: vec![at(6), at(14), at(22), at(23)],
                }
            },
            "at most 3 times a day",
        ),
        (
            |policy| {
                policy.schedule = Schedule::Daily {
                    times: vec![at(6), at(14), at(22), at(22)],
                }
            },
            "The schedule names a time twice",
        ),
        (
            |policy| {
                policy.schedule = Schedule::Daily {
                    times: vec![time(6, 0, 1, 0)],
                }
            },
            "whole minutes",
        ),
        (
            |policy| {
                policy.schedule = Schedule::Weekly {
                    days: vec![],
                    times: vec![at(6)],
                    every_weeks: 5,
                    first_week: date(2026, 1, 1),
                }
            },
            "every 1 to 4 weeks, not every 5",
        ),
        (
            |policy| {
                policy.schedule = Schedule::Hourly {
                    every_hours: 5,
                    window_start: at(8),
                    window_hours: 25,
                }
            },
            "every 4, 6, 8, 12 or 24 hours, not every 5",
        ),
        (|policy| policy.retention = Retention::default(), "keeps nothing"),
        (
            |policy| policy.retention.daily.as_mut().unwrap().keep = 6,
            "7 to 9999 days, not 6",
        ),
        (
            |policy| policy.retention.daily.as_mut().unwrap().keep = 10_000,
            "7 to 9999 days",
        ),
        (
            |policy| policy.retention.weekly.as_mut().unwrap().keep = 5164,
            "4 to 5163 weeks",
        ),
        (
            |policy| policy.retention.monthly.as_mut().unwrap().keep = 1189,
            "3 to 1188 months",
        ),
        (
            |policy| policy.retention.yearly.as_mut().unwrap().keep = 100,
            "1 to 99 years",
        ),
        (
            |policy| policy.retention.weekly.as_mut().unwrap().times = vec![at(7)],
            "the schedule has none at that time",
        ),
        (
            |policy| policy.retention.weekly.as_mut().unwrap().days = vec![],
            "at least one day of the week",
        ),
        (
            |policy| policy.retention.yearly.as_mut().unwrap().months = vec![13],
            "1 to 12",
        ),
        (
            |policy| {
                policy.retention.yearly.as_mut().unwrap().on = DaysOfMonth::Dates {
                    dates: vec![29],
                    last: false,
                }
            },
            "day 29: use 1 to 28, or the last",
        ),
        (
            |policy| {
                policy.schedule = Schedule::Weekly {
                    days: vec![Day::Monday],
                    times: vec![at(22)],
                    every_weeks: 1,
                    first_week: date(2026, 1, 1),
                }
            },
            "A weekly schedule has no daily retention",
        ),
        (
            |policy| {
                policy.schedule = Schedule::Weekly {
                    days: vec![Day::Monday],
                    times: vec![at(22)],
                    every_weeks: 1,
                    first_week: date(2026, 1, 1),
                }
            },
            "of a Sunday, and the schedule has none on that day",
        ),
    ];
    for (change, expected) in table {
        let mut policy = some_policy();
        change(&mut policy);
        let found = policy.violations(Workload::FilesAndFolders);
        let said: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert!(
            said.iter().any(|sentence| sentence.contains(expected)),
            "{expected:?} is not in {said:?}"
        );
    }
}

#[test]
fn lowering_is_noticed() {
    let policy = some_policy();
    assert_eq!(policy.lowered_by(&policy), Vec::<String>::new());
    let mut next = some_policy();
    next.retention.daily.as_mut().unwrap().keep = 29;
    next.retention.weekly.as_mut().unwrap().keep = 13;
    next.retention.yearly = None;
    next.schedule = Schedule::Weekly {
        days: vec![Day::Monday, Day::Tuesday],
        times: vec![at(22)],
        every_weeks: 1,
        first_week: date(2026, 1, 1),
    };
    assert_eq!(
        policy.lowered_by(&next),
        [
            "the daily retention falls from 30 to 29",
            "the yearly retention goes",
            "the time between two backups grows from 24 to 144 hours"
        ]
    );
    let hourly = |every_hours, window_hours| Schedule::Hourly {
        every_hours,
        window_start: at(8),
        window_hours,
    };
    assert_eq!((hourly(4, 24).hours_between(), hourly(4, 12).hours_between()), (4, 12));
}

#[test]
fn policies_read_and_write_as_json() {
    let text = r#"{
        "zone": "W. Europe Standard Time",
        "schedule": { "frequency": "Weekly", "days": ["Sunday"], "times": ["22:00"], "every_weeks": 2, "first_week": "2026-01-04" },
        "retention": {
            "weekly": { "days": ["Sunday"], "times": ["22:00"], "keep": 12 },
            "monthly": { "on": { "weekdays": { "days": ["Sunday"], "weeks": ["Last"] } }, "times": ["22:00"], "keep": 60 },
            "yearly": { "months": [12], "on": { "dates": { "dates": [1], "last": true } }, "times": ["22:00"], "keep": 10 }
        }
    }"#;
    let policy: Policy = serde_json::from_str(text).unwrap();
    assert_eq!(policy.violations(Workload::FilesAndFolders), []);
    let again = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&again).unwrap(), policy);
    assert_eq!(
        Tags::from_bits(0b1010),
        [Tag::Weekly, Tag::Yearly].into_iter().collect()
    );
}
