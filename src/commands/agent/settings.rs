//! `strongroom agent settings`: what this machine backs up when nobody says what.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use strongroom_agent::{AgentError, Wanted};
use strongroom_api::RetryPolicy;
use strongroom_model::{EntryType, MachineSettings, Preset, Priority, Throttle, VolumeKind, WorkLimits};
use strongroom_sources::files::VolumeError;

use crate::cli::Global;
use crate::commands::agent;
use crate::day::short;
use crate::failure::{Failure, Outcome};
use crate::network_flags::{NetworkFlags, NetworkView};
use crate::rule_flags::{RuleFlags, add};
use crate::shown_path::absolute;
use crate::terminal::{Terminal, bytes};
use crate::throttle_flags::ThrottleFlags;

/// Show or change what this machine backs up on schedule
///
/// The scheduled backups of `strongroom agent run`, and `strongroom backup` without a PATH, take what is selected here.
/// The selection is kept on this machine: the service does not learn names. Without flags it is shown.
///
/// A limit of the line holds for all that this machine sends or receives, within seconds also for what is running.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom agent settings --path /etc --path /home --exclude '*.iso' --preset caches
  strongroom agent settings --path / --preset caches,system --exclude-larger-than 4G
  strongroom agent settings --remove-path /home
  strongroom agent settings --upload-work 20mbit --work-hours 8:00-17:30 --work-days mon-fri --zone Europe/Berlin
  strongroom agent settings --upload-work unlimited
  strongroom agent settings --proxy http://proxy.example.org:3128 --proxy-user web-1 --proxy-password-file /root/proxy
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
    /// How hard to compress: -7 (fast) to 19 (small)
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true)]
    compression: Option<i32>,
    #[command(flatten)]
    throttle: ThrottleFlags,
    /// How far scheduled backups stand back behind other programs: normal (not at all), low, or idle [default: low]
    #[arg(long, value_name = "PRIORITY")]
    priority: Option<Priority>,
    /// Whether scheduled backups begin on battery too, rather than wait for mains power
    #[arg(long, value_name = "true|false")]
    on_battery: Option<bool>,
    #[command(flatten)]
    network: NetworkFlags,
}

#[derive(Serialize)]
struct View {
    #[serde(flatten)]
    settings: MachineSettings,
    scratch: PathBuf,
    #[serde(flatten)]
    network: NetworkView,
}

impl Settings {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let machine = agent::open(global, RetryPolicy::NONE)?;
        if let Some(scratch) = &self.scratch {
            machine.move_scratch(text(scratch)?.into())?;
        }
        let reached = machine.network()?;
        let network = self.network.over(reached.clone())?;
        let view = |settings| -> Result<View, Failure> {
            Ok(View {
                settings,
                scratch: machine.scratch_path()?,
                network: NetworkView::from(&network),
            })
        };
        let before = machine.settings()?;
        let after = self.over(before.clone())?;
        if network != reached {
            machine.keep_network(&network)?;
        }
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
        settings.priority = self.priority.unwrap_or(settings.priority);
        settings.on_battery = self.on_battery.unwrap_or(settings.on_battery);
        settings.throttle = self.throttle.over(settings.throttle);
        Ok(settings)
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
        scratch,
        network,
    }: &View,
) -> String {
    let mut rest = settings.throttle.as_ref().map_or(String::new(), throttle) + &line("scratch", scratch.display());
    for (name, value) in network.lines() {
        rest += &line(name, value);
    }
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
    text += &line("priority", settings.priority.as_str().to_lowercase());
    text += &line("on battery", yes_no(settings.on_battery));
    text + &rest
}

fn throttle(throttle: &Throttle) -> String {
    let days: Vec<String> = throttle.work_days.iter().copied().map(short).collect();
    let [begin, end] = [throttle.work_begin, throttle.work_end].map(|time| time.strftime("%H:%M"));
    let hours = format!("{begin}-{end} {} {}", days.join(","), throttle.zone);
    let limits = |limits: WorkLimits| format!("{} in work hours, {} otherwise", limits.work, limits.non_work);
    line("work hours", hours) + &line("upload", limits(throttle.upload)) + &line("download", limits(throttle.download))
}

fn line(name: &str, value: impl Display) -> String {
    format!("{name:<14}{value}\n")
}

/// One line each; nothing if there are none.
fn several<T: Display>(name: &str, values: &[T]) -> String {
    let names = std::iter::once(name).chain(std::iter::repeat(""));
    names.zip(values).map(|(name, value)| line(name, value)).collect()
}
