//! Translation by table: what Azure's documents show is read, and what we write reads the same again.

use jiff::civil::{date, time};
use serde_json::{Value, json};
use strongroom_model::policy::{DEFAULT_POLICIES, DaysOfMonth, Policy, Schedule, Workload};

use super::*;
use crate::arm::error::ArmResult;
use crate::arm::loose::Loose;

fn read_value(value: &Value) -> ArmResult<(Workload, Policy)> {
    read(&Loose::new(value))
}

/// Reads, writes and reads again.
fn round(value: &Value) -> Policy {
    let (workload, policy) = read_value(value).unwrap();
    let written = write(workload, &policy, 3, date(2026, 11, 21));
    assert_eq!(written["protectedItemsCount"], 3);
    assert_eq!(read_value(&written), Ok((workload, policy.clone())), "{written:#}");
    policy
}

fn refusal(value: &Value) -> String {
    read_value(value).unwrap_err().message
}

fn daily(kind: &str) -> Value {
    json!({
        "backupManagementType": kind,
        "timeZone": "Pacific Standard Time",
        "schedulePolicy": {
            "schedulePolicyType": "SimpleSchedulePolicy",
            "scheduleRunFrequency": "Daily",
            "scheduleRunTimes": ["2018-01-24T02:00:00Z"],
        },
        "retentionPolicy": {
            "retentionPolicyType": "LongTermRetentionPolicy",
            "dailySchedule": {
                "retentionTimes": ["2018-01-24T02:00:00Z"],
                "retentionDuration": { "count": 30, "durationType": "Days" },
            },
        },
    })
}

#[test]
fn the_default_policies_come_back_as_they_went() {
    for default in DEFAULT_POLICIES {
        let policy = default.policy();
        let written = write(default.workload, &policy, 0, date(2026, 11, 21));
        assert_eq!(read_value(&written), Ok((default.workload, policy)), "{written:#}");
        assert_eq!(written["backupManagementType"], management_type(default.workload));
    }
}

#[test]
fn times_are_read_as_they_are_written() {
    for text in [
        "2018-01-24T02:00:00Z",
        "2026-11-21T02:00:00+00:00",
        "2021-09-29T02:00:00.000Z",
        "02:00",
    ] {
        let mut value = daily("AzureIaasVM");
        value["schedulePolicy"]["scheduleRunTimes"][0] = text.into();
        let policy = round(&value);
        assert_eq!(policy.schedule.times(), [time(2, 0, 0, 0)], "{text}");
        assert_eq!(policy.snapshot_days, Some(2));
        assert_eq!(policy.zone.name(), "Pacific Standard Time");
    }
}

#[test]
fn what_az_sends_back_is_read() {
    // Recorded: nulls, a misspelled key, offsets.
    let mut value = daily("AzureIaasVM");
    value["instantRpDetails"] = json!({ "azureBackupRgNamePrefix": null });
    value["instantRpRetentionRangeInDays"] = json!(5);
    value["resourceGuardOperationRequests"] = Value::Null;
    value["schedulePolicy"]["scheduleRunDays"] = Value::Null;
    value["schedulePolicy"]["hourlySchedule"] = Value::Null;
    value["retentionPolicy"]["weeklySchedule"] = Value::Null;
    value["snapshotConsistencyType"] = Value::Null;
    value["tieringPolicy"] = Value::Null;
    assert_eq!(round(&value).snapshot_days, Some(5));
}

#[test]
fn files_have_policies_too() {
    let policy = round(&daily("MAB"));
    assert_eq!(policy.snapshot_days, None);
}

#[test]
fn all_four_rules_are_read() {
    let mut value = daily("AzureIaasVM");
    value["schedulePolicy"] = json!({
        "schedulePolicyType": "SimpleSchedulePolicy",
        "scheduleRunFrequency": "Weekly",
        "scheduleRunDays": ["Monday", "thursday"],
        "scheduleRunTimes": ["2026-01-07T10:00:00Z"],
        "scheduleWeeklyFrequency": 2,
    });
    let times = json!(["2026-01-07T10:00:00Z"]);
    value["retentionPolicy"] = json!({
        "retentionPolicyType": "LongTermRetentionPolicy",
        "weeklySchedule": {
            "daysOfTheWeek": ["Monday"],
            "retentionTimes": times,
            "retentionDuration": { "count": 12, "durationType": "Weeks" },
        },
        "monthlySchedule": {
            "retentionScheduleFormatType": "Daily",
            "retentionScheduleDaily": { "daysOfTheMonth": [{ "date": 1, "isLast": false }, { "date": 0, "isLast": true }] },
            "retentionTimes": times,
            "retentionDuration": { "count": 60, "durationType": "Months" },
        },
        "yearlySchedule": {
            "retentionScheduleFormatType": "Weekly",
            "monthsOfYear": ["February", "December"],
            "retentionScheduleWeekly": { "daysOfTheWeek": ["Monday"], "weeksOfTheMonth": ["First", "Last"] },
            "retentionTimes": times,
            "retentionDuration": { "count": 10, "durationType": "Years" },
        },
    });
    let policy = round(&value);
    let Schedule::Weekly {
        every_weeks,
        first_week,
        ..
    } = policy.schedule
    else {
        panic!("{policy:?}");
    };
    assert_eq!((every_weeks, first_week), (2, Some(date(2026, 1, 7))));
    let dates = DaysOfMonth::Dates {
        dates: vec![1],
        last: true,
    };
    assert_eq!(policy.retention.monthly.unwrap().on, dates);
    assert_eq!(policy.retention.yearly.unwrap().months, [2, 12]);
}

#[test]
fn of_an_hourly_schedule_every_point_is_the_days() {
    let mut value = daily("AzureIaasVM");
    value["policyType"] = "V2".into();
    value["schedulePolicy"] = json!({
        "schedulePolicyType": "SimpleSchedulePolicyV2",
        "scheduleRunFrequency": "Hourly",
        "hourlySchedule": {
            "interval": 4,
            "scheduleWindowStartTime": "2021-09-29T08:00:00.000Z",
            "scheduleWindowDuration": 12,
        },
    });
    for times in [json!(["2021-09-29T08:00:00Z"]), Value::Null] {
        value["retentionPolicy"]["dailySchedule"]["retentionTimes"] = times;
        let kept = round(&value).retention.daily.unwrap().times;
        assert_eq!(kept.len(), 4, "{kept:?}");
    }
}

#[test]
fn the_second_kind_of_schedule_has_its_times_further_down() {
    let mut value = daily("AzureIaasVM");
    value["schedulePolicy"] = json!({
        "schedulePolicyType": "SimpleSchedulePolicyV2",
        "scheduleRunFrequency": "Daily",
        "dailySchedule": { "scheduleRunTimes": ["2018-01-24T02:00:00Z"] },
    });
    assert_eq!(round(&value).schedule.times(), [time(2, 0, 0, 0)]);
}

fn database(parts: Value) -> Value {
    json!({
        "backupManagementType": "AzureWorkload",
        "workLoadType": "SQLDataBase",
        "settings": { "timeZone": "UTC", "issqlcompression": false },
        "subProtectionPolicy": parts,
    })
}

fn full() -> Value {
    let mut full = daily("");
    full["policyType"] = "Full".into();
    full
}

#[test]
fn databases_have_logs() {
    let log = json!({
        "policyType": "Log",
        "schedulePolicy": { "schedulePolicyType": "LogSchedulePolicy", "scheduleFrequencyInMins": 60 },
        "retentionPolicy": {
            "retentionPolicyType": "SimpleRetentionPolicy",
            "retentionDuration": { "count": 7, "durationType": "Days" },
        },
    });
    let policy = round(&database(json!([full(), log])));
    let logs = policy.logs.unwrap();
    assert_eq!((logs.every_minutes, logs.keep_days), (60, 7));
    assert!(refusal(&database(json!([log]))).contains("\"Full\""));
}

#[test]
fn what_cannot_be_kept_is_refused_and_says_where() {
    let changed = |pointer: &str, value: Value| {
        let mut policy = daily("AzureIaasVM");
        match pointer.rsplit_once('/') {
            Some((parent, key)) => policy.pointer_mut(parent).unwrap()[key] = value,
            None => unreachable!("a pointer begins with a slash"),
        }
        refusal(&policy)
    };
    for (pointer, value, expected) in [
        (
            "/backupManagementType",
            json!("AzureStorage"),
            "AzureIaasVM, AzureWorkload and MAB",
        ),
        ("/timeZone", json!("Mars Standard Time"), "Mars Standard Time"),
        (
            "/snapshotConsistencyType",
            json!("OnlyCrashConsistent"),
            "snapshotConsistencyType",
        ),
        (
            "/tieringPolicy",
            json!({ "ArchivedRP": { "tieringMode": "TierAfter" } }),
            "archive",
        ),
        (
            "/schedulePolicy/scheduleRunFrequency",
            json!("Monthly"),
            "Daily, Weekly or Hourly",
        ),
        (
            "/schedulePolicy/scheduleRunTimes",
            json!(["noon"]),
            "schedulePolicy.scheduleRunTimes[0]",
        ),
        (
            "/retentionPolicy/retentionPolicyType",
            json!("Eternal"),
            "LongTermRetentionPolicy",
        ),
        (
            "/retentionPolicy/dailySchedule/retentionDuration/durationType",
            json!("Weeks"),
            "counted in Days",
        ),
        (
            "/retentionPolicy/dailySchedule/retentionDuration/count",
            json!(1),
            "7 to 9999",
        ),
        (
            "/retentionPolicy/dailySchedule/retentionTimes",
            json!(["2018-01-24T03:00:00Z"]),
            "03:00",
        ),
    ] {
        let told = changed(pointer, value);
        assert!(told.contains(expected), "{pointer}: {told}");
    }
    let differential = json!({ "policyType": "Differential" });
    assert!(refusal(&database(json!([full(), differential]))).contains("full backups"));
    let nothing = json!({ "ArchivedRP": { "tieringMode": "DoNotTier" } });
    let mut policy = daily("AzureIaasVM");
    policy["tieringPolicy"] = nothing;
    round(&policy);
}
