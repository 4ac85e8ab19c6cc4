//! The file of an SQLite database: where it is, and that nobody else may read it.

use std::fs::OpenOptions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::DbError;

const SCHEME: &str = "sqlite:";

/// Makes the file if there is none, readable for its owner only. SQLite gives the files beside it (the log, the shared
/// memory) the same mode.
pub(crate) fn prepare(path: &Path) -> Result<PathBuf, DbError> {
    let failed = |action| {
        let path = path.to_owned();
        move |cause| DbError::File { path, action, cause }
    };
    let path = std::path::absolute(path).map_err(failed("find"))?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(&path).map_err(failed("open"))?;
    let mode = file.metadata().map_err(failed("look at"))?.permissions().mode();
    if mode & 0o077 != 0 {
        let private = PermissionsExt::from_mode(mode & !0o077);
        file.set_permissions(private).map_err(failed("protect"))?;
    }
    Ok(path)
}

/// The URL that sqlx wants: every unusual byte escaped.
pub(crate) fn url_of(path: &Path) -> String {
    let mut url = format!("{SCHEME}//");
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' => url.push(byte as char),
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_paths_are_escaped() {
        assert_eq!(url_of(Path::new("/a b/c?d#e%.db")), "sqlite:///a%20b/c%3Fd%23e%25%2Edb");
    }
}
