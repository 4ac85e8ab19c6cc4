//! Stretches of an export that are alike.

use std::ops::Range;

use crate::NbdError;
use crate::wire::{Descriptor, state};

/// A stretch that is alike in one context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent<F> {
    /// In bytes; not zero.
    pub length: u64,
    /// What it is.
    pub flags: F,
}

/// What `base:allocation` says of a stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allocation {
    /// It takes no space. That says nothing of its contents: a linked clone's hole reads as what its base has there.
    pub hole: bool,
    /// It reads as zeros. Only what is marked so need not be read.
    pub zero: bool,
}

impl From<u32> for Allocation {
    fn from(flags: u32) -> Self {
        Self {
            hole: flags & state::HOLE != 0,
            zero: flags & state::ZERO != 0,
        }
    }
}

/// What a bitmap of QEMU says of a stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dirty {
    /// It was written to since the bitmap began.
    pub dirty: bool,
}

impl From<u32> for Dirty {
    fn from(flags: u32) -> Self {
        Self {
            dirty: flags & state::DIRTY != 0,
        }
    }
}

/// The extents of a range, as far as they have come.
#[derive(Debug)]
pub struct Extents<F> {
    found: Vec<Extent<F>>,
    /// What is not covered yet.
    rest: Range<u64>,
}

impl<F: From<u32> + Copy + PartialEq> Extents<F> {
    /// Extents of one range: 64 MiB of memory.
    pub const MAX: usize = 1 << 22;

    pub fn of(range: &Range<u64>) -> Self {
        Self {
            found: Vec::new(),
            rest: range.clone(),
        }
    }

    /// What has still to be asked for.
    pub fn missing(&self) -> Option<Range<u64>> {
        (!self.rest.is_empty()).then(|| self.rest.clone())
    }

    /// Takes an answer that begins at an offset, which is not behind what is missing.
    pub fn take(&mut self, offset: u64, descriptors: &[Descriptor]) -> Result<(), NbdError> {
        let mut at = offset;
        for descriptor in descriptors {
            // An offset of the export and 32 bits more: the export may end at the last of all offsets.
            at = at.saturating_add(u64::from(descriptor.length));
            let end = at.min(self.rest.end);
            if end > self.rest.start {
                self.push(end - self.rest.start, F::from(descriptor.flags))?;
                self.rest.start = end;
            }
        }
        Ok(())
    }

    fn push(&mut self, length: u64, flags: F) -> Result<(), NbdError> {
        let full = self.found.len() == Self::MAX;
        match self.found.last_mut() {
            Some(last) if last.flags == flags => last.length += length,
            _ if full => return Err(NbdError::TooManyExtents(Self::MAX)),
            _ => self.found.push(Extent { length, flags }),
        }
        Ok(())
    }

    /// All of them, one after the other from the beginning of the range.
    pub fn found(self) -> Vec<Extent<F>> {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor((length, flags): (u32, u32)) -> Descriptor {
        Descriptor { length, flags }
    }

    #[test]
    fn only_zeros_are_zeros() {
        let meaning = |flags| {
            let Allocation { hole, zero } = flags;
            (hole, zero)
        };
        let cases = [
            (0, (false, false)),
            (1, (true, false)),
            (2, (false, true)),
            (3, (true, true)),
            (4, (false, false)),
        ];
        for (flags, expected) in cases {
            assert_eq!(meaning(Allocation::from(flags)), expected);
        }
        assert!(Dirty::from(1).dirty && !Dirty::from(2).dirty);
    }

    #[test]
    fn answers_are_clipped_and_joined() {
        let mut extents = Extents::<Dirty>::of(&(100..1000));
        extents.take(64, &[(10, 1), (100, 0)].map(descriptor)).unwrap();
        assert_eq!(
            extents.missing(),
            Some(174..1000),
            "what lies before the range does not count"
        );
        extents.take(174, &[(26, 2), (100, 1)].map(descriptor)).unwrap();
        extents.take(300, &[(4096, 1)].map(descriptor)).unwrap();
        assert_eq!(extents.missing(), None);
        let found: Vec<_> = extents
            .found()
            .iter()
            .map(|extent| (extent.length, extent.flags.dirty))
            .collect();
        assert_eq!(found, [(100, false), (800, true)]);
    }

    #[test]
    fn extents_are_not_without_number() {
        let mut extents = Extents::<u32>::of(&(0..1 << 40));
        let many: Vec<_> = (0..1 << 20).map(|flags| descriptor((1, flags))).collect();
        for answer in 0..4 {
            extents.take(answer << 20, &many).unwrap();
        }
        let more = extents.take(4 << 20, &many);
        assert!(matches!(more, Err(NbdError::TooManyExtents(_))));
    }
}
