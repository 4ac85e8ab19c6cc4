//! `strongroom principal`: programs that sign in by themselves.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use strongroom_api::{
    AddCertificate, AddSecret, ChangeServicePrincipal, CreateServicePrincipal, KeyKind, KeyView, ServicePrincipalView,
};
use strongroom_model::{KeyId, PrincipalName};

use crate::admin_session::AdminSession;
use crate::cli::Global;
use crate::commands::block_on;
use crate::failure::{Failure, Outcome};
use crate::private_file;
use crate::terminal::{self, Table, Terminal};

/// Create, list, show, disable and delete service principals, and what they sign in with
///
/// A service principal stands for a program: a script, a pipeline, `az`. It signs in with secrets or certificates, and may do
/// nothing until a role is assigned: see `strongroom role`.
#[derive(Debug, Subcommand)]
pub(crate) enum Principal {
    Create(Create),
    List(List),
    Show(Named),
    /// Shut a service principal: it is refused from now on
    Disable(Named),
    /// Open a service principal again
    Enable(Named),
    /// Delete a service principal, with its secrets, certificates and roles
    Delete(Named),
    AddSecret(NewSecret),
    AddCertificate(NewCertificate),
    RemoveKey(RemoveKey),
}

/// Create a service principal
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom principal create nightly
  strongroom principal add-secret nightly --output nightly.secret
  strongroom role assign 'Backup Reader' --to nightly --scope vault/main")]
pub(crate) struct Create {
    /// What people call it
    name: PrincipalName,
    /// An https address that people whom it signs in may be sent back to; may be given several times
    #[arg(long, value_name = "URL")]
    redirect: Vec<String>,
}

/// List the service principals
#[derive(Debug, Args)]
pub(crate) struct List {}

/// Show one service principal
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Its name or id
    principal: String,
}

/// Make a secret, and write it to a file that only you may read
///
/// The service keeps a hash of it, and tells it this once.
///
/// A service principal may have several, so that the next one can be in use before the last one expires.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom principal add-secret nightly --label 'until spring' --days 90 --output nightly.secret")]
pub(crate) struct NewSecret {
    /// The service principal's name or id
    principal: String,
    /// The file to write
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// What to call it
    #[arg(long, value_name = "TEXT", default_value = "")]
    label: String,
    /// For how many days it is good, up to 730
    #[arg(long, value_name = "N", default_value_t = 365)]
    days: u32,
}

/// Let it sign in with a certificate; its private key stays where it is
///
/// Keys of RSA, from 2048 bits, and of the curve P-256 do. It is good until the certificate expires.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom principal add-certificate nightly --certificate-file nightly.pem
  strongroom login https://vault.example.org:8443 --service-principal ID --certificate-file both.pem")]
pub(crate) struct NewCertificate {
    /// The service principal's name or id
    principal: String,
    /// The certificate, in PEM
    #[arg(long, value_name = "FILE")]
    certificate_file: PathBuf,
    /// What to call it
    #[arg(long, value_name = "TEXT", default_value = "")]
    label: String,
}

/// Remove a secret or certificate
#[derive(Debug, Args)]
pub(crate) struct RemoveKey {
    /// The service principal's name or id
    principal: String,
    /// The id of the secret or certificate
    key: KeyId,
}

#[derive(Serialize)]
struct DeletedView<T> {
    deleted: T,
}

#[derive(Serialize)]
struct SecretView {
    key: KeyView,
    file: PathBuf,
}

impl Principal {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        match self {
            Self::Create(create) => create.run(global, terminal)?,
            Self::List(List {}) => list(global, terminal)?,
            Self::Show(named) => named.show(global, terminal)?,
            Self::Disable(named) => named.change(true, global, terminal)?,
            Self::Enable(named) => named.change(false, global, terminal)?,
            Self::Delete(named) => named.delete(global, terminal)?,
            Self::AddSecret(new) => new.run(global, terminal)?,
            Self::AddCertificate(new) => new.run(global, terminal)?,
            Self::RemoveKey(remove) => remove.run(global, terminal)?,
        }
        Ok(Outcome::Done)
    }
}

impl Create {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        let create = CreateServicePrincipal {
            name: self.name,
            redirects: self.redirect,
        };
        let made = block_on(async { Ok(client.create_service_principal(&create).await?) })?;
        terminal.done(&made, |made| {
            format!("Created the service principal {} with the id {}.", made.name, made.id)
        })
    }
}

fn list(global: &Global, terminal: &Terminal) -> Result<(), Failure> {
    let client = AdminSession::client(global)?;
    let list = block_on(async { Ok(client.service_principals().await?) })?;
    terminal.result(&list, |list| match list.service_principals.is_empty() {
        true => "There are no service principals: `strongroom principal create NAME` makes one.".to_owned(),
        false => {
            let mut table = Table::new(&["NAME", "ID", "STATE", ">KEYS", "CREATED"]);
            for one in &list.service_principals {
                table.row([
                    one.name.to_string(),
                    one.id.to_string(),
                    state(one).to_owned(),
                    one.keys.len().to_string(),
                    terminal::moment(one.created),
                ]);
            }
            table.to_text()
        }
    })
}

fn state(principal: &ServicePrincipalView) -> &'static str {
    match principal.disabled {
        true => "disabled",
        false => "enabled",
    }
}

fn text(one: &ServicePrincipalView) -> String {
    let line = |name: &str, value: &str| format!("{name:<12}{value}\n");
    let mut text = [
        line("name", one.name.as_str()),
        line("id", &one.id.to_string()),
        line("state", state(one)),
        line("created", &terminal::moment(one.created)),
    ]
    .concat();
    for redirect in &one.redirects {
        text += &line("redirect", redirect);
    }
    if one.keys.is_empty() {
        return text + "It has neither a secret nor a certificate: `strongroom principal add-secret` makes one.";
    }
    let mut table = Table::new(&["KEY", "KIND", "LABEL", "EXPIRES"]);
    for key in &one.keys {
        let kind = match key.kind {
            KeyKind::Secret => "secret",
            KeyKind::Certificate => "certificate",
        };
        table.row([
            key.id.to_string(),
            kind.to_owned(),
            key.label.clone(),
            terminal::moment(key.expires),
        ]);
    }
    format!("{text}\n{}", table.to_text())
}

impl Named {
    fn show(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        let one = block_on(async { Ok(client.service_principal(&self.principal).await?) })?;
        terminal.result(&one, text)
    }

    fn change(self, disabled: bool, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        let change = ChangeServicePrincipal {
            disabled: Some(disabled),
        };
        let one = block_on(async { Ok(client.change_service_principal(&self.principal, &change).await?) })?;
        terminal.done(&one, |one| {
            format!("The service principal {} is {} now.", one.name, state(one))
        })
    }

    fn delete(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        block_on(async { Ok(client.delete_service_principal(&self.principal).await?) })?;
        let deleted = self.principal;
        terminal.done(&DeletedView { deleted }, |view| {
            format!("Deleted the service principal {}.", view.deleted)
        })
    }
}

impl NewSecret {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        let add = AddSecret {
            label: self.label,
            days: self.days,
        };
        let added = block_on(async { Ok(client.add_secret(&self.principal, &add).await?) })?;
        let text = format!("{}\n", added.secret.reveal());
        private_file::write(&self.output, &text)?;
        let view = SecretView {
            key: added.key,
            file: self.output,
        };
        terminal.done(&view, |view| {
            format!(
                "Wrote a secret to {}; it is good until {}.",
                view.file.display(),
                terminal::moment(view.key.expires)
            )
        })
    }
}

impl NewCertificate {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        let add = AddCertificate {
            label: self.label,
            certificate: certificates_of(&private_file::read(&self.certificate_file)?),
        };
        let key = block_on(async { Ok(client.add_certificate(&self.principal, &add).await?) })?;
        terminal.done(&key, |key| {
            format!(
                "{} signs in with this certificate until {}.",
                self.principal,
                terminal::moment(key.expires)
            )
        })
    }
}

/// The certificates of a PEM text: a private key that is in the same file is not sent.
fn certificates_of(text: &str) -> String {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let whole = |piece: &str| {
        piece
            .split_once(END)
            .map(|(inside, _)| format!("{BEGIN}{inside}{END}\n"))
    };
    text.split(BEGIN).skip(1).filter_map(whole).collect()
}

impl RemoveKey {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        block_on(async { Ok(client.delete_key(&self.principal, self.key).await?) })?;
        terminal.done(&DeletedView { deleted: self.key }, |view| {
            format!("Removed {}: nobody signs in with it any more.", view.deleted)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_is_not_sent() {
        let one = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let key = "-----BEGIN PRIVATE KEY-----\nBBBB\n-----END PRIVATE KEY-----\n";
        assert_eq!(certificates_of(&format!("{key}{one}{key}{one}")), one.repeat(2));
        assert_eq!(certificates_of(key), "");
    }
}
