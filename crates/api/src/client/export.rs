//! What exporting recovery points calls.

use strongroom_model::{BlobId, PointId, VaultName};

use super::call::Call;
use super::fetch::FetchStream;
use super::{Client, ClientError};
use crate::routes::RouteId;
use crate::{PointExport, ids_to_body, sizes_from_body};

impl Client {
    /// The objects of a recovery point beside its blobs.
    ///
    /// # Errors
    /// [`crate::Code::PointNotFound`], [`crate::Code::ObjectDamaged`] among others.
    pub async fn export_point(&self, vault: &VaultName, point: PointId) -> Result<PointExport, ClientError> {
        self.send_for_json(Call::new(RouteId::ExportPoint, &[vault, &point]).repeatable())
            .await
    }

    /// How many bytes each of at most [`crate::IDENTITIES_MAX`] blobs has, in order; 0: the vault does not have it.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn blob_sizes(&self, vault: &VaultName, ids: &[BlobId]) -> Result<Vec<u32>, ClientError> {
        let call = Call::new(RouteId::ExportSizes, &[vault]).octets(ids_to_body(ids).into());
        let body = self.send_for_bytes(call.repeatable()).await?;
        sizes_from_body(&body, ids.len()).ok_or_else(|| ClientError::Protocol {
            what: "it does not have one size for each blob".to_owned(),
        })
    }

    /// Asks for blobs of a vault, as somebody who may export from it. Begins with the first [`FetchStream::next`].
    pub fn export_blobs(&self, vault: &VaultName, ids: Vec<BlobId>) -> FetchStream {
        FetchStream::new(self.clone(), Some(vault.clone()), ids)
    }
}
