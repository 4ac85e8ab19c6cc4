//! Policies of a vault: made, changed and deleted within the limits, and never so that a promise is broken in silence.

use strongroom_db::{Actor, NewPolicy, PolicyChanged, PolicyRow};
use strongroom_model::policy::{DEFAULT_POLICIES, DefaultPolicy, Policy, Workload};
use strongroom_model::{GuardedOperation, PolicyName, VaultId};

use crate::guards::{Subject, Wish};
use crate::{VaultError, Vaults};

impl Vaults {
    /// The policies of a vault, by name.
    pub async fn policies(&self, vault: VaultId) -> Result<Vec<PolicyRow>, VaultError> {
        Ok(self.db().policies(vault).await?)
    }

    /// The policy of this name, without regard to case.
    pub async fn policy(&self, vault: VaultId, name: &PolicyName) -> Result<PolicyRow, VaultError> {
        let found = self.db().policy(vault, name).await?;
        found.ok_or_else(|| VaultError::PolicyNotFound { name: name.clone() })
    }

    /// Makes a policy.
    pub async fn create_policy(
        &self,
        vault: VaultId,
        name: &PolicyName,
        workload: Workload,
        policy: &Policy,
    ) -> Result<PolicyRow, VaultError> {
        check(policy, workload)?;
        let now = self.now();
        let new = NewPolicy {
            name,
            workload,
            policy,
            now,
        };
        match self.db().insert_policy(vault, new).await? {
            true => self.policy(vault, name).await,
            false => Err(VaultError::PolicyNameTaken { name: name.clone() }),
        }
    }

    /// Gives a policy other rules, if it still has `version` (if one is given). They hold for new points at once, and for
    /// old ones from the next pass of expiry on.
    pub async fn change_policy(
        &self,
        by: &Actor,
        vault: VaultId,
        name: &PolicyName,
        policy: &Policy,
        version: Option<u64>,
    ) -> Result<PolicyRow, VaultError> {
        let before = self.policy(vault, name).await?;
        check(policy, before.workload)?;
        let lowered = before.policy.lowered_by(policy);
        if self.vault(vault).await?.settings.is_immutable() && !lowered.is_empty() {
            let why = lowered.join(", ");
            return Err(VaultError::Immutable { why });
        }
        let new = NewPolicy {
            name,
            workload: before.workload,
            policy,
            now: self.now(),
        };
        // What was found to be allowed is a change from `before`, not from what somebody else makes of it meanwhile.
        let version = version.unwrap_or(before.version);
        let operations: &[_] = match lowered.is_empty() {
            true => &[],
            false => &[GuardedOperation::LowerPolicy],
        };
        let wish = Wish {
            vault,
            by,
            operations,
            subject: &Subject::Policy(before.name),
        };
        let changed = async { self.done(name, self.db().change_policy(vault, new, Some(version)).await?) };
        self.guarded(wish, changed).await?;
        self.policy(vault, name).await
    }

    /// Deletes a policy that no item is under; in an immutable vault, that no stopped item is bound by either. One that every vault has from the beginning comes back as it was then.
    pub async fn delete_policy(
        &self,
        vault: VaultId,
        name: &PolicyName,
        version: Option<u64>,
    ) -> Result<(), VaultError> {
        // Under any later policy an item that has none looks as if it protected nothing before.
        let binds = self.vault(vault).await?.settings.is_immutable();
        self.done(name, self.db().delete_policy(vault, name, version, binds).await?)?;
        if let Some(default) = DefaultPolicy::called(name) {
            self.add_default(vault, default).await?;
        }
        Ok(())
    }

    /// Gives a vault the policies that every vault has, as far as it lacks them.
    pub async fn add_default_policies(&self, vault: VaultId) -> Result<(), VaultError> {
        for default in &DEFAULT_POLICIES {
            self.add_default(vault, default).await?;
        }
        Ok(())
    }

    async fn add_default(&self, vault: VaultId, default: &DefaultPolicy) -> Result<(), VaultError> {
        let new = NewPolicy {
            name: &default.name(),
            workload: default.workload,
            policy: &default.policy(),
            now: self.now(),
        };
        self.db().insert_policy(vault, new).await?;
        Ok(())
    }

    fn done(&self, name: &PolicyName, changed: PolicyChanged) -> Result<(), VaultError> {
        let name = name.clone();
        match changed {
            PolicyChanged::Done => Ok(()),
            PolicyChanged::Absent => Err(VaultError::PolicyNotFound { name }),
            PolicyChanged::OtherVersion(version) => Err(VaultError::OtherVersion { version }),
            PolicyChanged::InUse(items) => Err(VaultError::PolicyInUse { name, items }),
            PolicyChanged::Remembered(items) => Err(VaultError::Immutable {
                why: format!("stopped or deleted items that the policy {name} binds: {items}"),
            }),
        }
    }
}

fn check(policy: &Policy, workload: Workload) -> Result<(), VaultError> {
    let violations = policy.violations(workload);
    match violations.is_empty() {
        true => Ok(()),
        false => Err(VaultError::PolicyRefused { violations }),
    }
}
