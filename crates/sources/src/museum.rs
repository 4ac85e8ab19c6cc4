//! For tests: a folder with one of everything that a file system of Linux can hold, and an exact
//! comparison of two folders. Other crates' tests use it too; it is no part of the interface.

use crate::files::{Found, Kind, Rules, Selection, Walker, open, read_link, xattrs};
use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, CWD, FallocateFlags, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, XattrFlags, fallocate,
    linkat, lsetxattr, makedev, mkdirat, mknodat, openat, symlinkat, utimensat,
};
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};

/// Name of the folder in the museum whose paths are longer than the kernel takes at once. Tools that
/// work by path (rsync) must leave it out.
pub const DEEP: &str = "deep";

/// Builds the museum in a folder that exists and is empty. Returns what could not be made here, for
/// want of rights or because the file system has no such thing.
pub fn build(at: &Path) -> io::Result<Vec<&'static str>> {
    let mut missing = Vec::new();
    names(&hall(at, "names")?)?;
    sizes(&hall(at, "sizes")?)?;
    sparse(&hall(at, "sparse")?)?;
    links(&hall(at, "links")?, &mut missing)?;
    specials(&hall(at, "specials")?, &mut missing)?;
    attributes(&hall(at, "attributes")?, &mut missing)?;
    modes(&hall(at, "modes")?, &mut missing)?;
    times(&hall(at, "times")?)?;
    deep(&hall(at, DEEP)?, 20, 250)?;
    // What was made in the halls has changed their times.
    for (index, entry) in fs::read_dir(at)?.enumerate() {
        set_time(&entry?.path(), 1_000_000_000 + index as i64, 123_456_789)?;
    }
    Ok(missing)
}

/// A chain of folders that are opened one after the other, as no path can be that long, with a file
/// and a link at the bottom.
pub fn deep(at: &Path, levels: usize, name_length: usize) -> io::Result<()> {
    let mut directory = folder(CWD, at)?;
    for level in 0..levels {
        let letter = char::from(b'a' + (level % 26) as u8);
        let name = letter.to_string().repeat(name_length);
        mkdirat(&directory, &name, Mode::from_raw_mode(0o755))?;
        directory = folder(&directory, name)?;
    }
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat(&directory, "bottom", flags, Mode::from_raw_mode(0o644))?;
    File::from(file).write_all(b"a long way down")?;
    symlinkat("../bottom", &directory, "link")?;
    Ok(())
}

/// What differs between two folders: contents, kinds, modes, owners, times, extended attributes,
/// links, and which names are one inode. Empty if they are equal.
pub fn differences(one: &Path, other: &Path) -> io::Result<Vec<String>> {
    let (one, mut other) = (facts(one)?, facts(other)?);
    let mut differences = Vec::new();
    for (path, fact) in one {
        let shown = String::from_utf8_lossy(&path).into_owned();
        match other.remove(&path) {
            None => differences.push(format!("{shown}: only in the first")),
            Some(there) if there != fact => {
                differences.push(format!("{shown}:\n  {fact:?}\n  {there:?}"));
            }
            Some(_) => {}
        }
    }
    differences.extend(
        other
            .keys()
            .map(|p| format!("{}: only in the second", String::from_utf8_lossy(p))),
    );
    Ok(differences)
}

/// What a restored entry must have in common with its source.
#[derive(Debug, PartialEq, Eq)]
struct Fact {
    kind: Kind,
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, u32),
    size: u64,
    names: u32,
    first_name: Option<Vec<u8>>,
    attributes: Vec<(Vec<u8>, Vec<u8>)>,
    contents: u64,
}

fn facts(folder: &Path) -> io::Result<BTreeMap<Vec<u8>, Fact>> {
    let folder = folder.canonicalize()?;
    let root = folder.as_os_str().as_bytes().len();
    let selection = Selection::new(vec![folder], Rules::default()).map_err(io::Error::other)?;
    let (mut facts, mut first_names) = (BTreeMap::new(), HashMap::new());
    for found in Walker::new(selection).map_err(io::Error::other)? {
        let found = found.map_err(io::Error::other)?;
        if found.path.len() > root {
            let path = found.path[root..].to_vec();
            let fact = fact(&found, &path, &mut first_names).map_err(io::Error::other)?;
            facts.insert(path, fact);
        }
    }
    Ok(facts)
}

type FirstNames = HashMap<(u64, u64), Vec<u8>>;

fn fact(found: &Found, path: &[u8], first_names: &mut FirstNames) -> Result<Fact, crate::files::ReadError> {
    let meta = &found.meta;
    let several = meta.nlink > 1 && meta.kind != Kind::Directory;
    let first_name = several.then(|| {
        first_names
            .entry((meta.dev, meta.ino))
            .or_insert_with(|| path.to_vec())
            .clone()
    });
    let contents = match meta.kind {
        Kind::File => hash_of_file(found)?,
        Kind::Symlink => hash(0, &read_link(found)?),
        _ => 0,
    };
    Ok(Fact {
        kind: meta.kind,
        mode: meta.mode,
        owner: (meta.uid, meta.gid),
        mtime: meta.mtime,
        size: if meta.kind == Kind::Directory { 0 } else { meta.size },
        names: if several { meta.nlink } else { 1 },
        first_name,
        attributes: xattrs(found)?,
        contents,
    })
}

fn hash_of_file(found: &Found) -> Result<u64, crate::files::ReadError> {
    let mut file = open(found)?;
    let (mut value, mut buffer) = (0, vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(value),
            length => value = hash(value, &buffer[..length]),
        }
    }
}

/// FNV-1a; enough to notice differences that nobody made on purpose.
fn hash(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn hall(at: &Path, name: &str) -> io::Result<PathBuf> {
    let path = at.join(name);
    fs::create_dir(&path)?;
    Ok(path)
}

fn folder(at: impl rustix::fd::AsFd, path: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, path, flags, Mode::empty())
}

fn set_time(path: &Path, seconds: i64, nanoseconds: i64) -> io::Result<()> {
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: seconds,
            tv_nsec: nanoseconds,
        },
    };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

fn names(at: &Path) -> io::Result<()> {
    let longest = "n".repeat(255);
    let odd: [&[u8]; 17] = [
        b"not\xff\xfeUTF-8",
        b"two\nlines",
        b"tab\there",
        b"bell\x07",
        b"\xc3\xa4 composed",
        b"a\xcc\x88 combined",
        b"Case",
        b"case",
        b"CASE",
        b" blanks ",
        b"-rf",
        b"*",
        b"back\\slash",
        b"'quotes\"",
        b"...",
        b"\x01first",
        longest.as_bytes(),
    ];
    for (index, name) in odd.iter().enumerate() {
        fs::write(at.join(OsStr::from_bytes(name)), format!("file {index}"))?;
    }
    // In path order "order/a/x" comes before "order/a.b", though '.' is less than '/'.
    for path in ["order/a", "order/a.b", "order/a-b", "order/a b"] {
        fs::create_dir_all(at.join(path))?;
        fs::write(at.join(path).join("x"), path)?;
    }
    fs::create_dir(at.join("empty folder"))?;
    fs::create_dir(at.join(OsStr::from_bytes(b"folder \xff\n")))?;
    fs::write(at.join(OsStr::from_bytes(b"folder \xff\n/inside")), b"x")
}

fn sizes(at: &Path) -> io::Result<()> {
    for size in [
        0,
        1,
        511,
        512,
        4095,
        4096,
        4097,
        65_536,
        (256 << 10) - 1,
        256 << 10,
        3_000_000,
    ] {
        fs::write(at.join(format!("{size}")), noise(size))?;
    }
    Ok(())
}

/// Bytes that do not repeat soon (a linear congruential generator).
pub fn noise(size: usize) -> Vec<u8> {
    let mut state = size as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let step = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..size).map(step).collect()
}

fn sparse(at: &Path) -> io::Result<()> {
    const MIB: u64 = 1 << 20;
    // Name, size, and where there are 64 KiB of data.
    let files: [(&str, u64, &[u64]); 5] = [
        ("hole in front", 8 * MIB, &[8 * MIB - 65_536]),
        ("hole in the middle", 8 * MIB, &[0, 8 * MIB - 65_536]),
        ("hole at the end", 8 * MIB, &[0]),
        ("nothing but a hole", 64 * MIB, &[]),
        ("many holes", 32 * MIB, &[MIB, 3 * MIB, 10 * MIB, 31 * MIB]),
    ];
    for (name, size, data) in files {
        let file = File::create(at.join(name))?;
        file.set_len(size)?;
        for offset in data {
            file.write_all_at(&noise(65_536), *offset)?;
        }
    }
    let file = File::create(at.join("zeros that take space"))?;
    file.write_all_at(&noise(100_000), 0)?;
    fallocate(&file, FallocateFlags::empty(), 0, 2 << 20)?;
    fs::write(at.join("zeros that were written"), vec![0; 1 << 20])
}

fn links(at: &Path, missing: &mut Vec<&'static str>) -> io::Result<()> {
    fs::create_dir_all(at.join("a/b"))?;
    fs::create_dir(at.join("c"))?;
    fs::write(at.join("a/b/first"), b"one inode, four names")?;
    for name in ["second", "c/third", "a/fourth"] {
        fs::hard_link(at.join("a/b/first"), at.join(name))?;
    }
    // As far as xfs can lead: XFS_SYMLINK_MAXLEN.
    let far = "x/".repeat(511);
    let targets = [
        ("to nowhere", "no/such/thing"),
        ("to itself", "to itself"),
        ("absolute", "/etc/hostname"),
        ("to a folder", "a/b"),
        ("upwards", "../../../../../.."),
        ("far", far.as_str()),
    ];
    for (index, (name, target)) in targets.iter().enumerate() {
        symlink(target, at.join(name))?;
        set_time(&at.join(name), 1_100_000_000 + index as i64, 5)?;
    }
    symlink(OsStr::from_bytes(b"not\xffUTF-8\n"), at.join("to odd bytes"))?;
    match symlink("x/".repeat(2000), at.join("farther")) {
        Err(error) if error.kind() == io::ErrorKind::InvalidFilename => missing.push("long link"),
        made => made?,
    }
    // A second name of a link itself.
    linkat(
        CWD,
        at.join("to nowhere"),
        CWD,
        at.join("c/to nowhere too"),
        AtFlags::empty(),
    )?;
    Ok(())
}

fn specials(at: &Path, missing: &mut Vec<&'static str>) -> io::Result<()> {
    let mode = Mode::from_raw_mode(0o640);
    mknodat(CWD, at.join("pipe"), FileType::Fifo, mode, 0)?;
    fs::hard_link(at.join("pipe"), at.join("pipe again"))?;
    mknodat(CWD, at.join("socket"), FileType::Socket, mode, 0)?;
    set_time(&at.join("pipe"), 1_200_000_000, 999_999_999)?;
    let devices = [
        ("null", FileType::CharacterDevice, makedev(1, 3)),
        ("high", FileType::CharacterDevice, makedev(511, 1_048_575)),
        ("loop", FileType::BlockDevice, makedev(7, 200)),
    ];
    for (name, file_type, device) in devices {
        if mknodat(CWD, at.join(name), file_type, mode, device).is_err() {
            missing.push("device");
            continue;
        }
        set_mode(&at.join(name), 0o6_606)?;
    }
    Ok(())
}

fn attributes(at: &Path, missing: &mut Vec<&'static str>) -> io::Result<()> {
    let mut set = |path: &Path, what: &'static str, name: &str, value: &[u8]| {
        if lsetxattr(path, name, value, XattrFlags::empty()).is_err() {
            missing.push(what);
        }
    };
    for name in ["user", "trusted", "acl", "capable", "read-only"] {
        fs::write(at.join(name), name)?;
    }
    for folder in ["folder", "default"] {
        fs::create_dir(at.join(folder))?;
    }
    symlink("user", at.join("link"))?;
    set(&at.join("user"), "user attribute", "user.text", b"value");
    set(&at.join("user"), "user attribute", "user.empty", b"");
    set(
        &at.join("user"),
        "user attribute",
        "user.binary\u{1}\u{ff}",
        &noise(300),
    );
    set(&at.join("user"), "user attribute", "user.large", &noise(2500));
    set(&at.join("folder"), "user attribute", "user.text", b"of a folder");
    set(
        &at.join("trusted"),
        "trusted attribute",
        "trusted.text",
        b"for root alone",
    );
    set(&at.join("link"), "trusted attribute", "trusted.link", b"of a link");
    set(&at.join("link"), "security attribute", "security.museum", b"label");
    set(&at.join("capable"), "capability", "security.capability", &CAPABILITY);
    set(&at.join("acl"), "ACL", "system.posix_acl_access", &acl());
    set(&at.join("default"), "ACL", "system.posix_acl_default", &acl());
    set(&at.join("read-only"), "user attribute", "user.text", b"x");
    set_mode(&at.join("capable"), 0o755)?;
    set_mode(&at.join("read-only"), 0o444)?;
    // These get an ACL from their folder, and then one loses it.
    fs::create_dir(at.join("default/inherits"))?;
    fs::write(at.join("default/inherits too"), b"x")?;
    fs::write(at.join("default/does not"), b"x")?;
    let _ = rustix::fs::lremovexattr(at.join("default/does not"), "system.posix_acl_access");
    Ok(())
}

/// `cap_net_raw=ep`, as in linux/capability.h: revision 2 and "effective", then two words each of
/// permitted and inheritable.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// An ACL as in linux/posix_acl_xattr.h: version 2, then entries of tag, permissions and number.
fn acl() -> Vec<u8> {
    const NOBODY_IN_PARTICULAR: u32 = u32::MAX;
    let entries: [(u16, u16, u32); 6] = [
        (0x01, 7, NOBODY_IN_PARTICULAR), // owner
        (0x02, 6, 4242),                 // a user
        (0x04, 5, NOBODY_IN_PARTICULAR), // owning group
        (0x08, 4, 4343),                 // a group
        (0x10, 7, NOBODY_IN_PARTICULAR), // mask
        (0x20, 0, NOBODY_IN_PARTICULAR), // others
    ];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, number) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(number.to_le_bytes());
    }
    bytes
}

fn modes(at: &Path, missing: &mut Vec<&'static str>) -> io::Result<()> {
    let modes = [
        0o000, 0o200, 0o400, 0o444, 0o600, 0o644, 0o666, 0o755, 0o777, 0o4755, 0o2755, 0o6711, 0o1644,
    ];
    let is_root = rustix::process::geteuid().is_root();
    for mode in modes.into_iter().filter(|mode| is_root || mode & 0o400 != 0) {
        let path = at.join(format!("file {mode:o}"));
        fs::write(&path, b"x")?;
        set_mode(&path, mode)?;
    }
    for mode in [0o500, 0o555, 0o700, 0o755, 0o1777, 0o2775, 0o3770] {
        let path = at.join(format!("folder {mode:o}"));
        fs::create_dir(&path)?;
        fs::write(path.join("inside"), b"x")?;
        fs::create_dir(path.join("folder"))?;
        set_mode(&path, mode)?;
    }
    let given = at.join("given away");
    fs::write(&given, b"x")?;
    symlink("x", at.join("link given away"))?;
    if chown(&given, Some(4242), Some(4343)).is_err() {
        missing.push("other owner");
        return Ok(());
    }
    set_mode(&given, 0o6755)?;
    lchown(at.join("link given away"), Some(4242), Some(4343))?;
    fs::create_dir(at.join("unreadable"))?;
    fs::write(at.join("unreadable/inside"), b"x")?;
    chown(at.join("unreadable"), Some(4242), Some(4343))?;
    set_mode(&at.join("unreadable"), 0o2000)
}

fn times(at: &Path) -> io::Result<()> {
    let times = [
        ("before 1970", -1_000_000_000, 0),
        ("just before 1970", -1, 999_999_999),
        ("1970", 0, 0),
        ("one nanosecond", 1_500_000_000, 1),
        ("in 2038", 2_147_483_648, 500_000_000),
        ("in 2400", 13_569_465_600, 7),
    ];
    for (name, seconds, nanoseconds) in times {
        fs::write(at.join(name), name)?;
        let folder = at.join(format!("folder {name}"));
        fs::create_dir(&folder)?;
        fs::write(folder.join("inside"), b"x")?;
        symlink("x", folder.join("link"))?;
        set_time(&folder.join("link"), seconds, nanoseconds)?;
        set_time(&folder, seconds, nanoseconds)?;
        set_time(&at.join(name), seconds, nanoseconds)?;
    }
    Ok(())
}
