//! What a registered machine keeps: who it is, how to reach the service, and its keys. Readable by its user only.
//!
//! ```text
//! machine.json   who this machine is, and the service's address and authority
//! machine.key    the key with which it signs in (PKCS#8)
//! master.key     the master key of its key set, 32 bytes
//! master-1.key   one that it had before, when it was registered with another passphrase; and so on
//! last.json      the last recovery point that it made, to notice a vault that withholds it
//! seeded.json    the seed that it made, until that is imported
//! settings.json  a copy of what the vault keeps of its settings: what it backs up when nobody says what
//! commands.json  what it runs before and after its backups
//! network.json   how the service is reached; a proxy's password may be in it
//! scratch.json   where the cache is, if it was moved
//! run.lock       locked by each client that waits for work here, as long as it runs
//! snapshots.json the snapshots of its volumes that may exist
//! scratch/       the cache
//! import/        the cache of an import, which ends with it
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use strongroom_api::{MachineKey, Proxy, RetryPolicy};
use strongroom_model::{ContainerId, Digest, ItemId, KeySetId, MachineName, PointId, VaultId, VaultName};
use strongroom_seal::MasterKey;
use strongroom_sources::files::{Place, SnapshotNote};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::commands::Commands;
use crate::error::AgentError;
use crate::settings_sync::SettingsCopy;

/// Who a machine is. No secret is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineState {
    /// The service's address.
    pub url: String,
    /// The certificate of the authority that must have issued the service's.
    pub ca_certificate: String,
    /// The machine's id.
    pub container: ContainerId,
    /// Its files and folders.
    pub item: ItemId,
    /// Its name.
    pub name: MachineName,
    /// Its vault.
    pub vault: VaultId,
    /// The name of its vault.
    pub vault_name: VaultName,
    /// The key set that it has joined.
    pub key_set: KeySetId,
}

/// The last recovery point that this machine made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastMade {
    /// The point.
    pub point: PointId,
    /// BLAKE3 of its object.
    pub digest: Digest,
}

/// A seed that this machine made, and that is on its way to the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seeded {
    /// The recovery point that it becomes.
    pub point: LastMade,
    /// The folder that it was made in.
    pub folder: PathBuf,
}

/// Where the scratch folder of a machine is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScratchPlace {
    /// The folder. It is this machine's own business: nobody else may have a program write somewhere.
    pub path: PathBuf,
    /// The folder that it was moved from, until that is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<PathBuf>,
}

/// A snapshot of one of the machine's volumes that may exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KeptSnapshot {
    #[serde(flatten)]
    place: KeptPlace,
    name: String,
}

/// Where it lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum KeptPlace {
    Btrfs { file_system: Uuid },
    Lvm { volume_group: String },
    Zfs { dataset: String },
}

/// How a machine reaches its service. That is its own business: the service cannot be asked before it is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// Through which proxy, if not through the one of the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
    /// For how many minutes work that runs alone goes on trying when the service is away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_minutes: Option<u64>,
}

impl Network {
    /// A day: what is away for longer is somebody's business.
    pub const RETRY_MINUTES_MAX: u64 = 24 * 60;

    /// How patient work is that would usually be as patient as this.
    pub(crate) fn retry(&self, usual: RetryPolicy) -> RetryPolicy {
        match self.retry_minutes {
            Some(minutes) if usual == RetryPolicy::PATIENT => usual.lasting(Duration::from_secs(minutes * 60)),
            _ => usual,
        }
    }
}

/// The state folder of one machine.
#[derive(Clone, Debug)]
pub struct StateFolder(PathBuf);

impl StateFolder {
    /// Names a folder; nothing is read yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where the scratch folder is, and where it was if that is not gone yet.
    pub fn scratch(&self) -> Result<ScratchPlace, AgentError> {
        let usual = || ScratchPlace {
            path: self.0.join("scratch"),
            leaving: None,
        };
        Ok(self.read_json("scratch.json")?.unwrap_or_else(usual))
    }

    /// Keeps where the scratch folder is from now on.
    pub fn keep_scratch(&self, place: &ScratchPlace) -> Result<(), AgentError> {
        self.write("scratch.json", &to_json(place))
    }

    /// How the service is reached.
    pub fn network(&self) -> Result<Network, AgentError> {
        Ok(self.read_json("network.json")?.unwrap_or_default())
    }

    /// Keeps how the service is reached from now on.
    pub fn keep_network(&self, network: &Network) -> Result<(), AgentError> {
        self.write("network.json", &to_json(network))
    }

    /// Where the scratch folder of an import is: what the machine knows of its own files is not touched by one.
    pub fn import_scratch(&self) -> PathBuf {
        self.0.join("import")
    }

    /// The snapshots that may exist.
    pub(crate) fn snapshots(&self) -> Result<Vec<SnapshotNote>, AgentError> {
        let kept: Vec<KeptSnapshot> = self.read_json("snapshots.json")?.unwrap_or_default();
        let note = |KeptSnapshot { place, name }| SnapshotNote {
            place: match place {
                KeptPlace::Btrfs { file_system } => Place::Btrfs(file_system.into_bytes()),
                KeptPlace::Lvm { volume_group } => Place::VolumeGroup(volume_group),
                KeptPlace::Zfs { dataset } => Place::Dataset(dataset),
            },
            name,
        };
        Ok(kept.into_iter().map(note).collect())
    }

    /// Keeps which snapshots may exist.
    pub(crate) fn keep_snapshots(&self, notes: &[SnapshotNote]) -> Result<(), AgentError> {
        let kept = |note: &SnapshotNote| KeptSnapshot {
            place: match &note.place {
                Place::Btrfs(id) => KeptPlace::Btrfs {
                    file_system: Uuid::from_bytes(*id),
                },
                Place::VolumeGroup(id) => KeptPlace::Lvm {
                    volume_group: id.clone(),
                },
                Place::Dataset(name) => KeptPlace::Zfs { dataset: name.clone() },
            },
            name: note.name.clone(),
        };
        self.write("snapshots.json", &to_json(&notes.iter().map(kept).collect::<Vec<_>>()))
    }

    /// Who the machine is; `None` if none is registered here.
    pub fn machine(&self) -> Result<Option<MachineState>, AgentError> {
        self.read_json("machine.json")
    }

    /// The last recovery point that was made from here.
    pub fn last_made(&self) -> Result<Option<LastMade>, AgentError> {
        self.read_json("last.json")
    }

    /// Remembers the last recovery point.
    pub fn remember(&self, last: &LastMade) -> Result<(), AgentError> {
        self.write("last.json", &to_json(last))
    }

    /// Forgets it; then no point is missed.
    pub fn forget_last_made(&self) {
        let _there_may_be_none = fs::remove_file(self.0.join("last.json"));
    }

    /// The seed that is on its way.
    pub fn seeded(&self) -> Result<Option<Seeded>, AgentError> {
        self.read_json("seeded.json")
    }

    /// Remembers that a seed is on its way.
    pub fn keep_seeded(&self, seeded: &Seeded) -> Result<(), AgentError> {
        self.write("seeded.json", &to_json(seeded))
    }

    /// Forgets it.
    pub fn forget_seeded(&self) -> Result<(), AgentError> {
        self.remove("seeded.json")
    }

    /// The key with which the machine signs in.
    pub fn machine_key(&self) -> Result<MachineKey, AgentError> {
        let bytes = Zeroizing::new(self.read("machine.key")?);
        MachineKey::from_pkcs8(&bytes).map_err(|error| self.damaged("machine.key", error))
    }

    /// What the machine backs up when nobody says what, as it was in the vault the last time.
    pub fn settings(&self) -> Result<Option<SettingsCopy>, AgentError> {
        self.read_json("settings.json")
    }

    /// Keeps what the machine backs up when nobody says what.
    pub fn keep_settings(&self, settings: &SettingsCopy) -> Result<(), AgentError> {
        self.write("settings.json", &to_json(settings))
    }

    /// What the machine runs before and after its backups.
    ///
    /// # Errors
    /// Also if somebody else than root, or who runs this, may have written it.
    pub fn commands(&self) -> Result<Commands, AgentError> {
        let path = self.0.join("commands.json");
        let metadata = match fs::metadata(&path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(Commands::default());
            }
            metadata => metadata.map_err(|source| AgentError::State {
                action: "read",
                path: path.clone(),
                source,
            })?,
        };
        let owner = metadata.uid();
        let why = match metadata.mode() & 0o022 {
            0 if owner == 0 || owner == geteuid().as_raw() => None,
            0 => Some(format!("it belongs to user {owner}")),
            _ => Some("others may write to it".to_owned()),
        };
        match why {
            Some(why) => Err(AgentError::CommandsOfOthers { path, why }),
            None => Ok(self.read_json("commands.json")?.unwrap_or_default()),
        }
    }

    /// Keeps what the machine runs before and after its backups.
    pub fn keep_commands(&self, commands: &Commands) -> Result<(), AgentError> {
        self.write("commands.json", &to_json(commands))
    }

    /// The master key of the machine's key set.
    pub fn master_key(&self) -> Result<MasterKey, AgentError> {
        let bytes = Zeroizing::new(self.read("master.key")?);
        match <[u8; 32]>::try_from(&bytes[..]) {
            Ok(key) => Ok(MasterKey::from_bytes(key)),
            Err(_) => Err(self.damaged("master.key", "it must have 32 bytes")),
        }
    }

    /// Keeps a new machine. `machine.json` comes last: without it nothing is registered here. What was known of a machine
    /// before is forgotten but for its settings, and its master key if that is another one.
    pub fn keep(&self, machine: &MachineState, key: &MachineKey, master: &MasterKey) -> Result<(), AgentError> {
        self.make()?;
        let before = self.machine().ok().flatten();
        self.forget_machine()?;
        self.set_master_key_aside(master)?;
        // Another item has no settings yet, or some of its own: those of this machine begin anew there.
        if let Some(copy) = self
            .settings()?
            .filter(|_| before.is_none_or(|before| before.item != machine.item))
        {
            self.keep_settings(&SettingsCopy { generation: 0, ..copy })?;
        }
        self.write("machine.key", key.as_pkcs8())?;
        self.write("master.key", &*master.to_bytes())?;
        self.write("machine.json", &to_json(machine))
    }

    /// Keeps a master key that is another one under a name of its own: it may be the last that opens something.
    fn set_master_key_aside(&self, master: &MasterKey) -> Result<(), AgentError> {
        let path = self.0.join("master.key");
        if !path.exists() || self.master_key().is_ok_and(|kept| kept.to_bytes() == master.to_bytes()) {
            return Ok(());
        }
        let mut names = (1..).map(|number| self.0.join(format!("master-{number}.key")));
        let free = names.find(|name| !name.exists());
        let aside = free.expect("there is always a higher number");
        fs::rename(&path, aside).map_err(|source| {
            let action = "set aside";
            AgentError::State { action, path, source }
        })
    }

    /// Forgets the registration. The master key stays: what was soft-deleted may be brought back, and be needed by somebody
    /// who has lost the passphrase.
    pub fn forget_machine(&self) -> Result<(), AgentError> {
        let names = ["machine.json", "machine.key", "last.json", "seeded.json"];
        names.into_iter().try_for_each(|name| self.remove(name))
    }

    /// Removes a file, if there is one.
    fn remove(&self, name: &str) -> Result<(), AgentError> {
        match fs::remove_file(self.0.join(name)) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                let (action, path) = ("remove", self.0.join(name));
                Err(AgentError::State { action, path, source })
            }
            _ => Ok(()),
        }
    }

    /// Says that a client waits for work here, for as long as what it returns is not dropped. Whoever looks just now
    /// ([`StateFolder::has_client`]) is waited for, which takes no time.
    pub(crate) fn note_client(&self) -> Result<File, AgentError> {
        let path = self.0.join("run.lock");
        let locked = || {
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)?;
            flock(&file, FlockOperation::LockShared)?;
            Ok(file)
        };
        locked().map_err(|source| {
            let action = "lock";
            AgentError::State {
                action,
                path: path.clone(),
                source,
            }
        })
    }

    /// Whether a client waits for work here just now.
    pub fn has_client(&self) -> Result<bool, AgentError> {
        let path = self.0.join("run.lock");
        let looked = || match File::open(&path) {
            Ok(file) => match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => Ok(false),
                Err(Errno::WOULDBLOCK) => Ok(true),
                Err(error) => Err(error.into()),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        };
        looked().map_err(|source| {
            let action = "look at";
            AgentError::State {
                action,
                path: path.clone(),
                source,
            }
        })
    }

    /// Makes the folder, for its user only. Called before anything is asked of the service, so that a folder that cannot
    /// be written to is noticed first.
    pub fn make(&self) -> Result<(), AgentError> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        made.map_err(|source| AgentError::State {
            action: "make the state folder",
            path: self.0.clone(),
            source,
        })
    }

    pub(crate) fn read_json<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<Option<T>, AgentError> {
        match fs::read(self.0.join(name)) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| self.damaged(name, error)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(source) => Err(AgentError::State {
                action: "read",
                path: self.0.join(name),
                source,
            }),
        }
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, AgentError> {
        let path = self.0.join(name);
        fs::read(&path).map_err(|source| AgentError::State {
            action: "read",
            path,
            source,
        })
    }

    /// Under a temporary name first, so that a crash leaves the old file or the new one.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), AgentError> {
        let path = self.0.join(name);
        let written = || {
            let temporary = self.0.join(format!("{name}.new"));
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(&self.0)?.sync_all()
        };
        written().map_err(|source| AgentError::State {
            action: "write",
            path: path.clone(),
            source,
        })
    }

    fn damaged(&self, name: &str, why: impl ToString) -> AgentError {
        AgentError::StateDamaged {
            path: self.0.join(name),
            why: why.to_string(),
        }
    }
}

pub(crate) fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("plain fields always serialise")
}
