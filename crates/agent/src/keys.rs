//! The keys of a machine: another passphrase for them, who else has them, and reading with those of others.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use strongroom_api::{KeySetView, Secret};
use strongroom_format::keyset::{Argon2Params, Hex, Holder, KeySetObject};
use strongroom_model::{Digest, KeySetId, MachineName};
use strongroom_seal::{KdfParams, Kek, MasterKey, Passphrase, RecoveryKey, generate_salt};

use crate::error::AgentError;
use crate::machine::Machine;
use crate::unlock::{Unlock, open_any, readable, verifier};

/// A passphrase of a master key, as far as the vault knows of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KnownPassphrase {
    /// The key set that it opens.
    pub key_set: KeySetId,
    /// Since when.
    pub since: Timestamp,
    /// The machine that made it, if that one is registered.
    pub by: Option<MachineName>,
}

/// A master key that this machine may read with: a key set, and those that a change of passphrase added to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KnownKeySet {
    /// The first of its key sets: recovery points name it.
    pub id: KeySetId,
    /// Whether this machine seals with it.
    pub own: bool,
    /// Its passphrases, oldest first. All of them open it.
    pub passphrases: Vec<KnownPassphrase>,
    /// The machines that have it.
    pub machines: Vec<MachineName>,
}

/// The key sets of a vault, as one machine sees them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeySetOverview {
    /// Those that it can open.
    pub key_sets: Vec<KnownKeySet>,
    /// How many others there are: of other passphrases, or damaged.
    pub others: usize,
}

impl Machine {
    /// Gives the machine's master key another passphrase, with a security PIN of the vault. All that was backed up stays
    /// readable, by this passphrase and by those before.
    ///
    /// # Errors
    /// When the passphrase opens a key set of the vault already: two that open by one cannot be told apart.
    pub async fn change_passphrase(&self, passphrase: Passphrase, pin: &Secret) -> Result<(), AgentError> {
        let master = self.folder().master_key()?;
        let key_sets = readable(&self.client().key_sets().await?.key_sets)?;
        let unlock = Unlock::Passphrase(passphrase);
        if let Some(opened) = open_any(&key_sets, &unlock)? {
            return Err(match opened.key_set == self.state().key_set {
                true => AgentError::SamePassphrase,
                false => AgentError::PassphraseInUse,
            });
        }
        let Unlock::Passphrase(passphrase) = unlock else {
            unreachable!("it was made so")
        };
        let object = wrap(&master, &passphrase, self.now())?;
        let bytes = Bytes::from(object.encode());
        Ok(self.client().add_key_set(object.id, bytes, Some(pin)).await?)
    }

    /// The key sets of the vault that this machine can open, with who else has them.
    pub async fn key_sets(&self) -> Result<KeySetOverview, AgentError> {
        let views = self.client().key_sets().await?.key_sets;
        let mut overview = KeySetOverview {
            key_sets: Vec::new(),
            others: 0,
        };
        let mut verifiers: Vec<Digest> = Vec::new();
        for view in views {
            let object = KeySetObject::decode(&view.object).ok().filter(|_| view.joined);
            let Some(object) = object else {
                overview.others += 1;
                continue;
            };
            match verifiers.iter().position(|known| *known == object.verifier) {
                Some(index) => overview.key_sets[index].add(view),
                None => {
                    verifiers.push(object.verifier);
                    overview.key_sets.push(KnownKeySet::of(view, self.state().key_set));
                }
            }
        }
        Ok(overview)
    }

    /// The machine's master key, for paper.
    pub fn recovery_key(&self) -> Result<RecoveryKey, AgentError> {
        Ok(self.folder().master_key()?.to_recovery_key())
    }

    /// The same machine, which reads with the keys that `unlock` opens instead of its own. It joins nothing: it proves with
    /// each request that it has them.
    pub async fn reading_with(self, unlock: &Unlock) -> Result<Self, AgentError> {
        let key_sets = readable(&self.client().key_sets().await?.key_sets)?;
        let opened = open_any(&key_sets, unlock)?.ok_or_else(|| unlock.wrong(key_sets.len()))?;
        Ok(self.with_keys(opened.key_set, Arc::new(opened.master.keys())))
    }
}

impl KnownKeySet {
    fn of(view: KeySetView, own: KeySetId) -> Self {
        let mut known = Self {
            id: view.id,
            own: view.id == own,
            passphrases: Vec::new(),
            machines: Vec::new(),
        };
        known.add(view);
        known
    }

    fn add(&mut self, view: KeySetView) {
        self.passphrases.push(KnownPassphrase {
            key_set: view.id,
            since: view.added,
            by: view.added_by,
        });
        for machine in view.machines {
            if !self.machines.contains(&machine) {
                self.machines.push(machine);
            }
        }
    }
}

/// A new key set object: `master`, wrapped by a passphrase.
pub(crate) fn wrap(master: &MasterKey, passphrase: &Passphrase, now: Timestamp) -> Result<KeySetObject, AgentError> {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let moment = uuid::Timestamp::from_unix_time(seconds, 0, 0, 0);
    let id = KeySetId::from_uuid(uuid::Uuid::new_v7(moment));
    let parameters = KdfParams::default();
    // Not the vault's: whoever makes the set chooses the salt, so that no vault can have it used twice.
    let salt = generate_salt();
    let kek = Kek::derive(passphrase, &salt, parameters).map_err(|error| AgentError::KeySet(error.to_string()))?;
    Ok(KeySetObject {
        format: KeySetObject::FORMAT,
        id,
        created: now,
        holder: Holder::Customer,
        kdf: Argon2Params {
            memory_kib: parameters.memory_kib(),
            passes: parameters.passes(),
            lanes: parameters.lanes(),
        },
        salt: Hex(salt.to_vec()),
        wrapped_master: Hex(master.wrap(&kek, *id.as_bytes())),
        verifier: verifier(master),
    })
}
