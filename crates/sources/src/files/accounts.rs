//! Names of users and groups.

use std::collections::HashMap;
use std::io;

/// Names of users and groups by number, from `/etc/passwd` and `/etc/group`, read once.
///
/// Other name services (LDAP, systemd-homed) are not asked: that would mean loading code of the
/// system into this process. An entry whose owner has no name here is kept by its number alone.
#[derive(Debug, Clone, Default)]
pub struct Names {
    users: HashMap<u32, Vec<u8>>,
    groups: HashMap<u32, Vec<u8>>,
}

impl Names {
    /// Reads both files of this machine. A file that is not there counts as empty.
    pub fn load() -> io::Result<Names> {
        Ok(Names::parse(&read("/etc/passwd")?, &read("/etc/group")?))
    }

    /// From the contents of the two files; see passwd(5) and group(5). Lines that make no sense are
    /// passed over. Of two lines with the same number the first counts, as for the system.
    pub fn parse(passwd: &[u8], group: &[u8]) -> Names {
        Names {
            users: by_number(passwd),
            groups: by_number(group),
        }
    }

    /// The name of a user.
    pub fn user(&self, uid: u32) -> Option<&[u8]> {
        self.users.get(&uid).map(Vec::as_slice)
    }

    /// The name of a group.
    pub fn group(&self, gid: u32) -> Option<&[u8]> {
        self.groups.get(&gid).map(Vec::as_slice)
    }
}

fn read(path: &str) -> io::Result<Vec<u8>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        result => result,
    }
}

/// Both files have the name in the first field and the number in the third.
fn by_number(file: &[u8]) -> HashMap<u32, Vec<u8>> {
    let mut names = HashMap::new();
    for line in file.split(|byte| *byte == b'\n') {
        if let Some((number, name)) = parse_line(line) {
            names.entry(number).or_insert(name);
        }
    }
    names
}

fn parse_line(line: &[u8]) -> Option<(u32, Vec<u8>)> {
    let mut fields = line.split(|byte| *byte == b':');
    let name = fields
        .next()
        .filter(|name| !name.is_empty() && !name.starts_with(b"#"))?;
    let number = std::str::from_utf8(fields.nth(1)?).ok()?.parse().ok()?;
    Some((number, name.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::Names;

    #[test]
    fn names_come_from_the_first_line_with_the_number() {
        let passwd = b"root:x:0:0:root:/root:/bin/bash\ntoor:x:0:0::/:/bin/sh\nann:x:1000:1000\n";
        let group = b"# comment:x:7:\nadm:*:4:ann,bob\nbroken\n:x:9:\nwheel:x:notanumber:\n";
        let names = Names::parse(passwd, group);
        assert_eq!(names.user(0), Some(&b"root"[..]));
        assert_eq!(names.user(1000), Some(&b"ann"[..]));
        assert_eq!(names.user(7), None);
        assert_eq!(names.group(4), Some(&b"adm"[..]));
        assert_eq!((names.group(7), names.group(9)), (None, None));
    }
}
