// The steps of the SDK's documentation for JavaScript, against Strongroom: sdk.mjs URL SUBSCRIPTION TOKEN.
// The CA is in NODE_EXTRA_CA_CERTS, the SDK in the folder AZURE_CLIENTS.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.AZURE_CLIENTS}/js/package.json`);
const { RecoveryServicesClient } = require("@azure/arm-recoveryservices");
const { RecoveryServicesBackupClient } = require("@azure/arm-recoveryservicesbackup");

const [url, subscription, token] = process.argv.slice(2);
const [group, vault, fabric, container, item] = ["default", "main", "Azure", "Windows;server1", "FileFolder;server1"];
const place = [vault, group, fabric, container, item];

// A credential that was got elsewhere.
const credential = { getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 600_000 }) };
const options = { endpoint: url, credentialScopes: `${url}/.default`, credentials: { scopes: [`${url}/.default`] } };
const vaults = new RecoveryServicesClient(credential, subscription, options).vaults;
const backup = new RecoveryServicesBackupClient(credential, subscription, options);

async function all(pages) {
  const found = [];
  for await (const one of pages) found.push(one);
  return found;
}
const names = (list) => list.map((one) => one.name);
const refusedWith = (code) => (error) => {
  assert.equal(error.code, code, error.message);
  return true;
};

// Vaults.
const made = await vaults.beginCreateOrUpdateAndWait(group, "from-js", { location: "westeurope", sku: { name: "Standard" }, properties: {} });
assert.equal(made.properties.provisioningState, "Succeeded");
assert.deepEqual(names(await all(vaults.listBySubscriptionId())), ["from-js", vault]);
await vaults.beginDeleteAndWait(group, "from-js");
await assert.rejects(vaults.get(group, "from-js"), refusedWith("ResourceNotFound"));

// Policies, containers, protection.
const policies = await all(backup.backupPolicies.list(vault, group));
assert.deepEqual(names(policies), ["DefaultFilesPolicy", "DefaultPolicy", "EnhancedPolicy", "HourlyLogBackup"]);
const containers = await all(backup.backupProtectionContainers.list(vault, group, { filter: "backupManagementType eq 'MAB'" }));
assert.deepEqual(names(containers), [container]);
const protect = (properties) =>
  backup.protectedItems.createOrUpdate(...place, { properties: { protectedItemType: "MabFileFolderProtectedItem", ...properties } });
const shown = async () => (await backup.protectedItems.get(...place)).properties;
await protect({ policyId: policies[0].id });
assert.equal((await shown()).policyId, policies[0].id);
assert.deepEqual(names(await all(backup.backupProtectedItems.list(vault, group))), [item]);

// Recovery points, a backup, its job.
const points = await all(backup.recoveryPoints.list(...place));
assert.equal(points.length, 1);
const point = await backup.recoveryPoints.get(...place, points[0].name);
assert.ok(point.properties.recoveryPointTime instanceof Date);
await backup.backups.trigger(...place, { properties: { objectType: "IaasVMBackupRequest" } });
const running = await all(backup.backupJobs.list(vault, group, { filter: "operation eq 'Backup' and status eq 'InProgress'" }));
assert.equal(running.length, 1);
assert.equal((await backup.jobDetails.get(vault, group, running[0].name)).properties.mabServerName, "server1");
await backup.jobCancellations.trigger(vault, group, running[0].name);
assert.equal((await backup.jobDetails.get(vault, group, running[0].name)).properties.status, "Cancelled");

// Stop, delete, undelete.
await protect({ policyId: "", protectionState: "ProtectionStopped" });
assert.equal((await shown()).protectionState, "ProtectionStopped");
await backup.protectedItems.delete(...place);
assert.equal((await shown()).isScheduledForDeferredDelete, true);
await protect({ policyId: "", protectionState: "ProtectionStopped", isRehydrate: true });
assert.equal((await shown()).isScheduledForDeferredDelete, false);
