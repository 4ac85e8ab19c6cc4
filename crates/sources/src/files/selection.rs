//! Which files and folders are to be walked.

use super::rules::Rules;
use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Files and folders, and the rules for what to leave out below them.
#[derive(Debug, Clone)]
pub struct Selection {
    roots: Vec<PathBuf>,
    rules: Rules,
}

/// A selection that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// Nothing was selected.
    #[error("no file or folder is selected")]
    Empty,
    /// A relative path depends on where the process happens to stand.
    #[error("\"{}\" is not an absolute path", .0.display())]
    NotAbsolute(PathBuf),
    /// A NUL byte ends a path for the system.
    #[error("\"{}\" contains a NUL byte", .0.display())]
    Nul(PathBuf),
}

impl Selection {
    /// Makes the roots canonical, sorts them in path order and merges what lies inside another.
    ///
    /// Links in the path of a root are resolved, so that every directory above a root is a real
    /// one. A root that is itself a link is kept as a link, and if it leads to a directory, that
    /// directory is selected too: whoever selects `/home` wants what is in it. A root that does not
    /// exist is kept as it is written; the walk reports it.
    pub fn new(roots: Vec<PathBuf>, rules: Rules) -> Result<Selection, SelectionError> {
        let mut canonical = BTreeSet::new();
        for root in &roots {
            check(root)?;
            canonical.extend(resolve(root));
        }
        if canonical.is_empty() {
            return Err(SelectionError::Empty);
        }
        Ok(Selection {
            roots: merge(canonical),
            rules,
        })
    }

    /// The roots: absolute, in path order, none inside another.
    pub fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// The rules for what lies below the roots.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(super) fn into_parts(self) -> (Vec<PathBuf>, Rules) {
        (self.roots, self.rules)
    }
}

fn check(root: &Path) -> Result<(), SelectionError> {
    if !root.is_absolute() {
        return Err(SelectionError::NotAbsolute(root.to_owned()));
    }
    if root.as_os_str().as_bytes().contains(&0) {
        return Err(SelectionError::Nul(root.to_owned()));
    }
    Ok(())
}

/// The path itself with real directories above it and, if it is a link to a directory, that one.
fn resolve(root: &Path) -> Vec<PathBuf> {
    let whole = root.canonicalize();
    let (Some(parent), Some(name)) = (root.parent(), root.file_name()) else {
        // "/" and paths that end in "..".
        return vec![whole.unwrap_or_else(|_| without_dots(root))];
    };
    let own = match parent.canonicalize() {
        Ok(parent) => parent.join(name),
        Err(_) => without_dots(root),
    };
    match whole {
        Ok(whole) if whole != own && whole.is_dir() => vec![own, whole],
        _ => vec![own],
    }
}

/// By the text alone; only for paths that do not exist.
fn without_dots(path: &Path) -> PathBuf {
    let mut result = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => result.push(name),
            Component::ParentDir => {
                result.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    result
}

/// A root right after another root that contains it is dropped. Paths compare component by component.
fn merge(sorted: BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> = Vec::new();
    for root in sorted {
        if !roots.last().is_some_and(|outer| root.starts_with(outer)) {
            roots.push(root);
        }
    }
    roots
}

#[cfg(test)]
mod tests {
    use super::{Selection, SelectionError};
    use crate::files::Rules;
    use std::path::PathBuf;

    fn select(roots: &[&str]) -> Result<Vec<PathBuf>, SelectionError> {
        let roots = roots.iter().map(PathBuf::from).collect();
        Selection::new(roots, Rules::default()).map(|selection| selection.roots().to_vec())
    }

    #[test]
    fn roots_are_sorted_and_merged() {
        let cases: [(&[&str], &[&str]); 6] = [
            (&["/no/b", "/no/a"], &["/no/a", "/no/b"]),
            (&["/no/a", "/no/a/", "/no//a", "/no/./a"], &["/no/a"]),
            (&["/no/a/b/c", "/no/a"], &["/no/a"]),
            (&["/no/a.b", "/no/a/b", "/no/a"], &["/no/a", "/no/a.b"]),
            (&["/no/x/../a"], &["/no/a"]),
            (&["/", "/no"], &["/"]),
        ];
        for (given, expected) in cases {
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(select(given).unwrap(), expected, "{given:?}");
        }
    }

    #[test]
    fn a_selection_that_makes_no_sense_is_refused() {
        assert_eq!(select(&[]), Err(SelectionError::Empty));
        assert_eq!(select(&["etc"]), Err(SelectionError::NotAbsolute("etc".into())));
        assert_eq!(select(&["/a\0b"]), Err(SelectionError::Nul("/a\0b".into())));
    }

    #[test]
    fn a_link_is_kept_and_the_directory_behind_it_selected() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("real/inner")).unwrap();
        std::os::unix::fs::symlink("real", base.join("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", base.join("dangling")).unwrap();
        let selected = |name: &str| select(&[base.join(name).to_str().unwrap()]).unwrap();
        assert_eq!(selected("link"), [base.join("link"), base.join("real")]);
        assert_eq!(selected("link/inner"), [base.join("real/inner")]);
        assert_eq!(selected("dangling"), [base.join("dangling")]);
    }
}
