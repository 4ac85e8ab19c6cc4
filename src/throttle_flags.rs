//! How much of the line to take, as flags.

use std::str::FromStr;

use clap::Args;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use strongroom_agent::RunLimits;
use strongroom_model::policy::{Day, Zone};
use strongroom_model::{Limit, Throttle};

use crate::day::{day, short};

/// Limits of one run.
#[derive(Debug, Clone, Args)]
pub(crate) struct LimitFlags {
    /// Send no faster than this, whatever the settings say: 512kbit to 1023mbit (for each second), or unlimited
    #[arg(long, value_name = "LIMIT")]
    limit_upload: Option<Limit>,
    /// Receive no faster than this, whatever the settings say
    #[arg(long, value_name = "LIMIT")]
    limit_download: Option<Limit>,
}

impl LimitFlags {
    pub(crate) fn limits(&self) -> RunLimits {
        RunLimits {
            upload: self.limit_upload,
            download: self.limit_download,
        }
    }
}

/// Work hours, and how much of the line to take then and otherwise.
#[derive(Debug, Clone, Args)]
pub(crate) struct ThrottleFlags {
    /// When work hours begin and end, such as 9:00-18:00 or 22:00-6:00 [default: 9:00-18:00]
    #[arg(long, value_name = "FROM-TO", help_heading = "Bandwidth")]
    work_hours: Option<Hours>,
    /// The days on which they begin, such as mon-fri or sat,sun [default: mon-fri]
    #[arg(long, value_name = "DAYS", help_heading = "Bandwidth")]
    work_days: Option<Days>,
    /// The time zone of work hours, such as Europe/Berlin or "W. Europe Standard Time" [default: this machine's]
    #[arg(long, value_name = "ZONE", help_heading = "Bandwidth")]
    zone: Option<Zone>,
    /// Send no faster than this in work hours: 512kbit to 1023mbit (for each second), or unlimited
    #[arg(long, value_name = "LIMIT", help_heading = "Bandwidth")]
    upload_work: Option<Limit>,
    /// Send no faster than this outside of work hours
    #[arg(long, value_name = "LIMIT", help_heading = "Bandwidth")]
    upload_non_work: Option<Limit>,
    /// Receive no faster than this in work hours
    #[arg(long, value_name = "LIMIT", help_heading = "Bandwidth")]
    download_work: Option<Limit>,
    /// Receive no faster than this outside of work hours
    #[arg(long, value_name = "LIMIT", help_heading = "Bandwidth")]
    download_non_work: Option<Limit>,
}

impl ThrottleFlags {
    /// The throttle that comes of these flags, where `base` holds for what is not said.
    pub(crate) fn over(&self, base: Option<Throttle>) -> Option<Throttle> {
        let is_said = self.work_hours.is_some() || self.work_days.is_some() || self.zone.is_some();
        let limits = [
            self.upload_work,
            self.upload_non_work,
            self.download_work,
            self.download_non_work,
        ];
        if !is_said && limits.iter().all(Option::is_none) {
            return base;
        }
        let mut throttle = base.unwrap_or_else(usual);
        if let Some(Hours(begin, end)) = self.work_hours {
            (throttle.work_begin, throttle.work_end) = (begin, end);
        }
        if let Some(Days(days)) = &self.work_days {
            throttle.work_days.clone_from(days);
        }
        if let Some(zone) = &self.zone {
            throttle.zone = zone.clone();
        }
        let Throttle { upload, download, .. } = &mut throttle;
        let places = [
            &mut upload.work,
            &mut upload.non_work,
            &mut download.work,
            &mut download.non_work,
        ];
        for (place, limit) in places.into_iter().zip(limits) {
            *place = limit.unwrap_or(*place);
        }
        Some(throttle)
    }
}

/// What is changed where there is no throttle yet.
pub(crate) fn usual() -> Throttle {
    Throttle {
        zone: own_zone(),
        ..Throttle::default()
    }
}

/// One value of a throttle, as people type it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ThrottlePart {
    WorkHours,
    WorkDays,
    Zone,
    UploadWork,
    UploadNonWork,
    DownloadWork,
    DownloadNonWork,
}

impl ThrottlePart {
    pub(crate) const ALL: [Self; 7] = [
        Self::WorkHours,
        Self::WorkDays,
        Self::Zone,
        Self::UploadWork,
        Self::UploadNonWork,
        Self::DownloadWork,
        Self::DownloadNonWork,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::WorkHours => "work hours",
            Self::WorkDays => "work days",
            Self::Zone => "time zone",
            Self::UploadWork => "upload in work hours",
            Self::UploadNonWork => "upload otherwise",
            Self::DownloadWork => "download in work hours",
            Self::DownloadNonWork => "download otherwise",
        }
    }

    /// The flag of [`ThrottleFlags`] that sets it to this.
    pub(crate) fn argument(self, value: &str) -> String {
        let flag = match self {
            Self::WorkHours => "work-hours",
            Self::WorkDays => "work-days",
            Self::Zone => "zone",
            Self::UploadWork => "upload-work",
            Self::UploadNonWork => "upload-non-work",
            Self::DownloadWork => "download-work",
            Self::DownloadNonWork => "download-non-work",
        };
        format!("--{flag}={value}")
    }

    /// As it is in a throttle.
    pub(crate) fn of(self, throttle: &Throttle) -> String {
        match self {
            Self::WorkHours => {
                let [begin, end] = [throttle.work_begin, throttle.work_end].map(|time| time.strftime("%H:%M"));
                format!("{begin}-{end}")
            }
            Self::WorkDays => {
                let days: Vec<String> = throttle.work_days.iter().copied().map(short).collect();
                days.join(",")
            }
            Self::Zone => throttle.zone.to_string(),
            Self::UploadWork => throttle.upload.work.to_string(),
            Self::UploadNonWork => throttle.upload.non_work.to_string(),
            Self::DownloadWork => throttle.download.work.to_string(),
            Self::DownloadNonWork => throttle.download.non_work.to_string(),
        }
    }

    /// Why it cannot be this.
    pub(crate) fn refused(self, value: &str) -> Option<String> {
        fn why<T: FromStr<Err: ToString>>(value: &str) -> Option<String> {
            value.parse::<T>().err().map(|error| error.to_string())
        }
        match self {
            Self::WorkHours => why::<Hours>(value),
            Self::WorkDays => why::<Days>(value),
            Self::Zone => why::<Zone>(value),
            _ => why::<Limit>(value),
        }
    }
}

/// This machine's time zone, if it has one with a name.
fn own_zone() -> Zone {
    let own = TimeZone::try_system().ok();
    let named = own.and_then(|zone| zone.iana_name()?.parse().ok());
    named.unwrap_or_else(Zone::utc)
}

/// A beginning and an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hours(Time, Time);

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let both = text.split_once('-');
        let both = both.and_then(|(begin, end)| Some(Self(time(begin)?, time(end)?)));
        both.ok_or_else(|| format!("\"{text}\" are no hours: say when they begin and end, such as 9:00-18:00"))
    }
}

/// 24:00 is where the next day begins.
fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.trim().split_once(':')?;
    let (hour, minute): (i8, i8) = (hour.parse().ok()?, minute.parse().ok()?);
    match (hour, minute) {
        (24, 0) => Some(Time::midnight()),
        _ => Time::new(hour, minute, 0, 0).ok(),
    }
}

/// Days of the week.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Days(Vec<Day>);

impl FromStr for Days {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut days = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (day(first)?, day(last)?);
            let from_first = Day::ALL.into_iter().cycle().skip_while(|day| *day != first);
            for day in from_first.take(Day::ALL.len()) {
                if !days.contains(&day) {
                    days.push(day);
                }
                if day == last {
                    break;
                }
            }
        }
        Ok(Self(days))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_throttle_can_be_typed_again() {
        #[derive(clap::Parser)]
        struct Typed {
            #[command(flatten)]
            flags: ThrottleFlags,
        }
        let throttle = Throttle {
            work_days: vec![Day::Saturday, Day::Monday],
            work_end: Time::midnight(),
            upload: strongroom_model::WorkLimits {
                work: "20mbit".parse().unwrap(),
                ..Default::default()
            },
            ..usual()
        };
        let arguments = ThrottlePart::ALL.map(|part| {
            let value = part.of(&throttle);
            assert_eq!(part.refused(&value), None);
            part.argument(&value)
        });
        let arguments = [String::new()].into_iter().chain(arguments);
        let typed = <Typed as clap::Parser>::try_parse_from(arguments).unwrap();
        assert_eq!(typed.flags.over(None), Some(throttle));
        for part in ThrottlePart::ALL {
            assert!(part.refused("nonsense").is_some(), "{part:?}");
        }
    }

    #[test]
    fn hours_and_days_are_read_as_people_write_them() {
        for (text, begin, end) in [
            ("9:00-18:00", "09:00:00", "18:00:00"),
            ("22:30 - 06:15", "22:30:00", "06:15:00"),
            ("0:00-24:00", "00:00:00", "00:00:00"),
        ] {
            let Hours(from, to) = text.parse().unwrap();
            assert_eq!((from.to_string().as_str(), to.to_string().as_str()), (begin, end));
        }
        for text in ["", "9-18", "9:00", "25:00-26:00", "9:00-18:60", "9:00-24:01", "-"] {
            assert!(text.parse::<Hours>().is_err(), "{text}");
        }
        use Day::*;
        for (text, expected) in [
            ("mon-fri", vec![Monday, Tuesday, Wednesday, Thursday, Friday]),
            ("sat,sun", vec![Saturday, Sunday]),
            ("fri-mon", vec![Friday, Saturday, Sunday, Monday]),
            ("Wednesday", vec![Wednesday]),
            ("mon-wed,tue", vec![Monday, Tuesday, Wednesday]),
        ] {
            assert_eq!(text.parse::<Days>(), Ok(Days(expected)), "{text}");
        }
        for text in ["", "mon-", "someday", "mon;tue"] {
            assert!(text.parse::<Days>().is_err(), "{text}");
        }
    }
}
