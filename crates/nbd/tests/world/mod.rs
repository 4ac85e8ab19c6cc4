//! What the tests have in common: images, programs, a server of ours.

mod image;
mod program;

pub use image::{Disk, image, noise};
pub use program::{Served, output, run};

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use strongroom_nbd::{Export, Server, ServerLimits};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

/// Longer than anything takes that goes well.
pub const LIMIT: Duration = Duration::from_secs(60);

pub const MIB: usize = 1 << 20;

/// A server of ours at a socket; it goes with this.
pub struct Ours {
    pub socket: PathBuf,
    task: JoinHandle<()>,
}

impl Ours {
    pub fn serve(folder: &Path, exports: Vec<(&str, Arc<dyn Export>)>, limits: ServerLimits) -> Self {
        let socket = folder.join("ours.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let exports = exports.into_iter().map(|(name, export)| (name.to_owned(), export));
        let server = Server::new(exports, limits);
        let task = tokio::spawn(async move { match server.serve(&listener).await {} });
        Self { socket, task }
    }

    /// As `nbdinfo` and its kin write it.
    pub fn uri(&self, export: &str) -> String {
        format!("nbd+unix:///{export}?socket={}", self.socket.display())
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.task.abort();
    }
}
