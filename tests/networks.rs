//! Other networks: IPv6, and proxies that want a name and a password.

use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::common::machine::{Machine, restored};
use crate::common::program::run;
use crate::common::proxy::Proxy;
use crate::common::random::Random;
use crate::common::service::Service;
use crate::common::tree::{self, Size, assert_same};
use crate::common::world::{PASSPHRASE, World};

const SIZE: Size = Size {
    small: 20,
    large: 1,
    large_bytes: 1 << 20,
};

/// Whom the proxy lets through: `ann:open sesame`, in Base64.
const CREDENTIALS: &str = "YW5uOm9wZW4gc2VzYW1l";
const PASSWORD: &str = "open sesame";

fn source(world: &World) -> PathBuf {
    let source = world.path("source");
    tree::make(&source, &mut Random::new(), &SIZE);
    source
}

#[test]
fn a_service_at_an_address_of_ipv6_is_used_as_any_other() {
    let folder = TempDir::with_prefix("strongroom-test-").unwrap();
    let service = Service::start_at(&folder.path().join("data"), "[::1]:0".to_owned());
    let world = World::with(folder, service);
    assert!(world.service.url.starts_with("https://[::1]:"), "{}", world.service.url);
    let (machine, source) = (world.machine("six"), source(&world));
    machine.back_up(&source);
    let there = machine.restore("latest", &source, &world.path("target"));
    assert_same(&source, &there);
    world.admin(&["vault", "list"]).done();
}

/// This machine's address in its network; nothing is sent to find it.
fn own_address() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("192.0.2.1:9").expect("this machine is in some network");
    socket.local_addr().unwrap().ip()
}

/// A command that is told of the proxy by its environment.
fn through(mut command: Command, proxy: &Proxy, user: &str) -> Command {
    command.env("HTTPS_PROXY", format!("http://{user}@{}", proxy.address));
    command
}

#[test]
fn a_proxy_of_the_environment_is_used_by_every_command() {
    // The environment's proxy is not asked for what is on this very machine, hence an address of the network.
    let folder = TempDir::with_prefix("strongroom-test-").unwrap();
    let service = Service::start_at(&folder.path().join("data"), format!("{}:0", own_address()));
    let (world, proxy) = (World::with(folder, service), Proxy::start(CREDENTIALS));
    let machine = Machine {
        name: "inside".to_owned(),
        state: world.path("inside.state"),
    };
    let passphrase = world.passphrase_file("inside", PASSPHRASE);
    let mut register = machine.command(&["agent", "register", "--name", "inside", "--credentials"]);
    register
        .arg(world.credentials())
        .arg("--passphrase-file")
        .arg(passphrase);
    let source = source(&world);
    let target = world.path("target");
    for command in [
        register,
        machine.backup_command(&source),
        machine.restore_command("latest", &target),
        world.admin_command(&["vault", "list"]),
    ] {
        let before = proxy.tunnels();
        run(through(command, &proxy, "ann:open%20sesame")).done();
        assert!(proxy.tunnels() > before, "it went another way");
    }
    assert_same(&source, &restored(&target, &source));
    let before = proxy.tunnels();
    let mut direct = through(machine.command(&["points"]), &proxy, "ann:open%20sesame");
    direct.env("NO_PROXY", format!("example.org,{}", own_address()));
    run(direct).done();
    assert_eq!(proxy.tunnels(), before);
}

#[test]
fn a_service_on_this_very_machine_is_not_looked_for_through_the_environments_proxy() {
    let (world, proxy) = (World::new(), Proxy::start(CREDENTIALS));
    let command = through(world.admin_command(&["vault", "list"]), &proxy, "ann:open%20sesame");
    run(command).done();
    assert_eq!(proxy.tunnels() + proxy.refused(), 0);
}

#[test]
fn a_proxy_of_the_settings_is_used_and_its_password_told_to_nobody() {
    let (world, proxy) = (World::new(), Proxy::start(CREDENTIALS));
    let (machine, source) = (world.machine("inside"), source(&world));
    let address = format!("http://{}", proxy.address);
    let password = world.file("password", PASSWORD);
    let set = |flags: &[&str]| machine.run(&[&["agent", "settings"], flags].concat());
    let shown = set(&[
        "--proxy",
        &address,
        "--proxy-user",
        "ann",
        "--proxy-password-file",
        &password,
    ]);
    assert_eq!(shown.done()["proxy"]["address"], address);
    let mut command = machine.backup_command(&source);
    command.arg("-vv");
    let ended = run(command);
    ended.with_status(0);
    assert!(proxy.tunnels() > 0, "{ended}");
    for said in [
        &shown.stdout,
        &shown.stderr,
        &set(&[]).stdout,
        &ended.stdout,
        &ended.stderr,
    ] {
        assert!(!said.contains(PASSWORD) && !said.contains(CREDENTIALS), "{said}");
    }
    let mode = fs::metadata(machine.state.join("network.json"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    // What is wrong with the proxy is not waited for.
    let wrong = world.file("password", "open barley");
    set(&["--proxy-password-file", &wrong]).done();
    let begun = Instant::now();
    let refused = run(machine.backup_command(&source));
    refused.refused(&["proxy", "--proxy-user"]);
    assert!(begun.elapsed() < Duration::from_secs(30), "{refused}");
    assert!(proxy.refused() > 0 && !refused.stderr.contains("barley"), "{refused}");

    set(&["--proxy", "none"]).done();
    let before = proxy.tunnels();
    machine.back_up(&source);
    assert_eq!(proxy.tunnels(), before);
    assert_eq!(set(&[]).done()["proxy"], serde_json::Value::Null);
}

#[test]
fn what_is_no_proxy_is_refused() {
    let world = World::new();
    let machine = world.machine("outside");
    for address in ["https://proxy:3128", "http://ann:secret@proxy:3128", "socks5://proxy"] {
        let refused = machine.run(&["agent", "settings", "--proxy", address]);
        refused.with_status(2).said(&["http://proxy.example.org:3128"]);
    }
    let password = world.file("password", PASSWORD);
    for flags in [&["--proxy-user", "ann"][..], &["--proxy-password-file", &password]] {
        let refused = machine.run(&[&["agent", "settings"], flags].concat());
        refused.refused(&["--proxy"]);
    }
}
