//! People sign in with a password, and go on by refresh tokens, each of which is good once.

use jiff::SignedDuration;
use strongroom_api::{Code, PrincipalKind, Problem, Secret, TokenResponse};
use strongroom_db::{LoginId, LoginRenewed, LoginRow, UserRow};

use super::form::needed;
use super::{Asked, Granted, Refused, Signed, TokenForm};
use crate::attempts::Caller;
use crate::one_time_passwords;
use crate::password::random_bytes;
use crate::refusal::{Answer, Refusal};
use crate::shared::Shared;
use crate::token::{Bearer, RefreshToken, SESSION_SECONDS, TokenRefusal};
use crate::vault_refusal::refuse;

/// For so long after a refresh token was used it is taken once more: the answer may have been lost, or two commands of one
/// person asked at once.
const FORGIVING_SECONDS: i64 = 60;

/// The longest name of a program that is kept, in bytes.
const CLIENT_BYTES_MAX: usize = 200;

pub(crate) async fn by_password(shared: &Shared, form: TokenForm, asked: &Asked) -> Result<Granted, Refused> {
    let name = needed(form.username, "username")?;
    let password = needed(form.password, "password")?;
    let client = client_of(form.client_id)?;
    let user = check(shared, asked, &name, password, form.one_time_password).await?;
    granted(shared, &user, &client, asked).await
}

/// The user whom name, password and, if the user has them, a one-time password prove. The attempt is counted before
/// anything is compared: guesses that come at once are bound like those that come one by one.
pub(crate) async fn check(
    shared: &Shared,
    asked: &Asked,
    name: &str,
    password: Secret,
    one_time_password: Option<Secret>,
) -> Answer<UserRow> {
    let caller = Caller::new(asked.peer, name);
    begin_attempt(shared, caller)?;
    let user = find(shared, name).await?;
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let right = shared.passwords.check(password, hash).await?;
    let Some(user) = user.filter(|_| right) else {
        return Err(failed(shared, name));
    };
    one_time_passwords::check(shared, &user, one_time_password).await?;
    shared.attempts.succeeded(&caller);
    Ok(user)
}

/// Whether this is the user's password. Failures cost the caller patience, as at a sign-in.
pub(crate) async fn is_password(shared: &Shared, caller: Caller, user: &UserRow, password: Secret) -> Answer<bool> {
    begin_attempt(shared, caller)?;
    let right = shared
        .passwords
        .check(password, Some(user.password_hash.clone()))
        .await?;
    match right {
        true => shared.attempts.succeeded(&caller),
        false => {
            failed(shared, &user.name);
        }
    }
    Ok(right)
}

/// Counts an attempt, or refuses it.
pub(crate) fn begin_attempt(shared: &Shared, caller: Caller) -> Answer<()> {
    shared.attempts.begin(caller, shared.clock.now()).map_err(|seconds| {
        let detail = format!("Too many sign-ins have failed: wait {seconds} seconds");
        let mut problem = Problem::new(Code::TooManyAttempts, detail);
        problem.retry_after_seconds = Some(seconds);
        problem.into()
    })
}

fn failed(shared: &Shared, name: &str) -> Refusal {
    shared.metrics.sign_ins_failed.inc();
    tracing::warn!(
        user = crate::audit::short(name),
        "a sign-in failed: wrong user name or password"
    );
    Refusal::new(Code::WrongPassword, "The user name or the password is wrong")
}

/// The user of this name, unless the account is shut: then it is as if there were none.
async fn find(shared: &Shared, name: &str) -> Answer<Option<UserRow>> {
    let found = shared.db.user(name).await;
    let found = found.map_err(|error| refuse(error.into()))?;
    Ok(found.filter(|user| !user.disabled))
}

/// Begins a session and says whose.
pub(crate) async fn granted(shared: &Shared, user: &UserRow, client: &str, asked: &Asked) -> Result<Granted, Refused> {
    let response = begin(shared, user, client, asked.access_seconds).await?;
    tracing::info!(user = user.name, "signed in");
    Ok(Granted {
        response,
        account: Some(signed(user)),
        begun: true,
    })
}

/// Begins a session of a user who has proved to be the one.
pub(crate) async fn begin(shared: &Shared, user: &UserRow, client: &str, access_seconds: u64) -> Answer<TokenResponse> {
    let now = shared.clock.now();
    let life = SignedDuration::from_secs(i64::try_from(SESSION_SECONDS).unwrap_or(i64::MAX));
    let login = LoginRow {
        id: LoginId::from_bytes(random_bytes()),
        user: user.id,
        client: client.to_owned(),
        begun: now,
        expires: now
            .saturating_add(life)
            .expect("a signed duration carries no calendar units"),
    };
    let begun = shared.db.begin_login(&login).await;
    begun.map_err(|error| refuse(error.into()))?;
    let token = RefreshToken::first(login.id, user.id, client, &user.password_hash);
    Ok(TokenResponse {
        refresh_token: Some(shared.tokens.for_login(&token, now, login.expires)),
        refresh_expires_in: Some(SESSION_SECONDS),
        ..access_of(shared, user, access_seconds)
    })
}

pub(crate) async fn by_refresh_token(shared: &Shared, form: TokenForm, asked: &Asked) -> Result<Granted, Refused> {
    let token = needed(form.refresh_token, "refresh_token")?;
    let now = shared.clock.now();
    let (token, end) = shared
        .tokens
        .login(token.reveal(), now)
        .map_err(|refusal| match refusal {
            TokenRefusal::Expired => over(),
            TokenRefusal::Foreign => Refusal::new(
                Code::Unauthenticated,
                "The session is not one of this service: sign in again with `strongroom login`",
            ),
        })?;
    if form.client_id.is_some_and(|client| client != token.client) {
        return Err(Refused::new(
            Code::Unauthenticated,
            "The session was begun by another program",
        ));
    }
    let user = shared.db.user_by_id(token.user).await;
    let user = user.map_err(|error| refuse(error.into()))?;
    let user = user
        .filter(|user| !user.disabled && token.belongs_to(&user.password_hash))
        .ok_or_else(over)?;
    let generation = next_generation(shared, &token, &user).await?;
    let next = token.of_generation(generation);
    let left = u64::try_from(end.as_second().saturating_sub(now.as_second())).unwrap_or(0);
    Ok(Granted {
        response: TokenResponse {
            refresh_token: Some(shared.tokens.for_login(&next, now, end)),
            refresh_expires_in: Some(left),
            ..access_of(shared, &user, asked.access_seconds)
        },
        account: Some(signed(&user)),
        begun: false,
    })
}

async fn next_generation(shared: &Shared, token: &RefreshToken, user: &UserRow) -> Result<i64, Refused> {
    let now = shared.clock.now();
    let since = now.saturating_sub(SignedDuration::from_secs(FORGIVING_SECONDS));
    let since = since.expect("a signed duration carries no calendar units");
    let renewed = shared.db.renew_login(token.login(), token.generation, now, since).await;
    match renewed.map_err(|error| refuse(error.into()))? {
        LoginRenewed::Renewed(generation) | LoginRenewed::Again(generation) => Ok(generation),
        LoginRenewed::Over => Err(over().into()),
        LoginRenewed::Reused => {
            tracing::warn!(user = user.name, "a refresh token was used twice: its session is over");
            let detail = "This token was used before, so that somebody else may have it: the session is over for both. \
                          Sign in again with `strongroom login`";
            Err(Refused::new(Code::TokenReused, detail))
        }
    }
}

/// The name of the program that asks; it may not say.
pub(crate) fn client_of(client: Option<String>) -> Result<String, Refused> {
    let client = client.unwrap_or_default();
    match client.len() > CLIENT_BYTES_MAX || client.contains(char::is_control) {
        true => Err(Refused::new(
            Code::InvalidRequest,
            "The client_id is too long, or no plain text",
        )),
        false => Ok(client),
    }
}

fn access_of(shared: &Shared, user: &UserRow, seconds: u64) -> TokenResponse {
    let bearer = Bearer::Account {
        kind: PrincipalKind::User,
        id: user.id.into(),
    };
    let token = shared.tokens.for_bearer(bearer, seconds, shared.clock.now());
    access(token, seconds)
}

/// An access token without more.
pub(crate) fn access(access_token: Secret, seconds: u64) -> TokenResponse {
    TokenResponse {
        access_token,
        token_type: "Bearer".to_owned(),
        expires_in: seconds,
        refresh_token: None,
        refresh_expires_in: None,
    }
}

fn signed(user: &UserRow) -> Signed {
    Signed::User {
        id: user.id.into(),
        name: user.name.clone(),
    }
}

fn over() -> Refusal {
    Refusal::new(
        Code::TokenExpired,
        "The session is over: sign in again with `strongroom login`",
    )
}
