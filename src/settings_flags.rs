//! What a machine backs up, as flags; and as lines for people.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use clap::Args;
use strongroom_model::{EntryType, MachineSettings, Preset, Priority, VolumeKind, WorkLimits};

use crate::failure::Failure;
use crate::rule_flags::{RuleFlags, add};
use crate::shown_path::absolute;
use crate::terminal::bytes;
use crate::throttle_flags::{ThrottleFlags, ThrottlePart};

/// Changes of what a machine backs up.
#[derive(Debug, Args)]
pub(crate) struct SettingsFlags {
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
    /// How hard to compress: -7 (fast) to 19 (small)
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true)]
    compression: Option<i32>,
    /// How far scheduled backups stand back behind other programs: normal (not at all), low, or idle [default: low]
    #[arg(long, value_name = "PRIORITY")]
    priority: Option<Priority>,
    /// Whether scheduled backups begin on battery too, rather than wait for mains power
    #[arg(long, value_name = "true|false")]
    on_battery: Option<bool>,
    /// Whether they begin on a metered connection too (as NetworkManager has it), rather than wait for another
    #[arg(long, value_name = "true|false")]
    on_metered: Option<bool>,
    #[command(flatten)]
    throttle: ThrottleFlags,
}

impl SettingsFlags {
    /// The first path that is relative to a folder here, and means nothing on another machine.
    pub(crate) fn relative_path(&self) -> Option<&Path> {
        let mut paths = self.path.iter().chain(&self.remove_path);
        paths.find(|path| path.is_relative()).map(PathBuf::as_path)
    }

    /// Settings with these changes.
    pub(crate) fn over(&self, mut settings: MachineSettings) -> Result<MachineSettings, Failure> {
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
        settings.on_metered = self.on_metered.unwrap_or(settings.on_metered);
        settings.throttle = self.throttle.over(settings.throttle);
        Ok(settings)
    }
}

/// Settings are text; a backup by hand takes any name.
pub(crate) fn text(path: &Path) -> Result<String, Failure> {
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

/// Settings, a line each; nothing if nothing is selected.
pub(crate) fn lines(settings: &MachineSettings) -> String {
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
    text += &line("priority", settings.priority.as_str().to_lowercase());
    text += &line("on battery", yes_no(settings.on_battery));
    text += &line("on metered", yes_no(settings.on_metered));
    text + &limits(settings)
}

/// How much of the line is taken, if that is limited, a line each.
pub(crate) fn limits(settings: &MachineSettings) -> String {
    let Some(throttle) = &settings.throttle else {
        return String::new();
    };
    let parts = [ThrottlePart::WorkHours, ThrottlePart::WorkDays, ThrottlePart::Zone];
    let hours = parts.map(|part| part.of(throttle)).join(" ");
    let limits = |limits: WorkLimits| format!("{} in work hours, {} otherwise", limits.work, limits.non_work);
    line("work hours", hours) + &line("upload", limits(throttle.upload)) + &line("download", limits(throttle.download))
}

pub(crate) fn line(name: &str, value: impl Display) -> String {
    format!("{name:<14}{value}\n")
}

/// One line each; nothing if there are none.
pub(crate) fn several<T: Display>(name: &str, values: &[T]) -> String {
    let names = std::iter::once(name).chain(std::iter::repeat(""));
    names.zip(values).map(|(name, value)| line(name, value)).collect()
}
