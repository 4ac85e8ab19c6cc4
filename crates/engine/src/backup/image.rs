//! Which files are identified in fixed blocks instead of by their contents' own cuts.
//!
//! Disk images and data files of databases change in place, a few KiB here and there. Cut by contents, every chunk of them
//! changes; in aligned blocks of 64 KiB, only the blocks that changed do.

use strongroom_sources::files::Meta;

/// Names that end like this are images or database files.
const EXTENSIONS: &[&str] = &[
    "img", "raw", "qcow2", "qcow", "vmdk", "vhd", "vhdx", "vdi", "hdd", "dd", "ibd", "mdf", "ndf", "ldf", "db",
    "sqlite", "sqlite3", "mdb", "accdb", "edb", "dbf", "pst",
];

/// Smaller files gain nothing.
const IMAGE_BYTES_MIN: u64 = 1 << 20;

/// What an image begins with: offset and bytes.
const MAGICS: &[(usize, &[u8])] = &[
    (0, b"QFI\xfb"),
    (0, b"KDMV"),
    (0, b"vhdxfile"),
    (0, b"conectix"),
    (0, b"SQLite format 3\0"),
    (0, b"XFSB"),
    (1080, b"\x53\xef"),
    (512, b"EFI PART"),
];

/// How many bytes of a file's beginning [`is_image`] looks at.
pub const HEAD_BYTES: usize = 2048;

/// Whether a file is to be kept in blocks. `head` is its beginning.
pub fn is_image(name: &[u8], meta: &Meta, head: &[u8]) -> bool {
    if meta.may_have_holes() {
        return true;
    }
    meta.size >= IMAGE_BYTES_MIN && (has_extension(name) || has_magic(head))
}

fn has_extension(name: &[u8]) -> bool {
    let Some(dot) = name.iter().rposition(|&byte| byte == b'.') else {
        return false;
    };
    let extension = name[dot + 1..].to_ascii_lowercase();
    EXTENSIONS.iter().any(|known| known.as_bytes() == extension)
}

fn has_magic(head: &[u8]) -> bool {
    MAGICS
        .iter()
        .any(|(offset, magic)| head.get(*offset..offset + magic.len()) == Some(magic))
}
