//! What the disk store asks of the system, in which order, and what it does when any of it fails or kills
//! it: watched and meddled with by `strace`, on the real program `examples/put_once.rs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use strongroom_store::{Disk, Key, Store};
use tempfile::TempDir;

const KEYS: [&str; 3] = ["packs/aa/1", "packs/aa/2", "keys/3"];
const SIZE_BYTES: usize = 5_000;
const TRACED: &str = "mkdir,openat,write,fsync,rename,renameat,renameat2,unlink";

fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.parent().and_then(Path::parent).unwrap();
    let example = target.join("examples/put_once");
    assert!(
        example.exists(),
        "{} is missing: run `cargo build --examples`",
        example.display()
    );
    example
}

/// The program run under strace with `options`.
fn put_once(root: &Path, options: &[&str], size_bytes: usize, keys: &[&str]) -> (Output, String) {
    let log = TempDir::new().unwrap();
    let file = log.path().join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-o"]).arg(&file).args(options).arg(example());
    command.arg(root).arg(size_bytes.to_string()).args(keys);
    let output = command
        .output()
        .expect("strace must be installed: this test is nothing without it");
    let trace = fs::read_to_string(&file).unwrap_or_default();
    let is_traced = trace.contains("+++");
    assert!(
        is_traced,
        "strace could not trace: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    (output, trace)
}

fn trace_option() -> String {
    format!("trace={TRACED}")
}

/// The calls that concern the store, as `name what`, in order.
fn calls(trace: &str, root: &Path) -> Vec<String> {
    let root = format!("{}", root.display());
    let after_pid = trace
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(_, call)| call.trim());
    let ours = after_pid.filter(|call| call.contains(&root));
    ours.filter_map(|call| describe(call, &root)).collect()
}

fn describe(call: &str, root: &str) -> Option<String> {
    let name = call.split('(').next()?;
    // What is left of each path of ours, in the order of the arguments.
    let ends = |c: char| "\">".contains(c);
    let paths = call
        .split(root)
        .skip(1)
        .map(|rest| rest.split(ends).next().unwrap_or(""));
    let paths = paths.map(|path| if path.starts_with("/tmp/") { "TEMP" } else { path });
    let mut paths: Vec<&str> = paths.collect();
    match name {
        "openat" if !call.contains("O_CREAT") => return None,
        // strace shows the path of the descriptor that is returned, too.
        "openat" => paths.truncate(1),
        _ => {}
    }
    Some(format!("{name} {}", paths.join(" ")))
}

#[test]
fn a_put_syncs_the_file_before_its_name_and_the_folders_after() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("store");
    let keys = ["packs/aa/1", "packs/aa/2"];
    let (output, trace) = put_once(&root, &["-e", &trace_option()], 16 << 20, &keys);
    assert!(output.status.success(), "{output:?}");
    let seen = calls(&trace, &root);
    let first_put = seen.iter().rposition(|call| call == "mkdir /packs").unwrap() - 3;
    let expected = [
        "openat TEMP",
        "write TEMP",
        "fsync TEMP",
        "mkdir /packs",
        "fsync ",
        "mkdir /packs/aa",
        "fsync /packs",
        "rename TEMP /packs/aa/1",
        "fsync /packs/aa",
        // Once the folders are known to be durable, this is all there is to a put.
        "openat TEMP",
        "write TEMP",
        "fsync TEMP",
        "rename TEMP /packs/aa/2",
        "fsync /packs/aa",
    ];
    assert_eq!(seen[first_put..], expected, "{trace}");
    assert!(seen[0].starts_with("mkdir "), "{trace}");
    let parent = format!("{}>", folder.path().display());
    let syncs_parent = |line: &str| line.contains("fsync(") && line.contains(&parent);
    assert!(
        trace.lines().any(syncs_parent),
        "the root is synced into its parent: {trace}"
    );
}

/// The objects that the program said it stored are there; the others are there whole or not at all; nothing
/// is left over.
fn check(root: &Path, output: &Output, context: &str) {
    let said = String::from_utf8_lossy(&output.stdout);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let disk = Disk::open(root).unwrap();
    for name in KEYS {
        let found = runtime.block_on(disk.get(&Key::new(name).unwrap()));
        let is_promised = said.contains(&format!("stored {name}"));
        match found {
            Ok(bytes) => assert_eq!(bytes, vec![b'x'; SIZE_BYTES], "{context}: {name} is torn"),
            Err(error) => assert!(!is_promised, "{context}: {error}, but {said}"),
        }
    }
    assert_eq!(leftovers(root), Vec::<PathBuf>::new(), "{context}");
}

fn leftovers(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root.join("tmp")) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| !path.ends_with(".lock")).collect()
}

/// Runs the program once for every call of this name it makes, with `what` done to the n-th; `judge` sees
/// each run.
fn at_every(call: &str, what: &str, judge: impl Fn(&Path, &Output, &str)) -> u32 {
    for n in 1.. {
        let folder = TempDir::new().unwrap();
        let root = folder.path().join("store");
        let inject = format!("inject={call}:{what}:when={n}");
        let (output, trace) = put_once(&root, &["-e", &trace_option(), "-e", &inject], SIZE_BYTES, &KEYS);
        let has_come = trace.contains("(INJECTED)") || trace.contains("+++ killed by SIGKILL");
        if !has_come {
            assert!(output.status.success(), "{inject}: {output:?}");
            return n - 1;
        }
        judge(&root, &output, &inject);
    }
    unreachable!("the program makes finitely many calls")
}

#[test]
fn killed_at_any_call_it_keeps_what_it_said() {
    // Opening files for reading included: the loader's and the folders'.
    for call in ["mkdir", "openat", "write", "fsync", "rename"] {
        let kills = at_every(call, "signal=KILL", |root, output, inject| {
            if root.exists() {
                check(root, output, inject);
            }
        });
        assert!(kills >= 3, "{call}: only {kills} kills");
    }
}

#[test]
fn a_full_disk_at_any_call_is_said_and_leaves_nothing() {
    for (call, errno) in [
        ("write", "ENOSPC"),
        ("write", "EDQUOT"),
        ("fsync", "ENOSPC"),
        ("rename", "ENOSPC"),
    ] {
        let runs = at_every(call, &format!("error={errno}"), |root, output, inject| {
            let said = String::from_utf8_lossy(&output.stdout);
            // The program's own words are written too, and the store may have failed to open.
            if said.contains("object") {
                assert!(
                    said.contains("no space left in the store for object "),
                    "{inject}: {said}"
                );
                assert_eq!(said.matches("stored").count(), 2, "{inject}: the others fit: {said}");
                assert_eq!(leftovers(root), Vec::<PathBuf>::new(), "{inject}");
            }
            check(root, output, inject);
        });
        assert!(runs >= 3, "{call}: only {runs} runs");
    }
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged() {
    let runs = at_every("fsync", "error=EIO", |root, output, inject| {
        assert_eq!(output.status.code(), Some(1), "{inject}");
        let said = String::from_utf8_lossy(&output.stdout);
        let lines: Vec<&str> = said.lines().collect();
        let first_failure = lines.iter().position(|line| !line.starts_with("stored"));
        if let Some(place) = first_failure {
            assert!(lines[place].contains("Input/output error"), "{inject}: {said}");
            for line in &lines[place + 1..] {
                assert!(line.contains("a sync of this store failed before"), "{inject}: {said}");
            }
        } else {
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(error.contains("could not make the store in"), "{inject}: {error}");
        }
        assert_eq!(leftovers(root), Vec::<PathBuf>::new(), "{inject}");
        check(root, output, inject);
    });
    // The root's parent; three files; four folders, of which packs/aa twice; and the root for each of two.
    assert_eq!(runs, 10);
}

#[test]
fn any_other_failing_call_is_said_and_leaves_nothing() {
    for (call, errno) in [
        ("mkdir", "EROFS"),
        ("write", "EIO"),
        ("rename", "EIO"),
        ("openat", "EMFILE"),
    ] {
        at_every(call, &format!("error={errno}"), |root, output, inject| {
            if root.exists() {
                check(root, output, inject);
            }
        });
    }
}
