//! What a client said about a vault, kept so that it reads the same again.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::error::{ArmError, ArmResult};
use super::loose::Loose;

/// Properties of a vault that are said and read again, and change nothing here.
const SAID: [&str; 5] = [
    "publicNetworkAccess",
    "monitoringSettings",
    "costManagementSettings",
    "restoreSettings",
    "resourceGuardOperationRequests",
];

/// The longest record, in bytes.
const BYTES_MAX: usize = 64 << 10;

/// What is kept of a vault for Azure's clients.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    pub(crate) tags: Map<String, Value>,
    /// `SAID` properties, by their names.
    pub(crate) said: Map<String, Value>,
    /// Extended information.
    pub(crate) extended: Option<Map<String, Value>>,
}

impl Record {
    /// Takes over what a body says: what it does not mention stays.
    pub(crate) fn take(&mut self, body: &Loose<'_>) -> ArmResult<()> {
        if let Some(tags) = tags(body)? {
            self.tags = tags;
        }
        let Some(properties) = body.get("properties") else {
            return Ok(());
        };
        for name in SAID {
            if let Some(said) = properties.get(name) {
                merge(self.said.entry(name).or_insert(Value::Null), said.value());
            }
        }
        Ok(())
    }

    pub(crate) fn text(&self) -> ArmResult<String> {
        let text = serde_json::to_string(self).expect("plain fields always serialise");
        match text.len() <= BYTES_MAX {
            true => Ok(text),
            false => Err(ArmError::bad(
                "InvalidRequestContent",
                "Tags and settings are too long to be kept.",
            )),
        }
    }

    /// What was said, or what Azure says by itself.
    pub(crate) fn said(&self) -> Map<String, Value> {
        let mut said = self.said.clone();
        said.entry("publicNetworkAccess").or_insert_with(|| json!("Enabled"));
        said
    }
}

/// The tags of a body, if it mentions any: at most 50, of text.
pub(crate) fn tags(body: &Loose<'_>) -> ArmResult<Option<Map<String, Value>>> {
    let Some(tags) = body.get("tags") else {
        return Ok(None);
    };
    let members = tags
        .value()
        .as_object()
        .ok_or_else(|| tags.wrong("they must be names with texts"))?;
    let mut kept = Map::new();
    for (name, value) in members {
        let text = value.as_str().unwrap_or_default();
        if !(value.is_string() || value.is_null()) || name.len() > 512 || text.len() > 256 {
            return Err(tags.wrong("a tag has at most 512 characters, and its text at most 256"));
        }
        kept.insert(name.clone(), text.into());
    }
    match kept.len() <= 50 {
        true => Ok(Some(kept)),
        false => Err(tags.wrong("there are more than 50 of them")),
    }
}

/// Takes over the members of `from`, below each other, as PATCH does.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (into @ Value::Object(_), Value::Object(from)) => {
            for (key, value) in from.iter().filter(|(_, value)| !value.is_null()) {
                merge(&mut into[key.as_str()], value);
            }
        }
        (into, from) => *into = without_nulls(from),
    }
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let said = members.iter().filter(|(_, value)| !value.is_null());
            said.map(|(key, value)| (key.clone(), without_nulls(value)))
                .collect::<Map<_, _>>()
                .into()
        }
        value => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_mentioned_stays() {
        let mut record = Record::default();
        let first = json!({
            "tags": { "a": "1" },
            "properties": { "monitoringSettings": { "x": { "one": "Enabled", "two": null } }, "other": 7 },
        });
        record.take(&Loose::new(&first)).unwrap();
        let second = json!({ "properties": { "monitoringSettings": { "x": { "two": "Disabled" } } } });
        record.take(&Loose::new(&second)).unwrap();
        assert_eq!(record.tags["a"], "1");
        assert_eq!(
            record.said(),
            *json!({
                "monitoringSettings": { "x": { "one": "Enabled", "two": "Disabled" } },
                "publicNetworkAccess": "Enabled",
            })
            .as_object()
            .unwrap()
        );
        let read: Record = serde_json::from_str(&record.text().unwrap()).unwrap();
        assert_eq!(read, record);
    }

    #[test]
    fn tags_are_short_texts() {
        for wrong in [
            json!({ "tags": [] }),
            json!({ "tags": { "a": 1 } }),
            json!({ "tags": { "a": "x".repeat(257) } }),
        ] {
            assert!(tags(&Loose::new(&wrong)).is_err(), "{wrong}");
        }
        assert_eq!(tags(&Loose::new(&json!({ "tags": null }))), Ok(None));
    }
}
