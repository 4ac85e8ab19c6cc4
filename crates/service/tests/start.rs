//! Starting, stopping, starting again.

use std::net::SocketAddr;

use jiff::SignedDuration;
use strongroom_api::{CertificateFault, Client, ClientError, ClientOptions, SignIn};
use strongroom_model::Clock;
use strongroom_service::{ServeOptions, Service, StartError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::world;
use crate::world::{World, options, vault_name};

#[tokio::test]
async fn the_first_start_makes_everything_and_keeps_it_private() {
    let world = World::new().await;
    assert!(world.service.is_first_start());
    assert_eq!(
        world.service.password_file(),
        Some(world.service.data().join("admin-password"))
    );
    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(world.data().join(name)).unwrap().permissions().mode() & 0o777
    };
    for file in [
        "tls/ca.key",
        "tls/server.key",
        "secrets/token.key",
        "admin-password",
        "strongroom.db",
    ] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    for folder in ["", "tls", "secrets", "objects"] {
        assert_eq!(mode(folder), 0o700, "{folder}");
    }
    let address = std::fs::read_to_string(world.data().join("address")).unwrap();
    assert_eq!(address.trim(), world.service.url());
}

/// A script that waits for the port must find all that the port is of use for.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_answered_before_all_is_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("new/data");
    let (clock, _) = Clock::simulated(world::START.parse().unwrap());
    let address = free_address();
    let there = data.clone();
    let waiting = std::thread::spawn(move || {
        while std::net::TcpStream::connect(address).is_err() {}
        ["admin-password", "tls/ca.pem", "address", "strongroom.db"].map(|file| std::fs::read(there.join(file)).is_ok())
    });
    let start = ServeOptions {
        listen: address.to_string(),
        ..options(&data)
    };
    let service = Service::start(start, clock.clone()).await.unwrap();
    assert_eq!(waiting.join().unwrap(), [true; 4]);
    service.stop().await;
}

/// An address of this machine that nobody listens on, and that no connection can leave from.
fn free_address() -> SocketAddr {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    let socket = std::net::TcpListener::bind(format!("127.{}.{b}.{c}:0", 128 | (a & 63))).unwrap();
    socket.local_addr().unwrap()
}

#[tokio::test]
async fn a_start_that_was_cut_off_before_there_was_an_administrator_makes_one() {
    let world = World::new().await;
    let data = world.data();
    world.service.stop().await;
    let before = std::fs::read(data.join("admin-password")).unwrap();
    for file in [
        "installation",
        "strongroom.db",
        "strongroom.db-wal",
        "strongroom.db-shm",
    ] {
        let _ = std::fs::remove_file(data.join(file));
    }
    let service = Service::start(options(&data), world.clock.clone()).await.unwrap();
    assert!(service.is_first_start());
    let world = World { service, ..world };
    assert_ne!(std::fs::read(data.join("admin-password")).unwrap(), before);
    world.administrator().await.vaults().await.unwrap();
}

#[tokio::test]
async fn a_restart_keeps_authority_password_and_sessions() {
    let world = World::new().await;
    let session = Client::sign_in_administrator(world.client_options(), "admin", world.password())
        .await
        .unwrap();
    let (authority, certificate) = (world.service.ca_fingerprint(), server_certificate(&world));
    let world = world.restart().await;
    assert!(!world.service.is_first_start());
    assert_eq!(world.service.ca_fingerprint(), authority);
    assert_eq!(server_certificate(&world), certificate);
    let sign_in = SignIn::Administrator {
        refresh_token: session.refresh_token,
    };
    Client::new(world.client_options(), sign_in)
        .unwrap()
        .vaults()
        .await
        .unwrap();
    world.administrator().await.vaults().await.unwrap();
}

#[tokio::test]
async fn the_server_certificate_is_renewed_in_time_by_the_same_authority() {
    let world = World::new().await;
    let (authority, certificate) = (world.service.ca_fingerprint(), server_certificate(&world));
    world.time.advance(SignedDuration::from_hours(24 * 340));
    world.administrator().await.vaults().await.unwrap();
    let world = world.restart().await;
    assert_eq!(world.service.ca_fingerprint(), authority);
    assert_ne!(server_certificate(&world), certificate);
    world.time.advance(SignedDuration::from_hours(24 * 340));
    world.administrator().await.vaults().await.unwrap();
}

#[tokio::test]
async fn an_expired_certificate_and_a_foreign_authority_are_told_apart() {
    let (world, other) = (World::new().await, World::new().await);
    let foreign = ClientOptions {
        trust: other.trust(),
        ..world.client_options()
    };
    assert_eq!(fault(foreign).await, CertificateFault::OtherAuthority);
    let elsewhere = world.service.url().replace("127.0.0.1", "127.0.0.2");
    world.time.advance(SignedDuration::from_hours(24 * 400));
    assert_eq!(fault(world.client_options()).await, CertificateFault::NotNow);
    let unreachable = ClientOptions {
        url: elsewhere,
        ..world.client_options()
    };
    let error = Client::new(unreachable, SignIn::Nobody)
        .unwrap()
        .vaults()
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
}

async fn fault(options: ClientOptions) -> CertificateFault {
    let error = Client::new(options, SignIn::Nobody)
        .unwrap()
        .vaults()
        .await
        .unwrap_err();
    match error {
        ClientError::UnknownCertificate { fault, .. } => fault,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn two_services_cannot_share_a_data_folder_or_an_address() {
    let world = World::new().await;
    let refused = Service::start(options(&world.data()), world.clock.clone())
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("in use by another `strongroom serve`"),
        "{refused}"
    );
    let elsewhere = ServeOptions {
        listen: world.service.address().to_string(),
        ..options(&world.folder.path().join("other"))
    };
    let refused = Service::start(elsewhere, world.clock.clone()).await.unwrap_err();
    assert!(matches!(refused, StartError::AddressInUse { .. }), "{refused}");
    assert!(refused.to_string().contains("--listen"), "{refused}");
}

#[tokio::test]
async fn a_start_that_was_cut_off_is_made_good() {
    let world = World::new().await;
    let data = world.data();
    world.service.stop().await;
    for lost in ["tls/server.pem", "tls/server.json", "address"] {
        let _ = std::fs::remove_file(data.join(lost));
    }
    let service = Service::start(options(&data), world.clock.clone()).await.unwrap();
    service.stop().await;
    std::fs::remove_file(data.join("tls/ca.key")).unwrap();
    let refused = Service::start(options(&data), world.clock.clone()).await.unwrap_err();
    assert!(refused.to_string().contains("ca.key"), "{refused}");
}

#[tokio::test]
async fn a_stopped_service_is_gone_and_says_so() {
    let world = World::new().await;
    let (options, data) = (world.client_options(), world.data());
    world.service.stop().await;
    assert!(!data.join("address").exists());
    let error = Client::new(options, SignIn::Nobody)
        .unwrap()
        .vaults()
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
}

fn server_certificate(world: &World) -> String {
    std::fs::read_to_string(world.data().join("tls/server.pem")).unwrap()
}

#[tokio::test]
async fn the_certificate_is_for_the_address_that_machines_use() {
    let world = World::new().await;
    let data = world.folder.path().join("named");
    let named = |url: &str| ServeOptions {
        url: Some(url.to_owned()),
        ..options(&data)
    };
    for wrong in [
        "vault.example.org",
        "http://vault.example.org",
        "https://vault.example.org/path",
        "https://",
    ] {
        let refused = Service::start(named(wrong), world.clock.clone()).await.unwrap_err();
        assert!(refused.to_string().contains("https://host:8443"), "{refused}");
    }
    let service = Service::start(named("https://vault.example.org:8443/"), world.clock.clone())
        .await
        .unwrap();
    assert_eq!(service.url(), "https://vault.example.org:8443");
    let facts = std::fs::read_to_string(data.join("tls/server.json")).unwrap();
    assert!(facts.contains("\"vault.example.org\""), "{facts}");
}

#[tokio::test]
async fn requests_under_way_are_finished_before_the_end() {
    let world = World::new().await;
    let form = format!(
        "grant_type=password&username=admin&password={}",
        world.password().reveal()
    );
    let (mut busy, mut idle) = (world.connect().await, world.connect().await);
    let head = "POST /api/v1/token HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n";
    let head = format!("{head}content-length: {}\r\n\r\n", form.len());
    busy.write_all(head.as_bytes()).await.unwrap();
    // Once the service asks for the body, the request is under way.
    let mut go_on = [0; 25];
    busy.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    let finish = async {
        // Once the idle connection was closed, the service is stopping.
        let _ = idle.read_to_end(&mut Vec::new()).await;
        busy.write_all(form.as_bytes()).await.unwrap();
        world::raw::read_reply(&mut busy).await
    };
    let ((), reply) = tokio::join!(world.service.stop(), finish);
    assert_eq!(reply.status, 200, "{}", reply.head);
}

#[tokio::test]
async fn a_data_folder_and_its_database_stay_together() {
    let world = World::new().await;
    let (data, elsewhere) = (world.data(), world.folder.path().join("elsewhere"));
    let administrator = world.administrator().await;
    let create = strongroom_api::CreateVault {
        name: vault_name("main"),
        resource_group: strongroom_model::ResourceGroupName::default(),
        region: strongroom_model::Region::default(),
        redundancy: strongroom_model::Redundancy::default(),
    };
    administrator.create_vault(&create).await.unwrap();
    let World {
        service,
        clock,
        folder: _folder,
        ..
    } = world;
    service.stop().await;
    let with = |data: &std::path::Path, database: std::path::PathBuf| ServeOptions {
        database: Some(database.display().to_string()),
        ..options(data)
    };
    let other_database = Service::start(with(&data, data.join("new.db")), clock.clone())
        .await
        .unwrap_err();
    assert!(
        matches!(other_database, StartError::OtherDatabase { .. }),
        "{other_database}"
    );
    let other_folder = Service::start(with(&elsewhere, data.join("strongroom.db")), clock.clone())
        .await
        .unwrap_err();
    assert!(matches!(other_folder, StartError::OtherFolder { .. }), "{other_folder}");
    let again = Service::start(options(&data), clock).await.unwrap();
    again.stop().await;
}
