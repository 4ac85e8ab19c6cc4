//! The shape of files: finished, quiet, short, and named for what is inside.

use std::path::Path;

use crate::exceptions::{IGNORED, LONG_FILES, PRINTING};
use crate::report::{Finding, find, insist, insist_except};
use crate::tree::files;

/// What fits a head; the design's examples all stay below it.
const LINES_MAX: usize = 600;

const NOT_NOUNS: &[&str] = &[
    "util", "utils", "common", "helper", "helpers", "manager", "managers", "misc", "stuff",
];

#[test]
fn nothing_is_left_unfinished() {
    let findings = find(&["todo!", "unimplemented!", "dbg!"], |_, _| true);
    insist(
        &findings,
        "finish it, return an error that says so, or leave the feature out.",
    );
}

#[test]
fn no_test_is_ignored() {
    let instead = "make it fast enough to run, or turn it into an example or a soak that is started by hand.";
    insist_except(IGNORED, find(&["#[ignore"], |_, _| true), instead);
}

#[test]
fn libraries_do_not_print() {
    let printing = ["println!", "eprintln!", "print!", "eprint!"];
    let findings = find(&printing, |source, _| {
        source.path.starts_with("crates/") && source.path.contains("/src/")
    });
    insist_except(
        PRINTING,
        findings,
        "return it, or log it with `tracing`; only the command line talks to a person.",
    );
}

#[test]
fn files_are_short() {
    let mut findings = Vec::new();
    for (path, text) in files(&[".rs", ".py", ".sh", ".sql"]) {
        let length = text.lines().count();
        if length > LINES_MAX {
            findings.push(Finding {
                path,
                line: length,
                what: format!("{length} lines, more than {LINES_MAX}"),
            });
        }
    }
    insist_except(LONG_FILES, findings, "one noun per file: move one of the nouns out.");
}

#[test]
fn files_are_named_for_a_noun() {
    let mut findings = Vec::new();
    // `tests/common/` is Rust's own name for what the tests of one crate share.
    let named = files(&[".rs"])
        .into_iter()
        .filter(|(path, _)| !path.contains("tests/common/"));
    for (path, _) in named {
        let parts = Path::new(&path).with_extension("");
        let vague = parts
            .iter()
            .filter_map(|part| part.to_str())
            .find(|part| NOT_NOUNS.contains(part));
        if let Some(name) = vague {
            findings.push(Finding {
                path,
                line: 1,
                what: format!("`{name}` says nothing of what is inside"),
            });
        }
    }
    insist(&findings, "put each thing where its noun is.");
}
