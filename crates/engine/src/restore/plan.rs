//! Turns the records of a recovery point into tasks, and asks for chunks ahead of them.

use std::collections::HashMap;

use crossbeam_channel::Sender;
use jiff::Timestamp;
use strongroom_format::entry::{Chunk, Content, Entry, Extent, Kind, Node, Record};
use strongroom_format::leaf::LeafReader;
use strongroom_format::page::parse_visible;
use strongroom_sources::files::ShownPath;
use tokio::runtime::Handle;

use super::archive::stretches;
use super::conflict::{COPIES_MAX, Found, Places, copy_path};
use super::finder::Finder;
use super::open_file::{Candidate, OpenFile, Stage};
use super::picked::{Pick, Picking};
use super::present::{Present, Standing};
use super::task::{Fate, Part, Place, Task};
use super::{Conflict, Contents, RestoreOptions, RestoreParts};
use crate::chunks::{Chunks, Remarks};
use crate::error::EngineError;
use crate::leaves::{Leaf, Leaves, LostPages, Step, is_at_or_below};
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
    pub parts: RestoreParts,
    pub point: OpenPoint,
    pub options: RestoreOptions,
    pub contents: Contents,
    pub batches: Sender<Vec<Task>>,
}

impl Plan {
    /// Plans to the end. What could not be planned are issues; that the writer has ended is none. The vault goes on
    /// remarking while the writer waits for the last chunks.
    pub fn run(self, runtime: &Handle) -> Result<(Issues, Remarks), EngineError> {
        let RestoreParts {
            reader,
            keys,
            progress,
            workers,
        } = self.parts.clone();
        let picking = Picking::new(self.options.picked.clone(), &self.point.body);
        let root = self.point.header.root;
        let mut leaves = runtime.block_on(Leaves::begin(reader.clone(), &keys, root, picking.wanted().clone()))?;
        let chunks = Chunks::start(reader, &keys, runtime.clone(), progress, workers);
        let mut planner = Planner {
            finder: Finder {
                runtime: runtime.clone(),
                parts: self.parts.clone(),
                root,
            },
            unseen: self.options.picked.paths.clone(),
            stand_ins: HashMap::new(),
            present: match self.contents {
                Contents::Fetched | Contents::Left => Present::look(&self.options.target, keys),
                Contents::Archived(_) => Present::nothing(keys),
            },
            places: Places::default(),
            above: Vec::new(),
            took_any: false,
            created: self.point.header.created,
            conflict: self.options.conflict,
            contents: self.contents,
            picking,
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

struct Planner {
    finder: Finder,
    /// Wanted paths at and below which nothing was found yet.
    unseen: Vec<Vec<u8>>,
    /// For a file that is not wanted under its first name, but under another: where it was restored.
    stand_ins: HashMap<Vec<u8>, Vec<u8>>,
    present: Present,
    /// Where entries went that could not have their own name.
    places: Places,
    /// Folders that are not meant themselves, and that are made as soon as something in them is.
    above: Vec<(Vec<u8>, Box<Node>)>,
    took_any: bool,
    created: Timestamp,
    conflict: Conflict,
    contents: Contents,
    picking: Picking,
    chunks: Chunks,
    batches: Sender<Vec<Task>>,
    batch: Vec<Task>,
    file: Option<OpenFile>,
    open_issue: Option<String>,
    issues: Issues,
}

/// What to do where something else is.
enum Next {
    Replace,
    Skip,
    /// Try the name of this number.
    Beside(u32),
    GiveUp,
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
                if self.file.as_ref().is_none_or(|file| file.record != entry.path) {
                    return true;
                }
                self.content(content)
            }
            Record::Node(node) => self.close_file() && self.pick(entry.path, node),
        }
    }

    fn pick(&mut self, path: Vec<u8>, node: Box<Node>) -> bool {
        let pick = self.picking.pick(&path, matches!(node.kind, Kind::Directory));
        if pick != Pick::LeftOut || self.picking.wanted().covers(&path) {
            self.unseen.retain(|wanted| !is_at_or_below(&path, wanted));
        }
        match pick {
            Pick::LeftOut => true,
            Pick::Above if self.picking.has_includes() => {
                self.above.retain(|(folder, _)| is_at_or_below(&path, folder));
                self.above.push((path, node));
                true
            }
            Pick::Above => self.node(path, node),
            Pick::Taken => {
                self.took_any = true;
                let above = std::mem::take(&mut self.above).into_iter();
                above
                    .filter(|(folder, _)| is_at_or_below(&path, folder))
                    .all(|(folder, node)| self.node(folder, node))
                    && self.node(path, node)
            }
        }
    }

    /// What was asked for and is not there is an issue; if that is all, nothing is made at all.
    fn look_at_unseen(&mut self) -> Result<(), EngineError> {
        let unseen = std::mem::take(&mut self.unseen);
        if !unseen.is_empty() && unseen.len() == self.picking.wanted().paths.len() && self.issues.is_empty() {
            let paths: Vec<String> = unseen.iter().map(|path| format!("/{}", ShownPath(path))).collect();
            return Err(EngineError::Absent(paths.join(", ")));
        }
        if self.picking.has_patterns() && !self.took_any && self.issues.is_empty() {
            return Err(EngineError::NothingPicked);
        }
        let why = "the recovery point has nothing there";
        self.issues
            .extend(unseen.into_iter().map(|path| (path, why.to_owned())));
        Ok(())
    }

    fn node(&mut self, record: Vec<u8>, mut node: Box<Node>) -> bool {
        let Some(path) = self.places.enter(&record) else {
            return self.push(Task::Skip(record, node));
        };
        match &mut node.kind {
            Kind::HardLink { target } => match self.earlier(target) {
                Found::At(there) => *target = there,
                Found::Nowhere => return self.stand_in(record, std::mem::take(target)),
            },
            Kind::File { size, content } => {
                let (size, content) = (*size, std::mem::take(content));
                return self.begin(record, path, node, size) && self.content(content);
            }
            _ => {}
        }
        self.make(&record, path, node)
    }

    /// Something without contents.
    fn make(&mut self, record: &[u8], path: Vec<u8>, node: Box<Node>) -> bool {
        let is_folder = matches!(node.kind, Kind::Directory);
        let mut attempt = 0;
        loop {
            let place = self.name(&path, attempt);
            match self.present.standing(&place, &node) {
                Standing::Free => {
                    let fate = self.settle(record, &place, is_folder, attempt);
                    return self.push(Task::Make(Place { path: place, fate }, node));
                }
                Standing::Alike => {
                    self.settle(record, &place, is_folder, attempt);
                    return match self.conflict {
                        Conflict::Overwrite => self.push(Task::Make(Place { path, fate: Fate::Kept }, node)),
                        Conflict::Skip | Conflict::KeepBoth => self.push(Task::Keep(place, node)),
                    };
                }
                standing => match self.next(standing, attempt) {
                    Next::Replace => {
                        return self.push(Task::Make(
                            Place {
                                path,
                                fate: Fate::Replaced,
                            },
                            node,
                        ));
                    }
                    Next::Skip => return self.skip(record, path, node),
                    Next::Beside(next) => attempt = next,
                    Next::GiveUp => return self.give_up(record, path, is_folder),
                },
            }
        }
    }

    /// A file, whose contents follow.
    fn begin(&mut self, record: Vec<u8>, origin: Vec<u8>, node: Box<Node>, size: u64) -> bool {
        self.file = Some(OpenFile {
            record,
            origin,
            size,
            covered: 0,
            stage: Stage::Skipped,
        });
        self.begin_at(0, node, Vec::new(), false)
    }

    /// Finds the place of the open file, beginning with the name of this number. What is known of its extents is given;
    /// if these are `all`, files of the same size are compared at once.
    fn begin_at(&mut self, mut attempt: u32, node: Box<Node>, extents: Vec<Extent>, all: bool) -> bool {
        let Some((record, origin)) = self
            .file
            .as_ref()
            .map(|file| (file.record.clone(), file.origin.clone()))
        else {
            return true;
        };
        loop {
            let place = self.name(&origin, attempt);
            let next = match self.present.standing(&place, &node) {
                Standing::Free if !self.collects() || all || !extents.is_empty() => {
                    let fate = self.settle(&record, &place, false, attempt);
                    return self.begin_writing(Place { path: place, fate }, node, extents, all);
                }
                Standing::Free | Standing::SameSize if !all && extents.is_empty() => {
                    let candidate = Candidate {
                        node,
                        extents,
                        path: place,
                        attempt,
                    };
                    self.stage(Stage::Compared(candidate));
                    return true;
                }
                Standing::SameSize if all && self.present.is_right(&place, &extents) => {
                    self.settle(&record, &place, false, attempt);
                    self.file = None;
                    return self.push(Task::Keep(place, node));
                }
                standing => self.next(standing, attempt),
            };
            match next {
                Next::Replace => {
                    let fate = Fate::Replaced;
                    return self.begin_writing(Place { path: place, fate }, node, extents, all);
                }
                Next::Skip => {
                    self.stage(Stage::Skipped);
                    return self.skip(&record, origin, node);
                }
                Next::Beside(next) => attempt = next,
                Next::GiveUp => {
                    self.stage(Stage::Skipped);
                    return self.give_up(&record, origin, false);
                }
            }
        }
    }

    /// Whether all extents of a file have to be known before it is begun.
    fn collects(&self) -> bool {
        matches!(self.contents, Contents::Archived(_))
    }

    fn begin_writing(&mut self, place: Place, node: Box<Node>, extents: Vec<Extent>, all: bool) -> bool {
        self.stage(Stage::Written);
        let data = if all && self.collects() {
            stretches(&extents)
        } else {
            None
        };
        self.push(Task::Begin(place, node, data)) && self.write(extents)
    }

    fn stage(&mut self, stage: Stage) {
        if let Some(file) = &mut self.file {
            file.stage = stage;
        }
    }

    /// The name to try: its own first, then those of copies.
    fn name(&self, path: &[u8], attempt: u32) -> Vec<u8> {
        match attempt {
            0 => path.to_vec(),
            number => copy_path(path, self.created, number),
        }
    }

    /// What to do where something else is.
    fn next(&self, standing: Standing, attempt: u32) -> Next {
        match self.conflict {
            Conflict::Overwrite if standing == Standing::Folder => Next::GiveUp,
            Conflict::Overwrite => Next::Replace,
            Conflict::Skip => Next::Skip,
            Conflict::KeepBoth if attempt < COPIES_MAX => Next::Beside(attempt + 1),
            Conflict::KeepBoth => Next::GiveUp,
        }
    }

    /// Notes where an entry goes whose place was found.
    fn settle(&mut self, record: &[u8], place: &[u8], is_folder: bool, attempt: u32) -> Fate {
        if attempt == 0 {
            return Fate::New;
        }
        self.places.note(record, Some(place), is_folder);
        Fate::Copied
    }

    fn skip(&mut self, record: &[u8], path: Vec<u8>, node: Box<Node>) -> bool {
        self.places.note(record, None, matches!(node.kind, Kind::Directory));
        self.push(Task::Skip(path, node))
    }

    fn give_up(&mut self, record: &[u8], path: Vec<u8>, is_folder: bool) -> bool {
        self.places.note(record, None, is_folder);
        let why = match self.conflict {
            Conflict::KeepBoth => {
                format!("{COPIES_MAX} copies of it are there already, all different: move some away")
            }
            Conflict::Overwrite | Conflict::Skip => {
                "a folder is in its place, and folders are never replaced: move it away, or restore elsewhere"
                    .to_owned()
            }
        };
        self.unfound(path, &why)
    }

    /// Where the contents are that a hard link stands for.
    fn earlier(&mut self, target: &[u8]) -> Found {
        if matches!(self.contents, Contents::Archived(form) if !form.has_links()) {
            return Found::Nowhere;
        }
        if self.picking.pick(target, false) == Pick::Taken
            && let Found::At(there) = self.places.find(target)
        {
            return Found::At(there);
        }
        match self.stand_ins.get(target) {
            Some(stand_in) => self.places.find(stand_in),
            None => Found::Nowhere,
        }
    }

    /// Restores what lies at `target` under the name `path`.
    fn stand_in(&mut self, path: Vec<u8>, target: Vec<u8>) -> bool {
        let is_link =
            |entry: &Entry| matches!(&entry.record, Record::Node(node) if matches!(node.kind, Kind::HardLink { .. }));
        let records = match self.finder.find(&target) {
            // Nobody writes a link to a link; two that lead to each other would have no end.
            Ok(records) if !records.is_empty() && !records.iter().any(is_link) => records,
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
        file.covered += content.length();
        match &mut file.stage {
            Stage::Compared(candidate) if candidate.extents.len() < COMPARED_EXTENTS_MAX => {
                candidate.extents.extend(content.extents);
                true
            }
            Stage::Compared(_) => self.give_up_comparing() && self.content_after(content.extents),
            Stage::Written | Stage::Skipped => self.content_after(content.extents),
        }
    }

    fn content_after(&mut self, extents: Vec<Extent>) -> bool {
        match &self.file {
            Some(OpenFile {
                stage: Stage::Written, ..
            }) => self.write(extents),
            _ => true,
        }
    }

    fn write(&mut self, extents: Vec<Extent>) -> bool {
        if self.contents == Contents::Left {
            return true;
        }
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

    /// The file has too many extents for a comparison, and counts as a different one.
    fn give_up_comparing(&mut self) -> bool {
        let Some(file) = &mut self.file else { return true };
        let record = file.record.clone();
        let Stage::Compared(candidate) = std::mem::replace(&mut file.stage, Stage::Skipped) else {
            return true;
        };
        let Candidate {
            node,
            extents,
            path,
            attempt,
        } = candidate;
        match self.next(Standing::SameSize, attempt) {
            Next::Beside(next) => self.begin_at(next, node, extents, false),
            Next::Replace => {
                let fate = Fate::Replaced;
                self.begin_writing(Place { path, fate }, node, extents, false)
            }
            Next::Skip | Next::GiveUp => self.skip(&record, path, node),
        }
    }

    fn close_file(&mut self) -> bool {
        let Some(file) = &mut self.file else { return true };
        // A page that was lost after its last record is none of its business.
        let issue = self.open_issue.take();
        let broken =
            (file.covered != file.size).then(|| issue.unwrap_or_else(|| "some of its records are missing".to_owned()));
        let end = broken.map_or(Task::Finish, Task::Abandon);
        match std::mem::replace(&mut file.stage, Stage::Skipped) {
            Stage::Skipped => {}
            Stage::Written => {
                self.file = None;
                return self.push(end);
            }
            Stage::Compared(candidate) => return self.compare(candidate, end),
        }
        self.file = None;
        true
    }

    /// The file's last extent is known: compares it with what is there.
    fn compare(&mut self, candidate: Candidate, end: Task) -> bool {
        let Candidate {
            node,
            extents,
            path,
            attempt,
        } = candidate;
        if let Task::Abandon(why) = end {
            // What is there is better than a part.
            if let Some(file) = self.file.take() {
                self.places.note(&file.record, None, false);
            }
            return self.unfound(path, &why);
        }
        self.begin_at(attempt, node, extents, true)
            && match self.file.take() {
                Some(OpenFile {
                    stage: Stage::Written, ..
                }) => self.push(end),
                _ => true,
            }
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
