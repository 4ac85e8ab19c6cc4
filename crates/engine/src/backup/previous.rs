//! The records of the last recovery point, in path order, next to the walk.

use std::cmp::Ordering;
use std::collections::{HashSet, VecDeque};

use strongroom_format::entry::{Entry, Record, compare_paths};
use strongroom_format::leaf::LeafReader;
use strongroom_format::page::parse_visible;

use crate::scratch::{LastPoint, PageLogReader, Scratch, Unsure};

/// Streams through the last point's records. Damage ends it early: what follows counts as new.
#[derive(Debug, Default)]
pub struct Previous {
    pages: Option<PageLogReader>,
    records: VecDeque<Entry>,
    /// Paths whose records are not to be taken over.
    unsure: HashSet<Vec<u8>>,
}

impl Previous {
    /// Begins; without pages everything is new.
    pub fn new(last: Option<&LastPoint>, scratch: &Scratch) -> Self {
        let begun = last.and_then(|last| match &last.unsure {
            Unsure::All => None,
            Unsure::Paths(paths) => Some((last.pages(scratch)?, paths.iter().cloned().collect())),
        });
        begun.map_or_else(Self::default, |(pages, unsure)| Self {
            pages: Some(pages),
            records: VecDeque::new(),
            unsure,
        })
    }

    /// The records of the file at `path`, if the last point has it. Paths must come in path order.
    pub fn take(&mut self, path: &[u8]) -> Option<Vec<Entry>> {
        loop {
            let order = compare_paths(&self.peek()?.path, path);
            match order {
                Ordering::Less => drop(self.records.pop_front()),
                Ordering::Greater => return None,
                Ordering::Equal => {
                    let group = self.group();
                    return (!self.unsure.contains(path)).then_some(group);
                }
            }
        }
    }

    /// A record and its continuations.
    fn group(&mut self) -> Vec<Entry> {
        let mut group: Vec<Entry> = self.records.pop_front().into_iter().collect();
        while self.peek().is_some_and(|entry| matches!(entry.record, Record::More(_))) {
            group.extend(self.records.pop_front());
        }
        group
    }

    fn peek(&mut self) -> Option<&Entry> {
        while self.records.is_empty() {
            let frame = self.pages.as_mut()?.next();
            let records = frame.and_then(|frame| records(&frame));
            match records {
                Some(records) => self.records.extend(records),
                None => self.pages = None,
            }
        }
        self.records.front()
    }
}

fn records(frame: &[u8]) -> Option<Vec<Entry>> {
    let page = parse_visible(frame).ok()?;
    LeafReader::new(page.refs, page.sealed)
        .ok()?
        .collect::<Result<_, _>>()
        .ok()
}
