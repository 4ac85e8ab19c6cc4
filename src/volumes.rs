//! How consistent what was taken of each volume is, as people and programs see it.

use serde::Serialize;
use strongroom_engine::backup::Volumes;
use strongroom_sources::source::{Reading, VolumeRead};

use crate::shown_path::shown;

/// The volumes of a backup.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    volumes: Vec<Volume>,
    volumes_omitted: u64,
}

#[derive(Debug, Serialize)]
struct Volume {
    path: String,
    file_system: String,
    /// `snapshot`, `read-only` or `live`.
    consistency: &'static str,
    /// Why it was read live.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// Of these, the recovery point may mix old and new contents.
    changed_files: u64,
}

impl View {
    pub(crate) fn new(volumes: &Volumes) -> Self {
        Self {
            volumes: volumes.iter().map(volume).collect(),
            volumes_omitted: volumes.omitted(),
        }
    }
}

fn volume((volume, changed_files): (&VolumeRead, u64)) -> Volume {
    let (consistency, why) = match &volume.reading {
        Reading::Snapshot => ("snapshot", None),
        Reading::ReadOnly => ("read-only", None),
        Reading::Live { why } => ("live", Some(why.clone())),
    };
    Volume {
        path: shown(&volume.path),
        file_system: volume.file_system.clone(),
        consistency,
        why,
        changed_files,
    }
}
