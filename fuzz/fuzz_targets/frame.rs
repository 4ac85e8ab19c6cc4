//! The stream that `fetch` answers with, in pieces of any size.
//!
//! Input: the size of the pieces, the stream.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

/// The file itself, because linking `strongroom-api` would build a whole HTTP client for each fuzzer.
#[allow(dead_code)]
#[path = "../../crates/api/src/frame.rs"]
mod frame;

use frame::{Frame, FrameError, FrameParser};

fuzz_target!(|data: &[u8]| {
    let Some((piece, stream)) = data.split_first() else {
        return;
    };
    let pieces = parse(stream, 1 + usize::from(*piece));
    assert_eq!(
        pieces,
        parse(stream, stream.len().max(1)),
        "the same however the stream is cut"
    );
});

fn parse(stream: &[u8], piece: usize) -> (Vec<Frame>, Result<(), FrameError>) {
    let (mut parser, mut frames) = (FrameParser::default(), Vec::new());
    for piece in stream.chunks(piece) {
        parser.push(Bytes::copy_from_slice(piece));
        loop {
            match parser.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
    }
    (frames, parser.finish())
}
