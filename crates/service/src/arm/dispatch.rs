//! From an operation to what answers it.

use super::call::Call;
use super::error::ArmResult;
use super::operations::{OperationId, State};
use super::reply::Reply;
use super::{
    certificates, configs, containers, deleted_vaults, empty, endpoints, extended, groups, guards, items, jobs,
    machines, points, policies, provider, security_pins, storage, subscriptions, tracked, usages, vaults,
};

/// Answers a call.
pub(crate) async fn dispatch(call: &Call) -> ArmResult<Reply> {
    use OperationId::*;
    match call.operation.state {
        State::Served => {}
        State::Empty(why) => return empty::nothing(call, why).await,
        State::Absent(why) => return empty::refused(call, why).await,
    }
    match call.operation.id {
        MetadataEndpoints => endpoints::metadata(call),
        AdfsConfiguration => endpoints::adfs(call),
        TenantConfiguration => endpoints::tenant(call),

        SubscriptionsList => subscriptions::list(call),
        SubscriptionsGet => subscriptions::get(call),
        TenantsList => subscriptions::tenants(call),
        LocationsList => subscriptions::locations(call).await,
        ProvidersList => subscriptions::providers(call),
        ProvidersGet | ProvidersRegister => subscriptions::provider_get(call),
        OperationsList => subscriptions::operations(call),
        GroupsList => groups::list(call).await,
        GroupsGet => groups::get(call).await,
        GroupsHead => groups::head(call).await,
        GroupsPut => groups::put(call).await,
        GroupsDelete => groups::delete(call).await,
        GroupResources => groups::resources(call).await,

        BackupStatus => machines::status(call).await,
        MachinesGet => machines::get(call).await,
        ProtectableList => machines::protectable(call).await,
        IntentValidate => provider::validate(call),
        FeatureValidate => provider::features(call),
        CheckName => vaults::check_name(call).await,

        VaultsListAll => vaults::list_all(call).await,
        VaultsList => vaults::list(call).await,
        VaultsGet => vaults::get(call).await,
        VaultsPut => vaults::put(call).await,
        VaultsPatch => vaults::patch(call).await,
        VaultsDelete => vaults::delete(call).await,
        DeletedVaultsList => deleted_vaults::list(call).await,
        DeletedVaultsGet => deleted_vaults::get(call).await,
        DeletedVaultsUndelete => deleted_vaults::undelete(call).await,
        VaultResult => vaults::result(call).await,
        CertificatesPut => certificates::put(call).await,
        Usages => usages::list(call).await,
        UsageSummaries => usages::summaries(call).await,
        ExtendedGet => extended::get(call).await,
        ExtendedPut | ExtendedPatch => extended::put(call).await,
        StorageGet => storage::get(call).await,
        StoragePut => storage::put(call).await,
        StoragePatch => storage::patch(call).await,
        ConfigGet => configs::get(call).await,
        ConfigPut | ConfigPatch => configs::put(call).await,
        EncryptionGet => configs::encryption(call).await,
        SecurityPin => security_pins::issue(call).await,
        GuardsList => guards::list(call).await,
        GuardGet => guards::get(call).await,
        GuardPut => guards::put(call).await,
        GuardDelete => guards::delete(call).await,
        GuardUnlock => guards::unlock_delete(call).await,

        ContainersList => containers::list(call).await,
        IdentitiesDelete => containers::unregister(call).await,
        ContainersGet => containers::get(call).await,
        Refresh => containers::refresh(call).await,

        PoliciesList => policies::list(call).await,
        PoliciesGet => policies::get(call).await,
        PoliciesPut => policies::put(call).await,
        PoliciesDelete => policies::delete(call).await,
        PolicyResult => policies::result(call).await,
        ItemsList => items::list(call).await,
        ItemsGet => items::get(call).await,
        ItemsPut => items::put(call).await,
        ItemsDelete => items::delete(call).await,
        BackupNow => items::backup_now(call).await,
        PointsList => points::list(call).await,
        PointsGet => points::get(call).await,
        JobsList => jobs::list(call).await,
        JobsGet => jobs::get(call).await,
        JobsCancel => jobs::cancel(call).await,

        VaultStatus | DeletedVaultsStatus | PolicyStatus | ItemStatus | ContainerStatus | RefreshStatus
        | BackupOperation => tracked::status(call).await,
        ItemResult | ContainerResult | RefreshResult | BackupResult | JobResult => tracked::result(call).await,

        _ => empty::refused(call, "This operation is not served yet").await,
    }
}
