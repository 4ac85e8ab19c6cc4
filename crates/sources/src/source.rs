//! What a backup reads, whatever it lies in: names in path order, the facts about each, and contents.
//!
//! [`files::Selection`](crate::files::Selection) is the machine's own file systems; a snapshot of another program's
//! repository is another source. The engine is built once for each, so the seam costs nothing where it is crossed
//! a million times.

use crate::files::{Meta, Names, ReadError, Segment, WalkIssue, Xattrs};

/// Something to back up.
pub trait Source: Send + Sync + 'static {
    /// A walk over it.
    type Walk: Walk;

    /// Begins a walk. A backup that has to send something again walks again.
    ///
    /// # Errors
    /// If nothing of it can be read.
    fn walk(&self) -> Result<Self::Walk, WalkIssue>;

    /// The selected paths, for the recovery point to tell.
    fn paths(&self) -> Vec<Vec<u8>>;

    /// The patterns of what is left out, for the recovery point to tell.
    fn exclusions(&self) -> Vec<String>;
}

/// Entries in path order: component by component, bytes compared, each right before what lies in it, each path once. An
/// issue does not end a walk.
pub trait Walk: Iterator<Item = Result<Self::Found, WalkIssue>> {
    /// What it comes upon.
    type Found: Found;

    /// The volumes that it has read from so far, if it reads this machine's.
    fn volumes(&self) -> VolumesRead;
}

/// The volumes that a walk has read from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumesRead {
    /// In the order in which they were entered; [`Found::volume`] counts in it.
    pub volumes: Vec<VolumeRead>,
    /// How many more there were than are told.
    pub omitted: u64,
}

/// A volume that a walk has read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeRead {
    /// Where it begins, relative to `/`, which itself is empty.
    pub path: Vec<u8>,
    /// Such as `ext4`; empty if it is not known.
    pub file_system: String,
    /// How it was read.
    pub reading: Reading,
}

/// How a volume was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// From a snapshot, which was made for it: all of it is of one moment.
    Snapshot,
    /// Where it is, as a read-only subvolume does not change.
    ReadOnly,
    /// Where it is, file by file, while it may have changed.
    Live {
        /// Why there was no snapshot.
        why: String,
    },
}

/// How to tell whether an entry is what the last recovery point has at its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// By its facts: kind, size, times and inode.
    ByFacts,
    /// The source knows that nothing about it has changed.
    Same,
    /// It has changed, or nobody knows.
    Different,
}

/// One entry, which can be read later.
pub trait Found: Clone {
    /// Its contents, being read.
    type Open: Contents;

    /// Path relative to `/`, components joined by `/`.
    fn path(&self) -> &[u8];

    /// The last component of the path.
    fn name(&self) -> &[u8];

    /// What is known about it.
    fn meta(&self) -> &Meta;

    /// The device that its file system lies on, where it has its place in the tree.
    fn device(&self) -> u64;

    /// The moment that its facts and contents are of, as seconds since 1970 and nanoseconds, if that is its volume's own;
    /// otherwise they are of when they are read.
    fn moment(&self) -> Option<(i64, u32)>;

    /// Which of the volumes that the walk tells it lies on.
    fn volume(&self) -> Option<usize>;

    /// Takes note of newer facts.
    fn set_meta(&mut self, meta: Meta);

    /// How it compares with the last recovery point.
    fn comparison(&self) -> Comparison;

    /// The names of its user and its group; `machine` knows those of this machine. Empty if there is none.
    fn owner<'a>(&'a self, machine: &'a Names) -> [&'a [u8]; 2];

    /// Where a symbolic link leads.
    fn read_link(&self) -> Result<Vec<u8>, ReadError>;

    /// Its extended attributes, sorted by name.
    fn xattrs(&self) -> Result<Xattrs, ReadError>;

    /// Appends the whole contents of a small file. Not much more than its size is ever appended.
    fn read_small(&self, into: &mut Vec<u8>) -> Result<Small<Self::Open>, ReadError>;

    /// Begins to read a file.
    fn open(&self) -> Result<Self::Open, ReadError>;
}

/// A small file that was read whole.
#[derive(Debug)]
pub struct Small<C> {
    /// Still open; its facts are those *after* reading.
    pub file: C,
    /// Whether what was read is one consistent state. If not, the caller reads again.
    pub unchanged: bool,
}

/// A file that is being read.
pub trait Contents {
    /// The facts at the moment of opening. The size is how much there is to read.
    fn stat(&self) -> Meta;

    /// Fills the buffer from a place, as far as the file goes. Returns how much there was.
    fn fill_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, ReadError>;

    /// Data and holes, in order, without gaps, from 0 to the size.
    fn segments(&self) -> impl Iterator<Item = Result<Segment, ReadError>>;

    /// Whether the file is still what it was.
    fn unchanged_since(&self, earlier: &Meta) -> Result<bool, ReadError>;

    /// The extended attributes, sorted by name.
    fn xattrs(&self) -> Result<Xattrs, ReadError>;
}
