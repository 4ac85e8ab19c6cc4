//! One entry of a recovery point, as `ls` shows it.

use serde::Serialize;
use strongroom_engine::listing::Listed;
use strongroom_format::entry::{Entry, Kind, Node, Record};

use crate::shown_path::shown;

/// An entry for programs.
#[derive(Serialize)]
pub(crate) struct EntryView {
    path: String,
    /// The path's bytes in hexadecimal, when they are no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    kind: &'static str,
    mode: u32,
    uid: u32,
    gid: u32,
    user: String,
    group: String,
    size: u64,
    modified: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

/// Collects what a listing comes upon.
#[derive(Default)]
pub(crate) struct Collected {
    pub(crate) entries: Vec<EntryView>,
    pub(crate) lost: Vec<String>,
}

impl Collected {
    pub(crate) fn add(&mut self, listed: Listed) {
        match listed {
            Listed::Lost(why) => self.lost.push(why),
            Listed::Entry(entry) => self.entries.extend(EntryView::new(&entry)),
        }
    }
}

impl EntryView {
    pub(crate) fn new(entry: &Entry) -> Option<Self> {
        let Record::Node(node) = &entry.record else { return None };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (kind, size, target) = kind(node);
        let path_hex = std::str::from_utf8(&entry.path).is_err();
        Some(Self {
            path: shown(&entry.path),
            path_hex: path_hex.then(|| entry.path.iter().map(|byte| format!("{byte:02x}")).collect()),
            kind,
            mode: node.mode,
            uid: node.owner.uid,
            gid: node.owner.gid,
            user: text(&node.owner.user),
            group: text(&node.owner.group),
            size,
            modified: modified(node),
            target,
        })
    }

    /// Its path, as it is shown.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// When it changed last, to the second.
    pub(crate) fn modified_shortly(&self) -> String {
        shortly(&self.modified)
    }

    /// A line like that of `ls -l`.
    pub(crate) fn line(&self) -> String {
        let letter = match self.kind {
            "directory" => 'd',
            "symlink" => 'l',
            "fifo" => 'p',
            "socket" => 's',
            "character-device" => 'c',
            "block-device" => 'b',
            "hard-link" => 'h',
            _ => '-',
        };
        let name = |name: &str, number: u32| {
            if name.is_empty() {
                number.to_string()
            } else {
                name.to_owned()
            }
        };
        let owner = format!("{} {}", name(&self.user, self.uid), name(&self.group, self.gid));
        let target = self
            .target
            .as_ref()
            .map(|target| format!(" -> {target}"))
            .unwrap_or_default();
        let modified = self.modified_shortly();
        format!(
            "{letter}{} {owner:<17} {:>12} {modified} {}{target}",
            permissions(self.mode),
            self.size,
            self.path
        )
    }
}

/// When an entry changed last, to the second.
pub(crate) fn modified_shortly(node: &Node) -> String {
    shortly(&modified(node))
}

fn shortly(modified: &str) -> String {
    modified.get(..19).unwrap_or(modified).replace('T', " ")
}

fn kind(node: &Node) -> (&'static str, u64, Option<String>) {
    let text = |bytes: &[u8]| Some(strongroom_sources::files::ShownPath(bytes).to_string());
    match &node.kind {
        Kind::File { size, .. } => ("file", *size, None),
        Kind::Directory => ("directory", 0, None),
        Kind::Symlink { target } => ("symlink", target.len() as u64, text(target)),
        Kind::HardLink { target } => ("hard-link", 0, Some(shown(target))),
        Kind::Fifo => ("fifo", 0, None),
        Kind::Socket => ("socket", 0, None),
        Kind::CharDevice { .. } => ("character-device", 0, None),
        Kind::BlockDevice { .. } => ("block-device", 0, None),
    }
}

fn modified(node: &Node) -> String {
    let moment = jiff::Timestamp::new(node.mtime.seconds, node.mtime.nanoseconds.cast_signed());
    moment.map_or_else(|_| format!("{} s", node.mtime.seconds), |moment| moment.to_string())
}

fn permissions(mode: u32) -> String {
    let bit = |bit: u32, letter: char| if mode & bit != 0 { letter } else { '-' };
    let special = |execute: u32, special: u32, low: char, high: char| match (mode & execute != 0, mode & special != 0) {
        (true, true) => low,
        (false, true) => high,
        (true, false) => 'x',
        (false, false) => '-',
    };
    [
        bit(0o400, 'r'),
        bit(0o200, 'w'),
        special(0o100, 0o4000, 's', 'S'),
        bit(0o040, 'r'),
        bit(0o020, 'w'),
        special(0o010, 0o2000, 's', 'S'),
        bit(0o004, 'r'),
        bit(0o002, 'w'),
        special(0o001, 0o1000, 't', 'T'),
    ]
    .iter()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_read_like_those_of_ls() {
        for (mode, expected) in [
            (0o644, "rw-r--r--"),
            (0o4755, "rwsr-xr-x"),
            (0o1777, "rwxrwxrwt"),
            (0o2644, "rw-r-Sr--"),
        ] {
            assert_eq!(permissions(mode), expected);
        }
    }
}
