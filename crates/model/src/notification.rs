//! Who is told of alerts, and how.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::word::words;
use crate::{AlertKind, AlertSeverity};

words!(
    /// How often people are written to.
    Rhythm, "rhythm of mails" {
        /// A mail for each alert, and one when it is resolved.
        PerAlert,
        /// One mail an hour, if there is anything. What was raised and resolved within the hour is left out.
        HourlyDigest,
    }
);

words!(
    /// A way to tell somebody.
    Channel, "channel" {
        /// A mail.
        Mail,
        /// An HTTP request.
        Webhook,
    }
);

words!(
    /// What happened to an alert.
    AlertEvent, "event of an alert" {
        /// It was raised.
        Raised,
        /// Its cause is gone.
        Resolved,
    }
);

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is no e-mail address.
    #[error("\"{0}\" is no e-mail address: it must look like name@example.org")]
    Mail(String),
    /// It is no address that a webhook can be at.
    #[error(
        "\"{0}\" cannot be a webhook: it must begin with https:// (http:// only for 127.0.0.1, [::1] and localhost), without a user name in it"
    )]
    Webhook(String),
}

/// The longest address, in bytes.
const MAIL_MAX: usize = 254;
const WEBHOOK_MAX: usize = 2000;

macro_rules! address {
    ($(#[$doc:meta])* $name:ident, $test:expr, $error:expr, $format:literal, $bytes_max:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(extend("format" = $format, "maxLength" = $bytes_max))]
        pub struct $name(String);

        impl $name {
            /// The address as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = AddressError;

            fn from_str(text: &str) -> Result<Self, AddressError> {
                match $test(text) {
                    true => Ok(Self(text.to_owned())),
                    false => Err($error(text.chars().take(80).collect())),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = AddressError;

            fn try_from(text: String) -> Result<Self, AddressError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(address: $name) -> String {
                address.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

address!(
    /// An e-mail address: plain, without a name beside it.
    MailAddress, is_mail, AddressError::Mail, "email", MAIL_MAX
);
address!(
    /// Where a webhook listens: over TLS, or on this machine.
    WebhookUrl, is_webhook, AddressError::Webhook, "uri", WEBHOOK_MAX
);

/// Stricter than the standard: no quotes, no comments, no addresses of numbers.
fn is_mail(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let is_local = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let is_domain = |c: char| c.is_alphanumeric() || "-.".contains(c);
    let dots = |part: &str| !part.starts_with('.') && !part.ends_with('.') && !part.contains("..");
    text.len() <= MAIL_MAX
        && !local.is_empty()
        && local.len() <= 64
        && local.chars().all(is_local)
        && dots(local)
        && !domain.is_empty()
        && !domain.starts_with('-')
        && domain.chars().all(is_domain)
        && dots(domain)
}

fn is_webhook(text: &str) -> bool {
    if text.len() > WEBHOOK_MAX
        || text
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == '\\' || c == '#')
    {
        return false;
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => authority.split(':').next().unwrap_or(authority),
    };
    let is_here = matches!(host, "localhost" | "127.0.0.1" | "::1");
    !host.is_empty() && !authority.contains('@') && (scheme == "https" || (scheme == "http" && is_here))
}

/// The most addresses of a vault.
pub const RECIPIENTS_MAX: usize = 50;

/// Who is told of a vault's alerts, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NotificationSettings {
    /// Who gets mails.
    pub recipients: Vec<MailAddress>,
    /// Of what. What takes protection away is told of whatever is said here.
    pub severities: Vec<AlertSeverity>,
    /// How often.
    pub rhythm: Rhythm,
    /// Where a webhook listens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookUrl>,
}

impl Default for NotificationSettings {
    fn default() -> Self {
        Self {
            recipients: Vec::new(),
            severities: vec![AlertSeverity::Critical, AlertSeverity::Warning],
            rhythm: Rhythm::PerAlert,
            webhook: None,
        }
    }
}

/// To whom one event of an alert goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// Who gets a mail about it alone, now.
    pub mails: Vec<MailAddress>,
    /// Whether it waits for the hour's digest.
    pub in_digest: bool,
    /// Where a webhook listens for it.
    pub webhook: Option<WebhookUrl>,
}

impl NotificationSettings {
    /// Why these cannot be, as a sentence; `None`: they can.
    pub fn refuses(&self) -> Option<String> {
        let count = self.recipients.len();
        (count > RECIPIENTS_MAX).then(|| format!("at most {RECIPIENTS_MAX} addresses can be told, not {count}"))
    }

    /// To whom an event goes. What takes protection away goes to the owners too, at once, and nobody can be left out.
    pub fn audience(&self, kind: AlertKind, owners: &[MailAddress]) -> Audience {
        let is_security = kind.is_security();
        if !is_security && !self.severities.contains(&kind.severity()) {
            return Audience::default();
        }
        let in_digest = !is_security && self.rhythm == Rhythm::HourlyDigest;
        let mut mails = match in_digest {
            true => Vec::new(),
            false => self.recipients.clone(),
        };
        if is_security {
            mails.extend(owners.iter().cloned());
        }
        mails.sort();
        mails.dedup();
        Audience {
            mails,
            in_digest: in_digest && !self.recipients.is_empty(),
            webhook: self.webhook.clone(),
        }
    }
}

/// How long is waited after each attempt that failed, in seconds; after the last of these, always so long.
const WAITS: [i64; 9] = [5, 15, 60, 300, 900, 1800, 3600, 7200, 14400];
/// How long is tried.
const TRIED_FOR: SignedDuration = SignedDuration::from_hours(24);

/// When a delivery that failed so often is tried again; `None`: it is given up.
pub fn next_try(made: Timestamp, attempts: u64, now: Timestamp) -> Option<Timestamp> {
    let index = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let wait = SignedDuration::from_secs(WAITS[index.min(WAITS.len() - 1)]);
    let next = now.saturating_add(wait).ok()?;
    (next.duration_since(made) <= TRIED_FOR).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, right) in [
            ("ops@example.org", true),
            ("first.last+backup@mail.example.org", true),
            ("root@localhost", true),
            ("ops", false),
            ("@example.org", false),
            ("a@", false),
            ("a b@example.org", false),
            ("a@example.org\r\nBcc: b@example.org", false),
            ("Ops <a@example.org>", false),
            ("a@b@example.org", false),
            (".a@example.org", false),
            ("a@example..org", false),
        ] {
            assert_eq!(text.parse::<MailAddress>().is_ok(), right, "{text}");
        }
        for (text, right) in [
            ("https://hooks.example.org/x?y=1", true),
            ("https://hooks.example.org:8443", true),
            ("http://127.0.0.1:9000/", true),
            ("http://[::1]:9000/", true),
            ("http://localhost", true),
            ("http://hooks.example.org/", false),
            ("http://127.0.0.1.example.org/", false),
            ("http://127.0.0.1@example.org/", false),
            ("http://example.org\\@127.0.0.1/", false),
            ("https://user:secret@example.org/", false),
            ("https:///x", false),
            ("https://a b", false),
            ("ftp://example.org", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<WebhookUrl>().is_ok(), right, "{text}");
        }
    }

    #[test]
    fn nobody_is_left_out_of_what_takes_protection_away() {
        let mail = |text: &str| text.parse::<MailAddress>().unwrap();
        let owners = [mail("owner@example.org")];
        let settings = NotificationSettings {
            recipients: vec![mail("ops@example.org")],
            severities: vec![],
            rhythm: Rhythm::HourlyDigest,
            webhook: None,
        };
        assert_eq!(
            settings.audience(AlertKind::BackupFailure, &owners),
            Audience::default()
        );
        let told = settings.audience(AlertKind::DeleteBackupData, &owners);
        assert_eq!(told.mails, [mail("ops@example.org"), mail("owner@example.org")]);
        assert!(!told.in_digest);
        let all = NotificationSettings {
            severities: AlertSeverity::ALL.to_vec(),
            ..settings
        };
        let told = all.audience(AlertKind::BackupFailure, &owners);
        assert!(told.in_digest && told.mails.is_empty());
    }

    #[test]
    fn tries_go_on_for_a_day() {
        let made: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
        let (mut now, mut attempts) = (made, 0);
        loop {
            attempts += 1;
            let Some(next) = next_try(made, attempts, now) else {
                break;
            };
            assert!(next > now);
            now = next;
        }
        assert_eq!(attempts, 14);
        assert!(now.duration_since(made) > SignedDuration::from_hours(20));
    }
}
