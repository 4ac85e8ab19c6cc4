//! Key sets that hold one master key, and reading with a key set for the time of a request.

use std::fs;

use strongroom_api::{Code, PointFilter};
use strongroom_format::keyset::KeySetObject;
use strongroom_model::KeySetId;

use crate::world::objects::{add_key_set, back_up, key_set, key_set_id, membership};
use crate::world::scene::{Scene, code, vault};

/// A key set with another id, and the membership secret of this one.
fn same_master(id: KeySetId, of: KeySetId, salt: [u8; 32]) -> bytes::Bytes {
    let verifier = KeySetObject::decode(&key_set(of, salt)).unwrap().verifier;
    let object = KeySetObject::decode(&key_set(id, salt)).unwrap();
    KeySetObject { verifier, ..object }.encode().into()
}

#[tokio::test]
async fn who_shows_the_membership_secret_reads_for_that_request() {
    let scene = Scene::new().await;
    let web = &scene.machine;
    add_key_set(web).await;
    let own = key_set_id(web.registered.container.as_bytes()[15]);
    let point = back_up(&web.client, &web.registered, 1, b"contents").await.id;
    let credentials = scene.people.issue_credentials(&vault()).await.unwrap();
    let other = scene.world.machine(&credentials, "other").await.client;
    let right = other.with_membership(&membership(own));
    let wrong = other.with_membership(&[7; 32]);
    for _ in 0..2 {
        for client in [&other, &wrong] {
            assert!(client.points(&PointFilter::All).await.unwrap().points.is_empty());
            assert_eq!(code(&client.point(point).await.unwrap_err()), Code::PointNotFound);
            assert_eq!(
                code(&client.point_object(point).await.unwrap_err()),
                Code::PointNotFound
            );
            assert_eq!(code(&client.check_point(point).await.unwrap_err()), Code::PointNotFound);
            assert_eq!(code(&client.scrub_point(point).await.unwrap_err()), Code::PointNotFound);
        }
        assert_eq!(right.points(&PointFilter::All).await.unwrap().points.len(), 1);
        assert_eq!(right.point(point).await.unwrap().id, point);
        right.point_object(point).await.unwrap();
        assert!(right.check_point(point).await.unwrap().damages.is_empty());
        assert!(right.scrub_point(point).await.unwrap().damages.is_empty());
        // It is no member by that, and commits nothing in the set.
        let sets = right.key_sets().await.unwrap().key_sets;
        assert!(sets.iter().all(|set| !set.joined && set.machines.is_empty()));
    }
}

#[tokio::test]
async fn a_second_key_set_of_a_master_key_is_added_by_members_only() {
    let scene = Scene::new().await;
    let web = &scene.machine;
    add_key_set(web).await;
    let salt = web.registered.salt;
    let own = key_set_id(web.registered.container.as_bytes()[15]);
    let credentials = scene.people.issue_credentials(&vault()).await.unwrap();
    let stranger = scene.world.machine(&credentials, "stranger").await;
    let count = || fs::read_dir(world_keys(&scene)).unwrap().count();
    let (forged, objects) = (KeySetId::from_bytes([0x70; 16]), count());
    let copied = same_master(forged, own, salt);
    let refused = stranger.client.add_key_set(forged, copied, None).await.unwrap_err();
    assert_eq!(code(&refused), Code::MembershipRefused);
    assert_eq!(count(), objects, "an object without a row was left");

    let pin = scene.people.security_pin(&vault()).await.unwrap().pin;
    let second = KeySetId::from_bytes([0x71; 16]);
    let object = same_master(second, own, salt);
    web.client.add_key_set(second, object, Some(&pin)).await.unwrap();
    // Who has opened the second is a member of the first too, and reads what was made with it.
    let point = back_up(&web.client, &web.registered, 1, b"contents").await.id;
    stranger.client.join_key_set(second, membership(own)).await.unwrap();
    assert_eq!(stranger.client.point(point).await.unwrap().key_set, own);
    let sets = stranger.client.key_sets().await.unwrap().key_sets;
    assert!(sets.iter().all(|set| set.joined));
    let first = sets.iter().find(|set| set.id == own).unwrap();
    assert_eq!(
        first.machines.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
        ["stranger", "web"]
    );

    // Registering anew under the name proves nothing: what was joined is forgotten.
    let credentials = scene.people.issue_credentials(&vault()).await.unwrap();
    let again = scene.world.machine(&credentials, "stranger").await.client;
    assert_eq!(code(&again.point(point).await.unwrap_err()), Code::PointNotFound);
    assert!(again.key_sets().await.unwrap().key_sets.iter().all(|set| !set.joined));
}

/// Where the objects of the vault's key sets lie.
fn world_keys(scene: &Scene) -> std::path::PathBuf {
    let objects = scene.world.data().join("objects/local");
    let vault = fs::read_dir(objects).unwrap().next().unwrap().unwrap().path();
    vault.join("keys")
}
