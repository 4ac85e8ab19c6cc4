//! Fetching and opening pages by their identities.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use strongroom_model::BlobId;
use strongroom_seal::{DataKeys, Opener};

use crate::error::EngineError;
use crate::keys::open_page;
use crate::remote::{Fetched, VaultReader};

/// Pages fetched in one go: about half a MiB of ordinary leaves.
pub const PAGES_AT_ONCE: usize = 128;

/// A page that was opened.
#[derive(Clone, Debug)]
pub struct Page {
    /// 0 for a leaf.
    pub level: u8,
    /// The stored bytes, for the visible part.
    pub stored: Bytes,
    /// The opened bytes.
    pub plain: Vec<u8>,
}

/// The way to pages.
pub struct Pages {
    reader: Arc<dyn VaultReader>,
    opener: Opener,
    remarks: Vec<String>,
}

impl Pages {
    pub fn new(reader: Arc<dyn VaultReader>, keys: &DataKeys) -> Self {
        Self {
            reader,
            opener: Opener::new(keys),
            remarks: Vec::new(),
        }
    }

    /// What the vault remarked about its objects on the way.
    pub fn take_remarks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.remarks)
    }

    /// Fetches and opens pages; an answer for each, in no order. At most [`crate::remote::IDS_MAX`].
    pub async fn get(&mut self, ids: Vec<BlobId>) -> Result<HashMap<BlobId, Result<Page, String>>, EngineError> {
        let mut pages: HashMap<BlobId, Result<Page, String>> = HashMap::new();
        let asked = ids.clone();
        let mut stream = self.reader.fetch(ids);
        while let Some(fetched) = stream.next().await {
            let (id, page) = match fetched? {
                Fetched::Blob(id, bytes) if strongroom_format::blob_id(&bytes) == id => {
                    (id, open(&mut self.opener, bytes))
                }
                Fetched::Blob(id, _) => (id, Err("the vault sent other bytes than were asked for".to_owned())),
                Fetched::Lost(id, why) => (id, Err(why)),
                Fetched::Remark(remark) => {
                    self.remarks.push(remark);
                    continue;
                }
            };
            pages.insert(id, page);
        }
        for id in asked {
            pages
                .entry(id)
                .or_insert_with(|| Err("the vault did not send it".to_owned()));
        }
        let name = |(id, page): (BlobId, Result<Page, String>)| {
            (id, page.map_err(|why| format!("page {id} cannot be read: {why}")))
        };
        Ok(pages.into_iter().map(name).collect())
    }
}

fn open(opener: &mut Opener, stored: Bytes) -> Result<Page, String> {
    let (page, plain) = open_page(opener, &stored, None)?;
    Ok(Page {
        level: page.level,
        plain,
        stored: stored.clone(),
    })
}
