//! What policies allow, what they keep, and how they are written.

mod common;

use common::{at, point, three_a_day};
use jiff::civil::{date, time};
use jiff::{SignedDuration, Timestamp};
use strongroom_model::policy::*;

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
            "kept as the newest recovery point"
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

fn every_monday() -> Schedule {
    Schedule::Weekly {
        days: vec![Day::Monday],
        times: vec![at(22)],
        every_weeks: 1,
        first_week: None,
    }
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
                    first_week: None,
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
        (
            |policy| {
                policy.schedule = Schedule::Daily {
                    times: vec![at(6); 20_000],
                }
            },
            "no list needs more than 48",
        ),
        (
            |policy| {
                policy.schedule = Schedule::Weekly {
                    days: vec![Day::Sunday],
                    times: vec![at(22)],
                    every_weeks: 2,
                    first_week: None,
                }
            },
            "needs a day of its first week",
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
            |policy| policy.retention.daily.as_mut().unwrap().keep = 3334,
            "keeps 10002 recovery points of an item, which has at most 9999",
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
            |policy| policy.schedule = every_monday(),
            "A weekly schedule has no daily retention",
        ),
        (
            |policy| policy.schedule = every_monday(),
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
        first_week: None,
    };
    assert_eq!(
        policy.lowered_by(&next),
        [
            "the daily retention falls from 30 to 29",
            "the yearly retention goes",
            "the time between two backups grows from 8 to 144 hours"
        ]
    );
    let hourly = |every_hours, window_hours| Schedule::Hourly {
        every_hours,
        window_start: at(8),
        window_hours,
    };
    let weekly = |days: &[Day]| Schedule::Weekly {
        days: days.to_vec(),
        times: vec![at(22)],
        every_weeks: 2,
        first_week: Some(date(2026, 1, 4)),
    };
    for (schedule, hours) in [
        (hourly(4, 24), 4),
        (hourly(4, 12), 12),
        (hourly(12, 20), 12),
        (hourly(24, 23), 24),
        (weekly(&[Day::Sunday, Day::Saturday]), 192),
        (weekly(&[Day::Monday, Day::Tuesday]), 312),
    ] {
        assert_eq!(schedule.hours_between(), hours, "{schedule:?}");
    }
    let mut fewer = some_policy();
    fewer.retention.yearly.as_mut().unwrap().months = vec![3];
    assert_eq!(
        policy.lowered_by(&fewer),
        ["the yearly retention keeps 2 points where it kept 4"]
    );
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
