//! Shows a raw image, for reading only, until it is stopped: to try QEMU and others on.
//!
//! `cargo run --release -p strongroom-nbd --example show -- SOCKET IMAGE`, then `nbd+unix:///?socket=SOCKET`.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rustix::fs::{SeekFrom, seek};
use strongroom_nbd::{Export, ExportError, Server, ServerLimits, Stretch};
use tokio::net::UnixListener;
use tokio::task::spawn_blocking;

struct Image {
    file: Arc<File>,
    size: u64,
}

#[async_trait]
impl Export for Image {
    fn size(&self) -> u64 {
        self.size
    }

    async fn read(&self, offset: u64, length: u32) -> Result<Bytes, ExportError> {
        let file = self.file.clone();
        let reading = spawn_blocking(move || {
            let mut contents = vec![0; length as usize];
            file.read_exact_at(&mut contents, offset).map(|()| contents.into())
        });
        reading.await.map_err(ExportError::io)?.map_err(ExportError::io)
    }

    /// One stretch: up to where data begins, or ends.
    async fn extents(&self, range: Range<u64>) -> Result<Vec<Stretch>, ExportError> {
        let data = seek(&self.file, SeekFrom::Data(range.start)).unwrap_or(self.size);
        let zero = data > range.start;
        let end = if zero {
            data
        } else {
            seek(&self.file, SeekFrom::Hole(range.start)).map_err(ExportError::io)?
        };
        let length = end - range.start;
        Ok(vec![Stretch { length, zero }])
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [socket, image] = &arguments[..] else {
        eprintln!("show SOCKET IMAGE");
        std::process::exit(2);
    };
    let file = Arc::new(File::open(image)?);
    let size = file.metadata()?.len();
    let export: Arc<dyn Export> = Arc::new(Image { file, size });
    let listener = UnixListener::bind(socket)?;
    let server = Server::new([("image".to_owned(), export)], ServerLimits::default());
    match server.serve(&listener).await {}
}
