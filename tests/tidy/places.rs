//! What may be done only in certain places: reading a clock, opening a file, speaking SQL, `unsafe`.

use crate::exceptions::{FILE_SYSTEM, UNSAFE, WALL_CLOCK};
use crate::report::{Finding, find, insist, insist_except};
use crate::source::Source;
use crate::tree::sources;

/// Ways to read the time of day. `Uuid::now_v7` is one: its first 48 bits are the time.
const WALL_CLOCKS: &[&str] = &[
    "SystemTime::now",
    "Timestamp::now",
    "Zoned::now",
    "Utc::now",
    "Local::now",
    "OffsetDateTime::now_utc",
    "now_v7",
    "clock_gettime",
];

const INPUT_AND_OUTPUT: &[&str] = &[
    "std::fs",
    "std::io",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "tokio",
    "rustix",
    "SystemTime",
    "Instant",
];

/// Crates whose business is to run things, and who may therefore measure how long they take.
const MEASURING: &[&str] = &[
    "crates/api/src/client/pace.rs",
    "crates/engine/",
    "crates/agent/",
    "crates/hypervisor/",
    "crates/mount/",
    "crates/service/",
    "src/",
];

const FILES: &[&str] = &[
    "std::fs",
    "tokio::fs",
    "rustix::fs",
    "File::open",
    "File::create",
    "OpenOptions",
    "memmap2",
    "tempfile",
];

#[test]
fn model_and_format_do_no_input_or_output_and_read_no_clock() {
    let pure = |source: &Source| in_folders(source, &["crates/model/src/", "crates/format/src/"]);
    let findings = find(INPUT_AND_OUTPUT, |source, offset| {
        pure(source) && !source.is_test(offset)
    });
    insist(
        &findings,
        "take bytes and give bytes back; the caller reads, writes and knows the time.",
    );
}

#[test]
fn the_time_of_day_comes_from_one_clock() {
    let findings = find(WALL_CLOCKS, |_, _| true);
    insist_except(
        WALL_CLOCK,
        findings,
        "take a `strongroom_model::Clock`; the real one is made in src/clock.rs.",
    );
}

#[test]
fn durations_are_measured_only_where_things_are_run() {
    let findings = find(&["Instant::now"], |source, offset| {
        !source.is_test(offset) && !in_folders(source, MEASURING)
    });
    insist(
        &findings,
        "let the caller measure; a rule about time takes a `strongroom_model::Clock`.",
    );
}

#[test]
fn only_db_contains_sql() {
    let mut findings = find(&["sqlx", "rusqlite"], |source, _| {
        !in_folders(source, &["crates/db/", "tests/"])
    });
    for source in sources()
        .iter()
        .filter(|source| !in_folders(source, &["crates/db/", "tests/tidy/"]))
    {
        for (offset, literal) in source.literals.iter().filter(|(_, literal)| is_sql(literal)) {
            findings.push(Finding::in_source(source, *offset, &format!("SQL: {literal:.40}")));
        }
    }
    insist(
        &findings,
        "give crates/db a function with a name from the model, and call that.",
    );
}

#[test]
fn files_are_opened_only_in_listed_places() {
    let findings = find(FILES, |source, offset| !source.is_test(offset));
    let instead = "go through `store` (the vault's side), `sources` (what is backed up) or the module that \
                   keeps this crate's state; a new place is a decision.";
    insist_except(FILE_SYSTEM, findings, instead);
}

#[test]
fn unsafe_code_is_listed() {
    let findings = find(&["unsafe"], |_, _| true);
    insist_except(UNSAFE, findings, "find a safe way, or a crate that has done it.");
}

#[test]
fn unsafe_code_says_why_it_is_sound() {
    let explained = |source: &Source, offset: usize| {
        let line = source.line(offset);
        source
            .text
            .lines()
            .take(line)
            .skip(line.saturating_sub(8))
            .any(|line| line.contains("SAFETY:"))
    };
    let findings = find(&["unsafe {", "unsafe impl"], |source, offset| {
        !explained(source, offset)
    });
    insist(
        &findings,
        "write a comment `// SAFETY: …` above it: which promise is kept, and by what.",
    );
}

#[test]
fn sql_is_told_from_english() {
    let sql = [
        "select a, b from t",
        "  INSERT INTO t",
        "delete from t where a",
        "update t set a = 1",
        "create table t (",
    ];
    assert!(sql.iter().all(|text| is_sql(text)));
    let english = [
        "Select a vault.",
        "delete the vault",
        "update of the agent",
        "create a vault",
        "inserted",
    ];
    assert!(!english.iter().any(|text| is_sql(text)));
}

/// Whether a literal begins a statement: its verb, and the word that English would not put there.
fn is_sql(literal: &str) -> bool {
    let text = literal.trim_start().replace("\\n", " ").to_lowercase();
    let (verb, rest) = text.split_once(char::is_whitespace).unwrap_or((&text, ""));
    let mut words = rest.split_whitespace();
    match verb {
        "select" => words.any(|word| word == "from"),
        "update" => words.nth(1) == Some("set"),
        "insert" => matches!(words.next(), Some("into" | "or")),
        "delete" => words.next() == Some("from") && words.next().is_some_and(|word| word != "the"),
        "create" | "drop" | "alter" => matches!(words.next(), Some("table" | "index" | "unique" | "trigger" | "view")),
        "pragma" => true,
        _ => false,
    }
}

fn in_folders(source: &Source, folders: &[&str]) -> bool {
    folders.iter().any(|folder| source.path.starts_with(folder))
}
