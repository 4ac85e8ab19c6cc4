//! What every version must go on producing and reading: `testdata/golden.txt`.
//!
//! A line that changes here is data in somebody's vault that no longer deduplicates, or no longer opens. Lines are
//! added, never edited. To add some, extend `lines`, run the test and copy what it prints.

use strongroom_seal::{KdfParams, Kek, Level, MasterKey, Opener, Passphrase, SealKind, Sealer};

const GOLDEN: &str = include_str!("../testdata/golden.txt");
/// Sealed bytes of compressed payloads are a promise for one version of zstd only. When it changes, keep the old
/// `zstd-…` lines for opening and add new ones under the new version.
const ZSTD_VERSION: &str = "1.5.7";
const KEY_SET: [u8; 16] = *b"golden key set 1";

fn master() -> MasterKey {
    MasterKey::from_bytes(std::array::from_fn(|index| index as u8))
}

fn kek() -> Kek {
    let passphrase = Passphrase::parse("golden passphrase, never used".to_string()).unwrap();
    Kek::derive(
        &passphrase,
        b"golden salt of thirty-two bytes!",
        KdfParams::new(19 * 1024, 2, 1).unwrap(),
    )
    .unwrap()
}

/// Bytes that never compress, from a generator written out here so that it can never change (splitmix64).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0u64;
    let mut next = move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    std::iter::from_fn(|| Some(next().to_le_bytes()))
        .flatten()
        .take(length)
        .collect()
}

/// Bytes that compress well.
fn text(length: usize) -> Vec<u8> {
    (0u32..)
        .flat_map(|line| format!("golden line {line}, and more\n").into_bytes())
        .take(length)
        .collect()
}

fn seal(kind: SealKind, aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Sealer::new(&master().keys(), Level::default()).seal(kind, aad, plain, &mut out);
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn golden(name: &str) -> &'static str {
    let line = GOLDEN
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("testdata/golden.txt has no line {name}"))
}

fn lines() -> Vec<(String, String)> {
    let keys = master().keys();
    let mut lines = vec![
        ("chunker-key".to_string(), hex(&keys.chunker_key())),
        ("membership".to_string(), hex(&keys.membership())),
        ("wrapped-master".to_string(), hex(&master().wrap(&kek(), KEY_SET))),
        (
            "plain-chunk-exact".to_string(),
            hex(&seal(SealKind::Chunk, b"", b"hello, vault")),
        ),
        (
            "plain-page-exact".to_string(),
            hex(&seal(SealKind::Page, b"visible part", b"entries")),
        ),
        (
            "plain-point-exact".to_string(),
            hex(&seal(SealKind::PointBody, b"visible header", b"body")),
        ),
        (
            format!("zstd-{ZSTD_VERSION}-chunk-exact"),
            hex(&seal(SealKind::Chunk, b"", &text(4000))),
        ),
    ];
    for input in [&b""[..], b"a", b"etc/passwd"] {
        let name = String::from_utf8_lossy(input);
        lines.push((format!("fingerprint({name})"), keys.fingerprint(input).to_string()));
        lines.push((format!("boundary({name})"), format!("{:016x}", keys.boundary(input))));
    }
    lines.push((
        "fingerprint(noise 1 MiB)".to_string(),
        keys.fingerprint(&noise(1 << 20)).to_string(),
    ));
    for length in [0, 1, 64, 65, 4096, 65_536, 1_000_000] {
        lines.push((format!("plain-hash(noise {length})"), blob_line(&noise(length))));
    }
    for length in [1000, 65_536, 1_000_000] {
        lines.push((
            format!("zstd-{ZSTD_VERSION}-hash(text {length})"),
            blob_line(&text(length)),
        ));
    }
    lines
}

/// Length and BLAKE3 of the sealed blob.
fn blob_line(plain: &[u8]) -> String {
    let sealed = seal(SealKind::Chunk, b"", plain);
    format!("{} {}", sealed.len(), blake3::hash(&sealed))
}

#[test]
fn produces_the_golden_values() {
    let expected = GOLDEN
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n");
    let produced = lines()
        .into_iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect::<Vec<_>>()
        .join("\n");
    assert_eq!(zstd::zstd_safe::version_string(), ZSTD_VERSION, "see ZSTD_VERSION");
    assert!(produced == expected, "golden values changed; produced now:\n{produced}");
}

#[test]
fn opens_the_golden_blobs() {
    let cases: [(&str, SealKind, &[u8], Vec<u8>); 4] = [
        ("plain-chunk-exact", SealKind::Chunk, b"", b"hello, vault".to_vec()),
        ("plain-page-exact", SealKind::Page, b"visible part", b"entries".to_vec()),
        (
            "plain-point-exact",
            SealKind::PointBody,
            b"visible header",
            b"body".to_vec(),
        ),
        ("zstd-1.5.7-chunk-exact", SealKind::Chunk, b"", text(4000)),
    ];
    let mut opener = Opener::new(&master().keys());
    for (name, kind, aad, plain) in cases {
        let mut opened = Vec::new();
        opener
            .open(kind, aad, &unhex(golden(name)), plain.len(), &mut opened)
            .unwrap();
        assert_eq!(opened, plain, "{name}");
    }
}

#[test]
fn unwraps_the_golden_master_key() {
    let opened = MasterKey::unwrap(&kek(), KEY_SET, &unhex(golden("wrapped-master"))).unwrap();
    assert_eq!(opened.to_bytes(), master().to_bytes());
}
