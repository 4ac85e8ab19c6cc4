//! The table of ARM operations: the router, the coverage test and docs/azure-compatibility.md are made from it.
//!
//! Names, methods and paths are those of the specification of 2024-04-01, and of the few newer or foreign operations that
//! the clients call besides.

use std::sync::LazyLock;

use axum::http::Method;

/// One operation.
#[derive(Debug)]
pub(crate) struct Operation {
    /// Names the operation in code.
    pub(crate) id: OperationId,
    /// Its operationId in the specification.
    pub(crate) name: &'static str,
    /// The HTTP method.
    pub(crate) method: Method,
    /// The segments of its path; parameters are in braces.
    pub(crate) segments: Vec<&'static str>,
    /// How much the clients need it: 1 is `az backup` and the first steps of the SDKs.
    pub(crate) priority: u8,
    /// Whether it is served.
    pub(crate) state: State,
    /// What a caller must be allowed: an action of Azure's roles, `Public`, or `SignedIn`.
    pub(crate) action: &'static str,
}

impl Operation {
    /// The path, with parameters in braces.
    pub(crate) fn path(&self) -> String {
        format!("/{}", self.segments.join("/"))
    }
}

/// Whether an operation is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// With all that Strongroom has.
    Served,
    /// Truthfully: there is never such a thing here, so lists are empty and single things are not found.
    Empty(&'static str),
    /// Refused, with this reason.
    Absent(&'static str),
}

use State::{Absent, Empty, Served};

const SUBSCRIPTION: &str = "subscriptions/{subscriptionId}";
const GROUP: &str = "subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}";
const PROVIDER: &str = "subscriptions/{subscriptionId}/providers/Microsoft.RecoveryServices";
const LOCATION: &str = "subscriptions/{subscriptionId}/providers/Microsoft.RecoveryServices/locations/{azureRegion}";

macro_rules! vault {
    ($rest:literal) => {
        concat!(
            "subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.RecoveryServices/vaults/{vaultName}/",
            $rest
        )
    };
}
macro_rules! fabric {
    ($rest:literal) => {
        concat!(vault!("backupFabrics/{fabricName}/"), $rest)
    };
}
macro_rules! container {
    ($rest:literal) => {
        concat!(fabric!("protectionContainers/{containerName}/"), $rest)
    };
}
macro_rules! item {
    ($rest:literal) => {
        concat!(container!("protectedItems/{protectedItemName}/"), $rest)
    };
}

const VAULT: &str = vault!("");
const FABRIC: &str = fabric!("");
const CONTAINER: &str = container!("");
const ITEM: &str = item!("");

const NO_PRIVATE_ENDPOINTS: &str = "Strongroom listens where its administrator says; it has no private endpoints";
const NO_EXPORT: &str = "jobs are not exported to a storage account: list them, which gives all that is known of them";
const NO_ARCHIVE: &str = "Strongroom has no archive tier";
const NO_DATA_MOVE: &str = "Strongroom does not move data between vaults";
const NO_INTENTS: &str = "Strongroom does not protect databases by itself: there are no protection intents";
const NO_SECOND_REGION: &str = "Strongroom does not restore from a second region yet";
const NO_ENGINES: &str = "backup servers do not register with a vault yet";
const NO_WORKLOADS: &str = "databases and file shares are not discovered yet";
const NO_SCAN: &str = "Strongroom does not scan virtual machines for malware";
const NO_RESTORE: &str =
    "restores run on the machine that has the keys: `strongroom restore`, for virtual machines on any host";
const NO_SITE_RECOVERY: &str = "Strongroom does not replicate machines";
const NO_KEYS: &str = "Strongroom's data is sealed by the machines, with keys that no vault has";
const NO_STORAGE_ACCOUNTS: &str = "there are no storage accounts here";

macro_rules! operations {
    ($($id:ident $name:literal $method:ident $base:ident $rest:literal $priority:literal $state:expr, $action:literal;)*) => {
        /// Names an operation in code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub(crate) enum OperationId {
            $($id,)*
        }

        /// All operations.
        pub(crate) static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| vec![
            $(Operation {
                id: OperationId::$id,
                name: $name,
                method: Method::$method,
                segments: segments($base, $rest),
                priority: $priority,
                state: $state,
                action: $action,
            },)*
        ]);
    };
}

fn segments(base: &'static str, rest: &'static str) -> Vec<&'static str> {
    let all = base.split('/').chain(rest.split('/'));
    all.filter(|segment| !segment.is_empty()).collect()
}

const ROOT: &str = "";

operations! {
    // Signing in: what the clients ask before they have a token.
    MetadataEndpoints "Metadata_Endpoints" GET ROOT "metadata/endpoints" 1 Served, "Public";
    AdfsConfiguration "Adfs_Configuration" GET ROOT "adfs/.well-known/openid-configuration" 1 Served, "Public";
    AdfsToken "Adfs_Token" POST ROOT "adfs/oauth2/token" 1 Served, "Public";
    TenantConfiguration "Tenant_Configuration" GET ROOT "{tenantId}/v2.0/.well-known/openid-configuration" 2 Served, "Public";
    TenantToken "Tenant_Token" POST ROOT "{tenantId}/oauth2/v2.0/token" 2 Served, "Public";
    AdfsDevice "Adfs_DeviceCode" POST ROOT "adfs/oauth2/devicecode" 2 Served, "Public";
    TenantDevice "Tenant_DeviceCode" POST ROOT "{tenantId}/oauth2/v2.0/devicecode" 2 Served, "Public";
    TenantTokenOld "Tenant_TokenV1" POST ROOT "{tenantId}/oauth2/token" 3 Served, "Public";

    // Scopes of administration, and the two foreign providers that the clients look at.
    SubscriptionsList "Subscriptions_List" GET ROOT "subscriptions" 1 Served, "SignedIn";
    SubscriptionsGet "Subscriptions_Get" GET SUBSCRIPTION "" 1 Served, "SignedIn";
    TenantsList "Tenants_List" GET ROOT "tenants" 1 Served, "SignedIn";
    LocationsList "Subscriptions_ListLocations" GET SUBSCRIPTION "locations" 2 Served, "SignedIn";
    GroupsList "ResourceGroups_List" GET SUBSCRIPTION "resourceGroups" 1 Served, "Microsoft.Resources/subscriptions/resourceGroups/read";
    GroupsGet "ResourceGroups_Get" GET GROUP "" 1 Served, "Microsoft.Resources/subscriptions/resourceGroups/read";
    GroupsHead "ResourceGroups_CheckExistence" HEAD GROUP "" 1 Served, "Microsoft.Resources/subscriptions/resourceGroups/read";
    GroupsPut "ResourceGroups_CreateOrUpdate" PUT GROUP "" 1 Served, "Microsoft.Resources/subscriptions/resourceGroups/write";
    GroupsDelete "ResourceGroups_Delete" DELETE GROUP "" 2 Served, "Microsoft.Resources/subscriptions/resourceGroups/delete";
    GroupResources "Resources_ListByResourceGroup" GET GROUP "resources" 2 Served, "Microsoft.Resources/subscriptions/resourceGroups/read";
    ProvidersList "Providers_List" GET SUBSCRIPTION "providers" 2 Served, "SignedIn";
    ProvidersGet "Providers_Get" GET SUBSCRIPTION "providers/{namespace}" 2 Served, "SignedIn";
    ProvidersRegister "Providers_Register" POST SUBSCRIPTION "providers/{namespace}/register" 2 Served, "SignedIn";
    MachinesGet "VirtualMachines_Get" GET GROUP "providers/Microsoft.Compute/virtualMachines/{vmName}" 1 Served, "SignedIn";
    AccountsGet "StorageAccounts_GetProperties" GET GROUP "providers/Microsoft.Storage/storageAccounts/{accountName}" 1 Empty(NO_STORAGE_ACCOUNTS), "SignedIn";
    ClassicAccountsGet "ClassicStorageAccounts_Get" GET GROUP "providers/Microsoft.ClassicStorage/storageAccounts/{accountName}" 1 Empty(NO_STORAGE_ACCOUNTS), "SignedIn";

    // The provider.
    BackupStatus "BackupStatus_Get" POST LOCATION "backupStatus" 1 Served, "locations/backupStatus/action";
    OperationsList "Operations_List" GET ROOT "providers/Microsoft.RecoveryServices/operations" 2 Served, "SignedIn";
    IntentValidate "ProtectionIntent_Validate" POST LOCATION "backupPreValidateProtection" 3 Served, "locations/backupPreValidateProtection/action";
    FeatureValidate "FeatureSupport_Validate" POST LOCATION "backupValidateFeatures" 3 Served, "locations/backupValidateFeatures/action";
    CheckName "RecoveryServices_CheckNameAvailability" POST GROUP "providers/Microsoft.RecoveryServices/locations/{location}/checkNameAvailability" 3 Served, "Vaults/read";
    Capabilities "RecoveryServices_Capabilities" POST PROVIDER "locations/{location}/capabilities" 3 Absent(NO_PRIVATE_ENDPOINTS), "Vaults/read";

    // Vaults.
    VaultsListAll "Vaults_ListBySubscriptionId" GET PROVIDER "vaults" 1 Served, "Vaults/read";
    VaultsList "Vaults_ListByResourceGroup" GET GROUP "providers/Microsoft.RecoveryServices/vaults" 1 Served, "Vaults/read";
    VaultsGet "Vaults_Get" GET VAULT "" 1 Served, "Vaults/read";
    VaultsPut "Vaults_CreateOrUpdate" PUT VAULT "" 1 Served, "Vaults/write";
    VaultsPatch "Vaults_Update" PATCH VAULT "" 1 Served, "Vaults/write";
    VaultsDelete "Vaults_Delete" DELETE VAULT "" 1 Served, "Vaults/delete";
    VaultStatus "GetOperationStatus" GET VAULT "operationStatus/{operationId}" 1 Served, "Vaults/read";
    VaultResult "GetOperationResult" GET VAULT "operationResults/{operationId}" 1 Served, "Vaults/read";
    CertificatesPut "VaultCertificates_Create" PUT VAULT "certificates/{certificateName}" 1 Served, "Vaults/certificates/write";
    IdentitiesDelete "RegisteredIdentities_Delete" DELETE VAULT "registeredIdentities/{identityName}" 1 Served, "Vaults/registeredIdentities/delete";
    Usages "Usages_ListByVaults" GET VAULT "usages" 1 Served, "Vaults/usages/read";
    ExtendedGet "VaultExtendedInfo_Get" GET VAULT "extendedInformation/vaultExtendedInfo" 2 Served, "Vaults/extendedInformation/read";
    ExtendedPut "VaultExtendedInfo_CreateOrUpdate" PUT VAULT "extendedInformation/vaultExtendedInfo" 2 Served, "Vaults/extendedInformation/write";
    ExtendedPatch "VaultExtendedInfo_Update" PATCH VAULT "extendedInformation/vaultExtendedInfo" 2 Served, "Vaults/extendedInformation/write";
    LinksList "PrivateLinkResources_List" GET VAULT "privateLinkResources" 3 Empty(NO_PRIVATE_ENDPOINTS), "Vaults/read";
    LinksGet "PrivateLinkResources_Get" GET VAULT "privateLinkResources/{privateLinkResourceName}" 3 Empty(NO_PRIVATE_ENDPOINTS), "Vaults/read";
    ReplicationUsages "ReplicationUsages_List" GET VAULT "replicationUsages" 3 Empty(NO_SITE_RECOVERY), "Vaults/usages/read";
    DeletedVaultsList "DeletedVaults_ListBySubscriptionId" GET PROVIDER "locations/{location}/deletedVaults" 3 Served, "Vaults/read";
    DeletedVaultsGet "DeletedVaults_Get" GET PROVIDER "locations/{location}/deletedVaults/{deletedVaultName}" 3 Served, "Vaults/read";
    DeletedVaultsUndelete "DeletedVaults_Undelete" POST PROVIDER "locations/{location}/deletedVaults/{deletedVaultName}/undelete" 3 Served, "Vaults/write";
    DeletedVaultsStatus "DeletedVaults_GetOperationStatus" GET PROVIDER "locations/{location}/deletedVaults/{deletedVaultName}/operations/{operationId}" 3 Served, "Vaults/read";

    // Settings, security and figures of a vault.
    StorageGet "BackupResourceStorageConfigsNonCRR_Get" GET VAULT "backupstorageconfig/vaultstorageconfig" 1 Served, "Vaults/backupstorageconfig/read";
    StoragePut "BackupResourceStorageConfigsNonCRR_Update" PUT VAULT "backupstorageconfig/vaultstorageconfig" 2 Served, "Vaults/backupstorageconfig/write";
    StoragePatch "BackupResourceStorageConfigsNonCRR_Patch" PATCH VAULT "backupstorageconfig/vaultstorageconfig" 2 Served, "Vaults/backupstorageconfig/write";
    ConfigGet "BackupResourceVaultConfigs_Get" GET VAULT "backupconfig/vaultconfig" 1 Served, "Vaults/backupconfig/read";
    ConfigPatch "BackupResourceVaultConfigs_Update" PATCH VAULT "backupconfig/vaultconfig" 1 Served, "Vaults/backupconfig/write";
    ConfigPut "BackupResourceVaultConfigs_Put" PUT VAULT "backupconfig/vaultconfig" 1 Served, "Vaults/backupconfig/write";
    EncryptionGet "BackupResourceEncryptionConfigs_Get" GET VAULT "backupEncryptionConfigs/backupResourceEncryptionConfig" 1 Served, "Vaults/read";
    EncryptionPut "BackupResourceEncryptionConfigs_Update" PUT VAULT "backupEncryptionConfigs/backupResourceEncryptionConfig" 2 Absent(NO_KEYS), "Vaults/backupEncryptionConfigs/write";
    GuardsList "ResourceGuardProxies_Get" GET VAULT "backupResourceGuardProxies" 1 Served, "Vaults/read";
    GuardGet "ResourceGuardProxy_Get" GET VAULT "backupResourceGuardProxies/{resourceGuardProxyName}" 3 Served, "Vaults/read";
    GuardPut "ResourceGuardProxy_Put" PUT VAULT "backupResourceGuardProxies/{resourceGuardProxyName}" 3 Served, "Vaults/backupResourceGuardProxies/write";
    GuardDelete "ResourceGuardProxy_Delete" DELETE VAULT "backupResourceGuardProxies/{resourceGuardProxyName}" 3 Served, "Vaults/backupResourceGuardProxies/delete";
    GuardUnlock "ResourceGuardProxy_UnlockDelete" POST VAULT "backupResourceGuardProxies/{resourceGuardProxyName}/unlockDelete" 3 Served, "Vaults/read";
    UsageSummaries "BackupUsageSummaries_List" GET VAULT "backupUsageSummaries" 2 Served, "Vaults/backupUsageSummaries/read";
    SecurityPin "SecurityPINs_Get" POST VAULT "backupSecurityPIN" 2 Served, "Vaults/backupSecurityPIN/action";
    MoveStatus "GetDataMoveOperationStatus" GET VAULT "backupstorageconfig/vaultstorageconfig/operationStatus/{operationId}" 3 Empty(NO_DATA_MOVE), "Vaults/backupstorageconfig/read";
    MovePrepare "BMSPrepareDataMove" POST VAULT "backupstorageconfig/vaultstorageconfig/prepareDataMove" 3 Absent(NO_DATA_MOVE), "Vaults/backupstorageconfig/write";
    MoveResult "BMSPrepareDataMoveOperationResult_Get" GET VAULT "backupstorageconfig/vaultstorageconfig/operationResults/{operationId}" 3 Empty(NO_DATA_MOVE), "Vaults/backupstorageconfig/read";
    MoveTrigger "BMSTriggerDataMove" POST VAULT "backupstorageconfig/vaultstorageconfig/triggerDataMove" 3 Absent(NO_DATA_MOVE), "Vaults/backupstorageconfig/write";
    TieringCost "FetchTieringCost_Post" POST VAULT "backupTieringCost/default/fetchTieringCost" 3 Absent(NO_ARCHIVE), "Vaults/read";
    TieringResult "GetTieringCostOperationResult_Get" GET VAULT "backupTieringCost/default/operationResults/{operationId}" 3 Empty(NO_ARCHIVE), "Vaults/read";
    TieringStatus "TieringCostOperationStatus_Get" GET VAULT "backupTieringCost/default/operationsStatus/{operationId}" 3 Empty(NO_ARCHIVE), "Vaults/read";

    // Policies.
    PoliciesList "BackupPolicies_List" GET VAULT "backupPolicies" 1 Served, "Vaults/backupPolicies/read";
    PoliciesGet "ProtectionPolicies_Get" GET VAULT "backupPolicies/{policyName}" 1 Served, "Vaults/backupPolicies/read";
    PoliciesPut "ProtectionPolicies_CreateOrUpdate" PUT VAULT "backupPolicies/{policyName}" 1 Served, "Vaults/backupPolicies/write";
    PoliciesDelete "ProtectionPolicies_Delete" DELETE VAULT "backupPolicies/{policyName}" 1 Served, "Vaults/backupPolicies/delete";
    PolicyResult "ProtectionPolicyOperationResults_Get" GET VAULT "backupPolicies/{policyName}/operationResults/{operationId}" 1 Served, "Vaults/backupPolicies/operationResults/read";
    PolicyStatus "ProtectionPolicyOperationStatuses_Get" GET VAULT "backupPolicies/{policyName}/operations/{operationId}" 1 Served, "Vaults/backupPolicies/operations/read";

    // Containers, items, backup now.
    ItemsList "BackupProtectedItems_List" GET VAULT "backupProtectedItems" 1 Served, "Vaults/backupProtectedItems/read";
    ItemsGet "ProtectedItems_Get" GET ITEM "" 1 Served, "Vaults/backupFabrics/protectionContainers/protectedItems/read";
    ItemsPut "ProtectedItems_CreateOrUpdate" PUT ITEM "" 1 Served, "Vaults/backupFabrics/protectionContainers/protectedItems/write";
    ItemsDelete "ProtectedItems_Delete" DELETE ITEM "" 1 Served, "Vaults/backupFabrics/protectionContainers/protectedItems/delete";
    ItemResult "ProtectedItemOperationResults_Get" GET ITEM "operationResults/{operationId}" 1 Served, "Vaults/backupFabrics/protectionContainers/protectedItems/operationResults/read";
    ItemStatus "ProtectedItemOperationStatuses_Get" GET ITEM "operationsStatus/{operationId}" 1 Served, "Vaults/backupFabrics/protectionContainers/protectedItems/operationsStatus/read";
    BackupNow "Backups_Trigger" POST ITEM "backup" 1 Served, "Vaults/backupFabrics/protectionContainers/protectedItems/backup/action";
    ContainersList "BackupProtectionContainers_List" GET VAULT "backupProtectionContainers" 1 Served, "Vaults/backupProtectionContainers/read";
    ContainersGet "ProtectionContainers_Get" GET CONTAINER "" 1 Served, "Vaults/backupFabrics/protectionContainers/read";
    ContainersPut "ProtectionContainers_Register" PUT CONTAINER "" 2 Absent(NO_WORKLOADS), "Vaults/backupFabrics/protectionContainers/write";
    ContainersDelete "ProtectionContainers_Unregister" DELETE CONTAINER "" 2 Absent(NO_WORKLOADS), "Vaults/backupFabrics/protectionContainers/delete";
    ContainersInquire "ProtectionContainers_Inquire" POST CONTAINER "inquire" 2 Absent(NO_WORKLOADS), "Vaults/backupFabrics/protectionContainers/inquire/action";
    ContainerItems "BackupWorkloadItems_List" GET CONTAINER "items" 2 Empty(NO_WORKLOADS), "Vaults/backupFabrics/protectionContainers/items/read";
    ContainerResult "ProtectionContainerOperationResults_Get" GET CONTAINER "operationResults/{operationId}" 2 Served, "Vaults/backupFabrics/protectionContainers/operationResults/read";
    ContainerStatus "ProtectionContainerOperationStatuses_Get" GET CONTAINER "operationsStatus/{operationId}" 2 Served, "Vaults/backupFabrics/protectionContainers/operationResults/read";
    Refresh "ProtectionContainers_Refresh" POST FABRIC "refreshContainers" 1 Served, "Vaults/backupFabrics/refreshContainers/action";
    RefreshResult "ProtectionContainerRefreshOperationResults_Get" GET FABRIC "operationResults/{operationId}" 1 Served, "Vaults/backupFabrics/operationResults/read";
    RefreshStatus "ProtectionContainerRefreshOperationStatuses_Get" GET FABRIC "operationsStatus/{operationId}" 3 Served, "Vaults/backupFabrics/operationResults/read";
    ProtectableList "BackupProtectableItems_List" GET VAULT "backupProtectableItems" 1 Served, "Vaults/backupProtectableItems/read";
    ProtectableContainers "ProtectableContainers_List" GET FABRIC "protectableContainers" 2 Empty(NO_WORKLOADS), "Vaults/backupFabrics/protectableContainers/read";
    EnginesList "BackupEngines_List" GET VAULT "backupEngines" 2 Empty(NO_ENGINES), "Vaults/backupEngines/read";
    EnginesGet "BackupEngines_Get" GET VAULT "backupEngines/{backupEngineName}" 2 Empty(NO_ENGINES), "Vaults/backupEngines/read";
    DeletedContainers "DeletedProtectionContainers_List" GET VAULT "backupDeletedProtectionContainers" 2 Empty(NO_WORKLOADS), "Vaults/backupProtectionContainers/read";
    SourceScan "ProtectedItems_ConfigureSourceScan" POST ITEM "configureSourceScan" 3 Absent(NO_SCAN), "Vaults/backupFabrics/protectionContainers/protectedItems/write";

    // Recovery points and restore.
    PointsList "RecoveryPoints_List" GET ITEM "recoveryPoints" 1 Served, "Vaults/backupFabrics/protectionContainers/protectedItems/recoveryPoints/read";
    PointsGet "RecoveryPoints_Get" GET ITEM "recoveryPoints/{recoveryPointId}" 1 Served, "Vaults/backupFabrics/protectionContainers/protectedItems/recoveryPoints/read";
    Restore "Restores_Trigger" POST ITEM "recoveryPoints/{recoveryPointId}/restore" 1 Absent(NO_RESTORE), "Vaults/backupFabrics/protectionContainers/protectedItems/recoveryPoints/restore/action";
    Mount "ItemLevelRecoveryConnections_Provision" POST ITEM "recoveryPoints/{recoveryPointId}/provisionInstantItemRecovery" 1 Absent(NO_RESTORE), "Vaults/backupFabrics/protectionContainers/protectedItems/recoveryPoints/provisionInstantItemRecovery/action";
    Unmount "ItemLevelRecoveryConnections_Revoke" POST ITEM "recoveryPoints/{recoveryPointId}/revokeInstantItemRecovery" 1 Absent(NO_RESTORE), "Vaults/backupFabrics/protectionContainers/protectedItems/recoveryPoints/revokeInstantItemRecovery/action";
    MountScript "ItemLevelRecoveryConnections_ListResult" POST ITEM "recoveryPoints/{recoveryPointId}/listInstantItemRecoveryOperationResult" 1 Absent(NO_RESTORE), "Vaults/backupFabrics/protectionContainers/protectedItems/recoveryPoints/provisionInstantItemRecovery/action";
    PointMove "MoveRecoveryPoint" POST ITEM "recoveryPoints/{recoveryPointId}/move" 3 Absent(NO_ARCHIVE), "Vaults/backupFabrics/protectionContainers/protectedItems/recoveryPoints/move/action";
    PointsToMove "RecoveryPointsRecommendedForMove_List" POST ITEM "recoveryPointsRecommendedForMove" 3 Empty(NO_ARCHIVE), "Vaults/backupFabrics/protectionContainers/protectedItems/recoveryPoints/read";
    PointToken "RecoveryPoints_GetAccessToken" POST ITEM "recoveryPoints/{recoveryPointId}/accessToken" 3 Absent(NO_SECOND_REGION), "Vaults/backupFabrics/protectionContainers/protectedItems/recoveryPoints/accessToken/action";
    PointExtended "RPExtendedInfo_Get" POST FABRIC "getRPExtendedInfo" 3 Absent(NO_RESTORE), "Vaults/backupFabrics/operationResults/read";
    PointExtendedResult "RPExtendedInfoOperationResult_Get" GET FABRIC "getRPExtendedInfoOperationResult/{operationId}" 3 Empty(NO_RESTORE), "Vaults/backupFabrics/operationResults/read";

    // Jobs and operations.
    JobsList "BackupJobs_List" GET VAULT "backupJobs" 1 Served, "Vaults/backupJobs/read";
    JobsGet "JobDetails_Get" GET VAULT "backupJobs/{jobName}" 1 Served, "Vaults/backupJobs/read";
    JobsCancel "JobCancellations_Trigger" POST VAULT "backupJobs/{jobName}/cancel" 1 Served, "Vaults/backupJobs/cancel/action";
    JobResult "JobOperationResults_Get" GET VAULT "backupJobs/{jobName}/operationResults/{operationId}" 1 Served, "Vaults/backupJobs/operationResults/read";
    BackupResult "BackupOperationResults_Get" GET VAULT "backupOperationResults/{operationId}" 1 Served, "Vaults/backupOperationResults/read";
    BackupOperation "BackupOperationStatuses_Get" GET VAULT "backupOperations/{operationId}" 1 Served, "Vaults/backupOperations/read";
    JobsExport "Jobs_Export" POST VAULT "backupJobsExport" 2 Absent(NO_EXPORT), "Vaults/backupJobsExport/action";
    JobsExportResult "ExportJobsOperationResults_Get" GET VAULT "backupJobs/operationResults/{operationId}" 2 Empty(NO_EXPORT), "Vaults/backupJobs/operationResults/read";
    Validate "Operation_Validate" POST VAULT "backupValidateOperation" 2 Absent(NO_RESTORE), "Vaults/backupValidateOperation/action";
    ValidateTrigger "ValidateOperation_Trigger" POST VAULT "backupTriggerValidateOperation" 2 Absent(NO_RESTORE), "Vaults/backupValidateOperation/action";
    ValidateResult "ValidateOperationResults_Get" GET VAULT "backupValidateOperationResults/{operationId}" 2 Empty(NO_RESTORE), "Vaults/backupOperationResults/read";
    ValidateStatus "ValidateOperationStatuses_Get" GET VAULT "backupValidateOperationsStatuses/{operationId}" 2 Empty(NO_RESTORE), "Vaults/backupOperations/read";

    // Protection intents.
    IntentsList "BackupProtectionIntent_List" GET VAULT "backupProtectionIntents" 3 Empty(NO_INTENTS), "Vaults/backupProtectionIntents/read";
    IntentGet "ProtectionIntent_Get" GET FABRIC "backupProtectionIntent/{intentObjectName}" 3 Empty(NO_INTENTS), "Vaults/backupFabrics/backupProtectionIntent/read";
    IntentPut "ProtectionIntent_CreateOrUpdate" PUT FABRIC "backupProtectionIntent/{intentObjectName}" 3 Absent(NO_INTENTS), "Vaults/backupFabrics/backupProtectionIntent/write";
    IntentDelete "ProtectionIntent_Delete" DELETE FABRIC "backupProtectionIntent/{intentObjectName}" 3 Absent(NO_INTENTS), "Vaults/backupFabrics/backupProtectionIntent/delete";

    // Private endpoints.
    EndpointGet "PrivateEndpointConnection_Get" GET VAULT "privateEndpointConnections/{privateEndpointConnectionName}" 3 Empty(NO_PRIVATE_ENDPOINTS), "Vaults/read";
    EndpointPut "PrivateEndpointConnection_Put" PUT VAULT "privateEndpointConnections/{privateEndpointConnectionName}" 3 Absent(NO_PRIVATE_ENDPOINTS), "Vaults/write";
    EndpointDelete "PrivateEndpointConnection_Delete" DELETE VAULT "privateEndpointConnections/{privateEndpointConnectionName}" 3 Absent(NO_PRIVATE_ENDPOINTS), "Vaults/write";
    EndpointStatus "PrivateEndpoint_GetOperationStatus" GET VAULT "privateEndpointConnections/{privateEndpointConnectionName}/operationsStatus/{operationId}" 3 Empty(NO_PRIVATE_ENDPOINTS), "Vaults/read";

    // Restores from a second region.
    CrrProperties "AadProperties_Get" GET LOCATION "backupAadProperties" 3 Absent(NO_SECOND_REGION), "Vaults/read";
    CrrTrigger "CrossRegionRestore_Trigger" POST LOCATION "backupCrossRegionRestore" 3 Absent(NO_SECOND_REGION), "Vaults/backupFabrics/protectionContainers/protectedItems/recoveryPoints/restore/action";
    CrrJob "BackupCrrJobDetails_Get" POST LOCATION "backupCrrJob" 3 Empty(NO_SECOND_REGION), "Vaults/backupJobs/read";
    CrrJobs "BackupCrrJobs_List" POST LOCATION "backupCrrJobs" 3 Empty(NO_SECOND_REGION), "Vaults/backupJobs/read";
    CrrResult "CrrOperationResults_Get" GET LOCATION "backupCrrOperationResults/{operationId}" 3 Empty(NO_SECOND_REGION), "Vaults/backupOperationResults/read";
    CrrStatus "CrrOperationStatus_Get" GET LOCATION "backupCrrOperationsStatus/{operationId}" 3 Empty(NO_SECOND_REGION), "Vaults/backupOperations/read";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use strongroom_model::Role;

    use super::super::access::full_action;
    use super::*;

    #[test]
    fn there_are_no_twins() {
        let (mut names, mut places) = (HashSet::new(), HashSet::new());
        for operation in OPERATIONS.iter() {
            let place = (operation.method.clone(), operation.path().to_lowercase());
            assert!(places.insert(place), "{} twice", operation.path());
            assert!(names.insert(operation.name), "{} twice", operation.name);
            assert!((1..=3).contains(&operation.priority), "{}", operation.name);
        }
    }

    /// What `az backup` does needs no more than the roles that Azure has for it.
    #[test]
    fn the_roles_of_azure_backup_suffice() {
        let needed = |wanted: fn(&&Operation) -> bool| {
            let asked =
                (OPERATIONS.iter()).filter(|operation| operation.priority == 1 && operation.action.contains('/'));
            asked
                .filter(wanted)
                .map(|operation| full_action(operation.action))
                .collect::<HashSet<String>>()
        };
        let mut beyond: Vec<String> = needed(|_| true)
            .into_iter()
            .filter(|action| !Role::BackupContributor.allows(action))
            .collect();
        beyond.sort();
        assert_eq!(
            beyond,
            [
                "Microsoft.RecoveryServices/Vaults/delete",
                "Microsoft.Resources/subscriptions/resourceGroups/write"
            ]
        );
        let reads = needed(|operation| operation.method == Method::GET);
        let hidden: Vec<String> = reads
            .into_iter()
            .filter(|action| !Role::BackupReader.allows(action))
            .collect();
        // Only who configures backups looks for what could be protected: so it is with Azure's readers.
        assert_eq!(
            hidden,
            ["Microsoft.RecoveryServices/Vaults/backupProtectableItems/read"]
        );
    }

    #[test]
    fn only_signing_in_is_public() {
        let public = OPERATIONS.iter().filter(|operation| operation.action == "Public");
        let places: Vec<String> = public.map(Operation::path).collect();
        assert!(!places.is_empty());
        for place in places {
            let sign_in = ["/metadata/", "/adfs/", "/{tenantId}/", "/common/"];
            assert!(sign_in.iter().any(|prefix| place.starts_with(prefix)), "{place}");
        }
    }
}
