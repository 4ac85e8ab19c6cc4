//! The names in a folder, as restic lists them: JSON, in which names are quoted as Go quotes strings.

use jiff::Timestamp;
use serde::de::{self, IgnoredAny};
use serde::{Deserialize, Deserializer};
use strongroom_sources::files::{Kind, Meta, Xattrs};

use crate::id::Id;
use crate::keys::base64_bytes;

/// Bits of Go's `fs.FileMode` beside the nine of permissions.
const GO_SETUID: u32 = 1 << 23;
const GO_SETGID: u32 = 1 << 22;
const GO_STICKY: u32 = 1 << 20;

/// A folder's list.
#[derive(Deserialize)]
pub(crate) struct Tree {
    pub(crate) nodes: Vec<Node>,
}

/// A name and what it stands for. The time of last access is not looked at: nothing keeps it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Node {
    #[serde(deserialize_with = "quoted")]
    pub(crate) name: Result<Vec<u8>, String>,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    mode: u32,
    #[serde(default)]
    mtime: Timestamp,
    #[serde(default)]
    ctime: Timestamp,
    #[serde(default)]
    uid: u32,
    #[serde(default)]
    gid: u32,
    #[serde(default)]
    pub(crate) user: String,
    #[serde(default)]
    pub(crate) group: String,
    #[serde(default)]
    inode: u64,
    #[serde(default)]
    device_id: u64,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    links: u64,
    #[serde(default)]
    linktarget: String,
    #[serde(default, deserialize_with = "base64_if_any")]
    linktarget_raw: Option<Vec<u8>>,
    #[serde(default)]
    extended_attributes: Option<Vec<Attribute>>,
    #[serde(default)]
    generic_attributes: Option<IgnoredAny>,
    #[serde(default)]
    device: u64,
    #[serde(default)]
    pub(crate) content: Option<Vec<Id>>,
    #[serde(default)]
    pub(crate) subtree: Option<Id>,
    #[serde(default)]
    error: String,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Attribute {
    name: String,
    #[serde(default, deserialize_with = "base64_if_any")]
    value: Option<Vec<u8>>,
}

impl Node {
    /// Whether both say the same; what is in a folder is looked at name by name.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        let without = |node: &Self| Self {
            subtree: None,
            ..node.clone()
        };
        match self.subtree == other.subtree {
            true => self == other,
            false => without(self) == without(other),
        }
    }

    /// The facts; `has_holes` if some of its contents are holes.
    ///
    /// # Errors
    /// If it is of a kind that cannot be kept.
    pub(crate) fn meta(&self, has_holes: bool) -> Result<Meta, String> {
        let kind = self.kind()?;
        Ok(Meta {
            kind,
            mode: self.permissions(),
            uid: self.uid,
            gid: self.gid,
            mtime: moment(self.mtime),
            ctime: moment(self.ctime),
            size: if kind == Kind::File { self.size } else { 0 },
            dev: self.device_id,
            ino: self.inode,
            nlink: u32::try_from(self.links.max(1)).unwrap_or(u32::MAX),
            blocks: if has_holes { 0 } else { self.size.div_ceil(512) },
        })
    }

    fn kind(&self) -> Result<Kind, String> {
        let (major, minor) = (rustix::fs::major(self.device), rustix::fs::minor(self.device));
        match self.kind.as_str() {
            "file" => Ok(Kind::File),
            "dir" => Ok(Kind::Directory),
            "symlink" => Ok(Kind::Symlink),
            "fifo" => Ok(Kind::Fifo),
            "socket" => Ok(Kind::Socket),
            "chardev" => Ok(Kind::CharDevice { major, minor }),
            "dev" => Ok(Kind::BlockDevice { major, minor }),
            other => Err(format!(
                "restic calls it {other:?}, and there is nothing of this kind in a recovery point"
            )),
        }
    }

    fn permissions(&self) -> u32 {
        let special = [(GO_SETUID, 0o4000), (GO_SETGID, 0o2000), (GO_STICKY, 0o1000)];
        let set = special.iter().filter(|(go, _)| self.mode & go != 0);
        set.fold(self.mode & 0o777, |mode, (_, bit)| mode | bit)
    }

    /// Where a symbolic link leads.
    pub(crate) fn target(&self) -> &[u8] {
        self.linktarget_raw.as_deref().unwrap_or(self.linktarget.as_bytes())
    }

    /// The extended attributes, sorted by name.
    pub(crate) fn attributes(&self) -> Xattrs {
        let all = self.extended_attributes.iter().flatten();
        let pair = |attribute: &Attribute| {
            let value = attribute.value.clone().unwrap_or_default();
            (attribute.name.clone().into_bytes(), value)
        };
        let mut attributes: Xattrs = all.map(pair).collect();
        attributes.sort_unstable();
        attributes.dedup_by(|next, before| next.0 == before.0);
        attributes
    }

    /// What was there and is not kept, by restic or by us.
    pub(crate) fn losses(&self) -> Vec<String> {
        let mut losses = Vec::new();
        if self.linktarget_raw.is_none() && self.linktarget.contains('\u{fffd}') {
            losses.push("restic did not keep where this link leads: the target is no UTF-8".to_owned());
        }
        if self.generic_attributes.is_some() {
            losses.push("its attributes of another operating system are not kept".to_owned());
        }
        if !self.error.is_empty() {
            losses.push(format!("restic could not read all of it: {}", self.error));
        }
        losses
    }
}

fn moment(time: Timestamp) -> (i64, u32) {
    let nanoseconds = time.as_nanosecond();
    let seconds = nanoseconds.div_euclid(1_000_000_000);
    (seconds as i64, nanoseconds.rem_euclid(1_000_000_000) as u32)
}

fn base64_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
    #[derive(Deserialize)]
    struct Bytes(#[serde(deserialize_with = "base64_bytes")] Vec<u8>);
    Ok(<Option<Bytes>>::deserialize(deserializer)?.map(|Bytes(bytes)| bytes))
}

/// A name that cannot be unquoted costs that name, not the folder.
fn quoted<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Result<Vec<u8>, String>, D::Error> {
    struct Text;
    impl de::Visitor<'_> for Text {
        type Value = Result<Vec<u8>, String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a name")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(unquote(text).ok_or_else(|| text.to_owned()))
        }
    }
    deserializer.deserialize_str(Text)
}

/// The bytes behind a string as Go quotes it (<https://pkg.go.dev/strconv#Quote>), without the quotation marks.
fn unquote(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        rest = escape(&rest[at + 1..], &mut bytes)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

/// Appends what an escape stands for; `text` begins behind the backslash. What follows it.
fn escape<'a>(text: &'a str, bytes: &mut Vec<u8>) -> Option<&'a str> {
    let letter = text.chars().next()?;
    let rest = &text[letter.len_utf8()..];
    let plain = match letter {
        'a' => 7,
        'b' => 8,
        't' => b'\t',
        'n' => b'\n',
        'v' => 11,
        'f' => 12,
        'r' => b'\r',
        '\\' | '"' => letter as u8,
        'x' => {
            bytes.push(digits(rest, 2, 16)? as u8);
            return Some(&rest[2..]);
        }
        'u' | 'U' => {
            let count = if letter == 'u' { 4 } else { 8 };
            let character = char::from_u32(digits(rest, count, 16)?)?;
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(&rest[count..]);
        }
        '0'..='3' => {
            bytes.push(digits(text, 3, 8)? as u8);
            return Some(&text[3..]);
        }
        _ => return None,
    };
    bytes.push(plain);
    Some(rest)
}

fn digits(text: &str, count: usize, radix: u32) -> Option<u32> {
    let digits = text.get(..count)?;
    digits.chars().all(|digit| digit.is_digit(radix)).then_some(())?;
    u32::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_unquoted_as_go_quotes_them() {
        let cases: [(&str, Option<&[u8]>); 12] = [
            ("plain name", Some(b"plain name")),
            (r#"odd\xff\nname\"q\\"#, Some(b"odd\xff\nname\"q\\")),
            ("größe", Some("größe".as_bytes())),
            (r"\a\b\f\r\t\v\x00\x7f", Some(b"\x07\x08\x0c\r\t\x0b\0\x7f")),
            (r"\u00adx\U000e0001", Some("\u{ad}x\u{e0001}".as_bytes())),
            (r"\101\377", Some(b"A\xff")),
            (r"\", None),
            (r"\x1", None),
            (r"\x+1", None),
            (r"\ud800", None),
            (r"\'", None),
            ("\\xé1", None),
        ];
        for (text, bytes) in cases {
            assert_eq!(unquote(text).as_deref(), bytes, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_unquoting_panic(text in r"(\\[xuU0-9a-f]?|[0-9a-fé])*") {
            let _ = unquote(&text);
        }
    }

    /// As restic 0.14.0 wrote it.
    const NODE: &str = r#"{"name":"odd\\xff","type":"file","mode":75497892,"mtime":"1960-02-03T04:05:06.5Z",
        "atime":"2026-11-21T18:45:37.536038616Z","ctime":"2026-11-21T19:45:37.560038615+01:00","uid":1,"gid":2,
        "user":"daemon","group":"bin","inode":10052819,"device_id":65024,"size":3,"links":2,
        "extended_attributes":[{"name":"user.x","value":"Zm9v"},{"name":"user.a","value":null}],
        "content":["98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4"]}"#;

    #[test]
    fn a_node_says_what_a_file_was() {
        let node: Node = serde_json::from_str(NODE).unwrap();
        let meta = node.meta(false).unwrap();
        assert_eq!(node.name.as_deref(), Ok(&b"odd\xff"[..]));
        assert_eq!(
            (meta.kind, meta.mode, meta.size, meta.nlink),
            (Kind::File, 0o4644, 3, 2)
        );
        assert_eq!(meta.mtime, (-312_753_294, 500_000_000));
        assert_eq!(meta.ctime.1, 560_038_615);
        assert_eq!(
            node.attributes(),
            [(b"user.a".to_vec(), Vec::new()), (b"user.x".to_vec(), b"foo".to_vec())]
        );
        assert!(node.losses().is_empty() && node.says_the_same(&node.clone()));
    }

    #[test]
    fn what_is_not_kept_is_told() {
        let node = |kind: &str, more: &str| -> Node {
            serde_json::from_str(&format!(r#"{{"name":"x","type":"{kind}"{more}}}"#)).unwrap()
        };
        assert!(node("irregular", "").meta(false).unwrap_err().contains("irregular"));
        let lossy = node("symlink", r#","linktarget":"bad\ufffd""#);
        assert_eq!(lossy.losses().len(), 1);
        let raw = node("symlink", r#","linktarget":"bad\ufffd","linktarget_raw":"YmFk/w==""#);
        assert_eq!((raw.target(), raw.losses().len()), (&b"bad\xff"[..], 0));
        let windows = node(
            "file",
            r#","generic_attributes":{"windows.file_attributes":32},"error":"denied""#,
        );
        assert_eq!(windows.losses().len(), 2);
    }
}
