//! Damage on purpose, for those who must notice it.

use bytes::Bytes;

use super::Sim;
use crate::Key;

/// Damages take no step, work on a machine that is off too, and panic where they would change nothing: a
/// damage that is none proves nothing.
impl Sim {
    /// The object's bytes, past all faults.
    pub fn peek(&self, key: &Key) -> Option<Bytes> {
        self.disk().objects.get(key)
    }

    /// The names of all objects, in order, past all faults.
    pub fn keys(&self) -> Vec<Key> {
        let disk = self.disk();
        disk.objects.seen().map(|(key, _)| key.clone()).collect()
    }

    /// Turns over the bit number `bit` of the object, counted from the lowest of its first byte.
    pub fn flip_bit(&self, key: &Key, bit: u64) {
        let mut bytes = self.whole(key).to_vec();
        bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
        self.set(key, Some(bytes.into()));
    }

    /// Cuts the object to `length` bytes, fewer than it has.
    pub fn truncate(&self, key: &Key, length: u64) {
        let bytes = self.whole(key);
        assert!(length < bytes.len() as u64, "{key} is no longer than {length} bytes");
        self.set(key, Some(bytes.slice(..length as usize)));
    }

    /// Takes the object away.
    pub fn remove(&self, key: &Key) {
        self.whole(key);
        self.set(key, None);
    }

    /// Puts other bytes in the object's place, such as an older version's; or makes a new one.
    pub fn replace(&self, key: &Key, bytes: Bytes) {
        assert_ne!(self.peek(key).as_ref(), Some(&bytes), "{key} has these bytes already");
        self.set(key, Some(bytes));
    }

    /// Gives each of two objects the other's bytes.
    pub fn swap(&self, one: &Key, other: &Key) {
        let (first, second) = (self.whole(one), self.whole(other));
        assert_ne!(first, second, "{one} and {other} are equal");
        self.set(one, Some(second));
        self.set(other, Some(first));
    }

    fn whole(&self, key: &Key) -> Bytes {
        let found = self.peek(key);
        found.unwrap_or_else(|| panic!("there is no object {key} to damage"))
    }

    fn set(&self, key: &Key, value: Option<Bytes>) {
        self.disk().objects.set(key, value);
    }
}
