//! The path of an entry, checked.

use super::error::RestoreError;

/// A path that stays below the directory it is relative to: components joined by `/`, none of them
/// empty, `.` or `..`, no NUL.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntryPath<'a> {
    path: &'a [u8],
    name_start: usize,
}

impl<'a> EntryPath<'a> {
    pub(super) fn parse(path: &'a [u8]) -> Result<EntryPath<'a>, RestoreError> {
        if let Some(why) = objection(path) {
            return Err(RestoreError::Hostile {
                path: path.to_vec(),
                why,
            });
        }
        let name_start = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        Ok(EntryPath { path, name_start })
    }

    pub(super) fn path(&self) -> &'a [u8] {
        self.path
    }

    /// The path of the directory that it lies in; empty for the target itself.
    pub(super) fn parent(&self) -> &'a [u8] {
        &self.path[..self.name_start.saturating_sub(1)]
    }

    pub(super) fn name(&self) -> &'a [u8] {
        &self.path[self.name_start..]
    }
}

fn objection(path: &[u8]) -> Option<&'static str> {
    if path.is_empty() {
        return Some("the path is empty");
    }
    if path.contains(&0) {
        return Some("the path contains a NUL byte");
    }
    if path[0] == b'/' {
        return Some("the path is absolute");
    }
    path.split(|byte| *byte == b'/').find_map(|component| match component {
        b"" => Some("the path has an empty component"),
        b"." | b".." => Some("the path contains \".\" or \"..\""),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::EntryPath;

    #[test]
    fn a_path_that_could_lead_elsewhere_is_refused() {
        let hostile: [&[u8]; 14] = [
            b"",
            b"/",
            b"/etc/passwd",
            b"..",
            b".",
            b"a/..",
            b"../a",
            b"a/../../b",
            b"a/./b",
            b"a//b",
            b"a/",
            b"//a",
            b"a\0b",
            b"a/\0",
        ];
        for path in hostile {
            let error = EntryPath::parse(path).unwrap_err();
            assert_eq!(error.path(), path, "{error}");
        }
    }

    #[test]
    fn a_path_is_a_parent_and_a_name() {
        let cases: [(&[u8], &[u8], &[u8]); 5] = [
            (b"a", b"", b"a"),
            (b"a/b", b"a", b"b"),
            (b"a/b/c", b"a/b", b"c"),
            (b"...", b"", b"..."),
            (b"..a/b..", b"..a", b"b.."),
        ];
        for (path, parent, name) in cases {
            let parsed = EntryPath::parse(path).unwrap();
            assert_eq!((parsed.parent(), parsed.name()), (parent, name));
        }
    }
}
