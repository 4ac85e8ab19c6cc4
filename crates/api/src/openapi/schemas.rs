//! The schemas of the types that travel, from their declarations.

use std::collections::BTreeSet;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::routes::Shape;

const AT: &str = "#/components/schemas/";

/// Behind the name of a type that is written otherwise than it is read: some members may be left out of a request which are
/// in every answer.
const SENT: &str = "Input";

/// Collects the types that operations refer to.
pub(super) struct Schemas {
    sent: SchemaGenerator,
    answered: SchemaGenerator,
}

impl Default for Schemas {
    fn default() -> Self {
        let mut settings = SchemaSettings::draft2020_12();
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
        Self {
            sent: settings.clone().for_deserialize().into_generator(),
            answered: settings.for_serialize().into_generator(),
        }
    }
}

impl Schemas {
    /// What a client may send.
    pub(super) fn sent(&mut self, shape: Shape) -> Value {
        let mut schema = plain((shape.0)(&mut self.sent).to_value());
        // Told from those of answers until it is known whether they differ.
        rename(&mut schema, &mut |name| name.push_str(SENT));
        schema
    }

    /// What the service answers.
    pub(super) fn answered(&mut self, shape: Shape) -> Value {
        plain((shape.0)(&mut self.answered).to_value())
    }

    /// The members of a query, each with whether it is needed.
    pub(super) fn query(&mut self, shape: Shape) -> Vec<(String, Value, bool)> {
        let schema = (shape.0)(&mut self.sent).to_value();
        let name = schema["$ref"].as_str().and_then(|target| target.strip_prefix(AT));
        let name = name.expect("a query is a struct").to_owned();
        // Its members become parameters: the struct itself is nothing that travels.
        let object = self
            .sent
            .definitions_mut()
            .remove(&name)
            .expect("it was just put there");
        let needed: Vec<&str> = object["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let members = object["properties"].as_object().into_iter().flatten();
        members
            .map(|(name, schema)| {
                let mut schema = plain(schema.clone());
                never_null(&mut schema);
                rename(&mut schema, &mut |name| name.push_str(SENT));
                (name.clone(), schema, needed.contains(&name.as_str()))
            })
            .collect()
    }

    /// All schemas by name. A type that looks the same in requests and answers is there once, and `paths` refer to it.
    pub(super) fn finish(mut self, paths: &mut Value) -> Value {
        let sent = self.sent.take_definitions(true);
        let mut all = self.answered.take_definitions(true);
        let differ = differing(&sent, &all);
        let mut settle = |name: &mut String| {
            if let Some(plain) = name.strip_suffix(SENT)
                && !differ.contains(plain)
            {
                name.truncate(plain.len());
            }
        };
        rename(paths, &mut settle);
        for (name, mut schema) in sent {
            rename(&mut schema, &mut |name| {
                name.push_str(SENT);
                settle(name);
            });
            let mut name = name + SENT;
            settle(&mut name);
            all.entry(name).or_insert(schema);
        }
        plain(Value::Object(all))
    }
}

/// The names of types that look otherwise in requests than in answers, also if only something that they refer to does.
fn differing(sent: &Map<String, Value>, answered: &Map<String, Value>) -> BTreeSet<String> {
    let both = sent.iter().filter(|(name, _)| answered.contains_key(*name));
    let unlike = both.clone().filter(|(name, schema)| answered[*name] != **schema);
    let mut differ: BTreeSet<String> = unlike.map(|(name, _)| name.clone()).collect();
    loop {
        let count = differ.len();
        for (name, schema) in both.clone() {
            let mut refers = false;
            rename(&mut schema.clone(), &mut |target| refers |= differ.contains(target));
            if refers {
                differ.insert(name.clone());
            }
        }
        if differ.len() == count {
            return differ;
        }
    }
}

/// Changes the names that a schema refers to.
fn rename(value: &mut Value, change: &mut impl FnMut(&mut String)) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                match member.as_str().and_then(|target| target.strip_prefix(AT)) {
                    Some(name) if key == "$ref" => {
                        let mut name = name.to_owned();
                        change(&mut name);
                        *member = Value::String(format!("{AT}{name}"));
                    }
                    _ => rename(member, change),
                }
            }
        }
        Value::Array(members) => members.iter_mut().for_each(|member| rename(member, change)),
        _ => {}
    }
}

/// Takes what is for readers of the code out of descriptions: links, and the breaks of their lines.
fn plain(mut value: Value) -> Value {
    tidy(&mut value);
    value
}

/// No text has a NUL (`service::incoming`): PostgreSQL could not keep it.
const TEXT: &str = r"^[^\x00]*$";

/// A time of the day, as jiff reads and writes it.
const TIME: &str = r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$";

fn tidy(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if is_text(members) {
                tidy_text(members);
            }
            if let Some((least, most)) = bounds(members) {
                members.entry("minimum").or_insert(least.into());
                members.entry("maximum").or_insert(most.into());
            }
            if let Some(Value::String(text)) = members.get_mut("description") {
                *text = text
                    .replace("[`", "`")
                    .replace("`]", "`")
                    .replace("crate::", "")
                    .replace('\n', " ");
            }
            members.values_mut().for_each(tidy);
        }
        Value::Array(members) => members.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn is_text(schema: &Map<String, Value>) -> bool {
    let text = Value::from("string");
    match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.contains(&text),
        kind => kind == Some(&text),
    }
}

/// What a whole number can be, from the name of its type: validators do not know these names.
fn bounds(schema: &Map<String, Value>) -> Option<(i64, u64)> {
    Some(match schema.get("format")?.as_str()? {
        "uint8" => (0, u8::MAX.into()),
        "uint16" => (0, u16::MAX.into()),
        "uint32" => (0, u32::MAX.into()),
        "uint64" => (0, u64::MAX),
        "int8" => (i8::MIN.into(), i8::MAX as u64),
        "int16" => (i16::MIN.into(), i16::MAX as u64),
        "int32" => (i32::MIN.into(), i32::MAX as u64),
        "int64" => (i64::MIN, i64::MAX as u64),
        _ => return None,
    })
}

/// Says what every text must be like, and moves what is said of a text that may be null to the text.
fn tidy_text(schema: &mut Map<String, Value>) {
    match schema.get("format").and_then(Value::as_str) {
        Some("partial-time") => {
            schema.remove("format");
            schema.insert("pattern".to_owned(), TIME.into());
        }
        None | Some("password") => {
            let says = ["pattern", "enum", "const", "contentEncoding"]
                .iter()
                .any(|key| schema.contains_key(*key));
            if !says {
                schema.insert("pattern".to_owned(), TEXT.into());
            }
        }
        Some(_) => {}
    }
    if schema["type"].is_array() {
        let mut text = Map::from_iter([("type".to_owned(), "string".into())]);
        for key in ["format", "pattern", "minLength", "maxLength", "enum"] {
            text.extend(schema.remove_entry(key));
        }
        schema.remove("type");
        schema.insert("anyOf".to_owned(), json!([text, {"type": "null"}]));
    }
}

/// A parameter is there or not; it cannot be null.
fn never_null(schema: &mut Value) {
    let null = Value::from("null");
    if let Some(Value::Array(kinds)) = schema.get_mut("type") {
        kinds.retain(|kind| *kind != null);
        if let [kind] = &kinds[..] {
            schema["type"] = kind.clone();
        }
    }
    if let Some(Value::Array(ways)) = schema.get_mut("anyOf") {
        ways.retain(|way| way["type"] != null);
        if let [way] = &ways[..] {
            let mut way = way.clone();
            if let Some(text) = schema.get("description") {
                way["description"] = text.clone();
            }
            *schema = way;
        }
    }
}
