//! `strongroom agent settings`: what this machine backs up when nobody says what.

use std::path::{Path, PathBuf};

use clap::Args;
use strongroom_agent::AgentSettings;
use strongroom_api::RetryPolicy;

use crate::cli::Global;
use crate::commands::agent;
use crate::failure::{Failure, Outcome};
use crate::shown_path::absolute;
use crate::terminal::Terminal;

/// Show or change what this machine backs up on schedule
///
/// The scheduled backups of `strongroom agent run`, and `strongroom backup` without a PATH, take what is selected here.
/// The selection is kept on this machine: the service does not learn names. Without flags it is shown.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom agent settings --path /etc --path /home --exclude '*.iso'
  strongroom agent settings --remove-path /home
  strongroom agent settings")]
pub(crate) struct Settings {
    /// Select a file or folder; may be given several times
    #[arg(long, value_name = "PATH")]
    path: Vec<PathBuf>,
    /// Do not select it any more
    #[arg(long, value_name = "PATH")]
    remove_path: Vec<PathBuf>,
    /// Leave out what fits this pattern; may be given several times
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Do not leave it out any more
    #[arg(long, value_name = "PATTERN")]
    remove_exclude: Vec<String>,
    /// Whether to take the contents of folders with a CACHEDIR.TAG too
    #[arg(long, value_name = "true|false")]
    include_caches: Option<bool>,
    /// Whether to stay on the file systems of the selected folders
    #[arg(long, value_name = "true|false")]
    one_file_system: Option<bool>,
    /// How hard to compress: -7 (fast) to 19 (small)
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true)]
    compression: Option<i32>,
}

impl Settings {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let machine = agent::open(global, RetryPolicy::NONE)?;
        let before = machine.settings()?;
        let after = self.over(before.clone())?;
        if after == before {
            terminal.result(&after, shown)?;
            return Ok(Outcome::Done);
        }
        if !after.paths.is_empty() {
            // Refused now, rather than at night.
            after.backup()?;
        }
        machine.keep_settings(&after)?;
        terminal.done(&after, shown)?;
        Ok(Outcome::Done)
    }

    fn over(self, mut settings: AgentSettings) -> Result<AgentSettings, Failure> {
        for path in &self.path {
            add(&mut settings.paths, absolute(path)?);
        }
        for path in &self.remove_path {
            remove(&mut settings.paths, &absolute(path)?, |path| path.display().to_string())?;
        }
        for pattern in self.exclude {
            add(&mut settings.exclude, pattern);
        }
        for pattern in &self.remove_exclude {
            remove(&mut settings.exclude, pattern, Clone::clone)?;
        }
        settings.include_caches = self.include_caches.unwrap_or(settings.include_caches);
        settings.one_file_system = self.one_file_system.unwrap_or(settings.one_file_system);
        settings.compression = self.compression.or(settings.compression);
        Ok(settings)
    }
}

fn add<T: PartialEq>(list: &mut Vec<T>, value: T) {
    if !list.contains(&value) {
        list.push(value);
    }
}

fn remove<T: PartialEq>(list: &mut Vec<T>, value: &T, name: impl Fn(&T) -> String) -> Result<(), Failure> {
    let before = list.len();
    list.retain(|member| member != value);
    match list.len() < before {
        true => Ok(()),
        false => {
            let why = format!(
                "\"{}\" is not among the settings: `strongroom agent settings` shows them",
                name(value)
            );
            Err(Failure::new(why))
        }
    }
}

fn shown(settings: &AgentSettings) -> String {
    if settings.paths.is_empty() {
        return "Nothing is selected: `strongroom agent settings --path PATH` selects something.".to_owned();
    }
    let path = |path: &PathBuf| Path::display(path).to_string();
    let paths: Vec<String> = settings.paths.iter().map(path).collect();
    let mut text = format!("backs up      {}\n", paths.join("\n              "));
    if !settings.exclude.is_empty() {
        text += &format!("leaves out    {}\n", settings.exclude.join("\n              "));
    }
    let yes_no = |yes: bool| if yes { "yes" } else { "no" };
    text += &format!("caches        {}\n", yes_no(settings.include_caches));
    text += &format!("one volume    {}\n", yes_no(settings.one_file_system));
    text
}
