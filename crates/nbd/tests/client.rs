//! The client reads what others serve.

use std::path::Path;

use strongroom_nbd::wire::{Errno, refusal};
use strongroom_nbd::{Client, ConnectOptions, NbdError};
use tempfile::tempdir;

use crate::world::{LIMIT, MIB, Served, image, noise, run};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Reads all, several reads at once, at offsets that are no multiple of anything.
async fn read_all(client: &Client) -> Vec<u8> {
    const STEP: u64 = 777_777;
    let size = client.export().size;
    let mut reads = Vec::new();
    for offset in (0..size).step_by(STEP as usize) {
        let client = client.clone();
        let length = STEP.min(size - offset) as usize;
        reads.push(tokio::spawn(async move {
            client.read(offset, length, LIMIT).await.unwrap()
        }));
    }
    let mut all = Vec::new();
    for read in reads {
        all.extend_from_slice(&read.await.unwrap());
    }
    all
}

/// Reads all but what is said to be zeros; returns it, and how many bytes were not read.
async fn read_allocated(client: &Client) -> (Vec<u8>, u64) {
    let size = client.export().size;
    let extents = client.allocation(0..size, LIMIT).await.unwrap();
    assert_eq!(extents.iter().map(|extent| extent.length).sum::<u64>(), size);
    let (mut all, mut zeros) = (vec![0; size as usize], 0);
    let mut at = 0;
    for extent in extents {
        let end = at + extent.length as usize;
        if extent.flags.zero {
            zeros += extent.length;
        } else {
            client.read_into(at as u64, &mut all[at..end], LIMIT).await.unwrap();
        }
        at = end;
    }
    (all, zeros)
}

fn allocation(export: &str) -> ConnectOptions {
    ConnectOptions::new(export).with_context("base:allocation")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_image_with_holes() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("disk");
    let contents = image(
        50 * MIB + 512,
        &[0..MIB, 5 * MIB..6 * MIB + 4096, 49 * MIB..50 * MIB + 512],
    );
    std::fs::write(&path, vec![]).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_len(contents.len() as u64).unwrap();
    for range in [0..MIB, 5 * MIB..6 * MIB + 4096, 49 * MIB..50 * MIB + 512] {
        std::os::unix::fs::FileExt::write_all_at(&file, &contents[range.clone()], range.start as u64).unwrap();
    }
    let served = Served::by_qemu(folder.path(), &["--format=raw", "--export-name=d0", text(&path)]).await;
    let client = Client::connect(&served.socket, &allocation("d0"), LIMIT).await.unwrap();
    let export = client.export();
    assert_eq!((export.name.as_str(), export.size), ("d0", contents.len() as u64));
    assert!(export.is_read_only() && export.can_multi_conn());
    assert!(read_all(&client).await == contents);
    let (all, zeros) = read_allocated(&client).await;
    assert!(all == contents);
    assert!(zeros > 40 * MIB as u64, "holes are not read: {zeros}");
    client.disconnect(LIMIT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_linked_clone_is_not_the_zeros_that_its_holes_are() {
    let folder = tempdir().unwrap();
    let (raw, base, clone) = (
        folder.path().join("raw"),
        folder.path().join("base"),
        folder.path().join("clone"),
    );
    let mut contents = image(32 * MIB, &[0..8 * MIB, 20 * MIB..21 * MIB]);
    std::fs::write(&raw, &contents).unwrap();
    run(
        "qemu-img",
        &["convert", "-f", "raw", "-O", "qcow2", text(&raw), text(&base)],
    )
    .await;
    run(
        "qemu-img",
        &["create", "-f", "qcow2", "-F", "qcow2", "-b", text(&base), text(&clone)],
    )
    .await;
    let commands = ["-c", "write -P 0x5a 1M 128k", "-c", "write -z 2M 256k"];
    run("qemu-io", &[&commands[..], &["-f", "qcow2", text(&clone)]].concat()).await;
    contents[MIB..MIB + 128 * 1024].fill(0x5a);
    contents[2 * MIB..2 * MIB + 256 * 1024].fill(0);
    let served = Served::by_qemu(folder.path(), &["--format=qcow2", text(&clone)]).await;
    let client = Client::connect(&served.socket, &allocation(""), LIMIT).await.unwrap();
    assert!(read_all(&client).await == contents);
    let (all, zeros) = read_allocated(&client).await;
    assert!(all == contents);
    assert!(zeros >= 22 * MIB as u64, "{zeros}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_since_a_bitmap_began() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("disk.qcow2");
    run("qemu-img", &["create", "-f", "qcow2", text(&path), "64M"]).await;
    run("qemu-io", &["-c", "write -P 1 0 1M", "-f", "qcow2", text(&path)]).await;
    run(
        "qemu-img",
        &["bitmap", "--add", "-g", "64k", "-f", "qcow2", text(&path), "since"],
    )
    .await;
    let writes = [
        "-c",
        "write -P 2 128k 10",
        "-c",
        "write -P 3 10M 100k",
        "-c",
        "discard 40M 1M",
    ];
    run("qemu-io", &[&writes[..], &["-f", "qcow2", text(&path)]].concat()).await;
    let served = Served::by_qemu(folder.path(), &["-B", "since", "--format=qcow2", text(&path)]).await;
    let options = allocation("")
        .with_context("qemu:dirty-bitmap:since")
        .with_context("qemu:dirty-bitmap:other");
    let client = Client::connect(&served.socket, &options, LIMIT).await.unwrap();
    let mut agreed: Vec<_> = client.contexts().collect();
    agreed.sort_unstable();
    assert_eq!(agreed, ["base:allocation", "qemu:dirty-bitmap:since"]);
    let dirty = client.dirty(0..64 * MIB as u64, "since", LIMIT).await.unwrap();
    let (mut at, mut found) = (0, Vec::new());
    for extent in dirty {
        if extent.flags.dirty {
            found.push((at >> 10, extent.length >> 10));
        }
        at += extent.length;
    }
    assert_eq!(found, [(128, 64), (10 << 10, 128), (40 << 10, 1024)], "in KiB");
    let part = client
        .dirty((10 << 20) + 1000..(11 << 20) + 1, "since", LIMIT)
        .await
        .unwrap();
    let part: Vec<_> = part.iter().map(|extent| (extent.length, extent.flags.dirty)).collect();
    assert_eq!(part, [((128 << 10) - 1000, true), ((1 << 20) - (128 << 10) + 1, false)]);
    let other = client.dirty(0..1, "other", LIMIT).await;
    assert!(matches!(other, Err(NbdError::NoContext(name)) if name == "qemu:dirty-bitmap:other"));
    assert_eq!(client.read(10 << 20, 3, LIMIT).await.unwrap(), &[3, 3, 3][..]);
    assert_eq!(client.read((128 << 10) + 9, 2, LIMIT).await.unwrap(), &[2, 1][..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_of_which_one_question_does_not_tell_all() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("disk");
    let (size, at) = (10_u64 << 30, 9 << 30);
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(size).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[7; 4096], at).unwrap();
    let served = Served::by_qemu(folder.path(), &["--format=raw", text(&path)]).await;
    let client = Client::connect(&served.socket, &allocation(""), LIMIT).await.unwrap();
    let extents = client.allocation(1..size - 1, LIMIT).await.unwrap();
    let extents: Vec<_> = extents
        .iter()
        .map(|extent| (extent.length, extent.flags.zero))
        .collect();
    assert_eq!(extents, [(at - 1, true), (4096, false), (size - at - 4097, true)]);
    assert_eq!(client.read(at - 1, 3, LIMIT).await.unwrap(), &[0, 7, 7][..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_structured_replies() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("disk");
    let contents = noise(9 * MIB, MIB..4 * MIB);
    std::fs::write(&path, &contents).unwrap();
    let served = Served::by_nbdkit(folder.path(), &["--no-sr", "file", text(&path)]).await;
    let client = Client::connect(&served.socket, &allocation(""), LIMIT).await.unwrap();
    assert!(read_all(&client).await == contents);
    assert_eq!(client.contexts().count(), 0);
    let told = client.allocation(0..1, LIMIT).await;
    assert!(matches!(told, Err(NbdError::NoContext(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn structured_replies_need_not_be_asked_for() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("disk");
    let contents = noise(3 * MIB, MIB..2 * MIB);
    std::fs::write(&path, &contents).unwrap();
    let served = Served::by_qemu(folder.path(), &["--format=raw", text(&path)]).await;
    let mut options = allocation("");
    options.structured = false;
    let client = Client::connect(&served.socket, &options, LIMIT).await.unwrap();
    assert!(read_all(&client).await == contents);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_wants_whole_blocks_and_short_requests() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("disk");
    let contents = noise(5 * MIB, MIB..4 * MIB);
    std::fs::write(&path, &contents).unwrap();
    let policy = [
        "blocksize-minimum=4096",
        "blocksize-preferred=64k",
        "blocksize-maximum=128k",
    ];
    let policy = [&policy[..], &["blocksize-error-policy=error"]].concat();
    let arguments = [&["--filter=blocksize-policy", "file", text(&path)], &policy[..]].concat();
    let served = Served::by_nbdkit(folder.path(), &arguments).await;
    let client = Client::connect(&served.socket, &allocation(""), LIMIT).await.unwrap();
    let size = client.export().block_size;
    assert_eq!(
        (size.minimum, size.preferred, size.maximum),
        (4096, 64 << 10, 128 << 10)
    );
    assert!(read_all(&client).await == contents);
    let mut all = vec![0; contents.len() - 2];
    client.read_into(1, &mut all, LIMIT).await.unwrap();
    assert!(all == contents[1..contents.len() - 1]);
    let extents = client.allocation(4097..5000, LIMIT).await.unwrap();
    assert_eq!(extents.iter().map(|extent| extent.length).sum::<u64>(), 5000 - 4097);
}

#[tokio::test(flavor = "multi_thread")]
async fn little_may_be_in_flight() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("disk");
    let contents = noise(20 * MIB, MIB..19 * MIB);
    std::fs::write(&path, &contents).unwrap();
    let served = Served::by_qemu(folder.path(), &["--format=raw", text(&path)]).await;
    for (bytes, requests) in [(1 << 16, 1), (100_001, 3), (1 << 16, 64)] {
        let mut options = allocation("");
        (options.bytes_in_flight_max, options.requests_in_flight_max) = (bytes, requests);
        let client = Client::connect(&served.socket, &options, LIMIT).await.unwrap();
        assert!(
            read_all(&client).await == contents,
            "{bytes} bytes in {requests} requests"
        );
        client.disconnect(LIMIT).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_are_listed_and_described() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("disk");
    std::fs::write(&path, vec![1; MIB]).unwrap();
    let arguments = [
        "--format=raw",
        "--export-name=d0",
        "--description=the first",
        text(&path),
    ];
    let served = Served::by_qemu(folder.path(), &arguments).await;
    let listed = Client::list(&served.socket, LIMIT).await.unwrap();
    let listed: Vec<_> = listed
        .iter()
        .map(|export| (export.name.as_str(), export.description.as_str()))
        .collect();
    assert_eq!(listed, [("d0", "the first")]);
    let export = Client::inspect(&served.socket, "d0", LIMIT).await.unwrap();
    assert_eq!(
        (export.size, export.description.as_deref()),
        (MIB as u64, Some("the first"))
    );
    for refused in [
        Client::inspect(&served.socket, "d1", LIMIT).await.map(drop),
        Client::connect(&served.socket, &ConnectOptions::new("d1"), LIMIT)
            .await
            .map(drop),
        Client::connect(&served.socket, &allocation("d1"), LIMIT)
            .await
            .map(drop),
    ] {
        let Err(NbdError::Refused {
            code: refusal::UNKNOWN,
            message,
            ..
        }) = refused
        else {
            panic!("{refused:?}")
        };
        assert!(message.contains("d1"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_cannot_be_read_fails_alone() {
    let folder = tempdir().unwrap();
    let (path, trigger) = (folder.path().join("disk"), folder.path().join("broken"));
    std::fs::write(&path, vec![1; MIB]).unwrap();
    let file = format!("error-file={}", text(&trigger));
    let arguments = [
        "--filter=error",
        "file",
        text(&path),
        "error=EIO",
        "error-rate=100%",
        &file,
    ];
    for structured in [true, false] {
        let served = Served::by_nbdkit(folder.path(), &arguments).await;
        let mut options = allocation("");
        options.structured = structured;
        let client = Client::connect(&served.socket, &options, LIMIT).await.unwrap();
        std::fs::write(&trigger, "").unwrap();
        let read = client.read(4096, 10, LIMIT).await;
        assert!(
            matches!(read, Err(NbdError::Server { errno: Errno::Io, .. })),
            "{read:?}"
        );
        if structured {
            let told = client.allocation(0..4096, LIMIT).await;
            assert!(
                matches!(told, Err(NbdError::Server { errno: Errno::Io, .. })),
                "{told:?}"
            );
        }
        std::fs::remove_file(&trigger).unwrap();
        assert_eq!(client.read(4096, 3, LIMIT).await.unwrap(), &[1, 1, 1][..]);
        drop(served);
        std::fs::remove_file(folder.path().join("nbdkit.sock")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_asked_for() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("disk");
    std::fs::write(&path, vec![1; MIB]).unwrap();
    let served = Served::by_qemu(folder.path(), &["--format=raw", text(&path)]).await;
    let client = Client::connect(&served.socket, &allocation(""), LIMIT).await.unwrap();
    assert_eq!(client.read(MIB as u64, 0, LIMIT).await.unwrap().len(), 0);
    assert_eq!(client.allocation(5..5, LIMIT).await.unwrap(), []);
    for (offset, length) in [(MIB as u64, 1), (0, MIB + 1), (u64::MAX, 2)] {
        let read = client.read(offset, length, LIMIT).await;
        assert!(matches!(read, Err(NbdError::OutOfRange { .. })), "{read:?}");
    }
    let beyond = client.allocation(0..u64::MAX, LIMIT).await;
    assert!(matches!(beyond, Err(NbdError::OutOfRange { .. })));
}

#[tokio::test]
async fn nobody_listens() {
    let folder = tempdir().unwrap();
    let client = Client::connect(&folder.path().join("no.sock"), &allocation(""), LIMIT).await;
    assert!(matches!(client, Err(NbdError::Connect { .. })));
}
