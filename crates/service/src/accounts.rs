//! Accounts by their ids: looked up for each request, so that one that was shut is shut at once, on every node.

use jiff::Timestamp;
use strongroom_api::{Code, PrincipalKind};
use strongroom_db::UserRow;
use strongroom_model::{ApplicationId, PrincipalId, UserId};

use crate::access::Access;
use crate::principal::Account;
use crate::refusal::{Answer, Refusal};
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// The account that a token speaks for.
pub(crate) async fn find(shared: &Shared, kind: PrincipalKind, id: PrincipalId) -> Answer<Account> {
    let name = match kind {
        PrincipalKind::User => user_name(shared, UserId::from_uuid(*id.as_uuid())).await?,
        PrincipalKind::ServicePrincipal => application_name(shared, ApplicationId::from_uuid(*id.as_uuid())).await?,
    };
    let name = name.ok_or_else(shut)?;
    let roles = shared.db.roles_of(id).await.map_err(|error| refuse(error.into()))?;
    let access = Access::new(roles);
    Ok(Account { kind, id, name, access })
}

async fn user_name(shared: &Shared, id: UserId) -> Answer<Option<String>> {
    let found = shared.db.user_by_id(id).await;
    let found = found.map_err(|error| refuse(error.into()))?;
    Ok(found.filter(|user| !user.disabled).map(|user| user.name))
}

async fn application_name(shared: &Shared, id: ApplicationId) -> Answer<Option<String>> {
    let found = shared.db.application(id).await;
    let found = found.map_err(|error| refuse(error.into()))?;
    Ok(found.filter(|one| !one.disabled).map(|one| one.name.to_string()))
}

/// The user whom the caller is; service principals are none.
pub(crate) async fn user(shared: &Shared, account: &Account) -> Answer<UserRow> {
    let found = shared.db.user_by_id(UserId::from_uuid(*account.id.as_uuid())).await;
    found
        .map_err(|error| refuse(error.into()))?
        .filter(|_| account.kind == PrincipalKind::User)
        .ok_or_else(Refusal::forbidden)
}

/// Refuses who has no password here, and could not prove to know it.
pub(crate) fn needs_password(user: &UserRow) -> Answer<()> {
    match user.password_hash.is_empty() {
        false => Ok(()),
        true => {
            let detail = "You have no password here, as you sign in with another provider: whoever manages the users can \
                          send you a link to set one (`strongroom user invite`)";
            Err(Refusal::new(Code::WrongPassword, detail))
        }
    }
}

fn shut() -> Refusal {
    Refusal::new(
        Code::Unauthenticated,
        "The account was disabled or deleted: ask whoever manages the users of this service",
    )
}

/// A new version-7 id at `now`.
pub(crate) fn new_id(now: Timestamp) -> uuid::Uuid {
    let mut bytes = crate::password::random_bytes::<16>();
    let milliseconds = u64::try_from(now.as_millisecond()).unwrap_or(0).to_be_bytes();
    bytes[..6].copy_from_slice(&milliseconds[2..]);
    uuid::Builder::from_bytes(bytes)
        .with_variant(uuid::Variant::RFC4122)
        .with_version(uuid::Version::SortRand)
        .into_uuid()
}
