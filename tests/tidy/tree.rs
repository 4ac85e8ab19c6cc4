//! The files of the project, as paths relative to its root.

use std::fs;
use std::path::{Path, PathBuf};

use crate::source::Source;

/// Folders that hold what was built or measured, not what was written; relative to the root.
const NOT_OURS: &[&str] = &["target", "fuzz/target", "fuzz/corpus", "fuzz/artifacts", "lab", ".git"];

/// The folder of the root `Cargo.toml`.
pub fn root() -> PathBuf {
    // The variable of the run, not of the build: a target folder may be moved together with its clone.
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

/// Every file whose name ends in one of these, with its text; sorted by path.
pub fn files(endings: &[&str]) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    collect(&root(), &mut paths);
    paths.sort();
    let wanted = |path: &&PathBuf| endings.iter().any(|ending| path.to_string_lossy().ends_with(ending));
    paths.iter().filter(wanted).filter_map(read).collect()
}

/// Every Rust file, taken apart.
pub fn sources() -> Vec<Source> {
    let files = files(&[".rs"]).into_iter();
    files.map(|(path, text)| Source::parse(path, text)).collect()
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the project can be listed") {
        let entry = entry.expect("a folder of the project can be listed");
        let kind = entry.file_type().expect("the kind of a listed file is known");
        let ours = !NOT_OURS.iter().any(|folder| entry.path() == root().join(folder));
        if kind.is_dir() && ours {
            collect(&entry.path(), into);
        } else if kind.is_file() {
            into.push(entry.path());
        }
    }
}

/// `None` for a file that is not text: a golden file, a picture.
fn read(path: &PathBuf) -> Option<(String, String)> {
    let text = String::from_utf8(fs::read(path).expect("a file of the project can be read")).ok()?;
    let relative = path.strip_prefix(root()).expect("it was found below the root");
    Some((relative.to_string_lossy().into_owned(), text))
}
