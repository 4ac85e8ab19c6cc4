//! What becomes of what is in the target already and differs.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::leaves::is_at_or_below;

/// What becomes of what is in the target already and differs. What is there and right is always kept, what has no
/// counterpart in the recovery point is never touched, and folders are merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conflict {
    /// It is replaced, but for folders, and attributes are set that differ.
    #[default]
    Overwrite,
    /// It stays as it is, with its attributes.
    Skip,
    /// It stays as it is, and what the recovery point has comes beside it: see [`copy_path`].
    KeepBoth,
}

/// No name has more copies of one recovery point.
pub const COPIES_MAX: u32 = 1000;
/// The longest name that file systems of Linux take.
const NAME_BYTES_MAX: usize = 255;
/// So many conflicts are remembered, for hard links that come later; see [`Places::find`].
const PLACES_MAX: usize = 1 << 16;

/// Where a copy goes that must not have the name in `path`: `report.txt` of a recovery point of 21 November 2026,
/// 18:30:05 (UTC), goes to `report.txt.restored-20261121T183005Z`, and if that is taken, to `….2` and so on. A name that
/// becomes too long loses bytes at its own end.
pub fn copy_path(path: &[u8], created: Timestamp, number: u32) -> Vec<u8> {
    let mut suffix = format!(".restored-{}", created.strftime("%Y%m%dT%H%M%SZ"));
    if number > 1 {
        suffix.push_str(&format!(".{number}"));
    }
    let name = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let mut end = path.len().min(name + NAME_BYTES_MAX - suffix.len());
    // Not within a character.
    while end < path.len() && path[end] & 0xc0 == 0x80 && end > name + 1 {
        end -= 1;
    }
    [&path[..end], suffix.as_bytes()].concat()
}

/// Where entries went that could not have their own name. All is by the path in the recovery point.
#[derive(Debug, Default)]
pub struct Places {
    /// Of the folders that the walk is in, those that went elsewhere (`None`: nowhere), the deepest last.
    folders: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Of everything before.
    moved: HashMap<Vec<u8>, Option<Vec<u8>>>,
    overflowed: bool,
}

/// Where an earlier entry of the recovery point is now.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// At this path.
    At(Vec<u8>),
    /// Nowhere, or nobody knows.
    Nowhere,
}

impl Places {
    /// Notes that what belongs to `path` went elsewhere, or nowhere.
    pub fn note(&mut self, path: &[u8], place: Option<&[u8]>, is_folder: bool) {
        let place = place.map(<[u8]>::to_vec);
        if is_folder {
            self.folders.push((path.to_vec(), place.clone()));
        }
        if self.moved.len() < PLACES_MAX {
            self.moved.insert(path.to_vec(), place);
        } else {
            self.overflowed = true;
        }
    }

    /// Where the next entry of the walk should go, by what became of the folders above it; `None`: nowhere.
    pub fn enter(&mut self, path: &[u8]) -> Option<Vec<u8>> {
        while let Some((folder, place)) = self.folders.last() {
            if is_at_or_below(path, folder) {
                let place = place.as_ref()?;
                return Some([place, &path[folder.len()..]].concat());
            }
            self.folders.pop();
        }
        Some(path.to_vec())
    }

    /// Where the contents of an earlier entry are. With more conflicts than are remembered that is not known of any: then
    /// they are restored once more.
    pub fn find(&self, path: &[u8]) -> Found {
        if self.overflowed {
            return Found::Nowhere;
        }
        let above = path.iter().enumerate().rev().filter(|(_, byte)| **byte == b'/');
        let ends = std::iter::once(path.len()).chain(above.map(|(at, _)| at));
        let known = ends
            .map(|end| path.split_at(end))
            .find_map(|(above, rest)| Some((self.moved.get(above)?, rest)));
        match known {
            None => Found::At(path.to_vec()),
            Some((Some(place), rest)) => Found::At([place, rest].concat()),
            Some((None, _)) => Found::Nowhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_tell_what_they_are() {
        let created: Timestamp = "2026-11-21T18:30:05.7Z".parse().unwrap();
        let copy = |path: &[u8], number| copy_path(path, created, number);
        assert_eq!(copy(b"a/report.txt", 1), b"a/report.txt.restored-20261121T183005Z");
        assert_eq!(copy(b"a/report.txt", 2), b"a/report.txt.restored-20261121T183005Z.2");
        let long = [&b"a/"[..], &[b'x'; 255]].concat();
        assert_eq!(copy(&long, 1000).len(), 2 + 255);
        let umlauts = format!("a/{}", "ü".repeat(127));
        assert!(std::str::from_utf8(&copy(umlauts.as_bytes(), 1)).is_ok());
        assert!(std::str::from_utf8(&copy(umlauts.as_bytes(), 10)).is_ok());
    }

    #[test]
    fn entries_follow_their_folders() {
        let mut places = Places::default();
        places.note(b"a", Some(b"a.copy"), true);
        assert_eq!(places.enter(b"a/b"), Some(b"a.copy/b".to_vec()));
        places.note(b"a/b", None, true);
        assert_eq!(places.enter(b"a/b/c"), None);
        assert_eq!(places.enter(b"a/bc"), Some(b"a.copy/bc".to_vec()));
        assert_eq!(places.enter(b"ab"), Some(b"ab".to_vec()));
        assert_eq!(places.find(b"a/b/c"), Found::Nowhere);
        assert_eq!(places.find(b"a/bc"), Found::At(b"a.copy/bc".to_vec()));
        assert_eq!(places.find(b"ab"), Found::At(b"ab".to_vec()));
    }

    #[test]
    fn nothing_is_found_once_not_all_are_known() {
        let mut places = Places::default();
        for number in 0..=PLACES_MAX {
            assert_eq!(places.find(b"other"), Found::At(b"other".to_vec()));
            places.note(&number.to_le_bytes(), None, false);
        }
        assert_eq!(places.find(b"other"), Found::Nowhere);
    }
}
