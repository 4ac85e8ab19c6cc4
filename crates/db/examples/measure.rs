//! Measures the index: rows inserted per second, and what a batch of `missing?` costs.
//!
//! `cargo run --release -p strongroom-db --example measure -- [PACKS]`; a pack has 4,096 blobs.

use std::time::Instant;

use strongroom_db::{CHUNK_LEVEL, Db, IDS_MAX, NewBlob, NewPack, VaultRow};
use strongroom_model::{BlobId, Digest, PackId, Redundancy, Region, ResourceGroupName, VaultId, VaultSettings};

const BLOBS: u64 = 4096;

#[tokio::main]
async fn main() {
    let packs: u64 = std::env::args()
        .nth(1)
        .map_or(64, |text| text.parse().expect("a number of packs"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let db = Db::open_file(&folder.path().join("db")).await.expect("a new database");
    let vault = vault(&db).await;
    let started = Instant::now();
    for pack in 0..packs {
        let new = NewPack {
            id: PackId::from_bytes(hash(1 << 60 | pack)),
            size: BLOBS,
            added: "2026-11-21T00:00:00Z".parse().expect("a time"),
        };
        let blobs: Vec<NewBlob> = (0..BLOBS).map(|blob| new_blob(pack * BLOBS + blob)).collect();
        db.insert_pack(vault, new, &blobs).await.expect("an insert");
    }
    let seconds = started.elapsed().as_secs_f64();
    let rows = packs * BLOBS;
    println!(
        "inserted {rows} rows in {seconds:.2} s: {:.0} rows/s",
        rows as f64 / seconds
    );
    for (what, first) in [("present", 0), ("missing", rows)].repeat(3) {
        let ids: Vec<BlobId> = (0..IDS_MAX as u64)
            .map(|n| BlobId::from_bytes(hash(first + n * 7919 % rows)))
            .collect();
        let started = Instant::now();
        let missing = db.missing_blobs(vault, &ids).await.expect("an answer");
        let milliseconds = started.elapsed().as_secs_f64() * 1e3;
        let count = missing.iter().filter(|missing| **missing).count();
        println!("missing? of {IDS_MAX} {what} ids: {milliseconds:.1} ms ({count} missing)");
        let started = Instant::now();
        let found = db.locate_blobs(vault, &ids).await.expect("an answer").len();
        let milliseconds = started.elapsed().as_secs_f64() * 1e3;
        println!("locate of {IDS_MAX} {what} ids: {milliseconds:.1} ms ({found} found)");
    }
}

async fn vault(db: &Db) -> VaultId {
    let vault = VaultRow {
        id: VaultId::from_bytes([1; 16]),
        name: "measure".parse().expect("a name"),
        resource_group: ResourceGroupName::default(),
        region: Region::default(),
        redundancy: Redundancy::LocallyRedundant,
        created: "2026-11-21T00:00:00Z".parse().expect("a time"),
        salt: [0; 32],
        file_digest: Digest::from_bytes([0; 32]),
        settings: VaultSettings::default(),
        version: 1,
        deleted: None,
        purge_at: None,
    };
    db.insert_vault(&vault).await.expect("a vault");
    vault.id
}

fn new_blob(number: u64) -> NewBlob {
    NewBlob {
        id: BlobId::from_bytes(hash(number)),
        place: number,
        size: 1,
        level: CHUNK_LEVEL,
    }
}

fn hash(number: u64) -> [u8; 32] {
    *blake3::hash(&number.to_le_bytes()).as_bytes()
}
