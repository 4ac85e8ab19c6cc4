//! What a request is about: the place at which its caller must be permitted to make it.

use axum::extract::RawPathParams;
use strongroom_api::Code;
use strongroom_api::routes::{Method, Route, RouteId};
use strongroom_db::VaultRow;
use strongroom_model::{Permission, Place, ResourceGroupName, VaultId, VaultName};

use crate::deleted_vaults::no_such_deleted_vault;
use crate::parse::parse;
use crate::principal::Account;
use crate::refusal::{Answer, Refusal};
use crate::shared::Shared;
use crate::vault_refusal::{no_such_vault, refuse};

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// The service as a whole.
    Subscription,
    /// Several things, or one that only the body names: the handler looks at each.
    Several,
    /// A vault, or something in it.
    Vault(VaultName),
    /// A soft-deleted vault.
    DeletedVault(VaultId),
    /// A resource group.
    ResourceGroup(ResourceGroupName),
}

impl Target {
    /// What a request to the route is about.
    pub(crate) fn of(route: &Route, parameters: &RawPathParams) -> Answer<Self> {
        match route.id {
            RouteId::ListVaults
            | RouteId::ListDeletedVaults
            | RouteId::CreateVault
            | RouteId::ListResourceGroups
            | RouteId::ListAssignments
            | RouteId::AssignRole
            | RouteId::RemoveAssignment => return Ok(Self::Several),
            _ => {}
        }
        for (name, value) in parameters {
            match name {
                "vault" => return parse(value).map(Self::Vault),
                "deleted_vault" => return parse(value).map(Self::DeletedVault),
                "group" => return parse(value).map(Self::ResourceGroup),
                _ => {}
            }
        }
        Ok(Self::Subscription)
    }

    /// Where the target lies. A vault that does not exist lies nowhere but in the subscription.
    pub(crate) async fn place(&self, shared: &Shared) -> Answer<Place> {
        match self {
            Self::Subscription | Self::Several => Ok(Place::subscription()),
            Self::ResourceGroup(name) => Ok(Place::resource_group(name)),
            Self::Vault(name) => {
                let found = shared.db.vault_by_name(name).await;
                Ok(place_of(found.map_err(|error| refuse(error.into()))?))
            }
            Self::DeletedVault(id) => {
                let found = shared.db.deleted_vaults().await;
                let mut vaults = found.map_err(|error| refuse(error.into()))?.into_iter();
                Ok(place_of(vaults.find(|vault| vault.id == *id)))
            }
        }
    }

    /// Whether the account may do at the place what the route does. Whoever may not even read there is answered as if there
    /// were nothing.
    pub(crate) fn authorize(&self, route: &Route, account: &Account, place: &Place) -> Answer<()> {
        let access = &account.access;
        let permission = route.permission;
        match self {
            Self::Subscription if access.permits(permission, place) => Ok(()),
            Self::Subscription => Err(Refusal::forbidden()),
            // A list shows what the caller may see: nothing, perhaps.
            Self::Several if route.method == Method::GET || access.permits_somewhere(permission) => Ok(()),
            Self::Several => Err(Refusal::forbidden()),
            Self::Vault(name) => access.require(permission, Permission::VaultsRead, place, || no_such_vault(name)),
            Self::DeletedVault(id) => {
                access.require(permission, Permission::VaultsRead, place, || no_such_deleted_vault(*id))
            }
            Self::ResourceGroup(name) => access.require(permission, Permission::ResourceGroupsRead, place, || {
                no_such_group(name)
            }),
        }
    }
}

fn place_of(vault: Option<VaultRow>) -> Place {
    vault.map_or_else(Place::subscription, |vault| {
        Place::vault(&vault.resource_group, vault.id)
    })
}

/// There is no such resource group, as far as the caller may know.
pub(crate) fn no_such_group(name: &ResourceGroupName) -> Refusal {
    let detail =
        format!("There is no resource group called {name}: `strongroom resource-group list` shows the resource groups");
    Refusal::new(Code::ResourceGroupNotFound, detail)
}
