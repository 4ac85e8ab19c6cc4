//! Security PINs: what a machine needs besides its own credential before it may take something away (SEMANTICS.md §2.6).
//! A person gets one for a vault; it is good for a few minutes and for one use.

use jiff::{SignedDuration, Timestamp};
use strongroom_db::{Actor, PinLimits, PinTried};
use strongroom_model::{ContainerId, GuardedOperation, VaultId};

use crate::guards::{Subject, Wish};
use crate::{ItemChanged, Stop, VaultError, Vaults};

/// How long a PIN is good.
const LIFE: SignedDuration = SignedDuration::from_mins(5);

/// A machine is shut out before its guesses alone make a PIN void, so that one thief cannot keep others from theirs.
/// Whoever steals all machines of a vault has five guesses in a million for each PIN that a person gets.
const LIMITS: PinLimits = PinLimits {
    per_pin: 5,
    per_machine: 3,
    shut_for: SignedDuration::from_hours(1),
};

/// What a machine shows as its PIN: a hash by a key that the database does not have.
#[derive(Clone, Copy)]
pub struct PinHash(pub [u8; 32]);

/// What was done by virtue of a PIN.
#[derive(Clone, Debug)]
pub struct Pinned<T> {
    /// What came of it.
    pub done: T,
    /// Who got the PIN: it was done on this account's behalf.
    pub by: Actor,
}

impl Vaults {
    /// Makes a PIN the vault's, in place of the one before; returns when it ends.
    pub async fn issue_pin(&self, vault: VaultId, by: &Actor, pin: PinHash) -> Result<Timestamp, VaultError> {
        let expires = self.now().saturating_add(LIFE).unwrap_or(Timestamp::MAX);
        let wish = Wish {
            vault,
            by,
            operations: &[GuardedOperation::GetSecurityPin],
            subject: &Subject::Vault,
        };
        let kept = async { Ok(self.db().put_pin(vault, &pin.0, expires, by).await?) };
        self.guarded(wish, kept).await?;
        Ok(expires)
    }

    /// Uses up the PIN of the machine's vault; returns who got it. None at all is refused and not counted.
    pub(crate) async fn use_pin(&self, container: ContainerId, pin: Option<PinHash>) -> Result<Actor, VaultError> {
        let vault = self.vault(self.container(container).await?.vault).await?;
        let refused = || VaultError::PinRefused {
            vault: vault.name.clone(),
        };
        let PinHash(shown) = pin.ok_or_else(refused)?;
        let now = self.now();
        // Hashes of this type compare in constant time.
        let is_right = move |kept: &[u8; 32]| blake3::Hash::from_bytes(*kept) == blake3::Hash::from_bytes(shown);
        match self.db().try_pin(vault.id, container, LIMITS, now, is_right).await? {
            PinTried::Right(issuer) => Ok(issuer),
            PinTried::Wrong => Err(refused()),
            PinTried::ShutUntil(until) => Err(VaultError::TooManyPins {
                seconds: u64::try_from(until.duration_since(now).as_secs()).unwrap_or(0) + 1,
            }),
        }
    }

    /// Stops a machine's protection and deletes its data, as a person with a PIN of its vault asks for at the machine.
    pub async fn delete_own_data(
        &self,
        container: ContainerId,
        pin: Option<PinHash>,
    ) -> Result<Pinned<ItemChanged>, VaultError> {
        let by = self.use_pin(container, pin).await?;
        let item = self.item_of(self.container(container).await?.item).await?;
        let done = self.stop(&by, &item, Stop::Delete, None).await?;
        Ok(Pinned { done, by })
    }

    /// Unregisters a machine, as a person with a PIN of its vault asks for at the machine.
    pub async fn unregister_oneself(
        &self,
        container: ContainerId,
        pin: Option<PinHash>,
    ) -> Result<Pinned<ItemChanged>, VaultError> {
        let by = self.use_pin(container, pin).await?;
        let container = self.container(container).await?;
        let done = self.unregister(&by, &container).await?;
        Ok(Pinned { done, by })
    }
}
