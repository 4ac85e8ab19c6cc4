//! A recovery point: one small object with a visible header and a sealed body, authenticated as a whole.
//!
//! ```text
//! point  := "SRR1" header_length:u32 header sealed_body
//! header := version:u8 vault[16] item[16] point[16] key_set[16] root[32] created:i64 consistency:u8
//!           total_bytes:u64 new_bytes:u64 files:u64 has_predecessor:u8 predecessor[32]?
//! body   := machine_name program started:zigzag finished:zigzag paths exclusions issues issues_omitted:varint
//! ```
//!
//! Times are nanoseconds since 1970. The associated data of the sealed body are all bytes before it
//! ([`PointParts::head`]). `predecessor` is the [`Digest`] of the whole object of the item's previous point: a client that
//! remembers its last one notices a vault that withholds or replays.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strongroom_model::{BlobId, Digest, ItemId, KeySetId, PointId, VaultId};

use crate::wire::{Malformed, Reader, put_counted, put_varint, put_zigzag};

/// No recovery point object is larger.
pub const POINT_BYTES_MAX: usize = 4 << 20;
/// No plain body is larger.
pub const BODY_BYTES_MAX: usize = 16 << 20;
/// Issues are listed while the plain body stays below this, so that the object keeps its bound even if nothing of it can be
/// compressed; the others are counted.
pub const BODY_BYTES_TARGET: usize = 3 << 20;
/// More issues than this are counted, not listed.
pub const ISSUES_MAX: usize = 10_000;

const MAGIC: &[u8; 4] = b"SRR1";
const VERSION: u8 = 1;
const TEXT_MAX: usize = 64 << 10;

/// How consistent the source was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum Consistency {
    /// Files were read one after another while the machine went on working.
    FileByFile = 0,
    /// All data are of one moment, as after a power cut.
    CrashConsistent = 1,
    /// All data are of one moment, with file systems flushed.
    FileSystemConsistent = 2,
    /// Applications took part.
    ApplicationConsistent = 3,
}

impl Consistency {
    fn from_number(number: u8) -> Option<Self> {
        [
            Self::FileByFile,
            Self::CrashConsistent,
            Self::FileSystemConsistent,
            Self::ApplicationConsistent,
        ]
        .get(usize::from(number))
        .copied()
    }
}

/// Why bytes are no recovery point.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PointError {
    /// They do not begin as one.
    #[error("the bytes do not begin as a recovery point")]
    Magic,
    /// A newer program wrote it.
    #[error("the recovery point has format version {0}; this program reads version 1: use a newer strongroom")]
    Version(u8),
    /// It is larger than [`POINT_BYTES_MAX`].
    #[error("the recovery point is above the largest size")]
    TooLarge,
    /// A field is not as a writer makes it.
    #[error("the recovery point is damaged: {0}")]
    Field(Malformed),
}

impl From<Malformed> for PointError {
    fn from(malformed: Malformed) -> Self {
        Self::Field(malformed)
    }
}

/// What everyone may know of a recovery point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointHeader {
    /// The vault that keeps it.
    pub vault: VaultId,
    /// The protected item.
    pub item: ItemId,
    /// The point itself.
    pub point: PointId,
    /// Who can open it.
    pub key_set: KeySetId,
    /// The root page.
    pub root: BlobId,
    /// By the vault's clock, when the session began; of a state of the past that was imported, when that was.
    pub created: Timestamp,
    /// How consistent the source was.
    pub consistency: Consistency,
    /// Bytes of all files, holes included.
    pub total_bytes: u64,
    /// Bytes that this point added to the vault.
    pub new_bytes: u64,
    /// How many files, links and folders.
    pub files: u64,
    /// The item's point before this one.
    pub predecessor: Option<Digest>,
}

/// What only the holders of the key set may know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PointBody {
    /// The machine that it was made on.
    pub machine: String,
    /// Name and version of the program that made it.
    pub program: String,
    /// By the machine's clock, nanoseconds since 1970.
    pub started: i64,
    /// By the machine's clock, nanoseconds since 1970.
    pub finished: i64,
    /// The selected paths.
    pub paths: Vec<Vec<u8>>,
    /// The patterns of what was left out.
    pub exclusions: Vec<String>,
    /// What could not be taken, and why: at most [`ISSUES_MAX`].
    pub issues: Vec<Issue>,
    /// How many more there were.
    pub issues_omitted: u64,
}

/// One thing that could not be taken as it should have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Below "/".
    pub path: Vec<u8>,
    /// A sentence.
    pub why: String,
}

/// A parsed recovery point object.
#[derive(Clone, Debug)]
pub struct PointParts<'a> {
    /// The visible header.
    pub header: PointHeader,
    /// All bytes before the sealed body: its associated data.
    pub head: &'a [u8],
    /// The body, readable with the key set only.
    pub sealed: &'a [u8],
}

/// BLAKE3 of a whole recovery point object.
pub fn point_digest(bytes: &[u8]) -> Digest {
    Digest::from_bytes(*blake3::hash(bytes).as_bytes())
}

/// Reads the visible part of a recovery point object.
pub fn parse_point(bytes: &[u8]) -> Result<PointParts<'_>, PointError> {
    if bytes.len() > POINT_BYTES_MAX {
        return Err(PointError::TooLarge);
    }
    let mut reader = Reader::new(bytes);
    if reader.array::<4>().ok() != Some(*MAGIC) {
        return Err(PointError::Magic);
    }
    let length = reader.u32()? as usize;
    let header = parse_header(reader.bytes(length)?)?;
    Ok(PointParts {
        header,
        head: &bytes[..8 + length],
        sealed: reader.rest(),
    })
}

/// The bytes before the sealed body, which is to be made with them as associated data and appended.
pub fn put_head(out: &mut Vec<u8>, header: &PointHeader) {
    let fields = encode_header(header);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&(fields.len() as u32).to_le_bytes());
    out.extend_from_slice(&fields);
}

fn encode_header(header: &PointHeader) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend_from_slice(header.vault.as_bytes());
    out.extend_from_slice(header.item.as_bytes());
    out.extend_from_slice(header.point.as_bytes());
    out.extend_from_slice(header.key_set.as_bytes());
    out.extend_from_slice(header.root.as_bytes());
    out.extend_from_slice(&nanoseconds(header.created).to_le_bytes());
    out.push(header.consistency as u8);
    for number in [header.total_bytes, header.new_bytes, header.files] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.push(u8::from(header.predecessor.is_some()));
    if let Some(digest) = header.predecessor {
        out.extend_from_slice(digest.as_bytes());
    }
    out
}

fn parse_header(bytes: &[u8]) -> Result<PointHeader, PointError> {
    let mut reader = Reader::new(bytes);
    let version = reader.u8()?;
    if version != VERSION {
        return Err(PointError::Version(version));
    }
    let header = PointHeader {
        vault: VaultId::from_bytes(reader.array()?),
        item: ItemId::from_bytes(reader.array()?),
        point: PointId::from_bytes(reader.array()?),
        key_set: KeySetId::from_bytes(reader.array()?),
        root: BlobId::from_bytes(reader.array()?),
        created: moment(i64::from_le_bytes(reader.array()?)),
        consistency: Consistency::from_number(reader.u8()?).ok_or(Malformed::TooLong)?,
        total_bytes: reader.u64()?,
        new_bytes: reader.u64()?,
        files: reader.u64()?,
        predecessor: match reader.u8()? {
            0 => None,
            1 => Some(Digest::from_bytes(reader.array()?)),
            _ => return Err(Malformed::TooLong.into()),
        },
    };
    reader.end()?;
    Ok(header)
}

impl PointBody {
    /// The plain bytes of the body. Issues that do not fit (see [`BODY_BYTES_TARGET`]) are counted as omitted, and texts
    /// and paths longer than a reader takes are cut: an issue must not cost the recovery point.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_text(&mut out, &self.machine);
        put_text(&mut out, &self.program);
        put_zigzag(&mut out, self.started);
        put_zigzag(&mut out, self.finished);
        put_varint(&mut out, self.paths.len() as u64);
        self.paths.iter().for_each(|path| put_path(&mut out, path));
        put_varint(&mut out, self.exclusions.len() as u64);
        self.exclusions.iter().for_each(|pattern| put_text(&mut out, pattern));
        self.put_issues(&mut out);
        out
    }

    fn put_issues(&self, out: &mut Vec<u8>) {
        let (mut listed, mut count) = (Vec::new(), 0);
        for issue in self.issues.iter().take(ISSUES_MAX) {
            let end = listed.len();
            put_path(&mut listed, &issue.path);
            put_text(&mut listed, &issue.why);
            if out.len() + listed.len() > BODY_BYTES_TARGET {
                listed.truncate(end);
                break;
            }
            count += 1;
        }
        put_varint(out, count as u64);
        out.extend_from_slice(&listed);
        let omitted = (self.issues.len() - count) as u64;
        put_varint(out, self.issues_omitted.saturating_add(omitted));
    }

    /// Reads the plain bytes of a body.
    pub fn decode(bytes: &[u8]) -> Result<Self, PointError> {
        if bytes.len() > BODY_BYTES_MAX {
            return Err(PointError::TooLarge);
        }
        let mut reader = Reader::new(bytes);
        let body = Self {
            machine: text(&mut reader)?,
            program: text(&mut reader)?,
            started: reader.zigzag()?,
            finished: reader.zigzag()?,
            paths: list(&mut reader, |reader| Ok(reader.counted(TEXT_MAX)?.to_vec()))?,
            exclusions: list(&mut reader, text)?,
            issues: issues(&mut reader)?,
            issues_omitted: reader.varint()?,
        };
        reader.end()?;
        Ok(body)
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_counted(out, &text.as_bytes()[..text.floor_char_boundary(TEXT_MAX)]);
}

fn put_path(out: &mut Vec<u8>, path: &[u8]) {
    put_counted(out, &path[..path.len().min(TEXT_MAX)]);
}

fn text(reader: &mut Reader<'_>) -> Result<String, Malformed> {
    let text = std::str::from_utf8(reader.counted(TEXT_MAX)?).map_err(|_| Malformed::Text)?;
    Ok(text.to_owned())
}

fn issues(reader: &mut Reader<'_>) -> Result<Vec<Issue>, Malformed> {
    let issues = list(reader, |reader| {
        Ok(Issue {
            path: reader.counted(TEXT_MAX)?.to_vec(),
            why: text(reader)?,
        })
    })?;
    if issues.len() > ISSUES_MAX {
        return Err(Malformed::TooLong);
    }
    Ok(issues)
}

fn list<'a, T>(
    reader: &mut Reader<'a>,
    read: impl Fn(&mut Reader<'a>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    // Every member takes at least one byte, so a count cannot ask for more memory than was sent.
    let count = reader.bounded(reader.rest().len() as u64)?;
    (0..count).map(|_| read(reader)).collect()
}

fn nanoseconds(moment: Timestamp) -> i64 {
    let (least, most) = (i128::from(i64::MIN), i128::from(i64::MAX));
    moment.as_nanosecond().clamp(least, most) as i64
}

fn moment(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(nanoseconds.into()).expect("64-bit nanoseconds lie within jiff's range")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(predecessor: Option<Digest>) -> PointHeader {
        PointHeader {
            vault: VaultId::from_bytes([1; 16]),
            item: ItemId::from_bytes([2; 16]),
            point: PointId::from_bytes([3; 16]),
            key_set: KeySetId::from_bytes([4; 16]),
            root: BlobId::from_bytes([5; 32]),
            created: moment(-5),
            consistency: Consistency::FileByFile,
            total_bytes: u64::MAX,
            new_bytes: 1,
            files: 2,
            predecessor,
        }
    }

    fn body() -> PointBody {
        PointBody {
            machine: "web".into(),
            program: "strongroom 0.1.0".into(),
            started: -1,
            finished: 7,
            paths: vec![b"usr/\xff".to_vec()],
            exclusions: vec!["*.tmp".into()],
            issues: vec![Issue {
                path: b"x".to_vec(),
                why: "cannot open".into(),
            }],
            issues_omitted: 3,
        }
    }

    #[test]
    fn points_round_trip() {
        for predecessor in [None, Some(Digest::from_bytes([6; 32]))] {
            let mut bytes = Vec::new();
            put_head(&mut bytes, &header(predecessor));
            let head = bytes.clone();
            bytes.extend_from_slice(b"sealed body");
            let parts = parse_point(&bytes).unwrap();
            assert_eq!(parts.header, header(predecessor));
            assert_eq!((parts.head, parts.sealed), (&head[..], &b"sealed body"[..]));
            for length in 0..head.len() {
                assert!(parse_point(&bytes[..length]).is_err(), "length {length}");
            }
        }
    }

    #[test]
    fn bodies_round_trip_and_every_truncation_is_refused() {
        let bytes = body().encode();
        assert_eq!(PointBody::decode(&bytes), Ok(body()));
        for length in 0..bytes.len() {
            assert!(PointBody::decode(&bytes[..length]).is_err(), "length {length}");
        }
    }

    #[test]
    fn a_body_keeps_its_bounds_whatever_is_in_it() {
        let issue = Issue {
            path: vec![b'p'; 100_000],
            why: "ä".repeat(50_000),
        };
        let body = PointBody {
            issues: vec![issue; 200],
            issues_omitted: 5,
            ..body()
        };
        let bytes = body.encode();
        assert!(bytes.len() <= BODY_BYTES_TARGET + 16, "{}", bytes.len());
        let read = PointBody::decode(&bytes).unwrap();
        assert_eq!(
            (read.issues[0].path.len(), read.issues[0].why.len()),
            (TEXT_MAX, TEXT_MAX)
        );
        assert_eq!(read.issues.len() as u64 + read.issues_omitted, 205);
        assert_eq!(read.encode(), bytes);
    }

    #[test]
    fn the_ends_of_time_come_back() {
        for nanoseconds in [i64::MIN, i64::MAX] {
            let created = moment(nanoseconds);
            let mut bytes = Vec::new();
            put_head(
                &mut bytes,
                &PointHeader {
                    created,
                    ..header(None)
                },
            );
            assert_eq!(parse_point(&bytes).unwrap().header.created, created);
        }
    }

    #[test]
    fn a_newer_version_is_refused_politely() {
        let mut bytes = Vec::new();
        put_head(&mut bytes, &header(None));
        bytes[8] = 2;
        assert!(
            parse_point(&bytes)
                .unwrap_err()
                .to_string()
                .contains("use a newer strongroom")
        );
    }
}
