//! Passwords of people: argon2id hashes, made and checked off the asynchronous threads.

use std::sync::{Arc, Mutex, PoisonError};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use strongroom_api::{Code, NewPassword, Secret};
use tokio::sync::Semaphore;

use crate::refusal::{Answer, Refusal};

/// Memory, passes and lanes: the smallest setting that OWASP's password storage advice lists, as each check occupies the
/// memory on behalf of somebody who has not signed in yet.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

const SALT_LENGTH: usize = 16;
const HASH_LENGTH: usize = 32;

/// How many checks may run at once: a bound on memory (19 MiB each) and on the processors that strangers can occupy.
const CHECKS_AT_ONCE: usize = 2;

/// How many checks may wait for their turn, some seconds at most; who comes then is told to come back.
const WAITING_MAX: usize = 64;

/// Makes and checks hashes, a few at a time.
#[derive(Clone)]
pub(crate) struct PasswordHasher {
    at_once: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    scratch: Arc<Scratch>,
}

/// The memory of checks that are over, for the next ones. Given back, each of the allocator's arenas would keep as much.
#[derive(Default)]
struct Scratch(Mutex<Vec<Vec<Block>>>);

impl Scratch {
    fn with<T>(&self, work: impl FnOnce(&mut Vec<Block>) -> T) -> T {
        let free = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut blocks = free().pop().unwrap_or_default();
        let done = work(&mut blocks);
        free().push(blocks);
        done
    }
}

impl PasswordHasher {
    pub(crate) fn new() -> Self {
        Self {
            at_once: Arc::new(Semaphore::new(CHECKS_AT_ONCE)),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            scratch: Arc::default(),
        }
    }

    /// The hash of a password, as a text for the database.
    pub(crate) async fn hash(&self, password: Secret) -> Answer<String> {
        self.run(move |blocks| hash_with(&password, &random_bytes::<SALT_LENGTH>(), blocks))
            .await
    }

    /// Whether the password is the one with that hash. Without a hash (no such user) it takes as long and says no, so
    /// that the time does not tell which users exist.
    pub(crate) async fn check(&self, password: Secret, hash: Option<String>) -> Answer<bool> {
        if password.reveal().len() > NewPassword::BYTES_MAX {
            return Ok(false);
        }
        self.run(move |blocks| {
            let salt = hash.as_deref().and_then(salt_of);
            let computed = hash_with(&password, &salt.unwrap_or([0; SALT_LENGTH]), blocks);
            let expected = hash.unwrap_or_default();
            let equal = aws_lc_rs::constant_time::verify_slices_are_equal(computed.as_bytes(), expected.as_bytes());
            salt.is_some() && equal.is_ok()
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&mut Vec<Block>) -> T + Send + 'static) -> Answer<T> {
        let _place = self.waiting.try_acquire().map_err(|_| {
            Refusal::new(
                Code::Unavailable,
                "Too many people are signing in just now: try again in a moment",
            )
        })?;
        let _permit = self.at_once.acquire().await.expect("the semaphore is never closed");
        let scratch = self.scratch.clone();
        let done = tokio::task::spawn_blocking(move || scratch.with(work)).await;
        Ok(done.expect("hashing does not panic"))
    }
}

/// A password for the first administrator: 160 random bits as 32 letters and digits, none of which look alike.
pub(crate) fn random_password() -> Secret {
    const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789A";
    let letters = random_bytes::<32>().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    Secret::new(letters.iter().collect::<String>())
}

/// Random bytes from the operating system.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill_random(&mut bytes);
    bytes
}

/// 255 random bits as 43 letters, for secrets, addresses, cookies and forms. The first is one of `A`–`f`: what
/// begins with a dash would be taken for an option where somebody types it behind one (`az login --password …`).
pub(crate) fn random_text() -> String {
    let mut bytes = random_bytes::<32>();
    bytes[0] &= 0x7f;
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Fills bytes with randomness from the operating system.
pub(crate) fn fill_random(bytes: &mut [u8]) {
    aws_lc_rs::rand::fill(bytes).expect("the system gives random bytes");
}

/// The PHC string form, `$argon2id$v=19$m=…,t=…,p=…$salt$hash`: a later version that raises the figures can tell.
fn hash_with(password: &Secret, salt: &[u8; SALT_LENGTH], blocks: &mut Vec<Block>) -> String {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_LENGTH)).expect("the figures are within bounds");
    blocks.resize(params.block_count(), Block::default());
    let mut hash = [0; HASH_LENGTH];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(password.reveal().as_bytes(), salt, &mut hash, blocks)
        .expect("lengths of password, salt and hash are within bounds");
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
    format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${hash}")
}

fn salt_of(hash: &str) -> Option<[u8; SALT_LENGTH]> {
    let salt = hash.split('$').nth(4)?;
    STANDARD_NO_PAD.decode(salt).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_right_password_and_no_other() {
        let hasher = PasswordHasher::new();
        let hash = hasher.hash(Secret::new("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        for (password, hash, expected) in [
            ("correct horse", Some(hash.clone()), true),
            ("correct horse ", Some(hash.clone()), false),
            ("", Some(hash), false),
            ("correct horse", None, false),
            ("correct horse", Some(String::new()), false),
        ] {
            assert_eq!(hasher.check(Secret::new(password), hash).await.unwrap(), expected);
        }
    }

    #[test]
    fn first_passwords_differ() {
        assert_ne!(random_password(), random_password());
        assert_eq!(random_password().reveal().len(), 32);
    }

    #[test]
    fn what_is_typed_behind_an_option_begins_with_a_letter() {
        for _ in 0..1000 {
            let text = random_text();
            assert_eq!(text.len(), 43);
            assert!(text.starts_with(|first: char| first.is_ascii_alphabetic()), "{text}");
        }
    }
}
