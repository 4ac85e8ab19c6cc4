//! A recovery point, or parts of it, as one stream in a form that others read.

mod tar;
mod zip;

use std::io::{self, Write};

use strongroom_format::entry::{Extent, Kind, Node};
use strongroom_sources::files::Attributes;

use super::task::{Part, Task};
use super::write::{Failure, contents_of, size};
use super::{Batches, RestoreOptions, RestoreReport};
use crate::error::EngineError;
use crate::progress::Progress;
use tar::Tar;
use zip::Zip;

/// The form of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveForm {
    /// POSIX.1-2001 (PAX), with holes as GNU tar writes them and extended attributes, ACLs among them, as all write them.
    Tar,
    /// ZIP with the extensions for large files and for Unix: names, contents, modes, owners, times, links.
    Zip,
}

impl ArchiveForm {
    /// Whether it can say that a file is another name of an earlier one. If not, the contents come again.
    pub(super) fn has_links(self) -> bool {
        self == Self::Tar
    }
}

/// Where archives are written to: whatever takes bytes in order.
pub type Output = Box<dyn Write + Send>;

/// Bytes of zeros that are written at once.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// What an archive is told of an entry.
struct Described<'a> {
    path: &'a [u8],
    node: &'a Node,
    attributes: Attributes,
}

/// A form, as it is written: entries in path order, a file's bytes right after its beginning.
trait Archive: Send {
    /// An entry without contents. Returns why the form cannot hold it, if it cannot.
    fn put(&mut self, entry: &Described<'_>) -> io::Result<Option<&'static str>>;

    /// Begins a file, whose data lies in these stretches if it has holes.
    fn begin(&mut self, entry: &Described<'_>, data: Option<&[Stretch]>) -> io::Result<Begun>;

    /// The next bytes of the file.
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Ends the file.
    fn end(&mut self) -> io::Result<()>;

    /// Ends the archive.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// How a file was begun.
enum Begun {
    /// All of its bytes follow.
    Whole,
    /// All of its bytes follow but for the holes.
    Sparse,
    /// It was not: why.
    Refused(&'static str),
}

/// A stretch of a file that is no hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub offset: u64,
    pub length: u64,
}

/// The stretches of a file with these extents; `None` if it has no holes.
pub fn stretches(extents: &[Extent]) -> Option<Vec<Stretch>> {
    let is_hole = |extent: &Extent| matches!(extent, Extent::Hole { .. });
    if !extents.iter().any(is_hole) {
        return None;
    }
    let (mut found, mut offset) = (Vec::<Stretch>::new(), 0);
    for extent in extents {
        let length = extent.length();
        match found.last_mut() {
            _ if is_hole(extent) => {}
            Some(last) if last.offset + last.length == offset => last.length += length,
            _ => found.push(Stretch { offset, length }),
        }
        offset += length;
    }
    Some(found)
}

/// Writes an archive of all that is planned.
pub fn write(
    options: &RestoreOptions,
    form: ArchiveForm,
    output: Output,
    batches: &Batches,
    progress: &Progress,
    report: RestoreReport,
) -> Result<RestoreReport, EngineError> {
    let archive: Box<dyn Archive> = match form {
        ArchiveForm::Tar => Box::new(Tar::new(output)),
        ArchiveForm::Zip => Box::new(Zip::new(output).map_err(EngineError::Output)?),
    };
    let mut writer = Writer {
        options,
        archive,
        file: None,
        progress,
        report,
    };
    for task in batches.iter().flatten() {
        if progress.is_cancelled() {
            return Err(EngineError::Cancelled);
        }
        writer.task(task)?;
    }
    writer.archive.finish().map_err(EngineError::Output)?;
    Ok(writer.report)
}

struct Writer<'a> {
    options: &'a RestoreOptions,
    archive: Box<dyn Archive>,
    file: Option<OpenFile>,
    progress: &'a Progress,
    report: RestoreReport,
}

/// The file that is being written.
struct OpenFile {
    path: Vec<u8>,
    size: u64,
    position: u64,
    has_holes: bool,
    /// Why not all of it is right.
    lost: Option<String>,
}

impl Writer<'_> {
    fn task(&mut self, task: Task) -> Result<(), EngineError> {
        match task {
            Task::Make(place, node) => self.make(&place.path, &node),
            Task::Begin(place, node, data) => self.begin(place.path, &node, data.as_deref()),
            Task::Write(parts) => parts.into_iter().try_for_each(|part| self.part(&part)),
            Task::Finish => self.end(None),
            Task::Abandon(why) => self.end(Some(why)),
            // There is no target in which something could be.
            Task::Keep(..) | Task::Skip(..) => Ok(()),
        }
    }

    fn make(&mut self, path: &[u8], node: &Node) -> Result<(), EngineError> {
        let put = self.archive.put(&described(self.options, path, node));
        match put.map_err(EngineError::Output)? {
            Some(why) => self.issue(path, why),
            None => self.count(0),
        }
        Ok(())
    }

    fn begin(&mut self, path: Vec<u8>, node: &Node, data: Option<&[Stretch]>) -> Result<(), EngineError> {
        let begun = self.archive.begin(&described(self.options, &path, node), data);
        let has_holes = match begun.map_err(EngineError::Output)? {
            Begun::Whole => false,
            Begun::Sparse => true,
            Begun::Refused(why) => {
                self.issue(&path, why);
                return Ok(());
            }
        };
        self.file = Some(OpenFile {
            size: size(node),
            position: 0,
            has_holes,
            lost: None,
            path,
        });
        Ok(())
    }

    fn part(&mut self, part: &Part) -> Result<(), EngineError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let length = part.extent.length();
        // The size was told at the beginning: no more than that.
        if length > file.size - file.position {
            file.lost = Some("its records say more than its size".to_owned());
            return Ok(());
        }
        file.position += length;
        self.progress.add_bytes(length);
        let written = match &part.extent {
            Extent::Hole { .. } if file.has_holes => Ok(()),
            Extent::Hole { .. } | Extent::Zero { .. } => zeros(&mut *self.archive, length),
            Extent::Piece { .. } | Extent::Blocks { .. } => match contents_of(part) {
                Ok(bytes) => self.archive.bytes(bytes),
                Err(Failure::Lost(why)) => {
                    file.lost = Some(why);
                    zeros(&mut *self.archive, length)
                }
                Err(Failure::Ended | Failure::Disk(_)) => {
                    return Err(EngineError::Internal("chunks are no longer opened"));
                }
            },
        };
        written.map_err(EngineError::Output)
    }

    /// Ends the file. What is missing of it is zeros, as the archive has its size already.
    fn end(&mut self, why: Option<String>) -> Result<(), EngineError> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let missing = file.size - file.position;
        if missing > 0 {
            zeros(&mut *self.archive, missing).map_err(EngineError::Output)?;
        }
        self.archive.end().map_err(EngineError::Output)?;
        match file.lost.or(why) {
            Some(why) => self.issue(&file.path, &format!("zeros stand for what is lost of it: {why}")),
            None => self.count(file.size),
        }
        Ok(())
    }

    fn count(&mut self, bytes: u64) {
        self.report.entries += 1;
        self.report.bytes += bytes;
        self.progress.add_entries(1);
    }

    fn issue(&mut self, path: &[u8], why: &str) {
        self.progress.add_issue();
        self.report.add_issue(path, why);
    }
}

fn described<'a>(options: &RestoreOptions, path: &'a [u8], node: &'a Node) -> Described<'a> {
    Described {
        path,
        node,
        attributes: options.attributes(node),
    }
}

fn zeros(archive: &mut dyn Archive, mut length: u64) -> io::Result<()> {
    while length > 0 {
        let now = length.min(ZEROS.len() as u64);
        archive.bytes(&ZEROS[..now as usize])?;
        length -= now;
    }
    Ok(())
}

/// What a link leads to.
fn leads_to(node: &Node) -> &[u8] {
    match &node.kind {
        Kind::Symlink { target } | Kind::HardLink { target } => target,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use strongroom_format::entry::{Chunk, Fingerprint};
    use strongroom_model::BlobId;

    use super::*;

    #[test]
    fn holes_lie_between_stretches() {
        let hole = |length| Extent::Hole { length };
        let zero = |length| Extent::Zero { length };
        let piece = |length| Extent::Piece {
            fingerprint: Fingerprint::default(),
            chunk: Chunk {
                id: BlobId::from_bytes([0; 32]),
                length,
            },
            offset: 0,
            length,
        };
        let found = |extents: &[Extent]| {
            let pair = |stretch: &Stretch| (stretch.offset, stretch.length);
            stretches(extents).map(|found| found.iter().map(pair).collect::<Vec<_>>())
        };
        assert_eq!(found(&[]), None);
        assert_eq!(found(&[piece(5), zero(3)]), None);
        assert_eq!(found(&[hole(9)]), Some(vec![]));
        assert_eq!(
            found(&[piece(5), zero(3), hole(4), hole(1), piece(2), hole(7)]),
            Some(vec![(0, 8), (13, 2)])
        );
    }
}
