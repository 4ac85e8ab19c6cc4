//! NTFS. Microsoft has not published the format; the source is the documentation of the Linux-NTFS project and the layout
//! that ntfs-3g writes (`include/ntfs-3g/layout.h`).
//!
//! Folders are B+ trees. Their blocks are read one after the other, by the bitmap that says which are in use, and not along
//! the tree: so there is nothing that could go round in circles, and a torn tree loses no names.

use std::sync::{Arc, Mutex, PoisonError};

use crate::bytes::{byte, le16, le64, part, utf16};
use crate::disk::{Disk, bytes_at};
use crate::error::{Result, damaged, unsupported};
use crate::tree::{Facts, Kind, Moment, Names, Node, Tree};

mod compressed;
mod index;
mod record;
mod reparse;
mod stream;

use record::Type;
use stream::Stream;

const ROOT: u64 = 5;
/// Records before this one are the file system's own: they are not shown.
const OWN_RECORDS: u64 = 16;
/// A reference is the number of a record, and above it how often that was used again.
const NUMBER: u64 = (1 << 48) - 1;

pub(crate) struct Ntfs {
    disk: Arc<dyn Disk>,
    cluster_size: u64,
    record_size: u64,
    /// The table of all records, which is a file itself.
    table: Stream,
    /// The contents of the file that was read last, as whoever reads one comes back for more of it.
    last: Mutex<Option<(u64, Arc<Stream>)>>,
    remarks: Vec<String>,
}

/// Sizes of records are clusters, or as negative numbers powers of two.
fn size_of(code: u8, cluster_size: u64) -> Option<u64> {
    let size = match code as i8 {
        code @ 1.. => code as u64 * cluster_size,
        code @ -16..=-9 => 1 << -code,
        _ => return None,
    };
    (size.is_power_of_two() && (512..=64 << 10).contains(&size)).then_some(size)
}

impl Ntfs {
    pub(crate) fn open(disk: Arc<dyn Disk>) -> Result<Self> {
        let head = bytes_at(&*disk, 0, 512)?;
        let sector = u64::from(le16(&head, 11));
        let per_cluster = match byte(&head, 13) {
            code @ 0..=0x80 => u64::from(code),
            code => 1u64.checked_shl(256 - u32::from(code)).unwrap_or(0),
        };
        let cluster_size = sector * per_cluster;
        if !sector.is_power_of_two()
            || !(256..=4096).contains(&sector)
            || !cluster_size.is_power_of_two()
            || cluster_size > 2 << 20
        {
            return damaged("the size of its sectors or clusters");
        }
        let Some(record_size) = size_of(byte(&head, 64), cluster_size) else {
            return damaged("the size of its records");
        };
        let mut found = Self {
            disk,
            cluster_size,
            record_size,
            table: Stream::default(),
            last: Mutex::default(),
            remarks: Vec::new(),
        };
        found.open_table(le64(&head, 48))?;
        found.remarks = found.look_around();
        Ok(found)
    }

    /// The table's first record says where the rest of it is; a list of further records, in what is known by then, says more.
    fn open_table(&mut self, cluster: u64) -> Result<()> {
        let Some(at) = cluster.checked_mul(self.cluster_size) else {
            return damaged("the place of its table");
        };
        let first = record::fixed(bytes_at(&*self.disk, at, self.record_size as usize)?, b"FILE")?;
        self.table = stream::beginning(&first)?;
        if let Some(whole) = stream::stream(self, &first, Type::Data, b"")? {
            self.table = whole;
        }
        Ok(())
    }

    fn look_around(&self) -> Vec<String> {
        let mut remarks = vec![
            "its journal is not replayed: folders that changed in the last seconds may be as they were before"
                .to_owned(),
        ];
        let volume = self.record(3).ok().and_then(|record| {
            stream::stream(self, &record, Type::VolumeInformation, b"")
                .ok()
                .flatten()
        });
        if volume
            .and_then(|information| information.resident())
            .is_some_and(|bytes| le16(&bytes, 10) & 1 != 0)
        {
            remarks.push("Windows has marked it to be checked".to_owned());
        }
        remarks
    }

    /// A record by its reference.
    fn record(&self, reference: u64) -> Result<Vec<u8>> {
        let (number, uses) = (reference & NUMBER, (reference >> 48) as u16);
        let Some(at) = number.checked_mul(self.record_size).filter(|at| *at < self.table.size) else {
            return damaged("a name of a record that does not exist");
        };
        let mut bytes = vec![0; self.record_size as usize];
        stream::read(self, &self.table, at, &mut bytes)?;
        let record = record::fixed(bytes, b"FILE")?;
        if le16(&record, 22) & 1 == 0 || (uses != 0 && le16(&record, 16) != uses) {
            return damaged("a name of a record that is not in use");
        }
        Ok(record)
    }

    /// The contents of a file.
    fn contents(&self, node: &Node) -> Result<Arc<Stream>> {
        if let Some((id, stream)) = &*self.last.lock().unwrap_or_else(PoisonError::into_inner)
            && *id == node.id
        {
            return Ok(Arc::clone(stream));
        }
        let Some(stream) = stream::stream(self, &node.raw, Type::Data, b"")? else {
            return damaged("a file without contents");
        };
        let stream = Arc::new(stream);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((node.id, Arc::clone(&stream)));
        Ok(stream)
    }

    fn reparse(&self, record: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some(stream) = stream::stream(self, record, Type::Reparse, b"")? else {
            return Ok(None);
        };
        let mut bytes = vec![0; stream.size.min(reparse::MAX) as usize];
        stream::read(self, &stream, 0, &mut bytes)?;
        Ok(Some(bytes))
    }
}

/// Units of 100 nanoseconds since 1601.
fn moment(ticks: u64) -> Moment {
    Moment {
        seconds: (ticks / 10_000_000) as i64 - 11_644_473_600,
        nanoseconds: (ticks % 10_000_000) as u32 * 100,
    }
}

impl Tree for Ntfs {
    fn root(&self) -> u64 {
        ROOT
    }

    fn node(&self, id: u64) -> Result<Node> {
        let raw = self.record(id)?;
        let is_folder = le16(&raw, 22) & 2 != 0;
        let kind = match self.reparse(&raw)? {
            Some(reparse) if reparse::is_link(&reparse) => Kind::Link,
            _ if is_folder => Kind::Folder,
            _ => Kind::File,
        };
        let size = if kind == Kind::File {
            stream::size(self, &raw)?
        } else {
            0
        };
        let standard = stream::stream(self, &raw, Type::StandardInformation, b"")?.and_then(|stream| stream.resident());
        let modified = standard.map(|bytes| moment(le64(&bytes, 8)));
        Ok(Node {
            id,
            facts: Facts {
                kind,
                size,
                modified,
                mode: None,
                uid: None,
                gid: None,
            },
            raw,
        })
    }

    fn names(&self, folder: &Node, from: u64, room: usize) -> Result<Names> {
        let mut found = index::names(self, &folder.raw, from, room)?;
        found.names.retain(|(_, id)| id & NUMBER >= OWN_RECORDS);
        Ok(found)
    }

    fn read(&self, file: &Node, offset: u64, buffer: &mut [u8]) -> Result<()> {
        if let Some(reparse) = self.reparse(&file.raw)? {
            return unsupported(reparse::why_not(&reparse));
        }
        stream::read(self, &*self.contents(file)?, offset, buffer)
    }

    fn target(&self, link: &Node) -> Result<Vec<u8>> {
        match self.reparse(&link.raw)? {
            Some(reparse) => Ok(reparse::target(&reparse)),
            None => damaged("a link without a target"),
        }
    }

    fn remarks(&self) -> Vec<String> {
        self.remarks.clone()
    }
}

/// The text of a part of a record.
fn text(bytes: &[u8], at: usize, length: usize) -> Vec<u8> {
    utf16(part(bytes, at, length))
}
