//! What a rule found, and how it says so: `file:line: what`, then what to do instead.

use crate::source::Source;
use crate::tree::sources;

/// One place that breaks a rule.
pub struct Finding {
    /// Relative to the root of the project.
    pub path: String,
    pub line: usize,
    pub what: String,
}

impl Finding {
    pub fn in_source(source: &Source, offset: usize, what: &str) -> Finding {
        Finding {
            path: source.path.clone(),
            line: source.line(offset),
            what: what.to_owned(),
        }
    }
}

/// A file that may break a rule, and why. Such lists should only ever shrink.
pub struct Exception {
    /// Relative to the root of the project.
    pub path: &'static str,
    pub reason: &'static str,
}

/// Short for an [`Exception`], so that a list of them reads as a table.
pub const fn may(path: &'static str, reason: &'static str) -> Exception {
    Exception { path, reason }
}

/// Each line of the project's code with one of these words, where `counts` agrees; this test itself left out.
pub fn find(words: &[&str], counts: impl Fn(&Source, usize) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| !source.path.starts_with("tests/tidy/"))
    {
        for word in words {
            let found = source.find(word).into_iter().filter(|offset| counts(source, *offset));
            findings.extend(found.map(|offset| Finding::in_source(source, offset, word)));
        }
    }
    findings
}

/// Fails with every finding, one a line.
#[track_caller]
pub fn insist(findings: &[Finding], instead: &str) {
    let mut lines: Vec<String> = Vec::new();
    for Finding { path, line, what } in findings {
        lines.push(format!("{path}:{line}: {what}"));
    }
    assert!(lines.is_empty(), "\n{}\n\nInstead: {instead}\n", lines.join("\n"));
}

/// Like [`insist`], but for what happens in a listed file; an entry that is no longer needed fails too.
#[track_caller]
pub fn insist_except(allowed: &[Exception], found: Vec<Finding>, instead: &str) {
    let stale = allowed
        .iter()
        .filter(|entry| !found.iter().any(|finding| finding.path == entry.path));
    let stale: Vec<&str> = stale.map(|entry| entry.path).collect();
    assert!(
        stale.is_empty(),
        "\nNo longer needed, take them off the list: {stale:?}\n"
    );
    assert!(
        allowed.iter().all(|entry| !entry.reason.is_empty()),
        "an exception needs a reason"
    );
    let listed = |finding: &Finding| allowed.iter().any(|entry| entry.path == finding.path);
    let rest: Vec<Finding> = found.into_iter().filter(|finding| !listed(finding)).collect();
    insist(&rest, instead);
}
