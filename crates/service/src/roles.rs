//! Roles, and who has them.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use strongroom_api::routes::RouteId;
use strongroom_api::{AssignRole, AssignmentList, AssignmentView, Code, PrincipalKind, RoleDefinitionList};
use strongroom_db::AssignmentRow;
use strongroom_model::{AssignmentId, Permission, Place, PrincipalId, PrincipalName, Scope, ScopeName};

use crate::access::Places;
use crate::accounts::new_id;
use crate::incoming::Incoming;
use crate::parse::parse;
use crate::principal::Account;
use crate::refusal::{Answer, Refusal};
use crate::shared::Shared;
use crate::target::no_such_group;
use crate::users::last_owner;
use crate::vault_refusal::{no_such_vault, refuse};

/// `GET /api/v1/roles`.
pub(crate) async fn definitions() -> Json<RoleDefinitionList> {
    Json(RoleDefinitionList::all())
}

/// `GET /api/v1/role-assignments`.
pub(crate) async fn list(State(shared): State<Arc<Shared>>, account: Account) -> Answer<Json<AssignmentList>> {
    let rows = shared
        .db
        .role_assignments()
        .await
        .map_err(|error| refuse(error.into()))?;
    let places = Places::load(&shared).await?;
    let names = Names::load(&shared).await?;
    let seen = |row: &AssignmentRow| {
        let place = places.place(&row.scope);
        place.is_some_and(|place| account.access.permits(Permission::RolesRead, &place))
    };
    let assignments = rows
        .into_iter()
        .filter(seen)
        .filter_map(|row| names.view(row, &places))
        .collect();
    Ok(Json(AssignmentList { assignments }))
}

/// `POST /api/v1/role-assignments`.
pub(crate) async fn assign(
    State(shared): State<Arc<Shared>>,
    account: Account,
    incoming: Incoming,
) -> Answer<(StatusCode, Json<AssignmentView>)> {
    let assign: AssignRole = incoming.read_json(&shared, RouteId::AssignRole).await?;
    let place = place_of(&shared, &account, &assign.scope).await?;
    let now = shared.clock.now();
    let row = AssignmentRow {
        id: AssignmentId::from_uuid(new_id(now)),
        principal: find_principal(&shared, &assign.principal).await?,
        role: assign.role,
        scope: place.scope().clone(),
        created: now,
        created_by: account.name.clone(),
    };
    let assigned = shared.db.assign_role(&row).await;
    if !assigned.map_err(|error| refuse(error.into()))? {
        let detail = format!("{} is {} of {} already", assign.principal, assign.role, assign.scope);
        return Err(Refusal::new(Code::AssignmentExists, detail));
    }
    tracing::info!(by = account.name, to = assign.principal, role = %assign.role, scope = %assign.scope, "gave a role");
    let (places, names) = (Places::load(&shared).await?, Names::load(&shared).await?);
    let view = names.view(row, &places).ok_or_else(no_such_assignment)?;
    Ok((StatusCode::CREATED, Json(view)))
}

/// `DELETE /api/v1/role-assignments/{assignment}`.
pub(crate) async fn remove(
    State(shared): State<Arc<Shared>>,
    account: Account,
    Path(id): Path<String>,
) -> Answer<StatusCode> {
    let id: AssignmentId = parse(&id)?;
    let found = shared.db.role_assignment(id).await;
    let row = found
        .map_err(|error| refuse(error.into()))?
        .ok_or_else(no_such_assignment)?;
    let places = Places::load(&shared).await?;
    let place = places.place(&row.scope).ok_or_else(no_such_assignment)?;
    let (needed, read) = (Permission::RolesDelete, Permission::RolesRead);
    account.access.require(needed, read, &place, no_such_assignment)?;
    let removed = shared.db.remove_assignment(id).await;
    if !removed.map_err(|error| refuse(error.into()))? {
        return Err(match row.scope {
            Scope::Subscription => last_owner(),
            _ => no_such_assignment(),
        });
    }
    tracing::info!(by = account.name, from = %row.principal, role = %row.role, scope = %row.scope, "took a role away");
    Ok(StatusCode::NO_CONTENT)
}

/// Where the caller wants to give a role, and may.
async fn place_of(shared: &Shared, account: &Account, scope: &ScopeName) -> Answer<Place> {
    let (needed, access) = (Permission::RolesWrite, &account.access);
    match scope {
        ScopeName::Subscription => {
            let place = Place::subscription();
            access.require(needed, Permission::RolesRead, &place, Refusal::forbidden)?;
            Ok(place)
        }
        ScopeName::ResourceGroup(name) => {
            let place = Place::resource_group(name);
            access.require(needed, Permission::ResourceGroupsRead, &place, || no_such_group(name))?;
            let found = shared.db.resource_group(name).await;
            let found = found.map_err(|error| refuse(error.into()))?;
            found.map(|_| place).ok_or_else(|| no_such_group(name))
        }
        ScopeName::Vault(name) => {
            let found = shared.db.vault_by_name(name).await;
            let found = found.map_err(|error| refuse(error.into()))?;
            let vault = found.ok_or_else(|| no_such_vault(name))?;
            let place = Place::vault(&vault.resource_group, vault.id);
            access.require(needed, Permission::VaultsRead, &place, || no_such_vault(name))?;
            Ok(place)
        }
    }
}

/// A user or service principal, by name or by id.
async fn find_principal(shared: &Shared, text: &str) -> Answer<PrincipalId> {
    let names = Names::load(shared).await?;
    if let Ok(id) = text.parse::<PrincipalId>()
        && names.0.contains_key(&id)
    {
        return Ok(id);
    }
    let user = shared.db.user(text).await.map_err(|error| refuse(error.into()))?;
    let application = match text.parse::<PrincipalName>() {
        Ok(name) => {
            let found = shared.db.application_by_name(&name).await;
            found.map_err(|error| refuse(error.into()))?
        }
        Err(_) => None,
    };
    match (user, application) {
        (Some(user), None) => Ok(user.id.into()),
        (None, Some(application)) => Ok(application.id.into()),
        (Some(_), Some(_)) => {
            let detail =
                format!("A user and a service principal are called {text}: name the one that is meant by its id");
            Err(Refusal::new(Code::InvalidRequest, detail))
        }
        (None, None) => {
            let detail = format!(
                "There is no user and no service principal {text}: `strongroom user list` and `strongroom principal list` show them"
            );
            Err(Refusal::new(Code::PrincipalNotFound, detail))
        }
    }
}

/// What principals are called.
struct Names(HashMap<PrincipalId, (PrincipalKind, String)>);

impl Names {
    async fn load(shared: &Shared) -> Answer<Self> {
        let users = shared.db.users().await.map_err(|error| refuse(error.into()))?;
        let applications = shared.db.applications().await.map_err(|error| refuse(error.into()))?;
        let users = users
            .into_iter()
            .map(|user| (user.id.into(), (PrincipalKind::User, user.name)));
        let applications = applications
            .into_iter()
            .map(|one| (one.id.into(), (PrincipalKind::ServicePrincipal, one.name.to_string())));
        Ok(Self(users.chain(applications).collect()))
    }

    fn view(&self, row: AssignmentRow, places: &Places) -> Option<AssignmentView> {
        let known = self.0.get(&row.principal);
        Some(AssignmentView {
            id: row.id,
            principal: row.principal,
            kind: known.map(|(kind, _)| *kind),
            name: known.map_or_else(|| row.principal.to_string(), |(_, name)| name.clone()),
            role: row.role,
            scope: places.name(&row.scope)?,
            created: row.created,
            created_by: row.created_by,
        })
    }
}

fn no_such_assignment() -> Refusal {
    Refusal::new(
        Code::AssignmentNotFound,
        "There is no such role assignment: `strongroom role list` shows them",
    )
}
