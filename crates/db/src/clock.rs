//! What the nodes know of the clock: one row, and one transaction for each look at it, so that of several nodes each goes on
//! from what the one before it saw.

use jiff::{SignedDuration, Timestamp};
use sqlx::AnyConnection;
use strongroom_model::{ClockStep, ClockWatch, Notice};

use crate::alerts::{About, raise};
use crate::column::Columns;
use crate::{Db, DbError, deliveries, schedule};

/// The setting that it is kept as, in JSON.
const NAME: &str = "clock";

impl Db {
    /// Looks at a clock that shows `now`, as [`ClockWatch::look`] does. When it jumped ahead an alert is raised in every vault;
    /// when it was set back, everything that waits for a future that does not come is planned anew.
    pub async fn look_at_clock(
        &self,
        now: Timestamp,
        jump: SignedDuration,
    ) -> Result<(ClockWatch, ClockStep), DbError> {
        let action = "look at the clock";
        let mut write = self.write(action).await?;
        let query = sqlx::query(
            "insert into settings (name, value) values ($1, '') on conflict (name) do update set value = settings.value \
             returning value",
        )
        .bind(NAME);
        let row = query.fetch_one(write.on()).await.map_err(DbError::sql(action))?;
        let text = row.text("value")?;
        let mut watch = match text.is_empty() {
            true => ClockWatch::begun(now),
            false => serde_json::from_str(&text).map_err(|_| DbError::Value(NAME))?,
        };
        let step = watch.look(now, jump);
        let text = serde_json::to_string(&watch).expect("plain fields always serialise");
        let query = sqlx::query("update settings set value = $2 where name = $1")
            .bind(NAME)
            .bind(text);
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        match step {
            ClockStep::Steady => {}
            ClockStep::Ahead(by) => raise_everywhere(write.on(), &Notice::clock_jumped(by, now), now).await?,
            ClockStep::Back(_) => {
                schedule::plan_anew(write.on(), now).await?;
                deliveries::plan_anew(write.on(), now).await?;
            }
        }
        write.commit().await?;
        Ok((watch, step))
    }
}

/// Raises an alert in every vault that is not soft-deleted.
async fn raise_everywhere(connection: &mut AnyConnection, notice: &Notice, now: Timestamp) -> Result<(), DbError> {
    let query = sqlx::query("select key from vaults where deleted = 0 order by key");
    let rows = query.fetch_all(&mut *connection).await;
    for row in rows.map_err(DbError::sql("list the vaults"))? {
        raise(&mut *connection, row.number("key")?, About::default(), notice, now).await?;
    }
    Ok(())
}
