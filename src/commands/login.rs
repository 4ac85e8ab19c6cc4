//! `strongroom login` and `logout`: the administrator's session.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use strongroom_api::{Client, ClientOptions, RetryPolicy, Trust};

use crate::admin_session::{AdminSession, SignedIn};
use crate::commands::block_on;
use crate::failure::{Failure, Outcome};
use crate::terminal::{self, Terminal};
use crate::{clock, folders, password, private_file};

/// Sign in to a service as an administrator
///
/// The session lasts twelve hours and is kept in the configuration folder (STRONGROOM_CONFIG, by default
/// ~/.config/strongroom), readable only by you.
///
/// A service is believed only if its certificate was issued by its own authority. The first time, name the certificate
/// of that authority with --ca: it lies in the service's data folder as tls/ca.pem. Copy it from there by a safe way.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom login https://vault.example.org:8443 --ca ca.pem
  strongroom login https://127.0.0.1:8443 --ca /var/lib/strongroom-service/tls/ca.pem \\
      --user admin --password-file /var/lib/strongroom-service/admin-password")]
pub(crate) struct Login {
    /// The service's address, such as https://vault.example.org:8443
    url: String,
    /// The certificate of the service's authority (needed the first time)
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The administrator's name
    #[arg(long, value_name = "NAME", default_value = "admin")]
    user: String,
    /// A file that holds the password; without it you are asked
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// Forget the administrator's session
///
/// The service's address and the certificate of its authority stay known, so that the next login needs no --ca.
#[derive(Debug, Args)]
pub(crate) struct Logout {}

#[derive(Serialize)]
struct LoginView {
    url: String,
    user: String,
    expires: Timestamp,
}

#[derive(Serialize)]
struct LogoutView {
    signed_out: bool,
}

impl Login {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Outcome, Failure> {
        let known = AdminSession::load()?;
        let trust = self.trust(known.as_ref())?;
        let ca_certificate = trust.as_pem().to_owned();
        let whose = format!("{} at {}", self.user, self.url);
        let password = password::read(self.password_file.as_deref(), &whose, terminal)?;
        let options = ClientOptions {
            url: self.url.clone(),
            trust,
            clock: clock::system(),
            retry: RetryPolicy::NONE,
        };
        let url = Client::new(options.clone(), strongroom_api::SignIn::Nobody)?
            .url()
            .to_owned();
        let session = block_on(async { Ok(Client::sign_in_administrator(options, &self.user, password).await?) })?;
        let expires = session.expires;
        let name = self.user.clone();
        let user = SignedIn {
            name,
            refresh_token: session.refresh_token,
            expires,
        };
        AdminSession {
            url: url.clone(),
            ca_certificate,
            user: Some(user),
        }
        .save()?;
        let view = LoginView {
            url,
            user: self.user,
            expires,
        };
        terminal.done(&view, |view| {
            format!(
                "Signed in to {} as {} until {}.",
                view.url,
                view.user,
                terminal::moment(view.expires)
            )
        })?;
        Ok(Outcome::Done)
    }

    /// The authority that was named, or the one that is known from the last session with the same service.
    fn trust(&self, known: Option<&AdminSession>) -> Result<Trust, Failure> {
        if let Some(file) = &self.ca {
            let trust = Trust::from_pem(&private_file::read(file)?);
            return trust.map_err(|error| Failure::new(format!("{}: {error}", file.display())));
        }
        let same = |session: &&AdminSession| session.url.trim_end_matches('/') == self.url.trim_end_matches('/');
        match known.filter(same) {
            Some(session) => Ok(Trust::from_pem(&session.ca_certificate)?),
            None => Err(unknown_authority(&self.url)),
        }
    }
}

impl Logout {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Outcome, Failure> {
        let session = AdminSession::load()?;
        let signed_out = session.as_ref().is_some_and(|session| session.user.is_some());
        if let Some(mut session) = session {
            session.user = None;
            session.save()?;
        }
        terminal.done(&LogoutView { signed_out }, |view| match view.signed_out {
            true => "Signed out.".to_owned(),
            false => "Nobody was signed in.".to_owned(),
        })?;
        Ok(Outcome::Done)
    }
}

fn unknown_authority(url: &str) -> Failure {
    let local = folders::default_data()
        .ok()
        .map(|data| data.join("tls/ca.pem"))
        .filter(|file| file.exists());
    let hint = match local {
        Some(file) => format!(" (the one of this machine's service is {})", file.display()),
        None => String::new(),
    };
    Failure::new(format!(
        "the authority that issued the certificate of {url} is not known here: copy tls/ca.pem from the service's data \
         folder by a safe way and name it with --ca FILE{hint}"
    ))
}
