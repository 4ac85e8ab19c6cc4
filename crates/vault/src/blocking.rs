//! Hashing that would keep the runtime busy too long goes to a thread of its own.

use crate::VaultError;

/// What hashes fewer bytes is done where it is: handing it to another thread costs more.
const IN_PLACE_BYTES_MAX: usize = 256 << 10;

/// Does `work`, which hashes so many bytes.
pub(crate) async fn hashing<T: Send + 'static>(
    size_bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, VaultError> {
    if size_bytes <= IN_PLACE_BYTES_MAX {
        return Ok(work());
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|panicked| VaultError::Internal {
        action: "check a pack",
        cause: panicked.into(),
    })
}
