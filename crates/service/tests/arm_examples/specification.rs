//! Azure's specification: its operations, its examples, and whether a JSON value is what a schema says.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// What `tests/azure/spec/compact.py` made of the specification.
#[derive(Deserialize)]
pub struct Specification {
    /// By method and path.
    pub operations: BTreeMap<String, Operation>,
    definitions: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
pub struct Operation {
    pub id: String,
    /// The name of the parameter that is the body.
    pub body: Option<String>,
    /// The names of the parameters that stand in the query.
    pub query: Vec<String>,
    /// The schema of each answer, by its status; null: it has no body.
    pub responses: BTreeMap<String, Value>,
}

/// One official example.
#[derive(Deserialize)]
pub struct Example {
    /// Its operation, as the key of [`Specification::operations`].
    pub operation: String,
    pub title: String,
    pub file: String,
    pub parameters: serde_json::Map<String, Value>,
    pub responses: BTreeMap<String, Value>,
}

fn read<T: for<'a> Deserialize<'a>>(name: &str) -> T {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/azure/spec");
    let text = std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
    serde_json::from_str(&text).unwrap()
}

pub fn specification() -> Specification {
    read("specification.json")
}

pub fn examples() -> Vec<Example> {
    read("examples.json")
}

impl Specification {
    /// What is wrong with a value; empty if it is what the schema says.
    pub fn faults(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.check(schema, value, "$", &mut faults);
        faults
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        let (schema, name) = self.resolve(schema, value, at, faults);
        match schema["type"].as_str() {
            _ if self.is_object(schema) => self.check_object(schema, name, value, at, faults),
            Some("array") => match value.as_array() {
                None => faults.push(format!("{at} is no list")),
                Some(members) => {
                    for (index, member) in members.iter().enumerate() {
                        self.check(&schema["items"], member, &format!("{at}[{index}]"), faults);
                    }
                }
            },
            Some(kind) => check_plain(schema, kind, value, at, faults),
            None => {}
        }
    }

    /// The schema itself: what a reference means, and of a polymorphic one the kind that the value says.
    fn resolve<'a>(
        &'a self,
        schema: &'a Value,
        value: &Value,
        at: &str,
        faults: &mut Vec<String>,
    ) -> (&'a Value, &'a str) {
        let Some(name) = schema["$ref"].as_str() else {
            return (schema, "");
        };
        let base = &self.definitions[name];
        let Some(key) = self.discriminator(base) else {
            return (base, name);
        };
        let said = value[key].as_str().unwrap_or_default();
        let known = self.definitions.iter().find(|(candidate, definition)| {
            let means = definition["x-ms-discriminator-value"].as_str();
            let means = means.unwrap_or_else(|| candidate.rsplit('.').next().unwrap());
            means == said && self.derives(candidate, name)
        });
        match known {
            Some((name, definition)) => (definition, name),
            None => {
                faults.push(format!("{at}.{key} is {said:?}, which is no {name}"));
                (base, name)
            }
        }
    }

    fn discriminator<'a>(&'a self, definition: &'a Value) -> Option<&'a str> {
        let own = definition["discriminator"].as_str();
        own.or_else(|| {
            self.parents(definition)
                .find_map(|(_, parent)| self.discriminator(parent))
        })
    }

    fn derives(&self, candidate: &str, from: &str) -> bool {
        let mut parents = self.parents(&self.definitions[candidate]);
        candidate == from || parents.any(|(name, _)| self.derives(name, from))
    }

    fn parents<'a>(&'a self, definition: &'a Value) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let all = definition["allOf"].as_array().into_iter().flatten();
        all.filter_map(|parent| {
            let name = parent["$ref"].as_str()?;
            Some((name, &self.definitions[name]))
        })
    }

    fn is_object(&self, schema: &Value) -> bool {
        schema["type"] == "object" || schema["properties"].is_object() || schema["allOf"].is_array()
    }

    fn check_object(&self, schema: &Value, name: &str, value: &Value, at: &str, faults: &mut Vec<String>) {
        let Some(members) = value.as_object() else {
            return faults.push(format!("{at} is no object"));
        };
        let (mut known, mut required) = (BTreeMap::new(), Vec::new());
        self.collect(schema, &mut known, &mut required);
        for missing in required.iter().filter(|key| !members.contains_key(**key)) {
            faults.push(format!("{at}.{missing} is missing"));
        }
        for (key, member) in members {
            let at = format!("{at}.{key}");
            match known.get(key.as_str()) {
                // Azure itself says null for what it has not.
                Some(_) if member.is_null() && !required.contains(&key.as_str()) => {}
                Some(schema) => self.check(schema, member, &at, faults),
                None if schema["additionalProperties"].is_object() => {
                    self.check(&schema["additionalProperties"], member, &at, faults);
                }
                None if known.is_empty() => {}
                None => faults.push(format!("{at} is not known of a {name}")),
            }
        }
    }

    fn collect<'a>(&'a self, schema: &'a Value, known: &mut BTreeMap<&'a str, &'a Value>, required: &mut Vec<&'a str>) {
        for (_, parent) in self.parents(schema) {
            self.collect(parent, known, required);
        }
        let properties = schema["properties"].as_object().into_iter().flatten();
        known.extend(properties.map(|(key, schema)| (key.as_str(), schema)));
        required.extend(
            schema["required"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str),
        );
    }
}

fn check_plain(schema: &Value, kind: &str, value: &Value, at: &str, faults: &mut Vec<String>) {
    let right = match kind {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => true,
    };
    if !right {
        return faults.push(format!("{at} is {value}, no {kind}"));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        faults.push(format!("{at} is {value}, none of its words"));
    }
    let text = value.as_str().unwrap_or_default();
    let right = match schema["format"].as_str() {
        // Azure's own year 1 comes without a zone.
        Some("date-time") => text.parse::<jiff::Timestamp>().is_ok() || text.parse::<jiff::civil::DateTime>().is_ok(),
        Some("duration") => text.parse::<jiff::SignedDuration>().is_ok(),
        Some("uuid") => uuid::Uuid::try_parse(text).is_ok(),
        _ => true,
    };
    if !right {
        faults.push(format!("{at} is {text:?}, no {}", schema["format"]));
    }
}
