//! From our shape to ARM's.

use jiff::civil::{Date, Time};
use serde_json::{Map, Value, json};
use strongroom_model::policy::{Day, DaysOfMonth, Logs, Policy, Retention, Schedule, Workload};

use super::read::month_name;

/// The `backupManagementType` of a kind of things.
pub(crate) fn management_type(workload: Workload) -> &'static str {
    match workload {
        Workload::VirtualMachine => "AzureIaasVM",
        Workload::FilesAndFolders => "MAB",
        Workload::Database => "AzureWorkload",
    }
}

/// The `properties` of a ProtectionPolicyResource. `day` stands beside the times; it means nothing.
pub(crate) fn write(workload: Workload, policy: &Policy, items: u64, day: Date) -> Value {
    let write = Write { policy, day };
    let zone = policy.zone.windows_name().unwrap_or(policy.zone.name());
    let mut properties = match workload {
        Workload::VirtualMachine => write.machine(zone),
        Workload::FilesAndFolders => write.rules(false, json!({ "timeZone": zone })),
        Workload::Database => write.database(zone),
    };
    properties["backupManagementType"] = management_type(workload).into();
    properties["protectedItemsCount"] = items.into();
    properties
}

struct Write<'a> {
    policy: &'a Policy,
    day: Date,
}

impl Write<'_> {
    fn machine(&self, zone: &str) -> Value {
        // Several backups a day are what Azure's second kind of policy is for.
        let second = matches!(self.policy.schedule, Schedule::Hourly { .. });
        let properties = json!({
            "timeZone": zone,
            "policyType": if second { "V2" } else { "V1" },
            "instantRPDetails": {},
            "instantRpRetentionRangeInDays": self.policy.snapshot_days,
        });
        self.rules(second, properties)
    }

    fn database(&self, zone: &str) -> Value {
        let mut parts = vec![self.rules(false, json!({ "policyType": "Full" }))];
        parts.extend(self.policy.logs.map(log));
        json!({
            "workLoadType": "SQLDataBase",
            "settings": { "timeZone": zone, "issqlcompression": false, "isCompression": false },
            "subProtectionPolicy": parts,
        })
    }

    /// Adds schedule and retention.
    fn rules(&self, second: bool, mut to: Value) -> Value {
        to["schedulePolicy"] = if second { self.schedule_v2() } else { self.schedule() };
        to["retentionPolicy"] = self.retention(&self.policy.retention);
        to
    }

    fn schedule(&self) -> Value {
        let mut schedule = json!({ "schedulePolicyType": "SimpleSchedulePolicy", "scheduleWeeklyFrequency": 0 });
        match &self.policy.schedule {
            Schedule::Daily { times } => {
                schedule["scheduleRunFrequency"] = "Daily".into();
                schedule["scheduleRunTimes"] = self.times(times);
            }
            Schedule::Weekly {
                days: on,
                times,
                every_weeks,
                first_week,
            } => {
                let day = first_week.unwrap_or(self.day);
                schedule["scheduleRunFrequency"] = "Weekly".into();
                schedule["scheduleRunDays"] = days(on);
                schedule["scheduleRunTimes"] = times.iter().map(|time| moment(day, *time)).collect();
                schedule["scheduleWeeklyFrequency"] = if *every_weeks > 1 { *every_weeks } else { 0 }.into();
            }
            Schedule::Hourly { .. } => {
                schedule["scheduleRunFrequency"] = "Hourly".into();
                schedule["hourlySchedule"] = self.window();
            }
        }
        schedule
    }

    fn schedule_v2(&self) -> Value {
        json!({
            "schedulePolicyType": "SimpleSchedulePolicyV2",
            "scheduleRunFrequency": "Hourly",
            "hourlySchedule": self.window(),
        })
    }

    fn window(&self) -> Value {
        let Schedule::Hourly {
            every_hours,
            window_start,
            window_hours,
        } = &self.policy.schedule
        else {
            return Value::Null;
        };
        json!({
            "interval": every_hours,
            "scheduleWindowStartTime": moment(self.day, *window_start),
            "scheduleWindowDuration": window_hours,
        })
    }

    fn retention(&self, retention: &Retention) -> Value {
        let mut written = json!({ "retentionPolicyType": "LongTermRetentionPolicy" });
        if let Some(rule) = &retention.daily {
            written["dailySchedule"] = json!({
                "retentionTimes": self.daily_times(&rule.times),
                "retentionDuration": duration(rule.keep, "Days"),
            });
        }
        if let Some(rule) = &retention.weekly {
            written["weeklySchedule"] = json!({
                "daysOfTheWeek": days(&rule.days),
                "retentionTimes": self.times(&rule.times),
                "retentionDuration": duration(rule.keep, "Weeks"),
            });
        }
        if let Some(rule) = &retention.monthly {
            let mut monthly = days_of_month(&rule.on);
            monthly.insert("retentionTimes".into(), self.times(&rule.times));
            monthly.insert("retentionDuration".into(), duration(rule.keep, "Months"));
            written["monthlySchedule"] = monthly.into();
        }
        if let Some(rule) = &retention.yearly {
            let mut yearly = days_of_month(&rule.on);
            yearly.insert(
                "monthsOfYear".into(),
                rule.months.iter().map(|month| month_name(*month)).collect(),
            );
            yearly.insert("retentionTimes".into(), self.times(&rule.times));
            yearly.insert("retentionDuration".into(), duration(rule.keep, "Years"));
            written["yearlySchedule"] = yearly.into();
        }
        written
    }

    /// Of an hourly schedule Azure names the start of the window, and means all points of the day.
    fn daily_times(&self, times: &[Time]) -> Value {
        match &self.policy.schedule {
            Schedule::Hourly { window_start, .. } => self.times(&[*window_start]),
            _ => self.times(times),
        }
    }

    fn times(&self, times: &[Time]) -> Value {
        times.iter().map(|time| moment(self.day, *time)).collect()
    }
}

fn log(logs: Logs) -> Value {
    json!({
        "policyType": "Log",
        "schedulePolicy": {
            "schedulePolicyType": "LogSchedulePolicy",
            "scheduleFrequencyInMins": logs.every_minutes,
        },
        "retentionPolicy": {
            "retentionPolicyType": "SimpleRetentionPolicy",
            "retentionDuration": duration(logs.keep_days, "Days"),
        },
    })
}

fn days_of_month(on: &DaysOfMonth) -> Map<String, Value> {
    let written = match on {
        DaysOfMonth::Dates { dates, last } => {
            let day = |date: i8, last: bool| json!({ "date": date, "isLast": last });
            let mut listed: Vec<Value> = dates.iter().map(|date| day(*date, false)).collect();
            if *last {
                listed.push(day(0, true));
            }
            json!({
                "retentionScheduleFormatType": "Daily",
                "retentionScheduleDaily": { "daysOfTheMonth": listed },
            })
        }
        DaysOfMonth::Weekdays { days: on, weeks } => {
            let weeks: Vec<String> = weeks.iter().map(|week| format!("{week:?}")).collect();
            json!({
                "retentionScheduleFormatType": "Weekly",
                "retentionScheduleWeekly": { "daysOfTheWeek": days(on), "weeksOfTheMonth": weeks },
            })
        }
    };
    match written {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn days(days: &[Day]) -> Value {
    days.iter().map(|day| format!("{day:?}")).collect()
}

fn duration(count: u32, unit: &str) -> Value {
    json!({ "count": count, "durationType": unit })
}

fn moment(day: Date, time: Time) -> String {
    format!("{day}T{time}Z")
}
