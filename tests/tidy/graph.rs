//! Who may depend on whom.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::report::{Finding, insist};
use crate::tree::{files, root};

/// Where the table of crates stands: name, what it is, what it may depend on.
const TABLE: &str = "ARCHITECTURE.md";

/// What the service is made of. None of it may reach a key.
const WITHOUT_KEYS: &[&str] = &["service", "vault", "db", "store", "api", "model", "format"];

type Graph = BTreeMap<String, BTreeSet<String>>;

#[test]
fn a_crate_depends_only_on_what_the_table_allows() {
    let allowed = table();
    let mut findings = Vec::new();
    for (name, dependencies) in graph() {
        let Some(allowed) = allowed.get(&name) else {
            findings.push(finding(&name, &format!("is not in the table of {TABLE}")));
            continue;
        };
        let others = dependencies.difference(allowed);
        findings.extend(others.map(|dependency| finding(&name, &format!("depends on {dependency}"))));
    }
    let instead = "pass the value in, or move the noun to the crate that owns it; a new edge is a decision: \
                   write it into docs/decisions and the table of ARCHITECTURE.md.";
    insist(&findings, instead);
}

#[test]
fn nothing_the_service_links_can_reach_a_key() {
    let graph = graph();
    let mut findings = Vec::new();
    for start in WITHOUT_KEYS {
        if let Some(path) = path_to(&graph, start, "seal") {
            findings.push(finding(start, &format!("reaches seal by {}", path.join(" → "))));
        }
    }
    insist(
        &findings,
        "only clients (engine, agent, the command line) may open what a vault keeps.",
    );
}

#[test]
fn a_path_is_found_through_another_crate() {
    let edge = |to: &str| BTreeSet::from([to.to_owned()]);
    let graph = Graph::from([("a".to_owned(), edge("b")), ("b".to_owned(), edge("c"))]);
    assert_eq!(
        path_to(&graph, "a", "c"),
        Some(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()])
    );
    assert_eq!(path_to(&graph, "c", "a"), None);
}

fn finding(name: &str, what: &str) -> Finding {
    Finding {
        path: format!("crates/{name}/Cargo.toml"),
        line: 1,
        what: format!("{name} {what}"),
    }
}

fn path_to(graph: &Graph, from: &str, to: &str) -> Option<Vec<String>> {
    if from == to {
        return Some(vec![to.to_owned()]);
    }
    let mut path = graph.get(from)?.iter().find_map(|next| path_to(graph, next, to))?;
    path.insert(0, from.to_owned());
    Some(path)
}

/// Each crate with the crates of ours it needs to be built, on any platform and with any feature.
///
/// Crates from outside are left out: none of them can depend on ours. Tests may use what they like.
fn graph() -> Graph {
    let mut graph = Graph::new();
    for package in metadata()["packages"].as_array().expect("metadata lists packages") {
        let Some(name) = ours(&package["name"]) else { continue };
        let needed = package["dependencies"]
            .as_array()
            .expect("a package lists its dependencies");
        let needed = needed.iter().filter(|dependency| dependency["kind"] != "dev");
        graph.insert(
            name,
            needed.filter_map(|dependency| ours(&dependency["name"])).collect(),
        );
    }
    graph
}

/// The rows of the table that name a crate; the one of the root, which may use all, is not among them.
fn table() -> Graph {
    let (_, text) = files(&[TABLE])
        .into_iter()
        .find(|(path, _)| path == TABLE)
        .expect("the code map exists");
    let names = |cell: &str| {
        cell.trim()
            .trim_matches(['`', '–'])
            .split(' ')
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mut table = Graph::new();
    for row in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        if let [name, _, allowed] = cells[..] {
            let allowed = names(allowed).into_iter().filter(|name| !name.is_empty());
            table.insert(names(name).concat(), allowed.collect());
        }
    }
    table
}

fn ours(name: &Value) -> Option<String> {
    Some(name.as_str()?.strip_prefix("strongroom-")?.to_owned())
}

fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--format-version=1", "--no-deps", "--offline"];
    let output = Command::new(cargo).args(arguments).current_dir(root()).output();
    let output = output.expect("cargo can be run");
    assert!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}
