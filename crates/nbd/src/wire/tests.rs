//! Everything that is put together comes apart as it was; what is crooked does not.

use proptest::prelude::*;

use super::*;

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9:äß .-]{0,40}"
}

fn numbers() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(any::<u16>(), 0..6)
}

fn option() -> impl Strategy<Value = ClientOption> {
    let query = || (text(), numbers()).prop_map(|(name, infos)| ExportQuery { name, infos });
    let context = || {
        let queries = prop::collection::vec(text(), 0..5);
        (text(), queries).prop_map(|(export, queries)| ContextQuery { export, queries })
    };
    prop_oneof![
        text().prop_map(ClientOption::ExportName),
        Just(ClientOption::Abort),
        Just(ClientOption::List),
        query().prop_map(ClientOption::Info),
        query().prop_map(ClientOption::Go),
        Just(ClientOption::StructuredReply),
        context().prop_map(ClientOption::ListMetaContext),
        context().prop_map(ClientOption::SetMetaContext),
        (11u32..).prop_map(|code| ClientOption::Other { code }),
    ]
}

fn about() -> impl Strategy<Value = Info> {
    let size = (0u32..=16, any::<u32>(), 1u32 << 16..).prop_map(|(minimum, preferred, maximum)| BlockSize {
        minimum: 1 << minimum,
        preferred,
        maximum,
    });
    prop_oneof![
        (any::<u64>(), any::<u16>()).prop_map(|(size, flags)| Info::Export {
            size,
            flags: TransmissionFlags(flags)
        }),
        text().prop_map(Info::Name),
        text().prop_map(Info::Description),
        size.prop_map(Info::BlockSize),
        (4u16..).prop_map(Info::Other),
    ]
}

fn option_reply() -> impl Strategy<Value = OptionReply> {
    prop_oneof![
        Just(OptionReply::Ack),
        (text(), text()).prop_map(|(name, description)| OptionReply::Server { name, description }),
        about().prop_map(OptionReply::Info),
        (any::<u32>(), text()).prop_map(|(id, name)| OptionReply::MetaContext { id, name }),
        (1u32 << 31.., text()).prop_map(|(code, message)| OptionReply::Refused { code, message }),
        (5u32..1 << 31).prop_map(|kind| OptionReply::Other { kind }),
    ]
}

fn payload() -> impl Strategy<Value = Payload> {
    let descriptor = (1u32.., any::<u32>()).prop_map(|(length, flags)| Descriptor { length, flags });
    let descriptors = prop::collection::vec(descriptor, 1..20);
    let failure = (1u32.., text(), any::<Option<u64>>()).prop_map(|(number, message, offset)| Failure {
        errno: Errno::from_number(number),
        message,
        offset,
    });
    prop_oneof![
        Just(Payload::None),
        (any::<u64>(), 1u32..).prop_map(|(offset, length)| Payload::Hole { offset, length }),
        (any::<u32>(), descriptors).prop_map(|(context, descriptors)| Payload::BlockStatus { context, descriptors }),
        failure.prop_map(Payload::Error),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    (any::<u16>(), any::<u16>(), any::<u64>(), any::<u64>(), any::<u32>()).prop_map(
        |(flags, command, cookie, offset, length)| {
            let mut bytes = Vec::new();
            let request = Request {
                flags,
                command: Command::Read,
                cookie,
                offset,
                length,
            };
            request.encode(&mut bytes);
            bytes[6..8].copy_from_slice(&command.to_be_bytes());
            Request::decode(&bytes.try_into().expect("28 bytes")).expect("any command can be taken apart")
        },
    )
}

proptest! {
    #[test]
    fn options_come_back(option in option()) {
        let bytes = option.encode();
        let (header, data) = bytes.split_first_chunk().expect("a header");
        let header = OptionHeader::decode(header).unwrap();
        prop_assert_eq!(header.length as usize, data.len());
        prop_assert_eq!(ClientOption::decode(header.code, data).unwrap(), option);
    }

    #[test]
    fn answers_to_options_come_back(reply in option_reply(), to in any::<u32>()) {
        let bytes = reply.encode(to);
        let (header, data) = bytes.split_first_chunk().expect("a header");
        let header = OptionReplyHeader::decode(header).unwrap();
        prop_assert_eq!((header.option, header.length as usize), (to, data.len()));
        prop_assert_eq!(OptionReply::decode(header.kind, data).unwrap(), reply);
    }

    #[test]
    fn requests_come_back(request in request()) {
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        prop_assert_eq!(Request::decode(&bytes.try_into().unwrap()).unwrap(), request);
    }

    #[test]
    fn chunks_come_back(payload in payload(), cookie in any::<u64>(), done in any::<bool>()) {
        let bytes = payload.encode(cookie, done);
        let (start, rest) = bytes.split_first_chunk().expect("a header");
        let (length, rest) = rest.split_first_chunk().expect("a length");
        let kind = payload.kind();
        prop_assert_eq!(ReplyStart::decode(start).unwrap(), ReplyStart::Chunk { cookie, kind, done });
        prop_assert_eq!(u32::from_be_bytes(*length) as usize, rest.len());
        prop_assert!(rest.len() <= kind.length_max().unwrap() as usize);
        prop_assert_eq!(Payload::decode(kind, rest).unwrap(), payload);
    }

    #[test]
    fn simple_replies_come_back(cookie in any::<u64>(), number in any::<u32>()) {
        let error = (number != 0).then(|| Errno::from_number(number));
        let bytes = simple_reply(cookie, error).try_into().unwrap();
        prop_assert_eq!(ReplyStart::decode(&bytes).unwrap(), ReplyStart::Simple { cookie, error });
    }

    #[test]
    fn any_bytes_are_refused_or_taken(code in 0u32..14, data in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = ClientOption::decode(code, &data);
        let _ = OptionReply::decode(code, &data);
        for kind in [ChunkKind::Hole, ChunkKind::BlockStatus, ChunkKind::Error, ChunkKind::ErrorAt] {
            let _ = Payload::decode(kind, &data);
        }
    }
}

/// Data of an option that a server must refuse, and a word of why.
#[test]
fn crooked_options_are_refused() {
    let cases: &[(u32, &[u8], &str)] = &[
        (1, b"a\0b", "zero byte"),
        (1, b"\xff", "UTF-8"),
        (1, &[b'a'; 4097], "4097 bytes"),
        (3, b"x", "too many"),
        (7, b"", "4 bytes announced, 0 there"),
        (7, b"\xff\xff\xff\xff", "4294967295 bytes"),
        (7, b"\0\0\0\x01a\0\x02\0\0", "4 bytes announced, 2 there"),
        (7, b"\0\0\0\0\0\0x", "too many"),
        (8, b"x", "too many"),
        (10, b"\0\0\0\0\xff\xff\xff\xff", "4 bytes announced, 0 there"),
        (10, b"\0\0\0\0\0\0\0\x01\0\0\0\x09base", "9 bytes announced, 4 there"),
    ];
    for (code, data, why) in cases {
        let error = ClientOption::decode(*code, data).unwrap_err().to_string();
        assert!(error.contains(why), "{code} {data:?}: {error}");
    }
    // Neither matters: one ends everything, the other is not known.
    assert_eq!(ClientOption::decode(2, b"bye"), Ok(ClientOption::Abort));
    assert_eq!(ClientOption::decode(99, b"?"), Ok(ClientOption::Other { code: 99 }));
}

#[test]
fn crooked_answers_are_refused() {
    let cases: &[(u32, &[u8], &str)] = &[
        (1, b"x", "too many"),
        (2, b"\0\0\0\x05abc", "5 bytes announced, 3 there"),
        (3, b"\0", "2 bytes announced"),
        (3, b"\0\0\0\0", "8 bytes announced"),
        (
            3,
            b"\0\x03\0\0\0\x03\0\0\x10\0\0\0\x10\0",
            "a smallest block of 3 bytes",
        ),
        (3, b"\0\x03\0\0\0\0\0\0\x10\0\0\0\x10\0", "a smallest block of 0 bytes"),
        (
            3,
            b"\0\x03\0\x02\0\0\0\x02\0\0\0\x02\0\0",
            "a smallest block of 131072 bytes",
        ),
        (
            3,
            b"\0\x03\0\0\x02\0\0\0\x02\0\0\0\0\x01",
            "a largest request of 1 bytes",
        ),
        (4, b"\0\0", "4 bytes announced"),
    ];
    for (kind, data, why) in cases {
        let error = OptionReply::decode(*kind, data).unwrap_err().to_string();
        assert!(error.contains(why), "{kind} {data:?}: {error}");
    }
}

#[test]
fn crooked_chunks_are_refused() {
    let cases: &[(ChunkKind, &[u8], &str)] = &[
        (ChunkKind::None, b"x", "too many"),
        (ChunkKind::Data, b"", "of kind 1"),
        (ChunkKind::Hole, b"\0\0\0\0\0\0\0\0\0\0\0\0", "a hole of no bytes"),
        (ChunkKind::Hole, b"\0\0\0\0\0\0\0\0\0\0\0\x01x", "too many"),
        (ChunkKind::BlockStatus, b"\0\0\0\0", "0 bytes of extents"),
        (
            ChunkKind::BlockStatus,
            b"\0\0\0\0\0\0\0\x01\0\0\0",
            "7 bytes of extents",
        ),
        (
            ChunkKind::BlockStatus,
            b"\0\0\0\0\0\0\0\0\0\0\0\0",
            "an extent of no bytes",
        ),
        (ChunkKind::Error, b"\0\0\0\0\0\0", "an error that is none"),
        (ChunkKind::Error, b"\0\0\0\x05\0\x09no", "9 bytes announced"),
        (ChunkKind::ErrorAt, b"\0\0\0\x05\0\0", "8 bytes announced"),
        (ChunkKind::Other(7), b"", "of kind 7"),
    ];
    for (kind, data, why) in cases {
        let error = Payload::decode(*kind, data).unwrap_err().to_string();
        assert!(error.contains(why), "{kind:?} {data:?}: {error}");
    }
    assert_eq!(
        ChunkKind::Other(7).length_max(),
        None,
        "what is not known must not come"
    );
    let unknown = Payload::decode(ChunkKind::Other(0x8009), b"\0\0\0\x05\0\x02no and more").unwrap();
    assert!(
        matches!(unknown, Payload::Error(Failure { errno: Errno::Io, .. })),
        "an error that is not known is one"
    );
    let long = "ä".repeat(3000);
    let (errno, offset) = (Errno::Io, None);
    let cut = Payload::Error(Failure {
        errno,
        offset,
        message: long.clone(),
    })
    .encode(1, true);
    let Ok(Payload::Error(cut)) = Payload::decode(ChunkKind::Error, &cut[20..]) else {
        panic!("a long message is cut")
    };
    assert_eq!(cut.message, long[..TEXT_BYTES_MAX]);
}

#[test]
fn what_has_another_magic_number_is_refused() {
    assert!(OptionHeader::decode(&[0; 16]).is_err());
    assert!(OptionReplyHeader::decode(&[0; 20]).is_err());
    assert!(Request::decode(&[0; 28]).is_err());
    assert!(
        ReplyStart::decode(&[0; 16])
            .unwrap_err()
            .to_string()
            .contains("begins with 0x0")
    );
}

#[test]
fn errors_have_the_numbers_of_the_protocol() {
    for number in 1..200 {
        assert_eq!(Errno::from_number(number).number(), number);
    }
    assert_eq!(Errno::from_number(22), Errno::Invalid);
    assert_eq!(
        (Errno::Io.to_string(), Errno::Other(7).to_string()),
        ("input or output error (EIO)".into(), "error 7".into())
    );
}
