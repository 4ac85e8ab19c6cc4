//! What a registered machine keeps: who it is, how to reach the service, and its keys. Readable by its user only.
//!
//! ```text
//! machine.json   who this machine is, and the service's address and authority
//! machine.key    the key with which it signs in (PKCS#8)
//! master.key     the master key of its key set, 32 bytes
//! last.json      the last recovery point that it made, to notice a vault that withholds it
//! settings.json  a copy of what the vault keeps of its settings: what it backs up when nobody says what
//! network.json   how the service is reached; a proxy's password may be in it
//! scratch.json   where the cache is, if it was moved
//! scratch/       the cache
//! import/        the cache of an import, which ends with it
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strongroom_api::{MachineKey, Proxy, RetryPolicy};
use strongroom_model::{ContainerId, Digest, ItemId, KeySetId, MachineName, PointId, VaultId, VaultName};
use strongroom_seal::MasterKey;
use zeroize::Zeroizing;

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

/// Where the scratch folder of a machine is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScratchPlace {
    /// The folder. It is this machine's own business: nobody else may have a program write somewhere.
    pub path: PathBuf,
    /// The folder that it was moved from, until that is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<PathBuf>,
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

    /// The master key of the machine's key set.
    pub fn master_key(&self) -> Result<MasterKey, AgentError> {
        let bytes = Zeroizing::new(self.read("master.key")?);
        match <[u8; 32]>::try_from(&bytes[..]) {
            Ok(key) => Ok(MasterKey::from_bytes(key)),
            Err(_) => Err(self.damaged("master.key", "it must have 32 bytes")),
        }
    }

    /// Keeps a new machine. `machine.json` comes last: without it nothing is registered here.
    pub fn keep(&self, machine: &MachineState, key: &MachineKey, master: &MasterKey) -> Result<(), AgentError> {
        self.make()?;
        self.write("machine.key", key.as_pkcs8())?;
        self.write("master.key", &*master.to_bytes())?;
        self.write("machine.json", &to_json(machine))
    }

    /// Forgets the registration. The master key stays: what was soft-deleted may be brought back, and be needed by somebody
    /// who has lost the passphrase.
    pub fn forget_machine(&self) -> Result<(), AgentError> {
        for name in ["machine.json", "machine.key", "last.json"] {
            match fs::remove_file(self.0.join(name)) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    let (action, path) = ("remove", self.0.join(name));
                    return Err(AgentError::State { action, path, source });
                }
                _ => {}
            }
        }
        Ok(())
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

    fn read_json<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<Option<T>, AgentError> {
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
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), AgentError> {
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

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("plain fields always serialise")
}
