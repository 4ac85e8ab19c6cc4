//! From settings and wishes to a backup.

use std::collections::BTreeSet;
use std::path::PathBuf;

use strongroom_model::{MachineSettings, Priority};
use strongroom_seal::Level;
use strongroom_sources::files::{Marker, Pattern, Patterns, Rules, Selection, preset};

use crate::backup::Backup;
use crate::error::AgentError;

/// Where the patterns of settings come from, for people.
const SETTINGS: &str = "the settings";

/// How hard contents are compressed if nobody says otherwise.
const COMPRESSION: i32 = 3;

/// What somebody wants to be backed up: settings, and patterns that come from elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Files and folders, by absolute paths: instead of those of the settings.
    pub paths: Vec<PathBuf>,
    /// What to leave out.
    pub settings: MachineSettings,
    /// More patterns of what is taken, with their origins.
    pub include: Vec<Pattern>,
    /// More patterns of what is left out; they win over those of the settings.
    pub exclude: Vec<Pattern>,
}

impl From<MachineSettings> for Wanted {
    fn from(settings: MachineSettings) -> Self {
        Self {
            paths: settings.paths.iter().map(PathBuf::from).collect(),
            settings,
            ..Self::default()
        }
    }
}

impl Wanted {
    /// What that selects.
    ///
    /// # Errors
    /// When nothing is selected, or a pattern or a marker is none.
    pub fn selection(self) -> Result<Selection, AgentError> {
        let Self {
            paths,
            settings,
            include,
            exclude,
        } = self;
        if paths.is_empty() {
            return Err(AgentError::NothingSelected);
        }
        let presets = settings.presets.iter().copied().flat_map(preset);
        let rules = Rules {
            exclude: Patterns::new(presets.chain(of_settings(settings.exclude)).chain(exclude)).map_err(refused)?,
            include: Patterns::new(of_settings(settings.include).chain(include)).map_err(refused)?,
            larger_than: settings.exclude_larger_than,
            types: BTreeSet::from_iter(settings.exclude_types),
            markers: markers(&settings.exclude_if_present, settings.include_caches)?,
            one_file_system: settings.one_file_system,
            allowed: BTreeSet::from_iter(settings.allow),
        };
        Selection::new(paths, rules).map_err(refused)
    }

    /// The backup that does that.
    ///
    /// # Errors
    /// As [`Wanted::selection`] does, and when there is no such compression.
    pub fn backup(self) -> Result<Backup, AgentError> {
        let (level, snapshot) = (self.level()?, self.settings.snapshot);
        Ok(Backup {
            selection: self.selection()?,
            level,
            snapshot,
            force_rehash: false,
            runs_commands: true,
            priority: Priority::Normal,
        })
    }

    /// How hard to compress.
    ///
    /// # Errors
    /// When there is no such level.
    pub fn level(&self) -> Result<Level, AgentError> {
        Level::new(self.settings.compression.unwrap_or(COMPRESSION)).map_err(refused)
    }
}

fn of_settings(patterns: Vec<String>) -> impl Iterator<Item = Pattern> {
    patterns.into_iter().map(|text| Pattern::new(text, SETTINGS))
}

fn markers(texts: &[String], include_caches: bool) -> Result<Vec<Marker>, AgentError> {
    let caches = (!include_caches).then(Marker::cache_tag);
    let named = texts.iter().map(|text| Marker::parse(text).map_err(refused));
    named.chain(caches.map(Ok)).collect()
}

fn refused(error: impl std::fmt::Display) -> AgentError {
    AgentError::Settings(error.to_string())
}

#[cfg(test)]
mod tests {
    use strongroom_model::Preset;

    use super::*;

    #[test]
    fn settings_become_a_backup_or_a_sentence() {
        let nothing = Wanted::default().backup().unwrap_err();
        assert!(nothing.to_string().contains("agent settings"), "{nothing}");
        let settings = MachineSettings {
            paths: vec!["/etc".to_owned()],
            exclude: vec!["*.o".to_owned()],
            presets: vec![Preset::System],
            ..MachineSettings::default()
        };
        let selection = Wanted::from(settings.clone()).backup().unwrap().selection;
        assert_eq!(selection.roots(), [PathBuf::from("/etc")]);
        // Presets first, so that a pattern of the user's can take something in again.
        let patterns: Vec<&str> = selection.rules().exclude.texts().collect();
        assert_eq!((patterns[0], patterns.last()), ("/proc/*", Some(&"*.o")));
        for wrong in [
            MachineSettings {
                compression: Some(99),
                ..settings.clone()
            },
            MachineSettings {
                include: vec!["a{b".to_owned()],
                ..settings.clone()
            },
            MachineSettings {
                exclude_if_present: vec!["a/b".to_owned()],
                ..settings.clone()
            },
        ] {
            assert!(Wanted::from(wrong).backup().is_err());
        }
    }
}
