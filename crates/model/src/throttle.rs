//! How much of the line a machine takes, by day and hour (SEMANTICS.md §3.7).

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::{Day, Zone};

/// The lowest limit, in kbit/s of 1000 bits.
const KBIT_MIN: u32 = 512;

/// The highest one: what is faster needs none.
const KBIT_MAX: u32 = 1_023_000;

/// How fast at most: so many kbit/s, or as fast as it goes. Written as `512kbit`, `20mbit` or `unlimited`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Limit(Option<u32>);

/// Why a text is no limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no limit: say 512kbit to 1023mbit (for each second), such as 20mbit, or unlimited")]
pub struct LimitError(String);

/// How fast at most, each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// To the service.
    pub upload: Limit,
    /// From the service.
    pub download: Limit,
}

/// How fast at most in work hours, and outside of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WorkLimits {
    /// In work hours.
    pub work: Limit,
    /// At all other times.
    pub non_work: Limit,
}

/// Which hours are work hours, and how fast a machine may send and receive then and otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Throttle {
    /// Whose clocks and calendar count.
    pub zone: Zone,
    /// Days on which work hours begin.
    #[schemars(length(min = 1, max = 7))]
    pub work_days: Vec<Day>,
    /// When they begin.
    pub work_begin: Time,
    /// When they end: on the next day, unless this is later than their beginning. The same time: a whole day.
    pub work_end: Time,
    /// To the service.
    pub upload: WorkLimits,
    /// From the service.
    pub download: WorkLimits,
}

impl Limit {
    /// As fast as it goes.
    pub const UNLIMITED: Self = Self(None);

    /// In bytes per second, if it is limited.
    pub fn bytes_per_second(self) -> Option<u64> {
        self.0.map(|kbit| u64::from(kbit) * 125)
    }
}

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let folded = text.to_ascii_lowercase();
        if folded == "unlimited" {
            return Ok(Self::UNLIMITED);
        }
        let digits = folded.trim_end_matches(|letter: char| !letter.is_ascii_digit());
        let unit = folded[digits.len()..].trim_start();
        let unit = unit.strip_suffix("/s").unwrap_or(unit);
        let factor = [("kbit", 1), ("mbit", 1000)]
            .into_iter()
            .find(|(name, _)| *name == unit);
        let kbit = factor.and_then(|(_, factor)| digits.parse::<u32>().ok()?.checked_mul(factor));
        match kbit.filter(|kbit| (KBIT_MIN..=KBIT_MAX).contains(kbit)) {
            Some(kbit) => Ok(Self(Some(kbit))),
            None => Err(LimitError(text.chars().take(60).collect())),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.pad("unlimited"),
            Some(kbit) if kbit % 1000 == 0 => f.pad(&format!("{}mbit", kbit / 1000)),
            Some(kbit) => f.pad(&format!("{kbit}kbit")),
        }
    }
}

impl TryFrom<String> for Limit {
    type Error = LimitError;

    fn try_from(text: String) -> Result<Self, LimitError> {
        text.parse()
    }
}

impl From<Limit> for String {
    fn from(limit: Limit) -> Self {
        limit.to_string()
    }
}

impl Default for Throttle {
    /// Nothing is limited; office hours, should it be.
    fn default() -> Self {
        Self {
            zone: Zone::utc(),
            work_days: vec![Day::Monday, Day::Tuesday, Day::Wednesday, Day::Thursday, Day::Friday],
            work_begin: Time::constant(9, 0, 0, 0),
            work_end: Time::constant(18, 0, 0, 0),
            upload: WorkLimits::default(),
            download: WorkLimits::default(),
        }
    }
}

impl Throttle {
    /// How fast at most at this moment.
    pub fn limits(&self, now: Timestamp) -> Limits {
        let is_work = self.is_work(now);
        let pick = |limits: WorkLimits| if is_work { limits.work } else { limits.non_work };
        Limits {
            upload: pick(self.upload),
            download: pick(self.download),
        }
    }

    /// Whether a moment lies in work hours, by the clocks of the zone: where these skip an hour, work hours are shorter.
    fn is_work(&self, now: Timestamp) -> bool {
        let clock = self.zone.clock_at(now);
        let (date, time) = (clock.date(), clock.time());
        let begins = |date| self.work_days.contains(&Day::of(date));
        if self.work_begin < self.work_end {
            return begins(date) && (self.work_begin..self.work_end).contains(&time);
        }
        let of_yesterday = time < self.work_end && date.yesterday().is_ok_and(begins);
        of_yesterday || (time >= self.work_begin && begins(date))
    }

    /// Why it cannot be kept, as a sentence with the way out; `None`: it can.
    pub(crate) fn refused(&self) -> Option<String> {
        (self.work_days.is_empty() || self.work_days.len() > Day::ALL.len())
            .then(|| "work hours are on one to seven days of the week".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle(zone: &str, days: &[Day], begin: &str, end: &str) -> Throttle {
        Throttle {
            zone: zone.parse().unwrap(),
            work_days: days.to_vec(),
            work_begin: begin.parse().unwrap(),
            work_end: end.parse().unwrap(),
            ..Throttle::default()
        }
    }

    #[test]
    fn limits_are_read_as_people_write_them() {
        for (text, shown, bytes) in [
            ("512kbit", "512kbit", Some(64_000)),
            ("20Mbit", "20mbit", Some(2_500_000)),
            ("20 Mbit/s", "20mbit", Some(2_500_000)),
            ("1500kbit", "1500kbit", Some(187_500)),
            ("1023mbit", "1023mbit", Some(127_875_000)),
            ("1023000kbit", "1023mbit", Some(127_875_000)),
            ("Unlimited", "unlimited", None),
        ] {
            let limit: Limit = text.parse().unwrap();
            assert_eq!((limit.to_string().as_str(), limit.bytes_per_second()), (shown, bytes));
            assert_eq!(limit.to_string().parse(), Ok(limit));
        }
        for text in [
            "",
            "511kbit",
            "1024mbit",
            "0",
            "20",
            "20m",
            "mbit",
            "-1mbit",
            "1.5mbit",
            "9999999999kbit",
            "1gbit",
            "20mbyte",
        ] {
            let refused = text.parse::<Limit>().unwrap_err().to_string();
            assert!(refused.contains("512kbit to 1023mbit"), "{refused}");
        }
    }

    #[test]
    fn work_hours() {
        let office = [Day::Monday, Day::Tuesday, Day::Wednesday, Day::Thursday, Day::Friday];
        let berlin = throttle("Europe/Berlin", &office, "09:00", "18:00");
        let windows = throttle("W. Europe Standard Time", &office, "09:00", "18:00");
        let night = throttle("UTC", &[Day::Friday], "22:00", "06:00");
        let whole_day = throttle("America/New_York", &[Day::Sunday], "00:00", "00:00");
        // Clocks go from 2:00 to 3:00 on March 29 2026, and show 2:00 to 3:00 twice on October 25.
        let skipped = throttle("Europe/Berlin", &[Day::Sunday], "01:30", "02:30");
        let twice = throttle("Europe/Berlin", &[Day::Sunday], "02:00", "02:30");
        for (throttle, at, expected) in [
            // Summer time: two hours ahead.
            (&berlin, "2026-07-01T06:59:59Z", false),
            (&berlin, "2026-07-01T07:00:00Z", true),
            (&berlin, "2026-07-01T15:59:59Z", true),
            (&berlin, "2026-07-01T16:00:00Z", false),
            // Winter time: one.
            (&berlin, "2026-11-20T07:30:00Z", false),
            (&berlin, "2026-11-20T08:00:00Z", true),
            (&windows, "2026-11-20T08:00:00Z", true),
            // A Saturday.
            (&berlin, "2026-11-21T10:00:00Z", false),
            // The night from Friday to Saturday, and no other.
            (&night, "2026-11-20T05:00:00Z", false),
            (&night, "2026-11-20T21:59:59Z", false),
            (&night, "2026-11-20T22:00:00Z", true),
            (&night, "2026-11-21T05:59:59Z", true),
            (&night, "2026-11-21T06:00:00Z", false),
            (&night, "2026-11-21T22:30:00Z", false),
            // A whole Sunday of New York.
            (&whole_day, "2026-11-22T04:59:59Z", false),
            (&whole_day, "2026-11-22T05:00:00Z", true),
            (&whole_day, "2026-11-23T04:59:59Z", true),
            (&whole_day, "2026-11-23T05:00:00Z", false),
            (&skipped, "2026-03-29T00:29:59Z", false),
            (&skipped, "2026-03-29T00:59:59Z", true),
            (&skipped, "2026-03-29T01:00:00Z", false),
            (&twice, "2026-10-25T00:10:00Z", true),
            (&twice, "2026-10-25T00:40:00Z", false),
            (&twice, "2026-10-25T01:10:00Z", true),
        ] {
            assert_eq!(throttle.is_work(at.parse().unwrap()), expected, "{at} {throttle:?}");
        }
    }

    #[test]
    fn the_limits_of_the_moment() {
        let (slow, fast): (Limit, Limit) = ("512kbit".parse().unwrap(), "100mbit".parse().unwrap());
        let throttle = Throttle {
            upload: WorkLimits {
                work: slow,
                non_work: fast,
            },
            download: WorkLimits {
                work: fast,
                ..WorkLimits::default()
            },
            ..Throttle::default()
        };
        let at = |text: &str| throttle.limits(text.parse().unwrap());
        let work = Limits {
            upload: slow,
            download: fast,
        };
        assert_eq!(at("2026-11-20T12:00:00Z"), work);
        let otherwise = Limits {
            upload: fast,
            download: Limit::UNLIMITED,
        };
        assert_eq!(at("2026-11-20T20:00:00Z"), otherwise);
    }

    #[test]
    fn it_is_kept_as_people_read_it() {
        let text = r#"{"zone":"Europe/Berlin","work_days":["Monday"],"work_begin":"09:00:00","work_end":"18:00:00",
            "upload":{"work":"20mbit"}}"#;
        let throttle: Throttle = serde_json::from_str(text).unwrap();
        assert_eq!(throttle.upload.work.bytes_per_second(), Some(2_500_000));
        assert_eq!(throttle.download, WorkLimits::default());
        let again = serde_json::to_value(&throttle).unwrap();
        assert_eq!(again["upload"]["work"], "20mbit");
        assert_eq!(again["upload"]["non_work"], "unlimited");
        assert!(serde_json::from_str::<Throttle>(r#"{"upload":{"work":"1kbit"}}"#).is_err());
        let never = Throttle {
            work_days: Vec::new(),
            ..throttle
        };
        assert!(never.refused().unwrap().contains("one to seven days"));
    }
}
