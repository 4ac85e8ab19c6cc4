//! The names of a recovery point, by path and by number.

use std::sync::Arc;

use strongroom_format::entry::{Entry, Kind, Node, Record, compare_paths};
use strongroom_format::point::PointHeader;
use strongroom_model::BlobId;
use strongroom_sources::files::ShownPath;

use super::Unreadable;
use super::blobs::Blobs;
use super::links::Links;
use super::page::{Inner, Page, is_name};
use super::streams::Streams;
use crate::leaves::is_at_or_below;

/// The names of one recovery point. Each has a number: its place in path order, from 0 on.
pub struct PointTree {
    pub(super) blobs: Arc<Blobs>,
    pub(super) root: BlobId,
    pub(super) links: Links,
    names: u64,
    bytes: u64,
    streams: Streams,
}

/// A leaf, and what comes before it.
pub(super) struct Leaf {
    page: Arc<Page>,
    /// The number of its first name.
    first: u64,
    /// How many bytes of the file of its first record come before that.
    pub(super) offset: u64,
}

impl Leaf {
    pub(super) fn records(&self) -> &[Entry] {
        records(&self.page)
    }
}

fn records(page: &Page) -> &[Entry] {
    match page {
        Page::Leaf(records) => records,
        Page::Inner(_) => &[],
    }
}

/// A name and what it stands for.
#[derive(Clone)]
pub struct Name {
    number: u64,
    page: Arc<Page>,
    at: usize,
}

impl Name {
    /// Its place among all names of the point.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Below "/".
    pub fn path(&self) -> &[u8] {
        &records(&self.page)[self.at].path
    }

    /// The last component of its path.
    pub fn last(&self) -> &[u8] {
        let path = self.path();
        path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
    }

    /// What is recorded of it. Of a file's contents perhaps only the beginning.
    pub fn node(&self) -> &Node {
        match &records(&self.page)[self.at].record {
            Record::Node(node) => node,
            Record::More(_) => unreachable!("only records of names become one"),
        }
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        matches!(self.node().kind, Kind::Directory)
    }

    /// Bytes of a file, holes included; of anything else 0.
    pub fn size(&self) -> u64 {
        match self.node().kind {
            Kind::File { size, .. } => size,
            _ => 0,
        }
    }
}

impl PointTree {
    pub(super) fn new(blobs: Arc<Blobs>, header: &PointHeader) -> Self {
        Self {
            blobs,
            root: header.root,
            links: Links::default(),
            names: header.files,
            bytes: header.total_bytes,
            streams: Streams::default(),
        }
    }

    /// How many names there are.
    pub fn names(&self) -> u64 {
        self.names
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The name with a number; `None` behind the last.
    pub async fn name(&self, number: u64) -> Result<Option<Name>, Unreadable> {
        let below = |inner: &Inner, first: u64| {
            let starts = |before: &u64| first.saturating_add(*before) <= number;
            inner.before.partition_point(starts)
        };
        let leaf = self.descend(below).await?;
        let mut names = leaf.records().iter().enumerate().filter(|(_, entry)| is_name(entry));
        let found = usize::try_from(number.saturating_sub(leaf.first))
            .ok()
            .and_then(|nth| names.nth(nth));
        Ok(found.map(|(at, _)| Name {
            number,
            at,
            page: leaf.page.clone(),
        }))
    }

    /// The name at a path.
    pub async fn find(&self, path: &[u8]) -> Result<Option<Name>, Unreadable> {
        let number = self.first_not(|other| compare_paths(other, path).is_lt()).await?;
        Ok(self.name(number).await?.filter(|name| name.path() == path))
    }

    /// What a name stands for: of a hard link the name that it is another name of.
    pub async fn meant(&self, name: Name) -> Result<Name, Unreadable> {
        let Kind::HardLink { target } = &name.node().kind else {
            return Ok(name);
        };
        let first = self.find(target).await?;
        let is_inode = |first: &Name| !matches!(first.node().kind, Kind::HardLink { .. } | Kind::Directory);
        first.filter(is_inode).ok_or_else(|| {
            let (path, target) = (ShownPath(name.path()), ShownPath(target));
            Unreadable::new(format!(
                "/{path} is another name of /{target}, which the recovery point does not have"
            ))
        })
    }

    /// The first name that lies directly in a folder ("" is the root) and has the number `from` or a higher one.
    pub async fn next_in(&self, folder: &[u8], mut from: u64) -> Result<Option<Name>, Unreadable> {
        while let Some(name) = self.name(from).await? {
            let Some(rest) = below(name.path(), folder) else {
                return Ok(None);
            };
            let Some(end) = rest.iter().position(|byte| *byte == b'/') else {
                return Ok(Some(name));
            };
            // It lies in a folder that has no record of its own, and cannot be reached.
            let beyond = &name.path()[..name.path().len() - rest.len() + end];
            from = self.first_beyond(beyond).await?.max(from + 1);
        }
        Ok(None)
    }

    /// The number of the first name that is neither this one nor lies below it.
    pub async fn after(&self, name: &Name) -> Result<u64, Unreadable> {
        match name.is_folder() {
            true => Ok(self.first_beyond(name.path()).await?.max(name.number + 1)),
            false => Ok(name.number + 1),
        }
    }

    async fn first_beyond(&self, path: &[u8]) -> Result<u64, Unreadable> {
        self.first_not(|other| compare_paths(other, path).is_le() || is_at_or_below(other, path))
            .await
    }

    /// The number of the first name of which `before` does not hold, which holds of the first names and of no others.
    async fn first_not(&self, before: impl Fn(&[u8]) -> bool) -> Result<u64, Unreadable> {
        let below = |inner: &Inner, _| inner.children.partition_point(|child| before(&child.path));
        let leaf = self.descend(below).await?;
        let names = leaf.records().iter().filter(|entry| is_name(entry));
        let count = names.take_while(|entry| before(&entry.path)).count();
        Ok(leaf.first + count as u64)
    }

    /// The leaf with the record that says what lies at `offset` of the file at `path`.
    pub(super) async fn leaf_of(&self, path: &[u8], offset: u64) -> Result<Leaf, Unreadable> {
        let begins = |inner: &Inner, _| {
            inner.children.partition_point(|child| {
                let order = compare_paths(&child.path, path);
                order.then(child.offset.cmp(&offset)).is_le()
            })
        };
        self.descend(begins).await
    }

    /// Goes down to a leaf. `count` says of an inner page, and of the number of the first name below it, how many of its
    /// children, the first ones, begin before or at what is looked for: that lies below the last of these.
    async fn descend(&self, count: impl Fn(&Inner, u64) -> usize) -> Result<Leaf, Unreadable> {
        let mut page = self.blobs.page(self.root, Vec::new).await?;
        let (mut first, mut offset) = (0_u64, 0);
        while let Page::Inner(inner) = &*page {
            let at = count(inner, first).saturating_sub(1);
            first = first.saturating_add(inner.before[at]);
            offset = inner.children[at].offset;
            page = self.child(inner, at, first).await?;
        }
        Ok(Leaf { page, first, offset })
    }

    /// A child of an inner page; its first name has the number `first`. For readers who go on and on the next leaves come with it.
    async fn child(&self, inner: &Inner, at: usize, first: u64) -> Result<Arc<Page>, Unreadable> {
        let along = || {
            if inner.level > 1 {
                return Vec::new();
            }
            let window = self.streams.window(first);
            let taken = inner.children[at..].iter().take(window);
            let names = taken.clone().map(|child| child.sums.entries);
            self.streams.went_on(names.fold(first, u64::saturating_add), window);
            taken.skip(1).map(|child| child.id).collect()
        };
        let child = &inner.children[at];
        let page = self.blobs.page(child.id, along).await?;
        if page.level() + 1 != inner.level || page.names() != child.sums.entries {
            let why = format!("page {} does not fit where it stands", child.id);
            return Err(Unreadable::new(why));
        }
        Ok(page)
    }
}

/// The part of a path that is below a folder.
fn below<'a>(path: &'a [u8], folder: &[u8]) -> Option<&'a [u8]> {
    match folder {
        b"" => Some(path),
        folder => path.strip_prefix(folder)?.strip_prefix(b"/"),
    }
}
