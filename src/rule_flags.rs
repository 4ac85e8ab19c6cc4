//! What to take and what to leave out, as flags.

use std::str::FromStr;

use clap::Args;
use strongroom_model::{EntryType, MachineSettings, Preset, SnapshotUse, VolumeKind};

/// Rules of what to take and what to leave out.
#[derive(Debug, Clone, Args)]
pub(crate) struct RuleFlags {
    /// Take only what fits this pattern, and all that lies in a folder that fits; may be given several times
    #[arg(long, value_name = "PATTERN", help_heading = "Rules")]
    pub(crate) include: Vec<String>,
    /// Leave out what fits this pattern; may be given several times, and wins over --include
    #[arg(long, value_name = "PATTERN", help_heading = "Rules")]
    pub(crate) exclude: Vec<String>,
    /// Leave out files that are longer, such as 100M or 4G; 0: none for their length
    #[arg(long, value_name = "SIZE", help_heading = "Rules")]
    exclude_larger_than: Option<Size>,
    /// Leave out what is of these types: socket, fifo, device, symlink
    #[arg(long, value_name = "TYPES", value_delimiter = ',', help_heading = "Rules")]
    exclude_type: Vec<EntryType>,
    /// Of a folder with a file of this NAME, or that begins with HEADER, take only that file; may be given several times
    #[arg(long, value_name = "NAME[:HEADER]", help_heading = "Rules")]
    exclude_if_present: Vec<String>,
    /// Leave out what is of no use elsewhere: caches (of programs, browsers, package managers; the trash), system (/proc,
    /// /sys, /dev, /run, /tmp, swap files)
    #[arg(long, value_name = "PRESETS", value_delimiter = ',', help_heading = "Rules")]
    preset: Vec<Preset>,
    /// Take volumes of these kinds too: network, removable, fuse
    #[arg(long, value_name = "KINDS", value_delimiter = ',', help_heading = "Rules")]
    allow: Vec<VolumeKind>,
    /// Whether to read from snapshots, where everything is of one moment: auto (where there can be one), always (or the
    /// backup fails), never
    #[arg(long, value_name = "auto|always|never")]
    snapshot: Option<SnapshotUse>,
}

impl RuleFlags {
    /// Adds to settings what is said here, but for the patterns.
    pub(crate) fn add_to(&self, settings: &mut MachineSettings) {
        if let Some(Size(bytes)) = self.exclude_larger_than {
            settings.exclude_larger_than = (bytes > 0).then_some(bytes);
        }
        add(&mut settings.exclude_types, &self.exclude_type);
        add(&mut settings.exclude_if_present, &self.exclude_if_present);
        add(&mut settings.presets, &self.preset);
        add(&mut settings.allow, &self.allow);
        settings.snapshot = self.snapshot.unwrap_or(settings.snapshot);
    }
}

/// Adds what is not there yet.
pub(crate) fn add<T: PartialEq + Clone>(list: &mut Vec<T>, values: &[T]) {
    for value in values {
        if !list.contains(value) {
            list.push(value.clone());
        }
    }
}

/// A number of bytes, as people write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        let unit = text[digits.len()..].to_ascii_uppercase();
        let letter = unit.strip_suffix("IB").or(unit.strip_suffix('B')).unwrap_or(&unit);
        let power = ["", "K", "M", "G", "T"].iter().position(|known| *known == letter);
        let bytes = power.and_then(|power| digits.parse::<u64>().ok()?.checked_mul(1 << (10 * power)));
        bytes.map(Self).ok_or_else(|| {
            format!("\"{text}\" is no size: write a number of bytes, or one with K, M, G or T, such as 100M")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("1000", Some(1000)),
            ("10k", Some(10 << 10)),
            ("100M", Some(100 << 20)),
            ("4GiB", Some(4 << 30)),
            ("2TB", Some(2 << 40)),
            ("", None),
            ("M", None),
            ("-1", None),
            ("1.5G", None),
            ("99999999T", None),
            ("5 parsecs", None),
        ] {
            assert_eq!(text.parse::<Size>().ok().map(|size| size.0), bytes, "{text}");
        }
    }
}
