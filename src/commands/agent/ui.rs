//! `strongroom agent ui`: the console.

use std::io::{self, IsTerminal as _};

use clap::Args;
use strongroom_api::RetryPolicy;

use super::open;
use crate::cli::Global;
use crate::commands::block_on;
use crate::console::{self, Own};
use crate::failure::{Failure, Outcome};
use crate::terminal::Terminal;

/// Look after this machine on one screen: how it stands, its jobs, restore, throttle
///
/// A console for the person at the machine, by keys, in a terminal of 80 by 24 characters or more. It shows the keys; `?` explains them and
/// `q` leaves. It needs no account at the service. With NO_COLOR it has no colours.
///
/// Run it as the user who may write where something is to be restored to: as root, on most machines.
#[derive(Debug, Args)]
pub(crate) struct Ui {}

impl Ui {
    pub(super) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        if terminal.is_json() || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(Failure::new(
                "the console needs a terminal: for programs and pipes there is `strongroom agent status`",
            ));
        }
        let machine = open(global, RetryPolicy::NONE)?;
        let own = Own::new(machine.here()?.state, global.no_retry);
        let patient = open(global, RetryPolicy::PATIENT)?;
        block_on(console::run(machine, patient, own))?;
        Ok(Outcome::Done)
    }
}
