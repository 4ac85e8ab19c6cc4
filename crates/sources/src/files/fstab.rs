//! What ought to be mounted and is not: `/etc/fstab`, fstab(5), and `/etc/crypttab`, crypttab(5).

use super::mounts::{Mounts, unescape};
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A volume that ought to be mounted and is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Absent {
    /// Why, as a sentence with the way out.
    pub(super) why: String,
    /// Whether it is mounted only when somebody asks for it.
    pub(super) on_demand: bool,
}

/// The volumes that ought to be mounted and are not, by their path relative to `/`.
#[derive(Debug, Default)]
pub(super) struct Absences(HashMap<Vec<u8>, Absent>);

impl Absences {
    /// As they are now.
    pub(super) fn load(mounts: &Mounts) -> Absences {
        let read = |path| std::fs::read(path).unwrap_or_default();
        let locked = encrypted(&read("/etc/crypttab"));
        let lines = read("/etc/fstab");
        let absent = lines.split(|&byte| byte == b'\n').filter_map(|line| {
            let (source, point, on_demand) = parse_line(line)?;
            let is_mounted = point.parent().is_none() || mounts.is_mounted(&point);
            let why = (!is_mounted).then(|| why(&source, &point, &locked))?;
            let path = point.as_os_str().as_bytes();
            Some((path[1..].to_vec(), Absent { why, on_demand }))
        });
        Absences(absent.collect())
    }

    /// What ought to be mounted at a path relative to `/`.
    pub(super) fn at(&self, path: &[u8]) -> Option<&Absent> {
        match self.0.is_empty() {
            true => None,
            false => self.0.get(path),
        }
    }

    /// What ought to be mounted at a path or above it, so that what lies there is not what it seems.
    pub(super) fn above(&self, path: &Path) -> Option<&Absent> {
        let below_root = |path: &Path| path.as_os_str().as_bytes().get(1..).map(<[u8]>::to_vec);
        path.ancestors().find_map(|path| self.0.get(&below_root(path)?))
    }
}

/// Source, mount point, and whether it is mounted only on demand. File systems without data are no loss.
fn parse_line(line: &[u8]) -> Option<(PathBuf, PathBuf, bool)> {
    let mut fields = line
        .split(|byte| matches!(byte, b' ' | b'\t'))
        .filter(|field| !field.is_empty());
    let source = unescape(fields.next().filter(|field| !field.starts_with(b"#"))?);
    let point: PathBuf = unescape(fields.next()?).components().collect();
    let (file_system, options) = (fields.next()?, fields.next().unwrap_or_default());
    let no_data: [&[u8]; 6] = [b"swap", b"tmpfs", b"proc", b"sysfs", b"devpts", b"devtmpfs"];
    let has_data = point.is_absolute() && !no_data.contains(&file_system);
    let mut options = options.split(|&byte| byte == b',');
    has_data.then(|| (source, point, options.any(|option| option == b"noauto")))
}

/// Names of encrypted volumes, without those that are open.
fn encrypted(crypttab: &[u8]) -> Vec<PathBuf> {
    let lines = crypttab.split(|&byte| byte == b'\n');
    let names = lines.filter_map(|line| {
        let mut fields = line.split(u8::is_ascii_whitespace);
        let name = fields.find(|field| !field.is_empty())?;
        (!name.starts_with(b"#")).then(|| Path::new("/dev/mapper").join(unescape(name)))
    });
    names.filter(|device| !device.exists()).collect()
}

fn why(source: &Path, point: &Path, locked: &[PathBuf]) -> String {
    let shown = point.display();
    let (what, first) = match device(source) {
        Some(device) if locked.contains(&device) => (
            "its encrypted volume is locked",
            format!("unlock {} and ", source.display()),
        ),
        Some(device) if !device.exists() => ("its device is not there", format!("connect {} and ", source.display())),
        Some(_) => ("its device is there", String::new()),
        None => ("it comes from elsewhere", String::new()),
    };
    format!(
        "the volume that /etc/fstab has for {shown} is not mounted ({what}), so what is in it is not in this backup: \
         {first}mount it with `mount {shown}`, or leave it out with --exclude {shown}"
    )
}

/// The device that a source names, if it names one.
fn device(source: &Path) -> Option<PathBuf> {
    let text = source.to_str()?;
    let tags = [
        ("UUID=", "/dev/disk/by-uuid"),
        ("LABEL=", "/dev/disk/by-label"),
        ("PARTUUID=", "/dev/disk/by-partuuid"),
        ("PARTLABEL=", "/dev/disk/by-partlabel"),
        ("ID=", "/dev/disk/by-id"),
    ];
    let tagged = tags.iter().find_map(|(tag, folder)| {
        let value = text.strip_prefix(tag)?.trim_matches('"');
        Some(Path::new(folder).join(value))
    });
    tagged.or_else(|| text.starts_with("/dev/").then(|| source.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{device, encrypted, parse_line, why};
    use std::path::{Path, PathBuf};

    #[test]
    fn lines_of_fstab_are_understood() {
        let parsed = |line: &str| parse_line(line.as_bytes());
        let data = |on_demand| Some((PathBuf::from("UUID=ab"), PathBuf::from("/mnt/my data"), on_demand));
        assert_eq!(parsed("UUID=ab /mnt/my\\040data/ ext4 defaults 0 2"), data(false));
        assert_eq!(parsed("\tUUID=ab\t/mnt/my\\040data\text4\tnofail,noauto"), data(true));
        for nothing in [
            "",
            "# UUID=ab /x ext4",
            "UUID=ab none swap sw 0 0",
            "tmpfs /tmp tmpfs defaults",
            "proc /proc proc",
            "UUID=ab",
        ] {
            assert_eq!(parsed(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn sources_lead_to_devices() {
        let found = |source: &str| device(Path::new(source));
        assert_eq!(found("UUID=ab-1"), Some("/dev/disk/by-uuid/ab-1".into()));
        assert_eq!(found("LABEL=\"data\""), Some("/dev/disk/by-label/data".into()));
        assert_eq!(found("/dev/sdz1"), Some("/dev/sdz1".into()));
        assert_eq!(found("nas:/export"), None);
    }

    #[test]
    fn each_reason_has_its_words() {
        let locked = encrypted(b"# comment\nno-such-volume UUID=1 none luks\n\n");
        assert_eq!(locked, [PathBuf::from("/dev/mapper/no-such-volume")]);
        let words = |source: &str| why(Path::new(source), Path::new("/mnt/x"), &locked);
        assert!(words("/dev/mapper/no-such-volume").contains("is locked"));
        assert!(words("/dev/no-such-device").contains("not there"));
        assert!(words("/dev/null").contains("`mount /mnt/x`"));
        assert!(words("nas:/export").contains("from elsewhere"));
    }
}
