//! What a backup says of how it read its volumes, and what it notes of snapshots.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::common::machine::Machine;
use crate::common::program::{Running, wait_for};

/// How a backup says that it read the volume at a path, and why not from a snapshot.
#[track_caller]
pub fn reading<'a>(report: &'a Value, path: &Path) -> (&'a str, &'a str) {
    let volumes = report["volumes"].as_array().unwrap();
    let volume = volumes.iter().find(|volume| volume["path"] == path.to_str().unwrap());
    let volume = volume.unwrap_or_else(|| panic!("{} is not told: {report}", path.display()));
    let why = volume["why"].as_str().unwrap_or_default();
    (volume["consistency"].as_str().unwrap(), why)
}

/// The snapshots that a machine has noted.
pub fn noted(machine: &Machine) -> String {
    fs::read_to_string(machine.state.join("snapshots.json")).unwrap()
}

/// Begins a backup of a source that takes a while, and waits until there is a snapshot.
pub fn begin_slow(machine: &Machine, source: &Path, snapshots: impl Fn() -> Vec<String>) -> Running {
    let mut command = machine.backup_command(source);
    command.args(["--force-rehash", "--limit-upload", "8mbit"]);
    let running = Running::start(command);
    wait_for("a snapshot", || (!snapshots().is_empty()).then_some(()));
    running
}
