//! Disks.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use strongroom_nbd::{Export, ExportError, Stretch};

/// Contents of this many bytes, noise in these ranges and zeros elsewhere.
pub fn image(size: usize, noise: &[Range<usize>]) -> Vec<u8> {
    let mut contents = vec![0; size];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for range in noise {
        for byte in &mut contents[range.clone()] {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // Never zero, so that zeros are where they are meant to be.
            *byte = (state >> 56) as u8 | 1;
        }
    }
    contents
}

/// Contents with noise in one range.
pub fn noise(size: usize, range: Range<usize>) -> Vec<u8> {
    image(size, &[range, 0..0])
}

/// A disk in memory, which knows its zeros in blocks.
pub struct Disk {
    contents: Bytes,
}

impl Disk {
    const BLOCK: usize = 4096;

    pub fn of(contents: Vec<u8>) -> Self {
        let contents = contents.into();
        Self { contents }
    }
}

#[async_trait]
impl Export for Disk {
    fn size(&self) -> u64 {
        self.contents.len() as u64
    }

    fn description(&self) -> String {
        "a disk in memory".into()
    }

    async fn read(&self, offset: u64, length: u32) -> Result<Bytes, ExportError> {
        let offset = offset as usize;
        Ok(self.contents.slice(offset..offset + length as usize))
    }

    async fn extents(&self, range: Range<u64>) -> Result<Vec<Stretch>, ExportError> {
        let (mut at, end) = (range.start as usize, range.end as usize);
        let mut stretches = Vec::new();
        while at < end {
            let next = (at / Self::BLOCK + 1) * Self::BLOCK;
            let block = &self.contents[at..next.min(end)];
            stretches.push(Stretch {
                length: block.len() as u64,
                zero: block.iter().all(|byte| *byte == 0),
            });
            at = next;
        }
        Ok(stretches)
    }
}
