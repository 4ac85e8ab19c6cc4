//! The account of the administrator who calls.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use strongroom_api::routes::RouteId;
use strongroom_api::{ChangePassword, Code, NewPassword, PasswordChanged};

use crate::attempts::Caller;
use crate::first_administrator;
use crate::incoming::Incoming;
use crate::listener::Peer;
use crate::principal::Administrator;
use crate::refusal::{Answer, Refusal, sentence};
use crate::shared::Shared;
use crate::sign_in::{begin_session, check_password};
use crate::vault_refusal::refuse;

/// `POST /api/v1/password`.
pub(crate) async fn change_password(
    State(shared): State<Arc<Shared>>,
    Extension(Peer(peer)): Extension<Peer>,
    Administrator { user }: Administrator,
    incoming: Incoming,
) -> Answer<Json<PasswordChanged>> {
    let request: ChangePassword = incoming.read_json(&shared, RouteId::ChangePassword).await?;
    let new = new_password(&request)?;
    let caller = Caller::new(peer.ip(), &user);
    let Some(old_hash) = check_password(&shared, caller, &user, request.password).await? else {
        return Err(wrong());
    };
    let new_hash = shared.passwords.hash(new.into_secret()).await;
    let replaced = shared.db.replace_password(&user, &old_hash, &new_hash).await;
    if !replaced.map_err(|error| refuse(error.into()))? {
        return Err(wrong());
    }
    tracing::info!(user, "changed the password");
    Ok(Json(PasswordChanged {
        session: begin_session(&shared, &user, &new_hash),
        first_password_file: first_administrator::left_file(&shared.folder, &user),
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
