//! Device codes (RFC 8628): a program without a browser waits until a person allows it to sign in.

use jiff::{SignedDuration, Timestamp};
use strongroom_model::UserId;

use crate::column::{Columns, nanoseconds};
use crate::{Db, DbError};

/// A device code that was given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceCodeRow {
    /// BLAKE3 of the code that the program has.
    pub hash: [u8; 32],
    /// The code that the person types, without its hyphen.
    pub user_code: String,
    /// Which program asks.
    pub client: String,
    /// The network that it asks from.
    pub network: String,
    /// When.
    pub created: Timestamp,
    /// It is refused from this moment on.
    pub expires: Timestamp,
    /// How long the program must wait between two questions.
    pub interval_seconds: i64,
}

/// What a program that asks is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DevicePoll {
    /// Nobody has typed the code yet.
    Pending,
    /// The same, and the program asked too soon; from now on it must wait five seconds longer.
    TooSoon,
    /// This user allowed it. The code is used up.
    Allowed(UserId),
    /// A person refused. The code is used up.
    Refused,
    /// There is no such code, or not any more.
    Expired,
}

const PENDING: i64 = 0;
const ALLOWED: i64 = 1;
const REFUSED: i64 = 2;

/// How much longer a hasty program must wait.
const SLOWER_SECONDS: i64 = 5;

/// How many codes may wait at once, and how many of one network, so that none can take all places: whoever asks for more has
/// to wait for earlier ones to expire.
const WAITING_MAX: i64 = 10_000;
const WAITING_OF_NETWORK_MAX: i64 = 100;

impl Db {
    /// Keeps a device code, and forgets those that are over. `false`: the user code is taken, or too many wait, of this
    /// network or of all.
    pub async fn insert_device_code(&self, code: &DeviceCodeRow) -> Result<bool, DbError> {
        let action = "insert the device code";
        let none: &[u8] = &[];
        let mut write = self.write(action).await?;
        let query = sqlx::query("delete from device_codes where expires <= $1").bind(nanoseconds(code.created));
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        let query = sqlx::query(
            "insert into device_codes \
             (hash, user_code, client, status, user_id, created, expires, polled, interval_seconds, network) \
             select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 where (select count(*) from device_codes) < $11 \
             and (select count(*) from device_codes where network = $10) < $12 on conflict do nothing",
        )
        .bind(&code.hash[..])
        .bind(&code.user_code)
        .bind(&code.client)
        .bind(PENDING)
        .bind(none)
        .bind(nanoseconds(code.created))
        .bind(nanoseconds(code.expires))
        .bind(0_i64)
        .bind(code.interval_seconds)
        .bind(&code.network)
        .bind(WAITING_MAX)
        .bind(WAITING_OF_NETWORK_MAX);
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Which program waits for a person to type this code.
    pub async fn device_code_client(&self, user_code: &str, now: Timestamp) -> Result<Option<String>, DbError> {
        let action = "find the device code";
        let mut reader = self.read(action).await?;
        let query =
            sqlx::query("select client from device_codes where user_code = $1 and status = $2 and expires > $3")
                .bind(user_code)
                .bind(PENDING)
                .bind(nanoseconds(now));
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        row.map(|row| row.text("client")).transpose()
    }

    /// A person allows (`Some`) or refuses what waits under the code. `false`: nothing does.
    pub async fn decide_device_code(
        &self,
        user_code: &str,
        user: Option<UserId>,
        now: Timestamp,
    ) -> Result<bool, DbError> {
        let action = "decide about the device code";
        let mut write = self.write(action).await?;
        let (status, id) = match &user {
            Some(user) => (ALLOWED, &user.as_bytes()[..]),
            None => (REFUSED, &[][..]),
        };
        let query = sqlx::query(
            "update device_codes set status = $2, user_id = $3 where user_code = $1 and status = $4 and expires > $5",
        )
        .bind(user_code)
        .bind(status)
        .bind(id)
        .bind(PENDING)
        .bind(nanoseconds(now));
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// A program asks what became of its code.
    pub async fn poll_device_code(&self, hash: [u8; 32], client: &str, now: Timestamp) -> Result<DevicePoll, DbError> {
        let action = "ask for the device code";
        let mut write = self.write(action).await?;
        // The row is written first, so that of two nodes that are asked at once only one finds it.
        let query = sqlx::query(
            "update device_codes set client = client where hash = $1 and client = $2 and expires > $3 \
             returning status, user_id, polled, interval_seconds",
        )
        .bind(&hash[..])
        .bind(client)
        .bind(nanoseconds(now));
        let row = query.fetch_optional(write.on()).await.map_err(DbError::sql(action))?;
        let Some(row) = row else {
            return Ok(DevicePoll::Expired);
        };
        let decided = match row.number("status")? {
            ALLOWED => Some(DevicePoll::Allowed(UserId::from_bytes(row.array("user_id")?))),
            REFUSED => Some(DevicePoll::Refused),
            _ => None,
        };
        let answer = match decided {
            Some(decided) => {
                let query = sqlx::query("delete from device_codes where hash = $1").bind(&hash[..]);
                query.execute(write.on()).await.map_err(DbError::sql(action))?;
                decided
            }
            None => {
                let interval = row.number("interval_seconds")?;
                let next = row
                    .moment("polled")?
                    .saturating_add(SignedDuration::from_secs(interval));
                let hasty = next.is_ok_and(|next| now < next);
                let query = sqlx::query("update device_codes set polled = $2, interval_seconds = $3 where hash = $1")
                    .bind(&hash[..])
                    .bind(nanoseconds(now))
                    .bind(if hasty { interval + SLOWER_SECONDS } else { interval });
                query.execute(write.on()).await.map_err(DbError::sql(action))?;
                if hasty {
                    DevicePoll::TooSoon
                } else {
                    DevicePoll::Pending
                }
            }
        };
        write.commit().await?;
        Ok(answer)
    }
}
