//! The leaf pages of the last recovery point, in order, to compare the next walk with.
//!
//! ```text
//! log   := "SRPAGES1" frame*        frame := length:u32 check[16] page_head plain_page
//! ```
//!
//! `check` is the beginning of BLAKE3 of what follows it.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use strongroom_format::page::put_visible;
use strongroom_format::point::Issue;
use strongroom_model::{BlobId, Digest, PointId};

const MAGIC: &[u8; 8] = b"SRPAGES1";
const DESCRIPTION: &str = "last.json";
const FRAME_BYTES_MAX: u32 = 16 << 20;
const BUFFER_BYTES: usize = 256 << 10;

/// What the scratch folder knows of the last recovery point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastPoint {
    /// The point whose pages are here.
    pub point: PointId,
    /// BLAKE3 of its object, or of the newest point's that was imported after it.
    pub digest: Digest,
    /// How many names it has.
    pub entries: u64,
    /// Bytes of all its files.
    pub bytes: u64,
    /// Chunks of which this point uses less than half: what is still used of them is to be bundled anew.
    pub tired: Vec<BlobId>,
    /// What is wrong with paths of this point: their records are not taken over, but looked at again.
    #[serde(default)]
    pub unsure: Unsure,
}

/// Paths whose records say less than there was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unsure {
    /// These.
    Paths(Vec<Vec<u8>>),
    /// There were too many to tell.
    All,
}

impl Default for Unsure {
    fn default() -> Self {
        Self::Paths(Vec::new())
    }
}

impl Unsure {
    /// Those that a point's issues are about.
    pub fn of(issues: &[Issue], omitted: u64) -> Self {
        let paths = issues.iter().filter(|issue| !issue.path.is_empty());
        match omitted {
            0 => Self::Paths(paths.map(|issue| issue.path.clone()).collect()),
            _ => Self::All,
        }
    }
}

impl LastPoint {
    pub(super) fn load(root: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(root.join(DESCRIPTION)).ok()?).ok()
    }

    pub(super) fn remove(root: &Path) {
        let _ = fs::remove_file(root.join(DESCRIPTION));
        remove_logs(root, None);
    }

    /// Describes the same pages as what the vault's newest point, of this digest, was made after.
    pub(super) fn follow(self, root: &Path, digest: Digest) -> io::Result<()> {
        Self { digest, ..self }.write(root)
    }

    fn write(&self, root: &Path) -> io::Result<()> {
        let description = root.join("last.new");
        fs::write(&description, serde_json::to_vec(self)?)?;
        fs::rename(&description, root.join(DESCRIPTION))
    }

    /// Reads the pages. `None` if they are not there.
    pub fn pages(&self, scratch: &super::Scratch) -> Option<PageLogReader> {
        PageLogReader::open(&log_path(&scratch.root, self.point)).ok()
    }
}

/// Writes the leaf pages of a recovery point in the making.
#[derive(Debug)]
pub struct PageLog {
    path: PathBuf,
    file: BufWriter<File>,
    frame: Vec<u8>,
}

impl PageLog {
    pub(super) fn create(root: &Path) -> io::Result<Self> {
        let path = root.join("pages.new");
        let mut file = BufWriter::with_capacity(BUFFER_BYTES, File::create(&path)?);
        file.write_all(MAGIC)?;
        Ok(Self {
            path,
            file,
            frame: Vec::new(),
        })
    }

    /// Appends a leaf page.
    pub fn push(&mut self, refs: &[BlobId], plain: &[u8]) -> io::Result<()> {
        self.frame.clear();
        put_visible(&mut self.frame, 0, refs);
        self.frame.extend_from_slice(plain);
        self.file.write_all(&(self.frame.len() as u32).to_le_bytes())?;
        self.file.write_all(&check(&self.frame))?;
        self.file.write_all(&self.frame)
    }

    pub(super) fn finish(mut self, root: &Path, last: &LastPoint) -> io::Result<()> {
        self.file.flush()?;
        fs::rename(&self.path, log_path(root, last.point))?;
        last.write(root)?;
        remove_logs(root, Some(last.point));
        Ok(())
    }
}

/// Reads the leaf pages of the last recovery point. It ends at the first damaged one.
#[derive(Debug)]
pub struct PageLogReader {
    file: BufReader<File>,
}

impl PageLogReader {
    fn open(path: &Path) -> io::Result<Self> {
        let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
        let mut magic = [0; 8];
        file.read_exact(&mut magic)?;
        if magic == *MAGIC {
            Ok(Self { file })
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }

    fn frame(&mut self) -> Option<Vec<u8>> {
        let mut header = [0; 20];
        self.file.read_exact(&mut header).ok()?;
        let (length, expected) = header.split_first_chunk::<4>().expect("20 bytes");
        let length = u32::from_le_bytes(*length);
        if length > FRAME_BYTES_MAX {
            return None;
        }
        let mut frame = vec![0; length as usize];
        self.file.read_exact(&mut frame).ok()?;
        (check(&frame) == expected).then_some(frame)
    }
}

impl Iterator for PageLogReader {
    /// The visible head of a page, followed by its plain bytes.
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        self.frame()
    }
}

fn check(frame: &[u8]) -> [u8; 16] {
    *blake3::hash(frame)
        .as_bytes()
        .first_chunk()
        .expect("a hash has 32 bytes")
}

fn log_path(root: &Path, point: PointId) -> PathBuf {
    root.join(format!("pages.{point}"))
}

fn remove_logs(root: &Path, kept: Option<PointId>) {
    let kept = kept.map(|point| log_path(root, point));
    for file in fs::read_dir(root).into_iter().flatten().flatten() {
        let path = file.path();
        if file.file_name().to_string_lossy().starts_with("pages.") && Some(&path) != kept.as_ref() {
            let _ = fs::remove_file(path);
        }
    }
}
