//! What is on the simulated disk, and what is only on its way there.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use super::{Rng, Value};
use crate::{Key, Listed};

/// All objects: what of them is durable, and the changes that are seen but not durable yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Objects {
    objects: BTreeMap<Key, Object>,
    changes: u64,
}

#[derive(Debug, Clone, Default)]
struct Object {
    durable: Value,
    /// Oldest first; the last is what readers see.
    pending: Vec<(Change, Value)>,
}

/// The number of a change, in the order in which they were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Change(u64);

impl Object {
    fn of(durable: Value) -> Object {
        Object {
            durable,
            pending: Vec::new(),
        }
    }

    fn seen(&self) -> Option<&Bytes> {
        let last = self.pending.last().map(|(_, value)| value);
        last.unwrap_or(&self.durable).as_ref()
    }
}

impl Objects {
    /// Lets readers see a change that a crash may still undo.
    pub(super) fn begin(&mut self, key: &Key, value: Value) -> Change {
        self.changes += 1;
        let change = Change(self.changes);
        let object = self.objects.entry(key.clone()).or_default();
        object.pending.push((change, value));
        change
    }

    /// Makes a change durable, and with it what was seen before it; not what has replaced it since.
    pub(super) fn finish(&mut self, key: &Key, change: Change) {
        let object = self.objects.entry(key.clone()).or_default();
        // Gone when a later change of the same object was finished first.
        if let Some(place) = object.pending.iter().position(|(other, _)| *other == change) {
            object.durable = object.pending.drain(..=place).next_back().and_then(|(_, value)| value);
        }
        if object.seen().is_none() && object.pending.is_empty() {
            self.objects.remove(key);
        }
    }

    /// Puts an object in place at once, or takes it away.
    pub(super) fn set(&mut self, key: &Key, value: Value) {
        self.objects.insert(key.clone(), Object::of(value));
    }

    pub(super) fn get(&self, key: &Key) -> Option<Bytes> {
        self.objects.get(key)?.seen().cloned()
    }

    /// What readers see, in order.
    pub(super) fn seen(&self) -> impl Iterator<Item = (&Key, &Bytes)> {
        (self.objects.iter()).filter_map(|(key, object)| Some((key, object.seen()?)))
    }

    /// The objects under `folder`, in order.
    pub(super) fn list(&self, folder: &str) -> Vec<Listed> {
        let line = |(key, object): (&Key, &Object)| {
            let size = object.seen()?.len() as u64;
            Some(Listed { key: key.clone(), size })
        };
        self.under(folder).filter_map(line).collect()
    }

    /// Whether an object is a folder of `key`, or `key` of it.
    pub(super) fn clashes(&self, key: &Key) -> bool {
        let slashes = key.as_str().match_indices('/');
        let mut folders = slashes.map(|(place, _)| &key.as_str()[..place]);
        let is_seen = |object: &Object| object.seen().is_some();
        folders.any(|folder| self.objects.get(folder).is_some_and(is_seen))
            || self.under(key.as_str()).any(|(_, object)| is_seen(object))
    }

    fn under(&self, folder: &str) -> impl Iterator<Item = (&Key, &Object)> {
        let start = if folder.is_empty() {
            String::new()
        } else {
            format!("{folder}/")
        };
        let from = self
            .objects
            .range::<str, _>((Bound::Included(start.as_str()), Bound::Unbounded));
        from.take_while(move |(key, _)| key.as_str().starts_with(&start))
    }

    /// What a restart finds: each object on its own is what was durable, or a change that was under way.
    /// And the beginnings of puts that lie under temporary names.
    pub(super) fn survivors(&self, rng: &mut Rng) -> (Objects, Vec<Bytes>) {
        let mut survivors = Objects::default();
        let mut leftovers = Vec::new();
        for (key, object) in &self.objects {
            let chosen = rng.below(object.pending.len() as u64 + 1) as usize;
            let mut values = vec![&object.durable];
            values.extend(object.pending.iter().map(|(_, value)| value));
            if values[chosen].is_some() {
                survivors.set(key, values[chosen].clone());
            }
            for lost in (1..values.len()).filter(|place| *place != chosen) {
                leftovers.extend(values[lost].as_ref().and_then(|bytes| torn(bytes, rng)));
            }
        }
        (survivors, leftovers)
    }

    /// Breaks about one object in four, as a disk does that lied about its syncs; answers which.
    pub(super) fn hurt(&mut self, rng: &mut Rng) -> Vec<Key> {
        let before = std::mem::take(&mut self.objects);
        let mut hurt = Vec::new();
        for (key, object) in before {
            let value = if rng.one_in(4) {
                broken(&object.durable, rng)
            } else {
                object.durable.clone()
            };
            if value != object.durable {
                hurt.push(key.clone());
            }
            if value.is_some() {
                self.set(&key, value);
            }
        }
        hurt
    }
}

/// A beginning of `bytes`, always shorter; `None` if there is no such thing, or by chance.
fn torn(bytes: &Bytes, rng: &mut Rng) -> Option<Bytes> {
    let is_there = !bytes.is_empty() && rng.one_in(2);
    is_there.then(|| bytes.slice(..rng.below(bytes.len() as u64) as usize))
}

/// The object gone, cut short, or with zeros where its end never reached the disk.
fn broken(value: &Value, rng: &mut Rng) -> Value {
    let bytes = value.as_ref()?;
    let kept = torn(bytes, rng)?;
    if rng.one_in(2) {
        return Some(kept);
    }
    let mut zeroed = kept.to_vec();
    zeroed.resize(bytes.len(), 0);
    // Where the lost end was zeros anyway nothing is broken: then cut it.
    Some(if zeroed == *bytes { kept } else { zeroed.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::new("a/b").unwrap()
    }

    fn value(text: &'static str) -> Value {
        Some(Bytes::from_static(text.as_bytes()))
    }

    /// All that 64 crashes leave of the object, without repetitions.
    fn outcomes(objects: &Objects) -> Vec<Value> {
        let survive = |seed| objects.survivors(&mut Rng::new(seed)).0.get(&key());
        let mut outcomes: Vec<Value> = (0..64).map(survive).collect();
        outcomes.sort();
        outcomes.dedup();
        outcomes
    }

    #[test]
    fn a_crash_keeps_what_is_durable_and_chooses_among_the_rest() {
        let mut objects = Objects::default();
        let first = objects.begin(&key(), value("1"));
        assert_eq!(outcomes(&objects), [None, value("1")]);
        objects.finish(&key(), first);
        assert_eq!(outcomes(&objects), [value("1")]);
        objects.begin(&key(), value("2"));
        objects.begin(&key(), None);
        assert_eq!(objects.get(&key()), None);
        assert_eq!(outcomes(&objects), [None, value("1"), value("2")]);
    }

    #[test]
    fn twins_may_finish_in_any_order() {
        for first_is_first in [true, false] {
            let mut objects = Objects::default();
            let first = objects.begin(&key(), value("1"));
            let second = objects.begin(&key(), value("2"));
            if first_is_first {
                objects.finish(&key(), first);
                assert_eq!(outcomes(&objects), [value("1"), value("2")]);
                objects.finish(&key(), second);
            } else {
                objects.finish(&key(), second);
                objects.finish(&key(), first);
            }
            assert_eq!(outcomes(&objects), [value("2")]);
        }
    }

    #[test]
    fn a_broken_object_is_never_what_it_was() {
        let mut rng = Rng::new(3);
        for text in ["", "x", "\0\0\0", "abc\0\0\0\0\0\0", "abcdefgh"] {
            for _ in 0..200 {
                assert_ne!(broken(&value(text), &mut rng), value(text), "{text:?}");
            }
        }
    }
}
