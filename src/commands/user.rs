//! `strongroom user`: people who may sign in.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use strongroom_api::{ChangeUser, CreateUser, Invitation, LinkIdentity, NewPassword, Secret, UserView};
use strongroom_model::{IdentityId, MailAddress, ProviderName, UserName};

use crate::admin_session::AdminSession;
use crate::cli::Global;
use crate::commands::block_on;
use crate::failure::{Failure, Outcome};
use crate::terminal::{self, Table, Terminal};
use crate::{password, private_file};

/// Create, invite, list, show, change, disable and delete users, link them with other providers, and set up one-time passwords
///
/// A user may do nothing until a role is assigned: see `strongroom role`. Managing users takes the role Owner on the
/// subscription.
#[derive(Debug, Subcommand)]
pub(crate) enum User {
    Create(Create),
    List(List),
    Show(Named),
    Set(Set),
    Invite(Invite),
    Link(Link),
    Unlink(Unlink),
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
///
/// Without --password-file the user sets the password, by a link that works once, within three days. It is mailed to --email,
/// if the service's configuration names a mail server; else it is printed, to be handed over by a safe way.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom user create eve --email eve@example.org
  strongroom user create eve --password-file first-password
  strongroom role assign 'Backup Operator' --to eve --scope vault/main")]
pub(crate) struct Create {
    /// The name to sign in with
    name: UserName,
    /// Where mail reaches the user: the invitation, and, for an Owner or Backup Contributor, what takes protection away
    #[arg(long, value_name = "ADDRESS")]
    email: Option<MailAddress>,
    /// A file that holds the first password, at least 12 characters
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

/// Change where mail reaches a user
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom user set eve --email eve@example.org
  strongroom user set eve --no-email")]
pub(crate) struct Set {
    /// The user's name
    name: UserName,
    /// Where mail reaches the user
    #[arg(long, value_name = "ADDRESS", required_unless_present = "no_email")]
    email: Option<MailAddress>,
    /// No mail reaches the user
    #[arg(long, conflicts_with = "email")]
    no_email: bool,
}

/// Make a link by which a user sets the password, once, within three days
///
/// For whoever is new, forgot the password, or so far signs in with another provider only. An earlier link is worth nothing
/// any more; the present password stays until the link is used. One-time passwords stay: see `strongroom user totp reset`.
/// The link is mailed if the service's configuration names a mail server and the user has an address; else it is printed, to
/// be handed over by a safe way.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom user invite eve")]
pub(crate) struct Invite {
    /// The user's name
    name: UserName,
}

/// Let a person whom another provider vouches for sign in as a user
///
/// Providers stand in the service's configuration (see `strongroom serve --help`). A person who signs in and is not linked
/// with anybody is told the subject to name here. Whoever signs in so is asked for neither password nor one-time password
/// here: the provider decides what is asked for.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom user link eve --provider corp --subject 00u1a2b3c4")]
pub(crate) struct Link {
    /// The user's name
    name: UserName,
    /// The provider, as the service's configuration calls it
    #[arg(long, value_name = "NAME")]
    provider: ProviderName,
    /// What the provider calls the person, for ever (the claim `sub`); never an e-mail address
    #[arg(long, value_name = "TEXT")]
    subject: String,
}

/// Take an identity off a user, who is signed out everywhere
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom user unlink eve 019aa5e2-5d3c-7c61-9f0e-3f1d7e3c2b1a")]
pub(crate) struct Unlink {
    /// The user's name
    name: UserName,
    /// The id of the identity, from `strongroom user show`
    identity: IdentityId,
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
#[command(after_long_help = "\
Example:
  strongroom user totp begin --output secret
  strongroom user totp confirm --output recovery-codes")]
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
#[command(after_long_help = "\
Example:
  strongroom user totp confirm --output recovery-codes")]
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
#[command(after_long_help = "\
Example:
  strongroom user totp end")]
pub(crate) struct End {
    /// A file that holds your password; without it you are asked
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// A file that holds what the authenticator shows, or a recovery code; without it you are asked
    #[arg(long, value_name = "FILE")]
    one_time_password_file: Option<PathBuf>,
}

#[derive(Serialize)]
struct DeletedView<T> {
    deleted: T,
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
            Self::Set(set) => set.run(global, terminal)?,
            Self::Invite(invite) => invite.run(global, terminal)?,
            Self::Link(link) => link.run(global, terminal)?,
            Self::Unlink(unlink) => unlink.run(global, terminal)?,
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
        let password = self.password_file.as_deref().map(password::from_file).transpose()?;
        let password = password.map(NewPassword::parse).transpose()?;
        let create = CreateUser {
            name: self.name,
            email: self.email.map(String::from).unwrap_or_default(),
            password: password.map(NewPassword::into_secret),
        };
        let created = block_on(async { Ok(client.create_user(&create).await?) })?;
        terminal.done(&created, |created| {
            let name = &created.user.name;
            let invited = created.invitation.as_ref().map(|made| invited(made, name));
            format!(
                "Created the user {name}. `strongroom role assign ROLE --to {name}` says what the user may do.{}",
                invited.map(|text| format!("\n{text}")).unwrap_or_default()
            )
        })
    }
}

/// What is to be done about an invitation.
fn invited(invitation: &Invitation, name: &str) -> String {
    let until = terminal::moment(invitation.expires);
    let mut text = String::new();
    if let Some(why) = &invitation.mail_error {
        text += &format!("The invitation could not be mailed: {why}.\n");
    }
    match (&invitation.mailed_to, &invitation.link) {
        (Some(address), _) => text += &format!("Mailed {address} a link to set the password, good once until {until}."),
        (None, Some(link)) => {
            text += &format!(
                "Hand this link to {name} by a safe way: whoever opens it first sets the password, until {until}.\n{}",
                link.reveal()
            );
        }
        (None, None) => {}
    }
    text
}

impl Set {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        let change = ChangeUser {
            email: Some(self.email.map(String::from).unwrap_or_default()),
            ..ChangeUser::default()
        };
        let user = block_on(async { Ok(client.change_user(&self.name, &change).await?) })?;
        terminal.done(&user, |user| match user.email.is_empty() {
            true => format!("No mail reaches {} any more.", user.name),
            false => format!("Mail reaches {} at {} now.", user.name, user.email),
        })
    }
}

impl Invite {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        let invitation = block_on(async { Ok(client.invite_user(&self.name).await?) })?;
        terminal.done(&invitation, |invitation| invited(invitation, self.name.as_str()))
    }
}

impl Link {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        let link = LinkIdentity {
            provider: self.provider,
            subject: self.subject,
        };
        let identity = block_on(async { Ok(client.link_identity(&self.name, &link).await?) })?;
        terminal.done(&identity, |identity| {
            format!(
                "{} signs in as {} of {} from now on ({}).",
                self.name, identity.subject, link.provider, identity.id
            )
        })
    }
}

impl Unlink {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        block_on(async { Ok(client.unlink_identity(&self.name, self.identity).await?) })?;
        let deleted = self.identity;
        terminal.done(&DeletedView { deleted }, |_| {
            format!("{} cannot sign in with that identity any more.", self.name)
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
                yes_or_no(user.one_time_passwords).to_owned(),
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

fn yes_or_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

fn identities(user: &UserView) -> String {
    if user.identities.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["IDENTITY", "PROVIDER", "SUBJECT", "LINKED BY", "LAST USED"]);
    for one in &user.identities {
        let used = one.used.map(terminal::moment);
        table.row([
            one.id.to_string(),
            one.provider.as_ref().map_or(one.issuer.clone(), ToString::to_string),
            one.subject.clone(),
            one.created_by.clone(),
            used.unwrap_or_else(|| "never".to_owned()),
        ]);
    }
    format!("\n{}", table.to_text())
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
                line("password", yes_or_no(user.has_password)),
                line("one-time passwords", yes_or_no(user.one_time_passwords)),
                line("created", &terminal::moment(user.created)),
                identities(user),
            ]
            .concat()
        })
    }

    fn change(self, disabled: bool, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        let change = ChangeUser {
            disabled: Some(disabled),
            ..ChangeUser::default()
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
