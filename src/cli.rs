//! The command line as a whole: options for all commands, and the list of commands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use strongroom_api::RetryPolicy;

use crate::commands::{
    agent, alert, approval, audit, backup, completions, diff, find, guard, host, import, item, job, key, login, ls,
    machine, manual, mount, openapi, password, points, policy, principal, quickstart, rescue, resource_group, restore,
    role, serve, user, vault, verify, vm,
};

/// Backup into vaults that cannot read what they keep.
#[derive(Debug, Parser)]
#[command(
    name = "strongroom",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
#[command(long_about = "\
Backup into vaults that cannot read what they keep.

A service keeps vaults; machines register in a vault and send encrypted recovery points to it.

  strongroom quickstart FOLDER              try it all on one folder

  strongroom serve                          the service (prints how to sign in)
  strongroom login https://host:8443 …      sign in to it
  strongroom password                       choose your own password
  strongroom user | principal | role        say who else may do what
  strongroom guard | approval               have a second person allow what takes protection away
  strongroom vault create main              make a vault
  strongroom vault credentials main …       let a machine register in it
  strongroom machine list                   what is registered; unregister what is not used any more

  strongroom policy create nightly …        say when to back up, and how long to keep
  strongroom item protect web-1 …           put a machine under a policy
  strongroom job list                       what was done, and what is being done
  strongroom alert list                     what somebody should know
  strongroom alert notify --mail ADDRESS    say who is told of it

  strongroom agent register …               register this machine in a vault
  strongroom agent settings --path PATH …   say what it backs up on schedule
  strongroom agent run                      wait for work and do it
  strongroom agent status | cancel          see how it stands; stop what it does
  strongroom agent ui                       all of that on one screen, with restore and throttle
  strongroom host register | run            back up the virtual machines of this host
  strongroom vm list                        the virtual machines that hosts have found
  strongroom agent passphrase               give its keys a new passphrase
  strongroom key sheet | list               print what restores when all is lost; see who has these keys
  strongroom backup PATH…                   make a recovery point of it, now
  strongroom points | ls | find | diff       look at recovery points
  strongroom restore | verify               get files back, or see that they are whole
  strongroom import restic REPO             make recovery points of restic's snapshots
  strongroom mount latest DIR               look at one as a file system

  strongroom rescue --store … restore …     get files back when the service is gone

Exit status: 0 done, 1 failed, 2 wrong usage, 3 done with warnings.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command knows.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The folder with this machine's state
    ///
    /// Default: /var/lib/strongroom for root, else the user's state folder.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "STRONGROOM_STATE",
        help_heading = "For all commands"
    )]
    pub(crate) state: Option<PathBuf>,
    /// Print JSON, for programs
    #[arg(long, global = true, help_heading = "For all commands")]
    pub(crate) json: bool,
    /// Print nothing but results and errors
    #[arg(long, short, global = true, help_heading = "For all commands")]
    pub(crate) quiet: bool,
    /// Tell more about what happens; twice: everything
    #[arg(long, short, global = true, action = clap::ArgAction::Count, help_heading = "For all commands")]
    pub(crate) verbose: u8,
    /// Give up at once when the service is away
    ///
    /// Without it, backup, restore, mount and verify go on trying for ten minutes, and listings for some seconds.
    #[arg(long, global = true, help_heading = "For all commands")]
    pub(crate) no_retry: bool,
}

impl Global {
    /// How patient to be where `usual` is right if nothing else was asked for.
    pub(crate) fn retry(&self, usual: RetryPolicy) -> RetryPolicy {
        match self.no_retry {
            true => RetryPolicy::NONE,
            false => usual,
        }
    }
}

/// All commands; each is one file in `commands`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Quickstart(quickstart::Quickstart),
    Serve(serve::Serve),
    Login(login::Login),
    Logout(login::Logout),
    Password(password::Password),
    #[command(subcommand)]
    User(user::User),
    #[command(subcommand)]
    Principal(principal::Principal),
    #[command(subcommand)]
    Role(role::Role),
    #[command(subcommand)]
    ResourceGroup(resource_group::ResourceGroup),
    #[command(subcommand)]
    Audit(audit::Audit),
    #[command(subcommand)]
    Guard(guard::Guard),
    #[command(subcommand)]
    Approval(approval::Approval),
    #[command(subcommand)]
    Vault(vault::Vault),
    #[command(subcommand)]
    Machine(machine::Machine),
    #[command(subcommand)]
    Vm(vm::Vm),
    #[command(subcommand)]
    Policy(policy::Policy),
    #[command(subcommand)]
    Item(item::Item),
    #[command(subcommand)]
    Job(job::Job),
    #[command(subcommand)]
    Alert(alert::Alert),
    #[command(subcommand)]
    Agent(agent::Agent),
    #[command(subcommand)]
    Host(host::HostCommand),
    #[command(subcommand)]
    Key(key::Key),
    Backup(backup::Backup),
    Points(points::Points),
    Ls(ls::Ls),
    Find(find::Find),
    Diff(diff::Diff),
    Restore(restore::Restore),
    Mount(mount::Mount),
    Verify(verify::Verify),
    #[command(subcommand)]
    Import(import::Import),
    Rescue(rescue::Rescue),
    #[command(name = "openapi")]
    OpenApi(openapi::OpenApi),
    Completions(completions::Completions),
    Manual(manual::Manual),
}

impl Command {
    /// Whether it writes into the state folder of this machine.
    pub(crate) fn keeps_state(&self) -> bool {
        match self {
            // It has other commands write there, and restores as whoever started it.
            Self::Agent(agent::Agent::Ui(_)) => false,
            Self::Backup(_) | Self::Import(_) | Self::Agent(_) | Self::Host(_) => true,
            _ => false,
        }
    }

    /// Whether it has the terminal for itself.
    pub(crate) fn draws(&self) -> bool {
        matches!(self, Self::Agent(agent::Agent::Ui(_)))
    }

    /// Whether it runs until somebody stops it.
    pub(crate) fn is_service(&self) -> bool {
        matches!(
            self,
            Self::Serve(_) | Self::Agent(agent::Agent::Run(_)) | Self::Host(host::HostCommand::Run(_))
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _};

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }

    /// All commands, each under its full name.
    fn commands() -> Vec<(String, Command)> {
        fn below(name: &str, command: &Command, found: &mut Vec<(String, Command)>) {
            for command in command.get_subcommands() {
                let name = format!("{name} {}", command.get_name());
                below(&name, command, found);
                found.push((name, command.clone()));
            }
        }
        let mut found = Vec::new();
        below("strongroom", &super::Cli::command(), &mut found);
        found
    }

    #[test]
    fn every_command_and_every_option_says_what_it_does() {
        for (name, command) in commands() {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.is_empty() && !about.ends_with('.'), "{name}: {about:?}");
            for argument in command.get_arguments() {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(
                    !help.is_empty() && !help.ends_with('.'),
                    "{name}: {}: {help:?}",
                    argument.get_id()
                );
            }
        }
    }

    #[test]
    fn every_command_with_options_of_its_own_shows_an_example() {
        for (name, command) in commands() {
            let own = command
                .get_opts()
                .any(|option| option.get_long() != Some("vault") && !option.is_global_set());
            let shown = command
                .get_after_long_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                !own || command.has_subcommands() || shown.contains("Example"),
                "{name} shows no example"
            );
        }
    }
}
