//! Connections that end, and callers who do not wait.

use std::time::Duration;

use strongroom_nbd::{Client, ConnectOptions, NbdError};
use tempfile::tempdir;

use crate::world::{LIMIT, MIB, Served, noise};

/// A server that takes long for each read, unless it is told otherwise.
async fn slow(folder: &std::path::Path, delay: &str) -> Served {
    let path = folder.join("disk");
    std::fs::write(&path, noise(MIB, 0..MIB)).unwrap();
    let delay = format!("delay-read={delay}");
    Served::by_nbdkit(folder, &["--filter=delay", "file", path.to_str().unwrap(), &delay]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_ends_all_reads() {
    let folder = tempdir().unwrap();
    let mut served = slow(folder.path(), "60").await;
    let client = Client::connect(&served.socket, &ConnectOptions::new(""), LIMIT)
        .await
        .unwrap();
    let reads: Vec<_> = (0..100)
        .map(|read| {
            let client = client.clone();
            tokio::spawn(async move { client.read(read * 4096, 4096, LIMIT).await })
        })
        .collect();
    // One that ends by its limit: then the others are under way, or wait until they may be.
    let late = client.read(0, 1, Duration::from_millis(50)).await;
    assert!(matches!(late, Err(NbdError::TimedOut { .. })), "{late:?}");
    served.kill();
    for read in reads {
        let read = read.await.unwrap();
        assert!(matches!(read, Err(NbdError::Lost(_))), "{read:?}");
    }
    let after = client.read(0, 1, LIMIT).await;
    assert!(matches!(after, Err(NbdError::Lost(_))), "{after:?}");
    let goodbye = client.disconnect(LIMIT).await;
    assert!(matches!(goodbye, Err(NbdError::Lost(_))), "{goodbye:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_goes_leaves_the_connection_to_the_others() {
    let folder = tempdir().unwrap();
    let served = slow(folder.path(), "20ms").await;
    let contents = noise(MIB, 0..MIB);
    let mut options = ConnectOptions::new("");
    options.requests_in_flight_max = 4;
    let client = Client::connect(&served.socket, &options, LIMIT).await.unwrap();
    for round in 0..20_u64 {
        let offset = round * 4096;
        let gone = client.clone();
        let gone = tokio::spawn(async move { gone.read(offset, 8192, LIMIT).await });
        let late = client.read(offset, 4096, Duration::from_millis(round)).await;
        gone.abort();
        match late {
            Ok(early) => assert_eq!(early, contents[offset as usize..][..4096]),
            Err(error) => assert!(matches!(error, NbdError::TimedOut { .. }), "{error}"),
        }
        let read = client.read(offset + 100, 5000, LIMIT).await.unwrap();
        assert_eq!(read, contents[offset as usize + 100..][..5000]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_goodbye_waits_for_what_is_under_way() {
    let folder = tempdir().unwrap();
    let served = slow(folder.path(), "100ms").await;
    let client = Client::connect(&served.socket, &ConnectOptions::new(""), LIMIT)
        .await
        .unwrap();
    let reading = client.clone();
    let mut reading = Box::pin(async move { reading.read(0, 4096, LIMIT).await });
    // Far enough that it is on its way.
    tokio::select! {
        biased;
        read = &mut reading => panic!("it takes longer: {read:?}"),
        () = std::future::ready(()) => {}
    }
    let other = client.clone();
    let (goodbye, read) = tokio::join!(client.disconnect(LIMIT), reading);
    goodbye.unwrap();
    assert_eq!(read.unwrap().len(), 4096);
    let after = other.read(0, 1, LIMIT).await;
    assert!(matches!(after, Err(NbdError::Closed)), "{after:?}");
    other.disconnect(LIMIT).await.unwrap();
}
