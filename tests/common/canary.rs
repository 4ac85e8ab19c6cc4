//! Secrets that nobody could have guessed, and the search for them.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::service::files_below;

/// A secret is recognised by so many of its bytes, in any encoding.
const WINDOW: usize = 12;

/// What must not be found.
#[derive(Default)]
pub struct Canaries {
    windows: HashMap<[u8; WINDOW], String>,
}

impl Canaries {
    /// Adds a secret of at least twelve bytes: as it is, in hexadecimal, base64 and UTF-16.
    pub fn add(&mut self, what: &str, secret: &[u8]) {
        for (encoding, bytes) in encodings(secret) {
            let window = bytes[..WINDOW].try_into().expect("encodings are longer than secrets");
            self.windows.insert(window, format!("{what}, {encoding}"));
        }
    }

    /// Which of them are in these bytes.
    pub fn find(&self, bytes: &[u8]) -> Vec<String> {
        let windows = bytes.windows(WINDOW);
        windows.filter_map(|window| self.windows.get(window).cloned()).collect()
    }

    /// Which of them are in the files of a folder, or in their names.
    pub fn find_below(&self, folder: &Path) -> Vec<(PathBuf, String)> {
        let mut found = Vec::new();
        for file in files_below(folder) {
            let mut bytes = file.as_os_str().as_encoded_bytes().to_owned();
            bytes.extend(match fs::read_link(&file) {
                Ok(target) => target.into_os_string().into_encoded_bytes(),
                Err(_) => fs::read(&file).unwrap(),
            });
            found.extend(self.find(&bytes).into_iter().map(|what| (file.clone(), what)));
        }
        found
    }
}

/// A secret as it would look in other guises; each is at least [`WINDOW`] long.
pub fn encodings(secret: &[u8]) -> Vec<(String, Vec<u8>)> {
    assert!(secret.len() >= WINDOW, "a secret that short is found everywhere");
    let hex = |upper: bool| -> Vec<u8> {
        let digits = secret.iter().map(|byte| {
            if upper {
                format!("{byte:02X}")
            } else {
                format!("{byte:02x}")
            }
        });
        digits.collect::<String>().into_bytes()
    };
    let wide = |big: bool| -> Vec<u8> {
        secret
            .iter()
            .flat_map(|&byte| if big { [0, byte] } else { [byte, 0] })
            .collect()
    };
    let mut all = vec![
        ("as it is".to_owned(), secret.to_owned()),
        ("in hexadecimal".to_owned(), hex(false)),
        ("in hexadecimal capitals".to_owned(), hex(true)),
        ("in UTF-16 (little)".to_owned(), wide(false)),
        ("in UTF-16 (big)".to_owned(), wide(true)),
    ];
    for skipped in 0..3 {
        for (name, last) in [("base64", b"+/"), ("base64url", b"-_")] {
            all.push((format!("in {name} at {skipped}"), base64(secret, skipped, last)));
        }
    }
    all
}

/// The part of a base64 text that depends on nothing but the secret, if `skipped` bytes modulo 3 stand before it.
fn base64(secret: &[u8], skipped: usize, last: &[u8; 2]) -> Vec<u8> {
    let letters: Vec<u8> = (b'A'..=b'Z')
        .chain(b'a'..=b'z')
        .chain(b'0'..=b'9')
        .chain(*last)
        .collect();
    let whole = &secret[(3 - skipped) % 3..];
    let group = |three: &[u8]| {
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        [18, 12, 6, 0].map(|shift| letters[(bits >> shift & 63) as usize])
    };
    whole.chunks_exact(3).flat_map(group).collect()
}
