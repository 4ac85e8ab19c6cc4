//! A registered machine: a state folder, and commands in its name.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::program::{Ended, run, strongroom};

pub struct Machine {
    pub name: String,
    pub state: PathBuf,
}

impl Machine {
    /// A command of this machine, for programs.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = strongroom(["--json", "--state"]);
        command.arg(&self.state).args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        run(self.command(arguments))
    }

    pub fn backup_command(&self, source: &Path) -> Command {
        let mut command = self.command(&["backup"]);
        command.arg(source);
        command
    }

    pub fn restore_command(&self, point: &str, target: &Path) -> Command {
        let mut command = self.command(&["restore", point, "--to"]);
        command.arg(target);
        command
    }

    /// A backup that must succeed.
    #[track_caller]
    pub fn back_up(&self, source: &Path) -> Value {
        run(self.backup_command(source)).done()
    }

    /// A restore that must succeed. Returns where `source` lies now.
    #[track_caller]
    pub fn restore(&self, point: &str, source: &Path, target: &Path) -> PathBuf {
        run(self.restore_command(point, target)).done();
        restored(target, source)
    }

    /// The ids of its recovery points, oldest first.
    #[track_caller]
    pub fn points(&self) -> Vec<String> {
        ids(&self.run(&["points"]).done()["points"])
    }
}

/// Where a restore to `target` puts what was at `source`.
pub fn restored(target: &Path, source: &Path) -> PathBuf {
    let mut path = OsString::from(target);
    path.push(source);
    path.into()
}

/// The ids in a list of recovery points.
pub fn ids(points: &Value) -> Vec<String> {
    let points = points.as_array().expect("a list").iter();
    points.map(|point| point["id"].as_str().unwrap().to_owned()).collect()
}
