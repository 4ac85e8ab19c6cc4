//! The vault credentials file: valid 10 days, good only for registering, and the anchor of trust in the service.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_model::{VaultId, VaultName};

use crate::{Fingerprint, Secret, Trust, TrustError};

/// The longest credentials file that is read, in bytes.
pub const CREDENTIALS_BYTES_MAX: usize = 64 << 10;

const VERSION: u32 = 1;

/// What the administrator downloads and gives to a machine that shall register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VaultCredentials {
    /// The version of this file's format: 1.
    pub version: u32,
    /// The vault's name.
    pub vault: VaultName,
    /// The vault's id.
    pub vault_id: VaultId,
    /// Where the service is.
    pub url: String,
    /// The certificate of the service's authority, in PEM form.
    pub ca_certificate: String,
    /// Its fingerprint.
    pub ca_sha256: Fingerprint,
    /// Names the credentials.
    pub credential_id: String,
    /// Proves the right to register.
    pub secret: Secret,
    /// When they were issued.
    pub issued: Timestamp,
    /// When they end.
    pub expires: Timestamp,
}

/// Why a credentials file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// It is longer than any.
    #[error("this is not a vault credentials file: it is longer than {CREDENTIALS_BYTES_MAX} bytes")]
    TooLong,
    /// It cannot be read.
    #[error("this is not a vault credentials file, or it was altered: {0}")]
    Malformed(String),
    /// It is of a newer version.
    #[error(
        "the vault credentials file has version {0}, this program knows version {VERSION}: update strongroom on this machine"
    )]
    Version(u32),
    /// The certificate in it is not the one that it names.
    #[error("the vault credentials file was altered: {0}")]
    Trust(#[from] TrustError),
}

impl VaultCredentials {
    /// The version that this program writes.
    pub const VERSION: u32 = VERSION;

    /// Reads a credentials file and checks that its certificate is the one whose fingerprint it carries.
    ///
    /// # Errors
    /// Says why the file cannot be used. Whether it has expired is for the service to say, whose clock counts.
    pub fn parse(bytes: &[u8]) -> Result<Self, CredentialsError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        if bytes.len() > CREDENTIALS_BYTES_MAX {
            return Err(CredentialsError::TooLong);
        }
        let malformed = |error: serde_json::Error| CredentialsError::Malformed(error.to_string());
        let Versioned { version } = serde_json::from_slice(bytes).map_err(malformed)?;
        if version != VERSION {
            return Err(CredentialsError::Version(version));
        }
        let credentials: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        credentials.trust()?;
        Ok(credentials)
    }

    /// The file's text.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("plain fields always serialise");
        text.push('\n');
        text
    }

    /// The authority that the file names.
    ///
    /// # Errors
    /// When certificate and fingerprint do not match.
    pub fn trust(&self) -> Result<Trust, TrustError> {
        Trust::from_pem_pinned(&self.ca_certificate, self.ca_sha256)
    }

    /// The sentence for people whose file has expired; the service says the same.
    pub fn expired_sentence(vault: &VaultName, expires: Timestamp) -> String {
        format!(
            "The vault credentials file expired on {}: download a new one with `strongroom vault credentials {vault} --output FILE`",
            expires.strftime("%Y-%m-%d %H:%M UTC"),
        )
    }

    /// What goes into the `Authorization` header of the one call that the file is good for.
    pub(crate) fn bearer(&self) -> Secret {
        Secret::new(format!("{}.{}", self.credential_id, self.secret.reveal()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused_with_a_sentence() {
        let long = vec![b' '; CREDENTIALS_BYTES_MAX + 1];
        for (bytes, sentence) in [
            (&b"hello"[..], "not a vault credentials file"),
            (b"{}", "not a vault credentials file"),
            (br#"{"version": 2}"#, "update strongroom"),
            (br#"{"version": 1}"#, "altered"),
            (&long, "longer"),
        ] {
            let refused = VaultCredentials::parse(bytes).unwrap_err().to_string();
            assert!(refused.contains(sentence), "{refused}");
        }
    }
}
