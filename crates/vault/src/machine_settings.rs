//! What machines back up. They seal it: the vault keeps it, and cannot read it.

use bytes::Bytes;
use strongroom_db::MachineSettingsRow;
use strongroom_model::{ContainerId, GENERATION_STEP_MAX, ItemId, KeySetId, SEALED_SETTINGS_BYTES_MAX, VaultId};

use crate::damage::read_whole;
use crate::{VaultError, Vaults, key_set_key};

/// Sealed settings that somebody sends.
#[derive(Clone, Debug)]
pub struct NewMachineSettings {
    /// The key set that they are sealed with.
    pub key_set: KeySetId,
    /// Their generation.
    pub generation: u64,
    /// The sealed bytes.
    pub sealed: Vec<u8>,
}

impl Vaults {
    /// The settings of an item's machine, if it has sent any.
    pub async fn machine_settings(&self, item: ItemId) -> Result<Option<MachineSettingsRow>, VaultError> {
        Ok(self.db().machine_settings(item).await?)
    }

    /// Takes a machine's settings from itself: sealed with a key set that it is a member of. `seen` is the generation that
    /// they are made from, if that matters.
    pub async fn change_own_settings(
        &self,
        container: ContainerId,
        new: NewMachineSettings,
        seen: Option<u64>,
    ) -> Result<MachineSettingsRow, VaultError> {
        let item = self.container(container).await?.item;
        if !self.db().joined_key_sets(container).await?.contains(&new.key_set) {
            return Err(VaultError::KeySetNotFound);
        }
        self.keep_machine_settings(item, new, seen).await
    }

    /// Takes the settings of an item's machine from somebody who has opened their key set.
    pub async fn change_machine_settings(
        &self,
        vault: VaultId,
        item: ItemId,
        new: NewMachineSettings,
        seen: Option<u64>,
    ) -> Result<MachineSettingsRow, VaultError> {
        let known = self.db().key_set(vault, new.key_set).await?;
        known.ok_or(VaultError::KeySetNotFound)?;
        self.keep_machine_settings(item, new, seen).await
    }

    /// The object of a key set, if it is whole.
    pub async fn key_set_object(&self, vault: VaultId, id: KeySetId) -> Result<Option<Bytes>, VaultError> {
        let Some(row) = self.db().key_set(vault, id).await? else {
            return Ok(None);
        };
        let store = self.store(vault).await?;
        Ok(read_whole(&*store, &key_set_key(id), row.size, row.digest).await?.ok())
    }

    async fn keep_machine_settings(
        &self,
        item: ItemId,
        new: NewMachineSettings,
        seen: Option<u64>,
    ) -> Result<MachineSettingsRow, VaultError> {
        let length = new.sealed.len();
        if length == 0 || length > SEALED_SETTINGS_BYTES_MAX {
            let why = format!("sealed settings have 1 to {SEALED_SETTINGS_BYTES_MAX} bytes, and these have {length}");
            return Err(VaultError::SettingsRefused { why });
        }
        let row = MachineSettingsRow {
            key_set: new.key_set,
            generation: new.generation,
            sealed: new.sealed,
            changed: self.now(),
        };
        let decide = |kept: u64| follows(kept, row.generation, seen);
        let put = self.db().put_machine_settings(item, &row, decide).await?;
        put.ok_or(VaultError::ItemNotFound)??;
        Ok(row)
    }
}

/// Whether a generation may come after the one that is kept, of which the caller has seen `seen`.
fn follows(kept: u64, generation: u64, seen: Option<u64>) -> Result<(), VaultError> {
    if seen.is_some_and(|seen| seen != kept) || generation <= kept {
        return Err(VaultError::OtherVersion { version: kept });
    }
    match generation - kept <= GENERATION_STEP_MAX {
        true => Ok(()),
        false => Err(VaultError::SettingsRefused {
            why: format!(
                "generation {generation} cannot come after {kept}: it goes up by at most {GENERATION_STEP_MAX} at once"
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_grow_by_little_and_from_what_was_seen() {
        for (kept, generation, seen, fine) in [
            (0, 1, Some(0), true),
            (0, 1, None, true),
            (3, 4, Some(3), true),
            (3, 9, Some(3), true),
            (3, 4, Some(2), false),
            (3, 3, Some(3), false),
            (3, 2, None, false),
            (3, 1003, Some(3), true),
            (3, 1004, Some(3), false),
            (3, u64::MAX, None, false),
        ] {
            assert_eq!(
                follows(kept, generation, seen).is_ok(),
                fine,
                "{kept} {generation} {seen:?}"
            );
        }
    }
}
