//! The open directories from the target down to the present one.

use super::HANDLE;
use super::error::{Attempt, RestoreError};
use super::folder::{Duty, Folder, OpenAs, Parked};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, ResolveFlags, mkdirat, openat, openat2};
use rustix::io::Errno;
use std::sync::Arc;

/// How many directories of the branch stay open; those above are closed while the walk is deeper.
const OPEN_FOLDERS_MAX: usize = 64;
/// Longest path that is given to the kernel at once; it takes up to 4,095 bytes.
const PATH_BYTES_MAX: usize = 4000;

/// A path of open directories. The base is always open, and so is the last one.
#[derive(Debug)]
pub(super) struct Branch {
    base: Arc<Folder>,
    levels: Vec<Level>,
    /// Path of the last level.
    path: Vec<u8>,
}

#[derive(Debug)]
struct Level {
    folder: Slot,
    path_length: usize,
}

#[derive(Debug)]
enum Slot {
    Open(Arc<Folder>),
    Parked(Parked),
    /// For a moment only, while it changes from one to the other.
    Empty,
}

/// A directory in which something is looked up.
pub(super) enum Place {
    OnBranch(Arc<Folder>),
    Elsewhere(OwnedFd),
}

impl Place {
    pub(super) fn handle(&self) -> BorrowedFd<'_> {
        match self {
            Place::OnBranch(folder) => folder.fd(),
            Place::Elsewhere(fd) => fd.as_fd(),
        }
    }
}

impl Branch {
    pub(super) fn new(base: Folder) -> Branch {
        Branch {
            base: Arc::new(base),
            levels: Vec::new(),
            path: Vec::new(),
        }
    }

    pub(super) fn base(&self) -> &Folder {
        &self.base
    }

    /// Goes to the directory of this (checked) path: leaves those that do not lead there, and opens
    /// or makes those that are missing.
    pub(super) fn enter(&mut self, path: &[u8]) -> Result<Arc<Folder>, RestoreError> {
        if self.path != path {
            self.leave_all_but(common_length(&self.path, path));
            while self.path.len() < path.len() {
                let folder = self.open_or_make(next_component(path, self.path.len()), path)?;
                self.push(folder);
            }
        }
        Ok(Arc::clone(self.last()))
    }

    /// Looks a directory up without leaving the present one and without making anything.
    pub(super) fn find(&self, path: &[u8]) -> Result<Place, RestoreError> {
        let common = common_length(&self.path, path);
        let start = self.deepest_open(common);
        let (folder, done) = start.unwrap_or((&self.base, 0));
        if done == path.len() {
            return Ok(Place::OnBranch(Arc::clone(folder)));
        }
        let rest = path[done..].strip_prefix(b"/").unwrap_or(&path[done..]);
        open_beneath(folder.fd(), rest)
            .map(Place::Elsewhere)
            .map_err(|error| match error {
                Errno::LOOP | Errno::NOTDIR | Errno::XDEV => RestoreError::Hostile {
                    path: path.to_vec(),
                    why: "a part of the path is not a directory; links are not followed",
                },
                error => RestoreError::new("open", path, error),
            })
    }

    /// Adds a directory that lies right in the last one.
    pub(super) fn push(&mut self, folder: Folder) {
        self.path.clear();
        self.path.extend_from_slice(folder.path());
        let path_length = self.path.len();
        self.levels.push(Level {
            folder: Slot::Open(Arc::new(folder)),
            path_length,
        });
        if let Some(index) = self.levels.len().checked_sub(OPEN_FOLDERS_MAX + 1) {
            self.levels[index].park();
        }
    }

    pub(super) fn leave_all(&mut self) {
        self.leave_all_but(0);
    }

    /// Leaves the directories whose path is longer than this, the last one first.
    fn leave_all_but(&mut self, path_length: usize) {
        while self.path.len() > path_length {
            let Some(Level {
                folder: Slot::Open(left),
                ..
            }) = self.levels.pop()
            else {
                break;
            };
            self.open_last_again(&left);
            left.leave();
        }
    }

    /// Opens the directory above `below` if it was closed. If that is not possible, the branch is
    /// cut back to what is open.
    fn open_last_again(&mut self, below: &Folder) {
        while let Some(level) = self.levels.last_mut() {
            match std::mem::replace(&mut level.folder, Slot::Empty) {
                Slot::Parked(parked) => match parked.open_again(below) {
                    Ok(folder) => level.folder = Slot::Open(Arc::new(folder)),
                    Err(parked) => {
                        parked.give_up();
                        self.levels.pop();
                        continue;
                    }
                },
                other => level.folder = other,
            }
            break;
        }
        self.path
            .truncate(self.levels.last().map_or(0, |level| level.path_length));
    }

    fn open_or_make(&self, name_and_end: (&[u8], usize), whole: &[u8]) -> Result<Folder, RestoreError> {
        let ((name, end), parent) = (name_and_end, self.last());
        let path = &whole[..end];
        match Folder::open(parent, name, path, OpenAs::Existing(None)) {
            Err(error) if error.is_absent() => {
                let mode = Mode::from_raw_mode(0o777);
                mkdirat(parent.fd(), name, mode).attempt("make directory", path)?;
                Folder::open(parent, name, path, OpenAs::New(Duty::Nothing))
            }
            result => result,
        }
    }

    fn last(&self) -> &Arc<Folder> {
        match self.levels.last() {
            Some(Level {
                folder: Slot::Open(folder),
                ..
            }) => folder,
            _ => &self.base,
        }
    }

    /// The last open directory whose path is no longer than this, and the length of its path.
    fn deepest_open(&self, path_length: usize) -> Option<(&Arc<Folder>, usize)> {
        self.levels.iter().rev().find_map(|level| match &level.folder {
            Slot::Open(folder) if level.path_length <= path_length => Some((folder, level.path_length)),
            _ => None,
        })
    }
}

impl Level {
    /// Closes it, unless a writer still needs it; the number of those is bounded by the caller.
    fn park(&mut self) {
        self.folder = match std::mem::replace(&mut self.folder, Slot::Empty) {
            Slot::Open(folder) => match Folder::park(folder) {
                Ok(parked) => Slot::Parked(parked),
                Err(folder) => Slot::Open(folder),
            },
            other => other,
        };
    }
}

/// Length of the path of the deepest directory that lies on both.
fn common_length(a: &[u8], b: &[u8]) -> usize {
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let ends = |path: &[u8]| path.len() == same || path[same] == b'/';
    if ends(a) && ends(b) {
        same
    } else {
        a[..same].iter().rposition(|byte| *byte == b'/').unwrap_or(0)
    }
}

/// The component after the first `done` bytes of a path, and where it ends.
fn next_component(path: &[u8], done: usize) -> (&[u8], usize) {
    let start = if done == 0 { 0 } else { done + 1 };
    let length = path[start..].iter().position(|byte| *byte == b'/');
    let end = length.map_or(path.len(), |length| start + length);
    (&path[start..end], end)
}

/// Opens a directory below another without following links: at once if the kernel can do that.
fn open_beneath(start: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    if path.len() <= PATH_BYTES_MAX {
        let bounds = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match openat2(start, path, HANDLE, Mode::empty(), bounds) {
            // Old kernels, and sandboxes that forbid it. EAGAIN: something was renamed meanwhile.
            Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => {}
            result => return result,
        }
    }
    let mut directory = start.try_clone_to_owned().map_err(|_| Errno::MFILE)?;
    for component in path.split(|byte| *byte == b'/') {
        directory = openat(&directory, component, HANDLE, Mode::empty())?;
    }
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use super::{common_length, next_component};

    #[test]
    fn paths_share_whole_components() {
        let cases: [(&[u8], &[u8], &[u8]); 8] = [
            (b"", b"a", b""),
            (b"a", b"a", b"a"),
            (b"a", b"ab", b""),
            (b"a/b", b"a/c", b"a"),
            (b"a/b", b"a/bc", b"a"),
            (b"a/b", b"a/b/c", b"a/b"),
            (b"a/b.c", b"a/b", b"a"),
            (b"x/a/b", b"y/a/b", b""),
        ];
        for (a, b, common) in cases {
            assert_eq!(&a[..common_length(a, b)], common, "{a:?} {b:?}");
            assert_eq!(&b[..common_length(b, a)], common, "{b:?} {a:?}");
        }
    }

    #[test]
    fn a_path_is_taken_component_by_component() {
        assert_eq!(next_component(b"ab/c/d", 0), (&b"ab"[..], 2));
        assert_eq!(next_component(b"ab/c/d", 2), (&b"c"[..], 4));
        assert_eq!(next_component(b"ab/c/d", 4), (&b"d"[..], 6));
    }
}
