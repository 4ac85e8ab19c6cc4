//! What is written for people: finished, and true on any machine.

use crate::exceptions::MACHINE_PATHS;
use crate::report::{Finding, insist, insist_except};
use crate::tree::files;

/// Built from halves, so that this file does not break its own rule.
const MACHINES: &[&str] = &[concat!("/wo", "rk/"), concat!("/tmp/", "bash")];

/// One person's home; in code it may stand in the example of a command.
const HOME: &str = concat!("/ro", "ot/");

/// Hosts that documents and scripts may name. A package is named by its name; where it is fetched from is
/// each machine's own business.
const HOSTS: &[&str] = &[
    "localhost",
    "127.0.0.1",
    "[::1]",
    "example.com",
    "example.org",
    "github.com",
    "docs.rs",
    "crates.io",
    "www.apache.org",
    "opensource.org",
    "www.rfc-editor.org",
    "datatracker.ietf.org",
    "keepachangelog.com",
    "semver.org",
    "bford.info",
    "lbarman.ch",
    "eprint.iacr.org",
    "www.usenix.org",
    "learn.microsoft.com",
    "rust-lang.org",
    "www.rust-lang.org",
    "brendangregg.com",
    "www.sqlite.org",
    "sqlite.org",
];

#[test]
fn documents_are_finished() {
    let words = ["TODO", "FIXME", "XXX", "TBD", "lorem ipsum"];
    let found = find(&[".md"], |line| {
        words.iter().find(|word| has_word(line, word)).map(ToString::to_string)
    });
    insist(&found, "write it, leave it out, or make it an issue.");
}

#[test]
fn no_path_of_a_machine_is_named() {
    let endings = [
        ".md",
        ".rs",
        ".toml",
        ".sh",
        ".py",
        ".sql",
        "scripts/test",
        "fuzz/run",
        ".ci/run",
    ];
    let found = find(&endings, |line| {
        MACHINES
            .iter()
            .find(|path| line.contains(**path))
            .map(ToString::to_string)
    });
    let home = find(&[".md"], |line| line.contains(HOME).then(|| HOME.to_owned()));
    insist_except(
        MACHINE_PATHS,
        found.into_iter().chain(home).collect(),
        "a path below the repository, a temporary folder, or `$HOME`.",
    );
}

#[test]
fn only_well_known_hosts_are_named() {
    let found = find(
        &[".md", ".toml", ".sh", ".py", "scripts/test", "fuzz/run", ".ci/run"],
        |line| line.split("://").skip(1).map(host).find(|host| !is_known(host)),
    );
    insist(
        &found,
        "name the package, not where a machine fetches it from; else add the host to the list here.",
    );
}

#[test]
fn hosts_and_words_are_told_apart() {
    assert_eq!(
        (host("docs.rs/tokio"), host("[::1]:8443/x"), host("a.example.org)")),
        ("docs.rs".into(), "[::1]".into(), "a.example.org".into())
    );
    assert!(is_known("vault.example.org") && is_known("HOST") && !is_known("packages.corp.net"));
    assert!(has_word("a TODO here", "TODO") && !has_word("MASTODON", "TOD"));
}

fn find(endings: &[&str], test: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in files(endings) {
        for (at, line) in text.lines().enumerate() {
            findings.extend(test(line).map(|what| Finding {
                path: path.clone(),
                line: at + 1,
                what,
            }));
        }
    }
    findings
}

fn has_word(line: &str, word: &str) -> bool {
    let outside = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    let alone = |at: usize| outside(line[..at].chars().next_back()) && outside(line[at + word.len()..].chars().next());
    line.match_indices(word).any(|(at, _)| alone(at))
}

/// The host at the beginning of what follows `://`.
fn host(rest: &str) -> String {
    let ends = |c: char| !(c.is_alphanumeric() || ".-_[]{}<>$:*".contains(c));
    let authority = &rest[..rest.find(ends).unwrap_or(rest.len())];
    let bracket = authority.find(']').map(|end| &authority[..=end]);
    bracket
        .unwrap_or_else(|| authority.split(':').next().unwrap_or(""))
        .to_owned()
}

/// A name of the list, one below an example domain, or a placeholder such as `HOST` or `your-host`.
fn is_known(host: &str) -> bool {
    let example = [
        ".example",
        ".example.com",
        ".example.org",
        ".test",
        ".internal",
        ".local",
    ];
    let placeholder = !host.contains('.') || host.contains(['{', '<', '$', '*', '…']);
    placeholder || HOSTS.contains(&host) || example.iter().any(|end| host.ends_with(end))
}
