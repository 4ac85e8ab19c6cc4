//! What this QEMU can do, by its own schema rather than by its version: distributions take over single features.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a QEMU can do that a point needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// A point can be given up so that the guest's writes go on (`on-cbw-error` of `copy-before-write`, since 7.1).
    pub guest_comes_first: bool,
    /// What was can be read beside what is (`snapshot-access`, since 7.0).
    pub snapshot_access: bool,
}

impl Capabilities {
    /// Whether points can be made.
    pub fn suffice(self) -> bool {
        self.guest_comes_first && self.snapshot_access
    }

    /// From what `query-qmp-schema` answers. Its types have numbers for names, so they are followed from the command.
    pub(crate) fn of_schema(schema: &[Value]) -> Self {
        let entities = schema
            .iter()
            .filter_map(|entity| Some((entity["name"].as_str()?, entity)));
        let entities: BTreeMap<&str, &Value> = entities.collect();
        let get = |name: &Value| name.as_str().and_then(|name| entities.get(name)).copied();
        let list = |of: &Value, key: &str| of[key].as_array().cloned().unwrap_or_default();
        let command = entities.get("blockdev-add").copied().unwrap_or(&Value::Null);
        let drivers = get(&command["arg-type"])
            .map(|options| list(options, "variants"))
            .unwrap_or_default();
        let driver = |name: &str| drivers.iter().find(|driver| driver["case"] == name);
        let filter = driver("copy-before-write").and_then(|driver| get(&driver["type"]));
        let members = filter.map(|filter| list(filter, "members")).unwrap_or_default();
        Self {
            guest_comes_first: members.iter().any(|member| member["name"] == "on-cbw-error"),
            snapshot_access: driver("snapshot-access").is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn features_are_found_by_following_the_types() {
        let schema = |member: &str| {
            vec![
                json!({"name": "blockdev-add", "meta-type": "command", "arg-type": "1"}),
                json!({"name": "1", "variants": [{"case": "copy-before-write", "type": "2"}, {"case": "snapshot-access", "type": "3"}]}),
                json!({"name": "2", "members": [{"name": "target"}, {"name": member}]}),
            ]
        };
        assert!(Capabilities::of_schema(&schema("on-cbw-error")).suffice());
        assert!(!Capabilities::of_schema(&schema("other")).suffice());
        assert!(!Capabilities::of_schema(&[]).suffice());
    }
}
