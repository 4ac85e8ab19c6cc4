//! The stream that `fetch` answers with.
//!
//! `frame := identity[32] status:u8 length:u32le bytes`, status 0 = the blob, 1 = damaged (bytes say why, in UTF-8),
//! 2 = not found (no bytes), 3 = a remark about the pack's table of contents (bytes say what; the blob has its own frame).

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes, BytesMut};
use strongroom_model::BlobId;

/// The length of what stands before a frame's bytes.
pub const FRAME_HEADER_LENGTH: usize = 37;

/// The longest blob, the same figure as in the format crate.
const BLOB_BYTES_MAX: u32 = 8 << 20;

/// The longest reason or remark, in bytes.
const TEXT_BYTES_MAX: u32 = 4096;

/// What kind of frame it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameStatus {
    /// The blob's bytes.
    Found = 0,
    /// Why the blob cannot be given.
    Damaged = 1,
    /// The vault has no such blob that the caller may read.
    NotFound = 2,
    /// What is wrong with the pack around a blob.
    Remark = 3,
}

impl FrameStatus {
    fn parse(byte: u8) -> Option<Self> {
        [Self::Found, Self::Damaged, Self::NotFound, Self::Remark]
            .into_iter()
            .find(|status| *status as u8 == byte)
    }

    fn length_max(self) -> u32 {
        match self {
            Self::Found => BLOB_BYTES_MAX,
            Self::Damaged | Self::Remark => TEXT_BYTES_MAX,
            Self::NotFound => 0,
        }
    }
}

/// What stands before a frame's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// The blob that the frame is about.
    pub id: BlobId,
    /// What kind of frame it is.
    pub status: FrameStatus,
    /// How many bytes follow.
    pub length: u32,
}

impl FrameHeader {
    /// The header's bytes.
    pub fn to_bytes(&self) -> [u8; FRAME_HEADER_LENGTH] {
        let mut bytes = [0; FRAME_HEADER_LENGTH];
        bytes[..32].copy_from_slice(self.id.as_bytes());
        bytes[32] = self.status as u8;
        bytes[33..].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }

    fn parse(bytes: &[u8; FRAME_HEADER_LENGTH]) -> Result<Self, FrameError> {
        let id = BlobId::from_bytes(bytes[..32].try_into().expect("32 of 37 bytes"));
        let length = u32::from_le_bytes(bytes[33..].try_into().expect("4 of 37 bytes"));
        let status = FrameStatus::parse(bytes[32]).ok_or(FrameError::Status { id, status: bytes[32] })?;
        if length > status.length_max() {
            return Err(FrameError::Length { id, length });
        }
        Ok(Self { id, status, length })
    }
}

/// One answer of `fetch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The blob's stored bytes. Whoever asked checks that they have the identity.
    Found {
        /// The blob.
        id: BlobId,
        /// Its stored bytes.
        bytes: Bytes,
    },
    /// The blob cannot be given.
    Damaged {
        /// The blob.
        id: BlobId,
        /// Why, naming the pack.
        why: String,
    },
    /// The vault has no such blob that the caller may read.
    NotFound {
        /// The blob.
        id: BlobId,
    },
    /// Something is wrong with the pack around a blob; the blob has its own frame.
    Remark {
        /// A blob of that pack.
        id: BlobId,
        /// What is wrong, naming the pack.
        why: String,
    },
}

impl Frame {
    fn new(header: FrameHeader, bytes: Bytes) -> Self {
        let id = header.id;
        let text = || String::from_utf8_lossy(&bytes).into_owned();
        match header.status {
            FrameStatus::Found => Self::Found { id, bytes },
            FrameStatus::Damaged => Self::Damaged { id, why: text() },
            FrameStatus::NotFound => Self::NotFound { id },
            FrameStatus::Remark => Self::Remark { id, why: text() },
        }
    }

    /// The blob that the frame is about.
    pub fn id(&self) -> BlobId {
        match self {
            Self::Found { id, .. } | Self::Damaged { id, .. } | Self::NotFound { id } | Self::Remark { id, .. } => *id,
        }
    }
}

/// What breaks the grammar of frames.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// There is no such status.
    #[error("the answer about blob {id} has the unknown status {status}")]
    Status {
        /// The blob.
        id: BlobId,
        /// The status byte.
        status: u8,
    },
    /// Longer than any.
    #[error("the answer about blob {id} claims {length} bytes, more than are allowed")]
    Length {
        /// The blob.
        id: BlobId,
        /// The claimed length.
        length: u32,
    },
    /// The stream ended inside a frame.
    #[error("the stream of blobs ended inside one")]
    Cut,
}

/// Takes the stream piece by piece and gives whole frames. Holds at most one frame and one piece.
#[derive(Debug, Default)]
pub struct FrameParser {
    pieces: VecDeque<Bytes>,
    buffered: usize,
    header: Option<FrameHeader>,
}

impl FrameParser {
    /// Hands over the next piece of the stream.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.buffered += piece.len();
            self.pieces.push_back(piece);
        }
    }

    /// The next whole frame, or `None` when more pieces are needed.
    ///
    /// # Errors
    /// When the stream breaks the grammar.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let header = match self.header {
            Some(header) => header,
            None if self.buffered < FRAME_HEADER_LENGTH => return Ok(None),
            None => {
                let bytes = self.take(FRAME_HEADER_LENGTH);
                FrameHeader::parse(bytes[..].try_into().expect("exactly a header was taken"))?
            }
        };
        if self.buffered < header.length as usize {
            self.header = Some(header);
            return Ok(None);
        }
        self.header = None;
        Ok(Some(Frame::new(header, self.take(header.length as usize))))
    }

    /// Whether the stream may end here.
    ///
    /// # Errors
    /// When it ended inside a frame.
    pub fn finish(&self) -> Result<(), FrameError> {
        match self.header.is_none() && self.buffered == 0 {
            true => Ok(()),
            false => Err(FrameError::Cut),
        }
    }

    /// Takes `length` buffered bytes: without copying when they lie in one piece.
    fn take(&mut self, length: usize) -> Bytes {
        self.buffered -= length;
        if let Some(first) = self.pieces.front_mut()
            && first.len() > length
        {
            return first.split_to(length);
        }
        if self.pieces.front().is_some_and(|first| first.len() == length) {
            return self.pieces.pop_front().expect("there is a first piece");
        }
        let mut joined = BytesMut::with_capacity(length);
        while joined.len() < length {
            let first = self
                .pieces
                .front_mut()
                .expect("the caller checked that so many bytes are buffered");
            let part = first.len().min(length - joined.len());
            joined.extend_from_slice(&first[..part]);
            first.advance(part);
            if first.is_empty() {
                self.pieces.pop_front();
            }
        }
        joined.freeze()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stream(frames: &[(u8, u8, Vec<u8>)]) -> Vec<u8> {
        let mut stream = Vec::new();
        for (id, status, bytes) in frames {
            let status = FrameStatus::parse(*status).unwrap();
            let id = BlobId::from_bytes([*id; 32]);
            stream.extend(
                FrameHeader {
                    id,
                    status,
                    length: bytes.len() as u32,
                }
                .to_bytes(),
            );
            stream.extend(bytes);
        }
        stream
    }

    fn parse(stream: &[u8], piece: usize) -> Result<Vec<Frame>, FrameError> {
        let (mut parser, mut frames) = (FrameParser::default(), Vec::new());
        for piece in stream.chunks(piece) {
            parser.push(Bytes::copy_from_slice(piece));
            while let Some(frame) = parser.next_frame()? {
                frames.push(frame);
            }
        }
        parser.finish()?;
        Ok(frames)
    }

    proptest! {
        #[test]
        fn frames_come_out_however_the_stream_is_cut(
            found in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..300)), 0..8),
            piece in 1usize..200,
        ) {
            let input: Vec<_> = found.iter().map(|(id, bytes)| (*id, 0, bytes.clone())).collect();
            let expected: Vec<_> = found
                .into_iter()
                .map(|(id, bytes)| Frame::Found { id: BlobId::from_bytes([id; 32]), bytes: bytes.into() })
                .collect();
            prop_assert_eq!(parse(&stream(&input), piece).unwrap(), expected);
        }

        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..500), piece in 1usize..64) {
            let _ = parse(&bytes, piece);
        }
    }

    #[test]
    fn all_kinds_of_frames() {
        let input = [
            (1, 0, b"blob".to_vec()),
            (2, 1, b"bad".to_vec()),
            (3, 2, vec![]),
            (4, 3, b"toc".to_vec()),
        ];
        let id = |byte| BlobId::from_bytes([byte; 32]);
        let expected = [
            Frame::Found {
                id: id(1),
                bytes: Bytes::from_static(b"blob"),
            },
            Frame::Damaged {
                id: id(2),
                why: "bad".to_owned(),
            },
            Frame::NotFound { id: id(3) },
            Frame::Remark {
                id: id(4),
                why: "toc".to_owned(),
            },
        ];
        assert_eq!(parse(&stream(&input), 1000).unwrap(), expected);
    }

    #[test]
    fn crooked_streams_are_refused() {
        let good = stream(&[(1, 0, b"blob".to_vec())]);
        assert_eq!(parse(&good[..good.len() - 1], 7), Err(FrameError::Cut));
        assert_eq!(parse(&good[..10], 7), Err(FrameError::Cut));
        let id = BlobId::from_bytes([1; 32]);
        let mut unknown = good.clone();
        unknown[32] = 9;
        assert_eq!(parse(&unknown, 7), Err(FrameError::Status { id, status: 9 }));
        for (status, length) in [(0, BLOB_BYTES_MAX + 1), (1, TEXT_BYTES_MAX + 1), (2, 1), (0, u32::MAX)] {
            let mut long = good.clone();
            long[32] = status;
            long[33..37].copy_from_slice(&length.to_le_bytes());
            assert_eq!(parse(&long, 7), Err(FrameError::Length { id, length }));
        }
    }
}
