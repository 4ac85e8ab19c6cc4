//! `strongroom serve`: the service.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use jiff::SignedDuration;
use sd_notify::NotifyState;
use serde::Serialize;
use strongroom_service::{
    AlertsConfig, Config, Limits, LogFormat, MailConfig, MailOptions, NotifyOptions, ProviderConfig, ProviderOptions,
    RequiredClaim, ServeOptions, Service, Upkeep,
};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Global;
use crate::commands::block_on;
use crate::failure::{Failure, Outcome};
use crate::terminal::Terminal;
use crate::{clock, folders, logging, password, private_file, systemd};

/// Where the service listens when nothing else is said.
const LISTEN_DEFAULT: &str = "127.0.0.1:8443";

/// Run the service: keep vaults, for administrators and machines
///
/// The first start makes everything that is needed in the data folder: a certificate authority, a certificate, the
/// database, and an administrator called admin whose password is in the file admin-password there: choose another with
/// `strongroom password`, then delete the file. All of it is there before the port is open. It prints how to go on. Ctrl-C or SIGTERM ends the service; requests that are under way are finished first.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom serve
  strongroom serve --data /srv/strongroom --listen 0.0.0.0:8443
  strongroom serve --config /etc/strongroom.toml

The configuration file, all of it optional:
  data = \"/srv/strongroom\"
  listen = \"0.0.0.0:8443\"
  url = \"https://vault.example.org:8443\"     # what machines call; written into vault credentials files
  hostnames = [\"vault.example.org\"]          # further names for the certificate
  database = \"postgres://strongroom:secret@db.example.org/strongroom\"
  [log]
  level = \"info\"
  format = \"text\"                            # or \"json\"
  [alerts]
  missed_after_minutes = 60                  # a backup whose machine has not come for so long did not run
  owners = [\"me@example.org\"]               # always told of what takes protection away
  webhook_networks = [\"10.20.0.0/16\"]      # where webhooks may be called besides the internet; 127.0.0.1 for this machine
  [mail]
  host = \"mail.example.org\"
  tls = \"starttls\"                           # or \"tls\", or \"none\"
  from = \"strongroom@example.org\"
  user = \"strongroom\"
  password_file = \"/etc/strongroom-mail\"
  ca_file = \"/etc/ssl/own-ca.pem\"           # when the system does not know who certified the server
  [[provider]]                               # people sign in with it instead of a password; any number of them
  name = \"corp\"                              # there, register the address URL/external/corp to send people back to
  title = \"Example Corp\"                     # what people read on the button
  issuer = \"https://login.example.org\"
  client_id = \"strongroom\"
  secret_file = \"/etc/strongroom-corp\"
  scopes = [\"profile\", \"email\"]              # these, if nothing is said
  create_users = true                        # at the first sign-in, without a role; else see `strongroom user link`
  name_claim = \"preferred_username\"          # what becomes the name of such a user
  email_domains = [\"example.org\"]            # only people with a verified address there
  required_claim = \"groups\"                  # only people of whom the provider says this …
  required_values = [\"backup\"]               # … or one of several
  ca_file = \"/etc/ssl/own-ca.pem\"")]
pub(crate) struct Serve {
    /// The data folder
    ///
    /// Default: /var/lib/strongroom-service for root, else ~/.local/share/strongroom-service.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address and port to listen on; port 0 takes any free one [default: 127.0.0.1:8443]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// A configuration file; options given here count more
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How log lines look: text or json
    #[arg(long, value_name = "FORMAT", value_parser = parse_format)]
    log_format: Option<LogFormat>,
    /// The metadata database: a file, or postgres://USER@HOST:PORT/NAME
    ///
    /// Default: the file strongroom.db in the data folder. A password for PostgreSQL does not belong on a command line,
    /// where others see it: give the address in the configuration file or in the environment variable STRONGROOM_DATABASE,
    /// or the password in PGPASSWORD or the file that PGPASSFILE names.
    #[arg(long, value_name = "ADDRESS", env = "STRONGROOM_DATABASE", hide_env_values = true)]
    database: Option<String>,
}

#[derive(Serialize)]
struct ServeView {
    url: String,
    address: SocketAddr,
    data: PathBuf,
    ca_file: PathBuf,
    ca_sha256: String,
    first_start: bool,
    password_file: Option<PathBuf>,
}

impl Serve {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let config = self.configuration()?;
        let level = config
            .log
            .level
            .as_deref()
            .filter(|_| !global.quiet && global.verbose == 0);
        let level = level.unwrap_or(logging::level(global.quiet, global.verbose, "info"));
        logging::start(level, self.log_format.unwrap_or(config.log.format))?;
        let options = self.options(config)?;
        block_on(serve(options, terminal))
    }

    /// A password on the command line is in every list of processes.
    fn refuse_shown_password(&self) -> Result<(), Failure> {
        let shown = self.database.as_deref().filter(|address| {
            let from_environment = std::env::var("STRONGROOM_DATABASE").is_ok_and(|value| value == *address);
            !from_environment && has_password(address)
        });
        match shown {
            None => Ok(()),
            Some(_) => Err(anyhow::anyhow!(
                "everybody on this machine can read the password in --database: give the address in the configuration \
                 file or in STRONGROOM_DATABASE instead"
            )
            .into()),
        }
    }

    fn configuration(&self) -> Result<Config, Failure> {
        let Some(file) = &self.config else {
            return Ok(Config::default());
        };
        let text = private_file::read(file)?;
        Ok(Config::parse(&text).with_context(|| format!("cannot use {}", file.display()))?)
    }

    fn options(self, config: Config) -> Result<ServeOptions, Failure> {
        self.refuse_shown_password()?;
        let data = match self.data.or(config.data) {
            Some(data) => data,
            None => folders::default_data()?,
        };
        let listen = self
            .listen
            .or(config.listen)
            .unwrap_or_else(|| LISTEN_DEFAULT.to_owned());
        let notify = notify(config.alerts, config.mail)?;
        Ok(ServeOptions {
            data,
            listen,
            url: config.url,
            hostnames: config.hostnames,
            database: self.database.or(config.database),
            limits: Limits::default(),
            upkeep: Upkeep::default(),
            notify,
            providers: config.provider.into_iter().map(provider).collect::<Result<_, _>>()?,
        })
    }
}

/// How people are told of alerts.
fn notify(alerts: AlertsConfig, mail: Option<MailConfig>) -> Result<NotifyOptions, Failure> {
    let usual = NotifyOptions::default();
    let missed_after = alerts.missed_after_minutes;
    Ok(NotifyOptions {
        missed_after: missed_after.map_or(usual.missed_after, |minutes| SignedDuration::from_mins(minutes.into())),
        owners: alerts.owners,
        webhook_networks: alerts.webhook_networks,
        mail: mail.map(mail_options).transpose()?,
    })
}

fn mail_options(mail: MailConfig) -> Result<MailOptions, Failure> {
    let sign_in = match (mail.user, mail.password_file) {
        (None, None) => None,
        (Some(user), Some(file)) => Some((user, password::from_file(&file)?)),
        _ => {
            return Err(Failure::new(
                "the mail server needs both a user and a password_file in the configuration, or neither",
            ));
        }
    };
    Ok(MailOptions {
        host: mail.host,
        port: mail.port,
        tls: mail.tls,
        authority: mail.ca_file.as_deref().map(private_file::read).transpose()?,
        from: mail.from,
        sign_in,
    })
}

fn provider(config: ProviderConfig) -> Result<ProviderOptions, Failure> {
    let required = match (config.required_claim, config.required_values) {
        (None, values) if values.is_empty() => None,
        (Some(claim), values) if !values.is_empty() => Some(RequiredClaim { claim, values }),
        _ => {
            return Err(Failure::new(format!(
                "the provider {} needs both a required_claim and required_values in the configuration, or neither",
                config.name
            )));
        }
    };
    Ok(ProviderOptions {
        title: config.title.unwrap_or_else(|| config.name.to_string()),
        name: config.name,
        issuer: config.issuer,
        client_id: config.client_id,
        client_secret: password::from_file(&config.secret_file)?,
        scopes: config.scopes,
        name_claim: config.name_claim,
        create_users: config.create_users,
        email_domains: config.email_domains,
        required,
        authority: config.ca_file.as_deref().map(private_file::read).transpose()?,
    })
}

/// Whether the address of a database has a password in it.
fn has_password(address: &str) -> bool {
    let authority = address
        .split_once("://")
        .map_or("", |(_, rest)| rest.split('/').next().unwrap_or(rest));
    let in_authority = authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    in_authority || address.contains("password=")
}

async fn serve(options: ServeOptions, terminal: &Terminal) -> Result<Outcome, Failure> {
    // Before anything is announced, so that whoever reads the announcement can already stop us in good order.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let service = Service::start(options, clock::system()).await?;
    terminal.result(&view(&service), announcement)?;
    systemd::tell(&[NotifyState::Ready]);
    tokio::select! {
        _ = terminate.recv() => tracing::info!("told to stop by SIGTERM"),
        _ = interrupt.recv() => tracing::info!("told to stop by Ctrl-C"),
    }
    systemd::tell(&[NotifyState::Stopping]);
    service.stop().await;
    Ok(Outcome::Done)
}

fn view(service: &Service) -> ServeView {
    ServeView {
        url: service.url().to_owned(),
        address: service.address(),
        data: service.data().to_owned(),
        ca_file: service.ca_file(),
        ca_sha256: service.ca_fingerprint().to_string(),
        first_start: service.is_first_start(),
        password_file: service.password_file(),
    }
}

fn announcement(view: &ServeView) -> String {
    let mut text = format!("Strongroom serves at {}\n", view.url);
    text += &format!("  data folder     {}\n", view.data.display());
    text += &format!("  CA certificate  {}\n", view.ca_file.display());
    if let Some(file) = &view.password_file {
        text += &format!(
            "  first password  {} (of the user admin; choose another with `strongroom password`, then delete the file)\n",
            file.display()
        );
    }
    if view.first_start {
        text += &next_commands(view);
    }
    text += "Ctrl-C ends the service.\n";
    text
}

fn next_commands(view: &ServeView) -> String {
    let (sign_in, change) = match view.password_file.as_deref().map(Path::display) {
        Some(file) => (
            format!(" --user admin --password-file {file}"),
            format!("  strongroom password --password-file {file} && rm {file}\n"),
        ),
        None => Default::default(),
    };
    format!(
        "\nNext, in another terminal:\n  strongroom login {} --ca {}{sign_in}\n{change}  strongroom vault create main\n  \
         strongroom vault credentials main --output main.credentials\n\n",
        view.url,
        view.ca_file.display(),
    )
}

fn parse_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("use text or json".to_owned()),
    }
}
