#!/usr/bin/env python3
"""The steps of the SDK's documentation, against Strongroom: sdk.py URL SUBSCRIPTION TOKEN. The CA is in REQUESTS_CA_BUNDLE."""
import os
import sys
import time

from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.recoveryservices import RecoveryServicesClient
from azure.mgmt.recoveryservicesbackup import RecoveryServicesBackupClient

URL, SUBSCRIPTION, TOKEN = sys.argv[1:4]
GROUP, VAULT, FABRIC = "default", "main", "Azure"
CONTAINER, ITEM = "Windows;server1", "FileFolder;server1"


class Static:
    """A credential that was got elsewhere."""

    def get_token(self, *_, **__):
        return AccessToken(TOKEN, int(time.time()) + 600)


options = {
    "base_url": URL,
    "credential_scopes": [f"{URL}/.default"],
    "connection_verify": os.environ["REQUESTS_CA_BUNDLE"],
}
vaults = RecoveryServicesClient(Static(), SUBSCRIPTION, **options).vaults
backup = RecoveryServicesBackupClient(Static(), SUBSCRIPTION, **options)


def get(thing, name):
    """A property, whether the SDK made an object of it or left it as it came."""
    properties = thing.properties
    return properties[name] if name in properties else None


def item():
    return backup.protected_items.get(VAULT, GROUP, FABRIC, CONTAINER, ITEM)


def put(properties):
    place = (VAULT, GROUP, FABRIC, CONTAINER, ITEM)
    body = {"properties": {"protectedItemType": "MabFileFolderProtectedItem", **properties}}
    return backup.protected_items.begin_create_or_update(*place, body).result()


def is_(found, expected, what):
    print(f"{what}: {found}")
    assert found == expected, f"{what} is {found!r} and not {expected!r}"


# Vaults.
made = vaults.begin_create_or_update(GROUP, "from-sdk", {"location": "westeurope", "sku": {"name": "Standard"}, "properties": {}}).result()
is_(made.properties.provisioning_state, "Succeeded", "a new vault")
is_([vault.name for vault in vaults.list_by_subscription_id()], ["from-sdk", VAULT], "vaults of the subscription")
is_([vault.name for vault in vaults.list_by_resource_group(GROUP)], ["from-sdk", VAULT], "vaults of the group")
vaults.begin_delete(GROUP, "from-sdk").result()
try:
    vaults.get(GROUP, "from-sdk")
    raise AssertionError("a deleted vault is there")
except ResourceNotFoundError as error:
    is_(error.error.code, "ResourceNotFound", "a deleted vault")

# Policies, containers, items.
policies = {policy.name: policy for policy in backup.backup_policies.list(VAULT, GROUP)}
is_(len(policies), 4, "policies")
policy = policies["DefaultFilesPolicy"]
is_([one.name for one in backup.backup_protection_containers.list(VAULT, GROUP, filter="backupManagementType eq 'MAB'")], [CONTAINER], "containers")
put({"policyId": policy.id})
is_(get(item(), "protectionState"), "Protected", "an item with a recovery point, under a policy")
is_(get(item(), "policyName"), "DefaultFilesPolicy", "its policy")
counted = backup.protection_policies.get(VAULT, GROUP, "DefaultFilesPolicy")
is_(get(counted, "protectedItemsCount"), 1, "items under the policy")
try:
    backup.protection_policies.begin_delete(VAULT, GROUP, "DefaultFilesPolicy").result()
    raise AssertionError("a policy that is in use was deleted")
except HttpResponseError as error:
    is_(error.error.code, "BMSUserErrorPolicyInUse", "deleting it")

# Recovery points.
points = list(backup.recovery_points.list(VAULT, GROUP, FABRIC, CONTAINER, ITEM))
is_(len(points), 1, "recovery points")
point = backup.recovery_points.get(VAULT, GROUP, FABRIC, CONTAINER, ITEM, points[0].name)
is_(get(point, "recoveryPointTime"), get(points[0], "recoveryPointTime"), "its moment")

# A backup now: a job, which waits for its machine; a second one is refused; then it is cancelled.
trigger = (VAULT, GROUP, FABRIC, CONTAINER, ITEM, {"properties": {"objectType": "IaasVMBackupRequest"}})
backup.backups.trigger(*trigger)
try:
    backup.backups.trigger(*trigger)
    raise AssertionError("two backups of one item at the same time")
except HttpResponseError as error:
    is_((error.status_code, error.error.code), (409, "BMSUserErrorOperationInProgress"), "a second backup")
running = list(backup.backup_jobs.list(VAULT, GROUP, filter="operation eq 'Backup' and status eq 'InProgress'"))
is_(len(running), 1, "running jobs")
detail = backup.job_details.get(VAULT, GROUP, running[0].name)
is_((get(detail, "operation"), get(detail, "status"), get(detail, "mabServerName")), ("Backup", "InProgress", "server1"), "the job")
backup.job_cancellations.trigger(VAULT, GROUP, running[0].name)
is_(get(backup.job_details.get(VAULT, GROUP, running[0].name), "status"), "Cancelled", "the job after its cancellation")

# Stop, resume, delete, undelete.
put({"policyId": "", "protectionState": "ProtectionStopped"})
is_((get(item(), "protectionState"), get(item(), "policyId")), ("ProtectionStopped", ""), "a stopped item")
put({"policyId": policy.id})
is_(get(item(), "protectionState"), "Protected", "a resumed item")
backup.protected_items.delete(VAULT, GROUP, FABRIC, CONTAINER, ITEM)
deleted = item()
is_((get(deleted, "protectionState"), get(deleted, "isScheduledForDeferredDelete")), ("ProtectionStopped", True), "a deleted item")
assert get(deleted, "deferredDeleteTimeRemaining").startswith("13.23:59:"), get(deleted, "deferredDeleteTimeRemaining")
put({"policyId": "", "protectionState": "ProtectionStopped", "isRehydrate": True})
is_((get(item(), "protectionState"), get(item(), "isScheduledForDeferredDelete")), ("ProtectionStopped", False), "an item that came back")
operations = [get(job, "operation") for job in backup.backup_jobs.list(VAULT, GROUP)]
is_(operations, ["Undelete", "DeleteBackupData", "ConfigureBackup", "DisableBackup", "Backup", "ConfigureBackup", "Backup"], "all jobs, newest first")
is_(len(list(backup.backup_jobs.list(VAULT, GROUP, filter="operation eq 'Restore'"))), 0, "restores")
