//! What must be there before the service can serve: made at the first start, renewed when it is due.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::Uri;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use strongroom_api::Trust;
use strongroom_db::Db;
use strongroom_model::{Clock, Region, VaultId};
use strongroom_store::Store;
use strongroom_vault::Vaults;
use tokio::sync::{Mutex, watch};
use tokio_rustls::TlsAcceptor;

use crate::attempts::Attempts;
use crate::audit::Audit;
use crate::authority::{self, Pair, ServerFacts};
use crate::calls::Calls;
use crate::data_dir::DataDir;
use crate::first_administrator::FirstAdministrator;
use crate::installation;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::notifier::{Channels, Mailer, Webhooks};
use crate::oauth::external::Providers;
use crate::one_time_passwords::TotpKey;
use crate::password::{PasswordHasher, fill_random, random_bytes};
use crate::seals::Seals;
use crate::security_pins::PinKey;
use crate::service::{ServeOptions, StartError};
use crate::shared::Shared;
use crate::subscription::Subscription;
use crate::token::{KEY_LENGTH, TokenKey};
use crate::unfinished::Unfinished;

pub(crate) const CA_FILE: &str = "tls/ca.pem";

/// What a service is made of.
pub(crate) struct Prepared {
    pub(crate) shared: Arc<Shared>,
    pub(crate) tls: TlsAcceptor,
    pub(crate) administrator: FirstAdministrator,
}

/// Makes or opens everything that handlers and connections need. All of it is on disk on return.
pub(crate) async fn prepare(
    folder: DataDir,
    address: SocketAddr,
    options: &ServeOptions,
    clock: Clock,
    ending: watch::Receiver<bool>,
) -> Result<Prepared, StartError> {
    let now = clock.now();
    let mut hostnames = options.hostnames.clone();
    hostnames.extend(options.url.as_deref().map(host_of).transpose()?);
    let (trust, tls) = prepare_tls(&folder, address, &hostnames, now)?;
    let db = match &options.database {
        Some(address) => Db::open(address).await?,
        None => Db::open_file(&folder.path("strongroom.db")).await?,
    };
    installation::check(&folder, &db).await?;
    let passwords = PasswordHasher::new();
    let administrator = FirstAdministrator::prepare(&folder, &db, &passwords, now).await?;
    let channels = Channels {
        mailer: options.notify.mail.as_ref().map(Mailer::new).transpose()?,
        webhooks: Webhooks::new(options.notify.webhook_networks.clone()),
    };
    let seals = Seals::open(&folder)?;
    let url = match &options.url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => guess_url(address, &options.hostnames),
    };
    let shared = Shared {
        tokens: TokenKey::new(&secret_key(&folder, "secrets/token.key")?),
        totp: TotpKey::new(&secret_key(&folder, "secrets/one-time-passwords.key")?),
        pins: PinKey::new(secret_key(&folder, "secrets/security-pins.key")?),
        vaults: open_vaults(&folder, &db, &clock),
        clock,
        folder,
        trust,
        providers: Providers::new(&options.providers, &url)?,
        url,
        passwords,
        attempts: Attempts::default(),
        audit: Audit::default(),
        subscription: Subscription::prepare(&db, now).await?,
        metrics: Arc::new(Metrics::new()),
        limits: options.limits,
        upkeep: options.upkeep,
        notify: options.notify.clone(),
        channels,
        seals,
        calls: Calls::default(),
        ending,
        memory: Memory::new(),
        fetches: Shared::fetches(),
        unfinished: Unfinished::new(),
        ready_since: Mutex::new(None),
        db,
    };
    for vault in shared.db.vaults().await? {
        // Of a vault of an earlier version, or one whose maker crashed.
        let added = shared.vaults.add_default_policies(vault.id).await;
        added.map_err(|error| StartError::Vault(error.to_string()))?;
    }
    Ok(Prepared {
        shared: Arc::new(shared),
        tls,
        administrator,
    })
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

/// The host of the address that machines use: the certificate must be for it.
fn host_of(url: &str) -> Result<String, StartError> {
    let refuse = || StartError::Url { url: url.to_owned() };
    let parsed: Uri = url.parse().map_err(|_| refuse())?;
    let plain = parsed.scheme_str() == Some("https") && parsed.path() == "/" && parsed.query().is_none();
    let host = parsed.host().filter(|_| plain).ok_or_else(refuse)?;
    Ok(host.trim_matches(['[', ']']).to_owned())
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

fn secret_key(folder: &DataDir, file: &str) -> Result<[u8; KEY_LENGTH], StartError> {
    if let Some(bytes) = folder.read(file)? {
        let right = bytes
            .try_into()
            .map_err(|_| folder.damaged(file, "it has another length than the key"));
        return Ok(right?);
    }
    let key = random_bytes::<KEY_LENGTH>();
    folder.write(file, &key)?;
    Ok(key)
}
