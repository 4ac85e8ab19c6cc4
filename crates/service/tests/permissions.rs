//! Every route with every kind of caller: generated from the table of routes, so that a new route is tested at once.

use strongroom_api::routes::{Body, Method, ROUTES, Route, RouteId};
use strongroom_api::{AlertFilter, FinishJob};
use strongroom_format::pack::BlobKind;
use strongroom_model::{JobProgress, JobState, Operation, Permission, Role};

use crate::world;
use crate::world::objects::{self, add_key_set, back_up, key_set_id};
use crate::world::{Machine, World};

/// What the paths of the matrix speak of: all of it belongs to machine A.
#[derive(Clone)]
struct Things {
    vault: &'static str,
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
            .replace("{vault}", self.vault)
            .replace("{session}", &self.session)
            .replace("{pack}", &self.pack)
            .replace("{point}", &self.point)
            .replace("{key_set}", &self.key_set)
            .replace("{job}", &self.job)
            .replace("{alert}", &self.alert)
            .replace("{item}", "a")
            .replace("{container}", "spare")
            .replace("{policy}", "DefaultPolicy")
            .replace("{group}", "default")
            .replace("{guard}", "spare")
            .replace("{approval}", NO_ID)
            .replace("{user}", "spare")
            .replace("{principal}", "spare")
            .replace("{provider}", "spare")
            .replace("{identity}", NO_ID)
            .replace("{key}", NO_ID)
            .replace("{deleted_vault}", NO_ID)
            .replace("{assignment}", NO_ID)
    }
}

const NO_ID: &str = "0199f3a0-7c1e-7b4a-9d2e-5f6a7b8c9d0e";

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Nobody,
    Machine,
    Credentials,
    /// Without a role, or with one on the subscription or on the vault "main".
    Account(Option<(Role, &'static str)>),
}

/// How the caller is answered.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Admitted,
    Unauthenticated,
    Forbidden,
    Hidden,
}

const SUBSCRIPTION: &str = "subscription";
const MAIN: &str = "vault/main";

/// The rules, said once more, in other words than the service's.
fn expected(route: &Route, who: Who, vault: &str) -> Answer {
    use Permission::*;
    let own = [OwnAccount, PasswordChange].contains(&route.permission);
    let machine = [Backup, Restore, Scrub, Link, RemoveOwn].contains(&route.permission);
    let among = [
        RouteId::ListVaults,
        RouteId::ListDeletedVaults,
        RouteId::CreateVault,
        RouteId::ListResourceGroups,
        RouteId::ListAssignments,
        RouteId::AssignRole,
        RouteId::RemoveAssignment,
    ];
    let if_true = |admitted| if admitted { Answer::Admitted } else { Answer::Forbidden };
    let (role, scope) = match who {
        _ if route.permission == Public => return Answer::Admitted,
        Who::Nobody => return Answer::Unauthenticated,
        Who::Machine => return if_true(machine),
        Who::Credentials => return if_true(route.permission == MachineRegister),
        Who::Account(_) if own => return Answer::Admitted,
        Who::Account(_) if route.permission.action().is_none() => return Answer::Forbidden,
        Who::Account(Some((role, scope))) => (Some(role), scope),
        Who::Account(None) => (None, ""),
    };
    let may = role.is_some_and(|role| role.permits(route.permission));
    let everywhere = scope == SUBSCRIPTION;
    if among.contains(&route.id) {
        return if_true(may || route.method == Method::GET);
    }
    if route.path.contains("{vault}") {
        let sees = everywhere || (scope == MAIN && vault == "main");
        return if sees { if_true(may) } else { Answer::Hidden };
    }
    if route.path.contains("{deleted_vault}") {
        // There is none: whoever may is told so too.
        return if everywhere && !may {
            Answer::Forbidden
        } else {
            Answer::Hidden
        };
    }
    if route.path.contains("{group}") {
        return if everywhere { if_true(may) } else { Answer::Hidden };
    }
    if_true(may && everywhere)
}

#[tokio::test]
async fn every_route_admits_exactly_those_who_hold_its_permission() {
    let world = World::new().await;
    let credentials = world.vault("main").await;
    let registration = format!("{}.{}", credentials.credential_id, credentials.secret.reveal());
    let machine = world.machine(&credentials, "a").await;
    world.machine(&world.vault("foreign").await, "b").await;
    let mut callers = vec![
        (Who::Nobody, None),
        (Who::Machine, Some(world.machine_token(&machine).await)),
        (Who::Credentials, Some(registration)),
        (Who::Account(None), Some(world.user("stranger", &[]).await)),
    ];
    for &role in Role::ALL {
        for (name, scope) in [("all", SUBSCRIPTION), ("main", MAIN)] {
            let name = format!("{}-{name}", role.name().replace(' ', "-"));
            let token = world.user(&name, &[(role, scope)]).await;
            callers.push((Who::Account(Some((role, scope))), Some(token)));
        }
    }
    let main = things(&world, &machine).await;
    let foreign = Things {
        vault: "foreign",
        ..main.clone()
    };
    for route in ROUTES {
        for (who, token) in &callers {
            for things in [&main, &foreign] {
                let reply = world
                    .call(route.method.as_str(), &things.path(route), token.as_deref(), b"")
                    .await;
                let told = format!(
                    "{} {} as {who:?}: {} {:?}",
                    route.method,
                    things.path(route),
                    reply.status,
                    reply.code()
                );
                // There is no spare user, principal or machine, and no item or job in the foreign vault: whoever is told so was let
                // through.
                let absent = matches!(
                    reply.code().as_deref(),
                    Some(
                        "PrincipalNotFound"
                            | "AssignmentNotFound"
                            | "ItemNotFound"
                            | "JobNotFound"
                            | "GuardNotFound"
                            | "ApprovalNotFound"
                            | "PolicyNotFound"
                            | "AlertNotFound"
                            | "MachineNotFound"
                    )
                );
                let answer = match reply.status {
                    401 if route.id == RouteId::Token => Answer::Admitted,
                    401 => Answer::Unauthenticated,
                    // The caller may, but for the PIN.
                    403 if reply.code().as_deref() == Some("SecurityPinRefused") => Answer::Admitted,
                    403 => Answer::Forbidden,
                    404 if absent => Answer::Admitted,
                    404 => Answer::Hidden,
                    405 | 500.. => panic!("{told}"),
                    _ => Answer::Admitted,
                };
                assert_eq!(answer, expected(route, *who, things.vault), "{told}");
            }
        }
    }
}

/// A stranger, and somebody who may look after another vault, cannot tell a vault that exists from one that does not.
#[tokio::test]
async fn a_stranger_cannot_tell_what_exists() {
    let world = World::new().await;
    let machine = world.machine(&world.vault("secret").await, "a").await;
    things(&world, &machine).await;
    world.vault("mine").await;
    let strangers = [
        world.user("stranger", &[]).await,
        world.user("neighbour", &[(Role::Owner, "vault/mine")]).await,
    ];
    for token in &strangers {
        for route in ROUTES.iter().filter(|route| route.path.contains("{vault}")) {
            let ask = async |vault: &str| {
                let path = route.path.replace("{vault}", vault);
                let reply = world.call(route.method.as_str(), &path, Some(token), b"{}").await;
                let body = String::from_utf8(reply.body).unwrap().replace(vault, "…");
                let head: Vec<String> = (reply.head.lines())
                    .filter(|line| !line.starts_with("x-request-id") && !line.starts_with("date"))
                    .map(str::to_owned)
                    .collect();
                (head, body)
            };
            let (theirs, absent) = (ask("secret").await, ask("absent").await);
            assert!(
                theirs.0[0].contains("404") && theirs.1.contains("VaultNotFound"),
                "{theirs:?}"
            );
            assert_eq!(theirs, absent, "{}", route.path);
        }
    }
    let list = world.call("GET", "/api/v1/vaults", Some(&strangers[0]), b"").await;
    assert_eq!((list.status, &list.body[..]), (200, &b"{\"vaults\":[]}"[..]));
    let list = world.call("GET", "/api/v1/vaults", Some(&strangers[1]), b"").await;
    let names: Vec<_> = list.json()["vaults"]
        .as_array()
        .unwrap()
        .iter()
        .map(|vault| vault["name"].clone())
        .collect();
    assert_eq!(names, ["mine"]);
}

/// What exists but is another's must look like what does not exist: the same status, the same code, the same sentence.
#[tokio::test]
async fn what_is_anothers_is_as_if_it_did_not_exist() {
    let world = World::new().await;
    let machine = world.machine(&world.vault("main").await, "a").await;
    let theirs = things(&world, &machine).await;
    let absent = Things {
        vault: "main",
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
            // What is below a vault is for accounts.
            theirs.iter().any(|part| route.path.contains(part)) && !route.path.contains("{vault}")
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
        (_, Body::Octets { .. } | Body::Identities) => vec![7; 32],
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
        vault: "main",
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
    let administrator = world.administrator().await;
    let vaults = administrator.vaults().await.unwrap().vaults;
    let vault = vaults
        .iter()
        .find(|vault| vault.id == machine.registered.vault)
        .unwrap();
    let alerts = administrator.alerts(&vault.name, &AlertFilter::default()).await;
    alerts.unwrap().alerts[0].id.to_string()
}
