//! Where what opens key sets comes from: a passphrase, or the recovery key of a sheet. Never an argument, which others can see.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use strongroom_agent::{Machine, Unlock};
use strongroom_api::Secret;
use strongroom_seal::MasterKey;

use crate::failure::Failure;
use crate::passphrase;
use crate::private_file;
use crate::terminal::Terminal;

/// More than a recovery key has, however it was typed.
const TYPED_BYTES_MAX: u64 = 4096;

/// How a command is told what opens a key set.
#[derive(Debug, Args)]
pub(crate) struct UnlockOptions {
    /// A file whose first line is the passphrase
    ///
    /// Without it, the environment variable STRONGROOM_PASSPHRASE or a prompt gives it.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// A file with the recovery key of a sheet, instead of the passphrase; `-` reads what is typed
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_file")]
    recovery_key_file: Option<PathBuf>,
}

/// How a command is told the keys of recovery points that were made with another passphrase than this machine's.
#[derive(Debug, Clone, Args)]
pub(crate) struct OtherKeys {
    /// A file whose first line is the passphrase that they were made with, if it is not this machine's
    #[arg(long, value_name = "FILE", group = "other_keys")]
    passphrase_file: Option<PathBuf>,
    /// Ask for the passphrase that they were made with
    #[arg(long, group = "other_keys")]
    ask_passphrase: bool,
    /// A file with the recovery key of their machine's sheet; `-` reads what is typed
    #[arg(long, value_name = "FILE", group = "other_keys")]
    recovery_key_file: Option<PathBuf>,
}

impl UnlockOptions {
    /// Whether anything was said.
    pub(crate) fn is_given(&self) -> bool {
        self.passphrase_file.is_some() || self.recovery_key_file.is_some()
    }

    /// What they give; `twice` when a passphrase may be a new one.
    pub(crate) fn read(&self, twice: bool, terminal: &Terminal) -> Result<Unlock, Failure> {
        match &self.recovery_key_file {
            Some(file) => recovery_key(file, terminal),
            None => passphrase::read(self.passphrase_file.as_deref(), twice, terminal).map(Unlock::Passphrase),
        }
    }
}

impl OtherKeys {
    /// The machine as it reads with these keys, or as it is if none were named; from a disk, if one is.
    pub(crate) async fn given_to(
        &self,
        machine: Machine,
        disk: Option<&Path>,
        terminal: &Terminal,
    ) -> Result<Machine, Failure> {
        let unlock = match (&self.passphrase_file, self.ask_passphrase, &self.recovery_key_file) {
            (Some(file), ..) => Some(Unlock::Passphrase(passphrase::from_file(file)?)),
            (None, true, _) => Some(Unlock::Passphrase(passphrase::ask_for_known(terminal)?)),
            (None, false, Some(file)) => Some(recovery_key(file, terminal)?),
            (None, false, None) => None,
        };
        Ok(match (disk, unlock) {
            (Some(folder), unlock) => machine.reading_from_disk(folder, unlock.as_ref()).await?,
            (None, Some(unlock)) => machine.reading_with(&unlock).await?,
            (None, None) => machine,
        })
    }
}

fn recovery_key(file: &Path, terminal: &Terminal) -> Result<Unlock, Failure> {
    let text = Secret::new(match file == Path::new("-") {
        true => typed(terminal)?,
        false => private_file::read(file)?,
    });
    Ok(Unlock::RecoveryKey(MasterKey::from_recovery_key(text.reveal())?))
}

fn typed(terminal: &Terminal) -> Result<String, Failure> {
    if terminal.can_ask() {
        eprintln!("Recovery key: its four rows, then Ctrl-D");
    }
    let mut text = String::new();
    std::io::stdin().take(TYPED_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}
