//! Multi-user authorisation: what a vault's resource guard guards is done only with a second person's approval
//! (SEMANTICS.md §2.5). Whatever takes protection away passes [`Vaults::guarded`], from whichever way it comes.

use strongroom_db::{Actor, ApprovalRow, ApprovalsOf, GuardDeleted, GuardRow, GuardSet, ItemRow, NewApproval};
use strongroom_model::{
    ApplicationId, ApprovalId, ApprovalState, GuardName, GuardedKind, GuardedOperation, PolicyName, ResourceGroupName,
    VaultId,
};

use crate::{VaultError, Vaults, fresh};

/// How many requests a list has at most: the newest.
const APPROVALS_MAX: u32 = 1000;

/// The longest reason, in characters.
const REASON_MAX: usize = 500;

/// What something is done to, so that an approval is for that very thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The vault as a whole.
    Vault,
    /// One of its policies.
    Policy(PolicyName),
    /// One of its items.
    Item(Box<ItemRow>),
}

impl Subject {
    /// How it is kept. An item's name may become another's; a policy's name is all that it has.
    fn key(&self) -> String {
        match self {
            Self::Vault => String::new(),
            Self::Policy(name) => format!("policy/{}", name.folded()),
            Self::Item(item) => format!("item/{}", item.id),
        }
    }

    /// What people call it; of the vault itself nothing.
    pub fn name(&self) -> &str {
        match self {
            Self::Vault => "",
            Self::Policy(name) => name.as_str(),
            Self::Item(item) => item.name.as_str(),
        }
    }

    fn kind(&self) -> GuardedKind {
        match self {
            Self::Vault => GuardedKind::Vault,
            Self::Policy(_) => GuardedKind::Policy,
            Self::Item(_) => GuardedKind::Item,
        }
    }

    /// The flags of `strongroom approval request` that name it.
    fn flags(&self) -> String {
        match self {
            Self::Vault => String::new(),
            Self::Policy(name) => format!(" --policy {name}"),
            // Two items may have had one name.
            Self::Item(item) if item.unregistered.is_some() => format!(" --item {}", item.id),
            Self::Item(item) => format!(" --item {}", item.name),
        }
    }
}

/// Somebody wants something done that a guard may guard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) vault: VaultId,
    pub(crate) by: &'a Actor,
    /// Nothing in it needs nobody.
    pub(crate) operations: &'a [GuardedOperation],
    pub(crate) subject: &'a Subject,
}

impl Vaults {
    /// Does `work`, if the vault's guard leaves it alone or a second person has approved it. Approvals are used up, unless the
    /// work then fails: whoever was refused for another reason need not ask again.
    pub(crate) async fn guarded<T>(
        &self,
        wish: Wish<'_>,
        work: impl Future<Output = Result<T, VaultError>>,
    ) -> Result<T, VaultError> {
        let used = self.use_approvals(wish).await?;
        let done = work.await;
        if done.is_err() {
            self.give_back(&used).await?;
        }
        done
    }

    async fn use_approvals(&self, wish: Wish<'_>) -> Result<Vec<ApprovalId>, VaultError> {
        let mut used = Vec::new();
        if wish.operations.is_empty() {
            return Ok(used);
        }
        let Some((guard, _)) = self.db().guard_of(wish.vault).await? else {
            return Ok(used);
        };
        for &operation in wish.operations.iter().filter(|operation| guard.guards(**operation)) {
            let approval = match wish.by.id() {
                None => None,
                Some(requester) => {
                    let (key, now) = (wish.subject.key(), self.now());
                    self.db()
                        .use_approval(wish.vault, &guard, operation, &key, requester, now)
                        .await?
                }
            };
            match approval {
                Some(approval) => used.push(approval),
                None => {
                    self.give_back(&used).await?;
                    return Err(self.approval_needed(wish, operation, &guard).await?);
                }
            }
        }
        Ok(used)
    }

    async fn give_back(&self, used: &[ApprovalId]) -> Result<(), VaultError> {
        for &approval in used {
            self.db().give_approval_back(approval).await?;
        }
        Ok(())
    }

    async fn approval_needed(
        &self,
        wish: Wish<'_>,
        operation: GuardedOperation,
        guard: &GuardRow,
    ) -> Result<VaultError, VaultError> {
        Ok(VaultError::ApprovalNeeded {
            operation,
            guard: guard.name.clone(),
            vault: self.vault(wish.vault).await?.name,
            flags: wish.subject.flags(),
        })
    }

    /// Until when somebody's approval of this is good, if it is; it is not used up.
    pub async fn approved_until(
        &self,
        vault: VaultId,
        by: &Actor,
        operation: GuardedOperation,
        subject: &Subject,
    ) -> Result<jiff::Timestamp, VaultError> {
        let now = self.now();
        let (guard, _) = self.guard_of(vault).await?;
        if !guard.guards(operation) {
            return Ok(now.saturating_add(strongroom_model::APPROVAL_GOOD).unwrap_or(now));
        }
        let wish = Wish {
            vault,
            by,
            operations: &[operation],
            subject,
        };
        let (requester, key) = (by.id(), subject.key());
        let until = match requester {
            None => None,
            Some(requester) => {
                self.db()
                    .approved_until(vault, &guard, operation, &key, requester, now)
                    .await?
            }
        };
        match until {
            Some(until) => Ok(until),
            None => Err(self.approval_needed(wish, operation, &guard).await?),
        }
    }

    /// Makes a guard, which guards everything that it can but for what is excepted.
    pub async fn create_guard(
        &self,
        group: &ResourceGroupName,
        name: &GuardName,
        excepted: &[GuardedOperation],
    ) -> Result<GuardRow, VaultError> {
        if let Some(&operation) = excepted.iter().find(|operation| operation.is_mandatory()) {
            return Err(VaultError::GuardRefused { operation });
        }
        match self.db().insert_guard(group, name, excepted, self.now()).await? {
            true => self.guard(group, name).await,
            false => Err(VaultError::GuardNameTaken { name: name.clone() }),
        }
    }

    /// The guards of a resource group, by name.
    pub async fn guards(&self, group: &ResourceGroupName) -> Result<Vec<GuardRow>, VaultError> {
        Ok(self.db().guards(group).await?)
    }

    /// A guard, without regard to case.
    pub async fn guard(&self, group: &ResourceGroupName, name: &GuardName) -> Result<GuardRow, VaultError> {
        let found = self.db().guard(group, name).await?;
        found.ok_or_else(|| VaultError::GuardNotFound { name: name.clone() })
    }

    /// Deletes a guard that no vault is under.
    pub async fn delete_guard(&self, group: &ResourceGroupName, name: &GuardName) -> Result<(), VaultError> {
        let name = name.clone();
        match self.db().delete_guard(group, &name).await? {
            GuardDeleted::Deleted => Ok(()),
            GuardDeleted::Absent => Err(VaultError::GuardNotFound { name }),
            GuardDeleted::InUse(vaults) => Err(VaultError::GuardInUse { name, vaults }),
        }
    }

    /// The guard that a vault is under, and since when.
    pub async fn guard_of(&self, vault: VaultId) -> Result<(GuardRow, jiff::Timestamp), VaultError> {
        self.db().guard_of(vault).await?.ok_or(VaultError::NotGuarded)
    }

    /// Puts a vault under a guard. Under another one already, it must be taken from there first, which that one guards.
    pub async fn set_guard(
        &self,
        vault: VaultId,
        group: &ResourceGroupName,
        name: &GuardName,
    ) -> Result<(GuardRow, jiff::Timestamp), VaultError> {
        match self.db().set_guard(vault, group, name, self.now()).await? {
            GuardSet::Since(_) => self.guard_of(vault).await,
            GuardSet::Other(guard) => Err(VaultError::GuardedAlready { guard }),
            GuardSet::Absent => Err(VaultError::GuardNotFound { name: name.clone() }),
        }
    }

    /// Takes the guard off a vault: which it guards.
    pub async fn remove_guard(&self, vault: VaultId, by: &Actor) -> Result<(), VaultError> {
        let wish = Wish {
            vault,
            by,
            operations: &[GuardedOperation::RemoveGuard],
            subject: &Subject::Vault,
        };
        let removed = async { Ok(self.db().remove_guard(vault, self.now()).await?) };
        match self.guarded(wish, removed).await? {
            true => Ok(()),
            false => Err(VaultError::NotGuarded),
        }
    }

    /// Asks the vault's guard for approval. Asking again for the very same gives the request that is open.
    pub async fn request_approval(
        &self,
        vault: VaultId,
        by: &Actor,
        operation: GuardedOperation,
        subject: &Subject,
        reason: &str,
    ) -> Result<ApprovalRow, VaultError> {
        let (guard, _) = self.guard_of(vault).await?;
        if subject.kind() != operation.kind() {
            let what = match operation.kind() {
                GuardedKind::Vault => "the vault as a whole: name neither an item nor a policy",
                GuardedKind::Policy => "a policy: name it",
                GuardedKind::Item => "an item: name it",
            };
            return Err(VaultError::ApprovalRefused {
                why: format!("{operation} is about {what}"),
            });
        }
        if !guard.guards(operation) {
            let why = format!("the resource guard {} leaves {operation} alone: just do it", guard.name);
            return Err(VaultError::ApprovalRefused { why });
        }
        if reason.chars().count() > REASON_MAX || reason.contains(char::is_control) {
            let why = format!("a reason has at most {REASON_MAX} characters, and no line breaks");
            return Err(VaultError::ApprovalRefused { why });
        }
        let now = self.now();
        let new = NewApproval {
            id: ApprovalId::from_uuid(fresh::uuid(now, self.entropy())),
            operation,
            subject: subject.key(),
            subject_name: subject.name().to_owned(),
            reason: reason.to_owned(),
            requester: by.clone(),
            now,
        };
        let made = self.db().request_approval(vault, &new).await?;
        made.ok_or(VaultError::NotGuarded)
    }

    /// Requests for approval, newest first.
    pub async fn approvals(&self, of: ApprovalsOf<'_>) -> Result<Vec<ApprovalRow>, VaultError> {
        Ok(self.db().approvals(of, APPROVALS_MAX).await?)
    }

    /// Decides about a request that was asked of a guard. Only a person can, and not the one who asked, nor one who has had a
    /// key of the service principal that asked.
    pub async fn decide_approval(
        &self,
        guard: &GuardRow,
        id: ApprovalId,
        by: &Actor,
        state: ApprovalState,
    ) -> Result<ApprovalRow, VaultError> {
        let row = self
            .db()
            .approval(guard, id)
            .await?
            .ok_or(VaultError::ApprovalNotFound)?;
        if state == ApprovalState::Approved {
            self.check_second_person(&row.requester, by).await?;
        }
        let now = self.now();
        let decided = self.db().decide_approval(guard, id, state, by.name(), now).await?;
        let row = self
            .db()
            .approval(guard, id)
            .await?
            .ok_or(VaultError::ApprovalNotFound)?;
        match decided {
            true => Ok(row),
            false => Err(VaultError::ApprovalOver {
                state: row.state_at(now),
            }),
        }
    }

    async fn check_second_person(&self, requester: &Actor, by: &Actor) -> Result<(), VaultError> {
        let Actor::User { id, .. } = by else {
            return Err(VaultError::SecondPerson {
                why: "a service principal cannot be the second person",
            });
        };
        let has_held = match requester {
            Actor::Application { id: application, .. } => {
                let application = ApplicationId::from_uuid(*application.as_uuid());
                self.db().has_held(application, *id).await?
            }
            _ => false,
        };
        match requester.id() == Some(*id) || has_held {
            true => Err(VaultError::SecondPerson {
                why: match has_held {
                    true => "you have had a key of the service principal that asked",
                    false => "you asked for this yourself",
                },
            }),
            false => Ok(()),
        }
    }
}
