use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use std::sync::Arc;

use strongroom_model::BlobId;

use super::*;
use crate::entry::{
    BLOCK_BYTES, Chunk, Content, Entry, Extent, Fingerprint, Kind, MalformedEntry, Node, Record, compare_paths,
    is_plain_path,
};
use crate::page::{parse_visible, put_visible};
use crate::wire::{Malformed, put_counted, put_varint};

/// Any content whose pieces lie within their chunks.
fn any_extent() -> impl Strategy<Value = Extent> {
    let chunk = (0u8..4).prop_map(|n| Chunk {
        id: BlobId::from_bytes([n; 32]),
        length: 3 << 20,
    });
    let fingerprint = any::<[u8; 16]>().prop_map(Fingerprint);
    prop_oneof![
        (1u64..1 << 40).prop_map(|length| Extent::Hole { length }),
        (1u64..1 << 40).prop_map(|length| Extent::Zero { length }),
        (fingerprint.clone(), chunk.clone(), 0u32..1 << 20, 1u32..1 << 20).prop_map(
            |(fingerprint, chunk, offset, length)| Extent::Piece {
                fingerprint,
                chunk,
                offset,
                length
            }
        ),
        (vec(fingerprint, 1..4), chunk, 0u32..1 << 20).prop_map(|(fingerprints, chunk, offset)| {
            let length = (fingerprints.len() * BLOCK_BYTES) as u32 - 7;
            Extent::Blocks {
                fingerprints,
                chunk,
                offset,
                length,
            }
        }),
    ]
}

fn both_holes(before: &Extent, next: &Extent) -> bool {
    use Extent::{Hole, Zero};
    matches!((before, next), (Hole { .. }, Hole { .. }) | (Zero { .. }, Zero { .. }))
}

fn any_kind() -> impl Strategy<Value = Kind> {
    let content = vec(any_extent(), 0..4).prop_map(|mut extents| {
        extents.dedup_by(|next, before| both_holes(before, next));
        Content {
            extents,
            continues: false,
        }
    });
    prop_oneof![
        4 => content.prop_map(|content| Kind::File { size: content.length(), content }),
        1 => Just(Kind::Directory),
        1 => vec(any::<u8>(), 0..9).prop_map(|target| Kind::Symlink { target }),
        1 => Just(Kind::HardLink { target: b"$".to_vec() }),
        1 => Just(Kind::Fifo),
        1 => Just(Kind::Socket),
        1 => any::<(u32, u32)>().prop_map(|(major, minor)| Kind::CharDevice { major, minor }),
        1 => any::<(u32, u32)>().prop_map(|(major, minor)| Kind::BlockDevice { major, minor }),
    ]
}

prop_compose! {
    fn any_node()(
        kind in any_kind(),
        mode in 0u32..0o10000,
        uid in 0u32..3,
        seconds: i64,
        nanoseconds in 0u32..1_000_000_000,
        ctime: i64,
        inode: u64,
        device in 0u64..2,
        attributes in btree_map(vec(any::<u8>(), 1..5), vec(any::<u8>(), 0..5), 0..3),
    ) -> Node {
        let owner = Arc::new(Owner { uid, gid: 0, user: b"root".to_vec(), group: vec![] });
        Node { kind, mode, owner, mtime: Time { seconds, nanoseconds }, ctime, inode, device, attributes: attributes.into_iter().collect() }
    }
}

/// A tree of entries in path order.
pub(crate) fn any_entries(most: usize) -> impl Strategy<Value = Vec<Entry>> {
    let path = vec(
        vec(prop_oneof![Just(b'a'), Just(b'.'), Just(0xff), Just(b'-')], 1..4),
        1..4,
    )
    .prop_map(|parts| parts.join(&b'/'))
    .prop_filter("plain", |path| is_plain_path(path));
    vec((path, any_node()), 0..most).prop_map(|mut nodes| {
        nodes.sort_by(|a, b| compare_paths(&a.0, &b.0));
        nodes.dedup_by(|a, b| a.0 == b.0);
        nodes
            .into_iter()
            .map(|(path, node)| Entry {
                path,
                record: Record::Node(Box::new(node)),
            })
            .collect()
    })
}

pub(crate) fn read(refs: &[BlobId], plain: &[u8]) -> Result<Vec<Entry>, Malformed> {
    let mut visible = Vec::new();
    put_visible(&mut visible, 0, refs);
    LeafReader::new(parse_visible(&visible).unwrap().refs, plain)?.collect()
}

fn build(entries: &[Entry]) -> (Vec<BlobId>, Vec<u8>) {
    let mut builder = LeafBuilder::default();
    entries.iter().for_each(|entry| builder.push(entry));
    builder.finish()
}

proptest! {
    #[test]
    fn leaves_round_trip(entries in any_entries(40)) {
        let (refs, plain) = build(&entries);
        prop_assert_eq!(read(&refs, &plain).unwrap(), entries);
    }

    #[test]
    fn damaged_leaves_never_panic(entries in any_entries(8), at: usize, bit in 0u8..8) {
        let (refs, mut plain) = build(&entries);
        let at = at % plain.len();
        plain[at] ^= 1 << bit;
        let _ = read(&refs, &plain);
        let _ = read(&refs, &plain[..at]);
    }

    #[test]
    fn noise_never_panics(plain in vec(any::<u8>(), 0..200)) {
        let _ = read(&[BlobId::from_bytes([0; 32])], &plain);
    }
}

#[test]
fn every_truncation_is_refused() {
    let entries: Vec<Entry> = ["a", "a/b", "c"].map(|path| file(path, 9)).to_vec();
    let (refs, plain) = build(&entries);
    for length in 0..plain.len() {
        assert!(read(&refs, &plain[..length]).is_err(), "length {length}");
    }
    assert!(read(&refs, &[&plain[..], &[0]].concat()).is_err());
}

#[test]
fn order_and_continuation_are_enforced() {
    let more = |path: &str, continues| Entry {
        path: path.into(),
        record: Record::More(Content {
            extents: vec![Extent::Zero { length: 1 }],
            continues,
        }),
    };
    let (refs, plain) = build(&[file("b", 1), file("a", 1)]);
    assert_eq!(read(&refs, &plain), Err(MalformedEntry::Order.into()));
    let (refs, plain) = build(&[file("a", 1), more("a", false)]);
    assert_eq!(read(&refs, &plain), Err(MalformedEntry::Continuation.into()));
    let (refs, plain) = build(&[more("a", true), more("a", false), file("b", 1)]);
    assert_eq!(read(&refs, &plain).unwrap().len(), 3);
}

#[test]
fn an_ordinary_file_takes_less_than_forty_bytes() {
    let entries: Vec<Entry> = (0..1000)
        .map(|n| file(&format!("usr/include/header{n:04}.h"), 3000))
        .collect();
    let (_, plain) = build(&entries);
    assert!(plain.len() < 40 * entries.len(), "{}", plain.len() / entries.len());
}

pub(crate) fn file(path: &str, length: u32) -> Entry {
    let number: u32 = path.bytes().map(u32::from).sum();
    let chunk = Chunk {
        id: BlobId::from_bytes([number as u8; 32]),
        length: 1 << 20,
    };
    let piece = Extent::Piece {
        fingerprint: Fingerprint([9; 16]),
        chunk,
        offset: number % 4096,
        length,
    };
    let content = Content {
        extents: vec![piece],
        continues: false,
    };
    let node = Node {
        kind: Kind::File {
            size: length.into(),
            content,
        },
        mode: 0o644,
        owner: Arc::default(),
        mtime: Time {
            seconds: 1_700_000_000,
            nanoseconds: 0,
        },
        ctime: 1_700_000_000_000_000_000 + i64::from(number) * 20_000,
        inode: 1000 + u64::from(number),
        device: 3,
        attributes: vec![],
    };
    Entry {
        path: path.into(),
        record: Record::Node(Box::new(node)),
    }
}

/// A leaf of records that are written out by hand: flags and what follows them.
fn by_hand(chunks: &[u64], records: &[(u64, &[u8], u64, &[u8])]) -> Result<Vec<Entry>, Malformed> {
    let refs: Vec<BlobId> = (0..chunks.len()).map(|n| BlobId::from_bytes([n as u8; 32])).collect();
    let mut plain = vec![VERSION];
    chunks.iter().for_each(|length| put_varint(&mut plain, *length));
    put_varint(&mut plain, records.len() as u64);
    for (shared, suffix, flags, fields) in records {
        put_varint(&mut plain, *shared);
        put_counted(&mut plain, suffix);
        put_varint(&mut plain, *flags);
        plain.extend_from_slice(fields);
    }
    read(&refs, &plain)
}

/// A name, lengths of chunks, records, and why they are refused.
type Case = (
    &'static str,
    &'static [u64],
    Vec<(u64, &'static [u8], u64, Vec<u8>)>,
    Option<Malformed>,
);

const SAME: u64 = SAME_MODE | SAME_OWNER | SAME_MTIME | SAME_DEVICE;
const PRINT: [u8; 16] = [7; 16];

/// Fields of a file: no change of ctime and inode, a size, extents.
fn file_fields(size: u8, extents: &[&[u8]]) -> Vec<u8> {
    [&[0, 0, size, extents.len() as u8], &extents.concat()[..]].concat()
}

#[test]
fn a_leaf_has_one_encoding() {
    let piece = |head: &[u8], rest: &[u8]| [head, &PRINT, rest].concat();
    let first = piece(&[2], &[0, 0, 5]);
    let file = |size, extents: &[&[u8]]| (0, &b"a"[..], SAME | FILE, file_fields(size, extents));
    let directory = |path: &'static [u8], flags: u64, fields: &[u8]| (0, path, flags | DIRECTORY, fields.to_vec());
    let cases: Vec<Case> = vec![
        ("a piece", &[9], vec![file(5, &[&first])], None),
        (
            "pieces that adjoin",
            &[9],
            vec![file(9, &[&first, &piece(&[3], &[4])])],
            None,
        ),
        (
            "named again",
            &[9],
            vec![file(9, &[&first, &piece(&[2], &[0, 5, 4])])],
            Some(Malformed::Form),
        ),
        (
            "second chunk first",
            &[9, 9],
            vec![file(5, &[&piece(&[2], &[1, 0, 5])])],
            Some(MalformedEntry::Reference.into()),
        ),
        (
            "unused chunk",
            &[9, 9],
            vec![file(5, &[&first])],
            Some(MalformedEntry::Reference.into()),
        ),
        (
            "outside of the chunk",
            &[4],
            vec![file(5, &[&first])],
            Some(MalformedEntry::Extent.into()),
        ),
        (
            "chunk too long",
            &[9 << 20],
            vec![file(5, &[&first])],
            Some(Malformed::TooLong),
        ),
        (
            "too short",
            &[9],
            vec![file(6, &[&first])],
            Some(MalformedEntry::Size.into()),
        ),
        (
            "too long",
            &[9],
            vec![file(4, &[&first])],
            Some(MalformedEntry::Size.into()),
        ),
        (
            "empty hole",
            &[],
            vec![file(0, &[&[0, 0]])],
            Some(MalformedEntry::Extent.into()),
        ),
        (
            "holes adjoin",
            &[],
            vec![file(2, &[&[0, 1], &[0, 1]])],
            Some(MalformedEntry::Extent.into()),
        ),
        ("hole and zeros", &[], vec![file(2, &[&[0, 1], &[1, 1]])], None),
        (
            "a mode again",
            &[],
            vec![directory(b"a", SAME ^ SAME_MODE, &[0, 0, 0])],
            Some(Malformed::Form),
        ),
        (
            "a device again",
            &[],
            vec![directory(b"a", SAME ^ SAME_DEVICE, &[0, 0, 0])],
            Some(Malformed::Form),
        ),
        (
            "a time again",
            &[],
            vec![directory(b"a", SAME ^ SAME_MTIME, &[0, 0, 0, 0])],
            Some(Malformed::Form),
        ),
        (
            "an owner again",
            &[],
            vec![directory(b"a", SAME ^ SAME_OWNER, &[0; 6])],
            Some(Malformed::Form),
        ),
        (
            "no attributes",
            &[],
            vec![directory(b"a", SAME | HAS_ATTRIBUTES, &[0, 0, 0])],
            Some(Malformed::Form),
        ),
        (
            "attributes in disorder",
            &[],
            vec![directory(b"a", SAME | HAS_ATTRIBUTES, b"\0\0\x02\x01b\0\x01a\0")],
            Some(MalformedEntry::Attributes.into()),
        ),
        (
            "an attribute twice",
            &[],
            vec![directory(b"a", SAME | HAS_ATTRIBUTES, b"\0\0\x02\x01a\0\x01a\0")],
            Some(MalformedEntry::Attributes.into()),
        ),
        (
            "shares more than it says",
            &[],
            vec![directory(b"ab", SAME, &[0, 0]), directory(b"ac", SAME, &[0, 0])],
            Some(Malformed::Form),
        ),
        (
            "link to itself",
            &[],
            vec![(0, b"a", SAME | HARD_LINK, b"\0\0\x01a".to_vec())],
            Some(MalformedEntry::Link.into()),
        ),
        (
            "continues with nothing",
            &[],
            vec![(0, b"a", MORE | CONTINUES, vec![0])],
            Some(MalformedEntry::Continuation.into()),
        ),
        (
            "flags of another kind",
            &[],
            vec![(0, b"a", MORE | SAME_MODE, vec![0])],
            Some(MalformedEntry::Kind.into()),
        ),
    ];
    for (name, chunks, records, expected) in cases {
        let records: Vec<_> = records.iter().map(|(a, b, c, d)| (*a, *b, *c, &d[..])).collect();
        assert_eq!(by_hand(chunks, &records).err(), expected, "{name}");
    }
}

#[test]
fn a_count_that_says_too_little_or_too_much_is_refused() {
    let (refs, plain) = build(&[file("a", 1), file("b", 1)]);
    let count = 1 + refs.len() * 3;
    assert_eq!(plain[count], 2, "each chunk's length takes three bytes");
    for (said, expected) in [
        (0, Malformed::Trailing),
        (1, Malformed::Trailing),
        (3, Malformed::Short),
    ] {
        let mut plain = plain.clone();
        plain[count] = said;
        assert_eq!(read(&refs, &plain), Err(expected), "{said}");
    }
}

#[test]
fn continuations_must_add_up() {
    let more = |length, continues| Entry {
        path: b"a".to_vec(),
        record: Record::More(Content {
            extents: vec![Extent::Zero { length }],
            continues,
        }),
    };
    let begun = || {
        let mut entry = file("a", 5);
        if let Record::Node(node) = &mut entry.record
            && let Kind::File { size, content } = &mut node.kind
        {
            (*size, content.continues) = (9, true);
        }
        entry
    };
    for (second, third, expected) in [
        (2, 2, true),
        (2, 1, false),
        (2, 3, false),
        (5, 1, false),
        (u64::MAX >> 1, 1, false),
    ] {
        let (refs, plain) = build(&[begun(), more(second, true), more(third, false)]);
        assert_eq!(read(&refs, &plain).is_ok(), expected, "5 + {second} + {third}");
    }
}

/// `shared` repeats a long path for little: what comes out is bounded all the same.
#[test]
fn long_paths_do_not_multiply() {
    let long = vec![b'a'; 1 << 20];
    let mut records: Vec<(u64, &[u8], u64, &[u8])> = vec![(0, &long[1..], SAME | DIRECTORY, &[0, 0])];
    let suffixes: Vec<[u8; 1]> = (b'b'..b'z').map(|byte| [byte]).collect();
    for (at, suffix) in suffixes.iter().enumerate() {
        let shared = long.len() - 1 - usize::from(at > 0);
        records.push((shared as u64, suffix, SAME | DIRECTORY, &[0, 0]));
    }
    assert_eq!(by_hand(&[], &records), Err(Malformed::TooLong));
}

/// What the reader promises about memory: growing vectors hold at most twice what is in them.
#[test]
fn decoded_records_are_at_most_eighty_times_as_large() {
    let (hole, directory, owner) = (2, 7, 4);
    assert!(2 * size_of::<Extent>() <= 80 * hole, "{}", size_of::<Extent>());
    let allocations = 3 * 32;
    let record = size_of::<Entry>() + size_of::<Node>() + allocations;
    assert!(record <= 80 * directory, "{record}");
    assert!(size_of::<Owner>() + 16 + allocations <= 80 * owner);
}

#[test]
fn newer_leaves_are_refused_politely() {
    let (refs, mut plain) = build(&[file("a", 1)]);
    plain[0] = 2;
    assert!(
        read(&refs, &plain)
            .unwrap_err()
            .to_string()
            .contains("use a newer strongroom")
    );
}

#[test]
fn what_no_page_could_give_back_is_refused_before_it_is_written() {
    let ok = file("a", 1);
    assert_eq!(ok.check(), Ok(()));
    let changed = |change: &dyn Fn(&mut Entry, &mut Node)| {
        let mut entry = file("a", 1);
        let Record::Node(mut node) = entry.record.clone() else {
            unreachable!()
        };
        change(&mut entry, &mut node);
        entry.record = Record::Node(node);
        entry.check()
    };
    let name = vec![b'n'; 257];
    assert_eq!(
        changed(&|entry, _| entry.path = b"a/../b".to_vec()),
        Err(MalformedEntry::Path)
    );
    assert_eq!(changed(&|_, node| node.mode = 0o10000), Err(MalformedEntry::Bound));
    assert_eq!(
        changed(&|_, node| node.mtime.nanoseconds = 1_000_000_000),
        Err(MalformedEntry::Time)
    );
    assert_eq!(
        changed(&|_, node| node.attributes = vec![(name.clone(), vec![])]),
        Err(MalformedEntry::Bound)
    );
    let large = |n: u8| (vec![n], vec![0; 1 << 20]);
    assert_eq!(
        changed(&|_, node| node.attributes = vec![large(1), large(2)]),
        Err(MalformedEntry::Bound)
    );
    let user = |user: &[u8]| {
        Arc::new(Owner {
            user: user.to_vec(),
            ..Owner::default()
        })
    };
    assert_eq!(changed(&|_, node| node.owner = user(&name)), Err(MalformedEntry::Bound));
}
