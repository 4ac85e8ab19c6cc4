//! Random access to recovery points: a name by its path or number, the names of a folder, any bytes of a file.
//!
//! Nothing is walked: pages say how many names lie below their children, and where those begin, so that each question goes
//! down from the root to one leaf. What was opened is kept a while, the same for all points ([`Browser`]).

mod blobs;
mod contents;
mod kept;
mod links;
mod page;
mod streams;
mod tree;

use std::sync::Arc;

use jiff::Timestamp;
use strongroom_model::PointId;
use tokio::sync::OnceCell;

use crate::point::OpenPoint;
use crate::restore::RestoreParts;
use blobs::Blobs;

pub use contents::{Seek, SequentialReads};
pub use tree::{Name, PointTree};

/// Why something cannot be read just now: a sentence that names the object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub Arc<str>);

impl Unreadable {
    fn new(why: impl Into<Arc<str>>) -> Self {
        Self(why.into())
    }
}

/// Opens recovery points of one key set; they share what is kept of pages and chunks.
#[derive(Clone)]
pub struct Browser {
    parts: RestoreParts,
    blobs: Arc<Blobs>,
}

impl Browser {
    /// Keeps nothing yet. Work is done on the runtime that it is asked on, decompression on so many threads at a time.
    pub fn new(parts: RestoreParts, workers: usize) -> Self {
        let blobs = Blobs::new(parts.reader.clone(), parts.keys.clone(), workers);
        Self {
            parts,
            blobs: Arc::new(blobs),
        }
    }

    /// A recovery point that is fetched and opened when something in it is asked for. It was made at `created`.
    pub fn point(&self, id: PointId, created: Timestamp) -> BrowsedPoint {
        BrowsedPoint {
            id,
            created,
            browser: self.clone(),
            tree: OnceCell::new(),
        }
    }

    /// A recovery point that is open already.
    pub fn opened(&self, point: &OpenPoint) -> BrowsedPoint {
        let tree = PointTree::new(self.blobs.clone(), &point.header);
        BrowsedPoint {
            tree: OnceCell::new_with(Some(Arc::new(tree))),
            ..self.point(point.header.point, point.header.created)
        }
    }
}

/// A recovery point that somebody may look into.
pub struct BrowsedPoint {
    id: PointId,
    created: Timestamp,
    browser: Browser,
    tree: OnceCell<Arc<PointTree>>,
}

impl BrowsedPoint {
    /// When it was made.
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// Its names, once it is open.
    pub async fn tree(&self) -> Result<&Arc<PointTree>, Unreadable> {
        self.tree.get_or_try_init(|| self.open()).await
    }

    async fn open(&self) -> Result<Arc<PointTree>, Unreadable> {
        let RestoreParts { reader, keys, .. } = &self.browser.parts;
        let opened = OpenPoint::open(reader, keys, self.id).await;
        let point = opened.map_err(|error| Unreadable::new(error.to_string()))?;
        Ok(Arc::new(PointTree::new(self.browser.blobs.clone(), &point.header)))
    }
}
