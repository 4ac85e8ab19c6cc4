//! Fetching and opening chunks ahead of whoever needs them.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender};
use futures_util::StreamExt as _;
use strongroom_format::entry::Chunk;
use strongroom_model::BlobId;
use strongroom_seal::{DataKeys, Opener, SealKind};
use tokio::runtime::Handle;

use crate::progress::Progress;
use crate::remote::{Fetched, VaultReader};
use crate::slot::{Promise, Slot, slot};

/// Contents of a chunk, or why they cannot be had.
pub type Opened = Result<Vec<u8>, String>;

/// Opened chunks that are kept for what comes next.
const KEPT_BYTES: u64 = 40 << 20;

/// Asks for chunks in batches, opens them on threads of its own, and keeps the last ones.
pub struct Chunks {
    reader: Arc<dyn VaultReader>,
    runtime: Handle,
    progress: Progress,
    to_open: Sender<OpenJob>,
    kept: HashMap<BlobId, (Slot<Opened>, u64)>,
    /// Oldest first.
    order: VecDeque<BlobId>,
    kept_bytes: u64,
    wanted: Vec<(Chunk, Promise<Opened>)>,
    wanted_bytes: u64,
    remarks: Remarks,
}

/// What the vault remarked about its objects, each remark once.
#[derive(Clone, Debug, Default)]
pub struct Remarks(Arc<Mutex<BTreeSet<String>>>);

impl Remarks {
    fn add(&self, remark: String) {
        self.0.lock().expect("no thread panicked here").insert(remark);
    }

    /// All so far. A pack's remark comes before its blobs.
    pub fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.0.lock().expect("no thread panicked here"))
    }
}

struct OpenJob {
    chunk: Chunk,
    sealed: Bytes,
    promise: Promise<Opened>,
}

impl Chunks {
    /// Starts the threads; they end when this is dropped.
    pub fn start(
        reader: Arc<dyn VaultReader>,
        keys: &Arc<DataKeys>,
        runtime: Handle,
        progress: Progress,
        workers: usize,
    ) -> Self {
        // Unbounded in form, bounded by what was asked for: see `wanted_bytes`.
        let (to_open, jobs) = crossbeam_channel::unbounded();
        for _ in 0..workers.max(1) {
            let (keys, jobs) = (keys.clone(), jobs.clone());
            std::thread::spawn(move || open_all(&keys, &jobs));
        }
        Self {
            reader,
            runtime,
            progress,
            to_open,
            kept: HashMap::new(),
            order: VecDeque::new(),
            kept_bytes: 0,
            wanted: Vec::new(),
            wanted_bytes: 0,
            remarks: Remarks::default(),
        }
    }

    /// The contents of a chunk to be: asked for with the next [`Chunks::ask`], unless it is here already.
    pub fn get(&mut self, chunk: Chunk) -> Slot<Opened> {
        if let Some((slot, _)) = self.kept.get(&chunk.id) {
            return slot.clone();
        }
        let (slot, promise) = slot();
        self.wanted.push((chunk, promise));
        self.wanted_bytes += u64::from(chunk.length);
        self.keep(chunk, slot.clone());
        slot
    }

    /// Bytes that the next [`Chunks::ask`] asks for.
    pub fn wanted_bytes(&self) -> u64 {
        self.wanted_bytes
    }

    /// Sends for what is wanted, and returns at once.
    pub fn ask(&mut self) {
        self.wanted_bytes = 0;
        let wanted = std::mem::take(&mut self.wanted);
        if wanted.is_empty() {
            return;
        }
        let (reader, to_open) = (self.reader.clone(), self.to_open.clone());
        let (progress, remarks) = (self.progress.clone(), self.remarks.clone());
        self.runtime.spawn(async move {
            let ids = wanted.iter().map(|(chunk, _)| chunk.id).collect();
            let mut waiting: HashMap<_, _> = wanted
                .into_iter()
                .map(|(chunk, promise)| (chunk.id, (chunk, promise)))
                .collect();
            let mut stream = reader.fetch(ids);
            while let Some(fetched) = stream.next().await {
                match fetched {
                    Ok(Fetched::Blob(id, sealed)) => {
                        progress.add_new_bytes(sealed.len() as u64);
                        let Some((chunk, promise)) = waiting.remove(&id) else {
                            continue;
                        };
                        if to_open.send(OpenJob { chunk, sealed, promise }).is_err() {
                            return;
                        }
                    }
                    Ok(Fetched::Lost(id, why)) => {
                        if let Some((_, promise)) = waiting.remove(&id) {
                            promise.keep(Err(why));
                        }
                    }
                    Ok(Fetched::Remark(remark)) => remarks.add(remark),
                    Err(error) => {
                        let why = error.to_string();
                        waiting
                            .drain()
                            .for_each(|(_, (_, promise))| promise.keep(Err(why.clone())));
                        return;
                    }
                }
            }
            for (id, (_, promise)) in waiting {
                promise.keep(Err(format!("the vault did not send chunk {id}")));
            }
        });
    }

    /// Where remarks come together; all are there when all that was asked for has come.
    pub fn remarks(&self) -> Remarks {
        self.remarks.clone()
    }

    fn keep(&mut self, chunk: Chunk, slot: Slot<Opened>) {
        self.kept_bytes += u64::from(chunk.length);
        self.kept.insert(chunk.id, (slot, u64::from(chunk.length)));
        self.order.push_back(chunk.id);
        while self.kept_bytes > KEPT_BYTES && self.order.len() > 1 {
            let oldest = self.order.pop_front().expect("there is more than one");
            let (_, length) = self.kept.remove(&oldest).expect("what is in order is kept");
            self.kept_bytes -= length;
        }
    }
}

fn open_all(keys: &DataKeys, jobs: &Receiver<OpenJob>) {
    let mut opener = Opener::new(keys);
    for OpenJob { chunk, sealed, promise } in jobs {
        promise.keep(open(&mut opener, chunk, &sealed));
    }
}

/// Opens a chunk and checks that it is the one that was asked for.
pub fn open(opener: &mut Opener, chunk: Chunk, sealed: &[u8]) -> Opened {
    if strongroom_format::blob_id(sealed) != chunk.id {
        return Err(format!("the vault sent other bytes than chunk {}", chunk.id));
    }
    let mut plain = Vec::with_capacity(chunk.length as usize);
    let opened = opener.open(SealKind::Chunk, &[], sealed, chunk.length as usize, &mut plain);
    opened.map_err(|error| format!("chunk {}: {error}", chunk.id))?;
    if plain.len() != chunk.length as usize {
        return Err(format!("chunk {} has another length than its page says", chunk.id));
    }
    Ok(plain)
}
