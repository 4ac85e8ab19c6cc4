//! The kernel's requests, each handed to a task.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use fuser::{
    Errno, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags, IoctlFlags, KernelConfig, LockOwner,
    OpenFlags, PollEvents, PollFlags, PollNotifier, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus,
    ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen, ReplyPoll, ReplyStatfs, ReplyXattr, Request,
};
use strongroom_engine::browse::Seek;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::activity::Activity;
use crate::answers::{Answers, FOR_GOOD};
use crate::shown::Shown;

/// In what `statfs` counts.
const BLOCK_BYTES: u32 = 4096;
/// No name is longer on Linux.
const NAME_BYTES_MAX: u32 = 255;
/// How many reads ahead the kernel may have under way.
const BACKGROUND_MAX: u16 = 64;
/// As lseek(2) calls them.
const SEEK_DATA: i32 = 3;
const SEEK_HOLE: i32 = 4;

/// Recovery points, as a file system that nobody can change.
pub struct PointFileSystem {
    answers: Arc<Answers>,
    runtime: Handle,
    /// Goes when the kernel has nothing to ask any more, and whoever waits for that learns it.
    _alive: oneshot::Sender<()>,
}

impl PointFileSystem {
    pub fn new(shown: Shown, activity: Arc<Activity>, runtime: Handle, alive: oneshot::Sender<()>) -> Self {
        Self {
            answers: Arc::new(Answers::new(shown, activity)),
            runtime,
            _alive: alive,
        }
    }

    /// Answers by a task. That a question comes in and that it is answered are both signs of life.
    fn answer<F>(&self, work: impl FnOnce(Arc<Answers>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let answers = self.answers.clone();
        answers.note();
        let work = work(answers.clone());
        self.runtime.spawn(async move {
            work.await;
            answers.note();
        });
    }
}

impl Filesystem for PointFileSystem {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // What an old kernel does not know it does without.
        for wish in [
            InitFlags::FUSE_POSIX_ACL,
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_READDIRPLUS_AUTO,
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_CACHE_SYMLINKS,
        ] {
            let _ = config.add_capabilities(wish);
        }
        let _ = config.set_max_background(BACKGROUND_MAX);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let name = name.as_bytes().to_owned();
        self.answer(|answers| async move {
            match answers.lookup(parent, &name).await {
                Ok(known) => reply.entry_with_ttls(&known.holds, &FOR_GOOD, &known.attr, Generation(0)),
                Err(error) => reply.error(error),
            }
        });
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.answer(|answers| async move {
            match answers.attributes(ino).await {
                Ok(known) => reply.attr(&known.holds, &known.attr),
                Err(error) => reply.error(error),
            }
        });
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        self.answer(|answers| async move {
            match answers.link_target(ino).await {
                Ok(target) => reply.data(&target),
                Err(error) => reply.error(error),
            }
        });
    }

    fn open(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        self.answer(|answers| async move {
            match answers.open(ino).await {
                Ok(handle) => reply.opened(handle, FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_NOFLUSH),
                Err(error) => reply.error(error),
            }
        });
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.answer(|answers| async move {
            match answers.read(handle, offset, size).await {
                Ok(bytes) => reply.data(&bytes),
                Err(error) => reply.error(error),
            }
        });
    }

    fn lseek(&self, _: &Request, _: INodeNo, handle: FileHandle, offset: i64, whence: i32, reply: ReplyLseek) {
        let what = match whence {
            SEEK_DATA => Seek::Data,
            SEEK_HOLE => Seek::Hole,
            _ => return reply.error(Errno::EINVAL),
        };
        let Ok(offset) = u64::try_from(offset) else {
            return reply.error(Errno::ENXIO);
        };
        self.answer(|answers| async move {
            match answers.seek(handle, offset, what).await {
                Ok(found) => reply.offset(found.cast_signed()),
                Err(error) => reply.error(error),
            }
        });
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.answers.files.close(handle);
        reply.ok();
    }

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let flags = FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_CACHE_DIR;
        reply.opened(FileHandle(0), flags);
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        self.answer(|answers| async move {
            let mut is_empty = true;
            let listing = answers.list(ino, offset, false, |listed| {
                let name = OsStr::from_bytes(listed.name);
                let is_full = reply.add(listed.inode, listed.next, listed.kind, name);
                is_empty &= is_full;
                !is_full
            });
            match listing.await {
                // What there is before something that cannot be read is told; the kernel comes back for the rest.
                Err(error) if is_empty => reply.error(error),
                _ => reply.ok(),
            }
        });
    }

    fn readdirplus(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectoryPlus) {
        self.answer(|answers| async move {
            let mut is_empty = true;
            let listing = answers.list(ino, offset, true, |listed| {
                let (name, Some(known)) = (OsStr::from_bytes(listed.name), &listed.known) else {
                    return true;
                };
                let generation = Generation(0);
                let is_full = reply.add(listed.inode, listed.next, name, &known.holds, &known.attr, generation);
                is_empty &= is_full;
                !is_full
            });
            match listing.await {
                Err(error) if is_empty => reply.error(error),
                _ => reply.ok(),
            }
        });
    }

    fn statfs(&self, _: &Request, ino: INodeNo, reply: ReplyStatfs) {
        let answers = self.answers.clone();
        // Programs that watch all file systems ask this again and again: it is no sign that somebody is there.
        self.runtime.spawn(async move {
            match answers.sizes(ino).await {
                Ok((names, bytes)) => {
                    let blocks = bytes.div_ceil(BLOCK_BYTES.into());
                    reply.statfs(blocks, 0, 0, names, 0, BLOCK_BYTES, NAME_BYTES_MAX, BLOCK_BYTES);
                }
                Err(error) => reply.error(error),
            }
        });
    }

    fn getxattr(&self, _: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let name = name.as_bytes().to_owned();
        self.answer(|answers| async move { give(answers.attribute(ino, &name).await, size, reply) });
    }

    fn listxattr(&self, request: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        let uid = request.uid();
        self.answer(|answers| async move { give(answers.attribute_names(ino, uid).await, size, reply) });
    }

    fn ioctl(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: IoctlFlags,
        _: u32,
        _: &[u8],
        _: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(Errno::ENOTTY);
    }

    fn poll(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: PollNotifier,
        _: PollEvents,
        _: PollFlags,
        reply: ReplyPoll,
    ) {
        // The kernel then knows that there is always something to read.
        reply.error(Errno::ENOSYS);
    }
}

/// Gives a value, or its length to whoever has no room yet.
fn give(value: Result<Vec<u8>, Errno>, size: u32, reply: ReplyXattr) {
    match value {
        Err(error) => reply.error(error),
        Ok(value) if size == 0 => reply.size(value.len() as u32),
        Ok(value) if value.len() > size as usize => reply.error(Errno::ERANGE),
        Ok(value) => reply.data(&value),
    }
}
