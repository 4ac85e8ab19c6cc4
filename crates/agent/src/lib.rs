//! The client in its roles: a machine that registers, backs up and restores; and `rescue`, which needs no service.
//!
//! `state` is what a registered machine keeps; [`register()`] makes it; [`Machine`] is a machine at work, with the engine
//! on one side and the service on the other (`service_vault`). [`rescue`] reads a bare object store instead.

#![forbid(unsafe_code)]

mod backup;
mod commands;
mod disk_folder;
mod error;
mod export;
mod exported;
mod held;
mod host;
mod import;
mod import_seed;
mod inventory;
mod job;
mod keys;
mod limits;
mod machine;
mod metered;
mod power;
mod register;
pub mod rescue;
mod run;
mod sealed_settings;
mod seed;
mod service_vault;
mod settings;
mod settings_sync;
mod state;
mod status;
mod store_vault;
mod tasks;
mod unlock;

pub use backup::Backup;
pub use commands::{Command, CommandError, Commands};
pub use error::AgentError;
pub use export::{ExportDescription, Exported, export_points};
pub use held::WaitsFor;
pub use host::{
    DiskForm, DiskFormError, DiskRestore, Host, HostEvent, HostSettings, Listed, MachineBackup, RestoredDisks,
    VirtualMachine, run_host,
};
pub use import::{Choice, Import, Planned};
pub use import_seed::{Seed, SeedImported};
pub use keys::{KeySetOverview, KnownKeySet, KnownPassphrase};
pub use limits::RunLimits;
pub use machine::{Machine, no_points};
pub use metered::is_metered;
pub use power::is_on_battery;
pub use register::{Registering, Registration, register};
pub use run::{Event, run};
pub use sealed_settings::{open_settings, seal_settings};
pub use seed::SeedDescription;
pub use settings::Wanted;
pub use settings_sync::{SettingsCopy, Synced};
pub use state::{MachineState, Network, ScratchPlace, Seeded, StateFolder};
pub use status::{Here, Told};
pub use unlock::{Opener, Unlock};
