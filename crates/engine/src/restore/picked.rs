//! Which entries of a recovery point are meant: paths, and patterns as in a backup.

use strongroom_format::point::PointBody;
use strongroom_sources::files::Patterns;

use crate::leaves::{Wanted, is_at_or_below};

/// Which entries of a recovery point are meant.
///
/// Patterns are those of [`Patterns`]. Where they look for a *selected folder*, that is the path that is named here, and if
/// none is, the folder that was backed up.
#[derive(Clone, Debug, Default)]
pub struct Picked {
    /// Paths below "/", with all that lies below them; empty for all.
    pub paths: Vec<Vec<u8>>,
    /// Only what fits one of these, and what lies below it; no patterns for all.
    pub include: Patterns,
    /// Not what fits one of these, nor what lies below it. Wins over `include`.
    pub exclude: Patterns,
}

impl Picked {
    /// Whether everything is meant.
    pub fn is_all(&self) -> bool {
        self.paths.is_empty() && self.include.is_empty() && self.exclude.is_empty()
    }
}

/// What becomes of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// It is meant.
    Taken,
    /// It is a folder that is not meant itself, but something below it may be.
    Above,
    /// Neither it nor, if it is a folder, anything below it.
    LeftOut,
}

/// Picks entries, at best in path order.
pub struct Picking {
    wanted: Wanted,
    picked: Picked,
    /// Below what patterns look.
    roots: Vec<Vec<u8>>,
    /// The last folder that was asked about.
    last: Option<(Vec<u8>, Pick)>,
}

impl Picking {
    pub fn new(picked: Picked, point: &PointBody) -> Self {
        let roots = match picked.paths.is_empty() {
            // These are told as they were selected: from the root.
            true => point
                .paths
                .iter()
                .map(|path| path.strip_prefix(b"/").unwrap_or(path).to_vec())
                .collect(),
            false => picked.paths.clone(),
        };
        let wanted = Wanted {
            paths: picked.paths.clone(),
        };
        Self {
            wanted,
            picked,
            roots,
            last: None,
        }
    }

    /// The part of the tree that has to be walked.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Whether there are patterns, so that all may be left out.
    pub fn has_patterns(&self) -> bool {
        !(self.picked.include.is_empty() && self.picked.exclude.is_empty())
    }

    /// Whether only what fits a pattern is meant.
    pub fn has_includes(&self) -> bool {
        !self.picked.include.is_empty()
    }

    pub fn pick(&mut self, path: &[u8], is_directory: bool) -> Pick {
        if !self.wanted.covers(path) {
            return match self.wanted.includes(path) {
                true => Pick::Above,
                false => Pick::LeftOut,
            };
        }
        match self.judge(path, is_directory) {
            Pick::Above if !is_directory => Pick::LeftOut,
            pick => pick,
        }
    }

    /// What the patterns say. `Above` of something that is no folder: no pattern takes it.
    fn judge(&mut self, path: &[u8], is_directory: bool) -> Pick {
        if !self.has_patterns() {
            return Pick::Taken;
        }
        let within = |root: &&Vec<u8>| root.is_empty() || is_at_or_below(path, root);
        let root = self.roots.iter().filter(within).map(Vec::len).max();
        let untouched = match self.has_includes() {
            true => Pick::Above,
            false => Pick::Taken,
        };
        match root {
            // A folder above all that was backed up.
            None => untouched,
            // What is named wins over exclusions.
            Some(root) if root == path.len() => {
                let name = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
                match self.picked.include.fit(path, name, is_directory) {
                    true => Pick::Taken,
                    false => untouched,
                }
            }
            Some(root) => {
                let below = if root == 0 { 0 } else { root + 1 };
                self.judge_below(path, below, is_directory)
            }
        }
    }

    fn judge_below(&mut self, path: &[u8], below: usize, is_directory: bool) -> Pick {
        let folder = path[..]
            .iter()
            .rposition(|byte| *byte == b'/')
            .map_or(&b""[..], |slash| &path[..slash]);
        let above = self.judge_folder(folder);
        let Picked { include, exclude, .. } = &self.picked;
        if above == Pick::LeftOut || exclude.fit(path, below, is_directory) {
            Pick::LeftOut
        } else if above == Pick::Taken || include.fit(path, below, is_directory) {
            Pick::Taken
        } else {
            Pick::Above
        }
    }

    fn judge_folder(&mut self, folder: &[u8]) -> Pick {
        if let Some((last, pick)) = &self.last
            && last == folder
        {
            return *pick;
        }
        let pick = match folder.is_empty() {
            true if self.has_includes() => Pick::Above,
            true => Pick::Taken,
            false => self.judge(folder, true),
        };
        self.last = Some((folder.to_vec(), pick));
        pick
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Include, exclude, path (a folder if it ends with a slash), what becomes of it. `home/ann` was backed up.
    type Case = (&'static [&'static str], &'static [&'static str], &'static str, Pick);

    #[test]
    fn patterns_pick() {
        use Pick::{Above, LeftOut, Taken};
        let cases: &[Case] = &[
            (&[], &[], "home/ann/x", Taken),
            (&[], &["*.o"], "home/ann/x.o", LeftOut),
            (&[], &["*.o"], "home/ann/x.c", Taken),
            (&[], &["ann"], "home/ann/", Taken),
            (&[], &["ann"], "home/", Taken),
            (&[], &["build/"], "home/ann/build/deep/x", LeftOut),
            (&[], &["build/out"], "home/ann/build/out", LeftOut),
            (&[], &["build/out"], "home/ann/sub/build/out", Taken),
            (&["*.txt"], &[], "home/", Above),
            (&["*.txt"], &[], "home/ann/", Above),
            (&["*.txt"], &[], "home/ann/sub/", Above),
            (&["*.txt"], &[], "home/ann/sub/x.txt", Taken),
            (&["*.txt"], &[], "home/ann/sub/x", LeftOut),
            (&["sub/"], &[], "home/ann/sub/deep/x", Taken),
            (&["./sub"], &[], "home/ann/deep/sub/x", LeftOut),
            (&["/home/ann/sub"], &[], "home/ann/sub/x", Taken),
            (&["*.txt", "!no.txt"], &[], "home/ann/no.txt", LeftOut),
            (&["sub/"], &["*.o"], "home/ann/sub/x.o", LeftOut),
            (&["*.txt"], &["sub/"], "home/ann/sub/x.txt", LeftOut),
        ];
        let body = PointBody {
            paths: vec![b"/home/ann".to_vec()],
            ..PointBody::default()
        };
        for (include, exclude, path, expected) in cases {
            let picked = Picked {
                paths: Vec::new(),
                include: Patterns::of("a test", *include).unwrap(),
                exclude: Patterns::of("a test", *exclude).unwrap(),
            };
            let (path, is_directory) = path.strip_suffix('/').map_or((*path, false), |path| (path, true));
            let pick = Picking::new(picked, &body).pick(path.as_bytes(), is_directory);
            assert_eq!(pick, *expected, "{include:?} {exclude:?} {path}");
        }
    }

    #[test]
    fn a_file_that_is_named_is_taken_if_a_pattern_fits_its_name() {
        let named = |include: &[&str]| {
            let picked = Picked {
                paths: vec![b"home/ann/x.txt".to_vec()],
                include: Patterns::of("a test", include).unwrap(),
                exclude: Patterns::of("a test", ["*.txt"]).unwrap(),
            };
            Picking::new(picked, &PointBody::default()).pick(b"home/ann/x.txt", false)
        };
        assert_eq!(named(&["*.txt"]), Pick::Taken);
        assert_eq!(named(&["*.o"]), Pick::LeftOut);
    }
}
