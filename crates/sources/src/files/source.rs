//! A selection as a source of backups.

use std::os::unix::ffi::OsStrExt as _;

use super::accounts::Names;
use super::found::{self, Found};
use super::meta::Meta;
use super::reading::{self, OpenFile, ReadError, Segment};
use super::selection::Selection;
use super::step::WalkIssue;
use super::walk::Walker;
use super::xattrs::Xattrs;
use crate::source::{self, Comparison, Contents, Small, Source, Walk};

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
