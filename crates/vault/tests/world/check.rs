//! What must hold after everything, as one function.

use strongroom_model::{BlobId, PointId};
use strongroom_store::sim::check_order;
use strongroom_vault::{IDS_MAX, PointFilter};

use super::client::{Client, Source, fetch};
use super::{World, needs};

/// Checks the promises to these clients. `sources` are what their points may hold.
pub async fn check(world: &World, clients: &[Client], sources: &[Source]) {
    if let Err(disorder) = check_order(&world.steps.events(), needs) {
        panic!("{disorder}");
    }
    for client in clients {
        acknowledged_blobs_are_there(world, client).await;
        points_are_complete(world, client, sources).await;
    }
    if let Some(client) = clients.first() {
        let damages = world.vaults.scrub(client.vault).await.unwrap();
        assert_eq!(damages, [], "the scrub found damage");
    }
}

/// P1: what was acknowledged is durable.
async fn acknowledged_blobs_are_there(world: &World, client: &Client) {
    let ids: Vec<BlobId> = client.acknowledged.keys().copied().collect();
    assert!(ids.len() <= IDS_MAX);
    let blobs = fetch(world, client.container, &ids).await.unwrap();
    assert_eq!(blobs, client.acknowledged, "an acknowledged blob is not what it was");
}

/// P1, P2, P5: acknowledged points are listed, listed points are complete and hold a source, and no failed backup has
/// left one.
async fn points_are_complete(world: &World, client: &Client, sources: &[Source]) {
    let listed = world.vaults.points(client.container, &PointFilter::Own).await.unwrap();
    let ids: Vec<PointId> = listed.iter().map(|point| point.id).collect();
    for acknowledged in client.points.keys() {
        assert!(
            ids.contains(acknowledged),
            "acknowledged point {acknowledged} is not listed"
        );
    }
    let mut predecessor = None;
    for point in listed {
        let is_known = client.points.contains_key(&point.id) || client.in_doubt.contains_key(&point.id);
        assert!(is_known, "a failed backup left point {}", point.id);
        assert_eq!(point.predecessor, predecessor, "the points are no chain");
        predecessor = Some(point.digest);
        let restored = client.restore(world, point.id).await.unwrap();
        assert!(sources.contains(&restored), "point {} holds something else", point.id);
        let damages = world.vaults.scrub_point(client.container, point.id).await.unwrap();
        assert_eq!(damages, []);
    }
}
