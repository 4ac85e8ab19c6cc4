//! One operation, from its row in the table of routes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::schemas::Schemas;
use super::{parameter, security};
use crate::routes::{Body, Header, Method, Route, Shape};
use crate::{Code, MEMBERSHIP_HEADER, PROBLEM_CONTENT_TYPE, Problem, SECURITY_PIN_HEADER, SEED_HEADER};

pub(super) fn operation(route: &Route, schemas: &mut Schemas) -> Value {
    let (security, needs) = security::needed(route.permission);
    let mut operation = json!({
        "operationId": id(route),
        "tags": [tag(route)],
        "summary": route.summary,
        "description": needs,
        "security": security,
        "x-permission": route.permission,
        "parameters": parameters(route, schemas),
        "responses": responses(route, schemas),
    });
    if let Some(body) = content(route.request, |shape| schemas.sent(shape)) {
        let limit = format!("At most {} bytes.", route.request.bytes_max());
        let required = !matches!(route.request, Body::Identities);
        operation["requestBody"] = json!({"required": required, "description": limit, "content": body});
    }
    operation
}

/// The name of the route, as names are in JavaScript.
fn id(route: &Route) -> String {
    let name = format!("{:?}", route.id);
    name[..1].to_ascii_lowercase() + &name[1..]
}

/// What it is about: the first word of the path behind the version, or of what is in a vault.
fn tag(route: &Route) -> &'static str {
    let below = route.path.strip_prefix("/api/v1/").unwrap_or("service");
    let inner = below.strip_prefix("vaults/{vault}/").unwrap_or(below);
    inner.split('/').next().unwrap_or(inner)
}

fn parameters(route: &Route, schemas: &mut Schemas) -> Vec<Value> {
    let mut all = Vec::new();
    for name in route.parameters() {
        let known = parameter(name).unwrap_or_else(|| panic!("no parameter of paths is called {name}"));
        let schema = schemas.sent(known.shape);
        all.push(json!({"name": name, "in": "path", "required": true, "description": known.what, "schema": schema}));
    }
    for (name, mut schema, required) in route.query.map(|query| schemas.query(query)).unwrap_or_default() {
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        all.push(
            json!({"name": name, "in": "query", "required": required, "description": description, "schema": schema}),
        );
    }
    for (header, name, says, schema) in [
        (
            Header::IfMatch,
            "If-Match",
            "An `ETag` that was given: the change is made only if that is the version still. `*`, or none: whatever it is.",
            json!({"type": "string", "pattern": r#"^(\*|(W/)?"[0-9]{1,18}")$"#}),
        ),
        (
            Header::SecurityPin,
            SECURITY_PIN_HEADER,
            "A security PIN: six digits, good for five minutes and once.",
            json!({"type": "string", "pattern": "^[0-9]{6}$"}),
        ),
        (
            Header::Membership,
            MEMBERSHIP_HEADER,
            "The membership secret of a key set, in hexadecimal: for this one request, the machine reads what machines of that set made.",
            json!({"type": "string", "pattern": "^[0-9a-fA-F]{64}$"}),
        ),
        (
            Header::Seed,
            SEED_HEADER,
            "What the machine that made the seed says of it, signed with its key: a JSON Web Token.",
            json!({"type": "string"}),
        ),
        (
            Header::IfNoneMatch,
            "If-None-Match",
            "An `ETag` that was given: if that is the version still, it is not sent again.",
            json!({"type": "string"}),
        ),
    ] {
        if route.has(header) {
            all.push(json!({"name": name, "in": "header", "required": false, "description": says, "schema": schema}));
        }
    }
    all
}

/// What a body is by its media type; `None`: there is none.
fn content(body: Body, schema: impl FnOnce(Shape) -> Value) -> Option<Value> {
    let mut described = match body {
        Body::Json(shape) | Body::Form(shape) => json!({"schema": schema(shape)}),
        // OpenAPI 3.1 has no word for a schema of each line.
        Body::Lines(shape) => json!({"schema": {"type": "string"}, "x-line": schema(shape)}),
        Body::Text | Body::Figures | Body::Page | Body::PageForm => json!({"schema": {"type": "string"}}),
        Body::Octets { .. } | Body::Identities | Body::Frames => json!({}),
        Body::Empty => return None,
    };
    if matches!(body, Body::Octets { .. } | Body::Identities) {
        described["schema"] = json!({"type": "string", "format": "binary", "maxLength": body.bytes_max()});
    }
    let mut content = Map::new();
    content.insert(body.media_type()?.to_owned(), described);
    Some(Value::Object(content))
}

fn responses(route: &Route, schemas: &mut Schemas) -> Value {
    let mut all = Map::new();
    all.insert(route.status.to_string(), success(route, schemas));
    if route.has(Header::IfNoneMatch) {
        let headers = headers(route, &[("ETag", ETAG)]);
        all.insert(
            "304".to_owned(),
            json!({"description": "The caller has this version.", "headers": headers}),
        );
    }
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in route.refusals() {
        by_status.entry(code.status()).or_default().push(code);
    }
    for (status, codes) in by_status {
        all.insert(status.to_string(), refusal(route, status, &codes, schemas));
    }
    Value::Object(all)
}

const ETAG: &str = "The version of what is shown.";
const REQUEST_ID: &str = "The id of the request, as the logs of the service have it.";

fn success(route: &Route, schemas: &mut Schemas) -> Value {
    let mut more = Vec::new();
    if route.has(Header::ETag) {
        more.push(("ETag", ETAG));
    }
    if route.has(Header::Location) {
        more.push(("Location", "Where it is found."));
    }
    let mut described = json!({"description": "Done.", "headers": headers(route, &more)});
    if let Some(content) = content(route.response, |shape| schemas.answered(shape)) {
        described["content"] = content;
    }
    described
}

/// The headers of an answer; each is always there.
fn headers(route: &Route, more: &[(&str, &str)]) -> Value {
    debug_assert!(route.method != Method::HEAD, "the answers to HEAD are those to GET");
    let header = |&(name, says): &(&str, &str)| {
        let schema = match name {
            "Retry-After" => json!({"type": "integer", "minimum": 0}),
            "x-request-id" => json!({"type": "string", "format": "uuid"}),
            _ => json!({"type": "string"}),
        };
        (
            name.to_owned(),
            json!({"description": says, "required": true, "schema": schema}),
        )
    };
    let all = more.iter().chain(&[("x-request-id", REQUEST_ID)]);
    Value::Object(all.map(header).collect())
}

fn refusal(route: &Route, status: u16, codes: &[Code], schemas: &mut Schemas) -> Value {
    let problem = schemas.answered(Shape::of::<Problem>());
    let mut more = Vec::new();
    match status {
        401 => more.push(("WWW-Authenticate", "How to sign in: `Bearer`.")),
        429 => more.push(("Retry-After", "For how many seconds to wait.")),
        _ => {}
    }
    let said = codes
        .iter()
        .map(|code| format!("`{}`: {}.", code.as_str(), code.title()));
    let schema = json!({
        "allOf": [problem],
        "properties": {"code": {"enum": codes}, "status": {"const": status}},
    });
    let mut content = Map::new();
    content.insert(PROBLEM_CONTENT_TYPE.to_owned(), json!({"schema": schema}));
    json!({
        "description": said.collect::<Vec<_>>().join(" "),
        "headers": headers(route, &more),
        "content": content,
    })
}
