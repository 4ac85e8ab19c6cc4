//! Every route with every kind of caller: generated from the table of routes, so that a new route is tested at once.

mod world;

use strongroom_api::routes::{Body, ROUTES, Route, RouteId};
use strongroom_api::{AlertFilter, FinishJob};
use strongroom_format::pack::BlobKind;
use strongroom_model::{JobProgress, JobState, Operation, Permission};
use world::objects::{self, add_key_set, back_up, key_set_id};
use world::{Machine, World};

/// What the paths of the matrix speak of: all of it belongs to machine A.
struct Things {
    session: String,
    pack: String,
    point: String,
    key_set: String,
    job: String,
    alert: String,
}

impl Things {
    fn path(&self, route: &Route) -> String {
        route
            .path
            .replace("{vault}", "main")
            .replace("{session}", &self.session)
            .replace("{pack}", &self.pack)
            .replace("{point}", &self.point)
            .replace("{key_set}", &self.key_set)
            .replace("{job}", &self.job)
            .replace("{alert}", &self.alert)
            .replace("{item}", "a")
            .replace("{policy}", "DefaultPolicy")
    }
}

struct Caller {
    name: &'static str,
    token: Option<String>,
    holds: &'static [Permission],
}

const ADMINISTRATOR: &[Permission] = &[
    Permission::PasswordChange,
    Permission::VaultsRead,
    Permission::VaultsWrite,
    Permission::VaultsDelete,
    Permission::CredentialsIssue,
    Permission::VaultConfigRead,
    Permission::VaultConfigWrite,
    Permission::PoliciesRead,
    Permission::PoliciesWrite,
    Permission::PoliciesDelete,
    Permission::ItemsRead,
    Permission::ItemsWrite,
    Permission::ItemsDelete,
    Permission::BackupNow,
    Permission::PointsRead,
    Permission::JobsRead,
    Permission::JobsCancel,
    Permission::AlertsRead,
    Permission::AlertsWrite,
    Permission::MonitoringWrite,
];
const MACHINE: &[Permission] = &[
    Permission::Backup,
    Permission::Restore,
    Permission::Scrub,
    Permission::Link,
];

#[tokio::test]
async fn every_route_admits_exactly_those_who_hold_its_permission() {
    let world = World::new().await;
    let credentials = world.vault("main").await;
    let registration = format!("{}.{}", credentials.credential_id, credentials.secret.reveal());
    let machine = world.machine(&credentials, "a").await;
    let things = things(&world, &machine).await;
    let caller = |name, token, holds| Caller { name, token, holds };
    let callers = [
        caller("nobody", None, &[]),
        caller("administrator", Some(world.administrator_token().await), ADMINISTRATOR),
        caller("machine", Some(world.machine_token(&machine).await), MACHINE),
        caller("credentials", Some(registration), &[Permission::MachineRegister]),
    ];
    for route in ROUTES {
        for caller in &callers {
            let reply = world
                .call(route.method.as_str(), &things.path(route), caller.token.as_deref(), b"")
                .await;
            let told = format!("{} as {}: {} {:?}", route.path, caller.name, reply.status, reply.code());
            let admitted = route.permission == Permission::Public || caller.holds.contains(&route.permission);
            match (admitted, &caller.token) {
                (true, _) if route.id == RouteId::Token => assert_eq!(reply.status, 400, "{told}"),
                (true, _) => assert!(
                    ![401, 403, 404, 405].contains(&reply.status) && reply.status < 500,
                    "{told}"
                ),
                (false, None) => assert_eq!(reply.status, 401, "{told}"),
                (false, Some(_)) => assert_eq!(reply.status, 403, "{told}"),
            }
        }
    }
}

/// What exists but is another's must look like what does not exist: the same status, the same code, the same sentence.
#[tokio::test]
async fn what_is_anothers_is_as_if_it_did_not_exist() {
    let world = World::new().await;
    let machine = world.machine(&world.vault("main").await, "a").await;
    let theirs = things(&world, &machine).await;
    let absent = Things {
        session: "0199f3a0-7c1e-7b4a-9d2e-5f6a7b8c9d0e".to_owned(),
        pack: "0".repeat(64),
        point: "0199f3a0-7c1e-7b4a-9d2e-5f6a7b8c9d0e".to_owned(),
        key_set: "0199f3a0-7c1e-7b4a-9d2e-5f6a7b8c9d0e".to_owned(),
        job: "0199f3a0-7c1e-7b4a-9d2e-5f6a7b8c9d0e".to_owned(),
        alert: "0199f3a0-7c1e-7b4a-9d2e-5f6a7b8c9d0e".to_owned(),
    };
    let same_vault = world
        .administrator()
        .await
        .issue_credentials(&world::vault_name("main"))
        .await
        .unwrap();
    for stranger in [
        world.machine(&world.vault("other").await, "a").await,
        world.machine(&same_vault, "b").await,
    ] {
        let token = world.machine_token(&stranger).await;
        for route in ROUTES.iter().filter(|route| {
            let theirs = ["{point}", "{session}", "/api/v1/jobs/{job}"];
            theirs.iter().any(|part| route.path.contains(part))
        }) {
            let body = body(route);
            let theirs = world
                .call(route.method.as_str(), &theirs.path(route), Some(&token), &body)
                .await;
            let absent = world
                .call(route.method.as_str(), &absent.path(route), Some(&token), &body)
                .await;
            let told = format!("{} {}", route.method, route.path);
            assert_eq!((theirs.status, &theirs.body), (absent.status, &absent.body), "{told}");
            assert!(
                matches!(theirs.status, 404 | 422) || route.id == RouteId::EndSession,
                "{told} {}",
                theirs.status
            );
        }
    }
    // Nothing that they tried did any harm.
    machine
        .client
        .missing(theirs.session.parse().unwrap(), &[])
        .await
        .unwrap();
    machine.client.point(theirs.point.parse().unwrap()).await.unwrap();
}

#[tokio::test]
async fn blobs_of_another_vault_are_not_given_out() {
    let world = World::new().await;
    let machine = world.machine(&world.vault("main").await, "a").await;
    add_key_set(&machine).await;
    back_up(&machine.client, &machine.registered, 1, b"hello world").await;
    let stranger = world.machine(&world.vault("other").await, "a").await;
    let id = strongroom_format::blob_id(b"hello world");
    let mut stream = stranger.client.fetch(vec![id]);
    let fetched = stream.next().await.unwrap().unwrap();
    assert_eq!(fetched, strongroom_api::Fetched::NotFound { id });
    let session = stranger.client.begin_session(None).await.unwrap();
    assert_eq!(stranger.client.missing(session.id, &[id]).await.unwrap(), [true]);
}

/// A body that is right for the route as far as that is possible, so that it is the caller who is refused.
fn body(route: &Route) -> Vec<u8> {
    match (route.id, route.request) {
        (RouteId::PutPack, _) => objects::pack(BlobKind::Chunk, &[b"x"]).bytes.to_vec(),
        (_, Body::Octets { .. }) => vec![7; 32],
        (RouteId::ReportJob, _) => br#"{"progress": {}}"#.to_vec(),
        (RouteId::FinishJob, _) => br#"{"state": "Failed", "progress": {}}"#.to_vec(),
        _ => Vec::new(),
    }
}

async fn things(world: &World, machine: &Machine) -> Things {
    add_key_set(machine).await;
    let point = back_up(&machine.client, &machine.registered, 1, b"hello world").await;
    let session = machine.client.begin_session(None).await.unwrap();
    let alert = alert(world, machine).await;
    Things {
        session: session.id.to_string(),
        pack: "0".repeat(64),
        point: point.id.to_string(),
        key_set: key_set_id(machine.registered.container.as_bytes()[15]).to_string(),
        job: machine
            .client
            .begin_job(Operation::Restore)
            .await
            .unwrap()
            .id
            .to_string(),
        alert,
    }
}

/// An alert that a restore has raised which failed.
async fn alert(world: &World, machine: &Machine) -> String {
    let failed = machine.client.begin_job(Operation::Restore).await.unwrap();
    let finish = FinishJob {
        state: JobState::Failed,
        errors: vec![],
        progress: JobProgress::default(),
        tasks: vec![],
    };
    machine.client.finish_job(failed.id, &finish).await.unwrap();
    let filter = AlertFilter::default();
    let alerts = world
        .administrator()
        .await
        .alerts(&world::vault_name("main"), &filter)
        .await;
    alerts.unwrap().alerts[0].id.to_string()
}
