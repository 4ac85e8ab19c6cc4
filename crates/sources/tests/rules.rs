//! What a walk takes, what its rules leave out, and that it says so.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use strongroom_model::EntryType;
use strongroom_sources::files::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn walk(roots: &[&Path], rules: Rules) -> Walker {
    let roots = roots.iter().map(|root| root.to_path_buf()).collect();
    Walker::new(Selection::new(roots, rules).unwrap()).unwrap()
}

fn without(patterns: &[&str]) -> Rules {
    Rules::without(patterns.iter().map(|text| Pattern::new(*text, "a test"))).unwrap()
}

fn paths(walker: &mut Walker, below: &Path) -> Vec<String> {
    let skip = below.as_os_str().as_bytes().len();
    walker
        .map(|found| String::from_utf8(found.unwrap().path).unwrap())
        .filter(|path| path.len() > skip)
        .map(|path| path[skip..].to_owned())
        .collect()
}

/// What is taken, and what is left out by which rule.
fn steps(mut walker: Walker) -> (Vec<String>, Vec<(String, Rule)>) {
    let text = |path: Vec<u8>| String::from_utf8(path).unwrap();
    let (mut taken, mut left_out) = (Vec::new(), Vec::new());
    while let Some(step) = walker.step() {
        match step {
            Step::Found(found) => taken.push(text(found.path)),
            Step::Issue(issue) => panic!("{issue}"),
            Step::LeftOut(LeftOut { path, rule }) => left_out.push((text(path), rule)),
        }
    }
    (taken, left_out)
}

/// A folder's canonical path, and what `steps` tells, below it.
fn below(base: &Path, rules: Rules) -> (Vec<String>, Vec<(String, Rule)>) {
    let skip = base.as_os_str().as_bytes().len();
    let (taken, left_out) = steps(walk(&[base], rules));
    let cut = |path: String| path.get(skip..).map(str::to_owned);
    (
        taken.into_iter().filter_map(cut).collect(),
        left_out
            .into_iter()
            .filter_map(|(path, rule)| Some((path.get(skip..)?.to_owned(), rule)))
            .collect(),
    )
}

fn lay_out(base: &Path, files: &[&str]) {
    for name in files {
        fs::create_dir_all(base.join(name).parent().unwrap()).unwrap();
        fs::write(base.join(name), name).unwrap();
    }
}

fn patterns(texts: &[&str]) -> Patterns {
    Patterns::new(texts.iter().map(|text| Pattern::new(*text, "a test"))).unwrap()
}

#[test]
fn to_include_takes_only_what_fits_and_the_folders_that_lead_there() {
    let at = folder();
    let base = at.path().canonicalize().unwrap();
    lay_out(
        &base,
        &[
            "a/x.pdf",
            "a/y.txt",
            "b/deep/er/z.pdf",
            "c/y.txt",
            "docs/all.txt",
            "docs/sub/old.pdf",
        ],
    );
    fs::create_dir(base.join("empty")).unwrap();
    let cases: [(&[&str], &[&str], &[&str]); 5] = [
        (
            &["*.pdf"],
            &[],
            &[
                "a",
                "a/x.pdf",
                "b",
                "b/deep",
                "b/deep/er",
                "b/deep/er/z.pdf",
                "docs",
                "docs/sub",
                "docs/sub/old.pdf",
            ],
        ),
        // All that lies in a folder that fits.
        (
            &["docs/"],
            &[],
            &["docs", "docs/all.txt", "docs/sub", "docs/sub/old.pdf"],
        ),
        // The last pattern decides.
        (&["docs/", "!*.pdf"], &[], &["docs", "docs/all.txt", "docs/sub"]),
        // To exclude wins.
        (&["*.pdf"], &["docs/", "deep"], &["a", "a/x.pdf"]),
        (&["nothing"], &[], &[]),
    ];
    for (include, exclude, expected) in cases {
        let rules = Rules {
            include: patterns(include),
            ..without(exclude)
        };
        let (taken, _) = below(&base, rules);
        assert_eq!(taken, expected, "{include:?} without {exclude:?}");
    }
    let rules = Rules {
        include: patterns(&["docs/", "!*.pdf"]),
        ..Rules::default()
    };
    let (_, left_out) = below(&base, rules);
    let rule = |path: &str| {
        left_out
            .iter()
            .find(|(of, _)| of == path)
            .map(|(_, rule)| rule.to_string())
    };
    assert_eq!(rule("c/y.txt").as_deref(), Some("no pattern includes it"));
    assert_eq!(rule("docs/sub/old.pdf").as_deref(), Some("the pattern !*.pdf (a test)"));
}

#[test]
fn a_tree_deeper_than_any_limit_is_searched_for_what_is_included() {
    let at = folder();
    let base = at.path().canonicalize().unwrap();
    strongroom_sources::museum::deep(&base, 500, 3).unwrap();
    let included = |pattern: &str| Rules {
        include: patterns(&[pattern]),
        ..Rules::default()
    };
    let (taken, _) = below(&base, included("bottom"));
    assert_eq!(taken.len(), 501);
    assert!(taken.windows(2).all(|two| two[1].starts_with(&two[0])), "out of order");
    assert!(taken[500].ends_with("/bottom"));
    std::process::Command::new("rm").arg("-rf").arg(&base).status().unwrap();
    fs::create_dir(&base).unwrap();
}

#[test]
fn each_rule_leaves_out_what_it_says_and_tells_why() {
    let at = folder();
    let base = at.path().canonicalize().unwrap();
    lay_out(
        &base,
        &[
            "big",
            "small",
            "tagged/.nobackup",
            "tagged/x",
            "headed/.tag",
            "headed/x",
            "other/.tag",
            "other/x",
        ],
    );
    fs::write(base.join("big"), [0; 101]).unwrap();
    fs::write(base.join("headed/.tag"), b"leave this out, please").unwrap();
    symlink("small", base.join("link")).unwrap();
    let listener = UnixListener::bind(base.join("socket")).unwrap();
    assert!(base.join("socket").symlink_metadata().unwrap().file_type().is_socket());
    let rules = Rules {
        larger_than: Some(100),
        types: BTreeSet::from([EntryType::Socket]),
        markers: vec![
            Marker::parse(".nobackup").unwrap(),
            Marker::parse(".tag:leave this").unwrap(),
        ],
        ..without(&["*.none"])
    };
    let (taken, left_out) = below(&base, rules);
    drop(listener);
    let expected = [
        "headed",
        "headed/.tag",
        "link",
        "other",
        "other/.tag",
        "other/x",
        "small",
        "tagged",
        "tagged/.nobackup",
    ];
    assert_eq!(taken, expected);
    let told: Vec<String> = left_out.iter().map(|(path, rule)| format!("{path}: {rule}")).collect();
    assert_eq!(
        told,
        [
            "big: 101 bytes are more than 100",
            "headed: marked by .tag: 1 entries in it",
            "socket: of type socket",
            "tagged: marked by .nobackup: 1 entries in it",
        ]
    );
    // What the user names is never left out.
    let rules = Rules {
        larger_than: Some(100),
        ..Rules::default()
    };
    let (taken, _) = steps(walk(&[&base.join("big")], rules));
    assert!(taken.last().unwrap().ends_with("/big"));
}

#[test]
fn caches_keep_only_their_tag_if_it_is_valid() {
    let at = folder();
    let base = at.path().canonicalize().unwrap();
    let valid = [&CACHE_TAG_SIGNATURE[..], b"\n# a cache"].concat();
    let tags: [(&str, &[u8]); 4] = [
        ("exact", CACHE_TAG_SIGNATURE),
        ("valid", &valid),
        ("short", b"Signature: 8a477f597d28d172789f06886806bc5"),
        ("wrong", b"Signature: 00000000000000000000000000000000"),
    ];
    for (name, tag) in tags {
        fs::create_dir_all(base.join(name).join("sub")).unwrap();
        fs::write(base.join(name).join("CACHEDIR.TAG"), tag).unwrap();
        fs::write(base.join(name).join("x"), b"").unwrap();
    }
    fs::create_dir(base.join("linked")).unwrap();
    symlink("../valid/CACHEDIR.TAG", base.join("linked/CACHEDIR.TAG")).unwrap();
    fs::write(base.join("linked/x"), b"").unwrap();
    let rules = Rules {
        markers: vec![Marker::cache_tag()],
        ..Rules::default()
    };
    let mut walker = walk(&[&base], rules.clone());
    assert_eq!(
        paths(&mut walker, &base),
        [
            "exact",
            "exact/CACHEDIR.TAG",
            "linked",
            "linked/CACHEDIR.TAG",
            "linked/x",
            "short",
            "short/CACHEDIR.TAG",
            "short/sub",
            "short/x",
            "valid",
            "valid/CACHEDIR.TAG",
            "wrong",
            "wrong/CACHEDIR.TAG",
            "wrong/sub",
            "wrong/x",
        ]
    );
    // What the user names is never left out.
    let valid = base.join("valid");
    assert_eq!(paths(&mut walk(&[&valid], rules), &valid), ["CACHEDIR.TAG", "sub", "x"]);
}

#[test]
fn patterns_leave_out_and_take_in_again() {
    let at = folder();
    let base = at.path().canonicalize().unwrap();
    for name in ["one/build/out", "one/keep.o", "one/x.o", "two/build/out", "two/sub/x.o"] {
        fs::create_dir_all(base.join(name).parent().unwrap()).unwrap();
        fs::write(base.join(name), b"").unwrap();
    }
    let absolute = format!("/{}/two/build", base.strip_prefix("/").unwrap().display());
    let cases: [(&[&str], &[&str]); 5] = [
        (
            &["*.o", "!keep.o"],
            &[
                "one",
                "one/build",
                "one/build/out",
                "one/keep.o",
                "two",
                "two/build",
                "two/build/out",
                "two/sub",
            ],
        ),
        (
            &["build/"],
            &["one", "one/keep.o", "one/x.o", "two", "two/sub", "two/sub/x.o"],
        ),
        // Patterns with a slash inside start at each root.
        (
            &["sub/x.o", "build/out"],
            &[
                "one",
                "one/build",
                "one/keep.o",
                "one/x.o",
                "two",
                "two/build",
                "two/sub",
            ],
        ),
        (
            &[&absolute],
            &[
                "one",
                "one/build",
                "one/build/out",
                "one/keep.o",
                "one/x.o",
                "two",
                "two/sub",
                "two/sub/x.o",
            ],
        ),
        // A root that fits a pattern is walked all the same.
        (
            &["one", "*.o", "out"],
            &["one", "one/build", "two", "two/build", "two/sub"],
        ),
    ];
    for (patterns, expected) in cases {
        let roots = [base.join("one"), base.join("two")];
        let mut walker = walk(&[&roots[0], &roots[1]], without(patterns));
        assert_eq!(paths(&mut walker, &base), expected, "{patterns:?}");
    }
}

#[test]
fn pseudo_file_systems_are_walked_only_if_they_are_selected() {
    let rules = without(&["/*", "!/proc"]);
    let (taken, left_out) = steps(walk(&[Path::new("/")], rules));
    assert_eq!(taken, ["proc"]);
    assert!(
        left_out.contains(&("proc".to_owned(), Rule::PseudoFileSystem)),
        "{left_out:?}"
    );
    let selected = walk(&[Path::new("/proc/sys/kernel")], Rules::default());
    assert!(
        selected
            .filter_map(Result::ok)
            .any(|found| found.path == b"proc/sys/kernel/ostype")
    );
}

#[test]
fn other_file_systems_stay_out_on_request() {
    let rules = Rules {
        one_file_system: true,
        ..without(&["/*", "!/proc"])
    };
    let (taken, left_out) = steps(walk(&[Path::new("/")], rules));
    assert_eq!(taken, ["proc"]);
    assert!(
        left_out.contains(&("proc".to_owned(), Rule::OtherFileSystem)),
        "{left_out:?}"
    );
}
