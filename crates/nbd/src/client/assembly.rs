//! Puts the chunks of an answer together, in whatever order they come, and believes none that does not fit.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::NbdError;
use crate::wire::{Descriptor, Failure};

/// Stretches of one answer that do not touch. A server has no reason to send more than one a block of 512 bytes.
const STRETCHES_MAX: usize = 1 << 16;

/// What a read has brought so far.
#[derive(Debug)]
pub struct ReadAssembly {
    offset: u64,
    contents: Vec<u8>,
    /// Which parts of the contents have come, from … to. Neighbours are joined.
    covered: BTreeMap<usize, usize>,
    failure: Option<Failure>,
}

impl ReadAssembly {
    /// The answer to a read; its memory is taken here.
    pub fn new(offset: u64, length: u32) -> Self {
        Self {
            offset,
            contents: vec![0; length as usize],
            covered: BTreeMap::new(),
            failure: None,
        }
    }

    /// Where contents at this offset of the export belong; whoever asks has to fill it.
    pub fn place(&mut self, offset: u64, length: u32) -> Result<&mut [u8], NbdError> {
        let outside = || NbdError::violation(format!("{length} bytes at {offset}, which were not asked for"));
        let start = offset.checked_sub(self.offset).ok_or_else(outside)?;
        let start = usize::try_from(start).map_err(|_| outside())?;
        let end = start.checked_add(length as usize).ok_or_else(outside)?;
        if end > self.contents.len() {
            return Err(outside());
        }
        self.cover(start, end)?;
        Ok(&mut self.contents[start..end])
    }

    /// Zeros at this offset of the export.
    pub fn hole(&mut self, offset: u64, length: u32) -> Result<(), NbdError> {
        // The memory is zero from the start, and nothing comes twice.
        self.place(offset, length).map(|_| ())
    }

    /// All of the contents, as a simple reply brings them.
    pub fn whole(&mut self) -> Result<&mut [u8], NbdError> {
        self.cover(0, self.contents.len())?;
        Ok(&mut self.contents)
    }

    fn cover(&mut self, start: usize, end: usize) -> Result<(), NbdError> {
        let before = self.covered.range(..=start).next_back().map(|(&from, &to)| (from, to));
        let after = self.covered.range(start..).next().map(|(&from, &to)| (from, to));
        if before.is_some_and(|(_, to)| to > start) || after.is_some_and(|(from, _)| from < end) {
            return Err(NbdError::violation("contents that came before"));
        }
        let from = before.filter(|(_, to)| *to == start).map_or(start, |(from, _)| from);
        let to = match after.filter(|(from, _)| *from == end) {
            Some((next, to)) => {
                self.covered.remove(&next);
                to
            }
            None => end,
        };
        self.covered.insert(from, to);
        if self.covered.len() > STRETCHES_MAX {
            return Err(NbdError::violation("an answer in too many pieces"));
        }
        Ok(())
    }

    /// The server could not read all. The first of several failures counts.
    pub fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
    }

    /// The contents, or the failure; a violation ends the connection.
    pub fn finish(self) -> Result<Result<Bytes, NbdError>, NbdError> {
        if let Some(failure) = self.failure {
            return Ok(Err(failed("read", self.offset, failure)));
        }
        if self.covered.get(&0) != Some(&self.contents.len()) {
            return Err(NbdError::violation("an answer to a read ended before all had come"));
        }
        Ok(Ok(self.contents.into()))
    }
}

/// What a question for the status of blocks has brought so far.
#[derive(Debug)]
pub struct StatusAssembly {
    offset: u64,
    length: u32,
    /// The context that is asked about.
    context: u32,
    /// All that the server agreed to tell of, and tells of each time.
    agreed: Arc<[u32]>,
    told: Vec<u32>,
    found: Option<Vec<Descriptor>>,
    failure: Option<Failure>,
}

impl StatusAssembly {
    /// The answer to a question about one of the contexts that were agreed on.
    pub fn new(offset: u64, length: u32, context: u32, agreed: Arc<[u32]>) -> Self {
        Self {
            offset,
            length,
            context,
            agreed,
            told: Vec::new(),
            found: None,
            failure: None,
        }
    }

    /// The extents of one of the contexts.
    pub fn take(&mut self, context: u32, descriptors: Vec<Descriptor>) -> Result<(), NbdError> {
        if !self.agreed.contains(&context) || self.told.contains(&context) {
            return Err(NbdError::violation(format!(
                "the status of blocks in context {context}, again or unasked"
            )));
        }
        self.told.push(context);
        let (_, before_last) = descriptors
            .split_last()
            .ok_or_else(|| NbdError::violation("no extents"))?;
        let before_last: u64 = before_last.iter().map(|descriptor| u64::from(descriptor.length)).sum();
        // The last one may say more than was asked for, none may begin behind it.
        if before_last >= u64::from(self.length) {
            return Err(NbdError::violation("extents beyond what was asked about"));
        }
        if context == self.context {
            self.found = Some(descriptors);
        }
        Ok(())
    }

    /// The server could not tell.
    pub fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
    }

    /// The extents, or the failure; a violation ends the connection.
    pub fn finish(self) -> Result<Result<Vec<Descriptor>, NbdError>, NbdError> {
        if let Some(failure) = self.failure {
            return Ok(Err(failed("tell the status of blocks", self.offset, failure)));
        }
        let found = self
            .found
            .ok_or_else(|| NbdError::violation("no extents of the context asked about"));
        found.map(Ok)
    }
}

fn failed(doing: &'static str, offset: u64, failure: Failure) -> NbdError {
    NbdError::Server {
        doing,
        offset: failure.offset.unwrap_or(offset),
        errno: failure.errno,
        message: failure.message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Errno;

    fn failure(offset: Option<u64>) -> Failure {
        Failure {
            errno: Errno::Io,
            message: "gone".into(),
            offset,
        }
    }

    #[test]
    fn chunks_come_in_any_order() {
        let mut read = ReadAssembly::new(1000, 10);
        read.place(1006, 4).unwrap().copy_from_slice(b"6789");
        read.place(1000, 2).unwrap().copy_from_slice(b"01");
        read.hole(1003, 3).unwrap();
        read.place(1002, 1).unwrap().copy_from_slice(b"2");
        assert_eq!(read.finish().unwrap().unwrap(), &b"012\0\0\x006789"[..]);
    }

    #[test]
    fn chunks_that_do_not_fit_are_refused() {
        let cases = [
            (999, 1),
            (1000, 11),
            (1010, 1),
            (1004, 2),
            (1000, 5),
            (1003, 1),
            (0, u32::MAX),
            (u64::MAX, 1),
        ];
        for (offset, length) in cases {
            let mut read = ReadAssembly::new(1000, 10);
            read.hole(1003, 2).unwrap();
            let placed = read.place(offset, length).map(|_| ());
            assert!(matches!(placed, Err(NbdError::Violation(_))), "{length} at {offset}");
        }
    }

    #[test]
    fn an_answer_with_something_missing_is_none() {
        let mut read = ReadAssembly::new(0, 10);
        read.hole(0, 4).unwrap();
        read.hole(5, 5).unwrap();
        assert!(matches!(read.finish(), Err(NbdError::Violation(_))));
        assert!(matches!(ReadAssembly::new(0, 10).finish(), Err(NbdError::Violation(_))));
    }

    #[test]
    fn a_failure_counts_whatever_else_came() {
        let mut read = ReadAssembly::new(100, 10);
        read.hole(100, 10).unwrap();
        read.fail(failure(Some(107)));
        read.fail(failure(None));
        let Ok(Err(NbdError::Server {
            offset: 107,
            errno: Errno::Io,
            ..
        })) = read.finish()
        else {
            panic!("it failed at 107")
        };
    }

    #[test]
    fn pieces_are_not_without_number() {
        let mut read = ReadAssembly::new(0, 1 << 20);
        let refused = (0..1 << 19).find_map(|at| read.hole(at * 2, 1).err());
        assert!(refused.unwrap().to_string().contains("too many pieces"));
    }

    fn status(contexts: &[u32]) -> StatusAssembly {
        StatusAssembly::new(0, 100, 7, contexts.into())
    }

    fn extents(lengths: &[u32]) -> Vec<Descriptor> {
        lengths.iter().map(|&length| Descriptor { length, flags: 0 }).collect()
    }

    #[test]
    fn of_several_contexts_the_one_asked_about_is_answered() {
        let mut answer = status(&[7, 8]);
        answer.take(8, extents(&[50])).unwrap();
        answer.take(7, extents(&[99, 4000])).unwrap();
        assert_eq!(answer.finish().unwrap().unwrap(), extents(&[99, 4000]));
    }

    #[test]
    fn extents_that_do_not_fit_are_refused() {
        for (context, lengths) in [(7, &[100, 1][..]), (7, &[]), (9, &[1]), (7, &[u32::MAX, u32::MAX, 1])] {
            let taken = status(&[7, 8]).take(context, extents(lengths));
            assert!(matches!(taken, Err(NbdError::Violation(_))), "{context} {lengths:?}");
        }
        let mut twice = status(&[7]);
        twice.take(7, extents(&[1])).unwrap();
        assert!(twice.take(7, extents(&[1])).is_err());
        let mut other = status(&[7, 8]);
        other.take(8, extents(&[1])).unwrap();
        assert!(matches!(other.finish(), Err(NbdError::Violation(_))));
    }
}
