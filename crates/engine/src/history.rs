//! Search over recovery points: which versions of an entry there were, and from when to when.
//!
//! Pages are named by their contents, so that a page which two recovery points share is fetched and looked through once.
//! Of each further point only the pages cost anything that no point before it had.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use strongroom_format::entry::{Entry, Kind, Node, Record};
use strongroom_format::leaf::LeafReader;
use strongroom_format::page::parse_visible;
use strongroom_model::{BlobId, PointId};
use strongroom_seal::DataKeys;
use strongroom_sources::files::Patterns;

use crate::error::EngineError;
use crate::keys::add_extent;
use crate::pages::{PAGES_AT_ONCE, Page, Pages};
use crate::point::OpenPoint;
use crate::remote::VaultReader;

/// More versions are not listed: the pattern says too little.
pub const VERSIONS_MAX: usize = 100_000;
/// So many pages are remembered; with more, all of them are looked through again for the next point.
const PAGES_MAX: usize = 1 << 18;

/// One version of an entry, in the recovery points of one machine.
#[derive(Clone, Debug)]
pub struct Version {
    /// Its path and what is recorded, without contents.
    pub entry: Entry,
    /// The machine that had it.
    pub machine: String,
    /// The first recovery point that has it.
    pub first: Seen,
    /// The last one.
    pub last: Seen,
    /// How many have it.
    pub points: u64,
}

/// A recovery point, as far as a version tells of it.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// The point.
    pub point: PointId,
    /// When it was made.
    pub created: Timestamp,
}

/// A search under way.
pub struct History {
    pages: Pages,
    patterns: Patterns,
    /// What fits, each once.
    found: Vec<Entry>,
    /// Where in `found`, by everything that makes a version.
    places: HashMap<blake3::Hash, u32>,
    /// What lies at and below the pages that were looked through.
    below: HashMap<BlobId, Arc<[u32]>>,
    /// In the order in which they were found: what, and whose.
    versions: Vec<Version>,
    by_machine: HashMap<(u32, String), usize>,
    /// What could not be read, and why.
    lost: Vec<String>,
}

impl History {
    /// Begins a search for what fits a pattern of [`Patterns`], looked at from the root.
    pub fn new(reader: Arc<dyn VaultReader>, keys: &DataKeys, patterns: Patterns) -> Self {
        Self {
            pages: Pages::new(reader, keys),
            patterns,
            found: Vec::new(),
            places: HashMap::new(),
            below: HashMap::new(),
            versions: Vec::new(),
            by_machine: HashMap::new(),
            lost: Vec::new(),
        }
    }

    /// Looks through the next recovery point; they come oldest first.
    pub async fn look_through(&mut self, point: &OpenPoint) -> Result<(), EngineError> {
        if self.below.len() > PAGES_MAX {
            self.below.clear();
        }
        let inner = self.read_unknown(point.header.root).await?;
        self.sum_up(inner);
        let root = self.below.get(&point.header.root).cloned().unwrap_or_default();
        let seen = Seen {
            point: point.header.point,
            created: point.header.created,
        };
        for &place in root.iter() {
            self.note(place, &point.body.machine, seen);
        }
        Ok(())
    }

    /// All versions, by path, oldest first, and what could not be read.
    pub fn finish(self) -> (Vec<Version>, Vec<String>) {
        let mut versions = self.versions;
        versions.sort_by(|a, b| {
            let path = strongroom_format::entry::compare_paths(&a.entry.path, &b.entry.path);
            path.then_with(|| (&a.machine, a.first.created).cmp(&(&b.machine, b.first.created)))
        });
        (versions, self.lost)
    }

    /// Reads the pages at and below `root` that are not known yet. Returns the inner ones with what they refer to, the
    /// highest first.
    async fn read_unknown(&mut self, root: BlobId) -> Result<Vec<(BlobId, Vec<BlobId>)>, EngineError> {
        let (mut inner, mut level) = (Vec::new(), vec![root]);
        while !level.is_empty() {
            level.retain(|id| !self.below.contains_key(id));
            let mut next = Vec::new();
            for ids in level.chunks(PAGES_AT_ONCE) {
                for (id, page) in self.pages.get(ids.to_vec()).await? {
                    match page {
                        Err(why) => self.lost.push(why),
                        Ok(page) if page.level == 0 => self.look_at(id, &page)?,
                        Ok(page) => {
                            let visible = parse_visible(&page.stored).expect("it was parsed when it was opened");
                            next.extend(visible.refs.iter());
                            inner.push((id, visible.refs.iter().collect()));
                        }
                    }
                }
            }
            level = next;
        }
        self.lost.extend(self.pages.take_remarks());
        Ok(inner)
    }

    /// Looks through a leaf.
    fn look_at(&mut self, id: BlobId, page: &Page) -> Result<(), EngineError> {
        let visible = parse_visible(&page.stored).expect("it was parsed when it was opened");
        let mut places = Vec::new();
        match LeafReader::new(visible.refs, &page.plain) {
            Err(error) => self.lost.push(format!("page {id} is damaged: {error}")),
            Ok(records) => {
                for entry in records {
                    match entry {
                        Err(error) => self.lost.push(format!("page {id} is damaged: {error}")),
                        Ok(entry) => places.extend(self.place_of(entry)?),
                    }
                }
            }
        }
        self.below.insert(id, places.into());
        Ok(())
    }

    /// Where the version is that an entry is, if it fits.
    fn place_of(&mut self, mut entry: Entry) -> Result<Option<u32>, EngineError> {
        let Record::Node(node) = &mut entry.record else {
            return Ok(None);
        };
        if !self.patterns.fit(&entry.path, 0, matches!(node.kind, Kind::Directory)) {
            return Ok(None);
        }
        let version = version_of(&entry.path, node);
        if let Kind::File { content, .. } = &mut node.kind {
            content.extents = Vec::new();
        }
        node.attributes = Vec::new();
        if let Some(place) = self.places.get(&version) {
            return Ok(Some(*place));
        }
        if self.found.len() >= VERSIONS_MAX {
            return Err(EngineError::TooManyVersions);
        }
        let place = self.found.len() as u32;
        self.found.push(entry);
        self.places.insert(version, place);
        Ok(Some(place))
    }

    /// From the lowest inner page to the root.
    fn sum_up(&mut self, inner: Vec<(BlobId, Vec<BlobId>)>) {
        for (id, refs) in inner.into_iter().rev() {
            let below = refs.iter().filter_map(|id| self.below.get(id));
            let mut places: Vec<u32> = below.flat_map(|places| places.iter().copied()).collect();
            places.sort_unstable();
            places.dedup();
            self.below.insert(id, places.into());
        }
    }

    fn note(&mut self, place: u32, machine: &str, seen: Seen) {
        let key = (place, machine.to_owned());
        if let Some(&at) = self.by_machine.get(&key) {
            let version = &mut self.versions[at];
            version.last = seen;
            version.points += 1;
            return;
        }
        self.by_machine.insert(key, self.versions.len());
        self.versions.push(Version {
            entry: self.found[place as usize].clone(),
            machine: machine.to_owned(),
            first: seen,
            last: seen,
            points: 1,
        });
    }
}

/// What makes a version: path, kind, size, time of last change, and the contents that the first record tells of.
fn version_of(path: &[u8], node: &Node) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(path.len() as u64).to_le_bytes());
    hasher.update(path);
    hasher.update(&node.mtime.seconds.to_le_bytes());
    hasher.update(&node.mtime.nanoseconds.to_le_bytes());
    match &node.kind {
        Kind::File { size, content } => {
            hasher.update(&size.to_le_bytes());
            content
                .extents
                .iter()
                .for_each(|extent| add_extent(&mut hasher, extent));
        }
        other => {
            hasher.update(format!("{other:?}").as_bytes());
        }
    }
    hasher.finalize()
}
