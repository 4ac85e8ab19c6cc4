//! The nouns of Strongroom and the pure rules about them.
//!
//! Everything here is a value: no file is opened, no clock is read, nothing is awaited. A bare `String` or `Uuid` never
//! crosses a module elsewhere in the product; it is parsed into one of these types at the edge and is right from then on.

#![forbid(unsafe_code)]

mod alert;
mod clock;
mod clock_watch;
mod guard;
mod hash;
mod id;
mod item;
mod job;
mod machine_settings;
mod name;
mod notice;
mod notification;
mod permission;
pub mod policy;
mod redundancy;
mod role;
mod rpo;
mod scope;
mod throttle;
mod vault_settings;
mod virtual_machine;
mod word;

pub use alert::{AlertKind, AlertSeverity, AlertState};
pub use clock::{Clock, SimulatedTime};
pub use clock_watch::{ClockStep, ClockWatch};
pub use guard::{APPROVAL_GOOD, APPROVAL_PENDING, ApprovalState, GuardedKind, GuardedOperation};
pub use hash::{BlobId, Digest, HashError, PackId};
pub use id::{
    AlertId, ApplicationId, ApprovalId, AssignmentId, ContainerId, DeliveryId, IdError, IdentityId, ItemId, JobId,
    KeyId, KeySetId, PointId, PrincipalId, SessionId, SubscriptionId, UserId, VaultId,
};
pub use item::{ItemChange, ItemState, POINTS_PER_ITEM_MAX};
pub use job::{JobError, JobProgress, JobState, Operation, Task, TaskState, Trigger};
pub use machine_settings::{
    EntryType, GENERATION_STEP_MAX, MachineSettings, Preset, Priority, SEALED_SETTINGS_BYTES_MAX, SnapshotUse,
    VolumeKind,
};
pub use name::{
    GuardName, MachineName, NameError, PolicyName, PrincipalName, ProviderName, Region, ResourceGroupName, UserName,
    VaultName,
};
pub use notice::Notice;
pub use notification::{
    AddressError, AlertEvent, Audience, Channel, MailAddress, NotificationSettings, RECIPIENTS_MAX, Rhythm, WebhookUrl,
    next_try,
};
pub use permission::Permission;
pub use redundancy::{Redundancy, RedundancyError};
pub use role::{Role, RoleError};
pub use rpo::{Rpo, RpoBasis};
pub use scope::{Place, Scope, ScopeError, ScopeName};
pub use throttle::{Limit, LimitError, Limits, Throttle, WorkLimits};
pub use vault_settings::{Immutability, SoftDelete, VaultSettings};
pub use virtual_machine::{
    DISKS_PER_MACHINE_MAX, DiskFacts, GuestAgentState, LeftOutDisk, MACHINES_PER_HOST_MAX, MachineFacts, PowerState,
};
pub use word::WordError;
