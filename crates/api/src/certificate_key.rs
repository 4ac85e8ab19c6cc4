//! The key of a certificate, by which a service principal signs in (RFC 7523).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Serialize;
use strongroom_model::ApplicationId;

use crate::Secret;

/// How long an assertion is valid, in seconds.
const SECONDS: i64 = 300;

/// A certificate and its private key.
#[derive(Clone)]
pub struct CertificateKey {
    key: EncodingKey,
    algorithm: Algorithm,
    thumbprint: String,
}

/// Why a file cannot be used to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateKeyError {
    /// There is no certificate in it.
    #[error("there is no certificate in it: it needs the certificate and its private key, both in PEM")]
    NoCertificate,
    /// There is no key in it that can be used.
    #[error("there is no private key in it that can be used: it needs an unencrypted RSA or P-256 key in PEM")]
    NoKey,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: String,
    sub: String,
    aud: &'a str,
    jti: String,
    iat: i64,
    exp: i64,
}

impl fmt::Debug for CertificateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateKey({})", self.thumbprint)
    }
}

impl CertificateKey {
    /// Reads certificate and key from one text.
    ///
    /// # Errors
    /// Which of them is missing.
    pub fn from_pem(text: &Secret) -> Result<Self, CertificateKeyError> {
        let pem = text.reveal().as_bytes();
        let certificate = CertificateDer::from_pem_slice(pem).map_err(|_| CertificateKeyError::NoCertificate)?;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &certificate);
        let no_key = |_| CertificateKeyError::NoKey;
        let (key, algorithm) = match PrivateKeyDer::from_pem_slice(pem).map_err(|_| CertificateKeyError::NoKey)? {
            PrivateKeyDer::Sec1(_) => (EncodingKey::from_ec_pem(pem).map_err(no_key)?, Algorithm::ES256),
            _ => match EncodingKey::from_rsa_pem(pem) {
                Ok(key) => (key, Algorithm::PS256),
                Err(_) => (EncodingKey::from_ec_pem(pem).map_err(no_key)?, Algorithm::ES256),
            },
        };
        let key = Self {
            key,
            algorithm,
            thumbprint: URL_SAFE_NO_PAD.encode(digest),
        };
        match key.try_assert(ApplicationId::from_bytes([0; 16]), "", Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(key),
            None => Err(CertificateKeyError::NoKey),
        }
    }

    /// A fresh assertion that `id` signs in at `audience`.
    pub(crate) fn assert(&self, id: ApplicationId, audience: &str, now: Timestamp) -> Secret {
        self.try_assert(id, audience, now)
            .expect("a key that has signed once signs again")
    }

    fn try_assert(&self, id: ApplicationId, audience: &str, now: Timestamp) -> Option<Secret> {
        let mut header = Header::new(self.algorithm);
        header.x5t_s256 = Some(self.thumbprint.clone());
        let mut random = [0; 16];
        aws_lc_rs::rand::fill(&mut random).expect("the system gives random bytes");
        let claims = Claims {
            iss: id.to_string(),
            sub: id.to_string(),
            aud: audience,
            jti: URL_SAFE_NO_PAD.encode(random),
            iat: now.as_second(),
            exp: now.as_second().saturating_add(SECONDS),
        };
        jsonwebtoken::encode(&header, &claims, &self.key).ok().map(Secret::new)
    }
}
