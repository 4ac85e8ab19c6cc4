//! How hard to compress.

/// A zstd level; 3 by default. Higher is smaller and slower, below zero is faster than 1.
///
/// Sealing is deterministic for one level and one version of zstd. Machines of one key set that use different levels
/// read each other's data, but do not share blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level(i32);

/// Why a level is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Compression level {level} does not exist: choose 1 to 19, or -7 to -1 for more speed.")]
pub struct LevelError {
    /// What was asked for.
    pub level: i32,
}

impl Level {
    /// Checks the level: -7 to -1, or 1 to 19. (0 is zstd's word for "default", and levels above 19 take more memory
    /// than a client promises.)
    ///
    /// # Errors
    /// [`LevelError`] for every other number.
    pub const fn new(level: i32) -> Result<Level, LevelError> {
        match level {
            -7..=-1 | 1..=19 => Ok(Level(level)),
            _ => Err(LevelError { level }),
        }
    }

    /// The number.
    pub const fn get(self) -> i32 {
        self.0
    }
}

impl Default for Level {
    fn default() -> Level {
        Level(3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        for (level, accepted) in [
            (-8, false),
            (-7, true),
            (-1, true),
            (0, false),
            (1, true),
            (3, true),
            (19, true),
            (20, false),
        ] {
            assert_eq!(Level::new(level).is_ok(), accepted, "{level}");
        }
        assert_eq!(Level::default(), Level::new(3).unwrap());
    }
}
