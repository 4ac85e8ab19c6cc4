//! People beside the administrator: each with a configuration folder of their own.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::program::{Ended, run, strongroom};
use super::world::World;

/// What everybody has for a password who is given none.
pub const PASSWORD: &str = "a password of a test";

/// The names in a list.
pub fn names(list: &Value) -> Vec<&str> {
    let list = list.as_array().expect("a list").iter();
    list.map(|one| one["name"].as_str().unwrap()).collect()
}

impl World {
    /// A file with these letters in it.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, format!("{text}\n")).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A user who is signed in.
    pub fn person(&self, name: &str) {
        let file = self.file("person.password", PASSWORD);
        self.admin(&["user", "create", name, "--password-file", &file]).done();
        self.sign_in_as(name, PASSWORD).done();
    }

    pub fn sign_in_as(&self, name: &str, password: &str) -> Ended {
        let file = self.file("sign-in.password", password);
        self.login(name, &["--user", name, "--password-file", &file])
    }

    /// `strongroom login` of somebody.
    pub fn login(&self, who: &str, arguments: &[&str]) -> Ended {
        run(self.login_command(who, arguments))
    }

    pub fn login_command(&self, who: &str, arguments: &[&str]) -> Command {
        let ca = self.service.ca_file.to_str().unwrap().to_owned();
        let mut command = self.command_of(who, &["login", &self.service.url, "--ca", &ca]);
        command.args(arguments);
        command
    }

    /// A command of somebody, for programs.
    pub fn run_as(&self, who: &str, arguments: &[&str]) -> Ended {
        run(self.command_of(who, arguments))
    }

    fn command_of(&self, who: &str, arguments: &[&str]) -> Command {
        let mut command = strongroom(["--json"]);
        command.args(arguments).env("STRONGROOM_CONFIG", self.path(who));
        command
    }

    /// What a command of the administrator says to people.
    pub fn said_to_people(&self, arguments: &[&str]) -> String {
        let mut command = strongroom(arguments);
        command.env("STRONGROOM_CONFIG", self.path("administrator"));
        let ended = run(command);
        ended.with_status(0);
        assert_eq!(ended.stderr, "", "{ended}");
        ended.stdout
    }

    /// Opens a page of the service in a browser, fills its forms one after the other, and returns the last page.
    pub fn browse(&self, address: &str, forms: &[&str]) -> String {
        let mut command = Command::new("python3");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/browser.py"));
        command.arg(&self.service.ca_file).arg(address).args(forms);
        let ended = run(command);
        ended.with_status(0);
        ended.stdout
    }
}
