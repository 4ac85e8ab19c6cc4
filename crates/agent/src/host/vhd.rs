//! Fixed VHDs: the disk's bytes and a footer, by Microsoft's "Virtual Hard Disk Image Format Specification" of 2006.

use uuid::Uuid;

/// In bytes.
pub(super) const FOOTER_BYTES: usize = 512;

/// Readers believe the size that the footer of this program says, which is Microsoft's own, and of others its geometry
/// only: QEMU's `block/vpc.c` has the list.
const CREATOR: &[u8; 4] = b"win ";

/// Seconds from 1970 to the beginning of 2000, from which the format counts.
const YEAR_2000: i64 = 946_684_800;

/// The most that a geometry reaches, in sectors.
const SECTORS_MAX: u64 = 65_535 * 16 * 255;

/// Cylinders, heads, and sectors of each track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Geometry {
    cylinders: u16,
    heads: u8,
    sectors: u8,
}

impl Geometry {
    /// As the specification's appendix calculates it. It reaches less than the whole disk.
    fn of(sectors: u64) -> Self {
        let total = sectors.min(SECTORS_MAX);
        let (mut per_track, mut heads, mut tracks);
        if total >= 65_535 * 16 * 63 {
            (per_track, heads) = (255, 16);
            tracks = total / per_track;
        } else {
            per_track = 17;
            tracks = total / per_track;
            heads = tracks.div_ceil(1024).max(4);
            if tracks >= heads * 1024 || heads > 16 {
                (per_track, heads) = (31, 16);
                tracks = total / per_track;
            }
            if tracks >= heads * 1024 {
                (per_track, heads) = (63, 16);
                tracks = total / per_track;
            }
        }
        let small = "no more than the largest geometry";
        Self {
            cylinders: u16::try_from(tracks / heads).expect(small),
            heads: u8::try_from(heads).expect(small),
            sectors: u8::try_from(per_track).expect(small),
        }
    }
}

/// The footer of a disk of so many bytes, a multiple of 512; `made` is in seconds since 1970.
pub(super) fn footer(bytes: u64, id: Uuid, made: i64) -> [u8; FOOTER_BYTES] {
    let mut footer = [0; FOOTER_BYTES];
    let mut put = |at: usize, field: &[u8]| footer[at..at + field.len()].copy_from_slice(field);
    put(0, b"conectix");
    // Features: one bit that is always set. Then the version of the format.
    put(8, &2_u32.to_be_bytes());
    put(12, &0x0001_0000_u32.to_be_bytes());
    // There is no header of a dynamic disk.
    put(16, &u64::MAX.to_be_bytes());
    let made = u32::try_from((made - YEAR_2000).max(0)).unwrap_or(u32::MAX);
    put(24, &made.to_be_bytes());
    put(28, CREATOR);
    put(32, &0x000a_0000_u32.to_be_bytes());
    put(36, b"Wi2k");
    put(40, &bytes.to_be_bytes());
    put(48, &bytes.to_be_bytes());
    let geometry = Geometry::of(bytes / 512);
    put(56, &geometry.cylinders.to_be_bytes());
    put(58, &[geometry.heads, geometry.sectors]);
    // Of fixed size.
    put(60, &2_u32.to_be_bytes());
    put(68, id.as_bytes());
    let sum: u32 = footer.iter().map(|byte| u32::from(*byte)).sum();
    footer[64..68].copy_from_slice(&(!sum).to_be_bytes());
    footer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geometries_are_those_of_the_appendix() {
        let of = |sectors: u64| {
            let Geometry {
                cylinders,
                heads,
                sectors,
            } = Geometry::of(sectors);
            (cylinders, heads, sectors)
        };
        for (mebibytes, expected) in [
            (1, (30, 4, 17)),
            (100, (1003, 12, 17)),
            (200, (825, 16, 31)),
            (256, (520, 16, 63)),
            (1024, (2080, 16, 63)),
            (40 << 10, (20_560, 16, 255)),
            (2 << 20, (65_535, 16, 255)),
        ] {
            assert_eq!(of(mebibytes * 2048), expected, "{mebibytes} MiB");
        }
        for mebibytes in 1..5000 {
            let sectors = mebibytes * 2048;
            let (cylinders, heads, per_track) = of(sectors);
            let cylinder = u64::from(heads) * u64::from(per_track);
            let reached = u64::from(cylinders) * cylinder;
            assert!(reached <= sectors && sectors - reached < cylinder, "{mebibytes} MiB");
        }
    }
}
