//! Reads all of an export that is not zeros, several requests at once, and throws it away: what the client costs.
//!
//! `cargo run --release -p strongroom-nbd --example pull -- SOCKET EXPORT [REQUEST_KIB [READERS]]`, beside `nbdcopy … null:`.

#![forbid(unsafe_code)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use strongroom_nbd::{Client, ConnectOptions, NbdError};

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), NbdError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [socket, export, rest @ ..] = &arguments[..] else {
        eprintln!("pull SOCKET EXPORT [REQUEST_KIB [READERS]]");
        std::process::exit(2);
    };
    let number = |at: usize, otherwise: u64| rest.get(at).and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let (step, readers) = (number(0, 1024) << 10, number(1, 8));
    let options = ConnectOptions::new(export).with_context("base:allocation");
    let client = Client::connect(Path::new(socket), &options, LIMIT).await?;
    let size = client.export().size;
    let mut wanted = Vec::new();
    let mut at = 0;
    for extent in client.allocation(0..size, LIMIT).await? {
        let end = at + extent.length;
        if !extent.flags.zero {
            wanted.extend(
                (at..end)
                    .step_by(step as usize)
                    .map(|from| (from, (end - from).min(step))),
            );
        }
        at = end;
    }
    let (wanted, next, sum) = (
        Arc::new(wanted),
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..readers {
        let (client, wanted, next, sum) = (client.clone(), wanted.clone(), next.clone(), sum.clone());
        tasks.spawn(async move {
            while let Some((offset, length)) = wanted.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                let read = client.read(*offset, *length as usize, LIMIT).await?;
                sum.fetch_add(read.len() as u64, Ordering::Relaxed);
            }
            Ok::<(), NbdError>(())
        });
    }
    for task in tasks.join_all().await {
        task?;
    }
    println!("{} MiB of {} MiB read", sum.load(Ordering::Relaxed) >> 20, size >> 20);
    client.disconnect(LIMIT).await
}
