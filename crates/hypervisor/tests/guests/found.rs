//! What a host has is found, and what cannot be asked says why.

use std::fs;

use strongroom_hypervisor::{AgentState, Bitmaps, Found, State, WhyLeftOut, discover};

use crate::guest::{Data, Guest, tool};

#[tokio::test]
async fn machines_that_run_are_off_or_cannot_be_asked_are_all_listed() {
    let (one, two) = (Guest::new(Data::Qcow2), Guest::new(Data::Raw));
    let mut agent = one.agent().await;
    assert_eq!(agent.os_info().await.unwrap().id.as_deref(), Some("testguest"));
    let mounted = agent.file_systems().await.unwrap();
    assert!(
        mounted
            .iter()
            .any(|mounted| mounted.mountpoint == "/data" && mounted.kind == "ext4")
    );
    let ran = agent
        .execute(
            "/bin/sh",
            &["-c", "echo out; echo err >&2; exit 7"],
            std::time::Duration::from_secs(30),
        )
        .await
        .unwrap();
    assert_eq!(
        (ran.exit_code, ran.output, ran.complaints),
        (Some(7), b"out\n".to_vec(), b"err\n".to_vec())
    );
    let slow = agent
        .execute("/bin/sleep", &["60"], std::time::Duration::from_millis(200))
        .await;
    assert!(slow.is_err());
    assert_eq!(agent.read_file("/etc/group").await.unwrap(), b"root:x:0:\n");
    assert_eq!(agent.read_file("/bin/busybox").await.map_or(0, |all| all.len()), 0);
    drop(agent);

    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("off.qcow2");
    tool(
        "qemu-img",
        &["create", "-q", "-f", "qcow2", &disk.display().to_string(), "64M"],
    );
    let write = |name: &str, text: String| fs::write(folder.path().join(format!("{name}.toml")), text).unwrap();
    let running = |name: &str, guest: &Guest, more: &str| {
        write(
            name,
            format!("name = '{name}'\nqmp = '{}'\n{more}", guest.path("qmp").display()),
        );
    };
    running(
        "a-one",
        &one,
        &format!(
            "agent = '{}'\nuuid = '8a2dfd4c-8b0f-4b5b-9f2e-5f3a3c1c7b11'\n",
            one.path("agent").display()
        ),
    );
    running("b-two", &two, "");
    let none = folder.path().join("nobody").display().to_string();
    write(
        "c-off",
        format!(
            "name = 'c-off'\nqmp = '{none}'\n[[disks]]\nfile = '{}'\nformat = 'qcow2'\n",
            disk.display()
        ),
    );
    write("d-broken", "name = 'd-broken'\n".into());
    write("e-twice", format!("name = 'c-off'\nqmp = '{none}'\n"));
    let found = discover(folder.path()).await.unwrap();
    let machine = |at: usize| match &found[at].found {
        Found::Machine(machine) => machine,
        Found::Unasked(why) => panic!("{why}"),
    };
    let (first, second, third) = (machine(0), machine(1), machine(2));
    assert_eq!(
        (first.state, first.disks.len(), first.uuid.is_some()),
        (State::Running, 2, true)
    );
    assert!(matches!(first.agent, AgentState::Answers(_)), "{:?}", first.agent);
    assert!(first.capabilities.unwrap().suffice());
    assert_eq!(first.left_out.len(), 1);
    assert_eq!(first.left_out[0].why, WhyLeftOut::Removable);
    assert_eq!(first.disks[1].size.bytes(), 128 << 20);
    assert_eq!(first.disks[1].node.as_ref().unwrap().as_str(), "d1");
    let kinds =
        |machine: &strongroom_hypervisor::Machine| machine.disks.iter().map(|disk| disk.bitmaps).collect::<Vec<_>>();
    assert_eq!(kinds(first), [Bitmaps::Persistent, Bitmaps::Persistent]);
    assert_eq!(
        (kinds(second), &second.agent),
        (vec![Bitmaps::Persistent, Bitmaps::Transient], &AgentState::None)
    );
    assert_eq!((third.state, third.disks[0].size.bytes()), (State::Off, 64 << 20));
    assert!(matches!(found[3].found, Found::Unasked(_)) && matches!(found[4].found, Found::Unasked(_)));

    // Another machine's monitor, and one that somebody uses.
    running("a-one", &one, "uuid = '00000000-0000-0000-0000-000000000001'\n");
    let held = two.monitor_of_the_product().await;
    let found = discover(folder.path()).await.unwrap();
    let said = |at: usize| match &found[at].found {
        Found::Machine(machine) => panic!("{machine:?}"),
        Found::Unasked(why) => why.to_string(),
    };
    assert!(said(0).contains("another virtual machine"), "{}", said(0));
    assert!(said(1).contains("another program is connected"), "{}", said(1));
    drop(held);
}
