//! Turns the records of a recovery point into tasks, and asks for chunks ahead of them.

use std::collections::HashMap;

use crossbeam_channel::Sender;
use strongroom_format::entry::{Chunk, Content, Entry, Extent, Kind, Node, Record};
use strongroom_format::leaf::LeafReader;
use strongroom_format::page::parse_visible;
use strongroom_model::BlobId;
use strongroom_sources::files::ShownPath;
use tokio::runtime::Handle;

use super::present::Present;
use super::task::{Part, Task};
use super::{RestoreOptions, RestoreParts};
use crate::chunks::{Chunks, Remarks};
use crate::error::EngineError;
use crate::leaves::{Leaf, Leaves, LostPages, Step, Wanted, is_at_or_below};
use crate::point::OpenPoint;

/// A batch is handed on when it needs chunks of so many bytes; three batches are in memory at most.
const BATCH_BYTES: u64 = 12 << 20;
/// A batch is handed on when it has so many tasks.
const BATCH_TASKS: usize = 4096;
/// A file that is there already is compared if it has no more extents than this; a larger one is written again.
const COMPARED_EXTENTS_MAX: usize = 1 << 20;

type Issues = Vec<(Vec<u8>, String)>;

/// The planning stage.
pub struct Plan {
    parts: RestoreParts,
    point: OpenPoint,
    options: RestoreOptions,
    batches: Sender<Vec<Task>>,
}

impl Plan {
    pub fn new(parts: RestoreParts, point: OpenPoint, options: RestoreOptions, batches: Sender<Vec<Task>>) -> Self {
        Self {
            parts,
            point,
            options,
            batches,
        }
    }

    /// Plans to the end. What could not be planned are issues; that the writer has ended is none. The vault goes on
    /// remarking while the writer waits for the last chunks.
    pub fn run(self, runtime: &Handle) -> Result<(Issues, Remarks), EngineError> {
        let RestoreParts { reader, keys, progress } = self.parts.clone();
        let wanted = Wanted {
            paths: self.options.paths.clone(),
        };
        let root = self.point.header.root;
        let mut leaves = runtime.block_on(Leaves::begin(reader.clone(), &keys, root, wanted.clone()))?;
        let chunks = Chunks::start(reader, &keys, runtime.clone(), progress, self.options.workers);
        let mut planner = Planner {
            finder: Finder {
                runtime: runtime.clone(),
                parts: self.parts.clone(),
                root,
            },
            unseen: self.options.paths.clone(),
            stand_ins: HashMap::new(),
            present: Present::look(&self.options.target, keys),
            wanted,
            chunks,
            batches: self.batches,
            batch: Vec::new(),
            file: None,
            open_issue: None,
            issues: Vec::new(),
        };
        while let Some(step) = runtime.block_on(leaves.next())? {
            if self.parts.progress.is_cancelled() {
                return Err(EngineError::Cancelled);
            }
            let goes_on = match step {
                Step::Inner(..) => true,
                Step::Lost(lost) => planner.lost(lost),
                Step::Leaf(leaf) => planner.leaf(&leaf),
            };
            if !goes_on {
                break;
            }
        }
        planner.look_at_unseen()?;
        planner.finish();
        planner
            .issues
            .extend(leaves.take_remarks().into_iter().map(|remark| (Vec::new(), remark)));
        Ok((planner.issues, planner.chunks.remarks()))
    }
}

/// Finds the records of one path, apart from the walk.
struct Finder {
    runtime: Handle,
    parts: RestoreParts,
    root: BlobId,
}

impl Finder {
    fn find(&self, path: &[u8]) -> Result<Vec<Entry>, EngineError> {
        self.runtime.block_on(async {
            let wanted = Wanted {
                paths: vec![path.to_vec()],
            };
            let RestoreParts { reader, keys, .. } = &self.parts;
            let mut leaves = Leaves::begin(reader.clone(), keys, self.root, wanted).await?;
            let mut records = Vec::new();
            while let Some(step) = leaves.next().await? {
                let Step::Leaf(leaf) = step else { continue };
                let page = parse_visible(&leaf.stored).expect("it was parsed when it was opened");
                let found = LeafReader::new(page.refs, &leaf.plain).into_iter().flatten().flatten();
                records.extend(found.filter(|entry| entry.path == path));
            }
            Ok(records)
        })
    }
}

struct Planner {
    finder: Finder,
    /// Wanted paths at and below which nothing was found yet.
    unseen: Vec<Vec<u8>>,
    /// For a file that is not wanted under its first name, but under another: where it was restored.
    stand_ins: HashMap<Vec<u8>, Vec<u8>>,
    present: Present,
    wanted: Wanted,
    chunks: Chunks,
    batches: Sender<Vec<Task>>,
    batch: Vec<Task>,
    file: Option<OpenFile>,
    open_issue: Option<String>,
    issues: Issues,
}

/// A file whose records are coming in.
struct OpenFile {
    path: Vec<u8>,
    size: u64,
    /// Bytes that the records so far stand for.
    covered: u64,
    /// Present while it may turn out that the file is there already and right.
    candidate: Option<(Box<Node>, Vec<Extent>)>,
}

impl Planner {
    /// Whether the writer still takes tasks.
    fn leaf(&mut self, leaf: &Leaf) -> bool {
        let page = parse_visible(&leaf.stored).expect("it was parsed when it was opened");
        let records = match LeafReader::new(page.refs, &leaf.plain) {
            Ok(records) => records,
            Err(error) => {
                self.issues
                    .push((Vec::new(), format!("page {} is damaged: {error}", leaf.id)));
                return true;
            }
        };
        for entry in records {
            match entry {
                Ok(entry) => {
                    if !self.entry(entry) {
                        return false;
                    }
                }
                Err(error) => self
                    .issues
                    .push((Vec::new(), format!("page {} is damaged: {error}", leaf.id))),
            }
        }
        true
    }

    fn lost(&mut self, lost: LostPages) -> bool {
        let stretch = match lost.entries {
            0 => "all names from here on".to_owned(),
            entries => format!("{entries} names from here on"),
        };
        let why = format!("{stretch} are lost: {}", lost.why);
        self.issues.push((lost.from, why));
        if self.file.is_some() {
            self.open_issue = Some(format!("the rest of it is lost: {}", lost.why));
        }
        true
    }

    fn entry(&mut self, entry: Entry) -> bool {
        match entry.record {
            Record::More(content) => {
                // Without its beginning it belongs to a file that was lost, or is not wanted.
                if self.file.as_ref().is_none_or(|file| file.path != entry.path) {
                    return true;
                }
                self.content(content)
            }
            Record::Node(node) => {
                self.close_file() && (!self.wanted.includes(&entry.path) || self.node(entry.path, node))
            }
        }
    }

    /// What was asked for and is not there is an issue; if that is all, nothing is made at all.
    fn look_at_unseen(&mut self) -> Result<(), EngineError> {
        let unseen = std::mem::take(&mut self.unseen);
        if !unseen.is_empty() && unseen.len() == self.wanted.paths.len() && self.issues.is_empty() {
            let paths: Vec<String> = unseen.iter().map(|path| format!("/{}", ShownPath(path))).collect();
            return Err(EngineError::Absent(paths.join(", ")));
        }
        let why = "the recovery point has nothing there";
        self.issues
            .extend(unseen.into_iter().map(|path| (path, why.to_owned())));
        Ok(())
    }

    fn node(&mut self, path: Vec<u8>, mut node: Box<Node>) -> bool {
        self.unseen.retain(|wanted| !is_at_or_below(&path, wanted));
        if let Kind::HardLink { target } = &mut node.kind
            && !self.wanted.covers(target)
        {
            match self.stand_ins.get(target) {
                Some(stand_in) => target.clone_from(stand_in),
                None => return self.stand_in(path, std::mem::take(target)),
            }
        }
        let Kind::File { size, content } = &mut node.kind else {
            let above = !self.wanted.covers(&path);
            debug_assert!(!above || matches!(node.kind, Kind::Directory));
            return self.push(Task::Make(path, node));
        };
        let (size, content) = (*size, std::mem::take(content));
        let candidate = self.present.may_be_right(&path, &node, size);
        let (began, candidate) = match candidate {
            true => (true, Some((node, Vec::new()))),
            false => (self.push(Task::Begin(path.clone(), node)), None),
        };
        self.file = Some(OpenFile {
            path,
            size,
            covered: 0,
            candidate,
        });
        began && self.content(content)
    }

    /// Restores what lies at `target` under the name `path`.
    fn stand_in(&mut self, path: Vec<u8>, target: Vec<u8>) -> bool {
        let records = match self.finder.find(&target) {
            Ok(records) if !records.is_empty() => records,
            Ok(_) => return self.unfound(path, "the file that it is another name of cannot be read"),
            Err(error) => return self.unfound(path, &error.to_string()),
        };
        self.stand_ins.insert(target, path.clone());
        records.into_iter().all(|entry| match entry.record {
            Record::Node(node) => self.node(path.clone(), node),
            Record::More(content) => self.content(content),
        })
    }

    fn unfound(&mut self, path: Vec<u8>, why: &str) -> bool {
        self.issues.push((path, why.to_owned()));
        true
    }

    fn content(&mut self, content: Content) -> bool {
        let Some(file) = &mut self.file else { return true };
        file.covered += content.extents.iter().map(|extent| extent.length()).sum::<u64>();
        match &mut file.candidate {
            Some((_, extents)) if extents.len() < COMPARED_EXTENTS_MAX => {
                extents.extend(content.extents);
                true
            }
            Some(_) => self.give_up_candidate() && self.write(content.extents),
            None => self.write(content.extents),
        }
    }

    fn write(&mut self, extents: Vec<Extent>) -> bool {
        let mut parts = Vec::new();
        for extent in extents {
            let chunk = extent.chunk().map(|(chunk, _): (Chunk, u32)| self.chunks.get(chunk));
            parts.push(Part { extent, chunk });
            if self.chunks.wanted_bytes() >= BATCH_BYTES {
                self.batch.push(Task::Write(std::mem::take(&mut parts)));
                if !self.send() {
                    return false;
                }
            }
        }
        parts.is_empty() || self.push(Task::Write(parts))
    }

    /// The file that stood in its place is not right: it is written after all.
    fn give_up_candidate(&mut self) -> bool {
        let Some(file) = &mut self.file else { return true };
        let Some((node, extents)) = file.candidate.take() else {
            return true;
        };
        let path = file.path.clone();
        self.push(Task::Begin(path, node)) && self.write(extents)
    }

    fn close_file(&mut self) -> bool {
        let Some(mut file) = self.file.take() else { return true };
        if let Some((node, extents)) = file.candidate.take() {
            if self.present.is_right(&file.path, &extents) {
                return self.push(Task::Keep(file.path, node));
            }
            file.candidate = Some((node, extents));
            self.file = Some(file);
            return self.give_up_candidate() && self.close_file();
        }
        // A page that was lost after its last record is none of its business.
        let issue = self.open_issue.take();
        let broken =
            (file.covered != file.size).then(|| issue.unwrap_or_else(|| "some of its records are missing".to_owned()));
        self.push(broken.map_or(Task::Finish, Task::Abandon))
    }

    fn push(&mut self, task: Task) -> bool {
        self.batch.push(task);
        self.batch.len() < BATCH_TASKS || self.send()
    }

    fn send(&mut self) -> bool {
        self.chunks.ask();
        self.batches.send(std::mem::take(&mut self.batch)).is_ok()
    }

    fn finish(&mut self) {
        let _writer_may_have_ended = self.close_file() && self.send();
    }
}
