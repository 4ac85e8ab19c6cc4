//! Files that are kept in aligned blocks: disk images, and databases.

use std::ops::Range;

use strongroom_format::entry::BLOCK_BYTES;
use strongroom_sources::files::{ReadError, Segment};
use strongroom_sources::source::Contents;

use super::super::bundle::BLOCKS_BYTES;
use super::super::content::FileContent;
use super::super::earlier::{Earlier, Part};
use super::{Scan, Stop, is_zero};
use crate::keys::fingerprint;
use crate::scratch::Known;

/// Reads of such a file.
const WINDOW_BYTES: usize = 1 << 20;

impl Scan {
    /// Aligned blocks, bundled in file order. Holes stay holes.
    pub(super) fn read_blocks(
        &mut self,
        file: &impl Contents,
        earlier: &Earlier,
        content: &mut FileContent,
    ) -> Result<Result<(), Stop>, ReadError> {
        // Images have bundles of their own, so that these hold blocks in disk order.
        if let Err(stop) = self.close_bundle() {
            return Ok(Err(stop));
        }
        for segment in file.segments() {
            match segment? {
                Segment::Hole { len, .. } => content.hole(len),
                Segment::Data { offset, len } => match self.read_data(file, offset, len, content)? {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(stop) => return Ok(Err(stop)),
                },
                Segment::Kept { offset, len } => match self.keep(file, earlier, offset..offset + len, content)? {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(stop) => return Ok(Err(stop)),
                },
            }
        }
        Ok(self.close_bundle())
    }

    /// A stretch that is as the last point has it, which is read where that has not blocks of it that can be used. Whether the
    /// file was long enough.
    fn keep(
        &mut self,
        file: &impl Contents,
        earlier: &Earlier,
        range: Range<u64>,
        content: &mut FileContent,
    ) -> Result<Result<bool, Stop>, ReadError> {
        let mut position = range.start;
        for part in earlier.parts(range) {
            let length = part.length();
            let kept = match part {
                Part::Hole(_) => {
                    content.hole(length);
                    self.kept(length, content)
                }
                Part::Zero(_) => {
                    content.zero(length);
                    self.kept(length, content)
                }
                Part::Block(print, place) if !self.unusable.contains(&place.chunk.id) => {
                    content.block(print, place.length, Known::Before(place));
                    self.kept(length, content)
                }
                Part::Block(..) | Part::Unknown(_) => match self.read_data(file, position, length, content)? {
                    Ok(true) => Ok(()),
                    short_or_stopped => return Ok(short_or_stopped),
                },
            };
            if let Err(stop) = kept {
                return Ok(Err(stop));
            }
            position += length;
        }
        Ok(Ok(true))
    }

    fn kept(&mut self, length: u64, content: &mut FileContent) -> Result<(), Stop> {
        self.progress.add_bytes(length);
        self.after_piece(content)
    }

    /// The blocks of one stretch of data. Whether the file was long enough.
    fn read_data(
        &mut self,
        file: &impl Contents,
        offset: u64,
        length: u64,
        content: &mut FileContent,
    ) -> Result<Result<bool, Stop>, ReadError> {
        let mut window = vec![0; WINDOW_BYTES];
        let (mut position, end) = (offset, offset + length);
        while position < end {
            let to_boundary = WINDOW_BYTES as u64 - position % BLOCK_BYTES as u64;
            let wanted = to_boundary.min(end - position) as usize;
            let read = file.fill_at(position, &mut window[..wanted])?;
            if let Err(stop) = self.blocks(&window[..read], position, content) {
                return Ok(Err(stop));
            }
            position += read as u64;
            if read < wanted {
                return Ok(Ok(false));
            }
        }
        Ok(Ok(true))
    }

    /// Blocks of `bytes`, which begin at `position` of the file.
    fn blocks(&mut self, mut bytes: &[u8], mut position: u64, content: &mut FileContent) -> Result<(), Stop> {
        while !bytes.is_empty() {
            let to_boundary = BLOCK_BYTES - (position % BLOCK_BYTES as u64) as usize;
            let (block, rest) = bytes.split_at(to_boundary.min(bytes.len()));
            self.block(block, content)?;
            position += block.len() as u64;
            bytes = rest;
        }
        Ok(())
    }

    fn block(&mut self, block: &[u8], content: &mut FileContent) -> Result<(), Stop> {
        let length = block.len() as u32;
        self.progress.add_bytes(u64::from(length));
        if is_zero(block) {
            content.zero(u64::from(length));
            return self.after_piece(content);
        }
        let print = fingerprint(&self.keys, block);
        let known = self.contents.find(print, length).unwrap_or_else(|| {
            let (slot, start) = (self.bundle.slot().clone(), self.bundle.len() as u32);
            self.bundle.plain().extend_from_slice(block);
            self.contents.insert(print, slot.clone(), start, length);
            Known::Now(slot, start)
        });
        content.block(print, length, known);
        if self.bundle.is_full(BLOCKS_BYTES) {
            self.bundle.close()?;
        }
        self.after_piece(content)
    }
}
