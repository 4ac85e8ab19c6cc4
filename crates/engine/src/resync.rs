//! Fills an empty scratch folder from the vault's newest recovery point.
//!
//! The pages say of every file when it changed and where its contents lie, so that the next backup reads only what
//! changed and sends nothing twice, although this machine had forgotten everything.

use std::sync::Arc;

use strongroom_format::entry::{BLOCK_BYTES, Chunk, Entry, Extent};
use strongroom_format::leaf::LeafReader;
use strongroom_format::page::parse_visible;
use strongroom_model::{BlobId, PointId};

use crate::backup::{BackupParts, page_fingerprint, record_content};
use crate::error::EngineError;
use crate::leaves::{Leaves, Step, Wanted};
use crate::point::OpenPoint;
use crate::scratch::{FingerprintMap, LastPoint, Scratch, Unsure};
use crate::slot::slot;

/// Reads the pages of `point` into the scratch folder.
pub async fn resync(parts: &BackupParts, scratch: &Arc<Scratch>, point: PointId) -> Result<LastPoint, EngineError> {
    let open = OpenPoint::open(&parts.reader, &parts.keys, point).await?;
    let mut leaves = Leaves::begin(parts.reader.clone(), &parts.keys, open.header.root, Wanted::default()).await?;
    let mut log = scratch.new_page_log()?;
    let (mut contents, mut pages) = (scratch.contents()?, scratch.pages()?);
    while let Some(step) = leaves.next().await? {
        if parts.progress.is_cancelled() {
            return Err(EngineError::Cancelled);
        }
        match step {
            Step::Lost(lost) => return Err(EngineError::Point(lost.why)),
            Step::Inner(page) => note_page(&mut pages, parts, page.level, page.id, &page.refs, &page.plain),
            Step::Leaf(leaf) => {
                let page = parse_visible(&leaf.stored).map_err(|error| EngineError::Point(error.to_string()))?;
                let refs: Vec<BlobId> = page.refs.iter().collect();
                log.push(&refs, &leaf.plain).map_err(failed)?;
                note_page(&mut pages, parts, 0, leaf.id, &refs, &leaf.plain);
                let records = LeafReader::new(page.refs, &leaf.plain);
                let records = records.map_err(|error| EngineError::Point(error.to_string()))?;
                for entry in records {
                    note_entry(
                        &mut contents,
                        &entry.map_err(|error| EngineError::Point(error.to_string()))?,
                    );
                }
            }
        }
        if contents.is_full() {
            contents.flush().map_err(failed)?;
        }
    }
    contents.flush().map_err(failed)?;
    pages.flush().map_err(failed)?;
    let header = &open.header;
    let (entries, bytes) = (header.files, header.total_bytes);
    let last = LastPoint {
        point,
        digest: open.digest,
        entries,
        bytes,
        tired: Vec::new(),
        unsure: Unsure::of(&open.body.issues, open.body.issues_omitted),
    };
    scratch.keep(log, &last)?;
    Ok(last)
}

fn note_page(map: &mut FingerprintMap, parts: &BackupParts, level: u8, id: BlobId, refs: &[BlobId], plain: &[u8]) {
    let (place, promise) = slot();
    promise.keep(Chunk {
        id,
        length: plain.len() as u32,
    });
    map.insert(
        page_fingerprint(&parts.keys, level, refs, plain),
        place,
        0,
        plain.len() as u32,
    );
}

fn note_entry(map: &mut FingerprintMap, entry: &Entry) {
    for extent in record_content(&entry.record)
        .into_iter()
        .flat_map(|content| &content.extents)
    {
        match extent {
            Extent::Piece {
                fingerprint,
                chunk,
                offset,
                length,
            } => {
                let (place, promise) = slot();
                promise.keep(*chunk);
                map.insert(*fingerprint, place, *offset, *length);
            }
            Extent::Blocks {
                fingerprints,
                chunk,
                offset,
                length,
            } => {
                for (at, fingerprint) in fingerprints.iter().enumerate() {
                    let (place, promise) = slot();
                    promise.keep(*chunk);
                    let start = (at * BLOCK_BYTES) as u32;
                    map.insert(
                        *fingerprint,
                        place,
                        offset + start,
                        (length - start).min(BLOCK_BYTES as u32),
                    );
                }
            }
            Extent::Hole { .. } | Extent::Zero { .. } => {}
        }
    }
}

fn failed(source: std::io::Error) -> EngineError {
    EngineError::Scratch {
        action: "write to",
        path: "scratch".into(),
        source,
    }
}
