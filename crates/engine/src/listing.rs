//! What is in a recovery point, without restoring it.

use std::sync::Arc;

use strongroom_format::entry::{Entry, Record};
use strongroom_format::leaf::LeafReader;
use strongroom_format::page::parse_visible;
use strongroom_seal::DataKeys;

use crate::error::EngineError;
use crate::leaves::{Leaves, Step, Wanted};
use crate::point::OpenPoint;
use crate::remote::VaultReader;

/// What a listing comes upon.
#[derive(Debug)]
pub enum Listed {
    /// A name and what it stands for.
    Entry(Box<Entry>),
    /// A stretch of the tree that cannot be read: why.
    Lost(String),
}

/// Calls `each` for every entry at or below `paths` (all if empty), in path order.
pub async fn list(
    reader: &Arc<dyn VaultReader>,
    keys: &DataKeys,
    point: &OpenPoint,
    paths: Vec<Vec<u8>>,
    mut each: impl FnMut(Listed),
) -> Result<(), EngineError> {
    let wanted = Wanted { paths };
    let mut leaves = Leaves::begin(reader.clone(), keys, point.header.root, wanted.clone()).await?;
    while let Some(step) = leaves.next().await? {
        match step {
            Step::Inner(..) => {}
            Step::Lost(lost) => each(Listed::Lost(lost.why)),
            Step::Leaf(leaf) => {
                let page = parse_visible(&leaf.stored).map_err(|error| EngineError::Point(error.to_string()))?;
                let records = LeafReader::new(page.refs, &leaf.plain);
                for entry in records.into_iter().flatten() {
                    match entry {
                        Ok(entry) if matches!(entry.record, Record::Node(_)) && wanted.covers(&entry.path) => {
                            each(Listed::Entry(Box::new(entry)));
                        }
                        Ok(_) => {}
                        Err(error) => each(Listed::Lost(format!("page {} is damaged: {error}", leaf.id))),
                    }
                }
            }
        }
    }
    Ok(())
}
