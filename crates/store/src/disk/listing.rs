//! Walking the folders.

use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;

use super::is_absent;
use crate::key::RESERVED;
use crate::{Key, Listed};

/// All objects under `folder` of the store in `root`, in order.
pub(super) fn list(root: &Path, folder: &str) -> io::Result<Vec<Listed>> {
    let mut listed = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(root.join(&folder)) {
            // Never made; or, with a part of it, an object.
            Err(cause) if is_absent(&cause) && !folder.is_empty() => continue,
            entries => entries?,
        };
        for entry in entries {
            look_at(&entry?, &folder, &mut folders, &mut listed)?;
        }
    }
    // Folder by folder is not the order of keys: `a-b` comes before `a/b`.
    listed.sort_unstable();
    Ok(listed)
}

fn look_at(entry: &DirEntry, folder: &str, folders: &mut Vec<String>, listed: &mut Vec<Listed>) -> io::Result<()> {
    let Some(path) = path_of(entry, folder) else {
        return Ok(());
    };
    let kind = entry.file_type()?;
    if kind.is_dir() {
        folders.push(path);
    } else if kind.is_file()
        && let Ok(key) = Key::new(&path)
    {
        match entry.metadata() {
            Ok(meta) => listed.push(Listed { key, size: meta.len() }),
            Err(gone) if is_absent(&gone) => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(())
}

/// The entry's path below the root; `None` for what no key can name.
fn path_of(entry: &DirEntry, folder: &str) -> Option<String> {
    let name = entry.file_name().into_string().ok()?;
    match folder {
        "" if name == RESERVED => None,
        "" => Some(name),
        _ => Some(format!("{folder}/{name}")),
    }
}
