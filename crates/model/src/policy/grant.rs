//! What a new recovery point gets from its policy.

use jiff::{SignedDuration, Timestamp};

use super::Policy;
use super::owed::Owed;
use super::retention::{Tag, Tags};

/// How long a point is kept that was asked for without a date, if the policy has no daily rule: Azure's default.
const ON_DEMAND: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What a recovery point was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MadeFor {
    /// The moment at which the schedule wanted it.
    Schedule(Timestamp),
    /// Somebody asked for it at this moment.
    Demand {
        /// When.
        at: Timestamp,
        /// Until when he wants it, if he said so.
        keep_until: Option<Timestamp>,
    },
    /// To keep a state of the past, which another program had kept; it came at this moment.
    Past {
        /// When.
        at: Timestamp,
    },
}

/// What decides how long a new recovery point stays, and what its item owes from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The rules that it fulfils.
    pub tags: Tags,
    /// Until when somebody asked to keep it.
    pub asked_until: Option<Timestamp>,
    /// What is owed after it.
    pub owed: Owed,
}

impl Policy {
    /// The tags of a new point, which pays what its item owes (SEMANTICS.md §11.2 to §11.4). One that was asked for is
    /// kept until the date that was said, else as the day's point, else for 30 days; and as long as a tag that it pays. One of
    /// the past is kept as one that was asked for, and pays nothing: the next backup is still wanted.
    pub fn grant(&self, owed: Owed, made: MadeFor) -> Grant {
        let (mut tags, owed) = match made {
            MadeFor::Schedule(moment) | MadeFor::Demand { at: moment, .. } => owed.pay(self, moment),
            MadeFor::Past { .. } => (Tags::default(), owed),
        };
        let mut asked_until = None;
        match made {
            MadeFor::Schedule(due) if self.is_daily(due) => tags.insert(Tag::Daily),
            MadeFor::Schedule(_) => {}
            MadeFor::Demand {
                keep_until: Some(until),
                ..
            } => asked_until = Some(until),
            _ if self.retention.keep(Tag::Daily).is_some() => tags.insert(Tag::Daily),
            MadeFor::Demand { at, .. } | MadeFor::Past { at } => asked_until = at.checked_add(ON_DEMAND).ok(),
        }
        Grant {
            tags,
            asked_until,
            owed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DEFAULT_POLICIES, Day, Retention, Schedule, Weekly};
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn weekly() -> Policy {
        let times = vec![jiff::civil::time(22, 0, 0, 0)];
        Policy {
            schedule: Schedule::Weekly {
                days: vec![Day::Sunday],
                times: times.clone(),
                every_weeks: 1,
                first_week: None,
            },
            retention: Retention {
                weekly: Some(Weekly {
                    days: vec![Day::Sunday],
                    times,
                    keep: 4,
                }),
                ..Retention::default()
            },
            ..DEFAULT_POLICIES[3].policy()
        }
    }

    #[test]
    fn scheduled_points_are_daily_at_the_times_of_the_rule() {
        let policy = DEFAULT_POLICIES[3].policy();
        let owed = Owed::nothing(at("2026-01-01T00:00:00Z"));
        let due = at("2026-01-01T22:00:00Z");
        let grant = policy.grant(owed, MadeFor::Schedule(due));
        assert_eq!(grant.tags.iter().collect::<Vec<_>>(), [Tag::Daily]);
        assert_eq!((grant.asked_until, grant.owed.until), (None, due));
    }

    #[test]
    fn points_on_demand_stay_as_asked_or_as_the_days_or_for_thirty_days() {
        let (now, until) = (at("2026-01-05T12:00:00Z"), at("2027-01-01T00:00:00Z"));
        let demand = |keep_until| MadeFor::Demand { at: now, keep_until };
        let daily = DEFAULT_POLICIES[3].policy();
        let nothing = Owed::nothing(now);
        assert_eq!(daily.grant(nothing, demand(Some(until))).asked_until, Some(until));
        assert!(daily.grant(nothing, demand(Some(until))).tags.is_empty());
        assert!(daily.grant(nothing, demand(None)).tags.contains(Tag::Daily));
        let asked = weekly().grant(nothing, demand(None)).asked_until;
        assert_eq!(asked, Some(at("2026-02-04T12:00:00Z")));
    }

    #[test]
    fn one_of_the_past_is_kept_as_one_on_demand_and_pays_nothing() {
        let owed = Owed::nothing(at("2026-01-01T00:00:00Z"));
        let made = MadeFor::Past {
            at: at("2026-01-05T12:00:00Z"),
        };
        let grant = weekly().grant(owed, made);
        assert!(grant.tags.is_empty());
        assert_eq!(grant.asked_until, Some(at("2026-02-04T12:00:00Z")));
        assert_eq!(grant.owed, owed);
        let grant = DEFAULT_POLICIES[3].policy().grant(owed, made);
        assert_eq!(
            (grant.tags.iter().collect::<Vec<_>>(), grant.asked_until),
            (vec![Tag::Daily], None)
        );
    }

    #[test]
    fn one_on_demand_takes_over_what_was_missed() {
        let owed = Owed::nothing(at("2026-01-01T00:00:00Z"));
        let made = MadeFor::Demand {
            at: at("2026-01-05T12:00:00Z"),
            keep_until: None,
        };
        let grant = weekly().grant(owed, made);
        assert!(grant.tags.contains(Tag::Weekly));
        assert!(grant.owed.tags.is_empty());
    }
}
