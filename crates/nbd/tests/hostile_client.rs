//! The server believes no client, and refuses properly.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use strongroom_nbd::wire::{
    ChunkKind, ClientOption, Command, ContextQuery, Descriptor, Errno, ExportQuery, Failure, Info, OPTION_MAGIC,
    OPTION_REPLY_HEADER_BYTES, OptionReply, OptionReplyHeader, Payload, ReplyStart, Request, command, refusal,
};
use strongroom_nbd::{Export, ExportError, Server, ServerLimits, Stretch};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::sleep;

use crate::world::{Disk, image};

const SECOND: Duration = Duration::from_secs(1);

fn limits() -> ServerLimits {
    ServerLimits {
        connections: 4,
        requests: 4,
        bytes: 1 << 25,
        negotiation: 10 * SECOND,
        idle: 100 * SECOND,
        sending: 20 * SECOND,
    }
}

/// What a test plays: a client of our server, which it has greeted.
struct Guest(DuplexStream);

impl Guest {
    async fn of(exports: Vec<(&str, Arc<dyn Export>)>, flags: u32) -> Self {
        let exports = exports.into_iter().map(|(name, export)| (name.to_owned(), export));
        let server = Server::new(exports, limits());
        let (ours, theirs) = duplex(1 << 16);
        tokio::spawn(async move { server.attend(theirs).await });
        let mut guest = Self(ours);
        assert_eq!(guest.take::<18>().await[..8], *b"NBDMAGIC");
        guest.send(&flags.to_be_bytes()).await;
        guest
    }

    /// A client of a disk with 4 KiB of noise, 4 KiB of zeros and 10 bytes of noise.
    async fn new() -> Self {
        let disk: Arc<dyn Export> = Arc::new(Disk::of(image(8202, &[0..4096, 8192..8202])));
        let other: Arc<dyn Export> = Arc::new(Disk::of(vec![7; 10]));
        Self::of(vec![("d", disk), ("e", other)], 3).await
    }

    /// A client that has begun with the disk.
    async fn begun(structured: bool) -> Self {
        let mut guest = Self::new().await;
        if structured {
            guest.option(&ClientOption::StructuredReply).await;
            guest.option(&contexts("d", &["base:allocation"])).await;
        }
        guest.option(&go("d")).await;
        guest
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    async fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    async fn vector(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    /// Sends an option, and takes its answers with the last one.
    async fn option(&mut self, option: &ClientOption) -> Vec<OptionReply> {
        self.raw_option(option.code(), &option.encode()[16..]).await
    }

    async fn raw_option(&mut self, code: u32, data: &[u8]) -> Vec<OptionReply> {
        self.send(&OPTION_MAGIC.to_be_bytes()).await;
        self.send(&code.to_be_bytes()).await;
        self.send(&(data.len() as u32).to_be_bytes()).await;
        self.send(data).await;
        let mut replies = Vec::new();
        loop {
            let header = OptionReplyHeader::decode(&self.take::<OPTION_REPLY_HEADER_BYTES>().await).unwrap();
            assert_eq!(header.option, code);
            let data = self.vector(header.length as usize).await;
            replies.push(OptionReply::decode(header.kind, &data).unwrap());
            if matches!(replies.last(), Some(OptionReply::Ack | OptionReply::Refused { .. })) {
                return replies;
            }
        }
    }

    async fn request(&mut self, command: Command, flags: u16, offset: u64, length: u32) {
        let mut bytes = Vec::new();
        let cookie = offset ^ 0xabcd;
        Request {
            flags,
            command,
            cookie,
            offset,
            length,
        }
        .encode(&mut bytes);
        self.send(&bytes).await;
    }

    /// The chunks of an answer, or its error; contents are one chunk of them.
    async fn answer(&mut self) -> Vec<Result<Vec<u8>, Payload>> {
        let mut chunks = Vec::new();
        loop {
            let start = ReplyStart::decode(&self.take().await).unwrap();
            let (kind, done) = match start {
                ReplyStart::Simple { error: None, .. } => return chunks,
                ReplyStart::Simple { error: Some(errno), .. } => {
                    let failure = Failure {
                        errno,
                        message: String::new(),
                        offset: None,
                    };
                    return vec![Err(Payload::Error(failure))];
                }
                ReplyStart::Chunk { kind, done, .. } => (kind, done),
            };
            let length = u32::from_be_bytes(self.take().await);
            let payload = self.vector(length as usize).await;
            chunks.push(match kind {
                ChunkKind::Data => Ok(payload[8..].to_vec()),
                kind => Err(Payload::decode(kind, &payload).unwrap()),
            });
            if done {
                return chunks;
            }
        }
    }

    async fn error(&mut self) -> Errno {
        match &self.answer().await[..] {
            [Err(Payload::Error(failure))] => failure.errno,
            answer => panic!("{answer:?}"),
        }
    }

    /// The server has hung up, and said nothing more.
    async fn sees_the_end(mut self) -> bool {
        let mut rest = Vec::new();
        // What was sent and not read is lost with the stream, which is an error or an end.
        self.0.read_to_end(&mut rest).await.map_or(true, |_| rest.is_empty())
    }
}

fn go(name: &str) -> ClientOption {
    let (name, infos) = (name.to_owned(), vec![]);
    ClientOption::Go(ExportQuery { name, infos })
}

fn contexts(export: &str, queries: &[&str]) -> ClientOption {
    let (export, queries) = (export.to_owned(), queries.iter().map(ToString::to_string).collect());
    ClientOption::SetMetaContext(ContextQuery { export, queries })
}

fn refused(replies: &[OptionReply]) -> Option<u32> {
    match replies {
        [OptionReply::Refused { code, .. }] => Some(*code),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn options_that_make_no_sense_are_refused() {
    let mut guest = Guest::new().await;
    let cases: [(u32, &[u8], u32); 9] = [
        (5, b"", refusal::UNSUPPORTED),
        (11, b"", refusal::UNSUPPORTED),
        (77, &[1; 60_000], refusal::UNSUPPORTED),
        (3, b"x", refusal::INVALID),
        (8, b"x", refusal::INVALID),
        (7, b"\xff\xff\xff\xff", refusal::INVALID),
        (10, b"\0\0\0\x01d\0\0\0\0", refusal::INVALID),
        (7, b"\0\0\0\x01f\0\0", refusal::UNKNOWN),
        (7, &[0; 70_000], refusal::TOO_BIG),
    ];
    for (code, data, why) in cases {
        assert_eq!(refused(&guest.raw_option(code, data).await), Some(why), "option {code}");
    }
    assert_eq!(
        refused(&guest.option(&go("")).await),
        Some(refusal::UNKNOWN),
        "of two none is the only one"
    );
    assert_eq!(
        guest.option(&go("d")).await.last(),
        Some(&OptionReply::Ack),
        "and it goes on"
    );
    guest.request(Command::Disconnect, 0, 0, 0).await;
    assert!(guest.sees_the_end().await);
}

#[tokio::test(start_paused = true)]
async fn contexts_are_told_of_the_export_that_they_were_asked_for() {
    let mut guest = Guest::new().await;
    guest.option(&ClientOption::StructuredReply).await;
    let list = |export: &str, queries: &[&str]| match contexts(export, queries) {
        ClientOption::SetMetaContext(query) => ClientOption::ListMetaContext(query),
        other => other,
    };
    let listed = |replies: Vec<OptionReply>| replies.len() - 1;
    for (option, expected) in [
        (list("d", &[]), 1),
        (list("d", &["base:"]), 1),
        (list("d", &["base:allocation", "qemu:"]), 1),
        (list("d", &["qemu:"]), 0),
        (contexts("d", &[]), 0),
        (contexts("d", &["base:"]), 0),
        (contexts("d", &["qemu:dirty-bitmap:x", "base:allocation"]), 1),
    ] {
        assert_eq!(listed(guest.option(&option).await), expected, "{option:?}");
    }
    assert_eq!(
        refused(&guest.option(&contexts("f", &[])).await),
        Some(refusal::UNKNOWN)
    );
    guest.option(&contexts("e", &["base:allocation"])).await;
    guest.option(&go("d")).await;
    guest.request(Command::BlockStatus, 0, 0, 100).await;
    assert_eq!(
        guest.error().await,
        Errno::Invalid,
        "it was agreed on for the other one"
    );
}

#[tokio::test(start_paused = true)]
async fn the_old_way_to_begin() {
    for (flags, zeroes) in [(1, 124), (3, 0), (0, 124)] {
        let disk: Arc<dyn Export> = Arc::new(Disk::of(vec![7; 10]));
        let mut guest = Guest::of(vec![("d", disk)], flags).await;
        guest.send(&ClientOption::ExportName("d".into()).encode()).await;
        assert_eq!(u64::from_be_bytes(guest.take().await), 10);
        assert_eq!(u16::from_be_bytes(guest.take().await) & 3, 3);
        assert_eq!(guest.vector(zeroes).await, vec![0; zeroes]);
        guest.request(Command::Read, 0, 2, 3).await;
        assert!(matches!(
            ReplyStart::decode(&guest.take().await),
            Ok(ReplyStart::Simple { error: None, .. })
        ));
        assert_eq!(&guest.take().await, &[7, 7, 7]);
    }
    let mut guest = Guest::new().await;
    guest.send(&ClientOption::ExportName("f".into()).encode()).await;
    assert!(guest.sees_the_end().await, "there is no other way to refuse");
    let mut guest = Guest::new().await;
    assert_eq!(guest.option(&ClientOption::Abort).await, [OptionReply::Ack]);
    assert!(guest.sees_the_end().await);
}

#[tokio::test(start_paused = true)]
async fn info_does_not_begin() {
    let mut guest = Guest::new().await;
    let query = |infos| ExportQuery {
        name: "d".into(),
        infos,
    };
    let replies = guest.option(&ClientOption::Info(query(vec![1, 2, 3, 99]))).await;
    let size = |reply: &OptionReply| matches!(reply, OptionReply::Info(Info::Export { size: 8202, .. }));
    assert!(replies.iter().any(size));
    assert!(replies.contains(&OptionReply::Info(Info::Name("d".into()))));
    assert_eq!(guest.option(&ClientOption::List).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn clients_that_are_none_are_hung_up_on() {
    let guest = Guest::of(vec![], 4).await;
    assert!(guest.sees_the_end().await, "unknown flags");
    let mut guest = Guest::new().await;
    guest.send(b"GET / HTTP/1.1\r\n\r\n").await;
    assert!(guest.sees_the_end().await, "no option");
    let mut guest = Guest::new().await;
    guest.send(b"IHAVEOPT\0\0\0\x07\xff\xff\xff\xff").await;
    assert!(guest.sees_the_end().await, "an option without end");
    let mut guest = Guest::new().await;
    for _ in 0..256 {
        guest.option(&ClientOption::List).await;
    }
    assert!(guest.sees_the_end().await, "options without end");
    let mut guest = Guest::begun(true).await;
    guest.send(&[0xff; 28]).await;
    assert!(guest.sees_the_end().await, "no request");
    let mut guest = Guest::begun(true).await;
    guest.request(Command::Write, 0, 0, u32::MAX).await;
    assert!(guest.sees_the_end().await, "a write without end");
}

#[tokio::test(start_paused = true)]
async fn requests_that_make_no_sense_are_refused() {
    for structured in [true, false] {
        let mut guest = Guest::begun(structured).await;
        let cases = [
            (Command::Read, 0, 8202, 1, Errno::Invalid),
            (Command::Read, 0, u64::MAX, 2, Errno::Invalid),
            (Command::Read, 0, 0, u32::MAX, Errno::Invalid),
            (Command::Read, 1 << 9, 0, 1, Errno::Invalid),
            (Command::BlockStatus, 0, 0, 0, Errno::Invalid),
            (Command::BlockStatus, 0, 0, 8203, Errno::Invalid),
            (Command::Cache, 0, 8000, 1000, Errno::Invalid),
            (Command::Trim, 0, 0, 1, Errno::NotPermitted),
            (Command::WriteZeroes, 0, 0, 1, Errno::NotPermitted),
            (Command::Other(8), 0, 0, 1, Errno::Invalid),
        ];
        for (command, flags, offset, length, expected) in cases {
            guest.request(command, flags, offset, length).await;
            assert_eq!(guest.error().await, expected, "{command:?} {length} at {offset}");
        }
        guest.request(Command::Write, 0, 0, 1000).await;
        guest.send(&[5; 1000]).await;
        assert_eq!(guest.error().await, Errno::NotPermitted);
        guest.request(Command::Flush, 0, 0, 0).await;
        assert!(guest.answer().await.is_empty());
        guest.request(Command::Cache, 0, 0, 8202).await;
        assert!(guest.answer().await.is_empty());
        guest.request(Command::Disconnect, 0, 0, 0).await;
        assert!(guest.sees_the_end().await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_too_long_is_refused() {
    let large: Arc<dyn Export> = Arc::new(Slow {
        size: 1 << 40,
        wait: SECOND,
    });
    let mut guest = Guest::of(vec![("d", large)], 3).await;
    guest.option(&ClientOption::StructuredReply).await;
    guest.option(&go("d")).await;
    guest.request(Command::Read, 0, 0, (32 << 20) + 1).await;
    assert_eq!(guest.error().await, Errno::Overflow);
}

#[tokio::test(start_paused = true)]
async fn zeros_are_holes_unless_one_piece_is_wanted() {
    let contents = image(8202, &[0..4096, 8192..8202]);
    let mut guest = Guest::begun(true).await;
    guest.request(Command::Read, 0, 1000, 7200).await;
    let hole = Payload::Hole {
        offset: 4096,
        length: 4096,
    };
    let expected = [
        Ok(contents[1000..4096].to_vec()),
        Err(hole),
        Ok(contents[8192..8200].to_vec()),
    ];
    assert_eq!(guest.answer().await, expected);
    guest.request(Command::Read, command::DONT_FRAGMENT, 1000, 7200).await;
    assert_eq!(guest.answer().await, [Ok(contents[1000..8200].to_vec())]);
    guest.request(Command::Read, 0, 1000, 0).await;
    assert_eq!(guest.answer().await, [Err(Payload::None)]);
}

#[tokio::test(start_paused = true)]
async fn one_extent_is_one() {
    let mut guest = Guest::begun(true).await;
    let told = |descriptors: &[(u32, u32)]| {
        let descriptors = descriptors
            .iter()
            .map(|&(length, flags)| Descriptor { length, flags })
            .collect();
        vec![Err(Payload::BlockStatus {
            context: 1,
            descriptors,
        })]
    };
    guest.request(Command::BlockStatus, 0, 1000, 7200).await;
    assert_eq!(guest.answer().await, told(&[(3096, 0), (4096, 3), (8, 0)]));
    guest
        .request(Command::BlockStatus, command::ONE_EXTENT, 1000, 7200)
        .await;
    assert_eq!(guest.answer().await, told(&[(3096, 0)]));
    guest.request(Command::BlockStatus, command::ONE_EXTENT, 5000, 7).await;
    assert_eq!(guest.answer().await, told(&[(7, 3)]));
}

#[tokio::test(start_paused = true)]
async fn whoever_is_silent_sees_the_end() {
    let begun = tokio::time::Instant::now();
    assert!(Guest::new().await.sees_the_end().await);
    assert_eq!(begun.elapsed().as_secs(), 10, "before it has chosen");
    let guest = Guest::begun(true).await;
    let begun = tokio::time::Instant::now();
    assert!(guest.sees_the_end().await);
    assert_eq!(begun.elapsed().as_secs(), 100, "and after it");
    let mut guest = Guest::begun(true).await;
    let begun = tokio::time::Instant::now();
    guest.send(&[0x25; 27]).await;
    assert!(guest.sees_the_end().await);
    assert_eq!(begun.elapsed().as_secs(), 100, "in the middle of a request");
    let mut guest = Guest::begun(true).await;
    let begun = tokio::time::Instant::now();
    guest.request(Command::Write, 0, 0, 1000).await;
    assert!(guest.sees_the_end().await);
    assert_eq!(begun.elapsed().as_secs(), 20, "in the middle of a write");
}

/// A large disk that takes long.
struct Slow {
    size: u64,
    wait: Duration,
}

#[async_trait]
impl Export for Slow {
    fn size(&self) -> u64 {
        self.size
    }

    async fn read(&self, _: u64, length: u32) -> Result<Bytes, ExportError> {
        sleep(self.wait).await;
        Ok(vec![1; length as usize].into())
    }

    async fn extents(&self, range: Range<u64>) -> Result<Vec<Stretch>, ExportError> {
        let length = range.end - range.start;
        Ok(vec![Stretch { length, zero: false }])
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_an_answer_is_not_idle() {
    let disk: Arc<dyn Export> = Arc::new(Slow {
        size: 1 << 20,
        wait: 950 * SECOND,
    });
    let mut guest = Guest::of(vec![("d", disk)], 3).await;
    guest.option(&go("d")).await;
    guest.request(Command::Read, 0, 0, 3).await;
    assert!(matches!(
        ReplyStart::decode(&guest.take().await),
        Ok(ReplyStart::Simple { error: None, .. })
    ));
    assert_eq!(guest.take().await, [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_no_answers_sees_the_end() {
    let disk: Arc<dyn Export> = Arc::new(Slow {
        size: 1 << 20,
        wait: SECOND,
    });
    let mut guest = Guest::of(vec![("d", disk)], 3).await;
    guest.option(&go("d")).await;
    let begun = tokio::time::Instant::now();
    // Further ones are not read once four are under way.
    for _ in 0..100 {
        guest.request(Command::Read, 0, 0, 1 << 20).await;
    }
    // The stream breaks once the server is gone; until then it takes a little more.
    while guest.0.write_all(&[0]).await.is_ok() {
        sleep(SECOND).await;
    }
    let waited = begun.elapsed().as_secs();
    assert!((20..25).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn requests_are_answered_side_by_side() {
    let disk: Arc<dyn Export> = Arc::new(Slow {
        size: 1 << 20,
        wait: SECOND,
    });
    let mut guest = Guest::of(vec![("d", disk)], 3).await;
    guest.option(&go("d")).await;
    let begun = tokio::time::Instant::now();
    for offset in 0..8 {
        guest.request(Command::Read, 0, offset, 1).await;
    }
    // Whoever says goodbye gets the answers that are under way.
    guest.request(Command::Disconnect, 0, 0, 0).await;
    assert_eq!(guest.vector(8 * 17).await.len(), 8 * 17);
    assert_eq!(begun.elapsed().as_secs(), 2, "four at once");
    assert!(guest.sees_the_end().await);
}
