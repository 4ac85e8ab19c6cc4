//! A service with a vault, and whoever uses it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::machine::Machine;
use super::program::{Ended, run, strongroom};
use super::service::Service;

/// The passphrase of all machines that are given none.
pub const PASSPHRASE: &str = "correct horse battery staple";

pub struct World {
    // First, so that it is stopped before its folder goes.
    pub service: Service,
    folder: TempDir,
}

impl World {
    /// A service in a fresh folder, an administrator who is signed in, and the vault `main`.
    pub fn new() -> Self {
        let folder = TempDir::with_prefix("strongroom-test-").unwrap();
        let service = Service::start(&folder.path().join("data"));
        Self::with(folder, service)
    }

    /// A world in this folder, with a service that was just started for the first time.
    pub fn with(folder: TempDir, service: Service) -> Self {
        let world = Self { service, folder };
        world.sign_in().done();
        world.admin(&["vault", "create", "main"]).done();
        world
    }

    /// A path in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A new empty folder.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    pub fn sign_in(&self) -> Ended {
        let mut command = self.admin_command(&["login", &self.service.url, "--ca"]);
        command
            .arg(&self.service.ca_file)
            .arg("--password-file")
            .arg(&self.service.password_file);
        run(command)
    }

    pub fn admin(&self, arguments: &[&str]) -> Ended {
        run(self.admin_command(arguments))
    }

    pub fn admin_command(&self, arguments: &[&str]) -> Command {
        let mut command = strongroom(["--json"]);
        command
            .args(arguments)
            .env("STRONGROOM_CONFIG", self.path("administrator"));
        command
    }

    /// A new vault credentials file.
    pub fn credentials(&self) -> PathBuf {
        let number = fs::read_dir(self.folder.path()).unwrap().count();
        let file = self.path(&format!("credentials-{number}"));
        self.admin(&["vault", "credentials", "main", "--output", file.to_str().unwrap()])
            .done();
        file
    }

    pub fn passphrase_file(&self, name: &str, passphrase: &str) -> PathBuf {
        let file = self.path(&format!("{name}.passphrase"));
        fs::write(&file, format!("{passphrase}\n")).unwrap();
        file
    }

    /// Registers a machine with the usual passphrase.
    pub fn machine(&self, name: &str) -> Machine {
        self.machine_with(name, PASSPHRASE)
    }

    pub fn machine_with(&self, name: &str, passphrase: &str) -> Machine {
        let file = self.passphrase_file(name, passphrase);
        let machine = Machine {
            name: name.to_owned(),
            state: self.path(&format!("{name}.state")),
        };
        self.register(&machine, &self.credentials(), &file).done();
        machine
    }

    pub fn register(&self, machine: &Machine, credentials: &Path, passphrase: &Path) -> Ended {
        let mut command = machine.command(&["agent", "register", "--name", &machine.name, "--credentials"]);
        command.arg(credentials).arg("--passphrase-file").arg(passphrase);
        run(command)
    }

    /// `strongroom rescue` from a store.
    pub fn rescue(&self, store: &Path, passphrase: &str, arguments: &[&str]) -> Ended {
        let mut command = strongroom(["rescue", "--json", "--store"]);
        command
            .arg(store)
            .arg("--passphrase-file")
            .arg(self.passphrase_file("rescue", passphrase));
        command.args(arguments);
        run(command)
    }
}
