//! Certificates by which service principals sign in: their public key counts, and when they end. Who issued them does not:
//! whoever manages the service principals vouches for them.

use jiff::Timestamp;
use jsonwebtoken::DecodingKey;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

/// The shortest RSA key that is taken, in bits.
const RSA_BITS_MIN: usize = 2048;

/// A certificate that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    pub(crate) der: Vec<u8>,
    pub(crate) expires: Timestamp,
    key: CertificateKey,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum CertificateKey {
    /// The PKCS #1 form.
    Rsa(Vec<u8>),
    /// The point, uncompressed, of P-256.
    P256(Vec<u8>),
}

/// Why a certificate cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CertificateError {
    /// It is none.
    #[error("this is no certificate in PEM: it begins with -----BEGIN CERTIFICATE-----")]
    Malformed,
    /// Its key is of a kind that is not supported.
    #[error("the certificate's key must be RSA of at least {RSA_BITS_MIN} bits or of the curve P-256")]
    Key,
}

impl Certificate {
    /// Reads the first certificate of a PEM text; what else is in it is not looked at.
    pub(crate) fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let der = CertificateDer::from_pem_slice(text.as_bytes()).map_err(|_| CertificateError::Malformed)?;
        Self::from_der(&der)
    }

    pub(crate) fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let (_, parsed) = X509Certificate::from_der(der).map_err(|_| CertificateError::Malformed)?;
        let end = parsed.validity().not_after.timestamp();
        let info = parsed.public_key();
        let bits = info.subject_public_key.data.to_vec();
        let key = match info.parsed().map_err(|_| CertificateError::Key)? {
            PublicKey::RSA(key) if key.key_size() >= RSA_BITS_MIN => CertificateKey::Rsa(bits),
            PublicKey::EC(point) if point.key_size() == 256 && bits.len() == 65 => CertificateKey::P256(bits),
            _ => return Err(CertificateError::Key),
        };
        Ok(Self {
            der: der.to_vec(),
            expires: Timestamp::from_second(end).map_err(|_| CertificateError::Malformed)?,
            key,
        })
    }

    /// SHA-256 of the certificate.
    pub(crate) fn thumbprint(&self) -> [u8; 32] {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.der);
        digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    /// SHA-1 of the certificate: how older clients name it. It only selects; the signature decides.
    pub(crate) fn old_thumbprint(&self) -> [u8; 20] {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &self.der);
        digest.as_ref().try_into().expect("SHA-1 has 20 bytes")
    }

    /// Checks signatures by the certificate's key.
    pub(crate) fn decoding_key(&self) -> DecodingKey {
        match &self.key {
            CertificateKey::Rsa(key) => DecodingKey::from_rsa_der(key),
            CertificateKey::P256(point) => DecodingKey::from_ec_der(point),
        }
    }

    /// The algorithms that the key can sign with.
    pub(crate) fn algorithms(&self) -> &'static [jsonwebtoken::Algorithm] {
        use jsonwebtoken::Algorithm::{ES256, PS256, RS256};
        match self.key {
            CertificateKey::Rsa(_) => &[RS256, PS256],
            CertificateKey::P256(_) => &[ES256],
        }
    }
}
