//! Role assignments: who has which role, and where it holds.

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use strongroom_model::{AssignmentId, PrincipalId, Role, Scope};

use crate::column::{Columns, nanoseconds};
use crate::{Db, DbError};

/// One role of one principal at one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignmentRow {
    /// Its id.
    pub id: AssignmentId,
    /// Who has the role.
    pub principal: PrincipalId,
    /// The role.
    pub role: Role,
    /// Where it holds.
    pub scope: Scope,
    /// When it was given.
    pub created: Timestamp,
    /// The name of whoever gave it.
    pub created_by: String,
}

macro_rules! select_assignments {
    ($rest:literal) => {
        concat!(
            "select id, principal, role, scope, created, created_by from role_assignments ",
            $rest
        )
    };
}

impl Db {
    /// Gives a role. `false`: the principal has it there already, or the id is taken; nothing was changed.
    pub async fn assign_role(&self, assignment: &AssignmentRow) -> Result<bool, DbError> {
        let mut write = self.write("assign the role").await?;
        let inserted = insert_assignment(write.on(), assignment).await?;
        write.commit().await?;
        Ok(inserted)
    }

    /// The assignment with this id.
    pub async fn role_assignment(&self, id: AssignmentId) -> Result<Option<AssignmentRow>, DbError> {
        let action = "find the role assignment";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(select_assignments!("where id = $1")).bind(&id.as_bytes()[..]);
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        row.as_ref().map(assignment_row).transpose()
    }

    /// All assignments, oldest first.
    pub async fn role_assignments(&self) -> Result<Vec<AssignmentRow>, DbError> {
        let action = "list the role assignments";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(select_assignments!("order by created, id"));
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter().map(assignment_row).collect()
    }

    /// Where mail reaches the users who have one of the roles at one of the scopes, each once; those whose accounts are shut
    /// are left out.
    pub async fn mails_of(&self, roles: &[Role], scopes: &[Scope]) -> Result<Vec<String>, DbError> {
        let action = "find whom to write to";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(
            "select distinct email, role, scope from role_assignments join users on users.id = role_assignments.principal \
             where users.disabled = 0 and users.email <> '' order by email",
        );
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        let mut mails = Vec::new();
        for row in &rows {
            if roles.contains(&row.parsed("role")?) && scopes.contains(&row.parsed("scope")?) {
                mails.push(row.text("email")?);
            }
        }
        mails.dedup();
        Ok(mails)
    }

    /// What a principal is assigned.
    pub async fn roles_of(&self, principal: PrincipalId) -> Result<Vec<AssignmentRow>, DbError> {
        let action = "list the principal's roles";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(select_assignments!("where principal = $1")).bind(&principal.as_bytes()[..]);
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter().map(assignment_row).collect()
    }

    /// Takes a role away. `false`: it was not assigned, or it is the last ownership of the subscription by an account that
    /// can sign in; nothing was changed.
    pub async fn remove_assignment(&self, id: AssignmentId) -> Result<bool, DbError> {
        let action = "remove the role assignment";
        let mut write = self.write(action).await?;
        let query = sqlx::query("delete from role_assignments where id = $1").bind(&id.as_bytes()[..]);
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        if done.rows_affected() == 0 || !has_owner(write.on()).await? {
            return Ok(false);
        }
        write.commit().await?;
        Ok(true)
    }
}

/// Inserts an assignment; `false`: there is one already.
pub(crate) async fn insert_assignment(
    connection: &mut AnyConnection,
    assignment: &AssignmentRow,
) -> Result<bool, DbError> {
    let query = sqlx::query(
        "insert into role_assignments (id, principal, role, scope, created, created_by) \
         values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
    )
    .bind(&assignment.id.as_bytes()[..])
    .bind(&assignment.principal.as_bytes()[..])
    .bind(assignment.role.name())
    .bind(assignment.scope.to_string())
    .bind(nanoseconds(assignment.created))
    .bind(&assignment.created_by);
    let done = (query.execute(connection).await).map_err(DbError::sql("assign the role"))?;
    Ok(done.rows_affected() == 1)
}

/// Removes whatever a principal was assigned.
pub(crate) async fn delete_assignments_of(
    connection: &mut AnyConnection,
    principal: PrincipalId,
) -> Result<(), DbError> {
    let query = sqlx::query("delete from role_assignments where principal = $1").bind(&principal.as_bytes()[..]);
    let done = query.execute(connection).await;
    done.map(drop)
        .map_err(DbError::sql("remove the principal's role assignments"))
}

/// Removes whatever was assigned at a scope that is about to go.
pub(crate) async fn delete_assignments_at(connection: &mut AnyConnection, scope: &Scope) -> Result<(), DbError> {
    let query = sqlx::query("delete from role_assignments where scope = $1").bind(scope.to_string());
    let done = query.execute(connection).await;
    done.map(drop)
        .map_err(DbError::sql("remove the scope's role assignments"))
}

/// Whether a user who can sign in, here or by another provider, owns the subscription: a service without one could never be
/// repaired from outside.
pub(crate) async fn has_owner(connection: &mut AnyConnection) -> Result<bool, DbError> {
    let action = "look for an owner";
    // Whoever takes an ownership away waits for others who do: two cannot each leave the other's.
    let hold = sqlx::query("update role_assignments set role = role where scope = 'subscription' and role = 'Owner'");
    hold.execute(&mut *connection).await.map_err(DbError::sql(action))?;
    let query = sqlx::query(
        "select count(*) as owners from role_assignments join users on users.id = role_assignments.principal \
         where role_assignments.scope = 'subscription' and role_assignments.role = 'Owner' and users.disabled = 0 \
         and (users.password_hash <> '' or exists (select 1 from external_identities where user_id = users.id))",
    );
    let row = query.fetch_one(connection).await.map_err(DbError::sql(action))?;
    Ok(row.size("owners")? > 0)
}

fn assignment_row(row: &AnyRow) -> Result<AssignmentRow, DbError> {
    Ok(AssignmentRow {
        id: AssignmentId::from_bytes(row.array("id")?),
        principal: PrincipalId::from_bytes(row.array("principal")?),
        role: row.parsed("role")?,
        scope: row.parsed("scope")?,
        created: row.moment("created")?,
        created_by: row.text("created_by")?,
    })
}
