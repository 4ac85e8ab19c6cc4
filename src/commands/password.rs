//! `strongroom password`: another one for the administrator who is signed in.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use strongroom_api::ClientError;

use crate::admin_session::{AdminSession, SignedIn, SignedInBy};
use crate::cli::Global;
use crate::commands::block_on;
use crate::failure::{Failure, Outcome};
use crate::password::{read, read_new};
use crate::terminal::{self, Terminal};

/// Change the password of the administrator who is signed in
///
/// Needs a session (see `strongroom login`), and the present password once more: a session that somebody left open is not
/// enough. You stay signed in. All other sessions of the user are over; what they are allowed already ends within fifteen
/// minutes.
///
/// After the first sign-in, change the password that the service made up, and delete its file admin-password.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom password
  strongroom password --password-file /var/lib/strongroom-service/admin-password
  strongroom password --password-file old --new-password-file new")]
pub(crate) struct Password {
    /// A file that holds the present password; without it you are asked
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// A file that holds the new one, at least 12 characters; without it you are asked twice
    #[arg(long, value_name = "FILE")]
    new_password_file: Option<PathBuf>,
}

#[derive(Serialize)]
struct PasswordView {
    url: String,
    user: String,
    /// When the new session ends.
    expires: Timestamp,
    /// Whether the service still has the file with its first password.
    first_password_file: bool,
}

impl Password {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let (session, user) = AdminSession::signed_in()?;
        let client = session.client_of(&user, global)?;
        let whose = format!("{} at {}", user.name, session.url);
        let old = read(self.password_file.as_deref(), &whose, terminal)?;
        let new = read_new(self.new_password_file.as_deref(), terminal)?;
        let changed = block_on(async { client.change_password(old, new).await.map_err(not_changed) })?;
        let view = PasswordView {
            url: session.url.clone(),
            user: user.name.clone(),
            expires: changed.session.expires,
            first_password_file: changed.first_password_file,
        };
        let user = SignedIn {
            name: user.name,
            by: SignedInBy::Session {
                refresh_token: changed.session.refresh_token,
                expires: changed.session.expires,
            },
        };
        let kept = AdminSession {
            user: Some(user),
            ..session
        }
        .save();
        kept.map_err(|failure| failure.context("the password was changed, but you have to sign in with it again"))?;
        terminal.done(&view, text)?;
        Ok(Outcome::Done)
    }
}

fn not_changed(error: ClientError) -> Failure {
    match error {
        ClientError::Interrupted { .. } => Failure::new(format!(
            "{error}. Whether the password was changed is not known: sign in with the new one, or else with the old one"
        )),
        error => error.into(),
    }
}

fn text(view: &PasswordView) -> String {
    let mut text = format!(
        "Changed the password of {} at {}; other sessions are over, yours lasts until {}.",
        view.user,
        view.url,
        terminal::moment(view.expires)
    );
    if view.first_password_file {
        text += "\nThe file admin-password in the service's data folder still has the old one: delete it.";
    }
    text
}
