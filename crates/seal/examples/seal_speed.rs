//! How fast sealing and opening are on one core: `cargo run --release -p strongroom-seal --example seal_speed [FILE…]`.
//!
//! Prints GiB/s of plain bytes for payloads of 1 MiB, the best of several rounds, and what they shrink to. Files named
//! as arguments are cut into such payloads and measured too.

use std::hint::black_box;
use std::time::Instant;

use strongroom_seal::{DataKeys, Level, MasterKey, Opener, SealKind, Sealer};

const PAYLOAD_BYTES: usize = 1 << 20;
const ROUNDS: usize = 5;

fn main() -> std::io::Result<()> {
    let keys = MasterKey::generate().keys();
    println!(
        "{:<32} {:>12} {:>12} {:>14} {:>8}",
        "1 MiB payloads", "fingerprint", "seal GiB/s", "open GiB/s", "size"
    );
    measure(&keys, "random", &random(128));
    measure(&keys, "text", &text(64));
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path)?;
        let payloads: Vec<Vec<u8>> = bytes.chunks(PAYLOAD_BYTES).map(<[u8]>::to_vec).collect();
        measure(&keys, &path, &payloads);
    }
    Ok(())
}

fn measure(keys: &DataKeys, name: &str, payloads: &[Vec<u8>]) {
    let (mut sealer, mut opener) = (Sealer::new(keys, Level::default()), Opener::new(keys));
    let bytes: usize = payloads.iter().map(Vec::len).sum();
    let fingerprint = rate(bytes, || {
        payloads
            .iter()
            .for_each(|payload| _ = black_box(keys.fingerprint(payload)))
    });
    let mut blobs = vec![Vec::new(); payloads.len()];
    let seal = rate(bytes, || {
        for (payload, blob) in payloads.iter().zip(&mut blobs) {
            blob.clear();
            sealer.seal(SealKind::Chunk, b"", payload, blob);
        }
    });
    let mut plain = Vec::new();
    let open = rate(bytes, || {
        for blob in &blobs {
            plain.clear();
            opener
                .open(SealKind::Chunk, b"", blob, PAYLOAD_BYTES, &mut plain)
                .expect("just sealed");
        }
    });
    let sealed: usize = blobs.iter().map(Vec::len).sum();
    let share = 100.0 * sealed as f64 / bytes as f64;
    println!("{name:<32} {fingerprint:>12.2} {seal:>12.2} {open:>14.2} {share:>6.1} %");
}

/// GiB/s of the fastest round.
fn rate(bytes: usize, mut work: impl FnMut()) -> f64 {
    let best = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    });
    bytes as f64 / best.fold(f64::INFINITY, f64::min) / f64::from(1 << 30)
}

/// Payloads without pattern.
fn random(count: usize) -> Vec<Vec<u8>> {
    let mut stream = blake3::Hasher::new().update(b"seal_speed").finalize_xof();
    let mut payloads = vec![vec![0; PAYLOAD_BYTES]; count];
    payloads.iter_mut().for_each(|payload| stream.fill(payload));
    payloads
}

/// Payloads of lines like those of a log: about a fifth remains.
fn text(count: usize) -> Vec<Vec<u8>> {
    let mut words = blake3::Hasher::new().update(b"words").finalize_xof();
    let mut line = move || {
        let mut draw = [0u8; 4];
        words.fill(&mut draw);
        let [a, b, c, d] = draw;
        format!(
            "host{} service[{}]: request {a:02x}{b:02x} answered in {c} ms with status {}\n",
            a % 8,
            b % 64,
            d % 5
        )
    };
    let mut payload = || {
        let mut bytes = Vec::with_capacity(PAYLOAD_BYTES + 128);
        while bytes.len() < PAYLOAD_BYTES {
            bytes.extend_from_slice(line().as_bytes());
        }
        bytes.truncate(PAYLOAD_BYTES);
        bytes
    };
    (0..count).map(|_| payload()).collect()
}
