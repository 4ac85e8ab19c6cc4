//! Any changed, missing, swapped or stale object is noticed without a key, by everything that reads it, and named; and the
//! rest can still be read (reliability family 5).

mod world;

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::StreamExt;
use strongroom_format::blob_id;
use strongroom_model::{BlobId, PointId};
use strongroom_store::Key;
use strongroom_store::sim::{Sim, Steps};
use strongroom_vault::{Fetched, VaultError, key_set_key, point_key, vault_file_key};
use world::client::{Client, source, tree};
use world::{World, run};

/// A world with one backup, to be damaged and mended.
struct Damaged {
    world: World,
    client: Client,
    point: PointId,
    /// Every blob and the key of its pack.
    blobs: BTreeMap<BlobId, Bytes>,
}

impl Damaged {
    async fn new() -> Damaged {
        let world = World::new(5, Steps::new()).await;
        let mut client = Client::register(&world, "web", 1).await.unwrap();
        let source = source(0, 7);
        let point = client.backup(&world, &source).await.unwrap();
        let tree = tree(&source);
        let blobs = tree.chunks.into_iter().chain(tree.pages);
        Damaged {
            world,
            client,
            point,
            blobs: blobs.map(|bytes| (blob_id(&bytes), bytes)).collect(),
        }
    }

    fn sim(&self) -> &Sim {
        &self.world.sim
    }

    /// Both scrubs name the object and nothing else.
    async fn scrubs_name(&self, key: &Key, what: &str) {
        let vaults = &self.world.vaults;
        let of_point = vaults.scrub_point(self.client.container, self.point).await.unwrap();
        let of_vault = vaults.scrub(self.client.vault).await.unwrap();
        for damages in [of_point, of_vault] {
            let named: Vec<&str> = damages.iter().map(|damage| damage.object.as_str()).collect();
            assert_eq!(named, [key.as_str()], "{what}");
        }
    }

    /// Whoever reads the object notices, and reads the others.
    async fn readers_notice(&self, key: &Key, what: &str) {
        let named = match key.as_str().split('/').next() {
            Some("packs") => self.fetched(what).await,
            Some("points") => self.read_point().await,
            Some("keys") => self.read_key_sets().await,
            _ => self.checked().await,
        };
        assert_eq!(named.as_deref(), Some(key.as_str()), "{what}");
    }

    /// What a fetch of everything names. Every blob that it gives is right, and those of other packs are given.
    async fn fetched(&self, what: &str) -> Option<String> {
        let ids: Vec<BlobId> = self.blobs.keys().copied().collect();
        let mut stream = self.world.vaults.fetch(self.client.container, ids).await.unwrap();
        let (mut named, mut answered, mut lost) = (None, 0, 0);
        while let Some(answer) = stream.next().await {
            match answer.unwrap() {
                Fetched::Blob { id, bytes } => {
                    assert_eq!(bytes, self.blobs[&id], "{what}");
                    answered += 1;
                }
                Fetched::Damaged { damage, .. } => {
                    named = Some(damage.object);
                    lost += 1;
                }
                Fetched::Remark { damage, .. } => named = Some(damage.object),
                Fetched::Unknown { id } => panic!("{id} is unknown"),
            }
        }
        assert_eq!(answered + lost, self.blobs.len(), "{what}");
        assert!(answered > 0, "{what}: other packs cannot be read");
        named
    }

    async fn read_point(&self) -> Option<String> {
        match self.world.vaults.point_object(self.client.container, self.point).await {
            Err(VaultError::Damaged(damage)) => Some(damage.object),
            _ => None,
        }
    }

    async fn read_key_sets(&self) -> Option<String> {
        let sets = self.world.vaults.key_sets(self.client.container).await.unwrap();
        sets.into_iter()
            .find_map(|set| set.object.err())
            .map(|damage| damage.object)
    }

    async fn checked(&self) -> Option<String> {
        let checked = self
            .world
            .vaults
            .check_point(self.client.container, self.point)
            .await
            .unwrap();
        checked.into_iter().next().map(|damage| damage.object)
    }

    async fn all_is_well(&self) {
        let vaults = &self.world.vaults;
        assert_eq!(vaults.scrub(self.client.vault).await.unwrap(), []);
        assert_eq!(vaults.scrub_point(self.client.container, self.point).await.unwrap(), []);
        for named in [
            self.fetched("nothing").await,
            self.read_point().await,
            self.read_key_sets().await,
            self.checked().await,
        ] {
            assert_eq!(named, None);
        }
    }

    /// Damages the object, sees it noticed, and mends it.
    async fn damage(&self, key: &Key, what: &str, damage: impl FnOnce(&Sim)) {
        let before = self.sim().peek(key).unwrap();
        damage(self.sim());
        self.scrubs_name(key, what).await;
        self.readers_notice(key, what).await;
        self.sim().replace(key, before);
    }
}

/// Flips one bit of each of these bytes, another one each time.
fn flips(range: impl Fn(&Key) -> bool) {
    let mut flipped = 0;
    run(async {
        let damaged = Damaged::new().await;
        damaged.all_is_well().await;
        for key in damaged.sim().keys().into_iter().filter(range) {
            let length = damaged.sim().peek(&key).unwrap().len() as u64;
            for byte in 0..length {
                let bit = byte * 8 + byte % 8;
                let what = format!("bit {bit} of {key}");
                damaged.damage(&key, &what, |sim| sim.flip_bit(&key, bit)).await;
                flipped += 1;
            }
        }
        damaged.all_is_well().await;
    });
    println!("flips: {flipped}, unnoticed: 0");
    assert!(flipped > 0);
}

fn is_pack(key: &Key) -> bool {
    key.as_str().starts_with("packs/")
}

#[test]
fn every_flipped_byte_of_packs_is_noticed_and_named() {
    flips(is_pack);
}

#[test]
fn every_flipped_byte_of_other_objects_is_noticed_and_named() {
    flips(|key| !is_pack(key));
}

#[test]
fn truncations_extensions_removals_and_swaps_are_noticed_and_named() {
    run(async {
        let damaged = Damaged::new().await;
        let keys = damaged.sim().keys();
        assert_eq!(keys.iter().filter(|key| is_pack(key)).count(), 3);
        for key in &keys {
            let bytes = damaged.sim().peek(key).unwrap();
            for length in (0..bytes.len() as u64).step_by(7).chain([bytes.len() as u64 - 1]) {
                let what = format!("{key} cut to {length}");
                damaged.damage(key, &what, |sim| sim.truncate(key, length)).await;
            }
            let longer = [&bytes[..], b"x"].concat();
            let extend = |sim: &Sim| sim.replace(key, longer.into());
            damaged.damage(key, &format!("{key} extended"), extend).await;
            damaged
                .damage(key, &format!("{key} removed"), |sim| sim.remove(key))
                .await;
            let other = keys.iter().find(|other| *other != key).unwrap();
            let stolen = damaged.sim().peek(other).unwrap();
            let steal = |sim: &Sim| sim.replace(key, stolen);
            damaged.damage(key, &format!("{key} is {other}"), steal).await;
        }
        damaged.all_is_well().await;
    });
}

#[test]
fn an_older_version_is_noticed() {
    run(async {
        let mut damaged = Damaged::new().await;
        let older = damaged.point;
        damaged.point = damaged.client.backup(&damaged.world, &source(0, 8)).await.unwrap();
        let item = damaged.client.item;
        let stale = damaged.sim().peek(&point_key(item, older)).unwrap();
        let key = point_key(item, damaged.point);
        damaged
            .damage(&key, "an older point", |sim| sim.replace(&key, stale))
            .await;
    });
}

#[test]
fn a_lost_pack_is_mended_by_sending_it_again() {
    run(async {
        let mut damaged = Damaged::new().await;
        let chunks = source(0, 4);
        let (name, bytes) = world::client::pack(strongroom_format::pack::BlobKind::Chunk, &chunks);
        let key = strongroom_vault::pack_key(name);
        damaged.sim().remove(&key);
        damaged.scrubs_name(&key, "removed").await;
        let session = damaged
            .world
            .vaults
            .begin_session(damaged.client.container, None)
            .await
            .unwrap();
        let outcome = damaged.client.put(
            &damaged.world,
            session.id,
            strongroom_format::pack::BlobKind::Chunk,
            &chunks,
        );
        assert_eq!(outcome.await.unwrap().duplicate_blobs, 4);
        assert_eq!(damaged.sim().peek(&key), Some(bytes));
        damaged.all_is_well().await;
    });
}

#[test]
fn the_small_objects_are_where_the_layout_says() {
    run(async {
        let damaged = Damaged::new().await;
        for key in [
            vault_file_key(),
            key_set_key(damaged.client.key_set),
            point_key(damaged.client.item, damaged.point),
        ] {
            assert!(damaged.sim().peek(&key).is_some(), "{key}");
        }
    });
}
