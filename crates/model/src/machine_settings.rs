//! What a machine backs up when nobody says what, and what it leaves out.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::throttle::Throttle;
use crate::word::words;

words!(
    /// Ready-made rules of what is left out.
    Preset, "preset" {
        /// What programs make again by themselves: caches, thumbnails, the trash.
        Caches,
        /// What belongs to the running system and is of no use in another: pseudo file systems, temporary and swap files.
        System,
    }
);

words!(
    /// A kind of entry that can be left out wherever it is.
    EntryType, "type of entry" {
        /// A socket.
        Socket,
        /// A named pipe.
        Fifo,
        /// A character or block device.
        Device,
        /// A symbolic link.
        Symlink,
    }
);

words!(
    /// A kind of volume that is backed up only if somebody says so (SEMANTICS.md §3.4).
    VolumeKind, "kind of volume" {
        /// It lies on another computer.
        Network,
        /// It can be taken out.
        Removable,
        /// A program of some user's makes up what is in it.
        Fuse,
    }
);

words!(
    /// Whether a backup reads from snapshots.
    SnapshotUse, "use of snapshots" {
        /// Where there can be one, from a snapshot; elsewhere file by file.
        Auto,
        /// Only from snapshots: what can have none is not backed up, and the backup fails.
        Always,
        /// Never from a snapshot.
        Never,
    }
);

#[allow(clippy::derivable_impls, reason = "the macro above derives what all words have")]
impl Default for SnapshotUse {
    fn default() -> Self {
        Self::Auto
    }
}

words!(
    /// How far a scheduled backup stands back behind what else the machine does.
    Priority, "priority" {
        /// Not at all.
        Normal,
        /// It gets less of the processors and disks than others that want them.
        Low,
        /// It gets what nobody else wants.
        Idle,
    }
);

#[allow(clippy::derivable_impls, reason = "the macro above derives what all words have")]
impl Default for Priority {
    fn default() -> Self {
        Self::Low
    }
}

/// How many members each list may have.
const LIST_MAX: usize = 1000;

/// The longest path or pattern, in bytes; also the system's longest path.
const TEXT_MAX: usize = 4096;

/// The most bytes that sealed settings have.
pub const SEALED_SETTINGS_BYTES_MAX: usize = 256 << 10;

/// How far one change may put the generation of a machine's settings forward.
pub const GENERATION_STEP_MAX: u64 = 1000;

/// What a machine backs up, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MachineSettings {
    /// Files and folders, by absolute paths.
    #[schemars(length(max = 1000))]
    pub paths: Vec<String>,
    /// If there are any: only what fits one of these patterns is taken.
    #[schemars(length(max = 1000))]
    pub include: Vec<String>,
    /// Patterns of what is left out.
    #[schemars(length(max = 1000))]
    pub exclude: Vec<String>,
    /// Ready-made patterns of what is left out.
    pub presets: Vec<Preset>,
    /// Files that are longer are left out; in bytes.
    pub exclude_larger_than: Option<u64>,
    /// What is of these types is left out.
    pub exclude_types: Vec<EntryType>,
    /// Of a folder with such a file only that file is taken: NAME, or NAME:HEADER.
    #[schemars(length(max = 1000))]
    pub exclude_if_present: Vec<String>,
    /// Kinds of volumes that are backed up too.
    pub allow: Vec<VolumeKind>,
    /// Takes the contents of folders with a CACHEDIR.TAG too.
    pub include_caches: bool,
    /// Does not enter other file systems.
    pub one_file_system: bool,
    /// Whether it is read from snapshots.
    pub snapshot: SnapshotUse,
    /// How hard to compress, if not as usual: -7 (fast) to 19 (small).
    #[schemars(range(min = -7, max = 19))]
    pub compression: Option<i32>,
    /// How much of the line it takes; all, if nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttle: Option<Throttle>,
    /// How far its scheduled backups stand back.
    pub priority: Priority,
    /// Whether scheduled backups begin on battery too, rather than wait.
    pub on_battery: bool,
    /// Whether they begin on a metered connection too, rather than wait.
    pub on_metered: bool,
    /// What a later version added: it is kept, and not understood here.
    #[serde(flatten)]
    pub later: BTreeMap<String, serde_json::Value>,
}

impl MachineSettings {
    /// Why they cannot be kept, as a sentence with the way out; `None`: they can. Whether patterns make sense, only the
    /// machine knows.
    pub fn refused(&self) -> Option<String> {
        let lists = [&self.paths, &self.include, &self.exclude, &self.exclude_if_present];
        if lists.iter().any(|list| list.len() > LIST_MAX) {
            return Some(format!(
                "each list has at most {LIST_MAX} members: let one pattern stand for many"
            ));
        }
        let texts = || lists.into_iter().flatten();
        if texts().any(|text| text.is_empty() || text.len() > TEXT_MAX || text.contains(['\0', '\n'])) {
            return Some(format!(
                "paths and patterns have 1 to {TEXT_MAX} bytes, without NUL and line ends"
            ));
        }
        if let Some(path) = self.paths.iter().find(|path| !path.starts_with('/')) {
            return Some(format!(
                "\"{path}\" is not an absolute path: it must begin with a slash"
            ));
        }
        if let Some(level) = self.compression.filter(|level| !(-7..=19).contains(level)) {
            return Some(format!("compression goes from -7 to 19, and not to {level}"));
        }
        self.throttle.as_ref().and_then(Throttle::refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_later_version_added_is_kept() {
        let text = r#"{"paths":["/etc"],"quarantine":{"after":7}}"#;
        let settings: MachineSettings = serde_json::from_str(text).unwrap();
        assert_eq!(settings.later["quarantine"]["after"], 7);
        let again = serde_json::to_value(&settings).unwrap();
        assert_eq!(again["quarantine"]["after"], 7);
        assert_eq!(again["paths"][0], "/etc");
    }

    #[test]
    fn settings_that_cannot_be_kept_are_refused_with_a_sentence() {
        let path = |path: &str| MachineSettings {
            paths: vec![path.to_owned()],
            ..MachineSettings::default()
        };
        for (settings, words) in [
            (path("/etc"), None),
            (path("etc"), Some("not an absolute path")),
            (path(""), Some("1 to 4096")),
            (path("/a\0"), Some("NUL")),
            (path(&"/x".repeat(4096)), Some("4096")),
            (
                MachineSettings {
                    exclude: vec!["*.o".to_owned(); 1001],
                    ..MachineSettings::default()
                },
                Some("at most 1000"),
            ),
            (
                MachineSettings {
                    compression: Some(20),
                    ..MachineSettings::default()
                },
                Some("-7 to 19"),
            ),
        ] {
            match (settings.refused(), words) {
                (None, None) => {}
                (Some(why), Some(words)) => assert!(why.contains(words), "{why}"),
                other => panic!("{other:?}"),
            }
        }
    }
}
