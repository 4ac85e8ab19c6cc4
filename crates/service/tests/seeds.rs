//! Seeds: what somebody imports in a machine's name, and what not.

use strongroom_api::{AssertionClaims, AuditQuery, Client, Code, MachineKey, PointFilter, SeedOf, SeedStatement};
use strongroom_format::pack::BlobKind;
use strongroom_format::point::point_digest;
use strongroom_model::Digest;

use crate::world;
use crate::world::objects::{Pack, Point, add_key_set, back_up, key_set_id, leaf, pack, point};
use crate::world::scene::{Scene, code, vault};

/// A seed in memory: a chunk, a page, and a recovery point, signed.
struct Seed {
    packs: [Pack; 2],
    point: Point,
    statement: String,
}

fn seed(scene: &Scene, key: &MachineKey, number: u8, predecessor: Option<Digest>) -> Seed {
    let registered = &scene.machine.registered;
    let chunks = pack(BlobKind::Chunk, &[b"seeded contents", &[number]]);
    let pages = pack(BlobKind::Page, &[&leaf(&chunks.ids)]);
    let latest = predecessor.map(|digest| strongroom_api::LatestPoint {
        point: strongroom_model::PointId::from_bytes([99; 16]),
        digest,
    });
    let point = point(registered, number, pages.ids[0], latest);
    let statement = SeedStatement::new(
        registered.container,
        registered.vault,
        registered.item,
        key_set_id(registered.container.as_bytes()[15]),
        (point.id, point_digest(&point.object)),
        predecessor,
    );
    Seed {
        statement: statement.sign(key),
        packs: [chunks, pages],
        point,
    }
}

async fn begin(people: &Client, statement: &str) -> Result<strongroom_model::SessionId, Code> {
    let vault = vault();
    let begun = people
        .begin_seed(SeedOf {
            vault: &vault,
            statement,
        })
        .await;
    begun.map(|session| session.id).map_err(|error| code(&error))
}

#[tokio::test]
async fn a_seed_is_taken_in_as_from_its_machine() {
    let scene = Scene::new().await;
    add_key_set(&scene.machine).await;
    let seed = seed(&scene, &scene.machine.key, 1, None);
    let (people, vault) = (&scene.people, vault());
    let of = SeedOf {
        vault: &vault,
        statement: &seed.statement,
    };
    let session = people.begin_seed(of).await.unwrap().id;
    let [chunks, pages] = &seed.packs;
    assert_eq!(
        people.missing_of_seed(of, session, &chunks.ids).await.unwrap(),
        [true; 2]
    );
    let mut flipped = chunks.bytes.to_vec();
    flipped[3] ^= 1;
    let refused = people.put_seed_pack(of, session, chunks.name, flipped.into()).await;
    assert_eq!(code(&refused.unwrap_err()), Code::InvalidPack);
    people
        .put_seed_pack(of, session, chunks.name, chunks.bytes.clone())
        .await
        .unwrap();
    assert_eq!(
        people.missing_of_seed(of, session, &chunks.ids).await.unwrap(),
        [false; 2]
    );
    let early = people.commit_seed(of, session, seed.point.object.clone()).await;
    assert_eq!(code(&early.unwrap_err()), Code::BlobsMissing);
    people
        .put_seed_pack(of, session, pages.name, pages.bytes.clone())
        .await
        .unwrap();
    // The one point that the machine signed, and no other.
    let other = point(&scene.machine.registered, 2, pages.ids[0], None);
    let refused = people.commit_seed(of, session, other.object).await;
    assert_eq!(code(&refused.unwrap_err()), Code::InvalidSeed);
    for _ in 0..2 {
        let committed = people
            .commit_seed(of, session, seed.point.object.clone())
            .await
            .unwrap();
        assert_eq!(committed.point, seed.point.id);
    }
    let own = scene.machine.client.points(&PointFilter::Own).await.unwrap().points;
    assert_eq!(own.iter().map(|point| point.id).collect::<Vec<_>>(), [seed.point.id]);
    // Again is fine: whoever did not hear the answer asks again.
    begin(people, &seed.statement).await.unwrap();
    // It is written down that it was imported, not of how many packs.
    let lines = people.audit(&AuditQuery::default()).await.unwrap().lines;
    let of_seeds: Vec<(&str, u16)> = lines
        .iter()
        .filter(|line| line.path.contains("/seeds"))
        .map(|line| (line.path.rsplit('/').next().unwrap(), line.status))
        .collect();
    assert_eq!(of_seeds.iter().filter(|(end, _)| *end == "seeds").count(), 2);
    assert_eq!(
        of_seeds.iter().filter(|line| **line == ("commit", 201)).count(),
        2,
        "{of_seeds:?}"
    );
    assert!(
        of_seeds.iter().all(|(end, _)| ["seeds", "commit"].contains(end)),
        "{of_seeds:?}"
    );
}

#[tokio::test]
async fn what_no_machine_signed_is_refused() {
    let scene = Scene::new().await;
    add_key_set(&scene.machine).await;
    let people = &scene.people;
    let right = seed(&scene, &scene.machine.key, 1, None).statement;
    begin(people, &right).await.unwrap();
    let forged = seed(&scene, &MachineKey::generate(), 1, None).statement;
    let assertion = AssertionClaims::new(scene.machine.registered.container, scene.world.now());
    let assertion = assertion.sign(&scene.machine.key);
    for wrong in [&forged, assertion.reveal(), "", "a.b.c"] {
        assert_eq!(begin(people, wrong).await, Err(Code::InvalidSeed), "{wrong:?}");
    }
    // For this vault only.
    scene.world.vault("second").await;
    let second = world::vault_name("second");
    let elsewhere = people.begin_seed(SeedOf {
        vault: &second,
        statement: &right,
    });
    let refused = elsewhere.await.unwrap_err();
    assert_eq!(code(&refused), Code::InvalidSeed);
    assert!(refused.to_string().contains("another vault than second"), "{refused}");
    // Another point came first.
    back_up(&scene.machine.client, &scene.machine.registered, 5, b"over the line").await;
    assert_eq!(begin(people, &right).await, Err(Code::PredecessorMismatch));
    // The machine was registered again: its key is another one.
    let credentials = scene.people.issue_credentials(&vault()).await.unwrap();
    scene.world.machine(&credentials, "web").await;
    assert_eq!(begin(people, &right).await, Err(Code::InvalidSeed));
}
