//! Why a call failed, in the kinds by which callers decide.

use std::error::Error;

use rustls::CertificateError;

use crate::{AssertionError, Code, Problem, TrustError};

/// How the system says that it could not ask for a host's address; it says that there is no such host otherwise. The
/// standard library passes on the words only.
const NAME_NOT_ASKED: &str = "Temporary failure in name resolution";

/// How a proxy's refusal is told on the way up here, in words only.
const PROXY_WANTS_USER: &str = "tunnel error: proxy authorization required";
const PROXY_MAKES_NO_TUNNEL: &str = "tunnel error: unsuccessful";

/// Why a call failed. Each is one sentence for a person, with the way out.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// The address is no address of a service.
    #[error("\"{url}\" is not the address of a service: it must look like https://host:8443")]
    InvalidUrl {
        /// What was given.
        url: String,
    },
    /// The authority cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// There is no host of that name. Nothing was sent.
    #[error("cannot find the host of the service at {url}: {why}. Check that the address is right")]
    UnknownHost {
        /// The address.
        url: String,
        /// The system's words.
        why: String,
    },
    /// Nobody answers there. Nothing was sent.
    #[error(
        "cannot reach the service at {url}: {why}. Check that `strongroom serve` runs there, that the address is right and that no firewall is in between"
    )]
    Unreachable {
        /// The address.
        url: String,
        /// The system's words.
        why: String,
    },
    /// The proxy refuses. Nothing was sent to the service.
    #[error(
        "the proxy on the way to {url} {why}: set it with `strongroom agent settings --proxy URL --proxy-user NAME --proxy-password-file FILE`, or in the environment variable HTTPS_PROXY"
    )]
    Proxy {
        /// The service's address.
        url: String,
        /// What it refuses.
        why: &'static str,
    },
    /// The connection failed in the middle of a call, which may or may not have been carried out.
    #[error("the connection to {url} was lost: {why}")]
    Interrupted {
        /// The address.
        url: String,
        /// The system's words.
        why: String,
    },
    /// Somebody answers there, but cannot prove to be the service.
    #[error("the service at {url} cannot be trusted: {fault}")]
    UnknownCertificate {
        /// The address.
        url: String,
        /// What is wrong with the certificate.
        fault: CertificateFault,
    },
    /// The service said no.
    #[error("{0}")]
    Refused(Box<Problem>),
    /// What answers there does not speak as a service of this version does.
    #[error("the answer cannot be understood: {what}. Is this a Strongroom service of the same version?")]
    Protocol {
        /// What was not understood.
        what: String,
    },
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// Another authority issued it.
    #[error(
        "its certificate was not issued by the authority that is known here. Copy the file tls/ca.pem from the service's data folder by a safe way and name it with --ca FILE"
    )]
    OtherAuthority,
    /// It is for other host names.
    #[error(
        "its certificate is for other host names. Use one of its names, or add this one to `hostnames` in the service's configuration and restart it"
    )]
    OtherName,
    /// It is not valid now.
    #[error(
        "its certificate is not valid at this time. Check this machine's clock; restarting the service renews its certificate"
    )]
    NotNow,
    /// It is damaged or not fit for this use.
    #[error("its certificate is not acceptable ({0})")]
    Other(String),
}

impl ClientError {
    /// The problem that the service answered with, if it did.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            _ => None,
        }
    }

    /// Why the service does not answer, if it is because it is away.
    pub(crate) fn absence(&self) -> Option<String> {
        match self {
            Self::Unreachable { why, .. } => Some(why.clone()),
            Self::Refused(problem) if problem.code == Code::Unavailable => Some(problem.detail.clone()),
            _ => None,
        }
    }

    /// `met`: the service has answered before, so that a host that is not found is a line that was cut.
    pub(crate) fn from_transport(url: &str, error: &reqwest::Error, met: bool) -> Self {
        let url = url.to_owned();
        match find_rustls(error) {
            Some(rustls::Error::InvalidCertificate(reason)) => {
                return Self::UnknownCertificate {
                    url,
                    fault: CertificateFault::from(reason),
                };
            }
            Some(rustls::Error::InvalidMessage(_)) => {
                let what = format!("{url} does not speak TLS");
                return Self::Protocol { what };
            }
            _ => {}
        }
        let why = innermost(error);
        match error.is_connect() {
            true if why == PROXY_WANTS_USER => Self::Proxy {
                url,
                why: "wants another name or password",
            },
            true if why == PROXY_MAKES_NO_TUNNEL => Self::Unreachable {
                url,
                why: "the proxy on the way cannot reach it".to_owned(),
            },
            true if error.is_dns() && !met && !why.contains(NAME_NOT_ASKED) => Self::UnknownHost { url, why },
            true => Self::Unreachable { url, why },
            false => Self::Interrupted { url, why },
        }
    }
}

impl From<AssertionError> for ClientError {
    fn from(error: AssertionError) -> Self {
        Self::Protocol {
            what: error.to_string(),
        }
    }
}

impl From<&CertificateError> for CertificateFault {
    fn from(error: &CertificateError) -> Self {
        match error {
            // A bad signature is what an authority of the same name with another key leads to.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::OtherAuthority,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::OtherName,
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::NotNow,
            other => Self::Other(other.to_string()),
        }
    }
}

/// The TLS error somewhere below; `io::Error` hides what it carries from `source`.
fn find_rustls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        if let Some(carried) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref)
            && let Some(found) = find_rustls(carried)
        {
            return Some(found);
        }
        next = error.source();
    }
    None
}

fn innermost(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}
