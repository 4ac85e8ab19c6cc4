//! Strongroom's command line: parses, hands over to a library, prints what came of it.

#![forbid(unsafe_code)]

mod admin_session;
mod cli;
mod clock;
mod command_flags;
mod commands;
mod compare;
mod compression;
mod console;
mod day;
mod failure;
mod folders;
mod interrupt;
mod issues;
mod listing;
mod logging;
mod network_flags;
mod passphrase;
mod password;
mod policy_flags;
mod preview;
mod private_file;
mod progress;
mod recovery_sheet;
mod rule_flags;
mod security_pin;
mod settings_flags;
mod shown_path;
mod state_owner;
mod systemd;
mod terminal;
mod throttle_flags;
mod unlock;
mod usage;
mod volumes;
mod waiting;
mod which_vault;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage::report(&error),
    };
    let terminal = terminal::Terminal::new(&cli.global);
    match commands::run(cli, &terminal) {
        Ok(outcome) => outcome.into(),
        Err(failure) => failure.report(),
    }
}
