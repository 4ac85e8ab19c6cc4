//! Whatever parses bytes from elsewhere has a fuzz target.

use crate::report::{Finding, insist};
use crate::source::Source;
use crate::tree::{files, sources};

const MANIFEST: &str = "fuzz/Cargo.toml";

#[test]
fn fuzz_targets_and_their_manifest_agree() {
    let manifest = files(&[MANIFEST]).into_iter().find(|(path, _)| path == MANIFEST);
    let (_, manifest) = manifest.expect("fuzz/Cargo.toml lists the fuzz targets");
    let listed: Vec<(usize, String)> = manifest
        .lines()
        .enumerate()
        .filter_map(|(at, line)| {
            Some((
                at + 1,
                format!("fuzz/{}", line.strip_prefix("path = \"")?.trim_end_matches('"')),
            ))
        })
        .collect();
    let present: Vec<Source> = targets();
    let mut findings = Vec::new();
    for (line, path) in listed
        .iter()
        .filter(|(_, path)| !present.iter().any(|target| target.path == *path))
    {
        findings.push(Finding {
            path: MANIFEST.into(),
            line: *line,
            what: format!("{path} does not exist"),
        });
    }
    for target in present
        .iter()
        .filter(|target| !listed.iter().any(|(_, path)| *path == target.path))
    {
        findings.push(Finding::in_source(target, 0, "is not listed in fuzz/Cargo.toml"));
    }
    insist(
        &findings,
        "give each target a [[bin]] with its path in fuzz/Cargo.toml.",
    );
}

#[test]
fn every_parser_of_format_is_fuzzed() {
    let targets = targets();
    let mut findings = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| source.path.starts_with("crates/format/src/"))
    {
        let fuzzed = |parser: &str| targets.iter().any(|target| !target.find(parser).is_empty());
        for (offset, parser) in parsers(source).into_iter().filter(|(_, parser)| !fuzzed(parser)) {
            findings.push(Finding::in_source(
                source,
                offset,
                &format!("no fuzz target calls `{parser}`"),
            ));
        }
    }
    insist(
        &findings,
        "call it from a target in fuzz/fuzz_targets, and seed that target's corpus with real objects.",
    );
}

#[test]
fn parsers_are_found_by_name() {
    let code = "pub fn parse_toc() {}\nimpl Point {\n    pub fn decode(b: &[u8]) {}\n    fn parse_inner() {}\n}\n";
    let source = Source::parse("crates/format/src/a.rs".into(), code.into());
    let names: Vec<String> = parsers(&source).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["parse_toc", "Point::decode"]);
}

fn targets() -> Vec<Source> {
    sources()
        .into_iter()
        .filter(|source| source.path.starts_with("fuzz/fuzz_targets/"))
        .collect()
}

/// Public functions that take bytes apart: `parse_x`, or `decode` and `parse` with the type they belong to.
fn parsers(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (offset, line) in source.code.match_indices("pub fn ") {
        let rest = &source.code[offset + line.len()..];
        let name = &rest[..rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len())];
        let parses = ["parse", "decode"]
            .iter()
            .any(|verb| name == *verb || name.starts_with(&format!("{verb}_")));
        if parses && !source.is_test(offset) {
            found.push((offset, full_name(&source.code[..offset], name)));
        }
    }
    found
}

/// `Type::name` for a method, by the nearest `impl` above if the line is indented.
fn full_name(before: &str, name: &str) -> String {
    let indented = before.ends_with("    ");
    let header = before
        .lines()
        .rev()
        .find(|line| line.starts_with("impl"))
        .filter(|_| indented);
    let of = header.and_then(|header| header.trim_end_matches(['{', ' ']).rsplit(' ').next());
    let plain = |of: &str| of.split('<').next().unwrap_or(of).to_owned();
    of.map_or_else(|| name.to_owned(), |of| format!("{}::{name}", plain(of)))
}
