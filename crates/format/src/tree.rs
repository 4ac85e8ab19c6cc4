//! The tree of pages: a B-tree whose shape depends on its contents only (a *prolly tree*).
//!
//! A page ends after an entry whose keyed hash says so, on average every [`FANOUT`] entries, so an insertion changes one
//! page and its ancestors. Above the leaves the same rule cuts the lists of children. What is hashed is at `boundary_key`.
//!
//! ```text
//! inner := version:u8 child*      child := shared:varint suffix:counted offset:varint entries:varint bytes:varint
//! ```
//!
//! A child names the first record below it: its path, and how many bytes of the file come before it (0, but in the middle
//! of a large file); then how many entries and how many bytes of files lie below.

use strongroom_model::BlobId;

use crate::entry::{Entry, Kind, MalformedEntry, PATH_BYTES_MAX, Record, compare_paths, is_plain_path};
use crate::leaf::LeafBuilder;
use crate::page::{LEVEL_MAX, Refs};
use crate::wire::{Malformed, Reader, put_path, put_varint};

/// How many entries or children a page has on average.
pub const FANOUT: u64 = 64;
/// A page ends when its plain bytes reach this, whatever the hash says.
pub const PAGE_BYTES_TARGET: usize = 64 << 10;
/// A leaf ends when it refers to so many chunks, whatever the hash says.
pub const LEAF_CHUNKS_TARGET: usize = 4096;
/// A leaf ends when its paths, each counted in full, reach this, whatever the hash says.
pub const LEAF_PATHS_TARGET: usize = 1 << 20;
/// No inner page is longer when opened.
pub const INNER_BYTES_MAX: usize = 4 << 20;
/// The paths of one inner page, written out, have no more bytes: its children are two at least, whatever their paths.
pub const INNER_PATH_BYTES_MAX: usize = PAGE_BYTES_TARGET + 2 * PATH_BYTES_MAX;

const VERSION: u8 = 1;

/// What a tree builder asks of its owner.
pub trait PageSink {
    /// Why a page could not be taken.
    type Error;

    /// A keyed hash of `key`: 64 bits.
    fn boundary(&self, key: &[u8]) -> u64;

    /// Takes a finished page: its level, what it refers to, and its plain bytes. Returns its identity.
    fn page(&mut self, level: u8, refs: Vec<BlobId>, plain: Vec<u8>) -> Result<BlobId, Self::Error>;
}

/// What lies below a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Names: files, folders, links, devices.
    pub entries: u64,
    /// Bytes of files, holes included.
    pub bytes: u64,
}

impl Sums {
    fn add(&mut self, other: Sums) {
        self.entries = self.entries.saturating_add(other.entries);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// A child of an inner page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// The page.
    pub id: BlobId,
    /// The path of the first record below.
    pub path: Vec<u8>,
    /// Bytes of that file before the first record.
    pub offset: u64,
    /// What lies below.
    pub sums: Sums,
}

/// Builds the pages of a recovery point from its records in path order.
#[derive(Debug)]
pub struct TreeBuilder<S> {
    sink: S,
    leaf: LeafBuilder,
    /// The place of the first record of the open leaf.
    first: Place,
    /// The place of the record after the last one.
    next: Place,
    leaf_sums: Sums,
    /// `inner[n]` collects pages of level n.
    inner: Vec<Inner>,
    total: Sums,
}

#[derive(Clone, Debug, Default)]
struct Place {
    path: Vec<u8>,
    offset: u64,
}

#[derive(Debug, Default)]
struct Inner {
    children: Vec<Child>,
    bytes: usize,
}

impl<S: PageSink> TreeBuilder<S> {
    /// An empty tree.
    pub fn new(sink: S) -> Self {
        let (leaf, first, next) = (LeafBuilder::default(), Place::default(), Place::default());
        Self {
            sink,
            leaf,
            first,
            next,
            leaf_sums: Sums::default(),
            inner: Vec::new(),
            total: Sums::default(),
        }
    }

    /// Appends a record that passes [`Entry::check`]; they come in path order.
    pub fn push(&mut self, entry: &Entry) -> Result<(), S::Error> {
        self.place(entry);
        if self.leaf.is_empty() {
            self.first.clone_from(&self.next);
        }
        self.leaf.push(entry);
        self.count(entry);
        if leaf_is_full(&self.leaf) || self.is_boundary(0, &self.next) {
            self.close_leaf()?;
        }
        self.next.offset = self.next.offset.saturating_add(content_length(entry));
        Ok(())
    }

    /// Closes all pages: the root, what lies below it, and the sink.
    pub fn finish(mut self) -> Result<(BlobId, Sums, S), S::Error> {
        if !self.leaf.is_empty() || self.inner.is_empty() {
            self.close_leaf()?;
        }
        let mut level = 0;
        loop {
            let children = &self.inner[level].children;
            if level + 1 == self.inner.len() && children.len() == 1 {
                return Ok((children[0].id, self.total, self.sink));
            }
            if !children.is_empty() {
                self.close_inner(level)?;
            }
            level += 1;
        }
    }

    /// The sink, for what its owner wants to know of it meanwhile.
    pub fn sink(&mut self) -> &mut S {
        &mut self.sink
    }

    fn is_boundary(&self, level: u8, place: &Place) -> bool {
        let hash = self.sink.boundary(&boundary_key(level, place));
        hash.is_multiple_of(FANOUT)
    }

    fn place(&mut self, entry: &Entry) {
        if matches!(entry.record, Record::Node(_)) {
            self.next.path.clone_from(&entry.path);
            self.next.offset = 0;
        }
    }

    fn count(&mut self, entry: &Entry) {
        let Record::Node(node) = &entry.record else { return };
        let bytes = if let Kind::File { size, .. } = node.kind {
            size
        } else {
            0
        };
        self.leaf_sums.add(Sums { entries: 1, bytes });
        self.total.add(Sums { entries: 1, bytes });
    }

    fn close_leaf(&mut self) -> Result<(), S::Error> {
        let (refs, plain) = std::mem::take(&mut self.leaf).finish();
        let id = self.sink.page(0, refs, plain)?;
        let Place { path, offset } = self.first.clone();
        let sums = std::mem::take(&mut self.leaf_sums);
        self.add_child(0, Child { id, path, offset, sums })
    }

    fn add_child(&mut self, level: usize, child: Child) -> Result<(), S::Error> {
        if self.inner.len() == level {
            self.inner.push(Inner::default());
        }
        let place = Place {
            path: child.path.clone(),
            offset: child.offset,
        };
        let inner = &mut self.inner[level];
        inner.bytes += child.path.len() + 48;
        inner.children.push(child);
        let full = inner.bytes >= PAGE_BYTES_TARGET;
        // At least two children, so that every level is at most half as long as the one below.
        let may_end = inner.children.len() > 1 && level + 1 < usize::from(LEVEL_MAX);
        let ends = full || self.is_boundary(level as u8 + 1, &place);
        if may_end && ends {
            self.close_inner(level)
        } else {
            Ok(())
        }
    }

    fn close_inner(&mut self, level: usize) -> Result<(), S::Error> {
        let children = std::mem::take(&mut self.inner[level]).children;
        let mut sums = Sums::default();
        children.iter().for_each(|child| sums.add(child.sums));
        let refs = children.iter().map(|child| child.id).collect();
        let id = self.sink.page(level as u8 + 1, refs, encode_inner(&children))?;
        let Child { path, offset, .. } = children
            .into_iter()
            .next()
            .expect("only pages with children are closed");
        self.add_child(level + 1, Child { id, path, offset, sums })
    }
}

fn leaf_is_full(leaf: &LeafBuilder) -> bool {
    leaf.len_bytes() >= PAGE_BYTES_TARGET
        || leaf.chunk_count() >= LEAF_CHUNKS_TARGET
        || leaf.path_bytes() >= LEAF_PATHS_TARGET
}

fn content_length(entry: &Entry) -> u64 {
    match &entry.record {
        Record::More(content) => content.length(),
        Record::Node(node) => match &node.kind {
            Kind::File { content, .. } => content.length(),
            _ => 0,
        },
    }
}

/// What is hashed to tell whether a page ends: the level of the page, the path of its last record or child, a NUL, and how
/// many bytes of that file come before it.
fn boundary_key(level: u8, place: &Place) -> Vec<u8> {
    let mut key = Vec::with_capacity(place.path.len() + 10);
    key.push(level);
    key.extend_from_slice(&place.path);
    key.push(0);
    key.extend_from_slice(&place.offset.to_le_bytes());
    key
}

/// The plain bytes of an inner page.
pub fn encode_inner(children: &[Child]) -> Vec<u8> {
    let mut out = vec![VERSION];
    let mut before: &[u8] = &[];
    for child in children {
        put_path(&mut out, before, &child.path);
        for number in [child.offset, child.sums.entries, child.sums.bytes] {
            put_varint(&mut out, number);
        }
        before = &child.path;
    }
    out
}

/// Reads an inner page: the references of its visible part, and the opened bytes of its sealed one.
pub fn parse_inner(refs: Refs<'_>, plain: &[u8]) -> Result<Vec<Child>, Malformed> {
    if plain.len() > INNER_BYTES_MAX {
        return Err(Malformed::TooLong);
    }
    let mut reader = Reader::new(plain);
    reader.version(VERSION)?;
    let mut children: Vec<Child> = Vec::new();
    let mut path_bytes = 0;
    for id in refs.iter() {
        let child = child(&mut reader, id, children.last())?;
        path_bytes += child.path.len();
        if path_bytes > INNER_PATH_BYTES_MAX {
            return Err(Malformed::TooLong);
        }
        children.push(child);
    }
    reader.end()?;
    if children.is_empty() {
        return Err(MalformedEntry::Reference.into());
    }
    Ok(children)
}

fn child(reader: &mut Reader<'_>, id: BlobId, before: Option<&Child>) -> Result<Child, Malformed> {
    let path = reader.path(before.map_or(&[], |before| &before.path), PATH_BYTES_MAX)?;
    if !is_plain_path(&path) {
        return Err(MalformedEntry::Path.into());
    }
    let offset = reader.varint()?;
    let comes_after = |before: &Child| {
        let order = compare_paths(&before.path, &path);
        order.then(before.offset.cmp(&offset)).is_lt()
    };
    if !before.is_none_or(comes_after) {
        return Err(MalformedEntry::Order.into());
    }
    let sums = Sums {
        entries: reader.varint()?,
        bytes: reader.varint()?,
    };
    Ok(Child { id, path, offset, sums })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;
    use crate::leaf::tests::{any_entries, file, read};
    use crate::page::{parse_visible, put_visible};

    /// Keeps pages unsealed: an identity is the hash of visible and plain bytes.
    #[derive(Default)]
    struct Pages(BTreeMap<BlobId, (u8, Vec<BlobId>, Vec<u8>)>);

    impl PageSink for Pages {
        type Error = Infallible;

        fn boundary(&self, key: &[u8]) -> u64 {
            u64::from_le_bytes(blake3::hash(key).as_bytes()[..8].try_into().unwrap())
        }

        fn page(&mut self, level: u8, refs: Vec<BlobId>, plain: Vec<u8>) -> Result<BlobId, Infallible> {
            let mut bytes = Vec::new();
            put_visible(&mut bytes, level, &refs);
            bytes.extend_from_slice(&plain);
            let id = crate::blob_id(&bytes);
            self.0.insert(id, (level, refs, plain));
            Ok(id)
        }
    }

    fn build(entries: &[Entry]) -> (BlobId, Sums, Pages) {
        let mut builder = TreeBuilder::new(Pages::default());
        entries.iter().for_each(|entry| builder.push(entry).unwrap());
        builder.finish().unwrap()
    }

    fn walk(pages: &Pages, id: BlobId, out: &mut Vec<Entry>) {
        let (level, refs, plain) = &pages.0[&id];
        if *level == 0 {
            return out.extend(read(refs, plain).unwrap());
        }
        let mut visible = Vec::new();
        put_visible(&mut visible, *level, refs);
        for child in parse_inner(parse_visible(&visible).unwrap().refs, plain).unwrap() {
            assert_eq!(pages.0[&child.id].0, level - 1);
            let from = out.len();
            walk(pages, child.id, out);
            assert_eq!((out[from].path.as_slice(), child.offset), (child.path.as_slice(), 0));
            assert_eq!(child.sums.entries, (out.len() - from) as u64);
        }
    }

    fn many(count: usize) -> Vec<Entry> {
        (0..count)
            .map(|n| file(&format!("d/{n:06}"), 1 + n as u32 % 999))
            .collect()
    }

    #[test]
    fn large_trees_come_back_whole() {
        for count in [0, 1, 2, 100, 20_000] {
            let entries = many(count);
            let (root, sums, pages) = build(&entries);
            let mut found = Vec::new();
            walk(&pages, root, &mut found);
            assert!(found == entries, "{count} entries");
            assert_eq!(sums.entries, count as u64);
        }
    }

    #[test]
    fn an_insertion_changes_one_page_and_its_ancestors() {
        let entries = many(20_000);
        let (_, _, before) = build(&entries);
        let height = before.0.values().map(|page| page.0).max().unwrap() as usize + 1;
        for at in [0, 777, 12_345, 20_000] {
            let mut edited = entries.clone();
            edited.insert(at, file(&format!("d/{:06}x", at.saturating_sub(1)), 5));
            edited.sort_by(|a, b| crate::entry::compare_paths(&a.path, &b.path));
            let (_, _, after) = build(&edited);
            let old: BTreeSet<_> = before.0.keys().collect();
            let new = after.0.keys().filter(|id| !old.contains(id)).count();
            // Each level gets one changed page, or two where the new entry itself ends a page.
            assert!(
                (height..=2 * height).contains(&new),
                "{new} new pages, height {height}, at {at}"
            );
        }
    }

    #[test]
    fn damaged_inner_pages_are_refused_or_read_but_never_panic() {
        let (_, _, pages) = build(&many(3000));
        let (level, refs, plain) = pages.0.values().find(|page| page.0 > 0).unwrap();
        let mut visible = Vec::new();
        put_visible(&mut visible, *level, refs);
        let refs = parse_visible(&visible).unwrap().refs;
        for at in 0..plain.len() {
            let mut damaged = plain.clone();
            damaged[at] ^= 0x81;
            let _ = parse_inner(refs, &damaged);
            assert!(parse_inner(refs, &plain[..at]).is_err());
        }
    }

    proptest! {
        #[test]
        fn equal_input_gives_equal_identities_and_comes_back(entries in any_entries(200)) {
            let (root, _, pages) = build(&entries);
            prop_assert_eq!(build(&entries).0, root);
            let mut found = Vec::new();
            walk(&pages, root, &mut found);
            prop_assert_eq!(found, entries);
        }
    }
}
