//! Finds the records of one path, apart from the walk.

use strongroom_format::entry::Entry;
use strongroom_format::leaf::LeafReader;
use strongroom_format::page::parse_visible;
use strongroom_model::BlobId;
use tokio::runtime::Handle;

use super::RestoreParts;
use crate::error::EngineError;
use crate::leaves::{Leaves, Step, Wanted};

/// Finds the records of one path, apart from the walk.
pub struct Finder {
    pub runtime: Handle,
    pub parts: RestoreParts,
    pub root: BlobId,
}

impl Finder {
    pub fn find(&self, path: &[u8]) -> Result<Vec<Entry>, EngineError> {
        self.runtime.block_on(async {
            let wanted = Wanted {
                paths: vec![path.to_vec()],
            };
            let RestoreParts { reader, keys, .. } = &self.parts;
            let mut leaves = Leaves::begin(reader.clone(), keys, self.root, wanted).await?;
            let mut records = Vec::new();
            while let Some(step) = leaves.next().await? {
                let Step::Leaf(leaf) = step else { continue };
                let page = parse_visible(&leaf.stored).expect("it was parsed when it was opened");
                let found = LeafReader::new(page.refs, &leaf.plain).into_iter().flatten().flatten();
                records.extend(found.filter(|entry| entry.path == path));
            }
            Ok(records)
        })
    }
}
