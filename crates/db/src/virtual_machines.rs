//! Virtual machines: containers that their host signs in for.
//!
//! Each stands at the place `NAME;vm`, which no machine has, as `;` is in no name.

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use strongroom_model::policy::Workload;
use strongroom_model::{ContainerId, ItemId, ItemState, MachineFacts, MachineName, VaultId};

use crate::column::{Columns, nanoseconds};
use crate::containers::{NewContainer, insert};
use crate::items::delete_rows;
use crate::key_sets::leave_all;
use crate::vaults::lock_vault;
use crate::{Db, DbError};

/// A virtual machine that a host found.
#[derive(Clone, Debug)]
pub struct FoundMachine {
    /// Its id, if none of that name was found before.
    pub id: ContainerId,
    /// Its item's id, if none of that name was found before.
    pub item: ItemId,
    /// Its name.
    pub name: MachineName,
    /// What the host says of it.
    pub facts: MachineFacts,
}

/// What became of a virtual machine that a host found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosted {
    /// The host signs in for it.
    Here {
        /// Its name.
        name: MachineName,
        /// Its id.
        container: ContainerId,
        /// Its item.
        item: ItemId,
    },
    /// Another host has one of that name.
    Elsewhere {
        /// The name.
        name: MachineName,
        /// That host's name.
        host: MachineName,
    },
}

/// A virtual machine of a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualMachineRow {
    /// Its container.
    pub container: ContainerId,
    /// Its item.
    pub item: ItemId,
    /// Its name.
    pub name: MachineName,
    /// The registered host that has it, by id and name.
    pub host: Option<(ContainerId, MachineName)>,
    /// What that host said of it last.
    pub facts: MachineFacts,
    /// When.
    pub seen: Timestamp,
    /// Whether its host did not find it the last time.
    pub is_gone: bool,
    /// The state of its item.
    pub state: ItemState,
    /// Whether its item is soft-deleted.
    pub is_deleted: bool,
    /// Where it stands among the vault's containers.
    pub place: String,
}

/// Whether a host may be asked to look for its virtual machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscoveryAsked {
    /// So many hosts are asked now.
    Asked(u64),
    /// An earlier discovery is not over.
    Underway,
}

macro_rules! select_machines {
    ($rest:literal) => {
        concat!(
            "select containers.key as key, containers.id as container, items.id as item, containers.name as name, \
             containers.host as host, coalesce(keepers.name, '') as host_name, \
             containers.facts as facts, containers.seen as seen, containers.gone as gone, state, \
             items.deleted as deleted, containers.name_folded as place from containers \
             join items on items.key = containers.item \
             left join containers as keepers on keepers.id = containers.host and keepers.unregistered = 0 \
             where items.workload = 'VirtualMachine' and containers.unregistered = 0 ",
            $rest
        )
    };
}

impl Db {
    /// Takes note of all virtual machines that a host found. New ones become containers with an item. One that another host
    /// had is this one's when that host is not registered any more, or did not find it the last time and the UUID is the
    /// same. Those of the host that it did not find are gone, for now.
    ///
    /// # Errors
    /// [`DbError::NoContainer`] when the host is not registered.
    pub async fn found_machines(
        &self,
        host: ContainerId,
        found: &[FoundMachine],
        now: Timestamp,
    ) -> Result<Vec<Hosted>, DbError> {
        let action = "take note of virtual machines";
        let mut write = self.write(action).await?;
        let query = sqlx::query(
            "select vault, public_key from containers where id = $1 and unregistered = 0 and length(host) = 0",
        )
        .bind(host.as_bytes().to_vec());
        let row = query.fetch_optional(write.on()).await.map_err(DbError::sql(action))?;
        let row = row.ok_or(DbError::NoContainer)?;
        let (vault, key): (i64, [u8; 32]) = (row.number("vault")?, row.array("public_key")?);
        lock_vault(write.on(), vault).await?;
        let query = sqlx::query("update containers set gone = 1 where host = $1").bind(host.as_bytes().to_vec());
        let before = "update containers set discovered = $2 where id = $1 and unregistered = 0";
        let noted = sqlx::query(before)
            .bind(host.as_bytes().to_vec())
            .bind(nanoseconds(now));
        let noted = noted.execute(write.on()).await.map_err(DbError::sql(action))?;
        if noted.rows_affected() == 0 {
            return Err(DbError::NoContainer);
        }
        let gone = gone_before(write.on(), host).await?;
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        let mut hosted = Vec::new();
        for machine in found {
            let keeper = Keeper {
                host,
                vault,
                key: &key,
                gone: &gone,
            };
            hosted.push(keeper.take(write.on(), machine, now).await?);
        }
        write.commit().await?;
        Ok(hosted)
    }

    /// At most `limit` of a vault's virtual machines by name, those whose places come after `after`.
    pub async fn virtual_machines(
        &self,
        vault: VaultId,
        after: &str,
        limit: u32,
    ) -> Result<Vec<VirtualMachineRow>, DbError> {
        let action = "list the virtual machines";
        let mut reader = self.read(action).await?;
        let key = self.vault_key(&mut reader, vault).await?;
        let query = sqlx::query(select_machines!(
            "and containers.vault = $1 and containers.name_folded > $2 order by containers.name_folded limit $3"
        ))
        .bind(key)
        .bind(after)
        .bind(i64::from(limit));
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter().map(machine_row).collect()
    }

    /// The virtual machine of this name, without regard to case.
    pub async fn virtual_machine(
        &self,
        vault: VaultId,
        name: &MachineName,
    ) -> Result<Option<VirtualMachineRow>, DbError> {
        let action = "find the virtual machine";
        let mut reader = self.read(action).await?;
        let key = self.vault_key(&mut reader, vault).await?;
        let row = find(&mut reader, key, name).await?;
        row.as_ref().map(machine_row).transpose()
    }

    /// Asks all hosts of a vault to look for their virtual machines, unless one was asked after `patience` and has not
    /// answered.
    pub async fn ask_for_discovery(
        &self,
        vault: VaultId,
        patience: Timestamp,
        now: Timestamp,
    ) -> Result<DiscoveryAsked, DbError> {
        let action = "ask for a discovery";
        let mut write = self.write(action).await?;
        let vault = write.vault_key(vault).await?;
        lock_vault(write.on(), vault).await?;
        let query = sqlx::query(
            "select count(*) as underway from containers where vault = $1 and unregistered = 0 and discovered > 0 \
             and discovery_asked > discovered and discovery_asked > $2",
        )
        .bind(vault)
        .bind(nanoseconds(patience));
        let row = query.fetch_one(write.on()).await.map_err(DbError::sql(action))?;
        if row.number("underway")? > 0 {
            write.leave().await?;
            return Ok(DiscoveryAsked::Underway);
        }
        let query = sqlx::query(
            "update containers set discovery_asked = $2 where vault = $1 and unregistered = 0 and discovered > 0",
        )
        .bind(vault)
        .bind(nanoseconds(now));
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(DiscoveryAsked::Asked(done.rows_affected()))
    }

    /// Whether somebody waits for what a host finds, and since when.
    pub async fn discovery_wanted(&self, host: ContainerId) -> Result<Option<Timestamp>, DbError> {
        let action = "see whether a discovery is wanted";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(
            "select discovery_asked from containers where id = $1 and unregistered = 0 \
             and discovery_asked > discovered",
        )
        .bind(host.as_bytes().to_vec());
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        row.map(|row| row.moment("discovery_asked")).transpose()
    }

    /// The hosts of a vault: the machines that have told of virtual machines, or of having none.
    pub async fn hosts(&self, vault: VaultId) -> Result<Vec<ContainerId>, DbError> {
        let action = "list the hosts";
        let mut reader = self.read(action).await?;
        let key = self.vault_key(&mut reader, vault).await?;
        let query =
            sqlx::query("select id from containers where vault = $1 and unregistered = 0 and discovered > 0").bind(key);
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter()
            .map(|row| Ok(ContainerId::from_bytes(row.array("id")?)))
            .collect()
    }
}

/// Gives all virtual machines of a host its new key. What key sets they had joined, they have to prove anew.
pub(crate) async fn rekey(
    connection: &mut AnyConnection,
    host: ContainerId,
    public_key: &[u8; 32],
) -> Result<(), DbError> {
    let action = "replace the keys of virtual machines";
    let query = sqlx::query("update containers set public_key = $2, keyed = 0 where host = $1 returning key")
        .bind(host.as_bytes().to_vec())
        .bind(public_key.to_vec());
    for row in query.fetch_all(&mut *connection).await.map_err(DbError::sql(action))? {
        leave_all(&mut *connection, row.number("key")?).await?;
    }
    Ok(())
}

/// A host goes: nobody signs in for its virtual machines any more, until another host finds them.
pub(crate) async fn leave_host(connection: &mut AnyConnection, host: ContainerId) -> Result<(), DbError> {
    let action = "take the virtual machines from their host";
    let none: &[u8] = &[];
    let query = sqlx::query(
        "select item from containers join items on items.key = containers.item where host = $1 \
         and state = 'NotProtected' and items.deleted = 0 and length(latest_point) = 0",
    );
    let idle = query.bind(host.as_bytes().to_vec()).fetch_all(&mut *connection).await;
    for row in idle.map_err(DbError::sql(action))? {
        // There is nothing in it to keep.
        delete_rows(&mut *connection, row.number("item")?).await?;
    }
    let query = sqlx::query("delete from sessions where container in (select key from containers where host = $1)");
    let done = query.bind(host.as_bytes().to_vec()).execute(&mut *connection).await;
    done.map_err(DbError::sql(action))?;
    let query = sqlx::query("update containers set host = $2, gone = 1 where host = $1")
        .bind(host.as_bytes().to_vec())
        .bind(none);
    let done = query.execute(connection).await;
    done.map(drop).map_err(DbError::sql(action))
}

/// Where a virtual machine of a name stands.
fn place(name: &MachineName) -> String {
    format!("{};vm", name.folded())
}

/// Virtual machines that other hosts did not find the last time are free; `host` is the one that looks now.
async fn gone_before(connection: &mut AnyConnection, host: ContainerId) -> Result<Vec<i64>, DbError> {
    let query = sqlx::query("select key from containers where gone = 1 and host <> $1").bind(host.as_bytes().to_vec());
    let rows = query.fetch_all(connection).await;
    let rows = rows.map_err(DbError::sql("find virtual machines that are gone"))?;
    rows.iter().map(|row| row.number("key")).collect()
}

async fn find(connection: &mut AnyConnection, vault: i64, name: &MachineName) -> Result<Option<AnyRow>, DbError> {
    let query = sqlx::query(select_machines!(
        "and containers.vault = $1 and containers.name_folded = $2"
    ))
    .bind(vault)
    .bind(place(name));
    let row = query.fetch_optional(connection).await;
    row.map_err(DbError::sql("find the virtual machine"))
}

/// The host that looks, in its transaction.
struct Keeper<'a> {
    host: ContainerId,
    vault: i64,
    key: &'a [u8; 32],
    gone: &'a [i64],
}

impl Keeper<'_> {
    async fn take(
        &self,
        connection: &mut AnyConnection,
        machine: &FoundMachine,
        now: Timestamp,
    ) -> Result<Hosted, DbError> {
        let row = match find(&mut *connection, self.vault, &machine.name).await? {
            Some(row) => row,
            None => {
                let new = NewContainer {
                    id: machine.id,
                    item: machine.item,
                    name: &machine.name,
                    public_key: self.key,
                    registered: now,
                };
                let place = place(&machine.name);
                insert(&mut *connection, self.vault, &new, &place, Workload::VirtualMachine).await?;
                let row = find(&mut *connection, self.vault, &machine.name).await?;
                row.ok_or(DbError::NoContainer)?
            }
        };
        let (key, known) = (row.number("key")?, machine_row(&row)?);
        let is_new_here = known.host.as_ref().is_none_or(|(id, _)| *id != self.host);
        if let Some((_, name)) = known.host.filter(|_| is_new_here)
            && !(self.gone.contains(&key) && machine.facts.uuid.is_some() && machine.facts.uuid == known.facts.uuid)
        {
            return Ok(Hosted::Elsewhere {
                name: known.name,
                host: name,
            });
        }
        if is_new_here {
            leave_all(&mut *connection, key).await?;
        }
        let query = sqlx::query(
            "update containers set host = $2, public_key = $3, facts = $4, seen = $5, gone = 0, name = $6, \
             keyed = (case $7 when 1 then 0 else keyed end) where key = $1",
        )
        .bind(key)
        .bind(self.host.as_bytes().to_vec())
        .bind(self.key.to_vec())
        .bind(facts_text(&machine.facts))
        .bind(nanoseconds(now))
        .bind(machine.name.as_str())
        .bind(i64::from(is_new_here));
        let done = query.execute(connection).await;
        done.map_err(DbError::sql("take note of a virtual machine"))?;
        Ok(Hosted::Here {
            name: machine.name.clone(),
            container: known.container,
            item: known.item,
        })
    }
}

fn facts_text(facts: &MachineFacts) -> String {
    serde_json::to_string(facts).expect("facts are texts and numbers")
}

fn machine_row(row: &AnyRow) -> Result<VirtualMachineRow, DbError> {
    let host = row.optional("host")?.map(ContainerId::from_bytes);
    let host = match (host, row.text("host_name")?.is_empty()) {
        (Some(host), false) => Some((host, row.parsed("host_name")?)),
        _ => None,
    };
    let facts = row.text("facts")?;
    let facts = match facts.is_empty() {
        // Between its insertion and the facts, in one transaction.
        true => MachineFacts::unknown(),
        false => serde_json::from_str(&facts).map_err(|_| DbError::Value("containers.facts"))?,
    };
    Ok(VirtualMachineRow {
        container: ContainerId::from_bytes(row.array("container")?),
        item: ItemId::from_bytes(row.array("item")?),
        name: row.parsed("name")?,
        host,
        facts,
        seen: row.moment("seen")?,
        is_gone: row.number("gone")? != 0,
        state: row.parsed("state")?,
        is_deleted: row.number("deleted")? != 0,
        place: row.text("place")?,
    })
}
