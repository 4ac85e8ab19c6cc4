//! What all handlers share.

use std::sync::Arc;
use std::time::Instant;

use strongroom_api::Trust;
use strongroom_db::Db;
use strongroom_model::{Clock, ContainerId, VaultName};
use strongroom_vault::{Container, VaultRow, Vaults};
use tokio::sync::{Mutex, Semaphore, watch};

use crate::attempts::Attempts;
use crate::audit::Audit;
use crate::calls::Calls;
use crate::data_dir::DataDir;
use crate::limits::Limits;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::notifier::Channels;
use crate::notify_options::NotifyOptions;
use crate::oauth::external::Providers;
use crate::one_time_passwords::TotpKey;
use crate::parse::parse;
use crate::password::PasswordHasher;
use crate::principal::Machine;
use crate::refusal::Answer;
use crate::seals::Seals;
use crate::security_pins::PinKey;
use crate::subscription::Subscription;
use crate::token::TokenKey;
use crate::unfinished::Unfinished;
use crate::upkeep::Upkeep;
use crate::vault_refusal::{refuse, refuse_vault};

/// How many fetches run at once; each occupies up to 16 MiB or so. More wait.
const FETCHES_AT_ONCE: usize = 6;

/// The state of the service.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) db: Db,
    pub(crate) vaults: Vaults,
    pub(crate) folder: DataDir,
    pub(crate) trust: Trust,
    /// Where machines reach the service.
    pub(crate) url: String,
    pub(crate) tokens: TokenKey,
    pub(crate) totp: TotpKey,
    pub(crate) pins: PinKey,
    pub(crate) passwords: PasswordHasher,
    pub(crate) attempts: Attempts,
    pub(crate) audit: Audit,
    pub(crate) subscription: Subscription,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Limits,
    pub(crate) upkeep: Upkeep,
    pub(crate) notify: NotifyOptions,
    /// The ways by which people are told of alerts.
    pub(crate) channels: Channels,
    pub(crate) seals: Seals,
    /// Whom people may sign in with instead of a password.
    pub(crate) providers: Providers,
    /// Who waits on the link.
    pub(crate) calls: Calls,
    /// Becomes true when the service ends.
    pub(crate) ending: watch::Receiver<bool>,
    pub(crate) memory: Memory,
    /// One permit for each fetch that runs.
    pub(crate) fetches: Arc<Semaphore>,
    /// Packs and points that are being taken in.
    pub(crate) unfinished: Unfinished,
    /// When the store was last found writable.
    pub(crate) ready_since: Mutex<Option<Instant>>,
}

impl Shared {
    pub(crate) fn fetches() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(FETCHES_AT_ONCE))
    }

    /// The vault that a path names.
    pub(crate) async fn vault(&self, name: &str) -> Answer<VaultRow> {
        let name: VaultName = parse(name)?;
        let info = self.vaults.by_name(&name).await;
        info.map_err(refuse_vault(&name))
    }

    /// A registered machine and the key that it signs in with.
    pub(crate) async fn machine_key(&self, id: ContainerId) -> Answer<Option<(Machine, [u8; 32])>> {
        let found = self.db.container(id).await;
        let found = found.map_err(|error| refuse(error.into()))?;
        Ok(found.filter(Container::signs_in).map(|container| {
            let machine = Machine {
                vault: container.vault,
                container: container.id,
                item: container.item,
            };
            (machine, container.public_key)
        }))
    }
}
