//! Moments and durations as ARM writes them.

use jiff::{SignedDuration, Timestamp};

/// "Never" in most places.
pub(crate) const NEVER: &str = "2001-01-01T00:00:00Z";

/// A moment: seven decimals at most, as .NET has ticks of 100 nanoseconds.
pub(crate) fn moment(at: Timestamp) -> String {
    let ticks = at.subsec_nanosecond().unsigned_abs() / 100;
    let seconds = Timestamp::from_second(at.as_second()).unwrap_or(at);
    let text = seconds.to_string();
    match ticks {
        0 => text,
        ticks => {
            let decimals = format!("{ticks:07}");
            format!("{}.{}Z", text.trim_end_matches('Z'), decimals.trim_end_matches('0'))
        }
    }
}

/// A duration of ISO 8601, such as `PT1H20M42.8S`.
pub(crate) fn duration(duration: SignedDuration) -> String {
    let (seconds, ticks) = parts(duration);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = "PT".to_owned();
    if hours > 0 {
        text.push_str(&format!("{hours}H"));
    }
    if minutes > 0 {
        text.push_str(&format!("{minutes}M"));
    }
    let decimals = format!("{ticks:07}");
    match (seconds, decimals.trim_end_matches('0')) {
        (0, "") if text.len() > 2 => {}
        (seconds, "") => text.push_str(&format!("{seconds}S")),
        (seconds, decimals) => text.push_str(&format!("{seconds}.{decimals}S")),
    }
    text
}

/// A .NET timespan, such as `13.23:59:59`.
pub(crate) fn timespan(duration: SignedDuration) -> String {
    let (seconds, ticks) = parts(duration);
    let (days, hours, minutes, seconds) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let days = if days > 0 { format!("{days}.") } else { String::new() };
    let decimals = if ticks > 0 {
        format!(".{ticks:07}")
    } else {
        String::new()
    };
    format!("{days}{hours:02}:{minutes:02}:{seconds:02}{decimals}")
}

/// A moment as .NET counts: ticks since the beginning of the year 1.
pub(crate) fn ticks(at: Timestamp) -> i64 {
    const UNTIL_1970: i64 = 621_355_968_000_000_000;
    i64::try_from(at.as_nanosecond() / 100).unwrap_or(i64::MAX - UNTIL_1970) + UNTIL_1970
}

/// Whole seconds, and ticks of 100 nanoseconds. What is less than nothing is nothing.
fn parts(duration: SignedDuration) -> (u64, u32) {
    let duration = duration.max(SignedDuration::ZERO);
    (
        duration.as_secs().unsigned_abs(),
        duration.subsec_nanos().unsigned_abs() / 100,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_at_most_seven_decimals() {
        for (given, expected) in [
            ("2026-11-21T03:00:00Z", "2026-11-21T03:00:00Z"),
            ("2020-12-18T15:48:07.386070023Z", "2020-12-18T15:48:07.38607Z"),
            ("2020-12-18T15:48:07.000000099Z", "2020-12-18T15:48:07Z"),
        ] {
            assert_eq!(moment(given.parse().unwrap()), expected);
        }
    }

    #[test]
    fn ticks_begin_with_the_year_1() {
        for (text, expected) in [
            ("0001-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:00Z", 621_355_968_000_000_000),
            // Azure's own example of a PIN.
            ("2017-12-22T04:50:13.7443121Z", 636_495_150_137_443_121),
        ] {
            assert_eq!(ticks(text.parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn durations_are_iso_8601() {
        for (millis, expected) in [
            (0, "PT0S"),
            (-5, "PT0S"),
            (42_800, "PT42.8S"),
            (4_842_809, "PT1H20M42.809S"),
            (3_600_000, "PT1H"),
            (90_000_000, "PT25H"),
        ] {
            assert_eq!(duration(SignedDuration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn timespans_are_nets() {
        for (millis, expected) in [
            (0, "00:00:00"),
            (1_209_599_000, "13.23:59:59"),
            (1_209_584_850, "13.23:59:44.8500000"),
        ] {
            assert_eq!(timespan(SignedDuration::from_millis(millis)), expected);
        }
    }
}
