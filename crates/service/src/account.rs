//! The account of whoever calls.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use strongroom_api::routes::RouteId;
use strongroom_api::{AccountView, ChangePassword, Code, HeldRole, NewPassword, PasswordChanged};

use crate::access::Places;
use crate::attempts::Caller;
use crate::incoming::Incoming;
use crate::listener::Peer;
use crate::oauth::logins;
use crate::principal::Account;
use crate::refusal::{Answer, Refusal, sentence};
use crate::shared::Shared;
use crate::token::ACCESS_SECONDS;
use crate::vault_refusal::refuse;
use crate::{accounts, first_administrator};

/// `GET /api/v1/account`.
pub(crate) async fn show(State(shared): State<Arc<Shared>>, account: Account) -> Answer<Json<AccountView>> {
    let places = Places::load(&shared).await?;
    let held = |(role, scope): &(_, _)| {
        Some(HeldRole {
            role: *role,
            scope: places.name(scope)?,
        })
    };
    Ok(Json(AccountView {
        roles: account.access.roles().iter().filter_map(held).collect(),
        kind: account.kind,
        id: account.id,
        name: account.name,
        subscription: shared.subscription.id,
        subscription_name: shared.subscription.name.clone(),
    }))
}

/// `POST /api/v1/password`.
pub(crate) async fn change_password(
    State(shared): State<Arc<Shared>>,
    Extension(Peer(peer)): Extension<Peer>,
    account: Account,
    incoming: Incoming,
) -> Answer<Json<PasswordChanged>> {
    let request: ChangePassword = incoming.read_json(&shared, RouteId::ChangePassword).await?;
    let new = new_password(&request)?;
    let mut user = accounts::user(&shared, &account).await?;
    accounts::needs_password(&user)?;
    let caller = Caller::new(peer.ip(), &user.name);
    if !logins::is_password(&shared, caller, &user, request.password).await? {
        return Err(wrong());
    }
    let new_hash = shared.passwords.hash(new.into_secret()).await?;
    let replaced = shared
        .db
        .replace_password(&user.name, &user.password_hash, &new_hash)
        .await;
    if !replaced.map_err(|error| refuse(error.into()))? {
        return Err(wrong());
    }
    tracing::info!(user = user.name, "changed the password");
    user.password_hash = new_hash;
    Ok(Json(PasswordChanged {
        session: logins::begin(&shared, &user, "", ACCESS_SECONDS).await?,
        first_password_file: first_administrator::left_file(&shared.folder, &user.name),
    }))
}

fn new_password(request: &ChangePassword) -> Answer<NewPassword> {
    let refused = |why: &str| Refusal::new(Code::InvalidPassword, why);
    if request.new_password == request.password {
        return Err(refused("The new password is the present one: choose another"));
    }
    NewPassword::parse(request.new_password.clone()).map_err(|error| refused(&sentence(&error.to_string())))
}

fn wrong() -> Refusal {
    Refusal::new(Code::WrongPassword, "The present password is wrong")
}
