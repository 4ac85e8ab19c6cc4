//! One file per command group: parse, make an options struct, call a library, print.

pub(crate) mod agent;
pub(crate) mod alert;
pub(crate) mod approval;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod completions;
pub(crate) mod diff;
pub(crate) mod find;
pub(crate) mod guard;
pub(crate) mod host;
pub(crate) mod import;
pub(crate) mod item;
pub(crate) mod job;
pub(crate) mod key;
pub(crate) mod login;
pub(crate) mod ls;
pub(crate) mod machine;
pub(crate) mod manual;
pub(crate) mod mount;
pub(crate) mod openapi;
pub(crate) mod password;
pub(crate) mod points;
pub(crate) mod policy;
pub(crate) mod principal;
pub(crate) mod quickstart;
pub(crate) mod rescue;
pub(crate) mod resource_group;
pub(crate) mod restore;
pub(crate) mod role;
pub(crate) mod serve;
pub(crate) mod user;
pub(crate) mod vault;
pub(crate) mod verify;
pub(crate) mod vm;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use crate::cli::{Cli, Command};
use crate::failure::{Failure, Outcome};
use crate::terminal::Terminal;
use crate::{folders, logging, state_owner};

/// How long work that nobody waits for may delay the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// Runs the command that was given.
pub(crate) fn run(cli: Cli, terminal: &Terminal) -> Result<Outcome, Failure> {
    let Cli { mut global, command } = cli;
    if let Command::Serve(serve) = command {
        return serve.run(&global, terminal);
    }
    if command.keeps_state() {
        // Root's default, though it is not root that goes on.
        let state = folders::state(&global)?;
        state_owner::become_owner_of(&state)?;
        global.state = Some(state);
    }
    // A service's log tells what it does, a command only what is amiss.
    let usual = if command.is_service() { "info" } else { "warn" };
    let level = match command.draws() && io::stderr().is_terminal() {
        // It would be written over the screen.
        true => "off",
        false => logging::level(global.quiet, global.verbose, usual),
    };
    logging::start(level, Default::default())?;
    match command {
        Command::Serve(serve) => serve.run(&global, terminal),
        Command::Login(login) => login.run(terminal),
        Command::Logout(logout) => logout.run(terminal),
        Command::Password(password) => password.run(&global, terminal),
        Command::User(user) => user.run(&global, terminal),
        Command::Principal(principal) => principal.run(&global, terminal),
        Command::Role(role) => role.run(&global, terminal),
        Command::ResourceGroup(group) => group.run(&global, terminal),
        Command::Audit(audit) => audit.run(&global, terminal),
        Command::Guard(guard) => guard.run(&global, terminal),
        Command::Approval(approval) => approval.run(&global, terminal),
        Command::Vault(vault) => vault.run(&global, terminal),
        Command::Machine(machine) => machine.run(&global, terminal),
        Command::Vm(vm) => vm.run(&global, terminal),
        Command::Policy(policy) => policy.run(&global, terminal),
        Command::Item(item) => item.run(&global, terminal),
        Command::Job(job) => job.run(&global, terminal),
        Command::Alert(alert) => alert.run(&global, terminal),
        Command::Quickstart(quickstart) => quickstart.run(terminal),
        Command::Agent(agent) => agent.run(&global, terminal),
        Command::Host(host) => host.run(&global, terminal),
        Command::Key(key) => key.run(&global, terminal),
        Command::Backup(backup) => backup.run(&global, terminal),
        Command::Points(points) => points.run(&global, terminal),
        Command::Ls(ls) => ls.run(&global, terminal),
        Command::Find(find) => find.run(&global, terminal),
        Command::Diff(diff) => diff.run(&global, terminal),
        Command::Restore(restore) => restore.run(&global, terminal),
        Command::Mount(mount) => mount.run(&global, terminal),
        Command::Verify(verify) => verify.run(&global, terminal),
        Command::Import(import) => import.run(&global, terminal),
        Command::Rescue(rescue) => rescue.run(terminal),
        Command::OpenApi(openapi) => openapi.run(),
        Command::Completions(completions) => completions.run(),
        Command::Manual(manual) => manual.run(),
    }
}

/// Runs asynchronous work to its end.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    // Nothing that counts is left; a look-up of a host name may still run, and cannot be stopped.
    runtime.shutdown_timeout(FAREWELL);
    result
}
