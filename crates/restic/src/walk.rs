//! A walk over a snapshot, beside the one that was imported before it.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::iter::Peekable;
use std::sync::Arc;
use std::vec::IntoIter;

use strongroom_sources::files::{IssueKind, Kind, Meta, Names, ReadError, ReadErrorKind, WalkIssue, Xattrs};
use strongroom_sources::source::{Comparison, Found, Small, Source, VolumesRead, Walk};

use crate::blobs::Blobs;
use crate::contents::SnapshotFile;
use crate::id::Id;
use crate::index::BlobKind;
use crate::node::{Node, Tree};
use crate::snapshot::Snapshot;

/// Folders are followed so deep. No file system that restic can have read goes deeper.
const LEVELS_MAX: usize = 1 << 15;

/// One snapshot, to be backed up.
#[derive(Clone, Debug)]
pub struct SnapshotSource {
    blobs: Arc<Blobs>,
    snapshot: Snapshot,
    /// The snapshot that the last recovery point was made of, so that what is the same need not be read.
    before: Option<Snapshot>,
}

impl SnapshotSource {
    /// `before` is the snapshot that the vault's newest recovery point was made of, if it is of one.
    pub fn new(blobs: Arc<Blobs>, snapshot: Snapshot, before: Option<Snapshot>) -> Self {
        Self {
            blobs,
            snapshot,
            before,
        }
    }
}

impl Source for SnapshotSource {
    type Walk = SnapshotWalk;

    fn walk(&self) -> Result<SnapshotWalk, WalkIssue> {
        let mut walk = SnapshotWalk {
            blobs: self.blobs.clone(),
            stack: Vec::new(),
            path: Vec::new(),
            next: VecDeque::new(),
            to_enter: None,
            inodes: HashMap::new(),
        };
        let nodes = walk.load(self.snapshot.tree).map_err(|why| issue(b"", why))?;
        let before = match &self.before {
            None => Before::Unknown,
            Some(before) if before.tree == self.snapshot.tree => Before::Same,
            Some(before) => walk.before(before.tree),
        };
        walk.stack.push(Level {
            path_length: 0,
            nodes: nodes.into_iter(),
            before,
        });
        Ok(walk)
    }

    fn paths(&self) -> Vec<Vec<u8>> {
        let paths = self.snapshot.paths.iter();
        paths.map(|path| path.clone().into_bytes()).collect()
    }

    fn exclusions(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The walk. Memory is bounded by the folders on the path to the present place, and by the number of hard links.
#[derive(Debug)]
pub struct SnapshotWalk {
    blobs: Arc<Blobs>,
    stack: Vec<Level>,
    /// Path of the folder on top of the stack.
    path: Vec<u8>,
    /// What has been seen and not been handed out yet.
    next: VecDeque<Result<SnapshotEntry, WalkIssue>>,
    /// A folder whose entry has been handed out and whose contents come next.
    to_enter: Option<(Vec<u8>, Id, Entrance)>,
    /// What the first name of each inode with several names stands for.
    inodes: HashMap<(u64, u64), u64>,
}

#[derive(Debug)]
struct Level {
    path_length: usize,
    nodes: IntoIter<Node>,
    before: Before,
}

/// What the snapshot before has at the same place.
#[derive(Debug)]
enum Before {
    Unknown,
    /// The same, all the way down.
    Same,
    /// These, sorted by name.
    Nodes(Box<Peekable<IntoIter<Node>>>),
}

/// What the snapshot before has at a folder's place.
#[derive(Debug)]
enum Entrance {
    Unknown,
    Same,
    Tree(Id),
}

impl Iterator for SnapshotWalk {
    type Item = Result<SnapshotEntry, WalkIssue>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(next) = self.next.pop_front() {
                return Some(next);
            }
            if let Some((path, tree, entrance)) = self.to_enter.take() {
                self.enter(path, tree, entrance);
            }
            let level = self.stack.last_mut()?;
            match level.nodes.next() {
                Some(node) => self.visit(node),
                None => {
                    self.stack.pop();
                    let length = self.stack.last().map_or(0, |level| level.path_length);
                    self.path.truncate(length);
                }
            }
        }
    }
}

impl Walk for SnapshotWalk {
    type Found = SnapshotEntry;

    fn volumes(&self) -> VolumesRead {
        VolumesRead::default()
    }
}

impl SnapshotWalk {
    fn visit(&mut self, node: Node) {
        let name = match &node.name {
            Ok(name) if is_name(name) => name.clone(),
            Ok(name) => return self.odd_name(&String::from_utf8_lossy(name)),
            Err(text) => return self.odd_name(text),
        };
        let (comparison, entrance) = self.compare(&name, &node);
        let path = [&self.path[..], if self.path.is_empty() { b"" } else { b"/" }, &name].concat();
        let has_holes = (node.content.iter().flatten()).any(|id| self.blobs.is_zeros(id));
        let mut meta = match node.meta(has_holes) {
            Ok(meta) => meta,
            Err(why) => return self.next.push_back(Err(issue(&path, why))),
        };
        self.next
            .extend(node.losses().into_iter().map(|why| Err(issue(&path, why))));
        if !self.is_one_of_several(&node, &meta) {
            meta.nlink = 1;
        }
        if meta.kind == Kind::Directory {
            match node.subtree {
                Some(tree) if self.stack.len() < LEVELS_MAX => self.to_enter = Some((path.clone(), tree, entrance)),
                Some(_) => self
                    .next
                    .push_back(Err(issue(&path, "what is in it lies too deep".to_owned()))),
                None => self
                    .next
                    .push_back(Err(issue(&path, "restic does not say what is in it".to_owned()))),
            }
        }
        let name_start = path.len() - name.len();
        // The issues about an entry come before it.
        self.next.push_back(Ok(SnapshotEntry {
            path,
            name_start,
            meta,
            node: Arc::new(node),
            comparison,
            blobs: self.blobs.clone(),
        }));
    }

    fn odd_name(&mut self, name: &str) {
        let why = format!("a name in it cannot be kept: {name:?}");
        self.next.push_back(Err(issue(&self.path, why)));
    }

    /// How a node compares with that of the snapshot before.
    fn compare(&mut self, name: &[u8], node: &Node) -> (Comparison, Entrance) {
        let Some(level) = self.stack.last_mut() else {
            return (Comparison::Different, Entrance::Unknown);
        };
        let nodes = match &mut level.before {
            Before::Unknown => return (Comparison::Different, Entrance::Unknown),
            Before::Same => return (Comparison::Same, Entrance::Same),
            Before::Nodes(nodes) => nodes,
        };
        while nodes.next_if(|before| name_of(before) < name).is_some() {}
        let Some(before) = nodes.next_if(|before| name_of(before) == name) else {
            return (Comparison::Different, Entrance::Unknown);
        };
        let comparison = match before.says_the_same(node) {
            true => Comparison::Same,
            false => Comparison::Different,
        };
        let entrance = match before.subtree {
            None => Entrance::Unknown,
            Some(tree) if node.subtree == Some(tree) => Entrance::Same,
            Some(tree) => Entrance::Tree(tree),
        };
        (comparison, entrance)
    }

    /// Whether it is one name of several, which are all the same: inode numbers of several file systems, or of times
    /// when restic did not tell these apart, may be equal by chance.
    fn is_one_of_several(&mut self, node: &Node, meta: &Meta) -> bool {
        if meta.nlink < 2 || meta.kind == Kind::Directory {
            return true;
        }
        let mut hasher = DefaultHasher::new();
        (meta.kind, meta.mtime, meta.size, &node.content, node.target()).hash(&mut hasher);
        let hash = hasher.finish();
        *self.inodes.entry((meta.dev, meta.ino)).or_insert(hash) == hash
    }

    fn enter(&mut self, path: Vec<u8>, tree: Id, entrance: Entrance) {
        let nodes = match self.load(tree) {
            Ok(nodes) => nodes,
            Err(why) => return self.next.push_back(Err(issue(&path, why))),
        };
        let before = match entrance {
            Entrance::Unknown => Before::Unknown,
            Entrance::Same => Before::Same,
            Entrance::Tree(tree) => self.before(tree),
        };
        self.stack.push(Level {
            path_length: path.len(),
            nodes: nodes.into_iter(),
            before,
        });
        self.path = path;
    }

    /// What the snapshot before has. If it cannot be read, everything counts as new.
    fn before(&self, tree: Id) -> Before {
        match self.load(tree) {
            Ok(nodes) => Before::Nodes(Box::new(nodes.into_iter().peekable())),
            Err(why) => {
                tracing::info!(%why, "a folder of the snapshot before cannot be read");
                Before::Unknown
            }
        }
    }

    /// The nodes of a tree, sorted by name, each name once.
    fn load(&self, tree: Id) -> Result<Vec<Node>, String> {
        let failed = |why: &dyn std::fmt::Display| format!("what is in it cannot be read: {why}");
        let bytes = self.blobs.read(BlobKind::Tree, &tree).map_err(|error| failed(&error))?;
        let Tree { mut nodes } = serde_json::from_slice(&bytes).map_err(|error| failed(&error))?;
        if !nodes.is_sorted_by(|before, next| name_of(before) < name_of(next)) {
            nodes.sort_by(|before, next| name_of(before).cmp(name_of(next)));
            let twice = nodes.windows(2).find(|pair| name_of(&pair[0]) == name_of(&pair[1]));
            if let Some([node, _]) = twice {
                return Err(failed(&format!(
                    "it has {:?} twice",
                    String::from_utf8_lossy(name_of(node))
                )));
            }
        }
        Ok(nodes)
    }
}

/// For sorting; of a name that cannot be unquoted, how it is written.
fn name_of(node: &Node) -> &[u8] {
    match &node.name {
        Ok(name) => name,
        Err(text) => text.as_bytes(),
    }
}

fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.contains(&b'/') && !name.contains(&0)
}

fn issue(path: &[u8], why: String) -> WalkIssue {
    WalkIssue {
        path: path.to_vec(),
        kind: IssueKind::Unreadable,
        why,
    }
}

/// One entry of a snapshot.
#[derive(Clone, Debug)]
pub struct SnapshotEntry {
    path: Vec<u8>,
    name_start: usize,
    meta: Meta,
    node: Arc<Node>,
    comparison: Comparison,
    blobs: Arc<Blobs>,
}

impl SnapshotEntry {
    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    pub(crate) fn blobs(&self) -> &Arc<Blobs> {
        &self.blobs
    }

    pub(crate) fn facts(&self) -> Meta {
        self.meta
    }

    pub(crate) fn path_bytes(&self) -> &[u8] {
        &self.path
    }
}

impl Found for SnapshotEntry {
    type Open = SnapshotFile;

    fn path(&self) -> &[u8] {
        &self.path
    }

    fn name(&self) -> &[u8] {
        &self.path[self.name_start..]
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn device(&self) -> u64 {
        self.meta.dev
    }

    fn moment(&self) -> Option<(i64, u32)> {
        // The same for all: whoever backs it up says which.
        None
    }

    fn volume(&self) -> Option<usize> {
        None
    }

    fn set_meta(&mut self, meta: Meta) {
        self.meta = meta;
    }

    fn comparison(&self) -> Comparison {
        self.comparison
    }

    fn owner<'a>(&'a self, _: &'a Names) -> [&'a [u8]; 2] {
        [self.node.user.as_bytes(), self.node.group.as_bytes()]
    }

    fn read_link(&self) -> Result<Vec<u8>, ReadError> {
        Ok(self.node.target().to_vec())
    }

    fn xattrs(&self) -> Result<Xattrs, ReadError> {
        Ok(self.node.attributes())
    }

    fn read_small(&self, into: &mut Vec<u8>) -> Result<Small<SnapshotFile>, ReadError> {
        let file = SnapshotFile::open(self)?;
        let size = strongroom_sources::source::Contents::stat(&file).size;
        if size != self.meta.size {
            return Err(ReadError {
                action: "read",
                path: self.path.clone(),
                kind: ReadErrorKind::Failed,
                source: std::io::Error::other(format!(
                    "restic says that it has {} bytes, and its blobs have {size}",
                    self.meta.size
                )),
            });
        }
        file.read_to_end(into)?;
        Ok(Small { file, unchanged: true })
    }

    fn open(&self) -> Result<SnapshotFile, ReadError> {
        SnapshotFile::open(self)
    }
}
