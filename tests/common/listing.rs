//! What a tree was at some time, small enough to keep many: kinds, modes, owners, times and hashes of contents.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A tree at some time.
#[derive(Clone, PartialEq, Eq)]
pub struct Listing(BTreeMap<PathBuf, Fact>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Fact {
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, i64),
    contents: u64,
}

impl Listing {
    pub fn of(folder: &Path) -> Self {
        let mut facts = BTreeMap::new();
        if folder.exists() {
            add(folder, folder, &mut facts);
        }
        Self(facts)
    }

    /// What is different in `other`, or is only in one of them.
    pub fn differences(&self, other: &Self) -> Vec<PathBuf> {
        let all = self.0.keys().chain(other.0.keys());
        let mut differences: Vec<PathBuf> = all
            .filter(|path| self.0.get(*path) != other.0.get(*path))
            .cloned()
            .collect();
        differences.sort();
        differences.dedup();
        differences
    }

    /// One of these trees is in `folder`.
    #[track_caller]
    pub fn assert_is_one_of(trees: &[Self], folder: &Path, what: &str) {
        let there = Self::of(folder);
        let differences = trees.iter().map(|tree| tree.differences(&there));
        let nearest = differences.min_by_key(Vec::len).expect("there are some");
        assert!(
            nearest.is_empty(),
            "{what}: {} differs in {nearest:?}",
            folder.display()
        );
    }

    #[track_caller]
    pub fn assert_is(&self, folder: &Path, what: &str) {
        let differences = self.differences(&Self::of(folder));
        assert!(
            differences.is_empty(),
            "{what}: {} differs in {differences:?}",
            folder.display()
        );
    }
}

fn add(root: &Path, path: &Path, facts: &mut BTreeMap<PathBuf, Fact>) {
    let meta = fs::symlink_metadata(path).unwrap();
    let mut hasher = DefaultHasher::new();
    if meta.is_file() {
        hasher.write(&fs::read(path).unwrap());
    } else if meta.is_symlink() {
        hasher.write(fs::read_link(path).unwrap().as_os_str().as_bytes());
    }
    let fact = Fact {
        mode: meta.mode(),
        owner: (meta.uid(), meta.gid()),
        mtime: (meta.mtime(), meta.mtime_nsec()),
        contents: hasher.finish(),
    };
    facts.insert(path.strip_prefix(root).unwrap().to_owned(), fact);
    if meta.is_dir() {
        fs::read_dir(path)
            .unwrap()
            .for_each(|entry| add(root, &entry.unwrap().path(), facts));
    }
}
