//! The folder on a disk that objects are to be written to, as the user named it.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::fs::statvfs;

use crate::error::AgentError;

/// Names that file systems have at their top.
const OF_FILE_SYSTEMS: &[&str] = &["lost+found"];

/// The names in a folder; none if it is not there yet. What is no text counts as "?".
///
/// # Errors
/// [`AgentError::Disk`] when a name in it, or in one of its folders, is a link: what is written would go elsewhere.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>, AgentError> {
    let mut names = names_without_links(folder)?;
    for name in &names {
        let below = folder.join(name);
        if below.is_dir() && !OF_FILE_SYSTEMS.contains(&name.as_str()) {
            names_without_links(&below)?;
        }
    }
    names.retain(|name| !OF_FILE_SYSTEMS.contains(&name.as_str()));
    Ok(names)
}

fn names_without_links(folder: &Path) -> Result<Vec<String>, AgentError> {
    let failed = |source: io::Error| AgentError::State {
        action: "read",
        path: folder.to_owned(),
        source,
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_symlink() {
            let link = entry.path();
            let why = format!(
                "{} is a link: what is written there would go elsewhere. Remove it, or name another folder",
                link.display()
            );
            return Err(AgentError::Disk(why));
        }
        names.push(entry.file_name().to_str().unwrap_or("?").to_owned());
    }
    Ok(names)
}

/// How many bytes its file system has left for us; `None` if it does not tell.
pub(crate) fn room(folder: &Path) -> Option<u64> {
    let system = statvfs(folder).ok()?;
    Some(system.f_bavail.saturating_mul(system.f_frsize))
}
