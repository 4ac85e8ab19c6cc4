//! Security PINs: a vault has one at a time; guesses are counted for the PIN and for the machine that guesses.

use jiff::{SignedDuration, Timestamp};
use strongroom_model::{ContainerId, ItemId, MachineName, Notice, VaultId};

use crate::alerts::{About, raise};
use crate::audit::Actor;
use crate::causes::of_item;
use crate::column::{Columns, nanoseconds, number};
use crate::vaults::lock_vault;
use crate::{Db, DbError};

/// How many guesses are borne.
#[derive(Clone, Copy, Debug)]
pub struct PinLimits {
    /// Of all machines together: then the PIN is void.
    pub per_pin: u64,
    /// Of one machine, each within `shut_for` of the one before: then its guesses are not looked at for as long.
    pub per_machine: u64,
    /// How long a machine that guesses is shut out.
    pub shut_for: SignedDuration,
}

/// What became of a PIN that a machine showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinTried {
    /// It was right, and is used up. This is who got it.
    Right(Actor),
    /// It was wrong, or there is none that is good now.
    Wrong,
    /// The machine guessed too often: nothing was looked at.
    ShutUntil(Timestamp),
}

impl Db {
    /// Keeps the hash of a vault's new PIN, in place of the one before.
    pub async fn put_pin(
        &self,
        vault: VaultId,
        hash: &[u8; 32],
        expires: Timestamp,
        issuer: &Actor,
    ) -> Result<(), DbError> {
        let action = "keep the security PIN";
        let mut write = self.write(action).await?;
        let key = write.vault_key(vault).await?;
        lock_vault(write.on(), key).await?;
        let (kind, id, name) = issuer.columns();
        let query = sqlx::query(
            "insert into security_pins (vault, hash, expires, wrong, issuer, issuer_id, issuer_name) \
             values ($1, $2, $3, 0, $4, $5, $6) on conflict (vault) do update set hash = excluded.hash, \
             expires = excluded.expires, wrong = 0, issuer = excluded.issuer, issuer_id = excluded.issuer_id, \
             issuer_name = excluded.issuer_name",
        )
        .bind(key)
        .bind(&hash[..])
        .bind(nanoseconds(expires))
        .bind(kind)
        .bind(id)
        .bind(name);
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await
    }

    /// Uses up the vault's PIN if `is_right` says so of its hash, and counts the guess otherwise; the last that is borne raises
    /// an alert. All in one transaction, so that many guesses at once are bound like one after the other, on all nodes
    /// together.
    pub async fn try_pin(
        &self,
        vault: VaultId,
        container: ContainerId,
        limits: PinLimits,
        now: Timestamp,
        is_right: impl FnOnce(&[u8; 32]) -> bool + Send,
    ) -> Result<PinTried, DbError> {
        let action = "try the security PIN";
        let mut write = self.write(action).await?;
        let key = write.vault_key(vault).await?;
        lock_vault(write.on(), key).await?;
        let query = sqlx::query(
            "select items.id as item, containers.name as name, wrong_pins, wrong_pin_at from containers \
             join items on items.key = containers.item where containers.id = $1 and containers.vault = $2",
        )
        .bind(container.as_bytes().to_vec())
        .bind(key);
        let row = query.fetch_optional(write.on()).await.map_err(DbError::sql(action))?;
        let machine = row.ok_or(DbError::NoContainer)?;
        let until = machine.moment("wrong_pin_at")?.saturating_add(limits.shut_for);
        let until = until.unwrap_or(Timestamp::MAX);
        let guesses = if now < until { machine.size("wrong_pins")? } else { 0 };
        if guesses >= limits.per_machine {
            write.leave().await?;
            return Ok(PinTried::ShutUntil(until));
        }
        let query = sqlx::query(
            "select hash, wrong, issuer, issuer_id, issuer_name from security_pins \
             where vault = $1 and expires > $2 and wrong < $3",
        )
        .bind(key)
        .bind(nanoseconds(now))
        .bind(number(limits.per_pin));
        let row = query.fetch_optional(write.on()).await.map_err(DbError::sql(action))?;
        let wrong = row.as_ref().map(|row| row.size("wrong")).transpose()?;
        let tried = match row {
            Some(row) if is_right(&row.array("hash")?) => {
                PinTried::Right(Actor::of_columns(&row, ["issuer", "issuer_id", "issuer_name"])?)
            }
            _ => PinTried::Wrong,
        };
        let (guesses, of_pin) = match tried {
            PinTried::Wrong => (
                guesses + 1,
                "update security_pins set wrong = wrong + 1 where vault = $1",
            ),
            _ => (0, "delete from security_pins where vault = $1"),
        };
        let query = sqlx::query(of_pin).bind(key);
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        let query = sqlx::query("update containers set wrong_pins = $2, wrong_pin_at = $3 where id = $1")
            .bind(container.as_bytes().to_vec())
            .bind(number(guesses))
            .bind(nanoseconds(now));
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        if tried == PinTried::Wrong {
            let name: MachineName = machine.parsed("name")?;
            let of_machine = of_item(ItemId::from_bytes(machine.array("item")?));
            if guesses == limits.per_machine {
                let until = now.saturating_add(limits.shut_for).unwrap_or(Timestamp::MAX);
                let notice = Notice::pins_guessed(&name, until, now);
                raise(write.on(), key, of_machine, &notice, now).await?;
            }
            if wrong.is_some_and(|wrong| wrong + 1 == limits.per_pin) {
                let notice = Notice::pin_void(&name, now);
                raise(write.on(), key, About::default(), &notice, now).await?;
            }
        }
        write.commit().await?;
        Ok(tried)
    }
}
