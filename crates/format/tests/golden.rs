//! Objects that every version must go on writing and reading, byte for byte: `testdata/`.
//!
//! A file that changes here is data in somebody's vault that no longer deduplicates, or no longer opens. To add files,
//! extend `objects` and run this with `STRONGROOM_BLESS=1`; then look at what git says has changed.

mod museum;

use std::fs;
use std::path::PathBuf;

use museum::Pages;
use strongroom_format::blob_id;
use strongroom_format::entry::{Entry, Extent, Kind, Record};
use strongroom_format::keyset::KeySetObject;
use strongroom_format::leaf::LeafReader;
use strongroom_format::pack::{parse_pack, verify_pack};
use strongroom_format::page::{VisiblePage, parse_visible};
use strongroom_format::point::{PointBody, parse_point};
use strongroom_format::tree::{TreeBuilder, encode_inner, parse_inner};
use strongroom_format::vaultfile::VaultFile;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

fn golden(name: &str) -> Vec<u8> {
    fs::read(path(name)).unwrap_or_else(|error| panic!("testdata/{name}: {error}"))
}

fn objects() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("leaf.page", museum::leaf()),
        ("inner.page", museum::inner()),
        ("tree.txt", museum::tree().into_bytes()),
        ("chunks.pack", museum::pack().1),
        ("point.head", museum::point_head()),
        ("point.body", museum::point_body().encode()),
        ("key-set.json", museum::key_set().encode()),
        ("vault.json", museum::vault_file().encode()),
    ]
}

#[test]
fn writes_the_golden_objects() {
    for (name, bytes) in objects() {
        if std::env::var_os("STRONGROOM_BLESS").is_some() {
            fs::write(path(name), &bytes).unwrap();
        }
        assert!(
            golden(name) == bytes,
            "testdata/{name} would be written differently now"
        );
    }
}

fn entries(page: &VisiblePage<'_>) -> Vec<Entry> {
    let records = LeafReader::new(page.refs, page.sealed).unwrap();
    records.collect::<Result<_, _>>().unwrap()
}

#[test]
fn reads_the_golden_leaf() {
    let bytes = golden("leaf.page");
    let page = parse_visible(&bytes).unwrap();
    assert_eq!((page.level, page.refs.len()), (0, 2));
    assert_eq!(entries(&page), museum::entries());
}

#[test]
fn the_golden_leaf_has_every_kind_of_record_and_extent() {
    let (mut kinds, mut extents) = ([0; 9], [0; 4]);
    for entry in museum::entries() {
        let (number, content) = match entry.record {
            Record::More(content) => (8, Some(content)),
            Record::Node(node) => match node.kind {
                Kind::File { content, .. } => (0, Some(content)),
                Kind::Directory => (1, None),
                Kind::Symlink { .. } => (2, None),
                Kind::HardLink { .. } => (3, None),
                Kind::Fifo => (4, None),
                Kind::Socket => (5, None),
                Kind::CharDevice { .. } => (6, None),
                Kind::BlockDevice { .. } => (7, None),
            },
        };
        kinds[number] += 1;
        for extent in content.into_iter().flat_map(|content| content.extents) {
            extents[match extent {
                Extent::Hole { .. } => 0,
                Extent::Zero { .. } => 1,
                Extent::Piece { .. } => 2,
                Extent::Blocks { .. } => 3,
            }] += 1;
        }
    }
    assert!(kinds.iter().all(|count| *count > 0), "{kinds:?}");
    assert!(extents.iter().all(|count| *count > 0), "{extents:?}");
}

#[test]
fn reads_the_golden_inner_page() {
    let bytes = golden("inner.page");
    let page = parse_visible(&bytes).unwrap();
    let children = parse_inner(page.refs, page.sealed).unwrap();
    assert_eq!((page.level, &children), (1, &museum::children()));
    assert_eq!(encode_inner(&children), page.sealed);
}

#[test]
fn reads_the_golden_pack() {
    let (name, _) = museum::pack();
    let bytes = golden("chunks.pack");
    let toc = verify_pack(name, &bytes).unwrap();
    assert_eq!(toc.entries().len(), 3);
    assert_eq!(parse_pack(&bytes).unwrap().pack_id(), name);
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(verify_pack(name, &damaged).is_err(), "bit {bit}");
    }
}

#[test]
fn reads_the_golden_point() {
    let bytes = [golden("point.head"), b"sealed".to_vec()].concat();
    let parts = parse_point(&bytes).unwrap();
    assert_eq!((parts.header, parts.sealed), (museum::point_header(), &b"sealed"[..]));
    assert_eq!(PointBody::decode(&golden("point.body")), Ok(museum::point_body()));
}

#[test]
fn reads_the_golden_json() {
    assert_eq!(
        KeySetObject::decode(&golden("key-set.json")).unwrap(),
        museum::key_set()
    );
    assert_eq!(VaultFile::decode(&golden("vault.json")).unwrap(), museum::vault_file());
}

/// The shape of trees is part of the format: other shapes would still be read, but no longer deduplicate.
#[test]
fn a_tree_comes_back_whole() {
    let entries = museum::tree_entries();
    let mut builder = TreeBuilder::new(Pages::default());
    entries.iter().for_each(|entry| builder.push(entry).unwrap());
    let (root, sums, pages) = builder.finish().unwrap();
    let mut found = Vec::new();
    pages.walk(root, &mut |page| found.extend(self::entries(&page)));
    assert_eq!((found.len() as u64, blob_id(&pages.0[&root])), (sums.entries, root));
    assert!(found == entries);
}
