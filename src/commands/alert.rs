//! `strongroom alert`: what somebody should know, and who is told of it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use strongroom_api::{
    AlertFilter, AlertList, AlertView, ChangeNotifications, Client, InactivateAlert, NotificationTest,
    NotificationsView, Secret,
};
use strongroom_model::{
    AlertId, AlertKind, AlertSeverity, AlertState, MachineName, MailAddress, NotificationSettings, Rhythm, VaultName,
    WebhookUrl,
};

use crate::admin_session::AdminSession;
use crate::cli::Global;
use crate::commands::block_on;
use crate::failure::{Failure, Outcome};
use crate::private_file;
use crate::terminal::{Table, Terminal, moment};
use crate::which_vault::WhichVault;

/// List and show alerts, close them, and say who is told of them
#[derive(Debug, Subcommand)]
pub(crate) enum Alert {
    List(List),
    Show(Show),
    Close(Close),
    Notify(Notify),
    Test(Test),
}

/// List the alerts of a vault, newest first
///
/// What happens again while an alert stands is counted on it. Seeing alerts takes a role that may read the vault.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom alert list --status Active
  strongroom alert list --severity Critical --item web-1 --vault main")]
pub(crate) struct List {
    /// Only those in this state: Active, Inactive (somebody closed it) or Resolved (its cause is gone)
    #[arg(long, value_name = "STATE")]
    status: Option<AlertState>,
    /// Only those of this severity
    #[arg(long, value_name = "Critical|Warning|Information")]
    severity: Option<AlertSeverity>,
    /// Only those of this kind, such as BackupFailure or BackupMissed
    #[arg(long, value_name = "KIND")]
    kind: Option<AlertKind>,
    /// Only those of this item
    #[arg(long, value_name = "NAME")]
    item: Option<MachineName>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    #[command(flatten)]
    vault: WhichVault,
}

/// Show one alert
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    which: Which,
}

/// Say that somebody saw to an alert
///
/// What happens again after that raises another one.
///
/// Its cause may go on: an alert whose cause is gone ends by itself. As with Azure,
/// every role on the vault may close its alerts.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom alert close 019aa5e2-5d3c-7c61-9f0e-3f1d7e3c2b1a --note 'the disk was full; it was replaced'")]
pub(crate) struct Close {
    #[command(flatten)]
    which: Which,
    /// What to remember about it
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
}

/// Show or change who is told of a vault's alerts
///
/// Without flags it is shown. What takes protection away (data deleted, soft delete switched off, shorter retention …) is
/// told whatever the severities and the rhythm say, and also to the Owners and Backup Contributors of the vault who have an
/// address (see `strongroom user set`), and to the owners whom the service's configuration names.
#[derive(Debug, Args)]
#[command(after_long_help = "\
A webhook gets JSON, with the header Strongroom-Signature: t=SECONDS,v1=HEX. HEX is the HMAC-SHA256 of SECONDS, a full stop,
and the body, under the webhook's secret. The service makes a secret, and shows it once, if none is given. It calls addresses
of the internet, and what its configuration allows besides (webhook_networks).

Examples:
  strongroom alert notify
  strongroom alert notify --mail ops@example.org --mail me@example.org --rhythm HourlyDigest
  strongroom alert notify --severity Critical
  strongroom alert notify --webhook https://hooks.example.org/strongroom --secret-file secret
  strongroom alert test")]
pub(crate) struct Notify {
    /// Who gets mails, instead of those who do now; may be given several times
    #[arg(long, value_name = "ADDRESS", conflicts_with = "no_mail")]
    mail: Vec<MailAddress>,
    /// Nobody gets mails
    #[arg(long)]
    no_mail: bool,
    /// Of which severities; may be given several times
    #[arg(long, value_name = "Critical|Warning|Information")]
    severity: Vec<AlertSeverity>,
    /// How often people are written to
    #[arg(long, value_name = "PerAlert|HourlyDigest")]
    rhythm: Option<Rhythm>,
    /// Where a webhook listens
    #[arg(long, value_name = "URL", conflicts_with = "no_webhook")]
    webhook: Option<WebhookUrl>,
    /// No webhook is called
    #[arg(long)]
    no_webhook: bool,
    /// The file with the secret that signs webhooks, 16 to 200 characters
    #[arg(long, value_name = "FILE", conflicts_with = "no_webhook")]
    secret_file: Option<PathBuf>,
    #[command(flatten)]
    vault: WhichVault,
}

/// Send a test message to everybody who is told of a vault's alerts
#[derive(Debug, Args)]
pub(crate) struct Test {
    #[command(flatten)]
    vault: WhichVault,
}

/// The alert that a command is about.
#[derive(Debug, Args)]
struct Which {
    /// Its id
    alert: AlertId,
    #[command(flatten)]
    vault: WhichVault,
}

#[derive(Serialize)]
struct NotifyView<'a> {
    vault: &'a VaultName,
    #[serde(flatten)]
    notifications: &'a NotificationsView,
}

impl Alert {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let client = AdminSession::client(global)?;
        match self {
            Self::List(list) => {
                let alerts = block_on(list.ask(&client))?;
                terminal.result(&alerts, |alerts| match alerts.alerts.is_empty() {
                    true => "There are no such alerts.".to_owned(),
                    false => table(&alerts.alerts),
                })?;
                Ok(Outcome::Done)
            }
            Self::Show(Show { which }) => {
                let alert =
                    block_on(async { Ok(client.alert(&which.vault.name(&client).await?, which.alert).await?) })?;
                terminal.result(&alert, shown)?;
                Ok(Outcome::Done)
            }
            Self::Close(Close { which, note }) => {
                let closed = block_on(async {
                    let vault = which.vault.name(&client).await?;
                    let inactivate = InactivateAlert { note };
                    Ok(client.inactivate_alert(&vault, which.alert, &inactivate).await?)
                })?;
                terminal.done(&closed, |alert| {
                    format!("Closed: {} of {}.", alert.title, alert.subject)
                })?;
                Ok(Outcome::Done)
            }
            Self::Notify(notify) => notify.run(&client, terminal),
            Self::Test(Test { vault }) => {
                let test = block_on(async { Ok(client.test_notifications(&vault.name(&client).await?).await?) })?;
                terminal.result(&test, tested)?;
                match test.results.iter().all(|result| result.error.is_none()) {
                    true => Ok(Outcome::Done),
                    false => Ok(Outcome::Failed),
                }
            }
        }
    }
}

impl List {
    async fn ask(self, client: &Client) -> Result<AlertList, Failure> {
        let vault = self.vault.name(client).await?;
        let filter = AlertFilter {
            limit: Some(self.limit),
            state: self.status,
            severity: self.severity,
            kind: self.kind,
            item: self.item.map(String::from),
            ..AlertFilter::default()
        };
        Ok(client.alerts(&vault, &filter).await?)
    }
}

impl Notify {
    fn run(self, client: &Client, terminal: &Terminal) -> Result<Outcome, Failure> {
        let secret = self.secret_file.as_deref().map(private_file::read).transpose()?;
        let secret = secret.map(|text| Secret::new(text.trim_end_matches(['\r', '\n'])));
        let (vault, view) = block_on(async {
            let vault = self.vault.name(client).await?;
            let present = client.notifications(&vault).await?;
            let settings = self.settings(&present.settings);
            if settings == present.settings && secret.is_none() {
                return Ok((vault, present));
            }
            let change = ChangeNotifications {
                settings,
                webhook_secret: secret,
            };
            let changed = client
                .change_notifications(&vault, &change, Some(present.version))
                .await?;
            Ok((vault, changed))
        })?;
        let view = NotifyView {
            vault: &vault,
            notifications: &view,
        };
        terminal.result(&view, told)?;
        Ok(Outcome::Done)
    }

    /// What the flags make of what there is.
    fn settings(&self, present: &NotificationSettings) -> NotificationSettings {
        let mut settings = present.clone();
        if !self.mail.is_empty() || self.no_mail {
            settings.recipients = self.mail.clone();
        }
        if !self.severity.is_empty() {
            settings.severities = self.severity.clone();
        }
        if let Some(rhythm) = self.rhythm {
            settings.rhythm = rhythm;
        }
        if self.webhook.is_some() || self.no_webhook {
            settings.webhook = self.webhook.clone();
        }
        settings
    }
}

fn table(alerts: &[AlertView]) -> String {
    let mut table = Table::new(&["ALERT", "SEVERITY", "KIND", "ABOUT", "STATE", ">COUNT", "LAST"]);
    for alert in alerts {
        table.row([
            alert.id.to_string(),
            alert.severity.to_string(),
            alert.kind.to_string(),
            alert.subject.clone(),
            alert.state.to_string(),
            alert.count.to_string(),
            moment(alert.last),
        ]);
    }
    table.to_text()
}

fn line(name: &str, value: &str) -> String {
    format!("{name:<12}{value}\n")
}

fn shown(alert: &AlertView) -> String {
    let mut text = [
        line("alert", &alert.id.to_string()),
        line("kind", &format!("{} ({})", alert.kind, alert.title)),
        line("severity", &format!("{} (Sev {})", alert.severity, alert.sev)),
        line("about", &alert.subject),
        line("state", alert.state.as_str()),
        line("code", &alert.code),
        line("message", &alert.message),
    ]
    .concat();
    if !alert.recommendation.is_empty() {
        text += &line("what to do", &alert.recommendation);
    }
    text += &line("first", &moment(alert.raised));
    text += &line("last", &moment(alert.last));
    text += &line("how often", &alert.count.to_string());
    if let Some(job) = alert.job {
        text += &line("job", &job.to_string());
    }
    if let Some(ended) = alert.ended {
        let by = alert.ended_by.as_ref().map_or(String::new(), |by| format!(" by {by}"));
        text += &line("over since", &format!("{}{by}", moment(ended)));
    }
    if let Some(note) = &alert.note {
        text += &line("note", note);
    }
    text
}

fn told(view: &NotifyView<'_>) -> String {
    let settings = &view.notifications.settings;
    let list = |words: Vec<String>| match words.is_empty() {
        true => "-".to_owned(),
        false => words.join(", "),
    };
    let mut text = [
        line("vault", view.vault.as_str()),
        line(
            "mails to",
            &list(settings.recipients.iter().map(ToString::to_string).collect()),
        ),
        line(
            "of",
            &list(settings.severities.iter().map(ToString::to_string).collect()),
        ),
        line("rhythm", settings.rhythm.as_str()),
        line("webhook", settings.webhook.as_ref().map_or("-", WebhookUrl::as_str)),
    ]
    .concat();
    if let Some(secret) = &view.notifications.webhook_secret {
        text += &line("secret", &format!("{} (shown once: keep it)", secret.reveal()));
    }
    text
}

fn tested(test: &NotificationTest) -> String {
    let results = test.results.iter().map(|result| match &result.error {
        None => format!("{} {}: sent\n", result.channel, result.target),
        Some(why) => format!("{} {}: {why}\n", result.channel, result.target),
    });
    results.collect()
}
