//! Answers one request.

use std::ops::Range;

use bytes::Bytes;

use super::negotiation::{ALLOCATION_ID, Agreed};
use super::{ExportError, Stretch};
use crate::wire::{
    ChunkKind, Command, Descriptor, Errno, Failure, PAYLOAD_BYTES_MAX, Payload, Request, chunk_header, command,
    simple_reply, state,
};

/// Zeros that are shorter are sent as contents, in bytes: a chunk of their own would be no gain.
const HOLE_BYTES_MIN: u64 = 4096;
/// Extents of one answer.
const EXTENTS_MAX: usize = 1 << 16;

/// What is sent, one after the other: headers and contents.
pub type Reply = Vec<Bytes>;

/// The answer to any request but a goodbye. It never fails: errors are answers too.
pub async fn reply(agreed: &Agreed, request: &Request) -> Reply {
    match answer(agreed, request).await {
        Ok(reply) => reply,
        Err(error) => refusal(agreed, request, error),
    }
}

async fn answer(agreed: &Agreed, request: &Request) -> Result<Reply, ExportError> {
    let allowed = match request.command {
        Command::Read if agreed.structured => command::DONT_FRAGMENT,
        Command::BlockStatus => command::ONE_EXTENT,
        _ => 0,
    };
    match request.command {
        Command::Write | Command::Trim | Command::WriteZeroes => {
            return Err(no(Errno::NotPermitted, "the export is read-only"));
        }
        _ if request.flags & !allowed != 0 => return Err(no(Errno::Invalid, "a flag that is not known here")),
        _ => {}
    }
    match request.command {
        Command::Read => read(agreed, request).await,
        Command::BlockStatus => block_status(agreed, request).await,
        Command::Cache => {
            range(agreed, request)?;
            Ok(done(request))
        }
        Command::Flush => Ok(done(request)),
        _ => Err(no(Errno::Invalid, "a command that is not known here")),
    }
}

/// How an error is told. Once structured replies were agreed on, a read is answered by nothing else.
fn refusal(agreed: &Agreed, request: &Request, error: ExportError) -> Reply {
    let ExportError { errno, message } = error;
    if !agreed.structured {
        return vec![simple_reply(request.cookie, Some(errno)).into()];
    }
    let offset = None;
    let failure = Payload::Error(Failure { errno, message, offset });
    vec![failure.encode(request.cookie, true).into()]
}

fn no(errno: Errno, message: &str) -> ExportError {
    let message = message.to_owned();
    ExportError { errno, message }
}

fn done(request: &Request) -> Reply {
    vec![simple_reply(request.cookie, None).into()]
}

fn range(agreed: &Agreed, request: &Request) -> Result<Range<u64>, ExportError> {
    match request.offset.checked_add(u64::from(request.length)) {
        Some(end) if end <= agreed.export.size() => Ok(request.offset..end),
        _ => Err(no(Errno::Invalid, "beyond the end of the export")),
    }
}

async fn read(agreed: &Agreed, request: &Request) -> Result<Reply, ExportError> {
    let range = range(agreed, request)?;
    if request.length > PAYLOAD_BYTES_MAX {
        return Err(no(Errno::Overflow, "more than 32 MiB at once"));
    }
    if request.length == 0 {
        return Ok(match agreed.structured {
            true => vec![Payload::None.encode(request.cookie, true).into()],
            false => done(request),
        });
    }
    if !agreed.structured || request.flags & command::DONT_FRAGMENT != 0 {
        return whole(agreed, request).await;
    }
    let mut reply = Reply::new();
    let mut stretches = long_stretches(&range, &stretches(agreed, &range).await?)
        .into_iter()
        .peekable();
    while let Some((stretch, zero)) = stretches.next() {
        let last = stretches.peek().is_none();
        let (offset, length) = (stretch.start, short(stretch.end - stretch.start));
        if zero {
            reply.push(Payload::Hole { offset, length }.encode(request.cookie, last).into());
        } else {
            data(agreed, request.cookie, offset, length, last, &mut reply).await?;
        }
    }
    Ok(reply)
}

/// Contents in one piece.
async fn whole(agreed: &Agreed, request: &Request) -> Result<Reply, ExportError> {
    let mut reply = Reply::new();
    if agreed.structured {
        data(agreed, request.cookie, request.offset, request.length, true, &mut reply).await?;
    } else {
        reply.push(simple_reply(request.cookie, None).into());
        reply.push(contents(agreed, request.offset, request.length).await?);
    }
    Ok(reply)
}

async fn data(
    agreed: &Agreed,
    cookie: u64,
    offset: u64,
    length: u32,
    last: bool,
    reply: &mut Reply,
) -> Result<(), ExportError> {
    let contents = contents(agreed, offset, length).await?;
    let mut header = chunk_header(cookie, ChunkKind::Data, last, 8 + length);
    header.extend(offset.to_be_bytes());
    reply.push(header.into());
    reply.push(contents);
    Ok(())
}

async fn contents(agreed: &Agreed, offset: u64, length: u32) -> Result<Bytes, ExportError> {
    let contents = agreed.export.read(offset, length).await?;
    // The client counts bytes: one too few, and all that follows would be read as something else.
    if contents.len() != length as usize {
        return Err(ExportError::io("the export is shorter than it was"));
    }
    Ok(contents)
}

async fn stretches(agreed: &Agreed, range: &Range<u64>) -> Result<Vec<Stretch>, ExportError> {
    agreed.export.extents(range.clone()).await
}

/// Cuts a range into contents and zeros that are worth a chunk. What nothing is said of is contents.
fn long_stretches(range: &Range<u64>, stretches: &[Stretch]) -> Vec<(Range<u64>, bool)> {
    let mut cut: Vec<(Range<u64>, bool)> = Vec::new();
    let mut at = range.start;
    let unsaid = Stretch {
        length: u64::MAX,
        zero: false,
    };
    for stretch in joined(stretches).chain([unsaid]) {
        let end = at.saturating_add(stretch.length).min(range.end);
        if end == at {
            continue;
        }
        let zero = stretch.zero && end - at >= HOLE_BYTES_MIN;
        match cut.last_mut() {
            Some((last, false)) if !zero => last.end = end,
            _ => cut.push((at..end, zero)),
        }
        at = end;
    }
    cut
}

/// Neighbours that are alike as one.
fn joined(stretches: &[Stretch]) -> impl Iterator<Item = Stretch> {
    stretches.chunk_by(|a, b| a.zero == b.zero).map(|alike| Stretch {
        length: alike.iter().fold(0, |sum, stretch| sum.saturating_add(stretch.length)),
        zero: alike[0].zero,
    })
}

async fn block_status(agreed: &Agreed, request: &Request) -> Result<Reply, ExportError> {
    let range = range(agreed, request)?;
    if !agreed.allocation || range.is_empty() {
        return Err(no(
            Errno::Invalid,
            "no context was agreed on, or nothing is asked about",
        ));
    }
    let one = request.flags & command::ONE_EXTENT != 0;
    let descriptors = descriptors(
        &range,
        &stretches(agreed, &range).await?,
        if one { 1 } else { EXTENTS_MAX },
    );
    let context = ALLOCATION_ID;
    Ok(vec![
        Payload::BlockStatus { context, descriptors }
            .encode(request.cookie, true)
            .into(),
    ])
}

/// Extents from the beginning of a range on, at least one and none beyond its end.
fn descriptors(range: &Range<u64>, stretches: &[Stretch], max: usize) -> Vec<Descriptor> {
    let mut descriptors = Vec::new();
    let mut rest = range.end - range.start;
    for stretch in joined(stretches).take(max) {
        let length = stretch.length.min(rest);
        rest -= length;
        if length > 0 {
            let flags = if stretch.zero { state::HOLE | state::ZERO } else { 0 };
            let length = short(length);
            descriptors.push(Descriptor { length, flags });
        }
    }
    if descriptors.is_empty() {
        // An export that says nothing has contents, as far as anybody knows.
        let length = short(rest);
        descriptors.push(Descriptor { length, flags: 0 });
    }
    descriptors
}

/// The length of a part of a request.
fn short(length: u64) -> u32 {
    u32::try_from(length).expect("a request is shorter than 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretches(stretches: &[(u64, bool)]) -> Vec<Stretch> {
        stretches
            .iter()
            .map(|&(length, zero)| Stretch { length, zero })
            .collect()
    }

    #[test]
    fn zeros_worth_a_chunk_are_one() {
        let cut = |of: &[(u64, bool)]| long_stretches(&(1000..21_000), &stretches(of));
        assert_eq!(cut(&[]), [(1000..21_000, false)]);
        assert_eq!(cut(&[(u64::MAX, true)]), [(1000..21_000, true)]);
        assert_eq!(cut(&[(100, false), (4095, true), (50, false)]), [(1000..21_000, false)]);
        assert_eq!(
            cut(&[(2000, true), (0, true), (3000, true)]),
            [(1000..6000, true), (6000..21_000, false)]
        );
        let cut = cut(&[(100, false), (4096, true), (4, false), (90_000, true), (7, false)]);
        assert_eq!(
            cut,
            [
                (1000..1100, false),
                (1100..5196, true),
                (5196..5200, false),
                (5200..21_000, true)
            ]
        );
    }

    #[test]
    fn extents_stay_within_what_was_asked_about() {
        let told = |of: &[(u64, bool)], max| {
            let told = descriptors(&(1000..2000), &stretches(of), max);
            told.iter().map(|told| (told.length, told.flags)).collect::<Vec<_>>()
        };
        assert_eq!(told(&[], 9), [(1000, 0)]);
        assert_eq!(told(&[(0, true)], 9), [(1000, 0)]);
        assert_eq!(
            told(&[(10, true), (20, true), (9000, false), (5, true)], 9),
            [(30, 3), (970, 0)]
        );
        assert_eq!(told(&[(10, true), (20, false), (30, true)], 1), [(10, 3)]);
    }
}
