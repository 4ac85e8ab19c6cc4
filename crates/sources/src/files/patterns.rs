//! Patterns, as in a `.gitignore` file, and where each came from.

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder, Glob};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A pattern, and who gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// As it was given.
    pub text: String,
    /// Where it came from, for people: `--exclude`, a file and its line, a preset.
    pub origin: String,
}

impl Pattern {
    /// A pattern from there.
    pub fn new(text: impl Into<String>, origin: impl Into<String>) -> Pattern {
        let (text, origin) = (text.into(), origin.into());
        Pattern { text, origin }
    }
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

/// Patterns of which the last one that fits an entry decides.
///
/// They are written as in a `.gitignore` file: `*`, `?`, `[…]`, `**`, `/` at the end for directories only, `!` in front to
/// turn the meaning round, `#` for a comment. Where a pattern looks:
///
/// | pattern | fits |
/// | --- | --- |
/// | `*.tmp` | entries of that name anywhere below a selected folder |
/// | `build/out` | a slash inside: the path below a selected folder, from its start |
/// | `./out` | the same for a single name: `out` right in a selected folder |
/// | `/var/tmp/*` | a slash in front: the absolute path on this machine |
#[derive(Debug, Clone)]
pub struct Patterns {
    below_root: Gitignore,
    absolute: Gitignore,
    list: Vec<Arc<Pattern>>,
}

/// A pattern that fits an entry, and decides about it.
#[derive(Debug)]
pub(super) struct Fit<'a> {
    pub(super) pattern: &'a Arc<Pattern>,
    /// It began with `!`.
    pub(super) is_negated: bool,
}

impl Default for Patterns {
    /// None.
    fn default() -> Patterns {
        Patterns {
            below_root: Gitignore::empty(),
            absolute: Gitignore::empty(),
            list: Vec::new(),
        }
    }
}

impl Patterns {
    /// In the order in which they were given; a later one wins over an earlier one.
    pub fn new(patterns: impl IntoIterator<Item = Pattern>) -> Result<Patterns, PatternError> {
        let mut below_root = GitignoreBuilder::new("/");
        let mut absolute = GitignoreBuilder::new("/");
        let mut list = Vec::new();
        for pattern in patterns {
            let (builder, line) = match anchor(&pattern.text) {
                Anchor::Absolute => (&mut absolute, pattern.text.clone()),
                Anchor::BelowRoot(line) => (&mut below_root, line),
            };
            // The place in the list travels as the glob's origin: the two sets must agree on the last.
            let place = PathBuf::from(list.len().to_string());
            builder
                .add_line(Some(place), &line)
                .map_err(|error| wrong(&pattern.text, &error))?;
            list.push(Arc::new(pattern));
        }
        Ok(Patterns {
            below_root: below_root.build().map_err(|error| wrong("(all)", &error))?,
            absolute: absolute.build().map_err(|error| wrong("(all)", &error))?,
            list,
        })
    }

    /// Those of one origin.
    pub fn of<P: AsRef<str>>(origin: &str, texts: impl IntoIterator<Item = P>) -> Result<Patterns, PatternError> {
        Patterns::new(texts.into_iter().map(|text| Pattern::new(text.as_ref(), origin)))
    }

    /// The patterns in a file of patterns, one per line, each with the number of its line; empty lines and comments are
    /// left out.
    pub fn lines_of_file(text: &str) -> impl Iterator<Item = (usize, &str)> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line));
        numbered.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
    }

    /// Whether there is none at all, so that they need not be asked.
    pub fn is_empty(&self) -> bool {
        self.below_root.is_empty() && self.absolute.is_empty()
    }

    /// The patterns as they were given.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|pattern| pattern.text.as_str())
    }

    /// Whether the entry at `path` (relative to `/`) fits, whose part below the selected folder starts at `below`. Says
    /// nothing about the directories above it.
    pub fn fit(&self, path: &[u8], below: usize, is_directory: bool) -> bool {
        self.last_fit(path, below, is_directory)
            .is_some_and(|fit| !fit.is_negated)
    }

    /// The last pattern that fits the entry at `path` (relative to `/`), whose part below the selected folder starts at
    /// `below`. Says nothing about the directories above it.
    pub(super) fn last_fit(&self, path: &[u8], below: usize, is_directory: bool) -> Option<Fit<'_>> {
        let here = self.found(self.below_root.matched(as_path(&path[below..]), is_directory));
        let anywhere = self.found(self.absolute.matched(as_path(path), is_directory));
        let last = here.into_iter().chain(anywhere).max_by_key(|(place, _)| *place);
        last.map(|(_, fit)| fit)
    }

    fn found(&self, found: Match<&Glob>) -> Option<(usize, Fit<'_>)> {
        let is_negated = found.is_whitelist();
        let place = found.inner()?.from()?.to_str()?.parse().ok()?;
        let pattern = self.list.get(place)?;
        Some((place, Fit { pattern, is_negated }))
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
    use super::{Pattern, PatternError, Patterns};

    fn patterns(texts: &[&str]) -> Result<Patterns, PatternError> {
        Patterns::new(texts.iter().map(|text| Pattern::new(*text, "a test")))
    }

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
        for (texts, path, is_directory, expected) in cases {
            let set = patterns(texts).unwrap();
            let fit = set.last_fit(path.as_bytes(), "home/ann/".len(), *is_directory);
            assert_eq!(
                fit.is_some_and(|fit| !fit.is_negated),
                *expected,
                "{texts:?} and {path}"
            );
        }
    }

    #[test]
    fn a_pattern_that_makes_no_sense_is_named() {
        let error = patterns(&["fine", "a{b"]).unwrap_err();
        assert_eq!(error.pattern, "a{b");
        assert!(error.to_string().contains("a{b"), "{error}");
    }

    #[test]
    fn a_file_of_patterns_has_comments_and_empty_lines() {
        let text = "\u{feff}# all of it\n\n*.o\r\n  \n!keep.o\n";
        let lines: Vec<(usize, &str)> = Patterns::lines_of_file(text).collect();
        assert_eq!(lines, [(3, "*.o"), (5, "!keep.o")]);
    }
}
