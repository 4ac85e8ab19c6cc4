//! What the examples presuppose, arranged through the service's own interfaces: a group, a vault, a policy, a machine in
//! place of the virtual machine, a job, an operation.

use serde_json::{Value, json};
use strongroom_api::{CreateGuard, RequestApproval, SetVaultGuard};
use strongroom_model::{GuardName, GuardedOperation, ResourceGroupName, Role};

use super::specification::{Example, Operation, specification};
use crate::world::objects::{add_key_set, back_up};
use crate::world::raw::Reply;
use crate::world::{World, vault_name};

/// A service for all examples.
pub struct Stage {
    pub world: World,
    token: String,
    subscription: String,
}

/// An example's request with the names of what was arranged.
pub struct Request {
    pub method: String,
    pub path: String,
    pub body: String,
}

impl Stage {
    pub async fn new() -> Stage {
        let world = World::new().await;
        let token = world.administrator_token().await;
        let mut stage = Stage {
            world,
            token,
            subscription: String::new(),
        };
        let listed = stage.call("GET", "/subscriptions?api-version=2022-12-01", "").await;
        stage.subscription = json(&listed)["value"][0]["subscriptionId"].as_str().unwrap().to_owned();
        stage
    }

    pub async fn call(&self, method: &str, path: &str, body: &str) -> Reply {
        self.world.call(method, path, Some(&self.token), body.as_bytes()).await
    }

    async fn arranged(&self, method: &str, path: &str, body: Value) -> Reply {
        let reply = self
            .call(method, &format!("{path}?api-version=2024-04-01"), &body.to_string())
            .await;
        assert!((200..300).contains(&reply.status), "{method} {path}: {reply:?}");
        reply
    }

    /// Arranges what an example needs, and fills its request.
    pub async fn arrange(&self, number: usize, example: &Example, operation: &Operation) -> Request {
        let (method, template) = example.operation.split_once(' ').unwrap();
        let mut parameters = example.parameters.clone();
        let subscription = parameters.insert("subscriptionId".to_owned(), self.subscription.clone().into());
        let mut replaced: Vec<(String, String)> = Vec::new();
        if let Some(theirs) = subscription.as_ref().and_then(Value::as_str) {
            replaced.push((theirs.to_owned(), self.subscription.clone()));
        }
        let group = text(&parameters, "resourceGroupName");
        let group_id = format!("/subscriptions/{}/resourceGroups/{group}", self.subscription);
        if !group.is_empty() {
            self.arranged("PUT", &group_id, json!({ "location": "westus" })).await;
        }
        if template.contains("{vaultName}") {
            let theirs = text(&parameters, "vaultName");
            // Names of vaults are unique here, and each example gets one of its own.
            let ours = format!("v{number}");
            parameters.insert("vaultName".to_owned(), ours.clone().into());
            let vault = format!("{group_id}/providers/Microsoft.RecoveryServices/vaults/{ours}");
            let creates = operation.id == "Vaults_CreateOrUpdate";
            if !creates {
                self.arranged(
                    "PUT",
                    &vault,
                    json!({ "location": "westus", "sku": { "name": "Standard" } }),
                )
                .await;
                self.inside(&vault, template, &mut parameters, &mut replaced).await;
            }
            replaced.push((format!("vaults/{theirs}/"), format!("vaults/{ours}/")));
        }
        let body = operation.body.as_ref().and_then(|name| parameters.get(name));
        let mut body = body.map_or(String::new(), Value::to_string);
        for (theirs, ours) in replaced {
            body = body.replace(&theirs, &ours);
        }
        Request {
            method: method.to_owned(),
            path: filled(template, operation, &parameters),
            body,
        }
    }

    /// What lies in the vault.
    async fn inside(
        &self,
        vault: &str,
        template: &str,
        parameters: &mut serde_json::Map<String, Value>,
        replaced: &mut Vec<(String, String)>,
    ) {
        if template.ends_with("/vaultExtendedInfo") {
            let body = json!({ "properties": { "integrityKey": "AAAA", "algorithm": "None" } });
            self.arranged("PUT", &format!("{vault}/extendedInformation/vaultExtendedInfo"), body)
                .await;
        }
        if template.contains("{operationId}") {
            let reply = self
                .arranged(
                    "POST",
                    &format!("{vault}/backupFabrics/Azure/refreshContainers"),
                    Value::Null,
                )
                .await;
            parameters.insert("operationId".to_owned(), last_of(&reply, "location: ").into());
        }
        if template.contains("{policyName}") {
            let default = self
                .arranged("GET", &format!("{vault}/backupPolicies/DefaultPolicy"), Value::Null)
                .await;
            let name = text(parameters, "policyName");
            // A policy that is to be made must not be there as one of another kind.
            if !text_of_body(parameters).contains("AzureWorkload") {
                self.arranged("PUT", &format!("{vault}/backupPolicies/{name}"), json(&default))
                    .await;
            }
        }
        if template.contains("{containerName}") || template.contains("{jobName}") {
            self.machine(vault, parameters, replaced).await;
        }
        if template.contains("/backupResourceGuardProxies") {
            self.guard(vault, template, parameters, replaced).await;
        }
    }

    /// The resource guard of the examples, which the vault is under; and the approval of a second person for what takes it
    /// off, or deletes an item.
    async fn guard(
        &self,
        vault: &str,
        template: &str,
        parameters: &mut serde_json::Map<String, Value>,
        replaced: &mut Vec<(String, String)>,
    ) {
        let (group, guard): (ResourceGroupName, GuardName) =
            ("vaultguardRGNew".parse().unwrap(), "VaultGuardTestNew".parse().unwrap());
        let administrator = self.world.administrator().await;
        if administrator.resource_group(&group).await.is_err() {
            let id = format!("/subscriptions/{}/resourceGroups/{group}", self.subscription);
            self.arranged("PUT", &id, json!({ "location": "westus" })).await;
            let create = CreateGuard {
                name: guard.clone(),
                except: vec![],
            };
            administrator.create_guard(&group, &create).await.unwrap();
            let scope = format!("resource-group/{group}");
            self.world.user("second", &[(Role::Owner, &scope)]).await;
        }
        // Another subscription's guard, to Azure; here there is one subscription.
        replaced.push((
            "c999d45b-944f-418c-a0d8-c3fcfd1802c8".to_owned(),
            self.subscription.clone(),
        ));
        let mut request = RequestApproval {
            operation: GuardedOperation::RemoveGuard,
            item: None,
            policy: None,
            reason: String::new(),
        };
        if template.ends_with("/unlockDelete") {
            self.machine(vault, &mut serde_json::Map::new(), replaced).await;
            request.operation = GuardedOperation::DeleteData;
            request.item = Some("server1".parse().unwrap());
            let theirs = parameters["parameters"]["resourceToBeDeleted"]
                .as_str()
                .unwrap()
                .to_owned();
            let ours = "backupFabrics/Azure/protectionContainers/Windows;server1/protectedItems/FileFolder;server1";
            replaced.push((theirs, format!("{vault}/{ours}")));
        }
        let name = vault_name(vault.rsplit('/').next().unwrap());
        let set = SetVaultGuard {
            resource_group: group.clone(),
            guard: guard.clone(),
        };
        administrator.set_vault_guard(&name, &set).await.unwrap();
        let asked = administrator.request_approval(&name, &request).await.unwrap();
        let second = self.world.client_of("second").await;
        second.approve(&group, &guard, asked.id).await.unwrap();
    }

    /// A machine with a recovery point and a job, under the policy for files.
    async fn machine(
        &self,
        vault: &str,
        parameters: &mut serde_json::Map<String, Value>,
        replaced: &mut Vec<(String, String)>,
    ) {
        let name = vault.rsplit('/').next().unwrap();
        let administrator = self.world.administrator().await;
        let credentials = administrator.issue_credentials(&vault_name(name)).await.unwrap();
        let machine = self.world.machine(&credentials, "server1").await;
        add_key_set(&machine).await;
        let point = back_up(&machine.client, &machine.registered, 1, b"contents").await;
        let item = format!(
            "{vault}/backupFabrics/Azure/protectionContainers/Windows;server1/protectedItems/FileFolder;server1"
        );
        let policy = format!("{vault}/backupPolicies/DefaultFilesPolicy");
        let protect =
            json!({ "properties": { "policyId": policy, "protectedItemType": "MabFileFolderProtectedItem" } });
        self.arranged("PUT", &item, protect).await;
        let mut set = |name: &str, value: String| {
            if parameters.contains_key(name) {
                parameters.insert(name.to_owned(), value.into());
            }
        };
        set("containerName", "Windows;server1".to_owned());
        set("protectedItemName", "FileFolder;server1".to_owned());
        set("recoveryPointId", point.id.to_string());
        if parameters.contains_key("jobName") {
            let reply = self.arranged("POST", &format!("{item}/backup"), Value::Null).await;
            let operation = last_of(&reply, "location: ");
            let status = self
                .arranged("GET", &format!("{vault}/backupOperations/{operation}"), Value::Null)
                .await;
            let job = json(&status)["properties"]["jobId"].clone();
            parameters.insert("jobName".to_owned(), job);
        }
        replaced.push((
            "/backupPolicies/DefaultPolicy".to_owned(),
            "/backupPolicies/DefaultFilesPolicy".to_owned(),
        ));
    }
}

/// The body of a reply.
pub fn json(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or_else(|error| panic!("{error}: {reply:?}"))
}

/// The last segment of the address in a header.
fn last_of(reply: &Reply, header: &str) -> String {
    let line = reply.head.lines().find_map(|line| line.strip_prefix(header)).unwrap();
    let path = line.split('?').next().unwrap();
    path.rsplit('/').next().unwrap().to_owned()
}

fn text(parameters: &serde_json::Map<String, Value>, name: &str) -> String {
    parameters
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn text_of_body(parameters: &serde_json::Map<String, Value>) -> String {
    parameters.get("parameters").map(Value::to_string).unwrap_or_default()
}

fn filled(template: &str, operation: &Operation, parameters: &serde_json::Map<String, Value>) -> String {
    let mut path = String::new();
    for segment in template.split('/').filter(|segment| !segment.is_empty()) {
        let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let value = name.map(|name| text(parameters, name).replace(' ', "%20"));
        path.push('/');
        path.push_str(value.as_deref().unwrap_or(segment));
    }
    path.push_str("?api-version=2024-04-01");
    for name in operation.query.iter().filter(|name| *name != "api-version") {
        if let Some(value) = parameters.get(name).and_then(Value::as_str) {
            path.push_str(&format!("&{name}={}", value.replace(' ', "%20").replace('\'', "%27")));
        }
    }
    path
}

/// Whether a specification knows an operation at a place, however its parameters are called.
pub fn places() -> std::collections::BTreeSet<String> {
    specification().operations.keys().map(|key| folded(key)).collect()
}

/// A method and a path without the names of parameters and without case.
pub fn folded(place: &str) -> String {
    let segments = place.split('/').map(|segment| match segment.starts_with('{') {
        true => "{}".to_owned(),
        false => segment.to_lowercase(),
    });
    segments.collect::<Vec<_>>().join("/").trim_end_matches('/').to_owned()
}
