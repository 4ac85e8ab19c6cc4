//! Reads everything that a recovery point needs, and writes nothing.
//!
//! Two looks at it: the vault reads its objects without a key ([`VaultReader::scrub_point`]), which finds damage in parts
//! that no restore reads; and this machine opens every page and chunk and compares every fingerprint, which finds a vault
//! that lies.
//!
//! [`VaultReader::scrub_point`]: crate::remote::VaultReader::scrub_point

use std::collections::BTreeSet;
use std::sync::Arc;

use strongroom_format::entry::{BLOCK_BYTES, Entry, Extent, Record};
use strongroom_format::leaf::LeafReader;
use strongroom_format::page::parse_visible;
use strongroom_format::point::{ISSUES_MAX, Issue};
use strongroom_seal::DataKeys;
use tokio::runtime::Handle;

use crate::backup::record_content;
use crate::chunks::{Chunks, Opened};
use crate::error::EngineError;
use crate::keys::fingerprint;
use crate::leaves::{Leaves, Step, Wanted};
use crate::point::OpenPoint;
use crate::remote::DamagedObject;
use crate::restore::RestoreParts;
use crate::slot::Slot;

/// Chunks of so many bytes are opened before their contents are compared.
const BATCH_BYTES: u64 = 16 << 20;
/// So many extents are compared in one go.
const BATCH_EXTENTS: usize = 8192;

/// What a verification found.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct VerifyReport {
    /// Names that were looked at.
    pub entries: u64,
    /// Bytes of files whose contents were compared.
    pub bytes: u64,
    /// Objects of the vault that are damaged.
    pub damaged_objects: Vec<DamagedObject>,
    /// Files that a restore would miss, and why.
    #[serde(skip)]
    pub issues: Vec<Issue>,
    /// How many more issues there were than are listed.
    pub issues_omitted: u64,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.damaged_objects.is_empty() && self.issues.is_empty()
    }

    fn add_issue(&mut self, path: &[u8], why: impl ToString) {
        if self.issues.len() < ISSUES_MAX {
            self.issues.push(Issue {
                path: path.to_vec(),
                why: why.to_string(),
            });
        } else {
            self.issues_omitted += 1;
        }
    }
}

/// Verifies a recovery point.
pub async fn verify(parts: &RestoreParts, point: &OpenPoint) -> Result<VerifyReport, EngineError> {
    parts.progress.expect(point.header.files, point.header.total_bytes);
    let damaged_objects = parts.reader.scrub_point(point.header.point).await?;
    let (parts, point, runtime) = (parts.clone(), point.clone(), Handle::current());
    let compared = tokio::task::spawn_blocking(move || compare(&parts, &point, &runtime));
    let mut report = compared
        .await
        .map_err(|_| EngineError::Internal("the comparing stage panicked"))??;
    report.damaged_objects = damaged_objects;
    Ok(report)
}

fn compare(parts: &RestoreParts, point: &OpenPoint, runtime: &Handle) -> Result<VerifyReport, EngineError> {
    let RestoreParts {
        reader,
        keys,
        progress,
        workers,
    } = parts.clone();
    let mut leaves = runtime.block_on(Leaves::begin(
        reader.clone(),
        &keys,
        point.header.root,
        Wanted::default(),
    ))?;
    let chunks = Chunks::start(reader, &keys, runtime.clone(), progress, workers);
    let mut comparison = Comparison {
        parts,
        keys,
        chunks,
        waiting: Vec::new(),
        report: VerifyReport::default(),
    };
    while let Some(step) = runtime.block_on(leaves.next())? {
        if parts.progress.is_cancelled() {
            return Err(EngineError::Cancelled);
        }
        match step {
            Step::Inner(..) => {}
            Step::Lost(lost) => comparison.report.add_issue(&lost.from, lost.why),
            Step::Leaf(leaf) => {
                let page = parse_visible(&leaf.stored).map_err(|error| EngineError::Point(error.to_string()))?;
                match LeafReader::new(page.refs, &leaf.plain) {
                    Ok(records) => comparison.records(records),
                    Err(error) => comparison.report.add_issue(b"", format!("page {}: {error}", leaf.id)),
                }
            }
        }
    }
    comparison.settle();
    let remarks: BTreeSet<String> = leaves
        .take_remarks()
        .into_iter()
        .chain(comparison.chunks.remarks().take())
        .collect();
    remarks
        .into_iter()
        .for_each(|remark| comparison.report.add_issue(b"", remark));
    Ok(comparison.report)
}

struct Comparison<'a> {
    parts: &'a RestoreParts,
    keys: Arc<DataKeys>,
    chunks: Chunks,
    waiting: Vec<(Vec<u8>, Extent, Slot<Opened>)>,
    report: VerifyReport,
}

impl Comparison<'_> {
    fn records(&mut self, records: LeafReader<'_>) {
        for entry in records {
            match entry {
                Ok(entry) => self.entry(entry),
                Err(error) => self.report.add_issue(b"", format!("a page is damaged: {error}")),
            }
        }
    }

    fn entry(&mut self, entry: Entry) {
        if matches!(entry.record, Record::Node(_)) {
            self.report.entries += 1;
            self.parts.progress.add_entries(1);
        }
        let Some(content) = record_content(&entry.record) else {
            return;
        };
        for extent in &content.extents {
            self.report.bytes += extent.length();
            match extent.chunk() {
                None => self.parts.progress.add_bytes(extent.length()),
                Some((chunk, _)) => {
                    let slot = self.chunks.get(chunk);
                    self.waiting.push((entry.path.clone(), extent.clone(), slot));
                }
            }
            if self.chunks.wanted_bytes() >= BATCH_BYTES || self.waiting.len() >= BATCH_EXTENTS {
                self.settle();
            }
        }
    }

    fn settle(&mut self) {
        self.chunks.ask();
        for (path, extent, slot) in std::mem::take(&mut self.waiting) {
            self.parts.progress.add_bytes(extent.length());
            let problem = match slot.wait() {
                None => Some("chunks are no longer opened".to_owned()),
                Some(Err(why)) => Some(why.clone()),
                Some(Ok(contents)) => {
                    (!self.agrees(&extent, contents)).then(|| "the contents do not have their fingerprint".to_owned())
                }
            };
            if let Some(why) = problem {
                self.parts.progress.add_issue();
                self.report.add_issue(&path, why);
            }
        }
    }

    fn agrees(&self, extent: &Extent, contents: &[u8]) -> bool {
        let part = |offset: u32, length: u32| contents.get(offset as usize..offset as usize + length as usize);
        match extent {
            Extent::Hole { .. } | Extent::Zero { .. } => true,
            Extent::Piece {
                fingerprint: expected,
                offset,
                length,
                ..
            } => part(*offset, *length).is_some_and(|bytes| fingerprint(&self.keys, bytes) == *expected),
            Extent::Blocks {
                fingerprints,
                offset,
                length,
                ..
            } => part(*offset, *length).is_some_and(|bytes| {
                bytes
                    .chunks(BLOCK_BYTES)
                    .zip(fingerprints)
                    .all(|(block, expected)| fingerprint(&self.keys, block) == *expected)
            }),
        }
    }
}
