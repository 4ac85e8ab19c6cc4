//! The service as the engine's vault.

use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use strongroom_api::{Client, ClientError, Code, Damage, Fetched as ClientFetched, ScrubReport};
use strongroom_engine::remote::{Begun, CommitOutcome, DamagedObject, Fetched, RemoteError, VaultReader, VaultWriter};
use strongroom_model::{BlobId, JobId, PackId, PointId, SessionId};

/// A service, spoken to as one machine.
#[derive(Debug)]
pub struct ServiceVault {
    client: Client,
    /// What sessions are for.
    job: Option<JobId>,
    session: Mutex<Option<SessionId>>,
}

impl ServiceVault {
    /// Speaks through `client`, about a job if one is given.
    pub fn new(client: Client, job: Option<JobId>) -> Self {
        Self {
            client,
            job,
            session: Mutex::new(None),
        }
    }

    fn session(&self) -> Result<SessionId, RemoteError> {
        let session = *self.session.lock().expect("no thread panicked here");
        session.ok_or_else(|| RemoteError::Failed("no session was begun".to_owned()))
    }
}

fn remote(error: ClientError) -> RemoteError {
    match error.problem().map(|problem| problem.code) {
        Some(Code::NoSpace) => RemoteError::NoSpace(error.to_string()),
        _ => RemoteError::Failed(error.to_string()),
    }
}

#[async_trait]
impl VaultReader for ServiceVault {
    async fn point_object(&self, point: PointId) -> Result<Bytes, RemoteError> {
        self.client.point_object(point).await.map_err(remote)
    }

    fn fetch(&self, ids: Vec<BlobId>) -> BoxStream<'static, Result<Fetched, RemoteError>> {
        let answers = stream::unfold(Some(self.client.fetch(ids)), |state| async move {
            let mut answers = state?;
            match answers.next().await {
                Ok(None) => None,
                Ok(Some(answer)) => Some((Ok(fetched(answer)), Some(answers))),
                Err(error) => Some((Err(remote(error)), None)),
            }
        });
        answers.boxed()
    }

    async fn scrub_point(&self, point: PointId) -> Result<Vec<DamagedObject>, RemoteError> {
        Ok(damaged(self.client.scrub_point(point).await.map_err(remote)?))
    }

    async fn check_point(&self, point: PointId) -> Result<Vec<DamagedObject>, RemoteError> {
        Ok(damaged(self.client.check_point(point).await.map_err(remote)?))
    }
}

fn damaged(report: ScrubReport) -> Vec<DamagedObject> {
    let damaged = |damage: Damage| DamagedObject {
        object: damage.object,
        why: damage.why,
    };
    report.damages.into_iter().map(damaged).collect()
}

fn fetched(answer: ClientFetched) -> Fetched {
    match answer {
        ClientFetched::Blob { id, bytes } => Fetched::Blob(id, bytes),
        ClientFetched::Damaged { id, why } => Fetched::Lost(id, why),
        ClientFetched::NotFound { id } => Fetched::Lost(id, format!("the vault does not have blob {id}")),
        ClientFetched::Remark { why } => Fetched::Remark(why),
    }
}

#[async_trait]
impl VaultWriter for ServiceVault {
    async fn begin(&self) -> Result<Begun, RemoteError> {
        let begun = self.client.begin_session(self.job).await.map_err(remote)?;
        *self.session.lock().expect("no thread panicked here") = Some(begun.id);
        let latest = begun.latest.map(|latest| (latest.point, latest.digest));
        Ok(Begun {
            now: begun.server_time,
            latest,
            lease_seconds: begun.lease_seconds,
        })
    }

    async fn missing(&self, ids: &[BlobId]) -> Result<Vec<bool>, RemoteError> {
        self.client.missing(self.session()?, ids).await.map_err(remote)
    }

    async fn put_pack(&self, pack: PackId, bytes: Bytes) -> Result<(), RemoteError> {
        self.client
            .put_pack(self.session()?, pack, bytes)
            .await
            .map(drop)
            .map_err(remote)
    }

    async fn commit(&self, point: Bytes) -> Result<CommitOutcome, RemoteError> {
        match self.client.commit(self.session()?, point).await {
            Ok(_) => Ok(CommitOutcome::Committed),
            Err(error) => match error.problem() {
                Some(problem) if problem.code == Code::BlobsMissing => {
                    Ok(CommitOutcome::Missing(problem.missing.clone()))
                }
                _ => Err(remote(error)),
            },
        }
    }

    async fn end(&self) -> Result<(), RemoteError> {
        self.client.end_session(self.session()?).await.map_err(remote)
    }
}
