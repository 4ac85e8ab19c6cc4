//! The stage that walks, compares, reads and fingerprints. It alone decides what the recovery point will be.

mod blocks;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crossbeam_channel::Sender;
use strongroom_format::cutter::{CHUNK_BYTES_MAX, Cutter};
use strongroom_format::entry::{Content, Entry, Kind, Node, Owner, Record, Time};
use strongroom_model::BlobId;
use strongroom_seal::DataKeys;
use strongroom_sources::files::{self, IssueKind, Meta, Names, ReadError, WalkIssue};
use strongroom_sources::source::{Comparison, Contents, Found, Source, Walk as _};

use super::BackupOptions;
use super::bundle::{Bundle, FILES_BYTES};
use super::content::FileContent;
use super::draft::{Draft, content};
use super::earlier::Earlier;
use super::image::{HEAD_BYTES, is_image};
use super::issues::Issues;
use super::previous::Previous;
use super::volumes::Volumes;
use super::workers::ChunkJob;
use crate::error::EngineError;
use crate::keys::fingerprint;
use crate::progress::Progress;
use crate::scratch::{FingerprintMap, Known};

/// Files below this size are bundled.
pub const SMALL_BYTES: u64 = 256 << 10;
/// Drafts that wait for their bundle to close, in units of [`Draft::weight`].
const BATCH_WEIGHT_MAX: usize = 32 << 10;
/// Drafts are handed on in batches of at least this weight.
const BATCH_WEIGHT_MIN: usize = 1 << 10;
/// How often a file that changes while it is read is read again.
const TRIES: usize = 3;
/// A file that changed so shortly before it was read may change again without a later ctime: it is read again next time.
const RECENT_NS: i64 = 100_000_000;

/// Why the scan ended early.
#[derive(Debug)]
pub enum Stop {
    /// The user asked for it.
    Cancelled,
    /// Another stage ended.
    Broken,
    /// Nothing of what was selected can be read.
    Source(String),
    /// The scratch folder failed.
    Scratch(EngineError),
}

/// What a scan works with.
pub struct ScanParts {
    pub keys: Arc<DataKeys>,
    pub options: BackupOptions,
    pub progress: Progress,
    pub previous: Previous,
    /// Whether `previous` is what the source compares itself with.
    pub is_comparable: bool,
    /// Chunks that no record may go on pointing to.
    pub unusable: HashSet<BlobId>,
    pub contents: FingerprintMap,
    pub jobs: Sender<ChunkJob>,
    pub drafts: Sender<Vec<Draft>>,
}

/// The scan.
pub struct Scan {
    keys: Arc<DataKeys>,
    options: BackupOptions,
    progress: Progress,
    previous: Previous,
    is_comparable: bool,
    unusable: HashSet<BlobId>,
    contents: FingerprintMap,
    bundle: Bundle,
    drafts: Sender<Vec<Draft>>,
    batch: Vec<Draft>,
    batch_weight: usize,
    /// How many batches have left: a file whose records have left cannot be taken back.
    batches_sent: u64,
    cutter: Cutter,
    names: Names,
    owners: HashMap<(u32, u32), Arc<Owner>>,
    /// First path of each inode with several names.
    links: HashMap<(u64, u64), Vec<u8>>,
    issues: Issues,
    volumes: Volumes,
    files_read: u64,
}

/// What a scan came to.
pub struct Scanned {
    pub issues: Issues,
    pub volumes: Volumes,
    pub files_read: u64,
}

/// What became of reading a file once.
enum Read {
    Consistent,
    Changed,
}

impl Scan {
    pub fn new(parts: ScanParts) -> Self {
        let cutter = Cutter::new(&parts.keys.chunker_key());
        Self {
            keys: parts.keys,
            options: parts.options,
            issues: Issues::new(parts.progress.clone()),
            progress: parts.progress,
            previous: parts.previous,
            is_comparable: parts.is_comparable,
            unusable: parts.unusable,
            contents: parts.contents,
            bundle: Bundle::new(parts.jobs),
            drafts: parts.drafts,
            batch: Vec::new(),
            batch_weight: 0,
            batches_sent: 0,
            cutter,
            names: Names::load().unwrap_or_default(),
            owners: HashMap::new(),
            links: HashMap::new(),
            volumes: Volumes::default(),
            files_read: 0,
        }
    }

    /// Walks the source to its end. What it came to; and what contents are known now.
    pub fn run(mut self, source: &impl Source) -> (Result<Scanned, Stop>, FingerprintMap) {
        let result = self.walk(source);
        let Self {
            issues,
            volumes,
            files_read,
            contents,
            ..
        } = self;
        let scanned = Scanned {
            issues,
            volumes,
            files_read,
        };
        (result.map(|()| scanned), contents)
    }

    fn walk(&mut self, source: &impl Source) -> Result<(), Stop> {
        let mut walk = source.walk().map_err(|issue| Stop::Source(issue.to_string()))?;
        for found in walk.by_ref() {
            if self.progress.is_cancelled() {
                self.bundle.close()?;
                return Err(Stop::Cancelled);
            }
            match found {
                Ok(found) => {
                    self.take(found)?;
                    if let Some(lost) = self.lost() {
                        self.bundle.close()?;
                        return Err(Stop::Source(lost));
                    }
                }
                Err(issue) if issue.kind == IssueKind::NoSnapshot => {
                    self.bundle.close()?;
                    return Err(Stop::Source(issue.to_string()));
                }
                Err(issue) => self.walk_issue(&issue),
            }
        }
        self.volumes.were_read(walk.volumes());
        self.close_bundle()?;
        self.send_batch()
    }

    /// What could not be read of a state that has to be read whole.
    fn lost(&self) -> Option<String> {
        self.options.past.filter(|past| past.frozen.is_some())?;
        let issue = self.issues.first()?;
        Some(format!("{}: {}", String::from_utf8_lossy(&issue.path), issue.why))
    }

    fn walk_issue(&mut self, issue: &WalkIssue) {
        let why = match issue.kind {
            IssueKind::Vanished => "it vanished during the backup",
            _ => &issue.why,
        };
        self.issues.add(&issue.path, why);
    }

    fn take(&mut self, found: impl Found) -> Result<(), Stop> {
        self.progress.add_entries(1);
        if let Some(target) = self.link_target(&found) {
            return self.link(&found, target);
        }
        let mut records = self.previous.take(found.path());
        if let Some(records) = records.take_if(|records| self.is_unchanged(&found, records)) {
            self.note_link(&found);
            self.progress.add_bytes(size_of(found.meta()));
            return records
                .into_iter()
                .try_for_each(|entry| self.push(Draft::settled(entry)));
        }
        // What a source says is still the same, it says of the point that it compares itself with.
        let earlier = records.filter(|_| self.is_comparable && !self.options.force_rehash);
        match found.meta().kind {
            files::Kind::File => self.file(&found, &Earlier::new(earlier)),
            _ => self.other(&found),
        }
    }

    /// Whether the last point's records still say what is there, and may be taken over.
    fn is_unchanged(&self, found: &impl Found, records: &[Entry]) -> bool {
        let Some(Record::Node(node)) = records.first().map(|entry| &entry.record) else {
            return false;
        };
        let same_kind = match (&node.kind, found.meta().kind) {
            (Kind::File { size, .. }, files::Kind::File) => *size == found.meta().size && !self.options.force_rehash,
            (Kind::Directory, files::Kind::Directory)
            | (Kind::Symlink { .. }, files::Kind::Symlink)
            | (Kind::Fifo, files::Kind::Fifo)
            | (Kind::Socket, files::Kind::Socket) => true,
            // Devices are cheap to record anew.
            _ => false,
        };
        let same = match found.comparison() {
            Comparison::ByFacts => has_facts(node, found.meta()),
            Comparison::Same => self.is_comparable,
            Comparison::Different => false,
        };
        same_kind && same && !self.uses_unusable(records)
    }

    fn uses_unusable(&self, records: &[Entry]) -> bool {
        !self.unusable.is_empty()
            && records
                .iter()
                .filter_map(|entry| content(&entry.record))
                .any(|content| {
                    content
                        .extents
                        .iter()
                        .filter_map(|extent| extent.chunk())
                        .any(|(chunk, _)| self.unusable.contains(&chunk.id))
                })
    }

    // Hard links.

    fn link_target(&self, found: &impl Found) -> Option<Vec<u8>> {
        let several = found.meta().nlink > 1 && !found.meta().kind.is_directory();
        several.then(|| self.links.get(&(found.meta().dev, found.meta().ino)).cloned())?
    }

    fn note_link(&mut self, found: &impl Found) {
        if found.meta().nlink > 1 && !found.meta().kind.is_directory() {
            self.links
                .insert((found.meta().dev, found.meta().ino), found.path().to_vec());
        }
    }

    fn link(&mut self, found: &impl Found, target: Vec<u8>) -> Result<(), Stop> {
        let mut node = self.node(found, found.meta(), Kind::HardLink { target });
        // Its first name says the rest.
        node.attributes = Vec::new();
        self.push(Draft::settled(Entry {
            path: found.path().to_vec(),
            record: Record::Node(Box::new(node)),
        }))
    }

    // Folders, symbolic links, devices.

    fn other(&mut self, found: &impl Found) -> Result<(), Stop> {
        let kind = match found.meta().kind {
            files::Kind::Directory => Kind::Directory,
            files::Kind::Fifo => Kind::Fifo,
            files::Kind::Socket => Kind::Socket,
            files::Kind::CharDevice { major, minor } => Kind::CharDevice { major, minor },
            files::Kind::BlockDevice { major, minor } => Kind::BlockDevice { major, minor },
            files::Kind::Symlink => match found.read_link() {
                Ok(target) => Kind::Symlink { target },
                Err(error) => return self.unreadable(found, &error),
            },
            files::Kind::File => unreachable!("files are read"),
        };
        let mut node = self.node(found, found.meta(), kind);
        match found.xattrs() {
            Ok(attributes) => node.attributes = attributes,
            Err(error) => self
                .issues
                .add(found.path(), format!("its extended attributes are missing: {error}")),
        }
        if self.refuses(found, &node) {
            return Ok(());
        }
        self.note_link(found);
        self.push(Draft::settled(Entry {
            path: found.path().to_vec(),
            record: Record::Node(Box::new(node)),
        }))
    }

    /// Whether no page can take a record of this: it is reported then, and left out.
    fn refuses(&mut self, found: &impl Found, node: &Node) -> bool {
        let refused = node.check_facts(found.path()).err();
        if let Some(error) = refused {
            self.issues.add(found.path(), format!("it cannot be recorded: {error}"));
        }
        refused.is_some()
    }

    // Files.

    fn file(&mut self, found: &impl Found, earlier: &Earlier) -> Result<(), Stop> {
        self.files_read += 1;
        let result = if found.meta().size < SMALL_BYTES {
            self.small_file(found)
        } else {
            self.large_file(found, earlier)
        };
        match result {
            Ok(result) => result.map(|()| self.note_link(found)),
            Err(error) => self.unreadable(found, &error),
        }
    }

    fn unreadable(&mut self, found: &impl Found, error: &ReadError) -> Result<(), Stop> {
        let why = match error.kind {
            files::ReadErrorKind::Vanished => "it vanished during the backup".to_owned(),
            _ => error.to_string(),
        };
        self.issues.add(found.path(), why);
        Ok(())
    }

    /// Reads a small file whole, to the end of the open bundle.
    fn small_file(&mut self, found: &impl Found) -> Result<Result<(), Stop>, ReadError> {
        let start = self.bundle.len();
        let mut found = found.clone();
        for left in (0..TRIES).rev() {
            self.bundle.plain().truncate(start);
            let read = found.read_small(self.bundle.plain());
            let read = read.inspect_err(|_| self.bundle.plain().truncate(start))?;
            // A file that outgrew what is small keeps what fits; it is inconsistent anyway and read again next time.
            let meta = read.file.stat();
            if !read.unchanged && left > 0 {
                found.set_meta(meta);
                continue;
            }
            if !read.unchanged {
                self.inconsistent(&found);
            }
            let attributes = self.attributes(&found, read.file.xattrs());
            return Ok(self.place_small(&found, start, read.unchanged, attributes));
        }
        unreachable!("the last try returns")
    }

    fn place_small(
        &mut self,
        found: &impl Found,
        start: usize,
        consistent: bool,
        attributes: files::Xattrs,
    ) -> Result<(), Stop> {
        let plain = &self.bundle.plain()[start..];
        let length = plain.len() as u32;
        let print = fingerprint(&self.keys, plain);
        let size = u64::from(length);
        let mut node = self.node(
            found,
            found.meta(),
            Kind::File {
                size,
                content: Content::default(),
            },
        );
        node.attributes = attributes;
        if !consistent {
            node.ctime = 0;
        }
        if self.refuses(found, &node) {
            self.bundle.plain().truncate(start);
            return Ok(());
        }
        self.progress.add_bytes(size);
        let mut content = FileContent::new(found.path().to_vec(), node);
        if length > 0 {
            let known = self.contents.find(print, length);
            if known.is_some() {
                self.bundle.plain().truncate(start);
            }
            let known = known.unwrap_or_else(|| {
                let slot = self.bundle.slot().clone();
                self.contents.insert(print, slot.clone(), start as u32, length);
                Known::Now(slot, start as u32)
            });
            content.piece(print, length, known);
        }
        content.finish().into_iter().try_for_each(|draft| self.push(draft))?;
        if self.bundle.is_full(FILES_BYTES) {
            self.close_bundle()
        } else {
            Ok(())
        }
    }

    /// Reads a large file in parts; if it changes meanwhile and none of its records has left yet, again.
    fn large_file(&mut self, found: &impl Found, earlier: &Earlier) -> Result<Result<(), Stop>, ReadError> {
        let (batch, weight, sent) = (self.batch.len(), self.batch_weight, self.batches_sent);
        for left in (0..TRIES).rev() {
            let file = found.open()?;
            let read = match self.read_large(found, &file, earlier) {
                Ok(Ok(read)) => read,
                Ok(Err(stop)) => return Ok(Err(stop)),
                Err(error) if self.batches_sent == sent => {
                    self.forget(batch, weight);
                    return Err(error);
                }
                // Its beginning is in the recovery point already, filled up with a hole.
                Err(error) => {
                    self.issues.add(found.path(), format!("it is incomplete: {error}"));
                    Read::Consistent
                }
            };
            match read {
                Read::Consistent => break,
                Read::Changed if left > 0 && self.batches_sent == sent => self.forget(batch, weight),
                Read::Changed => {
                    self.inconsistent(found);
                    break;
                }
            }
        }
        Ok(Ok(()))
    }

    fn inconsistent(&mut self, found: &impl Found) {
        self.issues.add(found.path(), INCONSISTENT);
        self.volumes.has_changed(found.volume());
    }

    /// Takes back the records of a file.
    fn forget(&mut self, batch: usize, weight: usize) {
        self.batch.truncate(batch);
        self.batch_weight = weight;
    }

    fn read_large(
        &mut self,
        found: &impl Found,
        file: &impl Contents,
        earlier: &Earlier,
    ) -> Result<Result<Read, Stop>, ReadError> {
        let meta = file.stat();
        let mut head = [0; HEAD_BYTES];
        let filled = file.fill_at(0, &mut head)?;
        let mut node = self.node(
            found,
            &meta,
            Kind::File {
                size: meta.size,
                content: Content::default(),
            },
        );
        node.attributes = self.attributes(found, file.xattrs());
        if self.refuses(found, &node) {
            return Ok(Ok(Read::Consistent));
        }
        let mut content = FileContent::new(found.path().to_vec(), node);
        let read = if is_image(found.name(), &meta, &head[..filled]) {
            self.read_blocks(file, earlier, &mut content)
        } else {
            self.read_cut(file, &mut content)
        };
        if let Ok(Err(stop)) = read {
            return Ok(Err(stop));
        }
        // A file that ended early, or could not be read to its end, still has the size that its record says.
        content.hole(meta.size - content.covered());
        let pushed = content.finish().into_iter().try_for_each(|draft| self.push(draft));
        read?.and(pushed).map_or_else(
            |stop| Ok(Err(stop)),
            |()| {
                let unchanged = file.unchanged_since(&meta)?;
                Ok(Ok(if unchanged { Read::Consistent } else { Read::Changed }))
            },
        )
    }

    /// Content-defined chunks, each on its own.
    fn read_cut(&mut self, file: &impl Contents, content: &mut FileContent) -> Result<Result<(), Stop>, ReadError> {
        let size = file.stat().size;
        let mut window = Vec::with_capacity(CHUNK_BYTES_MAX);
        let mut offset = 0;
        loop {
            let filled = window.len();
            let wanted = (size - offset).min((CHUNK_BYTES_MAX - filled) as u64) as usize;
            window.resize(filled + wanted, 0);
            let read = file.fill_at(offset, &mut window[filled..])?;
            window.truncate(filled + read);
            offset += read as u64;
            if window.is_empty() {
                return Ok(Ok(()));
            }
            let cut = self.cutter.cut(&window);
            let rest = window.split_off(cut);
            let chunk = std::mem::replace(&mut window, with_room(&rest));
            if let Err(stop) = self.chunk(chunk, content) {
                return Ok(Err(stop));
            }
        }
    }

    fn chunk(&mut self, plain: Vec<u8>, content: &mut FileContent) -> Result<(), Stop> {
        let length = plain.len() as u32;
        self.progress.add_bytes(u64::from(length));
        if is_zero(&plain) {
            content.zero(u64::from(length));
            return self.after_piece(content);
        }
        let print = fingerprint(&self.keys, &plain);
        let known = match self.contents.find(print, length) {
            Some(known) => known,
            None => {
                let slot = self.bundle.send_alone(plain)?;
                self.contents.insert(print, slot.clone(), 0, length);
                Known::Now(slot, 0)
            }
        };
        content.piece(print, length, known);
        self.after_piece(content)
    }

    fn after_piece(&mut self, content: &mut FileContent) -> Result<(), Stop> {
        if self.progress.is_cancelled() {
            self.bundle.close()?;
            return Err(Stop::Cancelled);
        }
        if self.contents.is_full() {
            self.flush_contents()?;
        }
        content.take_done().into_iter().try_for_each(|draft| self.push(draft))
    }

    // Nodes.

    fn node(&mut self, found: &impl Found, meta: &Meta, kind: Kind) -> Node {
        let is_file = matches!(kind, Kind::File { .. });
        Node {
            kind,
            mode: meta.mode,
            owner: self.owner(found, meta),
            mtime: time(meta.mtime),
            ctime: if is_file {
                self.lasting_ctime(found, meta)
            } else {
                nanoseconds(meta.ctime)
            },
            inode: meta.ino,
            device: found.device(),
            attributes: Vec::new(),
        }
    }

    /// The ctime, or 0, which no file has, if the file may change again within the same tick of the clock: after it was
    /// read, or after the snapshot was made that it was read from.
    fn lasting_ctime(&self, found: &impl Found, meta: &Meta) -> i64 {
        let ctime = nanoseconds(meta.ctime);
        let now = || super::nanoseconds(self.options.moment(self.options.clock.now()));
        let now = found.moment().map_or_else(now, nanoseconds);
        if ctime.saturating_add(RECENT_NS) > now {
            0
        } else {
            ctime
        }
    }

    fn owner(&mut self, found: &impl Found, meta: &Meta) -> Arc<Owner> {
        let (uid, gid) = (meta.uid, meta.gid);
        let [user, group] = found.owner(&self.names);
        let known = self.owners.get(&(uid, gid));
        if let Some(known) = known.filter(|known| known.user == user && known.group == group) {
            return known.clone();
        }
        let (user, group) = (user.to_vec(), group.to_vec());
        let owner = Arc::new(Owner { uid, gid, user, group });
        self.owners.insert((uid, gid), owner.clone());
        owner
    }

    fn attributes(&mut self, found: &impl Found, read: Result<files::Xattrs, ReadError>) -> files::Xattrs {
        read.unwrap_or_else(|error| {
            self.issues
                .add(found.path(), format!("its extended attributes are missing: {error}"));
            Vec::new()
        })
    }

    // Handing on.

    fn push(&mut self, draft: Draft) -> Result<(), Stop> {
        self.batch_weight += draft.weight();
        self.batch.push(draft);
        if self.bundle.is_empty() && self.batch_weight >= BATCH_WEIGHT_MIN {
            return self.send_batch();
        }
        if self.batch_weight >= BATCH_WEIGHT_MAX {
            self.close_bundle()
        } else {
            Ok(())
        }
    }

    /// Closes the bundle and sends the drafts that waited for it.
    fn close_bundle(&mut self) -> Result<(), Stop> {
        self.bundle.close()?;
        if self.contents.is_full() {
            self.flush_contents()?;
        }
        if self.batch_weight >= BATCH_WEIGHT_MIN {
            self.send_batch()
        } else {
            Ok(())
        }
    }

    fn flush_contents(&mut self) -> Result<(), Stop> {
        self.bundle.close()?;
        self.contents.flush().map_err(|source| {
            Stop::Scratch(EngineError::Scratch {
                action: "write to",
                path: "contents".into(),
                source,
            })
        })
    }

    fn send_batch(&mut self) -> Result<(), Stop> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.batch_weight = 0;
        self.batches_sent += 1;
        self.drafts
            .send(std::mem::take(&mut self.batch))
            .map_err(|_| Stop::Broken)
    }
}

const INCONSISTENT: &str = "it changed while it was read: what is kept of it may mix old and new contents";

fn with_room(rest: &[u8]) -> Vec<u8> {
    let mut window = Vec::with_capacity(CHUNK_BYTES_MAX);
    window.extend_from_slice(rest);
    window
}

fn has_facts(node: &Node, meta: &Meta) -> bool {
    node.inode == meta.ino && node.ctime == nanoseconds(meta.ctime) && node.mtime == time(meta.mtime)
}

fn size_of(meta: &Meta) -> u64 {
    if meta.kind == files::Kind::File { meta.size } else { 0 }
}

fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<64>();
    words.iter().all(|word| *word == [0; 64]) && rest.iter().all(|&byte| byte == 0)
}

fn time((seconds, nanoseconds): (i64, u32)) -> Time {
    Time { seconds, nanoseconds }
}

fn nanoseconds((seconds, nanoseconds): (i64, u32)) -> i64 {
    seconds.wrapping_mul(1_000_000_000).wrapping_add(i64::from(nanoseconds))
}
