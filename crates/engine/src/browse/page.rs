//! A page of a recovery point's tree, opened and taken apart.

use strongroom_format::entry::{Entry, Extent, Kind, Record};
use strongroom_format::leaf::LeafReader;
use strongroom_format::tree::{Child, parse_inner};
use strongroom_seal::Opener;

use crate::backup::record_content;
use crate::keys::open_page;

/// A page.
#[derive(Debug)]
pub enum Page {
    /// One with records.
    Leaf(Vec<Entry>),
    /// One with other pages.
    Inner(Inner),
}

/// A page that refers to others.
#[derive(Debug)]
pub struct Inner {
    /// 1 or above.
    pub level: u8,
    /// In path order.
    pub children: Vec<Child>,
    /// For each child how many names lie below the children before it.
    pub before: Vec<u64>,
}

impl Page {
    /// Opens stored bytes whose identity was checked; says why not.
    pub fn open(opener: &mut Opener, stored: &[u8]) -> Result<Self, String> {
        let (page, plain) = open_page(opener, stored, None)?;
        if page.level > 0 {
            let children = parse_inner(page.refs, &plain).map_err(|error| error.to_string())?;
            return Ok(Self::Inner(Inner::new(page.level, children)));
        }
        let records = LeafReader::new(page.refs, &plain).and_then(Iterator::collect::<Result<_, _>>);
        records.map(Self::Leaf).map_err(|error| error.to_string())
    }

    /// 0 for a leaf.
    pub fn level(&self) -> u8 {
        match self {
            Self::Leaf(_) => 0,
            Self::Inner(inner) => inner.level,
        }
    }

    /// How many names lie in it or below it.
    pub fn names(&self) -> u64 {
        match self {
            Self::Leaf(records) => records.iter().filter(|entry| is_name(entry)).count() as u64,
            Self::Inner(inner) => inner.children.last().map_or(0, |last| {
                let before = inner.before.last().copied().unwrap_or_default();
                before.saturating_add(last.sums.entries)
            }),
        }
    }

    /// About how much memory it takes.
    pub fn bytes(&self) -> u64 {
        let bytes = match self {
            Self::Leaf(records) => records.iter().map(entry_bytes).sum::<usize>(),
            Self::Inner(inner) => inner.children.iter().map(|child| child.path.len() + 120).sum(),
        };
        bytes as u64
    }
}

impl Inner {
    fn new(level: u8, children: Vec<Child>) -> Self {
        let mut names = 0_u64;
        let count = |child: &Child| {
            let before = names;
            names = names.saturating_add(child.sums.entries);
            before
        };
        let before = children.iter().map(count).collect();
        Self {
            level,
            children,
            before,
        }
    }
}

/// Whether a record is that of a name, and not of more of a file.
pub fn is_name(entry: &Entry) -> bool {
    matches!(entry.record, Record::Node(_))
}

fn entry_bytes(entry: &Entry) -> usize {
    let extent = |extent: &Extent| match extent {
        Extent::Blocks { fingerprints, .. } => size_of::<Extent>() + 16 * fingerprints.len(),
        _ => size_of::<Extent>(),
    };
    let extents = record_content(&entry.record).map_or(0, |content| content.extents.iter().map(extent).sum());
    let facts = match &entry.record {
        Record::More(_) => 0,
        Record::Node(node) => {
            let attribute = |(name, value): &(Vec<u8>, Vec<u8>)| 64 + name.len() + value.len();
            let target = match &node.kind {
                Kind::Symlink { target } | Kind::HardLink { target } => target.len(),
                _ => 0,
            };
            target + 200 + node.attributes.iter().map(attribute).sum::<usize>()
        }
    };
    entry.path.len() + size_of::<Entry>() + facts + extents
}
