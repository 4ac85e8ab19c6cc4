//! The volumes of a disk.

use std::fmt;
use std::sync::Arc;

use crate::disk::{Cached, Disk, Window};
use crate::error::{Result, unsupported};
use crate::ext4::Ext4;
use crate::fat::Fat;
use crate::file_system::FileSystem;
use crate::ntfs::Ntfs;
use crate::partitions::{Partition, Table, partitions};
use crate::signature::{Signature, signature};
use crate::xfs::Xfs;

/// What a volume holds, by its marks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Contents {
    /// ext2, ext3 or ext4.
    Ext,
    /// XFS.
    Xfs,
    /// Btrfs.
    Btrfs,
    /// NTFS.
    Ntfs,
    /// FAT with 12, 16 or 32 bits.
    Fat,
    /// exFAT.
    Exfat,
    /// A CD's or DVD's file system.
    Iso9660,
    /// A physical volume of LVM2: [`crate::logical_volumes()`] says what is in it.
    LvmMember,
    /// A member of a Linux software RAID.
    RaidMember,
    /// Encrypted by LUKS.
    Luks,
    /// Encrypted by BitLocker.
    BitLocker,
    /// Swap space.
    Swap,
    /// Nothing that is known here; perhaps nothing at all.
    #[default]
    Unknown,
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ext => "ext4",
            Self::Xfs => "XFS",
            Self::Btrfs => "btrfs",
            Self::Ntfs => "NTFS",
            Self::Fat => "FAT",
            Self::Exfat => "exFAT",
            Self::Iso9660 => "ISO 9660",
            Self::LvmMember => "LVM",
            Self::RaidMember => "software RAID",
            Self::Luks => "LUKS",
            Self::BitLocker => "BitLocker",
            Self::Swap => "swap",
            Self::Unknown => "unknown",
        })
    }
}

/// A partition, a whole disk that has none, or a logical volume.
#[derive(Clone)]
pub struct Volume {
    /// The partition's number, as Linux counts; none for a whole disk or a logical volume.
    pub number: Option<u32>,
    /// Where it begins on the disk, in bytes. A logical volume has no such place: zero.
    pub offset: u64,
    /// Its size in bytes, cut off at the disk's end.
    pub size: u64,
    /// The partition's type: two hexadecimal digits of an MBR, the UUID of a GPT.
    pub partition_type: Option<String>,
    /// The partition's name in a GPT.
    pub partition_label: Option<String>,
    /// The partition's UUID in a GPT.
    pub partition_uuid: Option<String>,
    /// What is in it.
    pub contents: Contents,
    /// What its contents are called.
    pub label: Option<String>,
    /// The UUID, or serial number, of its contents.
    pub uuid: Option<String>,
    /// What is wrong with it, or with the table that names it.
    pub problem: Option<String>,
    disk: Arc<dyn Disk>,
}

impl fmt::Debug for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Volume")
            .field("number", &self.number)
            .field("offset", &self.offset)
            .field("size", &self.size)
            .field("contents", &self.contents)
            .field("label", &self.label)
            .field("uuid", &self.uuid)
            .field("problem", &self.problem)
            .finish_non_exhaustive()
    }
}

impl Volume {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        let (signature, problem) = match signature(&*disk) {
            Ok(signature) => (signature, None),
            Err(error) => (Signature::default(), Some(error.to_string())),
        };
        Self {
            number: None,
            offset: 0,
            size: disk.size(),
            partition_type: None,
            partition_label: None,
            partition_uuid: None,
            contents: signature.contents,
            label: signature.label,
            uuid: signature.uuid,
            problem,
            disk,
        }
    }

    fn partition(disk: &Arc<dyn Disk>, partition: Partition) -> Self {
        let whole = partition
            .offset
            .checked_add(partition.size)
            .is_some_and(|end| end <= disk.size());
        let window = Window::new(Arc::clone(disk), partition.offset, partition.size);
        let mut volume = Self::new(Arc::new(window));
        volume.number = Some(partition.number);
        volume.offset = partition.offset;
        volume.partition_type = Some(partition.kind);
        volume.partition_label = partition.label;
        volume.partition_uuid = partition.uuid;
        if !whole {
            volume.problem = Some("it reaches beyond the end of the disk".to_owned());
        }
        volume
    }

    /// Its bytes.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Opens its file system, behind a cache of 8 MiB.
    ///
    /// # Errors
    /// When it holds none that is read here, and which one it is; or when its superblock cannot be believed.
    pub fn open(&self) -> Result<FileSystem> {
        let disk: Arc<dyn Disk> = Arc::new(Cached::new(Arc::clone(&self.disk)));
        match self.contents {
            Contents::Ext => Ok(FileSystem::new(Ext4::open(disk)?)),
            Contents::Fat => Ok(FileSystem::new(Fat::open(disk)?)),
            Contents::Ntfs => Ok(FileSystem::new(Ntfs::open(disk)?)),
            Contents::Xfs => Ok(FileSystem::new(Xfs::open(disk)?)),
            Contents::Btrfs | Contents::Exfat | Contents::Iso9660 => unsupported(format!(
                "{} is not read here; restore the disk, and mount it",
                self.contents
            )),
            Contents::LvmMember => unsupported("it is a physical volume of LVM: open the logical volumes in it"),
            Contents::RaidMember => unsupported("it is a member of a software RAID, which is not put together here"),
            Contents::Luks | Contents::BitLocker => unsupported(format!(
                "it is encrypted by {}, and its key is with the guest",
                self.contents
            )),
            Contents::Swap => unsupported("swap space has no files"),
            Contents::Unknown => unsupported("it holds no file system that is known here"),
        }
    }
}

/// The volumes of a disk: its partitions in the order of their numbers, or the whole disk where it has no partition table.
///
/// # Errors
/// When the beginning of the disk cannot be read. A damaged table gives a volume that says so.
pub fn volumes(disk: &Arc<dyn Disk>) -> Result<Vec<Volume>> {
    let cached: Arc<dyn Disk> = Arc::new(Cached::new(Arc::clone(disk)));
    Ok(match partitions(&*cached)? {
        Table::None => vec![Volume::new(Arc::clone(disk))],
        Table::Damaged(why) => {
            let mut volume = Volume::new(Arc::clone(disk));
            volume.problem = Some(why.to_owned());
            vec![volume]
        }
        Table::Partitions(found) => found.into_iter().map(|one| Volume::partition(disk, one)).collect(),
    })
}
