//! Times of DOS: years since 1980, and every second second.

use crate::tree::Moment;

/// None where the date is no date, as in entries that never had one.
pub(super) fn moment(date: u16, time: u16) -> Option<Moment> {
    let (year, month, day) = (
        i64::from(date >> 9) + 1980,
        i64::from(date >> 5 & 15),
        i64::from(date & 31),
    );
    let (hour, minute, second) = (
        i64::from(time >> 11),
        i64::from(time >> 5 & 63),
        i64::from(time & 31) * 2,
    );
    if !(1..=12).contains(&month) || day == 0 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // The days before a month when years begin in March, so that a leap day comes last.
    let (year, month) = if month <= 2 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468;
    Some(Moment {
        seconds: days * 86400 + hour * 3600 + minute * 60 + second,
        nanoseconds: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let at = |year: u16, month: u16, day: u16, time| moment((year - 1980) << 9 | month << 5 | day, time);
        let seconds = |moment: Option<Moment>| moment.map(|moment| moment.seconds);
        assert_eq!(seconds(at(1980, 1, 1, 0)), Some(315_532_800));
        assert_eq!(seconds(at(2000, 2, 29, 23 << 11 | 59 << 5 | 29)), Some(951_868_798));
        assert_eq!(seconds(at(2026, 11, 22, 0)), Some(1_795_305_600));
        assert_eq!(seconds(moment(0, 0).into_iter().next()), None);
    }
}
