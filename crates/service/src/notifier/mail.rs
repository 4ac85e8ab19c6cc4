//! Mails, through the server that the administrator named.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::notify_options::{MailOptions, MailTls};

/// The longest wait for an answer of the server.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// Why mails cannot be sent as the configuration wants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// A password would go in the clear.
    #[error(
        "the password for the mail server {0} would go over the network in the clear: use tls = \"starttls\" or \"tls\""
    )]
    PasswordInClear(String),
    /// The authority's certificate is none.
    #[error("the authority of the mail server cannot be used: {0}")]
    Authority(String),
    /// The sender's address is none that mails can come from.
    #[error("mails cannot come from {0}")]
    From(String),
}

/// A mail to one address.
pub(crate) struct Mail<'a> {
    /// Names it, so that a server that gets it twice can tell.
    pub(crate) id: String,
    pub(crate) to: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) body: &'a str,
}

/// Sends mails.
pub(crate) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Address,
}

impl Mailer {
    /// Nothing is sent yet.
    pub(crate) fn new(options: &MailOptions) -> Result<Self, MailError> {
        let host = options.host.as_str();
        if options.sign_in.is_some() && options.tls == MailTls::None && !is_here(host) {
            return Err(MailError::PasswordInClear(host.to_owned()));
        }
        let (tls, port) = match options.tls {
            MailTls::StartTls => (Tls::Required(parameters(options)?), 587),
            MailTls::Tls => (Tls::Wrapper(parameters(options)?), 465),
            MailTls::None => (Tls::None, 25),
        };
        let from: Address = options
            .from
            .as_str()
            .parse()
            .map_err(|_| MailError::From(options.from.to_string()))?;
        let hello = ClientId::Domain(from.domain().to_owned());
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(options.port.unwrap_or(port))
            .tls(tls)
            .hello_name(hello)
            .timeout(Some(ANSWER_MAX));
        if let Some((user, password)) = &options.sign_in {
            builder = builder.credentials(Credentials::new(user.clone(), password.reveal().to_owned()));
        }
        Ok(Self {
            transport: builder.build(),
            from,
        })
    }

    /// Sends a mail.
    pub(crate) async fn send(&self, mail: &Mail<'_>, now: Timestamp) -> Result<(), String> {
        let to: Address = mail.to.parse().map_err(|_| format!("mails cannot go to {}", mail.to))?;
        let id = format!("<{}@{}>", mail.id, self.from.domain());
        let message = Message::builder()
            .from(Mailbox::new(Some("Strongroom".to_owned()), self.from.clone()))
            .to(Mailbox::new(None, to))
            .subject(mail.subject)
            .date(SystemTime::from(now))
            .message_id(Some(id))
            .header(ContentType::TEXT_PLAIN)
            .body(mail.body.to_owned())
            .map_err(|error| format!("the mail cannot be written: {error}"))?;
        let sent = self.transport.send(message).await;
        sent.map(drop)
            .map_err(|error| format!("the mail server: {}", chain(&error)))
    }
}

fn parameters(options: &MailOptions) -> Result<TlsParameters, MailError> {
    let unusable = |error: &dyn std::fmt::Display| MailError::Authority(error.to_string());
    let mut builder = TlsParameters::builder(options.host.clone());
    if let Some(pem) = &options.authority {
        // The parser below takes a text without a certificate for none at all.
        CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| unusable(&error))?;
        let certificate = Certificate::from_pem(pem.as_bytes()).map_err(|error| unusable(&error))?;
        builder = builder
            .certificate_store(CertificateStore::None)
            .add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(|error| unusable(&error))
}

/// Whether it is this machine.
fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// An error and its causes, as far as they say something new.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text += &format!(": {said}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use strongroom_api::Secret;

    use super::*;

    #[test]
    fn a_password_does_not_go_in_the_clear() {
        let options = |host: &str, tls| MailOptions {
            host: host.to_owned(),
            port: None,
            tls,
            authority: None,
            from: "backup@example.org".parse().unwrap(),
            sign_in: Some(("user".to_owned(), Secret::new("password"))),
        };
        assert!(Mailer::new(&options("mail.example.org", MailTls::None)).is_err());
        assert!(Mailer::new(&options("127.0.0.1", MailTls::None)).is_ok());
        let bad = MailOptions {
            authority: Some("no certificate".to_owned()),
            ..options("mail.example.org", MailTls::Tls)
        };
        assert!(matches!(Mailer::new(&bad), Err(MailError::Authority(_))));
    }
}
