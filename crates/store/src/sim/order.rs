//! The order watcher: nothing may be true before what it stands on.

use std::collections::BTreeSet;

use super::{Stop, What};
use crate::Key;

/// Something that store, database or service make true.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fact {
    /// The object is durable. Reported by the store.
    Object(Key),
    /// The row is committed. Reported by the simulated database, under a name of its own, as `pack 3f2a…`.
    Row(String),
    /// Somebody was told so, in that moment: an acknowledgement. It does not go on being true.
    Told(String),
}

/// One line of the log that store and database share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A step was begun.
    Step {
        /// Its number, from 1.
        number: u64,
        /// What it was to do.
        what: What,
    },
    /// The step met a fault.
    Fired {
        /// Its number.
        number: u64,
        /// The fault.
        stop: Stop,
    },
    /// Became true.
    Starts(Fact),
    /// May be untrue from here on.
    Ends(Fact),
}

/// A fact that was true, or told, without another that it stands on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {place}: {fact:?} without {missing:?}")]
pub struct Disorder {
    /// The index of the event that broke the order.
    pub place: usize,
    /// The fact that stands on nothing.
    pub fact: Fact,
    /// What it stands on.
    pub missing: Fact,
}

/// Checks a log against one rule, both on the way in and on the way out: `needs` answers what must be true
/// as long as a fact is. So a row must not come before its object, nor the object go before its row; and
/// nothing may be told before it is true.
pub fn check_order(events: &[Event], needs: impl Fn(&Fact) -> Vec<Fact>) -> Result<(), Disorder> {
    let mut holding = BTreeSet::new();
    for (place, event) in events.iter().enumerate() {
        let broken = match event {
            Event::Starts(fact) => {
                let missing = needs(fact).into_iter().find(|need| !holding.contains(need));
                if !matches!(fact, Fact::Told(_)) {
                    holding.insert(fact.clone());
                }
                missing.map(|missing| (fact.clone(), missing))
            }
            Event::Ends(fact) => {
                holding.remove(fact);
                let orphan = holding.iter().find(|held| needs(held).contains(fact));
                orphan.map(|orphan| (orphan.clone(), fact.clone()))
            }
            Event::Step { .. } | Event::Fired { .. } => None,
        };
        if let Some((fact, missing)) = broken {
            return Err(Disorder { place, fact, missing });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> Fact {
        Fact::Object(Key::new("packs/1").unwrap())
    }

    fn row() -> Fact {
        Fact::Row("pack 1".to_owned())
    }

    fn told() -> Fact {
        Fact::Told("pack 1".to_owned())
    }

    fn needs(fact: &Fact) -> Vec<Fact> {
        match fact {
            Fact::Object(_) => vec![],
            Fact::Row(_) => vec![object()],
            Fact::Told(_) => vec![row()],
        }
    }

    fn check(events: &[Event], expected: Option<(usize, Fact, Fact)>) {
        let found = check_order(events, needs).err();
        let found = found.map(|error| (error.place, error.fact, error.missing));
        assert_eq!(found, expected, "{events:?}");
    }

    #[test]
    fn what_stands_on_something_comes_later_and_goes_earlier() {
        use Event::{Ends, Starts};
        let life = [
            Starts(object()),
            Starts(row()),
            Starts(told()),
            Ends(row()),
            Ends(object()),
        ];
        check(&life, None);
        check(&life[1..], Some((0, row(), object())));
        check(&[Starts(object()), Starts(told())], Some((1, told(), row())));
        check(
            &[Starts(object()), Starts(row()), Ends(object())],
            Some((2, row(), object())),
        );
        // Told long ago, and rightly forgotten since.
        check(&[life.as_slice(), &[Starts(object())]].concat(), None);
    }
}
