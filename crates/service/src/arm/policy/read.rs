//! From ARM's shape to ours. What cannot be kept as it was asked for is refused, never dropped.

use jiff::civil::{Date, Time};
use strongroom_model::policy::{
    Daily, Day, DaysOfMonth, Logs, Monthly, Policy, Retention, Schedule, Week, Weekly, Workload, Yearly, Zone,
};

use crate::arm::error::{ArmError, ArmResult};
use crate::arm::loose::Loose;

/// How long a virtual machine's snapshots stay if nothing is said: Azure's default.
const SNAPSHOT_DAYS: u32 = 2;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// What a `backupManagementType` stands for, if there is such a thing here.
fn workload_of(management_type: &str) -> Option<Workload> {
    let known = [
        ("AzureIaasVM", Workload::VirtualMachine),
        ("MAB", Workload::FilesAndFolders),
        ("AzureWorkload", Workload::Database),
    ];
    let found = known
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(management_type));
    found.map(|(_, workload)| workload)
}

/// Reads the `properties` of a ProtectionPolicyResource.
pub(crate) fn read(properties: &Loose<'_>) -> ArmResult<(Workload, Policy)> {
    let kind = properties.need("backupManagementType")?;
    let Some(workload) = workload_of(kind.text()?) else {
        return Err(refused(
            &kind,
            "Strongroom has policies of AzureIaasVM, AzureWorkload and MAB",
        ));
    };
    nothing_archived(properties)?;
    let policy = match workload {
        Workload::VirtualMachine => machine(properties)?,
        Workload::FilesAndFolders => rules(properties, zone(properties)?)?,
        Workload::Database => database(properties)?,
    };
    match policy.violations(workload).first() {
        None => Ok((workload, policy)),
        Some(violation) => Err(ArmError::bad("BMSUserErrorInvalidPolicyInput", format!("{violation}."))),
    }
}

fn machine(properties: &Loose<'_>) -> ArmResult<Policy> {
    if let Some(consistency) = properties.get("snapshotConsistencyType") {
        return Err(refused(
            &consistency,
            "Strongroom always takes the best snapshot that it can",
        ));
    }
    let days = properties.get("instantRpRetentionRangeInDays");
    let days = days.map(|days| days.number()).transpose()?;
    Ok(Policy {
        snapshot_days: Some(days.unwrap_or(SNAPSHOT_DAYS)),
        ..rules(properties, zone(properties)?)?
    })
}

/// A database's policy has one for each kind of backup.
fn database(properties: &Loose<'_>) -> ArmResult<Policy> {
    let zone = properties
        .get("settings")
        .map_or_else(|| Ok(Zone::utc()), |settings| zone(&settings))?;
    let (mut full, mut logs) = (None, None);
    for part in properties.need("subProtectionPolicy")?.list()? {
        let kind = part.need("policyType")?;
        nothing_archived(&part)?;
        match kind.text()?.to_ascii_lowercase().as_str() {
            "full" => full = Some(rules(&part, zone.clone())?),
            "log" => logs = Some(log_rules(&part)?),
            _ => {
                return Err(refused(
                    &kind,
                    "Strongroom has full backups and backups of logs; each full one moves only what changed",
                ));
            }
        }
    }
    let full = full.ok_or_else(|| properties.wrong("a policy of databases needs a part of type \"Full\""))?;
    Ok(Policy { logs, ..full })
}

fn log_rules(part: &Loose<'_>) -> ArmResult<Logs> {
    let every = part.need("schedulePolicy")?.need("scheduleFrequencyInMins")?;
    let (keep, unit) = duration(&part.need("retentionPolicy")?)?;
    unit.is("Days")?;
    Ok(Logs {
        every_minutes: every.number()?,
        keep_days: keep,
    })
}

/// Schedule and retention, in whatever they are properties of.
fn rules(of: &Loose<'_>, zone: Zone) -> ArmResult<Policy> {
    let schedule = schedule(&of.need("schedulePolicy")?)?;
    let retention = retention(&of.need("retentionPolicy")?, &schedule)?;
    Ok(Policy {
        zone,
        schedule,
        retention,
        snapshot_days: None,
        logs: None,
    })
}

fn zone(of: &Loose<'_>) -> ArmResult<Zone> {
    let Some(name) = of.get("timeZone") else {
        return Ok(Zone::utc());
    };
    let text = name.text()?;
    text.parse().map_err(|error| refused(&name, &format!("{error}")))
}

/// Moving old points to a slower tier is not offered; that nothing is to be moved may be said.
fn nothing_archived(of: &Loose<'_>) -> ArmResult<()> {
    let Some(tiering) = of.get("tieringPolicy") else {
        return Ok(());
    };
    let rules = tiering.value().as_object().into_iter().flat_map(|rules| rules.keys());
    for rule in rules.filter_map(|rule| tiering.get(rule)) {
        let mode = rule.text_of("tieringMode")?.unwrap_or("DoNotTier");
        if !mode.eq_ignore_ascii_case("DoNotTier") {
            return Err(refused(&rule, "Strongroom has no archive tier: use DoNotTier"));
        }
    }
    Ok(())
}

// Schedules.

fn schedule(policy: &Loose<'_>) -> ArmResult<Schedule> {
    let kind = policy.need("schedulePolicyType")?;
    let frequency = || policy.need("scheduleRunFrequency");
    match kind.text()?.to_ascii_lowercase().as_str() {
        "simpleschedulepolicy" => simple(&frequency()?, policy, policy, policy.get("hourlySchedule")),
        "simpleschedulepolicyv2" => {
            let part = |name| policy.get(name).unwrap_or_else(|| policy.clone());
            let (daily, weekly) = (part("dailySchedule"), part("weeklySchedule"));
            simple(&frequency()?, &daily, &weekly, policy.get("hourlySchedule"))
        }
        _ => Err(refused(&kind, "use SimpleSchedulePolicy or SimpleSchedulePolicyV2")),
    }
}

fn simple(
    frequency: &Loose<'_>,
    daily: &Loose<'_>,
    weekly: &Loose<'_>,
    hourly: Option<Loose<'_>>,
) -> ArmResult<Schedule> {
    match frequency.text()?.to_ascii_lowercase().as_str() {
        "daily" => Ok(Schedule::Daily {
            times: times(daily, "scheduleRunTimes")?,
        }),
        "weekly" => week(weekly),
        "hourly" => {
            let hourly = hourly.ok_or_else(|| frequency.wrong("an hourly schedule needs \"hourlySchedule\""))?;
            let small = |part: Loose<'_>| {
                let number = part.number()?;
                i8::try_from(number).map_err(|_| part.wrong("it is too large"))
            };
            Ok(Schedule::Hourly {
                every_hours: small(hourly.need("interval")?)?,
                window_start: time(&hourly.need("scheduleWindowStartTime")?)?,
                window_hours: small(hourly.need("scheduleWindowDuration")?)?,
            })
        }
        _ => Err(refused(frequency, "use Daily, Weekly or Hourly")),
    }
}

fn week(policy: &Loose<'_>) -> ArmResult<Schedule> {
    let every = policy
        .get("scheduleWeeklyFrequency")
        .map(|every| every.number())
        .transpose()?;
    let every = u8::try_from(every.unwrap_or(0).max(1)).unwrap_or(u8::MAX);
    let run_times = policy.list_of("scheduleRunTimes")?;
    // Only with every second week and so on does the date beside a time count: it says which weeks are meant.
    let first_week = match run_times.first() {
        Some(first) if every > 1 => Some(date(first)?),
        _ => None,
    };
    Ok(Schedule::Weekly {
        days: days(policy, "scheduleRunDays")?,
        times: times(policy, "scheduleRunTimes")?,
        every_weeks: every,
        first_week,
    })
}

// Retention.

fn retention(policy: &Loose<'_>, schedule: &Schedule) -> ArmResult<Retention> {
    let kind = policy.need("retentionPolicyType")?;
    match kind.text()?.to_ascii_lowercase().as_str() {
        "longtermretentionpolicy" => long_term(policy, schedule),
        "simpleretentionpolicy" => {
            let (keep, unit) = duration(policy)?;
            unit.is("Days")?;
            let times = schedule.times();
            Ok(Retention {
                daily: Some(Daily { times, keep }),
                ..Retention::default()
            })
        }
        _ => Err(refused(&kind, "use LongTermRetentionPolicy")),
    }
}

fn long_term(policy: &Loose<'_>, schedule: &Schedule) -> ArmResult<Retention> {
    let rule = |name: &str| policy.get(name);
    let daily = rule("dailySchedule").map(|rule| {
        // Of an hourly schedule Azure names one time and keeps all points of the day.
        let times = match schedule {
            Schedule::Hourly { .. } => schedule.times(),
            _ => kept_times(&rule, schedule)?,
        };
        let keep = keep(&rule, "Days")?;
        Ok::<_, ArmError>(Daily { times, keep })
    });
    let weekly = rule("weeklySchedule").map(|rule| {
        Ok::<_, ArmError>(Weekly {
            days: days(&rule, "daysOfTheWeek")?,
            times: kept_times(&rule, schedule)?,
            keep: keep(&rule, "Weeks")?,
        })
    });
    let monthly = rule("monthlySchedule").map(|rule| {
        Ok::<_, ArmError>(Monthly {
            on: days_of_month(&rule)?,
            times: kept_times(&rule, schedule)?,
            keep: keep(&rule, "Months")?,
        })
    });
    let yearly = rule("yearlySchedule").map(|rule| {
        Ok::<_, ArmError>(Yearly {
            months: rule
                .list_of("monthsOfYear")?
                .iter()
                .map(month)
                .collect::<ArmResult<_>>()?,
            on: days_of_month(&rule)?,
            times: kept_times(&rule, schedule)?,
            keep: keep(&rule, "Years")?,
        })
    });
    Ok(Retention {
        daily: daily.transpose()?,
        weekly: weekly.transpose()?,
        monthly: monthly.transpose()?,
        yearly: yearly.transpose()?,
    })
}

/// The times that a rule keeps; if it names none, the first of the schedule's, or of a window its start.
fn kept_times(rule: &Loose<'_>, schedule: &Schedule) -> ArmResult<Vec<Time>> {
    let named = times(rule, "retentionTimes")?;
    if !named.is_empty() {
        return Ok(named);
    }
    Ok(match schedule {
        Schedule::Hourly { window_start, .. } => vec![*window_start],
        schedule => schedule.times().into_iter().take(1).collect(),
    })
}

fn keep(rule: &Loose<'_>, unit: &'static str) -> ArmResult<u32> {
    let (count, found) = duration(rule)?;
    found.is(unit)?;
    Ok(count)
}

/// The unit of a duration, and where it stands.
struct Unit<'a>(Loose<'a>);

impl Unit<'_> {
    fn is(&self, expected: &str) -> ArmResult<()> {
        match self.0.text()?.eq_ignore_ascii_case(expected) {
            true => Ok(()),
            false => Err(refused(&self.0, &format!("this one is counted in {expected}"))),
        }
    }
}

fn duration<'a>(of: &Loose<'a>) -> ArmResult<(u32, Unit<'a>)> {
    let duration = of.need("retentionDuration")?;
    let count = duration.need("count")?.number()?;
    Ok((count, Unit(duration.need("durationType")?)))
}

fn days_of_month(rule: &Loose<'_>) -> ArmResult<DaysOfMonth> {
    let format = rule.need("retentionScheduleFormatType")?;
    match format.text()?.to_ascii_lowercase().as_str() {
        "weekly" => {
            let weekly = rule.need("retentionScheduleWeekly")?;
            let weeks = weekly.list_of("weeksOfTheMonth")?;
            Ok(DaysOfMonth::Weekdays {
                days: days(&weekly, "daysOfTheWeek")?,
                weeks: weeks.iter().map(week_of_month).collect::<ArmResult<_>>()?,
            })
        }
        "daily" => {
            let (mut dates, mut last) = (Vec::new(), false);
            for day in rule.need("retentionScheduleDaily")?.list_of("daysOfTheMonth")? {
                match day.is("isLast")? {
                    true => last = true,
                    false => {
                        let date = day.need("date")?;
                        let number = i8::try_from(date.number()?);
                        dates.push(number.map_err(|_| date.wrong("it is no day of a month"))?);
                    }
                }
            }
            Ok(DaysOfMonth::Dates { dates, last })
        }
        _ => Err(refused(&format, "use Daily or Weekly")),
    }
}

// Words and times.

fn days(of: &Loose<'_>, key: &str) -> ArmResult<Vec<Day>> {
    of.list_of(key)?.iter().map(day).collect()
}

fn day(day: &Loose<'_>) -> ArmResult<Day> {
    let text = day.text()?;
    let found = Day::ALL
        .into_iter()
        .find(|known| format!("{known:?}").eq_ignore_ascii_case(text));
    found.ok_or_else(|| refused(day, "it is no day of the week"))
}

fn week_of_month(week: &Loose<'_>) -> ArmResult<Week> {
    let text = week.text()?;
    let known = [Week::First, Week::Second, Week::Third, Week::Fourth, Week::Last];
    let found = known
        .into_iter()
        .find(|known| format!("{known:?}").eq_ignore_ascii_case(text));
    found.ok_or_else(|| refused(week, "use First, Second, Third, Fourth or Last"))
}

fn month(month: &Loose<'_>) -> ArmResult<i8> {
    let text = month.text()?;
    let found = (1_i8..).zip(MONTHS).find(|(_, name)| name.eq_ignore_ascii_case(text));
    found
        .map(|(number, _)| number)
        .ok_or_else(|| refused(month, "it is no month"))
}

/// The name of a month, 1 to 12.
pub(super) fn month_name(month: i8) -> &'static str {
    let index = usize::try_from(month - 1).unwrap_or(0);
    MONTHS.get(index).copied().unwrap_or("Invalid")
}

fn times(of: &Loose<'_>, key: &str) -> ArmResult<Vec<Time>> {
    of.list_of(key)?.iter().map(time).collect()
}

/// The time of day as it is written, whatever date and offset are beside it.
fn time(text: &Loose<'_>) -> ArmResult<Time> {
    let written = text.text()?;
    let time = written.split_once(['T', 't', ' ']).map_or(written, |(_, time)| time);
    let time = time.split(['Z', 'z', '+', '-', '.']).next().unwrap_or_default();
    time.trim()
        .parse()
        .map_err(|_| refused(text, "it is no moment such as 2026-11-21T22:00:00Z"))
}

fn date(text: &Loose<'_>) -> ArmResult<Date> {
    let written = text.text()?;
    let date = written.split(['T', 't', ' ']).next().unwrap_or_default();
    date.parse()
        .map_err(|_| refused(text, "it is no moment such as 2026-11-21T22:00:00Z"))
}

fn refused(at: &Loose<'_>, why: &str) -> ArmError {
    let told = at.wrong(why);
    ArmError::bad("BMSUserErrorInvalidPolicyInput", told.message)
}
