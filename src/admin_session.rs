//! The administrator's session: which service, which authority, and the token that goes on for twelve hours.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strongroom_api::{
    CertificateKey, Client, ClientOptions, PrincipalProof, RetryPolicy, Secret, SessionKeeper, SignIn, Trust,
};
use strongroom_model::ApplicationId;

use crate::cli::Global;
use crate::failure::Failure;
use crate::{clock, folders, private_file};

/// What `strongroom login` leaves behind for the other commands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AdminSession {
    /// The service's address.
    pub(crate) url: String,
    /// The certificate of its authority.
    pub(crate) ca_certificate: String,
    /// Who is signed in, if anybody is: after `logout` address and authority are still known.
    pub(crate) user: Option<SignedIn>,
}

/// Somebody is signed in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SignedIn {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) by: SignedInBy,
}

/// How the next command proves who is signed in.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum SignedInBy {
    /// A person, by the newest token of a session.
    Session { refresh_token: Secret, expires: Timestamp },
    /// A service principal, by a file that is read each time; nothing of it is copied.
    Secret { id: ApplicationId, secret_file: PathBuf },
    /// A service principal, by certificate and private key, in a file that is read each time.
    Certificate {
        id: ApplicationId,
        certificate_file: PathBuf,
    },
}

impl SignedInBy {
    /// When the session ends; service principals sign in anew each time.
    pub(crate) fn expires(&self) -> Option<Timestamp> {
        match self {
            Self::Session { expires, .. } => Some(*expires),
            Self::Secret { .. } | Self::Certificate { .. } => None,
        }
    }

    pub(crate) fn sign_in(&self) -> Result<SignIn, Failure> {
        Ok(match self {
            Self::Session { .. } => SignIn::Session(Arc::new(InFile)),
            Self::Secret { id, secret_file } => {
                let text = Secret::new(private_file::read(secret_file)?);
                let proof = PrincipalProof::Secret(Secret::new(text.reveal().trim()));
                SignIn::ServicePrincipal { id: *id, proof }
            }
            Self::Certificate { id, certificate_file } => {
                let text = Secret::new(private_file::read(certificate_file)?);
                let key = CertificateKey::from_pem(&text);
                let key = key.with_context(|| format!("{} cannot be used", certificate_file.display()))?;
                let proof = PrincipalProof::Certificate(key);
                SignIn::ServicePrincipal { id: *id, proof }
            }
        })
    }
}

/// The session's file keeps the newest token: commands that run at the same time find there what the others were given.
#[derive(Debug)]
struct InFile;

impl SessionKeeper for InFile {
    fn newest(&self) -> Option<Secret> {
        let (_, user) = AdminSession::signed_in().ok()?;
        match user.by {
            SignedInBy::Session { refresh_token, .. } => Some(refresh_token),
            _ => None,
        }
    }

    fn keep(&self, newest: &Secret) {
        let Ok((mut session, mut user)) = AdminSession::signed_in() else {
            return;
        };
        if let SignedInBy::Session { refresh_token, .. } = &mut user.by {
            *refresh_token = newest.clone();
            session.user = Some(user);
            if let Err(failure) = session.save() {
                tracing::warn!(
                    ?failure,
                    "the session could not be kept: the next command may have to sign in again"
                );
            }
        }
    }
}

impl AdminSession {
    fn path() -> Result<PathBuf, Failure> {
        Ok(folders::configuration()?.join("administrator.json"))
    }

    /// What the last `login` left, if there was one.
    pub(crate) fn load() -> Result<Option<Self>, Failure> {
        let path = Self::path()?;
        let Some(text) = private_file::read_optional(&path)? else {
            return Ok(None);
        };
        let damaged = || {
            format!(
                "{} is damaged: delete it and run `strongroom login` again",
                path.display()
            )
        };
        Ok(Some(serde_json::from_str(&text).with_context(damaged)?))
    }

    /// Keeps the session for the next commands.
    pub(crate) fn save(&self) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self)?;
        Ok(private_file::write(&Self::path()?, &text)?)
    }

    /// The session of whoever is signed in.
    pub(crate) fn signed_in() -> Result<(Self, SignedIn), Failure> {
        let Some(session) = Self::load()? else {
            return Err(not_signed_in(None));
        };
        match session.user.clone() {
            Some(user) => Ok((session, user)),
            None => Err(not_signed_in(Some(&session.url))),
        }
    }

    /// A client that is signed in.
    pub(crate) fn client(global: &Global) -> Result<Client, Failure> {
        let (session, user) = Self::signed_in()?;
        session.client_of(&user, global)
    }

    /// As [`AdminSession::client`], for work that runs alone and long.
    pub(crate) fn patient_client(global: &Global) -> Result<Client, Failure> {
        let (session, user) = Self::signed_in()?;
        session.client_with(&user, global.retry(RetryPolicy::PATIENT))
    }

    /// A client in the name of `user`.
    pub(crate) fn client_of(&self, user: &SignedIn, global: &Global) -> Result<Client, Failure> {
        self.client_with(user, global.retry(RetryPolicy::BRIEF))
    }

    fn client_with(&self, user: &SignedIn, retry: RetryPolicy) -> Result<Client, Failure> {
        let options = ClientOptions {
            url: self.url.clone(),
            trust: Trust::from_pem(&self.ca_certificate)?,
            clock: clock::system(),
            retry,
            proxy: None,
        };
        Ok(Client::new(options, user.by.sign_in()?)?)
    }
}

/// The way out depends on what is known: the service of an earlier session, or one on this machine.
fn not_signed_in(known: Option<&str>) -> Failure {
    let command = match known {
        Some(url) => format!("strongroom login {url}"),
        None => local_service().unwrap_or_else(|| "strongroom login https://HOST:8443 --ca FILE".to_owned()),
    };
    Failure::new(format!("you are not signed in: run `{command}` first"))
}

/// How to sign in to the service of this machine, if its data folder is the default one and may be read.
fn local_service() -> Option<String> {
    let data = folders::default_data().ok()?;
    let url = private_file::read_optional(&data.join("address")).ok()??;
    let mut command = format!(
        "strongroom login {} --ca {}",
        url.trim(),
        data.join("tls/ca.pem").display()
    );
    let password = data.join("admin-password");
    if password.exists() {
        command.push_str(&format!(" --user admin --password-file {}", password.display()));
    }
    Some(command)
}
