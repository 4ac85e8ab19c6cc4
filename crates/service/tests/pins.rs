//! Security PINs: what a machine may only do with the help of a person.

use aws_lc_rs::digest::{SHA256, digest};
use jiff::SignedDuration;
use strongroom_api::{AlertFilter, AlertView, AuditLine, AuditQuery, Client, Code, Secret, StopData, StopItem};
use strongroom_db::{Db, PinLimits, PinTried};
use strongroom_model::{AlertKind, AlertSeverity, ItemState, Operation, Role, VaultId};
use strongroom_service::Service;

use crate::world;
use crate::world::objects::{key_set, key_set_id};
use crate::world::scene::{Scene, code, under, vault};
use crate::world::{World, machine_name};

async fn pin(people: &Client) -> Secret {
    people.security_pin(&vault()).await.unwrap().pin
}

/// A PIN that is not this one.
fn other(pin: &Secret) -> Secret {
    let number: u32 = pin.reveal().parse().unwrap();
    Secret::new(format!("{:06}", (number + 1) % 1_000_000))
}

/// The lines of the audit log about paths with this in them.
async fn lines(people: &Client, part: &str) -> Vec<AuditLine> {
    let mut lines = people.audit(&AuditQuery::default()).await.unwrap().lines;
    lines.retain(|line| line.path.contains(part));
    lines
}

async fn alerts(people: &Client) -> Vec<AlertView> {
    let filter = AlertFilter {
        kind: Some(AlertKind::PinGuessed),
        ..AlertFilter::default()
    };
    people.alerts(&vault(), &filter).await.unwrap().alerts
}

async fn refused(machine: &Client, pin: &Secret) -> Code {
    code(&machine.delete_own_data(pin).await.unwrap_err())
}

#[tokio::test]
async fn a_machine_deletes_its_data_with_a_pin_and_only_so() {
    let scene = Scene::new().await;
    let job = scene.machine.client.begin_job(Operation::Backup).await.unwrap();
    scene.work(&job, 1).await;
    let machine = &scene.machine.client;
    let token = scene.world.machine_token(&scene.machine).await;
    let without = scene
        .world
        .call("POST", "/api/v1/machine/delete-data", Some(&token), b"")
        .await;
    assert_eq!(
        (without.status, without.code().as_deref()),
        (403, Some("SecurityPinRefused"))
    );
    let said = String::from_utf8(without.body).unwrap();
    assert!(
        said.contains("100130") && said.contains("strongroom vault pin main"),
        "{said}"
    );

    let given = scene.people.security_pin(&vault()).await.unwrap();
    assert_eq!(given.expires, scene.world.now() + SignedDuration::from_mins(5));
    assert_eq!(refused(machine, &other(&given.pin)).await, Code::SecurityPinRefused);
    let deleted = machine.delete_own_data(&given.pin).await.unwrap();
    let item = deleted.item.unwrap();
    assert_eq!(item.state, ItemState::ProtectionStopped);
    assert_eq!(
        item.purged_at,
        Some(scene.world.now() + SignedDuration::from_hours(14 * 24))
    );
    // It is good once; and what it was used for can be taken back.
    scene.people.undelete_item(&vault(), &item.name).await.unwrap();
    assert_eq!(refused(machine, &given.pin).await, Code::SecurityPinRefused);

    // It is written down for whom it was done.
    let lines = scene.people.audit(&AuditQuery::default()).await.unwrap().lines;
    let mut of_pins = lines.iter().filter(|line| line.path.contains("delete-data"));
    let written = of_pins.find(|line| line.status == 200).unwrap();
    assert_eq!(written.name, "admin");
    assert!(written.action.ends_with("protectedItems/delete"), "{written:?}");
    assert!(written.path.contains(&scene.machine.registered.container.to_string()));
}

#[tokio::test]
async fn a_machine_unregisters_itself_with_a_pin_and_only_so() {
    let scene = Scene::new().await;
    let job = scene.machine.client.begin_job(Operation::Backup).await.unwrap();
    scene.work(&job, 1).await;
    let machine = &scene.machine.client;
    let token = scene.world.machine_token(&scene.machine).await;
    let without = scene.world.call("DELETE", "/api/v1/machine", Some(&token), b"").await;
    assert_eq!(without.code().as_deref(), Some("SecurityPinRefused"));
    let pin = pin(&scene.people).await;
    let wrong = machine.unregister_oneself(&other(&pin)).await.unwrap_err();
    assert_eq!(code(&wrong), Code::SecurityPinRefused);
    let left = machine.unregister_oneself(&pin).await.unwrap().item.unwrap();
    assert!(left.purged_at.is_some());
    let stranger = code(&machine.machine().await.unwrap_err());
    assert!(
        matches!(stranger, Code::MachineNotFound | Code::AssertionRefused),
        "{stranger:?}"
    );
    let lines = scene.people.audit(&AuditQuery::default()).await.unwrap().lines;
    let written = lines
        .iter()
        .find(|line| line.path.starts_with("/api/v1/machine?") && line.status == 200)
        .unwrap();
    assert_eq!(written.name, "admin");
    assert!(written.action.ends_with("registeredIdentities/delete"), "{written:?}");
}

#[tokio::test]
async fn a_pin_ends_after_five_minutes_or_with_the_next() {
    let scene = Scene::new().await;
    let machine = &scene.machine.client;
    let late = pin(&scene.people).await;
    scene.world.time.advance(SignedDuration::from_secs(300));
    assert_eq!(refused(machine, &late).await, Code::SecurityPinRefused);
    let first = pin(&scene.people).await;
    let mut second = pin(&scene.people).await;
    while second == first {
        second = pin(&scene.people).await;
    }
    assert_eq!(refused(machine, &first).await, Code::SecurityPinRefused);
    scene.world.time.advance(SignedDuration::from_secs(299));
    machine.delete_own_data(&second).await.unwrap();
}

#[tokio::test]
async fn a_pin_is_its_vaults_own() {
    let scene = Scene::new().await;
    let credentials = scene.world.vault("other").await;
    let stranger = scene.world.machine(&credentials, "web").await;
    let pin = pin(&scene.people).await;
    assert_eq!(refused(&stranger.client, &pin).await, Code::SecurityPinRefused);
    scene.machine.client.delete_own_data(&pin).await.unwrap();
}

#[tokio::test]
async fn who_guesses_is_shut_out_and_others_are_not() {
    let scene = Scene::new().await;
    let credentials = scene.people.issue_credentials(&vault()).await.unwrap();
    let honest = scene.world.machine(&credentials, "honest").await;
    let thief = &scene.machine.client;
    let pin = pin(&scene.people).await;
    let wrong = other(&pin);
    for _ in 0..3 {
        assert_eq!(refused(thief, &wrong).await, Code::SecurityPinRefused);
    }
    // Each guess is written down, and the owners are told.
    let written = lines(&scene.people, "delete-data").await;
    assert_eq!(written.len(), 3);
    let container = scene.machine.registered.container.to_string();
    assert!(
        written
            .iter()
            .all(|line| line.status == 403 && line.kind.is_none() && line.path.contains(&container))
    );
    let raised = alerts(&scene.people).await;
    let [alert] = &raised[..] else { panic!("{raised:?}") };
    assert_eq!(
        (alert.code.as_str(), alert.severity),
        ("MachineShutOut", AlertSeverity::Warning)
    );
    assert!(alert.message.starts_with("web showed wrong"), "{alert:?}");
    // From now on not even the right one is looked at.
    let shut = thief.delete_own_data(&pin).await.unwrap_err();
    assert_eq!(code(&shut), Code::TooManyAttempts);
    let wait = shut.problem().unwrap().retry_after_seconds.unwrap();
    assert!((3590..=3601).contains(&wait), "{wait}");
    assert_eq!(lines(&scene.people, "delete-data").await.len(), 3, "that was no guess");
    honest.client.delete_own_data(&pin).await.unwrap();
    // After an hour it may try again.
    scene.world.time.advance(SignedDuration::from_mins(61));
    let people = scene.fresh_people().await;
    let pin = people.security_pin(&vault()).await.unwrap().pin;
    thief.delete_own_data(&pin).await.unwrap();
}

#[tokio::test]
async fn guesses_of_many_machines_void_a_pin() {
    let scene = Scene::new().await;
    let credentials = scene.people.issue_credentials(&vault()).await.unwrap();
    let pin = pin(&scene.people).await;
    let wrong = other(&pin);
    for number in 0..5 {
        let thief = scene.world.machine(&credentials, &format!("thief-{number}")).await;
        assert_eq!(refused(&thief.client, &wrong).await, Code::SecurityPinRefused);
    }
    let raised = alerts(&scene.people).await;
    let [alert] = &raised[..] else { panic!("{raised:?}") };
    assert_eq!(alert.code, "PinVoid");
    assert!(alert.message.contains("thief-4 the last"), "{alert:?}");
    assert_eq!(refused(&scene.machine.client, &pin).await, Code::SecurityPinRefused);
}

/// One who mistypes, or comes without a PIN, alarms nobody.
#[tokio::test]
async fn a_slip_is_written_down_and_raises_nothing() {
    let scene = Scene::new().await;
    let token = scene.world.machine_token(&scene.machine).await;
    let path = "/api/v1/machine/delete-data";
    assert_eq!(scene.world.call("POST", path, Some(&token), b"").await.status, 403);
    assert_eq!(lines(&scene.people, "delete-data").await.len(), 0);
    let pin = pin(&scene.people).await;
    for _ in 0..2 {
        assert_eq!(
            refused(&scene.machine.client, &other(&pin)).await,
            Code::SecurityPinRefused
        );
    }
    assert_eq!(lines(&scene.people, "delete-data").await.len(), 2);
    assert!(alerts(&scene.people).await.is_empty());
}

/// Many at once are bound like one after the other.
#[tokio::test]
async fn guesses_at_once_are_counted() {
    let scene = Scene::new().await;
    let wrong = other(&pin(&scene.people).await);
    let guesses = (0..20).map(|_| {
        let (client, wrong) = (scene.machine.client.clone(), wrong.clone());
        tokio::spawn(async move { refused(&client, &wrong).await })
    });
    let mut looked_at = 0;
    for guess in guesses.collect::<Vec<_>>() {
        match guess.await.unwrap() {
            Code::SecurityPinRefused => looked_at += 1,
            other => assert_eq!(other, Code::TooManyAttempts),
        }
    }
    assert_eq!(looked_at, 3);
}

#[tokio::test]
async fn another_passphrase_needs_a_pin_and_registering_does_not() {
    let scene = Scene::new().await;
    let machine = &scene.machine;
    let salt = machine.registered.salt;
    let own = machine.registered.container.as_bytes()[15];
    let add = |number: u8| {
        let id = key_set_id(own.wrapping_add(number));
        (id, key_set(id, salt))
    };
    // What it has added, it may say again.
    world::objects::add_key_set(machine).await;
    let (id, object) = add(1);
    let refused = machine.client.add_key_set(id, object.clone(), None).await.unwrap_err();
    assert_eq!(code(&refused), Code::SecurityPinRefused);
    let pin = pin(&scene.people).await;
    machine.client.add_key_set(id, object, Some(&pin)).await.unwrap();
    // That is written down for whoever got the PIN; the first one, of which nobody knew, is not.
    let written = lines(&scene.people, "/key-sets/").await;
    let [line] = &written[..] else { panic!("{written:?}") };
    assert_eq!((line.name.as_str(), line.status), ("admin", 204));
    assert!(line.path.contains(&machine.registered.container.to_string()));
    assert!(line.action.ends_with("certificates/write"), "{line:?}");
    // One that joined a key set has its passphrase too.
    let credentials = scene.people.issue_credentials(&vault()).await.unwrap();
    let friend = scene.world.machine(&credentials, "friend").await;
    friend
        .client
        .join_key_set(id, world::objects::membership(id))
        .await
        .unwrap();
    let (id, object) = add(2);
    let refused = friend.client.add_key_set(id, object.clone(), None).await.unwrap_err();
    assert_eq!(code(&refused), Code::SecurityPinRefused);
    // Whoever registers it again, with a fresh file, may choose another one.
    let again = scene.world.machine(&credentials, "friend").await;
    assert_eq!(again.registered.container, friend.registered.container);
    again.client.add_key_set(id, object, None).await.unwrap();
}

/// What anybody could compute of a PIN who tries all million of them: digits and vault, by each hash, in either order.
fn without_a_key(pin: &Secret, vault: VaultId) -> Vec<[u8; 32]> {
    let digits = pin.reveal().as_bytes();
    let mut texts = vec![digits.to_vec()];
    for beside in [
        vault.as_bytes().to_vec(),
        vault.to_string().into_bytes(),
        b"main".to_vec(),
    ] {
        texts.push([&beside[..], digits].concat());
        texts.push([digits, &beside[..]].concat());
    }
    let mut guesses = Vec::new();
    for text in texts {
        guesses.push(*blake3::hash(&text).as_bytes());
        guesses.push(digest(&SHA256, &text).as_ref().try_into().unwrap());
        let mut plain = [0; 32];
        plain[..text.len().min(32)].copy_from_slice(&text[..text.len().min(32)]);
        guesses.push(plain);
    }
    guesses
}

#[tokio::test]
async fn the_database_does_not_tell_the_pin_and_a_restart_does_not_change_it() {
    let Scene { world, machine, people } = Scene::new().await;
    let pin = pin(&people).await;
    let World {
        folder,
        clock,
        time,
        service,
    } = world;
    service.stop().await;
    let options = world::options(&folder.path().join("data"));
    let db = match &options.database {
        Some(address) => Db::open(address).await.unwrap(),
        None => Db::open_file(&options.data.join("strongroom.db")).await.unwrap(),
    };
    let limits = PinLimits {
        per_pin: 5,
        per_machine: 3,
        shut_for: SignedDuration::from_hours(1),
    };
    let registered = &machine.registered;
    let mut kept = None;
    let look = |hash: &[u8; 32]| {
        kept = Some(*hash);
        false
    };
    let tried = db
        .try_pin(registered.vault, registered.container, limits, clock.now(), look)
        .await;
    assert_eq!(tried.unwrap(), PinTried::Wrong);
    db.close().await;
    let kept = kept.expect("there is a PIN");
    let without_a_key = without_a_key(&pin, registered.vault);
    assert!(!without_a_key.contains(&kept));
    assert!(!kept.windows(6).any(|part| part == pin.reveal().as_bytes()));

    let service = Service::start(options, clock.clone()).await.unwrap();
    let world = World {
        folder,
        clock,
        time,
        service,
    };
    let sign_in = strongroom_api::SignIn::Machine {
        container: machine.registered.container,
        key: machine.key,
    };
    let client = Client::new(world.client_options(), sign_in).unwrap();
    client.delete_own_data(&pin).await.unwrap();
}

#[tokio::test]
async fn roles_decide_who_gets_a_pin() {
    let world = World::new().await;
    world.vault("main").await;
    for (name, role, expected) in [
        ("contributor", Role::BackupContributor, 201),
        ("operator", Role::BackupOperator, 403),
        ("reader", Role::BackupReader, 403),
    ] {
        let token = world.user(name, &[(role, "vault/main")]).await;
        let reply = world
            .call("POST", "/api/v1/vaults/main/security-pin", Some(&token), b"")
            .await;
        assert_eq!(reply.status, expected, "{name}");
    }
}

/// A PIN opens nothing that the vault's own rules forbid.
#[tokio::test]
async fn an_immutable_vault_minds_no_pin() {
    let scene = Scene::new().await;
    let job = scene.machine.client.begin_job(Operation::Backup).await.unwrap();
    scene.work(&job, 1).await;
    let mut settings = scene.people.settings(&vault()).await.unwrap().settings;
    settings.immutability = strongroom_model::Immutability::Unlocked;
    scene.people.change_settings(&vault(), &settings, None).await.unwrap();
    let pin = pin(&scene.people).await;
    assert_eq!(refused(&scene.machine.client, &pin).await, Code::Immutable);
}

/// What is deleted already cannot be deleted again.
#[tokio::test]
async fn a_deleted_item_is_told_of() {
    let scene = Scene::new().await;
    let web = machine_name("web");
    let delete = StopItem { data: StopData::Delete };
    scene.people.stop_item(&vault(), &web, &delete).await.unwrap();
    let pin = pin(&scene.people).await;
    assert_eq!(refused(&scene.machine.client, &pin).await, Code::ItemState);
    scene.people.undelete_item(&vault(), &web).await.unwrap();
    let policy = world::scene::daily();
    scene.people.protect_item(&vault(), &web, &under(policy)).await.unwrap();
}
