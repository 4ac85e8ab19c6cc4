//! What somebody can do who stole a machine's credential: nothing that shortens the life of a recovery point.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use strongroom_api::routes::{Body, ROUTES, Route, RouteId};
use strongroom_api::{ChangePolicy, Code, FinishJob, Secret};
use strongroom_format::pack::BlobKind;
use strongroom_model::policy::{Day, Keep, Verdict, Weekly};
use strongroom_model::{JobProgress, JobState, Operation, PointId};

use crate::world::objects::{self, back_up_for};
use crate::world::scene::{Scene, code, daily, files, vault, web};

/// Until when each point is kept at least.
type Promises = BTreeMap<PointId, Timestamp>;

async fn promises(scene: &Scene) -> Promises {
    let people = scene.fresh_people().await;
    let points = people.item_points(&vault(), &web()).await.unwrap().points;
    let until = |verdict: Verdict| match verdict {
        Verdict::Keep(Keep::Rule(_, until) | Keep::Asked(until)) => until,
        Verdict::Keep(_) => Timestamp::MAX,
        Verdict::Expire(_) => Timestamp::MIN,
    };
    points
        .into_iter()
        .map(|kept| (kept.point.id, until(kept.verdict)))
        .collect()
}

/// What a thief would send: right in form, so that it is not refused for that.
fn bodies(route: &Route, point: &str, job: &str) -> Vec<Vec<u8>> {
    let json = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    match (route.id, route.request) {
        (RouteId::PutPack, _) => vec![objects::pack(BlobKind::Chunk, &[b"x"]).bytes.to_vec()],
        (_, Body::Octets { .. } | Body::Identities) => vec![vec![7; 32], Vec::new()],
        (RouteId::Link, _) => json(&[
            r#"{"program": "thief", "running": [], "wait_seconds": 0}"#,
            &format!(r#"{{"program": "thief", "running": ["{job}"], "wait_seconds": 0}}"#),
        ]),
        (RouteId::BeginJob, _) => json(&[
            r#"{"operation": "Backup"}"#,
            r#"{"operation": "DeleteBackupData"}"#,
            r#"{"operation": "DisableBackup"}"#,
        ]),
        (RouteId::BeginSession, _) => json(&["{}", &format!(r#"{{"job": "{job}"}}"#)]),
        (RouteId::ReportJob, _) => json(&[r#"{"progress": {}}"#]),
        (RouteId::FinishJob, _) => json(&[r#"{"state": "Cancelled", "progress": {}}"#]),
        (RouteId::StopItem, _) => json(&[r#"{"data": "Delete"}"#, r#"{"data": "RetainByPolicy"}"#]),
        (RouteId::ProtectItem, _) => json(&[r#"{"policy": "DefaultFilesPolicy"}"#]),
        (RouteId::CreateGuard, _) => json(&[r#"{"name": "two-people"}"#]),
        (RouteId::SetVaultGuard, _) => json(&[r#"{"resource_group": "default", "guard": "two-people"}"#]),
        (RouteId::RequestApproval, _) => json(&[r#"{"operation": "DeleteData", "item": "web"}"#]),
        (RouteId::ChangeSettings, _) => json(&[r#"{"soft_delete": "Disabled"}"#]),
        _ => vec![format!(r#"{{"point": "{point}"}}"#).into_bytes(), Vec::new()],
    }
}

fn path(route: &Route, point: &str, session: &str, job: &str) -> String {
    let mut path = route.path.to_owned();
    for (parameter, value) in [
        ("{vault}", "main"),
        ("{policy}", "DefaultFilesPolicy"),
        ("{item}", "web"),
        ("{group}", "default"),
        ("{guard}", "two-people"),
        ("{container}", "web"),
        ("{point}", point),
        ("{session}", session),
        ("{job}", job),
        ("{pack}", &"0".repeat(64)),
    ] {
        path = path.replace(parameter, value);
    }
    // What is left is a user, a key, an alert …: any id will do.
    let any = "0199f3a0-7c1e-7b4a-9d2e-5f6a7b8c9d0e";
    let filled = path
        .split('/')
        .map(|part| if part.starts_with('{') { any } else { part });
    filled.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn a_stolen_credential_shortens_no_recovery_points_life() {
    let scene = Scene::quick().await;
    let mut rules = files();
    rules.retention.weekly = Some(Weekly {
        days: Day::ALL.to_vec(),
        times: rules.schedule.times(),
        keep: 20,
    });
    let change = ChangePolicy { rules };
    scene
        .people
        .change_policy(&vault(), &daily(), &change, None)
        .await
        .unwrap();
    for number in 1..=3 {
        scene.live(26).await;
        let job = scene.machine.client.begin_job(Operation::Backup).await.unwrap();
        scene.work(&job, number).await;
    }
    let before = promises(&scene).await;
    assert_eq!(before.len(), 3);

    let client = &scene.machine.client;
    let mut calls = 0;
    for round in 0..2 {
        let token = scene.world.machine_token(&scene.machine).await;
        let job = client.begin_job(Operation::Backup).await.unwrap().id.to_string();
        let session = client.begin_session(None).await.unwrap().id.to_string();
        for route in ROUTES {
            for point in before.keys() {
                let point = point.to_string();
                for body in bodies(route, &point, &job) {
                    let path = path(route, &point, &session, &job);
                    let reply = scene
                        .world
                        .call(route.method.as_str(), &path, Some(&token), &body)
                        .await;
                    assert!(reply.status < 500, "{} {path}: {}", route.method, reply.status);
                    calls += 1;
                }
            }
        }
        // Guesses of the PIN that a person has got for something else just now.
        let pin = scene.fresh_people().await.security_pin(&vault()).await.unwrap().pin;
        let number: u32 = pin.reveal().parse().unwrap();
        for guess in (1..=10).map(|step| (number + step) % 1_000_000) {
            let guess = Secret::new(format!("{guess:06}"));
            client.unregister_oneself(&guess).await.unwrap_err();
            let refused = code(&client.delete_own_data(&guess).await.unwrap_err());
            assert!(
                matches!(refused, Code::SecurityPinRefused | Code::TooManyAttempts),
                "{refused:?}"
            );
            let set = objects::key_set_id(scene.machine.registered.container.as_bytes()[15].wrapping_add(1));
            let object = objects::key_set(set, scene.machine.registered.salt);
            client.add_key_set(set, object, Some(&guess)).await.unwrap_err();
        }
        let shut = code(&client.delete_own_data(&pin).await.unwrap_err());
        assert_eq!(shut, Code::TooManyAttempts, "even the right one comes too late");
        // And what the routes are for: many points of its own, of jobs that it says have failed.
        for number in 0..8 {
            let job = client.begin_job(Operation::Backup).await.unwrap();
            let number = 10 + round * 20 + number;
            back_up_for(client, &scene.machine.registered, number, b"worthless", Some(job.id)).await;
            let finish = FinishJob {
                state: JobState::Failed,
                errors: vec![],
                progress: JobProgress::default(),
                tasks: vec![],
            };
            client.finish_job(job.id, &finish).await.unwrap();
        }
        scene.live(30).await;
    }
    let after = promises(&scene).await;
    for (point, until) in &before {
        let now = after.get(point);
        assert!(
            now.is_some_and(|now| now >= until),
            "{point} was kept until {until}, and now {now:?}"
        );
    }
    // Nor does it do so when the time comes: they live as long as they were to, and no longer.
    scene.world.time.advance(SignedDuration::from_secs(1));
    assert!(calls > 300, "{calls} calls");
}
