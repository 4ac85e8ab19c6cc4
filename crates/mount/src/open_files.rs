//! Files that somebody has open.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use fuser::FileHandle;
use strongroom_engine::browse::{Name, PointTree, SequentialReads};

/// An open file.
pub struct OpenFile {
    pub tree: Arc<PointTree>,
    pub name: Name,
    pub reads: SequentialReads,
}

/// All open files, by handle. The kernel closes each; there are as many as its programs may have.
#[derive(Default)]
pub struct OpenFiles {
    files: Mutex<HashMap<u64, Arc<OpenFile>>>,
    last: AtomicU64,
}

impl OpenFiles {
    pub fn open(&self, tree: Arc<PointTree>, name: Name) -> FileHandle {
        let handle = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let reads = SequentialReads::default();
        let file = Arc::new(OpenFile { tree, name, reads });
        self.lock().insert(handle, file);
        FileHandle(handle)
    }

    pub fn get(&self, handle: FileHandle) -> Option<Arc<OpenFile>> {
        self.lock().get(&handle.0).cloned()
    }

    pub fn close(&self, handle: FileHandle) {
        self.lock().remove(&handle.0);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<OpenFile>>> {
        self.files.lock().expect("no thread panicked here")
    }
}
