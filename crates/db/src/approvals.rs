//! Requests for approval: asked by one account, decided by another, good once.

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use strongroom_model::{
    APPROVAL_GOOD, APPROVAL_PENDING, AlertKind, ApplicationId, ApprovalId, ApprovalState, GuardedOperation, Notice,
    PrincipalId, VaultId, VaultName,
};

use crate::alerts::{About, raise, resolve_vault};
use crate::audit::Actor;
use crate::column::{Columns, moment_or_zero, nanoseconds};
use crate::guards::{GuardRow, guard_of};
use crate::vaults::lock_vault;
use crate::{Db, DbError};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewApproval {
    /// Its id, if the very same is not asked for already.
    pub id: ApprovalId,
    /// What is to be done.
    pub operation: GuardedOperation,
    /// To what: a text that names it for ever. Empty: to the vault itself.
    pub subject: String,
    /// What people call that.
    pub subject_name: String,
    /// Why, in the requester's words.
    pub reason: String,
    /// Who asks, and is to do it.
    pub requester: Actor,
    /// When.
    pub now: Timestamp,
}

/// A request for approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalRow {
    /// Its id.
    pub id: ApprovalId,
    /// The vault.
    pub vault: VaultName,
    /// What is to be done.
    pub operation: GuardedOperation,
    /// What people call what it is done to; empty: the vault itself.
    pub subject: String,
    /// Why, in the requester's words.
    pub reason: String,
    /// What has become of it, as it was written down; time may have passed since: [`ApprovalRow::state_at`].
    pub state: ApprovalState,
    /// Who asked.
    pub requester: Actor,
    /// When.
    pub requested: Timestamp,
    /// Until when it can be decided, or used.
    pub ends: Timestamp,
    /// Who decided, and when.
    pub decided: Option<(String, Timestamp)>,
    /// When it was used.
    pub used: Option<Timestamp>,
}

impl ApprovalRow {
    /// What has become of it by then.
    pub fn state_at(&self, now: Timestamp) -> ApprovalState {
        match self.state.is_open() && self.ends <= now {
            true => ApprovalState::Expired,
            false => self.state,
        }
    }
}

/// Whose requests to list.
#[derive(Clone, Copy, Debug)]
pub enum ApprovalsOf<'a> {
    /// Those for a vault.
    Vault(VaultId),
    /// Those that were asked of a guard.
    Guard(&'a GuardRow),
}

macro_rules! select_approvals {
    ($rest:literal) => {
        concat!(
            "select approvals.id as id, approvals.vault as vault_key, vaults.name as vault, operation, subject_name, reason, state, requester, \
             requester_id, requester_name, requested, ends, decided, decided_by, used \
             from approvals join vaults on vaults.key = approvals.vault ",
            $rest
        )
    };
}

impl Db {
    /// Asks the vault's guard for approval, or finds the open request for the very same. `Ok(None)`: the vault is under no
    /// guard.
    pub async fn request_approval(&self, vault: VaultId, new: &NewApproval) -> Result<Option<ApprovalRow>, DbError> {
        let action = "ask for approval";
        let mut write = self.write(action).await?;
        let key = write.vault_key(vault).await?;
        lock_vault(write.on(), key).await?;
        let Some((guard, _)) = guard_of(write.on(), key).await? else {
            return Ok(None);
        };
        let (kind, requester, name) = new.requester.columns();
        let query = sqlx::query(select_approvals!(
            "where approvals.vault = $1 and guard = $2 and operation = $3 and subject = $4 and requester_id = $5 \
             and ends > $6 and state in ('Pending', 'Approved')"
        ))
        .bind(key)
        .bind(guard.key)
        .bind(new.operation.as_str())
        .bind(&new.subject)
        .bind(requester)
        .bind(nanoseconds(new.now));
        let open = query.fetch_optional(write.on()).await.map_err(DbError::sql(action))?;
        if let Some(open) = open {
            return approval_row(&open).map(Some);
        }
        let query = sqlx::query(
            "insert into approvals (id, vault, guard, operation, subject, subject_name, reason, state, requester, \
             requester_id, requester_name, requested, ends, decided, decided_by, used) \
             values ($1, $2, $3, $4, $5, $6, $7, 'Pending', $8, $9, $10, $11, $12, 0, '', 0)",
        )
        .bind(new.id.as_bytes().to_vec())
        .bind(key)
        .bind(guard.key)
        .bind(new.operation.as_str())
        .bind(&new.subject)
        .bind(&new.subject_name)
        .bind(&new.reason)
        .bind(kind)
        .bind(requester)
        .bind(name)
        .bind(nanoseconds(new.now))
        .bind(moment_or_zero(new.now.saturating_add(APPROVAL_PENDING).ok()));
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        let notice = Notice::approval_requested(new.operation, &new.subject_name, name, new.id);
        raise(write.on(), key, About::default(), &notice, new.now).await?;
        let made = find(write.on(), guard.key, new.id).await?;
        write.commit().await?;
        Ok(made.map(|(_, row)| row))
    }

    /// At most `limit` requests, newest first.
    pub async fn approvals(&self, of: ApprovalsOf<'_>, limit: u32) -> Result<Vec<ApprovalRow>, DbError> {
        let action = "list the requests for approval";
        let mut reader = self.read(action).await?;
        let (vault, guard) = match of {
            ApprovalsOf::Vault(vault) => (self.vault_key(&mut reader, vault).await?, -1),
            ApprovalsOf::Guard(guard) => (-1, guard.key),
        };
        let query = sqlx::query(select_approvals!(
            "where approvals.vault = $1 or guard = $2 order by approvals.key desc limit $3"
        ))
        .bind(vault)
        .bind(guard)
        .bind(i64::from(limit));
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter().map(approval_row).collect()
    }

    /// A request that was asked of the guard.
    pub async fn approval(&self, guard: &GuardRow, id: ApprovalId) -> Result<Option<ApprovalRow>, DbError> {
        let mut reader = self.read("find the request for approval").await?;
        Ok(find(&mut reader, guard.key, id).await?.map(|(_, row)| row))
    }

    /// Decides about a request that is pending. `false`: it is not any more.
    pub async fn decide_approval(
        &self,
        guard: &GuardRow,
        id: ApprovalId,
        state: ApprovalState,
        by: &str,
        now: Timestamp,
    ) -> Result<bool, DbError> {
        let action = "decide about the request for approval";
        let mut write = self.write(action).await?;
        let Some((vault, row)) = find(write.on(), guard.key, id).await? else {
            return Ok(false);
        };
        match lock_vault(write.on(), vault).await {
            // What was asked for ended with it.
            Err(DbError::NoVault) => return Ok(false),
            locked => locked?,
        }
        let query = sqlx::query(
            "update approvals set state = $2, decided = $3, decided_by = $4, ends = $5 \
             where id = $1 and state = 'Pending' and ends > $3",
        )
        .bind(id.as_bytes().to_vec())
        .bind(state.as_str())
        .bind(nanoseconds(now))
        .bind(by)
        .bind(moment_or_zero(now.saturating_add(APPROVAL_GOOD).ok()));
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        if state == ApprovalState::Approved {
            let people = (row.requester.name(), by);
            let notice = Notice::approval_granted(row.operation, &row.subject, people, id);
            raise(write.on(), vault, About::default(), &notice, now).await?;
        }
        if !are_pending(write.on(), vault, now).await? {
            resolve_vault(write.on(), vault, &[AlertKind::ApprovalRequested], now).await?;
        }
        write.commit().await?;
        Ok(true)
    }

    /// Uses up an approval of this operation on this subject for this requester, if the vault's present guard has given
    /// one that is good now.
    pub async fn use_approval(
        &self,
        vault: VaultId,
        guard: &GuardRow,
        operation: GuardedOperation,
        subject: &str,
        requester: PrincipalId,
        now: Timestamp,
    ) -> Result<Option<ApprovalId>, DbError> {
        let action = "use the approval";
        let mut write = self.write(action).await?;
        let key = write.vault_key(vault).await?;
        let query = sqlx::query(
            "update approvals set state = 'Used', used = $6 where state = 'Approved' and ends > $6 \
             and key = (select min(key) from approvals where vault = $1 and guard = $2 and operation = $3 \
             and subject = $4 and requester_id = $5 and state = 'Approved' and ends > $6) returning id",
        )
        .bind(key)
        .bind(guard.key)
        .bind(operation.as_str())
        .bind(subject)
        .bind(requester.as_bytes().to_vec())
        .bind(nanoseconds(now));
        let row = query.fetch_optional(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        row.map(|row| Ok(ApprovalId::from_bytes(row.array("id")?))).transpose()
    }

    /// Whether there is such an approval, which stays.
    pub async fn approved_until(
        &self,
        vault: VaultId,
        guard: &GuardRow,
        operation: GuardedOperation,
        subject: &str,
        requester: PrincipalId,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, DbError> {
        let action = "look for an approval";
        let mut reader = self.read(action).await?;
        let key = self.vault_key(&mut reader, vault).await?;
        let query = sqlx::query(
            "select ends from approvals where vault = $1 and guard = $2 and operation = $3 and subject = $4 \
             and requester_id = $5 and state = 'Approved' and ends > $6 order by key limit 1",
        )
        .bind(key)
        .bind(guard.key)
        .bind(operation.as_str())
        .bind(subject)
        .bind(requester.as_bytes().to_vec())
        .bind(nanoseconds(now));
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        row.map(|row| row.moment("ends")).transpose()
    }

    /// Gives back an approval that was used for what then did not happen.
    pub async fn give_approval_back(&self, id: ApprovalId) -> Result<(), DbError> {
        let action = "give the approval back";
        let mut write = self.write(action).await?;
        let query = sqlx::query("update approvals set state = 'Approved', used = 0 where id = $1 and state = 'Used'")
            .bind(id.as_bytes().to_vec());
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await
    }

    /// Whether an account has ever held a secret or a certificate of a service principal.
    pub async fn has_held(&self, application: ApplicationId, account: PrincipalId) -> Result<bool, DbError> {
        let action = "see who has held a service principal's keys";
        let mut reader = self.read(action).await?;
        let query =
            sqlx::query("select count(*) as hands from application_hands where application = $1 and account = $2")
                .bind(application.as_bytes().to_vec())
                .bind(account.as_bytes().to_vec());
        let row = query.fetch_one(&mut *reader).await.map_err(DbError::sql(action))?;
        Ok(row.number("hands")? > 0)
    }
}

/// Ends all that is asked for and allowed in a vault, as time would, with its alert.
pub(crate) async fn end_all(connection: &mut AnyConnection, vault: i64, now: Timestamp) -> Result<(), DbError> {
    let query = sqlx::query(
        "update approvals set ends = $2 where vault = $1 and state in ('Pending', 'Approved') and ends > $2",
    )
    .bind(vault)
    .bind(nanoseconds(now));
    let done = query.execute(&mut *connection).await;
    done.map_err(DbError::sql("end the requests for approval"))?;
    resolve_vault(connection, vault, &[AlertKind::ApprovalRequested], now).await
}

async fn are_pending(connection: &mut AnyConnection, vault: i64, now: Timestamp) -> Result<bool, DbError> {
    let query =
        sqlx::query("select count(*) as pending from approvals where vault = $1 and state = 'Pending' and ends > $2")
            .bind(vault)
            .bind(nanoseconds(now));
    let row = query.fetch_one(connection).await;
    Ok(row.map_err(DbError::sql("count what is pending"))?.number("pending")? > 0)
}

/// A request that was asked of the guard, and the key of its vault.
async fn find(
    connection: &mut AnyConnection,
    guard: i64,
    id: ApprovalId,
) -> Result<Option<(i64, ApprovalRow)>, DbError> {
    let action = "find the request for approval";
    let query = sqlx::query(select_approvals!("where approvals.id = $1 and guard = $2"))
        .bind(id.as_bytes().to_vec())
        .bind(guard);
    let row = query.fetch_optional(connection).await.map_err(DbError::sql(action))?;
    row.map(|row| Ok((row.number("vault_key")?, approval_row(&row)?)))
        .transpose()
}

fn approval_row(row: &AnyRow) -> Result<ApprovalRow, DbError> {
    let by = row.text("decided_by")?;
    Ok(ApprovalRow {
        id: ApprovalId::from_bytes(row.array("id")?),
        vault: row.parsed("vault")?,
        operation: row.parsed("operation")?,
        subject: row.text("subject_name")?,
        reason: row.text("reason")?,
        state: row.parsed("state")?,
        requester: Actor::of_columns(row, ["requester", "requester_id", "requester_name"])?,
        requested: row.moment("requested")?,
        ends: row.moment("ends")?,
        decided: row.moment_if_any("decided")?.map(|at| (by, at)),
        used: row.moment_if_any("used")?,
    })
}
