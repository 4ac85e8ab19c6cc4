//! XFS, versions 4 and 5. The source is `XFS Algorithms & Data Structures`, third edition. All its numbers are big-endian.
//!
//! Its log is not replayed. XFS writes what its log says to the places where it belongs within half a minute, so of a disk
//! that was taken while its guest ran that much may be missing, or half there.

use std::sync::Arc;

use crate::bytes::{be16, be32, be64, byte, part};
use crate::disk::{Disk, bytes_at, fill};
use crate::error::{Result, damaged, unsupported};
use crate::tree::{Facts, Kind, Moment, Names, Node, TARGET_MAX, Tree, kind_of};

mod extents;
mod folder;

/// Features that change where things are, as bits of `sb_features_incompat`: types in names, sparse inodes, another UUID,
/// larger times, needs a repair, more extents, exchanged ranges, parents.
const KNOWN: u32 = 0xff;
const TYPES_IN_NAMES: u32 = 0x1;
const NEEDS_REPAIR: u32 = 0x10;
/// The same of version 4, in `sb_features2`.
const TYPES_IN_NAMES_4: u32 = 0x200;

const ON_REALTIME: u16 = 0x1;
const LARGE_TIMES: u64 = 0x8;
const MANY_EXTENTS: u64 = 0x10;

/// How a fork keeps what it has.
const LOCAL: u8 = 1;
const EXTENTS: u8 = 2;
const BTREE: u8 = 3;

pub(crate) struct Xfs {
    disk: Arc<dyn Disk>,
    /// Version 5: blocks have longer heads, with checksums.
    long_heads: bool,
    types_in_names: bool,
    block_size: u64,
    /// Blocks of one allocation group, and the bits that number them.
    group_blocks: u64,
    group_bits: u32,
    groups: u64,
    inode_size: u64,
    /// The bits that number the inodes of a block.
    inode_bits: u32,
    folder_block_size: u64,
    root: u64,
    needs_repair: bool,
}

impl Xfs {
    pub(crate) fn open(disk: Arc<dyn Disk>) -> Result<Self> {
        let head = bytes_at(&*disk, 0, 512)?;
        let version = be16(&head, 100) & 0xf;
        let features = if version == 5 { be32(&head, 216) } else { 0 };
        if !matches!(version, 4 | 5) || features & !KNOWN != 0 {
            return unsupported(format!(
                "XFS of version {version} with features that are not read here ({features:#x})"
            ));
        }
        let (block_bits, inode_size_bits, inode_bits) = (byte(&head, 120), byte(&head, 122), byte(&head, 123));
        let (group_bits, folder_bits) = (byte(&head, 124), byte(&head, 192));
        let fits = (9..=16).contains(&block_bits)
            && (8..=11).contains(&inode_size_bits)
            && inode_bits.checked_add(inode_size_bits) == Some(block_bits)
            && (1..=31).contains(&group_bits)
            && folder_bits <= 7
            && block_bits + folder_bits <= 16
            && be32(&head, 84) > 0
            && u64::from(be32(&head, 84)) <= 1 << group_bits;
        if !fits {
            return damaged("its superblock");
        }
        Ok(Self {
            long_heads: version == 5,
            types_in_names: features & TYPES_IN_NAMES != 0
                || (version == 4 && be32(&head, 200) & TYPES_IN_NAMES_4 != 0),
            block_size: 1 << block_bits,
            group_blocks: u64::from(be32(&head, 84)),
            group_bits: u32::from(group_bits),
            groups: u64::from(be32(&head, 88)),
            inode_size: 1 << inode_size_bits,
            inode_bits: u32::from(inode_bits),
            folder_block_size: 1 << (block_bits + folder_bits),
            root: be64(&head, 56),
            needs_repair: features & NEEDS_REPAIR != 0,
            disk,
        })
    }

    /// Where a block is, in bytes: its number is that of a group, and below it that of a block in the group.
    fn place(&self, block: u64) -> Result<u64> {
        let (group, inside) = (block >> self.group_bits, block & ((1 << self.group_bits) - 1));
        if group >= self.groups || inside >= self.group_blocks {
            return damaged("a block beyond the end of the file system");
        }
        // Two numbers of 32 bits, and at most sixteen more.
        (group * self.group_blocks)
            .checked_add(inside)
            .and_then(|block| block.checked_mul(self.block_size))
            .map_or_else(|| damaged("a block beyond the end of the file system"), Ok)
    }

    fn block(&self, number: u64) -> Result<Vec<u8>> {
        bytes_at(&*self.disk, self.place(number)?, self.block_size as usize)
    }

    /// Fills the buffer with a file's contents; holes, and what was reserved only, are zeros.
    fn contents(&self, inode: &[u8], mut offset: u64, mut buffer: &mut [u8]) -> Result<()> {
        while !buffer.is_empty() {
            let found = extents::stretch(self, inode, offset / self.block_size)?;
            let inside = offset % self.block_size;
            let length = found
                .blocks
                .saturating_mul(self.block_size)
                .saturating_sub(inside)
                .min(buffer.len() as u64) as usize;
            let (now, later) = buffer.split_at_mut(length);
            match found.start {
                None => now.fill(0),
                Some(start) => fill(&*self.disk, self.place(start)? + inside, now)?,
            }
            offset = offset.saturating_add(length as u64);
            buffer = later;
        }
        Ok(())
    }

    /// In version 5 each block of a long target has a head of its own.
    fn long_target(&self, inode: &[u8], length: usize) -> Result<Vec<u8>> {
        let head = if self.long_heads { 56 } else { 0 };
        let mut target = Vec::with_capacity(length);
        let mut number = 0;
        while target.len() < length {
            let found = extents::stretch(self, inode, number)?;
            let Some(start) = found.start else {
                return damaged("a link without a target");
            };
            // Blocks that follow each other have one head among them.
            let wanted = (length - target.len() + head) as u64;
            let blocks = wanted.div_ceil(self.block_size).min(found.blocks);
            let bytes = bytes_at(&*self.disk, self.place(start)?, (blocks * self.block_size) as usize)?;
            target.extend_from_slice(part(&bytes, head, length - target.len()));
            number += blocks;
        }
        Ok(target)
    }
}

fn size(inode: &[u8]) -> u64 {
    be64(inode, 56)
}

/// The part of an inode that says what the file holds: up to the extended attributes, if there are some.
fn data_fork(inode: &[u8]) -> &[u8] {
    let start = if byte(inode, 4) >= 3 { 176 } else { 100 };
    match usize::from(byte(inode, 82)) * 8 {
        0 => part(inode, start, usize::MAX),
        length => part(inode, start, length),
    }
}

fn flags2(inode: &[u8]) -> u64 {
    if byte(inode, 4) >= 3 { be64(inode, 120) } else { 0 }
}

fn moment(inode: &[u8]) -> Moment {
    if flags2(inode) & LARGE_TIMES == 0 {
        return Moment {
            seconds: i64::from(be32(inode, 40) as i32),
            nanoseconds: be32(inode, 44).min(999_999_999),
        };
    }
    // Nanoseconds since the end of 1901, where seconds of 32 bits with a sign begin.
    let ticks = be64(inode, 40);
    Moment {
        seconds: (ticks / 1_000_000_000) as i64 - (1 << 31),
        nanoseconds: (ticks % 1_000_000_000) as u32,
    }
}

impl Tree for Xfs {
    fn root(&self) -> u64 {
        self.root
    }

    fn node(&self, id: u64) -> Result<Node> {
        let block = self.place(id >> self.inode_bits)?;
        let inside = (id & ((1 << self.inode_bits) - 1)) * self.inode_size;
        let raw = bytes_at(&*self.disk, block + inside, self.inode_size as usize)?;
        let mode = be16(&raw, 2);
        if !raw.starts_with(b"IN") || mode == 0 || (byte(&raw, 4) >= 3 && be64(&raw, 152) != id) {
            return damaged("a name of an inode that is not in use");
        }
        let kind = kind_of(mode);
        if kind == Kind::File && size(&raw) > i64::MAX as u64 {
            return damaged("the size of a file");
        }
        let facts = Facts {
            kind,
            size: if kind == Kind::File { size(&raw) } else { 0 },
            modified: Some(moment(&raw)),
            mode: Some(u32::from(mode) & 0o7777),
            uid: Some(be32(&raw, 8)),
            gid: Some(be32(&raw, 12)),
        };
        Ok(Node { id, facts, raw })
    }

    fn names(&self, folder: &Node, from: u64, room: usize) -> Result<Names> {
        folder::names(self, &folder.raw, from, room)
    }

    fn read(&self, file: &Node, offset: u64, buffer: &mut [u8]) -> Result<()> {
        if be16(&file.raw, 90) & ON_REALTIME != 0 {
            return unsupported("this file is on a realtime device");
        }
        self.contents(&file.raw, offset, buffer)
    }

    fn target(&self, link: &Node) -> Result<Vec<u8>> {
        let length = size(&link.raw);
        if length > TARGET_MAX {
            return damaged("a link longer than any");
        }
        if byte(&link.raw, 5) == LOCAL {
            return Ok(part(data_fork(&link.raw), 0, length as usize).to_vec());
        }
        self.long_target(&link.raw, length as usize)
    }

    fn remarks(&self) -> Vec<String> {
        let mut remarks =
            vec!["its log is not replayed: what changed in the last half minute before may be missing".to_owned()];
        if self.needs_repair {
            remarks.push("it is marked to be repaired".to_owned());
        }
        remarks
    }
}
