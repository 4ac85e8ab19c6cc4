//! A small client: it cuts a source into chunks, makes pages over them, and remembers what it was told.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join_all;
use jiff::SignedDuration;
use strongroom_format::blob_id;
use strongroom_format::keyset::{Argon2Params, Hex, Holder, KeySetObject};
use strongroom_format::pack::{BlobKind, PackBuilder};
use strongroom_format::page::{parse_visible, put_visible};
use strongroom_format::point::{Consistency, PointHeader, point_digest, put_head};
use strongroom_model::*;
use strongroom_store::sim::Fact;
use strongroom_vault::*;

use super::World;

/// Blobs in a pack, and references of a page: few, so that a small source has several packs and levels.
const FEW: usize = 4;
/// The membership secret of a key set.
pub fn secret(id: KeySetId) -> [u8; 32] {
    *blake3::hash(id.as_bytes()).as_bytes()
}

/// What a machine knows, however often the service is restarted.
#[derive(Clone, Debug)]
pub struct Client {
    pub name: MachineName,
    pub container: ContainerId,
    pub item: ItemId,
    pub vault: VaultId,
    pub key_set: KeySetId,
    /// Every blob of every pack that was acknowledged.
    pub acknowledged: BTreeMap<BlobId, Bytes>,
    /// Every recovery point whose commit was acknowledged.
    pub points: BTreeMap<PointId, Bytes>,
    /// Points whose commit was asked for and not answered.
    pub in_doubt: BTreeMap<PointId, Bytes>,
    /// Blobs that were sent since this was emptied.
    pub sent: BTreeSet<BlobId>,
    /// Whether it sends all packs at once.
    pub is_hasty: bool,
    next_point: u32,
}

/// A source: the contents of its chunks.
pub type Source = Vec<Bytes>;

/// `count` chunks, from number `first` on.
pub fn source(first: u32, count: u32) -> Source {
    (first..first + count)
        .map(|number| Bytes::from(format!("sealed chunk {number} {}", "x".repeat(number as usize % 50))))
        .collect()
}

/// All blobs of a backup.
#[derive(Clone)]
pub struct Tree {
    pub root: BlobId,
    pub chunks: Vec<Bytes>,
    pub pages: Vec<Bytes>,
}

impl Tree {
    /// What is sent, in that order.
    pub fn parts(&self) -> [(BlobKind, &[Bytes]); 2] {
        [(BlobKind::Chunk, &self.chunks), (BlobKind::Page, &self.pages)]
    }
}

/// Pages over the chunks, [`FEW`] references each.
pub fn tree(source: &Source) -> Tree {
    let mut pages = Vec::new();
    let mut refs: Vec<BlobId> = source.iter().map(|chunk| blob_id(chunk)).collect();
    let mut level = 0;
    loop {
        let made: Vec<Bytes> = refs.chunks(FEW).map(|refs| page(level, refs)).collect();
        refs = made.iter().map(|page| blob_id(page)).collect();
        pages.extend(made);
        level += 1;
        if refs.len() == 1 {
            break;
        }
    }
    Tree {
        root: refs[0],
        chunks: source.clone(),
        pages,
    }
}

pub fn page(level: u8, refs: &[BlobId]) -> Bytes {
    let mut bytes = Vec::new();
    put_visible(&mut bytes, level, refs);
    bytes.extend_from_slice(b"sealed entries");
    bytes.into()
}

pub fn pack(kind: BlobKind, blobs: &[Bytes]) -> (PackId, Bytes) {
    let mut builder = PackBuilder::new();
    blobs.iter().for_each(|blob| builder.push(kind, blob_id(blob), blob));
    let (name, bytes, _) = builder.finish();
    (name, bytes.into())
}

pub fn key_set(id: KeySetId) -> Bytes {
    let object = KeySetObject {
        format: KeySetObject::FORMAT,
        id,
        created: "2026-11-21T04:00:00Z".parse().unwrap(),
        holder: Holder::Customer,
        kdf: Argon2Params {
            memory_kib: 65_536,
            passes: 3,
            lanes: 1,
        },
        salt: Hex(vec![1; 32]),
        wrapped_master: Hex(vec![2; 64]),
        verifier: Digest::from_bytes(*blake3::hash(&secret(id)).as_bytes()),
    };
    object.encode().into()
}

impl Client {
    /// Makes the vault if there is none, and registers the machine. All of it may run again.
    pub async fn register(world: &World, name: &str, key_set_number: u8) -> Result<Client, VaultError> {
        let vault = vault(world).await?;
        let name: MachineName = name.parse().unwrap();
        let container = world.vaults.register_container(vault, &name, &[1; 32]).await?;
        let key_set = KeySetId::from_bytes([key_set_number; 16]);
        world.acting("add the key set", key_set_key(key_set));
        let made = world
            .vaults
            .add_key_set(container.id, key_set, self::key_set(key_set), None);
        made.await?;
        world
            .vaults
            .join_key_set(container.id, key_set, &secret(key_set))
            .await?;
        world.told(key_set_key(key_set));
        Ok(Client {
            name,
            container: container.id,
            item: container.item,
            vault,
            key_set,
            acknowledged: BTreeMap::new(),
            points: BTreeMap::new(),
            in_doubt: BTreeMap::new(),
            sent: BTreeSet::new(),
            is_hasty: false,
            next_point: 0,
        })
    }

    /// Backs the source up: asks what is missing, sends it, commits.
    pub async fn backup(&mut self, world: &World, source: &Source) -> Result<PointId, VaultError> {
        let session = world.vaults.begin_session(self.container, None).await?;
        let tree = tree(source);
        self.send(world, session.id, BlobKind::Chunk, &tree.chunks).await?;
        // Longer than the part of a lease after which it is renewed.
        world.pass(SignedDuration::from_mins(5));
        self.send(world, session.id, BlobKind::Page, &tree.pages).await?;
        let (point, bytes) = self.point(tree.root, session.latest.map(|(_, digest)| digest));
        self.commit(world, session.id, point, bytes).await?;
        world.vaults.end_session(self.container, session.id).await?;
        Ok(point)
    }

    /// Sends those of the blobs that the vault lacks.
    pub async fn send(
        &mut self,
        world: &World,
        session: SessionId,
        kind: BlobKind,
        blobs: &[Bytes],
    ) -> Result<(), VaultError> {
        let ids: Vec<BlobId> = blobs.iter().map(|blob| blob_id(blob)).collect();
        let missing = world.vaults.missing(self.container, session, &ids).await?;
        let lacking = blobs.iter().zip(missing).filter(|(_, missing)| *missing);
        let lacking: Vec<Bytes> = lacking.map(|(blob, _)| blob.clone()).collect();
        if self.is_hasty {
            return self.put_at_once(world, session, kind, &lacking).await;
        }
        for blobs in lacking.chunks(FEW) {
            self.put(world, session, kind, blobs).await?;
        }
        Ok(())
    }

    /// Puts each blob in a pack of its own, all at the same time, and each of them twice. The order watcher cannot tell the rows apart then, and
    /// learns of them with the acknowledgement.
    async fn put_at_once(
        &mut self,
        world: &World,
        session: SessionId,
        kind: BlobKind,
        blobs: &[Bytes],
    ) -> Result<(), VaultError> {
        let packs: Vec<&[Bytes]> = blobs.chunks(1).flat_map(|blobs| [blobs, blobs]).collect();
        self.sent.extend(blobs.iter().map(|blob| blob_id(blob)));
        let put = |blobs: &&[Bytes]| {
            let (name, bytes) = pack(kind, blobs);
            world.vaults.put_pack(self.container, session, name, bytes)
        };
        let answers = join_all(packs.iter().map(put)).await;
        for (blobs, answer) in packs.iter().zip(&answers) {
            if let Ok(outcome) = answer {
                if outcome.new_blobs > 0 {
                    world.steps.starts(Fact::Row(pack_key(pack(kind, blobs).0).to_string()));
                }
                self.acknowledged
                    .extend(blobs.iter().map(|blob| (blob_id(blob), blob.clone())));
            }
        }
        answers.into_iter().collect::<Result<Vec<_>, _>>().map(drop)
    }

    pub async fn put(
        &mut self,
        world: &World,
        session: SessionId,
        kind: BlobKind,
        blobs: &[Bytes],
    ) -> Result<PutOutcome, VaultError> {
        let (name, bytes) = pack(kind, blobs);
        self.sent.extend(blobs.iter().map(|blob| blob_id(blob)));
        world.acting("insert the pack", pack_key(name));
        let outcome = world.vaults.put_pack(self.container, session, name, bytes).await?;
        if outcome.new_blobs > 0 {
            world.told(pack_key(name));
        }
        self.acknowledged
            .extend(blobs.iter().map(|blob| (blob_id(blob), blob.clone())));
        Ok(outcome)
    }

    /// A new recovery point object.
    pub fn point(&mut self, root: BlobId, predecessor: Option<Digest>) -> (PointId, Bytes) {
        self.next_point += 1;
        let mut id = *self.item.as_bytes();
        id[..4].copy_from_slice(&self.next_point.to_be_bytes());
        let header = PointHeader {
            vault: self.vault,
            item: self.item,
            point: PointId::from_bytes(id),
            key_set: self.key_set,
            root,
            created: "2026-11-21T04:00:00Z".parse().unwrap(),
            consistency: Consistency::FileByFile,
            total_bytes: 1,
            new_bytes: 2,
            files: 3,
            predecessor,
        };
        let mut bytes = Vec::new();
        put_head(&mut bytes, &header);
        bytes.extend_from_slice(b"sealed body");
        (header.point, bytes.into())
    }

    pub async fn commit(
        &mut self,
        world: &World,
        session: SessionId,
        point: PointId,
        bytes: Bytes,
    ) -> Result<(), VaultError> {
        self.in_doubt.insert(point, bytes.clone());
        world.acting("commit the recovery point", point_key(self.item, point));
        let committed = world.vaults.commit(self.container, session, bytes.clone()).await?;
        assert_eq!((committed.point, committed.digest), (point, point_digest(&bytes)));
        world.told(point_key(self.item, point));
        self.in_doubt.remove(&point);
        self.points.insert(point, bytes);
        Ok(())
    }

    /// Asks again for every commit that was not answered: each is there, or can be had.
    pub async fn settle(&mut self, world: &World) -> Result<(), VaultError> {
        for (point, bytes) in self.in_doubt.clone() {
            let session = world.vaults.begin_session(self.container, None).await?.id;
            match self.commit(world, session, point, bytes).await {
                // It had not come, and another one came in between.
                Err(VaultError::PredecessorMismatch { .. }) => drop(self.in_doubt.remove(&point)),
                // It had not come, and neither had what it needs: the backup is made again.
                Err(VaultError::BlobsMissing { .. }) => drop(self.in_doubt.remove(&point)),
                other => other?,
            }
        }
        Ok(())
    }

    /// Restores a point: its chunks, in the order of the source.
    pub async fn restore(&self, world: &World, point: PointId) -> Result<Source, String> {
        let bytes = world.vaults.point_object(self.container, point).await;
        let bytes = bytes.map_err(|error| error.to_string())?;
        let header = strongroom_format::point::parse_point(&bytes).unwrap().header;
        let mut refs = vec![header.root];
        loop {
            let blobs = fetch(world, self.container, &refs).await?;
            let pages: Vec<&Bytes> = refs.iter().map(|id| &blobs[id]).collect();
            let Ok(first) = parse_visible(pages[0]) else {
                return Ok(pages.into_iter().cloned().collect());
            };
            let level = first.level;
            let visible = pages.iter().map(|page| parse_visible(page).unwrap());
            refs = visible
                .inspect(|page| assert_eq!(page.level, level))
                .flat_map(|page| page.refs.iter().collect::<Vec<_>>())
                .collect();
        }
    }
}

/// The blobs, all of them right, or what was said of one.
pub async fn fetch(world: &World, container: ContainerId, ids: &[BlobId]) -> Result<BTreeMap<BlobId, Bytes>, String> {
    let mut blobs = BTreeMap::new();
    let stream = world.vaults.fetch(container, ids.to_vec()).await;
    let mut stream = stream.map_err(|error| error.to_string())?;
    while let Some(answer) = stream.next().await {
        match answer.map_err(|error| error.to_string())? {
            Fetched::Blob { id, bytes } => {
                assert_eq!(blob_id(&bytes), id, "a blob left the vault unchecked");
                assert_eq!(blobs.insert(id, bytes), None, "{id} was answered twice");
            }
            Fetched::Damaged { damage, .. } | Fetched::Remark { damage, .. } => return Err(damage.to_string()),
            Fetched::Unknown { id } => return Err(format!("{id} is unknown")),
        }
    }
    Ok(blobs)
}

async fn vault(world: &World) -> Result<VaultId, VaultError> {
    let name: VaultName = "main".parse().unwrap();
    match world.vaults.show(&name).await {
        Ok(found) => return Ok(found.vault.id),
        Err(VaultError::VaultNotFound) => {}
        Err(error) => return Err(error),
    }
    world.acting("insert the vault", "vault");
    let created = world
        .vaults
        .create(&NewVault {
            name,
            resource_group: ResourceGroupName::default(),
            region: Region::default(),
            redundancy: Redundancy::LocallyRedundant,
        })
        .await?;
    world.told("vault");
    Ok(created.vault.id)
}
