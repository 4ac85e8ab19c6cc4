//! Exports: who has what given out, and what is written down of it.

use std::fs;

use crate::world;
use crate::world::objects::{back_up, key_set_id};
use crate::world::scene::{Scene, code, vault, web};
use strongroom_api::{AuditQuery, Code, Fetched, StopData, StopItem};
use strongroom_format::blob_id;
use strongroom_format::page::parse_visible;
use strongroom_format::point::parse_point;
use strongroom_model::{BlobId, PointId, Role};

const CONTENTS: &[u8] = b"hello world";

#[tokio::test]
async fn a_recovery_point_is_given_out_with_all_that_it_needs() {
    let scene = Scene::new().await;
    let registered = &scene.machine.registered;
    let made = back_up(&scene.machine.client, registered, 1, CONTENTS).await;
    scene.world.user("op", &[(Role::BackupOperator, "vault/main")]).await;
    let operator = scene.world.client_of("op").await;
    let given = operator.export_point(&vault(), made.id).await.unwrap();
    assert_eq!((&given.point[..], &given.damages[..]), (&made.object[..], &[][..]));
    let sets: Vec<_> = given.key_sets.iter().map(|set| set.id).collect();
    assert_eq!(sets, [key_set_id(registered.container.as_bytes()[15])]);
    assert!(str::from_utf8(&given.vault_file).unwrap().contains("\"main\""));

    // From the root down, without a key.
    let root = parse_point(&given.point).unwrap().header.root;
    let page = one(&operator, root).await;
    let chunk = parse_visible(&page).unwrap().refs.get(0).unwrap();
    assert_eq!(one(&operator, chunk).await, CONTENTS);
    let unknown = blob_id(b"nowhere");
    let sizes = operator
        .blob_sizes(&vault(), &[chunk, unknown, root, chunk])
        .await
        .unwrap();
    assert_eq!(sizes, [11, 0, page.len() as u32, 11]);
    let absent = operator.export_blobs(&vault(), vec![unknown]).next().await.unwrap();
    assert_eq!(absent, Some(Fetched::NotFound { id: unknown }));
    let nothing = operator.export_point(&vault(), PointId::from_bytes([9; 16])).await;
    assert_eq!(code(&nothing.unwrap_err()), Code::PointNotFound);

    // Everything that was given out is written down, and by whom; the sizes were not given out.
    let lines = scene.people.audit(&AuditQuery::default()).await.unwrap().lines;
    let exports: Vec<_> = lines.iter().filter(|line| line.path.contains("/export")).collect();
    let count = |end: &str, status: u16| {
        let fits = exports
            .iter()
            .filter(|line| line.path.ends_with(end) && line.status == status);
        fits.count()
    };
    assert_eq!(
        [
            count("/export", 200),
            count("/export", 404),
            count("/export/blobs", 200),
            count("/export/sizes", 200)
        ],
        [1, 1, 3, 0]
    );
    let action = "recoveryPoints/restore/action";
    assert!(exports.iter().all(|line| line.action.ends_with(action)), "{exports:?}");
    let of_the_point = exports
        .iter()
        .find(|line| line.status == 200 && line.path.ends_with("/export"));
    assert!(of_the_point.unwrap().path.contains(&made.id.to_string()));
}

async fn one(client: &strongroom_api::Client, id: BlobId) -> Vec<u8> {
    match client.export_blobs(&vault(), vec![id]).next().await.unwrap().unwrap() {
        Fetched::Blob { id: sent, bytes } if sent == id => bytes.to_vec(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nobody_else_has_anything_given_out() {
    let scene = Scene::new().await;
    let made = back_up(&scene.machine.client, &scene.machine.registered, 1, CONTENTS).await;
    scene.world.user("reader", &[(Role::BackupReader, "vault/main")]).await;
    scene.world.vault("other").await;
    scene.world.user("neighbour", &[(Role::Owner, "vault/other")]).await;
    let ids = || vec![blob_id(CONTENTS)];
    for (name, expected) in [("reader", Code::Forbidden), ("neighbour", Code::VaultNotFound)] {
        let client = scene.world.client_of(name).await;
        let refused = [
            client.export_point(&vault(), made.id).await.map(drop),
            client.blob_sizes(&vault(), &ids()).await.map(drop),
            client.export_blobs(&vault(), ids()).next().await.map(drop),
        ];
        for refused in refused {
            assert_eq!(code(&refused.unwrap_err()), expected, "{name}");
        }
    }
    // A machine has a way of its own, to its own.
    let machine = &scene.machine.client;
    assert_eq!(
        code(&machine.export_point(&vault(), made.id).await.unwrap_err()),
        Code::Forbidden
    );
    let stream = machine.export_blobs(&vault(), ids()).next().await;
    assert_eq!(code(&stream.unwrap_err()), Code::Forbidden);
    // Nobody learns through one vault what is in another.
    let neighbour = scene.world.client_of("neighbour").await;
    let other = world::vault_name("other");
    let elsewhere = neighbour.export_point(&other, made.id).await;
    assert_eq!(code(&elsewhere.unwrap_err()), Code::PointNotFound);
    assert_eq!(neighbour.blob_sizes(&other, &ids()).await.unwrap(), [0]);
    // What was deleted is brought back first.
    let stop = StopItem { data: StopData::Delete };
    scene.people.stop_item(&vault(), &web(), &stop).await.unwrap();
    let deleted = scene.people.export_point(&vault(), made.id).await;
    assert_eq!(code(&deleted.unwrap_err()), Code::PointNotFound);
    scene.people.undelete_item(&vault(), &web()).await.unwrap();
    scene.people.export_point(&vault(), made.id).await.unwrap();
}

#[tokio::test]
async fn what_is_damaged_is_named_and_the_rest_is_given_out() {
    let scene = Scene::new().await;
    let made = back_up(&scene.machine.client, &scene.machine.registered, 1, CONTENTS).await;
    let vaults = scene.world.data().join("objects/local");
    let folder = fs::read_dir(vaults).unwrap().next().unwrap().unwrap().path();
    let key_set = fs::read_dir(folder.join("keys"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::write(folder.join("vault.json"), b"{}").unwrap();
    fs::remove_file(key_set).unwrap();
    let given = scene.people.export_point(&vault(), made.id).await.unwrap();
    assert_eq!((&given.point[..], given.key_sets.len()), (&made.object[..], 0));
    assert!(given.vault_file.is_empty());
    let named: Vec<&str> = given.damages.iter().map(|damage| &*damage.object).collect();
    assert_eq!(named.len(), 2);
    assert!(named[0].starts_with("keys/") && named[1] == "vault.json", "{named:?}");
    let point = folder.join(format!("points/{}/{}", scene.machine.registered.item, made.id));
    fs::write(point, b"SRR1").unwrap();
    let damaged = scene.people.export_point(&vault(), made.id).await;
    assert_eq!(code(&damaged.unwrap_err()), Code::ObjectDamaged);
}
