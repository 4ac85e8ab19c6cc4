//! What can go wrong in a vault, by what a caller does about it.

use strongroom_db::{DbError, IDS_MAX, VaultFigures};
use strongroom_model::policy::{Violation, Workload};
use strongroom_model::{
    AlertState, ApprovalState, BlobId, Digest, GuardName, GuardedOperation, JobId, JobState, MachineName,
    POINTS_PER_ITEM_MAX, PolicyName, VaultName,
};
use strongroom_store::StoreError;

use crate::Damage;

/// Why a vault refused or failed. The sentences are for users, with the way out; only [`Internal`](Self::Internal) tells
/// about the insides, and is for the log.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// There is no such vault.
    #[error("there is no such vault: `strongroom vault list` shows the vaults")]
    VaultNotFound,
    /// The hosts of the vault are looking for virtual machines just now.
    #[error(
        "another discovery is in progress: `strongroom vm list` shows what was found when it is over, in two minutes at the latest"
    )]
    DiscoveryUnderway,
    /// Another vault has the name.
    #[error("the name {name} is taken by another vault (upper and lower case are the same): choose another name")]
    VaultNameTaken {
        /// The name.
        name: VaultName,
    },
    /// No such vault is soft-deleted, or it is gone.
    #[error("there is no such deleted vault: `strongroom vault list --deleted` shows those that can be brought back")]
    DeletedVaultNotFound,
    /// Another vault got the name of a soft-deleted one.
    #[error(
        "another vault has the name {name} now, and a vault keeps the name that it was made with: delete that one first"
    )]
    VaultNameReused {
        /// The name.
        name: VaultName,
    },
    /// There is no such resource group.
    #[error("there is no such resource group: `strongroom resource-group list` shows the resource groups")]
    ResourceGroupNotFound,
    /// The vault cannot be deleted yet.
    #[error(
        "the vault {name} is not empty: it has {} registered machines, and {} items that are not deleted; unregister the machines with `strongroom machine unregister`, which deletes their items, and delete the other items with `strongroom item stop --delete-data`",
        figures.containers,
        figures.items
    )]
    VaultNotEmpty {
        /// The vault.
        name: VaultName,
        /// What is in it.
        figures: VaultFigures,
    },
    /// There is no such policy.
    #[error("there is no policy called {name} in this vault: `strongroom policy list` shows its policies")]
    PolicyNotFound {
        /// The name.
        name: PolicyName,
    },
    /// Another policy has the name.
    #[error("the name {name} is taken by another policy of this vault: choose another name, or change that one")]
    PolicyNameTaken {
        /// The name.
        name: PolicyName,
    },
    /// The policy breaks the rules for policies.
    #[error("the policy is not possible: {}", sentences(violations))]
    PolicyRefused {
        /// Everything that is wrong with it.
        violations: Vec<Violation>,
    },
    /// The policy cannot be deleted while items are under it.
    #[error(
        "the policy {name} is in use (items under it: {items}): put them under another one, or stop their protection, first"
    )]
    PolicyInUse {
        /// The policy.
        name: PolicyName,
        /// How many.
        items: u64,
    },
    /// The policy is for other things.
    #[error("the policy {policy} is for {of}, and the item is of the kind {item}: choose another policy")]
    OtherWorkload {
        /// The policy.
        policy: PolicyName,
        /// What it is for.
        of: Workload,
        /// What the item is.
        item: Workload,
    },
    /// Somebody changed it since the caller looked.
    #[error("somebody else has changed it meanwhile (it has version {version} now): look again, then change it")]
    OtherVersion {
        /// What it has now.
        version: u64,
    },
    /// There is no such item.
    #[error("there is no such item in this vault: `strongroom item list` shows its items")]
    ItemNotFound,
    /// Several items have the name.
    #[error(
        "several items were left by machines that were called {name}: name one by its id, as `strongroom item list` shows it"
    )]
    ItemAmbiguous {
        /// The name.
        name: MachineName,
    },
    /// The item is not in a state for that.
    #[error("this cannot be done with {name}: {why}")]
    ItemRefused {
        /// The item.
        name: MachineName,
        /// Why not, and the way out.
        why: &'static str,
    },
    /// The vault is immutable.
    #[error("the vault is immutable, and this would take protection away: {why}")]
    Immutable {
        /// What would be lowered.
        why: String,
    },
    /// What a machine wants needs a person's PIN, and none, or a wrong one, was shown. The number is Azure's.
    #[error(
        "this needs a security PIN of the vault, and the one given, if any, is wrong, was used, or is older than 5 minutes (error 100130): whoever manages the vault gets a new one with `strongroom vault pin {vault}`"
    )]
    PinRefused {
        /// The vault.
        vault: VaultName,
    },
    /// A machine showed too many wrong PINs.
    #[error("this machine has shown too many wrong security PINs: none is looked at for {} minutes", seconds.div_ceil(60))]
    TooManyPins {
        /// How long to wait.
        seconds: u64,
    },
    /// The vault's resource guard wants a second person.
    #[error(
        "{} needs a second person's approval, as the vault {vault} is under the resource guard {guard}: ask for it with `strongroom approval request {operation} --vault {vault}{flags}`, and do it again once it is given",
        operation.phrase()
    )]
    ApprovalNeeded {
        /// What.
        operation: GuardedOperation,
        /// The guard.
        guard: GuardName,
        /// The vault.
        vault: VaultName,
        /// What names the thing that it is done to, on the command line.
        flags: String,
    },
    /// A guard cannot leave this alone.
    #[error("every resource guard guards {operation}: it cannot be excepted")]
    GuardRefused {
        /// What.
        operation: GuardedOperation,
    },
    /// There is no such guard.
    #[error(
        "there is no resource guard called {name} in this resource group: `strongroom guard list` shows its guards"
    )]
    GuardNotFound {
        /// The name.
        name: GuardName,
    },
    /// Another guard has the name.
    #[error("the name {name} is taken by another resource guard of this resource group: choose another name")]
    GuardNameTaken {
        /// The name.
        name: GuardName,
    },
    /// A guard cannot be deleted while vaults are under it.
    #[error(
        "vaults are under the resource guard {name} ({}): take it off them first, with `strongroom vault guard remove`",
        names(vaults)
    )]
    GuardInUse {
        /// The guard.
        name: GuardName,
        /// Which.
        vaults: Vec<VaultName>,
    },
    /// The vault is under a guard already.
    #[error(
        "the vault is under the resource guard {guard} already: take that off first, with `strongroom vault guard remove`"
    )]
    GuardedAlready {
        /// Which.
        guard: GuardName,
    },
    /// The vault is under no guard.
    #[error("the vault is under no resource guard: nothing in it needs a second person")]
    NotGuarded,
    /// Approval cannot be asked for that.
    #[error("{why}")]
    ApprovalRefused {
        /// Why not.
        why: String,
    },
    /// There is no such request for approval.
    #[error("there is no such request for approval: `strongroom approval list` shows them")]
    ApprovalNotFound,
    /// The request is decided, or nobody decided in time.
    #[error("the request is not pending any more: it is {state}")]
    ApprovalOver {
        /// What became of it.
        state: ApprovalState,
    },
    /// Whoever decides is not a second person.
    #[error("{why}: somebody else must decide")]
    SecondPerson {
        /// Why not.
        why: &'static str,
    },
    /// The vault's settings cannot be that.
    #[error("{why}")]
    SettingsRefused {
        /// Why not.
        why: String,
    },
    /// A recovery point cannot be kept until then.
    #[error(
        "a recovery point cannot be kept until {until:.0}: choose a moment in the future, at most 99 years from now"
    )]
    KeepUntil {
        /// The moment.
        until: jiff::Timestamp,
    },
    /// There is no such job.
    #[error("there is no such job: `strongroom job list` shows the jobs")]
    JobNotFound,
    /// Another job of the kind is under way.
    #[error("another operation is in progress on this item (job {job}): wait for it, or stop it")]
    JobBusy {
        /// Which.
        job: JobId,
    },
    /// The job is over.
    #[error("the job is over already: it is {state}")]
    JobOver {
        /// How it ended.
        state: JobState,
    },
    /// There is no such alert.
    #[error("there is no such alert: `strongroom alert list` shows the alerts")]
    AlertNotFound,
    /// The alert does not stand any more.
    #[error("the alert does not stand any more: it is {state}")]
    AlertOver {
        /// What became of it.
        state: AlertState,
    },
    /// There is no such machine.
    #[error("the machine is not registered: register it with a new vault credentials file")]
    ContainerNotFound,
    /// There is no such machine in the vault.
    #[error("there is no such machine in this vault: `strongroom machine list` shows those that are registered")]
    NoSuchContainer,
    /// There is no such recovery point that the caller may read.
    #[error("there is no such recovery point: `strongroom points` shows those that this machine can read")]
    PointNotFound,
    /// There is no such key set in the vault.
    #[error("there is no such key set in the vault")]
    KeySetNotFound,
    /// Another key set has the id.
    #[error("another key set of the vault has this id: make a new one")]
    KeySetExists,
    /// There is no such session of the caller.
    #[error("there is no such backup session: begin a new one; what was sent is not sent again")]
    SessionNotFound,
    /// The session's lease ran out.
    #[error("the backup session has expired: begin a new one; what was sent is not sent again")]
    SessionExpired,
    /// A recovery point refers to blobs that the vault lacks.
    #[error("the vault lacks {} blobs that the recovery point needs: send them and commit again", missing.len())]
    BlobsMissing {
        /// Which, in no order; at most [`IDS_MAX`].
        missing: Vec<BlobId>,
        /// Whether there may be more.
        truncated: bool,
    },
    /// The recovery point does not follow the item's latest one.
    #[error("another recovery point of this item came first: back up again")]
    PredecessorMismatch {
        /// The digest of the item's latest point, if it has one.
        expected: Option<Digest>,
    },
    /// The item has as many recovery points as it may have.
    #[error(
        "{name} has {POINTS_PER_ITEM_MAX} recovery points, and an item has no more: have its policy keep less, so that some expire, or back up less often"
    )]
    TooManyPoints {
        /// The item.
        name: MachineName,
    },
    /// A pack is not what it should be.
    #[error("the pack was refused: {why}")]
    PackRejected {
        /// Why.
        why: String,
    },
    /// A recovery point is not what it should be.
    #[error("the recovery point was refused: {why}")]
    PointRejected {
        /// Why.
        why: String,
    },
    /// A key set is not what it should be.
    #[error("the key set was refused: {why}")]
    KeySetRejected {
        /// Why.
        why: String,
    },
    /// The membership secret is wrong.
    #[error("the key set was not joined: the proof that this machine opened it is wrong")]
    MembershipRefused,
    /// More identities at once than [`IDS_MAX`].
    #[error("a request names at most {IDS_MAX} blobs")]
    TooManyIds,
    /// The database does not answer just now.
    #[error("the service's database does not answer just now: try again in a moment")]
    Unavailable {
        /// For the log.
        why: String,
    },
    /// The disk of the database or of the objects is full.
    #[error("the vault's disk is full: free some space there, then try again")]
    NoSpace,
    /// An object that is needed here is damaged.
    #[error("a stored object is damaged: {0}")]
    Damaged(Damage),
    /// Our mistake, or our machine's.
    #[error("could not {action}: {cause}")]
    Internal {
        /// What was tried.
        action: &'static str,
        /// For the log.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn sentences(violations: &[Violation]) -> String {
    let all: Vec<String> = violations.iter().map(ToString::to_string).collect();
    all.join(". ")
}

fn names(vaults: &[VaultName]) -> String {
    let all: Vec<&str> = vaults.iter().map(VaultName::as_str).collect();
    all.join(", ")
}

impl From<DbError> for VaultError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::NoSpace => Self::NoSpace,
            DbError::NoVault => Self::VaultNotFound,
            DbError::NoResourceGroup => Self::ResourceGroupNotFound,
            DbError::NoContainer => Self::ContainerNotFound,
            DbError::Unavailable(why) => Self::Unavailable { why },
            error => Self::Internal {
                action: "use the metadata database",
                cause: error.into(),
            },
        }
    }
}

impl From<StoreError> for VaultError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSpace { .. } => Self::NoSpace,
            error => Self::Internal {
                action: "use the store",
                cause: error.into(),
            },
        }
    }
}
