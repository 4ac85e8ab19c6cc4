//! What `sources::files` promises: everything is walked in order, read, and written back exactly.

use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use strongroom_sources::files::*;
use strongroom_sources::museum;

/// A folder of its own for a test; not in memory, as that has no trusted attributes everywhere.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// What is done to a path, with a name for messages.
type Change<'a> = (&'a str, &'a dyn Fn(&Path));

/// Trees that are too deep for the standard library's way of removing them.
struct DeepFolder(tempfile::TempDir);

impl Drop for DeepFolder {
    fn drop(&mut self) {
        Command::new("rm").arg("-rf").arg(self.0.path()).status().unwrap();
    }
}

fn walk(roots: &[&Path], rules: Rules) -> Walker {
    let roots = roots.iter().map(|root| root.to_path_buf()).collect();
    Walker::new(Selection::new(roots, rules).unwrap()).unwrap()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Restores what lies in a folder into another one, the way a restore does it.
fn copy(source: &Path, to: &Path, options: RestoreOptions) -> Vec<String> {
    let source = source.canonicalize().unwrap();
    let root = source.as_os_str().as_bytes().len();
    let mut target = Target::open(to, options).unwrap();
    let mut first_names = HashMap::new();
    for found in walk(&[&source], Rules::default()) {
        let found = found.unwrap();
        if found.path.len() > root {
            copy_one(&found, &found.path[root..], &mut target, &mut first_names);
        }
    }
    target.finish();
    target.sync().unwrap();
    target.take_warnings().iter().map(ToString::to_string).collect()
}

fn copy_one(found: &Found, path: &[u8], target: &mut Target, first_names: &mut HashMap<(u64, u64), Vec<u8>>) {
    let meta = &found.meta;
    if meta.nlink > 1 && meta.kind != Kind::Directory {
        if let Some(first) = first_names.get(&(meta.dev, meta.ino)) {
            return target.make_hard_link(path, first).unwrap();
        }
        first_names.insert((meta.dev, meta.ino), path.to_vec());
    }
    let wanted = Attributes::of(meta, xattrs(found).unwrap());
    match meta.kind {
        Kind::Directory => target.make_dir(path, &wanted).unwrap(),
        Kind::Symlink => target.make_symlink(path, &read_link(found).unwrap(), &wanted).unwrap(),
        Kind::File => copy_file(found, path, target, &wanted),
        kind => target.make_special(path, kind, &wanted).unwrap(),
    }
}

fn copy_file(found: &Found, path: &[u8], target: &mut Target, wanted: &Attributes) {
    let file = open(found).unwrap();
    let mut writer = target.begin_file(path, found.meta.size, wanted).unwrap();
    for segment in file.segments() {
        let Segment::Data { offset, len } = segment.unwrap() else {
            continue;
        };
        for start in (offset..offset + len).step_by(65_536) {
            let mut piece = vec![0; (offset + len - start).min(65_536) as usize];
            assert_eq!(file.fill_at(start, &mut piece).unwrap(), piece.len());
            if piece.iter().all(|byte| *byte == 0) {
                writer.allocate_zero(start, piece.len() as u64).unwrap();
            } else {
                writer.write_at(start, &piece).unwrap();
            }
        }
    }
    assert!(file.unchanged_since(&found.meta).unwrap());
    writer.finish(wanted).unwrap();
}

fn assert_equal(source: &Path, copy: &Path) {
    let differences = museum::differences(source, copy).unwrap();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// An independent judge.
fn assert_rsync_agrees(source: &Path, copy: &Path) {
    let output = Command::new("rsync")
        .args(["-aHAXn", "--checksum", "--delete", "--itemize-changes"])
        .arg(format!("--exclude=/{}", museum::DEEP))
        .arg(format!("{}/", source.display()))
        .arg(format!("{}/", copy.display()))
        .output()
        .expect("rsync is there; ./scripts/test installs it");
    let said = String::from_utf8_lossy(&output.stdout);
    // The root folders themselves are not part of what is restored.
    let said: Vec<&str> = said.lines().filter(|line| !line.ends_with(" ./")).collect();
    assert!(said.is_empty(), "{}", said.join("\n"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_museum_is_restored_exactly() {
    let (source, copied) = (folder(), folder());
    let missing = museum::build(source.path()).unwrap();
    if is_root() {
        assert!(missing.is_empty(), "not on show: {missing:?}");
    }
    let warnings = copy(source.path(), copied.path(), RestoreOptions::default());
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_equal(source.path(), copied.path());
    assert_rsync_agrees(source.path(), copied.path());
    for entry in fs::read_dir(source.path().join("sparse")).unwrap() {
        let entry = entry.unwrap();
        let there = copied.path().join("sparse").join(entry.file_name());
        let (was, is) = (entry.metadata().unwrap().blocks(), there.metadata().unwrap().blocks());
        assert!(is.abs_diff(was) <= 64, "{entry:?} took {was} blocks and takes {is}");
    }
}

#[test]
fn a_museum_is_restored_again_over_itself_and_over_something_else() {
    let (source, copied) = (folder(), folder());
    museum::build(source.path()).unwrap();
    let options = RestoreOptions {
        overwrite: true,
        ..RestoreOptions::default()
    };
    copy(source.path(), copied.path(), options);
    let wreck = |name: &str| copied.path().join(name);
    // Something else is where something should be.
    fs::remove_file(wreck("specials/pipe")).unwrap();
    fs::write(wreck("specials/pipe"), b"now a file").unwrap();
    fs::remove_dir(wreck("names/empty folder")).unwrap();
    symlink("/etc", wreck("names/empty folder")).unwrap();
    fs::remove_file(wreck("links/to nowhere")).unwrap();
    symlink("elsewhere", wreck("links/to nowhere")).unwrap();
    fs::write(wreck("links/second"), b"changes all four names").unwrap();
    fs::remove_file(wreck("sizes/4096")).unwrap();
    symlink("/etc/passwd", wreck("sizes/4096")).unwrap();
    fs::set_permissions(wreck("modes/file 644"), fs::Permissions::from_mode(0o600)).unwrap();
    let warnings = copy(source.path(), copied.path(), options);
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_equal(source.path(), copied.path());
    assert_rsync_agrees(source.path(), copied.path());
}

#[test]
fn a_target_with_a_default_acl_and_a_foreign_group_leaves_no_trace_of_them() {
    assert!(is_root(), "this test gives files away: run it as root");
    let (source, copied) = (folder(), folder());
    museum::build(source.path()).unwrap();
    let target = copied.path().join("target");
    fs::create_dir(&target).unwrap();
    let set = Command::new("setfacl")
        .args(["-d", "-m", "u:77:rwx"])
        .arg(&target)
        .status()
        .unwrap();
    assert!(set.success());
    std::os::unix::fs::chown(&target, None, Some(88)).unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o2777)).unwrap();
    let warnings = copy(source.path(), &target, RestoreOptions::default());
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_equal(source.path(), &target);
}

#[test]
fn a_tree_deeper_than_any_limit_is_walked_and_restored() {
    let (source, copied) = (DeepFolder(folder()), DeepFolder(folder()));
    // More levels than may be open at once, and far more bytes than a path may have.
    museum::deep(source.0.path(), 2500, 3).unwrap();
    let warnings = copy(source.0.path(), copied.0.path(), RestoreOptions::default());
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_equal(source.0.path(), copied.0.path());
    assert_eq!(walk(&[source.0.path()], Rules::default()).count(), 2504);
}

/// The kind of a small tree's entry.
type Plan = BTreeMap<Vec<Vec<u8>>, bool>;

fn plan() -> impl Strategy<Value = Plan> {
    let component = prop::sample::select(vec![
        &b"a"[..],
        b"a.b",
        b"a-b",
        b"a b",
        b"ab",
        b"b",
        b"\xff",
        b"\x01",
        b"a\n",
        b"aaaaaaaaa",
        b"aaaaaaaa",
    ]);
    let path = prop::collection::vec(component.prop_map(<[u8]>::to_vec), 1..5);
    prop::collection::vec(path, 1..30).prop_map(|paths| {
        let mut plan = Plan::new();
        for path in paths {
            for length in 1..path.len() {
                plan.insert(path[..length].to_vec(), true);
            }
            plan.entry(path).or_insert(false);
        }
        plan
    })
}

fn lay_out(plan: &Plan, at: &Path) {
    for (path, is_folder) in plan {
        let path = at.join(OsStr::from_bytes(&path.join(&b'/')));
        if *is_folder {
            fs::create_dir(path).unwrap()
        } else {
            fs::write(path, b"x").unwrap()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn entries_come_in_path_order(plan in plan()) {
        let at = folder();
        lay_out(&plan, at.path());
        let root = at.path().canonicalize().unwrap();
        let skip = root.as_os_str().as_bytes().len();
        let walked: Vec<Vec<u8>> = walk(&[&root], Rules::default())
            .map(|found| found.unwrap().path)
            .filter(|path| path.len() > skip)
            .map(|path| path[skip..].to_vec())
            .collect();
        let expected: Vec<Vec<u8>> = plan.keys().map(|path| path.join(&b'/')).collect();
        prop_assert_eq!(walked, expected);
    }
}

fn paths(walker: &mut Walker, below: &Path) -> Vec<String> {
    let skip = below.as_os_str().as_bytes().len();
    walker
        .map(|found| String::from_utf8(found.unwrap().path).unwrap())
        .filter(|path| path.len() > skip)
        .map(|path| path[skip..].to_owned())
        .collect()
}

#[test]
fn folders_above_the_roots_come_once_and_alone() {
    let at = folder();
    let base = at.path().canonicalize().unwrap();
    for name in ["a/one/x", "a/two/x", "a/other/x", "b/x", "c"] {
        let path = base.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"").unwrap();
    }
    let roots = ["a/two", "a/one", "c", "a/one/x"].map(|name| base.join(name));
    let roots: Vec<&Path> = roots.iter().map(PathBuf::as_path).collect();
    let all: Vec<Vec<u8>> = walk(&roots, Rules::default())
        .map(|found| found.unwrap().path)
        .collect();
    let above: Vec<&[u8]> = all
        .iter()
        .map(Vec::as_slice)
        .take_while(|p| !p.ends_with(b"/a"))
        .collect();
    assert_eq!(
        above.len(),
        base.components().count() - 1,
        "each folder above the base, once"
    );
    assert_eq!(
        paths(&mut walk(&roots, Rules::default()), &base),
        ["a", "a/one", "a/one/x", "a/two", "a/two/x", "c"]
    );
}

#[test]
fn a_root_that_is_missing_or_no_folder_is_an_issue_and_the_others_are_walked() {
    let at = folder();
    let base = at.path().canonicalize().unwrap();
    fs::write(base.join("file"), b"x").unwrap();
    let missing = base.join("missing/below");
    let impossible = base.join("file/below");
    let mut issues = Vec::new();
    let mut found = Vec::new();
    for item in walk(&[&missing, &base.join("file"), &base.join("gone")], Rules::default()) {
        match item {
            Ok(entry) => found.push(entry.path),
            Err(issue) => issues.push(issue),
        }
    }
    assert!(found.last().unwrap().ends_with(b"/file"));
    assert_eq!(issues.len(), 2, "{issues:?}");
    assert!(
        issues.iter().all(|issue| issue.kind == IssueKind::Vanished),
        "{issues:?}"
    );
    assert!(issues[1].to_string().contains("missing/below"), "{}", issues[1]);
    let issue = walk(&[&impossible], Rules::default()).find_map(Result::err).unwrap();
    assert_eq!(issue.kind, IssueKind::Unreadable);
}

#[test]
fn an_entry_that_vanishes_is_an_issue_and_the_walk_goes_on() {
    let at = folder();
    let base = at.path().canonicalize().unwrap();
    for name in ["a", "b", "c"] {
        fs::write(base.join(name), b"x").unwrap();
    }
    fs::create_dir(base.join("d")).unwrap();
    fs::write(base.join("e"), b"x").unwrap();
    let mut walker = walk(&[&base], Rules::default());
    let ends_with = |found: &Found, name: &str| found.path.ends_with(name.as_bytes());
    assert!(walker.by_ref().any(|found| ends_with(&found.unwrap(), "/a")));
    fs::remove_file(base.join("b")).unwrap();
    assert_eq!(walker.next().unwrap().unwrap_err().kind, IssueKind::Vanished);
    let c = walker.next().unwrap().unwrap();
    fs::remove_file(base.join("c")).unwrap();
    assert_eq!(open(&c).unwrap_err().kind, ReadErrorKind::Vanished);
    assert_eq!(xattrs(&c).unwrap_err().kind, ReadErrorKind::Vanished);
    assert!(ends_with(&walker.next().unwrap().unwrap(), "/d"));
    fs::remove_dir(base.join("d")).unwrap();
    assert_eq!(walker.next().unwrap().unwrap_err().kind, IssueKind::Vanished);
    assert!(ends_with(&walker.next().unwrap().unwrap(), "/e"));
    assert!(walker.next().is_none());
}

#[test]
fn what_takes_the_place_of_a_file_is_not_read() {
    let at = folder();
    let base = at.path().canonicalize().unwrap();
    let victim = base.join("victim");
    fs::write(base.join("secret"), b"secret").unwrap();
    let replacements: [Change<'_>; 4] = [
        ("link", &|path| symlink("secret", path).unwrap()),
        ("file", &|path| fs::write(path, b"other").unwrap()),
        ("folder", &|path| fs::create_dir(path).unwrap()),
        ("pipe", &|path| {
            assert!(Command::new("mkfifo").arg(path).status().unwrap().success())
        }),
    ];
    for (name, replace) in replacements {
        fs::write(&victim, b"victim").unwrap();
        // Keeps the inode number from being used again.
        fs::hard_link(&victim, base.join(format!("kept {name}"))).unwrap();
        let mut found = walk(&[&base], Rules::default()).map(Result::unwrap);
        let found = found.find(|found| found.path.ends_with(b"/victim")).unwrap();
        fs::remove_file(&victim).unwrap();
        replace(&victim);
        assert_eq!(open(&found).unwrap_err().kind, ReadErrorKind::Replaced, "{name}");
        let small = read_small(&found, &mut Vec::new());
        let kind = small.unwrap_err().kind;
        assert!(
            matches!(kind, ReadErrorKind::Replaced | ReadErrorKind::Failed),
            "{name}: {kind:?}"
        );
        Command::new("rm").arg("-rf").arg(&victim).status().unwrap();
    }
}

#[test]
fn a_small_file_is_read_whole_and_a_change_is_noticed() {
    let at = folder();
    let base = at.path().canonicalize().unwrap();
    let path = base.join("file");
    for size in [0, 1, 4096, 200_000] {
        fs::write(&path, museum::noise(size)).unwrap();
        let found = walk(&[&path], Rules::default()).last().unwrap().unwrap();
        let mut bytes = b"before".to_vec();
        assert!(read_small(&found, &mut bytes).unwrap().unchanged);
        assert_eq!(bytes[6..], museum::noise(size));
        fs::write(&path, museum::noise(size + 1)).unwrap();
        assert!(
            !read_small(&found, &mut Vec::new()).unwrap().unchanged,
            "grown from {size}"
        );
        assert!(!open(&found).unwrap().unchanged_since(&found.meta).unwrap());
    }
}

#[test]
fn holes_are_told_from_data() {
    let at = folder();
    let path = at.path().canonicalize().unwrap().join("file");
    let file = fs::File::create(&path).unwrap();
    file.set_len(10 << 20).unwrap();
    file.write_all_at(&[1; 65_536], 4 << 20).unwrap();
    let found = walk(&[&path], Rules::default()).last().unwrap().unwrap();
    let opened = open(&found).unwrap();
    let segments: Vec<Segment> = opened.segments().map(Result::unwrap).collect();
    assert_eq!(
        segments,
        [
            Segment::Hole {
                offset: 0,
                len: 4 << 20
            },
            Segment::Data {
                offset: 4 << 20,
                len: 65_536
            },
            Segment::Hole {
                offset: (4 << 20) + 65_536,
                len: (6 << 20) - 65_536
            },
        ]
    );
}

fn plain() -> Attributes {
    Attributes {
        mode: 0o644,
        mtime: (1, 2),
        ..Attributes::default()
    }
}

fn no_owners() -> RestoreOptions {
    RestoreOptions {
        owners: false,
        ..RestoreOptions::default()
    }
}

#[test]
fn no_hostile_path_leaves_the_target() {
    let at = folder();
    fs::write(at.path().join("outside"), b"untouched").unwrap();
    let options = RestoreOptions {
        overwrite: true,
        ..no_owners()
    };
    let mut target = Target::open(&at.path().join("target"), options).unwrap();
    target.make_symlink(b"up", b"..", &plain()).unwrap();
    target.make_symlink(b"file", b"../outside", &plain()).unwrap();
    target.make_dir(b"sub", &plain()).unwrap();
    target.make_symlink(b"sub/up", b"../..", &plain()).unwrap();
    let hostile: [&[u8]; 11] = [
        b"",
        b"/outside",
        b"../outside",
        b"sub/../../outside",
        b"./outside",
        b"a//b",
        b"a/",
        b"a\0b",
        b"up/outside",
        b"sub/up/outside",
        b"up/target/inside",
    ];
    for path in hostile {
        let attempts = [
            target.begin_file(path, 1, &plain()).map(|_| ()),
            target.make_dir(path, &plain()),
            target.make_symlink(path, b"x", &plain()),
            target.make_special(path, Kind::Fifo, &plain()),
            target.make_hard_link(path, b"sub/up"),
            target.make_hard_link(b"sub/new", path),
            target.existing(path).map(|_| ()),
            target.open_existing(path).map(|_| ()),
            target.keep_file(path, &plain()),
        ];
        for (index, attempt) in attempts.into_iter().enumerate() {
            let error = attempt.unwrap_err();
            let hostile = matches!(error, RestoreError::Hostile { .. });
            assert!(hostile, "{} by {index}: {error}", path.escape_ascii());
        }
    }
    // The link itself is replaced, not what it leads to.
    let mut file = target.begin_file(b"file", 3, &plain()).unwrap();
    file.write_at(0, b"new").unwrap();
    file.finish(&plain()).unwrap();
    target.finish();
    assert_eq!(fs::read(at.path().join("outside")).unwrap(), b"untouched");
    assert_eq!(fs::read(at.path().join("target/file")).unwrap(), b"new");
    assert_eq!(fs::read_dir(at.path()).unwrap().count(), 2);
}

#[test]
fn names_that_the_system_refuses_are_named_in_the_error() {
    let at = folder();
    let mut target = Target::open(at.path(), no_owners()).unwrap();
    let long = vec![b'n'; 256];
    let errors = [
        target.begin_file(&long, 0, &plain()).unwrap_err(),
        target.make_dir(&long, &plain()).unwrap_err(),
        target.make_symlink(&long, b"x", &plain()).unwrap_err(),
        target.make_symlink(b"empty", b"", &plain()).unwrap_err(),
        target.make_hard_link(b"new", b"no such file").unwrap_err(),
    ];
    for error in &errors {
        assert!(matches!(error, RestoreError::Failed { .. }), "{error:?}");
        assert!(
            error.to_string().contains(&*String::from_utf8_lossy(error.path())),
            "{error}"
        );
    }
}

#[test]
fn nothing_is_replaced_unless_that_was_asked_for_and_folders_never() {
    let at = folder();
    fs::write(at.path().join("file"), b"mine").unwrap();
    fs::create_dir(at.path().join("folder")).unwrap();
    fs::write(at.path().join("folder/x"), b"mine").unwrap();
    for (overwrite, name) in [(false, &b"file"[..]), (false, b"folder"), (true, b"folder")] {
        let options = RestoreOptions {
            overwrite,
            ..no_owners()
        };
        let mut target = Target::open(at.path(), options).unwrap();
        let attempts = [
            target.begin_file(name, 0, &plain()).map(|_| ()),
            target.make_symlink(name, b"x", &plain()),
            target.make_special(name, Kind::Fifo, &plain()),
        ];
        for attempt in attempts {
            match name {
                b"folder" => assert!(matches!(attempt, Err(RestoreError::Directory { .. })), "{attempt:?}"),
                _ => assert!(matches!(attempt, Err(RestoreError::Exists { .. })), "{attempt:?}"),
            }
        }
    }
    let mut target = Target::open(at.path(), no_owners()).unwrap();
    assert!(matches!(
        target.make_dir(b"file", &plain()),
        Err(RestoreError::Exists { .. })
    ));
    assert!(matches!(
        target.begin_file(b"file/x", 0, &plain()),
        Err(RestoreError::Exists { .. })
    ));
    assert_eq!(fs::read(at.path().join("file")).unwrap(), b"mine");
    assert_eq!(fs::read(at.path().join("folder/x")).unwrap(), b"mine");
}

#[test]
fn an_interrupted_restore_continues_and_an_unfinished_file_is_known() {
    let at = folder();
    let options = RestoreOptions {
        overwrite: true,
        ..no_owners()
    };
    let mut target = Target::open(at.path(), options).unwrap();
    target.make_dir(b"d", &Attributes { mode: 0o755, ..plain() }).unwrap();
    let mut half = target.begin_file(b"d/half", 100, &plain()).unwrap();
    half.write_at(0, b"half").unwrap();
    // As after a kill: nothing is cleaned up.
    std::mem::forget(half);
    std::mem::forget(target);
    assert_ne!(fs::metadata(at.path().join("d/half")).unwrap().mtime(), 1);

    let mut target = Target::open(at.path(), options).unwrap();
    target.make_dir(b"d", &Attributes { mode: 0o755, ..plain() }).unwrap();
    let meta = target.existing(b"d/half").unwrap().unwrap();
    assert_eq!((meta.kind, meta.size), (Kind::File, 4));
    assert_eq!(target.existing(b"d/none").unwrap(), None);
    assert_eq!(target.existing(b"none/none").unwrap(), None);
    let mut bytes = [0; 10];
    assert_eq!(
        target.open_existing(b"d/half").unwrap().fill_at(0, &mut bytes).unwrap(),
        4
    );
    let mut whole = target.begin_file(b"d/half", 8, &plain()).unwrap();
    whole.write_at(4, b"hole").unwrap();
    // The old one stays until the new one is whole.
    assert_eq!(fs::read(at.path().join("d/half")).unwrap(), b"half");
    // The walk leaves the folder before the file in it is finished.
    target.make_dir(b"e", &plain()).unwrap();
    whole.finish(&plain()).unwrap();
    target.finish();
    assert!(target.take_warnings().is_empty());
    assert_eq!(fs::read(at.path().join("d/half")).unwrap(), b"\0\0\0\0hole");
    let meta = fs::metadata(at.path().join("d")).unwrap();
    assert_eq!((meta.mtime(), meta.mtime_nsec(), meta.mode() & 0o7777), (1, 2, 0o755));
    assert_eq!(fs::read_dir(at.path().join("d")).unwrap().count(), 1);
}

#[test]
fn a_writer_that_is_given_up_leaves_nothing_behind() {
    let at = folder();
    let options = RestoreOptions {
        overwrite: true,
        ..no_owners()
    };
    let mut target = Target::open(at.path(), options).unwrap();
    fs::write(at.path().join("old"), b"old").unwrap();
    drop(target.begin_file(b"new", 1, &plain()).unwrap());
    drop(target.begin_file(b"old", 1, &plain()).unwrap());
    assert_eq!(fs::read_dir(at.path()).unwrap().count(), 1);
    assert_eq!(fs::read(at.path().join("old")).unwrap(), b"old");
}

#[test]
fn what_comes_out_of_order_leaves_finished_folders_as_they_were() {
    let at = folder();
    let mut target = Target::open(at.path(), no_owners()).unwrap();
    let folder = Attributes { mode: 0o555, ..plain() };
    target.make_dir(b"a", &folder).unwrap();
    target.make_dir(b"b", &folder).unwrap();
    for path in [&b"a/late"[..], b"made/on the way", b"b/late", b"a/later"] {
        target.begin_file(path, 0, &plain()).unwrap().finish(&plain()).unwrap();
    }
    target.make_hard_link(b"b/link", b"a/late").unwrap();
    target.finish();
    for name in ["a", "b"] {
        let meta = fs::metadata(at.path().join(name)).unwrap();
        assert_eq!(
            (meta.mtime(), meta.mtime_nsec(), meta.mode() & 0o7777),
            (1, 2, 0o555),
            "{name}"
        );
    }
    assert_eq!(fs::metadata(at.path().join("b/link")).unwrap().nlink(), 2);
    assert!(at.path().join("made/on the way").exists());
}

#[test]
fn setuid_bits_go_when_the_owner_does() {
    assert!(is_root(), "this test gives files away: run it as root");
    let at = folder();
    let mut target = Target::open(at.path(), no_owners()).unwrap();
    let foreign = Attributes {
        mode: 0o6755,
        uid: 4242,
        gid: 4343,
        ..plain()
    };
    target
        .begin_file(b"foreign", 0, &foreign)
        .unwrap()
        .finish(&foreign)
        .unwrap();
    let own = Attributes {
        uid: 0,
        gid: 0,
        ..foreign.clone()
    };
    target.begin_file(b"own", 0, &own).unwrap().finish(&own).unwrap();
    let mode = |name: &str| fs::metadata(at.path().join(name)).unwrap().mode() & 0o7777;
    assert_eq!((mode("foreign"), mode("own")), (0o755, 0o6755));
    assert_eq!(target.take_warnings().len(), 1);
}

/// Mounts a small file system in memory for the time of a test; only root can.
struct Mount(tempfile::TempDir);

impl Mount {
    fn new(options: &str) -> Option<Mount> {
        let at = folder();
        let mount = ["-t", "tmpfs", "-o", options, "none"];
        let mounted = Command::new("mount").args(mount).arg(at.path()).status();
        mounted.is_ok_and(|status| status.success()).then_some(Mount(at))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_and_a_read_only_target_are_told_apart() {
    let Some(full) = Mount::new("size=64k") else { return };
    let mut target = Target::open(full.0.path(), no_owners()).unwrap();
    let mut file = target.begin_file(b"file", 1 << 20, &plain()).unwrap();
    let error = file.write_at(0, &[1; 1 << 20]).unwrap_err();
    assert!(
        matches!(error, RestoreError::NoSpace { .. }) && error.is_fatal(),
        "{error}"
    );
    let error = file.allocate_zero(0, 1 << 20).unwrap_err();
    assert!(matches!(error, RestoreError::NoSpace { .. }), "{error}");
    drop(file);
    let Some(sealed) = Mount::new("ro") else { return };
    let error = Target::open(sealed.0.path(), no_owners()).unwrap_err();
    assert!(
        matches!(error, RestoreError::ReadOnly { .. }) && error.is_fatal(),
        "{error}"
    );
    let error = Target::open(&sealed.0.path().join("new"), no_owners()).unwrap_err();
    assert!(matches!(error, RestoreError::ReadOnly { .. }), "{error}");
}

#[test]
fn entries_open_files_and_writers_may_go_to_other_threads() {
    fn is_send<T: Send + 'static>() {}
    is_send::<Found>();
    is_send::<OpenFile>();
    is_send::<FileWriter>();
    is_send::<Target>();
    is_send::<Walker>();
}

#[test]
fn values_that_no_file_has_are_warnings() {
    let at = folder();
    let mut target = Target::open(at.path(), no_owners()).unwrap();
    let strange = Attributes {
        mode: 0o170_600,
        mtime: (1, 0x3fff_ffff),
        xattrs: vec![
            (b"".to_vec(), b"x".to_vec()),
            (b"user.cut\0short".to_vec(), b"x".to_vec()),
            (b"btrfs.compression".to_vec(), b"x".to_vec()),
        ],
        ..Attributes::default()
    };
    target
        .begin_file(b"file", 0, &strange)
        .unwrap()
        .finish(&strange)
        .unwrap();
    let warnings = target.take_warnings();
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    assert!(warnings.iter().all(|warning| warning.to_string().contains("file")));
    assert_eq!(fs::metadata(at.path().join("file")).unwrap().mode() & 0o7777, 0o600);
}

#[test]
fn the_comparison_that_other_tests_rely_on_notices_everything() {
    let changes: [Change<'_>; 7] = [
        ("contents", &|at| {
            fs::write(at.join("sizes/4096"), vec![0; 4096]).unwrap()
        }),
        ("mode", &|at| {
            fs::set_permissions(at.join("sizes/0"), fs::Permissions::from_mode(0o640)).unwrap();
        }),
        ("attribute", &|at| {
            let path = at.join("attributes/user");
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::setxattr(path, "user.text", b"other", flags).unwrap();
        }),
        ("link", &|at| {
            fs::remove_file(at.join("links/absolute")).unwrap();
            symlink("/etc/hostnam2", at.join("links/absolute")).unwrap();
        }),
        ("missing", &|at| fs::remove_file(at.join("names/case")).unwrap()),
        ("hard link", &|at| {
            fs::remove_file(at.join("links/second")).unwrap();
            fs::write(at.join("links/second"), b"one inode, four names").unwrap();
        }),
        ("extra", &|at| fs::write(at.join("extra"), b"").unwrap()),
    ];
    for (name, change) in changes {
        let (one, other) = (folder(), folder());
        museum::build(one.path()).unwrap();
        copy(one.path(), other.path(), RestoreOptions::default());
        assert_equal(one.path(), other.path());
        change(other.path());
        assert!(
            !museum::differences(one.path(), other.path()).unwrap().is_empty(),
            "{name}"
        );
    }
}
