//! Settings, sealed for the vault: who has opened their key set reads and changes them, and nobody else.
//!
//! Plain is JSON. Item and generation are authenticated with it: the vault can neither give one machine another's settings,
//! nor pass older ones for newer.

use strongroom_api::SealedSettings;
use strongroom_model::{ItemId, KeySetId, MachineSettings, SEALED_SETTINGS_BYTES_MAX};
use strongroom_seal::{DataKeys, Level, Opener, SealKind, Sealer};

use crate::error::AgentError;

/// The most plain bytes.
const PLAIN_BYTES_MAX: usize = 1 << 20;

/// How hard they are compressed: they are small, and seldom sealed.
const LEVEL: i32 = 3;

/// Seals the settings of an item's machine as this generation.
///
/// # Errors
/// When they are too long.
pub fn seal_settings(
    settings: &MachineSettings,
    item: ItemId,
    generation: u64,
    (key_set, keys): (KeySetId, &DataKeys),
) -> Result<SealedSettings, AgentError> {
    let plain = serde_json::to_vec(settings).expect("plain fields always serialise");
    let mut sealed = Vec::new();
    if plain.len() <= PLAIN_BYTES_MAX {
        let level = Level::new(LEVEL).expect("the level is in range");
        let aad = additional(item, generation);
        Sealer::new(keys, level).seal(SealKind::Settings, &aad, &plain, &mut sealed);
    }
    match sealed.is_empty() || sealed.len() > SEALED_SETTINGS_BYTES_MAX {
        true => Err(AgentError::Settings(
            "they are too long to be kept: let one pattern stand for many paths".to_owned(),
        )),
        false => Ok(SealedSettings {
            key_set,
            generation,
            sealed,
        }),
    }
}

/// Opens the settings of an item's machine.
///
/// # Errors
/// With a reason, when they were sealed with other keys, for another item or generation, or are not written as they
/// should be.
pub fn open_settings(
    kept: &SealedSettings,
    item: ItemId,
    (key_set, keys): (KeySetId, &DataKeys),
) -> Result<MachineSettings, String> {
    if kept.key_set != key_set {
        return Err("they were sealed with another passphrase".to_owned());
    }
    let mut plain = Vec::new();
    let aad = additional(item, kept.generation);
    Opener::new(keys)
        .open(SealKind::Settings, &aad, &kept.sealed, PLAIN_BYTES_MAX, &mut plain)
        .map_err(|error| error.to_string())?;
    let settings: MachineSettings = serde_json::from_slice(&plain).map_err(|error| error.to_string())?;
    match settings.refused() {
        Some(why) => Err(why),
        None => Ok(settings),
    }
}

fn additional(item: ItemId, generation: u64) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..16].copy_from_slice(item.as_bytes());
    bytes[16..].copy_from_slice(&generation.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use strongroom_seal::MasterKey;

    use super::*;

    #[test]
    fn what_was_sealed_opens_as_itself_and_as_nothing_else() {
        let (keys, others) = (MasterKey::generate().keys(), MasterKey::generate().keys());
        let set = KeySetId::from_bytes([1; 16]);
        let (item, other_item) = (ItemId::from_bytes([2; 16]), ItemId::from_bytes([3; 16]));
        let settings = MachineSettings {
            paths: vec!["/srv/secret".to_owned()],
            ..MachineSettings::default()
        };
        let sealed = seal_settings(&settings, item, 7, (set, &keys)).unwrap();
        assert!(!sealed.sealed.windows(6).any(|window| window == b"secret"));
        assert_eq!(open_settings(&sealed, item, (set, &keys)), Ok(settings));
        let older = SealedSettings {
            generation: 8,
            ..sealed.clone()
        };
        let mut flipped = sealed.clone();
        flipped.sealed[40] ^= 1;
        for (wrong, item, keys) in [
            (&sealed, other_item, &keys),
            (&sealed, item, &others),
            (&older, item, &keys),
            (&flipped, item, &keys),
        ] {
            let refused = open_settings(wrong, item, (set, keys)).unwrap_err();
            assert!(refused.contains("not authentic"), "{refused}");
        }
        let other_set = KeySetId::from_bytes([4; 16]);
        let refused = open_settings(&sealed, item, (other_set, &keys)).unwrap_err();
        assert!(refused.contains("another passphrase"), "{refused}");
    }

    #[test]
    fn what_is_too_long_is_refused_with_the_way_out() {
        let keys = MasterKey::generate().keys();
        // Hashes, so that it does not compress.
        let pattern = |n: u32| blake3::hash(&n.to_le_bytes()).to_hex().repeat(60);
        let settings = MachineSettings {
            exclude: (0..200).map(pattern).collect(),
            ..MachineSettings::default()
        };
        let ids = (ItemId::from_bytes([2; 16]), KeySetId::from_bytes([1; 16]));
        assert!(
            seal_settings(&settings, ids.0, 1, (ids.1, &keys)).is_ok(),
            "it repeats itself"
        );
        let numbers = (0..4096_u32).map(|n| n.to_string());
        let settings = MachineSettings {
            exclude: numbers.map(|n| blake3::hash(n.as_bytes()).to_hex().repeat(8)).collect(),
            ..MachineSettings::default()
        };
        let refused = seal_settings(&settings, ids.0, 1, (ids.1, &keys)).unwrap_err();
        assert!(refused.to_string().contains("one pattern"), "{refused}");
    }
}
