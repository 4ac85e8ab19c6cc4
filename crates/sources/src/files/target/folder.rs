//! One directory of the target, open.

use super::attributes::{Apply, Attributes, Present, Reach, has_default_acl, remove_inherited_acls};
use super::error::{Attempt, RestoreError};
use super::{HANDLE, Shared, chmod_by_handle};
use crate::files::meta::{Kind, Meta};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const LISTABLE: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// An open directory. It does its duty (sets its attributes) when the walk has left it *and* the
/// last writer of a file in it is done, whichever comes last: a file that takes the place of another
/// changes the directory's time when it is finished.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    path: Vec<u8>,
    inherits: bool,
    shared: Arc<Shared>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    duty: Duty,
    writers: usize,
    left: bool,
}

/// What is to be done to a directory in the end.
#[derive(Debug)]
pub(super) enum Duty {
    Nothing,
    /// Give it the attributes that were delivered with it.
    Give {
        wanted: Box<Attributes>,
        may_have_xattrs: bool,
    },
    /// It is only passed through: leave no trace.
    Restore {
        mode: Option<u32>,
        mtime: (i64, u32),
    },
}

/// Why a directory is opened.
#[derive(Debug)]
pub(super) enum OpenAs {
    /// It has just been made.
    New(Duty),
    /// It was there. Without a duty of its own it is only passed through.
    Existing(Option<Duty>),
}

/// A directory that was closed because the tree is too deep, to be opened again on the way back.
#[derive(Debug)]
pub(super) struct Parked {
    identity: (u64, u64),
    path: Vec<u8>,
    inherits: bool,
    shared: Arc<Shared>,
    duty: Duty,
}

impl Folder {
    /// The target's own directory.
    pub(super) fn base(fd: OwnedFd, shared: Arc<Shared>) -> Result<Folder, Errno> {
        let inherits = inherits(&fd, &shared)?;
        let state = Mutex::new(State {
            duty: Duty::Nothing,
            writers: 0,
            left: false,
        });
        Ok(Folder {
            fd,
            path: Vec::new(),
            inherits,
            shared,
            state,
        })
    }

    /// Opens the directory `name` of another one. `path` is its whole path.
    pub(super) fn open(parent: &Folder, name: &[u8], path: &[u8], open_as: OpenAs) -> Result<Folder, RestoreError> {
        let fd = open_listable(parent, name, path)?;
        let shared = Arc::clone(&parent.shared);
        let (inherits, duty) = match open_as {
            OpenAs::New(duty) if !parent.inherits => (false, duty),
            OpenAs::New(duty) => {
                if shared.options.acls {
                    remove_inherited_acls(fd.as_fd()).attempt("remove the ACL of", path)?;
                }
                (inherits(&fd, &shared).attempt("look at", path)?, duty)
            }
            OpenAs::Existing(duty) => {
                let passing = make_writable(&fd, &shared).attempt("open", path)?;
                (
                    inherits(&fd, &shared).attempt("look at", path)?,
                    duty.unwrap_or(passing),
                )
            }
        };
        let state = Mutex::new(State {
            duty,
            writers: 0,
            left: false,
        });
        Ok(Folder {
            fd,
            path: path.to_vec(),
            inherits,
            shared,
            state,
        })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Whether what is made in here gets a group or an ACL that this process would not give it.
    pub(super) fn inherits(&self) -> bool {
        self.inherits
    }

    pub(super) fn begin_writer(&self) {
        self.lock().writers += 1;
    }

    pub(super) fn end_writer(&self) {
        let mut state = self.lock();
        state.writers -= 1;
        self.do_duty(&mut state);
    }

    /// The walk has left it: nothing more will be made in here.
    pub(super) fn leave(&self) {
        let mut state = self.lock();
        state.left = true;
        self.do_duty(&mut state);
    }

    /// Closes it if nobody else needs it.
    pub(super) fn park(folder: Arc<Folder>) -> Result<Parked, Arc<Folder>> {
        let Ok(meta) = Meta::of_open(&folder.fd) else {
            return Err(folder);
        };
        let Folder {
            path,
            inherits,
            shared,
            state,
            ..
        } = Arc::try_unwrap(folder)?;
        let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Parked {
            identity: (meta.dev, meta.ino),
            path,
            inherits,
            shared,
            duty: state.duty,
        })
    }

    fn do_duty(&self, state: &mut State) {
        if !state.left || state.writers > 0 {
            return;
        }
        match std::mem::replace(&mut state.duty, Duty::Nothing) {
            Duty::Nothing => {}
            Duty::Give {
                wanted,
                may_have_xattrs,
            } => self.give(&wanted, may_have_xattrs),
            Duty::Restore { mode, mtime } => self.restore(mode, mtime),
        }
    }

    fn give(&self, wanted: &Attributes, may_have_xattrs: bool) {
        match Meta::of_open(&self.fd) {
            Ok(meta) => {
                let present = Present {
                    may_have_xattrs,
                    ..Present::of_existing(&meta)
                };
                let apply = Apply {
                    wanted,
                    kind: Kind::Directory,
                    path: &self.path,
                };
                apply.to(Reach::Open(self.fd()), present, &self.shared);
            }
            Err(error) => self.shared.warn("look at", &self.path, error.into()),
        }
    }

    fn restore(&self, mode: Option<u32>, mtime: (i64, u32)) {
        // Nothing was made in it: it is not touched.
        if mode.is_none() && Meta::of_open(&self.fd).is_ok_and(|meta| meta.mtime == mtime) {
            return;
        }
        let reach = Reach::Open(self.fd());
        let result = mode.map_or(Ok(()), |mode| reach.set_mode(mode));
        if let Err(error) = result.and_then(|()| reach.set_time(mtime)) {
            self.shared.warn("restore the attributes of", &self.path, error.into());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic between two fields would at worst leave attributes unset.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parked {
    /// Opens it again from the directory right below it.
    pub(super) fn open_again(self, below: &Folder) -> Result<Folder, Parked> {
        let Ok(fd) = openat(below.fd(), c"..", LISTABLE, Mode::empty()) else {
            return Err(self);
        };
        if !Meta::of_open(&fd).is_ok_and(|meta| (meta.dev, meta.ino) == self.identity) {
            return Err(self);
        }
        let Parked {
            path,
            inherits,
            shared,
            duty,
            ..
        } = self;
        let state = Mutex::new(State {
            duty,
            writers: 0,
            left: false,
        });
        Ok(Folder {
            fd,
            path,
            inherits,
            shared,
            state,
        })
    }

    /// It is not where it was: somebody moves directories of the target about.
    pub(super) fn give_up(self) {
        self.shared
            .warn("restore the attributes of", &self.path, Errno::STALE.into());
    }
}

fn inherits(fd: &OwnedFd, shared: &Shared) -> Result<bool, Errno> {
    // Also covers file systems on which a new entry always gets the directory's group.
    Ok(Meta::of_open(fd)?.gid != shared.gid || has_default_acl(fd.as_fd()))
}

/// Opens a directory to work in. One of ours that we may not even read is made readable: it is
/// what an earlier restore has finished.
fn open_listable(parent: &Folder, name: &[u8], path: &[u8]) -> Result<OwnedFd, RestoreError> {
    match openat(parent.fd(), name, LISTABLE, Mode::empty()) {
        Err(Errno::ACCESS) => {
            let handle = openat(parent.fd(), name, HANDLE, Mode::empty()).attempt("open", path)?;
            chmod_by_handle(&handle, 0o700).attempt("open", path)?;
            openat(parent.fd(), name, LISTABLE, Mode::empty()).attempt("open", path)
        }
        Err(Errno::NOTDIR | Errno::LOOP) => Err(not_a_directory(parent, name, path)),
        result => result.attempt("open", path),
    }
}

fn not_a_directory(parent: &Folder, name: &[u8], path: &[u8]) -> RestoreError {
    match Meta::of_entry(parent.fd(), name) {
        Ok(meta) if meta.kind == Kind::Symlink => {
            let why = "a symbolic link is in the place of a directory and is not followed";
            RestoreError::Hostile {
                path: path.to_vec(),
                why,
            }
        }
        Ok(_) => RestoreError::Exists { path: path.to_vec() },
        Err(error) => RestoreError::new("look at", path, error),
    }
}

/// Makes sure that entries can be made in a directory, and returns how to undo all traces of that.
fn make_writable(fd: &OwnedFd, shared: &Shared) -> Result<Duty, Errno> {
    let meta = Meta::of_open(fd)?;
    let change = shared.uid != 0 && shared.uid == meta.uid && meta.mode & 0o700 != 0o700;
    if change {
        Reach::Open(fd.as_fd()).set_mode(meta.mode | 0o700)?;
    }
    Ok(Duty::Restore {
        mode: change.then_some(meta.mode),
        mtime: meta.mtime,
    })
}
