//! Policies, the life of items, expiry and immutability, as people meet them over HTTPS.

use jiff::SignedDuration;
use strongroom_api::{BackUpItem, ChangePolicy, Code, CreatePolicy, ItemFilter, JobFilter, StopData, StopItem};
use strongroom_model::policy::{Policy, Workload};
use strongroom_model::{Immutability, ItemState, JobState, Operation, PolicyName, SoftDelete, VaultSettings};

use crate::world::scene::{Scene, code, daily, files, under, vault, web};
use crate::world::{World, machine_name};

#[tokio::test]
async fn an_item_lives_is_stopped_deleted_and_brought_back() {
    let scene = Scene::new().await;
    let begun = scene.machine.client.begin_job(Operation::Backup).await.unwrap();
    scene.work(&begun, 1).await;
    let stop = |data| StopItem { data };
    let people = &scene.people;

    let stopped = people
        .stop_item(&vault(), &web(), &stop(StopData::Retain))
        .await
        .unwrap();
    let item = stopped.item.unwrap();
    assert_eq!(
        (item.state, item.policy, item.next_backup),
        (ItemState::ProtectionStopped, None, None)
    );
    assert_eq!(
        (stopped.job.operation, stopped.job.state),
        (Operation::DisableBackup, JobState::Completed)
    );
    let refused = people
        .back_up_item(&vault(), &web(), &BackUpItem::default())
        .await
        .unwrap_err();
    assert_eq!(code(&refused), Code::ItemState);
    let refused = scene.machine.client.begin_job(Operation::Backup).await.unwrap_err();
    assert!(refused.to_string().contains("resume it first"), "{refused}");
    let refused = scene.machine.client.begin_session(None).await.unwrap_err();
    assert_eq!(code(&refused), Code::ItemState);

    let resumed = people.protect_item(&vault(), &web(), &under(daily())).await.unwrap();
    assert_eq!(resumed.item.unwrap().state, ItemState::Protected);
    let queued = people
        .back_up_item(&vault(), &web(), &BackUpItem::default())
        .await
        .unwrap();
    let deleted = people
        .stop_item(&vault(), &web(), &stop(StopData::Delete))
        .await
        .unwrap();
    let item = deleted.item.unwrap();
    assert_eq!(
        item.purged_at,
        Some(scene.world.now() + SignedDuration::from_hours(14 * 24))
    );
    assert_eq!(deleted.job.operation, Operation::DeleteBackupData);
    assert_eq!(
        people.job(&vault(), queued.id).await.unwrap().state,
        JobState::Cancelled
    );
    let refused = people
        .protect_item(&vault(), &web(), &under(daily()))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("undelete it first"), "{refused}");
    let listed = ItemFilter {
        deleted: Some(true),
        ..ItemFilter::default()
    };
    assert_eq!(people.items(&vault(), &listed).await.unwrap().items.len(), 1);
    assert_eq!(
        people.item_points(&vault(), &web()).await.unwrap().points[0].why,
        "kept, as the item is soft-deleted"
    );

    let back = people.undelete_item(&vault(), &web()).await.unwrap();
    assert_eq!(back.item.unwrap().state, ItemState::ProtectionStopped);
    let again = people.undelete_item(&vault(), &web()).await.unwrap_err();
    assert_eq!(code(&again), Code::ItemState);
}

#[tokio::test]
async fn what_is_soft_deleted_goes_when_its_days_are_over() {
    let scene = Scene::quick().await;
    scene
        .people
        .stop_item(&vault(), &web(), &StopItem { data: StopData::Delete })
        .await
        .unwrap();
    scene.live(13 * 24).await;
    scene.world.time.advance(SignedDuration::from_hours(48));
    scene.seen().await;
    let people = scene.fresh_people().await;
    assert!(
        people.item(&vault(), &web()).await.is_ok(),
        "the clock jumped: nothing goes for a day"
    );
    scene.live(25).await;
    scene.seen().await;
    let people = scene.fresh_people().await;
    let gone = people.item(&vault(), &web()).await.unwrap_err();
    assert_eq!(code(&gone), Code::ItemNotFound);
    let stranger = scene.machine.client.machine().await.unwrap_err();
    assert!(
        matches!(code(&stranger), Code::MachineNotFound | Code::AssertionRefused),
        "{stranger}"
    );
    people.delete_vault(&vault()).await.unwrap();
}

#[tokio::test]
async fn points_expire_by_their_policy_but_for_the_newest() {
    let scene = Scene::quick().await;
    for point in 1..=2 {
        let begun = scene.machine.client.begin_job(Operation::Backup).await.unwrap();
        scene.work(&begun, point).await;
        scene.world.time.advance(SignedDuration::from_mins(10));
    }
    let mut shorter = files();
    shorter.retention.daily.as_mut().unwrap().keep = 7;
    let change = ChangePolicy { rules: shorter };
    scene
        .people
        .change_policy(&vault(), &daily(), &change, None)
        .await
        .unwrap();
    scene.live(8 * 24).await;
    scene.seen().await;
    let points = scene
        .fresh_people()
        .await
        .item_points(&vault(), &web())
        .await
        .unwrap()
        .points;
    assert_eq!(points.len(), 1);
    assert_eq!(points[0].why, "kept as the last recovery point");
}

#[tokio::test]
async fn policies_have_limits_versions_and_come_back() {
    let scene = Scene::new().await;
    let people = &scene.people;
    let name: PolicyName = "nightly".parse().unwrap();
    let mut rules = files();
    rules.retention.daily.as_mut().unwrap().keep = 3;
    let create = |rules: &Policy| CreatePolicy {
        name: name.clone(),
        workload: Workload::FilesAndFolders,
        rules: rules.clone(),
    };
    let refused = people.create_policy(&vault(), &create(&rules)).await.unwrap_err();
    assert_eq!(code(&refused), Code::InvalidPolicy);
    assert!(refused.to_string().contains("7 to 9999 days, not 3"), "{refused}");
    rules.retention.daily.as_mut().unwrap().keep = 14;
    let made = people.create_policy(&vault(), &create(&rules)).await.unwrap();
    assert_eq!(made.version, 1);
    let twice = people.create_policy(&vault(), &create(&rules)).await.unwrap_err();
    assert_eq!(code(&twice), Code::PolicyExists);
    let change = ChangePolicy { rules };
    let changed = people.change_policy(&vault(), &name, &change, Some(1)).await.unwrap();
    assert_eq!(changed.version, 2);
    let stale = people
        .change_policy(&vault(), &name, &change, Some(1))
        .await
        .unwrap_err();
    assert_eq!(code(&stale), Code::VersionMismatch);
    let used = people.delete_policy(&vault(), &daily()).await.unwrap_err();
    assert_eq!(code(&used), Code::PolicyInUse);
    people
        .protect_item(&vault(), &web(), &under(name.clone()))
        .await
        .unwrap();
    people.delete_policy(&vault(), &daily()).await.unwrap();
    let back = people.policy(&vault(), &daily()).await.unwrap();
    assert_eq!((back.version, back.rules), (1, files()));
    let other = people
        .protect_item(&vault(), &web(), &under("DefaultPolicy".parse().unwrap()))
        .await;
    assert_eq!(
        code(&other.unwrap_err()),
        Code::InvalidPolicy,
        "it is for virtual machines"
    );
}

#[tokio::test]
async fn an_immutable_vault_gives_nothing_up() {
    let scene = Scene::new().await;
    let begun = scene.machine.client.begin_job(Operation::Backup).await.unwrap();
    scene.work(&begun, 1).await;
    let people = &scene.people;
    let present = people.settings(&vault()).await.unwrap();
    let settings = |immutability| VaultSettings {
        soft_delete: SoftDelete::AlwaysOn,
        soft_delete_days: 30,
        immutability,
    };
    let locked = settings(Immutability::Locked);
    let refused = people.change_settings(&vault(), &locked, None).await.unwrap_err();
    assert_eq!(code(&refused), Code::InvalidSettings);
    let unlocked = settings(Immutability::Unlocked);
    let changed = people
        .change_settings(&vault(), &unlocked, Some(present.version))
        .await
        .unwrap();
    let stale = people
        .change_settings(&vault(), &locked, Some(present.version))
        .await
        .unwrap_err();
    assert_eq!(code(&stale), Code::VersionMismatch);
    people
        .change_settings(&vault(), &locked, Some(changed.version))
        .await
        .unwrap();
    let back = people.change_settings(&vault(), &unlocked, None).await.unwrap_err();
    assert!(back.to_string().contains("cannot be switched off"), "{back}");

    let delete = StopItem { data: StopData::Delete };
    let refused = people.stop_item(&vault(), &web(), &delete).await.unwrap_err();
    assert_eq!(code(&refused), Code::Immutable);
    let mut shorter = files();
    shorter.retention.daily.as_mut().unwrap().keep = 7;
    let refused = people
        .change_policy(&vault(), &daily(), &ChangePolicy { rules: shorter }, None)
        .await;
    assert_eq!(code(&refused.unwrap_err()), Code::Immutable);
    let by_policy = StopItem {
        data: StopData::RetainByPolicy,
    };
    let suspended = people.stop_item(&vault(), &web(), &by_policy).await.unwrap();
    assert_eq!(suspended.item.unwrap().state, ItemState::BackupsSuspended);

    // Nor by the way around: without its policy a stopped item would come under any other.
    let retain = StopItem { data: StopData::Retain };
    people.stop_item(&vault(), &web(), &retain).await.unwrap();
    let refused = people.delete_policy(&vault(), &daily()).await.unwrap_err();
    assert_eq!(code(&refused), Code::Immutable, "{refused}");
}

#[tokio::test]
async fn items_and_jobs_are_listed_in_pages() {
    let world = World::new().await;
    let credentials = world.vault("main").await;
    for number in 0..25 {
        world.machine(&credentials, &format!("machine-{number:02}")).await;
    }
    let people = world.administrator().await;
    for number in 0..25 {
        let name = machine_name(&format!("machine-{number:02}"));
        people.protect_item(&vault(), &name, &under(daily())).await.unwrap();
    }
    let mut filter = ItemFilter {
        limit: Some(10),
        ..ItemFilter::default()
    };
    let mut names = Vec::new();
    loop {
        let page = people.items(&vault(), &filter).await.unwrap();
        names.extend(page.items.into_iter().map(|item| item.name.to_string()));
        let Some(next) = page.next else { break };
        filter.after = Some(next);
    }
    assert_eq!(names.len(), 25);
    assert!(names.is_sorted());
    let mut filter = JobFilter {
        limit: Some(10),
        operation: Some(Operation::ConfigureBackup),
        ..JobFilter::default()
    };
    let mut jobs = Vec::new();
    loop {
        let page = people.jobs(&vault(), &filter).await.unwrap();
        jobs.extend(page.jobs.into_iter().map(|job| job.id));
        let Some(next) = page.next else { break };
        filter.before = Some(next);
    }
    assert_eq!(jobs.len(), 25);
    filter.limit = Some(0);
    assert_eq!(
        code(&people.jobs(&vault(), &filter).await.unwrap_err()),
        Code::InvalidRequest
    );
}
