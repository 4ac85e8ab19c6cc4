//! The end of a machine's registration, and what is left of it.

use jiff::SignedDuration;
use strongroom_api::{
    AlertFilter, AuditQuery, Client, Code, ContainerFilter, ItemFilter, JobFilter, LinkRequest, PointFilter, StopData,
    StopItem,
};
use strongroom_model::{
    AlertKind, Immutability, ItemId, ItemState, JobState, MachineName, Operation, Role, SoftDelete, VaultSettings,
};

use crate::world;
use crate::world::objects::{back_up, key_set, key_set_id, membership};
use crate::world::scene::{Scene, code, daily, under, vault, web};
use crate::world::{Machine, World, machine_name};

/// An item's id as a name by which it is found.
fn by_id(item: ItemId) -> MachineName {
    machine_name(&item.to_string())
}

async fn machines(people: &Client) -> Vec<String> {
    let list = people.containers(&vault(), &ContainerFilter::default()).await.unwrap();
    list.containers.iter().map(|machine| machine.name.to_string()).collect()
}

/// Registers another machine of the name, which opens the key set of the first.
async fn successor(scene: &Scene) -> Machine {
    let people = scene.fresh_people().await;
    let credentials = people.issue_credentials(&vault()).await.unwrap();
    let machine = scene.world.machine(&credentials, "web").await;
    let old = key_set_id(scene.machine.registered.container.as_bytes()[15]);
    machine.client.join_key_set(old, membership(old)).await.unwrap();
    machine
}

async fn set(people: &Client, settings: VaultSettings) {
    people.change_settings(&vault(), &settings, None).await.unwrap();
}

#[tokio::test]
async fn an_unregistered_machine_is_a_stranger_at_once() {
    let scene = Scene::new().await;
    let begun = scene.machine.client.begin_job(Operation::Backup).await.unwrap();
    scene.work(&begun, 1).await;
    let running = scene.machine.client.begin_job(Operation::Backup).await.unwrap();
    let restore = scene.machine.client.begin_job(Operation::Restore).await.unwrap();
    let session = scene.machine.client.begin_session(Some(running.id)).await.unwrap();
    let token = scene.world.machine_token(&scene.machine).await;
    let held = tokio::spawn({
        let client = scene.machine.client.clone();
        let request = LinkRequest {
            program: "test".to_owned(),
            running: vec![running.id, restore.id],
            wait_seconds: 30,
            settings: None,
            discovers: false,
        };
        async move { client.link(&request).await }
    });
    world::receivers::eventually("the link is held", async || {
        let figures = scene.world.call("GET", "/metrics", None, b"").await.body;
        let held = "strongroom_machines_linked 1\n";
        String::from_utf8_lossy(&figures).contains(held).then_some(())
    })
    .await;

    let people = &scene.people;
    assert_eq!(machines(people).await, ["web"]);
    let shown = people.container(&vault(), &web()).await.unwrap();
    assert_eq!(
        (shown.id, shown.item),
        (scene.machine.registered.container, scene.machine.registered.item)
    );
    let changed = people.unregister_container(&vault(), &web()).await.unwrap();
    assert_eq!(
        (changed.job.operation, changed.job.state),
        (Operation::UnRegister, JobState::Completed)
    );
    let item = changed.item.unwrap();
    assert_eq!(item.unregistered, Some(scene.world.now()));
    assert_eq!(
        item.purged_at,
        Some(scene.world.now() + SignedDuration::from_hours(14 * 24))
    );

    let refused = held.await.unwrap().unwrap_err();
    assert!(
        matches!(code(&refused), Code::MachineNotFound | Code::AssertionRefused),
        "{refused}"
    );
    for (method, path) in [
        ("GET", "/api/v1/machine".to_owned()),
        ("GET", "/api/v1/machine/protection".to_owned()),
        ("GET", "/api/v1/jobs".to_owned()),
        ("GET", "/api/v1/points".to_owned()),
        ("POST", "/api/v1/sessions".to_owned()),
        ("POST", format!("/api/v1/sessions/{}/missing", session.id)),
        ("POST", "/api/v1/link".to_owned()),
    ] {
        let reply = scene.world.call(method, &path, Some(&token), b"{}").await;
        assert_eq!(
            (reply.status, reply.code().as_deref()),
            (401, Some("Unauthenticated")),
            "{path}"
        );
    }
    let refused = scene.machine.client.machine().await.unwrap_err();
    assert_eq!(code(&refused), Code::AssertionRefused);
    assert!(refused.to_string().contains("strongroom agent register"), "{refused}");

    for job in [&running, &restore] {
        let job = people.job(&vault(), job.id).await.unwrap();
        assert_eq!(
            (job.state, job.errors[0].code.as_str()),
            (JobState::Cancelled, "MachineUnregistered")
        );
    }
    assert!(machines(people).await.is_empty());
    let refused = people.unregister_container(&vault(), &web()).await.unwrap_err();
    assert_eq!(code(&refused), Code::MachineNotFound);
    assert!(refused.to_string().contains("strongroom machine list"), "{refused}");
    let alerts = people.alerts(&vault(), &AlertFilter::default()).await.unwrap().alerts;
    assert_eq!(alerts[0].kind, AlertKind::DeleteBackupData);
    assert_eq!(alerts.len(), 1, "cancelled jobs say nothing");
    let lines = people.audit(&AuditQuery::default()).await.unwrap().lines;
    let line = lines
        .iter()
        .find(|line| line.action.ends_with("registeredIdentities/delete") && line.status == 200);
    assert_eq!(line.unwrap().path, "/api/v1/vaults/main/containers/web");
}

#[tokio::test]
async fn what_a_machine_left_is_brought_back_and_read_by_the_next_of_its_name() {
    let scene = Scene::new().await;
    let first = back_up(&scene.machine.client, &scene.machine.registered, 1, b"of the first").await;
    let old = scene.machine.registered.item;
    scene.people.unregister_container(&vault(), &web()).await.unwrap();
    let next = successor(&scene).await;
    assert_ne!(next.registered.item, old);
    // It has opened the old key set: one of its own is another passphrase.
    let id = key_set_id(next.registered.container.as_bytes()[15]);
    let pin = scene.fresh_people().await.security_pin(&vault()).await.unwrap().pin;
    let object = key_set(id, next.registered.salt);
    next.client.add_key_set(id, object, Some(&pin)).await.unwrap();
    let second = back_up(&next.client, &next.registered, 2, b"of the second").await;
    let readable = async || {
        let filter = PointFilter::Machine(web());
        let points = next.client.points(&filter).await.unwrap().points;
        points.iter().map(|point| point.id).collect::<Vec<_>>()
    };
    assert_eq!(readable().await, [second.id], "what is soft-deleted is not restored");
    next.client.point(first.id).await.unwrap_err();

    // The name means the machine that has it now; the other item goes by its id.
    let people = &scene.people;
    assert_eq!(people.item(&vault(), &web()).await.unwrap().id, next.registered.item);
    let refused = people.undelete_item(&vault(), &web()).await.unwrap_err();
    assert_eq!(code(&refused), Code::ItemState);
    let back = people.undelete_item(&vault(), &by_id(old)).await.unwrap().item.unwrap();
    assert_eq!((back.name, back.state), (web(), ItemState::ProtectionStopped));
    assert_eq!(readable().await, [first.id, second.id]);
    assert_eq!(next.client.point_object(first.id).await.unwrap(), first.object);
    let own = next.client.points(&PointFilter::Own).await.unwrap().points;
    assert_eq!(own.len(), 1);

    // Nobody is there to back it up.
    for refused in [
        people.protect_item(&vault(), &by_id(old), &under(daily())).await.err(),
        people
            .back_up_item(&vault(), &by_id(old), &strongroom_api::BackUpItem::default())
            .await
            .err(),
    ] {
        let refused = refused.expect("refused");
        assert_eq!(code(&refused), Code::ItemState);
        assert!(refused.to_string().contains("register it again"), "{refused}");
    }
    // Pages go from item to item although both have one name.
    let mut seen = Vec::new();
    let mut filter = ItemFilter {
        limit: Some(1),
        ..ItemFilter::default()
    };
    loop {
        let page = people.items(&vault(), &filter).await.unwrap();
        seen.extend(page.items.iter().map(|item| item.id));
        filter.after = page.next;
        if filter.after.is_none() {
            break;
        }
    }
    assert_eq!(seen, [next.registered.item, old]);
}

#[tokio::test]
async fn of_several_that_had_a_name_none_is_meant() {
    let scene = Scene::new().await;
    let old = scene.machine.registered.item;
    scene.people.unregister_container(&vault(), &web()).await.unwrap();
    let only = scene.people.item(&vault(), &machine_name("WEB")).await.unwrap();
    assert_eq!(only.id, old);
    successor(&scene).await;
    scene
        .people
        .protect_item(&vault(), &web(), &under(daily()))
        .await
        .unwrap();
    scene.people.unregister_container(&vault(), &web()).await.unwrap();
    let refused = scene.people.item(&vault(), &web()).await.unwrap_err();
    assert_eq!(code(&refused), Code::ItemAmbiguous);
    assert!(refused.to_string().contains("by its id"), "{refused}");
    assert_eq!(scene.people.item(&vault(), &by_id(old)).await.unwrap().id, old);
}

#[tokio::test]
async fn the_last_of_a_machine_goes_with_its_item() {
    let scene = Scene::quick().await;
    back_up(&scene.machine.client, &scene.machine.registered, 1, b"contents").await;
    let old = scene.machine.registered.item;
    scene.people.unregister_container(&vault(), &web()).await.unwrap();
    let next = successor(&scene).await;
    scene.live(14 * 24 + 1).await;
    let people = scene.fresh_people().await;
    let gone = people.item(&vault(), &by_id(old)).await.unwrap_err();
    assert_eq!(code(&gone), Code::ItemNotFound);
    // The key set lives on with the machine that opened it.
    let sets = next.client.key_sets().await.unwrap().key_sets;
    assert_eq!(sets.len(), 1);
    assert!(sets[0].joined);
    assert_eq!(people.vault(&vault()).await.unwrap().machines, 1);
    // A machine that never had anything to keep leaves nothing.
    let changed = people.unregister_container(&vault(), &web()).await.unwrap();
    assert!(changed.item.is_none());
    let items = people.items(&vault(), &ItemFilter::default()).await.unwrap();
    assert!(items.items.is_empty());
    let jobs = people.jobs(&vault(), &JobFilter::default()).await.unwrap().jobs;
    assert_eq!(jobs[0].operation, Operation::UnRegister);
    let alerts = people.alerts(&vault(), &AlertFilter::default()).await.unwrap().alerts;
    assert_eq!(alerts[0].kind, AlertKind::PurgeComplete, "of the first machine");
    people.delete_vault(&vault()).await.unwrap();
}

#[tokio::test]
async fn without_soft_delete_its_data_is_gone_at_once() {
    let scene = Scene::new().await;
    back_up(&scene.machine.client, &scene.machine.registered, 1, b"contents").await;
    let settings = VaultSettings {
        soft_delete: SoftDelete::Disabled,
        ..VaultSettings::default()
    };
    set(&scene.people, settings).await;
    let changed = scene.people.unregister_container(&vault(), &web()).await.unwrap();
    assert!(changed.item.is_none());
    assert_eq!(scene.people.vault(&vault()).await.unwrap().points, 0);
}

#[tokio::test]
async fn a_deleted_item_keeps_its_days_when_its_machine_goes() {
    let scene = Scene::new().await;
    back_up(&scene.machine.client, &scene.machine.registered, 1, b"contents").await;
    let stop = StopItem { data: StopData::Delete };
    let deleted = scene.people.stop_item(&vault(), &web(), &stop).await.unwrap();
    let settings = VaultSettings {
        soft_delete: SoftDelete::Disabled,
        ..VaultSettings::default()
    };
    set(&scene.people, settings).await;
    scene.world.time.advance(SignedDuration::from_mins(30));
    let changed = scene.people.unregister_container(&vault(), &web()).await.unwrap();
    assert_eq!(changed.item.unwrap().purged_at, deleted.item.unwrap().purged_at);
}

#[tokio::test]
async fn immutable_points_keep_their_machine() {
    let scene = Scene::new().await;
    let begun = scene.machine.client.begin_job(Operation::Backup).await.unwrap();
    scene.work(&begun, 1).await;
    let settings = VaultSettings {
        immutability: Immutability::Unlocked,
        ..VaultSettings::default()
    };
    set(&scene.people, settings).await;
    let refused = scene.people.unregister_container(&vault(), &web()).await.unwrap_err();
    assert_eq!(code(&refused), Code::Immutable);
    // Nothing was changed: the machine is registered, and backs up.
    assert_eq!(machines(&scene.people).await, ["web"]);
    let begun = scene.machine.client.begin_job(Operation::Backup).await.unwrap();
    scene.work(&begun, 2).await;
    let item = scene.item().await;
    assert_eq!((item.state, item.deleted), (ItemState::Protected, None));
}

#[tokio::test]
async fn who_may_only_operate_does_not_unregister() {
    let scene = Scene::new().await;
    scene.world.user("olga", &[(Role::BackupOperator, "vault/main")]).await;
    let refused = scene.world.client_of("olga").await;
    let refused = refused.unregister_container(&vault(), &web()).await.unwrap_err();
    assert_eq!(code(&refused), Code::Forbidden);
    scene
        .world
        .user("carl", &[(Role::BackupContributor, "vault/main")])
        .await;
    let carl = scene.world.client_of("carl").await;
    carl.unregister_container(&vault(), &web()).await.unwrap();
}

#[tokio::test]
async fn machines_are_listed_in_pages() {
    let world = World::new().await;
    let credentials = world.vault("main").await;
    for name in ["db", "Web-1", "web-2"] {
        world.machine(&credentials, name).await;
    }
    let people = world.administrator().await;
    let mut filter = ContainerFilter {
        limit: Some(2),
        ..ContainerFilter::default()
    };
    let page = people.containers(&vault(), &filter).await.unwrap();
    assert_eq!(page.containers.len(), 2);
    assert_eq!(page.next.as_deref(), Some("web-1"));
    filter.after = page.next;
    let rest = people.containers(&vault(), &filter).await.unwrap();
    assert_eq!(rest.containers.len(), 1);
    assert_eq!((rest.containers[0].name.as_str(), rest.next), ("web-2", None));
}
