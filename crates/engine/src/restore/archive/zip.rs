//! ZIP, as PKWARE's APPNOTE 6.3.10 describes it, with the fields that Info-ZIP added for Unix.
//!
//! It is written in one go: lengths and checksum of a file follow its contents, and what stands in the directory at the
//! end is collected in a temporary file, so that memory does not depend on the number of entries.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, Write};

use flate2::Compression;
use flate2::write::DeflateEncoder;
use strongroom_format::entry::{Kind, Time};

use super::super::write::size;
use super::{Archive, Begun, Described, Output, Stretch, leads_to};

const LOCAL: u32 = 0x0403_4b50;
const DESCRIPTOR: u32 = 0x0807_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;

/// Version 4.5, the first with 64-bit lengths; made by version 6.3 on Unix.
const NEEDS: u16 = 45;
const MADE_BY: u16 = (3 << 8) | 63;
/// The lengths follow the contents.
const FLAG_DESCRIPTOR: u16 = 1 << 3;
const FLAG_UTF8: u16 = 1 << 11;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// A file from here on gets 64-bit lengths: incompressible ones grow a little.
const LARGE: u64 = 0xf000_0000;
/// This stands where a number has no room.
const SEE_64: u32 = u32::MAX;
const BUFFER_BYTES: usize = 1 << 20;

/// A ZIP archive that is being written.
pub struct Zip {
    /// `None` only while it is moved.
    output: Option<Target>,
    directory: BufWriter<File>,
    directory_bytes: u64,
    entries: u64,
    file: Option<OpenFile>,
}

enum Target {
    Plain(Counted),
    Deflating(DeflateEncoder<Counted>),
}

/// Counts what is written.
struct Counted {
    output: BufWriter<Output>,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.output.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// What the directory says of an entry.
struct Listed {
    name: Vec<u8>,
    flags: u16,
    method: u16,
    dos_time: u32,
    extra: Vec<u8>,
    external: u32,
    offset: u64,
}

struct OpenFile {
    listed: Listed,
    is_large: bool,
    /// Where its contents begin.
    start: u64,
    length: u64,
    crc: flate2::Crc,
}

/// Checksum and lengths of contents.
#[derive(Clone, Copy)]
struct Sums {
    crc: u32,
    packed: u64,
    length: u64,
}

impl Zip {
    pub fn new(output: Output) -> io::Result<Self> {
        let output = BufWriter::with_capacity(BUFFER_BYTES, output);
        Ok(Self {
            output: Some(Target::Plain(Counted { output, bytes: 0 })),
            directory: BufWriter::new(tempfile::tempfile()?),
            directory_bytes: 0,
            entries: 0,
            file: None,
        })
    }

    fn plain(&mut self) -> io::Result<&mut Counted> {
        match &mut self.output {
            Some(Target::Plain(output)) => Ok(output),
            _ => Err(io::Error::other("a file of the archive was not ended")),
        }
    }

    fn describe(&mut self, entry: &Described<'_>, method: u16) -> io::Result<Listed> {
        let mut name = entry.path.to_vec();
        let is_folder = matches!(entry.node.kind, Kind::Directory);
        if is_folder {
            name.push(b'/');
        }
        let mut flags = 0;
        if std::str::from_utf8(&name).is_ok() {
            flags |= FLAG_UTF8;
        }
        if method == DEFLATED {
            flags |= FLAG_DESCRIPTOR;
        }
        Ok(Listed {
            flags,
            method,
            dos_time: dos_time(entry.node.mtime),
            extra: unix_fields(entry),
            external: ((kind_bits(&entry.node.kind) | entry.attributes.mode) << 16) | (u32::from(is_folder) << 4),
            offset: self.plain()?.bytes,
            name,
        })
    }

    fn put_local(&mut self, listed: &Listed, sums: Sums, is_large: bool) -> io::Result<()> {
        let mut extra = Vec::new();
        if is_large {
            put_16(&mut extra, &[1, 16]);
            put_64(&mut extra, &[0, 0]);
        }
        extra.extend_from_slice(&listed.extra);
        let mut head = Vec::new();
        put_32(&mut head, &[LOCAL]);
        put_16(&mut head, &[NEEDS, listed.flags, listed.method]);
        put_32(&mut head, &[listed.dos_time, sums.crc]);
        let lengths = match is_large {
            true => [SEE_64; 2],
            false => [sums.packed as u32, sums.length as u32],
        };
        put_32(&mut head, &lengths);
        put_16(&mut head, &[length_16(&listed.name)?, length_16(&extra)?]);
        let output = self.plain()?;
        output.write_all(&head)?;
        output.write_all(&listed.name)?;
        output.write_all(&extra)
    }

    fn list(&mut self, listed: &Listed, sums: Sums) -> io::Result<()> {
        let mut extra = Vec::new();
        let large = |number: u64| number >= u64::from(SEE_64);
        let numbers = [sums.length, sums.packed, listed.offset];
        let beyond: Vec<u64> = numbers.into_iter().filter(|number| large(*number)).collect();
        if !beyond.is_empty() {
            put_16(&mut extra, &[1, beyond.len() as u16 * 8]);
            put_64(&mut extra, &beyond);
        }
        extra.extend_from_slice(&listed.extra);
        let [length, packed, offset] = numbers.map(|number| u32::try_from(number).unwrap_or(SEE_64));
        let mut head = Vec::new();
        put_32(&mut head, &[CENTRAL]);
        put_16(&mut head, &[MADE_BY, NEEDS, listed.flags, listed.method]);
        put_32(&mut head, &[listed.dos_time, sums.crc, packed, length]);
        put_16(&mut head, &[length_16(&listed.name)?, length_16(&extra)?, 0, 0, 0]);
        put_32(&mut head, &[listed.external, offset]);
        for bytes in [&head, &listed.name, &extra] {
            self.directory.write_all(bytes)?;
            self.directory_bytes += bytes.len() as u64;
        }
        self.entries += 1;
        Ok(())
    }
}

impl Archive for Zip {
    fn put(&mut self, entry: &Described<'_>) -> io::Result<Option<&'static str>> {
        let contents = match &entry.node.kind {
            Kind::Directory => &[][..],
            Kind::Symlink { .. } => leads_to(entry.node),
            _ => {
                return Ok(Some(
                    "a zip archive cannot hold a pipe, socket or device: it was left out",
                ));
            }
        };
        if is_too_long(entry.path) {
            return Ok(Some(TOO_LONG));
        }
        let mut crc = flate2::Crc::new();
        crc.update(contents);
        let sums = Sums {
            crc: crc.sum(),
            packed: contents.len() as u64,
            length: contents.len() as u64,
        };
        let listed = self.describe(entry, STORED)?;
        self.put_local(&listed, sums, false)?;
        self.plain()?.write_all(contents)?;
        self.list(&listed, sums).map(|()| None)
    }

    fn begin(&mut self, entry: &Described<'_>, _holes_become_zeros: Option<&[Stretch]>) -> io::Result<Begun> {
        if is_too_long(entry.path) {
            return Ok(Begun::Refused(TOO_LONG));
        }
        let listed = self.describe(entry, DEFLATED)?;
        let is_large = size(entry.node) >= LARGE;
        let unknown = Sums {
            crc: 0,
            packed: 0,
            length: 0,
        };
        self.put_local(&listed, unknown, is_large)?;
        let start = self.plain()?.bytes;
        if let Some(Target::Plain(output)) = self.output.take() {
            self.output = Some(Target::Deflating(DeflateEncoder::new(output, Compression::fast())));
        }
        self.file = Some(OpenFile {
            listed,
            is_large,
            start,
            length: 0,
            crc: flate2::Crc::new(),
        });
        Ok(Begun::Whole)
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let (Some(file), Some(Target::Deflating(encoder))) = (&mut self.file, &mut self.output) {
            file.length += bytes.len() as u64;
            file.crc.update(bytes);
            encoder.write_all(bytes)?;
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        let (Some(file), Some(Target::Deflating(encoder))) = (self.file.take(), self.output.take()) else {
            return Err(io::Error::other("no file of the archive was begun"));
        };
        let mut output = encoder.finish()?;
        let sums = Sums {
            crc: file.crc.sum(),
            packed: output.bytes - file.start,
            length: file.length,
        };
        let mut descriptor = Vec::new();
        put_32(&mut descriptor, &[DESCRIPTOR, sums.crc]);
        match file.is_large {
            true => put_64(&mut descriptor, &[sums.packed, sums.length]),
            false => put_32(&mut descriptor, &[sums.packed as u32, sums.length as u32]),
        }
        output.write_all(&descriptor)?;
        self.output = Some(Target::Plain(output));
        self.list(&file.listed, sums)
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        let (entries, bytes) = (self.entries, self.directory_bytes);
        let offset = self.plain()?.bytes;
        self.directory.flush()?;
        self.directory.get_mut().rewind()?;
        let Self { output, directory, .. } = &mut *self;
        let Some(Target::Plain(output)) = output else {
            return Err(io::Error::other("a file of the archive was not ended"));
        };
        io::copy(directory.get_mut(), output)?;
        let mut end = Vec::new();
        if entries >= u64::from(u16::MAX) || bytes >= u64::from(SEE_64) || offset >= u64::from(SEE_64) {
            put_32(&mut end, &[END_64]);
            put_64(&mut end, &[44]);
            put_16(&mut end, &[MADE_BY, NEEDS]);
            put_32(&mut end, &[0, 0]);
            put_64(&mut end, &[entries, entries, bytes, offset]);
            put_32(&mut end, &[LOCATOR_64, 0]);
            put_64(&mut end, &[offset + bytes]);
            put_32(&mut end, &[1]);
        }
        let count = u16::try_from(entries).unwrap_or(u16::MAX);
        let number = |number: u64| u32::try_from(number).unwrap_or(SEE_64);
        put_32(&mut end, &[END]);
        put_16(&mut end, &[0, 0, count, count]);
        put_32(&mut end, &[number(bytes), number(offset)]);
        put_16(&mut end, &[0]);
        output.write_all(&end)?;
        output.flush()
    }
}

const TOO_LONG: &str = "a zip archive cannot hold so long a name: it was left out";

/// With the slash that a folder's name gets.
fn is_too_long(path: &[u8]) -> bool {
    path.len() >= usize::from(u16::MAX)
}

fn put_16(out: &mut Vec<u8>, numbers: &[u16]) {
    numbers.iter().for_each(|number| out.extend(number.to_le_bytes()));
}

fn put_32(out: &mut Vec<u8>, numbers: &[u32]) {
    numbers.iter().for_each(|number| out.extend(number.to_le_bytes()));
}

fn put_64(out: &mut Vec<u8>, numbers: &[u64]) {
    numbers.iter().for_each(|number| out.extend(number.to_le_bytes()));
}

fn length_16(bytes: &[u8]) -> io::Result<u16> {
    u16::try_from(bytes.len()).map_err(|_| io::Error::other(TOO_LONG))
}

/// Time of last change and owner, as Info-ZIP keeps them: fields "UT" and "ux".
fn unix_fields(entry: &Described<'_>) -> Vec<u8> {
    let mut fields = Vec::new();
    if let Ok(seconds) = i32::try_from(entry.node.mtime.seconds) {
        put_16(&mut fields, &[0x5455, 5]);
        fields.push(1);
        fields.extend(seconds.to_le_bytes());
    }
    put_16(&mut fields, &[0x7875, 11]);
    for part in [
        &[1, 4][..],
        &entry.attributes.uid.to_le_bytes(),
        &[4],
        &entry.attributes.gid.to_le_bytes(),
    ] {
        fields.extend_from_slice(part);
    }
    fields
}

/// The kind as Unix has it in a mode.
fn kind_bits(kind: &Kind) -> u32 {
    match kind {
        Kind::Directory => 0o040_000,
        Kind::Symlink { .. } => 0o120_000,
        _ => 0o100_000,
    }
}

/// Date and time of DOS, in UTC: two seconds apart, from 1980 to 2107.
fn dos_time(time: Time) -> u32 {
    const FIRST: u32 = (1 << 21) | (1 << 16);
    let Ok(moment) = jiff::Timestamp::new(time.seconds, 0) else {
        return FIRST;
    };
    let at = jiff::tz::TimeZone::UTC.to_datetime(moment);
    let Some(year) = u32::try_from(at.year())
        .ok()
        .and_then(|year| year.checked_sub(1980))
        .filter(|year| *year < 128)
    else {
        return FIRST;
    };
    let part = |number: i8| u32::from(number.unsigned_abs());
    (year << 25)
        | (part(at.month()) << 21)
        | (part(at.day()) << 16)
        | (part(at.hour()) << 11)
        | (part(at.minute()) << 5)
        | (part(at.second()) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_dos() {
        let at = |text: &str| {
            let seconds = text.parse::<jiff::Timestamp>().unwrap().as_second();
            dos_time(Time {
                seconds,
                nanoseconds: 0,
            })
        };
        assert_eq!(
            at("2026-11-21T18:30:05Z"),
            (46 << 25) | (11 << 21) | (21 << 16) | (18 << 11) | (30 << 5) | 2
        );
        assert_eq!(at("1979-12-31T23:59:59Z"), at("1980-01-01T00:00:00Z"));
        assert_eq!(at("2108-01-01T00:00:00Z"), at("1980-01-01T00:00:00Z"));
    }
}
