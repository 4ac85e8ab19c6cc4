//! What is different in another recovery point.
//!
//! Both trees are read from the top, level by level. A page that both have at a level stands for the same entries, so
//! that neither it nor anything below it is read: the cost is that of what differs.

use std::cmp::Ordering;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use strongroom_format::entry::{Content, Entry, Kind, Node, Record, compare_paths};
use strongroom_format::leaf::LeafReader;
use strongroom_format::page::parse_visible;
use strongroom_format::tree::parse_inner;
use strongroom_model::BlobId;
use strongroom_seal::DataKeys;

use crate::error::EngineError;
use crate::keys::add_extent;
use crate::leaves::Wanted;
use crate::listing::{Listed, list};
use crate::pages::{PAGES_AT_ONCE, Page, Pages};
use crate::point::OpenPoint;
use crate::remote::VaultReader;

/// No more pages of one level are compared: at some hundred names a leaf, that is a hundred million names that differ.
const PAGES_MAX: usize = 1 << 18;

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Only the later point has it.
    Added,
    /// Only the earlier point has it.
    Removed,
    /// It has other contents, leads elsewhere, or is something else.
    Changed,
    /// The contents are the same; owner, mode, time or other attributes are not.
    Attributes,
}

/// What a comparison comes upon.
#[derive(Debug)]
pub enum Differing {
    /// An entry: as the later point has it, or if that has it no more, the earlier.
    Entry(Change, Box<Entry>),
    /// A stretch of one of the trees that cannot be read: why.
    Lost(String),
}

/// Calls `each` for every entry at or below `paths` (all if empty) that differs, in path order.
pub async fn compare(
    reader: &Arc<dyn VaultReader>,
    keys: &DataKeys,
    points: [&OpenPoint; 2],
    paths: Vec<Vec<u8>>,
    mut each: impl FnMut(Differing),
) -> Result<(), EngineError> {
    let mut pages = Pages::new(reader.clone(), keys);
    let wanted = Wanted { paths };
    let roots = points.map(|point| point.header.root);
    let [earlier, later] = different_leaves(&mut pages, roots, &wanted, &mut each).await?;
    let mut sides = [Side::new(earlier, wanted.clone()), Side::new(later, wanted)];
    loop {
        for side in &mut sides {
            side.fill(&mut pages, &mut each).await?;
        }
        let [earlier, later] = &mut sides;
        let order = match (earlier.ready.front(), later.ready.front()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(earlier), Some(later)) => compare_paths(&earlier.path, &later.path),
        };
        let was = if order.is_le() { earlier.ready.pop_front() } else { None };
        let is = if order.is_ge() { later.ready.pop_front() } else { None };
        let Some((change, path, node)) = change(was, is) else {
            continue;
        };
        let entry = match node {
            Some(node) => Some(Entry {
                path,
                record: Record::Node(node),
            }),
            None => find(reader, keys, points[1], path).await?,
        };
        if let Some(entry) = entry {
            each(Differing::Entry(change, Box::new(entry)));
        }
    }
    for remark in pages.take_remarks() {
        each(Differing::Lost(remark));
    }
    Ok(())
}

/// The entry of one path.
async fn find(
    reader: &Arc<dyn VaultReader>,
    keys: &DataKeys,
    point: &OpenPoint,
    path: Vec<u8>,
) -> Result<Option<Entry>, EngineError> {
    let mut found = None;
    let each = |listed| match listed {
        Listed::Entry(entry) if entry.path == path => found = Some(*entry),
        _ => {}
    };
    list(reader, keys, point, vec![path.clone()], each).await?;
    Ok(found)
}

/// The leaves that only one of the trees has, in path order.
async fn different_leaves(
    pages: &mut Pages,
    roots: [BlobId; 2],
    wanted: &Wanted,
    each: &mut impl FnMut(Differing),
) -> Result<[Vec<BlobId>; 2], EngineError> {
    if roots[0] == roots[1] {
        return Ok([Vec::new(), Vec::new()]);
    }
    let mut levels = [
        Level::root(pages, roots[0], each).await?,
        Level::root(pages, roots[1], each).await?,
    ];
    while levels.iter().any(|level| level.number > 0) {
        let highest = levels.iter().map(|level| level.number).max().unwrap_or(0);
        for level in &mut levels {
            if level.number == highest {
                level.descend(pages, wanted, each).await?;
            }
        }
        drop_equal(&mut levels);
    }
    Ok(levels.map(|level| level.pages))
}

fn drop_equal([one, other]: &mut [Level; 2]) {
    if one.number != other.number {
        return;
    }
    let left: HashSet<BlobId> = one.pages.iter().copied().collect();
    let both: HashSet<BlobId> = other.pages.iter().copied().filter(|id| left.contains(id)).collect();
    for level in [one, other] {
        level.pages.retain(|id| !both.contains(id));
    }
}

/// Pages of one level of a tree, in path order.
struct Level {
    number: u8,
    pages: Vec<BlobId>,
}

impl Level {
    async fn root(pages: &mut Pages, root: BlobId, each: &mut impl FnMut(Differing)) -> Result<Self, EngineError> {
        let page = pages.get(vec![root]).await?.remove(&root);
        let number = match page {
            Some(Ok(page)) => page.level,
            Some(Err(why)) => {
                each(Differing::Lost(why));
                return Ok(Self {
                    number: 0,
                    pages: Vec::new(),
                });
            }
            None => 0,
        };
        Ok(Self {
            number,
            pages: vec![root],
        })
    }

    /// Goes one level down.
    async fn descend(
        &mut self,
        pages: &mut Pages,
        wanted: &Wanted,
        each: &mut impl FnMut(Differing),
    ) -> Result<(), EngineError> {
        let mut below = Vec::new();
        for ids in self.pages.chunks(PAGES_AT_ONCE) {
            let found = pages.get(ids.to_vec()).await?;
            for id in ids {
                let page = found.get(id).expect("each was answered");
                match page
                    .as_ref()
                    .map_err(String::clone)
                    .and_then(|page| children(page, self.number, wanted))
                {
                    Ok(children) => below.extend(children),
                    Err(why) => each(Differing::Lost(why)),
                }
            }
            if below.len() > PAGES_MAX {
                return Err(EngineError::TooDifferent);
            }
        }
        self.number -= 1;
        self.pages = below;
        Ok(())
    }
}

fn children(page: &Page, level: u8, wanted: &Wanted) -> Result<Vec<BlobId>, String> {
    if page.level != level {
        return Err(format!("a page of level {} is in the wrong place", page.level));
    }
    let visible = parse_visible(&page.stored).map_err(|error| error.to_string())?;
    let children = parse_inner(visible.refs, &page.plain).map_err(|error| error.to_string())?;
    let until = |at: usize| children.get(at + 1).map(|next| next.path.as_slice());
    let touched = children.iter().enumerate();
    let touched = touched.filter(|(at, child)| wanted.touches(&child.path, until(*at)));
    Ok(touched.map(|(_, child)| child.id).collect())
}

/// All records of one path that lie in pages which only one of the trees has.
struct Joined {
    path: Vec<u8>,
    node: Option<Box<Node>>,
    /// Of the extents that further records tell of.
    more: blake3::Hasher,
}

/// One of the trees, read in path order.
struct Side {
    leaves: VecDeque<BlobId>,
    wanted: Wanted,
    ready: VecDeque<Joined>,
}

impl Side {
    fn new(leaves: Vec<BlobId>, wanted: Wanted) -> Self {
        Self {
            leaves: leaves.into(),
            wanted,
            ready: VecDeque::new(),
        }
    }

    /// Sees to it that the first path is complete: as long as there are leaves, a second one follows it.
    async fn fill(&mut self, pages: &mut Pages, each: &mut impl FnMut(Differing)) -> Result<(), EngineError> {
        while self.ready.len() < 2 && !self.leaves.is_empty() {
            let count = PAGES_AT_ONCE.min(self.leaves.len());
            let ids: Vec<BlobId> = self.leaves.drain(..count).collect();
            let found = pages.get(ids.clone()).await?;
            for id in ids {
                match found.get(&id).expect("each was answered") {
                    Ok(page) => self.read(id, page, each),
                    Err(why) => each(Differing::Lost(why.clone())),
                }
            }
        }
        Ok(())
    }

    fn read(&mut self, id: BlobId, page: &Page, each: &mut impl FnMut(Differing)) {
        let mut damaged =
            |error: &dyn std::fmt::Display| each(Differing::Lost(format!("page {id} is damaged: {error}")));
        let Ok(visible) = parse_visible(&page.stored) else {
            return;
        };
        let records = match LeafReader::new(visible.refs, &page.plain) {
            Ok(records) => records,
            Err(error) => return damaged(&error),
        };
        for entry in records {
            match entry {
                Ok(entry) if self.wanted.covers(&entry.path) => self.join(entry),
                Ok(_) => {}
                Err(error) => damaged(&error),
            }
        }
    }

    fn join(&mut self, entry: Entry) {
        let Entry { path, record } = entry;
        let is_next = self.ready.back().is_none_or(|last| last.path != path);
        if is_next {
            self.ready.push_back(Joined {
                path,
                node: None,
                more: blake3::Hasher::new(),
            });
        }
        let last = self.ready.back_mut().expect("there is one now");
        match record {
            Record::Node(node) => last.node = Some(node),
            Record::More(content) => content
                .extents
                .iter()
                .for_each(|extent| add_extent(&mut last.more, extent)),
        }
    }
}

/// What became of a path, and how it is now, or was. Without a node: that lies in a page which both trees have.
type Changed = (Change, Vec<u8>, Option<Box<Node>>);

/// What became of a path. Where one side has a part of a file's records only, the other part is equal on both.
fn change(was: Option<Joined>, is: Option<Joined>) -> Option<Changed> {
    match (was, is) {
        (None, None) => None,
        (Some(Joined { path, node: None, .. }), None) | (None, Some(Joined { path, node: None, .. })) => {
            Some((Change::Changed, path, None))
        }
        (Some(was), None) => Some((Change::Removed, was.path, was.node)),
        (None, Some(is)) => Some((Change::Added, is.path, is.node)),
        (Some(was), Some(is)) => {
            let same_more = was.more.finalize() == is.more.finalize();
            let change = match (&was.node, &is.node) {
                (None, None) if same_more => return None,
                (Some(before), Some(now)) if same_more && same_contents(&before.kind, &now.kind) => {
                    if same_attributes(before, now) {
                        return None;
                    }
                    Change::Attributes
                }
                _ => Change::Changed,
            };
            Some((change, is.path, is.node.or(was.node)))
        }
    }
}

fn same_contents(was: &Kind, is: &Kind) -> bool {
    fn hash(content: &Content) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        content
            .extents
            .iter()
            .for_each(|extent| add_extent(&mut hasher, extent));
        hasher.finalize()
    }
    match (was, is) {
        (
            Kind::File {
                size: was,
                content: before,
            },
            Kind::File { size: is, content: now },
        ) => was == is && hash(before) == hash(now),
        (was, is) => was == is,
    }
}

/// What a restore gives an entry beside its contents. Inode, device and time of last change of attributes do not count.
fn same_attributes(was: &Node, is: &Node) -> bool {
    (was.mode, &was.owner, was.mtime, &was.attributes) == (is.mode, &is.owner, is.mtime, &is.attributes)
}
