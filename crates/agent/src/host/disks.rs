//! The disks of a virtual machine at one moment, as something to back up.
//!
//! A recovery point of a virtual machine has one file for each disk, `NAME.raw`, and `machine.json`, which says what the
//! machine was.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use strongroom_hypervisor::snapshot::Changed;
use strongroom_nbd::{Client, ConnectOptions, NbdError};
use strongroom_sources::files::{Kind, Meta, Names, ReadError, ReadErrorKind, Segment, WalkIssue, Xattrs};
use strongroom_sources::source::{Comparison, Contents, Found, Small, Source, VolumesRead, Walk};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::map::{BLOCK_BYTES, DiskMap, dirty_ranges};

/// What QEMU calls the map of what is allocated.
const ALLOCATION: &str = "base:allocation";

/// How long one request to QEMU may take: its disk may be slow, or busy with the guest.
const READ_LIMIT: Duration = Duration::from_secs(120);

/// QEMU is asked about so much of a disk at a time.
const ASKED_BYTES: u64 = 64 << 30;

/// The engine reads stretches in such windows, so they are fetched in such.
const WINDOW_BYTES: u64 = 1 << 20;

/// How many windows are on their way.
const AHEAD: usize = 6;

/// How the file of the machine's description is called.
pub(super) const DESCRIPTION: &str = "machine.json";

/// Where the contents of a file come from.
#[derive(Clone)]
enum Origin {
    Disk(Arc<ShownDisk>),
    Bytes(Arc<[u8]>),
}

/// A disk that QEMU shows.
struct ShownDisk {
    client: Client,
    segments: Vec<Segment>,
    /// How many bytes of it and of others were read.
    read: Arc<AtomicU64>,
    watched: Option<Watched>,
}

/// A file to which nobody may write while it is read.
#[derive(Clone)]
struct Watched {
    file: PathBuf,
    before: Option<Stamp>,
}

/// When a file was changed, in nanoseconds since 1970: its contents, and anything of it; and its size.
type Stamp = (i128, i128, u64);

impl Watched {
    fn new(file: &Path) -> Self {
        Self {
            before: stamp(file),
            file: file.to_owned(),
        }
    }

    fn is_unchanged(&self) -> bool {
        self.before.is_some() && stamp(&self.file) == self.before
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let found = fs::metadata(file).ok()?;
    let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    Some((
        nanoseconds(found.mtime(), found.mtime_nsec()),
        nanoseconds(found.ctime(), found.ctime_nsec()),
        found.size(),
    ))
}

/// A file of the recovery point.
#[derive(Clone)]
pub(super) struct PointFile {
    name: String,
    meta: Meta,
    origin: Origin,
    handle: Handle,
}

/// All files of a recovery point.
#[derive(Clone)]
pub(super) struct Disks {
    files: Vec<PointFile>,
    moment: Timestamp,
    read: Arc<AtomicU64>,
}

impl Disks {
    pub(super) fn new(moment: Timestamp) -> Self {
        Self {
            files: Vec::new(),
            moment,
            read: Arc::default(),
        }
    }

    /// How many bytes of the disks were read.
    pub(super) fn bytes_read(&self) -> Arc<AtomicU64> {
        self.read.clone()
    }

    /// Adds a disk, of which QEMU shows an export on a socket. Asks QEMU what has to be read of it. If it is only as it was
    /// as long as nobody writes to a file, that file is watched.
    pub(super) async fn add_disk(
        &mut self,
        name: &str,
        (socket, export): (&Path, &str),
        changed: &Changed,
        watched: Option<&Path>,
    ) -> Result<(), NbdError> {
        let watched = watched.map(Watched::new);
        let mut options = ConnectOptions::new(export).with_context(ALLOCATION);
        if let Changed::Since { bitmap, .. } = changed {
            options = options.with_context(format!("qemu:dirty-bitmap:{bitmap}"));
        }
        let client = Client::connect(socket, &options, READ_LIMIT).await?;
        let size = client.export().size;
        let map = map(&client, changed).await?;
        debug_assert_eq!(map.size(), size);
        let disk = ShownDisk {
            client,
            segments: map.segments(),
            read: self.read.clone(),
            watched,
        };
        self.add(format!("{name}.raw"), size, Origin::Disk(Arc::new(disk)));
        Ok(())
    }

    /// Adds a small file.
    pub(super) fn add_bytes(&mut self, name: &str, bytes: Vec<u8>) {
        let size = bytes.len() as u64;
        self.add(name.to_owned(), size, Origin::Bytes(bytes.into()));
    }

    fn add(&mut self, name: String, size: u64, origin: Origin) {
        let moment = (self.moment.as_second(), self.moment.subsec_nanosecond().unsigned_abs());
        let meta = Meta {
            kind: Kind::File,
            mode: 0o600,
            uid: 0,
            gid: 0,
            mtime: moment,
            ctime: moment,
            size,
            dev: 0,
            ino: self.files.len() as u64 + 1,
            nlink: 1,
            // As a file with holes: it is kept in blocks, whatever its size and name.
            blocks: match &origin {
                Origin::Disk(_) => 0,
                Origin::Bytes(_) => size.div_ceil(512),
            },
        };
        self.files.push(PointFile {
            name,
            meta,
            origin,
            handle: Handle::current(),
        });
        self.files.sort_by(|one, other| one.name.cmp(&other.name));
    }
}

/// Asks QEMU about the whole of a disk.
async fn map(client: &Client, changed: &Changed) -> Result<DiskMap, NbdError> {
    let size = client.export().size;
    let mut map = DiskMap::default();
    let known = match changed {
        Changed::Since { size, .. } => size.bytes().min(client.export().size) / BLOCK_BYTES * BLOCK_BYTES,
        Changed::Full(_) => 0,
    };
    if let Changed::Since { bitmap, .. } = changed {
        for asked in pieces(0..known) {
            let start = asked.start;
            let dirty = client.dirty(asked, bitmap, READ_LIMIT).await?;
            for (is_dirty, range) in dirty_ranges(start, &dirty) {
                match is_dirty {
                    true => map.changed(&client.allocation(range, READ_LIMIT).await?),
                    false => map.kept(range.end - range.start),
                }
            }
        }
    }
    for asked in pieces(known..size) {
        map.changed(&client.allocation(asked, READ_LIMIT).await?);
    }
    Ok(map)
}

fn pieces(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = range.end;
    let starts = range.step_by(usize::try_from(ASKED_BYTES).expect("sizes have 64 bits"));
    starts.map(move |start| start..(start + ASKED_BYTES).min(end))
}

impl Source for Disks {
    type Walk = DisksWalk;

    fn walk(&self) -> Result<DisksWalk, WalkIssue> {
        Ok(DisksWalk(self.files.clone().into()))
    }

    fn paths(&self) -> Vec<Vec<u8>> {
        self.files.iter().map(|file| file.name.clone().into_bytes()).collect()
    }

    fn exclusions(&self) -> Vec<String> {
        Vec::new()
    }
}

pub(super) struct DisksWalk(VecDeque<PointFile>);

impl Iterator for DisksWalk {
    type Item = Result<PointFile, WalkIssue>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.pop_front().map(Ok)
    }
}

impl Walk for DisksWalk {
    type Found = PointFile;

    fn volumes(&self) -> VolumesRead {
        VolumesRead::default()
    }
}

impl Found for PointFile {
    type Open = OpenDisk;

    fn path(&self) -> &[u8] {
        self.name.as_bytes()
    }

    fn name(&self) -> &[u8] {
        self.name.as_bytes()
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn device(&self) -> u64 {
        0
    }

    fn moment(&self) -> Option<(i64, u32)> {
        Some(self.meta.mtime)
    }

    fn volume(&self) -> Option<usize> {
        None
    }

    fn set_meta(&mut self, meta: Meta) {
        self.meta = meta;
    }

    fn comparison(&self) -> Comparison {
        Comparison::Different
    }

    fn owner<'a>(&'a self, _: &'a Names) -> [&'a [u8]; 2] {
        [b"", b""]
    }

    fn read_link(&self) -> Result<Vec<u8>, ReadError> {
        Err(self.error("follow", "it is no link".to_owned()))
    }

    fn xattrs(&self) -> Result<Xattrs, ReadError> {
        Ok(Xattrs::new())
    }

    fn read_small(&self, into: &mut Vec<u8>) -> Result<Small<OpenDisk>, ReadError> {
        let file = self.open()?;
        let start = into.len();
        into.resize(start + usize::try_from(self.meta.size).expect("it is small"), 0);
        file.fill_at(0, &mut into[start..])?;
        Ok(Small { file, unchanged: true })
    }

    fn open(&self) -> Result<OpenDisk, ReadError> {
        Ok(OpenDisk {
            ahead: Mutex::new(Ahead::of(&self.origin)),
            file: self.clone(),
        })
    }
}

impl PointFile {
    fn error(&self, action: &'static str, why: String) -> ReadError {
        ReadError {
            action,
            path: self.name.clone().into_bytes(),
            kind: ReadErrorKind::Failed,
            source: io::Error::other(why),
        }
    }
}

/// A file that is being read. It fetches what will be asked for next.
pub(super) struct OpenDisk {
    file: PointFile,
    ahead: Mutex<Ahead>,
}

/// A window on its way.
type Coming = JoinHandle<Result<Bytes, NbdError>>;

/// Windows of a disk that have to be read, in order: those on their way, and the place of the next.
#[derive(Default)]
struct Ahead {
    coming: VecDeque<(Range<u64>, Coming)>,
    segment: usize,
    offset: u64,
}

impl Ahead {
    fn of(origin: &Origin) -> Self {
        let mut ahead = Self::default();
        if let Origin::Disk(disk) = origin {
            ahead.enter(&disk.segments);
        }
        ahead
    }

    /// Goes to the next stretch that has to be read, from the present one on.
    fn enter(&mut self, segments: &[Segment]) {
        while let Some(segment) = segments.get(self.segment) {
            if let Segment::Data { offset, .. } = segment {
                self.offset = *offset;
                return;
            }
            self.segment += 1;
        }
    }

    /// The next window, as the engine will ask for it.
    fn next(&mut self, segments: &[Segment]) -> Option<Range<u64>> {
        let Some(Segment::Data { offset, len }) = segments.get(self.segment) else {
            return None;
        };
        let end = offset + len;
        let to_boundary = WINDOW_BYTES - self.offset % BLOCK_BYTES;
        let window = self.offset..(self.offset + to_boundary).min(end);
        self.offset = window.end;
        if window.end == end {
            self.segment += 1;
            self.enter(segments);
        }
        Some(window)
    }

    /// The answer to a request, if it was foreseen.
    fn take(&mut self, wanted: &Range<u64>) -> Option<Coming> {
        let foreseen = self.coming.front().is_some_and(|(window, _)| window == wanted);
        foreseen.then(|| self.coming.pop_front().map(|(_, answer)| answer))?
    }

    fn fill(&mut self, handle: &Handle, disk: &ShownDisk) {
        while self.coming.len() < AHEAD
            && let Some(window) = self.next(&disk.segments)
        {
            let (client, range) = (disk.client.clone(), window.clone());
            let answer = handle.spawn(async move { read(&client, &range).await });
            self.coming.push_back((window, answer));
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.coming.iter().for_each(|(_, answer)| answer.abort());
    }
}

async fn read(client: &Client, range: &Range<u64>) -> Result<Bytes, NbdError> {
    let length = usize::try_from(range.end - range.start).expect("a window is small");
    client.read(range.start, length, READ_LIMIT).await
}

impl Contents for OpenDisk {
    fn stat(&self) -> Meta {
        self.file.meta
    }

    fn fill_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let end = (offset + buffer.len() as u64).min(self.file.meta.size);
        if offset >= end {
            return Ok(0);
        }
        let wanted = offset..end;
        let length = usize::try_from(end - offset).expect("it fits the buffer");
        match &self.file.origin {
            Origin::Bytes(bytes) => {
                let from = usize::try_from(offset).expect("it is small");
                buffer[..length].copy_from_slice(&bytes[from..from + length]);
            }
            Origin::Disk(disk) => {
                let coming = {
                    let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
                    ahead.fill(&self.file.handle, disk);
                    let coming = ahead.take(&wanted);
                    ahead.fill(&self.file.handle, disk);
                    coming
                };
                let answer = self.file.handle.block_on(async {
                    match coming {
                        Some(coming) => coming.await.unwrap_or(Err(NbdError::Closed)),
                        None => read(&disk.client, &wanted).await,
                    }
                });
                let bytes = answer.map_err(|error| self.file.error("read", error.to_string()))?;
                disk.read.fetch_add(length as u64, Ordering::Relaxed);
                buffer[..length].copy_from_slice(&bytes);
            }
        }
        Ok(length)
    }

    fn segments(&self) -> impl Iterator<Item = Result<Segment, ReadError>> {
        let segments = match &self.file.origin {
            Origin::Disk(disk) => disk.segments.clone(),
            Origin::Bytes(bytes) => vec![Segment::Data {
                offset: 0,
                len: bytes.len() as u64,
            }],
        };
        segments.into_iter().filter(|segment| length(segment) > 0).map(Ok)
    }

    fn unchanged_since(&self, _: &Meta) -> Result<bool, ReadError> {
        Ok(match &self.file.origin {
            Origin::Disk(disk) => disk.watched.as_ref().is_none_or(Watched::is_unchanged),
            Origin::Bytes(_) => true,
        })
    }

    fn xattrs(&self) -> Result<Xattrs, ReadError> {
        Ok(Xattrs::new())
    }
}

fn length(segment: &Segment) -> u64 {
    match segment {
        Segment::Data { len, .. } | Segment::Hole { len, .. } | Segment::Kept { len, .. } => *len,
    }
}
