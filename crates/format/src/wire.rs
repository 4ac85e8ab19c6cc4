//! Reading and writing the primitive values that all structures are made of.

use crate::entry::MalformedEntry;

/// Why a primitive could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The bytes end inside a value.
    #[error("the bytes end inside a value")]
    Short,
    /// A number has more digits than it needs, or more than 64 bits.
    #[error("a number is not in its shortest form")]
    Number,
    /// A length or count is above its bound.
    #[error("a length is above its bound")]
    TooLong,
    /// The same structure has another encoding, which is the right one.
    #[error("something is not written in the one form that it has")]
    Form,
    /// Something else than UTF-8 where text belongs.
    #[error("a text is not UTF-8")]
    Text,
    /// A newer program wrote it.
    #[error("it has format version {0}; this program reads version 1: use a newer strongroom")]
    Version(u8),
    /// Bytes follow where the structure ends.
    #[error("bytes follow the end of the structure")]
    Trailing,
    /// An entry breaks a rule.
    #[error("{0}")]
    Entry(#[from] MalformedEntry),
}

/// A cursor over bytes that are not trusted.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed::Trailing)
        }
    }

    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    pub fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 || byte == 0 && shift > 0 {
                return Err(Malformed::Number);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed::Number)
    }

    /// A varint that is at most `max`.
    pub fn bounded(&mut self, max: u64) -> Result<u64, Malformed> {
        let value = self.varint()?;
        if value <= max {
            Ok(value)
        } else {
            Err(Malformed::TooLong)
        }
    }

    pub fn zigzag(&mut self) -> Result<i64, Malformed> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A varint of at most 32 bits.
    pub fn number(&mut self) -> Result<u32, Malformed> {
        Ok(self.bounded(u64::from(u32::MAX))? as u32)
    }

    /// The version of what follows, which must be `known`.
    pub fn version(&mut self, known: u8) -> Result<(), Malformed> {
        match self.u8()? {
            version if version == known => Ok(()),
            version => Err(Malformed::Version(version)),
        }
    }

    /// A path as [`put_path`] wrote it after `before`.
    pub fn path(&mut self, before: &[u8], max: usize) -> Result<Vec<u8>, Malformed> {
        let shared = self.bounded(before.len() as u64)? as usize;
        let suffix = self.counted(max - shared.min(max))?;
        if before.get(shared).is_some_and(|next| suffix.first() == Some(next)) {
            return Err(Malformed::Form);
        }
        Ok([&before[..shared], suffix].concat())
    }

    /// A length of at most `max`, then that many bytes.
    pub fn counted(&mut self, max: usize) -> Result<&'a [u8], Malformed> {
        let length = self.bounded(max as u64)?;
        self.bytes(length as usize)
    }
}

pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

pub fn put_counted(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// How many bytes the path has in common with the one before it, then the others.
pub fn put_path(out: &mut Vec<u8>, before: &[u8], path: &[u8]) {
    let shared = before.iter().zip(path).take_while(|(a, b)| a == b).count();
    put_varint(out, shared as u64);
    put_counted(out, &path[shared..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_round_trip(value: u64, signed: i64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            put_zigzag(&mut out, signed);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.varint(), Ok(value));
            prop_assert_eq!(reader.zigzag(), Ok(signed));
            prop_assert_eq!(reader.end(), Ok(()));
        }
    }

    #[test]
    fn paths_share_as_much_as_they_can() {
        let mut out = Vec::new();
        put_path(&mut out, b"usr/bin", b"usr/bit");
        assert_eq!(out, b"\x06\x01t");
        assert_eq!(Reader::new(&out).path(b"usr/bin", 7), Ok(b"usr/bit".to_vec()));
        assert_eq!(Reader::new(&out).path(b"usr/bin", 6), Err(Malformed::TooLong));
        assert_eq!(Reader::new(b"\x05\x02it").path(b"usr/bin", 99), Err(Malformed::Form));
        assert_eq!(Reader::new(b"\x08\0").path(b"usr/bin", 99), Err(Malformed::TooLong));
    }

    #[test]
    fn only_the_shortest_form_is_read() {
        let refused: [&[u8]; 4] = [
            &[0x80, 0],
            &[0xff; 10],
            &[0x80],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
        ];
        for bytes in refused {
            assert!(Reader::new(bytes).varint().is_err(), "{bytes:?}");
        }
    }
}
