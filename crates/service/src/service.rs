//! A running service, from the first look at the data folder to the last answered request.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strongroom_api::{Fingerprint, Trust, TrustError};
use strongroom_db::DbError;
use strongroom_model::Clock;
use tokio::net::{TcpListener, TcpSocket, lookup_host};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::authority::AuthorityError;
use crate::data_dir::{DataDir, DataDirError, Sharing};
use crate::descriptors;
use crate::first_administrator::{FirstAdministrator, PASSWORD_FILE};
use crate::limits::Limits;
use crate::listener::{FAREWELL, Listener};
use crate::notifier::{self, MailError};
use crate::notify_options::NotifyOptions;
use crate::prepare::{CA_FILE, Prepared, prepare};
use crate::provider_options::{ProviderError, ProviderOptions};
use crate::router::router;
use crate::scheduler;
use crate::shared::Shared;
use crate::upkeep::Upkeep;

const ADDRESS_FILE: &str = "address";

/// How many connections the system keeps until we accept them.
const BACKLOG: u32 = 1024;

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
    /// The metadata database, as [`strongroom_db::Db::open`] takes it; a file in the data folder when not given.
    pub database: Option<String>,
    /// How patient to be with slow clients.
    pub limits: Limits,
    /// The rhythm of the service's own work.
    pub upkeep: Upkeep,
    /// How people are told of alerts.
    pub notify: NotifyOptions,
    /// Whom people may sign in with instead of a password.
    pub providers: Vec<ProviderOptions>,
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
    /// The address that machines use is not one.
    #[error("\"{url}\" cannot be the address that machines use: it must look like https://host:8443")]
    Url {
        /// The address.
        url: String,
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
    /// The data folder was used with another database.
    #[error(
        "the data folder {} belongs to another database: start with the --database that it was used with. If that is lost, `strongroom rescue` restores from the objects alone",
        folder.display()
    )]
    OtherDatabase {
        /// The data folder.
        folder: PathBuf,
    },
    /// The database was used with another data folder, and its vaults' objects are there.
    #[error(
        "the database belongs to another data folder than {}: start with the --data that it was used with",
        folder.display()
    )]
    OtherFolder {
        /// The data folder.
        folder: PathBuf,
    },
    /// Mails cannot be sent as the configuration wants.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// A provider that people sign in with cannot be used.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// A vault cannot be used.
    #[error("cannot bring a vault up to date: {0}")]
    Vault(String),
    /// The database cannot be opened.
    #[error("cannot open the database: {0}")]
    Db(#[from] DbError),
}

/// A service that runs. Dropped, it ends as by [`Service::stop`], but nobody waits for it.
pub struct Service {
    address: SocketAddr,
    administrator: FirstAdministrator,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
    scheduler: JoinHandle<()>,
    notifier: JoinHandle<()>,
}

impl Service {
    /// Starts to serve; on return connections are accepted. None is before all that a caller may need is on disk: the
    /// authority's certificate, the first password, the address.
    ///
    /// # Errors
    /// Says what is in the way, and what to do about it.
    pub async fn start(options: ServeOptions, clock: Clock) -> Result<Self, StartError> {
        let is_shared = options.database.as_deref().is_some_and(strongroom_db::is_server);
        let sharing = if is_shared { Sharing::WithNodes } else { Sharing::Alone };
        let folder = DataDir::open(&options.data, sharing)?;
        let preparing = folder.prepare().await?;
        let socket = bind(&options.listen).await?;
        let address = socket.local_addr().map_err(listen_error(&options.listen))?;
        let (stop, stopped) = watch::channel(false);
        let Prepared {
            shared,
            tls,
            administrator,
        } = prepare(folder, address, &options, clock, stopped.clone()).await?;
        let address_line = format!("{}\n", shared.url);
        shared.folder.write(ADDRESS_FILE, address_line.as_bytes())?;
        drop(preparing);
        let sockets = listen(socket, &options.listen, &shared)?;
        let listener = Listener {
            tls,
            router: router(&shared),
            metrics: shared.metrics.clone(),
            stop: stopped,
            limits: options.limits,
            connections_max: descriptors::connections(),
        };
        let running = tokio::spawn(listener.run(sockets));
        let scheduler = tokio::spawn(scheduler::run(shared.clone()));
        let notifier = tokio::spawn(notifier::run(shared.clone()));
        tracing::info!(%address, url = shared.url, "serving");
        Ok(Self {
            address,
            administrator,
            shared,
            stop,
            running,
            scheduler,
            notifier,
        })
    }

    /// Ends the service: no new connections, requests under way are finished within ten seconds.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // A panic in the listener was reported when it happened.
        let _ = self.running.await;
        let _ = self.scheduler.await;
        let _ = self.notifier.await;
        self.shared.unfinished.finished(FAREWELL).await;
        self.shared.db.close().await;
        let named = self.shared.folder.read_text(ADDRESS_FILE);
        // Another node may have written its own there.
        if named.is_ok_and(|named| named.is_some_and(|named| named.trim_end() == self.shared.url)) {
            self.shared.folder.remove(ADDRESS_FILE);
        }
        tracing::info!("stopped");
    }

    /// Address and port that the service listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where clients reach the service.
    pub fn url(&self) -> &str {
        &self.shared.url
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
        self.shared.trust.fingerprint()
    }

    /// Whether this start made the first administrator.
    pub fn is_first_start(&self) -> bool {
        self.administrator == FirstAdministrator::Made
    }

    /// The file with the first administrator's password, if it was right and there when the service started.
    pub fn password_file(&self) -> Option<PathBuf> {
        match self.administrator {
            FirstAdministrator::Made | FirstAdministrator::InFile => Some(self.shared.folder.path(PASSWORD_FILE)),
            FirstAdministrator::Elsewhere => None,
        }
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Service({})", self.shared.url)
    }
}

/// Takes possession of the address; whoever connects is refused until [`listen`].
async fn bind(listen: &str) -> Result<TcpSocket, StartError> {
    let mut last = None;
    for address in lookup_host(listen).await.map_err(listen_error(listen))? {
        match bind_to(address) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = Some(error),
        }
    }
    let nothing = || io::Error::new(io::ErrorKind::InvalidInput, "it stands for no address");
    Err(listen_error(listen)(last.unwrap_or_else(nothing)))
}

fn bind_to(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // The connections of a service that has just ended are no reason to refuse.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn listen(socket: TcpSocket, listen: &str, shared: &Shared) -> Result<TcpListener, StartError> {
    socket.listen(BACKLOG).map_err(|error| {
        shared.folder.remove(ADDRESS_FILE);
        listen_error(listen)(error)
    })
}

fn listen_error(listen: &str) -> impl FnOnce(io::Error) -> StartError {
    let listen = listen.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::AddressInUse { listen },
        _ => StartError::Listen { listen, source },
    }
}
