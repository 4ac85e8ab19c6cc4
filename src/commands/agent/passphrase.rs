//! `strongroom agent passphrase`: another passphrase for this machine's keys.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use strongroom_api::RetryPolicy;
use strongroom_model::KeySetId;

use super::open;
use crate::cli::Global;
use crate::commands::block_on;
use crate::failure::{Failure, Outcome};
use crate::passphrase;
use crate::security_pin::PinOption;
use crate::terminal::Terminal;

/// Give this machine's keys a new passphrase
///
/// The one of before need not be known: this machine has the key. All that was backed up stays restorable, by the new
/// passphrase and by those of before, which go on opening the same key. So this helps who has lost the passphrase, not who
/// has to shut somebody out: for that, register this machine again with a passphrase that the vault does not know yet.
///
/// It needs a security PIN, which whoever manages the vault gets.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom vault pin main                                          (whoever manages the vault)
  strongroom agent passphrase --passphrase-file /root/new            (here, within five minutes)")]
pub(crate) struct Passphrase {
    /// A file whose first line is the new passphrase
    ///
    /// Without it, the environment variable STRONGROOM_PASSPHRASE or a prompt gives it.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    pin: PinOption,
}

#[derive(Serialize)]
struct ChangedView {
    key_set: KeySetId,
}

impl Passphrase {
    pub(super) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let machine = open(global, RetryPolicy::NONE)?;
        let passphrase = passphrase::read(self.passphrase_file.as_deref(), true, terminal)?;
        let pin = self.pin.read(terminal)?;
        block_on(async { Ok(machine.change_passphrase(passphrase, &pin).await?) })?;
        let view = ChangedView {
            key_set: machine.state().key_set,
        };
        terminal.done(&view, |_| {
            "This machine's keys have a new passphrase; those of before open them too. Keep it where this machine's loss does \
             not reach it: strongroom key sheet prints what helps without it."
                .to_owned()
        })?;
        Ok(Outcome::Done)
    }
}
