//! The service is as it describes itself. In debug builds every answer of every test is held against its route's row
//! (`gate`); here is what is the same for all routes.

use std::collections::BTreeSet;

use serde_json::Value;
use strongroom_api::Code;
use strongroom_api::routes::{Header, Method, ROUTES, Route};

use crate::world::World;

/// A path of a route, with things in it that are not there.
fn path(route: &Route) -> String {
    let segment = |segment: &str| match segment {
        "{item}" | "{vault}" | "{group}" | "{user}" | "{principal}" | "{policy}" => "absent".to_owned(),
        "{pack}" => "0".repeat(64),
        _ if segment.starts_with('{') => "0199f3a0-7c1e-7b4a-9d2e-5f6a7b8c9d0e".to_owned(),
        _ => segment.to_owned(),
    };
    route.path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn everybody_may_read_the_description_and_keep_it() {
    let world = World::new().await;
    let reply = world.call("GET", "/api/openapi.json", None, b"").await;
    assert_eq!((reply.status, &reply.json()["openapi"]), (200, &Value::from("3.1.1")));
    let tag = reply.header("etag").unwrap();
    for (known, status) in [(tag.as_str(), 304), ("\"x\", *", 304), ("\"x\"", 200)] {
        let request = format!(
            "GET /api/openapi.json HTTP/1.1\r\nhost: test\r\nconnection: close\r\nif-none-match: {known}\r\n\r\n"
        );
        let reply = world.exchange(request.as_bytes()).await;
        assert_eq!(
            (reply.status, reply.body.is_empty()),
            (status, status == 304),
            "{known}"
        );
        assert_eq!(reply.header("etag").as_ref(), Some(&tag));
    }
}

#[tokio::test]
async fn other_methods_are_told_the_right_ones_and_other_addresses_nothing() {
    let world = World::new().await;
    let token = world.administrator_token().await;
    for route in ROUTES {
        let path = path(route);
        let reply = world.call("TRACE", &path, Some(&token), b"").await;
        assert_eq!(
            (reply.status, reply.code().as_deref()),
            (405, Some("MethodNotAllowed")),
            "{path}"
        );
        let allowed = reply
            .header("allow")
            .unwrap_or_else(|| panic!("{path} says nothing of its methods"));
        let allowed: BTreeSet<&str> = allowed.split(',').collect();
        let beside = ROUTES.iter().filter(|other| other.path == route.path);
        let mut right: BTreeSet<&str> = beside.map(|other| other.method.as_str()).collect();
        if right.contains("GET") {
            right.insert("HEAD");
        }
        assert_eq!(allowed, right, "{path}");
        let reply = world
            .call(route.method.as_str(), &format!("{path}/"), Some(&token), b"")
            .await;
        assert_eq!(
            (reply.status, reply.code().as_deref()),
            (404, Some("NotFound")),
            "{path}/"
        );
    }
}

#[tokio::test]
async fn head_is_answered_as_get_without_its_body() {
    let world = World::new().await;
    world.vault("main").await;
    let token = world.administrator_token().await;
    for path in [
        "/api/v1/vaults",
        "/api/v1/vaults/main/settings",
        "/api/v1/vaults/absent",
        "/healthz",
    ] {
        let (get, head) = (
            world.call("GET", path, Some(&token), b"").await,
            world.call("HEAD", path, Some(&token), b"").await,
        );
        assert_eq!(
            (get.status, get.header("content-length")),
            (head.status, head.header("content-length")),
            "{path}"
        );
        assert_eq!(
            (get.header("etag"), head.body.len()),
            (head.header("etag"), 0),
            "{path}"
        );
    }
}

/// Names that are no text, texts that no database keeps, and headers that are no versions: refused in words, by whichever
/// route and database.
#[tokio::test]
async fn what_is_no_text_is_refused_in_words() {
    let world = World::new().await;
    world.vault("main").await;
    let token = world.administrator_token().await;
    for route in ROUTES.iter().filter(|route| route.path.contains('{')) {
        for odd in ["%ff", "%00", "a%00b", "%c3%28"] {
            let begun = route.path.find('{').unwrap();
            let (before, rest) = route.path.split_at(begun);
            let path = format!("{before}{odd}{}", &rest[rest.find('}').unwrap() + 1..]);
            let reply = world.call(route.method.as_str(), &path, Some(&token), b"").await;
            assert_eq!(reply.code().as_deref(), Some("InvalidName"), "{} {path}", route.method);
        }
    }
    let nul = br#"{"name": "a\u0000b", "principal": "a\u0000", "role": "Owner", "scope": "subscription"}"#;
    for (method, path, body) in [
        ("POST", "/api/v1/role-assignments", &nul[..]),
        (
            "POST",
            "/api/v1/token",
            b"grant_type=password&username=a%00b&password=x",
        ),
        ("POST", "/api/v1/device_authorization", b"client_id=a%00b"),
        ("GET", "/api/v1/audit?principal=%00", b""),
        ("GET", "/api/v1/audit/export?action=%00", b""),
        ("GET", "/api/v1/audit?limit=0", b""),
        ("GET", "/api/v1/audit?limit=1001", b""),
        ("GET", "/api/v1/vaults/main/items?after=%00", b""),
        ("GET", "/api/v1/vaults/main/jobs?item=a%00", b""),
        ("GET", "/api/v1/vaults/main/jobs?other=1", b""),
        ("GET", "/api/v1/vaults/main/alerts?before=99999999999999999999", b""),
    ] {
        let reply = world.call(method, path, Some(&token), body).await;
        assert_eq!(
            (reply.status, reply.code().as_deref()),
            (400, Some("InvalidRequest")),
            "{path}"
        );
    }
    // A name that nobody has, although it could stand for many in a query.
    let reply = world
        .call(
            "GET",
            "/api/v1/vaults/main/jobs?before=18446744073709551615",
            Some(&token),
            b"",
        )
        .await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn versions_are_asked_for_as_they_were_given() {
    let world = World::new().await;
    world.vault("main").await;
    let token = world.administrator_token().await;
    let settings = br#"{"soft_delete": "Enabled", "soft_delete_days": 20, "immutability": "Disabled"}"#;
    let change = async |tag: &str| {
        let head = format!(
            "PUT /api/v1/vaults/main/settings HTTP/1.1\r\nhost: test\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             if-match: {tag}\r\ncontent-length: {}\r\n\r\n",
            settings.len()
        );
        let reply = world.exchange(&[head.as_bytes(), settings].concat()).await;
        (reply.status, reply.code())
    };
    let is = |code: Code| (code.status(), Some(code.as_str().to_owned()));
    for malformed in ["", "1", "\"1", "\"1\", \"2\"", "W/1"] {
        assert_eq!(change(malformed).await, is(Code::InvalidRequest), "{malformed}");
    }
    for other in ["\"0\"", "\"x\"", "W/\"99\""] {
        assert_eq!(change(other).await, is(Code::VersionMismatch), "{other}");
    }
    for right in ["W/\"1\"", "*", "\"3\""] {
        assert_eq!(change(right).await.0, 200, "{right}");
    }
}

#[tokio::test]
async fn what_was_made_is_found_where_the_answer_says() {
    let world = World::new().await;
    let token = world.administrator_token().await;
    let rules = r#"{"zone": "UTC", "schedule": {"frequency": "Daily", "times": ["22:00:00"]},
        "retention": {"daily": {"times": ["22:00:00"], "keep": 30}}}"#;
    let policy = format!(r#"{{"name": "Nightly", "workload": "FilesAndFolders", "rules": {rules}}}"#);
    for (path, body, member) in [
        ("/api/v1/resource-groups", r#"{"name": "group"}"#, "name"),
        ("/api/v1/vaults", r#"{"name": "main", "resource_group": "group"}"#, "id"),
        ("/api/v1/vaults/main/policies", policy.as_str(), "name"),
        ("/api/v1/users", r#"{"name": "eve", "password": "correct horse"}"#, "id"),
        ("/api/v1/service-principals", r#"{"name": "robot"}"#, "id"),
    ] {
        let made = world.call("POST", path, Some(&token), body.as_bytes()).await;
        assert_eq!(made.status, 201, "{path}: {:?}", made.code());
        let found = world
            .call("GET", &made.header("location").unwrap(), Some(&token), b"")
            .await;
        assert_eq!(
            (found.status, &found.json()[member]),
            (200, &made.json()[member]),
            "{path}"
        );
    }
    let located = ROUTES.iter().filter(|route| route.has(Header::Location));
    assert!(
        located
            .clone()
            .all(|route| matches!(route.status, 201 | 202) && route.method == Method::POST)
    );
    assert_eq!(located.count(), 11);
}

/// Who is refused at the door reads why, although more than the connection holds is still on its way.
#[tokio::test]
async fn a_refusal_is_read_by_whoever_still_sends() {
    let world = World::new().await;
    let body = vec![b'x'; 900 << 10];
    let reply = world.call("POST", "/api/v1/fetch", None, &body).await;
    assert_eq!((reply.status, reply.code().as_deref()), (401, Some("Unauthenticated")));
}
