//! Counts over all vaults, for whoever watches over the service.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use strongroom_model::{AlertSeverity, JobState, RpoBasis};

use crate::column::{Columns, NEVER, nanoseconds};
use crate::policies::parse_rules;
use crate::{Db, DbError};

/// How the service stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateFigures {
    /// Jobs under way, and those that ended within a day.
    pub jobs: Vec<(JobState, u64)>,
    /// Alerts that stand.
    pub alerts: Vec<(AlertSeverity, u64)>,
    /// Deliveries that are on their way.
    pub deliveries: u64,
    /// What tells the light of each item that is backed up on schedule.
    pub items: Vec<RpoBasis>,
}

const DAY: SignedDuration = SignedDuration::from_hours(24);

impl Db {
    /// Counts everything that people watch.
    pub async fn state_figures(&self, now: Timestamp) -> Result<StateFigures, DbError> {
        let action = "count jobs, alerts and items";
        let mut reader = self.read(action).await?;
        let since = nanoseconds(now.checked_sub(DAY).unwrap_or(Timestamp::MIN));
        let query = sqlx::query(
            "select state, count(*) as number from jobs where is_open = 1 or ended >= $1 group by state order by state",
        )
        .bind(since);
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        let jobs: Result<Vec<_>, DbError> = rows
            .iter()
            .map(|row| Ok((row.parsed("state")?, row.size("number")?)))
            .collect();
        let query = sqlx::query(
            "select severity, count(*) as number from alerts where is_active = 1 group by severity order by severity",
        );
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        let alerts: Result<Vec<_>, DbError> = rows
            .iter()
            .map(|row| Ok((row.parsed("severity")?, row.size("number")?)))
            .collect();
        let query = sqlx::query("select count(*) as number from deliveries where is_open = 1");
        let row = query.fetch_one(&mut *reader).await.map_err(DbError::sql(action))?;
        let deliveries = row.size("number")?;
        let query = sqlx::query("select key, rules from policies");
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        let mut hours = HashMap::new();
        for row in &rows {
            hours.insert(row.number("key")?, parse_rules(row)?.schedule.hours_between());
        }
        let query =
            sqlx::query("select policy, rpo_from from items where next_due < $1 and policy > 0 and deleted = 0")
                .bind(NEVER);
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        let mut items = Vec::with_capacity(rows.len());
        for row in &rows {
            let Some(&hours_between) = hours.get(&row.number("policy")?) else {
                continue;
            };
            items.push(RpoBasis {
                from: row.moment("rpo_from")?,
                hours_between,
            });
        }
        Ok(StateFigures {
            jobs: jobs?,
            alerts: alerts?,
            deliveries,
            items,
        })
    }
}
