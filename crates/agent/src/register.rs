//! Registering a machine: its name, its key, and its key set.

use bytes::Bytes;
use strongroom_api::{
    Client, ClientOptions, KeySetView, MachineKey, Registered, RetryPolicy, SignIn, VaultCredentials,
};
use strongroom_format::keyset::{Argon2Params, Hex, Holder, KeySetObject};
use strongroom_model::{Clock, Digest, KeySetId, MachineName};
use strongroom_seal::{KdfParams, Kek, MasterKey, Passphrase, generate_salt};

use crate::error::AgentError;
use crate::state::{MachineState, StateFolder};

/// What registering came to.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The machine.
    pub machine: MachineState,
    /// Whether the passphrase opened a key set that other machines use too: they can restore each other's data.
    pub joined: bool,
    /// How many key sets the vault had before.
    pub key_sets: usize,
}

/// Registers this machine with a vault and keeps its state.
pub async fn register(
    folder: &StateFolder,
    credentials: &VaultCredentials,
    name: &MachineName,
    passphrase: &Passphrase,
    clock: Clock,
) -> Result<Registration, AgentError> {
    refuse_second(folder)?;
    folder.make()?;
    let key = MachineKey::generate();
    let registered = Client::register_with_credentials(credentials, name, &key, clock.clone()).await?;
    let client = client_of(credentials, &registered, key.clone(), clock)?;
    let key_sets = client.key_sets().await?.key_sets;
    let (key_set, master, joined) = match open_any(&key_sets, passphrase)? {
        Some((id, master)) => {
            client.join_key_set(id, master.keys().membership()).await?;
            (id, master, true)
        }
        None => {
            let (id, master) = make_key_set(&client, &registered, passphrase).await?;
            (id, master, false)
        }
    };
    let machine = MachineState {
        url: credentials.url.clone(),
        ca_certificate: credentials.ca_certificate.clone(),
        container: registered.container,
        item: registered.item,
        name: name.clone(),
        vault: registered.vault,
        vault_name: registered.vault_name,
        key_set,
    };
    folder.keep(&machine, &key, &master)?;
    Ok(Registration {
        machine,
        joined,
        key_sets: key_sets.len(),
    })
}

fn refuse_second(folder: &StateFolder) -> Result<(), AgentError> {
    match folder.machine()? {
        None => Ok(()),
        Some(machine) => Err(AgentError::AlreadyRegistered {
            folder: folder.path().to_owned(),
            name: machine.name.to_string(),
            vault: machine.vault_name.to_string(),
        }),
    }
}

fn client_of(
    credentials: &VaultCredentials,
    registered: &Registered,
    key: MachineKey,
    clock: Clock,
) -> Result<Client, AgentError> {
    let trust = credentials.trust().map_err(strongroom_api::ClientError::from)?;
    let options = ClientOptions {
        url: credentials.url.clone(),
        trust,
        clock,
        retry: RetryPolicy::NONE,
        proxy: None,
    };
    Ok(Client::new(
        options,
        SignIn::Machine {
            container: registered.container,
            key,
        },
    )?)
}

/// The first key set that the passphrase opens.
fn open_any(key_sets: &[KeySetView], passphrase: &Passphrase) -> Result<Option<(KeySetId, MasterKey)>, AgentError> {
    let mut opener = PassphraseOpener::new(passphrase);
    // A damaged key set may be the one that this passphrase opens; the others are usable all the same.
    for view in key_sets.iter().filter(|view| view.damage.is_none()) {
        let object = KeySetObject::decode(&view.object).map_err(|error| AgentError::KeySet(error.to_string()))?;
        if let Some(master) = opener.open(&object)? {
            return Ok(Some((object.id, master)));
        }
    }
    Ok(None)
}

/// Tries a passphrase on key sets; the slow derivation is done once for each salt and cost.
pub struct PassphraseOpener<'a> {
    passphrase: &'a Passphrase,
    derived: Vec<((Vec<u8>, Argon2Params), Kek)>,
}

impl<'a> PassphraseOpener<'a> {
    /// Begins with a passphrase.
    pub fn new(passphrase: &'a Passphrase) -> Self {
        Self {
            passphrase,
            derived: Vec::new(),
        }
    }

    /// The master key, if the passphrase opens the set.
    pub fn open(&mut self, object: &KeySetObject) -> Result<Option<MasterKey>, AgentError> {
        let parameters = (object.salt.0.clone(), object.kdf);
        if !self.derived.iter().any(|(known, _)| *known == parameters) {
            let kek = derive(self.passphrase, object)?;
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

async fn make_key_set(
    client: &Client,
    registered: &Registered,
    passphrase: &Passphrase,
) -> Result<(KeySetId, MasterKey), AgentError> {
    let seconds = u64::try_from(registered.server_time.as_second()).unwrap_or(0);
    let moment = uuid::Timestamp::from_unix_time(seconds, 0, 0, 0);
    let id = KeySetId::from_uuid(uuid::Uuid::new_v7(moment));
    let master = MasterKey::generate();
    let parameters = KdfParams::default();
    // Not the vault's: whoever makes the set chooses the salt, so that no vault can have it used twice.
    let salt = generate_salt();
    let kek = Kek::derive(passphrase, &salt, parameters).map_err(|error| AgentError::KeySet(error.to_string()))?;
    let object = KeySetObject {
        format: KeySetObject::FORMAT,
        id,
        created: registered.server_time,
        holder: Holder::Customer,
        kdf: Argon2Params {
            memory_kib: parameters.memory_kib(),
            passes: parameters.passes(),
            lanes: parameters.lanes(),
        },
        salt: Hex(salt.to_vec()),
        wrapped_master: Hex(master.wrap(&kek, *id.as_bytes())),
        verifier: Digest::from_bytes(*blake3::hash(&master.keys().membership()).as_bytes()),
    };
    client.add_key_set(id, Bytes::from(object.encode()), None).await?;
    Ok((id, master))
}
