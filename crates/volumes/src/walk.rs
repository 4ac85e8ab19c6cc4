//! Everything below a folder.

use std::collections::HashSet;

use crate::error::{Result, VolumeError, damaged};
use crate::file_system::{DEPTH_MAX, Entry, File, FileSystem, PAGE_ENTRIES_MAX};
use crate::tree::{Kind, Names};

/// How many folders one walk enters; it remembers each by eight bytes.
const FOLDERS_MAX: usize = 4 << 20;
/// How many entries one walk gives: a hostile file system of a gigabyte can claim more than anybody would wait for.
const ENTRIES_MAX: u64 = 1 << 30;

/// An iterator over everything below a folder. After an error it goes on with what can be read.
pub struct Walk {
    file_system: FileSystem,
    /// What the walk began with, until it has been given.
    first: Option<(Entry, u64)>,
    /// The folders that the walk is in, the outermost first.
    open: Vec<OpenFolder>,
    /// A folder has one parent. One that comes up twice is damage, and would make the walk endless.
    entered: HashSet<u64>,
    given: u64,
}

struct OpenFolder {
    id: u64,
    path: Vec<u8>,
    waiting: std::vec::IntoIter<(Vec<u8>, u64)>,
    next: Option<u64>,
}

/// One thing that a walk came to.
pub struct WalkEntry {
    /// Its path from where the walk began, which itself has the empty one.
    pub path: Vec<u8>,
    /// What it is.
    pub entry: Entry,
    id: u64,
    file_system: FileSystem,
}

impl WalkEntry {
    /// Opens the file without looking for it by its path again.
    ///
    /// # Errors
    /// When it is not a regular file, or cannot be read.
    pub fn open(&self) -> Result<File> {
        self.file_system.open_id(self.id)
    }
}

impl Walk {
    pub(crate) fn new(file_system: FileSystem, entry: Entry, id: u64) -> Result<Self> {
        Ok(Self {
            file_system,
            first: Some((entry, id)),
            open: Vec::new(),
            entered: HashSet::new(),
            given: 0,
        })
    }

    fn give(&mut self, path: Vec<u8>, entry: Entry, id: u64) -> Result<WalkEntry> {
        self.given += 1;
        if entry.facts.as_ref().is_ok_and(|facts| facts.kind == Kind::Folder) {
            if self.entered.len() >= FOLDERS_MAX {
                return damaged("more folders than are followed");
            }
            if self.open.len() >= DEPTH_MAX {
                return damaged("folders in folders, deeper than is followed");
            }
            if !self.entered.insert(id) {
                return damaged("a folder that has been met before");
            }
            self.open.push(OpenFolder {
                id,
                path: path.clone(),
                waiting: Vec::new().into_iter(),
                next: Some(0),
            });
        }
        Ok(WalkEntry {
            path,
            entry,
            id,
            file_system: self.file_system.clone(),
        })
    }

    fn more(&mut self) -> Option<Result<()>> {
        let folder = self.open.last_mut()?;
        let from = folder.next.take()?;
        let tree = self.file_system.tree();
        let names = tree
            .node(folder.id)
            .and_then(|node| tree.names(&node, from, PAGE_ENTRIES_MAX));
        Some(names.and_then(|Names { names, next }| {
            folder.waiting = names.into_iter();
            if next.is_some_and(|next| next <= from) {
                return damaged("a folder does not end");
            }
            folder.next = next;
            Ok(())
        }))
    }
}

impl Iterator for Walk {
    /// What it came to; or a path below which something is missing, and why.
    type Item = std::result::Result<WalkEntry, (Vec<u8>, VolumeError)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.given >= ENTRIES_MAX {
            return None;
        }
        if let Some((entry, id)) = self.first.take() {
            return Some(self.give(Vec::new(), entry, id).map_err(|error| (Vec::new(), error)));
        }
        loop {
            let folder = self.open.last_mut()?;
            if let Some((name, id)) = folder.waiting.next() {
                let mut path = folder.path.clone();
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(&name);
                let entry = self.file_system.entry(name, id);
                return Some(self.give(path.clone(), entry, id).map_err(|error| (path, error)));
            }
            let path = folder.path.clone();
            match self.more() {
                Some(Ok(())) => {}
                Some(Err(error)) => return Some(Err((path, error))),
                None => drop(self.open.pop()),
            }
        }
    }
}
