//! Virtual machines: found, protected, backed up while they run, and restored. Real guests in a real QEMU.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::common::machine::{Machine, ids};
use crate::common::program::{Ended, Running, run, wait_for};
use crate::common::virtual_machine::{Data, Guest, tool};
use crate::common::world::{PASSPHRASE, World};

/// A host, and the folder with the descriptions of its virtual machines.
pub struct Host {
    pub world: World,
    host: Machine,
    descriptions: PathBuf,
}

impl Host {
    pub fn new() -> Self {
        let world = World::new();
        let descriptions = world.folder("descriptions");
        let host = Machine {
            name: "kvm1".to_owned(),
            state: world.path("kvm1.state"),
        };
        let mut register = host.command(&["host", "register", "--name", "kvm1", "--credentials"]);
        register.arg(world.credentials()).arg("--passphrase-file");
        register.arg(world.passphrase_file("kvm1", PASSPHRASE));
        register.arg("--descriptions").arg(&descriptions);
        run(register).done();
        let host = Self {
            world,
            host,
            descriptions,
        };
        host.admin(&["policy", "create", "vms", "--workload", "VirtualMachine"])
            .done();
        host
    }

    fn admin(&self, arguments: &[&str]) -> Ended {
        self.world.admin(arguments)
    }

    /// Describes a guest, which is found.
    fn describe(&self, name: &str, guest: &Guest) {
        let text = format!(
            "name = '{name}'\nqmp = '{}'\nagent = '{}'\n",
            guest.path("qmp").display(),
            guest.path("agent").display()
        );
        fs::write(self.descriptions.join(format!("{name}.toml")), text).unwrap();
    }

    /// A guest that runs, with its agent, and is known to the service.
    pub async fn guest(&self, name: &str, data: Data) -> Guest {
        let guest = Guest::new(data);
        guest.agent().await;
        self.describe(name, &guest);
        self.host.run(&["host", "discover"]).done();
        guest
    }

    #[track_caller]
    fn back_up(&self, name: &str) -> Value {
        self.host.run(&["host", "backup", name]).done()
    }

    /// The ids of a virtual machine's recovery points, oldest first.
    #[track_caller]
    pub fn points(&self, name: &str) -> Vec<String> {
        ids(&self.host.run(&["points", "--machine", name]).done()["points"])
    }

    /// Restores a recovery point. Returns the folder.
    #[track_caller]
    pub fn restore(&self, name: &str, point: &str, to: &str) -> PathBuf {
        let folder = self.world.path(to);
        let mut restore = self.host.command(&["restore", point, "--machine", name, "--to"]);
        restore.arg(&folder);
        run(restore).done();
        folder
    }

    /// The job of the newest backup.
    #[track_caller]
    fn newest_job(&self, name: &str) -> Value {
        let jobs = self.admin(&["job", "list", "--item", name]).done();
        jobs["jobs"][0].clone()
    }

    pub fn run_host(&self) -> Running {
        Running::start(self.host.command(&["host", "run"]))
    }
}

/// A file in the file system of the second disk of a restored point.
#[track_caller]
fn file_in(folder: &Path, name: &str) -> String {
    let image = folder.join("disk1.raw").display().to_string();
    tool("debugfs", &["-R", &format!("cat {name}"), &image])
}

/// The second disk of a restored point has a whole file system, with files that have their sums.
#[track_caller]
pub fn assert_whole(folder: &Path) {
    let image = folder.join("disk1.raw").display().to_string();
    tool("e2fsck", &["-fn", &image]);
    let out = folder.join("files");
    fs::create_dir(&out).unwrap();
    tool("debugfs", &["-R", &format!("rdump / {}", out.display()), &image]);
    let mut check = Command::new("sha256sum");
    check.args(["--quiet", "-c", "SUMS"]).current_dir(&out);
    let checked = check.output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

const FILES: &str = "cd /data; for i in 1 2 3 4; do dd if=/dev/urandom of=f$i bs=1M count=5 2>/dev/null; done; sha256sum f* >SUMS; sync";

#[tokio::test]
async fn virtual_machines_are_found_and_protected() {
    let host = Host::new();
    assert_eq!(host.admin(&["vm", "list"]).done()["virtual_machines"], json!([]));
    let guest = host.guest("mail", Data::Qcow2).await;
    let off = guest.path("off.qcow2");
    tool(
        "qemu-img",
        &["create", "-q", "-f", "qcow2", off.to_str().unwrap(), "64M"],
    );
    let text = format!(
        "name = 'idle'\nqmp = '{}'\n[[disks]]\nfile = '{}'\nformat = 'qcow2'\n",
        guest.path("nobody").display(),
        off.display()
    );
    fs::write(host.descriptions.join("idle.toml"), text).unwrap();
    fs::write(host.descriptions.join("wrong.toml"), "name = 'x'").unwrap();
    let found = host.host.run(&["host", "discover"]);
    found.with_status(3).said(&["wrong.toml", "qmp"]);
    let found = found.value();
    let machines = host.admin(&["vm", "list"]).done()["virtual_machines"].clone();
    let shown = |key: &str| -> Vec<Value> {
        let all = machines.as_array().unwrap().iter();
        all.map(|machine| machine["facts"][key].clone()).collect()
    };
    assert_eq!(machines.as_array().unwrap().len(), 2);
    assert_eq!(shown("power"), ["Off", "Running"]);
    assert_eq!(shown("agent"), ["None", "Ready"]);
    assert_eq!(found["virtual_machines"][1]["disks"], shown("disks")[1]);
    assert_eq!(
        shown("disks")[1],
        json!([{"name": "disk0", "bytes": 256 << 20, "format": "qcow2"}, {"name": "disk1", "bytes": 128 << 20, "format": "qcow2"}])
    );
    assert_eq!(shown("disks")[0][0]["bytes"], 64 << 20);
    assert_eq!(machines[1]["host"], "kvm1");

    // A policy for other things does not fit; the right one does.
    host.admin(&["policy", "create", "files"]).done();
    host.admin(&["item", "protect", "mail", "--policy", "files"])
        .refused(&["VirtualMachine"]);
    host.admin(&["item", "protect", "mail", "--policy", "vms"]).done();
    assert_eq!(host.admin(&["vm", "show", "mail"]).done()["state"], "IRPending");

    // A host that runs looks when somebody asks, and one discovery is enough at a time.
    let asked = host.admin(&["vm", "discover"]).done();
    assert_eq!(asked["hosts"], 1);
    host.admin(&["vm", "discover"])
        .refused(&["nother discovery is in progress"]);
    fs::remove_file(host.descriptions.join("idle.toml")).unwrap();
    let running = host.run_host();
    wait_for("the machine to be gone", || {
        let shown = host.admin(&["vm", "show", "idle"]).done();
        (shown["is_gone"] == true).then_some(())
    });
    assert_eq!(host.admin(&["vm", "discover"]).done()["hosts"], 1);
    wait_for("the discovery to be over", || {
        host.admin(&["vm", "discover"]).is_done().then_some(())
    });

    // And backs up what somebody wants backed up.
    let job = host.admin(&["item", "backup", "mail"]).done();
    let id = job["id"].as_str().unwrap();
    let job = host.admin(&["job", "wait", id]).done();
    assert_eq!(job["state"], "Completed", "{job} {}", running.has_said());
    assert_eq!(host.points("mail").len(), 1);
    assert_eq!(host.admin(&["vm", "show", "mail"]).done()["state"], "Protected");

    // One that was unregistered is another one when it is found again, and the host works for that.
    let before = host.admin(&["vm", "show", "mail"]).done()["item"].clone();
    host.admin(&["machine", "unregister", "mail"]).done();
    wait_for("another discovery", || {
        host.admin(&["vm", "discover"]).is_done().then_some(())
    });
    let after = wait_for("it to be found again", || {
        let shown = host.admin(&["vm", "show", "mail"]);
        shown.is_done().then(|| shown.value()["item"].clone())
    });
    assert_ne!(before, after);
    let job = host.admin(&["item", "backup", after.as_str().unwrap()]).done();
    let job = host.admin(&["job", "wait", job["id"].as_str().unwrap()]).done();
    assert_eq!(job["state"], "Completed", "{job} {}", running.has_said());
}

#[tokio::test]
async fn recovery_points_are_of_one_moment_and_later_ones_read_what_changed() {
    let host = Host::new();
    let mut guest = host.guest("mail", Data::Qcow2).await;
    guest.run(FILES);
    guest.run("echo one >/data/word; sync");
    let first = host.back_up("mail");
    let job = host.newest_job("mail");
    let tasks: Vec<_> = job["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| (&task["name"], &task["state"]))
        .collect();
    assert_eq!(
        tasks,
        [
            (&json!("Take Snapshot"), &json!("Completed")),
            (&json!("Transfer data to vault"), &json!("Completed"))
        ]
    );
    // The first disk is a layer over another file, of which QEMU does not say where it is empty.
    assert!(first["read_bytes"].as_u64().unwrap() < 320 << 20, "{first}");
    assert_eq!(first["bytes"].as_u64().unwrap() >> 20, 384);

    guest.run("echo two >/data/word; rm /data/f4; sed -i /f4/d /data/SUMS; fstrim /data");
    guest.run("dd if=/dev/urandom of=/data/f2 bs=64k count=3 seek=7 conv=notrunc; cd /data; sha256sum f* >SUMS; sync");
    let second = host.back_up("mail");
    assert!(second["read_bytes"].as_u64().unwrap() < 16 << 20, "{second}");
    assert!(second["new_bytes"].as_u64().unwrap() < 2 << 20, "{second}");

    let points = host.points("mail");
    let one = host.restore("mail", &points[0], "one");
    let two = host.restore("mail", &points[1], "two");
    assert_eq!(
        (file_in(&one, "word"), file_in(&two, "word")),
        ("one\n".into(), "two\n".into())
    );
    assert_whole(&one);
    assert_whole(&two);
    let described: Value = serde_json::from_slice(&fs::read(two.join("machine.json")).unwrap()).unwrap();
    assert_eq!(described["consistency"], "FileSystemConsistent", "{described}");

    // Nothing but the increments is told by bitmaps: all of it read again is the same.
    fs::remove_file(host.host.state.join("vms/mail/tracked.json")).unwrap();
    let third = host.back_up("mail");
    assert!(third["read_bytes"].as_u64().unwrap() > 16 << 20, "{third}");
    assert!(third["new_bytes"].as_u64().unwrap() < 4 << 20, "{third}");
    let points = host.points("mail");
    let three = host.restore("mail", &points[2], "three");
    assert_whole(&three);
    guest.assert_thawed().await;
}

#[tokio::test]
async fn a_machine_that_is_off_is_backed_up_and_may_be_switched_on_at_any_moment() {
    let host = Host::new();
    let mut guest = host.guest("mail", Data::Qcow2).await;
    guest.run(FILES);
    host.back_up("mail");
    guest.run("dd if=/dev/urandom of=/data/f2 bs=64k count=3 seek=7 conv=notrunc; cd /data; sha256sum f* >SUMS; sync");
    let mut text = fs::read_to_string(host.descriptions.join("mail.toml")).unwrap();
    for disk in ["d0.qcow2", "d1.qcow2"] {
        let file = guest.path(disk);
        text.push_str(&format!("[[disks]]\nfile = '{}'\nformat = 'qcow2'\n", file.display()));
    }
    fs::write(host.descriptions.join("mail.toml"), text).unwrap();
    guest.shut_down().await;

    // QEMU has kept what changed until it ended.
    let off = host.back_up("mail");
    assert!(off["read_bytes"].as_u64().unwrap() < 32 << 20, "{off}");
    let one = host.restore("mail", "latest", "one");
    assert_whole(&one);
    let described: Value = serde_json::from_slice(&fs::read(one.join("machine.json")).unwrap()).unwrap();
    assert_eq!(described["consistency"], "CrashConsistent", "{described}");
    assert_eq!(described["why_not_better"], "the virtual machine is switched off");
    let again = host.back_up("mail");
    assert!(again["new_bytes"].as_u64().unwrap() < 1 << 20, "{again}");

    // It goes on by the same bitmaps.
    let mut guest = guest.switch_on();
    guest.agent().await;
    guest.run("dd if=/dev/urandom of=/data/f3 bs=64k count=3 seek=7 conv=notrunc; cd /data; sha256sum f* >SUMS; sync");
    let on = host.back_up("mail");
    assert!(on["read_bytes"].as_u64().unwrap() < 32 << 20, "{on}");
    assert_whole(&host.restore("mail", "latest", "two"));

    // Power is lost: what QEMU knew of changes is gone, and is not believed.
    let mut guest = guest.lose_power();
    guest.agent().await;
    guest.run("dd if=/dev/urandom of=/data/f1 bs=64k count=3 seek=7 conv=notrunc; cd /data; sha256sum f* >SUMS; sync");
    let full = host.back_up("mail");
    assert!(full["read_bytes"].as_u64().unwrap() > 32 << 20, "{full}");
    assert!(full["new_bytes"].as_u64().unwrap() < 8 << 20, "{full}");
    let three = host.restore("mail", "latest", "three");
    assert_whole(&three);
    let described: Value = serde_json::from_slice(&fs::read(three.join("machine.json")).unwrap()).unwrap();
    assert_eq!(
        described["disks"][1]["read_whole_because"],
        "the bitmap of what changed is gone"
    );
}

#[tokio::test]
async fn whatever_dies_the_guest_goes_on() {
    let host = Host::new();
    let mut guest = host.guest("mail", Data::Qcow2).await;
    guest.run(FILES);
    guest.run("mkdir -p /etc/qemu/fsfreeze-hook.d");
    // Killed while the guest is frozen: its hook takes its time.
    guest.run("printf '#!/bin/sh\\n[ \"$1\" = freeze ] && touch /run/freezing && sleep 4; exit 0\\n' >/etc/qemu/fsfreeze-hook.d/60-slow");
    guest.run("chmod +x /etc/qemu/fsfreeze-hook.d/60-slow");
    let backup = Running::start(host.host.command(&["host", "backup", "mail"]));
    wait_for("the guest to be freezing", || {
        let said = guest.run("ls /run/freezing || true");
        said.contains("/run/freezing\n").then_some(())
    });
    assert!(backup.kill_after(std::time::Duration::ZERO).was_killed());
    guest.run("rm /etc/qemu/fsfreeze-hook.d/60-slow");
    let running = host.run_host();
    wait_for("the point to be undone", || {
        running.has_said().contains("undid what an earlier").then_some(())
    });
    guest.assert_thawed().await;
    guest.run("touch /data/alive; sync");
    drop(running);
    // The next one is as if nothing had been.
    host.back_up("mail");
    assert_whole(&host.restore("mail", "latest", "one"));

    // The guest's agent is gone: it costs consistency, not the recovery point.
    guest.run("touch /etc/no-ga; killall qemu-ga");
    let silent = host.host.run(&["host", "backup", "mail"]);
    silent.with_status(3);
    let warned = silent.value()["warnings"].to_string();
    assert!(
        warned.contains("crash-consistent only") && warned.contains("qemu-guest-agent"),
        "{warned}"
    );
    assert_whole(&host.restore("mail", "latest", "two"));
}

#[tokio::test]
async fn disks_are_restored_in_each_form_and_boot() {
    let host = Host::new();
    let mut guest = host.guest("mail", Data::Qcow2).await;
    guest.run(FILES);
    host.back_up("mail");
    let raw = host.restore("mail", "latest", "raw");
    let restore = |form: &str, to: &Path, more: &[&str]| {
        let mut command = host.host.command(&["host", "restore", "mail", "--form", form, "--to"]);
        command.arg(to).args(more);
        run(command)
    };
    for (form, driver) in [("qcow2", "qcow2"), ("vhd", "vpc"), ("vhdx", "vhdx"), ("vmdk", "vmdk")] {
        let to = host.world.path(form);
        let restored = restore(form, &to, &[]).done();
        assert_eq!(restored["files"].as_array().unwrap().len(), 2, "{restored}");
        for disk in ["disk0", "disk1"] {
            let file = to.join(format!("{disk}.{form}"));
            let (file, raw) = (file.to_str().unwrap(), raw.join(format!("{disk}.raw")));
            tool(
                "qemu-img",
                &["compare", "-f", driver, "-F", "raw", file, raw.to_str().unwrap()],
            );
            let back = host.world.path("back.raw");
            tool(
                "qemu-img",
                &["convert", "-f", driver, "-O", "raw", file, back.to_str().unwrap()],
            );
            tool("cmp", &[back.to_str().unwrap(), raw.to_str().unwrap()]);
            if driver != "vpc" {
                tool("qemu-img", &["check", "-q", "-f", driver, file]);
            }
        }
        assert!(!to.join(".restoring").exists() && to.join("machine.json").exists());
    }
    assert_is_fixed_vhd(&host.world.path("vhd/disk0.vhd"), 256 << 20);
    restore("vhd", &host.world.path("vhd"), &[]).refused(&["is there already"]);
    restore("qcow2", &host.world.path("some"), &["--disk", "disk7"]).refused(&["disk0, disk1"]);
    let one = restore("raw", &host.world.path("some"), &["--disk", "disk1"]).done();
    assert_eq!(one["files"].as_array().unwrap().len(), 1);
    assert_whole(&host.world.path("some"));

    // They boot, and the files in them are whole.
    guest.shut_down().await;
    let mut restored = Guest::of_disks(
        &host.world.path("qcow2/disk0.qcow2"),
        &host.world.path("qcow2/disk1.qcow2"),
    );
    restored.run("cd /data && sha256sum -c SUMS");
}

/// The footer of a fixed VHD, by Microsoft's "Virtual Hard Disk Image Format Specification": the last 512 bytes.
fn assert_is_fixed_vhd(file: &Path, size: u64) {
    let bytes = fs::read(file).unwrap();
    assert_eq!(bytes.len() as u64, size + 512);
    let footer = &bytes[bytes.len() - 512..];
    let number = |at: usize, length: usize| {
        footer[at..at + length]
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    };
    assert_eq!(&footer[..8], b"conectix");
    // Original and current size, kind, and no dynamic header.
    assert_eq!(
        (number(40, 8), number(48, 8), number(60, 4), number(16, 8)),
        (size, size, 2, u64::MAX)
    );
    let (cylinders, heads, sectors) = (number(56, 2), number(58, 1), number(59, 1));
    let reached = cylinders * heads * sectors * 512;
    assert!(
        reached <= size && size - reached < heads * sectors * 512,
        "{cylinders} {heads} {sectors}"
    );
    let sum: u64 = footer
        .iter()
        .enumerate()
        .filter(|(at, _)| !(64..68).contains(at))
        .map(|(_, byte)| u64::from(*byte))
        .sum();
    assert_eq!(number(64, 4), u64::from(!(sum as u32)));
}
