//! Walks the tree of a recovery point, leaf by leaf in path order, fetching many pages at once.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use strongroom_format::entry::compare_paths;
use strongroom_format::page::parse_visible;
use strongroom_format::tree::{Child, Sums, parse_inner};
use strongroom_model::BlobId;
use strongroom_seal::DataKeys;

use crate::error::EngineError;
use crate::pages::{PAGES_AT_ONCE, Page, Pages};
use crate::remote::VaultReader;

/// A leaf page that was opened.
#[derive(Debug)]
pub struct Leaf {
    /// Its identity.
    pub id: BlobId,
    /// The stored bytes, for the visible part.
    pub stored: Bytes,
    /// The opened bytes.
    pub plain: Vec<u8>,
}

/// An inner page that was opened.
#[derive(Debug)]
pub struct InnerPage {
    /// Its identity.
    pub id: BlobId,
    /// 1 or above.
    pub level: u8,
    /// The pages of the level below that it refers to.
    pub refs: Vec<BlobId>,
    /// The opened bytes.
    pub plain: Vec<u8>,
}

/// A page that cannot be read, and with it a stretch of the tree.
#[derive(Debug, Clone)]
pub struct LostPages {
    /// The first path below it.
    pub from: Vec<u8>,
    /// How many names lie below it.
    pub entries: u64,
    /// Why, naming the object.
    pub why: String,
}

/// What the walk comes upon.
#[derive(Debug)]
pub enum Step {
    /// A leaf.
    Leaf(Leaf),
    /// An inner page; its children follow.
    Inner(InnerPage),
    /// A stretch that cannot be read.
    Lost(LostPages),
}

/// Which part of the tree is wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Empty for all. Otherwise these paths, all below them, and the folders above them.
    pub paths: Vec<Vec<u8>>,
}

impl Wanted {
    /// Whether the entry at `path` is wanted for itself, not only as a folder above.
    pub fn covers(&self, path: &[u8]) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|wanted| is_at_or_below(path, wanted))
    }

    /// Whether the entry at `path` is wanted or lies above what is.
    pub fn includes(&self, path: &[u8]) -> bool {
        self.covers(path) || self.paths.iter().any(|wanted| is_at_or_below(wanted, path))
    }

    /// Whether anything between `from` and `until` (exclusive, `None` for the end) may be wanted.
    pub(crate) fn touches(&self, from: &[u8], until: Option<&[u8]>) -> bool {
        let before_end = |path: &[u8]| until.is_none_or(|until| compare_paths(path, until).is_le());
        let point = |path: &[u8]| compare_paths(from, path).is_le() && before_end(path);
        self.paths.is_empty()
            || self.paths.iter().any(|wanted| {
                let subtree =
                    before_end(wanted) && (compare_paths(from, wanted).is_le() || is_at_or_below(from, wanted));
                subtree || ancestors(wanted).any(point)
            })
    }
}

pub(crate) fn is_at_or_below(path: &[u8], folder: &[u8]) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'/')
        .map(|(at, _)| &path[..at])
}

/// The walk.
pub struct Leaves {
    pages: Pages,
    wanted: Wanted,
    /// Children that are still to be visited, with their level; the last list is the next in order.
    stack: Vec<(u8, VecDeque<Child>)>,
    ready: VecDeque<Step>,
}

impl Leaves {
    /// Begins at a root page, whose level is not known yet.
    pub async fn begin(
        reader: Arc<dyn VaultReader>,
        keys: &DataKeys,
        root: BlobId,
        wanted: Wanted,
    ) -> Result<Self, EngineError> {
        let mut leaves = Self {
            pages: Pages::new(reader, keys),
            wanted,
            stack: Vec::new(),
            ready: VecDeque::new(),
        };
        let child = Child {
            id: root,
            path: Vec::new(),
            offset: 0,
            sums: Sums::default(),
        };
        leaves.visit(vec![child], None).await?;
        Ok(leaves)
    }

    /// The next step in path order; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Step>, EngineError> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Ok(Some(step));
            }
            let Some((level, children)) = self.stack.last_mut() else {
                return Ok(None);
            };
            let level = *level;
            // Of inner pages one at a time, as all of the one before come first.
            let count = if level == 0 {
                PAGES_AT_ONCE.min(children.len())
            } else {
                1.min(children.len())
            };
            let batch: Vec<Child> = children.drain(..count).collect();
            if children.is_empty() {
                self.stack.pop();
            }
            self.visit(batch, Some(level)).await?;
        }
    }

    /// What the vault remarked about its objects on the way.
    pub fn take_remarks(&mut self) -> Vec<String> {
        self.pages.take_remarks()
    }

    async fn visit(&mut self, batch: Vec<Child>, level: Option<u8>) -> Result<(), EngineError> {
        let found = self.pages.get(batch.iter().map(|child| child.id).collect()).await?;
        for child in batch {
            // Two children of one page may be the same page.
            let page = found.get(&child.id).expect("each was answered").clone();
            if let Err(why) = page.and_then(|page| self.take(&child, level, page)) {
                self.ready.push_back(Step::Lost(LostPages {
                    from: child.path,
                    entries: child.sums.entries,
                    why,
                }));
            }
        }
        Ok(())
    }

    fn take(&mut self, child: &Child, level: Option<u8>, page: Page) -> Result<(), String> {
        let unusable = |why: String| format!("page {} cannot be read: {why}", child.id);
        if level.is_some_and(|level| level != page.level) {
            return Err(unusable(format!("it has level {} in the wrong place", page.level)));
        }
        let Page { level, stored, plain } = page;
        if level == 0 {
            self.ready.push_back(Step::Leaf(Leaf {
                id: child.id,
                stored,
                plain,
            }));
            return Ok(());
        }
        let visible = parse_visible(&stored).map_err(|error| unusable(error.to_string()))?;
        let children = parse_inner(visible.refs, &plain).map_err(|error| unusable(error.to_string()))?;
        let children = self.select(children);
        if !children.is_empty() {
            self.stack.push((level - 1, children));
        }
        let refs = visible.refs.iter().collect();
        let inner = InnerPage {
            id: child.id,
            level,
            refs,
            plain,
        };
        self.ready.push_back(Step::Inner(inner));
        Ok(())
    }

    fn select(&self, children: Vec<Child>) -> VecDeque<Child> {
        let starts: Vec<Vec<u8>> = children.iter().skip(1).map(|child| child.path.clone()).collect();
        let selected = children.into_iter().enumerate();
        selected
            .filter(|(at, child)| self.wanted.touches(&child.path, starts.get(*at).map(Vec::as_slice)))
            .map(|(_, child)| child)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted() {
        let wanted = Wanted {
            paths: vec![b"usr/lib".to_vec()],
        };
        for (path, covers, includes) in [
            ("usr/lib", true, true),
            ("usr/lib/a/b", true, true),
            ("usr", false, true),
            ("usr/libx", false, false),
            ("usr/li", false, false),
            ("etc", false, false),
        ] {
            assert_eq!(wanted.covers(path.as_bytes()), covers, "{path}");
            assert_eq!(wanted.includes(path.as_bytes()), includes, "{path}");
        }
    }

    #[test]
    fn which_stretches_of_the_tree_are_visited() {
        let wanted = Wanted {
            paths: vec![b"usr/lib".to_vec()],
        };
        for (from, until, expected) in [
            ("etc", Some("usr"), true),
            ("etc", Some("etc/z"), false),
            ("usr/bin", Some("usr/lib/x"), true),
            ("usr/lib/a", Some("usr/lib/b"), true),
            ("usr/lib/z", None, true),
            ("usr/libx", None, false),
            ("var", None, false),
        ] {
            assert_eq!(
                wanted.touches(from.as_bytes(), until.map(str::as_bytes)),
                expected,
                "{from} to {until:?}"
            );
        }
    }
}
