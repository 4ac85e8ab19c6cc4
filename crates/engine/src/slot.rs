//! A place for a value that another thread is making.

use std::sync::{Arc, OnceLock};

/// The reading side: waits until the value is there, or is known never to come.
#[derive(Debug)]
pub struct Slot<T>(Arc<OnceLock<Option<T>>>);

/// The making side. If it is dropped without a value, readers are told that none will come: no thread waits for ever.
#[derive(Debug)]
pub struct Promise<T>(Arc<OnceLock<Option<T>>>);

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// A slot and the promise to fill it.
pub fn slot<T>() -> (Slot<T>, Promise<T>) {
    let cell = Arc::new(OnceLock::new());
    (Slot(cell.clone()), Promise(cell))
}

impl<T> Slot<T> {
    /// The value; `None` if its maker gave up.
    pub fn wait(&self) -> Option<&T> {
        self.0.wait().as_ref()
    }

    /// Whether both wait for the same value.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Promise<T> {
    /// Fills the slot.
    pub fn keep(self, value: T) {
        let _ = self.0.set(Some(value));
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        // Does nothing if the promise was kept.
        let _ = self.0.set(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_promise_fills_the_slot_and_a_broken_one_frees_the_waiter() {
        let (kept, promise) = slot();
        assert!(kept.is_same(&kept.clone()));
        std::thread::spawn(move || promise.keep(7)).join().unwrap();
        assert_eq!(kept.wait(), Some(&7));
        let (broken, promise) = slot::<u8>();
        drop(promise);
        assert_eq!(broken.wait(), None);
    }
}
