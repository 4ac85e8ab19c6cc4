//! Users, service principals, roles and resource groups, as whoever manages them sees them.

use strongroom_api::{
    AddSecret, AssignRole, ChangeServicePrincipal, ChangeUser, Client, ClientError, Code, CreateResourceGroup,
    CreateVault, PrincipalKind, PrincipalProof, Secret, SignIn,
};
use strongroom_model::{Redundancy, Region, ResourceGroupName, Role};

use crate::world::{World, vault_name};

fn code<T: std::fmt::Debug>(result: Result<T, ClientError>) -> Code {
    let error = result.unwrap_err();
    error.problem().unwrap_or_else(|| panic!("{error}")).code
}

fn vault_in(name: &str, group: &str) -> CreateVault {
    CreateVault {
        name: vault_name(name),
        resource_group: group.parse().unwrap(),
        region: Region::default(),
        redundancy: Redundancy::default(),
    }
}

fn group(name: &str) -> CreateResourceGroup {
    CreateResourceGroup {
        name: name.parse().unwrap(),
        region: Region::default(),
        tags: [("cost".to_owned(), "42=x".to_owned())].into(),
    }
}

#[tokio::test]
async fn the_first_administrator_owns_the_subscription() {
    let world = World::new().await;
    let administrator = world.administrator().await;
    let account = administrator.account().await.unwrap();
    assert_eq!((account.kind, account.name.as_str()), (PrincipalKind::User, "admin"));
    let roles: Vec<String> = account
        .roles
        .iter()
        .map(|held| format!("{} of {}", held.role, held.scope))
        .collect();
    assert_eq!(roles, ["Owner of subscription"]);
    let world = world.restart().await;
    let again = world.administrator().await.account().await.unwrap();
    assert_eq!((again.subscription, again.id), (account.subscription, account.id));
    let only = administrator_assignment(&world).await;
    assert_eq!(
        code(world.administrator().await.remove_assignment(only).await),
        Code::LastOwner
    );
    let disabled = ChangeUser {
        disabled: Some(true),
        ..ChangeUser::default()
    };
    let name = "admin".parse().unwrap();
    assert_eq!(
        code(world.administrator().await.change_user(&name, &disabled).await),
        Code::LastOwner
    );
    assert_eq!(
        code(world.administrator().await.delete_user(&name).await),
        Code::LastOwner
    );
}

async fn administrator_assignment(world: &World) -> strongroom_model::AssignmentId {
    let list = world.administrator().await.role_assignments().await.unwrap();
    let admin = list.assignments.iter().find(|one| one.name == "admin");
    admin.unwrap().id
}

#[tokio::test]
async fn resource_groups_hold_vaults_and_roles() {
    let world = World::new().await;
    let administrator = world.administrator().await;
    let made = administrator.create_resource_group(&group("Europe")).await.unwrap();
    assert_eq!(made.tags["cost"], "42=x");
    assert_eq!(
        code(administrator.create_resource_group(&group("eUROPE")).await),
        Code::ResourceGroupExists
    );
    let created = administrator.create_vault(&vault_in("paris", "EUROPE")).await.unwrap();
    assert_eq!(created.resource_group.as_str(), "Europe");
    world.vault("elsewhere").await;
    assert_eq!(
        code(administrator.create_vault(&vault_in("x1", "nowhere")).await),
        Code::ResourceGroupNotFound
    );

    world
        .user("eve", &[(Role::BackupContributor, "resource-group/europe")])
        .await;
    let eve = world.client_of("eve").await;
    let seen: Vec<String> = eve
        .vaults()
        .await
        .unwrap()
        .vaults
        .iter()
        .map(|vault| vault.name.to_string())
        .collect();
    assert_eq!(seen, ["paris"]);
    eve.create_vault(&vault_in("rome", "europe")).await.unwrap();
    assert_eq!(
        code(eve.create_vault(&vault_in("tokyo", "default")).await),
        Code::ResourceGroupNotFound
    );
    assert_eq!(
        code(eve.create_vault(&vault_in("tokyo", "nowhere")).await),
        Code::ResourceGroupNotFound
    );
    assert_eq!(code(eve.delete_vault(&vault_name("rome")).await), Code::Forbidden);
    assert_eq!(
        code(eve.delete_vault(&vault_name("elsewhere")).await),
        Code::VaultNotFound
    );
    let groups = eve.resource_groups().await.unwrap().resource_groups;
    assert_eq!(groups.len(), 1);

    let europe: ResourceGroupName = "europe".parse().unwrap();
    assert_eq!(
        code(administrator.delete_resource_group(&europe).await),
        Code::ResourceGroupNotEmpty
    );
    for vault in ["paris", "rome"] {
        administrator.delete_vault(&vault_name(vault)).await.unwrap();
    }
    administrator.delete_resource_group(&europe).await.unwrap();
    assert_eq!(
        code(administrator.delete_resource_group(&europe).await),
        Code::ResourceGroupNotFound
    );
    let default = ResourceGroupName::default();
    assert_eq!(
        code(administrator.delete_resource_group(&default).await),
        Code::ResourceGroupNotEmpty
    );
    // The group of that name that comes next is another one: nobody inherits a role in it.
    administrator.create_resource_group(&group("Europe")).await.unwrap();
    assert_eq!(eve.resource_groups().await.unwrap().resource_groups, []);
    assert_eq!(eve.account().await.unwrap().roles, []);
}

#[tokio::test]
async fn what_is_taken_away_is_gone_at_once() {
    let world = World::new().await;
    world.vault("main").await;
    world.user("eve", &[]).await;
    let eve = world.client_of("eve").await;
    assert_eq!(eve.vaults().await.unwrap().vaults.len(), 0);
    let assignment = world.assign("eve", Role::BackupReader, "vault/main").await;
    assert_eq!(eve.vaults().await.unwrap().vaults.len(), 1);
    assert_eq!(code(eve.issue_credentials(&vault_name("main")).await), Code::Forbidden);
    let administrator = world.administrator().await;
    administrator.remove_assignment(assignment).await.unwrap();
    assert_eq!(code(eve.vault(&vault_name("main")).await), Code::VaultNotFound);
    assert_eq!(
        code(administrator.remove_assignment(assignment).await),
        Code::AssignmentNotFound
    );

    let name = "eve".parse().unwrap();
    let disabled = ChangeUser {
        disabled: Some(true),
        ..ChangeUser::default()
    };
    assert!(administrator.change_user(&name, &disabled).await.unwrap().disabled);
    assert_eq!(code(eve.account().await), Code::TokenExpired);
    let enabled = ChangeUser {
        disabled: Some(false),
        ..ChangeUser::default()
    };
    administrator.change_user(&name, &enabled).await.unwrap();
    world.client_of("eve").await.account().await.unwrap();
    administrator.delete_user(&name).await.unwrap();
    assert_eq!(code(administrator.user(&name).await), Code::PrincipalNotFound);
}

#[tokio::test]
async fn an_owner_of_one_vault_gives_roles_there_and_nowhere_else() {
    let world = World::new().await;
    world.vault("mine").await;
    world.vault("theirs").await;
    world.user("eve", &[(Role::Owner, "vault/mine")]).await;
    world.user("bob", &[]).await;
    let eve = world.client_of("eve").await;
    let assign = |role, scope: &str| AssignRole {
        principal: "bob".to_owned(),
        role,
        scope: scope.parse().unwrap(),
    };
    let given = eve
        .assign_role(&assign(Role::BackupReader, "vault/mine"))
        .await
        .unwrap();
    assert_eq!((given.name.as_str(), given.created_by.as_str()), ("bob", "eve"));
    let again = eve.assign_role(&assign(Role::BackupReader, "vault/MINE")).await;
    assert_eq!(code(again), Code::AssignmentExists);
    for (scope, expected) in [
        ("vault/theirs", Code::VaultNotFound),
        ("vault/absent", Code::VaultNotFound),
        ("resource-group/default", Code::ResourceGroupNotFound),
        ("subscription", Code::Forbidden),
    ] {
        assert_eq!(
            code(eve.assign_role(&assign(Role::Owner, scope)).await),
            expected,
            "{scope}"
        );
    }
    let seen = eve.role_assignments().await.unwrap().assignments;
    assert_eq!(seen.len(), 2, "{seen:?}");
    eve.remove_assignment(given.id).await.unwrap();
    let others = administrator_assignment(&world).await;
    assert_eq!(code(eve.remove_assignment(others).await), Code::AssignmentNotFound);
    assert_eq!(code(eve.users().await), Code::Forbidden);
}

#[tokio::test]
async fn a_service_principal_signs_in_with_its_secrets() {
    let world = World::new().await;
    world.vault("main").await;
    let (id, secret) = world.service_principal("robot").await;
    world.assign("robot", Role::BackupOperator, "vault/main").await;
    let client = |secret: &Secret| {
        let proof = PrincipalProof::Secret(secret.clone());
        Client::new(world.client_options(), SignIn::ServicePrincipal { id, proof }).unwrap()
    };
    let robot = client(&secret);
    let account = robot.account().await.unwrap();
    assert_eq!(
        (account.kind, account.name.as_str()),
        (PrincipalKind::ServicePrincipal, "robot")
    );
    robot.issue_credentials(&vault_name("main")).await.unwrap();
    assert_eq!(code(robot.delete_vault(&vault_name("main")).await), Code::Forbidden);
    assert_eq!(code(client(&Secret::new("wrong")).account().await), Code::ClientRefused);

    let administrator = world.administrator().await;
    let add = AddSecret {
        label: "second".to_owned(),
        days: 1,
    };
    let second = administrator.add_secret("robot", &add).await.unwrap();
    client(&second.secret).account().await.unwrap();
    let keys = administrator.service_principal("ROBOT").await.unwrap().keys;
    let first = keys.iter().find(|key| key.label == "first").unwrap();
    assert_eq!(keys.len(), 2);
    administrator.delete_key("robot", first.id).await.unwrap();
    assert_eq!(code(client(&secret).account().await), Code::ClientRefused);
    world.time.advance(jiff::SignedDuration::from_hours(24));
    assert_eq!(code(client(&second.secret).account().await), Code::ClientRefused);

    let third = world.administrator().await.add_secret("robot", &add).await.unwrap();
    let robot = client(&third.secret);
    robot.account().await.unwrap();
    let disabled = ChangeServicePrincipal { disabled: Some(true) };
    let administrator = world.administrator().await;
    administrator
        .change_service_principal("robot", &disabled)
        .await
        .unwrap();
    assert_eq!(code(robot.account().await), Code::ClientRefused);
    administrator.delete_service_principal(&id.to_string()).await.unwrap();
    assert_eq!(administrator.service_principals().await.unwrap().service_principals, []);
}
