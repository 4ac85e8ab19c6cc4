//! Multi-user authorisation: what a resource guard guards takes two people, from whichever way it comes.

use jiff::SignedDuration;
use serde_json::{Value, json};
use strongroom_api::{
    AlertFilter, AuditQuery, ChangePolicy, Client, Code, CreateGuard, RequestApproval, SetVaultGuard, SignIn, StopData,
    StopItem,
};
use strongroom_model::{AlertKind, AlertState, ApprovalState, GuardedOperation, Immutability, Role};

use crate::world::raw::Reply;
use crate::world::scene::{code, daily, files, under, vault, web};
use crate::world::two_people::{Two, act, ask, mapping, security, shorter, two_people};
use crate::world::{World, machine_name};

#[tokio::test]
async fn every_guarded_operation_takes_two_people() {
    for &operation in GuardedOperation::ALL {
        let two = Two::new().await;
        if operation == GuardedOperation::ReduceImmutability {
            let mut settings = two.vera.settings(&vault()).await.unwrap().settings;
            settings.immutability = Immutability::Unlocked;
            two.vera.change_settings(&vault(), &settings, None).await.unwrap();
        }
        two.scene.world.user("otto", &[(Role::Owner, "vault/main")]).await;
        let otto = two.scene.world.client_of("otto").await;

        let refused = act(&two.vera, operation).await.unwrap_err();
        assert_eq!(code(&refused), Code::ApprovalNeeded, "{operation}");
        let way_out = format!("strongroom approval request {operation} --vault main");
        assert!(refused.to_string().contains(&way_out), "{refused}");
        let asked = two.ask(operation).await;
        assert_eq!(two.ask(operation).await.id, asked.id, "the same is asked for once");
        assert_eq!(
            (asked.state, asked.requester.as_str()),
            (ApprovalState::Pending, "vera")
        );
        assert_eq!(
            code(&act(&two.vera, operation).await.unwrap_err()),
            Code::ApprovalNeeded
        );
        let own = two
            .vera
            .approve(&security(), &two_people(), asked.id)
            .await
            .unwrap_err();
        assert_eq!(code(&own), Code::ResourceGroupNotFound, "Vera has nothing to say there");

        let approved = two.approve(&asked).await;
        assert_eq!(approved.state, ApprovalState::Approved);
        assert_eq!(approved.decided_by.as_deref(), Some("eve"));
        assert_eq!(approved.ends, two.scene.world.now() + SignedDuration::from_hours(1));
        let other = act(&otto, operation).await.unwrap_err();
        assert_eq!(code(&other), Code::ApprovalNeeded, "{operation}: it is Vera who asked");
        act(&two.vera, operation).await.unwrap();
        assert_eq!(two.state(&asked).await, ApprovalState::Used, "{operation}");
        let over = two.eve.deny(&security(), &two_people(), asked.id).await.unwrap_err();
        assert_eq!(code(&over), Code::ApprovalOver);
    }
}

#[tokio::test]
async fn an_approval_is_good_once_and_for_that_thing() {
    let two = Two::new().await;
    let asked = two.allow(GuardedOperation::GetSecurityPin).await;
    two.vera.security_pin(&vault()).await.unwrap();
    assert_eq!(
        code(&two.vera.security_pin(&vault()).await.unwrap_err()),
        Code::ApprovalNeeded
    );
    assert_ne!(two.ask(GuardedOperation::GetSecurityPin).await.id, asked.id);

    let credentials = two.scene.people.issue_credentials(&vault()).await.unwrap();
    two.scene.world.machine(&credentials, "mail").await;
    let mail = machine_name("mail");
    two.vera.protect_item(&vault(), &mail, &under(daily())).await.unwrap();
    two.allow(GuardedOperation::DeleteData).await;
    let delete = StopItem { data: StopData::Delete };
    let other = two.vera.stop_item(&vault(), &mail, &delete).await.unwrap_err();
    assert_eq!(code(&other), Code::ApprovalNeeded);
    assert!(other.to_string().contains("--item mail`"), "{other}");
    // Unregistering deletes the data too.
    let other = two.vera.unregister_container(&vault(), &mail).await.unwrap_err();
    assert_eq!(code(&other), Code::ApprovalNeeded);
    two.vera.unregister_container(&vault(), &web()).await.unwrap();
}

/// Whoever was refused for another reason need not ask again.
#[tokio::test]
async fn an_approval_is_not_used_up_by_what_fails() {
    let two = Two::new().await;
    let asked = two.allow(GuardedOperation::LowerPolicy).await;
    let change = ChangePolicy { rules: shorter() };
    let stale = two
        .vera
        .change_policy(&vault(), &daily(), &change, Some(7))
        .await
        .unwrap_err();
    assert_eq!(code(&stale), Code::VersionMismatch);
    assert_eq!(two.state(&asked).await, ApprovalState::Approved);
    act(&two.vera, GuardedOperation::LowerPolicy).await.unwrap();
    // One approval of two that a change needs is given back too.
    let mut settings = two.vera.settings(&vault()).await.unwrap().settings;
    settings.immutability = Immutability::Unlocked;
    two.vera.change_settings(&vault(), &settings, None).await.unwrap();
    let asked = two.allow(GuardedOperation::DisableSoftDelete).await;
    settings.immutability = Immutability::Disabled;
    settings.soft_delete_days = 14;
    let refused = two.vera.change_settings(&vault(), &settings, None).await.unwrap_err();
    assert!(refused.to_string().contains("ReduceImmutability"), "{refused}");
    assert_eq!(two.state(&asked).await, ApprovalState::Approved);
}

/// Many at once use an approval once.
#[tokio::test]
async fn an_approval_is_used_once_by_many_at_once() {
    let two = Two::new().await;
    two.allow(GuardedOperation::GetSecurityPin).await;
    let tries: Vec<_> = (0..10)
        .map(|_| {
            let vera = two.vera.clone();
            tokio::spawn(async move { vera.security_pin(&vault()).await.is_ok() })
        })
        .collect();
    let mut succeeded = 0;
    for one in tries {
        succeeded += u32::from(one.await.unwrap());
    }
    assert_eq!(succeeded, 1);
}

#[tokio::test]
async fn nobody_approves_what_he_asked_for() {
    let two = Two::new().await;
    let world = &two.scene.world;
    // The administrator owns everything, and is one person all the same.
    let admin = &two.scene.people;
    let asked = ask(admin, GuardedOperation::DeleteData).await.unwrap();
    let own = admin.approve(&security(), &two_people(), asked.id).await.unwrap_err();
    assert_eq!(code(&own), Code::SecondPersonNeeded);
    // Nor by way of a service principal: none is a person …
    let (id, secret) = world.service_principal("robot").await;
    world.assign("robot", Role::Owner, "subscription").await;
    let robot = Client::new(
        world.client_options(),
        SignIn::ServicePrincipal {
            id,
            proof: strongroom_api::PrincipalProof::Secret(secret),
        },
    )
    .unwrap();
    let by_robot = robot.approve(&security(), &two_people(), asked.id).await.unwrap_err();
    assert_eq!(code(&by_robot), Code::SecondPersonNeeded);
    // … and who has had its key has asked when it asks, though the key is gone by now.
    let asked = ask(&robot, GuardedOperation::GetSecurityPin).await.unwrap();
    let keys = admin.service_principal("robot").await.unwrap().keys;
    admin.delete_key("robot", keys[0].id).await.unwrap();
    let own = admin.approve(&security(), &two_people(), asked.id).await.unwrap_err();
    assert_eq!(code(&own), Code::SecondPersonNeeded);
    assert!(own.to_string().contains("service principal"), "{own}");
    two.approve(&asked).await;
    robot.security_pin(&vault()).await.unwrap();
}

#[tokio::test]
async fn what_nobody_decides_or_does_ends() {
    let two = Two::new().await;
    let pin = GuardedOperation::GetSecurityPin;
    let denied = two.ask(pin).await;
    two.eve.deny(&security(), &two_people(), denied.id).await.unwrap();
    assert_eq!(code(&act(&two.vera, pin).await.unwrap_err()), Code::ApprovalNeeded);
    let asked = two.allow(pin).await;
    two.scene.world.time.advance(SignedDuration::from_mins(60));
    assert_eq!(two.state(&asked).await, ApprovalState::Expired);
    assert_eq!(code(&act(&two.vera, pin).await.unwrap_err()), Code::ApprovalNeeded);
    let waiting = two.ask(pin).await;
    assert_ne!(waiting.id, asked.id);
    two.scene.world.time.advance(SignedDuration::from_hours(24));
    let eve = two.scene.world.client_of("eve").await;
    let late = eve.approve(&security(), &two_people(), waiting.id).await.unwrap_err();
    assert_eq!(code(&late), Code::ApprovalOver);
    assert!(late.to_string().contains("Expired"), "{late}");
}

/// What was asked for in a vault ends with it, and does not begin again when that is back.
#[tokio::test]
async fn what_was_asked_for_in_a_vault_that_goes_is_over() {
    let two = Two::excepting(vec![GuardedOperation::DeleteData]).await;
    let asked = two.ask(GuardedOperation::GetSecurityPin).await;
    let allowed = two.allow(GuardedOperation::ReduceImmutability).await;
    let people = &two.scene.people;
    people.unregister_container(&vault(), &web()).await.unwrap();
    let kept = people.delete_vault(&vault()).await.unwrap().kept.unwrap();
    for is_back in [false, true] {
        if is_back {
            people.undelete_vault(kept.id).await.unwrap();
        }
        for one in [&asked, &allowed] {
            for answer in [
                two.eve.approve(&security(), &two_people(), one.id).await,
                two.eve.deny(&security(), &two_people(), one.id).await,
            ] {
                assert_eq!(code(&answer.unwrap_err()), Code::ApprovalOver);
            }
        }
    }
    for one in [&asked, &allowed] {
        assert_eq!(two.state(one).await, ApprovalState::Expired);
    }
    let alerts = people.alerts(&vault(), &AlertFilter::default()).await.unwrap().alerts;
    let requested = alerts.iter().find(|alert| alert.kind == AlertKind::ApprovalRequested);
    assert_eq!(requested.unwrap().state, AlertState::Resolved);
}

#[tokio::test]
async fn a_machine_with_a_pin_needs_the_approval_of_who_got_it() {
    let two = Two::excepting(vec![GuardedOperation::GetSecurityPin]).await;
    let machine = &two.scene.machine.client;
    let pin = two.vera.security_pin(&vault()).await.unwrap().pin;
    let refused = machine.delete_own_data(&pin).await.unwrap_err();
    assert_eq!(code(&refused), Code::ApprovalNeeded);
    two.allow(GuardedOperation::DeleteData).await;
    // Of another person the approval is not.
    let pin = two.scene.people.security_pin(&vault()).await.unwrap().pin;
    let refused = machine.unregister_oneself(&pin).await.unwrap_err();
    assert_eq!(code(&refused), Code::ApprovalNeeded);
    let pin = two.vera.security_pin(&vault()).await.unwrap().pin;
    machine.unregister_oneself(&pin).await.unwrap();
}

#[tokio::test]
async fn what_a_guard_leaves_alone_takes_one_person() {
    let except = vec![GuardedOperation::DeleteData, GuardedOperation::LowerProtection];
    let two = Two::excepting(except.clone()).await;
    let guarded = two.vera.vault_guard(&vault()).await.unwrap();
    assert!(except.iter().all(|one| !guarded.operations.contains(one)));
    assert_eq!(guarded.operations.len(), GuardedOperation::ALL.len() - 2);
    let needless = ask(&two.vera, GuardedOperation::DeleteData).await.unwrap_err();
    assert!(needless.to_string().contains("just do it"), "{needless}");
    for operation in [GuardedOperation::LowerProtection, GuardedOperation::DeleteData] {
        act(&two.vera, operation).await.unwrap();
    }
    for operation in [GuardedOperation::DisableSoftDelete, GuardedOperation::RemoveGuard] {
        let create = CreateGuard {
            name: "weak".parse().unwrap(),
            except: vec![operation],
        };
        let refused = two.eve.create_guard(&security(), &create).await.unwrap_err();
        assert_eq!(code(&refused), Code::InvalidRequest, "{operation}");
    }
}

/// An item whose policy is gone keeps its points for ever: any policy is less.
#[tokio::test]
async fn deleting_the_policy_of_a_stopped_item_is_no_way_around() {
    let two = Two::excepting(vec![GuardedOperation::StopProtection]).await;
    act(&two.vera, GuardedOperation::StopProtection).await.unwrap();
    two.vera.delete_policy(&vault(), &daily()).await.unwrap();
    for policy in ["short", "DefaultFilesPolicy"] {
        let resume = under(policy.parse().unwrap());
        let refused = two.vera.protect_item(&vault(), &web(), &resume).await.unwrap_err();
        assert_eq!(code(&refused), Code::ApprovalNeeded, "{policy}");
    }
    two.allow(GuardedOperation::LowerProtection).await;
    act(&two.vera, GuardedOperation::LowerProtection).await.unwrap();
}

/// What protects no less needs nobody.
#[tokio::test]
async fn what_takes_nothing_away_takes_one_person() {
    let two = Two::new().await;
    let mut settings = two.vera.settings(&vault()).await.unwrap().settings;
    settings.soft_delete_days = 60;
    settings.immutability = Immutability::Unlocked;
    two.vera.change_settings(&vault(), &settings, None).await.unwrap();
    let mut longer = files();
    longer.retention.daily.as_mut().unwrap().keep = 60;
    let change = ChangePolicy { rules: longer };
    two.vera.change_policy(&vault(), &daily(), &change, None).await.unwrap();
    two.vera.protect_item(&vault(), &web(), &under(daily())).await.unwrap();
}

#[tokio::test]
async fn a_guard_in_use_stays() {
    let two = Two::new().await;
    let (eve, people) = (&two.eve, &two.scene.people);
    let used = eve.delete_guard(&security(), &two_people()).await.unwrap_err();
    assert_eq!(code(&used), Code::GuardInUse);
    assert!(used.to_string().contains("(main)"), "{used}");
    let create = CreateGuard {
        name: "Two-People".parse().unwrap(),
        except: vec![],
    };
    assert_eq!(
        code(&eve.create_guard(&security(), &create).await.unwrap_err()),
        Code::GuardExists
    );
    let create = CreateGuard {
        name: "another".parse().unwrap(),
        except: vec![],
    };
    eve.create_guard(&security(), &create).await.unwrap();
    let other = SetVaultGuard {
        resource_group: security(),
        guard: create.name.clone(),
    };
    let mapped = people.set_vault_guard(&vault(), &other).await.unwrap_err();
    assert_eq!(code(&mapped), Code::VaultGuarded);
    // The very same again is fine.
    people.set_vault_guard(&vault(), &mapping()).await.unwrap();
    eve.delete_guard(&security(), &create.name).await.unwrap();
    let group = people.delete_resource_group(&security()).await.unwrap_err();
    assert_eq!(code(&group), Code::ResourceGroupNotEmpty);

    two.allow(GuardedOperation::RemoveGuard).await;
    two.vera.remove_vault_guard(&vault()).await.unwrap();
    assert_eq!(
        code(&two.vera.vault_guard(&vault()).await.unwrap_err()),
        Code::GuardNotFound
    );
    act(&two.vera, GuardedOperation::DeleteData).await.unwrap();
    eve.delete_guard(&security(), &two_people()).await.unwrap();
    people.delete_resource_group(&security()).await.unwrap();
}

#[tokio::test]
async fn who_owns_both_is_warned() {
    let two = Two::new().await;
    let warned = two.scene.people.set_vault_guard(&vault(), &mapping()).await.unwrap();
    assert!(warned.warning.is_some_and(|warning| warning.contains("security")));
    assert_eq!(two.vera.vault_guard(&vault()).await.unwrap().warning, None);
    // Who may not see the guard cannot put a vault under it.
    let hidden = two.vera.set_vault_guard(&vault(), &mapping()).await.unwrap_err();
    assert_eq!(code(&hidden), Code::ResourceGroupNotFound);
}

#[tokio::test]
async fn a_request_is_made_by_who_may_and_about_what_there_is() {
    let two = Two::new().await;
    two.scene
        .world
        .user("rita", &[(Role::BackupReader, "vault/main")])
        .await;
    let rita = two.scene.world.client_of("rita").await;
    let reader = ask(&rita, GuardedOperation::DeleteData).await.unwrap_err();
    assert_eq!(code(&reader), Code::Forbidden);
    let about_nothing = RequestApproval {
        operation: GuardedOperation::DeleteData,
        item: None,
        policy: None,
        reason: String::new(),
    };
    let refused = two.vera.request_approval(&vault(), &about_nothing).await.unwrap_err();
    assert!(refused.to_string().contains("name it"), "{refused}");
    let unknown = RequestApproval {
        item: Some(machine_name("nobody")),
        ..about_nothing.clone()
    };
    let refused = two.vera.request_approval(&vault(), &unknown).await.unwrap_err();
    assert_eq!(code(&refused), Code::ItemNotFound);
    let long = RequestApproval {
        item: Some(web()),
        reason: "x".repeat(501),
        ..about_nothing
    };
    let refused = two.vera.request_approval(&vault(), &long).await.unwrap_err();
    assert_eq!(code(&refused), Code::InvalidRequest);
    // Eve knows what is asked, but nothing else of the vault.
    two.ask(GuardedOperation::DeleteData).await;
    let asked = two
        .eve
        .guard_approvals(&security(), &two_people())
        .await
        .unwrap()
        .approvals;
    assert_eq!(
        (asked.len(), asked[0].subject.as_str(), asked[0].reason.as_str()),
        (1, "web", "a test")
    );
    assert_eq!(
        code(&two.eve.settings(&vault()).await.unwrap_err()),
        Code::VaultNotFound
    );
}

#[tokio::test]
async fn owners_are_told_and_the_audit_log_has_it() {
    let two = Two::new().await;
    let alerts = async |kind| {
        let filter = AlertFilter {
            kind: Some(kind),
            ..AlertFilter::default()
        };
        two.vera.alerts(&vault(), &filter).await.unwrap().alerts
    };
    let asked = two.ask(GuardedOperation::RemoveGuard).await;
    let raised = alerts(AlertKind::ApprovalRequested).await;
    assert!(raised[0].message.contains("vera"), "{raised:?}");
    two.approve(&asked).await;
    assert_eq!(
        alerts(AlertKind::ApprovalRequested).await[0].state,
        AlertState::Resolved
    );
    let granted = alerts(AlertKind::ApprovalGranted).await;
    assert!(granted[0].message.contains("eve has allowed vera"), "{granted:?}");
    two.vera.remove_vault_guard(&vault()).await.unwrap();
    assert_eq!(alerts(AlertKind::GuardRemoved).await[0].state, AlertState::Active);
    two.scene.people.set_vault_guard(&vault(), &mapping()).await.unwrap();
    assert_eq!(alerts(AlertKind::GuardRemoved).await[0].state, AlertState::Resolved);

    let lines = two.scene.people.audit(&AuditQuery::default()).await.unwrap().lines;
    let written = |name: &str, path: &str| lines.iter().any(|line| line.name == name && line.path.contains(path));
    assert!(written("vera", "/vaults/main/approvals"));
    assert!(written("eve", &format!("/approvals/{}/approve", asked.id)));
    assert!(written("vera", "/vaults/main/guard"));
}

// Azure's way in.

struct Azure<'a> {
    world: &'a World,
    token: String,
    subscription: String,
}

impl<'a> Azure<'a> {
    async fn new(world: &'a World, user: &str) -> Self {
        let token = world.user_token(user).await;
        let listed = world
            .call("GET", "/subscriptions?api-version=2022-12-01", Some(&token), b"")
            .await;
        let subscription = listed.json()["value"][0]["id"].as_str().unwrap().to_owned();
        Self {
            world,
            token,
            subscription,
        }
    }

    fn vault(&self) -> String {
        let subscription = &self.subscription;
        format!("{subscription}/resourceGroups/default/providers/Microsoft.RecoveryServices/vaults/main")
    }

    fn item(&self) -> String {
        let vault = self.vault();
        format!("{vault}/backupFabrics/Azure/protectionContainers/Windows;web/protectedItems/FileFolder;web")
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> Reply {
        let path = format!("{path}?api-version=2024-04-01");
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.world.call(method, &path, Some(&self.token), body.as_bytes()).await
    }
}

fn arm_code(reply: &Reply) -> (u16, String) {
    let code = reply.json()["error"]["code"].as_str().unwrap_or_default().to_owned();
    (reply.status, code)
}

#[tokio::test]
async fn azures_clients_need_the_second_person_too() {
    let two = Two::new().await;
    let azure = Azure::new(&two.scene.world, "vera").await;
    let (vault_id, item) = (azure.vault(), azure.item());
    let proxies = format!("{vault_id}/backupResourceGuardProxies");
    let listed = azure.call("GET", &proxies, Value::Null).await.json();
    let proxy = &listed["value"][0];
    assert_eq!(proxy["name"], "VaultProxy");
    let guard = proxy["properties"]["resourceGuardResourceId"].as_str().unwrap();
    assert!(guard.ends_with("/resourceGroups/security/providers/Microsoft.DataProtection/resourceGuards/two-people"));
    let details = proxy["properties"]["resourceGuardOperationDetails"].as_array().unwrap();
    let request = |critical: &str| {
        let named = |detail: &&Value| detail["vaultCriticalOperation"].as_str().unwrap().ends_with(critical);
        details.iter().find(named).unwrap()["defaultResourceRequest"].clone()
    };
    // As `az backup protection disable --delete-backup-data` does it.
    let unlock = json!({
        "resourceGuardOperationRequests": [request("protectedItems/delete")],
        "resourceToBeDeleted": item,
    });
    let forbidden = (403, "LinkedAuthorizationFailed".to_owned());
    let path = format!("{proxies}/VaultProxy/unlockDelete");
    assert_eq!(arm_code(&azure.call("POST", &path, unlock.clone()).await), forbidden);
    assert_eq!(arm_code(&azure.call("DELETE", &item, Value::Null).await), forbidden);
    let asked = two.allow(GuardedOperation::DeleteData).await;
    let unlocked = azure.call("POST", &path, unlock).await;
    assert_eq!(unlocked.json()["unlockDeleteExpiryTime"], "2030-06-01T13:00:00Z");
    assert_eq!(azure.call("DELETE", &item, Value::Null).await.status, 202);
    assert_eq!(two.state(&asked).await, ApprovalState::Used);
    let rehydrate = json!({ "properties": { "isRehydrate": true } });
    assert_eq!(azure.call("PUT", &item, rehydrate).await.status, 202);

    let policy = format!("{vault_id}/backupPolicies/DefaultFilesPolicy");
    let mut rules = azure.call("GET", &policy, Value::Null).await.json();
    rules["properties"]["retentionPolicy"]["dailySchedule"]["retentionDuration"]["count"] = 7.into();
    rules["properties"]["resourceGuardOperationRequests"] = json!([request("backupPolicies/write")]);
    assert_eq!(arm_code(&azure.call("PUT", &policy, rules.clone()).await), forbidden);
    two.allow(GuardedOperation::LowerPolicy).await;
    assert_eq!(azure.call("PUT", &policy, rules).await.status, 200);

    let under_short = json!({ "properties": { "policyId": format!("{vault_id}/backupPolicies/short") } });
    assert_eq!(
        azure.call("PUT", &item, under_short).await.status,
        202,
        "it is no shorter now"
    );
    let stop = json!({ "properties": { "protectionState": "ProtectionStopped" } });
    assert_eq!(arm_code(&azure.call("PUT", &item, stop).await), forbidden);

    let config = json!({ "properties": { "softDeleteFeatureState": "Disabled", "enhancedSecurityState": "Enabled" } });
    let path = format!("{vault_id}/backupconfig/vaultconfig");
    assert_eq!(arm_code(&azure.call("PATCH", &path, config).await), forbidden);
    let settings =
        json!({ "properties": { "securitySettings": { "softDeleteSettings": { "softDeleteState": "Disabled" } } } });
    assert_eq!(arm_code(&azure.call("PATCH", &vault_id, settings).await), forbidden);
    let pin = azure
        .call("POST", &format!("{vault_id}/backupSecurityPIN"), Value::Null)
        .await;
    assert_eq!(arm_code(&pin), forbidden);
    let identity = format!("{vault_id}/registeredIdentities/web");
    assert_eq!(arm_code(&azure.call("DELETE", &identity, Value::Null).await), forbidden);

    let one = format!("{proxies}/VaultProxy");
    let shown = azure.call("GET", &vault_id, Value::Null).await.json();
    assert_eq!(
        shown["properties"]["securitySettings"]["multiUserAuthorization"],
        "Enabled"
    );
    assert_eq!(arm_code(&azure.call("DELETE", &one, Value::Null).await), forbidden);
    two.allow(GuardedOperation::RemoveGuard).await;
    assert_eq!(azure.call("DELETE", &one, Value::Null).await.status, 200);
    assert_eq!(azure.call("DELETE", &one, Value::Null).await.status, 204);
    assert_eq!(azure.call("GET", &one, Value::Null).await.status, 404);
    let listed = azure.call("GET", &proxies, Value::Null).await.json();
    assert_eq!(listed, json!({ "value": [] }));
    // Vera may not see the guard; the administrator may.
    let wish = json!({ "properties": { "resourceGuardResourceId": guard } });
    assert_eq!(azure.call("PUT", &one, wish.clone()).await.status, 404);
    let administrator = Azure {
        world: azure.world,
        token: azure.world.administrator_token().await,
        subscription: azure.subscription.clone(),
    };
    let under = administrator.call("PUT", &one, wish).await;
    assert_eq!(
        (under.status, &under.json()["properties"]["resourceGuardResourceId"]),
        (200, &json!(guard))
    );
    let foreign = json!({ "properties": { "resourceGuardResourceId": "/subscriptions/7/resourceGroups/x" } });
    assert_eq!(administrator.call("PUT", &one, foreign).await.status, 400);
}
