//! `strongroom user`: people who may sign in.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use strongroom_api::{ChangeUser, CreateUser, Secret, UserView};
use strongroom_model::UserName;

use crate::admin_session::AdminSession;
use crate::cli::Global;
use crate::commands::block_on;
use crate::failure::{Failure, Outcome};
use crate::terminal::{self, Table, Terminal};
use crate::{password, private_file};

/// Create, list, show, disable and delete users, and set up one-time passwords
///
/// A user may do nothing until a role is assigned: see `strongroom role`.
#[derive(Debug, Subcommand)]
pub(crate) enum User {
    Create(Create),
    List(List),
    Show(Named),
    /// Shut an account: whoever is signed in with it is refused from now on
    Disable(Named),
    /// Open an account again
    Enable(Named),
    /// Delete a user, with the user's roles
    Delete(Named),
    #[command(subcommand)]
    Totp(Totp),
}

/// Create a user
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom user create eve --email eve@example.org
  strongroom user create eve --password-file first-password")]
pub(crate) struct Create {
    /// The name to sign in with
    name: UserName,
    /// Where mail reaches the user
    #[arg(long, value_name = "ADDRESS", default_value = "")]
    email: String,
    /// A file that holds the first password, at least 12 characters; without it you are asked twice
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// List the users
#[derive(Debug, Args)]
pub(crate) struct List {}

/// Show one user
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The user's name
    name: UserName,
}

/// One-time passwords, from an authenticator (TOTP): asked for besides the password
#[derive(Debug, Subcommand)]
pub(crate) enum Totp {
    Begin(Begin),
    Confirm(Confirm),
    End(End),
    /// Take them off another user who lost the authenticator and all recovery codes
    Reset(Named),
}

/// Make a secret for your own authenticator
///
/// Nothing is asked for until you have confirmed it.
#[derive(Debug, Args)]
pub(crate) struct Begin {
    /// A file that holds your password; without it you are asked
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The file to write the secret to, readable only by you
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// Show that your authenticator works: from then on it is asked for
#[derive(Debug, Args)]
pub(crate) struct Confirm {
    /// A file that holds what the authenticator shows; without it you are asked
    #[arg(long, value_name = "FILE")]
    one_time_password_file: Option<PathBuf>,
    /// The file to write ten recovery codes to, readable only by you: each is good once, should you lose the authenticator
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// Be asked for your password only
#[derive(Debug, Args)]
pub(crate) struct End {
    /// A file that holds your password; without it you are asked
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// A file that holds what the authenticator shows, or a recovery code; without it you are asked
    #[arg(long, value_name = "FILE")]
    one_time_password_file: Option<PathBuf>,
}

#[derive(Serialize)]
struct DeletedView {
    deleted: UserName,
}

#[derive(Serialize)]
struct FileView {
    file: PathBuf,
}

#[derive(Serialize)]
struct TotpView {
    one_time_passwords: bool,
}

impl User {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        match self {
            Self::Create(create) => create.run(global, terminal)?,
            Self::List(List {}) => list(global, terminal)?,
            Self::Show(named) => named.show(global, terminal)?,
            Self::Disable(named) => named.change(true, global, terminal)?,
            Self::Enable(named) => named.change(false, global, terminal)?,
            Self::Delete(named) => named.delete(global, terminal)?,
            Self::Totp(Totp::Begin(begin)) => begin.run(global, terminal)?,
            Self::Totp(Totp::Confirm(confirm)) => confirm.run(global, terminal)?,
            Self::Totp(Totp::End(end)) => end.run(global, terminal)?,
            Self::Totp(Totp::Reset(named)) => named.reset(global, terminal)?,
        }
        Ok(Outcome::Done)
    }
}

impl Create {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        let password = password::read_new(self.password_file.as_deref(), terminal)?.into_secret();
        let create = CreateUser {
            name: self.name,
            email: self.email,
            password,
        };
        let user = block_on(async { Ok(client.create_user(&create).await?) })?;
        terminal.done(&user, |user| {
            format!(
                "Created the user {}. `strongroom role assign ROLE --to {}` says what the user may do.",
                user.name, user.name
            )
        })
    }
}

fn list(global: &Global, terminal: &Terminal) -> Result<(), Failure> {
    let client = AdminSession::client(global)?;
    let list = block_on(async { Ok(client.users().await?) })?;
    terminal.result(&list, |list| {
        let mut table = Table::new(&["NAME", "E-MAIL", "STATE", "ONE-TIME PASSWORDS", "CREATED"]);
        for user in &list.users {
            table.row([
                user.name.clone(),
                user.email.clone(),
                state(user).to_owned(),
                if user.one_time_passwords { "yes" } else { "no" }.to_owned(),
                terminal::moment(user.created),
            ]);
        }
        table.to_text()
    })
}

fn state(user: &UserView) -> &'static str {
    match user.disabled {
        true => "disabled",
        false => "enabled",
    }
}

impl Named {
    fn show(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        let user = block_on(async { Ok(client.user(&self.name).await?) })?;
        terminal.result(&user, |user| {
            let line = |name: &str, value: &str| format!("{name:<20}{value}\n");
            [
                line("name", &user.name),
                line("id", &user.id.to_string()),
                line("e-mail", &user.email),
                line("state", state(user)),
                line("one-time passwords", if user.one_time_passwords { "yes" } else { "no" }),
                line("created", &terminal::moment(user.created)),
            ]
            .concat()
        })
    }

    fn change(self, disabled: bool, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        let change = ChangeUser {
            disabled: Some(disabled),
        };
        let user = block_on(async { Ok(client.change_user(&self.name, &change).await?) })?;
        terminal.done(&user, |user| format!("The user {} is {} now.", user.name, state(user)))
    }

    fn delete(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        block_on(async { Ok(client.delete_user(&self.name).await?) })?;
        terminal.done(&DeletedView { deleted: self.name }, |view| {
            format!("Deleted the user {}.", view.deleted)
        })
    }

    fn reset(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        block_on(async { Ok(client.reset_one_time_passwords(&self.name).await?) })?;
        let view = TotpView {
            one_time_passwords: false,
        };
        terminal.done(&view, |_| {
            format!("{} is asked for the password only, from now on.", self.name)
        })
    }
}

impl Begin {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let (session, user) = AdminSession::signed_in()?;
        let client = session.client_of(&user, global)?;
        let whose = format!("{} at {}", user.name, session.url);
        let password = password::read(self.password_file.as_deref(), &whose, terminal)?;
        let secret = block_on(async { Ok(client.begin_one_time_passwords(password).await?) })?;
        let text = format!("{}\n{}\n", secret.secret.reveal(), secret.address.reveal());
        private_file::write(&self.output, &text)?;
        terminal.done(&FileView { file: self.output }, |view| {
            format!(
                "The secret is in {}: put it into your authenticator, run `strongroom user totp confirm`, and delete the file.",
                view.file.display()
            )
        })
    }
}

impl Confirm {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        let code = one_time_password(self.one_time_password_file, terminal)?;
        let codes = block_on(async { Ok(client.confirm_one_time_passwords(code).await?) })?;
        let lines = codes.recovery_codes.iter().map(|code| format!("{}\n", code.reveal()));
        private_file::write(&self.output, &lines.collect::<String>())?;
        terminal.done(&FileView { file: self.output }, |view| {
            format!(
                "From now on you are asked for a one-time password too. {} has ten recovery codes: keep them in a safe place.",
                view.file.display()
            )
        })
    }
}

impl End {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let (session, user) = AdminSession::signed_in()?;
        let client = session.client_of(&user, global)?;
        let whose = format!("{} at {}", user.name, session.url);
        let password = password::read(self.password_file.as_deref(), &whose, terminal)?;
        let code = one_time_password(self.one_time_password_file, terminal)?;
        block_on(async { Ok(client.end_one_time_passwords(password, code).await?) })?;
        let view = TotpView {
            one_time_passwords: false,
        };
        terminal.done(&view, |_| {
            "You are asked for your password only, from now on.".to_owned()
        })
    }
}

fn one_time_password(file: Option<PathBuf>, terminal: &Terminal) -> Result<Secret, Failure> {
    match file {
        Some(file) => password::from_file(&file),
        None if terminal.can_ask() => Ok(Secret::new(rpassword::prompt_password("One-time password: ")?)),
        None => Err(Failure::new(
            "nobody can be asked for the one-time password here: name a file with --one-time-password-file",
        )),
    }
}
