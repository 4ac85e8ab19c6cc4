//! `strongroom agent settings`: what this machine backs up when nobody says what.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use strongroom_agent::{AgentError, Command, Commands, Wanted};
use strongroom_api::RetryPolicy;
use strongroom_model::{EntryType, MachineSettings, Preset, VolumeKind};
use strongroom_sources::files::VolumeError;

use crate::cli::Global;
use crate::commands::agent;
use crate::failure::{Failure, Outcome};
use crate::rule_flags::{RuleFlags, add};
use crate::shown_path::absolute;
use crate::terminal::{Terminal, bytes};

/// Show or change what this machine backs up on schedule
///
/// The scheduled backups of `strongroom agent run`, and `strongroom backup` without a PATH, take what is selected here.
/// The selection is kept on this machine: the service does not learn names. Without flags it is shown.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom agent settings --path /etc --path /home --exclude '*.iso' --preset caches
  strongroom agent settings --path / --preset caches,system --exclude-larger-than 4G
  strongroom agent settings --remove-path /home
  strongroom agent settings --snapshot always
  strongroom agent settings --pre-command /usr/bin/systemctl stop shop ';' --post-command /usr/bin/systemctl start shop
  strongroom agent settings --pre-command /bin/sh -c 'pg_dumpall >/srv/dump.sql' ';' --pre-limit 900
  strongroom agent settings --scratch /srv/strongroom-scratch
  strongroom agent settings")]
pub(crate) struct Settings {
    /// Select a file or folder; may be given several times
    #[arg(long, value_name = "PATH")]
    path: Vec<PathBuf>,
    /// Do not select it any more
    #[arg(long, value_name = "PATH")]
    remove_path: Vec<PathBuf>,
    #[command(flatten)]
    rules: RuleFlags,
    /// Forget this pattern of what is taken
    #[arg(long, value_name = "PATTERN")]
    remove_include: Vec<String>,
    /// Do not leave out any more what fits this pattern
    #[arg(long, value_name = "PATTERN")]
    remove_exclude: Vec<String>,
    /// Do not leave out these types any more
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    remove_exclude_type: Vec<EntryType>,
    /// Take folders with such a file again
    #[arg(long, value_name = "NAME[:HEADER]")]
    remove_exclude_if_present: Vec<String>,
    /// Do not leave out any more what this preset does
    #[arg(long, value_name = "PRESETS", value_delimiter = ',')]
    remove_preset: Vec<Preset>,
    /// Do not take volumes of these kinds any more
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    remove_allow: Vec<VolumeKind>,
    /// Whether to take the contents of folders with a CACHEDIR.TAG too
    #[arg(long, value_name = "true|false")]
    include_caches: Option<bool>,
    /// Whether to stay on the file systems of the selected folders
    #[arg(long, value_name = "true|false")]
    one_file_system: Option<bool>,
    /// Move the scratch folder there: a folder of its own, on a disk of this machine
    ///
    /// It is what this machine remembers between backups: some 150 MB for a million files and 1 MB for each GiB of large
    /// ones, twice that while a backup ends. Its loss costs one slower backup.
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Before a backup, run this program (an absolute path) with these arguments, up to a `;`; if it fails, nothing is backed up
    ///
    /// For backups on schedule, and those without a PATH. No shell is involved. It is kept on this machine only, and cannot be
    /// set from elsewhere. It finds STRONGROOM_PHASE, _OPERATION, _VAULT and _MACHINE in its environment.
    #[arg(long, value_name = "PROGRAM", num_args = 1.., value_terminator = ";", allow_hyphen_values = true)]
    pre_command: Vec<String>,
    /// After it, run this, whatever has become of the backup
    ///
    /// STRONGROOM_RESULT says what has: succeeded, succeeded-with-warnings, failed, cancelled; and STRONGROOM_POINT which
    /// recovery point was made. If it fails, the backup ends with a warning.
    #[arg(long, value_name = "PROGRAM", num_args = 1.., value_terminator = ";", allow_hyphen_values = true)]
    post_command: Vec<String>,
    /// How long the command before may take, in seconds; then it is killed, with all that it has started [default: 300]
    #[arg(long, value_name = "SECONDS")]
    pre_limit: Option<u64>,
    /// How long the command after may take, in seconds [default: 300]
    #[arg(long, value_name = "SECONDS")]
    post_limit: Option<u64>,
    /// Run nothing before a backup any more
    #[arg(long, conflicts_with_all = ["pre_command", "pre_limit"])]
    remove_pre_command: bool,
    /// Run nothing after a backup any more
    #[arg(long, conflicts_with_all = ["post_command", "post_limit"])]
    remove_post_command: bool,
    /// How hard to compress: -7 (fast) to 19 (small)
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true)]
    compression: Option<i32>,
}

#[derive(Serialize)]
struct View {
    #[serde(flatten)]
    settings: MachineSettings,
    commands: Commands,
    scratch: PathBuf,
}

impl Settings {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let machine = agent::open(global, RetryPolicy::NONE)?;
        if let Some(scratch) = &self.scratch {
            machine.move_scratch(text(scratch)?.into())?;
        }
        let commands = self.commands_over(machine.commands()?)?;
        let view = |settings| -> Result<View, Failure> {
            let (commands, scratch) = (machine.commands()?, machine.scratch_path()?);
            Ok(View {
                settings,
                commands,
                scratch,
            })
        };
        if commands != machine.commands()? {
            machine.keep_commands(&commands)?;
        }
        let before = machine.settings()?;
        let after = self.over(before.clone())?;
        if after == before {
            terminal.result(&view(after)?, shown)?;
            return Ok(Outcome::Done);
        }
        if let Some(why) = after.refused() {
            return Err(AgentError::Settings(why).into());
        }
        if !after.paths.is_empty() {
            // Refused now, rather than at night. What is absent now may be there then.
            let backup = Wanted::from(after.clone()).backup()?;
            match backup.selection.check_volumes() {
                Ok(()) | Err(VolumeError::Absent(_)) => {}
                Err(refused) => return Err(refused.into()),
            }
        }
        machine.keep_settings(&after)?;
        terminal.done(&view(after)?, shown)?;
        Ok(Outcome::Done)
    }

    fn commands_over(&self, Commands { pre, post }: Commands) -> Result<Commands, Failure> {
        Ok(Commands {
            pre: command_over(
                pre,
                &self.pre_command,
                self.pre_limit,
                self.remove_pre_command,
                "--pre-command",
            )?,
            post: command_over(
                post,
                &self.post_command,
                self.post_limit,
                self.remove_post_command,
                "--post-command",
            )?,
        })
    }

    fn over(self, mut settings: MachineSettings) -> Result<MachineSettings, Failure> {
        for path in &self.path {
            add(&mut settings.paths, &[text(path)?]);
        }
        self.rules.add_to(&mut settings);
        add(&mut settings.include, &self.rules.include);
        add(&mut settings.exclude, &self.rules.exclude);
        for path in &self.remove_path {
            remove(&mut settings.paths, &[text(path)?])?;
        }
        remove(&mut settings.include, &self.remove_include)?;
        remove(&mut settings.exclude, &self.remove_exclude)?;
        remove(&mut settings.exclude_types, &self.remove_exclude_type)?;
        remove(&mut settings.exclude_if_present, &self.remove_exclude_if_present)?;
        remove(&mut settings.presets, &self.remove_preset)?;
        remove(&mut settings.allow, &self.remove_allow)?;
        settings.include_caches = self.include_caches.unwrap_or(settings.include_caches);
        settings.one_file_system = self.one_file_system.unwrap_or(settings.one_file_system);
        settings.compression = self.compression.or(settings.compression);
        Ok(settings)
    }
}

fn command_over(
    before: Option<Command>,
    arguments: &[String],
    limit_seconds: Option<u64>,
    is_removed: bool,
    flag: &str,
) -> Result<Option<Command>, Failure> {
    let command = match arguments {
        [] => before.filter(|_| !is_removed),
        arguments => Some(Command::new(arguments.to_vec())),
    };
    match (command, limit_seconds) {
        (Some(command), Some(limit_seconds)) => Ok(Some(Command {
            limit_seconds,
            ..command
        })),
        (None, Some(_)) => Err(Failure::new(format!(
            "there is no command to limit: give one with {flag}"
        ))),
        (command, None) => Ok(command),
    }
}

/// Settings are text; a backup by hand takes any name.
fn text(path: &Path) -> Result<String, Failure> {
    absolute(path)?.into_os_string().into_string().map_err(|path| {
        let shown = path.display();
        Failure::new(format!(
            "{shown} cannot be in the settings, for its name is no UTF-8: select the folder that it is in"
        ))
    })
}

fn remove<T: PartialEq + Display>(list: &mut Vec<T>, values: &[T]) -> Result<(), Failure> {
    for value in values {
        let place = list.iter().position(|member| member == value).ok_or_else(|| {
            Failure::new(format!(
                "\"{value}\" is not among the settings: `strongroom agent settings` shows them"
            ))
        })?;
        list.remove(place);
    }
    Ok(())
}

fn shown(
    View {
        settings,
        commands,
        scratch,
    }: &View,
) -> String {
    let mut rest = shown_command("runs before", commands.pre.as_ref());
    rest += &shown_command("runs after", commands.post.as_ref());
    rest += &line("scratch", scratch.display());
    if settings.paths.is_empty() {
        return format!("Nothing is selected: `strongroom agent settings --path PATH` selects something.\n{rest}");
    }
    let yes_no = |yes: bool| if yes { "yes" } else { "no" };
    let mut text = several("backs up", &settings.paths);
    text += &several("only", &settings.include);
    text += &several("leaves out", &settings.exclude);
    text += &several("presets", &settings.presets);
    if let Some(most) = settings.exclude_larger_than {
        text += &line("no more than", bytes(most));
    }
    text += &several("no", &settings.exclude_types);
    text += &several("not beside", &settings.exclude_if_present);
    text += &several("allows", &settings.allow);
    text += &line("caches", yes_no(settings.include_caches));
    text += &line("one volume", yes_no(settings.one_file_system));
    text += &line("snapshots", settings.snapshot.as_str().to_ascii_lowercase());
    text + &rest
}

fn shown_command(name: &str, command: Option<&Command>) -> String {
    command.map_or(String::new(), |command| {
        let arguments = command.arguments.iter().map(|argument| format!("{argument:?}"));
        let arguments: Vec<String> = arguments.collect();
        line(
            name,
            format!("{} (at most {} s)", arguments.join(" "), command.limit_seconds),
        )
    })
}

fn line(name: &str, value: impl Display) -> String {
    format!("{name:<14}{value}\n")
}

/// One line each; nothing if there are none.
fn several<T: Display>(name: &str, values: &[T]) -> String {
    let names = std::iter::once(name).chain(std::iter::repeat(""));
    names.zip(values).map(|(name, value)| line(name, value)).collect()
}
