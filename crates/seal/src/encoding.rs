//! Compression and padding: what exactly is sealed.
//!
//! ```text
//! payload := codec:u8 | body length:u32le | body | zeros, until body and zeros have the padded length
//! codec   := 0 the plain bytes | 1 one zstd frame that states its content's size, without checksum
//! ```
//!
//! A decoder accepts only what an encoder could have written: a known codec, exactly the padded length that follows
//! from the body's, zeros as padding, one frame with nothing after it. So a payload has no room for hidden bytes.
//! (A frame itself may be any that zstd can read: other versions of zstd write others.)
//!
//! Compression is deterministic for one version of zstd and one level: the output buffer always has at least zstd's
//! bound, because with less room zstd may decide otherwise, and a used context gives what a fresh one gives (tested).

use std::io::Cursor;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{self, CParameter};

use crate::opener::OpenError;
use crate::padding::padded_length;
use crate::probe::Probe;
use crate::{Level, sealer};

/// Most bytes that one payload may have before compression. Chunks and pages are bounded far below; this is what keeps
/// lengths within their 32-bit field.
pub const PLAIN_BYTES_MAX: usize = 1 << 30;

/// Bytes before the body.
pub(crate) const HEAD_LENGTH: usize = 5;
const CODEC_PLAIN: u8 = 0;
const CODEC_ZSTD: u8 = 1;
const ZSTD_MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();

/// Writes payloads. Owns a zstd context and the probe's; one per thread.
pub(crate) struct Encoder {
    zstd: Compressor<'static>,
    probe: Probe,
}

impl Encoder {
    pub(crate) fn new(level: Level) -> Encoder {
        let mut zstd = Compressor::new(level.get()).expect("a Level lies within zstd's bounds");
        for parameter in [CParameter::ContentSizeFlag(true), CParameter::ChecksumFlag(false)] {
            zstd.set_parameter(parameter).expect("zstd knows its frame parameters");
        }
        Encoder {
            zstd,
            probe: Probe::new(),
        }
    }

    /// Appends the payload that encodes `plain`.
    pub(crate) fn encode(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        if !self.encode_zstd(plain, out) {
            encode_plain(plain, out);
        }
    }

    /// Appends the compressed form if that pays, else leaves `out` as it was and returns false.
    fn encode_zstd(&mut self, plain: &[u8], out: &mut Vec<u8>) -> bool {
        let start = out.len();
        out.reserve(HEAD_LENGTH + zstd_safe::compress_bound(plain.len()) + sealer::AFTER_PAYLOAD);
        if !self.probe.pays(plain, out) {
            return false;
        }
        out.extend_from_slice(&head(CODEC_ZSTD, 0));
        let body_start = out.len();
        let length = append_compressed(&mut self.zstd, plain, out);
        if !pays(plain.len(), length) {
            out.truncate(start);
            return false;
        }
        out[start..body_start].copy_from_slice(&head(CODEC_ZSTD, length));
        out.resize(body_start + padded_length(length), 0);
        true
    }
}

/// Appends `plain` as one zstd frame and returns the frame's length. There is always room for zstd's bound, so this
/// cannot fail, and the result does not depend on how much room there happens to be.
pub(crate) fn append_compressed(compressor: &mut Compressor, plain: &[u8], out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.reserve(zstd_safe::compress_bound(plain.len()));
    let mut place = Cursor::new(out);
    place.set_position(start as u64);
    compressor
        .compress_to_buffer(plain, &mut place)
        .expect("the buffer has zstd's bound for the payload")
}

/// Appends the payload that holds the plain bytes themselves.
pub(crate) fn encode_plain(plain: &[u8], out: &mut Vec<u8>) {
    let end = out.len() + HEAD_LENGTH + padded_length(plain.len());
    out.reserve(end + sealer::AFTER_PAYLOAD - out.len());
    out.extend_from_slice(&head(CODEC_PLAIN, plain.len()));
    out.extend_from_slice(plain);
    out.resize(end, 0);
}

/// Compressed bytes are kept when they save a 64th and at least one step of padding; reading plain bytes is faster.
fn pays(plain_length: usize, body_length: usize) -> bool {
    let saved = plain_length.saturating_sub(body_length);
    saved >= plain_length / 64 && padded_length(body_length) < padded_length(plain_length)
}

fn head(codec: u8, body_length: usize) -> [u8; HEAD_LENGTH] {
    let length = u32::try_from(body_length).expect("a payload is at most PLAIN_BYTES_MAX long");
    let [a, b, c, d] = length.to_le_bytes();
    [codec, a, b, c, d]
}

/// Reads payloads. Owns a zstd context; one per thread.
pub(crate) struct Decoder {
    zstd: Decompressor<'static>,
}

impl Decoder {
    pub(crate) fn new() -> Decoder {
        Decoder {
            zstd: Decompressor::new().expect("zstd takes an empty dictionary"),
        }
    }

    /// Appends what `payload` encodes, at most `plain_max` bytes. After an error `out` is as it was.
    pub(crate) fn decode(&mut self, payload: &[u8], plain_max: usize, out: &mut Vec<u8>) -> Result<(), OpenError> {
        let (codec, body) = split(payload)?;
        match codec {
            CODEC_PLAIN => decode_plain(body, plain_max, out),
            CODEC_ZSTD => self.decode_zstd(body, plain_max, out),
            _ => Err(OpenError::Encoding { why: "unknown codec" }),
        }
    }

    fn decode_zstd(&mut self, frame: &[u8], plain_max: usize, out: &mut Vec<u8>) -> Result<(), OpenError> {
        let declared = declared_length(frame)?;
        check_length(declared, plain_max)?;
        let (start, length) = (out.len(), declared as usize);
        out.reserve(length);
        let mut place = Cursor::new(&mut *out);
        place.set_position(start as u64);
        match self.zstd.decompress_to_buffer(frame, &mut place) {
            Ok(written) if written == length => Ok(()),
            _ => {
                out.truncate(start);
                Err(OpenError::Encoding {
                    why: "zstd cannot decompress the frame",
                })
            }
        }
    }
}

fn decode_plain(body: &[u8], plain_max: usize, out: &mut Vec<u8>) -> Result<(), OpenError> {
    check_length(body.len() as u64, plain_max)?;
    out.extend_from_slice(body);
    Ok(())
}

/// Codec and body of a payload whose lengths and padding are right.
fn split(payload: &[u8]) -> Result<(u8, &[u8]), OpenError> {
    let (&[codec, a, b, c, d], rest) = payload.split_first_chunk::<HEAD_LENGTH>().ok_or(OpenError::Encoding {
        why: "shorter than its head",
    })?;
    let body_length = u32::from_le_bytes([a, b, c, d]) as usize;
    let (body, padding) = rest.split_at_checked(body_length).ok_or(OpenError::Encoding {
        why: "body longer than the blob",
    })?;
    if rest.len() != padded_length(body_length) {
        return Err(OpenError::Encoding {
            why: "wrong amount of padding",
        });
    }
    if padding.iter().any(|&byte| byte != 0) {
        return Err(OpenError::Encoding {
            why: "padding is not zero",
        });
    }
    Ok((codec, body))
}

/// The content's size that a body states, which must be exactly one zstd frame.
fn declared_length(frame: &[u8]) -> Result<u64, OpenError> {
    let one_frame = frame.starts_with(&ZSTD_MAGIC) && zstd_safe::find_frame_compressed_size(frame) == Ok(frame.len());
    if !one_frame {
        return Err(OpenError::Encoding {
            why: "body is not one zstd frame",
        });
    }
    match zstd_safe::get_frame_content_size(frame) {
        Ok(Some(length)) => Ok(length),
        _ => Err(OpenError::Encoding {
            why: "zstd frame does not state its content's size",
        }),
    }
}

/// Bounds a length before anything is allocated for it.
fn check_length(declared: u64, plain_max: usize) -> Result<(), OpenError> {
    let max = plain_max.min(PLAIN_BYTES_MAX);
    if declared > max as u64 {
        return Err(OpenError::TooLong { declared, max });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(length: usize) -> Vec<u8> {
        (0u32..)
            .flat_map(|line| format!("line {line} of a text that repeats\n").into_bytes())
            .take(length)
            .collect()
    }

    fn random(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new()
            .update(b"encoding")
            .finalize_xof()
            .fill(&mut bytes);
        bytes
    }

    fn encoded(plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Encoder::new(Level::default()).encode(plain, &mut out);
        out
    }

    fn decoded(payload: &[u8], plain_max: usize) -> Result<Vec<u8>, OpenError> {
        let mut out = b"before".to_vec();
        let result = Decoder::new().decode(payload, plain_max, &mut out);
        assert!(out.starts_with(b"before") && (result.is_ok() || out.len() == 6));
        result.map(|()| out.split_off(6))
    }

    /// A payload with this codec and body, correctly padded.
    fn payload(codec: u8, body: &[u8]) -> Vec<u8> {
        let mut out = [&head(codec, body.len()), body].concat();
        out.resize(HEAD_LENGTH + padded_length(body.len()), 0);
        out
    }

    #[test]
    fn chooses_the_codec_by_what_it_saves() {
        let cases = [
            ("empty", vec![], CODEC_PLAIN),
            ("one byte", vec![1], CODEC_PLAIN),
            (
                "short and uniform, but within one step of padding",
                vec![7; 50],
                CODEC_PLAIN,
            ),
            ("uniform", vec![7; 1000], CODEC_ZSTD),
            ("text", text(100_000), CODEC_ZSTD),
            ("small and random", random(10_000), CODEC_PLAIN),
            ("random", random(100_000), CODEC_PLAIN),
        ];
        for (name, plain, codec) in cases {
            let payload = encoded(&plain);
            assert_eq!(payload[0], codec, "{name}");
            assert_eq!(decoded(&payload, plain.len()).unwrap(), plain, "{name}");
        }
    }

    #[test]
    fn saving_must_reach_a_64th() {
        let cases = [
            ((6400, 6300), true),
            ((6400, 6301), false),
            ((6400, 6400), false),
            ((100, 200), false),
        ];
        for ((plain, body), expected) in cases {
            assert_eq!(pays(plain, body), expected, "{plain} to {body}");
        }
    }

    #[test]
    fn length_is_bounded_before_anything_is_allocated() {
        for plain in [text(100_000), random(100_000)] {
            let error = decoded(&encoded(&plain), 99_999).unwrap_err();
            assert_eq!(
                error,
                OpenError::TooLong {
                    declared: 100_000,
                    max: 99_999
                }
            );
        }
        // A frame header alone, single segment, that promises 2^60 bytes, then an empty last block.
        let bomb = [&ZSTD_MAGIC[..], &[0xE0], &(1u64 << 60).to_le_bytes(), &[1, 0, 0]].concat();
        let error = decoded(&payload(CODEC_ZSTD, &bomb), usize::MAX).unwrap_err();
        assert_eq!(
            error,
            OpenError::TooLong {
                declared: 1 << 60,
                max: PLAIN_BYTES_MAX
            }
        );
    }

    #[test]
    fn deviating_encodings_are_refused() {
        let frame = zstd::bulk::compress(&text(1000), 3).unwrap();
        let longer = |extra: &[u8]| [&frame[..], extra].concat();
        let mut unstated = zstd::bulk::Compressor::new(3).unwrap();
        unstated.set_parameter(CParameter::ContentSizeFlag(false)).unwrap();
        let unstated = unstated.compress(&text(1000)).unwrap();
        let skippable = [&0x184D_2A50_u32.to_le_bytes()[..], &4u32.to_le_bytes(), &[0; 4]].concat();
        let mut lying = frame.clone();
        lying[5] ^= 1; // The stated content's size, in a single-segment frame.
        let mut unclean = payload(CODEC_PLAIN, b"plain");
        *unclean.last_mut().unwrap() = 1;
        let mut overpadded = payload(CODEC_PLAIN, b"plain");
        overpadded.extend_from_slice(&[0; 64]);
        let cases = [
            ("empty", vec![], "shorter than its head"),
            ("four bytes", vec![0; 4], "shorter than its head"),
            (
                "body too long",
                [&head(0, 65)[..], &[0; 64]].concat(),
                "body longer than the blob",
            ),
            (
                "no padding",
                [&head(0, 5)[..], b"plain"].concat(),
                "wrong amount of padding",
            ),
            ("too much padding", overpadded, "wrong amount of padding"),
            ("padding not zero", unclean, "padding is not zero"),
            ("codec", payload(2, b"plain"), "unknown codec"),
            ("no frame", payload(CODEC_ZSTD, b"plain"), "body is not one zstd frame"),
            ("empty frame", payload(CODEC_ZSTD, b""), "body is not one zstd frame"),
            (
                "bytes after the frame",
                payload(CODEC_ZSTD, &longer(b"x")),
                "body is not one zstd frame",
            ),
            (
                "two frames",
                payload(CODEC_ZSTD, &longer(&frame)),
                "body is not one zstd frame",
            ),
            (
                "skippable frame",
                payload(CODEC_ZSTD, &skippable),
                "body is not one zstd frame",
            ),
            (
                "cut frame",
                payload(CODEC_ZSTD, &frame[..frame.len() - 1]),
                "body is not one zstd frame",
            ),
            (
                "no size",
                payload(CODEC_ZSTD, &unstated),
                "zstd frame does not state its content's size",
            ),
            (
                "wrong size",
                payload(CODEC_ZSTD, &lying),
                "zstd cannot decompress the frame",
            ),
        ];
        for (name, payload, why) in cases {
            assert_eq!(
                decoded(&payload, 1 << 20).unwrap_err(),
                OpenError::Encoding { why },
                "{name}"
            );
        }
    }

    #[test]
    fn a_used_encoder_gives_what_a_fresh_one_gives() {
        let mut used = Encoder::new(Level::default());
        for length in [1 << 20, 10, 300_000, 70_000, 1000, 1 << 20, 0, 65_536] {
            // A large spare capacity must not change anything either.
            let mut out = Vec::with_capacity(8 << 20);
            used.encode(&text(length), &mut out);
            assert_eq!(out, encoded(&text(length)), "{length}");
        }
    }
}
