//! A vault under a resource guard, and the two people whom it takes.

use strongroom_api::{
    ApprovalView, ChangePolicy, Client, ClientError, CreateGuard, CreatePolicy, CreateResourceGroup, RequestApproval,
    SetVaultGuard, StopData, StopItem,
};
use strongroom_model::policy::{Policy, Workload};
use strongroom_model::{
    ApprovalState, GuardName, GuardedKind, GuardedOperation, Immutability, Operation, ResourceGroupName, Role,
};

use super::scene::{Scene, daily, files, under, vault, web};

/// A vault under a guard: Vera owns the vault, Eve the guard, and neither anything else.
pub struct Two {
    pub scene: Scene,
    pub vera: Client,
    pub eve: Client,
}

pub fn security() -> ResourceGroupName {
    "security".parse().unwrap()
}

pub fn two_people() -> GuardName {
    "two-people".parse().unwrap()
}

pub fn mapping() -> SetVaultGuard {
    SetVaultGuard {
        resource_group: security(),
        guard: two_people(),
    }
}

pub fn shorter() -> Policy {
    let mut rules = files();
    rules.retention.daily.as_mut().unwrap().keep = 7;
    rules
}

pub async fn make_guard(people: &Client, except: Vec<GuardedOperation>) {
    let group = CreateResourceGroup {
        name: security(),
        region: Default::default(),
        tags: Default::default(),
    };
    people.create_resource_group(&group).await.unwrap();
    let create = CreateGuard {
        name: two_people(),
        except,
    };
    people.create_guard(&security(), &create).await.unwrap();
}

impl Two {
    pub async fn new() -> Self {
        Self::excepting(vec![]).await
    }

    pub async fn excepting(except: Vec<GuardedOperation>) -> Self {
        let scene = Scene::new().await;
        let people = &scene.people;
        let job = scene.machine.client.begin_job(Operation::Backup).await.unwrap();
        scene.work(&job, 1).await;
        let short = CreatePolicy {
            name: "short".parse().unwrap(),
            workload: Workload::FilesAndFolders,
            rules: shorter(),
        };
        people.create_policy(&vault(), &short).await.unwrap();
        let mut settings = people.settings(&vault()).await.unwrap().settings;
        settings.soft_delete_days = 30;
        people.change_settings(&vault(), &settings, None).await.unwrap();
        make_guard(people, except).await;
        people.set_vault_guard(&vault(), &mapping()).await.unwrap();
        scene.world.user("vera", &[(Role::Owner, "vault/main")]).await;
        scene
            .world
            .user("eve", &[(Role::Owner, "resource-group/security")])
            .await;
        let (vera, eve) = (scene.world.client_of("vera").await, scene.world.client_of("eve").await);
        Self { scene, vera, eve }
    }

    pub async fn ask(&self, operation: GuardedOperation) -> ApprovalView {
        ask(&self.vera, operation).await.unwrap()
    }

    pub async fn approve(&self, asked: &ApprovalView) -> ApprovalView {
        self.eve.approve(&security(), &two_people(), asked.id).await.unwrap()
    }

    /// Vera asks, and Eve approves.
    pub async fn allow(&self, operation: GuardedOperation) -> ApprovalView {
        let asked = self.ask(operation).await;
        self.approve(&asked).await
    }

    pub async fn state(&self, asked: &ApprovalView) -> ApprovalState {
        let all = self
            .scene
            .fresh_people()
            .await
            .approvals(&vault())
            .await
            .unwrap()
            .approvals;
        all.iter().find(|one| one.id == asked.id).unwrap().state
    }
}

pub async fn ask(client: &Client, operation: GuardedOperation) -> Result<ApprovalView, ClientError> {
    let request = RequestApproval {
        operation,
        item: (operation.kind() == GuardedKind::Item).then(web),
        policy: (operation.kind() == GuardedKind::Policy).then(daily),
        reason: "a test".to_owned(),
    };
    client.request_approval(&vault(), &request).await
}

/// Does what the operation is, as people do it.
pub async fn act(client: &Client, operation: GuardedOperation) -> Result<(), ClientError> {
    let mut settings = client.settings(&vault()).await.unwrap().settings;
    let stop = async |data| client.stop_item(&vault(), &web(), &StopItem { data }).await.map(drop);
    match operation {
        GuardedOperation::DisableSoftDelete => {
            settings.soft_delete_days = 14;
            client.change_settings(&vault(), &settings, None).await.map(drop)
        }
        GuardedOperation::ReduceImmutability => {
            settings.immutability = Immutability::Disabled;
            client.change_settings(&vault(), &settings, None).await.map(drop)
        }
        GuardedOperation::RemoveGuard => client.remove_vault_guard(&vault()).await,
        GuardedOperation::LowerPolicy => {
            let change = ChangePolicy { rules: shorter() };
            client.change_policy(&vault(), &daily(), &change, None).await.map(drop)
        }
        GuardedOperation::LowerProtection => {
            let short = under("short".parse().unwrap());
            client.protect_item(&vault(), &web(), &short).await.map(drop)
        }
        GuardedOperation::DeleteData => stop(StopData::Delete).await,
        GuardedOperation::StopProtection => stop(StopData::Retain).await,
        GuardedOperation::GetSecurityPin => client.security_pin(&vault()).await.map(drop),
    }
}
