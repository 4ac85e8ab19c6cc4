//! What a caller may do. Every route of the service names one of these.
//!
//! What people and service principals may do has the name that Azure gives it, so that the roles of Azure ([`crate::Role`])
//! decide over it with their own words.

use serde::{Deserialize, Serialize};

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $action:expr;)*) => {
        /// One thing that a credential can be allowed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Permission {
            $($(#[$doc])* $name,)*
        }

        impl Permission {
            /// Every permission.
            pub const ALL: &[Permission] = &[$(Permission::$name,)*];

            /// What Azure calls it; roles are asked for this. `None`: no role gives or takes it.
            pub const fn action(self) -> Option<&'static str> {
                match self {
                    $(Permission::$name => $action,)*
                }
            }
        }
    };
}

macro_rules! vaults {
    ($action:literal) => {
        Some(concat!("Microsoft.RecoveryServices/Vaults/", $action))
    };
}

macro_rules! protected_items {
    ($action:literal) => {
        Some(concat!(
            "Microsoft.RecoveryServices/Vaults/backupFabrics/protectionContainers/protectedItems/",
            $action
        ))
    };
}

permissions! {
    /// Anybody, signed in or not: health, figures, and signing in itself.
    Public = None;
    /// See and change the account that one is signed in with: every person may.
    OwnAccount = None;
    /// Change the password of the account that one is signed in with.
    PasswordChange = None;

    /// List and show vaults.
    VaultsRead = vaults!("read");
    /// Create vaults.
    VaultsWrite = vaults!("write");
    /// Delete vaults.
    VaultsDelete = vaults!("delete");
    /// Issue the credentials file with which machines register.
    CredentialsIssue = vaults!("certificates/write");
    /// See how a vault is configured.
    VaultConfigRead = vaults!("backupconfig/read");
    /// Configure a vault: soft delete, immutability.
    VaultConfigWrite = vaults!("backupconfig/write");
    /// Ask for the PIN that dangerous actions need.
    SecurityPin = vaults!("backupSecurityPIN/action");
    /// Put a vault under a resource guard.
    VaultGuardWrite = vaults!("backupResourceGuardProxies/write");
    /// Take the resource guard off a vault.
    VaultGuardDelete = vaults!("backupResourceGuardProxies/delete");
    /// List and show policies.
    PoliciesRead = vaults!("backupPolicies/read");
    /// Create and change policies.
    PoliciesWrite = vaults!("backupPolicies/write");
    /// Delete policies.
    PoliciesDelete = vaults!("backupPolicies/delete");
    /// List and show registered machines.
    ContainersRead = vaults!("backupFabrics/protectionContainers/read");
    /// Have hosts look for virtual machines.
    ContainersRefresh = vaults!("backupFabrics/refreshContainers/action");
    /// List what could be protected.
    ProtectableItemsRead = vaults!("backupProtectableItems/read");
    /// Unregister machines.
    ContainersDelete = vaults!("registeredIdentities/delete");
    /// List and show protected items.
    ItemsRead = protected_items!("read");
    /// Protect items, change their policy, stop and resume protection.
    ItemsWrite = protected_items!("write");
    /// Stop protection and delete the data.
    ItemsDelete = protected_items!("delete");
    /// Back an item up now.
    BackupNow = protected_items!("backup/action");
    /// List and show recovery points.
    PointsRead = protected_items!("recoveryPoints/read");
    /// Have recovery points given out, sealed as they are.
    PointsRestore = protected_items!("recoveryPoints/restore/action");
    /// List and show jobs.
    JobsRead = vaults!("backupJobs/read");
    /// Cancel jobs.
    JobsCancel = vaults!("backupJobs/cancel/action");
    /// Export jobs.
    JobsExport = vaults!("backupJobsExport/action");
    /// List and show alerts.
    AlertsRead = vaults!("monitoringAlerts/read");
    /// Resolve alerts.
    AlertsWrite = vaults!("monitoringAlerts/write");
    /// Say who is told of alerts.
    MonitoringWrite = vaults!("monitoringConfigurations/write");

    /// List and show resource guards, and what is asked of them.
    GuardsRead = Some("Microsoft.DataProtection/resourceGuards/read");
    /// Create resource guards.
    GuardsWrite = Some("Microsoft.DataProtection/resourceGuards/write");
    /// Delete resource guards.
    GuardsDelete = Some("Microsoft.DataProtection/resourceGuards/delete");
    /// Be the second person: approve or deny what is asked of a guard. Azure gives roles on the guard just in time instead.
    ApprovalsDecide = Some("Strongroom.Guard/approvals/decide/action");
    /// List and show resource groups.
    ResourceGroupsRead = Some("Microsoft.Resources/subscriptions/resourceGroups/read");
    /// Create and change resource groups.
    ResourceGroupsWrite = Some("Microsoft.Resources/subscriptions/resourceGroups/write");
    /// Delete resource groups.
    ResourceGroupsDelete = Some("Microsoft.Resources/subscriptions/resourceGroups/delete");
    /// See who has which role, and the roles themselves.
    RolesRead = Some("Microsoft.Authorization/roleAssignments/read");
    /// Give roles.
    RolesWrite = Some("Microsoft.Authorization/roleAssignments/write");
    /// Take roles away.
    RolesDelete = Some("Microsoft.Authorization/roleAssignments/delete");
    /// Read the audit log.
    AuditRead = Some("Microsoft.Insights/eventtypes/values/read");
    /// See and manage users and service principals. Azure keeps them in a directory of their own, beside the roles.
    UsersManage = Some("Strongroom.Directory/principals/write");

    /// Register a machine; only a vault credentials file carries it.
    MachineRegister = None;
    /// Add packs and recovery points to the machine's own item.
    Backup = None;
    /// List and read recovery points.
    Restore = None;
    /// Have stored objects re-read and checked.
    Scrub = None;
    /// Have one's own data deleted, or one's own registration; machines only, and never without a security PIN.
    RemoveOwn = None;
    /// Hold the link by which work comes to a machine; machines only.
    Link = None;
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_permissions_are_one_action() {
        let actions: Vec<&str> = Permission::ALL.iter().filter_map(|one| one.action()).collect();
        let distinct: HashSet<String> = actions.iter().map(|action| action.to_lowercase()).collect();
        assert_eq!(distinct.len(), actions.len());
        assert!(
            actions
                .iter()
                .all(|action| !action.contains('*') && action.contains('/'))
        );
    }
}
