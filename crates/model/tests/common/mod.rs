//! What the tests about policies share.
#![allow(dead_code)]

pub mod wanted;

use jiff::civil::{Time, time};
use strongroom_model::PointId;
use strongroom_model::policy::*;

pub fn at(hour: i8) -> Time {
    time(hour, 0, 0, 0)
}

pub fn point(number: u64) -> PointId {
    PointId::from_uuid(uuid::Uuid::from_u128(u128::from(number)))
}

/// Three backups a day; daily 30, weekly 12, monthly 60, yearly 10.
pub fn three_a_day(zone: &str) -> Policy {
    let times = vec![at(6), at(14), at(22)];
    Policy {
        zone: zone.parse().unwrap(),
        snapshot_days: None,
        logs: None,
        schedule: Schedule::Daily { times: times.clone() },
        retention: Retention {
            daily: Some(Daily { times, keep: 30 }),
            weekly: Some(Weekly {
                days: vec![Day::Sunday],
                times: vec![at(22)],
                keep: 12,
            }),
            monthly: Some(Monthly {
                on: DaysOfMonth::Weekdays {
                    days: vec![Day::Sunday],
                    weeks: vec![Week::Last],
                },
                times: vec![at(22)],
                keep: 60,
            }),
            yearly: Some(Yearly {
                months: vec![3, 12],
                on: DaysOfMonth::Dates {
                    dates: vec![1],
                    last: true,
                },
                times: vec![at(6)],
                keep: 10,
            }),
        },
    }
}
