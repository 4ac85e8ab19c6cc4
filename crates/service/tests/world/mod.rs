//! A service in this process, over real TLS on a free port, with a data folder and a clock of its own.

pub mod browser;
pub mod forms;
pub mod issuer;
pub mod objects;
pub mod people;
pub mod raw;
pub mod real_provider;
pub mod receivers;
pub mod scene;
pub mod two_people;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use strongroom_api::{
    Client, ClientOptions, CreateVault, MachineKey, Registered, RetryPolicy, Secret, SignIn, Trust, VaultCredentials,
};
use strongroom_model::{Clock, MachineName, Redundancy, Region, SimulatedTime, VaultName};
use strongroom_service::{Limits, NotifyOptions, ServeOptions, Service, Upkeep};
use tempfile::TempDir;

/// When the tests take place.
pub const START: &str = "2030-06-01T12:00:00Z";

pub struct World {
    pub folder: TempDir,
    pub clock: Clock,
    pub time: SimulatedTime,
    pub service: Service,
}

/// A machine that is registered.
pub struct Machine {
    pub key: MachineKey,
    pub registered: Registered,
    pub client: Client,
}

pub fn options(data: &Path) -> ServeOptions {
    ServeOptions {
        data: data.to_owned(),
        listen: "127.0.0.1:0".to_owned(),
        url: None,
        hostnames: vec![],
        database: database(data),
        limits: Limits::default(),
        upkeep: Upkeep {
            tick: Duration::from_millis(50),
            round: Duration::from_millis(100),
            ..Upkeep::default()
        },
        notify: notify(),
        providers: Vec::new(),
    }
}

/// As usual, but webhooks may be on this machine.
pub fn notify() -> NotifyOptions {
    NotifyOptions {
        webhook_networks: vec!["127.0.0.0/8".parse().unwrap()],
        ..NotifyOptions::default()
    }
}

/// The database that belongs to a data folder, on the PostgreSQL of `./scripts/test`, when the tests run on that.
fn database(data: &Path) -> Option<String> {
    std::env::var_os("STRONGROOM_TEST_DATABASE")?;
    let known = data.with_extension("database");
    if let Ok(address) = std::fs::read_to_string(&known) {
        return Some(address);
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/postgres");
    let output = std::process::Command::new(script).arg("database").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let address = String::from_utf8(output.stdout).unwrap().trim_end().to_owned();
    std::fs::write(known, &address).unwrap();
    Some(address)
}

pub fn vault_name(text: &str) -> VaultName {
    text.parse().unwrap()
}

pub fn machine_name(text: &str) -> MachineName {
    text.parse().unwrap()
}

impl World {
    pub async fn new() -> Self {
        Self::with_limits(Limits::default()).await
    }

    pub async fn with_limits(limits: Limits) -> Self {
        Self::with(|options| options.limits = limits).await
    }

    /// A world of a service with other options.
    pub async fn with(change: impl FnOnce(&mut ServeOptions)) -> Self {
        Self::at(START.parse().unwrap(), change).await
    }

    /// As [`World::with`], at another time.
    pub async fn at(start: Timestamp, change: impl FnOnce(&mut ServeOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (clock, time) = Clock::simulated(start);
        let mut options = options(&folder.path().join("data"));
        change(&mut options);
        let service = Service::start(options, clock.clone()).await.unwrap();
        Self {
            folder,
            clock,
            time,
            service,
        }
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Stops the service and starts it again on the same data folder, on another port.
    pub async fn restart(self) -> Self {
        let Self {
            folder,
            clock,
            time,
            service,
        } = self;
        service.stop().await;
        let service = Service::start(options(&folder.path().join("data")), clock.clone())
            .await
            .unwrap();
        Self {
            folder,
            clock,
            time,
            service,
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Waits until the service has looked after things at the time that it is now.
    pub async fn seen(&self) {
        let line = format!("strongroom_clock_seen_seconds {}\n", self.now().as_second());
        loop {
            let figures = self.call("GET", "/metrics", None, b"").await.body;
            if String::from_utf8_lossy(&figures).contains(&line) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub fn client_options(&self) -> ClientOptions {
        ClientOptions {
            url: self.service.url().to_owned(),
            trust: self.trust(),
            clock: self.clock.clone(),
            retry: RetryPolicy::NONE,
            proxy: None,
        }
    }

    /// The authority, as an administrator would copy it.
    pub fn trust(&self) -> Trust {
        Trust::from_pem(&std::fs::read_to_string(self.service.ca_file()).unwrap()).unwrap()
    }

    pub fn password(&self) -> Secret {
        let text = std::fs::read_to_string(self.data().join("admin-password")).unwrap();
        Secret::new(text.trim())
    }

    pub async fn administrator(&self) -> Client {
        let session = Client::sign_in_administrator(self.client_options(), "admin", self.password())
            .await
            .unwrap();
        let refresh_token = session.refresh_token;
        Client::new(self.client_options(), SignIn::Administrator { refresh_token }).unwrap()
    }

    pub async fn vault(&self, name: &str) -> VaultCredentials {
        let administrator = self.administrator().await;
        let create = CreateVault {
            name: vault_name(name),
            resource_group: strongroom_model::ResourceGroupName::default(),
            region: Region::default(),
            redundancy: Redundancy::default(),
        };
        administrator.create_vault(&create).await.unwrap();
        administrator.issue_credentials(&vault_name(name)).await.unwrap()
    }

    pub async fn machine(&self, credentials: &VaultCredentials, name: &str) -> Machine {
        let key = MachineKey::generate();
        let name = machine_name(name);
        let registered = Client::register_with_credentials(credentials, &name, &key, self.clock.clone())
            .await
            .unwrap();
        let container = registered.container;
        let sign_in = SignIn::Machine {
            container,
            key: key.clone(),
        };
        let client = Client::new(self.client_options(), sign_in).unwrap();
        Machine {
            key,
            registered,
            client,
        }
    }
}
