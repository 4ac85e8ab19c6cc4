//! What a machine backs up when nobody says what: kept on the machine, for the names are nobody else's business.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use strongroom_seal::Level;
use strongroom_sources::files::{Rules, Selection};

use crate::error::AgentError;
use crate::machine::Backup;

/// What a machine backs up, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentSettings {
    /// Files and folders, by absolute paths.
    pub paths: Vec<PathBuf>,
    /// Patterns of what is left out.
    pub exclude: Vec<String>,
    /// Takes the contents of folders with a CACHEDIR.TAG too.
    pub include_caches: bool,
    /// Does not enter other file systems.
    pub one_file_system: bool,
    /// How hard to compress, if not as usual.
    pub compression: Option<i32>,
}

/// How hard contents are compressed if nobody says otherwise.
const COMPRESSION: i32 = 3;

impl AgentSettings {
    /// The backup that they describe.
    ///
    /// # Errors
    /// When nothing is selected, or a pattern is none.
    pub fn backup(&self) -> Result<Backup, AgentError> {
        if self.paths.is_empty() {
            return Err(AgentError::NothingSelected);
        }
        let refused = |error: &dyn std::fmt::Display| AgentError::Settings(error.to_string());
        let mut rules = Rules::new(&self.exclude).map_err(|error| refused(&error))?;
        rules.skip_caches = !self.include_caches;
        rules.one_file_system = self.one_file_system;
        let selection = Selection::new(self.paths.clone(), rules).map_err(|error| refused(&error))?;
        Ok(Backup {
            selection,
            level: self.level()?,
            force_rehash: false,
        })
    }

    /// How hard to compress.
    ///
    /// # Errors
    /// When there is no such level.
    pub fn level(&self) -> Result<Level, AgentError> {
        let level = Level::new(self.compression.unwrap_or(COMPRESSION));
        level.map_err(|error| AgentError::Settings(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_become_a_backup_or_a_sentence() {
        let nothing = AgentSettings::default().backup().unwrap_err();
        assert!(nothing.to_string().contains("agent settings"), "{nothing}");
        let mut settings = AgentSettings {
            paths: vec!["/etc".into()],
            exclude: vec!["*.o".to_owned()],
            ..AgentSettings::default()
        };
        assert_eq!(settings.backup().unwrap().selection.roots(), [PathBuf::from("/etc")]);
        settings.compression = Some(99);
        assert!(settings.backup().is_err());
    }
}
