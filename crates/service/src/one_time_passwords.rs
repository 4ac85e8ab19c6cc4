//! One-time passwords of users: begun, confirmed, asked for at a sign-in, and ended. The database has each secret sealed by
//! a key that only the data folder has, and recovery codes as hashes only.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use data_encoding::BASE32_NOPAD;
use strongroom_api::routes::RouteId;
use strongroom_api::{
    BeginOneTimePasswords, Code, ConfirmOneTimePasswords, EndOneTimePasswords, OneTimePasswordSecret, RecoveryCodes,
    Secret,
};
use strongroom_db::UserRow;
use strongroom_model::UserId;

use crate::accounts;
use crate::attempts::Caller;
use crate::incoming::Incoming;
use crate::listener::Peer;
use crate::oauth::logins;
use crate::password::random_bytes;
use crate::principal::Account;
use crate::refusal::{Answer, Refusal};
use crate::shared::Shared;
use crate::token::KEY_LENGTH;
use crate::totp::TotpSecret;
use crate::vault_refusal::refuse;

/// How many recovery codes a user gets, each of 80 random bits.
const RECOVERY_CODES: usize = 10;
const RECOVERY_BYTES: usize = 10;

/// Seals the secrets.
pub(crate) struct TotpKey(RandomizedNonceKey);

impl TotpKey {
    pub(crate) fn new(key: &[u8; KEY_LENGTH]) -> Self {
        Self(RandomizedNonceKey::new(&AES_256_GCM, key).expect("the key has the right length"))
    }

    /// The nonce, then the secret, sealed for this user only.
    fn seal(&self, user: UserId, secret: &TotpSecret) -> Vec<u8> {
        let mut sealed = secret.as_bytes().to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(user.as_bytes()), &mut sealed);
        let nonce = nonce.expect("a short text can be sealed");
        [nonce.as_ref(), &sealed[..]].concat()
    }

    fn open(&self, user: UserId, sealed: &[u8]) -> Option<TotpSecret> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut bytes = sealed.to_vec();
        let opened = self
            .0
            .open_in_place(nonce, Aad::from(user.as_bytes()), &mut bytes)
            .ok()?;
        Some(TotpSecret::from_bytes(opened.to_vec()))
    }
}

/// `POST /api/v1/account/one-time-passwords`.
pub(crate) async fn begin(
    State(shared): State<Arc<Shared>>,
    Extension(Peer(peer)): Extension<Peer>,
    account: Account,
    incoming: Incoming,
) -> Answer<(StatusCode, Json<OneTimePasswordSecret>)> {
    let request: BeginOneTimePasswords = incoming.read_json(&shared, RouteId::BeginOneTimePasswords).await?;
    let user = accounts::user(&shared, &account).await?;
    prove(&shared, Caller::new(peer.ip(), &user.name), &user, request.password).await?;
    let secret = TotpSecret::random();
    let sealed = shared.totp.seal(user.id, &secret);
    let begun = shared
        .db
        .begin_one_time_passwords(user.id, &sealed, shared.clock.now())
        .await;
    if !begun.map_err(|error| refuse(error.into()))? {
        return Err(state("One-time passwords are in use already: end them first"));
    }
    let address = secret.to_address(&user.name);
    let secret = secret.to_base32();
    Ok((StatusCode::CREATED, Json(OneTimePasswordSecret { secret, address })))
}

/// `POST /api/v1/account/one-time-passwords/confirm`.
pub(crate) async fn confirm(
    State(shared): State<Arc<Shared>>,
    account: Account,
    incoming: Incoming,
) -> Answer<Json<RecoveryCodes>> {
    let request: ConfirmOneTimePasswords = incoming.read_json(&shared, RouteId::ConfirmOneTimePasswords).await?;
    let user = accounts::user(&shared, &account).await?;
    let caller = guesser(&user);
    logins::begin_attempt(&shared, caller)?;
    let found = shared.db.one_time_passwords(user.id).await;
    let found = found.map_err(|error| refuse(error.into()))?;
    let row = found.filter(|row| !row.confirmed);
    let row = row.ok_or_else(|| state("There is nothing to confirm: begin with `strongroom user totp`"))?;
    let secret = shared.totp.open(user.id, &row.sealed_secret);
    let password = request.one_time_password.reveal();
    let step = secret.and_then(|secret| secret.step_of(password, shared.clock.now()));
    let step = step.ok_or_else(wrong)?;
    shared.attempts.succeeded(&caller);
    let codes: Vec<Secret> = (0..RECOVERY_CODES).map(|_| recovery_code()).collect();
    let hashes: Vec<[u8; 32]> = codes.iter().map(|code| recovery_hash(code.reveal())).collect();
    let confirmed = shared.db.confirm_one_time_passwords(user.id, step, &hashes).await;
    match confirmed.map_err(|error| refuse(error.into()))? {
        true => {
            tracing::info!(user = user.name, "one-time passwords are asked for from now on");
            Ok(Json(RecoveryCodes { recovery_codes: codes }))
        }
        false => Err(wrong()),
    }
}

/// `POST /api/v1/account/one-time-passwords/end`.
pub(crate) async fn end(
    State(shared): State<Arc<Shared>>,
    Extension(Peer(peer)): Extension<Peer>,
    account: Account,
    incoming: Incoming,
) -> Answer<StatusCode> {
    let request: EndOneTimePasswords = incoming.read_json(&shared, RouteId::EndOneTimePasswords).await?;
    let user = accounts::user(&shared, &account).await?;
    prove(&shared, Caller::new(peer.ip(), &user.name), &user, request.password).await?;
    check(&shared, &user, Some(request.one_time_password)).await?;
    let ended = shared.db.end_one_time_passwords(user.id).await;
    match ended.map_err(|error| refuse(error.into()))? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(state("One-time passwords are not in use")),
    }
}

/// Asks for a one-time password, if the user has them. Who can be asked knows the password already: guesses are counted
/// wherever they come from.
pub(crate) async fn check(shared: &Shared, user: &UserRow, given: Option<Secret>) -> Answer<()> {
    let found = shared.db.one_time_passwords(user.id).await;
    let found = found.map_err(|error| refuse(error.into()))?;
    let Some(row) = found.filter(|row| row.confirmed) else {
        return Ok(());
    };
    let Some(given) = given.filter(|given| !given.reveal().trim().is_empty()) else {
        let detail = "A one-time password is needed too: type what your authenticator shows, or a recovery code";
        return Err(Refusal::new(Code::OneTimePasswordRequired, detail));
    };
    let caller = guesser(user);
    logins::begin_attempt(shared, caller)?;
    let secret = shared.totp.open(user.id, &row.sealed_secret);
    if secret.is_none() {
        tracing::error!(
            user = user.name,
            "the secret of the one-time passwords cannot be opened: reset them"
        );
    }
    let step = secret.and_then(|secret| secret.step_of(given.reveal(), shared.clock.now()));
    let used = match step {
        Some(step) => shared.db.use_one_time_password(user.id, step).await,
        None => {
            shared
                .db
                .use_recovery_code(user.id, recovery_hash(given.reveal()))
                .await
        }
    };
    match used.map_err(|error| refuse(error.into()))? {
        true => {
            shared.attempts.succeeded(&caller);
            Ok(())
        }
        false => Err(wrong()),
    }
}

async fn prove(shared: &Shared, caller: Caller, user: &UserRow, password: Secret) -> Answer<()> {
    accounts::needs_password(user)?;
    match logins::is_password(shared, caller, user, password).await? {
        true => Ok(()),
        false => Err(Refusal::new(Code::WrongPassword, "The password is wrong")),
    }
}

fn guesser(user: &UserRow) -> Caller {
    Caller::from_anywhere(&format!("one-time password of {}", user.id))
}

/// Sixteen letters and digits, in groups of four.
fn recovery_code() -> Secret {
    let text = BASE32_NOPAD.encode(&random_bytes::<RECOVERY_BYTES>()).to_lowercase();
    let groups: Vec<&str> = (0..4).map(|group| &text[group * 4..group * 4 + 4]).collect();
    Secret::new(groups.join("-"))
}

fn recovery_hash(code: &str) -> [u8; 32] {
    let letters: String = code.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
    *blake3::hash(letters.to_ascii_lowercase().as_bytes()).as_bytes()
}

fn wrong() -> Refusal {
    Refusal::new(
        Code::WrongPassword,
        "The one-time password is wrong, or was used before: wait for the next one",
    )
}

fn state(detail: &str) -> Refusal {
    Refusal::new(Code::OneTimePasswordsState, detail)
}
