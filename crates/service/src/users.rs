//! Users, for whoever manages them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use strongroom_api::routes::RouteId;
use strongroom_api::{ChangeUser, Code, CreateUser, CreatedUser, NewPassword, UserList, UserView};
use strongroom_db::{UserChanged, UserRow};
use strongroom_model::{MailAddress, UserId, UserName};

use crate::accounts::new_id;
use crate::incoming::Incoming;
use crate::location::{Located, located};
use crate::parse::parse;
use crate::principal::Account;
use crate::refusal::{Answer, Refusal, sentence};
use crate::shared::Shared;
use crate::vault_refusal::refuse;
use crate::{identities, invitations};

/// `GET /api/v1/users`.
pub(crate) async fn list(State(shared): State<Arc<Shared>>) -> Answer<Json<UserList>> {
    let rows = shared.db.users().await.map_err(|error| refuse(error.into()))?;
    let mut users = Vec::new();
    for row in rows {
        users.push(view(&shared, row).await?);
    }
    Ok(Json(UserList { users }))
}

/// `POST /api/v1/users`.
pub(crate) async fn create(
    State(shared): State<Arc<Shared>>,
    account: Account,
    incoming: Incoming,
) -> Answer<(StatusCode, Located<Json<CreatedUser>>)> {
    let create: CreateUser = incoming.read_json(&shared, RouteId::CreateUser).await?;
    let email = checked(create.email)?;
    let password_hash = match create.password {
        Some(password) => {
            let password = NewPassword::parse(password)
                .map_err(|error| Refusal::new(Code::InvalidPassword, sentence(&error.to_string())))?;
            shared.passwords.hash(password.into_secret()).await?
        }
        None => String::new(),
    };
    let now = shared.clock.now();
    let user = UserRow {
        id: UserId::from_uuid(new_id(now)),
        name: create.name.to_string(),
        email,
        disabled: false,
        password_hash,
        created: now,
    };
    let inserted = shared.db.insert_user(&user, None).await;
    if !inserted.map_err(|error| refuse(error.into()))? {
        let detail = format!("There is a user called {} already: choose another name", user.name);
        return Err(Refusal::new(Code::PrincipalExists, detail));
    }
    tracing::info!(user = user.name, "created a user");
    let invitation = match user.password_hash.is_empty() {
        true => Some(invitations::make(&shared, &user, &account.name).await?),
        false => None,
    };
    let user = view(&shared, user).await?;
    let name = user.name.clone();
    let created = Json(CreatedUser { user, invitation });
    Ok((StatusCode::CREATED, located(RouteId::ShowUser, &[&name], created)))
}

/// An address that mail can go to, or none.
fn checked(email: String) -> Answer<String> {
    match email.is_empty() || email.parse::<MailAddress>().is_ok() {
        true => Ok(email),
        false => Err(Refusal::new(
            Code::InvalidRequest,
            "This is no e-mail address: it must look like eve@example.org",
        )),
    }
}

/// `GET /api/v1/users/{user}`.
pub(crate) async fn show(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Answer<Json<UserView>> {
    let user = find(&shared, &parse(&name)?).await?;
    Ok(Json(view(&shared, user).await?))
}

/// `PATCH /api/v1/users/{user}`.
pub(crate) async fn change(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    incoming: Incoming,
) -> Answer<Json<UserView>> {
    let name: UserName = parse(&name)?;
    let change: ChangeUser = incoming.read_json(&shared, RouteId::ChangeUser).await?;
    if let Some(disabled) = change.disabled {
        let changed = shared.db.set_user_disabled(&name, disabled).await;
        settle(changed.map_err(|error| refuse(error.into()))?, &name)?;
        tracing::info!(user = %name, disabled, "changed a user");
    }
    if let Some(email) = change.email {
        let changed = shared.db.set_user_email(&name, &checked(email)?).await;
        if !changed.map_err(|error| refuse(error.into()))? {
            return Err(no_such_user(&name));
        }
        tracing::info!(user = %name, "changed a user's address");
    }
    let user = find(&shared, &name).await?;
    Ok(Json(view(&shared, user).await?))
}

/// `DELETE /api/v1/users/{user}`.
pub(crate) async fn delete(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Answer<StatusCode> {
    let name: UserName = parse(&name)?;
    let user = find(&shared, &name).await?;
    let deleted = shared.db.delete_user(user.id).await;
    settle(deleted.map_err(|error| refuse(error.into()))?, &name)?;
    tracing::info!(user = %name, "deleted a user");
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /api/v1/users/{user}/one-time-passwords`.
pub(crate) async fn reset_one_time_passwords(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Answer<StatusCode> {
    let user = find(&shared, &parse(&name)?).await?;
    let ended = shared.db.end_one_time_passwords(user.id).await;
    ended.map_err(|error| refuse(error.into()))?;
    // Who lost an authenticator may have lost what is signed in, too.
    let ended = shared.db.end_sign_ins(user.id).await;
    ended.map_err(|error| refuse(error.into()))?;
    tracing::info!(user = user.name, "took the one-time passwords off a user");
    Ok(StatusCode::NO_CONTENT)
}

/// The user of this name.
pub(crate) async fn find(shared: &Shared, name: &UserName) -> Answer<UserRow> {
    let found = shared.db.user(name.as_str()).await;
    found
        .map_err(|error| refuse(error.into()))?
        .ok_or_else(|| no_such_user(name))
}

fn settle(changed: UserChanged, name: &UserName) -> Answer<()> {
    match changed {
        UserChanged::Done => Ok(()),
        UserChanged::Absent => Err(no_such_user(name)),
        UserChanged::LastOwner => Err(last_owner()),
    }
}

fn no_such_user(name: &UserName) -> Refusal {
    let detail = format!("There is no user called {name}: `strongroom user list` shows the users");
    Refusal::new(Code::PrincipalNotFound, detail)
}

/// Nobody could give roles any more.
pub(crate) fn last_owner() -> Refusal {
    Refusal::new(
        Code::LastOwner,
        "Nobody who can sign in would own the subscription any more: make somebody else Owner first",
    )
}

async fn view(shared: &Shared, user: UserRow) -> Answer<UserView> {
    let passwords = shared.db.one_time_passwords(user.id).await;
    let passwords = passwords.map_err(|error| refuse(error.into()))?;
    let identities = shared.db.identities_of(user.id).await;
    let identities = identities.map_err(|error| refuse(error.into()))?;
    Ok(UserView {
        has_password: !user.password_hash.is_empty(),
        identities: identities
            .into_iter()
            .map(|one| identities::view(shared, one))
            .collect(),
        id: user.id,
        name: user.name,
        email: user.email,
        disabled: user.disabled,
        one_time_passwords: passwords.is_some_and(|passwords| passwords.confirmed),
        created: user.created,
    })
}
