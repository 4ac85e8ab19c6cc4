//! What machines back up, as they sealed it.

use jiff::Timestamp;
use sqlx::AnyConnection;
use strongroom_model::{ItemId, KeySetId};

use crate::column::{Columns, nanoseconds, number};
use crate::items::lock;
use crate::{Db, DbError};

/// The sealed settings of an item's machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineSettingsRow {
    /// The key set that they are sealed with.
    pub key_set: KeySetId,
    /// Grows with each change.
    pub generation: u64,
    /// The sealed bytes.
    pub sealed: Vec<u8>,
    /// When they came.
    pub changed: Timestamp,
}

impl Db {
    /// The settings of an item's machine, if it has sent any.
    pub async fn machine_settings(&self, item: ItemId) -> Result<Option<MachineSettingsRow>, DbError> {
        let mut reader = self.read("read the machine's settings").await?;
        find(&mut reader, item).await
    }

    /// Keeps the settings of an item's machine in place of those before, if `decide` lets them, which sees the generation
    /// of those; 0: there are none.
    ///
    /// `Ok(None)`: there is no such item.
    pub async fn put_machine_settings<E: Send>(
        &self,
        item: ItemId,
        row: &MachineSettingsRow,
        decide: impl FnOnce(u64) -> Result<(), E> + Send,
    ) -> Result<Option<Result<(), E>>, DbError> {
        let action = "keep the machine's settings";
        let mut write = self.write(action).await?;
        lock(write.on(), item).await?;
        let query = sqlx::query(
            "select items.key as key, coalesce(generation, 0) as generation from items \
             left join machine_settings on machine_settings.item = items.key where items.id = $1",
        )
        .bind(item.as_bytes().to_vec());
        let found = query.fetch_optional(write.on()).await.map_err(DbError::sql(action))?;
        let Some(found) = found else {
            write.leave().await?;
            return Ok(None);
        };
        if let Err(refused) = decide(found.size("generation")?) {
            write.leave().await?;
            return Ok(Some(Err(refused)));
        }
        let query = sqlx::query(
            "insert into machine_settings (item, key_set, generation, sealed, changed) values ($1, $2, $3, $4, $5) \
             on conflict (item) do update set key_set = excluded.key_set, generation = excluded.generation, \
             sealed = excluded.sealed, changed = excluded.changed",
        )
        .bind(found.number("key")?)
        .bind(row.key_set.as_bytes().to_vec())
        .bind(number(row.generation))
        .bind(row.sealed.clone())
        .bind(nanoseconds(row.changed));
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(Some(Ok(())))
    }
}

async fn find(connection: &mut AnyConnection, item: ItemId) -> Result<Option<MachineSettingsRow>, DbError> {
    let query = sqlx::query(
        "select key_set, generation, sealed, changed from machine_settings \
         where item = (select key from items where id = $1)",
    )
    .bind(item.as_bytes().to_vec());
    let row = query.fetch_optional(connection).await;
    let row = row.map_err(DbError::sql("read the machine's settings"))?;
    row.map(|row| {
        Ok(MachineSettingsRow {
            key_set: KeySetId::from_bytes(row.array("key_set")?),
            generation: row.size("generation")?,
            sealed: row.bytes("sealed")?,
            changed: row.moment("changed")?,
        })
    })
    .transpose()
}
