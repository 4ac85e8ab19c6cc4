//! How many names a file has. Only the later names of a file are recorded as such, anywhere in the tree, so that all of it
//! has to be read once to know.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex};

use strongroom_format::entry::{Kind, Record};
use strongroom_format::leaf::LeafReader;
use strongroom_format::page::parse_visible;

use super::tree::{Name, PointTree};
use crate::leaves::{Leaf, Leaves, Step, Wanted};

/// So many files with several names are counted, some 32 MiB; if there are more, nobody knows how many names a file has.
const LINKED_MAX: usize = 1 << 20;

/// How many further names the files of a point have.
#[derive(Default)]
pub struct Links {
    state: Mutex<State>,
    /// Paths are known by their hashes, under a key that nobody could have aimed at.
    hasher: RandomState,
}

#[derive(Default)]
enum State {
    #[default]
    Unasked,
    BeingCounted,
    /// By the hash of the path of the first name.
    Counted(HashMap<u64, u32>),
    Unknown,
}

impl PointTree {
    /// How many names a file, link or device has, if that is known: the first who asks has them counted.
    pub fn names_of(self: &Arc<Self>, name: &Name) -> Option<u32> {
        let mut state = self.links.state.lock().expect("no thread panicked here");
        match &*state {
            State::Counted(counts) => {
                let further = counts.get(&self.links.hasher.hash_one(name.path()));
                return Some(further.map_or(1, |further| further.saturating_add(1)));
            }
            State::BeingCounted | State::Unknown => return None,
            State::Unasked => *state = State::BeingCounted,
        }
        drop(state);
        let tree = self.clone();
        tokio::spawn(async move {
            let counted = tree.count_links().await;
            *tree.links.state.lock().expect("no thread panicked here") = counted;
        });
        None
    }

    async fn count_links(&self) -> State {
        let blobs = &self.blobs;
        let begun = Leaves::begin(blobs.reader.clone(), &blobs.keys, self.root, Wanted::default()).await;
        let Ok(mut leaves) = begun else { return State::Unasked };
        let mut counts = HashMap::new();
        loop {
            let readable = match leaves.next().await {
                // The service is away: whoever asks later has it done again.
                Err(_) => return State::Unasked,
                Ok(None) => return State::Counted(counts),
                Ok(Some(Step::Lost(_))) => false,
                Ok(Some(Step::Inner(_))) => true,
                Ok(Some(Step::Leaf(leaf))) => self.count(&leaf, &mut counts),
            };
            if !readable || counts.len() > LINKED_MAX {
                return State::Unknown;
            }
        }
    }

    /// Whether the leaf could be read.
    fn count(&self, leaf: &Leaf, counts: &mut HashMap<u64, u32>) -> bool {
        let page = parse_visible(&leaf.stored).expect("it was parsed when it was opened");
        let Ok(records) = LeafReader::new(page.refs, &leaf.plain) else {
            return false;
        };
        for entry in records {
            let Ok(entry) = entry else { return false };
            if let Record::Node(node) = &entry.record
                && let Kind::HardLink { target } = &node.kind
            {
                let count = counts
                    .entry(self.links.hasher.hash_one(target.as_slice()))
                    .or_insert(0_u32);
                *count = count.saturating_add(1);
            }
        }
        true
    }
}
