//! The pax interchange format of POSIX.1-2001.
//!
//! What the old header has no room for stands in an extended header before it: long names, large numbers, fractions of
//! seconds. Extended attributes are `SCHILY.xattr.NAME` records, ACLs among them, byte for byte; holes are those of GNU
//! tar's version 1.0 of sparse files, whose map comes before the data.

use std::io::{self, BufWriter, Write as _};

use strongroom_format::entry::{Kind, Time};
use tar::{EntryType, Header};

use super::super::write::size;
use super::{Archive, Begun, Described, Output, Stretch, ZEROS, leads_to};

const BLOCK: u64 = 512;
/// What the fields of the old header hold in octal digits.
const SIZE_MAX: u64 = 0o777_7777_7777;
const ID_MAX: u32 = 0o777_7777;
/// Bytes that are collected before they are written.
const BUFFER_BYTES: usize = 1 << 20;

/// A tar archive that is being written.
pub struct Tar {
    output: BufWriter<Output>,
    /// Bytes of the file so far.
    written: u64,
}

impl Tar {
    pub fn new(output: Output) -> Self {
        Self {
            output: BufWriter::with_capacity(BUFFER_BYTES, output),
            written: 0,
        }
    }

    /// Fills the last block up.
    fn pad(&mut self, length: u64) -> io::Result<()> {
        let rest = length.next_multiple_of(BLOCK) - length;
        self.output.write_all(&ZEROS[..rest as usize])
    }

    /// Both headers of an entry with so many bytes.
    fn head(&mut self, entry: &Described<'_>, entry_type: EntryType, bytes: u64, more: Records) -> io::Result<()> {
        let mut name = entry.path.to_vec();
        if entry_type == EntryType::Directory {
            name.push(b'/');
        }
        let mut header = Header::new_ustar();
        header.set_entry_type(entry_type);
        let records = self::records(entry, &name, bytes, more, &mut header)?;
        if !records.0.is_empty() {
            let mut extended = Header::new_ustar();
            extended.set_entry_type(EntryType::XHeader);
            put_name(&mut extended, b"./PaxHeaders/entry");
            extended.set_mode(0o644);
            extended.set_size(records.0.len() as u64);
            extended.set_cksum();
            self.output.write_all(extended.as_bytes())?;
            self.output.write_all(&records.0)?;
            self.pad(records.0.len() as u64)?;
        }
        header.set_cksum();
        self.output.write_all(header.as_bytes())
    }
}

impl Archive for Tar {
    fn put(&mut self, entry: &Described<'_>) -> io::Result<Option<&'static str>> {
        let entry_type = match &entry.node.kind {
            Kind::Directory => EntryType::Directory,
            Kind::Symlink { .. } => EntryType::Symlink,
            Kind::HardLink { .. } => EntryType::Link,
            Kind::Fifo => EntryType::Fifo,
            Kind::CharDevice { .. } => EntryType::Char,
            Kind::BlockDevice { .. } => EntryType::Block,
            Kind::Socket => return Ok(Some("a tar archive cannot hold a socket: it was left out")),
            Kind::File { .. } => unreachable!("files are begun"),
        };
        self.head(entry, entry_type, 0, Records::default()).map(|()| None)
    }

    fn begin(&mut self, entry: &Described<'_>, data: Option<&[Stretch]>) -> io::Result<Begun> {
        self.written = 0;
        let Some(data) = data else {
            self.head(entry, EntryType::Regular, size(entry.node), Records::default())?;
            return Ok(Begun::Whole);
        };
        let map = sparse_map(data, size(entry.node));
        let mut records = Records::default();
        records.add("GNU.sparse.major", b"1");
        records.add("GNU.sparse.minor", b"0");
        records.add("GNU.sparse.name", entry.path);
        records.add("GNU.sparse.realsize", size(entry.node).to_string().as_bytes());
        let stored = map.len() as u64 + data.iter().map(|stretch| stretch.length).sum::<u64>();
        self.head(entry, EntryType::Regular, stored, records)?;
        self.output.write_all(&map)?;
        Ok(Begun::Sparse)
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        self.output.write_all(bytes)
    }

    fn end(&mut self) -> io::Result<()> {
        self.pad(self.written)
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.output.write_all(&ZEROS[..2 * BLOCK as usize])?;
        self.output.flush()
    }
}

/// Where data lies, in lines of decimal digits, filled up to whole blocks. A hole at the end is an empty stretch there.
fn sparse_map(data: &[Stretch], size: u64) -> Vec<u8> {
    let end = data.last().map_or(0, |last| last.offset + last.length);
    let last = (end < size || data.is_empty()).then_some(Stretch {
        offset: size,
        length: 0,
    });
    let mut map = format!("{}\n", data.len() + usize::from(last.is_some()));
    for Stretch { offset, length } in data.iter().copied().chain(last) {
        map.push_str(&format!("{offset}\n{length}\n"));
    }
    let mut map = map.into_bytes();
    map.resize(map.len().next_multiple_of(BLOCK as usize), 0);
    map
}

/// Fills the header, and returns what it has no room for.
fn records(
    entry: &Described<'_>,
    name: &[u8],
    bytes: u64,
    mut records: Records,
    header: &mut Header,
) -> io::Result<Records> {
    let (node, attributes) = (entry.node, &entry.attributes);
    let link = leads_to(node);
    let owner = &node.owner;
    let texts = [name, link, &owner.user[..], &owner.group];
    if texts.iter().any(|text| std::str::from_utf8(text).is_err()) {
        records.add("hdrcharset", b"BINARY");
    }
    if !put_name(header, name) {
        records.add("path", name);
    }
    let ustar = header.as_ustar_mut().expect("it was made as one");
    for (field, key, text) in [
        (&mut ustar.linkname[..], "linkpath", link),
        (&mut ustar.uname[..31], "uname", &owner.user),
        (&mut ustar.gname[..31], "gname", &owner.group),
    ] {
        if !put_text(field, text) {
            records.add(key, text);
        }
    }
    header.set_mode(attributes.mode);
    header.set_size(bytes.min(SIZE_MAX));
    header.set_uid(attributes.uid.min(ID_MAX).into());
    header.set_gid(attributes.gid.min(ID_MAX).into());
    for (key, number, max) in [
        ("size", bytes, SIZE_MAX),
        ("uid", attributes.uid.into(), ID_MAX.into()),
        ("gid", attributes.gid.into(), ID_MAX.into()),
    ] {
        if number > max {
            records.add(key, number.to_string().as_bytes());
        }
    }
    let seconds = u64::try_from(node.mtime.seconds).unwrap_or(0).min(SIZE_MAX);
    header.set_mtime(seconds);
    if node.mtime.nanoseconds != 0 || i64::try_from(seconds) != Ok(node.mtime.seconds) {
        records.add("mtime", decimal(node.mtime).as_bytes());
    }
    if let Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } = node.kind {
        header.set_device_major(major)?;
        header.set_device_minor(minor)?;
    }
    // A hard link has those of its first name.
    if !matches!(node.kind, Kind::HardLink { .. }) {
        for (name, value) in &attributes.xattrs {
            records.add_bytes(&[b"SCHILY.xattr.", &name[..]].concat(), value);
        }
    }
    Ok(records)
}

/// Whether the whole name fits; the beginning of it is there anyway.
fn put_name(header: &mut Header, name: &[u8]) -> bool {
    put_text(&mut header.as_ustar_mut().expect("it was made as one").name, name)
}

fn put_text(field: &mut [u8], text: &[u8]) -> bool {
    let fits = text.len().min(field.len());
    field[..fits].copy_from_slice(&text[..fits]);
    fits == text.len() && text.is_ascii()
}

/// Seconds with a fraction, also before 1970.
fn decimal(time: Time) -> String {
    const SECOND: u32 = 1_000_000_000;
    match (time.seconds, time.nanoseconds) {
        (seconds, 0) => seconds.to_string(),
        (seconds, nanoseconds) if seconds < 0 => {
            format!(
                "-{}.{:09}",
                (seconds + 1).unsigned_abs(),
                SECOND.saturating_sub(nanoseconds)
            )
        }
        (seconds, nanoseconds) => format!("{seconds}.{nanoseconds:09}"),
    }
}

/// Records of an extended header: their length, itself included, a key, a value.
#[derive(Default)]
struct Records(Vec<u8>);

impl Records {
    fn add(&mut self, key: &str, value: &[u8]) {
        self.add_bytes(key.as_bytes(), value);
    }

    fn add_bytes(&mut self, key: &[u8], value: &[u8]) {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        self.0.extend_from_slice(format!("{length} ").as_bytes());
        self.0.extend_from_slice(key);
        self.0.push(b'=');
        self.0.extend_from_slice(value);
        self.0.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_say_how_long_they_are() {
        for (length, expected) in [
            (1, "6 k=x\n".len()),
            (92, 98),
            (93, 99),
            (94, 101),
            (992, 999),
            (993, 1001),
        ] {
            let mut records = Records::default();
            records.add("k", "x".repeat(length).as_bytes());
            assert_eq!(records.0.len(), expected);
            assert!(records.0.starts_with(format!("{expected} k=").as_bytes()));
        }
    }

    #[test]
    fn times_are_decimal_numbers() {
        for (seconds, nanoseconds, expected) in [
            (5, 0, "5"),
            (5, 20, "5.000000020"),
            (-1, 500_000_000, "-0.500000000"),
            (-2, 1, "-1.999999999"),
            (-2, 0, "-2"),
        ] {
            assert_eq!(decimal(Time { seconds, nanoseconds }), expected);
        }
    }

    #[test]
    fn a_map_tells_where_data_lies() {
        let stretch = |offset, length| Stretch { offset, length };
        let text = |data: &[Stretch], size| {
            let map = sparse_map(data, size);
            assert_eq!(map.len() % 512, 0);
            String::from_utf8(map).unwrap().trim_end_matches('\0').to_owned()
        };
        assert_eq!(text(&[], 9), "1\n9\n0\n");
        assert_eq!(text(&[stretch(3, 4)], 7), "1\n3\n4\n");
        assert_eq!(text(&[stretch(0, 4)], 7), "2\n0\n4\n7\n0\n");
    }
}
