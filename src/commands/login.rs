//! `strongroom login` and `logout`: who calls.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use strongroom_api::{
    AdministratorSession, COMMAND_LINE_CLIENT, Client, ClientOptions, Code, RetryPolicy, Secret, SignIn, TokenRequest,
    Trust,
};
use strongroom_model::ApplicationId;

use crate::admin_session::{AdminSession, SignedIn, SignedInBy};
use crate::commands::block_on;
use crate::failure::{Failure, Outcome};
use crate::terminal::{self, Terminal};
use crate::{clock, folders, password, private_file};

/// Sign in to a service, as a person or as a service principal
///
/// Without more than the address, a code is shown: type it on the page that is named, in a browser of any machine, and sign
/// in there. With --user or --password-file the password is asked for, or read, here. The session lasts twelve hours and is
/// kept in the configuration folder (STRONGROOM_CONFIG, by default ~/.config/strongroom), readable only by you.
///
/// A service principal signs in anew for each command; of the file with its secret or certificate only the name is kept.
///
/// A service is believed only if its certificate was issued by its own authority. The first time, name the certificate
/// of that authority with --ca: it lies in the service's data folder as tls/ca.pem. Copy it from there by a safe way.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom login https://vault.example.org:8443 --ca ca.pem
  strongroom login https://127.0.0.1:8443 --ca /var/lib/strongroom-service/tls/ca.pem \\
      --user admin --password-file /var/lib/strongroom-service/admin-password
  strongroom login https://vault.example.org:8443 --service-principal ID --secret-file secret
  strongroom login https://vault.example.org:8443 --service-principal ID --certificate-file both.pem")]
pub(crate) struct Login {
    /// The service's address, such as https://vault.example.org:8443
    url: String,
    /// The certificate of the service's authority (needed the first time)
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Your name; `admin` if only a file with a password is named
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// A file that holds the password; without it you are asked
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// A file that holds the one-time password; without it you are asked, if you use them
    #[arg(long, value_name = "FILE")]
    one_time_password_file: Option<PathBuf>,
    /// The id of the service principal to sign in as
    #[arg(long, value_name = "ID", conflicts_with_all = ["user", "password_file"])]
    service_principal: Option<ApplicationId>,
    /// A file that holds a secret of the service principal
    #[arg(
        long,
        value_name = "FILE",
        requires = "service_principal",
        conflicts_with = "certificate_file"
    )]
    secret_file: Option<PathBuf>,
    /// A file that holds a certificate of the service principal and its private key, both in PEM
    #[arg(long, value_name = "FILE", requires = "service_principal")]
    certificate_file: Option<PathBuf>,
}

/// Forget who is signed in
///
/// The service's address and the certificate of its authority stay known, so that the next login needs no --ca.
#[derive(Debug, Args)]
pub(crate) struct Logout {}

#[derive(Serialize)]
struct LoginView {
    url: String,
    user: String,
    /// When the session ends; a service principal has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
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
        let options = ClientOptions {
            url: self.url.clone(),
            trust,
            clock: clock::system(),
            retry: RetryPolicy::NONE,
            proxy: None,
        };
        let url = Client::new(options.clone(), SignIn::Nobody)?.url().to_owned();
        let user = match self.service_principal {
            Some(id) => self.as_service_principal(id, options)?,
            None if self.user.is_some() || self.password_file.is_some() => self.by_password(options, terminal)?,
            None => by_device_code(&options)?,
        };
        let view = LoginView {
            url: url.clone(),
            user: user.name.clone(),
            expires: user.by.expires(),
        };
        AdminSession {
            url,
            ca_certificate,
            user: Some(user),
        }
        .save()?;
        terminal.done(&view, |view| {
            let until = view
                .expires
                .map(|expires| format!(" until {}", terminal::moment(expires)));
            format!(
                "Signed in to {} as {}{}.",
                view.url,
                view.user,
                until.unwrap_or_default()
            )
        })?;
        Ok(Outcome::Done)
    }

    fn by_password(&self, options: ClientOptions, terminal: &Terminal) -> Result<SignedIn, Failure> {
        let name = self.user.clone().unwrap_or_else(|| "admin".to_owned());
        let whose = format!("{name} at {}", self.url);
        let password = password::read(self.password_file.as_deref(), &whose, terminal)?;
        let named = self.one_time_password_file.as_deref();
        let mut one_time_password = named.map(password::from_file).transpose()?;
        let session = block_on(async {
            loop {
                let request = TokenRequest::Password {
                    username: name.clone(),
                    password: password.clone(),
                    one_time_password: one_time_password.clone(),
                };
                let error = match Client::sign_in(options.clone(), &request).await {
                    Ok(session) => return Ok(session),
                    Err(error) => error,
                };
                let needed = error
                    .problem()
                    .is_some_and(|problem| problem.code == Code::OneTimePasswordRequired);
                if !needed || one_time_password.is_some() || !terminal.can_ask() {
                    return Err(error.into());
                }
                one_time_password = Some(Secret::new(rpassword::prompt_password("One-time password: ")?));
            }
        })?;
        Ok(signed_in(name, session))
    }

    fn as_service_principal(&self, id: ApplicationId, options: ClientOptions) -> Result<SignedIn, Failure> {
        let by = match (&self.secret_file, &self.certificate_file) {
            (Some(file), _) => SignedInBy::Secret {
                id,
                secret_file: std::path::absolute(file)?,
            },
            (None, Some(file)) => SignedInBy::Certificate {
                id,
                certificate_file: std::path::absolute(file)?,
            },
            (None, None) => {
                let sentence = "a service principal signs in with --secret-file FILE or --certificate-file FILE";
                return Err(Failure::new(sentence));
            }
        };
        let client = Client::new(options, by.sign_in()?)?;
        let account = block_on(async { Ok(client.account().await?) })?;
        let name = account.name;
        Ok(SignedIn { name, by })
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

/// Shows a code, and waits until somebody has typed it.
fn by_device_code(options: &ClientOptions) -> Result<SignedIn, Failure> {
    let session = block_on(async {
        let codes = Client::device_authorization(options.clone()).await?;
        eprintln!(
            "To sign in, open {} in a browser and type the code {}",
            codes.verification_uri, codes.user_code
        );
        let request = TokenRequest::DeviceCode {
            client_id: COMMAND_LINE_CLIENT.to_owned(),
            device_code: codes.device_code,
        };
        let mut interval = codes.interval;
        let mut left = codes.expires_in;
        while left > 0 {
            tokio::time::sleep(Duration::from_secs(interval)).await;
            left = left.saturating_sub(interval);
            let error = match Client::sign_in(options.clone(), &request).await {
                Ok(session) => return Ok(session),
                Err(error) => error,
            };
            match error.problem().map(|problem| problem.code) {
                Some(Code::AuthorizationPending) => {}
                Some(Code::SlowDown) => interval += 5,
                _ => return Err(error.into()),
            }
        }
        Err(Failure::new(
            "nobody typed the code in time: run `strongroom login` again",
        ))
    })?;
    let refresh_token = session.refresh_token.clone();
    let client = Client::new(options.clone(), SignIn::Administrator { refresh_token })?;
    let (name, newest) = block_on(async { Ok((client.account().await?.name, client.refresh_token())) })?;
    let refresh_token = newest.unwrap_or(session.refresh_token);
    Ok(signed_in(
        name,
        AdministratorSession {
            refresh_token,
            ..session
        },
    ))
}

fn signed_in(name: String, session: AdministratorSession) -> SignedIn {
    let by = SignedInBy::Session {
        refresh_token: session.refresh_token,
        expires: session.expires,
    };
    SignedIn { name, by }
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
