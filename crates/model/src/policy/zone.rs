//! The time zone of a policy, under its IANA or its Windows name.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A time zone, known by the name that it was given.
///
/// The rules come from the time zone database inside the program, so that all nodes of a service agree on them. Azure's
/// clients use Windows names; their zones are those of CLDR's table for the whole world (territory 001).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

/// Why a text names no time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not a time zone: use an IANA name such as \"Europe/Berlin\" or a Windows name such as \"W. Europe Standard Time\""
)]
pub struct ZoneError(String);

impl Zone {
    /// Coordinated Universal Time.
    pub fn utc() -> Self {
        Self {
            name: "UTC".to_owned(),
            rules: TimeZone::UTC,
        }
    }

    /// The name that it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its name in Windows, if it has one.
    pub fn windows_name(&self) -> Option<&str> {
        if self.name == "UTC" || iana_of_windows(&self.name).is_some() {
            return Some(&self.name);
        }
        localzone::iana_to_win_zone(&self.name).map(|(windows, _)| windows)
    }

    /// The calendar day on which `at` falls here.
    pub fn date_of(&self, at: Timestamp) -> Date {
        self.rules.to_datetime(at).date()
    }

    /// What the clocks here show at `at`.
    pub fn clock_at(&self, at: Timestamp) -> DateTime {
        self.rules.to_datetime(at)
    }

    /// When the clocks here show this date and time.
    ///
    /// A time that daylight saving skips is the first instant after the gap; one that comes twice is the first of both.
    pub fn instant(&self, date: Date, time: Time) -> Timestamp {
        let local = DateTime::from_parts(date, time);
        let ambiguous = self.rules.to_ambiguous_timestamp(local);
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
                offset.to_timestamp(local).unwrap_or(if date.year() < 0 {
                    Timestamp::MIN
                } else {
                    Timestamp::MAX
                })
            }
            AmbiguousOffset::Gap { after, .. } => {
                let before_gap = after.to_timestamp(local).unwrap_or(Timestamp::MIN);
                let transition = self.rules.following(before_gap).next();
                transition.map_or(before_gap, |transition| transition.timestamp())
            }
        }
    }

    /// `at`, so many days, weeks, months or years later on the calendar here, at the same time of day. A day that the
    /// month does not have is its last.
    pub fn later(&self, at: Timestamp, span: jiff::Span) -> Timestamp {
        let local = self.rules.to_datetime(at);
        match local.checked_add(span) {
            Ok(later) => self.instant(later.date(), later.time()),
            Err(_) => Timestamp::MAX,
        }
    }
}

fn iana_of_windows(name: &str) -> Option<&'static str> {
    localzone::win_zone_to_iana(name, Some("001"))
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(name: &str) -> Result<Self, ZoneError> {
        if name == "UTC" {
            return Ok(Self::utc());
        }
        let iana = iana_of_windows(name).unwrap_or(name);
        let rules = TimeZoneDatabase::bundled().get(iana);
        rules.map_or_else(
            |_| Err(ZoneError(name.chars().take(60).collect())),
            |rules| {
                Ok(Self {
                    name: name.to_owned(),
                    rules,
                })
            },
        )
    }
}

impl TryFrom<String> for Zone {
    type Error = ZoneError;

    fn try_from(name: String) -> Result<Self, ZoneError> {
        name.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> String {
        zone.name
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time};

    use super::*;

    fn zone(name: &str) -> Zone {
        name.parse().unwrap()
    }

    #[test]
    fn both_kinds_of_names_are_read() {
        for (name, windows) in [
            ("Europe/Berlin", Some("W. Europe Standard Time")),
            ("W. Europe Standard Time", Some("W. Europe Standard Time")),
            ("UTC", Some("UTC")),
            ("Pacific Standard Time", Some("Pacific Standard Time")),
            ("Asia/Kolkata", None),
        ] {
            let zone = zone(name);
            assert_eq!(zone.name(), name);
            if windows.is_some() {
                assert_eq!(zone.windows_name(), windows, "{name}");
            }
        }
        let refused = "Mars/Olympus".parse::<Zone>().unwrap_err().to_string();
        assert!(
            refused.contains("Mars/Olympus") && refused.contains("Europe/Berlin"),
            "{refused}"
        );
    }

    #[test]
    fn every_windows_name_has_rules() {
        // A few of each continent, and the ones that changed in the last years.
        for name in [
            "Dateline Standard Time",
            "India Standard Time",
            "China Standard Time",
            "AUS Eastern Standard Time",
            "Volgograd Standard Time",
            "South Sudan Standard Time",
            "Line Islands Standard Time",
            "E. South America Standard Time",
        ] {
            zone(name);
        }
    }

    #[test]
    fn a_skipped_time_is_the_first_instant_after_the_gap() {
        let berlin = zone("Europe/Berlin");
        for minute in [0, 1, 30, 59] {
            let at = berlin.instant(date(2026, 3, 29), time(2, minute, 0, 0));
            assert_eq!(at, "2026-03-29T01:00:00Z".parse().unwrap());
        }
        // Lord Howe moves by half an hour, Samoa left out a whole day.
        let at = zone("Australia/Lord_Howe").instant(date(2026, 10, 4), time(2, 15, 0, 0));
        assert_eq!(at, "2026-10-03T15:30:00Z".parse().unwrap());
        let at = zone("Pacific/Apia").instant(date(2011, 12, 30), time(12, 0, 0, 0));
        assert_eq!(at, "2011-12-30T10:00:00Z".parse().unwrap());
    }

    #[test]
    fn a_time_that_comes_twice_is_the_first_of_both() {
        let at = zone("Europe/Berlin").instant(date(2026, 10, 25), time(2, 30, 0, 0));
        assert_eq!(at, "2026-10-25T00:30:00Z".parse().unwrap());
    }

    #[test]
    fn later_follows_the_calendar() {
        let berlin = zone("Europe/Berlin");
        let at: Timestamp = "2028-01-31T21:00:00Z".parse().unwrap();
        for (span, expected) in [
            (jiff::Span::new().months(1), "2028-02-29T21:00:00Z"),
            (jiff::Span::new().months(3), "2028-04-30T20:00:00Z"),
            (jiff::Span::new().years(99), "2127-01-31T21:00:00Z"),
        ] {
            assert_eq!(berlin.later(at, span), expected.parse().unwrap());
        }
        assert_eq!(berlin.later(at, jiff::Span::new().years(19_000)), Timestamp::MAX);
    }
}
