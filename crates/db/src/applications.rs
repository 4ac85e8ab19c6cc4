//! Service principals: programs that sign in by themselves, with secrets or certificates.

use jiff::Timestamp;
use sqlx::any::AnyRow;
use strongroom_model::{ApplicationId, KeyId, PrincipalId, PrincipalName};

use crate::column::{Columns, nanoseconds};
use crate::role_assignments::delete_assignments_of;
use crate::{Db, DbError};

/// A service principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationRow {
    /// What it signs in with as client id.
    pub id: ApplicationId,
    /// What people call it, unique without regard to case.
    pub name: PrincipalName,
    /// Where people whom it signs in may be sent back to, besides their own machine.
    pub redirects: Vec<String>,
    /// Whether it is shut.
    pub disabled: bool,
    /// When it was made.
    pub created: Timestamp,
}

/// What a service principal can sign in with.
#[derive(Clone, PartialEq, Eq)]
pub struct ApplicationKeyRow {
    /// Its id.
    pub id: KeyId,
    /// Whose it is.
    pub application: ApplicationId,
    /// What people call it.
    pub label: String,
    /// What it is.
    pub kind: ApplicationKeyKind,
    /// When it was added.
    pub created: Timestamp,
    /// It is refused from this moment on.
    pub expires: Timestamp,
}

/// A secret or a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplicationKeyKind {
    /// A random secret.
    Secret {
        /// Its BLAKE3 hash: the secret has 256 random bits, so that no slow one is needed.
        hash: [u8; 32],
    },
    /// The public part of a certificate.
    Certificate {
        /// The certificate, DER.
        der: Vec<u8>,
        /// Its SHA-256.
        thumbprint: [u8; 32],
    },
}

impl std::fmt::Debug for ApplicationKeyRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApplicationKeyRow({})", self.id)
    }
}

const SECRET: i64 = 0;
const CERTIFICATE: i64 = 1;

macro_rules! select_applications {
    ($rest:literal) => {
        concat!(
            "select id, name, redirects, disabled, created from applications ",
            $rest
        )
    };
}

impl Db {
    /// Adds a service principal. `false`: the name is taken; nothing was changed.
    pub async fn insert_application(&self, application: &ApplicationRow) -> Result<bool, DbError> {
        let action = "insert the service principal";
        let mut write = self.write(action).await?;
        let query = sqlx::query(
            "insert into applications (id, name, name_folded, redirects, disabled, created) \
             values ($1, $2, $3, $4, $5, $6) on conflict (name_folded) do nothing",
        )
        .bind(&application.id.as_bytes()[..])
        .bind(application.name.as_str())
        .bind(application.name.folded())
        .bind(application.redirects.join("\n"))
        .bind(i64::from(application.disabled))
        .bind(nanoseconds(application.created));
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// The service principal with this client id.
    pub async fn application(&self, id: ApplicationId) -> Result<Option<ApplicationRow>, DbError> {
        let action = "find the service principal";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(select_applications!("where id = $1")).bind(&id.as_bytes()[..]);
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        row.as_ref().map(application_row).transpose()
    }

    /// The service principal of this name, without regard to case.
    pub async fn application_by_name(&self, name: &PrincipalName) -> Result<Option<ApplicationRow>, DbError> {
        let action = "find the service principal by name";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(select_applications!("where name_folded = $1")).bind(name.folded());
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        row.as_ref().map(application_row).transpose()
    }

    /// All service principals, by name.
    pub async fn applications(&self) -> Result<Vec<ApplicationRow>, DbError> {
        let action = "list the service principals";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(select_applications!("order by name_folded"));
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter().map(application_row).collect()
    }

    /// Shuts a service principal, or opens it again. `false`: there is none.
    pub async fn set_application_disabled(&self, id: ApplicationId, disabled: bool) -> Result<bool, DbError> {
        let action = "shut or open the service principal";
        let mut write = self.write(action).await?;
        let query = sqlx::query("update applications set disabled = $2 where id = $1")
            .bind(&id.as_bytes()[..])
            .bind(i64::from(disabled));
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Deletes a service principal with its keys and roles. `false`: there was none.
    pub async fn delete_application(&self, id: ApplicationId) -> Result<bool, DbError> {
        let action = "delete the service principal";
        let mut write = self.write(action).await?;
        delete_assignments_of(write.on(), id.into()).await?;
        let mut deleted = 0;
        for text in [
            "delete from application_hands where application = $1",
            "delete from application_keys where application = $1",
            "delete from applications where id = $1",
        ] {
            let done = sqlx::query(text).bind(&id.as_bytes()[..]).execute(write.on()).await;
            deleted = done.map_err(DbError::sql(action))?.rows_affected();
        }
        write.commit().await?;
        Ok(deleted > 0)
    }

    /// Adds a secret or certificate that `account` has in hand, unless there are `keys_max` already: then `false`.
    pub async fn insert_application_key(
        &self,
        key: &ApplicationKeyRow,
        account: PrincipalId,
        keys_max: u32,
    ) -> Result<bool, DbError> {
        let action = "insert the key of the service principal";
        let (kind, hash, certificate) = match &key.kind {
            ApplicationKeyKind::Secret { hash } => (SECRET, hash, &[][..]),
            ApplicationKeyKind::Certificate { der, thumbprint } => (CERTIFICATE, thumbprint, &der[..]),
        };
        let mut write = self.write(action).await?;
        let query = sqlx::query(
            "insert into application_keys (id, application, kind, label, hash, certificate, created, expires) \
             select $1, $2, $3, $4, $5, $6, $7, $8 \
             where (select count(*) from application_keys where application = $2) < $9",
        )
        .bind(&key.id.as_bytes()[..])
        .bind(&key.application.as_bytes()[..])
        .bind(kind)
        .bind(&key.label)
        .bind(&hash[..])
        .bind(certificate)
        .bind(nanoseconds(key.created))
        .bind(nanoseconds(key.expires))
        .bind(i64::from(keys_max));
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        let query = sqlx::query(
            "insert into application_hands (application, account) values ($1, $2) on conflict (application, account) do nothing",
        )
        .bind(&key.application.as_bytes()[..])
        .bind(&account.as_bytes()[..]);
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(true)
    }

    /// What a service principal can sign in with, oldest first.
    pub async fn application_keys(&self, application: ApplicationId) -> Result<Vec<ApplicationKeyRow>, DbError> {
        let action = "list the keys of the service principal";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(
            "select id, application, kind, label, hash, certificate, created, expires from application_keys \
             where application = $1 order by created, id",
        )
        .bind(&application.as_bytes()[..]);
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter().map(key_row).collect()
    }

    /// Removes a secret or certificate. `false`: the service principal has none of this id.
    pub async fn delete_application_key(&self, application: ApplicationId, key: KeyId) -> Result<bool, DbError> {
        let action = "delete the key of the service principal";
        let mut write = self.write(action).await?;
        let query = sqlx::query("delete from application_keys where application = $1 and id = $2")
            .bind(&application.as_bytes()[..])
            .bind(&key.as_bytes()[..]);
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Remembers an assertion until it is out of date. `false`: it was used before.
    pub async fn use_assertion(&self, hash: [u8; 32], expires: Timestamp, now: Timestamp) -> Result<bool, DbError> {
        let action = "remember the assertion";
        let mut write = self.write(action).await?;
        let query = sqlx::query("delete from used_assertions where expires < $1").bind(nanoseconds(now));
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        let query =
            sqlx::query("insert into used_assertions (hash, expires) values ($1, $2) on conflict (hash) do nothing")
                .bind(&hash[..])
                .bind(nanoseconds(expires));
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }
}

fn application_row(row: &AnyRow) -> Result<ApplicationRow, DbError> {
    let redirects = row.text("redirects")?;
    Ok(ApplicationRow {
        id: ApplicationId::from_bytes(row.array("id")?),
        name: row.parsed("name")?,
        redirects: redirects.lines().map(str::to_owned).collect(),
        disabled: row.number("disabled")? != 0,
        created: row.moment("created")?,
    })
}

fn key_row(row: &AnyRow) -> Result<ApplicationKeyRow, DbError> {
    let kind = match row.number("kind")? {
        SECRET => ApplicationKeyKind::Secret {
            hash: row.array("hash")?,
        },
        CERTIFICATE => ApplicationKeyKind::Certificate {
            der: row.bytes("certificate")?,
            thumbprint: row.array("hash")?,
        },
        _ => return Err(DbError::Value("kind")),
    };
    Ok(ApplicationKeyRow {
        id: KeyId::from_bytes(row.array("id")?),
        application: ApplicationId::from_bytes(row.array("application")?),
        label: row.text("label")?,
        kind,
        created: row.moment("created")?,
        expires: row.moment("expires")?,
    })
}
