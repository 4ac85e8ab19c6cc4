//! What a caller may do. Every route of the service names one of these.

use serde::{Deserialize, Serialize};

/// One thing that a credential can be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Permission {
    /// Anybody, signed in or not: health, figures, and signing in itself.
    Public,
    /// Change the password of the account that one is signed in with.
    PasswordChange,
    /// List and show vaults.
    VaultsRead,
    /// Create vaults.
    VaultsWrite,
    /// Delete vaults.
    VaultsDelete,
    /// Issue the credentials file with which machines register.
    CredentialsIssue,
    /// Register a machine; only a vault credentials file carries it.
    MachineRegister,
    /// Add packs and recovery points to the machine's own item.
    Backup,
    /// List and read recovery points.
    Restore,
    /// Have stored objects re-read and checked.
    Scrub,
}
