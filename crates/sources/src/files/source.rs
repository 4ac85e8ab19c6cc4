//! The files of this machine as a source of backups.

use std::os::unix::ffi::OsStrExt as _;

use super::accounts::Names;
use super::found::{self, Found};
use super::meta::Meta;
use super::reading::{self, OpenFile, ReadError, Segment};
use super::selection::Selection;
use super::snapshot::Snapshots;
use super::step::WalkIssue;
use super::walk::Walker;
use super::xattrs::Xattrs;
use crate::source::{self, Comparison, Contents, Small, Source, VolumesRead, Walk};
use std::sync::Arc;

/// This machine's files: a selection, and the snapshots that it is read from where there can be any.
#[derive(Debug)]
pub struct Files {
    selection: Selection,
    snapshots: Arc<Snapshots>,
}

impl Files {
    /// Nothing is read yet, and no snapshot made.
    pub fn new(selection: Selection, snapshots: Arc<Snapshots>) -> Files {
        Files { selection, snapshots }
    }
}

impl Source for Files {
    type Walk = Walker;

    fn walk(&self) -> Result<Walker, WalkIssue> {
        Walker::with_snapshots(self.selection.clone(), Some(self.snapshots.clone()))
    }

    fn paths(&self) -> Vec<Vec<u8>> {
        self.selection.paths()
    }

    fn exclusions(&self) -> Vec<String> {
        self.selection.exclusions()
    }
}

/// Without any snapshot.
impl Source for Selection {
    type Walk = Walker;

    fn walk(&self) -> Result<Walker, WalkIssue> {
        Walker::new(self.clone())
    }

    fn paths(&self) -> Vec<Vec<u8>> {
        let roots = self.roots().iter();
        roots.map(|root| root.as_os_str().as_bytes().to_vec()).collect()
    }

    fn exclusions(&self) -> Vec<String> {
        self.rules().exclude.texts().map(str::to_owned).collect()
    }
}

impl Walk for Walker {
    type Found = Found;

    fn volumes(&self) -> VolumesRead {
        Walker::volumes(self).clone()
    }
}

impl source::Found for Found {
    type Open = OpenFile;

    fn path(&self) -> &[u8] {
        &self.path
    }

    fn name(&self) -> &[u8] {
        Found::name(self)
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn device(&self) -> u64 {
        self.volume.device_of(&self.meta)
    }

    fn moment(&self) -> Option<(i64, u32)> {
        let inside = self.volume.snapshot.as_ref();
        inside.map(|inside| inside.snapshot.moment)
    }

    fn volume(&self) -> Option<usize> {
        self.volume.told
    }

    fn set_meta(&mut self, meta: Meta) {
        self.meta = meta;
    }

    fn comparison(&self) -> Comparison {
        Comparison::ByFacts
    }

    fn owner<'a>(&'a self, machine: &'a Names) -> [&'a [u8]; 2] {
        let Meta { uid, gid, .. } = self.meta;
        [machine.user(uid), machine.group(gid)].map(Option::unwrap_or_default)
    }

    fn read_link(&self) -> Result<Vec<u8>, ReadError> {
        found::read_link(self)
    }

    fn xattrs(&self) -> Result<Xattrs, ReadError> {
        found::xattrs(self)
    }

    fn read_small(&self, into: &mut Vec<u8>) -> Result<Small<OpenFile>, ReadError> {
        let reading::SmallFile { file, unchanged } = reading::read_small(self, into)?;
        Ok(Small { file, unchanged })
    }

    fn open(&self) -> Result<OpenFile, ReadError> {
        reading::open(self)
    }
}

impl Contents for OpenFile {
    fn stat(&self) -> Meta {
        OpenFile::stat(self)
    }

    fn fill_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, ReadError> {
        OpenFile::fill_at(self, offset, buffer)
    }

    fn segments(&self) -> impl Iterator<Item = Result<Segment, ReadError>> {
        OpenFile::segments(self)
    }

    fn unchanged_since(&self, earlier: &Meta) -> Result<bool, ReadError> {
        OpenFile::unchanged_since(self, earlier)
    }

    fn xattrs(&self) -> Result<Xattrs, ReadError> {
        OpenFile::xattrs(self)
    }
}
