//! A second reading of what the tests' policy wants, to hold the first against.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan as _};
use strongroom_model::policy::Tag;

use super::at;

/// Each moment that a rule of [`super::three_a_day`] wants, in order.
pub struct Wanted {
    zone: TimeZone,
    moments: [Vec<Timestamp>; 4],
}

impl Wanted {
    /// Those of the days from `from` to before `to`.
    pub fn new(zone: &str, from: Date, to: Date) -> Self {
        let zone = TimeZoneDatabase::bundled().get(zone).unwrap();
        let mut moments = [const { Vec::new() }; 4];
        for day in from.series(1.day()).take_while(|day| *day < to) {
            let mut want = |tag: Tag, time: Time| {
                moments[tag as usize].push(day.to_datetime(time).to_zoned(zone.clone()).unwrap().timestamp());
            };
            for time in [at(6), at(14), at(22)] {
                want(Tag::Daily, time);
            }
            let sunday = day.weekday() == Weekday::Sunday;
            if sunday {
                want(Tag::Weekly, at(22));
            }
            if sunday && day.checked_add(7.days()).unwrap().month() != day.month() {
                want(Tag::Monthly, at(22));
            }
            let ends = day.tomorrow().unwrap().month() != day.month();
            if [3, 12].contains(&day.month()) && (day.day() == 1 || ends) {
                want(Tag::Yearly, at(6));
            }
        }
        Self { zone, moments }
    }

    /// A point that was made for the moment `due` bears a long-term tag if it is the first to succeed at or after a moment that
    /// the rule wants, `before` being the moment up to which that is settled; and the daily one if it was due at such a moment.
    pub fn tags(&self, due: Timestamp, before: Timestamp) -> Vec<Tag> {
        let has = |tag: &Tag| {
            let moments = &self.moments[*tag as usize];
            match tag {
                Tag::Daily => moments.binary_search(&due).is_ok(),
                _ => {
                    let first_after = moments.partition_point(|moment| *moment <= before);
                    moments.get(first_after).is_some_and(|moment| *moment <= due)
                }
            }
        };
        Tag::ALL.into_iter().filter(has).collect()
    }

    /// The last moment of the schedule that has come.
    pub fn last(&self, now: Timestamp) -> Option<Timestamp> {
        let daily = &self.moments[Tag::Daily as usize];
        let come = daily.partition_point(|moment| *moment <= now);
        come.checked_sub(1).map(|last| daily[last])
    }

    /// The next moment of the schedule.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let daily = &self.moments[Tag::Daily as usize];
        daily.get(daily.partition_point(|moment| *moment <= now)).copied()
    }

    /// When the last of the tags ends that a point of this moment bears.
    pub fn until(&self, created: Timestamp, tags: &[Tag]) -> Option<Timestamp> {
        let created = created.to_zoned(self.zone.clone());
        let ends = tags.iter().map(|tag| match tag {
            Tag::Daily => created.checked_add(30.days()).unwrap(),
            Tag::Weekly => created.checked_add(84.days()).unwrap(),
            Tag::Monthly => created.checked_add(5.years()).unwrap(),
            Tag::Yearly => created.checked_add(10.years()).unwrap(),
        });
        ends.map(|end| end.timestamp()).max()
    }
}
