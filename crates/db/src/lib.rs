//! The metadata database. All SQL of the product is in this crate; outside of it there are only typed functions.
//!
//! One text serves SQLite and PostgreSQL: `$1` binds, columns of bigint, text and blob only, no null values, `on conflict`
//! upserts. What the two spell differently is a placeholder in the migrations (`dialect`). With SQLite one connection
//! writes, and a few read. Each function is one transaction; what must be decided together is decided inside it, by a
//! statement that states its own condition, so that several nodes may share a database.
//!
//! Vaults, packs, items and containers have small integer keys inside. They are never reused and never leave this
//! crate, but for [`PackKey`]. A caller names things by their ids.

#![forbid(unsafe_code)]

mod address;
mod alerts;
mod applications;
mod approvals;
mod audit;
mod authorization_codes;
mod batch;
mod blobs;
mod causes;
mod clock;
mod column;
mod containers;
mod credentials;
mod database;
mod deliveries;
mod device_codes;
mod dialect;
mod error;
mod expiry;
mod external_sign_ins;
mod figures;
mod file;
mod guards;
mod identities;
mod items;
mod jobs;
mod key_sets;
mod logins;
mod machine_settings;
mod migrations;
mod notifications;
mod one_time_passwords;
mod operations;
mod outcome;
mod packs;
mod password_links;
mod points;
mod policies;
mod resource_groups;
mod role_assignments;
mod schedule;
mod security_pins;
mod sessions;
mod settings;
mod users;
mod vault_records;
mod vaults;
mod virtual_machines;

pub use address::is_server;
pub use alerts::{AlertQuery, AlertRow};
pub use applications::{ApplicationKeyKind, ApplicationKeyRow, ApplicationRow};
pub use approvals::{ApprovalRow, ApprovalsOf, NewApproval};
pub use audit::{Actor, AuditFilter, AuditRow, NewAuditRow};
pub use authorization_codes::AuthorizationCodeRow;
pub use blobs::{BlobPlace, CHUNK_LEVEL, IDS_MAX};
pub use containers::{Container, ItemLeft, NewContainer};
pub use credentials::{Credential, CredentialId, CredentialUse};
pub use database::{Db, Moment, Steps};
pub use deliveries::{DeliveryRow, NewDelivery, Outcome, Telling};
pub use device_codes::{DeviceCodeRow, DevicePoll};
pub use error::DbError;
pub use expiry::{AgingItem, Sentence};
pub use external_sign_ins::ExternalSignInRow;
pub use figures::StateFigures;
pub use guards::{GuardDeleted, GuardRow, GuardSet};
pub use identities::IdentityRow;
pub use items::{ItemNext, ItemQuery, ItemRow, ItemSeen, NextPolicy};
pub use jobs::{JobMade, JobQuery, JobReport, JobRow, NewJob};
pub use key_sets::{KeySetAdded, KeySetMember, KeySetRow, NewKeySet};
pub use logins::{LoginId, LoginRenewed, LoginRow};
pub use machine_settings::MachineSettingsRow;
pub use notifications::{EventKey, EventRow, NotificationsRow};
pub use one_time_passwords::OneTimePasswordRow;
pub use operations::{OperationId, OperationRow};
pub use packs::{NewBlob, NewPack, PackInserted, PackKey, PackRow};
pub use points::{CommitRow, NewPoint, PointRow, PointsOf, Viewer};
pub use policies::{NewPolicy, PolicyChanged, PolicyRow};
pub use resource_groups::{ResourceGroupDeleted, ResourceGroupRow};
pub use role_assignments::AssignmentRow;
pub use schedule::{Dispatched, DueItem};
pub use security_pins::{PinLimits, PinTried};
pub use sessions::{NewSession, SESSIONS_PER_CONTAINER_MAX, SessionRow};
pub use users::{UserChanged, UserRow};
pub use vault_records::VaultRecord;
pub use vaults::{VaultDeleted, VaultFigures, VaultRow, VaultSoftDeleted, VaultUndeleted};
pub use virtual_machines::{DiscoveryAsked, FoundMachine, Hosted, VirtualMachineRow};
