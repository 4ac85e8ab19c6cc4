//! What every record of a recovery point obeys, however it is encoded.

use crate::entry::{
    BLOCK_BYTES, CHUNK_PLAIN_BYTES_MAX, Content, Entry, Extent, Kind, NAME_BYTES_MAX, NODE_BYTES_MAX, Node,
    PATH_BYTES_MAX, RECORD_BYTES_MAX, Record, VALUE_BYTES_MAX, compare_paths, is_plain_path,
};
use crate::page::REFS_MAX;
use crate::tree::LEAF_CHUNKS_TARGET;

/// No record has more extents, so that the chunks of a leaf always fit into its visible part.
pub(crate) const EXTENTS_MAX: usize = REFS_MAX - LEAF_CHUNKS_TARGET;

/// No file is larger: what file systems can express.
const FILE_BYTES_MAX: u64 = i64::MAX as u64;

/// Why an entry breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedEntry {
    /// The path is absolute, or has an empty, "." or ".." component, or a NUL.
    #[error("a path is not a plain relative path")]
    Path,
    /// The path does not come after the one before it.
    #[error("a path does not come after the one before it")]
    Order,
    /// Its kind or its flags are unknown.
    #[error("a record has an unknown kind or flag")]
    Kind,
    /// An extent is empty, lies outside of its chunk, or repeats the kind of hole before it.
    #[error("an extent is empty, lies outside of its chunk or belongs to the one before it")]
    Extent,
    /// The extents of a file do not add up to its size.
    #[error("the extents of a file do not add up to its size")]
    Size,
    /// It refers to what the page does not list, or the page lists what no record refers to, in this order.
    #[error("the records do not refer to what their page lists, once each, in order")]
    Reference,
    /// A continuation without a beginning, or a beginning without the continuation that it promises.
    #[error("a continuation is missing or is not expected")]
    Continuation,
    /// The nanoseconds are a second or more.
    #[error("a time has a full second of nanoseconds")]
    Time,
    /// Attributes are not sorted by name, or a name comes twice.
    #[error("extended attributes are not sorted by name")]
    Attributes,
    /// A hard link to something that does not come before it.
    #[error("a hard link leads to a path that does not come before it")]
    Link,
    /// Larger than any that a file system gives.
    #[error("a field of a record is above its bound")]
    Bound,
}

impl Entry {
    /// Whether a page can take the entry and give it back: what a reader insists on, and what a writer asks before it
    /// promises to keep something. Only the order of entries is not looked at.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self) -> Result<(), MalformedEntry> {
        match &self.record {
            Record::Node(node) => check_node(node, &self.path)?,
            Record::More(content) if is_plain_path(&self.path) => check_content(content)?,
            Record::More(_) => return Err(MalformedEntry::Path),
        }
        within(self.weight(), RECORD_BYTES_MAX)
    }

    /// More than the bytes that the record is encoded in: no page grows beyond its bound by one record.
    fn weight(&self) -> usize {
        const NUMBERS: usize = 128;
        let (rest, content) = match &self.record {
            Record::More(content) => (0, Some(content)),
            Record::Node(node) => (node_weight(node), content(&node.kind)),
        };
        NUMBERS + self.path.len() + rest + content.map_or(0, content_weight)
    }
}

impl Node {
    /// Whether a page can take a record of this node at `path`, whatever a file's extents will be: asked before its
    /// contents are read.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check_facts(&self, path: &[u8]) -> Result<(), MalformedEntry> {
        if !is_plain_path(path) {
            return Err(MalformedEntry::Path);
        }
        within(self.mode as usize, 0o7777)?;
        within(self.owner.user.len(), NAME_BYTES_MAX)?;
        within(self.owner.group.len(), NAME_BYTES_MAX)?;
        if self.mtime.nanoseconds >= 1_000_000_000 {
            return Err(MalformedEntry::Time);
        }
        check_attributes(self)?;
        match &self.kind {
            Kind::Symlink { target } => within(target.len(), PATH_BYTES_MAX)?,
            Kind::HardLink { target } => check_link(target, path)?,
            _ => {}
        }
        within(path.len() + node_weight(self), NODE_BYTES_MAX)
    }
}

fn check_node(node: &Node, path: &[u8]) -> Result<(), MalformedEntry> {
    node.check_facts(path)?;
    match &node.kind {
        Kind::File { size, content } => check_file(*size, content),
        _ => Ok(()),
    }
}

fn check_attributes(node: &Node) -> Result<(), MalformedEntry> {
    for (name, value) in &node.attributes {
        within(name.len(), NAME_BYTES_MAX)?;
        within(value.len(), VALUE_BYTES_MAX)?;
    }
    if !node.attributes.is_sorted_by(|before, next| before.0 < next.0) {
        return Err(MalformedEntry::Attributes);
    }
    Ok(())
}

fn check_link(target: &[u8], path: &[u8]) -> Result<(), MalformedEntry> {
    if !is_plain_path(target) {
        return Err(MalformedEntry::Path);
    }
    if compare_paths(target, path).is_ge() {
        return Err(MalformedEntry::Link);
    }
    Ok(())
}

fn check_file(size: u64, content: &Content) -> Result<(), MalformedEntry> {
    check_content(content)?;
    let length = content.length();
    if size > FILE_BYTES_MAX || length > size || !content.continues && length < size {
        return Err(MalformedEntry::Size);
    }
    Ok(())
}

fn check_content(content: &Content) -> Result<(), MalformedEntry> {
    within(content.extents.len(), EXTENTS_MAX)?;
    content.extents.iter().try_for_each(check_extent)?;
    let holes_adjoin = content.extents.windows(2).any(|pair| {
        matches!(
            pair,
            [Extent::Hole { .. }, Extent::Hole { .. }] | [Extent::Zero { .. }, Extent::Zero { .. }]
        )
    });
    if holes_adjoin {
        return Err(MalformedEntry::Extent);
    }
    if content.continues && content.extents.is_empty() {
        return Err(MalformedEntry::Continuation);
    }
    if content.length() > FILE_BYTES_MAX {
        return Err(MalformedEntry::Size);
    }
    Ok(())
}

fn check_extent(extent: &Extent) -> Result<(), MalformedEntry> {
    let blocks = match extent {
        Extent::Blocks {
            fingerprints, length, ..
        } => (*length as usize).div_ceil(BLOCK_BYTES) == fingerprints.len(),
        _ => true,
    };
    let inside = match extent {
        Extent::Hole { .. } | Extent::Zero { .. } => true,
        Extent::Piece {
            chunk, offset, length, ..
        }
        | Extent::Blocks {
            chunk, offset, length, ..
        } => {
            u64::from(*offset) + u64::from(*length) <= u64::from(chunk.length)
                && chunk.length as usize <= CHUNK_PLAIN_BYTES_MAX
        }
    };
    if blocks && inside && extent.length() > 0 {
        Ok(())
    } else {
        Err(MalformedEntry::Extent)
    }
}

fn node_weight(node: &Node) -> usize {
    let target = match &node.kind {
        Kind::Symlink { target } | Kind::HardLink { target } => target.len(),
        _ => 0,
    };
    let attributes = node.attributes.iter().map(|(name, value)| 8 + name.len() + value.len());
    target + node.owner.user.len() + node.owner.group.len() + attributes.sum::<usize>()
}

fn content(kind: &Kind) -> Option<&Content> {
    match kind {
        Kind::File { content, .. } => Some(content),
        _ => None,
    }
}

/// A tag and three numbers at most for each extent, and its fingerprints.
fn content_weight(content: &Content) -> usize {
    let fingerprints = content.extents.iter().map(|extent| match extent {
        Extent::Hole { .. } | Extent::Zero { .. } => 0,
        Extent::Piece { .. } => 1,
        Extent::Blocks { fingerprints, .. } => fingerprints.len(),
    });
    16 * (content.extents.len() + fingerprints.sum::<usize>())
}

fn within(value: usize, max: usize) -> Result<(), MalformedEntry> {
    if value <= max {
        Ok(())
    } else {
        Err(MalformedEntry::Bound)
    }
}
