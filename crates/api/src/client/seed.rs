//! What importing a seed calls.

use bytes::Bytes;
use strongroom_model::{BlobId, PackId, SessionId, VaultName};

use super::call::Call;
use super::{Client, ClientError};
use crate::routes::RouteId;
use crate::{Committed, PackStored, Session, bools_from_bitmap, ids_to_body};

/// The import of one seed: its vault, and the machine's signed statement.
#[derive(Debug, Clone, Copy)]
pub struct SeedOf<'a> {
    /// The vault.
    pub vault: &'a VaultName,
    /// The statement.
    pub statement: &'a str,
}

impl Client {
    /// Begins a session in the name of the machine that made a seed, or goes on.
    ///
    /// # Errors
    /// [`crate::Code::InvalidSeed`], [`crate::Code::PredecessorMismatch`] among others.
    pub async fn begin_seed(&self, seed: SeedOf<'_>) -> Result<Session, ClientError> {
        let call = Call::new(RouteId::BeginSeed, &[seed.vault]).seed(seed.statement);
        self.send_for_json(call.repeatable()).await
    }

    /// Which of at most [`crate::IDENTITIES_MAX`] blobs the vault lacks: one answer for each, in order.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn missing_of_seed(
        &self,
        seed: SeedOf<'_>,
        session: SessionId,
        ids: &[BlobId],
    ) -> Result<Vec<bool>, ClientError> {
        let call = Call::new(RouteId::MissingOfSeed, &[seed.vault, &session]).seed(seed.statement);
        let bitmap = self
            .send_for_bytes(call.octets(ids_to_body(ids).into()).repeatable())
            .await?;
        bools_from_bitmap(&bitmap, ids.len()).map_err(|error| ClientError::Protocol {
            what: error.to_string(),
        })
    }

    /// Stores a pack of a seed; it is durable when this returns.
    ///
    /// # Errors
    /// [`crate::Code::InvalidPack`], [`crate::Code::SessionExpired`], [`crate::Code::NoSpace`] among others.
    pub async fn put_seed_pack(
        &self,
        seed: SeedOf<'_>,
        session: SessionId,
        pack: PackId,
        bytes: Bytes,
    ) -> Result<PackStored, ClientError> {
        let call = Call::new(RouteId::PutSeedPack, &[seed.vault, &session, &pack]).seed(seed.statement);
        self.send_for_json(call.octets(bytes)).await
    }

    /// Makes the recovery point of a seed exist. Twice is the same as once.
    ///
    /// # Errors
    /// [`crate::Code::InvalidSeed`], [`crate::Code::BlobsMissing`], [`crate::Code::PredecessorMismatch`] among others.
    pub async fn commit_seed(
        &self,
        seed: SeedOf<'_>,
        session: SessionId,
        point: Bytes,
    ) -> Result<Committed, ClientError> {
        let call = Call::new(RouteId::CommitSeed, &[seed.vault, &session]).seed(seed.statement);
        self.send_for_json(call.octets(point).repeatable()).await
    }
}
