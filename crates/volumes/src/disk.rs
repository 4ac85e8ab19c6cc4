//! Where bytes come from: files, parts of other disks, and a cache in front of either.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Seek};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Result, VolumeError};

/// Something that has bytes at places, and never changes while it is read.
pub trait Disk: Send + Sync {
    /// Its size in bytes.
    fn size(&self) -> u64;

    /// Fills the buffer with what stands from `offset` on. Whatever lies beyond the end is an error.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

impl<D: Disk + ?Sized> Disk for Arc<D> {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset, buffer)
    }
}

fn check(size: u64, offset: u64, length: usize) -> io::Result<()> {
    match offset.checked_add(length as u64) {
        Some(end) if end <= size => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it lies beyond the end")),
    }
}

/// A new buffer filled from a disk. Callers bound the length.
pub(crate) fn bytes_at(disk: &dyn Disk, offset: u64, length: usize) -> Result<Vec<u8>> {
    // Before anything is allocated.
    check(disk.size(), offset, length).map_err(|source| VolumeError::Read { offset, length, source })?;
    let mut bytes = vec![0; length];
    fill(disk, offset, &mut bytes)?;
    Ok(bytes)
}

pub(crate) fn fill(disk: &dyn Disk, offset: u64, buffer: &mut [u8]) -> Result<()> {
    let length = buffer.len();
    disk.read_at(offset, buffer)
        .map_err(|source| VolumeError::Read { offset, length, source })
}

/// A file, or a block device, that holds a raw disk.
#[derive(Debug)]
pub struct FileDisk {
    file: fs::File,
    size: u64,
}

impl FileDisk {
    /// An open file as a disk, of the size that it has now.
    ///
    /// # Errors
    /// When the file has no end that can be sought.
    pub fn new(mut file: fs::File) -> io::Result<Self> {
        let size = file.seek(io::SeekFrom::End(0))?;
        Ok(Self { file, size })
    }
}

impl Disk for FileDisk {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
}

/// A stretch of another disk.
pub struct Window {
    disk: Arc<dyn Disk>,
    offset: u64,
    size: u64,
}

impl Window {
    /// `size` bytes from `offset` on, or as many of them as there are.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, offset: u64, size: u64) -> Self {
        let size = disk.size().saturating_sub(offset).min(size);
        Self { disk, offset, size }
    }
}

impl Disk for Window {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        check(self.size, offset, buffer.len())?;
        self.disk.read_at(self.offset + offset, buffer)
    }
}

/// Windows one after the other.
pub(crate) struct Joined {
    /// Where each begins, and the window; in order, without gaps.
    windows: Vec<(u64, Window)>,
    size: u64,
}

impl Joined {
    pub(crate) fn new(parts: Vec<Window>) -> Self {
        let mut size = 0;
        let windows = parts
            .into_iter()
            .map(|window| {
                let start = size;
                size = u64::saturating_add(size, window.size);
                (start, window)
            })
            .collect();
        Self { windows, size }
    }
}

impl Disk for Joined {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        check(self.size, offset, buffer.len())?;
        let first = self
            .windows
            .partition_point(|(start, _)| *start <= offset)
            .saturating_sub(1);
        for (start, window) in &self.windows[first..] {
            if buffer.is_empty() {
                break;
            }
            let inside = offset - start;
            let length = (window.size - inside).min(buffer.len() as u64) as usize;
            let (now, later) = buffer.split_at_mut(length);
            window.read_at(inside, now)?;
            offset += length as u64;
            buffer = later;
        }
        Ok(())
    }
}

/// How much of a disk one block of the cache holds, in bytes.
const CACHE_BLOCK: u64 = 32 << 10;
/// How many blocks are kept: 8 MiB.
const CACHE_BLOCKS_MAX: usize = 256;
/// Reads longer than this are contents, which nobody reads twice: they go past the cache.
const CACHED_READ_MAX: usize = 64 << 10;

/// Keeps the last blocks that were read, at most 8 MiB: what describes files is small, and asked for again and again.
pub struct Cached {
    disk: Arc<dyn Disk>,
    blocks: Mutex<Blocks>,
}

#[derive(Default)]
struct Blocks {
    kept: HashMap<u64, (u64, Arc<[u8]>)>,
    /// Counts uses: the block with the smallest number is the one that goes.
    uses: u64,
}

impl Cached {
    /// A disk behind an empty cache.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self {
            disk,
            blocks: Mutex::default(),
        }
    }

    fn block(&self, number: u64) -> io::Result<Arc<[u8]>> {
        if let Some(block) = self.blocks.lock().unwrap_or_else(PoisonError::into_inner).get(number) {
            return Ok(block);
        }
        // Not under the lock: others read meanwhile. Two may read the same block, which is no harm.
        let offset = number * CACHE_BLOCK;
        let mut bytes = vec![0; (self.disk.size() - offset).min(CACHE_BLOCK) as usize];
        self.disk.read_at(offset, &mut bytes)?;
        let block: Arc<[u8]> = bytes.into();
        self.blocks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .keep(number, &block);
        Ok(block)
    }
}

impl Blocks {
    fn get(&mut self, number: u64) -> Option<Arc<[u8]>> {
        self.uses += 1;
        let (used, block) = self.kept.get_mut(&number)?;
        *used = self.uses;
        Some(Arc::clone(block))
    }

    fn keep(&mut self, number: u64, block: &Arc<[u8]>) {
        if self.kept.len() >= CACHE_BLOCKS_MAX
            && let Some(oldest) = self
                .kept
                .iter()
                .min_by_key(|(_, (used, _))| *used)
                .map(|(number, _)| *number)
        {
            self.kept.remove(&oldest);
        }
        self.kept.insert(number, (self.uses, Arc::clone(block)));
    }
}

impl Disk for Cached {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn read_at(&self, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        check(self.size(), offset, buffer.len())?;
        if buffer.len() > CACHED_READ_MAX {
            return self.disk.read_at(offset, buffer);
        }
        while !buffer.is_empty() {
            let block = self.block(offset / CACHE_BLOCK)?;
            let inside = &block[(offset % CACHE_BLOCK) as usize..];
            let length = inside.len().min(buffer.len());
            let (now, later) = buffer.split_at_mut(length);
            now.copy_from_slice(&inside[..length]);
            offset += length as u64;
            buffer = later;
        }
        Ok(())
    }
}
