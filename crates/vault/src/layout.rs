//! Where objects lie in a vault's store: `packs/aa/<hash>`, `points/<item>/<id>`, `keys/<id>`, `vault.json`.

use strongroom_model::{ItemId, KeySetId, PackId, PointId};
use strongroom_store::Key;

/// The key of a pack: its first byte is a folder, so that no folder has too many.
pub fn pack_key(pack: PackId) -> Key {
    let name = pack.to_string();
    key(format!("packs/{}/{name}", &name[..2]))
}

/// The key of a recovery point object.
pub fn point_key(item: ItemId, point: PointId) -> Key {
    key(format!("points/{item}/{point}"))
}

/// The key of a key set object.
pub fn key_set_key(key_set: KeySetId) -> Key {
    key(format!("keys/{key_set}"))
}

/// The key of the file that says what the vault is.
pub fn vault_file_key() -> Key {
    key("vault.json".to_owned())
}

fn key(text: String) -> Key {
    Key::new(&text).expect("ids and hashes are legal segments")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let pack = pack_key(PackId::from_bytes([0xab; 32]));
        assert_eq!(pack.as_str(), format!("packs/ab/{}", "ab".repeat(32)));
        let id = "00000000-0000-7000-8000-000000000001";
        let point = point_key(id.parse().unwrap(), id.parse().unwrap());
        assert_eq!(point.as_str(), format!("points/{id}/{id}"));
        assert_eq!(key_set_key(id.parse().unwrap()).as_str(), format!("keys/{id}"));
        assert_eq!(vault_file_key().as_str(), "vault.json");
    }
}
