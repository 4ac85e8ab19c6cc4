//! Partition tables: GPT (UEFI 2.10, chapter 5) and MBR, with logical partitions in extended ones.

use uuid::Uuid;

use crate::bytes::{byte, le16, le32, le64, part, utf16};
use crate::disk::{Disk, bytes_at};
use crate::error::Result;
use crate::signature::boot_sector;

/// How many partitions of a table are looked at; Linux itself stops at 256.
const PARTITIONS_MAX: usize = 256;
/// The largest table of a GPT in bytes; the usual one has 16 KiB.
const GPT_TABLE_MAX: u64 = 1 << 20;

#[derive(Debug)]
pub(crate) enum Table {
    /// The disk is one volume.
    None,
    /// There ought to be a table, but it cannot be believed.
    Damaged(&'static str),
    Partitions(Vec<Partition>),
}

#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) number: u32,
    pub(crate) offset: u64,
    pub(crate) size: u64,
    pub(crate) kind: String,
    pub(crate) label: Option<String>,
    pub(crate) uuid: Option<String>,
}

pub(crate) fn partitions(disk: &dyn Disk) -> Result<Table> {
    let first = bytes_at(disk, 0, disk.size().min(512) as usize)?;
    // A boot sector of DOS ends like an MBR, and has code where its table would be.
    if boot_sector(&first).is_some() {
        return Ok(Table::None);
    }
    for sector in [512, 4096] {
        let last = (disk.size() / sector).saturating_sub(1) * sector;
        for at in [sector, last] {
            if let Some(found) = gpt(disk, at, sector) {
                return Ok(Table::Partitions(found));
            }
        }
    }
    mbr(disk, &first)
}

/// The table behind one header, if both are as their checksums say.
fn gpt(disk: &dyn Disk, at: u64, sector: u64) -> Option<Vec<Partition>> {
    let mut header = bytes_at(disk, at, 512).ok()?;
    let length = le32(&header, 12) as usize;
    if !header.starts_with(b"EFI PART") || !(92..=512).contains(&length) {
        return None;
    }
    let checksum = le32(&header, 16);
    header[16..20].fill(0);
    if crc32(&header[..length]) != checksum || le64(&header, 24).checked_mul(sector) != Some(at) {
        return None;
    }
    let (count, size) = (u64::from(le32(&header, 80)), u64::from(le32(&header, 84)));
    let total = count
        .checked_mul(size)
        .filter(|total| size >= 128 && *total <= GPT_TABLE_MAX)?;
    let table = bytes_at(disk, le64(&header, 72).checked_mul(sector)?, total as usize).ok()?;
    if crc32(&table) != le32(&header, 88) {
        return None;
    }
    let entries = table.chunks_exact(size as usize).take(PARTITIONS_MAX).zip(1..);
    Some(
        entries
            .filter_map(|(entry, number)| gpt_entry(entry, number, sector))
            .collect(),
    )
}

fn gpt_entry(entry: &[u8], number: u32, sector: u64) -> Option<Partition> {
    let kind = Uuid::from_slice_le(part(entry, 0, 16))
        .ok()
        .filter(|kind| !kind.is_nil())?;
    let (first, last) = (le64(entry, 32), le64(entry, 40));
    let name = part(entry, 56, 72);
    let end = name
        .chunks_exact(2)
        .position(|unit| unit == [0, 0])
        .map_or(name.len(), |units| units * 2);
    let label = String::from_utf8_lossy(&utf16(&name[..end])).into_owned();
    Some(Partition {
        number,
        offset: first.checked_mul(sector)?,
        size: last.checked_sub(first)?.checked_add(1)?.checked_mul(sector)?,
        kind: kind.hyphenated().to_string(),
        label: (!label.is_empty()).then_some(label),
        uuid: Uuid::from_slice_le(part(entry, 16, 16))
            .ok()
            .map(|uuid| uuid.hyphenated().to_string()),
    })
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// One of the four entries of an MBR, in sectors of 512 bytes.
struct MbrEntry {
    kind: u8,
    start: u64,
    length: u64,
}

impl MbrEntry {
    fn is_extended(&self) -> bool {
        matches!(self.kind, 0x05 | 0x0f | 0x85)
    }

    fn partition(&self, number: u32, base: u64) -> Partition {
        Partition {
            number,
            offset: (base + self.start) * 512,
            size: self.length * 512,
            kind: format!("{:02x}", self.kind),
            label: None,
            uuid: None,
        }
    }
}

/// The entries in use. None at all if one of them cannot be an entry: then it is no table.
fn mbr_entries(sector: &[u8]) -> Vec<(u32, MbrEntry)> {
    let entries = || (0..4).map(|index| (index, part(sector, 446 + index * 16, 16)));
    if le16(sector, 510) != 0xaa55 || entries().any(|(_, entry)| !matches!(byte(entry, 0), 0 | 0x80)) {
        return Vec::new();
    }
    entries()
        .map(|(index, entry)| {
            let (start, length) = (u64::from(le32(entry, 8)), u64::from(le32(entry, 12)));
            (
                index as u32 + 1,
                MbrEntry {
                    kind: byte(entry, 4),
                    start,
                    length,
                },
            )
        })
        .filter(|(_, entry)| entry.kind != 0 && entry.start > 0 && entry.length > 0)
        .collect()
}

fn mbr(disk: &dyn Disk, first: &[u8]) -> Result<Table> {
    let entries = mbr_entries(first);
    if entries.is_empty() {
        return Ok(Table::None);
    }
    if entries.iter().any(|(_, entry)| entry.kind == 0xee) {
        return Ok(Table::Damaged("both copies of its partition table (GPT) are damaged"));
    }
    let sectors = disk.size() / 512;
    if entries.iter().all(|(_, entry)| entry.start >= sectors) {
        return Ok(Table::Damaged("all its partitions lie beyond the end of the disk"));
    }
    let mut found = Vec::new();
    for (number, entry) in &entries {
        if entry.is_extended() {
            logical(disk, entry.start, &mut found)?;
        } else {
            found.push(entry.partition(*number, 0));
        }
    }
    found.sort_by_key(|partition| partition.number);
    Ok(Table::Partitions(found))
}

/// Logical partitions: each has a table of its own, which names the place of the next one, seen from the extended partition.
fn logical(disk: &dyn Disk, extended: u64, found: &mut Vec<Partition>) -> Result<()> {
    let mut number = found.iter().map(|partition| partition.number).max().unwrap_or(0).max(4);
    let mut table = extended;
    // Bounded, since the last may name the first.
    while found.len() < PARTITIONS_MAX {
        if table.checked_add(1).is_none_or(|end| end > disk.size() / 512) {
            break;
        }
        let entries = mbr_entries(&bytes_at(disk, table * 512, 512)?);
        let before = found.len();
        if let Some((_, entry)) = entries.iter().find(|(_, entry)| !entry.is_extended()) {
            number += 1;
            found.push(entry.partition(number, table));
        }
        match entries.iter().find(|(_, entry)| entry.is_extended()) {
            Some((_, next)) if found.len() > before => table = extended + next.start,
            _ => break,
        }
    }
    Ok(())
}
