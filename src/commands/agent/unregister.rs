//! `strongroom agent unregister`: this machine leaves its vault.

use clap::Args;
use strongroom_api::RetryPolicy;

use super::open;
use crate::cli::Global;
use crate::commands::block_on;
use crate::commands::machine::unregistered;
use crate::failure::{Failure, Outcome};
use crate::security_pin::PinOption;
use crate::terminal::Terminal;

/// Unregister this machine from its vault
///
/// Its key is good no more, and its recovery points go into soft delete. A machine cannot do this by itself: it needs a
/// security PIN, which whoever manages the vault gets. The state folder keeps the master key and the settings: remove the
/// folder when nobody will want the recovery points back.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom vault pin main                 (whoever manages the vault)
  strongroom agent unregister               (here, within five minutes)")]
pub(crate) struct Unregister {
    #[command(flatten)]
    pin: PinOption,
}

impl Unregister {
    pub(super) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let machine = open(global, RetryPolicy::NONE)?;
        let name = machine.state().name.clone();
        let pin = self.pin.read(terminal)?;
        let changed = block_on(async { Ok(machine.unregister(&pin).await?) })?;
        terminal.done(&changed, |changed| unregistered(&name, changed))?;
        Ok(Outcome::Done)
    }
}
