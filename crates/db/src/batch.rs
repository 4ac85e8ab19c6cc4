//! Statements over many values at once: one trip to the database instead of hundreds.
//!
//! A list of identities is bound as one value, all of them joined; the statement counts through it and cuts them out
//! again. What it finds comes back as one value too, a text of numbers. A bind or a row for each identity costs more than
//! looking it up: 16,384 of them took 31 to 120 ms so, and take 16 to 25 ms now.

use std::sync::LazyLock;

use strongroom_model::BlobId;

use crate::DbError;

/// How many rows [`INSERT_BLOBS`] has.
pub(crate) const ROWS: usize = 128;

/// Counts the identities in $2, which are $3, from 0: `list (n)`.
macro_rules! with_list {
    ($rest:literal) => {
        concat!(
            "with recursive list (n) as (select 0 where $3 > 0 union all select n + 1 from list where n + 1 < $3) ",
            $rest
        )
    };
}

/// The positions of those of the identities that are blobs of vault $1, separated by commas.
pub(crate) const KNOWN: &str = with_list!(
    "select coalesce(string_agg(cast(n as text), ','), '') as found from list where exists \
     (select 1 from blobs where vault = $1 and id = substr($2, n * 32 + 1, 32))"
);

/// Position, pack, place, size, level, verified of those of the identities that are blobs of vault $1, separated by
/// commas.
pub(crate) const PLACES: &str = with_list!(
    "select coalesce(string_agg(n || ',' || pack || ',' || place || ',' || size || ',' || level || ',' || verified, \
     ','), '') as found from list join blobs on vault = $1 and id = substr($2, n * 32 + 1, 32)"
);

/// Marks those of the identities that are pages of vault $1 as verified.
pub(crate) const VERIFY: &str = "update blobs set verified = 1 where vault = $1 and verified = 0 and level >= 0 and id in \
     (with recursive list (n) as (select 0 where $3 > 0 union all select n + 1 from list where n + 1 < $3) \
     select substr($2, n * 32 + 1, 32) from list)";

/// Inserts blobs of a vault ($1) and a pack ($2); those that are known stay where they are.
pub(crate) static INSERT_BLOBS: LazyLock<String> = LazyLock::new(|| insert_blobs(ROWS));
/// The same for one blob.
pub(crate) static INSERT_BLOB: LazyLock<String> = LazyLock::new(|| insert_blobs(1));

fn insert_blobs(rows: usize) -> String {
    let row = |row: usize| {
        let [id, place, size, level] = [3, 4, 5, 6].map(|column| format!("${}", row * 4 + column));
        format!("($1, {id}, $2, {place}, {size}, {level}, 0)")
    };
    let rows: Vec<String> = (0..rows).map(row).collect();
    format!(
        "insert into blobs (vault, id, pack, place, size, level, verified) values {} on conflict (vault, id) do nothing",
        rows.join(", ")
    )
}

/// All identities in one value.
pub(crate) fn joined(ids: &[BlobId]) -> Vec<u8> {
    ids.iter().flat_map(|id| *id.as_bytes()).collect()
}

/// Reads a text of numbers, `N` to a row.
pub(crate) fn rows<const N: usize>(found: &str) -> Result<Vec<[i64; N]>, DbError> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let numbers: Result<Vec<i64>, _> = found.split(',').map(str::parse).collect();
    let numbers = numbers.map_err(|_| DbError::Value("found"))?;
    match numbers.as_chunks() {
        (rows, []) => Ok(rows.to_vec()),
        _ => Err(DbError::Value("found")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let one = "insert into blobs (vault, id, pack, place, size, level, verified) \
                   values ($1, $3, $2, $4, $5, $6, 0) on conflict (vault, id) do nothing";
        assert_eq!(*INSERT_BLOB, one);
        assert!(insert_blobs(2).contains("($1, $7, $2, $8, $9, $10, 0)"));
    }

    #[test]
    fn rows_are_read() {
        assert_eq!(rows::<2>("").unwrap(), [[0; 2]; 0]);
        assert_eq!(rows::<2>("1,-2,3,4").unwrap(), [[1, -2], [3, 4]]);
        for broken in ["1", "1,2,3", "a,b", "1,"] {
            assert!(rows::<2>(broken).is_err(), "{broken}");
        }
    }
}
