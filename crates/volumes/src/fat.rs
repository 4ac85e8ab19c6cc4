//! FAT with 12, 16 and 32 bits, with long names. The source is Microsoft's `FAT: General Overview of On-Disk Format`, 1.03.

use std::sync::{Arc, Mutex, PoisonError};

use crate::bytes::{byte, le16, le32, part};
use crate::disk::{Disk, bytes_at, fill};
use crate::error::{Result, damaged, unsupported};
use crate::tree::{FOLDER_MAX, FOLDER_STRETCH, Facts, Kind, Names, Node, Tree};

mod name;
mod time;

use name::LongName;

const ROOT: u64 = 0;
const IS_FOLDER: u8 = 0x10;
const IS_LABEL: u8 = 0x08;
const IS_LONG_NAME: u8 = 0x0f;

#[derive(Clone, Copy, PartialEq)]
enum Width {
    Twelve,
    Sixteen,
    ThirtyTwo,
}

pub(crate) struct Fat {
    disk: Arc<dyn Disk>,
    width: Width,
    cluster_size: u64,
    /// How many clusters there are; their numbers begin at two.
    clusters: u64,
    /// Where the table is, in bytes.
    table: u64,
    /// Where cluster two is.
    data: u64,
    root: Root,
    /// Where the last read was in its chain: the first cluster, how many further, and which one that is. Chains have no index,
    /// and whoever reads a large file piece by piece would walk it from the start each time.
    last: Mutex<(u64, u64, u64)>,
}

#[derive(Clone, Copy)]
enum Root {
    /// A place of its own, and its length.
    Fixed(u64, u64),
    Chain(u64),
}

impl Fat {
    pub(crate) fn open(disk: Arc<dyn Disk>) -> Result<Self> {
        let head = bytes_at(&*disk, 0, 512)?;
        let (sector, per_cluster) = (u64::from(le16(&head, 11)), u64::from(byte(&head, 13)));
        if !sector.is_power_of_two() || !(512..=4096).contains(&sector) || !per_cluster.is_power_of_two() {
            return damaged("the size of its sectors or clusters");
        }
        let table_sectors = match le16(&head, 22) {
            0 => u64::from(le32(&head, 36)),
            short => u64::from(short),
        };
        let all = match le16(&head, 19) {
            0 => u64::from(le32(&head, 32)),
            short => u64::from(short),
        };
        let reserved = u64::from(le16(&head, 14));
        let root_at = reserved + u64::from(byte(&head, 16)) * table_sectors;
        let root_length = u64::from(le16(&head, 17)) * 32;
        let data = root_at + root_length.div_ceil(sector);
        let clusters = all.min(disk.size() / sector).saturating_sub(data) / per_cluster;
        let width = match all.saturating_sub(data) / per_cluster {
            _ if le16(&head, 22) == 0 => Width::ThirtyTwo,
            0..4085 => Width::Twelve,
            4085..65525 => Width::Sixteen,
            _ => Width::ThirtyTwo,
        };
        let root = match width {
            Width::ThirtyTwo => Root::Chain(u64::from(le32(&head, 44))),
            _ => Root::Fixed(root_at * sector, root_length),
        };
        Ok(Self {
            width,
            cluster_size: sector * per_cluster,
            clusters,
            table: reserved * sector,
            data: data * sector,
            root,
            last: Mutex::default(),
            disk,
        })
    }

    /// The cluster after another one; none at the end of a chain.
    fn after(&self, cluster: u64) -> Result<Option<u64>> {
        let (at, length) = match self.width {
            Width::Twelve => (cluster + cluster / 2, 2),
            Width::Sixteen => (cluster * 2, 2),
            Width::ThirtyTwo => (cluster * 4, 4),
        };
        let mut bytes = [0; 4];
        fill(&*self.disk, self.table + at, &mut bytes[..length])?;
        let number = u64::from(le32(&bytes, 0));
        let (next, end) = match self.width {
            Width::Twelve if cluster % 2 == 1 => (number >> 4, 0xff8),
            Width::Twelve => (number & 0xfff, 0xff8),
            Width::Sixteen => (number, 0xfff8),
            Width::ThirtyTwo => (number & 0xfff_ffff, 0xfff_fff8),
        };
        if next >= end {
            return Ok(None);
        }
        self.checked(next).map(Some)
    }

    fn checked(&self, cluster: u64) -> Result<u64> {
        if cluster < 2 || cluster - 2 >= self.clusters {
            return damaged("a chain of clusters that leads nowhere");
        }
        Ok(cluster)
    }

    /// The cluster so many further in a chain; none if it ends before.
    fn nth(&self, first: u64, index: u64) -> Result<Option<u64>> {
        // As many as there are: one more, and the chain goes round.
        if index >= self.clusters {
            return damaged("a chain of clusters that has no end");
        }
        let (start, mut at, mut cluster) = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if start != first || at > index || cluster == 0 {
            (at, cluster) = (0, self.checked(first)?);
        }
        while at < index {
            match self.after(cluster)? {
                Some(next) => (at, cluster) = (at + 1, next),
                None => return Ok(None),
            }
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = (first, at, cluster);
        Ok(Some(cluster))
    }

    /// Reads from a chain until the buffer is full or the chain ends, and says how far.
    fn chain(&self, first: u64, mut offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            let Some(cluster) = self.nth(first, offset / self.cluster_size)? else {
                break;
            };
            let inside = offset % self.cluster_size;
            let wanted = (buffer.len() - done) as u64;
            // Clusters that follow each other are read at once.
            let mut run = self.cluster_size - inside;
            while run < wanted {
                let index = (offset + run) / self.cluster_size;
                match self.nth(first, index)? {
                    Some(next) if next == cluster + (index - offset / self.cluster_size) => run += self.cluster_size,
                    _ => break,
                }
            }
            let length = run.min(wanted) as usize;
            fill(
                &*self.disk,
                self.data + (cluster - 2) * self.cluster_size + inside,
                &mut buffer[done..done + length],
            )?;
            done += length;
            offset += length as u64;
        }
        Ok(done)
    }

    /// Where a byte of a folder is on the disk.
    fn place(&self, root: Root, offset: u64) -> Result<Option<u64>> {
        match root {
            Root::Fixed(start, length) => Ok((offset < length).then_some(start + offset)),
            Root::Chain(first) => {
                let cluster = self.nth(first, offset / self.cluster_size)?;
                Ok(cluster.map(|cluster| self.data + (cluster - 2) * self.cluster_size + offset % self.cluster_size))
            }
        }
    }

    fn folder(&self, folder: &Node) -> Root {
        if folder.id == ROOT {
            self.root
        } else {
            Root::Chain(self.first_cluster(&folder.raw))
        }
    }

    fn first_cluster(&self, entry: &[u8]) -> u64 {
        let high = if self.width == Width::ThirtyTwo {
            u64::from(le16(entry, 20))
        } else {
            0
        };
        high << 16 | u64::from(le16(entry, 26))
    }
}

impl Tree for Fat {
    fn root(&self) -> u64 {
        ROOT
    }

    /// The id of an entry is its place on the disk, in bytes.
    fn node(&self, id: u64) -> Result<Node> {
        let mut facts = Facts {
            kind: Kind::Folder,
            size: 0,
            modified: None,
            mode: None,
            uid: None,
            gid: None,
        };
        if id == ROOT {
            return Ok(Node {
                id,
                facts,
                raw: Vec::new(),
            });
        }
        let raw = bytes_at(&*self.disk, id, 32)?;
        if byte(&raw, 11) & IS_FOLDER == 0 {
            facts.kind = Kind::File;
            facts.size = u64::from(le32(&raw, 28));
        }
        facts.modified = time::moment(le16(&raw, 24), le16(&raw, 22));
        Ok(Node { id, facts, raw })
    }

    fn names(&self, folder: &Node, from: u64, room: usize) -> Result<Names> {
        let root = self.folder(folder);
        let mut found = Names::default();
        let mut long = LongName::default();
        // Of the same power of two as sectors, so that none reaches over the end of a cluster.
        let mut block = [0; 512];
        let mut at = from - from % 32;
        loop {
            if at > FOLDER_MAX {
                return damaged("a folder larger than is believed");
            }
            let start = at - at % 512;
            let Some(place) = self.place(root, start)? else {
                return Ok(found);
            };
            fill(&*self.disk, place, &mut block)?;
            while at < start + 512 {
                let entry = part(&block, (at - start) as usize, 32);
                if byte(entry, 0) == 0 {
                    return Ok(found);
                }
                let entry_at = place + (at - start);
                at += 32;
                let attributes = byte(entry, 11);
                if byte(entry, 0) == 0xe5 {
                    long = LongName::default();
                } else if attributes & 0x3f == IS_LONG_NAME {
                    long.part(entry);
                } else {
                    let name = long.take(entry).unwrap_or_else(|| name::short(entry));
                    if attributes & IS_LABEL == 0 {
                        found.push(name, entry_at);
                    }
                    if found.names.len() >= room || at - from > FOLDER_STRETCH {
                        found.next = Some(at);
                        return Ok(found);
                    }
                }
            }
        }
    }

    fn read(&self, file: &Node, offset: u64, buffer: &mut [u8]) -> Result<()> {
        if self.chain(self.first_cluster(&file.raw), offset, buffer)? < buffer.len() {
            return damaged("a file that is shorter than its entry says");
        }
        Ok(())
    }

    fn target(&self, _: &Node) -> Result<Vec<u8>> {
        unsupported("there are no links on FAT")
    }

    fn remarks(&self) -> Vec<String> {
        vec!["FAT keeps times of a time zone that it does not name: they are shown as if they were UTC".to_owned()]
    }
}
