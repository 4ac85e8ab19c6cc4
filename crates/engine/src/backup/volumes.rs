//! How consistent what a backup took of each volume is.

use std::collections::HashMap;

use strongroom_format::point::Consistency;
use strongroom_sources::files::ShownPath;
use strongroom_sources::source::{Reading, VolumeRead, VolumesRead};

/// The volumes that a backup has read from.
#[derive(Clone, Debug, Default)]
pub struct Volumes {
    read: VolumesRead,
    changed: HashMap<usize, u64>,
}

impl Volumes {
    /// Takes note of a file that changed while it was read, by its volume.
    pub(super) fn has_changed(&mut self, volume: Option<usize>) {
        if let Some(volume) = volume {
            *self.changed.entry(volume).or_default() += 1;
        }
    }

    pub(super) fn were_read(&mut self, read: VolumesRead) {
        self.read = read;
    }

    /// Each with the number of files that changed while they were read: of these, old and new contents may be mixed.
    pub fn iter(&self) -> impl Iterator<Item = (&VolumeRead, u64)> {
        let changed = |number| self.changed.get(&number).copied().unwrap_or_default();
        let volumes = self.read.volumes.iter().enumerate();
        volumes.map(move |(number, volume)| (volume, changed(number)))
    }

    /// How many more there were.
    pub fn omitted(&self) -> u64 {
        self.read.omitted
    }

    /// A line for each, for people.
    pub fn in_words(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.iter().map(|(volume, changed)| in_words(volume, changed)).collect();
        if self.omitted() > 0 {
            lines.push(format!("and {} more volumes", self.omitted()));
        }
        lines
    }

    /// What holds for everything that was taken. Of two volumes, the snapshots are of two moments.
    pub(super) fn consistency(&self) -> Consistency {
        match (&self.read.volumes[..], self.read.omitted) {
            ([volume], 0) if !matches!(volume.reading, Reading::Live { .. }) => Consistency::CrashConsistent,
            _ => Consistency::FileByFile,
        }
    }
}

fn in_words(volume: &VolumeRead, changed: u64) -> String {
    let VolumeRead {
        path,
        file_system,
        reading,
    } = volume;
    let path = ShownPath(path);
    match reading {
        Reading::Snapshot => format!("/{path}: snapshot of {file_system}"),
        Reading::ReadOnly => format!("/{path}: read-only subvolume of {file_system}"),
        Reading::Live { why } => {
            let files = if changed == 1 { "file" } else { "files" };
            format!("/{path}: {file_system} read live, {changed} {files} changed while being read ({why})")
        }
    }
}
