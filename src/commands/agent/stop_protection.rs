//! `strongroom agent stop-protection`: a person at the machine has its data deleted.

use clap::Args;
use strongroom_api::RetryPolicy;

use super::open;
use crate::cli::Global;
use crate::commands::block_on;
use crate::commands::item::stopped_text;
use crate::failure::{Failure, Outcome};
use crate::security_pin::PinOption;
use crate::terminal::Terminal;

/// Stop this machine's backups and delete its recovery points
///
/// The recovery points go into soft delete: for 14 days or more `strongroom item undelete` brings them back. A machine
/// cannot do this by itself: it needs a security PIN, which whoever manages the vault gets. To keep the recovery points, have
/// the protection stopped there: `strongroom item stop`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom vault pin main                              (whoever manages the vault)
  strongroom agent stop-protection --delete-data         (here, within five minutes)")]
pub(crate) struct StopProtection {
    /// Delete the recovery points: must be said
    #[arg(long, required = true)]
    delete_data: bool,
    #[command(flatten)]
    pin: PinOption,
}

impl StopProtection {
    pub(super) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let machine = open(global, RetryPolicy::NONE)?;
        let pin = self.pin.read(terminal)?;
        let changed = block_on(async { Ok(machine.client().delete_own_data(&pin).await?) })?;
        terminal.done(&changed, stopped_text)?;
        Ok(Outcome::Done)
    }
}
