//! Keys and sealing: the one place in Strongroom where a secret is held.
//!
//! A client turns a payload (a chunk of file contents, the entries of a page, the body of a recovery point) into a
//! *sealed blob* that the vault keeps, names and checks without being able to read it. Only clients may link this
//! crate: the service must not even be able to reach it. It depends on no other Strongroom crate, so it can be
//! reviewed alone: ids arrive as plain byte arrays.
//!
//! ```text
//! Passphrase ──Argon2id──▶ Kek ──wraps──▶ MasterKey ──derive_key──▶ DataKeys ──▶ Sealer, Opener
//! ```
//!
//! The form of a sealed blob and the reasons for it stand at the top of `envelope.rs` (secrecy and authenticity) and
//! `encoding.rs` (compression and padding); `docs/threat-model.md` says against whom.

#![forbid(unsafe_code)]

mod data_keys;
mod encoding;
mod envelope;
mod fingerprint;
mod kdf;
mod kek;
mod kind;
mod level;
mod master_key;
mod opener;
mod padding;
mod passphrase;
mod probe;
mod recovery_key;
mod sealer;
mod subkey;

pub use data_keys::DataKeys;
pub use encoding::PLAIN_BYTES_MAX;
pub use fingerprint::Fingerprint;
pub use kdf::{KdfParams, KdfParamsError};
pub use kek::{Kek, KekError, generate_salt};
pub use kind::SealKind;
pub use level::{Level, LevelError};
pub use master_key::{MasterKey, UnwrapError, WRAPPED_LENGTH};
pub use opener::{OpenError, Opener};
pub use passphrase::{PASSPHRASE_CHARACTERS_MAX, PASSPHRASE_CHARACTERS_MIN, Passphrase, PassphraseError};
pub use recovery_key::{RecoveryKey, RecoveryKeyError};
pub use sealer::{Sealer, sealed_length_max};
