//! What is lost is told, and costs no more than time.

use std::fs;

use serde_json::json;
use strongroom_hypervisor::snapshot::{Changed, FullReason, Reaper, SnapshotError, take};
use strongroom_hypervisor::{MonitorError, Unasked, WhyLeftOut};

use crate::guest::{Data, Guest, request, tool};
use crate::points::address;

/// A mounted file system of a few MiB.
struct Small(std::path::PathBuf);

impl Small {
    fn mount(at: std::path::PathBuf) -> Self {
        fs::create_dir(&at).unwrap();
        tool(
            "mount",
            &[
                "-t",
                "tmpfs",
                "-o",
                "size=3m,mode=711",
                "small",
                &at.display().to_string(),
            ],
        );
        Self(at)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        tool("umount", &[&self.0.display().to_string()]);
    }
}

#[tokio::test]
async fn a_fleece_without_room_costs_the_point_and_not_the_guest() {
    let mut guest = Guest::new(Data::Qcow2);
    guest.run("dd if=/dev/urandom of=/data/a bs=1M count=20; sync");
    let (places, description) = (guest.places(), guest.description());
    let small = Small::mount(places.points.clone());
    let point = take(&places, &description, request(None)).await.unwrap();
    guest.begin("dd if=/dev/urandom of=/data/a bs=1M count=20 conv=notrunc,fsync; touch /data/b; sync");
    guest.end();
    assert_eq!(guest.qmp("query-status", json!({})).await["status"], "running");
    let read = std::process::Command::new("nbdcopy")
        .args([&address(&point, 1), "null:"])
        .output()
        .unwrap();
    assert!(!read.status.success());
    let bitmap = point.id.bitmap();
    point.release().await.unwrap();
    guest.assert_clean(&[bitmap]).await;
    drop(small);
    let errors = guest.run("dmesg | grep -iE 'I/O error|remount' || true");
    assert_eq!(errors.trim(), "");
}

#[tokio::test]
async fn a_bitmap_that_cannot_be_believed_makes_the_next_point_full() {
    let mut guest = Guest::new(Data::Qcow2);
    let (places, description) = (guest.places(), guest.description());
    let first = take(&places, &description, request(None)).await.unwrap();
    let base = first.base();

    // Power is lost while a point lives: layers go with QEMU, files by the reaper, and so does the bitmap of that run.
    guest = guest.lose_power();
    assert!(matches!(
        take(&places, &description, request(None)).await,
        Err(SnapshotError::Journal(_))
    ));
    drop(first);
    assert!(matches!(
        take(&places, &description, request(None)).await,
        Err(SnapshotError::Journal(_))
    ));
    let left = Reaper::new(&places).recover().await.unwrap();
    assert!(left.len() == 1 && left[0].settled.is_ok(), "{left:?}");
    guest.assert_clean(&[]).await;
    let second = take(&places, &description, request(Some(base))).await.unwrap();
    assert_eq!(second.disks[1].changed, Changed::Full(FullReason::BitmapMissing));
    let base = second.base();
    second.commit().await.unwrap();
    second.release().await.unwrap();

    // A bitmap that was stored goes on after a shutdown.
    guest.agent().await;
    guest = guest.restart().await;
    guest.run("dd if=/dev/urandom of=/data/a bs=1M count=1; sync");
    let third = take(&places, &description, request(Some(base.clone()))).await.unwrap();
    assert!(
        matches!(third.disks[1].changed, Changed::Since { .. }),
        "{:?}",
        third.disks[1].changed
    );
    third.release().await.unwrap();

    // And is not believed after a loss of power.
    guest = guest.lose_power();
    let fourth = take(&places, &description, request(Some(base.clone()))).await.unwrap();
    assert_eq!(fourth.disks[1].changed, Changed::Full(FullReason::BitmapInconsistent));
    let bitmap = fourth.id.bitmap();
    assert_eq!(guest.bitmaps().await, std::slice::from_ref(&bitmap));
    let base = fourth.base();
    fourth.release().await.unwrap();
    guest.assert_clean(&[bitmap]).await;

    // Somebody puts a layer over the disk, which the bitmap knows nothing of.
    tool(
        "qemu-img",
        &[
            "create",
            "-q",
            "-f",
            "qcow2",
            "-b",
            "d1.qcow2",
            "-F",
            "qcow2",
            &guest.path("over.qcow2").display().to_string(),
        ],
    );
    let over = json!({"driver": "qcow2", "node-name": "over", "backing": null, "file": {"driver": "file", "filename": guest.path("over.qcow2")}});
    guest.qmp("blockdev-add", over).await;
    guest
        .qmp("blockdev-snapshot", json!({"node": "d1", "overlay": "over"}))
        .await;
    let fifth = take(&places, &description, request(Some(base))).await.unwrap();
    assert_eq!(fifth.disks[1].changed, Changed::Full(FullReason::DiskReplaced));
    fifth.release().await.unwrap();

    guest.agent().await;
    guest.shut_down().await;
    let off = take(&places, &description, request(None)).await;
    assert!(matches!(
        off,
        Err(SnapshotError::Unasked(Unasked::Monitor(MonitorError::Absent { .. })))
    ));
}

#[tokio::test]
async fn a_raw_disk_has_a_bitmap_until_it_is_switched_off() {
    let mut guest = Guest::new(Data::Raw);
    let (places, description) = (guest.places(), guest.description());
    let first = take(&places, &description, request(None)).await.unwrap();
    let base = first.base();
    first.release().await.unwrap();
    guest.run("dd if=/dev/urandom of=/data/a bs=1M count=1; sync");
    let second = take(&places, &description, request(Some(base.clone()))).await.unwrap();
    assert!(matches!(second.disks[1].changed, Changed::Since { .. }));
    // And it may grow. What is new is not in the bitmap.
    second.release().await.unwrap();
    guest
        .qmp("block_resize", json!({"node-name": "d1", "size": 160 << 20}))
        .await;
    let third = take(&places, &description, request(Some(base.clone()))).await.unwrap();
    let Changed::Since { size, .. } = third.disks[1].changed else {
        panic!()
    };
    assert_eq!((size.bytes(), third.disks[1].mark.size.bytes()), (128 << 20, 160 << 20));
    third.release().await.unwrap();
    guest.agent().await;
    guest = guest.restart().await;
    let fourth = take(&places, &description, request(Some(base))).await.unwrap();
    assert_eq!(
        fourth.disks[1].changed,
        Changed::Full(FullReason::TransientAfterRestart)
    );
    let bitmap = fourth.id.bitmap();
    fourth.release().await.unwrap();
    guest.assert_clean(&[bitmap]).await;
}

#[tokio::test]
async fn a_disk_of_an_io_thread_is_left_out_and_one_of_a_scsi_bus_is_not() {
    for data in [Data::IoThread, Data::ScsiIoThread, Data::Scsi] {
        let guest = Guest::new(data);
        let point = take(&guest.places(), &guest.description(), request(None))
            .await
            .unwrap();
        let left_out = point.left_out.iter().any(|device| device.why == WhyLeftOut::IoThread);
        assert_eq!(
            (left_out, point.disks.len()),
            if data == Data::Scsi { (false, 2) } else { (true, 1) }
        );
        tool("nbdcopy", &[&address(&point, point.disks.len() - 1), "null:"]);
        point.release().await.unwrap();
        assert_eq!(guest.qmp("query-status", json!({})).await["status"], "running");
    }
}
