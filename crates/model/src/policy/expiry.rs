//! Which recovery points go.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Policy;
use super::retention::{Tag, Tags};
use crate::PointId;

/// What decides about a recovery point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Which one.
    pub point: PointId,
    /// Its moment.
    pub created: Timestamp,
    /// The rules that it fulfils.
    pub tags: Tags,
    /// Until when somebody asked to keep it, or a rule that is gone promised to.
    pub asked_until: Option<Timestamp>,
    /// Whether somebody holds it: it stays until he lets go.
    pub held: bool,
}

/// How an item's points age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aging {
    /// By its policy. Also if backups stopped with points retained as per policy.
    ByPolicy,
    /// Not at all: protection was stopped with data retained.
    Stopped,
    /// Not at all: the item is soft-deleted.
    SoftDeleted,
}

/// What becomes of a recovery point now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Verdict {
    /// It stays.
    Keep(Keep),
    /// It goes.
    Expire(Expire),
}

/// Why a recovery point stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Keep {
    /// Of its rules this one keeps it longest, until then.
    Rule(Tag, Timestamp),
    /// Somebody asked for it until then.
    Asked(Timestamp),
    /// Somebody holds it.
    Held,
    /// It is the item's newest: what is there to restore from, and what the next backup builds on.
    Newest,
    /// All of the item's older points have expired; of them this one was to be kept longest.
    Last,
    /// Protection is stopped with data retained.
    Stopped,
    /// The item is soft-deleted: what it has can still be brought back.
    SoftDeleted,
}

/// Why a recovery point goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Expire {
    /// The last of its rules kept it until then.
    Rule(Tag, Timestamp),
    /// Somebody asked for it until then.
    Asked(Timestamp),
    /// No rule wants it.
    NoRule,
}

impl Verdict {
    /// When time alone changes it, if it does.
    pub fn changes_at(&self) -> Option<Timestamp> {
        match self {
            Verdict::Keep(Keep::Rule(_, until) | Keep::Asked(until)) => Some(*until),
            Verdict::Keep(_) | Verdict::Expire(_) => None,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Keep(Keep::Rule(tag, until)) => write!(f, "kept by the {tag} rule until {until:.0}"),
            Verdict::Keep(Keep::Asked(until)) => write!(f, "kept until {until:.0}, as asked"),
            Verdict::Keep(Keep::Held) => f.write_str("held"),
            Verdict::Keep(Keep::Newest) => f.write_str("kept as the newest recovery point"),
            Verdict::Keep(Keep::Last) => f.write_str("kept as the last recovery point"),
            Verdict::Keep(Keep::Stopped) => f.write_str("kept, as protection is stopped with data retained"),
            Verdict::Keep(Keep::SoftDeleted) => f.write_str("kept, as the item is soft-deleted"),
            Verdict::Expire(Expire::Rule(tag, until)) => write!(f, "expired by the {tag} rule on {until:.0}"),
            Verdict::Expire(Expire::Asked(until)) => write!(f, "expired on {until:.0}, as asked"),
            Verdict::Expire(Expire::NoRule) => f.write_str("expired, as no rule keeps it"),
        }
    }
}

/// Decides about each of an item's recovery points, in the order given (SEMANTICS.md §11.3, §11.5).
///
/// The newest always stays. If all are past their time, the one that was to be kept longest stays too, of several the
/// newest: an item that has a recovery point never loses its last.
pub fn verdicts(points: &[Kept], policy: &Policy, aging: Aging, now: Timestamp) -> Vec<Verdict> {
    let standstill = match aging {
        Aging::ByPolicy => None,
        Aging::Stopped => Some(Keep::Stopped),
        Aging::SoftDeleted => Some(Keep::SoftDeleted),
    };
    if let Some(why) = standstill {
        return vec![Verdict::Keep(why); points.len()];
    }
    let mut verdicts: Vec<Verdict> = points.iter().map(|point| verdict(point, policy, now)).collect();
    if verdicts.iter().all(|verdict| matches!(verdict, Verdict::Expire(_))) {
        let lasts = |point: &Kept| {
            (
                longest(point, policy).map(|(until, _)| until),
                point.created,
                point.point,
            )
        };
        let last = (0..points.len()).max_by_key(|index| lasts(&points[*index]));
        if let Some(last) = last {
            verdicts[last] = Verdict::Keep(Keep::Last);
        }
    }
    let newest = (0..points.len()).max_by_key(|index| (points[*index].created, points[*index].point));
    if let Some(newest) = newest.filter(|newest| matches!(verdicts[*newest], Verdict::Expire(_))) {
        verdicts[newest] = Verdict::Keep(Keep::Newest);
    }
    verdicts
}

fn verdict(point: &Kept, policy: &Policy, now: Timestamp) -> Verdict {
    if point.held {
        return Verdict::Keep(Keep::Held);
    }
    match longest(point, policy) {
        None => Verdict::Expire(Expire::NoRule),
        Some((until, Some(tag))) if until > now => Verdict::Keep(Keep::Rule(tag, until)),
        Some((until, None)) if until > now => Verdict::Keep(Keep::Asked(until)),
        Some((until, Some(tag))) => Verdict::Expire(Expire::Rule(tag, until)),
        Some((until, None)) => Verdict::Expire(Expire::Asked(until)),
    }
}

/// Until when a point is kept, and by which rule; no rule if it was asked for.
fn longest(point: &Kept, policy: &Policy) -> Option<(Timestamp, Option<Tag>)> {
    let by_rule = point.tags.iter().filter_map(|tag| {
        let until = policy.retention.until(tag, &policy.zone, point.created)?;
        Some((until, Some(tag)))
    });
    let asked = point.asked_until.map(|until| (until, None));
    by_rule.chain(asked).max()
}

/// Until when points stay by the rules of now that `next` no longer has: their weekly, monthly and yearly tags keep what
/// they promised when those rules go (SEMANTICS.md §11.5). For each point its new [`Kept::asked_until`], if that changes.
pub fn promises(points: &[Kept], policy: &Policy, next: &Policy) -> Vec<Option<Timestamp>> {
    let gone = |tag: &Tag| next.retention.keep(*tag).is_none();
    let promise = |point: &Kept| {
        let tags = Tag::LONG_TERM
            .into_iter()
            .filter(|tag| point.tags.contains(*tag))
            .filter(gone);
        let promised = tags
            .filter_map(|tag| policy.retention.until(tag, &policy.zone, point.created))
            .max()?;
        (point.asked_until < Some(promised)).then_some(promised)
    };
    points.iter().map(promise).collect()
}
