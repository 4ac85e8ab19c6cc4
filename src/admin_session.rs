//! The administrator's session: which service, which authority, and the token that goes on for twelve hours.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strongroom_api::{Client, ClientOptions, RetryPolicy, Secret, SignIn, Trust};

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
    pub(crate) refresh_token: Secret,
    pub(crate) expires: Timestamp,
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

    /// A client in the name of `user`.
    pub(crate) fn client_of(&self, user: &SignedIn, global: &Global) -> Result<Client, Failure> {
        let options = ClientOptions {
            url: self.url.clone(),
            trust: Trust::from_pem(&self.ca_certificate)?,
            clock: clock::system(),
            retry: global.retry(RetryPolicy::BRIEF),
        };
        let refresh_token = user.refresh_token.clone();
        Ok(Client::new(options, SignIn::Administrator { refresh_token })?)
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
