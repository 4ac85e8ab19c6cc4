//! What a stretch of a disk holds, by the marks that each kind leaves at a place of its own.

use uuid::Uuid;

use crate::bytes::{byte, label, le16, le32, part};
use crate::disk::{Disk, bytes_at};
use crate::error::Result;
use crate::volume::Contents;

/// The furthest mark, that of btrfs, is 64 KiB from the beginning; its superblock is 4 KiB long.
const HEAD: u64 = 68 << 10;

/// What was found, and what it calls itself.
#[derive(Debug, Default)]
pub(crate) struct Signature {
    pub(crate) contents: Contents,
    pub(crate) label: Option<String>,
    pub(crate) uuid: Option<String>,
}

impl Signature {
    fn new(contents: Contents, label: Option<String>, uuid: Option<String>) -> Self {
        Self { contents, label, uuid }
    }
}

pub(crate) fn signature(disk: &dyn Disk) -> Result<Signature> {
    let head = bytes_at(disk, 0, disk.size().min(HEAD) as usize)?;
    // Those that wrap other things come first: a file system inside may leave its mark where the wrapping leaves room.
    let kinds = [luks, lvm, raid, xfs, btrfs, boot_sector, ext, swap, optical];
    Ok(kinds.iter().find_map(|kind| kind(&head)).unwrap_or_default())
}

fn uuid(bytes: &[u8]) -> Option<String> {
    let uuid = Uuid::from_slice(bytes).ok().filter(|uuid| !uuid.is_nil())?;
    Some(uuid.hyphenated().to_string())
}

fn luks(head: &[u8]) -> Option<Signature> {
    let name = (le16(head, 6) == 0x0200).then(|| label(part(head, 24, 48))).flatten();
    head.starts_with(b"LUKS\xba\xbe")
        .then(|| Signature::new(Contents::Luks, name, label(part(head, 168, 40))))
}

fn lvm(head: &[u8]) -> Option<Signature> {
    let at = (0..4)
        .map(|sector| sector * 512)
        .find(|at| part(head, *at, 8) == b"LABELONE")?;
    let id = String::from_utf8_lossy(part(head, at + le32(head, at + 20) as usize, 32)).into_owned();
    (part(head, at + 24, 8) == b"LVM2 001").then(|| Signature::new(Contents::LvmMember, None, Some(id)))
}

/// The superblock 1.2 of Linux' software RAID. Older ones stand at the end, and leave what begins before as it is.
fn raid(head: &[u8]) -> Option<Signature> {
    let found = [0, 4096].into_iter().find(|at| le32(head, *at) == 0xa92b_4efc)?;
    Some(Signature::new(
        Contents::RaidMember,
        label(part(head, found + 32, 32)),
        uuid(part(head, found + 16, 16)),
    ))
}

fn xfs(head: &[u8]) -> Option<Signature> {
    let found = || Signature::new(Contents::Xfs, label(part(head, 108, 12)), uuid(part(head, 32, 16)));
    head.starts_with(b"XFSB").then(found)
}

fn btrfs(head: &[u8]) -> Option<Signature> {
    let block = part(head, 64 << 10, 4096);
    let found = || {
        Signature::new(
            Contents::Btrfs,
            label(part(block, 0x12b, 256)),
            uuid(part(block, 32, 16)),
        )
    };
    (part(block, 64, 8) == b"_BHRfS_M").then(found)
}

fn ext(head: &[u8]) -> Option<Signature> {
    let block = part(head, 1024, 1024);
    let found = || Signature::new(Contents::Ext, label(part(block, 0x78, 16)), uuid(part(block, 0x68, 16)));
    (le16(block, 0x38) == 0xef53).then(found)
}

fn swap(head: &[u8]) -> Option<Signature> {
    let pages = [4096, 8192, 16384, 65536];
    let found = pages.into_iter().any(|page| part(head, page - 10, 10) == b"SWAPSPACE2");
    found.then(|| Signature::new(Contents::Swap, label(part(head, 1052, 16)), uuid(part(head, 1036, 16))))
}

fn optical(head: &[u8]) -> Option<Signature> {
    let found = || Signature::new(Contents::Iso9660, label(part(head, 32 * 1024 + 40, 32)), None);
    (part(head, 32 * 1024 + 1, 5) == b"CD001").then(found)
}

fn serial(number: u32) -> String {
    format!("{:04X}-{:04X}", number >> 16, number & 0xffff)
}

/// Those of DOS and Windows: their first sector begins with a jump, and has a name behind it.
pub(crate) fn boot_sector(head: &[u8]) -> Option<Signature> {
    match part(head, 3, 8) {
        b"NTFS    " => {
            let number = u64::from(le32(head, 76)) << 32 | u64::from(le32(head, 72));
            Some(Signature::new(Contents::Ntfs, None, Some(format!("{number:016X}"))))
        }
        b"EXFAT   " => Some(Signature::new(Contents::Exfat, None, Some(serial(le32(head, 100))))),
        b"-FVE-FS-" => Some(Signature::new(Contents::BitLocker, None, None)),
        _ => fat(head),
    }
}

/// FAT has no mark of its own, so everything has to fit.
fn fat(head: &[u8]) -> Option<Signature> {
    let fits = le16(head, 510) == 0xaa55
        && matches!(byte(head, 0), 0xeb | 0xe9)
        && matches!(le16(head, 11), 512 | 1024 | 2048 | 4096)
        && byte(head, 13).is_power_of_two()
        && le16(head, 14) > 0
        && matches!(byte(head, 16), 1 | 2)
        && byte(head, 21) >= 0xf0;
    if !fits {
        return None;
    }
    let extended = if le16(head, 22) == 0 { 66 } else { 38 };
    let named = byte(head, extended) == 0x29;
    let name = label(part(head, extended + 5, 11)).filter(|name| named && name != "NO NAME");
    Some(Signature::new(
        Contents::Fat,
        name,
        named.then(|| serial(le32(head, extended + 1))),
    ))
}
