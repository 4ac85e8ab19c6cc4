//! A real guest under a real QEMU, in a temporary folder: two disks, a monitor for the product and one for the test, the
//! agent's socket, and a shell on the serial line.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_hypervisor::snapshot::{Base, Consistency, Limits, Places, PointId, Request};
use strongroom_hypervisor::{Description, FreezeState, GuestAgent, Monitor};
use tempfile::TempDir;
use uuid::Uuid;

/// An emulated guest on a busy machine needs a minute to boot.
const PATIENCE: Duration = Duration::from_secs(180);

/// How the guest has its second disk.
#[derive(Clone, Copy, PartialEq)]
pub enum Data {
    Qcow2,
    Raw,
    /// Served by a thread of its own.
    IoThread,
    /// On a SCSI bus.
    Scsi,
    /// On a SCSI bus that is served by a thread of its own.
    ScsiIoThread,
}

pub struct Guest {
    pub folder: TempDir,
    data: Data,
    qemu: Child,
    console: UnixStream,
    heard: String,
    asked: u32,
}

impl Guest {
    /// A new guest that runs.
    pub fn new(data: Data) -> Self {
        let folder = tempfile::Builder::new().prefix("g").tempdir().unwrap();
        make_disks(folder.path(), data);
        Self::boot(folder, data)
    }

    /// A guest of two disks that were made elsewhere.
    pub fn of_disks(system: &Path, data: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("g").tempdir().unwrap();
        fs::copy(system, folder.path().join("d0.qcow2")).unwrap();
        fs::copy(data, folder.path().join("d1.qcow2")).unwrap();
        Self::boot(folder, Data::Qcow2)
    }

    fn boot(folder: TempDir, data: Data) -> Self {
        let qemu = start(folder.path(), data);
        let console = connect(&folder.path().join("console"));
        let mut guest = Self {
            folder,
            data,
            qemu,
            console,
            heard: String::new(),
            asked: 0,
        };
        guest.hear(|heard| heard.contains("GUEST-READY").then_some(()));
        guest
    }

    /// Power is lost, and comes back.
    pub fn lose_power(mut self) -> Self {
        self.kill();
        let (folder, data) = self.into_parts();
        Self::boot(folder, data)
    }

    /// Starts a guest that was shut down.
    pub fn switch_on(self) -> Self {
        let (folder, data) = self.into_parts();
        Self::boot(folder, data)
    }

    /// Shuts the guest down, and starts it again.
    pub async fn restart(mut self) -> Self {
        self.shut_down().await;
        self.switch_on()
    }

    pub async fn shut_down(&mut self) {
        GuestAgent::new(&self.path("agent")).shut_down().await.unwrap();
        self.qemu.wait().unwrap();
    }

    pub fn kill(&mut self) {
        self.qemu.kill().unwrap();
        self.qemu.wait().unwrap();
    }

    fn into_parts(mut self) -> (TempDir, Data) {
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        (folder, self.data)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a line in the guest's shell, and returns what it prints. It has to succeed.
    pub fn run(&mut self, line: &str) -> String {
        self.begin(line);
        self.end()
    }

    /// Runs a line of which the end is waited for later.
    pub fn begin(&mut self, line: &str) {
        self.asked += 1;
        self.heard.clear();
        let line = format!("{{ {line}; }} 2>&1; echo \"END-{}-$?-\"\n", self.asked);
        self.console.write_all(line.as_bytes()).unwrap();
    }

    pub fn end(&mut self) -> String {
        let mark = format!("END-{}-", self.asked);
        let (said, status) = self.hear(|heard| {
            let (said, after) = heard.rsplit_once(&mark)?;
            let (status, _) = after.split_once('-')?;
            status.parse::<i32>().ok().map(|status| (said.to_owned(), status))
        });
        assert_eq!(status, 0, "the guest said: {said}");
        said.replace('\r', "")
    }

    fn hear<T>(&mut self, wanted: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut buffer = [0; 4096];
        loop {
            if let Some(found) = wanted(&self.heard) {
                return found;
            }
            assert!(Instant::now() < deadline, "the guest only said: {}", self.heard);
            match self.console.read(&mut buffer) {
                Ok(0) => panic!("QEMU ended: {}", fs::read_to_string(self.path("qemu.log")).unwrap()),
                Ok(length) => self.heard.push_str(&String::from_utf8_lossy(&buffer[..length])),
                // The limit of one read.
                Err(_) => {}
            }
        }
    }

    /// Waits until the agent answers.
    pub async fn agent(&self) -> GuestAgent {
        let mut agent = GuestAgent::new(&self.path("agent"));
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = agent.ping(Duration::from_secs(5)).await {
            assert!(Instant::now() < deadline, "{error}");
            tokio::task::yield_now().await;
        }
        agent
    }

    /// The test's own monitor.
    pub async fn monitor(&self) -> Monitor {
        Monitor::connect(&self.path("operator")).await.unwrap()
    }

    /// The monitor that is the product's.
    pub async fn monitor_of_the_product(&self) -> Monitor {
        Monitor::connect(&self.path("qmp")).await.unwrap()
    }

    pub async fn qmp(&self, command: &str, arguments: Value) -> Value {
        let answer = self.monitor().await.command(command, arguments, PATIENCE).await;
        answer.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    pub fn description(&self) -> Description {
        let text = format!(
            "name = 'guest'\nqmp = '{}'\nagent = '{}'\n",
            self.path("qmp").display(),
            self.path("agent").display()
        );
        toml::from_str(&text).unwrap()
    }

    pub fn places(&self) -> Places {
        Places {
            state: self.path("state"),
            points: self.path("points"),
        }
    }

    /// All bitmaps of the second disk that have a name.
    pub async fn bitmaps(&self) -> Vec<String> {
        let nodes = self.qmp("query-named-block-nodes", json!({"flat": true})).await;
        let disk = nodes
            .as_array()
            .unwrap()
            .iter()
            .find(|node| node["node-name"] == "d1")
            .unwrap();
        let bitmaps = disk["dirty-bitmaps"].as_array().cloned().unwrap_or_default();
        let names = bitmaps
            .iter()
            .filter_map(|bitmap| bitmap["name"].as_str().map(str::to_owned));
        names.collect()
    }

    /// Nothing of ours is left but these bitmaps, and the guest lives and takes writes.
    pub async fn assert_clean(&mut self, bitmaps: &[String]) {
        assert_eq!(self.qmp("query-status", json!({})).await["status"], "running");
        assert_eq!(self.qmp("query-jobs", json!({})).await, json!([]));
        assert_eq!(self.qmp("query-block-exports", json!({})).await, json!([]));
        let nodes = self.qmp("query-named-block-nodes", json!({"flat": true})).await;
        for node in nodes.as_array().unwrap() {
            assert!(!node["node-name"].as_str().unwrap().starts_with("ob-"), "{node}");
        }
        let mut found = self.bitmaps().await;
        found.sort();
        let mut expected = bitmaps.to_vec();
        expected.sort();
        assert_eq!(found, expected);
        let left = |folder: &str| -> Vec<PathBuf> {
            let entries = fs::read_dir(self.path(folder)).into_iter().flatten();
            let paths = entries.map(|entry| entry.unwrap().path());
            paths
                .filter(|path| path.extension().is_none_or(|extension| extension != "lock"))
                .collect()
        };
        assert_eq!((left("points"), left("state")), (vec![], vec![]));
        self.run("date >/data/alive; date >/root/alive; sync");
    }

    pub async fn assert_thawed(&self) {
        let state = self.agent().await.freeze_state(PATIENCE).await.unwrap();
        assert_eq!(state, FreezeState::Thawed);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// A point of all that is possible.
pub fn request(base: Option<Base>) -> Request {
    Request {
        point: PointId::new(Uuid::new_v4()),
        wanted: Consistency::FileSystem,
        insist: false,
        excluded: Default::default(),
        base,
        limits: Limits::default(),
    }
}

/// Runs a program, which has to succeed, and returns what it prints.
pub fn tool(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {complaints}");
    String::from_utf8(output.stdout).unwrap()
}

fn make_disks(folder: &Path, data: Data) {
    // The tests of the whole use this too.
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let script = above
        .map(|folder| folder.join("scripts/test-guest"))
        .find(|script| script.exists());
    let system = tool(script.unwrap().to_str().unwrap(), &[]);
    let path = |name: &str| folder.join(name).display().to_string();
    tool(
        "qemu-img",
        &[
            "create",
            "-q",
            "-f",
            "qcow2",
            "-b",
            system.trim(),
            "-F",
            "qcow2",
            &path("d0.qcow2"),
        ],
    );
    tool("mke2fs", &["-q", "-F", "-t", "ext4", &path("d1.raw"), "128M"]);
    if data != Data::Raw {
        tool(
            "qemu-img",
            &[
                "convert",
                "-f",
                "raw",
                "-O",
                "qcow2",
                &path("d1.raw"),
                &path("d1.qcow2"),
            ],
        );
        fs::remove_file(folder.join("d1.raw")).unwrap();
    }
}

fn start(folder: &Path, data: Data) -> Child {
    let path = |name: &str| folder.join(name).display().to_string();
    let socket = |name: &str| format!("unix:{},server=on,wait=off", path(name));
    let chardev = |name: &str| format!("socket,id={name},path={},server=on,wait=off", path(name));
    let disk = |node: &str, format: &str| {
        format!(
            "driver={format},node-name={node},discard=unmap,file.driver=file,file.filename={}",
            path(&format!("{node}.{format}"))
        )
    };
    let data_format = if data == Data::Raw { "raw" } else { "qcow2" };
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(
        "-accel tcg -machine q35 -cpu max -m 256 -nodefaults -no-user-config -display none -no-reboot".split(' '),
    );
    qemu.args(["-uuid", "8a2dfd4c-8b0f-4b5b-9f2e-5f3a3c1c7b11"]);
    qemu.args(["-qmp", &socket("qmp"), "-qmp", &socket("operator")]);
    qemu.args(["-chardev", &chardev("agent"), "-device", "virtio-serial-pci"]);
    qemu.args(["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"]);
    qemu.args(["-chardev", &chardev("console"), "-serial", "chardev:console"]);
    qemu.args(["-drive", "if=ide,media=cdrom,id=cd"]);
    qemu.args([
        "-blockdev",
        &disk("d0", "qcow2"),
        "-device",
        "virtio-blk-pci,drive=d0,id=disk0,bootindex=0",
    ]);
    qemu.args(["-blockdev", &disk("d1", data_format)]);
    qemu.args(match data {
        Data::Qcow2 | Data::Raw => vec!["-device", "virtio-blk-pci,drive=d1,id=disk1"],
        Data::IoThread => vec![
            "-object",
            "iothread,id=t",
            "-device",
            "virtio-blk-pci,drive=d1,id=disk1,iothread=t",
        ],
        Data::Scsi => vec![
            "-device",
            "virtio-scsi-pci,id=bus",
            "-device",
            "scsi-hd,drive=d1,id=disk1",
        ],
        Data::ScsiIoThread => vec![
            "-object",
            "iothread,id=t",
            "-device",
            "virtio-scsi-pci,id=bus,iothread=t",
            "-device",
            "scsi-hd,drive=d1,id=disk1",
        ],
    });
    let log = fs::File::create(folder.join("qemu.log")).unwrap();
    qemu.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    qemu.spawn().unwrap()
}

fn connect(path: &Path) -> UnixStream {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match UnixStream::connect(path) {
            Ok(console) => {
                console.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
                return console;
            }
            // QEMU makes its sockets one after the other; there is no event to wait for.
            Err(error) if Instant::now() < deadline => drop((error, sleep(Duration::from_millis(10)))),
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
}
