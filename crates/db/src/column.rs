//! Values to columns and back.

use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::DbError;

/// Nanoseconds since 1970.
pub(crate) fn nanoseconds(moment: Timestamp) -> i64 {
    let limit = i128::from(i64::MAX);
    moment.as_nanosecond().clamp(-limit, limit) as i64
}

/// A moment that does not come.
pub(crate) const NEVER: i64 = i64::MAX;

/// A moment, or [`NEVER`].
pub(crate) fn due_or_never(moment: Option<Timestamp>) -> i64 {
    moment.map_or(NEVER, nanoseconds)
}

/// A moment, or zero for none.
pub(crate) fn moment_or_zero(moment: Option<Timestamp>) -> i64 {
    moment.map_or(0, nanoseconds)
}

/// A count or a size as a column. What does not fit is clamped: only a header that lies has it.
pub(crate) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The folded name of what is kept without having its name any more: one that no name can be.
pub(crate) fn retired_name(folded: &str, id: impl std::fmt::Display) -> String {
    format!("{folded} {id}")
}

/// Reads columns by name; whatever cannot be is [`DbError::Value`] with the column's name.
pub(crate) trait Columns {
    fn number(&self, name: &'static str) -> Result<i64, DbError>;
    fn bytes(&self, name: &'static str) -> Result<Vec<u8>, DbError>;
    fn text(&self, name: &'static str) -> Result<String, DbError>;

    /// A count or a size.
    fn size(&self, name: &'static str) -> Result<u64, DbError> {
        u64::try_from(self.number(name)?).map_err(|_| DbError::Value(name))
    }

    fn array<const N: usize>(&self, name: &'static str) -> Result<[u8; N], DbError> {
        self.bytes(name)?.try_into().map_err(|_| DbError::Value(name))
    }

    /// Bytes, of which none at all stand for "none".
    fn optional<const N: usize>(&self, name: &'static str) -> Result<Option<[u8; N]>, DbError> {
        let bytes = self.bytes(name)?;
        match bytes.is_empty() {
            true => Ok(None),
            false => bytes.try_into().map(Some).map_err(|_| DbError::Value(name)),
        }
    }

    fn moment(&self, name: &'static str) -> Result<Timestamp, DbError> {
        Timestamp::from_nanosecond(self.number(name)?.into()).map_err(|_| DbError::Value(name))
    }

    /// A moment, of which zero and [`NEVER`] stand for "none".
    fn moment_if_any(&self, name: &'static str) -> Result<Option<Timestamp>, DbError> {
        match self.number(name)? {
            0 | NEVER => Ok(None),
            _ => self.moment(name).map(Some),
        }
    }

    fn parsed<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, DbError> {
        self.text(name)?.parse().map_err(|_| DbError::Value(name))
    }
}

impl Columns for AnyRow {
    fn number(&self, name: &'static str) -> Result<i64, DbError> {
        self.try_get(name).map_err(|_| DbError::Value(name))
    }

    fn bytes(&self, name: &'static str) -> Result<Vec<u8>, DbError> {
        self.try_get(name).map_err(|_| DbError::Value(name))
    }

    fn text(&self, name: &'static str) -> Result<String, DbError> {
        self.try_get(name).map_err(|_| DbError::Value(name))
    }
}
