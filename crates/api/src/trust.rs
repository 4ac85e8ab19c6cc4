//! Which services a client believes: exactly those whose certificate one given authority issued.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_model::Clock;

/// Why a CA certificate cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// The text has no certificate, or several.
    #[error("the CA file must hold exactly one certificate in PEM form (it begins with -----BEGIN CERTIFICATE-----)")]
    NotOneCertificate,
    /// The certificate cannot be an authority.
    #[error("the CA certificate cannot be used: {0}")]
    Unusable(String),
    /// The fingerprint is another one.
    #[error("the CA certificate has the fingerprint {found}, not {expected} as it should")]
    OtherFingerprint {
        /// The fingerprint that was promised.
        expected: Fingerprint,
        /// The fingerprint of the certificate at hand.
        found: Fingerprint,
    },
}

/// SHA-256 of a certificate in DER form, as every browser and `openssl x509 -fingerprint -sha256` show it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    fn of(certificate: &CertificateDer<'_>) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
        Self(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<String> = self.0.iter().map(|byte| format!("{byte:02X}")).collect();
        f.write_str(&pairs.join(":"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl FromStr for Fingerprint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes: Option<Vec<u8>> = text.split(':').map(hex_pair).collect();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(Self)
            .ok_or_else(|| "a fingerprint has 32 pairs of hexadecimal digits, joined by colons".to_owned())
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> String {
        fingerprint.to_string()
    }
}

fn hex_pair(pair: &str) -> Option<u8> {
    let digits = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
    digits.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
}

/// The one authority that a client believes.
#[derive(Clone, PartialEq, Eq)]
pub struct Trust {
    pem: String,
    certificate: CertificateDer<'static>,
}

impl Trust {
    /// Believes the one certificate in `pem`.
    ///
    /// # Errors
    /// When there is none, more than one, or it cannot be an authority.
    pub fn from_pem(pem: &str) -> Result<Self, TrustError> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        let mut found = found.map_err(|_| TrustError::NotOneCertificate)?;
        let (Some(certificate), true) = (found.pop(), found.is_empty()) else {
            return Err(TrustError::NotOneCertificate);
        };
        let trust = Self {
            pem: pem.to_owned(),
            certificate,
        };
        trust.roots()?;
        Ok(trust)
    }

    /// Believes the certificate in `pem` if it has the fingerprint that was promised.
    ///
    /// # Errors
    /// As [`Trust::from_pem`], and when the fingerprint is another one.
    pub fn from_pem_pinned(pem: &str, expected: Fingerprint) -> Result<Self, TrustError> {
        let trust = Self::from_pem(pem)?;
        let found = trust.fingerprint();
        match found == expected {
            true => Ok(trust),
            false => Err(TrustError::OtherFingerprint { expected, found }),
        }
    }

    /// SHA-256 of the certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    /// The certificate as it was given.
    pub fn as_pem(&self) -> &str {
        &self.pem
    }

    /// How a client that believes only this authority speaks TLS. The validity of certificates is judged by `clock`.
    ///
    /// # Errors
    /// When the authority cannot be used.
    pub fn client_config(&self, clock: &Clock) -> Result<ClientConfig, TrustError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = self.verifier(&provider)?;
        let time = Arc::new(ClockTime(clock.clone()));
        let config = ClientConfig::builder_with_details(provider, time)
            .with_safe_default_protocol_versions()
            .map_err(|error| TrustError::Unusable(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(config)
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, TrustError> {
        let roots = Arc::new(self.roots()?);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
            .build()
            .map_err(|error| TrustError::Unusable(error.to_string()))?;
        Ok(verifier)
    }

    fn roots(&self) -> Result<RootCertStore, TrustError> {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.certificate.clone())
            .map_err(|error| TrustError::Unusable(error.to_string()))?;
        Ok(roots)
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trust({})", self.fingerprint())
    }
}

#[derive(Debug)]
struct ClockTime(Clock);

impl TimeProvider for ClockTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_round_trip() {
        let fingerprint = Fingerprint(std::array::from_fn(|i| i as u8 * 8));
        let text = fingerprint.to_string();
        assert!(text.starts_with("00:08:10:"), "{text}");
        assert_eq!(text.parse(), Ok(fingerprint));
        for bad in ["", "00", "zz", &text[1..], &format!("{text}:00")] {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        for text in [
            "",
            "hello",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            assert!(Trust::from_pem(text).is_err(), "{text}");
        }
    }
}
