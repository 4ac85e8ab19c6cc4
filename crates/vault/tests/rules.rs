//! What a vault takes and what it refuses, by rule.

mod world;

use bytes::Bytes;
use futures_util::future::{join, join_all};
use jiff::SignedDuration;
use strongroom_format::blob_id;
use strongroom_format::pack::{BlobKind, PACK_BYTES_MAX};
use strongroom_model::*;
use strongroom_store::sim::{Failure, Fault, Steps};
use strongroom_vault::*;
use world::client::{Client, fetch, key_set, pack, page, secret, source, tree};
use world::{World, run};

async fn world() -> World {
    World::new(1, Steps::new()).await
}

/// Asserts that an answer is an error of this kind.
macro_rules! refused {
    ($answer:expr, $kind:pat) => {
        match $answer {
            Err($kind) => {}
            Err(other) => panic!("refused otherwise: {other}"),
            Ok(_) => panic!("not refused"),
        }
    };
}

fn name(text: &str) -> VaultName {
    text.parse().unwrap()
}

#[test]
fn vaults_are_made_shown_and_deleted() {
    run(async {
        let world = world().await;
        let create = |text| {
            let name = name(text);
            let vaults = world.vaults.clone();
            let new = NewVault {
                name,
                resource_group: ResourceGroupName::default(),
                region: Region::default(),
                redundancy: Redundancy::GeoRedundant,
            };
            async move { vaults.create(&new).await }
        };
        let main = create("Main").await.unwrap();
        refused!(create("mAIN").await, VaultError::VaultNameTaken { .. });
        assert_eq!(world.vaults.show(&name("main")).await.unwrap(), main);
        assert_eq!(world.vaults.list().await.unwrap(), std::slice::from_ref(&main));
        let file = world.sim.peek(&vault_file_key()).unwrap();
        let file = strongroom_format::vaultfile::VaultFile::decode(&file).unwrap();
        assert_eq!((file.id, file.salt.0), (main.vault.id, main.vault.salt.to_vec()));
        assert_ne!(main.vault.salt, [0; 32]);
        assert_eq!(world.vaults.delete(&name("MAIN")).await.unwrap(), main.vault);
        assert_eq!(world.sim.keys(), []);
        refused!(world.vaults.show(&name("main")).await, VaultError::VaultNotFound);
        refused!(world.vaults.delete(&name("main")).await, VaultError::VaultNotFound);
    });
}

#[test]
fn a_vault_with_machines_or_points_stays() {
    run(async {
        let world = world().await;
        let mut client = Client::register(&world, "web", 1).await.unwrap();
        client.backup(&world, &source(0, 3)).await.unwrap();
        let before = world.sim.keys();
        let refusal = world.vaults.delete(&name("main")).await.unwrap_err();
        assert!(matches!(refusal, VaultError::VaultNotEmpty { .. }));
        let sentence = refusal.to_string();
        assert!(
            sentence.contains("1 registered machines, and 1 items that are not deleted"),
            "{sentence}"
        );
        assert_eq!(world.sim.keys(), before);
    });
}

#[test]
fn a_machine_that_registers_again_keeps_its_points() {
    run(async {
        let world = world().await;
        let mut client = Client::register(&world, "web", 1).await.unwrap();
        let point = client.backup(&world, &source(0, 3)).await.unwrap();
        let name = "WEB".parse().unwrap();
        let again = world
            .vaults
            .register_container(client.vault, &name, &[2; 32])
            .await
            .unwrap();
        assert_eq!((again.id, again.item), (client.container, client.item));
        assert_eq!(world.vaults.container(again.id).await.unwrap().public_key, [2; 32]);
        assert_eq!(world.vaults.point(again.id, point).await.unwrap().machine, name);
        let gone = ContainerId::from_bytes([9; 16]);
        refused!(
            world.vaults.begin_session(gone, None).await,
            VaultError::ContainerNotFound
        );
    });
}

#[test]
fn key_sets_are_joined_by_who_has_opened_them() {
    run(async {
        let world = world().await;
        let web = Client::register(&world, "web", 1).await.unwrap();
        let name = "mail".parse().unwrap();
        let mail = world.vaults.register_container(web.vault, &name, &[2; 32]).await;
        let mail = mail.unwrap().id;
        let sets = world.vaults.key_sets(mail).await.unwrap();
        assert_eq!(sets.len(), 1);
        assert_eq!((sets[0].joined, &sets[0].object), (false, &Ok(key_set(web.key_set))));
        let join = |id, secret| world.vaults.join_key_set(mail, id, secret);
        refused!(join(web.key_set, &[8; 32]).await, VaultError::MembershipRefused);
        let absent = KeySetId::from_bytes([5; 16]);
        let (of_absent, of_web) = (secret(absent), secret(web.key_set));
        refused!(join(absent, &of_absent).await, VaultError::KeySetNotFound);
        assert!(!world.vaults.key_sets(mail).await.unwrap()[0].joined);
        join(web.key_set, &of_web).await.unwrap();
        assert!(world.vaults.key_sets(mail).await.unwrap()[0].joined);
    });
}

#[test]
fn a_key_set_is_never_replaced() {
    run(async {
        let world = world().await;
        let client = Client::register(&world, "web", 1).await.unwrap();
        let add = |id, bytes| world.vaults.add_key_set(client.container, id, bytes, None);
        let object = key_set(client.key_set);
        add(client.key_set, object.clone()).await.unwrap();
        let other = Bytes::from([&object[..], b"\n"].concat());
        refused!(add(client.key_set, other).await, VaultError::KeySetExists);
        assert_eq!(world.sim.peek(&key_set_key(client.key_set)), Some(object.clone()));
        let elsewhere = KeySetId::from_bytes([6; 16]);
        refused!(add(elsewhere, object).await, VaultError::KeySetRejected { .. });
        refused!(
            add(elsewhere, Bytes::from_static(b"{}")).await,
            VaultError::KeySetRejected { .. }
        );
        for number in 10..9 + KEY_SETS_PER_CONTAINER_MAX as u8 {
            let id = KeySetId::from_bytes([number; 16]);
            refused!(add(id, key_set(id)).await, VaultError::PinRefused { .. });
            // Who brings fresh credentials may bring another passphrase.
            let name = "web".parse().unwrap();
            let registered = world.vaults.register_container(client.vault, &name, &[1; 32]).await;
            assert_eq!(registered.unwrap().id, client.container);
            add(id, key_set(id)).await.unwrap();
        }
        let before = world.sim.keys();
        refused!(
            add(elsewhere, key_set(elsewhere)).await,
            VaultError::KeySetRejected { .. }
        );
        assert_eq!(world.sim.keys(), before);
    });
}

#[test]
fn a_session_lives_as_long_as_it_is_used() {
    run(async {
        let world = world().await;
        let client = Client::register(&world, "web", 1).await.unwrap();
        let session = world.vaults.begin_session(client.container, None).await.unwrap();
        assert_eq!(session.lease_until.duration_since(session.server_time), LEASE_DEFAULT);
        let missing = || world.vaults.missing(client.container, session.id, &[]);
        for _ in 0..10 {
            world.pass(SignedDuration::from_mins(14));
            missing().await.unwrap();
        }
        world.pass(SignedDuration::from_mins(15));
        refused!(missing().await, VaultError::SessionExpired);
        // A clock that goes back brings it to life again, and does no harm.
        world.pass(SignedDuration::from_mins(-30));
        missing().await.unwrap();
        world.vaults.end_session(client.container, session.id).await.unwrap();
        refused!(missing().await, VaultError::SessionNotFound);
    });
}

#[test]
fn a_commit_in_an_expired_session_is_refused() {
    run(async {
        let world = world().await;
        let mut client = Client::register(&world, "web", 1).await.unwrap();
        let first = world.vaults.begin_session(client.container, None).await.unwrap();
        let tree = tree(&source(0, 3));
        client
            .send(&world, first.id, BlobKind::Chunk, &tree.chunks)
            .await
            .unwrap();
        client
            .send(&world, first.id, BlobKind::Page, &tree.pages)
            .await
            .unwrap();
        let (id, bytes) = client.point(tree.root, None);
        world.pass(SignedDuration::from_mins(15));
        refused!(
            client.commit(&world, first.id, id, bytes.clone()).await,
            VaultError::SessionExpired
        );
        assert_eq!(world.vaults.vault_points(client.vault).await.unwrap(), []);
        // What was sent is not sent again.
        let second = world.vaults.begin_session(client.container, None).await.unwrap();
        client.commit(&world, second.id, id, bytes).await.unwrap();
    });
}

#[test]
fn what_is_not_ones_own_is_like_nothing() {
    run(async {
        let world = world().await;
        let mut web = Client::register(&world, "web", 1).await.unwrap();
        let mail = Client::register(&world, "mail", 2).await.unwrap();
        let point = web.backup(&world, &source(0, 3)).await.unwrap();
        let session = world.vaults.begin_session(web.container, None).await.unwrap().id;
        let vaults = &world.vaults;
        let nothing = PointId::from_bytes([77; 16]);
        for id in [point, nothing] {
            refused!(vaults.point(mail.container, id).await, VaultError::PointNotFound);
            refused!(vaults.point_object(mail.container, id).await, VaultError::PointNotFound);
            refused!(vaults.scrub_point(mail.container, id).await, VaultError::PointNotFound);
            refused!(vaults.check_point(mail.container, id).await, VaultError::PointNotFound);
        }
        for id in [session, SessionId::from_bytes([77; 16])] {
            refused!(
                vaults.missing(mail.container, id, &[]).await,
                VaultError::SessionNotFound
            );
            let put = vaults.put_pack(mail.container, id, PackId::from_bytes([0; 32]), Bytes::new());
            refused!(put.await, VaultError::SessionNotFound);
            refused!(
                vaults.commit(mail.container, id, Bytes::new()).await,
                VaultError::SessionNotFound
            );
            vaults.end_session(mail.container, id).await.unwrap();
        }
        vaults.missing(web.container, session, &[]).await.unwrap();
        assert_eq!(vaults.points(mail.container, &PointFilter::All).await.unwrap(), []);
    });
}

#[test]
fn members_of_a_key_set_read_each_others_points() {
    run(async {
        let world = world().await;
        let mut web = Client::register(&world, "web", 1).await.unwrap();
        let mut mail = Client::register(&world, "mail", 1).await.unwrap();
        let of_web = web.backup(&world, &source(0, 3)).await.unwrap();
        let of_mail = mail.backup(&world, &source(0, 5)).await.unwrap();
        let list = async |filter| {
            let points = world.vaults.points(mail.container, &filter).await.unwrap();
            points.into_iter().map(|point| point.id).collect::<Vec<_>>()
        };
        assert_eq!(list(PointFilter::Own).await, [of_mail]);
        assert_eq!(list(PointFilter::All).await, [of_web, of_mail]);
        assert_eq!(list(PointFilter::Machine("WEB".parse().unwrap())).await, [of_web]);
        assert_eq!(mail.restore(&world, of_web).await.unwrap(), source(0, 3));
    });
}

/// Puts a pack of these blobs, under this name or its own.
async fn put(world: &World, client: &Client, name: Option<PackId>, bytes: Bytes) -> Result<PutOutcome, VaultError> {
    let session = world.vaults.begin_session(client.container, None).await?.id;
    let own = pack(BlobKind::Chunk, &source(0, 2)).0;
    let name = name.unwrap_or(own);
    world.vaults.put_pack(client.container, session, name, bytes).await
}

#[test]
fn packs_that_are_not_what_they_say_are_refused() {
    run(async {
        let world = world().await;
        let client = Client::register(&world, "web", 1).await.unwrap();
        let before = world.sim.keys();
        let (name, bytes) = pack(BlobKind::Chunk, &source(0, 2));
        let check = async |name, bytes: Bytes, expected: &str| {
            let sentence = match put(&world, &client, Some(name), bytes).await {
                Err(VaultError::PackRejected { why }) => why,
                other => panic!("{other:?}"),
            };
            assert!(sentence.contains(expected), "{sentence}");
        };
        let mut flipped = bytes.to_vec();
        flipped[3] ^= 1;
        check(name, flipped.into(), "is damaged").await;
        check(PackId::from_bytes([1; 32]), bytes.clone(), "does not match its name").await;
        check(name, bytes.slice(1..), "").await;
        check(name, Bytes::new(), "").await;
        check(name, vec![0; PACK_BYTES_MAX + 1].into(), "at most").await;
        let (name, bytes) = pack(BlobKind::Chunk, &[]);
        check(name, bytes, "holds nothing").await;
        let (name, bytes) = pack(BlobKind::Page, &source(0, 2));
        check(name, bytes, "said to be a page").await;
        let (name, bytes) = pack(BlobKind::Chunk, &[page(0, &[])]);
        check(name, bytes, "said to be a chunk").await;
        assert_eq!(world.sim.keys(), before);
    });
}

#[test]
fn a_pack_that_brings_nothing_is_not_stored() {
    run(async {
        let world = world().await;
        let client = Client::register(&world, "web", 1).await.unwrap();
        let blobs = source(0, 4);
        let (name, bytes) = pack(BlobKind::Chunk, &blobs);
        let outcome = |new_blobs, duplicate_blobs| PutOutcome {
            new_blobs,
            duplicate_blobs,
        };
        assert_eq!(
            put(&world, &client, Some(name), bytes.clone()).await.unwrap(),
            outcome(4, 0)
        );
        assert_eq!(put(&world, &client, Some(name), bytes).await.unwrap(), outcome(0, 4));
        let before = world.sim.keys();
        let (name, bytes) = pack(BlobKind::Chunk, &blobs[1..3]);
        assert_eq!(put(&world, &client, Some(name), bytes).await.unwrap(), outcome(0, 2));
        assert_eq!(world.sim.keys(), before);
    });
}

#[test]
fn of_a_pack_only_what_is_new_is_stored() {
    run(async {
        let world = world().await;
        let client = Client::register(&world, "web", 1).await.unwrap();
        let (first, bytes) = pack(BlobKind::Chunk, &source(0, 4));
        put(&world, &client, Some(first), bytes).await.unwrap();
        let (mixed, bytes) = pack(BlobKind::Chunk, &source(2, 4));
        for new_blobs in [2, 0] {
            let outcome = put(&world, &client, Some(mixed), bytes.clone()).await.unwrap();
            let duplicate_blobs = 4 - new_blobs;
            assert_eq!(
                outcome,
                PutOutcome {
                    new_blobs,
                    duplicate_blobs
                }
            );
        }
        let (only_new, bytes) = pack(BlobKind::Chunk, &source(4, 2));
        assert_eq!(world.sim.peek(&pack_key(mixed)), None);
        assert_eq!(world.sim.peek(&pack_key(only_new)), Some(bytes));
        assert_eq!(world.vaults.scrub(client.vault).await.unwrap(), []);
    });
}

#[test]
fn twins_are_fine() {
    run(async {
        let world = world().await;
        let client = Client::register(&world, "web", 1).await.unwrap();
        let (name, bytes) = pack(BlobKind::Chunk, &source(0, 4));
        let twins = (0..8).map(|_| put(&world, &client, Some(name), bytes.clone()));
        let outcomes = join_all(twins).await;
        let new: u64 = outcomes.into_iter().map(|outcome| outcome.unwrap().new_blobs).sum();
        assert_eq!(new, 4);
        assert_eq!(world.vaults.scrub(client.vault).await.unwrap(), []);
    });
}

/// Commits a point over this root.
async fn commit(world: &World, client: &mut Client, root: BlobId) -> Result<(), VaultError> {
    let session = world.vaults.begin_session(client.container, None).await?;
    let (id, bytes) = client.point(root, session.latest.map(|(_, digest)| digest));
    client.commit(world, session.id, id, bytes).await
}

#[test]
fn a_point_needs_everything_below_it() {
    run(async {
        let world = world().await;
        let mut client = Client::register(&world, "web", 1).await.unwrap();
        let session = world.vaults.begin_session(client.container, None).await.unwrap().id;
        let tree = tree(&source(0, 9));
        let missing = async |client: &mut Client| match commit(&world, client, tree.root).await {
            Err(VaultError::BlobsMissing { mut missing, truncated }) => {
                assert!(!truncated);
                missing.sort();
                missing
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(missing(&mut client).await, [tree.root]);
        client.send(&world, session, BlobKind::Page, &tree.pages).await.unwrap();
        let mut chunks: Vec<BlobId> = tree.chunks.iter().map(|chunk| blob_id(chunk)).collect();
        chunks.sort();
        assert_eq!(missing(&mut client).await, chunks);
        client
            .send(&world, session, BlobKind::Chunk, &tree.chunks[..8])
            .await
            .unwrap();
        assert_eq!(missing(&mut client).await, [blob_id(&tree.chunks[8])]);
        assert_eq!(world.vaults.vault_points(client.vault).await.unwrap(), []);
        client
            .send(&world, session, BlobKind::Chunk, &tree.chunks[8..])
            .await
            .unwrap();
        commit(&world, &mut client, tree.root).await.unwrap();
    });
}

#[test]
fn the_list_of_missing_blobs_is_bounded() {
    run(async {
        let world = world().await;
        let mut client = Client::register(&world, "web", 1).await.unwrap();
        let session = world.vaults.begin_session(client.container, None).await.unwrap().id;
        let absent: Vec<BlobId> = (0..IDS_MAX as u32 + 1).map(|n| blob_id(&n.to_le_bytes())).collect();
        let leaf = page(0, &absent);
        client
            .send(&world, session, BlobKind::Page, std::slice::from_ref(&leaf))
            .await
            .unwrap();
        match commit(&world, &mut client, blob_id(&leaf)).await {
            Err(VaultError::BlobsMissing { missing, truncated }) => {
                assert_eq!((missing.len(), truncated), (IDS_MAX, true));
            }
            other => panic!("{other:?}"),
        }
        let container = client.container;
        refused!(
            world.vaults.missing(container, session, &absent).await,
            VaultError::TooManyIds
        );
        refused!(
            world.vaults.fetch(container, absent).await.map(drop),
            VaultError::TooManyIds
        );
    });
}

#[test]
fn a_tree_that_is_none_is_refused() {
    run(async {
        let world = world().await;
        let mut client = Client::register(&world, "web", 1).await.unwrap();
        let session = world.vaults.begin_session(client.container, None).await.unwrap().id;
        let chunk = source(0, 1)[0].clone();
        let leaf = page(0, &[blob_id(&chunk)]);
        let of_chunk = page(1, &[blob_id(&chunk)]);
        let skips = page(2, &[blob_id(&leaf)]);
        let leaf_of_leaf = page(0, &[blob_id(&leaf)]);
        let pages = [leaf.clone(), of_chunk.clone(), skips.clone(), leaf_of_leaf.clone()];
        client
            .send(&world, session, BlobKind::Chunk, std::slice::from_ref(&chunk))
            .await
            .unwrap();
        client.send(&world, session, BlobKind::Page, &pages).await.unwrap();
        for root in [&chunk, &of_chunk, &skips, &leaf_of_leaf] {
            refused!(
                commit(&world, &mut client, blob_id(root)).await,
                VaultError::PointRejected { .. }
            );
        }
        client.in_doubt.clear();
        // Also when what they refer to was verified before.
        commit(&world, &mut client, blob_id(&leaf)).await.unwrap();
        for root in [&skips, &leaf_of_leaf] {
            refused!(
                commit(&world, &mut client, blob_id(root)).await,
                VaultError::PointRejected { .. }
            );
        }
    });
}

#[test]
fn pages_that_were_verified_are_not_read_again() {
    run(async {
        let world = world().await;
        let mut client = Client::register(&world, "web", 1).await.unwrap();
        client.backup(&world, &source(0, 40)).await.unwrap();
        let reads = || {
            let events = world.steps.events().into_iter();
            events.filter(|event| format!("{event:?}").contains("Get(")).count()
        };
        let before = reads();
        client.backup(&world, &source(0, 40)).await.unwrap();
        assert_eq!(reads(), before);
    });
}

#[test]
fn points_follow_each_other() {
    run(async {
        let world = world().await;
        let mut client = Client::register(&world, "web", 1).await.unwrap();
        let first = client.backup(&world, &source(0, 3)).await.unwrap();
        let digest = strongroom_format::point::point_digest(&client.points[&first]);
        let session = world.vaults.begin_session(client.container, None).await.unwrap();
        assert_eq!(session.latest, Some((first, digest)));
        let root = tree(&source(0, 3)).root;
        for predecessor in [None, Some(Digest::from_bytes([1; 32]))] {
            let (id, bytes) = client.point(root, predecessor);
            match client.commit(&world, session.id, id, bytes).await {
                Err(VaultError::PredecessorMismatch { expected }) => assert_eq!(expected, Some(digest)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(world.vaults.vault_points(client.vault).await.unwrap().len(), 1);
    });
}

#[test]
fn of_two_commits_one_wins() {
    run(async {
        let world = world().await;
        let mut client = Client::register(&world, "web", 1).await.unwrap();
        client.backup(&world, &source(0, 3)).await.unwrap();
        let session = world.vaults.begin_session(client.container, None).await.unwrap();
        let latest = session.latest.map(|(_, digest)| digest);
        let root = tree(&source(0, 3)).root;
        let (one, two) = (client.point(root, latest), client.point(root, latest));
        let commit = |bytes| world.vaults.commit(client.container, session.id, bytes);
        let (first, second) = join(commit(one.1), commit(two.1)).await;
        assert!(first.is_ok() != second.is_ok());
        let lost = first.and(second).unwrap_err();
        assert!(matches!(lost, VaultError::PredecessorMismatch { .. }), "{lost}");
    });
}

#[test]
fn a_committed_point_is_never_replaced() {
    run(async {
        let world = world().await;
        let mut client = Client::register(&world, "web", 1).await.unwrap();
        let id = client.backup(&world, &source(0, 3)).await.unwrap();
        let bytes = client.points[&id].clone();
        let session = world.vaults.begin_session(client.container, None).await.unwrap().id;
        // The very same again, as after an answer that was lost.
        client.commit(&world, session, id, bytes.clone()).await.unwrap();
        let other = Bytes::from([&bytes[..], b"x"].concat());
        refused!(
            world.vaults.commit(client.container, session, other).await,
            VaultError::PointRejected { .. }
        );
        assert_eq!(world.sim.peek(&point_key(client.item, id)), Some(bytes));
    });
}

#[test]
fn a_point_of_another_is_refused() {
    run(async {
        let world = world().await;
        let mut web = Client::register(&world, "web", 1).await.unwrap();
        let mut mail = Client::register(&world, "mail", 2).await.unwrap();
        web.backup(&world, &source(0, 3)).await.unwrap();
        let root = tree(&source(0, 3)).root;
        let session = world.vaults.begin_session(mail.container, None).await.unwrap().id;
        let foreign_item = web.point(root, None).1;
        mail.key_set = web.key_set;
        let foreign_key_set = mail.point(root, None).1;
        let mut nonsense = foreign_key_set.to_vec();
        nonsense[0] ^= 1;
        for bytes in [foreign_item, foreign_key_set, nonsense.into(), Bytes::new()] {
            refused!(
                world.vaults.commit(mail.container, session, bytes).await,
                VaultError::PointRejected { .. }
            );
        }
    });
}

#[test]
fn a_fetch_answers_each_blob_once() {
    run(async {
        let world = world().await;
        let mut client = Client::register(&world, "web", 1).await.unwrap();
        client.backup(&world, &source(0, 9)).await.unwrap();
        let id = blob_id(&source(0, 9)[3]);
        let blobs = fetch(&world, client.container, &[id, id]).await.unwrap();
        assert_eq!(blobs.into_values().collect::<Vec<_>>(), [source(0, 9)[3].clone()]);
        let unknown = BlobId::from_bytes([1; 32]);
        let sentence = fetch(&world, client.container, &[id, unknown]).await.unwrap_err();
        assert!(sentence.ends_with("is unknown"), "{sentence}");
    });
}

#[test]
fn a_full_disk_has_its_own_error() {
    run(async {
        for n in 1..=6 {
            let world = World::new(1, Steps::new()).await;
            let client = Client::register(&world, "web", 1).await.unwrap();
            let steps = Steps::with([Fault::always_from(n, Failure::NoSpace)]);
            let full = world.restart(world.sim.crash(1, steps.clone()), steps).await;
            let (name, bytes) = pack(BlobKind::Chunk, &source(0, 4));
            refused!(put(&full, &client, Some(name), bytes).await, VaultError::NoSpace);
        }
    });
}
