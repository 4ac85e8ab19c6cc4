//! Roles: what Azure's built-in roles for backup allow, in Azure's own words.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Permission;

/// A role that can be assigned. The actions and ids are those of Azure's built-in roles of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("enum" = Role::ALL.iter().map(|role| role.name()).collect::<Vec<_>>()))]
pub enum Role {
    /// May do everything, and give roles to others.
    Owner,
    /// Runs backup: vaults, policies, protection; may neither delete vaults nor give roles.
    BackupContributor,
    /// Backs up and restores; may neither change policies nor delete data.
    BackupOperator,
    /// Looks, and chooses who is told of alerts.
    BackupReader,
}

/// Why a text is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is no role: the roles are \"Owner\", \"Backup Contributor\", \"Backup Operator\" and \"Backup Reader\""
)]
pub struct RoleError(String);

impl Role {
    /// All roles, the mightiest first.
    pub const ALL: &[Role] = &[
        Role::Owner,
        Role::BackupContributor,
        Role::BackupOperator,
        Role::BackupReader,
    ];

    /// The name that Azure gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Owner => "Owner",
            Role::BackupContributor => "Backup Contributor",
            Role::BackupOperator => "Backup Operator",
            Role::BackupReader => "Backup Reader",
        }
    }

    /// The id of Azure's role definition.
    pub const fn definition(self) -> Uuid {
        Uuid::from_u128(match self {
            Role::Owner => 0x8e3af657_a8ff_443c_a75c_2fe8c4bcb635,
            Role::BackupContributor => 0x5e467623_bb1f_42f4_a55d_6e525e11384b,
            Role::BackupOperator => 0x00c29273_979b_4161_815c_10b084fb9324,
            Role::BackupReader => 0xa795c7a0_d4a2_40c1_ae25_d81f01202912,
        })
    }

    /// One sentence for people.
    pub const fn description(self) -> &'static str {
        match self {
            Role::Owner => "May do everything, and give roles to others",
            Role::BackupContributor => {
                "Manages backup: creates vaults and policies, protects and stops; may neither delete vaults nor give roles"
            }
            Role::BackupOperator => "Backs up and restores; may neither change policies nor remove backups",
            Role::BackupReader => {
                "Sees everything about backup, and chooses who is told of alerts; changes nothing else"
            }
        }
    }

    /// The actions that it allows; `*` stands for any characters, slashes too.
    pub const fn actions(self) -> &'static [&'static str] {
        match self {
            Role::Owner => &["*"],
            Role::BackupContributor => CONTRIBUTOR,
            Role::BackupOperator => OPERATOR,
            Role::BackupReader => READER,
        }
    }

    /// Whether the role allows an action.
    pub fn allows(self, action: &str) -> bool {
        self.actions().iter().any(|pattern| matches(pattern, action))
    }

    /// Whether the role gives a permission.
    pub fn permits(self, permission: Permission) -> bool {
        permission.action().is_some_and(|action| self.allows(action))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Role {
    type Err = RoleError;

    /// Takes the name in any case, with spaces, hyphens or neither, or the id of the definition.
    fn from_str(text: &str) -> Result<Self, RoleError> {
        let letters = |text: &str| text.to_ascii_lowercase().replace([' ', '-'], "");
        let id = Uuid::try_parse(text).ok();
        let found = Role::ALL
            .iter()
            .find(|role| letters(role.name()) == letters(text) || Some(role.definition()) == id);
        found.copied().ok_or_else(|| RoleError(text.chars().take(64).collect()))
    }
}

impl TryFrom<String> for Role {
    type Error = RoleError;

    fn try_from(text: String) -> Result<Self, RoleError> {
        text.parse()
    }
}

impl From<Role> for String {
    fn from(role: Role) -> String {
        role.name().to_owned()
    }
}

/// Whether a pattern stands for an action, without regard to case.
fn matches(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_ascii_lowercase(), action.to_ascii_lowercase());
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = action.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

macro_rules! services {
    ($($action:literal)*) => {
        &[
            "Microsoft.Authorization/*/read",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
            $(concat!("Microsoft.RecoveryServices/", $action),)*
        ]
    };
    (with $($other:literal)*; $($action:literal)*) => {
        &[
            "Microsoft.Authorization/*/read",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
            $($other,)*
            $(concat!("Microsoft.RecoveryServices/", $action),)*
        ]
    };
}

const CONTRIBUTOR: &[&str] = services! { with
    "Microsoft.Network/virtualNetworks/read"
    "Microsoft.Resources/deployments/*"
    "Microsoft.Storage/storageAccounts/read"
    "Microsoft.Support/*";
    "locations/*"
    "Vaults/backupFabrics/operationResults/*"
    "Vaults/backupFabrics/protectionContainers/*"
    "Vaults/backupFabrics/refreshContainers/action"
    "Vaults/backupJobs/*"
    "Vaults/backupJobsExport/action"
    "Vaults/backupOperationResults/*"
    "Vaults/backupPolicies/*"
    "Vaults/backupProtectableItems/*"
    "Vaults/backupProtectedItems/*"
    "Vaults/backupProtectionContainers/*"
    "Vaults/backupSecurityPIN/*"
    "Vaults/backupUsageSummaries/read"
    "Vaults/certificates/*"
    "Vaults/extendedInformation/*"
    "Vaults/monitoringAlerts/read"
    "Vaults/monitoringConfigurations/*"
    "Vaults/read"
    "Vaults/registeredIdentities/*"
    "Vaults/usages/*"
    "Vaults/backupstorageconfig/*"
    "Vaults/backupconfig/*"
    "Vaults/backupValidateOperation/action"
    "Vaults/write"
    "Vaults/backupOperations/read"
    "Vaults/backupEngines/read"
    "Vaults/backupFabrics/backupProtectionIntent/*"
    "Vaults/backupFabrics/protectableContainers/read"
    "locations/backupStatus/action"
    "locations/backupPreValidateProtection/action"
    "locations/backupValidateFeatures/action"
    "Vaults/monitoringAlerts/write"
    "operations/read"
    "locations/operationStatus/read"
    "Vaults/backupProtectionIntents/read"
};

const OPERATOR: &[&str] = services! { with
    "Microsoft.Network/virtualNetworks/read"
    "Microsoft.Resources/deployments/*"
    "Microsoft.Storage/storageAccounts/read"
    "Microsoft.Support/*";
    "Vaults/backupFabrics/operationResults/read"
    "Vaults/backupFabrics/protectionContainers/operationResults/read"
    "Vaults/backupFabrics/protectionContainers/protectedItems/backup/action"
    "Vaults/backupFabrics/protectionContainers/protectedItems/operationResults/read"
    "Vaults/backupFabrics/protectionContainers/protectedItems/operationsStatus/read"
    "Vaults/backupFabrics/protectionContainers/protectedItems/read"
    "Vaults/backupFabrics/protectionContainers/protectedItems/recoveryPoints/provisionInstantItemRecovery/action"
    "Vaults/backupFabrics/protectionContainers/protectedItems/recoveryPoints/read"
    "Vaults/backupFabrics/protectionContainers/protectedItems/recoveryPoints/restore/action"
    "Vaults/backupFabrics/protectionContainers/protectedItems/recoveryPoints/revokeInstantItemRecovery/action"
    "Vaults/backupFabrics/protectionContainers/protectedItems/write"
    "Vaults/backupFabrics/protectionContainers/read"
    "Vaults/backupFabrics/refreshContainers/action"
    "Vaults/backupJobs/*"
    "Vaults/backupJobsExport/action"
    "Vaults/backupOperationResults/*"
    "Vaults/backupPolicies/operationResults/read"
    "Vaults/backupPolicies/read"
    "Vaults/backupProtectableItems/*"
    "Vaults/backupProtectedItems/read"
    "Vaults/backupProtectionContainers/read"
    "Vaults/backupUsageSummaries/read"
    "Vaults/certificates/write"
    "Vaults/extendedInformation/read"
    "Vaults/extendedInformation/write"
    "Vaults/monitoringAlerts/read"
    "Vaults/monitoringConfigurations/*"
    "Vaults/read"
    "Vaults/registeredIdentities/operationResults/read"
    "Vaults/registeredIdentities/read"
    "Vaults/registeredIdentities/write"
    "Vaults/usages/read"
    "Vaults/backupstorageconfig/*"
    "Vaults/backupValidateOperation/action"
    "Vaults/backupOperations/read"
    "Vaults/backupPolicies/operations/read"
    "Vaults/backupFabrics/protectionContainers/write"
    "Vaults/backupFabrics/protectionContainers/inquire/action"
    "Vaults/backupEngines/read"
    "Vaults/backupFabrics/backupProtectionIntent/read"
    "Vaults/backupFabrics/backupProtectionIntent/write"
    "Vaults/backupFabrics/protectableContainers/read"
    "Vaults/backupFabrics/protectionContainers/items/read"
    "Vaults/monitoringAlerts/write"
    "locations/backupStatus/action"
    "locations/backupPreValidateProtection/action"
    "locations/backupValidateFeatures/action"
    "operations/read"
    "locations/operationStatus/read"
    "Vaults/backupProtectionIntents/read"
};

const READER: &[&str] = services! {
    "locations/allocatedStamp/read"
    "Vaults/backupFabrics/operationResults/read"
    "Vaults/backupFabrics/protectionContainers/operationResults/read"
    "Vaults/backupFabrics/protectionContainers/protectedItems/operationResults/read"
    "Vaults/backupFabrics/protectionContainers/protectedItems/operationsStatus/read"
    "Vaults/backupFabrics/protectionContainers/protectedItems/read"
    "Vaults/backupFabrics/protectionContainers/protectedItems/recoveryPoints/read"
    "Vaults/backupFabrics/protectionContainers/read"
    "Vaults/backupJobs/operationResults/read"
    "Vaults/backupJobs/read"
    "Vaults/backupJobsExport/action"
    "Vaults/backupOperationResults/read"
    "Vaults/backupPolicies/operationResults/read"
    "Vaults/backupPolicies/read"
    "Vaults/backupProtectedItems/read"
    "Vaults/backupProtectionContainers/read"
    "Vaults/backupUsageSummaries/read"
    "Vaults/extendedInformation/read"
    "Vaults/monitoringAlerts/read"
    "Vaults/read"
    "Vaults/registeredIdentities/operationResults/read"
    "Vaults/registeredIdentities/read"
    "Vaults/backupstorageconfig/read"
    "Vaults/backupconfig/read"
    "Vaults/backupOperations/read"
    "Vaults/backupPolicies/operations/read"
    "Vaults/backupEngines/read"
    "Vaults/backupFabrics/backupProtectionIntent/read"
    "Vaults/backupFabrics/protectionContainers/items/read"
    "locations/backupStatus/action"
    "Vaults/monitoringConfigurations/*"
    "Vaults/monitoringAlerts/write"
    "operations/read"
    "locations/operationStatus/read"
    "Vaults/backupProtectionIntents/read"
    "Vaults/usages/read"
    "locations/backupValidateFeatures/action"
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_actions_without_regard_to_case() {
        for (pattern, action, expected) in [
            ("*", "anything/at/all", true),
            ("*", "", true),
            ("A/*/read", "a/b/READ", true),
            ("A/*/read", "a/b/c/read", true),
            ("A/*/read", "a/b/write", false),
            ("A/*/read", "a/read", false),
            ("A/b", "A/b", true),
            ("A/b", "A/bc", false),
            ("A/b", "A/", false),
            ("A/*", "A/b/c", true),
            ("A/*", "Ab", false),
            ("*/x/*/y", "1/x/2/x/3/y", true),
            ("*/x/*/y", "1/x/y", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, action), expected, "{pattern} {action}");
        }
    }

    /// Owner, Contributor, Operator, Reader: which of them may.
    #[test]
    fn who_may_do_what() {
        use Permission::*;
        for (permission, expected) in [
            (VaultsRead, "OCSR"),
            (VaultsWrite, "OC"),
            (VaultsDelete, "O"),
            (CredentialsIssue, "OCS"),
            (VaultConfigRead, "OCR"),
            (VaultConfigWrite, "OC"),
            (SecurityPin, "OC"),
            (PoliciesRead, "OCSR"),
            (PoliciesWrite, "OC"),
            (PoliciesDelete, "OC"),
            (ContainersRead, "OCSR"),
            (ContainersDelete, "OC"),
            (ItemsRead, "OCSR"),
            (ItemsWrite, "OCS"),
            (ItemsDelete, "OC"),
            (BackupNow, "OCS"),
            (PointsRead, "OCSR"),
            (JobsRead, "OCSR"),
            (JobsCancel, "OCS"),
            (JobsExport, "OCSR"),
            (AlertsRead, "OCSR"),
            (AlertsWrite, "OCSR"),
            (MonitoringWrite, "OCSR"),
            (ResourceGroupsRead, "OCSR"),
            (ResourceGroupsWrite, "O"),
            (ResourceGroupsDelete, "O"),
            (RolesRead, "OCSR"),
            (RolesWrite, "O"),
            (RolesDelete, "O"),
            (AuditRead, "O"),
            (UsersManage, "O"),
            (Backup, ""),
            (Link, ""),
            (Public, ""),
        ] {
            let roles = Role::ALL.iter().zip("OCSR".chars());
            let may: String = roles
                .filter(|(role, _)| role.permits(permission))
                .map(|(_, letter)| letter)
                .collect();
            assert_eq!(may, expected, "{permission:?}");
        }
    }

    #[test]
    fn names_and_ids_are_understood() {
        for role in Role::ALL {
            for text in [
                role.name().to_uppercase(),
                role.definition().to_string(),
                role.name().replace(' ', "-"),
            ] {
                assert_eq!(text.parse::<Role>().unwrap(), *role);
            }
        }
        assert_eq!(
            Role::BackupReader.definition().to_string(),
            "a795c7a0-d4a2-40c1-ae25-d81f01202912"
        );
        assert!(
            "Reader"
                .parse::<Role>()
                .unwrap_err()
                .to_string()
                .contains("Backup Reader")
        );
        assert_eq!(
            serde_json::to_string(&Role::BackupOperator).unwrap(),
            "\"Backup Operator\""
        );
    }
}
