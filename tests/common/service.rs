//! A service in a process of its own.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::program::{strongroom, wait_for};

/// A service that runs, or that was stopped and can be started again at the same address.
pub struct Service {
    pub data: PathBuf,
    pub url: String,
    pub ca_file: PathBuf,
    pub password_file: PathBuf,
    log: PathBuf,
    pub listen: String,
    /// The address of its database, if that is not the one in the data folder.
    database: Option<String>,
    process: Option<Child>,
}

impl Service {
    /// The first start, with the data folder `data` and a log beside it.
    pub fn start(data: &Path) -> Self {
        Self::start_at(data, own_address())
    }

    /// The first start, at this address.
    pub fn start_at(data: &Path, listen: String) -> Self {
        let mut service = Self {
            data: data.to_owned(),
            url: String::new(),
            ca_file: data.join("tls/ca.pem"),
            password_file: data.join("admin-password"),
            log: data.with_extension("log"),
            listen,
            database: new_database(),
            process: None,
        };
        service.start_again();
        service
    }

    /// Starts it at the address where it was.
    pub fn start_again(&mut self) {
        self.start_as(|_| ());
    }

    /// Starts it, after `change` has changed how.
    pub fn start_as(&mut self, change: impl FnOnce(&mut Command)) {
        assert!(self.process.is_none(), "it runs already");
        let log = OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        let mut command = strongroom(["serve", "--json", "-vv", "--listen", &self.listen, "--data"]);
        command
            .arg(&self.data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .envs(self.database.iter().map(|address| ("STRONGROOM_DATABASE", address)));
        change(&mut command);
        let mut process = command.spawn().unwrap();
        let stdout = process.stdout.take().expect("it is piped");
        self.process = Some(process);
        let announced = serde_json::Deserializer::from_reader(stdout)
            .into_iter::<Value>()
            .next();
        let announced = announced.unwrap_or_else(|| panic!("the service did not start:\n{}", self.log()));
        let announced = announced.unwrap();
        self.url = announced["url"].as_str().unwrap().to_owned();
        self.listen = announced["address"].as_str().unwrap().to_owned();
    }

    /// One more node of the same service: the same data folder and database, another address.
    pub fn another_node(&self) -> Self {
        let mut node = Self {
            data: self.data.clone(),
            url: String::new(),
            ca_file: self.ca_file.clone(),
            password_file: self.password_file.clone(),
            log: self.log.with_extension("second.log"),
            listen: own_address(),
            database: self.database.clone(),
            process: None,
        };
        node.start_again();
        node
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Stops it in good order.
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("it runs");
        kill_process(Pid::from_child(&process), Signal::TERM).unwrap();
        let status = wait_for("the service to stop", || process.try_wait().unwrap());
        assert!(status.success(), "{status}:\n{}", self.log());
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// The folder of the only vault's objects.
    pub fn vault_folder(&self) -> PathBuf {
        let mut folders = fs::read_dir(self.data.join("objects/local")).unwrap();
        let folder = folders.next().expect("there is a vault").unwrap().path();
        assert!(folders.next().is_none(), "there are several vaults");
        folder
    }

    /// All objects of the only vault: key and file, by key.
    pub fn objects(&self) -> Vec<(String, PathBuf)> {
        let folder = self.vault_folder();
        let mut objects = Vec::new();
        for file in files_below(&folder) {
            let key = file.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
            if !key.starts_with("tmp/") {
                objects.push((key, file));
            }
        }
        objects.sort();
        objects
    }

    pub fn packs(&self) -> Vec<PathBuf> {
        let objects = self.objects().into_iter();
        objects
            .filter(|(key, _)| key.starts_with("packs/"))
            .map(|(_, file)| file)
            .collect()
    }

    /// Files that a write left behind unfinished.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let mut files = files_below(&self.vault_folder().join("tmp"));
        files.retain(|file| !file.ends_with(".lock"));
        files
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            println!(
                "the end of the service's log:\n{}",
                lines[lines.len().saturating_sub(30)..].join("\n")
            );
        }
    }
}

/// A new database on the PostgreSQL of `./scripts/test`, when the tests run on that.
fn new_database() -> Option<String> {
    std::env::var_os("STRONGROOM_TEST_DATABASE")?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/postgres");
    let output = Command::new(script).arg("database").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
}

pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(files_below(&path)),
            false => files.push(path),
        }
    }
    files
}

/// Any port of an address that no other test uses: a service that is killed finds it free when it comes back, as
/// connections that others open leave from 127.0.0.1.
fn own_address() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = (std::process::id() << 2) | (COUNT.fetch_add(1, Ordering::Relaxed) & 3);
    let [_, a, b, c] = number.to_be_bytes();
    format!("127.{}.{b}.{c}:0", 64 | (a & 63))
}
