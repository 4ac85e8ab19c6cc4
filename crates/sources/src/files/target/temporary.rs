//! The name under which something is made that has its own name only when it is whole.

use super::error::{Attempt, RestoreError};
use super::folder::Folder;
use crate::files::meta::Meta;
use rustix::fs::{AtFlags, RenameFlags, renameat, renameat_with, unlinkat};
use rustix::io::Errno;

/// A name beside another one, free when it was made.
#[derive(Debug)]
pub(super) struct Temporary(String);

impl Temporary {
    /// The one for `name`. A leftover of that name is from a restore that was cut off at the very
    /// same entry, and is removed.
    pub(super) fn beside(folder: &Folder, name: &[u8], path: &[u8]) -> Result<Temporary, RestoreError> {
        let temporary = Temporary(temporary_name(name));
        match unlinkat(folder.fd(), temporary.name(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(temporary),
            Err(error) => Err(RestoreError::new("replace", path, error)),
        }
    }

    pub(super) fn name(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Gives what was made its own name. What has that name goes in the same instant, if that is
    /// allowed; if not, the new one goes.
    pub(super) fn rename(&self, folder: &Folder, name: &[u8], path: &[u8]) -> Result<(), RestoreError> {
        let renamed = match folder.shared().options.overwrite {
            true => renameat(folder.fd(), self.name(), folder.fd(), name),
            false => self.rename_to_free(folder, name),
        };
        if renamed.is_err() {
            // If it cannot be removed, the next restore of the same entry will.
            let _ = unlinkat(folder.fd(), self.name(), AtFlags::empty());
        }
        renamed.attempt("replace", path)
    }

    fn rename_to_free(&self, folder: &Folder, name: &[u8]) -> Result<(), Errno> {
        match renameat_with(folder.fd(), self.name(), folder.fd(), name, RenameFlags::NOREPLACE) {
            // Some file systems cannot be asked for that.
            Err(Errno::INVAL | Errno::NOSYS) => match Meta::of_entry(folder.fd(), name) {
                Err(Errno::NOENT) => renameat(folder.fd(), self.name(), folder.fd(), name),
                Err(error) => Err(error),
                Ok(_) => Err(Errno::EXIST),
            },
            result => result,
        }
    }
}

/// The same for the same name, short whatever the name, and different for different names (FNV-1a).
fn temporary_name(name: &[u8]) -> String {
    let hash = name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!(".strongroom-{hash:016x}.part")
}
