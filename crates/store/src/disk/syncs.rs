//! Syncs, and the rule that a failed one is the end.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Syncs files and folders, and remembers for ever that one failed.
///
/// After a failed sync Linux may drop the unwritten pages and call the next sync of the same file or folder
/// a success. So there is no second try: see `fsync(2)`, "EIO".
#[derive(Debug, Default)]
pub(super) struct Syncs {
    failed: AtomicBool,
}

impl Syncs {
    pub(super) fn file(&self, file: &File) -> io::Result<()> {
        self.judge(file.sync_all())
    }

    /// Makes the entries of `folder` durable.
    pub(super) fn folder(&self, folder: &Path) -> io::Result<()> {
        let opened = File::open(folder)?;
        self.judge(opened.sync_all())
    }

    /// Refuses if a sync has failed before.
    pub(super) fn check(&self) -> io::Result<()> {
        if self.failed.load(Ordering::SeqCst) {
            let why = "a sync of this store failed before; check the disk, then open the store anew";
            return Err(io::Error::other(why));
        }
        Ok(())
    }

    fn judge(&self, synced: io::Result<()>) -> io::Result<()> {
        match synced {
            // The failure that another thread met may have been about our folder.
            Ok(()) => self.check(),
            Err(cause) => {
                // A full disk has lost nothing but this one write, which is given up.
                if !is_full(&cause) {
                    self.failed.store(true, Ordering::SeqCst);
                }
                Err(cause)
            }
        }
    }
}

fn is_full(cause: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(cause.kind(), StorageFull | QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn a_failed_sync_is_never_followed_by_a_success() {
        let syncs = Syncs::default();
        assert!(syncs.judge(Err(Errno::NOSPC.into())).is_err());
        assert!(syncs.judge(Ok(())).is_ok());
        assert!(syncs.judge(Err(Errno::IO.into())).is_err());
        assert!(syncs.judge(Ok(())).is_err());
        assert!(syncs.check().is_err());
    }
}
