//! What a journal (JBD2) holds of blocks that have not been written to their places yet. The source is the kernel's
//! `Documentation/filesystems/ext4/journal.rst`. All its numbers are big-endian.

use std::collections::BTreeMap;

use crate::bytes::{be16, be32, be64, part};
use crate::disk::{Disk, fill};
use crate::error::{Result, damaged, unsupported};

use super::{Ext4, blocks};

const MAGIC: u32 = 0xc03b_3998;
/// How many blocks of a journal are looked at: 4 GiB of them, where the largest that `mke2fs` makes has one.
const BLOCKS_MAX: u64 = 1 << 20;

const WIDE: u32 = 0x2;
const CHECKSUMS_2: u32 = 0x8;
const CHECKSUMS_3: u32 = 0x10;
const FAST_COMMITS: u32 = 0x20;
const KNOWN: u32 = 0x1 | WIDE | 0x4 | CHECKSUMS_2 | CHECKSUMS_3 | FAST_COMMITS;

/// The newest copy of each block that the journal has.
#[derive(Default)]
pub(super) struct Journal {
    blocks: BTreeMap<u64, Copy>,
    fast_commits: bool,
}

struct Copy {
    /// Where the copy is on the disk, in bytes.
    at: u64,
    /// Its first four bytes were those of a block of the journal, and have been made zeros.
    escaped: bool,
    sequence: u32,
}

impl Journal {
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Whether there may be changes in a form that is not read here.
    pub(super) fn has_more(&self) -> bool {
        self.fast_commits
    }

    /// Puts the journal's blocks over what was read from the disk at a place.
    pub(super) fn lay_over(&self, disk: &dyn Disk, block_size: u64, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let end = offset + buffer.len() as u64;
        for (block, copy) in self.blocks.range(offset / block_size..end.div_ceil(block_size)) {
            let start = block * block_size;
            let (from, to) = (start.max(offset), (start + block_size).min(end));
            let target = &mut buffer[(from - offset) as usize..(to - offset) as usize];
            fill(disk, copy.at + (from - start), target)?;
            if copy.escaped {
                for (index, byte) in MAGIC.to_be_bytes().into_iter().enumerate() {
                    if let Some(place) = (start + index as u64).checked_sub(offset)
                        && let Some(found) = buffer.get_mut(place as usize)
                    {
                        *found = byte;
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn load(from: &Ext4, inode: u64) -> Result<Self> {
        let inode = from.inode(inode)?;
        let head = log_block(from, &inode, 0)?.1;
        let features = be32(&head, 40);
        if be32(&head, 0) != MAGIC || !matches!(be32(&head, 4), 3 | 4) || u64::from(be32(&head, 12)) != from.block_size
        {
            return damaged("the journal's superblock");
        }
        if features & !KNOWN != 0 {
            return unsupported(format!(
                "features of the journal that are not read here ({features:#x})"
            ));
        }
        let mut log = Log {
            from,
            inode: &inode,
            features,
            first: u64::from(be32(&head, 20)),
            end: u64::from(be32(&head, 16)),
            found: BTreeMap::new(),
            revoked: BTreeMap::new(),
        };
        let start = u64::from(be32(&head, 28));
        if start != 0 {
            log.follow(start, be32(&head, 24))?;
        }
        let Log { mut found, revoked, .. } = log;
        // A block that was given up is not to come back, unless a later transaction wrote it again.
        found.retain(|block, copy| {
            revoked
                .get(block)
                .is_none_or(|sequence| later(copy.sequence, *sequence))
        });
        Ok(Self {
            blocks: found,
            fast_commits: features & FAST_COMMITS != 0,
        })
    }
}

/// Numbers of transactions go round.
fn later(one: u32, other: u32) -> bool {
    one != other && one.wrapping_sub(other) < 1 << 31
}

/// A block of the journal, and where on the disk it is.
fn log_block(from: &Ext4, inode: &[u8], number: u64) -> Result<(u64, Vec<u8>)> {
    match blocks::stretch(from, inode, number)?.start {
        Some(block) => Ok((block * from.block_size, from.block(block)?)),
        None => damaged("a hole in the journal"),
    }
}

struct Log<'a> {
    from: &'a Ext4,
    inode: &'a [u8],
    features: u32,
    /// The log is a ring from here...
    first: u64,
    /// ...to before here.
    end: u64,
    found: BTreeMap<u64, Copy>,
    revoked: BTreeMap<u64, u32>,
}

impl Log<'_> {
    /// Goes through the transactions; those without an end were never committed, and do not count.
    fn follow(&mut self, start: u64, mut sequence: u32) -> Result<()> {
        if self.first == 0 || start < self.first || start >= self.end || self.end > BLOCKS_MAX {
            return damaged("the place of the journal's first transaction");
        }
        let mut open = Vec::new();
        let mut revoked = Vec::new();
        let mut at = start;
        // Once round at most: every turn goes on by one block or more.
        let mut left = self.end - self.first;
        while left > 0 {
            let (_, block) = log_block(self.from, self.inode, at)?;
            if be32(&block, 0) != MAGIC || be32(&block, 8) != sequence {
                break;
            }
            let mut steps = 1;
            match be32(&block, 4) {
                1 => {
                    let tags = self.tags(&block);
                    steps += tags.len() as u64;
                    for (index, (number, escaped)) in (1..).zip(tags) {
                        open.push((number, escaped, self.on(at, index)));
                    }
                }
                2 => {
                    self.commit(&mut open, &mut revoked, sequence)?;
                    sequence = sequence.wrapping_add(1);
                }
                5 => self.revocations(&block, &mut revoked),
                _ => break,
            }
            at = self.on(at, steps);
            left = left.saturating_sub(steps);
        }
        Ok(())
    }

    fn on(&self, at: u64, steps: u64) -> u64 {
        self.first + (at - self.first + steps) % (self.end - self.first)
    }

    fn commit(&mut self, open: &mut Vec<(u64, bool, u64)>, revoked: &mut Vec<u64>, sequence: u32) -> Result<()> {
        for (number, escaped, place) in open.drain(..) {
            let Some(block) = blocks::stretch(self.from, self.inode, place)?.start else {
                return damaged("a hole in the journal");
            };
            self.found.insert(
                number,
                Copy {
                    at: block * self.from.block_size,
                    escaped,
                    sequence,
                },
            );
        }
        for number in revoked.drain(..) {
            self.revoked.insert(number, sequence);
        }
        Ok(())
    }

    /// Which blocks the following ones are copies of, and whether each was escaped.
    fn tags(&self, block: &[u8]) -> Vec<(u64, bool)> {
        let third = self.features & CHECKSUMS_3 != 0;
        let wide = self.features & WIDE != 0;
        let size = if third {
            16
        } else {
            8 + if wide { 4 } else { 0 } + if self.features & CHECKSUMS_2 != 0 { 2 } else { 0 }
        };
        let tail = if self.features & (CHECKSUMS_2 | CHECKSUMS_3) != 0 {
            4
        } else {
            0
        };
        let mut found = Vec::new();
        let mut at = 12;
        while at + size <= block.len() - tail {
            let flags = if third {
                be32(block, at + 4)
            } else {
                u32::from(be16(block, at + 6))
            };
            let high = if wide { u64::from(be32(block, at + 8)) } else { 0 };
            found.push((high << 32 | u64::from(be32(block, at)), flags & 1 != 0));
            // Unless it belongs to the same file system as the one before, its UUID follows.
            at += size + if flags & 2 != 0 { 0 } else { 16 };
            if flags & 8 != 0 {
                break;
            }
        }
        found
    }

    fn revocations(&self, block: &[u8], revoked: &mut Vec<u64>) {
        let used = part(block, 16, (be32(block, 12) as usize).saturating_sub(16));
        if self.features & WIDE != 0 {
            revoked.extend(used.chunks_exact(8).map(|number| be64(number, 0)));
        } else {
            revoked.extend(used.chunks_exact(4).map(|number| u64::from(be32(number, 0))));
        }
    }
}
