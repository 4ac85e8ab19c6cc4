//! A running service, from the first look at the data folder to the last answered request.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use strongroom_api::{Fingerprint, Trust, TrustError};
use strongroom_db::{Db, DbError, UserRow};
use strongroom_model::{Clock, Region, VaultId};
use strongroom_store::Store;
use strongroom_vault::Vaults;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::attempts::Attempts;
use crate::authority::{self, AuthorityError, Pair, ServerFacts};
use crate::data_dir::{DataDir, DataDirError};
use crate::limits::Limits;
use crate::listener::Listener;
use crate::metrics::Metrics;
use crate::pack_memory::PackMemory;
use crate::password::{PasswordHasher, fill_random, random_bytes, random_password};
use crate::router::router;
use crate::shared::Shared;
use crate::token::{KEY_LENGTH, TokenKey};

const CA_FILE: &str = "tls/ca.pem";
const PASSWORD_FILE: &str = "admin-password";
const ADDRESS_FILE: &str = "address";

/// The first administrator.
const ADMINISTRATOR: &str = "admin";

/// How to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeOptions {
    /// The data folder; made if it is not there.
    pub data: PathBuf,
    /// Address and port to listen on; port 0 takes any free one.
    pub listen: String,
    /// The address that machines use, written into vault credentials files; guessed when not given.
    pub url: Option<String>,
    /// Further host names for the certificate.
    pub hostnames: Vec<String>,
    /// How patient to be with slow clients.
    pub limits: Limits,
}

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// Somebody else listens there.
    #[error("{listen} is in use by another program: stop it, or choose another address with --listen")]
    AddressInUse {
        /// The address.
        listen: String,
    },
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {listen}: {source}. It must be an address of this machine and a port, such as 127.0.0.1:8443"
    )]
    Listen {
        /// The address.
        listen: String,
        /// Why not.
        source: io::Error,
    },
    /// Certificates cannot be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The CA certificate in the data folder cannot be used.
    #[error("{CA_FILE} in the data folder: {0}")]
    Trust(#[from] TrustError),
    /// The server's certificate cannot be used.
    #[error(
        "the server's certificate in the data folder cannot be used: {0}. Remove tls/server.* there and start again"
    )]
    Tls(String),
    /// The database cannot be opened.
    #[error("cannot open the database: {0}")]
    Db(#[from] DbError),
}

/// A service that runs. Dropped, it ends as by [`Service::stop`], but nobody waits for it.
pub struct Service {
    address: SocketAddr,
    url: String,
    fingerprint: Fingerprint,
    first_start: bool,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Service {
    /// Starts to serve; on return connections are accepted.
    ///
    /// # Errors
    /// Says what is in the way, and what to do about it.
    pub async fn start(options: ServeOptions, clock: Clock) -> Result<Self, StartError> {
        let now = clock.now();
        let folder = DataDir::open(&options.data)?;
        let sockets = listen(&options.listen).await?;
        let address = sockets.local_addr().map_err(listen_error(&options.listen))?;
        let first_start = folder.read(CA_FILE)?.is_none();
        let (trust, tls) = prepare_tls(&folder, address, &options.hostnames, now)?;
        let db = Db::open_file(&folder.path("strongroom.db")).await?;
        let passwords = PasswordHasher::new();
        prepare_administrator(&folder, &db, &passwords, now).await?;
        let vaults = open_vaults(&folder, &db, &clock);
        let url = options
            .url
            .clone()
            .unwrap_or_else(|| guess_url(address, &options.hostnames));
        let metrics = Arc::new(Metrics::new());
        let fingerprint = trust.fingerprint();
        let shared = Arc::new(Shared {
            tokens: TokenKey::new(&token_key(&folder)?),
            clock,
            db,
            vaults,
            folder,
            trust,
            url: url.clone(),
            passwords,
            attempts: Attempts::default(),
            metrics: metrics.clone(),
            limits: options.limits,
            pack_memory: PackMemory::new(),
            fetches: Shared::fetches(),
            ready_since: Mutex::new(None),
        });
        shared.folder.write(ADDRESS_FILE, format!("{url}\n").as_bytes())?;
        let (stop, stopped) = watch::channel(false);
        let listener = Listener {
            tls,
            router: router(&shared),
            metrics,
            stop: stopped,
            limits: options.limits,
        };
        let running = tokio::spawn(listener.run(sockets));
        tracing::info!(%address, url, "serving");
        Ok(Self {
            address,
            url,
            fingerprint,
            first_start,
            shared,
            stop,
            running,
        })
    }

    /// Ends the service: no new connections, requests under way are finished within ten seconds.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // A panic in the listener was reported when it happened.
        let _ = self.running.await;
        self.shared.db.close().await;
        self.shared.folder.remove(ADDRESS_FILE);
        tracing::info!("stopped");
    }

    /// Address and port that the service listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where clients reach the service.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        self.shared.folder.root()
    }

    /// The file with the certificate of the service's authority.
    pub fn ca_file(&self) -> PathBuf {
        self.shared.folder.path(CA_FILE)
    }

    /// The authority that clients must believe.
    pub fn trust(&self) -> &Trust {
        &self.shared.trust
    }

    /// The fingerprint of that certificate.
    pub fn ca_fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Whether this start made authority and administrator.
    pub fn is_first_start(&self) -> bool {
        self.first_start
    }

    /// The file with the first administrator's password, as long as it is there.
    pub fn password_file(&self) -> Option<PathBuf> {
        let there = matches!(self.shared.folder.read(PASSWORD_FILE), Ok(Some(_)));
        there.then(|| self.shared.folder.path(PASSWORD_FILE))
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Service({})", self.url)
    }
}

async fn listen(address: &str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(listen_error(address))
}

fn listen_error(listen: &str) -> impl FnOnce(io::Error) -> StartError {
    let listen = listen.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::AddressInUse { listen },
        _ => StartError::Listen { listen, source },
    }
}

/// The address that others reach the service by, as far as one can tell from here.
fn guess_url(address: SocketAddr, hostnames: &[String]) -> String {
    let port = address.port();
    match (hostnames.first(), address.ip().is_unspecified()) {
        (Some(name), _) => format!("https://{name}:{port}"),
        (None, true) => format!("https://{}:{port}", machine_name()),
        (None, false) => format!("https://{address}"),
    }
}

fn machine_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Authority and server certificate: made at the first start, renewed when they are due.
fn prepare_tls(
    folder: &DataDir,
    address: SocketAddr,
    hostnames: &[String],
    now: Timestamp,
) -> Result<(Trust, TlsAcceptor), StartError> {
    let authority = match (folder.read_text(CA_FILE)?, folder.read_text("tls/ca.key")?) {
        (Some(certificate), Some(key)) => Pair { certificate, key },
        (None, _) => make_authority(folder, now)?,
        (Some(_), None) => return Err(folder.damaged("tls/ca.key", "it is missing").into()),
    };
    let trust = Trust::from_pem(&authority.certificate)?;
    let names = authority::server_names(&machine_name(), address.ip(), hostnames);
    let server = server_pair(folder, &authority, &ServerFacts::new(names, now), now)?;
    Ok((trust, acceptor(&server)?))
}

fn make_authority(folder: &DataDir, now: Timestamp) -> Result<Pair, StartError> {
    let pair = authority::make_authority(now)?;
    // A server certificate of an earlier authority is worth nothing any more.
    folder.remove("tls/server.json");
    // The key first: a certificate in the folder means that the authority is complete.
    folder.write("tls/ca.key", pair.key.as_bytes())?;
    folder.write(CA_FILE, pair.certificate.as_bytes())?;
    Ok(pair)
}

fn server_pair(folder: &DataDir, authority: &Pair, wanted: &ServerFacts, now: Timestamp) -> Result<Pair, StartError> {
    let facts = folder.read("tls/server.json")?;
    let facts: Option<ServerFacts> = facts.and_then(|text| serde_json::from_slice(&text).ok());
    if facts.is_some_and(|facts| facts.serves(wanted, now))
        && let Some(certificate) = folder.read_text("tls/server.pem")?
        && let Some(key) = folder.read_text("tls/server.key")?
    {
        return Ok(Pair { certificate, key });
    }
    let pair = authority::issue_server(&authority.key, wanted, now)?;
    // The facts last: they vouch for the two others.
    folder.remove("tls/server.json");
    folder.write("tls/server.key", pair.key.as_bytes())?;
    folder.write("tls/server.pem", pair.certificate.as_bytes())?;
    let facts = serde_json::to_vec(wanted).expect("plain fields always serialise");
    folder.write("tls/server.json", &facts)?;
    tracing::info!(names = wanted.names.join(" "), expires = %wanted.expires, "issued the server's certificate");
    Ok(pair)
}

fn acceptor(pair: &Pair) -> Result<TlsAcceptor, StartError> {
    let unusable = |error: &dyn std::fmt::Display| StartError::Tls(error.to_string());
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).map_err(|error| unusable(&error))?;
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).map_err(|error| unusable(&error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate], key))
        .map_err(|error| unusable(&error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Makes the first administrator. The password's file comes first: an account whose password nobody knows is of no use,
/// while a password without account is replaced at the next start.
async fn prepare_administrator(
    folder: &DataDir,
    db: &Db,
    passwords: &PasswordHasher,
    now: Timestamp,
) -> Result<(), StartError> {
    if db.count_users().await? > 0 {
        return Ok(());
    }
    let password = random_password();
    folder.write(PASSWORD_FILE, format!("{}\n", password.reveal()).as_bytes())?;
    let user = UserRow {
        name: ADMINISTRATOR.to_owned(),
        password_hash: passwords.hash(password).await,
        created: now,
    };
    db.insert_user(&user).await?;
    Ok(())
}

fn open_vaults(folder: &DataDir, db: &Db, clock: &Clock) -> Vaults {
    let root = folder.root().to_owned();
    let stores = move |vault: VaultId, region: &Region| {
        let store: Arc<dyn Store> = Arc::new(DataDir::open_objects(&root, region, vault)?);
        Ok(store)
    };
    let entropy = Arc::new(|bytes: &mut [u8]| fill_random(bytes));
    let options = strongroom_vault::Options::new(Box::new(stores), clock.clone(), entropy);
    Vaults::open(db.clone(), options)
}

fn token_key(folder: &DataDir) -> Result<[u8; KEY_LENGTH], StartError> {
    const FILE: &str = "secrets/token.key";
    if let Some(bytes) = folder.read(FILE)? {
        let right = bytes
            .try_into()
            .map_err(|_| folder.damaged(FILE, "it has another length than the key"));
        return Ok(right?);
    }
    let key = random_bytes::<KEY_LENGTH>();
    folder.write(FILE, &key)?;
    Ok(key)
}
