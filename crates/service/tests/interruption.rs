//! The service dies in the middle and comes back: clients go on where they were.

use std::time::Duration;

use strongroom_api::{Client, ClientOptions, Fetched, MachineKey, RetryPolicy, Secret, SignIn, Trust};
use strongroom_format::blob_id;
use strongroom_format::pack::BlobKind;
use strongroom_model::{BlobId, Clock, PackId, Redundancy, Region};
use strongroom_service::{ServeOptions, Service};
use tokio::runtime::Runtime;

use crate::world::objects::pack;
use crate::world::{START, machine_name, options, vault_name};

const PATIENT: RetryPolicy = RetryPolicy {
    total: Duration::from_secs(60),
    pause_first: Duration::from_millis(10),
    pause_max: Duration::from_millis(100),
};

/// A service in a runtime of its own, which can be ended as by `kill -9`: whatever was under way is dropped.
struct Mortal {
    runtime: Runtime,
    service: Service,
}

impl Mortal {
    fn start(options: ServeOptions, clock: &Clock) -> Self {
        let runtime = Runtime::new().unwrap();
        let service = runtime.block_on(Service::start(options, clock.clone())).unwrap();
        Self { runtime, service }
    }

    fn die(self) {
        self.runtime.shutdown_timeout(Duration::from_secs(10));
    }
}

#[test]
fn a_fetch_and_an_upload_survive_the_death_of_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, _) = Clock::simulated(START.parse().unwrap());
    let first = Mortal::start(options(&folder.path().join("data")), &clock);
    let again = ServeOptions {
        listen: first.service.address().to_string(),
        ..options(&folder.path().join("data"))
    };
    let client_runtime = Runtime::new().unwrap();
    let client = client_runtime.block_on(register(&first.service, &clock));

    // More than all the buffers between vault and client can hold.
    let blobs: Vec<Vec<u8>> = (0..48u8).map(|i| vec![i; (1 << 20) - usize::from(i)]).collect();
    let ids: Vec<BlobId> = blobs.iter().map(|blob| blob_id(blob)).collect();
    let session = client_runtime.block_on(client.begin_session(None)).unwrap().id;
    for blobs in blobs.chunks(16) {
        let (name, bytes) = packed(blobs);
        client_runtime.block_on(client.put_pack(session, name, bytes)).unwrap();
    }
    let mut stream = client.fetch(ids.clone());
    let begun = client_runtime.block_on(stream.next()).unwrap();
    assert!(matches!(begun, Some(Fetched::Blob { .. })), "{begun:?}");
    first.die();

    let (name, bytes) = packed(&[vec![99; 5 << 20]]);
    let waiting = client_runtime.spawn(async move { client.put_pack(session, name, bytes).await });
    let second = Mortal::start(again, &clock);
    assert_eq!(client_runtime.block_on(waiting).unwrap().unwrap().new_blobs, 1);
    let mut came = 1;
    while let Some(fetched) = client_runtime.block_on(stream.next()).unwrap() {
        let Fetched::Blob { id, bytes } = fetched else {
            panic!("{fetched:?}")
        };
        assert_eq!(blob_id(&bytes), id);
        came += 1;
    }
    assert_eq!(came, ids.len());
    second.die();
}

fn packed(blobs: &[Vec<u8>]) -> (PackId, bytes::Bytes) {
    let slices: Vec<&[u8]> = blobs.iter().map(Vec::as_slice).collect();
    let pack = pack(BlobKind::Chunk, &slices);
    (pack.name, pack.bytes)
}

async fn register(service: &Service, clock: &Clock) -> Client {
    let options = ClientOptions {
        url: service.url().to_owned(),
        trust: Trust::from_pem(service.trust().as_pem()).unwrap(),
        clock: clock.clone(),
        retry: PATIENT,
        proxy: None,
    };
    let password = std::fs::read_to_string(service.password_file().unwrap()).unwrap();
    let session = Client::sign_in_administrator(options.clone(), "admin", Secret::new(password.trim()))
        .await
        .unwrap();
    let refresh_token = session.refresh_token;
    let administrator = Client::new(options.clone(), SignIn::Administrator { refresh_token }).unwrap();
    let create = strongroom_api::CreateVault {
        name: vault_name("main"),
        resource_group: strongroom_model::ResourceGroupName::default(),
        region: Region::default(),
        redundancy: Redundancy::default(),
    };
    administrator.create_vault(&create).await.unwrap();
    let credentials = administrator.issue_credentials(&vault_name("main")).await.unwrap();
    let (name, key) = (machine_name("m"), MachineKey::generate());
    let registered = Client::register_with_credentials(&credentials, &name, &key, clock.clone())
        .await
        .unwrap();
    let container = registered.container;
    Client::new(options, SignIn::Machine { container, key }).unwrap()
}
