//! The contract between the service and everybody who calls it.
//!
//! [`routes::ROUTES`] is the one table of routes, each with its permission: the service builds its router from it, tests
//! build the permission matrix from it. The other modules hold the types that travel, the problem codes, and [`Client`],
//! through which the command line and the agents speak to a service. Nothing here knows how the service works inside.

#![forbid(unsafe_code)]

mod alert;
mod assertion;
mod audit;
mod base64_bytes;
mod bitmap;
mod certificate_key;
mod client;
mod container;
mod credentials;
mod export;
mod frame;
mod guard;
mod item;
mod job;
mod key;
mod key_set;
mod machine;
mod machine_settings;
mod openapi;
mod page;
mod password;
mod point;
mod policy;
mod problem;
mod resource_group;
mod role;
pub mod routes;
mod secret;
mod security_pin;
mod seed;
mod service_principal;
mod session;
mod settings;
mod token;
mod trust;
mod user;
mod vault;
mod virtual_machine;

pub use alert::{
    AlertFilter, AlertList, AlertView, ChangeNotifications, InactivateAlert, NotificationTest, NotificationsView,
    SIGNATURE_HEADER, TestResult, WebhookBody,
};
pub use assertion::{ASSERTION_AUDIENCE, ASSERTION_SECONDS, AssertionClaims, AssertionError};
pub use audit::{AUDIT_LINES_MAX, AuditLine, AuditPage, AuditQuery};
pub use bitmap::{BitmapError, bitmap_from_bools, bools_from_bitmap};
pub use certificate_key::{CertificateKey, CertificateKeyError};
pub use client::{
    AdministratorSession, CertificateFault, ChangedPassword, Client, ClientError, ClientOptions, FetchStream, Fetched,
    Pace, PointFilter, PrincipalProof, Proxy, ProxyAddress, ProxyError, ProxyUser, RetryPolicy, SeedOf, SessionKeeper,
    SignIn,
};
pub use container::{ContainerFilter, ContainerList, ContainerView};
pub use credentials::{CREDENTIALS_BYTES_MAX, CredentialsError, VaultCredentials};
pub use export::{ExportedKeySet, PointExport, sizes_from_body, sizes_to_body};
pub use frame::{FRAME_HEADER_LENGTH, Frame, FrameError, FrameHeader, FrameParser, FrameStatus};
pub use guard::{
    ApprovalList, ApprovalView, CreateGuard, GuardList, GuardView, RequestApproval, SetVaultGuard, VaultGuardView,
};
pub use item::{
    BackUpItem, ItemChange, ItemFilter, ItemList, ItemView, KeptPoint, KeptPointList, LastBackup, ProtectItem,
    StopData, StopItem,
};
pub use job::{
    BeginJob, BeginSession, FinishJob, JOB_ERRORS_MAX, JOB_TASKS_MAX, JobFilter, JobList, JobView, LINK_SECONDS_MAX,
    LinkAnswer, LinkRequest, MACHINE_ERROR_CODES, OwnProtection, Protection, RUNNING_MAX, ReportJob, Reported,
};
pub use key::{KeyError, MachineKey};
pub use key_set::{JoinRequest, KeySetList, KeySetView, MEMBERSHIP_HEADER};
pub use machine::{MachineView, RegisterRequest, Registered};
pub use machine_settings::{KeptSettings, SealedSettings};
pub use openapi::openapi;
pub use page::PageFilter;
pub use password::{ChangePassword, NewPassword, PasswordChanged, PasswordError};
pub use point::{Damage, PointList, PointQuery, PointView, ScrubReport};
pub use policy::{ChangePolicy, CreatePolicy, PolicyList, PolicyView};
pub use problem::{Code, PROBLEM_CONTENT_TYPE, Problem};
pub use resource_group::{CreateResourceGroup, ResourceGroupList, ResourceGroupView};
pub use role::{AssignRole, AssignmentList, AssignmentView, RoleDefinition, RoleDefinitionList};
pub use secret::Secret;
pub use security_pin::{SECURITY_PIN_HEADER, SecurityPin};
pub use seed::{SEED_HEADER, SeedError, SeedStatement};
pub use service_principal::{
    AddCertificate, AddSecret, AddedSecret, ChangeServicePrincipal, CreateServicePrincipal, KeyKind, KeyView,
    ServicePrincipalList, ServicePrincipalView,
};
pub use session::{Committed, LatestPoint, PackStored, Session, ids_from_body, ids_to_body};
pub use settings::SettingsView;
pub use token::{
    ASSERTION_TYPE, COMMAND_LINE_CLIENT, DeviceAuthorization, DeviceAuthorizationRequest, TokenRequest, TokenResponse,
};
pub use trust::{Fingerprint, Trust, TrustError};
pub use user::{
    AccountView, BeginOneTimePasswords, ChangeUser, ConfirmOneTimePasswords, CreateUser, CreatedUser,
    EndOneTimePasswords, HeldRole, IdentityView, Invitation, LinkIdentity, OneTimePasswordSecret, PrincipalKind,
    RecoveryCodes, UserList, UserView,
};
pub use vault::{CreateVault, DeletedVaultList, DeletedVaultView, VaultDeletion, VaultList, VaultView};
pub use virtual_machine::{
    Discovering, FoundMachine, FoundMachines, HostedIds, HostedMachine, HostedMachines, VirtualMachineList,
    VirtualMachineView,
};

/// The most identities in one `missing` or `fetch` request.
pub const IDENTITIES_MAX: usize = 16_384;

/// The longest form, in bytes, that the service reads: anybody may send one.
pub const FORM_BYTES_MAX: usize = 16 << 10;

/// The longest JSON body, in bytes, that the service reads.
pub const JSON_BYTES_MAX: usize = 1 << 20;

/// The longest pack, in bytes; the same figure as in the format crate, which a test of the service compares.
pub const PACK_BYTES_MAX: usize = 40 << 20;

/// The longest recovery point object, in bytes; the same figure as in the format crate.
pub const POINT_BYTES_MAX: usize = 4 << 20;

/// The longest key set object, in bytes.
pub const KEY_SET_BYTES_MAX: usize = 64 << 10;
