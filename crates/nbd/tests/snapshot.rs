//! A disk that is written to while its snapshot is read, as QEMU shows both during a backup.

use std::path::{Path, PathBuf};

use strongroom_nbd::wire::Errno;
use strongroom_nbd::{Client, ConnectOptions, NbdError};
use tempfile::{TempDir, tempdir};

use crate::world::{LIMIT, MIB, Served, noise, run};

struct Lab {
    folder: TempDir,
    disk: PathBuf,
    fleece: PathBuf,
}

impl Lab {
    fn new() -> Self {
        let folder = tempdir().unwrap();
        let (disk, fleece) = (folder.path().join("disk"), folder.path().join("fleece"));
        std::fs::write(&disk, noise(16 * MIB, 0..8 * MIB)).unwrap();
        std::fs::File::create(&fleece).unwrap().set_len(16 << 20).unwrap();
        Self { folder, disk, fleece }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

async fn overwrite(served: &Served) {
    let live = format!("nbd+unix:///live?socket={}", served.socket.display());
    run("qemu-io", &["-f", "raw", "-c", "write -P 5 1M 1M", &live]).await;
}

fn point() -> ConnectOptions {
    ConnectOptions::new("point").with_context("base:allocation")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_stays_as_it_was() {
    let lab = Lab::new();
    let fleece = format!("driver=file,node-name=fleece,filename={}", lab.fleece.display());
    let served = Served::of_snapshot(lab.path(), &lab.disk, &fleece).await;
    let client = Client::connect(&served.socket, &point(), LIMIT).await.unwrap();
    overwrite(&served).await;
    let read = client.read(0, 16 * MIB, LIMIT).await.unwrap();
    assert!(read == noise(16 * MIB, 0..8 * MIB));
    assert_eq!(
        std::fs::read(&lab.disk).unwrap()[MIB..2 * MIB],
        vec![5; MIB],
        "the disk has changed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_lost_is_an_error_of_each_request() {
    let lab = Lab::new();
    let full = format!(
        r#"{{"driver": "blkdebug", "node-name": "fleece", "image": {{"driver": "file", "filename": "{}"}},
        "inject-error": [{{"event": "none", "iotype": "write", "errno": 28}}]}}"#,
        lab.fleece.display()
    );
    let served = Served::of_snapshot(lab.path(), &lab.disk, &full).await;
    let client = Client::connect(&served.socket, &point(), LIMIT).await.unwrap();
    assert_eq!(client.read(MIB as u64, MIB, LIMIT).await.unwrap().len(), MIB);
    overwrite(&served).await;
    for _ in 0..2 {
        let read = client.read(MIB as u64, MIB, LIMIT).await;
        let told = client.allocation(0..MIB as u64, LIMIT).await;
        assert!(
            matches!(
                read,
                Err(NbdError::Server {
                    errno: Errno::Invalid,
                    ..
                })
            ),
            "{read:?}"
        );
        assert!(
            matches!(
                told,
                Err(NbdError::Server {
                    errno: Errno::Invalid,
                    ..
                })
            ),
            "{told:?}"
        );
    }
    client.disconnect(LIMIT).await.unwrap();
}
