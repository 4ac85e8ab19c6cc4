//! A recovery point that was fetched, authenticated and opened.

use std::sync::Arc;

use strongroom_format::point::{BODY_BYTES_MAX, PointBody, PointHeader, parse_point, point_digest};
use strongroom_model::{Digest, PointId};
use strongroom_seal::{DataKeys, Opener, SealKind};

use crate::error::EngineError;
use crate::remote::VaultReader;

/// A recovery point that this machine's keys open.
#[derive(Clone, Debug)]
pub struct OpenPoint {
    /// What everyone may know.
    pub header: PointHeader,
    /// What only the key set may know.
    pub body: PointBody,
    /// BLAKE3 of the object.
    pub digest: Digest,
}

impl OpenPoint {
    /// Fetches and opens a recovery point, and checks that it is the one that was asked for.
    pub async fn open(reader: &Arc<dyn VaultReader>, keys: &DataKeys, id: PointId) -> Result<Self, EngineError> {
        let object = reader.point_object(id).await?;
        let failed = |why: String| EngineError::Point(format!("recovery point {id} cannot be used: {why}"));
        let open = Self::from_object(&object, keys).map_err(failed)?;
        if open.header.point != id {
            return Err(failed(format!(
                "the vault gave recovery point {} instead",
                open.header.point
            )));
        }
        Ok(open)
    }

    /// Opens the bytes of a recovery point object; says why not.
    pub fn from_object(object: &[u8], keys: &DataKeys) -> Result<Self, String> {
        let parts = parse_point(object).map_err(|error| error.to_string())?;
        let mut body = Vec::new();
        let opened = Opener::new(keys).open(SealKind::PointBody, parts.head, parts.sealed, BODY_BYTES_MAX, &mut body);
        opened.map_err(|error| format!("{error} (key set {})", parts.header.key_set))?;
        let body = PointBody::decode(&body).map_err(|error| error.to_string())?;
        Ok(Self {
            header: parts.header,
            body,
            digest: point_digest(object),
        })
    }
}
