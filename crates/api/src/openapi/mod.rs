//! The description of the native API, in OpenAPI 3.1: made from the table of routes and the types that travel, so that it says
//! what they say.

mod operation;
mod parameter;
mod schemas;
mod security;

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::routes::ROUTES;
use operation::operation;
pub(crate) use parameter::parameter;
use schemas::Schemas;

/// What stands before the operations.
const DESCRIPTION: &str = "Everything that Strongroom's own command line, portal and agents do.

Refusals are problem details (RFC 9457) with a stable `code`. What has a `version` gives it as `ETag` too; with `If-Match` a \
change is made only if nobody else changed the thing since. Lists that can be long come in pages: the `next` of one page asks \
for the one after it. Every answer of an operation has an `x-request-id`, which the service's log and the audit log have too.

The interface of Azure Resource Manager, which the same service offers, is described by Azure; \
docs/azure-compatibility.md says which of its operations there are.";

/// The document, as it is served.
pub fn openapi() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let mut text = serde_json::to_string_pretty(&document()).expect("plain values always serialise");
        text.push('\n');
        text
    });
    &TEXT
}

fn document() -> Value {
    let mut schemas = Schemas::default();
    let mut paths = Map::new();
    for route in ROUTES.iter().filter(|route| route.is_described()) {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        let method = route.method.as_str().to_ascii_lowercase();
        path[method] = operation(route, &mut schemas);
    }
    let mut document = json!({
        "openapi": "3.1.1",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Strongroom",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT"},
            "description": DESCRIPTION,
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "securitySchemes": security::schemes(),
        },
    });
    document["components"]["schemas"] = schemas.finish(&mut document["paths"]);
    document
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::Code;

    /// Calls `see` with every value in a value.
    fn walk<'a>(value: &'a Value, see: &mut impl FnMut(&'a Value)) {
        see(value);
        match value {
            Value::Object(members) => members.values().for_each(|member| walk(member, see)),
            Value::Array(members) => members.iter().for_each(|member| walk(member, see)),
            _ => {}
        }
    }

    #[test]
    fn every_route_is_described_once() {
        let document = document();
        let mut ids = HashSet::new();
        for route in ROUTES.iter().filter(|route| route.is_described()) {
            let operation = &document["paths"][route.path][route.method.as_str().to_ascii_lowercase()];
            let id = operation["operationId"]
                .as_str()
                .unwrap_or_else(|| panic!("{}", route.path));
            assert!(ids.insert(id), "{id} twice");
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let named: Vec<_> = parameters
                .filter(|one| one["in"] == "path")
                .map(|one| one["name"].as_str().unwrap())
                .collect();
            assert_eq!(named, route.parameters().collect::<Vec<_>>(), "{}", route.path);
        }
        let left_out: Vec<_> = ROUTES
            .iter()
            .filter(|route| !route.is_described())
            .map(|route| route.path)
            .collect();
        assert_eq!(
            left_out,
            [
                "/device",
                "/device",
                "/authorize",
                "/authorize",
                "/external/{provider}",
                "/welcome",
                "/welcome"
            ]
        );
    }

    #[test]
    fn every_reference_leads_somewhere_and_everything_is_referred_to() {
        let document = document();
        let mut referred = HashSet::new();
        walk(&document, &mut |value| {
            if let Some(target) = value.get("$ref").and_then(Value::as_str) {
                assert!(
                    document.pointer(target.strip_prefix('#').unwrap()).is_some(),
                    "{target}"
                );
                referred.insert(target.to_owned());
            }
        });
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            assert!(referred.contains(&format!("#/components/schemas/{name}")), "{name}");
        }
    }

    #[test]
    fn every_member_of_every_type_is_explained() {
        let document = document();
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            for (member, schema) in schema["properties"].as_object().into_iter().flatten() {
                let says = ["description", "$ref", "const"]
                    .iter()
                    .any(|key| schema.get(key).is_some());
                assert!(says, "{name}.{member}: {schema}");
            }
        }
        walk(&document, &mut |value| {
            if let Some(text) = value.get("description").and_then(Value::as_str) {
                assert!(
                    !text.contains("[`") && !text.contains("crate::"),
                    "for people who read code: {text}"
                );
            }
        });
    }

    #[test]
    fn every_code_can_be_met() {
        let met: HashSet<Code> = ROUTES.iter().flat_map(|route| route.refusals()).collect();
        // Answered where there is no such route.
        let elsewhere = [Code::NotFound, Code::MethodNotAllowed];
        for code in Code::ALL {
            assert!(met.contains(code) != elsewhere.contains(code), "{code:?}");
        }
    }
}
