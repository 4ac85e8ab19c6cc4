//! Scopes: where a role holds. A vault lies in a resource group, and all groups lie in the one subscription.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{NameError, ResourceGroupName, VaultId, VaultName};

/// Where a role holds, as it is kept: by the vault's id, so that a later vault of the same name inherits nobody.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Everything.
    Subscription,
    /// A resource group and its vaults; the name as it is compared.
    ResourceGroup(String),
    /// One vault.
    Vault(VaultId),
}

/// Where a vault (or something else) lies: what a role must hold at to count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(Vec<Scope>);

impl Scope {
    /// The scope of a resource group.
    pub fn resource_group(name: &ResourceGroupName) -> Scope {
        Scope::ResourceGroup(name.folded())
    }
}

impl Place {
    /// What lies in no resource group.
    pub fn subscription() -> Place {
        Place(vec![Scope::Subscription])
    }

    /// A resource group.
    pub fn resource_group(name: &ResourceGroupName) -> Place {
        Place(vec![Scope::Subscription, Scope::resource_group(name)])
    }

    /// A vault and all that is in it.
    pub fn vault(group: &ResourceGroupName, vault: VaultId) -> Place {
        Place(vec![
            Scope::Subscription,
            Scope::resource_group(group),
            Scope::Vault(vault),
        ])
    }

    /// Whether what holds at the scope holds here.
    pub fn is_within(&self, scope: &Scope) -> bool {
        self.0.contains(scope)
    }

    /// Every scope that it lies in, widest first.
    pub fn scopes(&self) -> &[Scope] {
        &self.0
    }

    /// The narrowest scope that it lies in.
    pub fn scope(&self) -> &Scope {
        self.0.last().expect("every place lies in the subscription")
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Subscription => f.write_str("subscription"),
            Scope::ResourceGroup(name) => write!(f, "resource-group/{name}"),
            Scope::Vault(id) => write!(f, "vault/{id}"),
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    /// Reads what [`Scope`] writes.
    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let wrong = || ScopeError::Unknown(text.chars().take(120).collect());
        match text.split_once('/') {
            None if text == "subscription" => Ok(Scope::Subscription),
            Some(("resource-group", name)) => Ok(Scope::ResourceGroup(name.parse::<ResourceGroupName>()?.folded())),
            Some(("vault", id)) => Ok(Scope::Vault(id.parse().map_err(|_| wrong())?)),
            _ => Err(wrong()),
        }
    }
}

/// Where a role holds, as people write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^(subscription|resource-group/[A-Za-z0-9._()-]{0,89}[A-Za-z0-9_()-]|vault/[A-Za-z][A-Za-z0-9-]{1,49})$"))]
pub enum ScopeName {
    /// Everything.
    Subscription,
    /// A resource group and its vaults.
    ResourceGroup(ResourceGroupName),
    /// One vault.
    Vault(VaultName),
}

/// Why a text is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// It has another form.
    #[error("\"{0}\" is no scope: write subscription, resource-group/NAME or vault/NAME")]
    Unknown(String),
    /// The name in it breaks the rules.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl fmt::Display for ScopeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScopeName::Subscription => f.pad("subscription"),
            ScopeName::ResourceGroup(name) => f.pad(&format!("resource-group/{name}")),
            ScopeName::Vault(name) => f.pad(&format!("vault/{name}")),
        }
    }
}

impl FromStr for ScopeName {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        match text.split_once('/') {
            None if text == "subscription" => Ok(ScopeName::Subscription),
            Some(("resource-group", name)) => Ok(ScopeName::ResourceGroup(name.parse()?)),
            Some(("vault", name)) => Ok(ScopeName::Vault(name.parse()?)),
            _ => Err(ScopeError::Unknown(text.chars().take(120).collect())),
        }
    }
}

impl TryFrom<String> for ScopeName {
    type Error = ScopeError;

    fn try_from(text: String) -> Result<Self, ScopeError> {
        text.parse()
    }
}

impl From<ScopeName> for String {
    fn from(name: ScopeName) -> String {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vault_lies_in_its_group_and_the_subscription() {
        let (one, two) = (VaultId::from_bytes([1; 16]), VaultId::from_bytes([2; 16]));
        let group: ResourceGroupName = "Europe".parse().unwrap();
        let place = Place::vault(&group, one);
        for (scope, expected) in [
            (Scope::Subscription, true),
            (Scope::ResourceGroup("europe".to_owned()), true),
            (Scope::Vault(one), true),
            (Scope::ResourceGroup("asia".to_owned()), false),
            (Scope::Vault(two), false),
        ] {
            assert_eq!(place.is_within(&scope), expected, "{scope}");
            assert_eq!(scope.to_string().parse::<Scope>().unwrap(), scope);
        }
        assert_eq!(place.scope(), &Scope::Vault(one));
        assert!(!Place::subscription().is_within(&Scope::Vault(one)));
    }

    #[test]
    fn scopes_are_written_and_read() {
        for text in ["subscription", "resource-group/Europe_1", "vault/Main"] {
            assert_eq!(text.parse::<ScopeName>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "vault",
            "vault/",
            "Subscription",
            "machine/x",
            "resource-group/a b",
            "vault/a/b",
        ] {
            assert!(text.parse::<ScopeName>().is_err(), "{text}");
        }
    }
}
