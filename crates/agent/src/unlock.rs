//! What opens key sets: a passphrase, or the recovery key from a sheet.

use strongroom_api::KeySetView;
use strongroom_format::keyset::{Argon2Params, KeySetObject};
use strongroom_model::{Digest, KeySetId};
use strongroom_seal::{KdfParams, Kek, MasterKey, Passphrase};

use crate::error::AgentError;

/// What somebody has to open key sets with.
#[derive(Debug)]
pub enum Unlock {
    /// A passphrase, which wraps the master key.
    Passphrase(Passphrase),
    /// The master key itself, as it stands on a recovery sheet.
    RecoveryKey(MasterKey),
}

impl Unlock {
    /// Says that it opens none of so many key sets.
    pub(crate) fn wrong(&self, key_sets: usize) -> AgentError {
        match self {
            Self::Passphrase(_) => AgentError::WrongPassphrase(key_sets),
            Self::RecoveryKey(_) => AgentError::WrongRecoveryKey(key_sets),
        }
    }
}

/// A key set that was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The first key set that holds the master key: recovery points name this one, whatever passphrase was used.
    pub(crate) key_set: KeySetId,
    pub(crate) master: MasterKey,
}

/// The key sets that can be read. A damaged one may be the one that somebody's passphrase opens; the others are usable all
/// the same.
pub(crate) fn readable(key_sets: &[KeySetView]) -> Result<Vec<KeySetObject>, AgentError> {
    let whole = key_sets.iter().filter(|view| view.damage.is_none());
    let objects = whole.map(|view| KeySetObject::decode(&view.object));
    objects
        .collect::<Result<_, _>>()
        .map_err(|error| AgentError::KeySet(error.to_string()))
}

/// Opens one of the key sets, which come oldest first.
pub(crate) fn open_any(key_sets: &[KeySetObject], unlock: &Unlock) -> Result<Option<Opened>, AgentError> {
    let mut opener = Opener::new(unlock);
    for object in key_sets {
        if let Some(master) = opener.open(object)? {
            let verifier = verifier(&master);
            let first = key_sets.iter().find(|object| object.verifier == verifier);
            let key_set = first.map_or(object.id, |first| first.id);
            return Ok(Some(Opened { key_set, master }));
        }
    }
    Ok(None)
}

/// What a key set tells of its master key: BLAKE3 of the membership secret.
pub(crate) fn verifier(master: &MasterKey) -> Digest {
    Digest::from_bytes(*blake3::hash(&master.keys().membership()).as_bytes())
}

/// Tries something on key sets; the slow derivation is done once for each salt and cost.
pub struct Opener<'a> {
    unlock: &'a Unlock,
    derived: Vec<((Vec<u8>, Argon2Params), Kek)>,
}

impl<'a> Opener<'a> {
    /// Begins with something.
    pub fn new(unlock: &'a Unlock) -> Self {
        Self {
            unlock,
            derived: Vec::new(),
        }
    }

    /// The master key, if the set opens.
    ///
    /// # Errors
    /// When the set cannot be used at all: its costs are out of bounds.
    pub fn open(&mut self, object: &KeySetObject) -> Result<Option<MasterKey>, AgentError> {
        match self.unlock {
            Unlock::Passphrase(passphrase) => self.unwrap(passphrase, object),
            Unlock::RecoveryKey(master) => {
                let is_its = verifier(master) == object.verifier;
                Ok(is_its.then(|| MasterKey::from_bytes(*master.to_bytes())))
            }
        }
    }

    fn unwrap(&mut self, passphrase: &Passphrase, object: &KeySetObject) -> Result<Option<MasterKey>, AgentError> {
        let parameters = (object.salt.0.clone(), object.kdf);
        if !self.derived.iter().any(|(known, _)| *known == parameters) {
            let kek = derive(passphrase, object)?;
            self.derived.push((parameters.clone(), kek));
        }
        let (_, kek) = self
            .derived
            .iter()
            .find(|(known, _)| *known == parameters)
            .expect("it was just made");
        Ok(MasterKey::unwrap(kek, *object.id.as_bytes(), &object.wrapped_master.0).ok())
    }
}

fn derive(passphrase: &Passphrase, object: &KeySetObject) -> Result<Kek, AgentError> {
    let refused = |why: String| AgentError::KeySet(format!("key set {} cannot be used: {why}", object.id));
    let salt = object.salt.0.as_slice().try_into();
    let salt: [u8; 32] = salt.map_err(|_| refused("its salt must have 32 bytes".to_owned()))?;
    let Argon2Params {
        memory_kib,
        passes,
        lanes,
    } = object.kdf;
    let parameters = KdfParams::new(memory_kib, passes, lanes).map_err(|error| refused(error.to_string()))?;
    Kek::derive(passphrase, &salt, parameters).map_err(|error| refused(error.to_string()))
}
