//! The sorted names of one directory.

use rustix::fd::AsFd;
use rustix::fs::{FileType, RawDir};
use rustix::io::Errno;
use std::ffi::CStr;
use std::mem::MaybeUninit;

/// Names of a directory, sorted by their bytes, 16 bytes apiece beside the names themselves.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// All names, each ended by NUL.
    names: Vec<u8>,
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    /// The first eight bytes as a number, so that most comparisons touch nothing else.
    prefix: u64,
    start: u32,
    length: u16,
    /// As `readdir` tells, which may be unknown.
    kind: Hint,
}

/// What `readdir` says of an entry before it was asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hint {
    Unknown,
    Directory,
    Other,
}

impl Listing {
    /// Reads a whole directory. With an error come the names that had been read before it.
    pub(super) fn read(directory: impl AsFd, buffer: &mut [MaybeUninit<u8>]) -> (Listing, Option<Errno>) {
        let mut listing = Listing::default();
        let mut entries = RawDir::new(directory, buffer);
        let error = loop {
            match entries.next() {
                None => break None,
                Some(Err(error)) => break Some(error),
                Some(Ok(entry)) => {
                    if let Err(error) = listing.push(entry.file_name(), hint(entry.file_type())) {
                        break Some(error);
                    }
                }
            }
        };
        listing.sort();
        (listing, error)
    }

    /// Of names that are known already and of which nothing else is known.
    pub(super) fn of_names<'a>(names: impl IntoIterator<Item = &'a CStr>) -> Listing {
        let mut listing = Listing::default();
        for name in names {
            listing
                .push(name, Hint::Unknown)
                .expect("paths of roots are far below 4 GiB");
        }
        listing.sort();
        listing
    }

    /// Keeps only the entry of this name, if it is there. Returns how many were left out.
    pub(super) fn keep_only(&mut self, name: &[u8]) -> usize {
        let before = self.slots.len();
        let names = &self.names;
        self.slots.retain(|slot| bytes(names, slot) == name);
        before - self.slots.len()
    }

    /// Whether a name is there.
    pub(super) fn contains(&self, name: &[u8]) -> bool {
        self.slots
            .binary_search_by(|slot| bytes(&self.names, slot).cmp(name))
            .is_ok()
    }

    /// The name at a place in the order.
    pub(super) fn get(&self, index: usize) -> Option<(&CStr, Hint)> {
        let slot = self.slots.get(index)?;
        let start = slot.start as usize;
        let with_nul = &self.names[start..=start + usize::from(slot.length)];
        Some((
            CStr::from_bytes_with_nul(with_nul).expect("stored with its NUL"),
            slot.kind,
        ))
    }

    fn push(&mut self, name: &CStr, kind: Hint) -> Result<(), Errno> {
        if name == c"." || name == c".." {
            return Ok(());
        }
        let start = u32::try_from(self.names.len()).map_err(|_| Errno::OVERFLOW)?;
        let length = u16::try_from(name.count_bytes()).map_err(|_| Errno::NAMETOOLONG)?;
        self.names.extend_from_slice(name.to_bytes_with_nul());
        self.slots.push(Slot {
            prefix: prefix(name.to_bytes()),
            start,
            length,
            kind,
        });
        Ok(())
    }

    fn sort(&mut self) {
        let names = &self.names;
        self.slots.sort_unstable_by(|a, b| {
            a.prefix
                .cmp(&b.prefix)
                .then_with(|| bytes(names, a).cmp(bytes(names, b)))
        });
    }
}

fn bytes<'a>(names: &'a [u8], slot: &Slot) -> &'a [u8] {
    &names[slot.start as usize..][..usize::from(slot.length)]
}

/// Big-endian and filled up with zeros, so that numbers compare as the names do.
fn prefix(name: &[u8]) -> u64 {
    let mut eight = [0; 8];
    let length = name.len().min(8);
    eight[..length].copy_from_slice(&name[..length]);
    u64::from_be_bytes(eight)
}

fn hint(kind: FileType) -> Hint {
    match kind {
        FileType::Unknown => Hint::Unknown,
        FileType::Directory => Hint::Directory,
        _ => Hint::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::Listing;
    use proptest::prelude::*;
    use std::ffi::CString;

    proptest! {
        #[test]
        fn names_come_in_the_order_of_their_bytes(
            mut names in proptest::collection::vec("[a-c\u{1}.~]{1,11}", 0..40)
        ) {
            names.retain(|name| name != "." && name != "..");
            let owned: Vec<CString> =
                names.iter().map(|name| CString::new(name.as_str()).unwrap()).collect();
            let listing = Listing::of_names(owned.iter().map(CString::as_c_str));
            let listed: Vec<String> = (0..names.len())
                .map(|index| listing.get(index).unwrap().0.to_str().unwrap().to_owned())
                .collect();
            for name in &names {
                prop_assert!(listing.contains(name.as_bytes()));
            }
            names.sort();
            prop_assert_eq!(listed, names);
        }
    }
}
