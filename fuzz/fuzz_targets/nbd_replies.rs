//! A server of the NBD client, which sends anything: answers to options, or to requests after an orderly beginning.
//!
//! Input: a byte whose lowest bits say how it begins, and what the server sends.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use strongroom_nbd::wire::{Info, OPTION_MAGIC, OptionReply, SERVER_MAGIC, TransmissionFlags};
use strongroom_nbd::{Client, ConnectOptions};
use tokio::io::{AsyncWriteExt, duplex};
use tokio::runtime::{Builder, Runtime};

const SIZE: u64 = 1 << 16;
const LIMIT: Duration = Duration::from_secs(60);

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime needs nothing");
}

fuzz_target!(|data: &[u8]| {
    let Some((how, sent)) = data.split_first() else { return };
    RUNTIME.with(|runtime| runtime.block_on(play(how & 1 != 0, how & 2 != 0, sent)));
});

async fn play(begins: bool, structured: bool, sent: &[u8]) {
    let (ours, mut theirs) = duplex(1 << 20);
    let mut options = ConnectOptions::new("d").with_context("base:allocation");
    options.structured = structured;
    if begins {
        theirs
            .write_all(&beginning(structured))
            .await
            .expect("there is room for it");
    } else {
        theirs.write_all(sent).await.expect("there is room for it");
        theirs.shutdown().await.expect("it cannot fail");
    }
    let Ok(client) = Client::over(ours, &options, LIMIT).await else {
        return;
    };
    let calls = async {
        let read = client.read(1000, 2000, LIMIT);
        let (read, told) = tokio::join!(read, client.allocation(0..SIZE, LIMIT));
        assert!(read.is_err() || read.is_ok_and(|read| read.len() == 2000));
        if let Ok(told) = told {
            assert_eq!(told.iter().map(|extent| extent.length).sum::<u64>(), SIZE);
        }
    };
    let answers = async {
        if begins {
            // One thread: after these the requests are under way, and an answer is not one to nothing.
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            theirs.write_all(sent).await.expect("there is room for it");
        }
        theirs.shutdown().await.expect("it cannot fail");
    };
    tokio::join!(calls, answers);
}

fn beginning(structured: bool) -> Vec<u8> {
    let mut bytes = [&SERVER_MAGIC.to_be_bytes()[..], &OPTION_MAGIC.to_be_bytes(), &[0, 3]].concat();
    if structured {
        bytes.extend(OptionReply::Ack.encode(8));
        let name = "base:allocation".to_owned();
        bytes.extend(OptionReply::MetaContext { id: 1, name }.encode(10));
        bytes.extend(OptionReply::Ack.encode(10));
    }
    let (size, flags) = (SIZE, TransmissionFlags(3));
    bytes.extend(OptionReply::Info(Info::Export { size, flags }).encode(7));
    bytes.extend(OptionReply::Ack.encode(7));
    bytes
}
