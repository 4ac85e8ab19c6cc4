//! Trees of files to put onto disks, tools to make these, and what was read as a table to compare.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use strongroom_volumes::{Disk, FileDisk, FileSystem, Kind, Volume, volumes};

/// Runs a program, which has to succeed, and gives back what it printed.
pub fn run(program: &str, arguments: &[&dyn AsRef<OsStr>]) -> String {
    let output = Command::new(program)
        .args(arguments.iter().map(|one| one.as_ref()))
        .env("MTOOLS_SKIP_CHECK", "1")
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{program}: {printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    printed
}

pub fn run_shell(script: &str) -> String {
    run("bash", &[&"-euc", &script])
}

pub fn image(folder: &Path, name: &str, size: u64) -> PathBuf {
    let path = folder.join(name);
    // A new file each time: a loop device may still hold the last one of this name.
    let _ = fs::remove_file(&path);
    fs::File::create(&path).unwrap().set_len(size).unwrap();
    path
}

pub fn disk(path: &Path) -> Arc<dyn Disk> {
    Arc::new(FileDisk::new(fs::File::open(path).unwrap()).unwrap())
}

pub fn only_volume(path: &Path) -> Volume {
    let mut found = volumes(&disk(path)).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// Bytes that look like nothing, the same for the same seed.
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..length.div_ceil(8))
            .flat_map(|_| self.next().to_le_bytes())
            .collect();
        bytes.truncate(length);
        bytes
    }
}

/// What a tree can have on the file system that it is for.
#[derive(Clone, Copy, PartialEq)]
pub enum Odd {
    /// Links, names that are not UTF-8, holes.
    Unix,
    /// Names as Windows has them, and no links.
    Windows,
}

/// Files of many sizes, deep folders, long names, and a folder with so many names.
pub fn plant(root: &Path, odd: Odd, names: usize) {
    let mut noise = Noise(0x5eed);
    for size in [
        0, 1, 59, 60, 61, 150, 511, 512, 513, 1023, 1024, 4095, 4096, 4097, 65535, 65536, 65537, 300_000, 3_000_000,
    ] {
        fs::write(root.join(format!("file of {size} bytes")), noise.bytes(size)).unwrap();
    }
    let mut deep = root.to_owned();
    for level in 0..40 {
        deep.push(format!("level {level}"));
    }
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("at the bottom"), "down here").unwrap();
    let many = root.join("many");
    fs::create_dir(&many).unwrap();
    for number in 0..names {
        fs::write(many.join(format!("one of ten thousand, number {number}")), "").unwrap();
    }
    fs::write(root.join("ä€😀 name"), "letters").unwrap();
    fs::write(root.join("x".repeat(if odd == Odd::Unix { 255 } else { 240 })), "long").unwrap();
    fs::create_dir(root.join("empty")).unwrap();
    if odd == Odd::Unix {
        plant_odd(root);
    }
}

fn plant_odd(root: &Path) {
    fs::write(root.join(OsStr::from_bytes(b"not \xff\xfe UTF-8")), "bytes").unwrap();
    for (name, target) in [
        ("passwords", "../../etc/shadow"),
        ("round", "round"),
        ("up", ".."),
        ("root", "/"),
    ] {
        std::os::unix::fs::symlink(target, root.join(name)).unwrap();
    }
    std::os::unix::fs::symlink("long/".repeat(100), root.join("a long way")).unwrap();
    let mut sparse = fs::File::create(root.join("sparse")).unwrap();
    for place in [0u64, 5 << 20, 70 << 20] {
        sparse.seek(SeekFrom::Start(place + 77)).unwrap();
        sparse.write_all(b"an island").unwrap();
    }
    sparse.set_len(100 << 20).unwrap();
}

/// What is known of one path: everything that has to be the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    pub kind: Kind,
    pub size: u64,
    pub sum: String,
    pub target: Option<Vec<u8>>,
    pub modified: i64,
    pub mode: Option<u32>,
}

pub type Table = BTreeMap<Vec<u8>, Known>;

/// The tree as the kernel shows it.
pub fn expected(root: &Path) -> Table {
    let mut table = Table::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let mut known = Known {
            kind: Kind::Special,
            size: 0,
            sum: String::new(),
            target: None,
            modified: meta.mtime(),
            mode: Some(meta.mode() & 0o7777),
        };
        if meta.is_dir() {
            known.kind = Kind::Folder;
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if meta.is_symlink() {
            known.kind = Kind::Link;
            known.target = Some(fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec());
        } else if meta.is_file() {
            known.kind = Kind::File;
            known.size = meta.len();
            known.sum = data_encoding(&Sha256::digest(fs::read(&path).unwrap()));
        }
        table.insert(path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec(), known);
    }
    table
}

fn data_encoding(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The tree as it is read out of a disk, by walking it. Every file is read in pieces of an odd length.
pub fn found(file_system: &FileSystem) -> Table {
    let mut table = Table::new();
    for entry in file_system.walk(b"").unwrap() {
        let entry = entry.unwrap_or_else(|(path, error)| panic!("{}: {error}", String::from_utf8_lossy(&path)));
        let facts = entry
            .entry
            .facts
            .clone()
            .unwrap_or_else(|why| panic!("{}: {why}", String::from_utf8_lossy(&entry.path)));
        let mut sum = String::new();
        if facts.kind == Kind::File {
            let file = entry.open().unwrap();
            let (mut hash, mut offset) = (Sha256::new(), 0);
            let mut buffer = vec![0; 99_991];
            loop {
                let length = file
                    .read_at(offset, &mut buffer)
                    .unwrap_or_else(|error| panic!("{:?}: {error}", entry.entry));
                if length == 0 {
                    break;
                }
                hash.update(&buffer[..length]);
                offset += length as u64;
            }
            sum = data_encoding(&hash.finalize());
        }
        let known = Known {
            kind: facts.kind,
            size: facts.size,
            sum,
            target: entry.entry.target,
            modified: facts.modified.map_or(0, |moment| moment.seconds),
            mode: facts.mode,
        };
        assert!(table.insert(entry.path, known).is_none());
    }
    table
}

pub fn assert_same(mut expected: Table, mut found: Table, what: &str) {
    for table in [&mut expected, &mut found] {
        table.remove(b"lost+found".as_slice());
        table.remove(b"".as_slice());
    }
    for (path, known) in &expected {
        let path_shown = String::from_utf8_lossy(path);
        assert_eq!(found.get(path), Some(known), "{what}: {path_shown}");
    }
    let more: Vec<_> = found
        .keys()
        .filter(|path| !expected.contains_key(*path))
        .map(|path| String::from_utf8_lossy(path))
        .collect();
    assert!(more.is_empty(), "{what}: {more:?}");
}
