//! Programs that others have written.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use super::LIMIT;

/// A server that listens at a socket, and is killed when this goes.
pub struct Served {
    pub socket: PathBuf,
    child: Child,
}

impl Served {
    /// `qemu-nbd`, for reading only, with these arguments; the last one is the image.
    pub async fn by_qemu(folder: &Path, arguments: &[&str]) -> Self {
        let socket = folder.join("qemu.sock");
        let mut command = Command::new("qemu-nbd");
        command.args(["--read-only", "--persistent", "--shared=8", "--socket"]);
        command.arg(&socket).args(arguments);
        Self::start(command, socket).await
    }

    /// `nbdkit` with these arguments.
    pub async fn by_nbdkit(folder: &Path, arguments: &[&str]) -> Self {
        let socket = folder.join("nbdkit.sock");
        let mut command = Command::new("nbdkit");
        command.args(["--foreground", "--readonly", "--unix"]);
        command.arg(&socket).args(arguments);
        Self::start(command, socket).await
    }

    /// A disk that is written to, at the export `live`, while `point` shows it as it was: as QEMU makes it for a backup.
    /// What is kept for that goes to `fleece`, a node of QEMU on the file of that name.
    pub async fn of_snapshot(folder: &Path, disk: &Path, fleece: &str) -> Self {
        let socket = folder.join("daemon.sock");
        let file = format!("driver=file,node-name=file,filename={}", disk.display());
        let server = format!("addr.type=unix,addr.path={},max-connections=8", socket.display());
        let cbw = "driver=copy-before-write,node-name=cbw,file=file,target=fleece,on-cbw-error=break-snapshot";
        let mut command = Command::new("qemu-storage-daemon");
        command.args(["--blockdev", &file, "--blockdev", fleece, "--blockdev", cbw]);
        command.args(["--blockdev", "driver=snapshot-access,node-name=point,file=cbw"]);
        command.args([
            "--nbd-server",
            &server,
            "--export",
            "type=nbd,id=point,node-name=point,name=point",
        ]);
        command.args(["--export", "type=nbd,id=live,node-name=cbw,name=live,writable=on"]);
        Self::start(command, socket).await
    }

    async fn start(mut command: Command, socket: PathBuf) -> Self {
        let child = command.stdin(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut served = Self { socket, child };
        let listens = async {
            while UnixStream::connect(&served.socket).await.is_err() {
                let ended = served.child.try_wait().unwrap();
                assert!(ended.is_none(), "{command:?} has ended: {ended:?}");
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(LIMIT, listens).await.expect("it begins to listen");
        served
    }

    /// As by a power failure.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program to its end, which has to be a good one; returns what it printed.
pub async fn run(program: &str, arguments: &[&str]) -> String {
    let (code, out, err) = output(program, arguments).await;
    assert_eq!(code, Some(0), "{program} {arguments:?}: {out}{err}");
    out
}

/// Runs a program to its end: exit code, output, errors. Not on this thread, which may have to serve it.
pub async fn output(program: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let done = timeout(LIMIT, command.output()).await;
    let output = done
        .expect("it ends")
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}
