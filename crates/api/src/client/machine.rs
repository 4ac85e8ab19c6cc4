//! What machines call.

use std::time::Duration;

use bytes::Bytes;
use strongroom_model::{BlobId, Clock, JobId, KeySetId, MachineName, PackId, PointId, SessionId};

use super::call::Call;
use super::{Client, ClientError, ClientOptions, FetchStream, RetryPolicy, SignIn};
use crate::routes::RouteId;
use crate::{
    BeginSession, Committed, IDENTITIES_MAX, ItemChange, JoinRequest, KeptSettings, KeySetList, MachineKey,
    MachineView, PackStored, PointList, PointView, RegisterRequest, Registered, ScrubReport, SealedSettings, Secret,
    Session, VaultCredentials, bools_from_bitmap, ids_to_body,
};

/// How long the vault may take for a commit: it looks at all pages of a recovery point that it has not seen before.
const COMMIT_MAX: Duration = Duration::from_secs(900);

/// Which recovery points to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PointFilter {
    /// The machine's own.
    #[default]
    Own,
    /// Those of the named machine, as far as they are readable.
    Machine(MachineName),
    /// All that are readable: the machine's own and those of key sets that it has joined.
    All,
}

impl Client {
    /// Registers a machine with a vault credentials file. TLS is verified from the first byte, by the certificate whose
    /// fingerprint the file carries.
    ///
    /// # Errors
    /// [`crate::Code::CredentialsExpired`] among others.
    pub async fn register_with_credentials(
        credentials: &VaultCredentials,
        machine: &MachineName,
        key: &MachineKey,
        clock: Clock,
    ) -> Result<Registered, ClientError> {
        let options = ClientOptions {
            url: credentials.url.clone(),
            trust: credentials.trust()?,
            clock,
            retry: RetryPolicy::NONE,
            proxy: None,
        };
        let client = Self::new(options, SignIn::Credentials(Box::new(credentials.clone())))?;
        let request = RegisterRequest {
            machine: machine.clone(),
            public_key: key.public_key(),
        };
        client
            .send_for_json(Call::new(RouteId::Register, &[]).json(&request))
            .await
    }

    /// What the vault keeps of the calling machine's settings.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn own_settings(&self) -> Result<KeptSettings, ClientError> {
        self.send_for_json(Call::new(RouteId::ShowOwnSettings, &[])).await
    }

    /// Changes what the calling machine backs up, if the vault still keeps the generation `seen`; 0: nothing.
    ///
    /// # Errors
    /// [`crate::Code::VersionMismatch`] among others.
    pub async fn change_own_settings(&self, settings: &SealedSettings, seen: u64) -> Result<KeptSettings, ClientError> {
        let call = Call::new(RouteId::ChangeOwnSettings, &[]).json(settings);
        self.send_for_json(call.if_match(Some(seen))).await
    }

    /// Shows the calling machine as the service knows it.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn machine(&self) -> Result<MachineView, ClientError> {
        self.send_for_json(Call::new(RouteId::ShowMachine, &[])).await
    }

    /// Lists the key sets of the machine's vault.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn key_sets(&self) -> Result<KeySetList, ClientError> {
        self.send_for_json(Call::new(RouteId::ListKeySets, &[])).await
    }

    /// Adds a key set that the machine made; the machine is its first member. Another one than the first since the machine
    /// was registered needs a security PIN.
    ///
    /// # Errors
    /// [`crate::Code::InvalidKeySet`], [`crate::Code::KeySetExists`], [`crate::Code::SecurityPinRefused`] among others.
    pub async fn add_key_set(&self, id: KeySetId, object: Bytes, pin: Option<&Secret>) -> Result<(), ClientError> {
        self.send_for_nothing(Call::new(RouteId::AddKeySet, &[&id]).octets(object).pin(pin))
            .await
    }

    /// Stops the calling machine's protection and deletes its data, with a security PIN of its vault.
    ///
    /// # Errors
    /// [`crate::Code::SecurityPinRefused`], [`crate::Code::ItemState`], [`crate::Code::Immutable`] among others.
    pub async fn delete_own_data(&self, pin: &Secret) -> Result<ItemChange, ClientError> {
        self.send_for_json(Call::new(RouteId::DeleteOwnData, &[]).pin(Some(pin)))
            .await
    }

    /// Unregisters the calling machine, with a security PIN of its vault: its key is good no more.
    ///
    /// # Errors
    /// [`crate::Code::SecurityPinRefused`], [`crate::Code::Immutable`] among others.
    pub async fn unregister_oneself(&self, pin: &Secret) -> Result<ItemChange, ClientError> {
        self.send_for_json(Call::new(RouteId::UnregisterMachine, &[]).pin(Some(pin)))
            .await
    }

    /// Joins a key set, by its membership secret.
    ///
    /// # Errors
    /// [`crate::Code::MembershipRefused`] among others.
    pub async fn join_key_set(&self, id: KeySetId, membership: [u8; 32]) -> Result<(), ClientError> {
        let request = JoinRequest { membership };
        let call = Call::new(RouteId::JoinKeySet, &[&id]).json(&request);
        self.send_for_nothing(call.repeatable()).await
    }

    /// Begins a backup session, for a job of the machine if one is given. One that is forgotten ends with its lease.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn begin_session(&self, job: Option<JobId>) -> Result<Session, ClientError> {
        let call = Call::new(RouteId::BeginSession, &[]).json(&BeginSession { job });
        self.send_for_json(call.repeatable()).await
    }

    /// Ends a session early.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn end_session(&self, session: SessionId) -> Result<(), ClientError> {
        self.send_for_nothing(Call::new(RouteId::EndSession, &[&session])).await
    }

    /// Which of at most [`IDENTITIES_MAX`] blobs the vault lacks: one answer for each, in order.
    ///
    /// # Errors
    /// When the call fails.
    ///
    /// # Panics
    /// When more are asked about.
    pub async fn missing(&self, session: SessionId, ids: &[BlobId]) -> Result<Vec<bool>, ClientError> {
        assert!(
            ids.len() <= IDENTITIES_MAX,
            "at most {IDENTITIES_MAX} identities in one request"
        );
        let call = Call::new(RouteId::Missing, &[&session]).octets(ids_to_body(ids).into());
        let bitmap = self.send_for_bytes(call.repeatable()).await?;
        bools_from_bitmap(&bitmap, ids.len()).map_err(|error| ClientError::Protocol {
            what: error.to_string(),
        })
    }

    /// Stores a pack; it is durable when this returns.
    ///
    /// # Errors
    /// [`crate::Code::InvalidPack`], [`crate::Code::SessionExpired`], [`crate::Code::NoSpace`] among others.
    pub async fn put_pack(&self, session: SessionId, pack: PackId, bytes: Bytes) -> Result<PackStored, ClientError> {
        self.send_for_json(Call::new(RouteId::PutPack, &[&session, &pack]).octets(bytes))
            .await
    }

    /// Makes a recovery point exist. Committing the same object twice is the same as once.
    ///
    /// # Errors
    /// [`crate::Code::BlobsMissing`] with the missing ones, [`crate::Code::PredecessorMismatch`] among others.
    pub async fn commit(&self, session: SessionId, point: Bytes) -> Result<Committed, ClientError> {
        let call = Call::new(RouteId::Commit, &[&session]).octets(point).repeatable();
        self.send_for_json(call.thinking(COMMIT_MAX)).await
    }

    /// Asks for blobs; they come in the order that suits the vault. Begins with the first [`FetchStream::next`].
    pub fn fetch(&self, ids: Vec<BlobId>) -> FetchStream {
        FetchStream::new(self.clone(), None, ids)
    }

    /// Lists recovery points, newest last.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn points(&self, filter: &PointFilter) -> Result<PointList, ClientError> {
        let call = Call::new(RouteId::ListPoints, &[]);
        let call = match filter {
            PointFilter::Own => call,
            PointFilter::Machine(name) => call.query(&[("machine", name.as_str())]),
            PointFilter::All => call.query(&[("all", "true")]),
        };
        self.send_for_json(call).await
    }

    /// Shows one recovery point.
    ///
    /// # Errors
    /// [`crate::Code::PointNotFound`] among others.
    pub async fn point(&self, id: PointId) -> Result<PointView, ClientError> {
        self.send_for_json(Call::new(RouteId::ShowPoint, &[&id])).await
    }

    /// The stored object of a recovery point.
    ///
    /// # Errors
    /// [`crate::Code::PointNotFound`] among others.
    pub async fn point_object(&self, id: PointId) -> Result<Bytes, ClientError> {
        self.send_for_bytes(Call::new(RouteId::PointObject, &[&id])).await
    }

    /// Has the few objects of a recovery point checked that its restore does not read.
    ///
    /// # Errors
    /// When the call fails. Damage is no error of the call.
    pub async fn check_point(&self, id: PointId) -> Result<ScrubReport, ClientError> {
        self.send_for_json(Call::new(RouteId::CheckPoint, &[&id])).await
    }

    /// Has every object that a recovery point needs re-read and checked. May take long.
    ///
    /// # Errors
    /// When the call fails. Damage is no error of the call.
    pub async fn scrub_point(&self, id: PointId) -> Result<ScrubReport, ClientError> {
        let call = Call::new(RouteId::ScrubPoint, &[&id]).repeatable();
        self.send_for_json(call.thinking(Duration::MAX)).await
    }
}
