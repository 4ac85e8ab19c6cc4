//! Compares two folders: kinds, contents, sizes, modes, owners, times, links and extended attributes.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use strongroom_format::point::Issue;

/// More differences than this are counted, not listed.
const LISTED_MAX: usize = 1000;

/// What a comparison found.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// Where the two differ: the path in the left one, and how.
    pub(crate) differences: Vec<Issue>,
    /// How many more differences there were.
    pub(crate) omitted: u64,
}

/// Compares everything at and below two paths.
pub(crate) fn compare(left: &Path, right: &Path) -> Comparison {
    let mut comparison = Comparison::default();
    let mut queue = VecDeque::from([(left.to_owned(), right.to_owned())]);
    while let Some((left, right)) = queue.pop_back() {
        match compare_one(&left, &right) {
            Err(error) => comparison.add(&left, format!("it cannot be compared: {error}")),
            Ok(Some(difference)) => comparison.add(&left, difference),
            Ok(None) => match children(&left, &right) {
                Ok(Children::None) => {}
                Ok(Children::Both(names)) => {
                    queue.extend(names.into_iter().map(|name| (left.join(&name), right.join(&name))));
                }
                Ok(Children::Different) => comparison.add(&left, "other names lie in the restored folder".to_owned()),
                Err(error) => comparison.add(&left, format!("it cannot be compared: {error}")),
            },
        }
    }
    comparison
}

impl Comparison {
    fn add(&mut self, path: &Path, why: String) {
        if self.differences.len() < LISTED_MAX {
            let bytes = path.as_os_str().as_bytes();
            self.differences.push(Issue {
                path: bytes.strip_prefix(b"/").unwrap_or(bytes).to_vec(),
                why,
            });
        } else {
            self.omitted += 1;
        }
    }
}

enum Children {
    None,
    Both(Vec<OsString>),
    Different,
}

fn children(left: &Path, right: &Path) -> io::Result<Children> {
    if !fs::symlink_metadata(left)?.is_dir() {
        return Ok(Children::None);
    }
    let names = |folder: &Path| -> io::Result<Vec<OsString>> {
        let mut names = fs::read_dir(folder)?
            .map(|entry| Ok(entry?.file_name()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    };
    let (left, right) = (names(left)?, names(right)?);
    Ok(if left == right {
        Children::Both(left)
    } else {
        Children::Different
    })
}

fn compare_one(left: &Path, right: &Path) -> io::Result<Option<String>> {
    let (a, b) = (fs::symlink_metadata(left)?, fs::symlink_metadata(right)?);
    if let Some((what, a, b)) = different_fact(&a, &b) {
        return Ok(Some(format!("its {what} is {b} in the restored folder instead of {a}")));
    }
    if a.is_symlink() && fs::read_link(left)? != fs::read_link(right)? {
        return Ok(Some("the restored link leads elsewhere".to_owned()));
    }
    if attributes(left)? != attributes(right)? {
        return Ok(Some("its extended attributes differ".to_owned()));
    }
    if a.is_file() && !same_contents(left, right)? {
        return Ok(Some("its contents differ".to_owned()));
    }
    Ok(None)
}

fn different_fact(a: &Metadata, b: &Metadata) -> Option<(&'static str, String, String)> {
    let size = |meta: &Metadata| if meta.is_file() { meta.len() } else { 0 };
    let facts = [
        ("kind or mode", format!("{:o}", a.mode()), format!("{:o}", b.mode())),
        ("owner", a.uid().to_string(), b.uid().to_string()),
        ("group", a.gid().to_string(), b.gid().to_string()),
        ("size", size(a).to_string(), size(b).to_string()),
        (
            "time",
            format!("{}.{:09}", a.mtime(), a.mtime_nsec()),
            format!("{}.{:09}", b.mtime(), b.mtime_nsec()),
        ),
        ("device", a.rdev().to_string(), b.rdev().to_string()),
    ];
    facts.into_iter().find(|(_, a, b)| a != b)
}

fn attributes(path: &Path) -> io::Result<Vec<(OsString, Option<Vec<u8>>)>> {
    let mut attributes: Vec<_> = xattr::list(path)?
        .map(|name| Ok((name.clone(), xattr::get(path, &name)?)))
        .collect::<io::Result<_>>()?;
    attributes.sort();
    Ok(attributes)
}

fn same_contents(left: &Path, right: &Path) -> io::Result<bool> {
    let (mut left, mut right) = (File::open(left)?, File::open(right)?);
    let (mut a, mut b) = (vec![0; 1 << 18], vec![0; 1 << 18]);
    loop {
        let (read_a, read_b) = (fill(&mut left, &mut a)?, fill(&mut right, &mut b)?);
        if a[..read_a] != b[..read_b] {
            return Ok(false);
        }
        if read_a < a.len() {
            return Ok(true);
        }
    }
}

fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl Fn(&Path), expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        let (left, right) = (folder.path().join("left"), folder.path().join("right"));
        for side in [&left, &right] {
            fs::create_dir(side).unwrap();
            fs::write(side.join("file"), "contents").unwrap();
            File::open(side.join("file"))
                .unwrap()
                .set_modified(std::time::UNIX_EPOCH)
                .unwrap();
        }
        change(&right);
        File::open(&left).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        File::open(&right).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        let found: Vec<String> = compare(&left, &right)
            .differences
            .into_iter()
            .map(|issue| issue.why)
            .collect();
        assert!(found.iter().all(|why| why.contains(expected)), "{found:?}");
        assert_eq!(found.is_empty(), expected.is_empty());
    }

    #[test]
    fn differences_are_found() {
        let rewrite = |text: &'static str| {
            move |side: &Path| {
                fs::write(side.join("file"), text).unwrap();
                File::open(side.join("file"))
                    .unwrap()
                    .set_modified(std::time::UNIX_EPOCH)
                    .unwrap();
            }
        };
        check(|_| {}, "");
        check(rewrite("CONTENTS"), "contents differ");
        check(rewrite("more contents"), "its size is 13");
        check(|side| fs::write(side.join("file"), "contents").unwrap(), "its time is");
        check(|side| fs::write(side.join("more"), "").unwrap(), "other names");
    }
}
