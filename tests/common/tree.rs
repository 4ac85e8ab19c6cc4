//! Trees of files: made at random, changed at random, compared by rsync.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::program::wait_for;
use super::random::Random;
use super::service::files_below;

/// How large a tree is to be.
pub struct Size {
    /// Files of up to 8 KiB.
    pub small: u64,
    /// Files of `large_bytes` each that do not compress.
    pub large: u64,
    pub large_bytes: usize,
}

/// Makes a tree in a new folder.
pub fn make(at: &Path, random: &mut Random, size: &Size) {
    for number in 0..size.small {
        let length = random.below(8 << 10) as usize;
        write(
            &at.join(format!("folder-{}/small-{number}", number % 7)),
            &contents(random, length),
        );
    }
    for number in 0..size.large {
        write(&at.join(format!("large-{number}")), &random.bytes(size.large_bytes));
    }
}

/// Waits until nothing that was written so far is so new that a backup would read it once more the next time, because it
/// may change again without a later ctime.
pub fn let_age() {
    const RECENT_NS: i128 = 150_000_000;
    let clock = tempfile::NamedTempFile::new().unwrap();
    let tick = || {
        fs::write(clock.path(), "tick").unwrap();
        let facts = fs::metadata(clock.path()).unwrap();
        i128::from(facts.ctime()) * 1_000_000_000 + i128::from(facts.ctime_nsec())
    };
    let begun = tick();
    wait_for("the files to age", || (tick() > begun + RECENT_NS).then_some(()));
}

/// Changes some of it: contents, lengths, names, modes; removes and adds.
pub fn edit(at: &Path, random: &mut Random) {
    for _ in 0..1 + random.below(5) {
        let mut files = files_below(at);
        files.sort();
        let file = files[random.below(files.len() as u64) as usize].clone();
        let length = random.below(100 << 10) as usize;
        match random.below(6) {
            0 => write(&file, &contents(random, length)),
            1 => append(&file, &random.bytes(length)),
            2 if files.len() > 20 => fs::remove_file(&file).unwrap(),
            3 => fs::rename(&file, at.join(format!("moved-{}", random.text(8)))).unwrap(),
            4 => overwrite_middle(&file, random),
            _ => write(&at.join(format!("new/{}", random.text(8))), &random.bytes(length)),
        }
    }
}

fn contents(random: &mut Random, length: usize) -> Vec<u8> {
    match random.below(2) {
        0 => random.bytes(length),
        _ => format!("{} all work and no play\n", random.text(12))
            .repeat(length / 34 + 1)
            .into_bytes(),
    }
}

fn write(file: &Path, bytes: &[u8]) {
    fs::create_dir_all(file.parent().expect("it is in a folder")).unwrap();
    fs::write(file, bytes).unwrap();
}

fn append(file: &Path, bytes: &[u8]) {
    let mut all = fs::read(file).unwrap();
    all.extend(bytes);
    fs::write(file, all).unwrap();
}

fn overwrite_middle(file: &Path, random: &mut Random) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    let end = bytes.len().min(middle + 100);
    let new = random.bytes(end - middle);
    bytes[middle..end].copy_from_slice(&new);
    fs::write(file, bytes).unwrap();
}

/// A copy with everything that rsync can copy.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let copied = rsync(&["-aHAXS"], from, to);
    assert_eq!(copied, "", "rsync could not copy {}", from.display());
}

/// Both folders hold the same: contents, names, owners, modes, times, links, attributes and ACLs.
#[track_caller]
pub fn assert_same(one: &Path, other: &Path) {
    assert_same_but(one, other, &[]);
}

/// As [`assert_same`], without looking at what these patterns of rsync leave out.
#[track_caller]
pub fn assert_same_but(one: &Path, other: &Path, excluded: &[&str]) {
    let mut options = vec!["-aHAXn", "--checksum", "--delete", "--itemize-changes"];
    for pattern in excluded {
        options.extend(["--exclude", *pattern]);
    }
    let differences = rsync(&options, one, other);
    assert_eq!(differences, "", "{} and {} differ", one.display(), other.display());
}

/// What rsync prints when it would make `to` like `from`.
fn rsync(options: &[&str], from: &Path, to: &Path) -> String {
    let (mut from, mut to) = (from.as_os_str().to_owned(), to.as_os_str().to_owned());
    from.push("/");
    to.push("/");
    let output = Command::new("rsync").args(options).args([from, to]).output().unwrap();
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Bytes that all files of a folder take on disk.
pub fn bytes_below(folder: &Path) -> u64 {
    files_below(folder)
        .iter()
        .map(|file| fs::symlink_metadata(file).unwrap().len())
        .sum()
}

/// All files of a folder, by path below it.
pub fn names_below(folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> = files_below(folder)
        .iter()
        .map(|file| file.strip_prefix(folder).unwrap().to_owned())
        .collect();
    names.sort();
    names
}
