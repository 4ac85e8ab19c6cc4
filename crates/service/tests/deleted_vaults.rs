//! Vaults that were deleted with soft-deleted items in them: kept, brought back, or gone for good.

use jiff::SignedDuration;
use strongroom_api::{AlertFilter, Client, Code, CreateVault, ItemFilter, PointFilter, StopData, StopItem};
use strongroom_model::{
    AlertKind, AlertState, Immutability, ItemState, MachineName, Operation, Role, SoftDelete, VaultId, VaultSettings,
};

use crate::world;
use crate::world::objects::{back_up, key_set_id, membership};
use crate::world::scene::{Scene, code, vault, web};
use crate::world::{World, machine_name, vault_name};

async fn create(people: &Client, name: &str) -> VaultId {
    let create = CreateVault {
        name: vault_name(name),
        resource_group: Default::default(),
        region: Default::default(),
        redundancy: Default::default(),
    };
    people.create_vault(&create).await.unwrap().id
}

fn by_id(scene: &Scene) -> MachineName {
    machine_name(&scene.machine.registered.item.to_string())
}

/// Unregisters the machine, which soft-deletes its item, and deletes the vault.
async fn deleted(scene: &Scene) -> VaultId {
    let people = scene.fresh_people().await;
    people.unregister_container(&vault(), &web()).await.unwrap();
    let deletion = people.delete_vault(&vault()).await.unwrap();
    deletion.kept.expect("it holds a soft-deleted item").id
}

/// How many objects the vaults of the service have.
fn objects(world: &World) -> usize {
    fn count(folder: &std::path::Path) -> usize {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        // What is on its way to become an object, and the lock of that folder.
        entries
            .filter(|path| !path.ends_with("tmp"))
            .map(|path| if path.is_dir() { count(&path) } else { 1 })
            .sum()
    }
    count(&world.data().join("objects"))
}

#[tokio::test]
async fn a_vault_is_refused_while_anything_in_it_is_not_deleted() {
    let scene = Scene::new().await;
    back_up(&scene.machine.client, &scene.machine.registered, 1, b"contents").await;
    let people = &scene.people;
    let refused = people.delete_vault(&vault()).await.unwrap_err();
    assert_eq!(code(&refused), Code::VaultNotEmpty);
    let told = refused.to_string();
    assert!(
        told.contains("1 registered machines, and 1 items that are not deleted")
            && told.contains("strongroom machine unregister"),
        "{told}"
    );
    // Its item is deleted, but the machine is registered still.
    let stop = StopItem { data: StopData::Delete };
    people.stop_item(&vault(), &web(), &stop).await.unwrap();
    let refused = people.delete_vault(&vault()).await.unwrap_err();
    assert_eq!(code(&refused), Code::VaultNotEmpty);
    // The machine is gone, but its item was brought back.
    people.unregister_container(&vault(), &web()).await.unwrap();
    people.undelete_item(&vault(), &web()).await.unwrap();
    let refused = people.delete_vault(&vault()).await.unwrap_err();
    assert!(
        refused.to_string().contains("0 registered machines, and 1 items"),
        "{refused}"
    );
    people.stop_item(&vault(), &web(), &stop).await.unwrap();
    people.delete_vault(&vault()).await.unwrap();
}

#[tokio::test]
async fn a_deleted_vault_comes_back_as_it_was() {
    let scene = Scene::new().await;
    let point = back_up(&scene.machine.client, &scene.machine.registered, 1, b"contents").await;
    let people = &scene.people;
    let credentials = people.issue_credentials(&vault()).await.unwrap();
    scene.world.user("vera", &[(Role::BackupReader, "vault/main")]).await;
    people.unregister_container(&vault(), &web()).await.unwrap();
    scene.world.time.advance(SignedDuration::from_mins(30));
    let kept = people.delete_vault(&vault()).await.unwrap().kept.unwrap();
    let gone = scene.world.now() + SignedDuration::from_hours(14 * 24);
    assert_eq!((kept.deleted, kept.purged_at), (scene.world.now(), Some(gone)));
    assert_eq!((kept.name.clone(), kept.points), (vault(), 1));

    // Nothing is there: not by its name, not for who had a role on it, not for who would register.
    assert_eq!(code(&people.vault(&vault()).await.unwrap_err()), Code::VaultNotFound);
    assert!(people.vaults().await.unwrap().vaults.is_empty());
    let vera = scene.world.client_of("vera").await;
    assert_eq!(code(&vera.vault(&vault()).await.unwrap_err()), Code::VaultNotFound);
    let registration = format!("{}.{}", credentials.credential_id, credentials.secret.reveal());
    let request = br#"{"machine": "late", "public_key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}"#;
    let reply = scene
        .world
        .call("POST", "/api/v1/register", Some(&registration), request)
        .await;
    assert_eq!(reply.status, 401);
    // Who could read the vault sees that it is deleted, and nobody else; who could only read does not bring it back.
    assert_eq!(vera.deleted_vaults().await.unwrap().vaults, std::slice::from_ref(&kept));
    assert_eq!(vera.deleted_vault(kept.id).await.unwrap(), kept);
    let refused = vera.undelete_vault(kept.id).await.unwrap_err();
    assert_eq!(code(&refused), Code::Forbidden);
    scene.world.user("stranger", &[]).await;
    let stranger = scene.world.client_of("stranger").await;
    assert!(stranger.deleted_vaults().await.unwrap().vaults.is_empty());
    let hidden = stranger.undelete_vault(kept.id).await.unwrap_err();
    assert_eq!(code(&hidden), Code::VaultNotFound);
    let absent: VaultId = "0199f3a0-7c1e-7b4a-9d2e-5f6a7b8c9d0e".parse().unwrap();
    let never = stranger.undelete_vault(absent).await.unwrap_err();
    assert_eq!(
        hidden.to_string().replace(&kept.id.to_string(), "…"),
        never.to_string().replace(&absent.to_string(), "…")
    );

    let back = people.undelete_vault(kept.id).await.unwrap();
    assert_eq!((back.id, back.name), (kept.id, vault()));
    assert_eq!(vera.vault(&vault()).await.unwrap().id, kept.id, "roles stay with it");
    assert!(people.deleted_vaults().await.unwrap().vaults.is_empty());
    let again = people.undelete_vault(kept.id).await.unwrap_err();
    assert_eq!(code(&again), Code::VaultNotFound);
    // Its item has the days that the vault had, and its recovery points are read again.
    let item = people.item(&vault(), &web()).await.unwrap();
    assert_eq!(item.purged_at, Some(gone));
    let item = people
        .undelete_item(&vault(), &by_id(&scene))
        .await
        .unwrap()
        .item
        .unwrap();
    assert_eq!(item.state, ItemState::ProtectionStopped);
    let credentials = people.issue_credentials(&vault()).await.unwrap();
    let next = scene.world.machine(&credentials, "next").await;
    let key_set = key_set_id(scene.machine.registered.container.as_bytes()[15]);
    next.client.join_key_set(key_set, membership(key_set)).await.unwrap();
    let points = next.client.points(&PointFilter::Machine(web())).await.unwrap().points;
    assert_eq!(points.len(), 1);
    assert_eq!(next.client.point_object(point.id).await.unwrap(), point.object);
}

#[tokio::test]
async fn a_deletion_is_told_of_and_its_alert_ends_with_it() {
    let scene = Scene::new().await;
    back_up(&scene.machine.client, &scene.machine.registered, 1, b"contents").await;
    let id = deleted(&scene).await;
    scene.people.undelete_vault(id).await.unwrap();
    let filter = AlertFilter {
        kind: Some(AlertKind::DeleteBackupData),
        ..AlertFilter::default()
    };
    let alerts = scene.people.alerts(&vault(), &filter).await.unwrap().alerts;
    let told: Vec<_> = alerts
        .iter()
        .map(|alert| (alert.subject.as_str(), alert.code.as_str(), alert.state))
        .collect();
    assert_eq!(
        told,
        [
            ("main", "VaultDeleted", AlertState::Resolved),
            ("web", "DataDeleted", AlertState::Active)
        ]
    );
}

#[tokio::test]
async fn several_deleted_vaults_share_a_name_and_one_of_them_gets_it_back() {
    let scene = Scene::new().await;
    let people = &scene.people;
    let first = deleted(&scene).await;
    let second = {
        create(people, "Main").await;
        let credentials = people.issue_credentials(&vault()).await.unwrap();
        let machine = scene.world.machine(&credentials, "web").await;
        world::objects::add_key_set(&machine).await;
        back_up(&machine.client, &machine.registered, 2, b"contents").await;
        deleted(&scene).await
    };
    assert_ne!(first, second);
    let listed = people.deleted_vaults().await.unwrap().vaults;
    assert_eq!(listed.len(), 2);
    let third = create(people, "main").await;
    for id in [first, second] {
        let refused = people.undelete_vault(id).await.unwrap_err();
        assert_eq!(code(&refused), Code::VaultExists);
        assert!(refused.to_string().contains("delete that one first"), "{refused}");
    }
    // It holds nothing, and is gone at once.
    assert_eq!(people.delete_vault(&vault()).await.unwrap().kept, None);
    people.undelete_vault(first).await.unwrap();
    let shown = people.vault(&vault()).await.unwrap();
    assert_eq!(shown.id, first);
    assert_ne!(shown.id, third);
    let refused = people.undelete_vault(second).await.unwrap_err();
    assert_eq!(code(&refused), Code::VaultExists);
}

#[tokio::test]
async fn a_deleted_vault_is_gone_when_its_days_are_over_and_not_before() {
    let scene = Scene::quick().await;
    back_up(&scene.machine.client, &scene.machine.registered, 1, b"contents").await;
    scene.people.unregister_container(&vault(), &web()).await.unwrap();
    // The item alone would go on the 14th day, the vault on the 17th.
    scene.live(3 * 24).await;
    let people = scene.fresh_people().await;
    let kept = people.delete_vault(&vault()).await.unwrap().kept.unwrap();
    let before = objects(&scene.world);
    assert!(before > 0);
    scene.live(12 * 24).await;
    let people = scene.fresh_people().await;
    let shown = people.deleted_vault(kept.id).await.unwrap();
    assert_eq!(
        (shown.points, shown.purged_at),
        (1, kept.purged_at),
        "nothing in it goes before it"
    );
    assert_eq!(objects(&scene.world), before);
    scene.live(2 * 24 + 1).await;
    let people = scene.fresh_people().await;
    let gone = people.deleted_vault(kept.id).await.unwrap_err();
    assert_eq!(code(&gone), Code::VaultNotFound);
    assert_eq!(objects(&scene.world), 0);
    let lost = people.undelete_vault(kept.id).await.unwrap_err();
    assert_eq!(code(&lost), Code::VaultNotFound);
    create(&people, "main").await;
    let items = people.items(&vault(), &ItemFilter::default()).await.unwrap().items;
    assert!(items.is_empty());
}

#[tokio::test]
async fn an_immutable_vault_is_not_got_round_by_deleting_it() {
    let scene = Scene::new().await;
    let people = &scene.people;
    let begun = scene.machine.client.begin_job(Operation::Backup).await.unwrap();
    scene.work(&begun, 1).await;
    let settings = VaultSettings {
        immutability: Immutability::Unlocked,
        ..VaultSettings::default()
    };
    let locked = VaultSettings {
        immutability: Immutability::Locked,
        ..settings.clone()
    };
    // What was deleted before keeps its days; the vault cannot go with it.
    people.unregister_container(&vault(), &web()).await.unwrap();
    people.change_settings(&vault(), &settings, None).await.unwrap();
    people.change_settings(&vault(), &locked, None).await.unwrap();
    let refused = people.delete_vault(&vault()).await.unwrap_err();
    assert_eq!(code(&refused), Code::Immutable);
    people.undelete_item(&vault(), &web()).await.unwrap();
    let stop = StopItem { data: StopData::Delete };
    let refused = people.stop_item(&vault(), &web(), &stop).await.unwrap_err();
    assert_eq!(code(&refused), Code::Immutable);
    let refused = people.delete_vault(&vault()).await.unwrap_err();
    assert_eq!(code(&refused), Code::VaultNotEmpty);
}

#[tokio::test]
async fn without_soft_delete_a_vault_stays_as_long_as_what_was_deleted_before() {
    let scene = Scene::new().await;
    let people = &scene.people;
    back_up(&scene.machine.client, &scene.machine.registered, 1, b"contents").await;
    let changed = people.unregister_container(&vault(), &web()).await.unwrap();
    let settings = VaultSettings {
        soft_delete: SoftDelete::Disabled,
        ..VaultSettings::default()
    };
    people.change_settings(&vault(), &settings, None).await.unwrap();
    scene.world.time.advance(SignedDuration::from_mins(30));
    let kept = people.delete_vault(&vault()).await.unwrap().kept.unwrap();
    assert_eq!(kept.purged_at, changed.item.unwrap().purged_at);
}
