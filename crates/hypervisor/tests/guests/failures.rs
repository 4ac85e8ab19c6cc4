//! Whatever goes wrong while a guest is frozen, it is thawed.

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use strongroom_hypervisor::snapshot::{Consistency, Limits, Reaper, Request, SnapshotError, WhyNotBetter, take};
use strongroom_hypervisor::{FreezeState, MonitorError, Unasked};
use tokio::time::timeout;

use crate::guest::{Data, Guest, request};

/// Set for the process that is killed.
const VICTIM: &str = "STRONGROOM_TEST_VICTIM";

fn hasty() -> Request {
    let mut request = request(None);
    request.limits = Limits {
        freeze: Duration::from_secs(3),
        ..Limits::default()
    };
    request
}

#[tokio::test]
async fn a_guest_that_refuses_or_is_slow_to_freeze_is_thawed_and_backed_up() {
    let mut guest = Guest::new(Data::Qcow2);
    guest.agent().await;
    let (places, description) = (guest.places(), guest.description());

    guest.run("touch /run/hook.fail");
    let mut strict = request(None);
    strict.insist = true;
    let refused = take(&places, &description, strict).await;
    assert!(
        matches!(&refused, Err(SnapshotError::NotConsistent(WhyNotBetter::Refused(why))) if why.contains("hook")),
        "{refused:?}"
    );
    guest.assert_clean(&[]).await;
    let point = take(&places, &description, request(None)).await.unwrap();
    assert_eq!(point.consistency, Consistency::Crash);
    assert!(matches!(point.why_not_better, Some(WhyNotBetter::Refused(_))));
    let kept = point.id.bitmap();
    point.release().await.unwrap();
    guest.assert_thawed().await;
    guest.assert_clean(std::slice::from_ref(&kept)).await;

    guest.run("rm /run/hook.fail; echo 8 >/run/hook.slow");
    let point = take(&places, &description, hasty()).await.unwrap();
    assert_eq!(
        point.why_not_better,
        Some(WhyNotBetter::TooSlow(Duration::from_secs(3)))
    );
    guest.assert_thawed().await;
    let bitmaps = [kept, point.id.bitmap()];
    point.release().await.unwrap();
    guest.assert_clean(&bitmaps).await;
    let log = guest.run("cat /run/fsfreeze-hook.log");
    let [freezes, thaws] = ["freeze 0", "thaw 0"].map(|word| log.matches(word).count());
    assert!(freezes == 1 && thaws >= 1, "{log}");

    // Nobody waits any more, while the guest is about to be frozen.
    guest.run("echo 4 >/run/hook.slow");
    let dropped = timeout(Duration::from_secs(2), take(&places, &description, request(None))).await;
    assert!(dropped.is_err());
    guest.assert_thawed().await;
    // Its thread goes on with the rest.
    while !Reaper::new(&places).recover().await.unwrap().is_empty() || guest.path("state/guest.json").exists() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    guest.assert_clean(&bitmaps).await;
}

/// Not a test: what [`a_guest_frozen_by_a_process_that_was_killed_is_thawed`] kills.
#[tokio::test]
async fn victim() {
    let Ok(folder) = std::env::var(VICTIM) else { return };
    let folder = std::path::Path::new(&folder);
    let text = format!(
        "name = 'guest'\nqmp = '{0}/qmp'\nagent = '{0}/agent'\n",
        folder.display()
    );
    let places = strongroom_hypervisor::snapshot::Places {
        state: folder.join("state"),
        points: folder.join("points"),
    };
    let _ = take(&places, &toml::from_str(&text).unwrap(), request(None)).await;
}

#[tokio::test]
async fn a_guest_frozen_by_a_process_that_was_killed_is_thawed() {
    let mut guest = Guest::new(Data::Qcow2);
    guest.agent().await;
    guest.run("echo 3 >/run/hook.slow");
    let places = guest.places();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "failures::victim"])
        .env(VICTIM, guest.folder.path())
        .spawn()
        .unwrap();
    let journal = guest.path("state/guest.json");
    let frozen = || std::fs::read_to_string(&journal).is_ok_and(|entry| entry.contains("freezing"));
    while !frozen() {
        assert!(victim.try_wait().unwrap().is_none());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    guest.run("until [ -e /run/hook.begun ]; do usleep 20000; done");
    // Whoever looks now leaves it alone.
    assert!(Reaper::new(&places).recover().await.unwrap().is_empty());
    victim.kill().unwrap();
    victim.wait().unwrap();
    let mut agent = guest.agent().await;
    assert_eq!(
        agent.freeze_state(Duration::from_secs(20)).await.unwrap(),
        FreezeState::Frozen
    );
    drop(agent);
    let left = Reaper::new(&places).recover().await.unwrap();
    assert!(left.len() == 1 && left[0].settled.is_ok(), "{left:?}");
    guest.assert_thawed().await;
    guest.assert_clean(&[]).await;
    assert!(Reaper::new(&places).recover().await.unwrap().is_empty());
}

#[tokio::test]
async fn without_an_agent_a_point_is_as_after_a_loss_of_power() {
    let mut guest = Guest::new(Data::Qcow2);
    guest.agent().await;
    let (places, description) = (guest.places(), guest.description());
    guest.run("touch /etc/no-ga; sync; killall qemu-ga; while pidof qemu-ga; do usleep 50000; done");
    let point = take(&places, &description, request(None)).await.unwrap();
    assert_eq!(
        (point.consistency, &point.why_not_better),
        (Consistency::Crash, &Some(WhyNotBetter::AgentAbsent))
    );
    let mut bitmaps = vec![point.id.bitmap()];
    point.release().await.unwrap();
    guest.assert_clean(&bitmaps).await;

    // One that is there and does not answer.
    guest.run("rm /etc/no-ga; until kill $(cat /run/agent.pid); do usleep 50000; done");
    guest.agent().await;
    guest.run("killall -STOP qemu-ga");
    let point = take(&places, &description, request(None)).await.unwrap();
    assert!(matches!(point.why_not_better, Some(WhyNotBetter::AgentSilent(_))));
    bitmaps.push(point.id.bitmap());
    point.release().await.unwrap();
    guest.run("killall -CONT qemu-ga");
    guest.assert_thawed().await;
    guest.assert_clean(&bitmaps).await;

    // A guest that stands still goes on standing still.
    guest.qmp("stop", json!({})).await;
    let point = take(&places, &description, request(None)).await.unwrap();
    assert_eq!(
        (&point.why_not_better, point.stopped),
        (&Some(WhyNotBetter::Paused), None)
    );
    bitmaps.push(point.id.bitmap());
    point.release().await.unwrap();
    assert_eq!(guest.qmp("query-status", json!({})).await["status"], "paused");
    guest.qmp("cont", json!({})).await;
    guest.assert_clean(&bitmaps).await;

    // What somebody else froze, he thaws.
    let mut agent = guest.agent().await;
    agent.freeze(Duration::from_secs(10)).await.unwrap();
    drop(agent);
    let point = take(&places, &description, request(None)).await.unwrap();
    assert_eq!(point.why_not_better, Some(WhyNotBetter::FrozenByOthers));
    bitmaps.push(point.id.bitmap());
    point.release().await.unwrap();
    let mut agent = guest.agent().await;
    assert_eq!(
        agent.freeze_state(Duration::from_secs(5)).await.unwrap(),
        FreezeState::Frozen
    );
    agent.thaw(Duration::from_secs(10)).await.unwrap();
    drop(agent);
    guest.assert_clean(&bitmaps).await;
}

#[tokio::test]
async fn what_others_use_is_left_alone() {
    let mut guest = Guest::new(Data::Qcow2);
    let (places, description) = (guest.places(), guest.description());
    let address = json!({"type": "unix", "data": {"path": guest.path("theirs")}});
    guest.qmp("nbd-server-start", json!({"addr": address})).await;
    guest
        .qmp("block-dirty-bitmap-add", json!({"node": "d1", "name": "ob-theirs"}))
        .await;
    let refused = take(&places, &description, request(None)).await;
    let said = refused.expect_err("their server runs").to_string();
    assert!(said.contains("NBD server is in use by somebody else"), "{said}");
    std::os::unix::net::UnixStream::connect(guest.path("theirs")).unwrap();
    guest.qmp("nbd-server-stop", json!({})).await;
    guest.assert_clean(&["ob-theirs".to_owned()]).await;

    let mut crash = request(None);
    crash.wanted = Consistency::Crash;
    let point = take(&places, &description, crash.clone()).await.unwrap();
    assert_eq!(point.why_not_better, Some(WhyNotBetter::NotAsked));
    let twice = take(&places, &description, request(None)).await;
    assert!(twice.is_err_and(|error| !matches!(error, SnapshotError::Layers(_))));
    assert!(Reaper::new(&places).recover().await.unwrap().is_empty());
    // Readers that are in the midst of it when it ends: one that reads, one that only connected.
    let silent = std::os::unix::net::UnixStream::connect(&point.socket).unwrap();
    let reading = Command::new("nbdcopy")
        .args([&crate::points::address(&point, 0), "null:"])
        .spawn()
        .unwrap();
    let bitmaps = ["ob-theirs".to_owned(), point.id.bitmap()];
    point.release().await.unwrap();
    let _ = { reading }.wait().unwrap();
    drop(silent);
    guest.assert_clean(&bitmaps).await;

    let held = guest.monitor_of_the_product().await;
    let refused = take(&places, &description, crash).await;
    assert!(matches!(
        refused,
        Err(SnapshotError::Unasked(Unasked::Monitor(MonitorError::Held(_))))
    ));
    drop(held);
    guest.assert_clean(&bitmaps).await;
}
