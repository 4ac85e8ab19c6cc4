//! Any entries, written as a tree of pages, come back from it; and twice the same entries give the same pages.
#![no_main]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use strongroom_format::blob_id;
use strongroom_format::entry::{
    Chunk, Content, Entry, Extent, Fingerprint, Kind, Node, Owner, Record, Time, compare_paths, is_plain_path,
};
use strongroom_format::leaf::LeafReader;
use strongroom_format::page::{parse_visible, put_visible};
use strongroom_format::tree::{PageSink, TreeBuilder, parse_inner};
use strongroom_model::BlobId;

#[derive(Arbitrary, Debug)]
struct Found<'a> {
    path: &'a [u8],
    what: u8,
    mode: u16,
    uid: u8,
    user: &'a [u8],
    seconds: i64,
    ctime: i64,
    inode: u64,
    device: u64,
    target: &'a [u8],
    attributes: BTreeMap<&'a [u8], &'a [u8]>,
    extents: Vec<(u8, u8, u32, u32)>,
    cut: usize,
}

fuzz_target!(|found: Vec<Found>| {
    let mut nodes: Vec<_> = found.iter().filter(|found| is_plain_path(found.path)).collect();
    nodes.sort_by(|a, b| compare_paths(a.path, b.path));
    nodes.dedup_by_key(|found| found.path);
    let records = nodes.into_iter().map(|found| records(found));
    let entries: Vec<Entry> = records
        .filter(|records| records.iter().all(|entry| entry.check().is_ok()))
        .flatten()
        .collect();
    let (root, pages) = build(&entries);
    let mut read = Vec::new();
    walk(&pages, root, &mut read);
    assert!(read == entries);
    assert_eq!(build(&entries).0, root);
});

/// An entry, a file perhaps with a continuation.
fn records(found: &Found) -> Vec<Entry> {
    let entry = |record| Entry {
        path: found.path.to_vec(),
        record,
    };
    let mut extents: Vec<Extent> = found.extents.iter().map(extent).collect();
    let size = extents.iter().map(Extent::length).fold(0, u64::saturating_add);
    let later = extents.split_off(found.cut % (extents.len() + 1));
    let continues = !extents.is_empty() && !later.is_empty();
    let content = if continues {
        Content { extents, continues }
    } else {
        Content {
            extents: [extents, later.clone()].concat(),
            continues,
        }
    };
    let kind = kind(found, size, content);
    let is_file = matches!(kind, Kind::File { .. });
    let first = entry(Record::Node(Box::new(node(found, kind))));
    let more = entry(Record::More(Content {
        extents: later,
        continues: false,
    }));
    if continues && is_file {
        vec![first, more]
    } else {
        vec![first]
    }
}

fn extent(&(tag, number, offset, length): &(u8, u8, u32, u32)) -> Extent {
    let chunk = Chunk {
        id: BlobId::from_bytes([number; 32]),
        length: 8 << 20,
    };
    let (offset, length) = (offset % (4 << 20), length % (4 << 20));
    let print = Fingerprint([tag; 16]);
    match tag % 4 {
        0 => Extent::Hole {
            length: u64::from(length) << (number % 32),
        },
        1 => Extent::Zero {
            length: u64::from(length),
        },
        2 => Extent::Piece {
            fingerprint: print,
            chunk,
            offset,
            length,
        },
        _ => Extent::Blocks {
            fingerprints: vec![print; (length as usize).div_ceil(64 << 10)],
            chunk,
            offset,
            length,
        },
    }
}

fn kind(found: &Found, size: u64, content: Content) -> Kind {
    let target = found.target.to_vec();
    let (major, minor) = (found.inode as u32, found.device as u32);
    match found.what % 12 {
        0 => Kind::Directory,
        1 => Kind::Symlink { target },
        2 => Kind::HardLink { target },
        3 => Kind::Fifo,
        4 => Kind::Socket,
        5 => Kind::CharDevice { major, minor },
        6 => Kind::BlockDevice { major, minor },
        _ => Kind::File { size, content },
    }
}

fn node(found: &Found, kind: Kind) -> Node {
    let owner = Owner {
        uid: found.uid.into(),
        gid: 0,
        user: found.user.to_vec(),
        group: Vec::new(),
    };
    let attributes = found
        .attributes
        .iter()
        .map(|(name, value)| (name.to_vec(), value.to_vec()));
    Node {
        kind,
        mode: u32::from(found.mode),
        owner: Arc::new(owner),
        mtime: Time {
            seconds: found.seconds,
            nanoseconds: u32::from(found.mode),
        },
        ctime: found.ctime,
        inode: found.inode,
        device: found.device,
        attributes: attributes.collect(),
    }
}

#[derive(Default)]
struct Pages(BTreeMap<BlobId, Vec<u8>>);

impl PageSink for Pages {
    type Error = Infallible;

    /// Every fourth entry ends a page, about: small inputs make several levels.
    fn boundary(&self, key: &[u8]) -> u64 {
        u64::from(blake3::hash(key).as_bytes()[0] % 4) * 7
    }

    fn page(&mut self, level: u8, refs: Vec<BlobId>, plain: Vec<u8>) -> Result<BlobId, Infallible> {
        let mut bytes = Vec::new();
        put_visible(&mut bytes, level, &refs);
        bytes.extend_from_slice(&plain);
        let id = blob_id(&bytes);
        self.0.insert(id, bytes);
        Ok(id)
    }
}

fn build(entries: &[Entry]) -> (BlobId, Pages) {
    let mut builder = TreeBuilder::new(Pages::default());
    for entry in entries {
        let Ok(()) = builder.push(entry);
    }
    let Ok((root, _, pages)) = builder.finish();
    (root, pages)
}

fn walk(pages: &Pages, id: BlobId, out: &mut Vec<Entry>) {
    let page = parse_visible(&pages.0[&id]).expect("it was just written");
    if page.level > 0 {
        let children = parse_inner(page.refs, page.sealed).expect("it was just written");
        return children.iter().for_each(|child| walk(pages, child.id, out));
    }
    let records = LeafReader::new(page.refs, page.sealed).expect("it was just written");
    out.extend(records.map(|record| record.expect("it was just written")));
}
