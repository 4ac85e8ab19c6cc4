//! Identities that other providers vouch for: linked with users, and unlinked, by whoever manages the users.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use strongroom_api::routes::RouteId;
use strongroom_api::{Code, IdentityView, LinkIdentity};
use strongroom_db::{IdentityRow, UserChanged};
use strongroom_model::IdentityId;

use crate::accounts::new_id;
use crate::incoming::Incoming;
use crate::parse::parse;
use crate::principal::Account;
use crate::refusal::{Answer, Refusal};
use crate::shared::Shared;
use crate::users;
use crate::vault_refusal::refuse;

/// The longest subject, in characters (OpenID Connect Core, section 2).
const SUBJECT_MAX: usize = 255;

/// `POST /api/v1/users/{user}/identities`.
pub(crate) async fn link(
    State(shared): State<Arc<Shared>>,
    account: Account,
    Path(user): Path<String>,
    incoming: Incoming,
) -> Answer<(StatusCode, Json<IdentityView>)> {
    let user = users::find(&shared, &parse(&user)?).await?;
    let link: LinkIdentity = incoming.read_json(&shared, RouteId::LinkIdentity).await?;
    let issuer = shared.providers.issuer(&link.provider).ok_or_else(|| {
        let detail = format!(
            "The service knows no provider called {}: name one in its configuration file",
            link.provider
        );
        Refusal::new(Code::ProviderNotFound, detail)
    })?;
    if !(1..=SUBJECT_MAX).contains(&link.subject.chars().count()) {
        let detail = "A subject has between 1 and 255 characters: it is what the provider calls the person";
        return Err(Refusal::new(Code::InvalidRequest, detail));
    }
    let now = shared.clock.now();
    let identity = IdentityRow {
        id: IdentityId::from_uuid(new_id(now)),
        issuer: issuer.to_owned(),
        subject: link.subject,
        user: user.id,
        created: now,
        created_by: account.name,
        used: None,
    };
    let linked = shared.db.link_identity(&identity).await;
    if !linked.map_err(|error| refuse(error.into()))? {
        let detail = "Somebody is linked with that identity already: `strongroom user list --json` shows who, and \
                      `strongroom user unlink` undoes it";
        return Err(Refusal::new(Code::IdentityExists, detail));
    }
    tracing::info!(user = user.name, provider = %link.provider, "linked a user with an identity");
    Ok((StatusCode::CREATED, Json(view(&shared, identity))))
}

/// `DELETE /api/v1/users/{user}/identities/{identity}`.
pub(crate) async fn unlink(
    State(shared): State<Arc<Shared>>,
    Path((user, identity)): Path<(String, String)>,
) -> Answer<StatusCode> {
    let user = users::find(&shared, &parse(&user)?).await?;
    let identity: IdentityId = parse(&identity)?;
    let unlinked = shared.db.unlink_identity(user.id, identity).await;
    match unlinked.map_err(|error| refuse(error.into()))? {
        UserChanged::Done => {
            tracing::info!(user = user.name, "unlinked a user from an identity");
            Ok(StatusCode::NO_CONTENT)
        }
        UserChanged::LastOwner => Err(users::last_owner()),
        UserChanged::Absent => {
            let name = &user.name;
            let detail = format!("{name} has no identity of this id: `strongroom user show {name}` shows them");
            Err(Refusal::new(Code::IdentityNotFound, detail))
        }
    }
}

/// As the API shows it.
pub(crate) fn view(shared: &Shared, row: IdentityRow) -> IdentityView {
    IdentityView {
        id: row.id,
        provider: shared.providers.name_of(&row.issuer),
        issuer: row.issuer,
        subject: row.subject,
        created: row.created,
        created_by: row.created_by,
        used: row.used,
    }
}
