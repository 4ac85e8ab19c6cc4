//! ext2, ext3 and ext4. The source is the kernel's `Documentation/filesystems/ext4/`.
//!
//! A disk that is taken while its guest runs has changes that stand in the journal only. They are seen here: the journal's
//! blocks lie over those of the disk ([`journal`]). Checksums are not compared: what is damaged should still come out.

use std::sync::Arc;

use crate::bytes::{byte, le16, le32, part};
use crate::disk::{Disk, bytes_at, fill};
use crate::error::{Result, damaged, unsupported};
use crate::tree::{FOLDER_MAX, FOLDER_STRETCH, Facts, Kind, Moment, Names, Node, TARGET_MAX, Tree, kind_of};

mod blocks;
mod inline;
mod journal;

use journal::Journal;

/// Whatever else a file system may need of its reader, as bits of `s_feature_incompat`: compression, a journal as a disk.
const COMPRESSED: u32 = 0x1;
const NEEDS_RECOVERY: u32 = 0x4;
const IS_JOURNAL: u32 = 0x8;
const META_GROUPS: u32 = 0x10;
const WIDE: u32 = 0x80;
const KNOWN: u32 = 0x2
    | NEEDS_RECOVERY
    | META_GROUPS
    | 0x40
    | WIDE
    | 0x100
    | 0x200
    | 0x400
    | 0x2000
    | 0x4000
    | 0x8000
    | 0x1_0000
    | 0x2_0000;

const INODE_ENCRYPTED: u32 = 0x800;
const INODE_EXTENTS: u32 = 0x8_0000;
const INODE_INLINE: u32 = 0x1000_0000;

const ROOT: u64 = 2;

pub(crate) struct Ext4 {
    disk: Arc<dyn Disk>,
    block_size: u64,
    blocks: u64,
    inodes: u64,
    inodes_per_group: u64,
    inode_size: u64,
    descriptors: Descriptors,
    journal: Journal,
    remarks: Vec<String>,
}

/// Where the descriptors of groups lie.
struct Descriptors {
    size: u64,
    /// The superblock's block, which the descriptors follow: 1 if blocks are as small as it is.
    superblock: u64,
    first_block: u64,
    blocks_per_group: u64,
    /// From which block of descriptors on each lies in the groups that it describes.
    scattered_from: u64,
    sparse: bool,
}

impl Ext4 {
    pub(crate) fn open(disk: Arc<dyn Disk>) -> Result<Self> {
        let head = bytes_at(&*disk, 1024, 1024)?;
        let mut remarks = Vec::new();
        let mut found = Self::superblock(disk, &head)?;
        if le32(&head, 0x60) & NEEDS_RECOVERY != 0 {
            found.replay(u64::from(le32(&head, 0xe0)), &mut remarks);
        }
        found.remarks = remarks;
        Ok(found)
    }

    fn superblock(disk: Arc<dyn Disk>, head: &[u8]) -> Result<Self> {
        let features = le32(head, 0x60);
        if features & (COMPRESSED | IS_JOURNAL | !KNOWN) != 0 {
            return unsupported(format!("ext4 with features that are not read here ({features:#x})"));
        }
        let wide = features & WIDE != 0;
        let (revision, shift) = (le32(head, 0x4c), le32(head, 0x18));
        if shift > 6 {
            return damaged("the size of its blocks");
        }
        let block_size = 1024 << shift;
        let inode_size = if revision == 0 {
            128
        } else {
            u64::from(le16(head, 0x58))
        };
        if !inode_size.is_power_of_two() || inode_size < 128 || inode_size > block_size {
            return damaged("the size of its inodes");
        }
        let descriptor_size = if wide { u64::from(le16(head, 0xfe)) } else { 32 };
        if !descriptor_size.is_power_of_two() || descriptor_size < 32 || descriptor_size > block_size {
            return damaged("the size of its groups' descriptors");
        }
        let (blocks_per_group, inodes_per_group) = (u64::from(le32(head, 0x20)), u64::from(le32(head, 0x28)));
        if blocks_per_group == 0 || inodes_per_group == 0 {
            return damaged("the size of its groups");
        }
        let high = if wide { u64::from(le32(head, 0x150)) } else { 0 };
        Ok(Self {
            block_size,
            blocks: (high << 32 | u64::from(le32(head, 4))).min(disk.size() / block_size),
            inodes: u64::from(le32(head, 0)),
            inodes_per_group,
            inode_size,
            descriptors: Descriptors {
                size: descriptor_size,
                superblock: 1024 / block_size,
                first_block: u64::from(le32(head, 0x14)),
                blocks_per_group,
                scattered_from: if features & META_GROUPS != 0 {
                    u64::from(le32(head, 0x104))
                } else {
                    u64::MAX
                },
                sparse: le32(head, 0x64) & 1 != 0,
            },
            journal: Journal::default(),
            remarks: Vec::new(),
            disk,
        })
    }

    fn replay(&mut self, inode: u64, remarks: &mut Vec<String>) {
        if inode == 0 {
            remarks.push("its journal is on another disk: what changed last may be missing".to_owned());
            return;
        }
        match Journal::load(self, inode) {
            Ok(journal) => {
                if !journal.is_empty() {
                    remarks.push(
                        "it was in use: its journal has been read, so files are as they would be after a mount"
                            .to_owned(),
                    );
                }
                if journal.has_more() {
                    remarks.push(
                        "fast commits in its journal are not read: changes of the last seconds may be missing"
                            .to_owned(),
                    );
                }
                self.journal = journal;
            }
            Err(error) => {
                remarks.push(format!(
                    "it was in use, and its journal cannot be read ({error}): what changed last may be missing"
                ));
            }
        }
    }

    /// Reads from the disk, with the journal's blocks over it.
    fn fill(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        fill(&*self.disk, offset, buffer)?;
        self.journal.lay_over(&*self.disk, self.block_size, offset, buffer)
    }

    fn block(&self, number: u64) -> Result<Vec<u8>> {
        if number == 0 || number >= self.blocks {
            return damaged("a block beyond the end of the file system");
        }
        let mut block = vec![0; self.block_size as usize];
        self.fill(number * self.block_size, &mut block)?;
        Ok(block)
    }

    /// Where the descriptor of a group is, in bytes.
    fn descriptor_at(&self, group: u64) -> u64 {
        let all = &self.descriptors;
        let per_block = self.block_size / all.size;
        let (block, inside) = (group / per_block, (group % per_block) * all.size);
        if block < all.scattered_from {
            return (all.superblock + 1 + block) * self.block_size + inside;
        }
        // With scattered descriptors, the first group of those that a block describes has it, after a superblock if it has one.
        let first = block * per_block;
        let mut superblock = u64::from(!all.sparse || has_superblock(first));
        if first == 0 && all.first_block < all.superblock {
            superblock += 1;
        }
        (first * all.blocks_per_group + all.first_block + superblock) * self.block_size + inside
    }

    fn inode(&self, number: u64) -> Result<Vec<u8>> {
        if number == 0 || number > self.inodes {
            return damaged("a name of an inode that does not exist");
        }
        let (group, index) = (
            (number - 1) / self.inodes_per_group,
            (number - 1) % self.inodes_per_group,
        );
        let mut descriptor = vec![0; self.descriptors.size as usize];
        self.fill(self.descriptor_at(group), &mut descriptor)?;
        // The upper half is beyond the end of short descriptors, and so zero.
        let table = u64::from(le32(&descriptor, 0x28)) << 32 | u64::from(le32(&descriptor, 8));
        if table == 0 || table >= self.blocks {
            return damaged("the place of a group's inodes");
        }
        let mut inode = vec![0; self.inode_size as usize];
        self.fill(table * self.block_size + index * self.inode_size, &mut inode)?;
        Ok(inode)
    }

    /// Fills the buffer from a stretch of blocks, or with zeros where there are none.
    fn contents(&self, inode: &[u8], mut offset: u64, mut buffer: &mut [u8]) -> Result<()> {
        while !buffer.is_empty() {
            let found = blocks::stretch(self, inode, offset / self.block_size)?;
            let inside = offset % self.block_size;
            let length = found
                .blocks
                .saturating_mul(self.block_size)
                .saturating_sub(inside)
                .min(buffer.len() as u64) as usize;
            let (now, later) = buffer.split_at_mut(length);
            match found.start {
                None => now.fill(0),
                Some(start) => self.fill(start * self.block_size + inside, now)?,
            }
            offset += length as u64;
            buffer = later;
        }
        Ok(())
    }
}

/// Whether a group has a copy of the superblock where only some have: 0, 1 and the powers of 3, 5 and 7.
fn has_superblock(group: u64) -> bool {
    let is_power = |base: u64| {
        let mut power = base;
        while power < group {
            power *= base;
        }
        power == group
    };
    group <= 1 || is_power(3) || is_power(5) || is_power(7)
}

fn size(inode: &[u8]) -> u64 {
    u64::from(le32(inode, 0x6c)) << 32 | u64::from(le32(inode, 4))
}

fn flags(inode: &[u8]) -> u32 {
    le32(inode, 0x20)
}

/// Seconds of 32 bits with a sign; where the inode has room for it, two more bits above them and nanoseconds.
fn moment(inode: &[u8]) -> Moment {
    let seconds = i64::from(le32(inode, 0x10) as i32);
    let extra = if le16(inode, 0x80) >= 12 { le32(inode, 0x88) } else { 0 };
    Moment {
        seconds: seconds + (i64::from(extra & 3) << 32),
        nanoseconds: (extra >> 2).min(999_999_999),
    }
}

impl Tree for Ext4 {
    fn root(&self) -> u64 {
        ROOT
    }

    fn node(&self, id: u64) -> Result<Node> {
        let raw = self.inode(id)?;
        let mode = le16(&raw, 0);
        // A deleted inode keeps its contents, but has no links.
        if mode == 0 || le16(&raw, 0x1a) == 0 {
            return damaged("a name of an inode that is not in use");
        }
        let kind = kind_of(mode);
        let facts = Facts {
            kind,
            size: if kind == Kind::File { size(&raw) } else { 0 },
            modified: Some(moment(&raw)),
            mode: Some(u32::from(mode) & 0o7777),
            uid: Some(u32::from(le16(&raw, 0x78)) << 16 | u32::from(le16(&raw, 2))),
            gid: Some(u32::from(le16(&raw, 0x7a)) << 16 | u32::from(le16(&raw, 0x18))),
        };
        Ok(Node { id, facts, raw })
    }

    fn names(&self, folder: &Node, from: u64, room: usize) -> Result<Names> {
        if flags(&folder.raw) & INODE_ENCRYPTED != 0 {
            return unsupported("this folder is encrypted by the guest");
        }
        let mut found = Names::default();
        if flags(&folder.raw) & INODE_INLINE != 0 {
            for block in inline::folder(&folder.raw) {
                entries(block, 0, usize::MAX, &mut found)?;
            }
            return Ok(found);
        }
        let size = size(&folder.raw);
        if size > FOLDER_MAX {
            return damaged("a folder larger than is believed");
        }
        let mut at = from;
        while at < size {
            if found.names.len() >= room || at - from > FOLDER_STRETCH {
                found.next = Some(at);
                break;
            }
            let start = at - at % self.block_size;
            let stretch = blocks::stretch(self, &folder.raw, at / self.block_size)?;
            // An unused block of a folder: `e2fsck -D` may leave such.
            let Some(block) = stretch.start else {
                at = start.saturating_add(stretch.blocks.saturating_mul(self.block_size));
                continue;
            };
            let block = self.block(block)?;
            let inside = entries(&block, (at - start) as usize, room, &mut found)?;
            at = start + inside as u64;
        }
        Ok(found)
    }

    fn read(&self, file: &Node, offset: u64, buffer: &mut [u8]) -> Result<()> {
        if flags(&file.raw) & INODE_ENCRYPTED != 0 {
            return unsupported("this file is encrypted by the guest");
        }
        if flags(&file.raw) & INODE_INLINE != 0 {
            let contents = inline::contents(&file.raw);
            let found = part(&contents, usize::try_from(offset).unwrap_or(usize::MAX), buffer.len());
            buffer[..found.len()].copy_from_slice(found);
            buffer[found.len()..].fill(0);
            return Ok(());
        }
        self.contents(&file.raw, offset, buffer)
    }

    fn target(&self, link: &Node) -> Result<Vec<u8>> {
        let length = size(&link.raw);
        if flags(&link.raw) & INODE_ENCRYPTED != 0 {
            return unsupported("this link is encrypted by the guest");
        }
        if length > TARGET_MAX {
            return damaged("a link longer than any");
        }
        if flags(&link.raw) & INODE_INLINE != 0 {
            return Ok(part(&inline::contents(&link.raw), 0, length as usize).to_vec());
        }
        // Short ones stand where others have the places of their blocks.
        if length < 60 && flags(&link.raw) & INODE_EXTENTS == 0 {
            return Ok(part(&link.raw, 0x28, length as usize).to_vec());
        }
        let mut target = vec![0; length as usize];
        self.contents(&link.raw, 0, &mut target)?;
        Ok(target)
    }

    fn remarks(&self) -> Vec<String> {
        self.remarks.clone()
    }
}

/// Collects the names of one block from a place in it on, and says where it stopped: at the end, or when there are enough.
fn entries(block: &[u8], mut at: usize, room: usize, found: &mut Names) -> Result<usize> {
    while at + 8 <= block.len() && found.names.len() < room {
        // In blocks of 64 KiB, a whole one has no number of its own.
        let length = match le16(block, at + 4) {
            0 | 0xffff if block.len() == 1 << 16 => 1 << 16,
            length => usize::from(length),
        };
        if length < 8 || length % 4 != 0 || at + length > block.len() {
            return damaged("the names in a folder");
        }
        let (inode, name) = (
            u64::from(le32(block, at)),
            part(block, at + 8, usize::from(byte(block, at + 6))),
        );
        // Without a file's type, this is the upper half of the name's length, which is never needed.
        if inode != 0 && name.len() + 8 <= length {
            found.push(name.to_vec(), inode);
        }
        at += length;
    }
    Ok(if at + 8 > block.len() { block.len() } else { at })
}
