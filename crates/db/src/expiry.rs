//! How recovery points age: what the rules must know about them, and the only statement that takes them away.

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use strongroom_model::policy::{Kept, Policy, Tags};
use strongroom_model::{ItemId, ItemState, PointId, VaultId};

use crate::column::{Columns, due_or_never, nanoseconds};
use crate::policies::parse_rules;
use crate::{Db, DbError};

/// What decides about an item's recovery points.
#[derive(Clone, Debug)]
pub struct AgingItem {
    /// The item.
    pub item: ItemId,
    /// Its vault.
    pub vault: VaultId,
    /// Its state.
    pub state: ItemState,
    /// Whether it is soft-deleted.
    pub is_soft_deleted: bool,
    /// Its policy, if it has one.
    pub policy: Option<Policy>,
    /// Its points, oldest first.
    pub points: Vec<Kept>,
}

/// What to do about an item's points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// Those that go.
    pub expire: Vec<PointId>,
    /// When to look again, if a date can change anything.
    pub look_again: Option<Timestamp>,
}

impl Db {
    /// Items of which a recovery point may expire now, the longest due first: but for the first `skip`, at most `limit`.
    pub async fn items_to_look_at(&self, now: Timestamp, skip: u32, limit: u32) -> Result<Vec<ItemId>, DbError> {
        let action = "find the items with expired recovery points";
        let mut reader = self.read(action).await?;
        let query =
            sqlx::query("select id from items where next_look <= $1 order by next_look, key limit $2 offset $3")
                .bind(nanoseconds(now))
                .bind(i64::from(limit))
                .bind(i64::from(skip));
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter()
            .map(|row| Ok(ItemId::from_bytes(row.array("id")?)))
            .collect()
    }

    /// What decides about an item's recovery points at this moment.
    pub async fn aging_item(&self, item: ItemId) -> Result<Option<AgingItem>, DbError> {
        let mut reader = self.read("find what ages").await?;
        let found = aging(&mut reader, item).await?;
        Ok(found.map(|(_, aging)| aging))
    }

    /// Lets an item's recovery points go for which `judge` says so, and remembers when to look again; all of it on what
    /// is true in the transaction. Returns those that went.
    ///
    /// This is the one place that deletes rows of recovery points of an item that lives.
    pub async fn expire_points(
        &self,
        item: ItemId,
        judge: impl Fn(&AgingItem) -> Sentence + Send,
    ) -> Result<Vec<PointId>, DbError> {
        let action = "expire recovery points";
        let mut write = self.write(action).await?;
        // Nobody commits a point, or changes the item, until this ends.
        let query = sqlx::query("update items set version = version where id = $1").bind(item.as_bytes().to_vec());
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        let Some((key, aging)) = aging(write.on(), item).await? else {
            return Ok(Vec::new());
        };
        let Sentence { expire, look_again } = judge(&aging);
        for point in &expire {
            let query = sqlx::query(
                "delete from points where item = $1 and id = $2 and held = 0 \
                 and id <> (select latest_point from items where key = $1)",
            )
            .bind(key)
            .bind(point.as_bytes().to_vec());
            query.execute(write.on()).await.map_err(DbError::sql(action))?;
        }
        let query = sqlx::query("update items set next_look = $2 where key = $1")
            .bind(key)
            .bind(due_or_never(look_again));
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(expire)
    }

    /// Has all items under a look at the next pass, such as after a clock was set.
    pub async fn look_at_all(&self) -> Result<(), DbError> {
        let action = "look at all items";
        let mut write = self.write(action).await?;
        let done = sqlx::query("update items set next_look = 0").execute(write.on()).await;
        done.map_err(DbError::sql(action))?;
        write.commit().await
    }
}

/// What the rules must know about an item's points, oldest first. Their moment is when the vault took them in: what a
/// machine says about its clock must not decide how long its points stay.
pub(crate) async fn kept_points(connection: &mut AnyConnection, item: i64) -> Result<Vec<Kept>, DbError> {
    let query = sqlx::query("select id, committed, tags, asked_until, held from points where item = $1 order by key")
        .bind(item);
    let rows = query.fetch_all(connection).await;
    let rows = rows.map_err(DbError::sql("find the recovery points"))?;
    rows.iter().map(kept).collect()
}

fn kept(row: &AnyRow) -> Result<Kept, DbError> {
    Ok(Kept {
        point: PointId::from_bytes(row.array("id")?),
        created: row.moment("committed")?,
        tags: tags_of(row)?,
        asked_until: row.moment_if_any("asked_until")?,
        held: row.number("held")? != 0,
    })
}

pub(crate) fn tags_of(row: &AnyRow) -> Result<Tags, DbError> {
    let bits = u8::try_from(row.number("tags")?).map_err(|_| DbError::Value("tags"))?;
    Ok(Tags::from_bits(bits))
}

/// What decides about an item's recovery points, with the item's small key.
pub(crate) async fn aging(connection: &mut AnyConnection, item: ItemId) -> Result<Option<(i64, AgingItem)>, DbError> {
    let query = sqlx::query(
        "select items.key as key, vaults.id as vault, state, items.deleted as deleted, items.policy as policy, \
         coalesce(policies.rules, '') as rules from items join vaults on vaults.key = items.vault \
         left join policies on policies.key = items.policy where items.id = $1",
    )
    .bind(item.as_bytes().to_vec());
    let row = query.fetch_optional(&mut *connection).await;
    let Some(row) = row.map_err(DbError::sql("find what ages"))? else {
        return Ok(None);
    };
    let key = row.number("key")?;
    let policy = match row.text("rules")?.is_empty() {
        true => None,
        false => Some(parse_rules(&row)?),
    };
    let aging = AgingItem {
        item,
        vault: VaultId::from_bytes(row.array("vault")?),
        state: row.parsed("state")?,
        is_soft_deleted: row.number("deleted")? != 0,
        policy,
        points: kept_points(connection, key).await?,
    };
    Ok(Some((key, aging)))
}
