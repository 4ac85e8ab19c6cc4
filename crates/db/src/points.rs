//! Recovery points. One exists from the instant its row is committed, not before.

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use strongroom_model::policy::{MadeFor, Tags};
use strongroom_model::{
    BlobId, ContainerId, Digest, ItemId, ItemState, KeySetId, MachineName, POINTS_PER_ITEM_MAX, PointId, SessionId,
    VaultId,
};

use crate::column::{Columns, moment_or_zero, nanoseconds, number};
use crate::expiry::tags_of;
use crate::policies::{owed_of, parse_rules};
use crate::{Db, DbError};

/// A recovery point to insert. Its object must be durable before.
#[derive(Clone, Debug)]
pub struct NewPoint {
    /// Its id.
    pub id: PointId,
    /// Its vault.
    pub vault: VaultId,
    /// Its item.
    pub item: ItemId,
    /// The key set that opens it.
    pub key_set: KeySetId,
    /// Its root page.
    pub root: BlobId,
    /// When its session began, by its own words.
    pub created: Timestamp,
    /// How consistent it is; the format's number.
    pub consistency: u8,
    /// Bytes of everything in it.
    pub total_bytes: u64,
    /// Bytes that it added.
    pub new_bytes: u64,
    /// Entries in it.
    pub files: u64,
    /// Bytes of its object.
    pub size: u64,
    /// BLAKE3 of its object.
    pub digest: Digest,
    /// The point before it.
    pub predecessor: Option<Digest>,
    /// When it was taken in, by the vault's clock.
    pub committed: Timestamp,
}

/// A recovery point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointRow {
    /// Its id, unique in the vault.
    pub id: PointId,
    /// Its vault.
    pub vault: VaultId,
    /// Its item.
    pub item: ItemId,
    /// The name of the machine whose item it is.
    pub machine: MachineName,
    /// The key set that opens it.
    pub key_set: KeySetId,
    /// Its root page.
    pub root: BlobId,
    /// When its session began, by its own words.
    pub created: Timestamp,
    /// When it was taken in, by the vault's clock.
    pub committed: Timestamp,
    /// How consistent it is; the format's number.
    pub consistency: u8,
    /// Bytes of everything in it.
    pub total_bytes: u64,
    /// Bytes that it added.
    pub new_bytes: u64,
    /// Entries in it.
    pub files: u64,
    /// Bytes of its object.
    pub size: u64,
    /// BLAKE3 of its object.
    pub digest: Digest,
    /// The point before it.
    pub predecessor: Option<Digest>,
    /// The rules of its policy that it fulfils.
    pub tags: Tags,
    /// The moment that it was scheduled for; none if it was asked for.
    pub due: Option<Timestamp>,
    /// Until when somebody asked to keep it.
    pub asked_until: Option<Timestamp>,
    /// Whether somebody holds it.
    pub held: bool,
}

/// What became of a point to commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitRow {
    /// It exists now.
    Committed,
    /// There is one with this id: this one, which may be the very same.
    Exists(Box<PointRow>),
    /// Another one is the item's latest; nothing was changed.
    PredecessorMismatch(Option<Digest>),
    /// The lease ended meanwhile; nothing was changed.
    SessionExpired,
    /// The root is not there or not verified; nothing was changed.
    RootNotVerified,
    /// The item has [`POINTS_PER_ITEM_MAX`] of them; nothing was changed.
    TooMany,
}

/// Which recovery points.
#[derive(Clone, Copy, Debug)]
pub enum PointsOf {
    /// All of the vault: for its administrators.
    Vault,
    /// All of an item: for the vault's administrators.
    Item(ItemId),
    /// All that somebody may read.
    Readable(Viewer),
}

/// Who reads recovery points: a container its own, those of key sets that it has joined, and of those that it proves to
/// have opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// The container.
    pub container: ContainerId,
    /// BLAKE3 of the membership secret that it shows, if it shows one.
    pub shown: Option<Digest>,
}

impl Viewer {
    fn shown_bytes(&self) -> Vec<u8> {
        self.shown.map_or(Vec::new(), |shown| shown.as_bytes().to_vec())
    }
}

impl From<ContainerId> for Viewer {
    fn from(container: ContainerId) -> Self {
        Self { container, shown: None }
    }
}

macro_rules! select_points {
    ($rest:expr) => {
        concat!(
            "select points.key as key, points.id as id, items.id as item, containers.name as machine, \
             points.key_set as key_set, root, created, committed, consistency, total_bytes, new_bytes, files, size, \
             digest, predecessor, tags, due, asked_until, held from points join items on items.key = points.item \
             join containers on containers.item = items.key where points.vault = $1 ",
            $rest
        )
    };
}

/// A condition on points: container $2, which shows a secret with hash $3, may read them. What is soft-deleted is to be brought back before it is restored.
macro_rules! readable {
    ($rest:literal) => {
        concat!(
            "and items.deleted = 0 and (containers.id = $2 or exists (select 1 from key_set_members \
             join containers as viewer on viewer.key = key_set_members.container \
             where viewer.id = $2 and key_set_members.vault = points.vault \
             and key_set_members.key_set = points.key_set) \
             or exists (select 1 from key_sets where key_sets.vault = points.vault and key_sets.id = points.key_set \
             and key_sets.verifier = $3)) ",
            $rest
        )
    };
}

impl Db {
    /// Makes a recovery point exist, if the session lives, the root page is verified, and the item's latest point is the
    /// one that it names; and makes it the latest.
    pub async fn commit_point(&self, session: SessionId, new: &NewPoint) -> Result<CommitRow, DbError> {
        let mut write = self.write("commit the recovery point").await?;
        let vault = write.vault_key(new.vault).await?;
        if let Some(row) = find(write.on(), vault, new.vault, new.id).await? {
            return Ok(CommitRow::Exists(Box::new(row)));
        }
        if !is_verified(write.on(), vault, new.root).await? {
            return Ok(CommitRow::RootNotVerified);
        }
        // This locks the item until the end.
        if !advance(write.on(), new).await? {
            // It may be that the same point came through another node meanwhile.
            if let Some(row) = find(write.on(), vault, new.vault, new.id).await? {
                return Ok(CommitRow::Exists(Box::new(row)));
            }
            return Ok(CommitRow::PredecessorMismatch(
                latest_digest(write.on(), new.item).await?,
            ));
        }
        // Now that nobody changes the item any more: its machine may have been unregistered, the item deleted.
        if !session_lives(write.on(), session, new.committed).await? {
            write.leave().await?;
            return Ok(CommitRow::SessionExpired);
        }
        if count(write.on(), new.item).await? >= POINTS_PER_ITEM_MAX {
            write.leave().await?;
            return Ok(CommitRow::TooMany);
        }
        let made = earn(write.on(), session, new).await?;
        insert(write.on(), vault, new, &made).await?;
        write.commit().await?;
        Ok(CommitRow::Committed)
    }

    /// How many recovery points an item has.
    pub async fn points_of(&self, item: ItemId) -> Result<u64, DbError> {
        let mut reader = self.read("count the recovery points").await?;
        count(&mut reader, item).await
    }

    /// Recovery points, oldest first.
    pub async fn points(&self, vault: VaultId, of: PointsOf) -> Result<Vec<PointRow>, DbError> {
        let action = "list the recovery points";
        let mut reader = self.read(action).await?;
        let key = self.vault_key(&mut reader, vault).await?;
        let query = match of {
            PointsOf::Vault => sqlx::query(select_points!("order by points.key")).bind(key),
            PointsOf::Item(item) => sqlx::query(select_points!("and items.id = $2 order by points.key"))
                .bind(key)
                .bind(item.as_bytes().to_vec()),
            PointsOf::Readable(viewer) => sqlx::query(select_points!(readable!("order by points.key")))
                .bind(key)
                .bind(viewer.container.as_bytes().to_vec())
                .bind(viewer.shown_bytes()),
        };
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter().map(|row| point_row(vault, row)).collect()
    }

    /// The recovery point with this id, if it is one of those.
    pub async fn point(&self, vault: VaultId, of: PointsOf, id: PointId) -> Result<Option<PointRow>, DbError> {
        let action = "find the recovery point";
        let mut reader = self.read(action).await?;
        let key = self.vault_key(&mut reader, vault).await?;
        let PointsOf::Readable(viewer) = of else {
            return find(&mut reader, key, vault, id).await;
        };
        let query = sqlx::query(select_points!(readable!("and points.id = $4")))
            .bind(key)
            .bind(&viewer.container.as_bytes()[..])
            .bind(viewer.shown_bytes())
            .bind(&id.as_bytes()[..]);
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        row.as_ref().map(|row| point_row(vault, row)).transpose()
    }
}

async fn find(
    connection: &mut AnyConnection,
    key: i64,
    vault: VaultId,
    id: PointId,
) -> Result<Option<PointRow>, DbError> {
    let query = sqlx::query(select_points!("and points.id = $2"))
        .bind(key)
        .bind(&id.as_bytes()[..]);
    let row = (query.fetch_optional(connection).await).map_err(DbError::sql("find the recovery point"))?;
    row.as_ref().map(|row| point_row(vault, row)).transpose()
}

async fn session_lives(connection: &mut AnyConnection, session: SessionId, now: Timestamp) -> Result<bool, DbError> {
    let query = sqlx::query(
        "select sessions.id as id from sessions join containers on containers.key = sessions.container \
         join items on items.key = containers.item \
         where sessions.id = $1 and lease_until > $2 and unregistered = 0 and items.deleted = 0",
    )
    .bind(&session.as_bytes()[..])
    .bind(nanoseconds(now));
    let found = query.fetch_optional(connection).await;
    Ok(found.map_err(DbError::sql("check the session"))?.is_some())
}

async fn count(connection: &mut AnyConnection, item: ItemId) -> Result<u64, DbError> {
    let query = sqlx::query("select count(*) as points from points where item = (select key from items where id = $1)")
        .bind(item.as_bytes().to_vec());
    let row = query.fetch_one(connection).await;
    row.map_err(DbError::sql("count the recovery points"))?.size("points")
}

async fn is_verified(connection: &mut AnyConnection, vault: i64, root: BlobId) -> Result<bool, DbError> {
    let query = sqlx::query("select id from blobs where vault = $1 and id = $2 and verified = 1")
        .bind(vault)
        .bind(&root.as_bytes()[..]);
    let found = query.fetch_optional(connection).await;
    Ok(found.map_err(DbError::sql("check the root page"))?.is_some())
}

/// Compares and swaps the item's latest point, in one statement: of two commits on any two nodes one wins.
async fn advance(connection: &mut AnyConnection, new: &NewPoint) -> Result<bool, DbError> {
    let query =
        sqlx::query("update items set latest_point = $1, latest_digest = $2 where id = $3 and latest_digest = $4")
            .bind(&new.id.as_bytes()[..])
            .bind(&new.digest.as_bytes()[..])
            .bind(&new.item.as_bytes()[..])
            .bind(predecessor_bytes(new));
    let done = query.execute(connection).await;
    Ok(done.map_err(DbError::sql("advance the item"))?.rows_affected() == 1)
}

fn predecessor_bytes(new: &NewPoint) -> Vec<u8> {
    (new.predecessor.as_ref()).map_or(Vec::new(), |digest| digest.as_bytes().to_vec())
}

async fn latest_digest(connection: &mut AnyConnection, item: ItemId) -> Result<Option<Digest>, DbError> {
    let query = sqlx::query("select latest_digest from items where id = $1").bind(&item.as_bytes()[..]);
    let row = (query.fetch_optional(connection).await).map_err(DbError::sql("find the latest recovery point"))?;
    let digest = row.map(|row| row.optional("latest_digest")).transpose()?;
    Ok(digest.flatten().map(Digest::from_bytes))
}

async fn insert(connection: &mut AnyConnection, vault: i64, new: &NewPoint, earned: &Earned) -> Result<(), DbError> {
    let query = sqlx::query(
        "insert into points (vault, id, item, key_set, root, created, committed, consistency, total_bytes, new_bytes, \
         files, size, digest, predecessor, tags, due, asked_until) values ($1, $2, (select key from items where id = $3), \
         $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
    )
    .bind(vault)
    .bind(&new.id.as_bytes()[..])
    .bind(&new.item.as_bytes()[..])
    .bind(&new.key_set.as_bytes()[..])
    .bind(&new.root.as_bytes()[..])
    .bind(nanoseconds(new.created))
    .bind(nanoseconds(new.committed))
    .bind(i64::from(new.consistency))
    .bind(number(new.total_bytes))
    .bind(number(new.new_bytes))
    .bind(number(new.files))
    .bind(number(new.size))
    .bind(&new.digest.as_bytes()[..])
    .bind(predecessor_bytes(new))
    .bind(i64::from(earned.tags.bits()))
    .bind(moment_or_zero(earned.due))
    .bind(moment_or_zero(earned.asked_until));
    let done = query.execute(connection).await;
    done.map(drop).map_err(DbError::sql("insert the recovery point"))
}

/// What a new point gets from the policy of its item and from its job.
#[derive(Default)]
struct Earned {
    tags: Tags,
    due: Option<Timestamp>,
    asked_until: Option<Timestamp>,
}

/// Has the new point pay what its item owes, and names it in its job. A point without a job that is of another moment than
/// its session is a state of the past that was imported: it pays nothing and is no sign that backups work.
async fn earn(connection: &mut AnyConnection, session: SessionId, new: &NewPoint) -> Result<Earned, DbError> {
    let action = "find what the recovery point is for";
    let query = sqlx::query(
        "select sessions.begun as begun, coalesce(jobs.key, 0) as job, coalesce(jobs.due, 0) as due, \
         coalesce(jobs.keep_until, 0) as keep_until, items.key as item, items.state as state, owed_until, owed_tags, \
         coalesce(policies.rules, '') as rules from sessions join containers on containers.key = sessions.container \
         join items on items.key = containers.item left join policies on policies.key = items.policy \
         left join jobs on jobs.id = sessions.job and jobs.is_open = 1 where sessions.id = $1",
    )
    .bind(session.as_bytes().to_vec());
    let row = query.fetch_one(&mut *connection).await.map_err(DbError::sql(action))?;
    let due = row.moment_if_any("due")?;
    let keep_until = row.moment_if_any("keep_until")?;
    let query = sqlx::query("update jobs set point = $2, seen = $3 where key = $1")
        .bind(row.number("job")?)
        .bind(new.id.as_bytes().to_vec())
        .bind(nanoseconds(new.committed));
    query.execute(&mut *connection).await.map_err(DbError::sql(action))?;
    if row.text("rules")?.is_empty() {
        return Ok(Earned {
            due,
            asked_until: keep_until,
            ..Earned::default()
        });
    }
    let at = row.moment("begun")?;
    let is_past = row.number("job")? == 0 && new.created != at;
    let made = match due {
        _ if is_past => MadeFor::Past { at },
        Some(due) => MadeFor::Schedule(due),
        None => MadeFor::Demand { at, keep_until },
    };
    let grant = parse_rules(&row)?.grant(owed_of(&row)?, made);
    let earned = Earned {
        tags: grant.tags,
        due,
        asked_until: grant.asked_until,
    };
    if is_past {
        let query = sqlx::query("update items set next_look = 0 where key = $1").bind(row.number("item")?);
        query.execute(connection).await.map_err(DbError::sql(action))?;
        return Ok(earned);
    }
    let state: ItemState = row.parsed("state")?;
    let query = sqlx::query(
        "update items set owed_until = $2, owed_tags = $3, state = $4, next_look = 0, last_backup = 'Completed', \
         last_backup_at = $5 where key = $1",
    )
    .bind(row.number("item")?)
    .bind(nanoseconds(grant.owed.until))
    .bind(i64::from(grant.owed.tags.bits()))
    .bind(state.after_backup(true).as_str())
    .bind(nanoseconds(new.committed));
    query.execute(connection).await.map_err(DbError::sql(action))?;
    Ok(earned)
}

fn point_row(vault: VaultId, row: &AnyRow) -> Result<PointRow, DbError> {
    Ok(PointRow {
        id: PointId::from_bytes(row.array("id")?),
        vault,
        item: ItemId::from_bytes(row.array("item")?),
        machine: row.parsed("machine")?,
        key_set: KeySetId::from_bytes(row.array("key_set")?),
        root: BlobId::from_bytes(row.array("root")?),
        created: row.moment("created")?,
        committed: row.moment("committed")?,
        consistency: u8::try_from(row.number("consistency")?).map_err(|_| DbError::Value("consistency"))?,
        total_bytes: row.size("total_bytes")?,
        new_bytes: row.size("new_bytes")?,
        files: row.size("files")?,
        size: row.size("size")?,
        digest: Digest::from_bytes(row.array("digest")?),
        predecessor: row.optional("predecessor")?.map(Digest::from_bytes),
        tags: tags_of(row)?,
        due: row.moment_if_any("due")?,
        asked_until: row.moment_if_any("asked_until")?,
        held: row.number("held")? != 0,
    })
}
