//! What was opened last: each thing once, however many ask for it at the same time.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use strongroom_model::BlobId;
use tokio::sync::SetOnce;

use super::Unreadable;

/// A place for something that is being fetched.
pub type Place<T> = Arc<SetOnce<Result<Arc<T>, Unreadable>>>;

/// Opened blobs by identity, as many as fit; those that were not asked for the longest time go first.
pub struct Kept<T> {
    inner: Mutex<Inner<T>>,
    bytes_max: u64,
}

struct Inner<T> {
    places: HashMap<BlobId, Used<T>>,
    /// By when it was asked for last.
    order: BTreeMap<u64, BlobId>,
    /// Counts questions.
    now: u64,
    bytes: u64,
}

struct Used<T> {
    place: Place<T>,
    at: u64,
    /// 0 while it is on its way.
    bytes: u64,
}

impl<T> Kept<T> {
    /// Keeps so many bytes, by the weights that [`Kept::settle`] is told.
    pub fn new(bytes_max: u64) -> Self {
        let inner = Inner {
            places: HashMap::new(),
            order: BTreeMap::new(),
            now: 0,
            bytes: 0,
        };
        Self {
            inner: Mutex::new(inner),
            bytes_max,
        }
    }

    /// The place of a blob, and whether the caller is the first to want it: then he must see to it that it is settled.
    pub fn want(&self, id: BlobId) -> (Place<T>, bool) {
        let mut inner = self.inner.lock().expect("no thread panicked here");
        let Inner { places, order, now, .. } = &mut *inner;
        *now += 1;
        let is_new = !places.contains_key(&id);
        let used = places.entry(id).or_insert_with(|| Used {
            place: Arc::default(),
            at: *now,
            bytes: 0,
        });
        order.remove(&used.at);
        used.at = *now;
        order.insert(*now, id);
        (used.place.clone(), is_new)
    }

    /// Fills the place of a blob. A failure is told to those who wait, and not kept: whoever asks next tries again.
    pub fn settle(&self, id: BlobId, result: Result<(T, u64), Unreadable>) {
        let mut inner = self.inner.lock().expect("no thread panicked here");
        let Some(used) = inner.places.get_mut(&id) else { return };
        let place = used.place.clone();
        let filled = match result {
            Ok((value, bytes)) => {
                used.bytes = bytes;
                inner.bytes += bytes;
                inner.shrink(self.bytes_max);
                place.set(Ok(Arc::new(value)))
            }
            Err(error) => {
                inner.remove(id);
                place.set(Err(error))
            }
        };
        debug_assert!(filled.is_ok(), "it was settled by another than who was to fetch it");
    }
}

impl<T> Inner<T> {
    fn remove(&mut self, id: BlobId) {
        if let Some(used) = self.places.remove(&id) {
            self.order.remove(&used.at);
            self.bytes -= used.bytes;
        }
    }

    /// What is on its way stays: somebody will settle it.
    fn shrink(&mut self, bytes_max: u64) {
        while self.bytes > bytes_max {
            let arrived = |id: &&BlobId| self.places[*id].place.initialized();
            let Some(oldest) = self.order.values().find(arrived).copied() else {
                return;
            };
            self.remove(oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> BlobId {
        BlobId::from_bytes([number; 32])
    }

    #[test]
    fn what_was_not_used_for_the_longest_time_goes_first() {
        let kept = Kept::new(100);
        for number in [1, 2] {
            assert!(kept.want(id(number)).1);
            kept.settle(id(number), Ok((number, 40)));
        }
        assert!(!kept.want(id(1)).1);
        let (on_its_way, is_new) = kept.want(id(3));
        assert!(is_new && !on_its_way.initialized());
        assert!(kept.want(id(4)).1);
        kept.settle(id(4), Ok((4, 40)));
        assert!(kept.want(id(2)).1, "it was to go");
        assert!(!kept.want(id(1)).1 && !kept.want(id(3)).1 && !kept.want(id(4)).1);
    }

    #[test]
    fn a_failure_is_told_and_forgotten() {
        let kept = Kept::<u8>::new(100);
        let (place, _) = kept.want(id(1));
        kept.settle(id(1), Err(Unreadable::new("it is lost")));
        assert!(place.get().is_some_and(|result| result.is_err()));
        assert!(kept.want(id(1)).1, "the next one tries again");
    }

    #[test]
    fn all_who_wait_get_the_same() {
        let kept = Kept::new(100);
        let (first, _) = kept.want(id(1));
        let (second, is_new) = kept.want(id(1));
        assert!(!is_new);
        kept.settle(id(1), Ok((7, 1)));
        assert!(
            [first, second]
                .iter()
                .all(|place| matches!(place.get(), Some(Ok(value)) if **value == 7))
        );
    }
}
