//! The subset of OData that clients filter lists with: `key eq 'value'`, joined by `and`.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use super::error::{ArmError, ArmResult};

/// The longest filter that is read, in bytes.
const BYTES_MAX: usize = 4096;

/// A filter that was read. Each key is taken once; what is left over is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter(Vec<(String, String)>);

impl Filter {
    /// Reads a filter.
    pub(crate) fn parse(text: &str) -> ArmResult<Filter> {
        let mut rest = text.trim();
        let mut terms = Vec::new();
        if rest.len() > BYTES_MAX {
            return Err(wrong("it is too long"));
        }
        while !rest.is_empty() {
            let (key, after) = word(rest);
            let (operator, after) = word(after);
            let known = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '/' || c == '_');
            if !known || !operator.eq_ignore_ascii_case("eq") {
                return Err(wrong(&format!("\"{:.60}\" is not of the form: key eq 'value'", rest)));
            }
            let (value, after) = value(after)?;
            terms.push((key.to_owned(), value));
            let (and, after) = word(after);
            rest = match and {
                "" => "",
                and if and.eq_ignore_ascii_case("and") && !after.is_empty() => after,
                _ => return Err(wrong("its parts are joined by \"and\"")),
            };
        }
        Ok(Filter(terms))
    }

    /// Takes out the value of a key, in whatever case it is spelled.
    pub(crate) fn take(&mut self, key: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known.eq_ignore_ascii_case(key))?;
        Some(self.0.remove(at).1)
    }

    /// Takes out a moment: `yyyy-MM-dd hh:mm:ss tt` in UTC, or as in ISO 8601.
    pub(crate) fn take_moment(&mut self, key: &str) -> ArmResult<Option<Timestamp>> {
        let value = self.take(key);
        let read = |text: String| {
            let why = format!("\"{text:.60}\" is no moment: use the form 2026-11-21 03:00:00 PM, in UTC");
            moment(&text).ok_or_else(|| wrong(&why))
        };
        value.map(read).transpose()
    }

    /// Refuses keys that nobody took: a list that was not filtered would be mistaken for one that was.
    pub(crate) fn finish(self) -> ArmResult<()> {
        match self.0.first() {
            None => Ok(()),
            Some((key, _)) => Err(wrong(&format!("this list cannot be filtered by \"{key:.60}\""))),
        }
    }
}

/// The next word and what follows it.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

/// A value, with or without quotes, and what follows it. A quote within is doubled.
fn value(text: &str) -> ArmResult<(String, &str)> {
    let Some(mut rest) = text.strip_prefix('\'') else {
        return match word(text) {
            ("", _) => Err(wrong("a value is missing")),
            (value, rest) => Ok((value.to_owned(), rest)),
        };
    };
    let mut value = String::new();
    loop {
        let end = rest.find('\'').ok_or_else(|| wrong("a quote is not closed"))?;
        value.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(after) => {
                value.push('\'');
                rest = after;
            }
            None => return Ok((value, rest)),
        }
    }
}

/// A moment as clients write it.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(moment) = text.parse() {
        return Some(moment);
    }
    if let Ok(civil) = text.parse::<DateTime>() {
        return in_utc(civil);
    }
    let mut words = text.split_whitespace();
    let (date, time, half) = (words.next()?, words.next()?, words.next()?.to_ascii_uppercase());
    let time: Time = padded(time).parse().ok()?;
    let hour = match (time.hour(), half.as_str()) {
        (0 | 12, "AM") => 0,
        (12, "PM") => 12,
        (hour @ 1..=11, "AM") => hour,
        (hour @ 1..=11, "PM") => hour + 12,
        _ => return None,
    };
    let date: Date = date.parse().ok()?;
    let complete = words.next().is_none();
    in_utc(date.at(hour, time.minute(), time.second(), 0)).filter(|_| complete)
}

/// `3:00:00` with the zero that it lacks.
fn padded(time: &str) -> String {
    match time.find(':') {
        Some(1) => format!("0{time}"),
        _ => time.to_owned(),
    }
}

fn in_utc(civil: DateTime) -> Option<Timestamp> {
    TimeZone::UTC.to_timestamp(civil).ok()
}

fn wrong(why: &str) -> ArmError {
    ArmError::bad(
        "InvalidFilterInQueryString",
        format!("The $filter is not usable: {why}."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        Filter::parse(text).unwrap().0
    }

    #[test]
    fn terms_are_joined_by_and() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        for (text, expected) in [
            ("", vec![]),
            ("operation eq 'Backup'", vec![pair("operation", "Backup")]),
            ("a eq 'x' and b eq 'y z'", vec![pair("a", "x"), pair("b", "y z")]),
            (
                "  a  EQ 'it''s' AND b eq true ",
                vec![pair("a", "it's"), pair("b", "true")],
            ),
            ("a eq ''", vec![pair("a", "")]),
            ("a eq 'x'  and  b eq 'and'", vec![pair("a", "x"), pair("b", "and")]),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        for wrong in [
            "a",
            "a eq",
            "a ne 'x'",
            "a eq 'x",
            "a eq 'x' or b eq 'y'",
            "a eq 'x' and",
            "a eq 'x' b eq 'y'",
            "startswith(a,'x') eq true",
        ] {
            assert!(Filter::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Filter::parse(&"x".repeat(5000)).is_err());
    }

    #[test]
    fn keys_are_taken_once_and_the_rest_is_refused() {
        let mut filter = Filter::parse("backupManagementType eq 'MAB' and nonsense eq '1'").unwrap();
        assert_eq!(filter.take("BackupManagementType").as_deref(), Some("MAB"));
        assert_eq!(filter.take("BackupManagementType"), None);
        assert!(filter.finish().unwrap_err().message.contains("nonsense"));
    }

    #[test]
    fn dates_have_a_clock_of_twelve_hours() {
        for (text, expected) in [
            ("2026-11-01 12:00:00 AM", Some("2026-11-01T00:00:00Z")),
            ("2026-11-01 12:00:00 PM", Some("2026-11-01T12:00:00Z")),
            ("2016-01-01 04:00:15 AM", Some("2016-01-01T04:00:15Z")),
            ("2016-01-01 4:00:15 pm", Some("2016-01-01T16:00:15Z")),
            ("2026-11-01T10:00:00Z", Some("2026-11-01T10:00:00Z")),
            ("2026-11-01T10:00:00+02:00", Some("2026-11-01T08:00:00Z")),
            ("2026-11-01 10:00:00", Some("2026-11-01T10:00:00Z")),
            ("2026-11-01 13:00:00 PM", None),
            // The official examples have it.
            ("2016-01-01 00:00:00 AM", Some("2016-01-01T00:00:00Z")),
            ("2026-11-01 00:00:00 PM", None),
            ("2026-11-01 01:00:00 AM x", None),
            ("yesterday", None),
        ] {
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(moment(text), expected, "{text}");
        }
    }
}
