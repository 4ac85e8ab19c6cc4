//! Files that only their owner may read: sessions, credentials, passwords.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};

/// The longest file that is read whole, in bytes.
const BYTES_MAX: u64 = 1 << 20;

/// The text of a file, or `None` when there is none.
pub(crate) fn read_optional(path: &Path) -> Result<Option<String>> {
    match File::open(path) {
        Ok(file) => read_text(file)
            .with_context(|| format!("cannot read {}", path.display()))
            .map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// The text of a file that must be there.
pub(crate) fn read(path: &Path) -> Result<String> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    read_text(file).with_context(|| format!("cannot read {}", path.display()))
}

fn read_text(file: File) -> Result<String> {
    let mut text = String::new();
    file.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > BYTES_MAX {
        bail!("it is longer than {BYTES_MAX} bytes");
    }
    Ok(text)
}

/// A new file with mode 0600, to be written bit by bit.
pub(crate) fn create_new(path: &Path) -> Result<File> {
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match created {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("{} exists already: remove it, or name another file", path.display())
        }
        created => created.with_context(|| format!("cannot create {}", path.display())),
    }
}

/// Removes a file that was not finished.
pub(crate) fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).with_context(|| format!("cannot remove {}, which is not whole", path.display()))
}

/// Writes a file with mode 0600, whole or not at all, and makes its folder if need be.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("cannot create the folder {}", folder.display()))?;
    let name = path
        .file_name()
        .with_context(|| format!("{} is not the name of a file", path.display()))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".new");
    let temporary = folder.join(hidden);
    replace(path, &temporary, text).with_context(|| format!("cannot write {}", path.display()))
}

fn replace(path: &Path, temporary: &Path, text: &str) -> io::Result<()> {
    // A file that an earlier run left, perhaps with another mode, is not written into.
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(temporary, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn files_are_private_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/file");
        assert_eq!(read_optional(&path).unwrap(), None);
        write(&path, "one").unwrap();
        write(&path, "two").unwrap();
        assert_eq!(read(&path).unwrap(), "two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn errors_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = format!("{:#}", read(&folder.path().join("absent")).unwrap_err());
        assert!(error.contains("cannot read") && error.contains("absent"), "{error}");
    }
}
