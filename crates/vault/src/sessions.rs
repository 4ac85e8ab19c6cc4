//! Sessions: a machine takes a lease, sends what is missing, and commits.

use jiff::{SignedDuration, Timestamp};
use strongroom_db::{IDS_MAX, NewSession, SessionRow};
use strongroom_model::{
    BlobId, ContainerId, Digest, ItemChange, ItemId, JobId, Notice, POINTS_PER_ITEM_MAX, PointId, SessionId,
};

use crate::{VaultError, Vaults, fresh};

/// How long a session lives without a call, if nothing else was said.
pub const LEASE_DEFAULT: SignedDuration = SignedDuration::from_mins(15);

/// A lease is written again when this part of it has gone: so a call in a busy session costs no transaction, and a
/// session that is left alone lives at least 15/16 of the lease.
const RENEWAL_PART: i32 = 16;

/// A session that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Names it.
    pub id: SessionId,
    /// Without a call it ends then, by the vault's clock.
    pub lease_until: Timestamp,
    /// How long a lease is.
    pub lease: SignedDuration,
    /// The vault's time.
    pub server_time: Timestamp,
    /// The item's latest recovery point: the predecessor that a commit must name.
    pub latest: Option<(PointId, Digest)>,
}

impl Vaults {
    /// Begins a session of a machine, for a job of it that is under way if one is given. It may have a few at once; of their commits one wins.
    ///
    /// Packs of the machine that just arrived are taken in first: one that was killed and comes back then learns that
    /// their blobs are here.
    pub async fn begin_session(&self, container: ContainerId, job: Option<JobId>) -> Result<Session, VaultError> {
        if let Some(job) = job {
            let found = self.db().job(job).await?;
            found
                .filter(|job| job.container == container && job.state.is_open())
                .ok_or(VaultError::JobNotFound)?;
        }
        let item = self.may(container, ItemChange::BackUp).await?.id;
        if self.db().points_of(item).await? >= POINTS_PER_ITEM_MAX {
            return Err(self.too_many_points(item).await?);
        }
        self.0.ingests.emptied(container.as_bytes()).await;
        let now = self.now();
        let new = NewSession {
            id: SessionId::from_uuid(fresh::uuid(now, self.entropy())),
            container,
            begun: now,
            lease_until: self.lease_from(now),
            job,
        };
        self.db().begin_session(new).await?;
        Ok(Session {
            id: new.id,
            lease_until: new.lease_until,
            lease: self.0.options.lease,
            server_time: now,
            latest: self.db().latest_point(item).await?,
        })
    }

    /// Tells that an item has as many recovery points as it may have, and returns the refusal for its machine.
    pub(crate) async fn too_many_points(&self, item: ItemId) -> Result<VaultError, VaultError> {
        let item = self.item_of(item).await?;
        if let Some(latest) = item.latest_point {
            let notice = Notice::too_many_points(&item.name, latest);
            self.db().raise_about_item(item.id, &notice, self.now()).await?;
        }
        Ok(VaultError::TooManyPoints { name: item.name })
    }

    /// Ends a session. That there is none is fine.
    pub async fn end_session(&self, container: ContainerId, session: SessionId) -> Result<(), VaultError> {
        Ok(self.db().end_session(session, container).await?)
    }

    /// For each identity whether the vault lacks it. At most [`IDS_MAX`] identities.
    pub async fn missing(
        &self,
        container: ContainerId,
        session: SessionId,
        ids: &[BlobId],
    ) -> Result<Vec<bool>, VaultError> {
        if ids.len() > IDS_MAX {
            return Err(VaultError::TooManyIds);
        }
        let session = self.renewed(container, session).await?;
        Ok(self.db().missing_blobs(session.vault, ids).await?)
    }

    /// The session, if it lives; its lease begins anew.
    pub(crate) async fn renewed(&self, container: ContainerId, id: SessionId) -> Result<SessionRow, VaultError> {
        let found = self.db().session(id, container).await?;
        let session = found.ok_or(VaultError::SessionNotFound)?;
        let now = self.now();
        if session.lease_until <= now {
            return Err(VaultError::SessionExpired);
        }
        let until = self.lease_from(now);
        let gone = until.duration_since(session.lease_until);
        if gone > self.0.options.lease / RENEWAL_PART && !self.db().renew_session(id, now, until).await? {
            return Err(VaultError::SessionExpired);
        }
        Ok(session)
    }

    fn lease_from(&self, now: Timestamp) -> Timestamp {
        let until = now.saturating_add(self.0.options.lease);
        until.expect("a signed duration carries no calendar units")
    }
}
