//! Points hold what they promise, and the guest goes on.

use strongroom_hypervisor::snapshot::{Changed, Consistency, FullReason, Point, take};

use crate::guest::{Data, Guest, request, tool};

pub fn address(point: &Point, disk: usize) -> String {
    format!(
        "nbd+unix:///{}?socket={}",
        point.disks[disk].export,
        point.socket.display()
    )
}

/// Reads a whole disk of a point into a file.
pub fn copy(point: &Point, disk: usize, to: &std::path::Path) {
    tool("nbdcopy", &[&address(point, disk), &to.display().to_string()]);
}

fn sum(path: &std::path::Path) -> String {
    let line = tool("sha256sum", &[&path.display().to_string()]);
    line.split(' ').next().unwrap().to_owned()
}

/// A file in a file system in a file.
fn file_in(image: &std::path::Path, name: &str) -> String {
    tool("debugfs", &["-R", &format!("cat {name}"), &image.display().to_string()])
}

/// Bytes that a context of the export calls dirty.
fn dirty_bytes(point: &Point, disk: usize, bitmap: &str) -> u64 {
    let map = tool(
        "nbdinfo",
        &[
            &format!("--map=qemu:dirty-bitmap:{bitmap}"),
            "--totals",
            &address(point, disk),
        ],
    );
    let dirty = map.lines().find(|line| line.ends_with("dirty"));
    dirty.map_or(0, |line| line.split_whitespace().next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_point_is_of_one_moment_and_the_next_needs_only_what_changed() {
    let mut guest = Guest::new(Data::Qcow2);
    guest.agent().await;
    guest.run("echo before >/data/word; dd if=/dev/urandom of=/data/a bs=1M count=8; sync");
    let (places, description) = (guest.places(), guest.description());
    let first = take(&places, &description, request(None)).await.unwrap();
    assert_eq!(
        (first.consistency, &first.why_not_better),
        (Consistency::FileSystem, &None)
    );
    assert!(first.frozen.is_some() && first.stopped.is_some() && first.disks.len() == 2);
    assert!(
        first
            .disks
            .iter()
            .all(|disk| disk.changed == Changed::Full(FullReason::First))
    );
    guest.run("echo after >/data/word; dd if=/dev/urandom of=/data/a bs=1M count=8 conv=notrunc; sync");
    let (one, two) = (guest.path("one.raw"), guest.path("two.raw"));
    copy(&first, 1, &one);
    assert_eq!(file_in(&one, "word"), "before\n");
    tool("e2fsck", &["-fn", &one.display().to_string()]);
    guest.run("dd if=/dev/urandom of=/data/a bs=1M count=8 conv=notrunc; sync");
    copy(&first, 1, &two);
    assert_eq!(sum(&one), sum(&two));
    assert!(first.fleece_bytes().unwrap() > 8 << 20);
    let base = first.base();
    first.commit().await.unwrap();
    first.release().await.unwrap();
    guest.assert_clean(&[base.point.bitmap()]).await;

    guest.run("dd if=/dev/urandom of=/data/a bs=64k count=3 seek=7 conv=notrunc; sync");
    let second = take(&places, &description, request(Some(base.clone()))).await.unwrap();
    guest.run("echo later >/data/word; sync");
    let Changed::Since { bitmap, .. } = &second.disks[1].changed else {
        panic!("{:?}", second.disks[1].changed);
    };
    let dirty = dirty_bytes(&second, 1, bitmap);
    assert!((1..32 << 20).contains(&dirty), "{dirty}");
    copy_changed(&second, 1, bitmap, &one);
    copy(&second, 1, &two);
    assert_eq!(sum(&one), sum(&two));
    assert_eq!(file_in(&one, "word"), "after\n");
    let latest = second.base();
    second.release().await.unwrap();
    guest.assert_clean(&[base.point.bitmap(), latest.point.bitmap()]).await;

    // The second never came into the vault, so the third is told by the first.
    let third = take(&places, &description, request(Some(base))).await.unwrap();
    assert_eq!(guest.bitmaps().await.len(), 3);
    let Changed::Since { bitmap, .. } = &third.disks[1].changed else {
        panic!("{:?}", third.disks[1].changed);
    };
    copy_changed(&third, 1, bitmap, &one);
    copy(&third, 1, &two);
    assert_eq!((sum(&one), file_in(&one, "word")), (sum(&two), "later\n".to_owned()));
    let only = third.id.bitmap();
    third.commit().await.unwrap();
    third.commit().await.unwrap();
    third.release().await.unwrap();
    guest.assert_clean(&[only]).await;
    guest.assert_thawed().await;
}

/// Brings a copy of an earlier point up to this one, by reading what the bitmap has.
fn copy_changed(point: &Point, disk: usize, bitmap: &str, to: &std::path::Path) {
    let map = tool(
        "nbdinfo",
        &[
            "--json",
            &format!("--map=qemu:dirty-bitmap:{bitmap}"),
            &address(point, disk),
        ],
    );
    let extents: serde_json::Value = serde_json::from_str(&map).unwrap();
    let whole = to.with_extension("whole");
    copy(point, disk, &whole);
    for extent in extents.as_array().unwrap().iter().filter(|extent| extent["type"] == 1) {
        let [offset, length] = ["offset", "length"].map(|key| extent[key].as_u64().unwrap());
        let flags = "iflag=skip_bytes,count_bytes";
        let [from, into] = [&whole, &to.to_path_buf()].map(|path| path.display().to_string());
        let part = [
            format!("if={from}"),
            format!("of={into}"),
            format!("skip={offset}"),
            format!("seek={offset}"),
            format!("count={length}"),
        ];
        let mut arguments: Vec<&str> = part.iter().map(String::as_str).collect();
        arguments.extend([flags, "oflag=seek_bytes", "conv=notrunc", "status=none", "bs=1M"]);
        tool("dd", &arguments);
    }
}
