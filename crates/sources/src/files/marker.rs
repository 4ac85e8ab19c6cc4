//! Files that mark the directory they lie in as one to be left out.

use super::meta::{Kind, Meta};
use super::reading::open_entry;
use rustix::fd::OwnedFd;
use rustix::io::pread;

/// Name of the tag file that marks a directory as a cache.
pub const CACHE_TAG_NAME: &[u8] = b"CACHEDIR.TAG";
/// How a tag file must begin to count: the specification at bford.info/cachedir.
pub const CACHE_TAG_SIGNATURE: &[u8; 43] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// The longest header of a marker, in bytes.
const HEADER_BYTES_MAX: usize = 256;

/// A file whose directory is left out, but for the file itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    name: Vec<u8>,
    header: Vec<u8>,
}

/// A marker that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" cannot mark a folder: give the name of a file, without a slash, or NAME:HEADER with at most {HEADER_BYTES_MAX} bytes that the file must begin with"
)]
pub struct MarkerError(String);

impl Marker {
    /// The tag file of caches.
    pub fn cache_tag() -> Marker {
        Marker {
            name: CACHE_TAG_NAME.to_vec(),
            header: CACHE_TAG_SIGNATURE.to_vec(),
        }
    }

    /// From `NAME`, or `NAME:HEADER` if the file must begin with HEADER.
    pub fn parse(text: &str) -> Result<Marker, MarkerError> {
        let (name, header) = text.split_once(':').unwrap_or((text, ""));
        let is_name = !matches!(name, "" | "." | "..") && !name.contains(['/', '\0']);
        if !is_name || header.len() > HEADER_BYTES_MAX {
            return Err(MarkerError(text.to_owned()));
        }
        Ok(Marker {
            name: name.into(),
            header: header.into(),
        })
    }

    /// How the file is called.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Whether the file of that name in a directory is a file that begins as it must.
    pub(super) fn is_valid_in(&self, directory: &OwnedFd) -> bool {
        if self.header.is_empty() {
            return true;
        }
        let Ok(meta) = Meta::of_entry(directory, self.name.as_slice()) else {
            return false;
        };
        let mut start = [0; HEADER_BYTES_MAX];
        let start = &mut start[..self.header.len()];
        meta.kind == Kind::File
            && open_entry(directory, &self.name, meta.uid)
                .and_then(|file| pread(&file, &mut *start, 0))
                .is_ok_and(|length| start[..length] == self.header)
    }
}

#[cfg(test)]
mod tests {
    use super::Marker;

    #[test]
    fn a_marker_is_a_name_and_perhaps_a_header() {
        let parsed = |text: &str| Marker::parse(text).map(|marker| (marker.name, marker.header));
        assert_eq!(parsed(".nobackup"), Ok((b".nobackup".to_vec(), Vec::new())));
        assert_eq!(parsed("tag:a:b"), Ok((b"tag".to_vec(), b"a:b".to_vec())));
        for wrong in ["", ":header", "a/b", "..", &format!("tag:{}", "x".repeat(257))] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
