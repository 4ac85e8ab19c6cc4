//! Key sets: objects that the vault cannot open, and who is a member.

use bytes::Bytes;
use jiff::Timestamp;
use strongroom_db::{KeySetAdded, KeySetMember, KeySetRow, NewKeySet};
use strongroom_format::keyset::KeySetObject;
use strongroom_format::point::point_digest;
use strongroom_model::{ContainerId, Digest, KeySetId};

use crate::damage::read_whole;
use crate::{Damage, PinHash, Pinned, VaultError, Vaults, key_set_key};

/// How many key sets one machine may add. It makes a new one when none opens, so one is usual.
pub const KEY_SETS_PER_CONTAINER_MAX: u64 = 16;

/// A key set as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKeySet {
    /// Its id.
    pub id: KeySetId,
    /// Its object, checked; or what is wrong with it. One damaged set does not hide the others.
    pub object: Result<Bytes, Damage>,
    /// Whether the machine that asks is a member, of this one or of one that holds the same master key.
    pub joined: bool,
    /// When it was added.
    pub added: Timestamp,
    /// Who is a member, and who added it: told to members.
    pub members: Vec<KeySetMember>,
}

impl Vaults {
    /// The key sets of the machine's vault, oldest first.
    pub async fn key_sets(&self, container: ContainerId) -> Result<Vec<StoredKeySet>, VaultError> {
        let vault = self.container(container).await?.vault;
        let store = self.store(vault).await?;
        let joined = self.db().joined_key_sets(container).await?;
        let members = self.db().key_set_members(vault).await?;
        let rows = self.db().key_sets(vault).await?;
        // A passphrase that another member gave the same master key is no stranger's.
        let opened: Vec<Digest> = rows
            .iter()
            .filter(|row| joined.contains(&row.id))
            .map(|row| row.verifier)
            .collect();
        let mut sets = Vec::new();
        for row in rows {
            let object = read_whole(&*store, &key_set_key(row.id), row.size, row.digest).await?;
            let joined = opened.contains(&row.verifier);
            let its = members.iter().filter(|member| joined && member.key_set == row.id);
            sets.push(StoredKeySet {
                id: row.id,
                object,
                joined,
                added: row.added,
                members: its.cloned().collect(),
            });
        }
        Ok(sets)
    }

    /// Adds a key set that the machine made, and makes the machine its first member. The same bytes again are fine. After
    /// the one that it chose when it was registered, another one is a change of passphrase, and needs a PIN: then it is
    /// returned by whose. One with the membership secret of another holds the same master
    /// key: only a member may add it, as a stranger can read the secret's hash.
    pub async fn add_key_set(
        &self,
        container: ContainerId,
        id: KeySetId,
        bytes: Bytes,
        pin: Option<PinHash>,
    ) -> Result<Option<Pinned<()>>, VaultError> {
        let object = parse(id, &bytes)?;
        let vault = self.container(container).await?.vault;
        let digest = point_digest(&bytes);
        let _gate = self.0.gates.enter(id.as_bytes()).await;
        if let Some(row) = self.db().key_set(vault, id).await? {
            return same(row, digest).map(|()| None);
        }
        // Before the object is stored: otherwise a machine could fill the vault with objects that have no row.
        if self.db().key_sets_added_by(container).await? >= KEY_SETS_PER_CONTAINER_MAX {
            return Err(too_many());
        }
        if self.db().is_foreign(vault, object.verifier, container).await? {
            return Err(VaultError::MembershipRefused);
        }
        let further = self.db().is_keyed(container).await?;
        let pinned = match further {
            true => Some(self.use_pin(container, pin).await?),
            false => None,
        };
        let new = NewKeySet {
            row: KeySetRow {
                id,
                digest,
                verifier: object.verifier,
                size: bytes.len() as u64,
                added: self.now(),
            },
            added_by: container,
            per_container_max: KEY_SETS_PER_CONTAINER_MAX,
            further,
        };
        let store = self.store(vault).await?;
        store.put(&key_set_key(id), bytes).await?;
        match self.db().add_key_set(vault, new).await? {
            KeySetAdded::Added => Ok(pinned.map(|by| Pinned { done: (), by })),
            KeySetAdded::Exists(row) => same(row, digest).map(|()| None),
            KeySetAdded::TooMany => Err(too_many()),
            KeySetAdded::Foreign => Err(VaultError::MembershipRefused),
            // Two at once: only one can be the first.
            KeySetAdded::Further => Err(VaultError::PinRefused {
                vault: self.vault(vault).await?.name,
            }),
        }
    }

    /// Makes a machine a member of a key set, and of all that hold the same master key. `membership` is the secret that only
    /// who opened the set can know.
    pub async fn join_key_set(
        &self,
        container: ContainerId,
        id: KeySetId,
        membership: &[u8; 32],
    ) -> Result<(), VaultError> {
        let vault = self.container(container).await?.vault;
        let row = self.db().key_set(vault, id).await?.ok_or(VaultError::KeySetNotFound)?;
        // Hashes of this type compare in constant time.
        if blake3::hash(membership) != blake3::Hash::from_bytes(*row.verifier.as_bytes()) {
            return Err(VaultError::MembershipRefused);
        }
        Ok(self.db().join_key_set(vault, id, container).await?)
    }
}

fn too_many() -> VaultError {
    VaultError::KeySetRejected {
        why: format!("a machine may add {KEY_SETS_PER_CONTAINER_MAX} key sets, and this one has"),
    }
}

fn parse(id: KeySetId, bytes: &[u8]) -> Result<KeySetObject, VaultError> {
    let rejected = |why: String| VaultError::KeySetRejected { why };
    let object = KeySetObject::decode(bytes).map_err(|error| rejected(error.to_string()))?;
    match object.id == id {
        true => Ok(object),
        false => Err(rejected(format!("it says that its id is {}", object.id))),
    }
}

fn same(row: KeySetRow, digest: Digest) -> Result<(), VaultError> {
    match row.digest == digest {
        true => Ok(()),
        false => Err(VaultError::KeySetExists),
    }
}
