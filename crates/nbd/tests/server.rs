//! What others make of our server.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use strongroom_nbd::wire::Errno;
use strongroom_nbd::{Client, ConnectOptions, Export, ExportError, NbdError, Server, ServerLimits, Stretch};
use tempfile::tempdir;
use tokio::net::{TcpListener, TcpStream};

use crate::world::{Disk, LIMIT, MIB, Ours, image, output, run};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn contents() -> Vec<u8> {
    image(
        40 * MIB + 512,
        &[
            0..MIB,
            3 * MIB + 512..3 * MIB + 1024,
            20 * MIB..33 * MIB,
            40 * MIB..40 * MIB + 512,
        ],
    )
}

fn disks(folder: &Path) -> Ours {
    let other: Arc<dyn Export> = Arc::new(Disk::of(vec![7; 1000]));
    let exports: Vec<(&str, Arc<dyn Export>)> = vec![("d0", Arc::new(Disk::of(contents()))), ("d1", other)];
    Ours::serve(folder, exports, ServerLimits::default())
}

#[tokio::test(flavor = "multi_thread")]
async fn nbdinfo_sees_what_there_is() {
    let folder = tempdir().unwrap();
    let ours = disks(folder.path());
    let listed: serde_json::Value =
        serde_json::from_str(&run("nbdinfo", &["--list", "--json", &ours.uri("")]).await).unwrap();
    let names: Vec<_> = listed["exports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|export| &export["export-name"])
        .collect();
    assert_eq!(names, ["d0", "d1"]);
    let one: serde_json::Value = serde_json::from_str(&run("nbdinfo", &["--json", &ours.uri("d0")]).await).unwrap();
    assert_eq!(
        (&one["protocol"], &one["structured"]),
        (&"newstyle-fixed".into(), &true.into())
    );
    let export = &one["exports"][0];
    assert_eq!(export["export-size"], contents().len());
    assert_eq!(export["description"], "a disk in memory");
    assert_eq!(export["contexts"], serde_json::json!(["base:allocation"]));
    for (flag, expected) in [
        ("is_read_only", true),
        ("can_multi_conn", true),
        ("can_cache", true),
        ("can_df", true),
        ("can_flush", true),
        ("can_trim", false),
        ("can_zero", false),
        ("can_fua", false),
    ] {
        assert_eq!(export[flag], expected, "{flag}");
    }
    let block_sizes = ["block_size_minimum", "block_size_preferred", "block_size_maximum"];
    assert_eq!(
        block_sizes.map(|size| export[size].as_u64().unwrap()),
        [1, 4096, 32 << 20]
    );
    let (code, _, error) = output("nbdinfo", &[&ours.uri("d2")]).await;
    assert!(
        code == Some(1) && error.contains("No such file or directory for export: d2"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nbdinfo_maps_the_zeros() {
    let folder = tempdir().unwrap();
    let ours = disks(folder.path());
    let map = run("nbdinfo", &["--map", "--json", &ours.uri("d0")]).await;
    let map: serde_json::Value = serde_json::from_str(&map).unwrap();
    let number = |extent: &serde_json::Value, field: &str| extent[field].as_u64().unwrap();
    let map = map.as_array().unwrap().iter();
    let map: Vec<_> = map
        .map(|e| (number(e, "offset"), number(e, "length"), number(e, "type")))
        .collect();
    let mib = MIB as u64;
    let expected = [
        (0, mib, 0),
        (mib, 2 * mib, 3),
        (3 * mib, 4096, 0),
        (3 * mib + 4096, 17 * mib - 4096, 3),
        (20 * mib, 13 * mib, 0),
        (33 * mib, 7 * mib, 3),
        (40 * mib, 512, 0),
    ];
    assert_eq!(map, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn nbdcopy_copies_over_many_connections() {
    let folder = tempdir().unwrap();
    let ours = disks(folder.path());
    let target = folder.path().join("copy");
    for options in [
        &["--connections=8", "--requests=64", "--threads=4"][..],
        &["--synchronous", "--no-extents"],
        &["--connections=1", "--request-size=33554432", "--sparse=0"],
    ] {
        let _ = std::fs::remove_file(&target);
        run("nbdcopy", &[options, &[&ours.uri("d0"), text(&target)]].concat()).await;
        assert!(std::fs::read(&target).unwrap() == contents(), "{options:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn qemu_reads_compares_and_builds_on_it() {
    let folder = tempdir().unwrap();
    let ours = disks(folder.path());
    let [raw, copy, overlay, flat] = ["raw", "copy", "overlay", "flat"].map(|name| folder.path().join(name));
    std::fs::write(&raw, contents()).unwrap();
    let uri = ours.uri("d0");
    run("qemu-img", &["compare", "-f", "raw", "-F", "raw", text(&raw), &uri]).await;
    run(
        "qemu-img",
        &[
            "convert",
            "-f",
            "raw",
            "-O",
            "qcow2",
            "-m",
            "16",
            "-W",
            &uri,
            text(&copy),
        ],
    )
    .await;
    run(
        "qemu-img",
        &["compare", "-f", "raw", "-F", "qcow2", text(&raw), text(&copy)],
    )
    .await;
    // As a guest does whose disk is an overlay.
    run(
        "qemu-img",
        &["create", "-f", "qcow2", "-b", &uri, "-F", "raw", text(&overlay)],
    )
    .await;
    let commands = [
        "-c",
        "write -P 9 21M 1M",
        "-c",
        "read -P 9 21M 1M",
        "-c",
        "read -P 0 10M 1M",
        "-c",
        "flush",
    ];
    let done = run("qemu-io", &[&commands[..], &["-f", "qcow2", text(&overlay)]].concat()).await;
    assert!(!done.contains("failed"), "{done}");
    run(
        "qemu-img",
        &["convert", "-f", "qcow2", "-O", "raw", text(&overlay), text(&flat)],
    )
    .await;
    let mut expected = contents();
    expected[21 * MIB..22 * MIB].fill(9);
    assert!(std::fs::read(&flat).unwrap() == expected);
    run("qemu-img", &["compare", "-f", "raw", "-F", "raw", text(&raw), &uri]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_client_reads_our_server() {
    let folder = tempdir().unwrap();
    let ours = disks(folder.path());
    let contents = contents();
    for structured in [true, false] {
        let mut options = ConnectOptions::new("d0")
            .with_context("base:allocation")
            .with_context("qemu:none");
        options.structured = structured;
        let client = Client::connect(&ours.socket, &options, LIMIT).await.unwrap();
        assert_eq!(
            client.contexts().collect::<Vec<_>>(),
            if structured { vec!["base:allocation"] } else { vec![] }
        );
        let reads: Vec<_> = (0..64)
            .map(|read| {
                let client = client.clone();
                let (offset, length) = (read * 650_001, read * 15_000);
                let read = async move { client.read(offset as u64, length, LIMIT).await };
                (offset, length, tokio::spawn(read))
            })
            .collect();
        for (offset, length, read) in reads {
            assert!(
                read.await.unwrap().unwrap() == contents[offset..offset + length],
                "{length} at {offset}"
            );
        }
        let all = client.read(0, contents.len(), LIMIT).await.unwrap();
        assert!(all == contents);
        if structured {
            let zeros = client.allocation(MIB as u64 + 1..3 * MIB as u64, LIMIT).await.unwrap();
            let zeros: Vec<_> = zeros.iter().map(|extent| (extent.length, extent.flags.zero)).collect();
            assert_eq!(zeros, [(2 * MIB as u64 - 1, true)]);
        }
        client.disconnect(LIMIT).await.unwrap();
    }
    let listed = Client::list(&ours.socket, LIMIT).await.unwrap();
    assert_eq!(
        listed.iter().map(|export| export.name.as_str()).collect::<Vec<_>>(),
        ["d0", "d1"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_export_needs_no_name() {
    let folder = tempdir().unwrap();
    let export: Arc<dyn Export> = Arc::new(Disk::of(vec![1; 100]));
    let ours = Ours::serve(folder.path(), vec![("only", export)], ServerLimits::default());
    let client = Client::connect(&ours.socket, &ConnectOptions::new(""), LIMIT)
        .await
        .unwrap();
    assert_eq!((client.export().name.as_str(), client.export().size), ("only", 100));
    assert_eq!(run("nbdinfo", &["--size", &ours.uri("")]).await.trim(), "100");
}

/// A disk of one byte at 9 TiB.
struct Vast;

#[async_trait]
impl Export for Vast {
    fn size(&self) -> u64 {
        10 << 40
    }

    async fn read(&self, _: u64, length: u32) -> Result<Bytes, ExportError> {
        Ok(vec![1; length as usize].into())
    }

    async fn extents(&self, range: Range<u64>) -> Result<Vec<Stretch>, ExportError> {
        let zero = range.start != 9 << 40;
        let end = if range.start < 9 << 40 { 9 << 40 } else { 10 << 40 };
        let length = if zero { end - range.start } else { 1 };
        Ok(vec![Stretch { length, zero }])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vast_disk_over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let export: Arc<dyn Export> = Arc::new(Vast);
    let server = Server::new([("vast".to_owned(), export)], ServerLimits::default());
    let serving = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let server = server.clone();
            tokio::spawn(async move { server.attend(stream).await });
        }
    });
    let map = run("nbdinfo", &["--map", "--totals", &format!("nbd://{address}")]).await;
    assert_eq!(
        map.split_whitespace().filter(|word| *word == "hole,zero").count(),
        1,
        "{map}"
    );
    let options = ConnectOptions::new("").with_context("base:allocation");
    let stream = TcpStream::connect(address).await.unwrap();
    let client = Client::over(stream, &options, LIMIT).await.unwrap();
    let extents = client.allocation(0..10 << 40, LIMIT).await.unwrap();
    let lengths: Vec<_> = extents.iter().map(|extent| extent.length).collect();
    assert_eq!(lengths, [9 << 40, 1, (1 << 40) - 1]);
    assert_eq!(client.read((9 << 40) - 5000, 5001, LIMIT).await.unwrap()[5000], 1);
    serving.abort();
}

/// A disk that breaks in each way that one can.
struct Broken;

#[async_trait]
impl Export for Broken {
    fn size(&self) -> u64 {
        4 * 4096
    }

    async fn read(&self, offset: u64, length: u32) -> Result<Bytes, ExportError> {
        match offset / 4096 {
            0 => Ok(vec![1; length as usize].into()),
            1 => Err(ExportError::io("chunk 3f2a is missing")),
            2 => Ok(vec![1; length as usize - 1].into()),
            _ => panic!("an export that has a bug"),
        }
    }

    async fn extents(&self, range: Range<u64>) -> Result<Vec<Stretch>, ExportError> {
        let length = range.end - range.start;
        Ok(vec![Stretch { length, zero: false }])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_breaks_is_an_error_and_never_a_wait() {
    let folder = tempdir().unwrap();
    let ours = Ours::serve(
        folder.path(),
        vec![("broken", Arc::new(Broken))],
        ServerLimits::default(),
    );
    let client = Client::connect(&ours.socket, &ConnectOptions::new(""), LIMIT)
        .await
        .unwrap();
    let read = |block: u64| client.read(block * 4096, 4096, LIMIT);
    let Err(NbdError::Server {
        errno: Errno::Io,
        message,
        ..
    }) = read(1).await
    else {
        panic!("the second block cannot be read")
    };
    assert_eq!(message, "chunk 3f2a is missing");
    assert!(
        matches!(read(2).await, Err(NbdError::Server { errno: Errno::Io, .. })),
        "too short is an error"
    );
    assert_eq!(read(0).await.unwrap().len(), 4096, "and the connection goes on");
    assert!(matches!(read(3).await, Err(NbdError::Lost(_))), "a panic ends it");
    let again = Client::connect(&ours.socket, &ConnectOptions::new(""), LIMIT)
        .await
        .unwrap();
    assert_eq!(
        again.read(0, 4096, LIMIT).await.unwrap().len(),
        4096,
        "for this one client"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_too_many_is_hung_up_on() {
    let folder = tempdir().unwrap();
    let limits = ServerLimits {
        connections: 2,
        ..ServerLimits::default()
    };
    let ours = Ours::serve(folder.path(), vec![("d", Arc::new(Disk::of(vec![1; 10])))], limits);
    let connect = || async { Client::connect(&ours.socket, &ConnectOptions::new(""), LIMIT).await };
    let (first, second) = (connect().await.unwrap(), connect().await.unwrap());
    let third = connect().await;
    assert!(matches!(third, Err(NbdError::Lost(_))), "{third:?}");
    first.disconnect(LIMIT).await.unwrap();
    // The server counts it as gone a little after it has hung up.
    let third = async {
        loop {
            if let Ok(third) = connect().await {
                return third;
            }
        }
    };
    let third = tokio::time::timeout(LIMIT, third).await.expect("there is room again");
    assert_eq!(
        third.read(0, 10, LIMIT).await.unwrap(),
        second.read(0, 10, LIMIT).await.unwrap()
    );
}
