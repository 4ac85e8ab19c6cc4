//! The stage that builds pages from drafts.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crossbeam_channel::Receiver;
use strongroom_format::entry::{Chunk, Entry, Extent};
use strongroom_format::leaf;
use strongroom_format::pack::BlobKind;
use strongroom_format::tree::{PageSink, Sums, TreeBuilder};
use strongroom_model::BlobId;
use strongroom_seal::{DataKeys, Level, Sealer};
use tokio::sync::mpsc::Sender;

use super::draft::{Draft, content};
use super::upload::SealedBlob;
use crate::error::EngineError;
use crate::keys::{fingerprint, seal_page};
use crate::scratch::{FingerprintMap, Known, PageLog};
use crate::slot::slot;

/// So many bundles are watched for how much of them is still used; beyond that, old bundles are not made anew.
const WATCHED_MAX: usize = 1 << 20;

const _: () = assert!(leaf::LEAF_BYTES_MAX <= 4 << 20, "pages open to at most four MiB");

/// What the stage ends with.
#[derive(Debug)]
pub struct Pages {
    pub root: BlobId,
    pub sums: Sums,
    pub log: PageLog,
    pub map: FingerprintMap,
    /// Bundles of which less than half is used.
    pub tired: Vec<BlobId>,
}

/// What it needs.
pub struct PageStage {
    pub keys: Arc<DataKeys>,
    pub level: Level,
    pub map: FingerprintMap,
    pub log: PageLog,
    pub drafts: Receiver<Vec<Draft>>,
    pub sealed: Sender<SealedBlob>,
}

impl PageStage {
    /// Builds until there are no more drafts. `None` if the backup is ending for a reason that another stage knows.
    pub fn run(self) -> Result<Option<Pages>, EngineError> {
        let sink = Sink {
            sealer: Sealer::new(&self.keys, self.level),
            keys: self.keys,
            map: self.map,
            log: self.log,
            sealed: self.sealed,
        };
        let mut tree = TreeBuilder::new(sink);
        let mut usage = Usage::default();
        for draft in self.drafts.iter().flatten() {
            let Some(entry) = draft.settle() else { return Ok(None) };
            usage.note(&entry);
            match tree.push(&entry) {
                Err(PageStop::NobodyTakes) => return Ok(None),
                Err(PageStop::Scratch(error)) => return Err(error),
                Ok(()) => {}
            }
        }
        match tree.finish() {
            Err(PageStop::NobodyTakes) => Ok(None),
            Err(PageStop::Scratch(error)) => Err(error),
            Ok((root, sums, sink)) => Ok(Some(Pages {
                root,
                sums,
                log: sink.log,
                map: sink.map,
                tired: usage.tired(),
            })),
        }
    }
}

enum PageStop {
    /// The upload has ended.
    NobodyTakes,
    /// The scratch folder failed.
    Scratch(EngineError),
}

struct Sink {
    keys: Arc<DataKeys>,
    sealer: Sealer,
    map: FingerprintMap,
    log: PageLog,
    sealed: Sender<SealedBlob>,
}

impl PageSink for Sink {
    type Error = PageStop;

    fn boundary(&self, key: &[u8]) -> u64 {
        self.keys.boundary(key)
    }

    /// A page that the vault has is neither compressed nor sealed again: unchanged trees cost one hash of their pages.
    fn page(&mut self, level: u8, refs: Vec<BlobId>, plain: Vec<u8>) -> Result<BlobId, PageStop> {
        if level == 0 {
            let logged = self.log.push(&refs, &plain);
            logged.map_err(|source| PageStop::Scratch(scratch_failed(source)))?;
        }
        let print = page_fingerprint(&self.keys, level, &refs, &plain);
        if let Some(Known::Before(placed)) = self.map.find(print, plain.len() as u32) {
            return Ok(placed.chunk.id);
        }
        let (id, bytes) = seal_page(&mut self.sealer, level, &refs, &plain);
        let (place, promise) = slot();
        promise.keep(Chunk {
            id,
            length: plain.len() as u32,
        });
        self.map.insert(print, place, 0, plain.len() as u32);
        let blob = SealedBlob {
            kind: BlobKind::Page,
            id,
            bytes,
        };
        self.sealed.blocking_send(blob).map_err(|_| PageStop::NobodyTakes)?;
        Ok(id)
    }
}

/// The fingerprint by which a page is known in the scratch folder.
pub fn page_fingerprint(
    keys: &DataKeys,
    level: u8,
    refs: &[BlobId],
    plain: &[u8],
) -> strongroom_format::entry::Fingerprint {
    let mut bytes = Vec::with_capacity(16 + refs.len() * 32 + plain.len());
    strongroom_format::page::put_visible(&mut bytes, level, refs);
    bytes.extend_from_slice(plain);
    fingerprint(keys, &bytes)
}

fn scratch_failed(source: std::io::Error) -> EngineError {
    EngineError::Scratch {
        action: "write to",
        path: "pages.new".into(),
        source,
    }
}

/// How much of each bundle the point uses.
#[derive(Default)]
struct Usage {
    used: HashMap<BlobId, (u64, u32)>,
}

impl Usage {
    fn note(&mut self, entry: &Entry) {
        let Some(content) = content(&entry.record) else { return };
        for extent in &content.extents {
            // A piece that is a whole chunk is no part of a bundle.
            let Some((chunk, length)) = part_of_bundle(extent) else {
                continue;
            };
            if self.used.len() < WATCHED_MAX || self.used.contains_key(&chunk.id) {
                self.used.entry(chunk.id).or_insert((0, chunk.length)).0 += u64::from(length);
            }
        }
    }

    fn tired(self) -> Vec<BlobId> {
        let tired = self
            .used
            .into_iter()
            .filter(|(_, (used, length))| used * 2 < u64::from(*length));
        let tired: HashSet<BlobId> = tired.map(|(id, _)| id).collect();
        let mut tired: Vec<BlobId> = tired.into_iter().collect();
        tired.sort_unstable();
        tired
    }
}

fn part_of_bundle(extent: &Extent) -> Option<(Chunk, u32)> {
    extent.chunk().filter(|(chunk, length)| *length != chunk.length)
}
