//! Virtual machines: containers that their host signs in for, and nobody else.

use jiff::SignedDuration;
use strongroom_api::{
    Client, ClientError, Code, ContainerFilter, FoundMachine, FoundMachines, HostedIds, HostedMachine, LinkRequest,
    SignIn,
};
use strongroom_model::{GuestAgentState, ItemState, MachineFacts, MachineName, Operation, PowerState};
use uuid::Uuid;

use crate::world::objects::{back_up_for, key_set, key_set_id, membership};
use crate::world::scene::{Scene, code, vault};
use crate::world::{Machine, machine_name};

fn found(name: &str, uuid: u128) -> FoundMachine {
    FoundMachine {
        name: machine_name(name),
        facts: MachineFacts {
            uuid: Some(Uuid::from_u128(uuid)),
            power: PowerState::Running,
            agent: GuestAgentState::Ready,
            ..MachineFacts::unknown()
        },
    }
}

async fn tell(host: &Machine, machines: Vec<FoundMachine>) -> Vec<HostedMachine> {
    let told = host.client.found_machines(&FoundMachines { machines }).await.unwrap();
    told.machines
}

/// The host, as it signs in for one of its virtual machines.
fn as_machine(scene: &Scene, host: &Machine, ids: HostedIds) -> Machine {
    let sign_in = SignIn::Machine {
        container: ids.container,
        key: host.key.clone(),
    };
    let mut registered = host.registered.clone();
    (registered.container, registered.item) = (ids.container, ids.item);
    Machine {
        key: host.key.clone(),
        registered,
        client: Client::new(scene.world.client_options(), sign_in).unwrap(),
    }
}

/// A key set of its own, or that of the machine whose id ends alike.
async fn give_keys(machine: &Machine) {
    let id = key_set_id(machine.registered.container.as_bytes()[15]);
    let object = key_set(id, machine.registered.salt);
    if machine.client.add_key_set(id, object, None).await.is_err() {
        machine.client.join_key_set(id, membership(id)).await.unwrap();
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T, ClientError>) -> Code {
    code(&result.unwrap_err())
}

async fn host(scene: &Scene, name: &str) -> Machine {
    let credentials = scene.people.issue_credentials(&vault()).await.unwrap();
    scene.world.machine(&credentials, name).await
}

async fn listed(scene: &Scene) -> Vec<(String, Option<MachineName>, bool)> {
    let list = scene
        .people
        .virtual_machines(&vault(), &ContainerFilter::default())
        .await;
    let machines = list.unwrap().virtual_machines.into_iter();
    machines
        .map(|machine| (machine.name.to_string(), machine.host, machine.is_gone))
        .collect()
}

#[tokio::test]
async fn a_host_signs_in_for_what_it_has_found_and_nobody_else_does() {
    let scene = Scene::new().await;
    // One is called as the host is, and as another machine: that is no matter.
    let kvm = host(&scene, "kvm1").await;
    let told = tell(&kvm, vec![found("web", 1), found("KVM1", 2)]).await;
    let ids: Vec<HostedIds> = told.iter().map(|machine| machine.ids.unwrap()).collect();
    assert_eq!(told[0].name, machine_name("web"));
    assert_ne!(ids[0].container, scene.machine.registered.container);
    assert_eq!(
        tell(&kvm, vec![found("web", 1), found("kvm1", 2)]).await[1].ids,
        Some(ids[1])
    );
    assert_eq!(
        listed(&scene).await,
        [
            ("kvm1".to_owned(), Some(machine_name("kvm1")), false),
            ("web".to_owned(), Some(machine_name("kvm1")), false)
        ]
    );

    let web = as_machine(&scene, &kvm, ids[0]);
    let own = web.client.own_protection().await.unwrap();
    assert_eq!(
        (own.container, own.item, own.protection.state),
        (ids[0].container, ids[0].item, ItemState::NotProtected)
    );
    // It makes recovery points of its own.
    give_keys(&web).await;
    let job = web.client.begin_job(Operation::Backup).await.unwrap();
    back_up_for(&web.client, &web.registered, 1, b"disk", Some(job.id)).await;
    assert_eq!(
        scene
            .people
            .item_points(&vault(), &machine_name(&ids[0].item.to_string()))
            .await
            .unwrap()
            .points
            .len(),
        1
    );
    // Another machine's key does not open it.
    let thief = as_machine(&scene, &scene.machine, ids[0]);
    assert_eq!(refused(thief.client.own_protection().await), Code::AssertionRefused);
    // A virtual machine is no host, and a name occurs once.
    let nested = web.client.found_machines(&FoundMachines { machines: vec![] }).await;
    assert_eq!(refused(nested), Code::MachineNotFound);
    let machines = vec![found("a", 3), found("A", 4)];
    assert_eq!(
        refused(kvm.client.found_machines(&FoundMachines { machines }).await),
        Code::InvalidRequest
    );
}

#[tokio::test]
async fn a_virtual_machine_moves_only_when_its_host_has_it_no_more() {
    let scene = Scene::new().await;
    let (one, two) = (host(&scene, "kvm1").await, host(&scene, "kvm2").await);
    let ids = tell(&one, vec![found("mail", 7)]).await[0].ids.unwrap();
    let elsewhere = tell(&two, vec![found("mail", 7)]).await;
    assert_eq!(
        (elsewhere[0].ids, elsewhere[0].elsewhere.clone()),
        (None, Some(machine_name("kvm1")))
    );
    // The first does not find it any more; one of another UUID is still another.
    tell(&one, vec![]).await;
    assert_eq!(
        listed(&scene).await,
        [("mail".to_owned(), Some(machine_name("kvm1")), true)]
    );
    assert_eq!(tell(&two, vec![found("mail", 8)]).await[0].ids, None);
    assert_eq!(tell(&two, vec![found("mail", 7)]).await[0].ids, Some(ids));
    assert_eq!(
        listed(&scene).await,
        [("mail".to_owned(), Some(machine_name("kvm2")), false)]
    );
    as_machine(&scene, &two, ids).client.own_protection().await.unwrap();
    let former = as_machine(&scene, &one, ids).client.own_protection().await;
    assert_eq!(refused(former), Code::AssertionRefused);
}

#[tokio::test]
async fn when_its_host_goes_nobody_signs_in_for_it_and_what_it_has_stays() {
    let scene = Scene::new().await;
    let kvm = host(&scene, "kvm1").await;
    let told = tell(&kvm, vec![found("idle", 1), found("mail", 2)]).await;
    let mail = as_machine(&scene, &kvm, told[1].ids.unwrap());
    give_keys(&mail).await;
    let job = mail.client.begin_job(Operation::Backup).await.unwrap();
    back_up_for(&mail.client, &mail.registered, 1, b"disk", Some(job.id)).await;
    scene
        .people
        .unregister_container(&vault(), &machine_name("kvm1"))
        .await
        .unwrap();
    assert_eq!(listed(&scene).await, [("mail".to_owned(), None, true)]);
    // Its token was good a moment ago.
    assert_eq!(refused(mail.client.own_protection().await), Code::AssertionRefused);
    assert_eq!(
        scene
            .people
            .item_points(&vault(), &machine_name("mail"))
            .await
            .unwrap()
            .points
            .len(),
        1
    );
    // Whoever finds it next has it.
    let other = host(&scene, "kvm2").await;
    assert_eq!(tell(&other, vec![found("mail", 2)]).await[0].ids, told[1].ids);
    assert_eq!(
        listed(&scene).await,
        [("mail".to_owned(), Some(machine_name("kvm2")), false)]
    );
}

#[tokio::test]
async fn hosts_are_asked_to_look_once_at_a_time() {
    let scene = Scene::new().await;
    assert_eq!(scene.people.discover(&vault()).await.unwrap().hosts, 0);
    let kvm = host(&scene, "kvm1").await;
    tell(&kvm, vec![]).await;
    scene.world.time.advance(SignedDuration::from_secs(1));
    assert_eq!(scene.people.discover(&vault()).await.unwrap().hosts, 1);
    assert_eq!(
        refused(scene.people.discover(&vault()).await),
        Code::OperationInProgress
    );
    let wanted = async |discovers| {
        let request = LinkRequest {
            program: "test".to_owned(),
            running: vec![],
            wait_seconds: 0,
            settings: None,
            discovers,
        };
        kvm.client.link(&request).await.unwrap().discover
    };
    // A program that does not look is not told again and again.
    assert_eq!((wanted(false).await, wanted(true).await), (false, true));
    tell(&kvm, vec![found("mail", 1)]).await;
    assert!(!wanted(true).await);
    scene.world.time.advance(SignedDuration::from_secs(1));
    assert_eq!(scene.people.discover(&vault()).await.unwrap().hosts, 1);
    // One that has died is not waited for.
    scene.world.time.advance(SignedDuration::from_secs(121));
    let people = scene.fresh_people().await;
    assert_eq!(people.discover(&vault()).await.unwrap().hosts, 1);
}
