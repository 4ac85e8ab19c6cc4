//! Names and ids: of subscription and tenant, of resources, and the names with semicolons.
//!
//! Clients cut names out of ids at the slashes, so an id always has Azure's fixed words in their order.

use strongroom_model::MachineName;
use uuid::Uuid;

use super::error::{ArmError, ArmResult};
use crate::password::random_bytes;
use crate::subscription::Subscription;

/// The kind of all vaults.
pub(crate) const VAULT_KIND: &str = "Microsoft.RecoveryServices/vaults";

/// The one subscription, and its tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tenancy {
    pub(crate) subscription: Uuid,
    pub(crate) tenant: Uuid,
}

impl Tenancy {
    pub(crate) fn of(subscription: &Subscription) -> Self {
        Self {
            subscription: Uuid::from_bytes(*subscription.id.as_bytes()),
            tenant: subscription.tenant,
        }
    }

    pub(crate) fn id(&self) -> String {
        format!("/subscriptions/{}", self.subscription)
    }

    pub(crate) fn group_id(&self, group: &str) -> String {
        format!("{}/resourceGroups/{group}", self.id())
    }

    pub(crate) fn vault_id(&self, group: &str, vault: &str) -> VaultPath {
        VaultPath(format!("{}/providers/{VAULT_KIND}/{vault}", self.group_id(group)))
    }
}

/// The id of a vault; the ids of all that is in it begin with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VaultPath(pub(crate) String);

impl VaultPath {
    pub(crate) fn policy(&self, name: &str) -> String {
        format!("{}/backupPolicies/{name}", self.0)
    }

    pub(crate) fn job(&self, name: &str) -> String {
        format!("{}/backupJobs/{name}", self.0)
    }

    pub(crate) fn container(&self, container: &str) -> String {
        format!("{}/backupFabrics/Azure/protectionContainers/{container}", self.0)
    }

    pub(crate) fn item(&self, container: &str, item: &str) -> String {
        format!("{}/protectedItems/{item}", self.container(container))
    }

    pub(crate) fn point(&self, container: &str, item: &str, point: &str) -> String {
        format!("{}/recoveryPoints/{point}", self.item(container, item))
    }

    /// The name of the policy with this id, which must be one of this vault's.
    pub(crate) fn policy_of<'a>(&self, id: &'a str) -> ArmResult<&'a str> {
        let wrong = || {
            ArmError::bad(
                "BMSUserErrorInvalidPolicyId",
                format!(
                    "\"{id}\" is not the id of a policy of this vault: it looks like {}",
                    self.policy("NAME")
                ),
            )
        };
        let prefix = self.policy("");
        let begins = id
            .get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(&prefix));
        let name = id.get(prefix.len()..).filter(|name| begins && !name.is_empty());
        name.filter(|name| !name.contains('/')).ok_or_else(wrong)
    }
}

/// A new id, by chance.
pub(crate) fn fresh_id() -> Uuid {
    uuid::Builder::from_random_bytes(random_bytes()).into_uuid()
}

/// What a container's name speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ContainerName {
    /// `Windows;{name}`: a registered machine, of whatever system; the word is Azure's.
    Machine(MachineName),
    /// `IaasVMContainer;iaasvmcontainerv2;{group};{name}`: a virtual machine of a resource group.
    VirtualMachine {
        /// The resource group.
        group: String,
        /// Its name.
        name: MachineName,
    },
    /// A database server, a storage account: none of which is registered here.
    Foreign,
}

/// The names of an item and its container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ItemNames {
    pub(crate) container: String,
    pub(crate) item: String,
}

/// The kind of virtual machines.
pub(crate) const MACHINE_KIND: &str = "Microsoft.Compute/virtualMachines";

/// What Azure calls virtual machines that are managed as resources, in names.
const MACHINE_CONTAINER: &str = "iaasvmcontainerv2";

impl ItemNames {
    /// Those of a machine's files and folders.
    pub(crate) fn of_machine(machine: &MachineName) -> Self {
        Self {
            container: format!("Windows;{machine}"),
            item: format!("FileFolder;{machine}"),
        }
    }

    /// Those of a virtual machine of a resource group.
    pub(crate) fn of_virtual_machine(group: &str, machine: &MachineName) -> Self {
        let short = short_machine_name(group, machine);
        Self {
            container: format!("IaasVMContainer;{short}"),
            item: format!("VM;{short}"),
        }
    }
}

/// The name of a virtual machine's container without its kind.
pub(crate) fn short_machine_name(group: &str, machine: &MachineName) -> String {
    format!(
        "{MACHINE_CONTAINER};{};{}",
        group.to_ascii_lowercase(),
        machine.folded()
    )
}

impl ContainerName {
    pub(crate) fn parse(text: &str) -> ContainerName {
        let parts: Vec<&str> = text.split(';').collect();
        let is = |part: &str, word: &str| part.eq_ignore_ascii_case(word);
        let machine = |group: &str, name: &str| name.parse().ok().map(|name| (group.to_owned(), name));
        let found = match parts[..] {
            [kind, name] if is(kind, "Windows") => return name.parse().map_or(Self::Foreign, Self::Machine),
            [kind, short, group, name] if is(kind, "IaasVMContainer") && is(short, MACHINE_CONTAINER) => {
                machine(group, name)
            }
            // Lists tell it so.
            [short, group, name] if is(short, MACHINE_CONTAINER) => machine(group, name),
            _ => None,
        };
        found.map_or(Self::Foreign, |(group, name)| Self::VirtualMachine { group, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault() -> VaultPath {
        let (subscription, tenant) = (Uuid::from_u128(1), Uuid::from_u128(2));
        Tenancy { subscription, tenant }.vault_id("rg1", "v1")
    }

    #[test]
    fn ids_have_the_fixed_words_in_order() {
        let machine: MachineName = "web1".parse().unwrap();
        let names = ItemNames::of_machine(&machine);
        let id = vault().point(&names.container, &names.item, "7");
        let words: Vec<&str> = id.split('/').skip(1).step_by(2).collect();
        assert_eq!(
            words,
            [
                "subscriptions",
                "resourceGroups",
                "providers",
                "vaults",
                "backupFabrics",
                "protectionContainers",
                "protectedItems",
                "recoveryPoints"
            ]
        );
        assert!(id.ends_with("Windows;web1/protectedItems/FileFolder;web1/recoveryPoints/7"));
    }

    #[test]
    fn policies_are_named_by_ids_of_their_vault() {
        let id = vault().policy("Default Policy");
        assert_eq!(vault().policy_of(&id), Ok("Default Policy"));
        assert_eq!(vault().policy_of(&id.to_uppercase()), Ok("DEFAULT POLICY"));
        for wrong in [
            "",
            "DefaultPolicy",
            &vault().policy(""),
            &vault().policy("a/b"),
            "/subscriptions/ü",
        ] {
            assert!(vault().policy_of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn containers_are_told_apart_by_their_first_word() {
        let machine = |name: &str| ContainerName::Machine(name.parse().unwrap());
        let virtual_machine = |group: &str, name: &str| ContainerName::VirtualMachine {
            group: group.to_owned(),
            name: name.parse().unwrap(),
        };
        for (text, expected) in [
            ("Windows;web1.example.org", machine("web1.example.org")),
            ("windows;WEB1", machine("WEB1")),
            ("Windows;", ContainerName::Foreign),
            ("web1", ContainerName::Foreign),
            (
                "IaasVMContainer;iaasvmcontainerv2;rg1;vm1",
                virtual_machine("rg1", "vm1"),
            ),
            ("iaasvmcontainerv2;RG1;VM1", virtual_machine("RG1", "VM1")),
            ("IaasVMContainer;iaasvmcontainer;service;vm1", ContainerName::Foreign),
            ("IaasVMContainer;iaasvmcontainerv2;rg1;", ContainerName::Foreign),
        ] {
            assert_eq!(ContainerName::parse(text), expected, "{text}");
        }
    }
}
