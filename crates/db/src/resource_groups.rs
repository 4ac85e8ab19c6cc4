//! Resource groups: what vaults lie in, so that a role can hold for several of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use strongroom_model::{Region, ResourceGroupName, Scope};

use crate::column::{Columns, nanoseconds};
use crate::role_assignments::delete_assignments_at;
use crate::{Db, DbError};

/// A resource group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceGroupRow {
    /// Its name, unique without regard to case.
    pub name: ResourceGroupName,
    /// Where it was said to be; its vaults may be elsewhere.
    pub region: Region,
    /// What people wrote on it.
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    pub created: Timestamp,
}

/// What became of a wish to delete a resource group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceGroupDeleted {
    /// It is gone, and the roles that held there.
    Deleted,
    /// So many vaults and resource guards are in it; nothing was changed.
    NotEmpty(u64),
    /// There is none.
    Absent,
}

impl Db {
    /// Adds a resource group. `false`: there is one of this name (without regard to case); nothing was changed.
    pub async fn insert_resource_group(&self, group: &ResourceGroupRow) -> Result<bool, DbError> {
        let action = "insert the resource group";
        let mut write = self.write(action).await?;
        let query = sqlx::query(
            "insert into resource_groups (name, name_folded, region, tags, created) values ($1, $2, $3, $4, $5) \
             on conflict (name_folded) do nothing",
        )
        .bind(group.name.as_str())
        .bind(group.name.folded())
        .bind(group.region.as_str())
        .bind(tags_text(&group.tags))
        .bind(nanoseconds(group.created));
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Replaces the tags of a resource group. `false`: there is none of this name.
    pub async fn tag_resource_group(
        &self,
        name: &ResourceGroupName,
        tags: &BTreeMap<String, String>,
    ) -> Result<bool, DbError> {
        let action = "tag the resource group";
        let mut write = self.write(action).await?;
        let query = sqlx::query("update resource_groups set tags = $2 where name_folded = $1")
            .bind(name.folded())
            .bind(tags_text(tags));
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Dates the resource group that was there before everything else, unless that was done.
    pub async fn date_default_resource_group(&self, now: Timestamp) -> Result<(), DbError> {
        let action = "date the default resource group";
        let mut write = self.write(action).await?;
        let query =
            sqlx::query("update resource_groups set created = $1 where name_folded = 'default' and created = 0")
                .bind(nanoseconds(now));
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await
    }

    /// The resource group of this name, without regard to case.
    pub async fn resource_group(&self, name: &ResourceGroupName) -> Result<Option<ResourceGroupRow>, DbError> {
        let action = "find the resource group";
        let mut reader = self.read(action).await?;
        let query = sqlx::query("select name, region, tags, created from resource_groups where name_folded = $1")
            .bind(name.folded());
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        row.as_ref().map(group_row).transpose()
    }

    /// All resource groups, by name.
    pub async fn resource_groups(&self) -> Result<Vec<ResourceGroupRow>, DbError> {
        let action = "list the resource groups";
        let mut reader = self.read(action).await?;
        let query = sqlx::query("select name, region, tags, created from resource_groups order by name_folded");
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter().map(group_row).collect()
    }

    /// Deletes a resource group that neither a vault nor a resource guard is in.
    pub async fn delete_resource_group(&self, name: &ResourceGroupName) -> Result<ResourceGroupDeleted, DbError> {
        let action = "delete the resource group";
        let mut write = self.write(action).await?;
        match hold_resource_group(write.on(), name).await {
            Err(DbError::NoResourceGroup) => return Ok(ResourceGroupDeleted::Absent),
            held => held?,
        }
        let query = sqlx::query(
            "select (select count(*) from vaults where lower(resource_group) = $1) \
             + (select count(*) from guards where resource_group = $1) as things",
        );
        let row = query.bind(name.folded()).fetch_one(write.on()).await;
        let things = row.map_err(DbError::sql(action))?.size("things")?;
        if things > 0 {
            return Ok(ResourceGroupDeleted::NotEmpty(things));
        }
        delete_assignments_at(write.on(), &Scope::resource_group(name)).await?;
        let query = sqlx::query("delete from resource_groups where name_folded = $1").bind(name.folded());
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(ResourceGroupDeleted::Deleted)
    }
}

/// Sees to it that the resource group stays until the transaction ends: another node that wants to delete it, or to make
/// a vault in it, waits.
pub(crate) async fn hold_resource_group(
    connection: &mut AnyConnection,
    name: &ResourceGroupName,
) -> Result<(), DbError> {
    let query = sqlx::query("update resource_groups set name = name where name_folded = $1").bind(name.folded());
    let done = (query.execute(connection).await).map_err(DbError::sql("find the resource group"))?;
    match done.rows_affected() {
        0 => Err(DbError::NoResourceGroup),
        _ => Ok(()),
    }
}

/// Tags as lines of `name=value`, both with percent signs for what would end them.
fn tags_text(tags: &BTreeMap<String, String>) -> String {
    let escape = |text: &str| text.replace('%', "%25").replace('\n', "%0A").replace('=', "%3D");
    let lines = tags
        .iter()
        .map(|(name, value)| format!("{}={}\n", escape(name), escape(value)));
    lines.collect()
}

fn tags_of(text: &str) -> BTreeMap<String, String> {
    let plain = |text: &str| text.replace("%3D", "=").replace("%0A", "\n").replace("%25", "%");
    let lines = text.lines().filter_map(|line| line.split_once('='));
    lines.map(|(name, value)| (plain(name), plain(value))).collect()
}

fn group_row(row: &AnyRow) -> Result<ResourceGroupRow, DbError> {
    Ok(ResourceGroupRow {
        name: row.parsed("name")?,
        region: row.parsed("region")?,
        tags: tags_of(&row.text("tags")?),
        created: row.moment("created")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_written_and_read() {
        let tags: BTreeMap<String, String> = [("a=b", "c\nd"), ("%0A", "%25=%"), ("", "")]
            .map(|(name, value)| (name.into(), value.into()))
            .into();
        assert_eq!(tags_of(&tags_text(&tags)), tags);
        assert_eq!(tags_of(""), BTreeMap::new());
    }
}
