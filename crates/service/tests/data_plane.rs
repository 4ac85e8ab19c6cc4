//! The smallest backup and its way back, and requests that are wrong.

use std::time::Duration;

use bytes::Bytes;
use strongroom_api::{Client, ClientError, Code, Fetched, PACK_BYTES_MAX, PointFilter};
use strongroom_format::pack::BlobKind;
use strongroom_model::{BlobId, PackId, SessionId};
use strongroom_service::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::world::objects::{add_key_set, back_up, leaf, pack, point};
use crate::world::raw::read_reply;
use crate::world::{Machine, World, machine_name};

fn code(error: &ClientError) -> Code {
    error.problem().unwrap_or_else(|| panic!("{error}")).code
}

async fn machine(world: &World) -> Machine {
    let machine = world.machine(&world.vault("main").await, "web-1").await;
    add_key_set(&machine).await;
    machine
}

#[tokio::test]
async fn what_was_sent_comes_back() {
    let world = World::new().await;
    let machine = machine(&world).await;
    let client = &machine.client;
    let session = client.begin_session(None).await.unwrap();
    assert_eq!((session.latest, session.server_time), (None, world.now()));
    let blobs: Vec<Vec<u8>> = (0..5u8).map(|i| vec![i; 100_000 * usize::from(i) + 1]).collect();
    let chunks = pack(BlobKind::Chunk, &blobs.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let pages = pack(BlobKind::Page, &[&leaf(&chunks.ids)]);
    assert_eq!(client.missing(session.id, &chunks.ids).await.unwrap(), [true; 5]);
    let stored = client
        .put_pack(session.id, chunks.name, chunks.bytes.clone())
        .await
        .unwrap();
    assert_eq!((stored.new_blobs, stored.duplicate_blobs), (5, 0));
    let again = client
        .put_pack(session.id, chunks.name, chunks.bytes.clone())
        .await
        .unwrap();
    assert_eq!((again.new_blobs, again.duplicate_blobs), (0, 5));
    assert_eq!(client.missing(session.id, &chunks.ids).await.unwrap(), [false; 5]);

    let first = point(&machine.registered, 1, pages.ids[0], None);
    let refused = client.commit(session.id, first.object.clone()).await.unwrap_err();
    assert_eq!(
        (code(&refused), &refused.problem().unwrap().missing),
        (Code::BlobsMissing, &pages.ids)
    );
    client.put_pack(session.id, pages.name, pages.bytes).await.unwrap();
    assert_eq!(
        client.commit(session.id, first.object.clone()).await.unwrap().point,
        first.id
    );
    assert_eq!(
        client.commit(session.id, first.object.clone()).await.unwrap().point,
        first.id
    );
    let second = point(&machine.registered, 2, pages.ids[0], None);
    let refused = client.commit(session.id, second.object).await.unwrap_err();
    assert_eq!(code(&refused), Code::PredecessorMismatch);
    let latest = client.begin_session(None).await.unwrap().latest.unwrap();
    assert_eq!(
        (latest.point, Some(latest.digest)),
        (first.id, refused.problem().unwrap().expected)
    );

    let listed = client.points(&PointFilter::Own).await.unwrap().points;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0], client.point(first.id).await.unwrap());
    assert_eq!((listed[0].id, &listed[0].machine), (first.id, &machine_name("web-1")));
    assert_eq!(
        client
            .points(&PointFilter::Machine(machine_name("WEB-1")))
            .await
            .unwrap()
            .points,
        listed
    );
    assert_eq!(client.points(&PointFilter::All).await.unwrap().points, listed);
    assert_eq!(client.point_object(first.id).await.unwrap(), first.object);
    assert_eq!(client.scrub_point(first.id).await.unwrap().damages, []);

    let absent = BlobId::from_bytes([9; 32]);
    let wanted = [chunks.ids.clone(), pages.ids.clone(), vec![absent]].concat();
    let mut fetched = fetch(client, wanted).await;
    assert_eq!(fetched.pop(), Some(Fetched::NotFound { id: absent }));
    let expected: Vec<Bytes> = blobs
        .iter()
        .cloned()
        .chain([leaf(&chunks.ids)])
        .map(Bytes::from)
        .collect();
    assert_eq!(fetched.len(), expected.len());
    for one in fetched {
        let Fetched::Blob { id, bytes } = one else {
            panic!("{one:?}")
        };
        assert_eq!(strongroom_format::blob_id(&bytes), id);
        assert!(expected.contains(&bytes));
    }
}

/// Everything that comes, blobs first.
async fn fetch(client: &Client, ids: Vec<BlobId>) -> Vec<Fetched> {
    let mut stream = client.fetch(ids);
    let mut fetched = Vec::new();
    while let Some(next) = stream.next().await.unwrap() {
        fetched.push(next);
    }
    fetched.sort_by_key(|one| !matches!(one, Fetched::Blob { .. }));
    fetched
}

#[tokio::test]
async fn a_damaged_pack_is_named_and_does_not_hide_the_rest() {
    let world = World::new().await;
    let machine = machine(&world).await;
    let point = back_up(&machine.client, &machine.registered, 1, b"hello world").await;
    let other = back_up(&machine.client, &machine.registered, 2, b"other contents").await;
    let id = strongroom_format::blob_id(b"hello world");
    let file = pack_file(&world, pack(BlobKind::Chunk, &[b"hello world"]).name);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[3] ^= 1;
    std::fs::write(&file, bytes).unwrap();

    let name = pack(BlobKind::Chunk, &[b"hello world"]).name.to_string();
    let whole = strongroom_format::blob_id(b"other contents");
    let fetched = fetch(&machine.client, vec![id, whole]).await;
    assert!(
        matches!(&fetched[0], Fetched::Blob { id, .. } if *id == whole),
        "{fetched:?}"
    );
    assert!(
        fetched
            .iter()
            .any(|one| matches!(one, Fetched::Damaged { id: damaged, why } if *damaged == id && why.contains(&name)))
    );
    let damages = machine.client.scrub_point(point.id).await.unwrap().damages;
    assert!(
        damages.iter().any(|damage| damage.object.contains(&name)),
        "{damages:?}"
    );
    assert_eq!(machine.client.scrub_point(other.id).await.unwrap().damages, []);
}

fn pack_file(world: &World, name: PackId) -> std::path::PathBuf {
    let region = world.data().join("objects/local");
    let vault = std::fs::read_dir(region).unwrap().next().unwrap().unwrap().path();
    let name = name.to_string();
    vault.join("packs").join(&name[..2]).join(name)
}

#[tokio::test]
async fn crooked_packs_are_refused() {
    let world = World::new().await;
    let machine = machine(&world).await;
    let session = machine.client.begin_session(None).await.unwrap();
    let good = pack(BlobKind::Chunk, &[b"hello"]);
    let mut flipped = good.bytes.to_vec();
    flipped[0] ^= 1;
    for (name, bytes) in [
        (good.name, Bytes::from(flipped)),
        (good.name, good.bytes.slice(1..)),
        (PackId::from_bytes([0; 32]), good.bytes.clone()),
    ] {
        let refused = machine.client.put_pack(session.id, name, bytes).await.unwrap_err();
        assert_eq!(code(&refused), Code::InvalidPack, "{refused}");
    }
    let unknown = SessionId::from_bytes([0; 16]);
    let refused = machine
        .client
        .put_pack(unknown, good.name, good.bytes)
        .await
        .unwrap_err();
    assert_eq!(code(&refused), Code::SessionNotFound);
}

#[tokio::test]
async fn requests_are_bounded() {
    let world = World::new().await;
    let machine = machine(&world).await;
    let token = world.machine_token(&machine).await;
    let session = machine.client.begin_session(None).await.unwrap().id;
    let head = |method: &str, path: String, more: &str| {
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n{more}\r\n\r\n")
    };
    let pack = format!("/api/v1/sessions/{session}/packs/{}", "0".repeat(64));
    let missing = format!("/api/v1/sessions/{session}/missing");
    for (request, status, code) in [
        (
            head("PUT", pack.clone(), &format!("content-length: {}", PACK_BYTES_MAX + 1)),
            413,
            "BodyTooLarge",
        ),
        (
            head("PUT", pack.clone(), "content-length: 99999999999999999999"),
            400,
            "",
        ),
        (
            head("PUT", pack, "transfer-encoding: chunked\r\nconnection: close"),
            411,
            "LengthRequired",
        ),
        (
            head("POST", missing.clone(), "content-length: 524289"),
            413,
            "BodyTooLarge",
        ),
        (
            head("POST", missing.clone(), "content-length: 5\r\nconnection: close") + "hello",
            400,
            "InvalidRequest",
        ),
        (head("POST", missing, "content-length: x"), 400, ""),
        (
            head("GET", format!("/{}", "x".repeat(1 << 20)), "connection: close"),
            431,
            "",
        ),
        (
            head("GET", "/healthz".to_owned(), &format!("x: {}", "x".repeat(1 << 20))),
            431,
            "",
        ),
        ("nonsense\r\n\r\n".to_owned(), 400, ""),
    ] {
        let reply = world.exchange(request.as_bytes()).await;
        let begin: String = request.chars().take(80).collect();
        assert_eq!(
            (reply.status, reply.code().unwrap_or_default().as_str()),
            (status, code),
            "{begin}"
        );
    }
}

#[tokio::test]
async fn slow_clients_are_cut_off() {
    let quick = Duration::from_millis(200);
    let limits = Limits {
        head: quick,
        silence: quick,
        bytes_per_second_min: 1 << 30,
    };
    let world = World::with_limits(limits).await;
    let mut stream = world.connect().await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost:").await.unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(
        rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"),
        "{}",
        String::from_utf8_lossy(&rest)
    );
    // One that asks for nothing more ends with TLS's farewell: otherwise it looks like one that was cut.
    let mut stream = world.connect().await;
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    stream.read_to_end(&mut rest).await.unwrap();

    let mut stream = world.connect().await;
    stream
        .write_all(b"POST /api/v1/token HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhello")
        .await
        .unwrap();
    let reply = read_reply(&mut stream).await;
    assert_eq!((reply.status, reply.code().as_deref()), (408, Some("RequestTimeout")));
    world.administrator().await.vaults().await.unwrap();
}

#[tokio::test]
async fn a_connection_goes_on_after_a_body_that_nobody_read() {
    let world = World::new().await;
    for (line, status) in [
        ("POST /nowhere", 404),
        ("POST /healthz", 405),
        ("POST /api/v1/sessions", 401),
        ("GET /api/v1/vaults", 401),
        ("GET /healthz", 200),
    ] {
        let mut stream = world.connect().await;
        let head = format!("{line} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        // Time enough for an answer that does not wait for the body.
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream
            .write_all(b"helloGET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let reply = read_reply(&mut stream).await;
        assert_eq!(reply.status, status, "{line}");
        assert!(reply.body.ends_with(b"\r\n\r\nready\n"), "{line}");
    }
}

#[tokio::test]
async fn an_answer_says_that_the_connection_ends_with_it() {
    let world = World::new().await;
    for more in ["content-length: 2000000", "content-length: 5\r\nexpect: 100-continue"] {
        let head = format!("POST /api/v1/sessions HTTP/1.1\r\nhost: x\r\n{more}\r\n\r\n");
        let reply = world.exchange(head.as_bytes()).await;
        assert_eq!(
            (reply.status, reply.header("connection").as_deref()),
            (401, Some("close")),
            "{more}"
        );
    }
}

#[tokio::test]
async fn an_answer_arrives_at_whoever_is_still_sending() {
    let world = World::new().await;
    let mut stream = world.connect().await;
    let length = 20 << 20;
    let head = format!("POST /api/v1/sessions HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![0; length]).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(read_reply(&mut stream).await.status, 401);
}

#[tokio::test]
async fn health_and_figures() {
    let world = World::new().await;
    let machine = machine(&world).await;
    back_up(&machine.client, &machine.registered, 1, b"secret contents").await;
    assert_eq!(world.call("GET", "/healthz", None, b"").await.body, b"ok\n");
    assert_eq!(world.call("GET", "/readyz", None, b"").await.body, b"ready\n");
    let figures = String::from_utf8(world.call("GET", "/metrics", None, b"").await.body).unwrap();
    for line in [
        "strongroom_packs_stored_total 2",
        "strongroom_points_committed_total 1",
        "strongroom_sessions_begun_total 1",
    ] {
        assert!(figures.contains(line), "{line} in {figures}");
    }
    for name in ["web-1", "main", &machine.registered.container.to_string()] {
        assert!(!figures.contains(&format!("\"{name}\"")), "{name} in {figures}");
    }
}

#[tokio::test]
async fn a_token_that_is_refused_in_the_middle_of_a_pack_is_replaced() {
    let world = World::new().await;
    let machine = machine(&world).await;
    // The client's clock stands still: it goes on using its token for as long as it is taken.
    let mut options = world.client_options();
    options.clock = strongroom_model::Clock::simulated(world.now()).0;
    options.retry = strongroom_api::RetryPolicy::PATIENT;
    let (container, key) = (machine.registered.container, machine.key.clone());
    let client = Client::new(options, strongroom_api::SignIn::Machine { container, key }).unwrap();
    client.machine().await.unwrap();
    world.time.advance(jiff::SignedDuration::from_hours(1));
    let session = client.begin_session(None).await.unwrap();
    world.time.advance(jiff::SignedDuration::from_mins(10));
    client.missing(session.id, &[]).await.unwrap();
    world.time.advance(jiff::SignedDuration::from_mins(10));
    let contents = vec![7; 8 << 20];
    let large = pack(BlobKind::Chunk, &[&contents, &contents[1..], &contents[2..]]);
    assert_eq!(
        client
            .put_pack(session.id, large.name, large.bytes)
            .await
            .unwrap()
            .new_blobs,
        3
    );
}

#[tokio::test]
async fn the_bounds_of_the_contract_are_those_of_the_format() {
    use strongroom_format::{keyset, pack, point};
    assert_eq!(strongroom_api::PACK_BYTES_MAX, pack::PACK_BYTES_MAX);
    assert_eq!(strongroom_api::POINT_BYTES_MAX, point::POINT_BYTES_MAX);
    assert_eq!(strongroom_api::KEY_SET_BYTES_MAX, keyset::KEY_SET_BYTES_MAX);
    assert_eq!(strongroom_api::IDENTITIES_MAX, strongroom_vault::IDS_MAX);
}
