//! The client believes no server.

use std::time::Duration;

use strongroom_nbd::wire::{
    BlockSize, ChunkKind, ClientOption, Command, Descriptor, Errno, Failure, Info, OPTION_HEADER_BYTES, OPTION_MAGIC,
    OptionHeader, OptionReply, Payload, REQUEST_BYTES, Request, SERVER_MAGIC, TransmissionFlags, chunk_header,
    simple_reply,
};
use strongroom_nbd::{Client, ConnectOptions, NbdError};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

const LIMIT: Duration = Duration::from_secs(10);

/// What a test plays: the other end of the client's stream.
struct Peer(DuplexStream);

fn pair() -> (DuplexStream, Peer) {
    let (ours, theirs) = duplex(1 << 16);
    (ours, Peer(theirs))
}

fn options() -> ConnectOptions {
    ConnectOptions::new("d").with_context("base:allocation")
}

impl Peer {
    async fn send(&mut self, bytes: &[u8]) {
        // The client may have hung up, which is what some tests are about.
        let _ = self.0.write_all(bytes).await;
    }

    async fn greet(&mut self) {
        self.send(&SERVER_MAGIC.to_be_bytes()).await;
        self.send(&OPTION_MAGIC.to_be_bytes()).await;
        self.send(&3_u16.to_be_bytes()).await;
        assert_eq!(self.0.read_u32().await.unwrap(), 3);
    }

    async fn option(&mut self) -> ClientOption {
        let mut header = [0; OPTION_HEADER_BYTES];
        self.0.read_exact(&mut header).await.unwrap();
        let header = OptionHeader::decode(&header).unwrap();
        let mut data = vec![0; header.length as usize];
        self.0.read_exact(&mut data).await.unwrap();
        ClientOption::decode(header.code, &data).unwrap()
    }

    /// Agrees to everything; `replies` are the answers to `GO`.
    async fn agree(&mut self, structured: bool, replies: &[OptionReply]) {
        self.greet().await;
        loop {
            let option = self.option().await;
            let replies = match option {
                ClientOption::StructuredReply if structured => vec![OptionReply::Ack],
                ClientOption::SetMetaContext(_) => {
                    let context = |id, name: &str| OptionReply::MetaContext { id, name: name.into() };
                    vec![context(3, "base:allocation"), context(9, "x:other"), OptionReply::Ack]
                }
                ClientOption::Go(_) => replies.to_vec(),
                _ => vec![OptionReply::Refused {
                    code: (1 << 31) + 1,
                    message: String::new(),
                }],
            };
            for reply in replies {
                self.send(&reply.encode(option.code())).await;
            }
            if matches!(option, ClientOption::Go(_)) {
                return;
            }
        }
    }

    async fn request(&mut self) -> Request {
        let mut bytes = [0; REQUEST_BYTES];
        self.0.read_exact(&mut bytes).await.unwrap();
        Request::decode(&bytes).unwrap()
    }
}

fn export(size: u64) -> OptionReply {
    let flags = TransmissionFlags(3);
    OptionReply::Info(Info::Export { size, flags })
}

/// A connection that has begun, with the other end of it.
async fn begun(structured: bool) -> (Client, Peer) {
    let (stream, mut peer) = pair();
    let options = options();
    let replies = [export(1 << 20), OptionReply::Ack];
    let (client, ()) = tokio::join!(Client::over(stream, &options, LIMIT), peer.agree(structured, &replies));
    (client.unwrap(), peer)
}

fn is_violation(error: &NbdError, why: &str) -> bool {
    matches!(error, NbdError::Violation(said) if said.contains(why))
}

#[tokio::test(start_paused = true)]
async fn greetings() {
    let magic = [SERVER_MAGIC.to_be_bytes(), OPTION_MAGIC.to_be_bytes()].concat();
    let cases = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "no NBD server"),
        (
            [SERVER_MAGIC.to_be_bytes(), 0x0000_4202_8186_1253_u64.to_be_bytes()].concat(),
            "old style",
        ),
        ([&magic[..], &[0, 2]].concat(), "fixed newstyle"),
        ([&magic[..], &[0, 3], &[0xff; 64]].concat(), "magic number"),
    ];
    for (bytes, why) in cases {
        let (stream, mut peer) = pair();
        peer.send(&bytes).await;
        let error = Client::over(stream, &options(), LIMIT).await.unwrap_err();
        assert!(is_violation(&error, why), "{why}: {error}");
    }
    let (stream, peer) = pair();
    drop(peer);
    assert!(matches!(
        Client::over(stream, &options(), LIMIT).await,
        Err(NbdError::Lost(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn answers_to_options() {
    let wrong = OptionReply::Ack.encode(77);
    let long = {
        let mut reply = OptionReply::Ack.encode(8);
        reply[16..20].copy_from_slice(&u32::MAX.to_be_bytes());
        reply
    };
    let endless = OptionReply::Other { kind: 99 }.encode(8).repeat(5000);
    for (bytes, why) in [
        (wrong, "option 77"),
        (long, "4294967295 bytes"),
        (endless, "more than 4096 answers"),
    ] {
        let (stream, mut peer) = pair();
        let playing = tokio::spawn(async move {
            peer.greet().await;
            peer.option().await;
            peer.send(&bytes).await;
            peer
        });
        let error = Client::over(stream, &options(), LIMIT).await.unwrap_err();
        assert!(is_violation(&error, why), "{why}: {error}");
        playing.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn descriptions_of_exports() {
    let size = |minimum| {
        let size = BlockSize {
            minimum,
            preferred: 4096,
            maximum: 1 << 20,
        };
        OptionReply::Info(Info::BlockSize(size))
    };
    let cases = [
        (vec![OptionReply::Ack], "size"),
        (
            vec![export(1000), size(512), OptionReply::Ack],
            "1000 bytes in blocks of 512",
        ),
        (
            vec![export(1000), size(3), OptionReply::Ack],
            "a smallest block of 3 bytes",
        ),
    ];
    for (replies, why) in cases {
        let (stream, mut peer) = pair();
        let options = options();
        let (client, ()) = tokio::join!(Client::over(stream, &options, LIMIT), peer.agree(true, &replies));
        let error = client.unwrap_err();
        assert!(is_violation(&error, why), "{why}: {error}");
    }
}

/// Contents as a chunk of request 1.
fn data(offset: u64, length: usize, done: bool) -> Vec<u8> {
    let mut chunk = chunk_header(1, ChunkKind::Data, done, 8 + length as u32);
    chunk.extend(offset.to_be_bytes());
    chunk.extend(vec![7; length]);
    chunk
}

fn hole(offset: u64, length: u32) -> Vec<u8> {
    Payload::Hole { offset, length }.encode(1, false)
}

fn status(context: u32, lengths: &[u32]) -> Vec<u8> {
    let descriptors = lengths.iter().map(|&length| Descriptor { length, flags: 0 }).collect();
    Payload::BlockStatus { context, descriptors }.encode(1, false)
}

fn done() -> Vec<u8> {
    Payload::None.encode(1, true)
}

/// What may come instead of 100 bytes at 1000, and why nothing more is believed then.
fn bad_reads() -> Vec<(Vec<u8>, &'static str)> {
    vec![
        (vec![0xff; 64], "begins with"),
        (chunk_header(77, ChunkKind::None, true, 0), "request 77"),
        (chunk_header(1, ChunkKind::None, true, 1), "1 bytes in a chunk"),
        (
            chunk_header(1, ChunkKind::Data, true, u32::MAX),
            "4294967295 bytes in a chunk",
        ),
        (chunk_header(1, ChunkKind::Hole, true, 13), "13 bytes in a chunk"),
        (
            chunk_header(1, ChunkKind::Error, true, 1 << 20),
            "1048576 bytes in a chunk",
        ),
        (chunk_header(1, ChunkKind::Other(7), true, 0), "0 bytes in a chunk"),
        (chunk_header(1, ChunkKind::Data, true, 8), "without contents"),
        (chunk_header(1, ChunkKind::BlockStatus, true, 12), "another request"),
        (data(999, 1, false), "not asked for"),
        (data(1000, 101, false), "not asked for"),
        (hole(1100, 1), "not asked for"),
        (hole(u64::MAX, u32::MAX), "not asked for"),
        ([data(1000, 60, false), hole(1059, 1)].concat(), "came before"),
        ([data(1000, 99, false), done()].concat(), "before all had come"),
        (done(), "before all had come"),
        ([data(1000, 100, true), data(1000, 100, true)].concat(), "request 1"),
        (simple_reply(1, None), "simple reply"),
        (simple_reply(1, Some(Errno::Io)), "simple reply"),
    ]
}

#[tokio::test(start_paused = true)]
async fn answers_to_reads() {
    for (bytes, why) in bad_reads() {
        let (client, mut peer) = begun(true).await;
        let reading = client.clone();
        let reading = tokio::spawn(async move { reading.read(1000, 100, LIMIT).await });
        let other = client.clone();
        let other = tokio::spawn(async move { other.read(0, 1 << 19, LIMIT).await });
        assert_eq!(peer.request().await.command, Command::Read);
        peer.request().await;
        peer.send(&bytes).await;
        // What was answered twice was answered once.
        let read = reading.await.unwrap();
        if !bytes.starts_with(&data(1000, 100, true)) {
            let error = read.unwrap_err();
            assert!(is_violation(&error, why), "{why}: {error}");
        }
        for error in [
            other.await.unwrap().unwrap_err(),
            client.read(0, 1, LIMIT).await.unwrap_err(),
        ] {
            assert!(is_violation(&error, why), "{why}: {error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn answers_to_questions() {
    let cases = [
        (status(3, &[50, 50, 1]), "beyond what was asked about"),
        (status(4, &[50]), "unasked"),
        ([status(3, &[50]), status(3, &[50])].concat(), "again"),
        ([status(9, &[50]), done()].concat(), "no extents"),
        (done(), "no extents"),
        (chunk_header(1, ChunkKind::Data, false, 9), "another request"),
        (
            chunk_header(1, ChunkKind::BlockStatus, false, 4 + (8 << 20) + 8),
            "8388620 bytes",
        ),
        (
            chunk_header(1, ChunkKind::BlockStatus, false, 4)
                .into_iter()
                .chain([0; 4])
                .collect(),
            "0 bytes of extents",
        ),
        (hole(0, 10), "another request"),
        (simple_reply(1, None), "simple reply"),
    ];
    for (bytes, why) in cases {
        let (client, mut peer) = begun(true).await;
        let asking = tokio::spawn(async move { client.allocation(0..100, LIMIT).await });
        assert_eq!(peer.request().await.command, Command::BlockStatus);
        peer.send(&bytes).await;
        let error = asking.await.unwrap().unwrap_err();
        assert!(is_violation(&error, why), "{why}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_structured_reply_that_was_not_agreed_on() {
    let (client, mut peer) = begun(false).await;
    let reading = tokio::spawn(async move { client.read(1000, 100, LIMIT).await });
    peer.request().await;
    peer.send(&data(1000, 100, true)).await;
    let error = reading.await.unwrap().unwrap_err();
    assert!(is_violation(&error, "not agreed on"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_ends_in_the_middle() {
    let whole = data(1000, 100, true);
    for length in [0, 1, 15, 16, 19, 20, 27, 28, 29, 127] {
        let (client, mut peer) = begun(true).await;
        let reading = tokio::spawn(async move { client.read(1000, 100, LIMIT).await });
        peer.request().await;
        peer.send(&whole[..length]).await;
        drop(peer);
        let error = reading.await.unwrap().unwrap_err();
        assert!(matches!(error, NbdError::Lost(_)), "{length}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence() {
    let late = |error: NbdError| matches!(error, NbdError::TimedOut { limit: LIMIT, .. });
    let (stream, _peer) = pair();
    assert!(late(Client::over(stream, &options(), LIMIT).await.unwrap_err()));
    let (client, mut peer) = begun(true).await;
    // More than may be in flight: those that wait for room do not wait longer than the others.
    let reads: Vec<_> = (0..200)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.read(0, 1 << 20, LIMIT).await })
        })
        .collect();
    peer.request().await;
    peer.send(&data(0, 1 << 10, false)).await;
    for read in reads {
        assert!(late(read.await.unwrap().unwrap_err()));
    }
    assert!(late(client.allocation(0..100, LIMIT).await.unwrap_err()));
    assert!(late(client.disconnect(LIMIT).await.unwrap_err()));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_nothing_is_left_alone() {
    let (stream, theirs) = duplex(64);
    let mut peer = Peer(theirs);
    let options = options();
    let replies = [export(1 << 20), OptionReply::Ack];
    let (client, ()) = tokio::join!(Client::over(stream, &options, LIMIT), peer.agree(true, &replies));
    let client = client.unwrap();
    let reads = (0..10).map(|_| client.read(0, 100, LIMIT));
    for read in reads.map(Box::pin) {
        let given_up = tokio::time::timeout(Duration::from_secs(1), read).await;
        assert!(given_up.is_err());
    }
    drop(client);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mut taken = Vec::new();
    peer.0.read_to_end(&mut taken).await.unwrap();
    assert_eq!(taken.len(), 64, "what fits the stream, then its end");
}

#[tokio::test(start_paused = true)]
async fn extents_of_one_byte_each() {
    let (client, mut peer) = begun(true).await;
    let playing = tokio::spawn(async move {
        for _ in 0..100 {
            let cookie = peer.request().await.cookie;
            let one = |context| {
                let descriptors = vec![Descriptor {
                    length: 1,
                    flags: cookie as u32 % 2,
                }];
                Payload::BlockStatus { context, descriptors }.encode(cookie, context == 9)
            };
            peer.send(&[one(3), one(9)].concat()).await;
        }
        peer
    });
    let extents = client.block_status(0..100, "base:allocation", LIMIT).await.unwrap();
    assert_eq!(extents.len(), 100);
    let mut peer = playing.await.unwrap();
    let asking = tokio::spawn(async move { client.block_status(0..1 << 20, "x:other", LIMIT).await });
    peer.request().await;
    assert!(
        matches!(asking.await.unwrap(), Err(NbdError::TimedOut { .. })),
        "and then none at all"
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_many_pieces_in_any_order() {
    let (client, mut peer) = begun(true).await;
    let reading = tokio::spawn(async move { client.read(1000, 100, LIMIT).await });
    peer.request().await;
    for offset in (1000..1100).rev() {
        let piece = if offset % 3 == 0 {
            hole(offset, 1)
        } else {
            data(offset, 1, false)
        };
        peer.send(&piece).await;
    }
    peer.send(&done()).await;
    let expected: Vec<u8> = (1000..1100).map(|offset| if offset % 3 == 0 { 0 } else { 7 }).collect();
    assert_eq!(reading.await.unwrap().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn errors_of_all_kinds() {
    let failure = |offset| {
        let (errno, message) = (Errno::Invalid, "lost".to_owned());
        Payload::Error(Failure { errno, message, offset })
    };
    let unknown = [
        chunk_header(1, ChunkKind::Other(0x8077), true, 9),
        b"\0\0\0\x16\0\0abc".to_vec(),
    ]
    .concat();
    let cases = [
        (failure(None).encode(1, true), 1000),
        (
            [data(1000, 100, false), failure(Some(1050)).encode(1, false), done()].concat(),
            1050,
        ),
        (unknown, 1000),
    ];
    for (bytes, at) in cases {
        let (client, mut peer) = begun(true).await;
        let reading = client.clone();
        let reading = tokio::spawn(async move { reading.read(1000, 100, LIMIT).await });
        peer.request().await;
        peer.send(&bytes).await;
        let read = reading.await.unwrap();
        let Err(NbdError::Server {
            errno: Errno::Invalid,
            offset,
            ..
        }) = read
        else {
            panic!("{read:?}")
        };
        assert_eq!(offset, at);
        let again = tokio::spawn(async move { client.read(0, 1, LIMIT).await });
        let cookie = peer.request().await.cookie;
        peer.send(&Payload::Hole { offset: 0, length: 1 }.encode(cookie, true))
            .await;
        assert_eq!(again.await.unwrap().unwrap(), &[0][..], "and the connection goes on");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_knows_nothing_new() {
    let (stream, mut peer) = pair();
    let playing = tokio::spawn(async move {
        peer.send(&SERVER_MAGIC.to_be_bytes()).await;
        peer.send(&OPTION_MAGIC.to_be_bytes()).await;
        // It would send zeros.
        peer.send(&1_u16.to_be_bytes()).await;
        assert_eq!(peer.0.read_u32().await.unwrap(), 1);
        loop {
            let option = peer.option().await;
            if option == ClientOption::ExportName("d".into()) {
                break;
            }
            let refused = OptionReply::Refused {
                code: (1 << 31) + 1,
                message: String::new(),
            };
            peer.send(&refused.encode(option.code())).await;
        }
        peer.send(&4096_u64.to_be_bytes()).await;
        peer.send(&3_u16.to_be_bytes()).await;
        peer.send(&[0; 124]).await;
        let request = peer.request().await;
        peer.send(&simple_reply(request.cookie, None)).await;
        peer.send(&[9; 10]).await;
        // The client says goodbye when nobody uses it any more.
        assert_eq!(peer.request().await.command, Command::Disconnect);
    });
    let client = Client::over(stream, &options(), LIMIT).await.unwrap();
    assert_eq!(client.read(0, 10, LIMIT).await.unwrap(), &[9; 10][..]);
    drop(client);
    playing.await.unwrap();
}
