//! Puts objects of one size into a folder, one after the other, and says of each what came of it. The tests
//! watch its system calls, let them fail, and kill it at each of them.
//!
//! `put_once ROOT SIZE_BYTES KEY…`; exit status 1 if anything failed.

use std::io::{IoSlice, stdout};
use std::process::ExitCode;

use strongroom_store::{Disk, Key, Store, StoreError};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().expect("usage: put_once ROOT SIZE_BYTES KEY…");
    let root = argument();
    let size_bytes = argument().parse().expect("a size in bytes");
    let keys = arguments.map(|key| Key::new(&key).expect("a legal key"));
    // One blocking thread: then "the n-th call of the thread" is the n-th call of all.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.max_blocking_threads(1).build().expect("a runtime");
    match runtime.block_on(put_all(root, size_bytes, keys.collect())) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all were stored.
async fn put_all(root: String, size_bytes: usize, keys: Vec<Key>) -> Result<bool, StoreError> {
    let opened = tokio::task::spawn_blocking(|| Disk::open(root)).await;
    let disk = opened.expect("opening does not panic")?;
    let mut are_stored = true;
    for key in keys {
        match disk.put(&key, vec![b'x'; size_bytes].into()).await {
            Ok(()) => say(&format!("stored {key}\n")),
            Err(error) => {
                are_stored = false;
                say(&format!("{error}\n"));
            }
        }
    }
    Ok(are_stored)
}

/// Says it with `writev`, so that every `write` of this program is one of the store.
fn say(line: &str) {
    let said = rustix::io::writev(stdout(), &[IoSlice::new(line.as_bytes())]);
    assert_eq!(said, Ok(line.len()), "a pipe takes a line at once");
}
