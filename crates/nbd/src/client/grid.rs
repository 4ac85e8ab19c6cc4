//! Where requests may begin and end, and how long they may be.

use std::ops::Range;

use super::ExportInfo;
use crate::NbdError;
use crate::wire::PAYLOAD_BYTES_MAX;

/// What a server bears, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Grid {
    /// Requests begin and end at multiples of it.
    step: u64,
    /// The longest read: a multiple of `step`.
    longest: u64,
}

impl Grid {
    /// The grid of an export, for requests that together have no more bytes in flight than these.
    pub fn of(export: &ExportInfo, bytes_in_flight_max: u32) -> Result<Self, NbdError> {
        let step = u64::from(export.block_size.minimum);
        // The last bytes could not be read, and a backup without them would be none.
        if !export.size.is_multiple_of(step) {
            let why = format!("{} bytes in blocks of {step}", export.size);
            return Err(NbdError::Violation(why));
        }
        let longest = export
            .block_size
            .maximum
            .min(PAYLOAD_BYTES_MAX)
            .min(bytes_in_flight_max);
        let longest = u64::from(longest) / step * step;
        Ok(Self {
            step,
            longest: longest.max(step),
        })
    }

    /// The shortest range on the grid with all of this one in it. It ends within an export that the range is in.
    pub fn around(&self, range: &Range<u64>) -> Range<u64> {
        range.start / self.step * self.step..range.end.next_multiple_of(self.step)
    }

    /// Cuts a range on the grid into reads: their offsets and lengths.
    pub fn pieces(&self, range: &Range<u64>) -> impl Iterator<Item = (u64, u32)> + use<> {
        let (mut at, end, longest) = (range.start, range.end, self.longest);
        std::iter::from_fn(move || {
            let length = (end - at).min(longest);
            let piece = (at, u32::try_from(length).expect("the longest read fits 32 bits"));
            at += length;
            (length > 0).then_some(piece)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{BlockSize, TransmissionFlags};

    fn grid(size: u64, minimum: u32, maximum: u32, in_flight: u32) -> Result<Grid, NbdError> {
        let export = ExportInfo {
            name: "d0".into(),
            description: None,
            size,
            flags: TransmissionFlags(1),
            block_size: BlockSize {
                minimum,
                preferred: 4096,
                maximum,
            },
        };
        Grid::of(&export, in_flight)
    }

    #[test]
    fn requests_keep_to_the_grid() {
        let grid = grid(10_240, 512, 1500, 1 << 20).unwrap();
        assert_eq!(grid.around(&(513..514)), 512..1024);
        assert_eq!(grid.around(&(10_239..10_240)), 9728..10_240);
        let pieces: Vec<_> = grid.pieces(&(512..3584)).collect();
        assert_eq!(pieces, [(512, 1024), (1536, 1024), (2560, 1024)]);
        assert_eq!(grid.pieces(&(512..512)).count(), 0);
    }

    #[test]
    fn no_request_is_longer_than_what_may_be_in_flight() {
        let pieces: Vec<_> = grid(10_000, 1, u32::MAX, 4000).unwrap().pieces(&(0..10_000)).collect();
        assert_eq!(pieces, [(0, 4000), (4000, 4000), (8000, 2000)]);
        let pieces: Vec<_> = grid(8192, 4096, u32::MAX, 100).unwrap().pieces(&(0..8192)).collect();
        assert_eq!(pieces, [(0, 4096), (4096, 4096)], "but a block is read as a whole");
    }

    #[test]
    fn a_last_block_that_cannot_be_read_is_an_error() {
        assert!(matches!(grid(10_000, 512, u32::MAX, 4000), Err(NbdError::Violation(_))));
    }
}
