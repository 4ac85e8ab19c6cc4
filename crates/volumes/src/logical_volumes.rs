//! LVM2: physical volumes among the volumes given, put together to logical ones. Linear ones are read; of others is said
//! what they are.
//!
//! The source is LVM2's own `lib/format_text/layout.h` and what `vgcfgbackup` writes.

use std::sync::Arc;

use crate::bytes::{le32, le64, part};
use crate::disk::{Disk, Joined, Window, bytes_at};
use crate::volume::{Contents, Volume};

mod text;

use text::Section;

/// The longest description of a volume group, in bytes; LVM itself makes room for one MiB.
const TEXT_MAX: u64 = 4 << 20;
/// How many areas of one physical volume may hold the description. There are at most two.
const AREAS_MAX: usize = 4;
/// How many pieces one logical volume may have.
const SEGMENTS_MAX: usize = 1 << 16;
/// How many logical volumes are told of.
const VOLUMES_MAX: usize = 4096;

/// A logical volume that a volume group names.
#[derive(Clone, Debug)]
pub struct LogicalVolume {
    /// The name of its volume group.
    pub group: String,
    /// Its own name.
    pub name: String,
    /// The volume, or why it cannot be put together.
    pub volume: std::result::Result<Volume, String>,
}

/// One physical volume, and the description of its group that it carries, if it does.
struct Physical {
    id: String,
    disk: Arc<dyn Disk>,
    group: Option<(String, Section)>,
}

/// The logical volumes in all those of these volumes that are physical volumes of LVM2. A group may lie on several disks:
/// give the volumes of all of them.
#[must_use]
pub fn logical_volumes(volumes: &[Volume]) -> Vec<LogicalVolume> {
    let members = volumes.iter().filter(|volume| volume.contents == Contents::LvmMember);
    let physical: Vec<Physical> = members.filter_map(|volume| physical(volume.disk())).collect();
    let mut found = Vec::new();
    for (name, group) in newest(&physical) {
        for (logical, section) in group.section("logical_volumes").iter().flat_map(|all| &all.sections) {
            if found.len() >= VOLUMES_MAX {
                return found;
            }
            // Parts of others, such as the halves of a mirror, are not volumes that anybody sees.
            if section.texts("status").any(|flag| flag == "VISIBLE") {
                let volume = joined(group, section, &physical).map(|disk| Volume::new(Arc::new(disk)));
                found.push(LogicalVolume {
                    group: name.clone(),
                    name: logical.clone(),
                    volume,
                });
            }
        }
    }
    found
}

/// Each group's newest description: all its physical volumes carry one, but those that were away have an older one.
fn newest(physical: &[Physical]) -> Vec<(&String, &Section)> {
    let mut groups: Vec<(&String, &Section)> = Vec::new();
    for (name, group) in physical.iter().filter_map(|one| one.group.as_ref()) {
        match groups
            .iter_mut()
            .find(|(_, known)| known.text("id") == group.text("id"))
        {
            Some(known) if known.1.number("seqno") < group.number("seqno") => *known = (name, group),
            Some(_) => {}
            None => groups.push((name, group)),
        }
    }
    groups
}

fn physical(disk: &Arc<dyn Disk>) -> Option<Physical> {
    let head = bytes_at(&**disk, 0, disk.size().min(4096) as usize).ok()?;
    let label = (0..4)
        .map(|sector| sector * 512)
        .find(|at| part(&head, *at, 8) == b"LABELONE")?;
    let header = label + le32(&head, label + 20) as usize;
    let id = String::from_utf8_lossy(part(&head, header, 32)).into_owned();
    // Two lists of areas, each with a zero behind it: the first of data, the second of descriptions.
    let mut at = header + 40;
    while le64(&head, at) != 0 {
        at += 16;
    }
    at += 16;
    let mut group = None;
    for _ in 0..AREAS_MAX {
        let (offset, size) = (le64(&head, at), le64(&head, at + 8));
        if offset == 0 {
            break;
        }
        group = group.or_else(|| description(&**disk, offset, size));
        at += 16;
    }
    Some(Physical {
        id,
        disk: Arc::clone(disk),
        group,
    })
}

/// The description in one area, which is a ring behind a header of 512 bytes.
fn description(disk: &dyn Disk, area: u64, size: u64) -> Option<(String, Section)> {
    let header = bytes_at(disk, area, 512).ok()?;
    let (offset, length) = (le64(&header, 40), le64(&header, 48));
    let ignored = le32(&header, 60) & 1 != 0;
    if part(&header, 4, 16) != b" LVM2 x[5A%r0N*>" || ignored || length > TEXT_MAX || offset < 512 || offset > size {
        return None;
    }
    let until_end = (size - offset).min(length);
    let mut text = bytes_at(disk, area.checked_add(offset)?, until_end as usize).ok()?;
    if until_end < length {
        text.extend(bytes_at(disk, area.checked_add(512)?, (length - until_end) as usize).ok()?);
    }
    let whole = text::parse(&String::from_utf8_lossy(&text))?;
    whole.sections.into_iter().next()
}

fn joined(group: &Section, logical: &Section, physical: &[Physical]) -> std::result::Result<Joined, String> {
    let unread = || "its description makes no sense".to_owned();
    let extent = group
        .number("extent_size")
        .and_then(|sectors| sectors.checked_mul(512))
        .ok_or_else(unread)?;
    let count = logical.number("segment_count").ok_or_else(unread)? as usize;
    if count > SEGMENTS_MAX {
        return Err("it has more pieces than are followed".to_owned());
    }
    let mut windows = Vec::new();
    let mut next = 0;
    for number in 1..=count {
        let segment = logical.section(&format!("segment{number}")).ok_or_else(unread)?;
        let start = segment.number("start_extent").ok_or_else(unread)?;
        let extents = segment.number("extent_count").ok_or_else(unread)?;
        if start != next {
            return Err(unread());
        }
        next = start.checked_add(extents).ok_or_else(unread)?;
        windows.push(window(group, segment, extent, extents, physical)?);
    }
    Ok(Joined::new(windows))
}

/// The stretch of a physical volume that one segment is.
fn window(
    group: &Section,
    segment: &Section,
    extent: u64,
    extents: u64,
    physical: &[Physical],
) -> std::result::Result<Window, String> {
    let unread = || "its description makes no sense".to_owned();
    let kind = segment.text("type").ok_or_else(unread)?;
    let stripes = segment.number("stripe_count").unwrap_or(1);
    if kind != "striped" || stripes != 1 {
        let kind = if kind == "striped" {
            "striped over several disks"
        } else {
            kind
        };
        return Err(format!(
            "only linear logical volumes are read here, and this one is {kind}"
        ));
    }
    let name = segment.texts("stripes").next().ok_or_else(unread)?;
    let first = segment.numbers("stripes").next().ok_or_else(unread)?;
    let member = group
        .section("physical_volumes")
        .and_then(|all| all.section(name))
        .ok_or_else(unread)?;
    let id = member.text("id").ok_or_else(unread)?;
    let bare = id.replace('-', "");
    let found = physical.iter().find(|one| one.id == bare);
    let found = found.ok_or_else(|| format!("its physical volume {id} is not among these disks"))?;
    let place = || {
        let data = member.number("pe_start")?.checked_mul(512)?;
        let offset = first.checked_mul(extent)?.checked_add(data)?;
        Some((offset, extents.checked_mul(extent)?))
    };
    let (offset, size) = place().ok_or_else(unread)?;
    let window = Window::new(Arc::clone(&found.disk), offset, size);
    if window.size() < size {
        return Err(format!("it reaches beyond the end of its physical volume {id}"));
    }
    Ok(window)
}
