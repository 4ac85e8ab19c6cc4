//! The walk over a selection, in path order.

use super::filesystem::FileSystems;
use super::found::Found;
use super::listing::{Hint, Listing};
use super::meta::{Kind, Meta};
use super::reading::{open_entry, open_quietly};
use super::rules::{CACHE_TAG_NAME, CACHE_TAG_SIGNATURE, Rules};
use super::selection::Selection;
use super::shown::ShownPath;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{Errno, pread};
use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

/// How many directories of the path to the present place stay open. In deeper trees those above
/// are closed and opened again on the way back.
const OPEN_DIRECTORIES_MAX: usize = 64;
/// Room for one `getdents` call: about two thousand short names.
const LISTING_BUFFER_BYTES: usize = 64 << 10;

const HANDLE: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
const LISTABLE: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Something that the walk could not look at. The walk goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("/{}: {why}", ShownPath(path))]
pub struct WalkIssue {
    /// Path relative to `/`.
    pub path: Vec<u8>,
    /// What a caller may decide by.
    pub kind: IssueKind,
    /// For the operator.
    pub why: String,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueKind {
    /// It was listed, but was gone when it was looked at; or a selected root does not exist.
    Vanished,
    /// It cannot be looked at, or a directory cannot be listed. A directory's own entry has come.
    Unreadable,
}

/// What was left out on purpose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SkipCounts {
    /// Entries that patterns left out; what lies in a left-out directory is not counted.
    pub excluded: u64,
    /// Entries right inside directories with a valid cache tag.
    pub cached: u64,
    /// Directories on another file system, whose contents were left out.
    pub other_file_systems: u64,
    /// Directories of pseudo file systems such as `/proc`, whose contents were left out.
    pub pseudo_file_systems: u64,
}

/// Walks a selection: an iterator over entries, each right before what lies in it.
///
/// The directories above the roots come too, once each, without their other contents, so that a
/// restore can make them again; `/` itself is not an entry. Memory is bounded by the directories on
/// the path to the present place, in practice by the largest one.
#[derive(Debug)]
pub struct Walker {
    /// Components of each root, in path order.
    roots: Vec<Vec<CString>>,
    rules: Rules,
    /// The open directories from `/` down to the present one.
    stack: Vec<Level>,
    /// Path of the directory on top of the stack, or of the one to be entered.
    path: Vec<u8>,
    to_enter: Option<Entrance>,
    /// What went wrong and has not been handed out yet.
    issues: VecDeque<WalkIssue>,
    skipped: SkipCounts,
    file_systems: FileSystems,
    buffer: Box<[MaybeUninit<u8>]>,
}

#[derive(Debug)]
struct Level {
    /// `None` while it is closed because the tree is too deep.
    directory: Option<Arc<OwnedFd>>,
    identity: (u64, u64),
    path_length: usize,
    listing: Listing,
    /// How many names of the listing have been passed; the last of them is the present one.
    passed: usize,
    scope: Scope,
}

/// How a directory relates to the roots.
#[derive(Debug, Clone)]
enum Scope {
    /// Above these roots: only what leads to them is of interest.
    Above(Range<usize>),
    /// A root or inside of one.
    Inside(Inside),
}

#[derive(Debug, Clone, Copy)]
struct Inside {
    /// Where in a path the part below the root starts.
    below: usize,
    /// The device of the root.
    device: u64,
}

/// A directory whose entry has been handed out and whose contents come next.
#[derive(Debug)]
struct Entrance {
    parent: Arc<OwnedFd>,
    name: CString,
    meta: Meta,
    scope: Scope,
    is_root: bool,
}

impl Iterator for Walker {
    type Item = Result<Found, WalkIssue>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entrance) = self.to_enter.take() {
                self.enter(entrance);
            }
            if let Some(issue) = self.issues.pop_front() {
                return Some(Err(issue));
            }
            let level = self.stack.last_mut()?;
            level.passed += 1;
            if level.present().is_none() {
                self.leave();
            } else if let Some(item) = self.visit() {
                return Some(item);
            }
        }
    }
}

impl Walker {
    /// Starts a walk. Fails only if `/` itself cannot be opened.
    pub fn new(selection: Selection) -> Result<Walker, WalkIssue> {
        let (roots, rules) = selection.into_parts();
        let mut walker = Walker {
            roots: roots
                .iter()
                .map(|root| components(root.as_os_str().as_bytes()))
                .collect(),
            rules,
            stack: Vec::new(),
            path: Vec::new(),
            to_enter: None,
            issues: VecDeque::new(),
            skipped: SkipCounts::default(),
            file_systems: FileSystems::default(),
            buffer: vec![MaybeUninit::uninit(); LISTING_BUFFER_BYTES].into_boxed_slice(),
        };
        walker.start().map_err(|error| issue(b"", error))?;
        Ok(walker)
    }

    /// What has been left out on purpose so far.
    pub fn skipped(&self) -> SkipCounts {
        self.skipped
    }

    fn start(&mut self) -> Result<(), Errno> {
        let directory = openat(CWD, c"/", HANDLE, Mode::empty())?;
        let meta = Meta::of_open(&directory)?;
        let scope = match self.roots.iter().any(Vec::is_empty) {
            true => Scope::Inside(Inside {
                below: 0,
                device: meta.dev,
            }),
            false => Scope::Above(0..self.roots.len()),
        };
        let parent = Arc::new(directory);
        self.enter(Entrance {
            parent,
            name: c".".into(),
            meta,
            scope,
            is_root: true,
        });
        Ok(())
    }

    /// Looks at the present entry. `None` if it is left out.
    fn visit(&mut self) -> Option<Result<Found, WalkIssue>> {
        let level = self.stack.last()?;
        let (name, hint) = level.present()?;
        let path = join(&self.path, name);
        if self.is_excluded(level, &path, name, hint) {
            self.skipped.excluded += 1;
            return None;
        }
        let meta = match Meta::of_entry(level.handle(), name) {
            Ok(meta) => meta,
            Err(error) => return Some(Err(self.missing(level, name, &path, error))),
        };
        let directory = Arc::clone(level.handle());
        let name_start = path.len() - name.count_bytes();
        let found = Found {
            path,
            meta,
            directory,
            name_start,
        };
        if meta.kind.is_directory() {
            self.plan_to_enter(&found);
        } else if self.leads_to_roots(level, name) {
            return Some(Err(self.missing(level, name, &found.path, Errno::NOTDIR)));
        }
        Some(Ok(found))
    }

    fn is_excluded(&self, level: &Level, path: &[u8], name: &CStr, hint: Hint) -> bool {
        let Scope::Inside(inside) = &level.scope else {
            return false;
        };
        if self.rules.has_no_patterns() {
            return false;
        }
        let is_directory = match hint {
            Hint::Directory => true,
            Hint::Other => false,
            Hint::Unknown => Meta::of_entry(level.handle(), name).is_ok_and(|meta| meta.kind.is_directory()),
        };
        self.rules.excludes(path, inside.below, is_directory)
    }

    /// Remembers a directory that has just been found as the next to go into.
    fn plan_to_enter(&mut self, found: &Found) {
        let Some(level) = self.stack.last() else { return };
        let (scope, is_root) = match &level.scope {
            Scope::Inside(inside) => (Scope::Inside(*inside), false),
            Scope::Above(_) => {
                let roots = self.roots_through(level, found.name());
                if self.roots[roots.start].len() == self.stack.len() {
                    let below = found.path.len() + 1;
                    (
                        Scope::Inside(Inside {
                            below,
                            device: found.meta.dev,
                        }),
                        true,
                    )
                } else {
                    (Scope::Above(roots), false)
                }
            }
        };
        self.path.clone_from(&found.path);
        let parent = Arc::clone(&found.directory);
        let meta = found.meta;
        self.to_enter = Some(Entrance {
            parent,
            name: found.c_name(),
            meta,
            scope,
            is_root,
        });
    }

    /// Which roots are, or lie below, the entry `name` of a directory above roots.
    fn roots_through(&self, level: &Level, name: &[u8]) -> Range<usize> {
        let Scope::Above(range) = &level.scope else { return 0..0 };
        let depth = self.stack.len() - 1;
        let leads = |index: &usize| self.roots[*index][depth].as_bytes() == name;
        let start = range.clone().find(leads).unwrap_or(range.end);
        let end = (start..range.end).find(|index| !leads(index)).unwrap_or(range.end);
        start..end
    }

    /// Whether roots lie below the entry, so that it ought to be a directory.
    fn leads_to_roots(&self, level: &Level, name: &CStr) -> bool {
        let roots = self.roots_through(level, name.to_bytes());
        self.roots[roots].iter().any(|root| root.len() > self.stack.len())
    }

    /// An entry that cannot be looked at. Above a root, the root is what the user knows.
    fn missing(&self, level: &Level, name: &CStr, path: &[u8], error: Errno) -> WalkIssue {
        let mut issue = issue(path, error);
        let roots = self.roots_through(level, name.to_bytes());
        if let Some(root) = self.roots[roots].iter().find(|root| root.len() > self.stack.len()) {
            let root: Vec<&[u8]> = root.iter().map(|part| part.as_bytes()).collect();
            let root = root.join(&b'/');
            issue.why = format!("{}; it leads to the selected /{}", issue.why, ShownPath(&root));
        }
        issue
    }

    fn enter(&mut self, entrance: Entrance) {
        if self.stays_outside(&entrance) {
            return self.back_to_top();
        }
        match self.open_level(entrance) {
            Ok(level) => {
                self.stack.push(level);
                self.close_one_above();
            }
            Err(error) => {
                self.issues.push_back(issue(&self.path, error));
                self.back_to_top();
            }
        }
    }

    /// Whether a mount point is not to be crossed.
    fn stays_outside(&mut self, entrance: &Entrance) -> bool {
        let Scope::Inside(inside) = &entrance.scope else {
            return false;
        };
        let Some(parent) = self.stack.last() else { return false };
        let device = entrance.meta.dev;
        if entrance.is_root || device == parent.identity.0 {
            return false;
        }
        if self.rules.one_file_system && device != inside.device {
            self.skipped.other_file_systems += 1;
            return true;
        }
        let pseudo = self.file_systems.is_pseudo(device, &entrance.parent, &entrance.name);
        self.skipped.pseudo_file_systems += u64::from(pseudo);
        pseudo
    }

    fn open_level(&mut self, entrance: Entrance) -> Result<Level, Errno> {
        let Entrance {
            parent,
            name,
            meta,
            scope,
            is_root,
        } = entrance;
        let (directory, listing) = match &scope {
            Scope::Above(roots) => {
                let directory = openat(&parent, &name, HANDLE, Mode::empty())?;
                (directory, self.names_above(roots.clone()))
            }
            Scope::Inside(_) => {
                let directory = open_quietly(&parent, name.as_bytes(), LISTABLE, meta.uid)?;
                let (mut listing, error) = Listing::read(&directory, &mut self.buffer);
                self.issues.extend(error.map(|error| issue(&self.path, error)));
                self.leave_out_cache(&directory, &mut listing, is_root);
                (directory, listing)
            }
        };
        check_identity(&directory, (meta.dev, meta.ino))?;
        Ok(Level {
            directory: Some(Arc::new(directory)),
            identity: (meta.dev, meta.ino),
            path_length: self.path.len(),
            listing,
            passed: 0,
            scope,
        })
    }

    /// The names that lead from a directory to the roots below it.
    fn names_above(&self, roots: Range<usize>) -> Listing {
        let depth = self.stack.len();
        let mut names: Vec<&CStr> = self.roots[roots].iter().map(|root| root[depth].as_c_str()).collect();
        names.dedup();
        Listing::of_names(names)
    }

    fn leave_out_cache(&mut self, directory: &OwnedFd, listing: &mut Listing, is_root: bool) {
        let asked = self.rules.skip_caches && !is_root;
        if asked && listing.contains(CACHE_TAG_NAME) && has_valid_tag(directory) {
            self.skipped.cached += listing.keep_only(CACHE_TAG_NAME) as u64;
        }
    }

    /// Keeps the number of open directories bounded. The present one and those right above it are
    /// the ones in use.
    fn close_one_above(&mut self) {
        if let Some(index) = self.stack.len().checked_sub(OPEN_DIRECTORIES_MAX + 1) {
            self.stack[index].directory = None;
        }
    }

    fn leave(&mut self) {
        let left = self.stack.pop();
        self.back_to_top();
        let Some(left) = left.and_then(|level| level.directory) else {
            return;
        };
        while let Some(level) = self.stack.last_mut()
            && level.directory.is_none()
        {
            match open_again(&left, &self.path, level.identity) {
                Ok(directory) => level.directory = Some(Arc::new(directory)),
                Err(error) => {
                    self.issues.push_back(issue(&self.path, error));
                    self.stack.pop();
                    self.back_to_top();
                }
            }
        }
    }

    fn back_to_top(&mut self) {
        self.path
            .truncate(self.stack.last().map_or(0, |level| level.path_length));
    }
}

impl Level {
    fn present(&self) -> Option<(&CStr, Hint)> {
        self.listing.get(self.passed - 1)
    }

    fn handle(&self) -> &Arc<OwnedFd> {
        self.directory
            .as_ref()
            .expect("the directory on top of the stack is open")
    }
}

fn issue(path: &[u8], error: Errno) -> WalkIssue {
    let kind = match error {
        Errno::NOENT | Errno::STALE => IssueKind::Vanished,
        _ => IssueKind::Unreadable,
    };
    WalkIssue {
        path: path.to_vec(),
        kind,
        why: std::io::Error::from(error).to_string(),
    }
}

fn components(path: &[u8]) -> Vec<CString> {
    let parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
    parts
        .map(|part| CString::new(part).expect("a selection has no NUL"))
        .collect()
}

fn join(directory: &[u8], name: &CStr) -> Vec<u8> {
    let mut path = Vec::with_capacity(directory.len() + 1 + name.count_bytes());
    if !directory.is_empty() {
        path.extend_from_slice(directory);
        path.push(b'/');
    }
    path.extend_from_slice(name.to_bytes());
    path
}

/// Another directory may have taken the name since it was looked at.
fn check_identity(directory: impl AsFd, expected: (u64, u64)) -> Result<(), Errno> {
    let meta = Meta::of_open(directory)?;
    if (meta.dev, meta.ino) == expected {
        Ok(())
    } else {
        Err(Errno::STALE)
    }
}

/// Opens a directory of the path to the present place again: from the one below it or, if that has
/// been moved elsewhere meanwhile, by its path, one component after the other.
fn open_again(below: &OwnedFd, path: &[u8], identity: (u64, u64)) -> Result<OwnedFd, Errno> {
    if let Ok(directory) = openat(below, c"..", HANDLE, Mode::empty())
        && check_identity(&directory, identity).is_ok()
    {
        return Ok(directory);
    }
    let mut directory = openat(CWD, c"/", HANDLE, Mode::empty())?;
    for component in components(path) {
        directory = openat(&directory, &component, HANDLE, Mode::empty())?;
    }
    check_identity(&directory, identity)?;
    Ok(directory)
}

/// Whether the tag file is a file that begins as the specification says.
fn has_valid_tag(directory: &OwnedFd) -> bool {
    let mut start = [0; CACHE_TAG_SIGNATURE.len()];
    let Ok(meta) = Meta::of_entry(directory, CACHE_TAG_NAME) else {
        return false;
    };
    meta.kind == Kind::File
        && open_entry(directory, CACHE_TAG_NAME, meta.uid)
            .and_then(|file| pread(&file, &mut start, 0))
            .is_ok_and(|length| start[..length] == CACHE_TAG_SIGNATURE[..])
}
