//! What is left out of a walk.

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder, Glob};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Name of the tag file that marks a directory as a cache.
pub const CACHE_TAG_NAME: &[u8] = b"CACHEDIR.TAG";
/// How a tag file must begin to count: the specification at bford.info/cachedir.
pub const CACHE_TAG_SIGNATURE: &[u8; 43] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// Which entries below the selected folders are left out.
///
/// # Patterns
/// They are written as in a `.gitignore` file: `*`, `?`, `[…]`, `**`, `/` at the end for
/// directories only, `!` in front to take something in again, `#` for a comment. The last pattern
/// that fits an entry decides. What lies in a left-out directory is never looked at, so nothing in
/// it can be taken in again. Where a pattern looks:
///
/// | pattern | fits |
/// | --- | --- |
/// | `*.tmp` | entries of that name anywhere below a selected folder |
/// | `build/out` | a slash inside: the path below a selected folder, from its start |
/// | `./out` | the same for a single name: `out` right in a selected folder |
/// | `/var/tmp/*` | a slash in front: the absolute path on this machine |
///
/// Selected folders and files themselves, and the directories above them, are never left out: what
/// the user names wins over patterns, caches and file system bounds. (One that lies inside another
/// selected folder is merged with that one, though, and follows the rules like all else in it.)
#[derive(Debug, Clone)]
pub struct Rules {
    below_root: Gitignore,
    absolute: Gitignore,
    patterns: Vec<String>,
    /// Whether directories with a valid `CACHEDIR.TAG` keep only that file.
    pub skip_caches: bool,
    /// Whether directories on another file system than the selected folder stay empty.
    pub one_file_system: bool,
}

/// A pattern that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the pattern \"{pattern}\" cannot be understood: {why}")]
pub struct PatternError {
    /// As it was given.
    pub pattern: String,
    /// What is wrong with it.
    pub why: String,
}

impl Default for Rules {
    /// Nothing is left out.
    fn default() -> Rules {
        Rules {
            below_root: Gitignore::empty(),
            absolute: Gitignore::empty(),
            patterns: Vec::new(),
            skip_caches: false,
            one_file_system: false,
        }
    }
}

impl Rules {
    /// From patterns, in the order in which they were given; a later one wins over an earlier one.
    pub fn new<P: AsRef<str>>(patterns: impl IntoIterator<Item = P>) -> Result<Rules, PatternError> {
        let mut below_root = GitignoreBuilder::new("/");
        let mut absolute = GitignoreBuilder::new("/");
        let mut kept = Vec::new();
        for pattern in patterns {
            let pattern = pattern.as_ref();
            let (builder, line) = match anchor(pattern) {
                Anchor::Absolute => (&mut absolute, pattern.to_owned()),
                Anchor::BelowRoot(line) => (&mut below_root, line),
            };
            // The place in the list travels as the glob's origin: the two sets must agree on the last.
            let place = PathBuf::from(format!("{:010}", kept.len()));
            builder
                .add_line(Some(place), &line)
                .map_err(|error| wrong(pattern, &error))?;
            kept.push(pattern.to_owned());
        }
        Ok(Rules {
            below_root: below_root.build().map_err(|error| wrong("(all)", &error))?,
            absolute: absolute.build().map_err(|error| wrong("(all)", &error))?,
            patterns: kept,
            ..Rules::default()
        })
    }

    /// The patterns in a file of patterns, one per line; empty lines and comments are left out.
    pub fn lines_of_file(text: &str) -> impl Iterator<Item = &str> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        text.lines()
            .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
    }

    /// The patterns as they were given.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Whether there is no pattern at all, so that [`Rules::excludes`] need not be asked.
    pub fn has_no_patterns(&self) -> bool {
        self.below_root.is_empty() && self.absolute.is_empty()
    }

    /// Whether patterns leave out the entry at `path` (relative to `/`), whose part below the
    /// selected folder starts at `below`. Says nothing about the directories above it.
    pub fn excludes(&self, path: &[u8], below: usize, is_directory: bool) -> bool {
        let here = self.below_root.matched(as_path(&path[below..]), is_directory);
        let anywhere = self.absolute.matched(as_path(path), is_directory);
        match (here, anywhere) {
            (one, Match::None) | (Match::None, one) => one.is_ignore(),
            (one, other) if place(&one) > place(&other) => one.is_ignore(),
            (_, other) => other.is_ignore(),
        }
    }
}

enum Anchor {
    Absolute,
    BelowRoot(String),
}

fn anchor(pattern: &str) -> Anchor {
    let (negation, body) = match pattern.strip_prefix('!') {
        Some(body) => ("!", body),
        None => ("", pattern),
    };
    if body.starts_with('/') {
        Anchor::Absolute
    } else if let Some(body) = body.strip_prefix("./") {
        Anchor::BelowRoot(format!("{negation}/{body}"))
    } else {
        Anchor::BelowRoot(pattern.to_owned())
    }
}

fn place<'a>(found: &Match<&'a Glob>) -> Option<&'a Path> {
    match found {
        Match::None => None,
        Match::Ignore(glob) | Match::Whitelist(glob) => glob.from(),
    }
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

fn wrong(pattern: &str, error: &ignore::Error) -> PatternError {
    PatternError {
        pattern: pattern.to_owned(),
        why: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::Rules;

    /// Patterns, path, whether it is a directory, whether it is left out. The root is `home/ann`.
    type Case = (&'static [&'static str], &'static str, bool, bool);

    #[test]
    fn patterns_mean_what_gitignore_means() {
        let cases: &[Case] = &[
            (&[], "home/ann/x", false, false),
            (&["*.tmp"], "home/ann/x.tmp", false, true),
            (&["*.tmp"], "home/ann/deep/er/x.tmp", false, true),
            (&["*.tmp"], "home/ann/x.tmp2", false, false),
            (&["*.tmp", "!keep.tmp"], "home/ann/keep.tmp", false, false),
            (&["!keep.tmp", "*.tmp"], "home/ann/keep.tmp", false, true),
            (&["cache/"], "home/ann/cache", true, true),
            (&["cache/"], "home/ann/cache", false, false),
            (&["build/out"], "home/ann/build/out", true, true),
            (&["build/out"], "home/ann/sub/build/out", true, false),
            (&["**/build/out"], "home/ann/sub/build/out", true, true),
            (&["./out"], "home/ann/out", false, true),
            (&["./out"], "home/ann/sub/out", false, false),
            (&["out", "!./out"], "home/ann/out", false, false),
            (&["out", "!./out"], "home/ann/sub/out", false, true),
            (&["a?c"], "home/ann/abc", false, true),
            (&["a?c"], "home/ann/a/c", false, false),
            (&["a*c"], "home/ann/a/c", false, false),
            (&["[ab].o"], "home/ann/b.o", false, true),
            (&["a/**"], "home/ann/a", true, false),
            (&["a/**"], "home/ann/a/b", false, true),
            (&["a/**/z"], "home/ann/a/b/c/z", false, true),
            (&["\\!important"], "home/ann/!important", false, true),
            (&["# note"], "home/ann/# note", false, false),
            (&["\\# note"], "home/ann/# note", false, true),
            (&["NAME"], "home/ann/name", false, false),
        ];
        check(cases);
    }

    #[test]
    fn a_slash_in_front_means_this_machine() {
        let cases: &[Case] = &[
            (&["/home/ann/x"], "home/ann/x", false, true),
            (&["/x"], "home/ann/x", false, false),
            (&["/home/*/x"], "home/ann/x", false, true),
            (&["/home/ann/x"], "home/ann/home/ann/x", false, false),
            (&["x", "!/home/ann/x"], "home/ann/x", false, false),
            (&["!/home/ann/x", "x"], "home/ann/x", false, true),
            (&["/home/ann/*", "!x"], "home/ann/x", false, false),
            (&["/home/ann/*", "!x"], "home/ann/y", false, true),
            // A name of the path above the selected folder is no match below it.
            (&["ann"], "home/ann/y", false, false),
        ];
        check(cases);
    }

    fn check(cases: &[Case]) {
        for (patterns, path, is_directory, expected) in cases {
            let rules = Rules::new(*patterns).unwrap();
            let excluded = rules.excludes(path.as_bytes(), "home/ann/".len(), *is_directory);
            assert_eq!(excluded, *expected, "{patterns:?} and {path}");
        }
    }

    #[test]
    fn a_pattern_that_makes_no_sense_is_named() {
        let error = Rules::new(["fine", "a{b"]).unwrap_err();
        assert_eq!(error.pattern, "a{b");
        assert!(error.to_string().contains("a{b"), "{error}");
    }

    #[test]
    fn a_file_of_patterns_has_comments_and_empty_lines() {
        let text = "\u{feff}# all of it\n\n*.o\r\n  \n!keep.o\n";
        let lines: Vec<&str> = Rules::lines_of_file(text).collect();
        assert_eq!(lines, ["*.o", "!keep.o"]);
    }
}
