//! One of everything: the structures behind the golden files.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use strongroom_format::blob_id;
use strongroom_format::entry::{
    BLOCK_BYTES, Chunk, Content, Entry, Extent, Fingerprint, Kind, Node, Owner, Record, Time,
};
use strongroom_format::keyset::{Argon2Params, Hex, Holder, KeySetObject};
use strongroom_format::leaf::LeafBuilder;
use strongroom_format::pack::{BlobKind, PackBuilder};
use strongroom_format::page::{VisiblePage, parse_visible, put_visible};
use strongroom_format::point::{Consistency, Issue, PointBody, PointHeader, put_head};
use strongroom_format::tree::{Child, PageSink, Sums, TreeBuilder, encode_inner, parse_inner};
use strongroom_format::vaultfile::VaultFile;
use strongroom_model::{BlobId, Digest, ItemId, KeySetId, PackId, PointId, Redundancy, Region, VaultId};

/// Pages unsealed: the visible part, then the plain bytes.
#[derive(Default)]
pub struct Pages(pub BTreeMap<BlobId, Vec<u8>>);

impl PageSink for Pages {
    type Error = Infallible;

    /// A real tree uses a keyed hash.
    fn boundary(&self, key: &[u8]) -> u64 {
        u64::from_le_bytes(blake3::hash(key).as_bytes()[..8].try_into().unwrap())
    }

    fn page(&mut self, level: u8, refs: Vec<BlobId>, plain: Vec<u8>) -> Result<BlobId, Infallible> {
        let bytes = page(level, &refs, &plain);
        let id = blob_id(&bytes);
        self.0.insert(id, bytes);
        Ok(id)
    }
}

impl Pages {
    /// Visits the leaves below a page in order.
    pub fn walk(&self, id: BlobId, leaf: &mut dyn FnMut(VisiblePage<'_>)) {
        let page = parse_visible(&self.0[&id]).unwrap();
        if page.level == 0 {
            return leaf(page);
        }
        for child in parse_inner(page.refs, page.sealed).unwrap() {
            self.walk(child.id, leaf);
        }
    }
}

fn page(level: u8, refs: &[BlobId], plain: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_visible(&mut bytes, level, refs);
    bytes.extend_from_slice(plain);
    bytes
}

fn chunk(number: u8) -> Chunk {
    Chunk {
        id: BlobId::from_bytes([number; 32]),
        length: 300_000,
    }
}

fn print(number: u8) -> Fingerprint {
    Fingerprint([number; 16])
}

fn piece(number: u8, chunk: Chunk, offset: u32, length: u32) -> Extent {
    Extent::Piece {
        fingerprint: print(number),
        chunk,
        offset,
        length,
    }
}

fn file(extents: Vec<Extent>) -> Kind {
    let content = Content {
        extents,
        continues: false,
    };
    Kind::File {
        size: content.length(),
        content,
    }
}

fn node(kind: Kind) -> Node {
    let owner = Owner {
        uid: 1000,
        gid: 100,
        user: b"ann".to_vec(),
        group: b"users".to_vec(),
    };
    Node {
        kind,
        mode: 0o644,
        owner: Arc::new(owner),
        mtime: Time {
            seconds: 1_700_000_000,
            nanoseconds: 123_456_789,
        },
        ctime: 1_700_000_000_987_654_321,
        inode: 4242,
        device: 2049,
        attributes: Vec::new(),
    }
}

fn entry(path: &[u8], node: Node) -> Entry {
    Entry {
        path: path.to_vec(),
        record: Record::Node(Box::new(node)),
    }
}

/// Every kind of record and extent, in path order.
pub fn entries() -> Vec<Entry> {
    let root = Arc::new(Owner::default());
    let attributes = vec![
        (b"security.capability".to_vec(), vec![1, 0, 0, 2]),
        (b"user.empty".to_vec(), vec![]),
    ];
    let folder = Node {
        mode: 0o1777,
        owner: root.clone(),
        inode: u64::MAX,
        ctime: -1,
        ..node(Kind::Directory)
    };
    let old = Node {
        attributes,
        ctime: 0,
        mtime: Time {
            seconds: -1,
            nanoseconds: 999_999_999,
        },
        ..node(file(vec![piece(1, chunk(1), 0, 100)]))
    };
    let mut entries = vec![
        entry(b"d", folder),
        entry(b"d/bundled 1", old),
        entry(b"d/bundled 2", node(file(vec![piece(2, chunk(1), 100, 50)]))),
        entry(b"d/empty", node(file(vec![]))),
        entry(
            b"d/hard link",
            node(Kind::HardLink {
                target: b"d/bundled 2".to_vec(),
            }),
        ),
    ];
    entries.extend(image());
    let major = Kind::CharDevice { major: 1, minor: 3 };
    entries.extend([
        entry(
            b"d/null",
            Node {
                device: 5,
                ..node(major)
            },
        ),
        entry(b"d/pipe", node(Kind::Fifo)),
        entry(b"d/socket", node(Kind::Socket)),
        entry(
            b"d/symbolic link",
            node(Kind::Symlink {
                target: b"../\xff".to_vec(),
            }),
        ),
        entry(b"d/\xff\xfe", node(Kind::BlockDevice { major: 8, minor: 1 })),
        entry(b"d-", node(file(vec![piece(2, chunk(1), 100, 50)]))),
    ]);
    entries
}

/// A disk image in two records: blocks, holes and zeros.
fn image() -> [Entry; 2] {
    let blocks = |first: u8, count: u8, offset: u32, length: u32| Extent::Blocks {
        fingerprints: (first..first + count).map(print).collect(),
        chunk: chunk(2),
        offset,
        length,
    };
    let block = BLOCK_BYTES as u32;
    let extents = vec![
        blocks(10, 2, 0, 2 * block),
        Extent::Hole { length: 1 << 40 },
        Extent::Zero { length: 4096 },
    ];
    let begun = Content {
        extents,
        continues: true,
    };
    let more = Content {
        extents: vec![blocks(20, 2, 2 * block, block + 5)],
        continues: false,
    };
    let size = begun.length() + more.length();
    let first = entry(b"d/image", node(Kind::File { size, content: begun }));
    let second = Entry {
        path: b"d/image".to_vec(),
        record: Record::More(more),
    };
    [first, second]
}

pub fn leaf() -> Vec<u8> {
    let mut builder = LeafBuilder::default();
    entries().iter().for_each(|entry| builder.push(entry));
    let (refs, plain) = builder.finish();
    page(0, &refs, &plain)
}

pub fn children() -> Vec<Child> {
    let child = |number: u8, path: &[u8], offset, entries, bytes| Child {
        id: BlobId::from_bytes([number; 32]),
        path: path.to_vec(),
        offset,
        sums: Sums { entries, bytes },
    };
    vec![
        child(1, b"d", 0, 64, 1 << 20),
        child(2, b"d/image", 0, 1, u64::MAX >> 1),
        child(3, b"d/image", 1 << 40, 0, 0),
        child(3, b"d/image", 2 << 40, 0, 0),
        child(4, b"usr/\xff", 0, 100_000, 7),
    ]
}

pub fn inner() -> Vec<u8> {
    let refs: Vec<BlobId> = children().iter().map(|child| child.id).collect();
    page(1, &refs, &encode_inner(&children()))
}

/// A chunk, a leaf and an inner page. What a key would seal is replaced by words.
pub fn pack() -> (PackId, Vec<u8>) {
    let sealed_chunk = b"contents, sealed".to_vec();
    let sealed_leaf = page(0, &[blob_id(&sealed_chunk)], b"records, sealed");
    let sealed_root = page(1, &[blob_id(&sealed_leaf)], b"children, sealed");
    let mut builder = PackBuilder::new();
    for (kind, blob) in [
        (BlobKind::Chunk, &sealed_chunk),
        (BlobKind::Page, &sealed_leaf),
        (BlobKind::Page, &sealed_root),
    ] {
        builder.push(kind, blob_id(blob), blob);
    }
    let (name, bytes, _) = builder.finish();
    (name, bytes)
}

pub fn tree_entries() -> Vec<Entry> {
    let directory = |path: String| {
        entry(
            path.as_bytes(),
            Node {
                mode: 0o755,
                ..node(Kind::Directory)
            },
        )
    };
    let folders = (0..40).flat_map(|folder| {
        let file = move |n: u32| {
            let kind = file(vec![piece(n as u8, chunk(folder), n * 10, 10)]);
            entry(format!("usr/{folder:02}/{n:03}").as_bytes(), node(kind))
        };
        std::iter::once(directory(format!("usr/{folder:02}"))).chain((0..100).map(file))
    });
    std::iter::once(directory("usr".to_owned())).chain(folders).collect()
}

/// Which pages the tree of [`tree_entries`] has: level, references, bytes, identity of the unsealed page.
pub fn tree() -> String {
    let mut builder = TreeBuilder::new(Pages::default());
    tree_entries().iter().for_each(|entry| builder.push(entry).unwrap());
    let (root, sums, pages) = builder.finish().unwrap();
    let mut text = format!("root {root}, {} entries, {} bytes\n", sums.entries, sums.bytes);
    for (id, bytes) in &pages.0 {
        let page = parse_visible(bytes).unwrap();
        text += &format!("{} {:3} {:5} {id}\n", page.level, page.refs.len(), bytes.len());
    }
    text
}

pub fn point_header() -> PointHeader {
    PointHeader {
        vault: VaultId::from_bytes([1; 16]),
        item: ItemId::from_bytes([2; 16]),
        point: PointId::from_bytes([3; 16]),
        key_set: KeySetId::from_bytes([4; 16]),
        root: BlobId::from_bytes([5; 32]),
        created: "2026-11-21T04:00:00.000000001Z".parse().unwrap(),
        consistency: Consistency::FileSystemConsistent,
        total_bytes: 1 << 40,
        new_bytes: 1 << 20,
        files: 12,
        predecessor: Some(Digest::from_bytes([6; 32])),
    }
}

pub fn point_head() -> Vec<u8> {
    let mut head = Vec::new();
    put_head(&mut head, &point_header());
    head
}

pub fn point_body() -> PointBody {
    PointBody {
        machine: "web-1".into(),
        program: "strongroom 0.1.0".into(),
        started: -1,
        finished: 1_795_579_200_000_000_000,
        paths: vec![b"/etc".to_vec(), b"/srv/\xff".to_vec()],
        exclusions: vec!["*.tmp".into(), "/srv/größe".into()],
        issues: vec![Issue {
            path: b"etc/shadow".to_vec(),
            why: "open etc/shadow: permission denied".into(),
        }],
        issues_omitted: 3,
    }
}

pub fn key_set() -> KeySetObject {
    KeySetObject {
        format: KeySetObject::FORMAT,
        id: KeySetId::from_bytes([4; 16]),
        created: "2026-11-21T04:00:00Z".parse().unwrap(),
        holder: Holder::Customer,
        kdf: Argon2Params {
            memory_kib: 65536,
            passes: 3,
            lanes: 1,
        },
        salt: Hex((0..32).collect()),
        wrapped_master: Hex(vec![0xab; 117]),
        verifier: Digest::from_bytes([9; 32]),
    }
}

pub fn vault_file() -> VaultFile {
    VaultFile {
        format: VaultFile::FORMAT,
        id: VaultId::from_bytes([1; 16]),
        name: "main".parse().unwrap(),
        created: "2026-11-21T04:00:00Z".parse().unwrap(),
        region: Region::default(),
        redundancy: Redundancy::LocallyRedundant,
        salt: Hex((0..32).collect()),
    }
}
