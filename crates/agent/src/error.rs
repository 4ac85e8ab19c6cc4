//! Why the agent cannot do what it was asked; each is a sentence for the person at the machine.

use std::path::PathBuf;

use crate::commands::CommandError;
use crate::host::DiskForm;
use strongroom_api::ClientError;
use strongroom_engine::EngineError;
use strongroom_hypervisor::DescriptionError;
use strongroom_hypervisor::off::OffError;
use strongroom_hypervisor::snapshot::SnapshotError as HypervisorError;
use strongroom_model::{MachineName, Operation, PointId};
use strongroom_nbd::NbdError;
use strongroom_restic::ResticError;
use strongroom_sources::files::{SnapshotError, VolumeError};

/// Why the agent cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// No machine is registered with this state folder.
    #[error(
        "this machine is not registered (no state in {}): register it with `strongroom agent register --credentials FILE --passphrase-file FILE`, or name its state folder with --state",
        .0.display()
    )]
    NotRegistered(PathBuf),
    /// A machine is registered with this state folder already.
    #[error(
        "{} holds the state of machine {name} of vault {vault} already: say --again if this machine is to be registered anew, under this or another name, or name another folder with --state",
        folder.display()
    )]
    AlreadyRegistered {
        /// The state folder.
        folder: PathBuf,
        /// The machine's name.
        name: String,
        /// Its vault.
        vault: String,
    },
    /// A state file cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    State {
        /// A verb phrase.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A state file is not what it should be.
    #[error("{} is damaged: {why}. Register this machine again with the same passphrase; nothing in the vault is lost", path.display())]
    StateDamaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The machine is no host of virtual machines.
    #[error(
        "the machine of {} is no host of virtual machines: make it one with `strongroom host register --descriptions DIR`, with --again if it is registered already",
        .0.display()
    )]
    NoHost(PathBuf),
    /// The host has not found such a virtual machine.
    #[error("this host has found no virtual machine called {0}: `strongroom host discover` looks for them")]
    NoVirtualMachine(MachineName),
    /// A description of a virtual machine, or the folder of them, cannot be used.
    #[error(transparent)]
    Description(#[from] DescriptionError),
    /// There is no snapshot of the virtual machine.
    #[error(transparent)]
    Hypervisor(#[from] HypervisorError),
    /// The recovery point has no such disk.
    #[error("the recovery point has no disk called {disk}: it has {there}")]
    NoDisk {
        /// What was asked for.
        disk: String,
        /// What there is.
        there: String,
    },
    /// There is a file of the name that a restored disk would have.
    #[error("{} is there already: name another folder, or move it away", .0.display())]
    DiskExists(PathBuf),
    /// A disk cannot be written in a form.
    #[error("cannot write {} as {form}: {why}", path.display())]
    Form {
        /// Which form.
        form: DiskForm,
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The disks of a virtual machine that is off cannot be read.
    #[error(transparent)]
    Off(#[from] OffError),
    /// The disks of a virtual machine cannot be read.
    #[error("cannot read the disks of the virtual machine: {0}")]
    Nbd(NbdError),
    /// The service refused or cannot be reached.
    #[error("{0}")]
    Client(#[from] ClientError),
    /// Backup, restore or verification ended.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// The restic repository cannot be used.
    #[error("{0}")]
    Restic(#[from] ResticError),
    /// No snapshot, or more than one, fits what was asked for.
    #[error("{0}")]
    NoSuchSnapshot(String),
    /// Nobody said what to back up.
    #[error("nothing is selected on this machine: say what to back up with `strongroom agent settings --path PATH`")]
    NothingSelected,
    /// The machine's settings cannot be used.
    #[error("the settings of this machine cannot be used: {0}")]
    Settings(String),
    /// What is selected lies on a volume that is not backed up.
    #[error("{0}")]
    Volume(#[from] VolumeError),
    /// What is selected has no snapshot, and must not be read without one.
    #[error("{0}")]
    Snapshot(#[from] SnapshotError),
    /// The command before a backup did not do what it should.
    #[error(
        "nothing was backed up, for the command before the backup {0}. Mend it, or leave it out with --no-commands"
    )]
    PreCommand(CommandError),
    /// The commands around backups are somebody else's.
    #[error("{} is not run from, for {why}: it must belong to root, or to who runs this, and nobody else may write to it", path.display())]
    CommandsOfOthers {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        why: String,
    },
    /// Somebody stopped the job at the service.
    #[error("the job was stopped at the service; what was done so far is kept, and the next run continues from there")]
    StoppedByService,
    /// A job of a kind that this version does not know.
    #[error("the service wants a {0}, which this version of strongroom cannot do: bring it up to date")]
    UnknownWork(Operation),
    /// The passphrase opens none of the vault's key sets.
    #[error("the passphrase is wrong: it opens none of the {0} key sets of this vault")]
    WrongPassphrase(usize),
    /// The recovery key is the master key of none of the vault's key sets.
    #[error(
        "the recovery key belongs to none of the {0} key sets of this vault: is it the sheet of a machine of this vault?"
    )]
    WrongRecoveryKey(usize),
    /// A passphrase that was to be a new one opens the machine's key set.
    #[error("this passphrase opens this machine's key set already: nothing is to be changed")]
    SamePassphrase,
    /// A passphrase that was to be a new one opens a key set of other machines.
    #[error(
        "other machines of this vault use this passphrase for a key set of theirs: choose another one. To share theirs, register this machine again with it"
    )]
    PassphraseInUse,
    /// A key set cannot be used.
    #[error("{0}")]
    KeySet(String),
    /// The recovery point belongs to another key set.
    #[error(
        "recovery point {point} of machine {machine} was made with another passphrase, and this machine's keys do not open it: give that passphrase with --passphrase-file FILE or --ask-passphrase, or the recovery key of that machine's sheet with --recovery-key-file FILE"
    )]
    OtherKeySet {
        /// The point.
        point: PointId,
        /// The machine that made it.
        machine: String,
    },
    /// No recovery point fits what was asked for.
    #[error("{0}")]
    NoSuchPoint(String),
    /// A seed cannot be made or imported.
    #[error("{0}")]
    Seed(String),
    /// A seed of this machine was not imported yet.
    #[error(
        "the seed that this machine made in {} is not imported yet, and a backup over the line would send all of it again: have it imported with `strongroom vault import-seed`, or give it up with `strongroom backup --forget-seed`",
        .0.display()
    )]
    SeedOnItsWay(PathBuf),
    /// Recovery points cannot be exported to a disk, or read from one.
    #[error("{0}")]
    Disk(String),
    /// The object store cannot be used.
    #[error("{0}")]
    Store(String),
}
