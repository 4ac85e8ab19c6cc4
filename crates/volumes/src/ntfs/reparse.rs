//! Reparse points: links, and files whose contents are elsewhere (MS-FSCC 2.1.2).

use crate::bytes::{le16, le32, part};

use super::text;

/// The longest there is, in bytes.
pub(super) const MAX: u64 = 16 << 10;

const SYMBOLIC_LINK: u32 = 0xa000_000c;
const JUNCTION: u32 = 0xa000_0003;
const LINK_OF_LINUX: u32 = 0xa000_001d;

pub(super) fn is_link(reparse: &[u8]) -> bool {
    matches!(le32(reparse, 0), SYMBOLIC_LINK | JUNCTION | LINK_OF_LINUX)
}

/// Where it points to, as shown to people; with backslashes, as it stands there.
pub(super) fn target(reparse: &[u8]) -> Vec<u8> {
    let names = match le32(reparse, 0) {
        LINK_OF_LINUX => return part(reparse, 12, usize::from(le16(reparse, 4)).saturating_sub(4)).to_vec(),
        SYMBOLIC_LINK => 20,
        _ => 16,
    };
    let name = |at: usize| {
        text(
            reparse,
            names + usize::from(le16(reparse, at)),
            usize::from(le16(reparse, at + 2)),
        )
    };
    let shown = name(12);
    if shown.is_empty() { name(8) } else { shown }
}

pub(super) fn why_not(reparse: &[u8]) -> String {
    match le32(reparse, 0) {
        0x8000_0017 => "Windows has compressed this file in a form (WOF) that is not read here".to_owned(),
        0x8000_0013 => "Windows has deduplicated this file, and its contents are elsewhere".to_owned(),
        other => format!("its contents are elsewhere (reparse point {other:#010x})"),
    }
}
