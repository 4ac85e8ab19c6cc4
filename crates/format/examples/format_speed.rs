//! How fast the cutter, the writer and the reader of leaves are, on one core.
//!
//! `cargo run --release -p strongroom-format --example format_speed`

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use strongroom_format::cutter::Cutter;
use strongroom_format::entry::{Chunk, Content, Entry, Extent, Fingerprint, Kind, Node, Owner, Record, Time};
use strongroom_format::leaf::{LeafBuilder, LeafReader};
use strongroom_format::page::{parse_visible, put_visible};
use strongroom_model::BlobId;

const ROUNDS: usize = 7;
const ENTRIES: usize = 64 * 1000;

fn main() {
    let data = noise(64 << 20);
    let seconds = best(|| cut_all(&data));
    println!(
        "cutter         {:6.2} GiB/s",
        data.len() as f64 / seconds / (1u64 << 30) as f64
    );

    let entries: Vec<Entry> = (0..ENTRIES).map(entry).collect();
    let seconds = best(|| write_all(&entries));
    println!("leaf, written  {:6.2} M entries/s", ENTRIES as f64 / seconds / 1e6);

    let pages = write_all(&entries);
    let seconds = best(|| read_all(&pages));
    println!("leaf, read     {:6.2} M entries/s", ENTRIES as f64 / seconds / 1e6);
    let bytes: usize = pages.iter().map(Vec::len).sum();
    println!("leaf           {:6.1} bytes/entry", bytes as f64 / ENTRIES as f64);
}

/// The shortest time of a few rounds: what the processor can do when nobody disturbs it.
fn best<T>(mut work: impl FnMut() -> T) -> f64 {
    let round = |_| {
        let start = Instant::now();
        black_box(work());
        start.elapsed().as_secs_f64()
    };
    (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min)
}

fn cut_all(data: &[u8]) -> usize {
    let (cutter, mut rest, mut chunks) = (Cutter::new(&[7; 32]), data, 0);
    while !rest.is_empty() {
        rest = &rest[cutter.cut(rest)..];
        chunks += 1;
    }
    chunks
}

fn write_all(entries: &[Entry]) -> Vec<Vec<u8>> {
    let page = |entries: &[Entry]| {
        let mut builder = LeafBuilder::default();
        entries.iter().for_each(|entry| builder.push(entry));
        let (refs, plain) = builder.finish();
        let mut page = Vec::new();
        put_visible(&mut page, 0, &refs);
        page.extend_from_slice(&plain);
        page
    };
    entries.chunks(64).map(page).collect()
}

fn read_all(pages: &[Vec<u8>]) -> usize {
    let read = |page: &Vec<u8>| {
        let page = parse_visible(page).expect("it was just written");
        let records = LeafReader::new(page.refs, page.sealed).expect("it was just written");
        records.fold(0, |count, record| {
            black_box(record.expect("it was just written"));
            count + 1
        })
    };
    pages.iter().map(read).sum::<usize>()
}

/// A small file in a bundle, among others of its folder, as in a source tree.
fn entry(number: usize) -> Entry {
    let owner = Arc::new(Owner::default());
    let id = BlobId::from_bytes(*blake3::hash(&(number / 100).to_le_bytes()).as_bytes());
    let extent = Extent::Piece {
        fingerprint: Fingerprint([number as u8; 16]),
        chunk: Chunk { id, length: 1 << 20 },
        offset: (number % 100 * 10_000) as u32,
        length: 10_000,
    };
    let content = Content {
        extents: vec![extent],
        continues: false,
    };
    let mtime = Time {
        seconds: 1_700_000_000 + (number / 50) as i64,
        nanoseconds: 500_000_000,
    };
    let node = Node {
        kind: Kind::File { size: 10_000, content },
        mode: 0o644,
        owner,
        mtime,
        ctime: 1_700_000_000_000_000_000 + number as i64 * 30_000,
        inode: 100_000 + number as u64,
        device: 2049,
        attributes: Vec::new(),
    };
    let path = format!("usr/src/linux/drivers/net/{:04}/source_{number:06}.c", number / 40);
    Entry {
        path: path.into_bytes(),
        record: Record::Node(Box::new(node)),
    }
}

fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}
