//! Objects by hand: the service never looks into the sealed parts, so anything will do for them.

use bytes::Bytes;
use strongroom_api::{Client, LatestPoint, Registered};
use strongroom_format::keyset::{Argon2Params, Hex, Holder, KeySetObject};
use strongroom_format::pack::{BlobKind, PackBuilder};
use strongroom_format::point::{Consistency, PointHeader, put_head};
use strongroom_format::{blob_id, page};
use strongroom_model::{BlobId, Digest, JobId, KeySetId, PackId, PointId};

use super::Machine;

/// A pack with its name and the identities in it.
pub struct Pack {
    pub name: PackId,
    pub bytes: Bytes,
    pub ids: Vec<BlobId>,
}

pub fn pack(kind: BlobKind, blobs: &[&[u8]]) -> Pack {
    let mut builder = PackBuilder::new();
    let ids: Vec<BlobId> = blobs.iter().map(|blob| blob_id(blob)).collect();
    for (blob, id) in blobs.iter().zip(&ids) {
        builder.push(kind, *id, blob);
    }
    let (name, bytes, _) = builder.finish();
    Pack {
        name,
        bytes: bytes.into(),
        ids,
    }
}

/// A leaf page that refers to chunks.
pub fn leaf(chunks: &[BlobId]) -> Vec<u8> {
    let mut leaf = Vec::new();
    page::put_visible(&mut leaf, 0, chunks);
    leaf.extend_from_slice(b"sealed entries");
    leaf
}

/// The membership secret of a key set.
pub fn membership(id: KeySetId) -> [u8; 32] {
    *blake3::hash(id.as_bytes()).as_bytes()
}

pub fn key_set_id(byte: u8) -> KeySetId {
    KeySetId::from_bytes([byte; 16])
}

pub fn key_set(id: KeySetId, salt: [u8; 32]) -> Bytes {
    let object = KeySetObject {
        format: KeySetObject::FORMAT,
        id,
        created: super::START.parse().unwrap(),
        holder: Holder::Customer,
        kdf: Argon2Params {
            memory_kib: 65536,
            passes: 3,
            lanes: 1,
        },
        salt: Hex(salt.to_vec()),
        wrapped_master: Hex(vec![1; 80]),
        verifier: Digest::from_bytes(*blake3::hash(&membership(id)).as_bytes()),
    };
    object.encode().into()
}

pub struct Point {
    pub id: PointId,
    pub object: Bytes,
}

pub fn point(registered: &Registered, id: u8, root: BlobId, latest: Option<LatestPoint>) -> Point {
    let id = PointId::from_bytes([id; 16]);
    let header = PointHeader {
        vault: registered.vault,
        item: registered.item,
        point: id,
        key_set: key_set_id(registered.container.as_bytes()[15]),
        root,
        created: super::START.parse().unwrap(),
        consistency: Consistency::FileByFile,
        total_bytes: 11,
        new_bytes: 11,
        files: 1,
        predecessor: latest.map(|latest| latest.digest),
    };
    let mut object = Vec::new();
    put_head(&mut object, &header);
    object.extend_from_slice(b"sealed body");
    Point {
        id,
        object: object.into(),
    }
}

/// Adds the machine's key set.
pub async fn add_key_set(machine: &Machine) {
    let id = key_set_id(machine.registered.container.as_bytes()[15]);
    machine
        .client
        .add_key_set(id, key_set(id, machine.registered.salt), None)
        .await
        .unwrap();
}

/// One chunk, one page, one recovery point: what the smallest backup sends.
pub async fn back_up(client: &Client, registered: &Registered, id: u8, contents: &[u8]) -> Point {
    back_up_for(client, registered, id, contents, None).await
}

/// The same for a job.
pub async fn back_up_for(
    client: &Client,
    registered: &Registered,
    id: u8,
    contents: &[u8],
    job: Option<JobId>,
) -> Point {
    let session = client.begin_session(job).await.unwrap();
    let chunks = pack(BlobKind::Chunk, &[contents]);
    let pages = pack(BlobKind::Page, &[&leaf(&chunks.ids)]);
    client.put_pack(session.id, chunks.name, chunks.bytes).await.unwrap();
    client.put_pack(session.id, pages.name, pages.bytes).await.unwrap();
    let point = point(registered, id, pages.ids[0], session.latest);
    client.commit(session.id, point.object.clone()).await.unwrap();
    client.end_session(session.id).await.unwrap();
    point
}
