//! Registering a machine: its name, its key, and its key set.

use bytes::Bytes;
use strongroom_api::{Client, ClientOptions, MachineKey, Registered, RetryPolicy, SignIn, VaultCredentials};
use strongroom_model::{Clock, MachineName};
use strongroom_seal::{MasterKey, Passphrase};

use crate::error::AgentError;
use crate::keys::wrap;
use crate::state::{MachineState, StateFolder};
use crate::unlock::{Opened, Unlock, open_any, readable};

/// What registering came to.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The machine.
    pub machine: MachineState,
    /// Whether the passphrase opened a key set that other machines use too: they can restore each other's data.
    pub joined: bool,
    /// How many key sets the vault had before.
    pub key_sets: usize,
    /// Who it was until now, if it was registered anew from its state folder.
    pub before: Option<MachineState>,
}

/// How a machine is registered.
#[derive(Debug)]
pub struct Registering<'a> {
    /// The vault credentials file.
    pub credentials: &'a VaultCredentials,
    /// How the machine is called in the vault.
    pub name: &'a MachineName,
    /// What opens its key set; `None` for the master key that the state folder has.
    pub unlock: Option<Unlock>,
    /// Whether the state folder may be one of a registered machine, which then is another one from now on.
    pub again: bool,
}

/// Registers this machine with a vault and keeps its state.
///
/// # Errors
/// [`AgentError::AlreadyRegistered`], unless it is to be registered again; and if a recovery key opens nothing. A passphrase that
/// opens nothing is the first of a new key set.
pub async fn register(
    folder: &StateFolder,
    registering: Registering<'_>,
    clock: Clock,
) -> Result<Registration, AgentError> {
    let Registering { credentials, name, .. } = registering;
    let before = folder.machine()?;
    if let (Some(machine), false) = (&before, registering.again) {
        return Err(AgentError::AlreadyRegistered {
            folder: folder.path().to_owned(),
            name: machine.name.to_string(),
            vault: machine.vault_name.to_string(),
        });
    }
    let unlock = match registering.unlock {
        Some(unlock) => unlock,
        None => Unlock::RecoveryKey(folder.master_key()?),
    };
    folder.make()?;
    let key = MachineKey::generate();
    let registered = Client::register_with_credentials(credentials, name, &key, clock.clone()).await?;
    let client = client_of(credentials, &registered, key.clone(), clock)?;
    let key_sets = readable(&client.key_sets().await?.key_sets)?;
    let (opened, joined) = match (open_any(&key_sets, &unlock)?, &unlock) {
        (Some(opened), _) => {
            let membership = opened.master.keys().membership();
            client.join_key_set(opened.key_set, membership).await?;
            (opened, true)
        }
        (None, Unlock::Passphrase(passphrase)) => (make_key_set(&client, &registered, passphrase).await?, false),
        (None, Unlock::RecoveryKey(_)) => return Err(unlock.wrong(key_sets.len())),
    };
    let machine = MachineState {
        url: credentials.url.clone(),
        ca_certificate: credentials.ca_certificate.clone(),
        container: registered.container,
        item: registered.item,
        name: name.clone(),
        vault: registered.vault,
        vault_name: registered.vault_name,
        key_set: opened.key_set,
    };
    folder.keep(&machine, &key, &opened.master)?;
    Ok(Registration {
        machine,
        joined,
        key_sets: key_sets.len(),
        before,
    })
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

async fn make_key_set(client: &Client, registered: &Registered, passphrase: &Passphrase) -> Result<Opened, AgentError> {
    let master = MasterKey::generate();
    let object = wrap(&master, passphrase, registered.server_time)?;
    client
        .add_key_set(object.id, Bytes::from(object.encode()), None)
        .await?;
    let key_set = object.id;
    Ok(Opened { key_set, master })
}
