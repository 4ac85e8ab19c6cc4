//! The stage that writes: one thread, as file systems create files no faster with several.

use crossbeam_channel::Receiver;
use strongroom_format::entry::{Extent, Kind, Node};
use strongroom_sources::files::{self, Attributes, FileWriter, RestoreError, Target};

use super::task::{Fate, Part, Task};
use super::{Conflict, RestoreOptions, RestoreReport};
use crate::error::EngineError;
use crate::progress::Progress;

/// Carries out tasks until there are no more.
pub fn write(
    options: &RestoreOptions,
    batches: &Receiver<Vec<Task>>,
    progress: &Progress,
    report: RestoreReport,
) -> Result<RestoreReport, EngineError> {
    let how = options.of_target();
    let target = Target::open(&options.target, how).map_err(|error| EngineError::Target(error.to_string()))?;
    let mut writer = Writer {
        options,
        target,
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
    drop(writer.file.take());
    writer.target.finish();
    writer.note_warnings();
    Ok(writer.report)
}

struct Writer<'a> {
    options: &'a RestoreOptions,
    target: Target,
    file: Option<OpenFile>,
    progress: &'a Progress,
    report: RestoreReport,
}

/// The file that is being written; without a writer if it cannot be.
struct OpenFile {
    path: Vec<u8>,
    attributes: Attributes,
    size: u64,
    writer: Option<FileWriter>,
    position: u64,
}

impl Writer<'_> {
    fn task(&mut self, task: Task) -> Result<(), EngineError> {
        match task {
            Task::Make(place, node) => {
                self.report.count(place.fate);
                self.make(&place.path, &node)
            }
            Task::Keep(path, node) => self.keep(&path, &node),
            Task::Skip(..) => {
                self.report.count(Fate::Skipped);
                Ok(())
            }
            Task::Begin(place, node, _) => {
                self.report.count(place.fate);
                self.begin(place.path, &node)
            }
            Task::Write(parts) => parts.into_iter().try_for_each(|part| self.part(&part)),
            Task::Finish => self.finish_file(),
            Task::Abandon(why) => {
                if let Some(file) = self.file.take() {
                    self.issue(&file.path, why);
                }
                Ok(())
            }
        }
    }

    fn make(&mut self, path: &[u8], node: &Node) -> Result<(), EngineError> {
        let attributes = self.options.attributes(node);
        let special = |target: &mut Target, kind| target.make_special(path, kind, &attributes);
        let made = match &node.kind {
            Kind::Directory => self.target.make_dir(path, &attributes),
            Kind::Symlink { target } => self.target.make_symlink(path, target, &attributes),
            Kind::HardLink { target } => self.target.make_hard_link(path, target),
            Kind::Fifo => special(&mut self.target, files::Kind::Fifo),
            Kind::Socket => special(&mut self.target, files::Kind::Socket),
            Kind::CharDevice { major, minor } => special(
                &mut self.target,
                files::Kind::CharDevice {
                    major: *major,
                    minor: *minor,
                },
            ),
            Kind::BlockDevice { major, minor } => special(
                &mut self.target,
                files::Kind::BlockDevice {
                    major: *major,
                    minor: *minor,
                },
            ),
            Kind::File { .. } => unreachable!("files are begun"),
        };
        self.note(path, made, 0)
    }

    fn keep(&mut self, path: &[u8], node: &Node) -> Result<(), EngineError> {
        let is_file = matches!(node.kind, Kind::File { .. });
        self.report.files_kept += u64::from(is_file);
        let kept = match is_file && self.options.conflict == Conflict::Overwrite {
            true => self.target.keep_file(path, &self.options.attributes(node)),
            false => Ok(()),
        };
        self.note(path, kept, size(node))
    }

    fn begin(&mut self, path: Vec<u8>, node: &Node) -> Result<(), EngineError> {
        let (attributes, size) = (self.options.attributes(node), size(node));
        let writer = match self.target.begin_file(&path, size, &attributes) {
            Ok(writer) => Some(writer),
            Err(error) => {
                self.failed(&path, &error)?;
                None
            }
        };
        self.file = Some(OpenFile {
            path,
            attributes,
            size,
            writer,
            position: 0,
        });
        Ok(())
    }

    fn part(&mut self, part: &Part) -> Result<(), EngineError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let Some(writer) = &mut file.writer else { return Ok(()) };
        match write_part(writer, file.position, part) {
            Ok(()) => {
                file.position += part.extent.length();
                self.progress.add_bytes(part.extent.length());
                Ok(())
            }
            Err(failure) => {
                // Dropping the writer removes what there is of the file.
                file.writer = None;
                let path = file.path.clone();
                match failure {
                    Failure::Lost(why) => {
                        self.issue(&path, format!("its contents are lost: {why}"));
                        Ok(())
                    }
                    Failure::Disk(error) => self.failed(&path, &error),
                    Failure::Ended => Err(EngineError::Internal("chunks are no longer opened")),
                }
            }
        }
    }

    fn finish_file(&mut self) -> Result<(), EngineError> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let Some(writer) = file.writer else { return Ok(()) };
        let finished = writer.finish(&file.attributes);
        self.note(&file.path, finished, file.size)
    }

    fn note(&mut self, path: &[u8], result: Result<(), RestoreError>, bytes: u64) -> Result<(), EngineError> {
        match result {
            Ok(()) => {
                self.report.entries += 1;
                self.report.bytes += bytes;
                self.progress.add_entries(1);
                if self.report.entries.is_multiple_of(1024) {
                    self.note_warnings();
                }
                Ok(())
            }
            Err(error) => self.failed(path, &error),
        }
    }

    fn failed(&mut self, path: &[u8], error: &RestoreError) -> Result<(), EngineError> {
        if error.is_fatal() {
            return Err(EngineError::Target(format!(
                "{error}. What was restored so far is kept; make room or choose another folder, and run the same command again"
            )));
        }
        self.issue(path, error);
        Ok(())
    }

    fn issue(&mut self, path: &[u8], why: impl ToString) {
        self.progress.add_issue();
        self.report.add_issue(path, why);
    }

    fn note_warnings(&mut self) {
        for warning in self.target.take_warnings() {
            self.issue(&warning.path, &warning);
        }
    }
}

/// Why a part of a file cannot be written.
pub enum Failure {
    /// The contents cannot be had.
    Lost(String),
    /// The target does not take them.
    Disk(RestoreError),
    /// The stage before has ended.
    Ended,
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        Self::Disk(error)
    }
}

fn write_part(writer: &mut FileWriter, position: u64, part: &Part) -> Result<(), Failure> {
    match &part.extent {
        Extent::Hole { .. } => Ok(()),
        Extent::Zero { length } => Ok(writer.allocate_zero(position, *length)?),
        Extent::Piece { .. } | Extent::Blocks { .. } => Ok(writer.write_at(position, contents_of(part)?)?),
    }
}

/// The bytes of a part; none of a hole or of zeros.
pub fn contents_of(part: &Part) -> Result<&[u8], Failure> {
    let (offset, length) = match &part.extent {
        Extent::Hole { .. } | Extent::Zero { .. } => return Ok(&[]),
        Extent::Piece { offset, length, .. } | Extent::Blocks { offset, length, .. } => (*offset, *length),
    };
    let opened = part
        .chunk
        .as_ref()
        .and_then(|chunk| chunk.wait())
        .ok_or(Failure::Ended)?;
    let contents = opened.as_ref().map_err(|why| Failure::Lost(why.clone()))?;
    let range = offset as usize..offset as usize + length as usize;
    contents
        .get(range)
        .ok_or_else(|| Failure::Lost("the chunk is shorter than its page says".to_owned()))
}

/// Bytes of a file; of all else none.
pub fn size(node: &Node) -> u64 {
    if let Kind::File { size, .. } = node.kind {
        size
    } else {
        0
    }
}
