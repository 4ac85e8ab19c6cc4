//! What each table promises, by table, whichever database keeps it.

mod alerts;
mod control;
mod identity;

pub use identity::*;
use jiff::{SignedDuration, Timestamp};
use strongroom_db::*;
use strongroom_model::*;

pub use alerts::*;
pub use control::*;

/// Makes a test of each promise. `$world` opens an empty database, and a guard that keeps it.
#[macro_export]
macro_rules! promises_on {
    ($world:path) => {
        $crate::promises_on! { $world:
            vault_names_are_unique_without_regard_to_case
            only_an_empty_vault_is_deleted
            a_machine_keeps_its_ids_when_it_registers_again
            a_blob_stays_where_it_was_first
            missing_answers_in_the_order_of_the_question
            only_pages_are_verified
            key_sets_have_members
            a_point_is_committed_once_and_in_order
            points_are_read_by_their_machine_and_by_members_of_their_key_set
            sessions_are_leases
            one_session_too_many_ends_the_oldest
            service_tables
            a_record_is_written_by_who_read_its_last_version
            operations_outlive_their_vault_but_not_for_ever
            a_step_that_stops_leaves_nothing_or_all
            policies_have_versions_and_are_kept_while_used
            a_due_backup_becomes_one_job_and_missed_ones_wait_in_it
            a_job_goes_its_way_once
            points_earn_their_tags_and_expire_but_for_the_latest
            items_are_listed_in_pages_and_purged_when_their_time_has_come
            somebody_always_owns_the_subscription
            an_identity_is_one_users_and_a_way_in
            an_external_sign_in_is_taken_once_by_its_browser
            a_password_link_is_good_once_and_the_newest_only
            mail_goes_to_those_who_have_a_role_and_an_address
            roles_go_with_what_they_were_for
            keys_of_applications_are_bound_and_listed
            a_refresh_token_is_good_once
            codes_are_good_once
            what_ends_a_users_sign_ins_ends_all_of_them_and_no_others
            one_network_takes_its_share_of_the_waiting_places
            one_time_passwords_are_good_once
            the_audit_log_grows_and_is_filtered
            failures_of_one_kind_are_one_alert_until_a_backup_is_good
            a_machine_that_is_away_is_one_alert_that_counts
            what_takes_protection_away_is_told_in_its_transaction
            an_event_is_told_once_and_a_delivery_is_tried_by_one
            who_is_told_has_a_version
            looks_at_clocks_that_disagree_believe_nothing_new
        }
    };
    ($world:path: $($promise:ident)*) => {
        $(
            #[tokio::test]
            async fn $promise() {
                let (db, _guard) = $world().await;
                tables::$promise(db).await;
            }
        )*
    };
}

fn now() -> Timestamp {
    "2026-11-21T04:00:00.000000001Z".parse().unwrap()
}

fn later(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

pub fn vault_row(number: u8, name: &str) -> VaultRow {
    VaultRow {
        id: VaultId::from_bytes([number; 16]),
        name: name.parse().unwrap(),
        resource_group: ResourceGroupName::default(),
        region: Region::default(),
        redundancy: Redundancy::GeoRedundant,
        created: now(),
        salt: [number; 32],
        file_digest: Digest::from_bytes([number; 32]),
        settings: VaultSettings::default(),
        version: 1,
        deleted: None,
        purge_at: None,
    }
}

pub async fn vault(db: &Db, number: u8) -> VaultId {
    let row = vault_row(number, &format!("vault-{number}"));
    assert!(db.insert_vault(&row).await.unwrap());
    row.id
}

pub async fn machine(db: &Db, vault: VaultId, number: u8, name: &str) -> Container {
    let new = NewContainer {
        id: ContainerId::from_bytes([number; 16]),
        item: ItemId::from_bytes([number; 16]),
        name: &name.parse().unwrap(),
        public_key: &[number; 32],
        registered: now(),
    };
    db.register_container(vault, new).await.unwrap()
}

pub fn blob(number: u64, level: i8) -> NewBlob {
    NewBlob {
        id: blob_id(number),
        place: number * 10,
        size: 10,
        level,
    }
}

pub fn blob_id(number: u64) -> BlobId {
    BlobId::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

pub fn pack(number: u8) -> NewPack {
    NewPack {
        id: PackId::from_bytes([number; 32]),
        size: 1000,
        added: now(),
    }
}

pub fn key_set(number: u8, container: ContainerId) -> NewKeySet {
    NewKeySet {
        row: KeySetRow {
            id: KeySetId::from_bytes([number; 16]),
            digest: Digest::from_bytes([number; 32]),
            verifier: Digest::from_bytes([number; 32]),
            size: 7,
            added: later(number.into()),
        },
        added_by: container,
        per_container_max: 2,
        further: true,
    }
}

pub async fn session(db: &Db, number: u8, container: ContainerId) -> SessionId {
    let id = SessionId::from_bytes([number; 16]);
    let new = NewSession {
        id,
        container,
        begun: now(),
        lease_until: later(900 + i64::from(number)),
        job: None,
    };
    db.begin_session(new).await.unwrap();
    id
}

pub async fn vault_names_are_unique_without_regard_to_case(db: Db) {
    assert!(db.insert_vault(&vault_row(1, "Main")).await.unwrap());
    assert!(!db.insert_vault(&vault_row(2, "mAIN")).await.unwrap());
    assert!(db.insert_vault(&vault_row(3, "another")).await.unwrap());
    let found = db.vault_by_name(&"MAIN".parse().unwrap()).await.unwrap();
    assert_eq!(found, Some(vault_row(1, "Main")));
    let names: Vec<_> = db
        .vaults()
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.name.to_string())
        .collect();
    assert_eq!(names, ["another", "Main"]);
}

pub async fn only_an_empty_vault_is_deleted(db: Db) {
    let (full, empty) = (vault(&db, 1).await, vault(&db, 2).await);
    machine(&db, full, 1, "web").await;
    db.insert_pack(empty, pack(1), &[blob(1, CHUNK_LEVEL)]).await.unwrap();
    let VaultDeleted::NotEmpty(figures) = db.delete_vault(full).await.unwrap() else {
        panic!("a vault with a machine was deleted");
    };
    assert_eq!((figures.containers, figures.items, figures.deleted_items), (1, 1, 0));
    assert_eq!(db.vault_figures(empty).await.unwrap().stored_bytes, 1000);
    assert_eq!(db.delete_vault(empty).await.unwrap(), VaultDeleted::Deleted);
    assert_eq!(db.delete_vault(empty).await.unwrap(), VaultDeleted::Absent);
    assert!(matches!(
        db.missing_blobs(empty, &[blob_id(1)]).await,
        Err(DbError::NoVault)
    ));
    assert!(db.vault(full).await.unwrap().is_some());
    // The name is free again, and the new vault has nothing of the old one.
    let reborn = vault(&db, 2).await;
    assert_eq!(db.missing_blobs(reborn, &[blob_id(1)]).await.unwrap(), [true]);
}

pub async fn a_machine_keeps_its_ids_when_it_registers_again(db: Db) {
    let (one, two) = (vault(&db, 1).await, vault(&db, 2).await);
    let first = machine(&db, one, 1, "Web").await;
    let again = machine(&db, one, 2, "wEB").await;
    assert_eq!((again.id, again.item), (first.id, first.item));
    assert_eq!((again.public_key, again.name.as_str()), ([2; 32], "wEB"));
    let elsewhere = machine(&db, two, 3, "web").await;
    assert_ne!(elsewhere.id, first.id);
    assert_eq!(db.containers(one, "", 100).await.unwrap(), std::slice::from_ref(&again));
    assert_eq!(db.container(first.id).await.unwrap(), Some(again));
    assert_eq!(db.container(ContainerId::from_bytes([9; 16])).await.unwrap(), None);
}

pub async fn a_blob_stays_where_it_was_first(db: Db) {
    let (one, two) = (vault(&db, 1).await, vault(&db, 2).await);
    let many: Vec<NewBlob> = (0..1000).map(|number| blob(number, CHUNK_LEVEL)).collect();
    let inserted = db.insert_pack(one, pack(1), &many).await.unwrap();
    assert_eq!((inserted.new_blobs, inserted.duplicate_blobs), (1000, 0));
    let inserted = db
        .insert_pack(one, pack(2), &[blob(999, CHUNK_LEVEL), blob(1000, 3)])
        .await
        .unwrap();
    assert_eq!((inserted.new_blobs, inserted.duplicate_blobs), (1, 1));
    // The same pack again changes nothing.
    let inserted = db
        .insert_pack(one, pack(2), &[blob(999, CHUNK_LEVEL), blob(1000, 3)])
        .await
        .unwrap();
    assert_eq!((inserted.new_blobs, inserted.duplicate_blobs), (0, 2));
    let first = db.pack(one, pack(1).id).await.unwrap().unwrap();
    let second = db.pack(one, pack(2).id).await.unwrap().unwrap();
    assert_eq!(db.packs_after(one, PackKey::START, 9).await.unwrap(), [first, second]);
    assert_eq!(db.packs_after(one, first.key, 9).await.unwrap(), [second]);
    assert_eq!(db.pack_by_key(second.key).await.unwrap(), Some(second));
    let places = db
        .locate_blobs(one, &[blob_id(999), blob_id(1000), blob_id(1001)])
        .await
        .unwrap();
    assert_eq!(places.len(), 2);
    assert_eq!(places[&blob_id(999)].pack, first.key);
    let place = BlobPlace {
        pack: second.key,
        place: 10_000,
        size: 10,
        level: 3,
        verified: false,
    };
    assert_eq!(places[&blob_id(1000)], place);
    // Another vault knows nothing of them.
    assert_eq!(db.missing_blobs(two, &[blob_id(1)]).await.unwrap(), [true]);
}

pub async fn missing_answers_in_the_order_of_the_question(db: Db) {
    let vault = vault(&db, 1).await;
    let even: Vec<NewBlob> = (0..3000).map(|number| blob(number * 2, CHUNK_LEVEL)).collect();
    db.insert_pack(vault, pack(1), &even).await.unwrap();
    let ids: Vec<BlobId> = (0..6000).chain([3, 4]).map(blob_id).collect();
    let expected: Vec<bool> = (0..6000).chain([3, 4]).map(|number| number % 2 == 1).collect();
    assert_eq!(db.missing_blobs(vault, &ids).await.unwrap(), expected);
    assert_eq!(db.missing_blobs(vault, &[]).await.unwrap(), [false; 0]);
}

pub async fn only_pages_are_verified(db: Db) {
    let vault = vault(&db, 1).await;
    db.insert_pack(vault, pack(1), &[blob(0, CHUNK_LEVEL), blob(1, 0), blob(2, 0)])
        .await
        .unwrap();
    db.mark_verified(vault, &[blob_id(0), blob_id(1), blob_id(7)])
        .await
        .unwrap();
    let places = db
        .locate_blobs(vault, &[blob_id(0), blob_id(1), blob_id(2)])
        .await
        .unwrap();
    let verified: Vec<bool> = (0..3).map(|number| places[&blob_id(number)].verified).collect();
    assert_eq!(verified, [false, true, false]);
}

pub async fn key_sets_have_members(db: Db) {
    let (one, two) = (vault(&db, 1).await, vault(&db, 2).await);
    let (web, mail) = (
        machine(&db, one, 1, "web").await.id,
        machine(&db, one, 2, "mail").await.id,
    );
    let add = |vault, number, container| db.add_key_set(vault, key_set(number, container));
    assert_eq!(add(one, 2, web).await.unwrap(), KeySetAdded::Added);
    assert_eq!(add(one, 1, web).await.unwrap(), KeySetAdded::Added);
    assert_eq!(add(one, 3, web).await.unwrap(), KeySetAdded::TooMany);
    assert_eq!(
        add(one, 1, mail).await.unwrap(),
        KeySetAdded::Exists(key_set(1, web).row)
    );
    assert_eq!(
        add(two, 1, machine(&db, two, 4, "web").await.id).await.unwrap(),
        KeySetAdded::Added
    );
    let ids: Vec<KeySetId> = db.key_sets(one).await.unwrap().iter().map(|row| row.id).collect();
    assert_eq!(ids, [key_set(1, web).row.id, key_set(2, web).row.id]);
    assert_eq!(db.joined_key_sets(mail).await.unwrap(), []);
    for _ in 0..2 {
        db.join_key_set(one, ids[1], mail).await.unwrap();
    }
    assert_eq!(db.joined_key_sets(mail).await.unwrap(), [ids[1]]);
    assert_eq!(db.joined_key_sets(web).await.unwrap(), ids);
    assert!(db.join_key_set(one, KeySetId::from_bytes([9; 16]), mail).await.is_err());
}

pub fn point(number: u8, vault: VaultId, machine: &Container, predecessor: Option<Digest>) -> NewPoint {
    NewPoint {
        id: PointId::from_bytes([number; 16]),
        vault,
        item: machine.item,
        key_set: KeySetId::from_bytes([1; 16]),
        root: blob_id(1),
        created: now(),
        consistency: 0,
        total_bytes: u64::MAX,
        new_bytes: 1,
        files: 2,
        size: 3,
        digest: Digest::from_bytes([number; 32]),
        predecessor,
        committed: later(i64::from(number)),
    }
}

pub async fn a_point_is_committed_once_and_in_order(db: Db) {
    let vault = vault(&db, 1).await;
    let web = machine(&db, vault, 1, "web").await;
    db.add_key_set(vault, key_set(1, web.id)).await.unwrap();
    let live = session(&db, 1, web.id).await;
    db.insert_pack(vault, pack(1), &[blob(1, 0)]).await.unwrap();
    let first = point(1, vault, &web, None);
    assert_eq!(db.commit_point(live, &first).await.unwrap(), CommitRow::RootNotVerified);
    db.mark_verified(vault, &[blob_id(1)]).await.unwrap();
    assert_eq!(db.latest_point(web.item).await.unwrap(), None);
    assert_eq!(db.commit_point(live, &first).await.unwrap(), CommitRow::Committed);
    let CommitRow::Exists(row) = db.commit_point(live, &first).await.unwrap() else {
        panic!("it was committed twice");
    };
    assert_eq!(
        (row.digest, row.machine.as_str(), row.predecessor),
        (first.digest, "web", None)
    );
    assert_eq!(row.total_bytes, i64::MAX as u64);
    assert_eq!(db.latest_point(web.item).await.unwrap(), Some((first.id, first.digest)));
    let fork = db.commit_point(live, &point(2, vault, &web, None)).await.unwrap();
    assert_eq!(fork, CommitRow::PredecessorMismatch(Some(first.digest)));
    let second = point(2, vault, &web, Some(first.digest));
    assert_eq!(db.commit_point(live, &second).await.unwrap(), CommitRow::Committed);
    let late = NewPoint {
        committed: later(10_000),
        ..point(3, vault, &web, Some(second.digest))
    };
    assert_eq!(db.commit_point(live, &late).await.unwrap(), CommitRow::SessionExpired);
    let listed: Vec<PointId> = db
        .points(vault, PointsOf::Vault)
        .await
        .unwrap()
        .iter()
        .map(|row| row.id)
        .collect();
    assert_eq!(listed, [first.id, second.id]);
}

pub async fn points_are_read_by_their_machine_and_by_members_of_their_key_set(db: Db) {
    let vault = vault(&db, 1).await;
    let web = machine(&db, vault, 1, "web").await;
    let mail = machine(&db, vault, 2, "mail").await;
    db.add_key_set(vault, key_set(1, web.id)).await.unwrap();
    db.insert_pack(vault, pack(1), &[blob(1, 0)]).await.unwrap();
    db.mark_verified(vault, &[blob_id(1)]).await.unwrap();
    let live = session(&db, 1, web.id).await;
    let new = point(1, vault, &web, None);
    db.commit_point(live, &new).await.unwrap();
    let sees = async |viewer: &Container| {
        let of = PointsOf::Readable(viewer.id.into());
        let listed = db.points(vault, of).await.unwrap().len();
        let found = db.point(vault, of, new.id).await.unwrap();
        assert_eq!(listed == 1, found.is_some());
        found.is_some()
    };
    assert!(sees(&web).await);
    assert!(!sees(&mail).await);
    db.join_key_set(vault, new.key_set, mail.id).await.unwrap();
    assert!(sees(&mail).await);
    assert!(db.point(vault, PointsOf::Vault, new.id).await.unwrap().is_some());
}

pub async fn sessions_are_leases(db: Db) {
    let vault = vault(&db, 1).await;
    let (web, mail) = (
        machine(&db, vault, 1, "web").await,
        machine(&db, vault, 2, "mail").await,
    );
    let id = session(&db, 1, web.id).await;
    let found = db.session(id, web.id).await.unwrap().unwrap();
    assert_eq!(
        (found.vault, found.item, found.lease_until),
        (vault, web.item, later(901))
    );
    assert_eq!(db.session(id, mail.id).await.unwrap(), None);
    assert!(db.renew_session(id, later(900), later(1800)).await.unwrap());
    assert!(!db.renew_session(id, later(1800), later(2700)).await.unwrap());
    db.end_session(id, mail.id).await.unwrap();
    assert!(db.session(id, web.id).await.unwrap().is_some());
    db.end_session(id, web.id).await.unwrap();
    assert_eq!(db.session(id, web.id).await.unwrap(), None);
}

pub async fn one_session_too_many_ends_the_oldest(db: Db) {
    let vault = vault(&db, 1).await;
    let web = machine(&db, vault, 1, "web").await;
    let max = SESSIONS_PER_CONTAINER_MAX as u8;
    for number in 1..=max + 1 {
        session(&db, number, web.id).await;
    }
    let mut alive = vec![];
    for number in 1..=max + 1 {
        let id = SessionId::from_bytes([number; 16]);
        alive.extend(db.session(id, web.id).await.unwrap().map(|_| number));
    }
    assert_eq!(alive, (2..=max + 1).collect::<Vec<u8>>());
}

pub async fn service_tables(db: Db) {
    let user = UserRow {
        id: UserId::from_bytes([1; 16]),
        name: "Admin".into(),
        email: String::new(),
        disabled: false,
        password_hash: "$argon2id$…".into(),
        created: now(),
    };
    assert!(db.insert_user(&user, None).await.unwrap());
    assert!(!db.insert_user(&user, None).await.unwrap());
    assert_eq!(db.user("aDMIN").await.unwrap(), Some(user.clone()));
    assert_eq!(db.count_users().await.unwrap(), 1);
    assert!(
        db.replace_password("admin", &user.password_hash, "other")
            .await
            .unwrap()
    );
    for (name, old) in [("admin", user.password_hash.as_str()), ("nobody", "other")] {
        assert!(!db.replace_password(name, old, "third").await.unwrap());
    }
    assert_eq!(db.user("admin").await.unwrap().unwrap().password_hash, "other");
    assert!(!format!("{user:?}").contains("argon2id"));

    assert_eq!(db.setting("a").await.unwrap(), None);
    for value in ["1", "2"] {
        db.set_setting("a", value).await.unwrap();
        assert_eq!(db.setting("a").await.unwrap().as_deref(), Some(value));
    }

    let vault = vault(&db, 1).await;
    let credential = Credential {
        id: CredentialId::from_bytes([1; 16]),
        vault,
        secret_hash: [2; 32],
        issued: now(),
        expires: later(100),
        used: 0,
    };
    db.insert_credential(&credential).await.unwrap();
    assert_eq!(
        db.use_credential(credential.id, later(99)).await.unwrap(),
        CredentialUse::Counted
    );
    assert_eq!(
        db.use_credential(credential.id, later(100)).await.unwrap(),
        CredentialUse::Refused
    );
    let unknown = CredentialId::from_bytes([9; 16]);
    assert_eq!(db.use_credential(unknown, now()).await.unwrap(), CredentialUse::Refused);
    assert_eq!(db.credential(credential.id).await.unwrap().unwrap().used, 1);
    let newer = Credential {
        id: unknown,
        issued: later(100),
        expires: later(200),
        ..credential
    };
    db.insert_credential(&newer).await.unwrap();
    assert_eq!(db.credential(credential.id).await.unwrap(), None);
}

pub async fn a_step_that_stops_leaves_nothing_or_all(db: Db) {
    use std::sync::{Arc, Mutex};
    let plan = Arc::new(Mutex::new(None));
    let asked = plan.clone();
    let watched = db
        .clone()
        .with_steps(Arc::new(move |_, moment| match *asked.lock().unwrap() {
            Some(stop) if stop == moment => Err(DbError::Crashed),
            _ => Ok(()),
        }));
    for (number, moment, happened) in [(1, Moment::Before, false), (2, Moment::Committed, true)] {
        *plan.lock().unwrap() = Some(moment);
        let row = vault_row(number, &format!("vault-{number}"));
        assert!(matches!(watched.insert_vault(&row).await, Err(DbError::Crashed)));
        assert_eq!(db.vault(row.id).await.unwrap().is_some(), happened, "{moment:?}");
    }
}

pub async fn a_record_is_written_by_who_read_its_last_version(db: Db) {
    let vault = vault(&db, 1).await;
    assert_eq!(db.vault_record(vault).await.unwrap(), None);
    assert!(db.write_vault_record(vault, 0, "first").await.unwrap());
    assert!(!db.write_vault_record(vault, 0, "lost").await.unwrap());
    assert!(db.write_vault_record(vault, 1, "second").await.unwrap());
    let record = db.vault_record(vault).await.unwrap().unwrap();
    assert_eq!((record.document.as_str(), record.version), ("second", 2));
    assert_eq!(db.delete_vault(vault).await.unwrap(), VaultDeleted::Deleted);
    assert_eq!(db.vault_record(vault).await.unwrap(), None);
}

pub async fn operations_outlive_their_vault_but_not_for_ever(db: Db) {
    let operation = |number: u8, seconds, error: Option<(String, String)>| OperationRow {
        id: [number; 16],
        place: "/somewhere".to_owned(),
        begun: now(),
        ended: later(seconds),
        job: (number == 2).then(|| JobId::from_bytes([7; 16])),
        error,
        details: "{}".to_owned(),
    };
    let failed = Some(("Code".to_owned(), "sentence".to_owned()));
    let (first, second) = (operation(1, 1, failed), operation(2, 100, None));
    db.insert_operation(&first, now()).await.unwrap();
    assert_eq!(db.operation(first.id).await.unwrap(), Some(first.clone()));
    db.insert_operation(&second, later(50)).await.unwrap();
    assert_eq!(db.operation(first.id).await.unwrap(), None);
    assert_eq!(db.operation(second.id).await.unwrap(), Some(second));
}
