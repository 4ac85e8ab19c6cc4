//! Certificates for vault credentials.

use super::call::Call;
use super::error::{ArmError, ArmResult};
use super::reply::Reply;
use super::vault;

/// `PUT …/certificates/{certificateName}`. Azure's agents register with a certificate; Strongroom's with a secret.
pub(crate) async fn put(call: &Call) -> ArmResult<Reply> {
    let vault = vault::find(call).await?;
    Err(ArmError::bad(
        "CertificateNotSupported",
        format!(
            "Machines register with a file of Strongroom's own: `strongroom vault credentials {}`.",
            vault.info.vault.name
        ),
    ))
}
