//! A client of the NBD server, which sends anything: options, and requests once it has chosen an export.
//!
//! Input: what the client sends, from its flags on.
#![no_main]

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use strongroom_nbd::wire::{ClientOption, OptionHeader};
use strongroom_nbd::{Export, ExportError, Server, ServerLimits, Stretch};
use tokio::runtime::{Builder, Runtime};

const SIZE: u64 = 1 << 20;

struct Disk;

#[async_trait::async_trait]
impl Export for Disk {
    fn size(&self) -> u64 {
        SIZE
    }

    async fn read(&self, offset: u64, length: u32) -> Result<Bytes, ExportError> {
        assert!(offset + u64::from(length) <= SIZE, "only what is there is read");
        Ok(vec![1; length as usize].into())
    }

    async fn extents(&self, range: Range<u64>) -> Result<Vec<Stretch>, ExportError> {
        assert!(
            !range.is_empty() && range.end <= SIZE,
            "only what is there is asked about"
        );
        Ok([false, true].map(|zero| Stretch { length: 5000, zero }).to_vec())
    }
}

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime needs nothing");
}

fuzz_target!(|data: &[u8]| {
    decode(data);
    let disk: Arc<dyn Export> = Arc::new(Disk);
    // One request at once: the others wait for its answer, and all but the last are answered before the input ends.
    let limits = ServerLimits {
        requests: 1,
        ..ServerLimits::default()
    };
    let server = Server::new([("d".to_owned(), disk)], limits);
    let stream = tokio::io::join(std::io::Cursor::new(data.to_vec()), tokio::io::sink());
    RUNTIME.with(|runtime| runtime.block_on(server.attend(stream)));
});

/// What is taken apart would be put together in the same way.
fn decode(data: &[u8]) {
    let Some((header, rest)) = data.split_first_chunk() else {
        return;
    };
    let Ok(OptionHeader { code, .. }) = OptionHeader::decode(header) else {
        return;
    };
    match ClientOption::decode(code, rest) {
        Ok(ClientOption::Abort | ClientOption::Other { .. }) | Err(_) => {}
        Ok(option) => assert_eq!(option.encode()[16..], *rest),
    }
}
