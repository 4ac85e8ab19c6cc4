//! The facade for Azure's clients where it does not depend on what they ask: who is let in, how it says no, and the headers
//! that every answer has.

use serde_json::Value;
use strongroom_model::Role;

use crate::world;
use crate::world::World;
use crate::world::objects::{add_key_set, back_up};
use crate::world::raw::Reply;
use crate::world::scene::{vault, web};

const VERSION: &str = "api-version=2024-04-01";

struct Azure {
    world: World,
    token: String,
    subscription: String,
}

impl Azure {
    async fn new() -> Self {
        let world = World::new().await;
        world.vault("main").await;
        let token = world.administrator_token().await;
        let listed = world
            .call("GET", &format!("/subscriptions?{VERSION}"), Some(&token), b"")
            .await;
        let listed: Value = serde_json::from_slice(&listed.body).unwrap();
        let subscription = listed["value"][0]["id"].as_str().unwrap().to_owned();
        Self {
            world,
            token,
            subscription,
        }
    }

    fn vault(&self, name: &str) -> String {
        let subscription = &self.subscription;
        format!("{subscription}/resourceGroups/default/providers/Microsoft.RecoveryServices/vaults/{name}")
    }

    async fn get(&self, path: &str) -> Reply {
        self.world.call("GET", path, Some(&self.token), b"").await
    }
}

/// The code in ARM's error body.
fn code(reply: &Reply) -> String {
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let error = &body["error"];
    assert!(
        error["message"].as_str().is_some_and(|text| !text.is_empty()),
        "{reply:?}"
    );
    error["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn it_says_no_as_arm_does() {
    let azure = Azure::new().await;
    let (vault, subscription) = (azure.vault("main"), &azure.subscription);
    let none = "/subscriptions/00000000-0000-0000-0000-000000000000";
    for (method, path, status, expected) in [
        ("GET", vault.clone(), 400, "MissingApiVersionParameter"),
        (
            "GET",
            format!("{}?{VERSION}", azure.vault("none")),
            404,
            "ResourceNotFound",
        ),
        ("GET", format!("{vault}/nothing?{VERSION}"), 404, "InvalidResourceType"),
        ("POST", format!("{vault}?{VERSION}"), 405, "MethodNotAllowed"),
        ("GET", format!("{none}?{VERSION}"), 404, "SubscriptionNotFound"),
        (
            "GET",
            format!("{subscription}/resourceGroups/none?{VERSION}"),
            404,
            "ResourceGroupNotFound",
        ),
        (
            "GET",
            format!("{vault}/backupJobs?{VERSION}&$filter=nonsense"),
            400,
            "InvalidFilterInQueryString",
        ),
        (
            "GET",
            format!("{vault}/backupJobs?{VERSION}&$filter=a%20eq%20%27b%27"),
            400,
            "InvalidFilterInQueryString",
        ),
        (
            "GET",
            format!("{vault}/backupJobs/none?{VERSION}"),
            404,
            "BMSUserErrorJobNotFound",
        ),
        (
            "PUT",
            format!("{vault}/backupPolicies/a?{VERSION}"),
            400,
            "BMSUserErrorInvalidPolicyName",
        ),
        (
            "PUT",
            format!("{vault}/backupPolicies/abc?{VERSION}"),
            400,
            "InvalidRequestContent",
        ),
        (
            "POST",
            format!("{vault}/backupstorageconfig/vaultstorageconfig/prepareDataMove?{VERSION}"),
            501,
            "NotSupported",
        ),
    ] {
        let reply = azure.world.call(method, &path, Some(&azure.token), b"").await;
        assert_eq!(
            (reply.status, code(&reply).as_str()),
            (status, expected),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn names_are_told_in_their_own_spelling_whatever_the_case_of_the_path() {
    let azure = Azure::new().await;
    let path = azure.vault("MAIN").to_uppercase().replace("/VAULTS/", "//vaults/");
    let reply = azure.get(&format!("{path}/?{VERSION}")).await;
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((reply.status, &body["name"]), (200, &"main".into()), "{reply:?}");
    assert_eq!(body["id"], azure.vault("main").as_str());
}

#[tokio::test]
async fn every_answer_can_be_found_again_in_a_log() {
    let azure = Azure::new().await;
    let request = format!(
        "GET {}?{VERSION} HTTP/1.1\r\nhost: test\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
         x-ms-client-request-id: mine\r\nx-ms-correlation-request-id: ours\r\ncontent-length: 0\r\n\r\n",
        azure.vault("none"),
        azure.token
    );
    let reply = azure.world.exchange(request.as_bytes()).await;
    for expected in [
        "x-ms-client-request-id: mine",
        "x-ms-correlation-request-id: ours",
        "x-ms-request-id: ",
        "x-ms-failure-cause: gateway",
        "cache-control: no-store",
    ] {
        assert!(reply.head.contains(expected), "{expected}: {}", reply.head);
    }
}

#[tokio::test]
async fn only_accounts_are_let_in_and_only_where_their_roles_hold() {
    let azure = Azure::new().await;
    let world = &azure.world;
    world.vault("other").await;
    let machine = world
        .machine(
            &world
                .administrator()
                .await
                .issue_credentials(&world::vault_name("main"))
                .await
                .unwrap(),
            "a",
        )
        .await;
    let reader = world.user("reader", &[(Role::BackupReader, "vault/main")]).await;
    let machine = world.machine_token(&machine).await;
    let main = format!("{}?{VERSION}", azure.vault("main"));
    let other = format!("{}?{VERSION}", azure.vault("other"));
    let none = format!("{}?{VERSION}", azure.vault("none"));
    for (token, method, path, status) in [
        (None, "GET", &main, 401),
        (Some("nonsense"), "GET", &main, 401),
        (Some(machine.as_str()), "GET", &main, 403),
        (Some(reader.as_str()), "GET", &main, 200),
        (Some(reader.as_str()), "PATCH", &main, 403),
        (Some(reader.as_str()), "DELETE", &main, 403),
        // What exists and what does not look the same.
        (Some(reader.as_str()), "GET", &other, 403),
        (Some(reader.as_str()), "GET", &none, 403),
    ] {
        let reply = world.call(method, path, token, b"").await;
        assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
        if status != 200 {
            code(&reply);
        }
        assert_eq!(
            reply.head.contains("www-authenticate: Bearer"),
            status == 401,
            "{}",
            reply.head
        );
    }
    let all = format!(
        "{}/providers/Microsoft.RecoveryServices/vaults?{VERSION}",
        azure.subscription
    );
    let listed = world.call("GET", &all, Some(&reader), b"").await;
    let listed: Value = serde_json::from_slice(&listed.body).unwrap();
    let names: Vec<&Value> = listed["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|vault| &vault["name"])
        .collect();
    assert_eq!(names, ["main"]);
}

/// An Operator may write items, and yet not stop their protection by writing them.
#[tokio::test]
async fn stopping_needs_more_than_writing() {
    let azure = Azure::new().await;
    let world = &azure.world;
    let administrator = world.administrator().await;
    let credentials = administrator
        .issue_credentials(&world::vault_name("main"))
        .await
        .unwrap();
    world.machine(&credentials, "a").await;
    let operator = world.user("operator", &[(Role::BackupOperator, "vault/main")]).await;
    let vault = azure.vault("main");
    let item =
        format!("{vault}/backupFabrics/Azure/protectionContainers/Windows;a/protectedItems/FileFolder;a?{VERSION}");
    let protect = format!("{{\"properties\":{{\"policyId\":\"{vault}/backupPolicies/DefaultFilesPolicy\"}}}}");
    let stop = r#"{"properties":{"protectionState":"ProtectionStopped"}}"#;
    for (token, body, status) in [
        (&operator, protect.as_str(), 202),
        (&operator, stop, 403),
        (&azure.token, stop, 202),
    ] {
        let reply = world.call("PUT", &item, Some(token), body.as_bytes()).await;
        assert_eq!(reply.status, status, "{body}: {reply:?}");
    }
}

#[tokio::test]
async fn a_deleted_vaults_operation_is_told_by_a_restarted_service() {
    let azure = Azure::new().await;
    let path = azure.vault("main");
    let reply = azure
        .world
        .call("DELETE", &format!("{path}?{VERSION}"), Some(&azure.token), b"")
        .await;
    assert_eq!(reply.status, 202, "{reply:?}");
    let status = reply
        .head
        .lines()
        .find_map(|line| line.strip_prefix("azure-asyncoperation: https://test"));
    let status = status.unwrap_or_else(|| panic!("{}", reply.head)).to_owned();
    let world = azure.world.restart().await;
    let reply = world.call("GET", &status, Some(&azure.token), b"").await;
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((reply.status, &body["status"]), (200, &"Succeeded".into()), "{reply:?}");
    let again = world
        .call("DELETE", &format!("{path}?{VERSION}"), Some(&azure.token), b"")
        .await;
    assert_eq!(again.status, 204, "{again:?}");
    // It is told nowhere else.
    let elsewhere = status.replace("/vaults/main/", "/vaults/other/");
    assert_eq!(world.call("GET", &elsewhere, Some(&azure.token), b"").await.status, 404);
}

/// `az backup container unregister`, then the vault goes and comes back, as the SDKs of 2026 ask for it.
#[tokio::test]
async fn machines_are_unregistered_and_deleted_vaults_come_back() {
    let azure = Azure::new().await;
    let people = azure.world.administrator().await;
    let credentials = people.issue_credentials(&vault()).await.unwrap();
    let machine = azure.world.machine(&credentials, "web").await;
    add_key_set(&machine).await;
    back_up(&machine.client, &machine.registered, 1, b"contents").await;
    let call = async |method: &str, path: &str, body: &str| {
        let path = format!("{path}?{VERSION}");
        azure
            .world
            .call(method, &path, Some(&azure.token), body.as_bytes())
            .await
    };
    let path = azure.vault("main");
    let refused = call("DELETE", &path, "").await;
    assert_eq!(
        (refused.status, code(&refused).as_str()),
        (400, "ServiceResourceNotEmptyWithBackendMessage")
    );
    for _ in 0..2 {
        let reply = call("DELETE", &format!("{path}/registeredIdentities/WEB"), "").await;
        assert_eq!(reply.status, 204, "{reply:?}");
    }
    machine.client.machine().await.unwrap_err();
    let containers = call("GET", &format!("{path}/backupProtectionContainers"), "")
        .await
        .json();
    assert_eq!(containers["value"].as_array().unwrap().len(), 0);
    // What it left goes by the id of its item, and by its name while nobody else has that.
    let items = call("GET", &format!("{path}/backupProtectedItems"), "").await.json();
    let item = &items["value"][0];
    assert_eq!(item["properties"]["friendlyName"], "web");
    assert_eq!(item["properties"]["isScheduledForDeferredDelete"], true);
    let id = machine.registered.item.to_string();
    assert_eq!(item["name"], format!("FileFolder;{id}"));
    let by_name = format!("{path}/backupFabrics/Azure/protectionContainers/Windows;web/protectedItems/FileFolder;web");
    for path in [item["id"].as_str().unwrap(), &by_name] {
        let shown = call("GET", path, "").await;
        assert_eq!((shown.status, &shown.json()["id"]), (200, &item["id"]), "{path}");
    }

    let reply = call("DELETE", &path, "").await;
    assert_eq!(reply.status, 202, "{reply:?}");
    let location = format!(
        "{}/providers/Microsoft.RecoveryServices/locations/local/deletedVaults",
        azure.subscription
    );
    let listed = call("GET", &location, "").await.json();
    let deleted = &listed["value"][0];
    assert_eq!(deleted["type"], "Microsoft.RecoveryServices/locations/deletedVaults");
    assert_eq!(deleted["properties"]["vaultId"], path.as_str());
    for moment in ["vaultDeletionTime", "purgeAt"] {
        assert!(
            deleted["properties"][moment]
                .as_str()
                .is_some_and(|text| text.ends_with('Z')),
            "{deleted}"
        );
    }
    let elsewhere = call("GET", &location.replace("local", "westus"), "").await.json();
    assert_eq!(elsewhere["value"].as_array().unwrap().len(), 0);
    let one = deleted["id"].as_str().unwrap();
    assert_eq!(&call("GET", one, "").await.json(), deleted);

    let undelete = format!("{one}/undelete");
    let into = |group: &str| {
        let group = format!("{}/resourceGroups/{group}", azure.subscription);
        format!(r#"{{"properties": {{"recoveryResourceGroupId": "{group}"}}}}"#)
    };
    let refused = call("POST", &undelete, &into("other")).await;
    assert_eq!(
        (refused.status, code(&refused).as_str()),
        (400, "InvalidRequestContent")
    );
    // A reader of another vault learns nothing of it, a reader of this one brings nothing back.
    let stranger = azure.world.user("stranger", &[]).await;
    let hidden = azure
        .world
        .call(
            "POST",
            &format!("{undelete}?{VERSION}"),
            Some(&stranger),
            into("default").as_bytes(),
        )
        .await;
    assert_eq!((hidden.status, code(&hidden).as_str()), (403, "AuthorizationFailed"));
    let accepted = call("POST", &undelete, &into("DEFAULT")).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let operation = accepted
        .head
        .lines()
        .find_map(|line| line.strip_prefix("azure-asyncoperation: "))
        .unwrap();
    let operation = &operation[operation.find("/subscriptions").unwrap()..];
    let status = azure.get(operation.trim()).await;
    assert_eq!(status.json()["status"], "Succeeded", "{status:?}");
    assert_eq!(call("GET", &path, "").await.status, 200);
    assert_eq!(call("GET", one, "").await.status, 404);
    people.item(&vault(), &web()).await.unwrap();
}
