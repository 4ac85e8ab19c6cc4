//! The machine's settings here and in the vault: one truth, which is the vault's.
//!
//! What lies here is a copy, for when the vault is away. The generation tells which of two states is the later one.

use serde::{Deserialize, Serialize};
use strongroom_api::{ClientError, Code, KeptSettings};
use strongroom_model::MachineSettings;

use crate::error::AgentError;
use crate::machine::Machine;
use crate::sealed_settings::{open_settings, seal_settings};

/// The machine's copy of its settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsCopy {
    /// Their generation in the vault.
    pub generation: u64,
    /// The settings.
    pub settings: MachineSettings,
}

/// What bringing the two together came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    /// What holds now.
    pub settings: MachineSettings,
    /// The generation in the vault; 0: it keeps none.
    pub generation: u64,
    /// What was not as it should be, or is new, as a sentence.
    pub news: Option<String>,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// They are the same.
    Nothing,
    /// The vault's hold here.
    Take(MachineSettings),
    /// This machine's hold in the vault.
    Send(SettingsCopy),
}

/// Compares the copy with what the vault keeps: a generation, and the settings or why they do not open.
fn compare(copy: Option<SettingsCopy>, kept: Option<(u64, Result<MachineSettings, String>)>) -> (Step, Option<String>) {
    let next = |copy: SettingsCopy, generation: u64| {
        Step::Send(SettingsCopy {
            generation: generation.saturating_add(1),
            ..copy
        })
    };
    match (copy, kept) {
        // So that they can be changed from elsewhere, too.
        (None, None) => (next(SettingsCopy::default(), 0), None),
        (Some(copy), None) => {
            let known = copy.generation;
            let news = format!(
                "the vault had no settings of this machine, which knows of generation {known}: it has them again"
            );
            (next(copy, known), (known > 0).then_some(news))
        }
        (Some(copy), Some((generation, _))) if copy.generation > generation => {
            let known = copy.generation;
            let news = format!(
                "the vault had settings of generation {generation}, and this machine knows of {known}: the vault was put back \
                 to an older state; it has this machine's settings again"
            );
            (next(copy, known), Some(news))
        }
        (Some(copy), Some((generation, Err(why)))) => {
            let news = format!(
                "the settings that the vault keeps (generation {generation}) do not open here: {why}; this machine's are in \
                 their place now"
            );
            (next(copy, generation), Some(news))
        }
        (None, Some((generation, Err(why)))) => {
            let news = format!(
                "the settings that the vault keeps (generation {generation}) do not open here: {why}; \
                 `strongroom agent settings` sets others"
            );
            (Step::Nothing, Some(news))
        }
        (None, Some((generation, Ok(settings)))) => {
            let news = format!("took over the settings that the vault keeps (generation {generation})");
            (Step::Take(settings), Some(news))
        }
        (Some(copy), Some((generation, Ok(settings)))) => {
            let news = match (copy.generation == generation, copy.settings == settings) {
                (true, true) => return (Step::Nothing, None),
                (true, false) => format!(
                    "the settings here differed from the vault's (generation {generation}): they are the vault's again"
                ),
                (false, _) => format!(
                    "the vault's settings (generation {generation}) are newer than those here (generation {}): taken over",
                    copy.generation
                ),
            };
            (Step::Take(settings), Some(news))
        }
    }
}

impl Machine {
    /// Brings the settings here and in the vault together.
    ///
    /// # Errors
    /// When the service cannot be reached, or the copy cannot be read or written.
    pub async fn sync_settings(&self) -> Result<Synced, AgentError> {
        let copy = self.folder().settings()?;
        let kept = self.client().own_settings().await?;
        let opened = (kept.settings.as_ref())
            .map(|kept| (kept.generation, open_settings(kept, self.state().item, self.key_set())));
        let generation = kept.generation();
        let held = copy.clone().unwrap_or_default().settings;
        let (step, news) = compare(copy, opened);
        match step {
            Step::Nothing => Ok(Synced {
                settings: held,
                generation,
                news,
            }),
            Step::Take(settings) => {
                let copy = SettingsCopy { generation, settings };
                self.folder().keep_settings(&copy)?;
                Ok(Synced {
                    settings: copy.settings,
                    generation,
                    news,
                })
            }
            Step::Send(copy) => {
                self.send_settings(&copy, generation).await?;
                Ok(Synced {
                    generation: copy.generation,
                    settings: copy.settings,
                    news,
                })
            }
        }
    }

    /// Keeps new settings, made from `seen`, in the vault and here. Returns their generation; `None`: somebody else has
    /// changed them meanwhile.
    ///
    /// # Errors
    /// When they cannot be kept.
    pub async fn change_settings(&self, seen: &Synced, settings: &MachineSettings) -> Result<Option<u64>, AgentError> {
        let known = self.folder().settings()?.map_or(0, |copy| copy.generation);
        let copy = SettingsCopy {
            generation: seen.generation.max(known).saturating_add(1),
            settings: settings.clone(),
        };
        match self.send_settings(&copy, seen.generation).await {
            Err(AgentError::Client(ClientError::Refused(problem))) if problem.code == Code::VersionMismatch => Ok(None),
            sent => sent.map(|_| Some(copy.generation)),
        }
    }

    async fn send_settings(&self, copy: &SettingsCopy, seen: u64) -> Result<KeptSettings, AgentError> {
        let sealed = seal_settings(&copy.settings, self.state().item, copy.generation, self.key_set())?;
        let kept = self.client().change_own_settings(&sealed, seen).await?;
        self.folder().keep_settings(copy)?;
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> MachineSettings {
        MachineSettings {
            paths: vec![path.to_owned()],
            ..MachineSettings::default()
        }
    }

    fn copy(generation: u64, path: &str) -> Option<SettingsCopy> {
        let settings = of(path);
        Some(SettingsCopy { generation, settings })
    }

    #[test]
    fn the_later_state_holds_and_every_difference_is_told() {
        let damaged = || Err("not authentic".to_owned());
        let sent = |generation| Step::Send(copy(generation, "/here").unwrap());
        for (here, kept, step, news) in [
            (
                None,
                None,
                Step::Send(SettingsCopy {
                    generation: 1,
                    settings: MachineSettings::default(),
                }),
                None,
            ),
            (copy(3, "/here"), Some((3, Ok(of("/here")))), Step::Nothing, None),
            (
                None,
                Some((3, Ok(of("/there")))),
                Step::Take(of("/there")),
                Some("took over"),
            ),
            (
                copy(2, "/here"),
                Some((3, Ok(of("/there")))),
                Step::Take(of("/there")),
                Some("newer"),
            ),
            (
                copy(3, "/here"),
                Some((3, Ok(of("/there")))),
                Step::Take(of("/there")),
                Some("differed"),
            ),
            (
                copy(3, "/here"),
                Some((2, Ok(of("/there")))),
                sent(4),
                Some("older state"),
            ),
            (copy(3, "/here"), Some((2, damaged())), sent(4), Some("older state")),
            (copy(3, "/here"), None, sent(4), Some("has them again")),
            (copy(0, "/here"), None, sent(1), None),
            (copy(3, "/here"), Some((5, damaged())), sent(6), Some("do not open")),
            (None, Some((5, damaged())), Step::Nothing, Some("do not open")),
            // A vault that lies.
            (
                copy(3, "/here"),
                Some((u64::MAX, damaged())),
                sent(u64::MAX),
                Some("do not open"),
            ),
        ] {
            let told = compare(here, kept);
            assert_eq!(told.0, step);
            match (&told.1, news) {
                (None, None) => {}
                (Some(told), Some(words)) => assert!(told.contains(words), "{told}"),
                other => panic!("{other:?}"),
            }
        }
    }
}
