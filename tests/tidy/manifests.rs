//! What every crate says of itself, and what is handed on of it.

use std::process::Command;

use crate::exceptions::UNSAFE;
use crate::report::{Finding, insist};
use crate::tree::{files, root, sources};

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let mut findings = Vec::new();
    for (path, text) in files(&["Cargo.toml"]) {
        let ours = path == "Cargo.toml" || path.starts_with("crates/");
        if ours && !text.contains("[lints]\nworkspace = true") {
            findings.push(Finding {
                path,
                line: 1,
                what: "no `[lints]` with `workspace = true`".into(),
            });
        }
    }
    insist(&findings, "add the two lines at the end of the manifest.");
}

#[test]
fn every_crate_refuses_unsafe_code() {
    let mut findings = Vec::new();
    let roots = sources().into_iter().filter(|source| is_crate_root(&source.path));
    for source in roots {
        let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let excepted = UNSAFE.iter().any(|entry| entry.path.starts_with(folder));
        let denied = source.code.contains("#![deny(unsafe_code)]") && excepted;
        if !denied && !source.code.contains("#![forbid(unsafe_code)]") {
            findings.push(Finding::in_source(&source, 0, "does not refuse unsafe code"));
        }
    }
    insist(
        &findings,
        "`#![forbid(unsafe_code)]`, or `#![deny(unsafe_code)]` where the list has a file of the crate.",
    );
}

#[test]
fn every_crate_inherits_what_is_said_once() {
    let mut findings = Vec::new();
    let manifests = files(&["Cargo.toml"])
        .into_iter()
        .filter(|(path, _)| path.starts_with("crates/"));
    for (path, text) in manifests {
        for key in ["version", "edition", "license", "rust-version", "publish"] {
            if !text.contains(&format!("{key}.workspace = true")) {
                findings.push(Finding {
                    path: path.clone(),
                    line: 1,
                    what: format!("its own `{key}`"),
                });
            }
        }
        let pinned = text
            .lines()
            .enumerate()
            .filter(|(_, line)| line.contains("version = \"") || is_pin(line));
        findings.extend(pinned.map(|(at, line)| Finding {
            path: path.clone(),
            line: at + 1,
            what: line.into(),
        }));
    }
    insist(
        &findings,
        "`KEY.workspace = true`; versions of dependencies stand in the root Cargo.toml.",
    );
}

#[test]
fn every_dependency_comes_from_the_public_registry() {
    let mut findings = Vec::new();
    for (path, text) in files(&["Cargo.lock"]) {
        let foreign =
            |line: &&str| line.starts_with("source = ") && !line.contains("//github.com/rust-lang/crates.io-index");
        for (at, line) in text.lines().enumerate().filter(|(_, line)| foreign(line)) {
            findings.push(Finding {
                path: path.clone(),
                line: at + 1,
                what: line.into(),
            });
        }
    }
    insist(
        &findings,
        "anyone must be able to build this: depend on what crates.io has.",
    );
}

/// A rule of `.gitignore` that catches a source file is noticed only in the next clone, which does not build.
#[test]
fn no_source_file_is_ignored_by_git() {
    let paths = sources().into_iter().map(|source| source.path);
    let asked = Command::new("git")
        .arg("check-ignore")
        .args(paths)
        .current_dir(root())
        .output();
    // In a folder that is no clone nothing is printed; whoever unpacked it has every file anyway.
    let ignored = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let ignored = ignored.unwrap_or_default();
    let findings: Vec<Finding> = ignored
        .lines()
        .map(|path| Finding {
            path: path.to_owned(),
            line: 1,
            what: "is ignored by git".into(),
        })
        .collect();
    insist(&findings, "begin the rule in .gitignore with a slash.");
}

/// `name = "1.2"`: a version that a crate chose for itself.
fn is_pin(line: &str) -> bool {
    let value = line.split_once(" = \"").map(|(_, value)| value);
    value.is_some_and(|value| value.starts_with(|first: char| first.is_ascii_digit() || "=^~>".contains(first)))
}

fn is_crate_root(path: &str) -> bool {
    path == "src/main.rs" || path == "src/lib.rs" || (path.starts_with("crates/") && path.ends_with("/src/lib.rs"))
}
