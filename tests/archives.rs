//! Recovery points as archives: what other programs read from them is what was backed up.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use crate::common;
use crate::common::machine::{Machine, restored};
use crate::common::program::{Running, run};
use crate::common::random::Random;
use crate::common::tree::{self, Size, assert_same, assert_same_but};
use crate::common::world::World;

/// A machine with one recovery point of everything odd that a tar archive can hold.
struct Archived {
    world: World,
    machine: Machine,
    source: PathBuf,
}

impl Archived {
    fn new() -> Self {
        let world = World::new();
        let source = world.folder("source");
        odd_things(&source);
        let machine = world.machine("archived");
        machine.back_up(&source);
        Self { world, machine, source }
    }

    /// Writes an archive to the standard output, which is a file.
    fn archive(&self, form: &str, name: &str, arguments: &[&str]) -> PathBuf {
        let file = self.world.path(name);
        let mut command = self
            .machine
            .command(&["restore", "latest", "--archive", form, "--quiet"]);
        command
            .args(arguments)
            .stdout(File::create(&file).unwrap())
            .stdin(Stdio::null());
        let output = command.stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(
            said.contains("\"entries\""),
            "the report is on the error output: {said}"
        );
        file
    }
}

fn odd_things(at: &Path) {
    let name = |bytes: &[u8]| at.join(std::ffi::OsStr::from_bytes(bytes));
    fs::write(at.join("empty"), "").unwrap();
    fs::write(at.join("text"), "words and words ".repeat(5000)).unwrap();
    fs::write(at.join("noise"), Random::new().bytes(3_000_001)).unwrap();
    fs::write(name(b"not utf-8 \xff\xfe"), "named by bytes").unwrap();
    fs::write(name("größe = 1\nline".as_bytes()), "named oddly").unwrap();
    let deep = at.join("d".repeat(200)).join("e".repeat(200));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("long"), "far down").unwrap();
    fs::hard_link(deep.join("long"), at.join("short")).unwrap();
    symlink("x".repeat(300), at.join("link")).unwrap();
    let sparse = File::create(at.join("sparse")).unwrap();
    sparse.write_all_at(&Random::new().bytes(100_000), 5 << 20).unwrap();
    sparse.write_all_at(b"more", 20 << 20).unwrap();
    sparse.set_len(64 << 20).unwrap();
    File::create(at.join("hole")).unwrap().set_len(1 << 20).unwrap();
    fs::create_dir(at.join("nothing in it")).unwrap();
    let odd = at.join("owned");
    fs::write(&odd, "by nobody known").unwrap();
    rustix::fs::chown(
        &odd,
        Some(rustix::fs::Uid::from_raw(3_000_000_000)),
        Some(rustix::fs::Gid::from_raw(2_100_000)),
    )
    .unwrap();
    fs::set_permissions(&odd, fs::Permissions::from_mode(0o4751)).unwrap();
    xattr::set(&odd, "user.bytes", &[0, 255, b'\n', b'=']).unwrap();
    let acl = Command::new("setfacl")
        .args(["-m", "u:12345:rw-"])
        .arg(at.join("text"))
        .status();
    assert!(acl.unwrap().success());
    let early = std::time::UNIX_EPOCH - std::time::Duration::from_secs(2);
    File::open(at.join("empty")).unwrap().set_modified(early).unwrap();
    for (name, kind, device) in [
        ("pipe", FileType::Fifo, 0),
        ("null", FileType::CharacterDevice, makedev(1, 3)),
        ("loop", FileType::BlockDevice, makedev(7, 200)),
    ] {
        mknodat(CWD, at.join(name), kind, Mode::from_raw_mode(0o640), device).unwrap();
    }
}

fn unpack(program: &str, arguments: &[&str], archive: &Path, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let mut command = Command::new(program);
    command.args(arguments).arg(archive).current_dir(folder);
    let ended = run(command);
    ended.with_status(0);
    assert_eq!(ended.stderr, "", "{ended}");
}

/// It finds times before 1970 implausible, and says that it passes over `hdrcharset`, which POSIX has for names that are
/// not UTF-8.
const GNU_TAR_IS_QUIET: [&str; 2] = ["--warning=no-timestamp", "--warning=no-unknown-keyword"];

#[test]
fn gnu_tar_reads_back_what_was_backed_up() {
    let archived = Archived::new();
    let tar = archived.archive("tar", "all.tar", &[]);
    let folder = archived.world.path("unpacked");
    let arguments = [
        "--extract",
        "--preserve-permissions",
        "--same-owner",
        "--numeric-owner",
        "--xattrs",
    ];
    let arguments = [&arguments[..], &GNU_TAR_IS_QUIET, &["--xattrs-include=*", "--file"]].concat();
    unpack("tar", &arguments, &tar, &folder);
    let there = restored(&folder, &archived.source);
    assert_same(&archived.source, &there);
    let blocks = |path: &Path| fs::metadata(path).unwrap().blocks();
    assert!(
        blocks(&there.join("sparse")) < 4096,
        "holes are holes: {}",
        blocks(&there.join("sparse"))
    );
    assert!(
        fs::metadata(&tar).unwrap().len() < 8 << 20,
        "holes are not in the archive"
    );
}

/// All but ACLs, which it takes from records of its own only.
#[test]
fn bsdtar_reads_back_what_was_backed_up() {
    let archived = Archived::new();
    let tar = archived.archive("tar", "all.tar", &[]);
    let folder = archived.world.path("unpacked");
    unpack(
        "bsdtar",
        &["-x", "-p", "--same-owner", "--numeric-owner", "-f"],
        &tar,
        &folder,
    );
    assert_same_but(&archived.source, &restored(&folder, &archived.source), &["text"]);
}

#[test]
fn python_reads_the_same_tar() {
    let archived = Archived::new();
    let tar = archived.archive("tar", "all.tar", &[]);
    let script = "import sys, tarfile\n\
        tar = tarfile.open(sys.argv[1])\n\
        for member in tar:\n    \
            path = '/' + member.name\n    \
            if member.isreg():\n        \
                assert tar.extractfile(member).read() == open(path, 'rb').read(), path\n\
        print(len(tar.getmembers()))\n";
    let mut command = Command::new("python3");
    command.args(["-X", "utf8", "-c", script]).arg(&tar);
    let ended = run(command);
    ended.with_status(0);
    assert!(ended.stdout.trim().parse::<u32>().unwrap() >= 18, "{ended}");
}

/// What unzip names otherwise, or what is not asked for.
const NO_UNZIP: [&str; 3] = ["größe*", "not utf-8*", "link"];

/// What a zip archive cannot hold.
const NO_ZIP: [&str; 3] = ["pipe", "null", "loop"];

#[test]
fn unzip_and_python_read_back_what_was_backed_up() {
    let archived = Archived::new();
    let excluded = NO_ZIP
        .iter()
        .chain(&["link"])
        .flat_map(|name| ["--exclude", *name])
        .collect::<Vec<_>>();
    let zip = archived.archive("zip", "all.zip", &excluded);
    let folder = archived.world.path("unpacked");
    unpack("unzip", &["-q", "-X", "-K"], &zip, &folder);
    let there = restored(&folder, &archived.source);
    let differ = Command::new("diff")
        .args(["-r", "--no-dereference"])
        .args(NO_ZIP.iter().chain(&NO_UNZIP).map(|name| format!("--exclude={name}")))
        .args([&archived.source, &there])
        .output()
        .unwrap();
    assert!(differ.status.success(), "{}", String::from_utf8_lossy(&differ.stdout));
    let mode = |path: PathBuf| fs::metadata(path).unwrap().mode();
    assert_eq!(mode(there.join("owned")), mode(archived.source.join("owned")));
    assert_eq!(
        fs::metadata(there.join("text")).unwrap().mtime(),
        fs::metadata(archived.source.join("text")).unwrap().mtime()
    );

    let mut command = Command::new("python3");
    command.args(["-m", "zipfile", "-t"]).arg(&zip);
    let ended = run(command);
    ended.with_status(0);
    assert!(!ended.stdout.contains("bad"), "{ended}");
}

#[test]
fn what_a_form_cannot_hold_is_told() {
    let archived = Archived::new();
    let file = archived.world.path("some.zip");
    let include = NO_ZIP
        .iter()
        .chain(&["text", "short"])
        .flat_map(|name| ["--include", *name]);
    let mut command = archived
        .machine
        .command(&["restore", "latest", "--archive", "zip", "--output"]);
    command.arg(&file).args(include);
    let ended = run(command);
    ended.with_status(3);
    let report = ended.value();
    let warnings = report["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 3, "{report}");
    assert!(
        warnings
            .iter()
            .all(|warning| warning["why"].as_str().unwrap().contains("cannot hold")),
        "{report}"
    );
    // The contents of a hard link whose first name is left out are there.
    let folder = archived.world.path("unpacked");
    unpack("unzip", &["-q"], &file, &folder);
    let short = restored(&folder, &archived.source).join("short");
    assert_eq!(fs::read_to_string(short).unwrap(), "far down");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);

    let mut again = archived
        .machine
        .command(&["restore", "latest", "--archive", "zip", "--output"]);
    again.arg(&file);
    run(again).refused(&["exists already", "name another file"]);
}

#[test]
fn more_entries_than_the_old_numbers_hold() {
    let world = World::new();
    let source = world.folder("source");
    for folder in 0..70 {
        fs::create_dir(source.join(folder.to_string())).unwrap();
        for file in 0..1000 {
            File::create(source.join(format!("{folder}/{file}"))).unwrap();
        }
    }
    let machine = world.machine("many");
    machine.back_up(&source);
    let file = world.path("many.zip");
    let mut command = machine.command(&["restore", "latest", "--archive", "zip", "--output"]);
    command.arg(&file);
    run(command).done();
    let script = "import sys, zipfile; print(len(zipfile.ZipFile(sys.argv[1]).namelist()))";
    let mut command = Command::new("python3");
    command.args(["-c", script]).arg(&file);
    let ended = run(command);
    let folders_above = source.components().count() as u64 - 1;
    assert_eq!(ended.stdout.trim(), (70 * 1001 + folders_above).to_string(), "{ended}");
    let folder = world.path("unpacked");
    unpack("unzip", &["-q"], &file, &folder);
    assert_eq!(tree::names_below(&restored(&folder, &source)).len(), 70_000);
}

#[test]
fn whoever_has_seen_enough_is_told_nothing() {
    let world = World::new();
    let source = world.folder("source");
    let size = Size {
        small: 0,
        large: 20,
        large_bytes: 1 << 20,
    };
    tree::make(&source, &mut Random::new(), &size);
    let machine = world.machine("piped");
    machine.back_up(&source);
    for form in ["tar", "zip"] {
        let mut command = machine.command(&["restore", "latest", "--archive", form]);
        let (reader, writer) = std::io::pipe().unwrap();
        command.stdout(writer).stderr(Stdio::piped()).stdin(Stdio::null());
        let child = command.spawn().unwrap();
        drop(command);
        drop(reader);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.as_str()), (Some(1), ""));
    }
}

#[test]
fn damaged_contents_are_zeros_and_told() {
    let world = World::new();
    let source = world.folder("source");
    let contents = Random::new().bytes(5 << 20);
    fs::write(source.join("damaged"), &contents).unwrap();
    fs::write(source.join("whole"), "small and somewhere else").unwrap();
    let machine = world.machine("unlucky");
    machine.back_up(&source);
    let pack = world
        .service
        .packs()
        .into_iter()
        .max_by_key(|pack| fs::metadata(pack).unwrap().len())
        .unwrap();
    let mut bytes = fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::set_permissions(&pack, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&pack, bytes).unwrap();
    let file = world.path("damaged.tar");
    let mut command = machine.command(&["restore", "latest", "--archive", "tar", "--output"]);
    command.arg(&file);
    let ended = run(command);
    ended.with_status(3);
    let report = ended.value();
    let told = report["warnings"].as_array().unwrap().iter();
    let mut told = told.filter(|warning| warning["path"].as_str().unwrap().ends_with("/damaged"));
    let why = told.next().expect("the file is named")["why"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(why.contains("zeros stand for what is lost"), "{why}");
    let folder = world.path("unpacked");
    unpack("tar", &["--extract", "--file"], &file, &folder);
    let there = restored(&folder, &source);
    assert_same_but(&source, &there, &["damaged"]);
    let damaged = fs::read(there.join("damaged")).unwrap();
    assert_eq!(damaged.len(), contents.len());
    let wrong = damaged.iter().zip(&contents).filter(|(is, was)| is != was);
    assert!(wrong.clone().count() > 0 && wrong.clone().all(|(is, _)| *is == 0));
}

#[test]
fn an_interrupted_archive_leaves_no_half_file() {
    let world = World::new();
    let source = world.folder("source");
    let size = Size {
        small: 0,
        large: 60,
        large_bytes: 2 << 20,
    };
    tree::make(&source, &mut Random::new(), &size);
    let machine = world.machine("interrupted");
    machine.back_up(&source);
    let file = world.path("half.tar");
    let mut command = machine.command(&["restore", "latest", "--archive", "tar", "--output"]);
    command.arg(&file);
    let running = Running::start(command);
    common::program::wait_for("some of the archive", || {
        fs::metadata(&file).is_ok_and(|meta| meta.len() > 1 << 20).then_some(())
    });
    running.signal(rustix::process::Signal::INT);
    let ended = running.wait();
    if !ended.is_done() {
        ended.with_status(1);
        assert!(!file.exists(), "{ended}");
        ended.said(&["interrupted; the archive is not whole"]);
    }
}
