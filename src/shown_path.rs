//! Paths as people name and see them: absolute, with bytes that cannot be shown escaped.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use crate::failure::Failure;

/// A stored path (bytes below "/") for the screen and for JSON: control characters and what is not UTF-8 as `\xNN`.
pub(crate) fn shown(path: &[u8]) -> String {
    format!("/{}", strongroom_sources::files::ShownPath(path))
}

/// An absolute path without "." and "..", whatever links there are.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    let joined = std::env::current_dir()?.join(path);
    let mut clean = PathBuf::from("/");
    for component in joined.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Ok(clean)
}

/// A path in a recovery point, as it is stored: below "/", without slashes at the ends.
pub(crate) fn stored(path: &Path) -> Vec<u8> {
    let bytes = path.as_os_str().as_bytes();
    let parts: Vec<&[u8]> = bytes
        .split(|&byte| byte == b'/')
        .filter(|part| !matches!(*part, b"" | b"."))
        .collect();
    parts.join(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_for_the_vault() {
        for (given, expected) in [
            ("/usr/lib/", "usr/lib"),
            ("usr//lib", "usr/lib"),
            ("./a/.", "a"),
            ("/", ""),
        ] {
            assert_eq!(stored(Path::new(given)), expected.as_bytes());
        }
        assert_eq!(
            absolute(Path::new("/a/b/../c/.")).unwrap_or_default(),
            Path::new("/a/c")
        );
    }
}
