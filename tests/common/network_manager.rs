//! A NetworkManager of a test's own: with its own bus, in its own network, with one connection.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::program::{Running, run, wait_for};

/// The connection, and the bridge that it makes: a device that NetworkManager takes for a real one, and that is nobody's.
const CONNECTION: &str = "office";
const DEVICE: &str = "office0";

/// Anybody may own names and send to them: nobody else is on this bus.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=BUS</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow own="*"/>
    <allow user="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
  </policy>
</busconfig>
"#;

/// Runs until this is dropped.
pub struct NetworkManager {
    bus: PathBuf,
    _daemons: [Running; 2],
}

impl NetworkManager {
    /// Starts one, with its files in this folder.
    pub fn with_one_connection(folder: &Path) -> Self {
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let bus = folder.join("bus");
        let mut daemon = Command::new("dbus-daemon");
        daemon
            .arg("--config-file")
            .arg(file("bus.xml", &BUS.replace("BUS", bus.to_str().unwrap())));
        daemon.arg("--nofork");
        let daemon = Running::start(daemon);
        wait_for("the bus", || bus.exists().then_some(()));

        let settings = format!(
            "[main]\nplugins=keyfile\ndns=none\nauth-polkit=false\nno-auto-default=*\n[keyfile]\npath={0}/connections\n\
             [logging]\nbackends=stderr\n",
            folder.display()
        );
        fs::create_dir(folder.join("connections")).unwrap();
        // Where it keeps what it remembers and tells other programs is its own; killing `unshare` kills all that runs in it.
        let script = "mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib/NetworkManager && exec \"$@\"";
        let mut manager = Command::new("unshare");
        manager
            .args([
                "--mount",
                "--net",
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
                "-c",
                script,
                "sh",
            ])
            .args([
                "NetworkManager",
                "--no-daemon",
                "--config-dir",
                "/var/empty",
                "--config",
            ])
            .arg(file("settings.conf", &settings))
            .arg("--pid-file")
            .arg(folder.join("pid"))
            .env("DBUS_SYSTEM_BUS_ADDRESS", address(&bus));
        let manager = Running::start(manager);
        let network = Self {
            bus,
            _daemons: [manager, daemon],
        };
        wait_for("NetworkManager", || {
            network.call(&["general"]).status.success().then_some(())
        });
        network.done(&[
            "connection",
            "add",
            "type",
            "bridge",
            "con-name",
            CONNECTION,
            "ifname",
            DEVICE,
            "stp",
            "no",
            "ipv4.method",
            "manual",
            "ipv4.addresses",
            "192.0.2.2/24",
            "ipv4.gateway",
            "192.0.2.1",
            "ipv6.method",
            "disabled",
        ]);
        network.done(&["connection", "up", CONNECTION]);
        network
    }

    /// Has it say so of its connection.
    pub fn is_metered(&self, metered: bool) {
        let metered = if metered { "yes" } else { "no" };
        self.done(&["connection", "modify", CONNECTION, "connection.metered", metered]);
        self.done(&["device", "reapply", DEVICE]);
    }

    /// The command, which asks this one instead of the machine's.
    pub fn asked_by(&self, mut command: Command) -> Command {
        command.env("DBUS_SYSTEM_BUS_ADDRESS", address(&self.bus));
        command
    }

    fn nmcli(&self, arguments: &[&str]) -> Command {
        let mut command = self.asked_by(Command::new("nmcli"));
        command.args(arguments);
        command
    }

    fn call(&self, arguments: &[&str]) -> std::process::Output {
        self.nmcli(arguments).output().unwrap()
    }

    fn done(&self, arguments: &[&str]) {
        run(self.nmcli(arguments)).with_status(0);
    }
}

fn address(bus: &Path) -> String {
    format!("unix:path={}", bus.display())
}
