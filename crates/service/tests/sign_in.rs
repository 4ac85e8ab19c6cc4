//! Signing in: people, machines, and those who should not.

use jiff::SignedDuration;
use strongroom_api::{AssertionClaims, Client, ClientError, Code, MachineKey, Secret, SignIn};
use strongroom_model::{Clock, ContainerId};

use crate::world::{World, machine_name, vault_name};

fn code(error: &ClientError) -> Code {
    error.problem().unwrap_or_else(|| panic!("{error}")).code
}

#[tokio::test]
async fn wrong_passwords_are_refused_and_soon_slowed_down() {
    let world = World::new().await;
    for (user, password) in [("admin", "wrong"), ("nobody", "wrong"), ("admin", "")] {
        let refused = Client::sign_in_administrator(world.client_options(), user, Secret::new(password)).await;
        assert_eq!(code(&refused.unwrap_err()), Code::WrongPassword);
    }
    for _ in 0..3 {
        let refused = Client::sign_in_administrator(world.client_options(), "admin", Secret::new("wrong")).await;
        assert_eq!(code(&refused.unwrap_err()), Code::WrongPassword);
    }
    let refused = Client::sign_in_administrator(world.client_options(), "admin", world.password())
        .await
        .unwrap_err();
    assert_eq!(code(&refused), Code::TooManyAttempts);
    assert_eq!(refused.problem().unwrap().retry_after_seconds, Some(1));
    world.time.advance(SignedDuration::from_secs(2));
    world.administrator().await.vaults().await.unwrap();
}

#[tokio::test]
async fn a_session_goes_on_for_twelve_hours() {
    let world = World::new().await;
    let administrator = world.administrator().await;
    for _ in 0..11 {
        administrator.vaults().await.unwrap();
        world.time.advance(SignedDuration::from_hours(1));
    }
    administrator.vaults().await.unwrap();
    world.time.advance(SignedDuration::from_hours(1));
    assert_eq!(code(&administrator.vaults().await.unwrap_err()), Code::TokenExpired);
}

#[tokio::test]
async fn a_machine_signs_in_with_its_key_even_if_its_clock_is_wrong() {
    let world = World::new().await;
    let credentials = world.vault("main").await;
    let machine = world.machine(&credentials, "web-1").await;
    assert_eq!(machine.client.machine().await.unwrap().name, machine_name("web-1"));
    world.time.advance(SignedDuration::from_hours(3));
    machine.client.machine().await.unwrap();

    let container = machine.registered.container;
    for hours in [-7, 7] {
        let wrong = world.now().saturating_add(SignedDuration::from_hours(hours)).unwrap();
        let mut options = world.client_options();
        options.clock = Clock::simulated(wrong).0;
        let sign_in = SignIn::Machine {
            container,
            key: machine.key.clone(),
        };
        Client::new(options, sign_in).unwrap().machine().await.unwrap();
    }
    let sign_in = SignIn::Machine {
        container,
        key: MachineKey::generate(),
    };
    let refused = Client::new(world.client_options(), sign_in)
        .unwrap()
        .machine()
        .await
        .unwrap_err();
    assert_eq!(code(&refused), Code::AssertionRefused);
}

#[tokio::test]
async fn tokens_that_are_not_ours_open_nothing() {
    let world = World::new().await;
    let claims = AssertionClaims::new(ContainerId::from_bytes([1; 16]), world.now());
    let assertion = claims.sign(&MachineKey::generate());
    let foreign = World::new().await.administrator_token().await;
    for token in [
        "garbage",
        "a.b",
        "a.b.c",
        "....",
        "",
        assertion.reveal(),
        &foreign,
        &"x".repeat(8000),
    ] {
        let reply = world.call("GET", "/api/v1/vaults", Some(token), b"").await;
        assert_eq!(reply.status, 401, "{token}");
        assert!(reply.head.contains("application/problem+json"), "{}", reply.head);
        assert!(
            reply.head.to_lowercase().contains("www-authenticate: bearer"),
            "{}",
            reply.head
        );
    }
    for form in [
        "",
        "grant_type=password",
        "grant_type=magic",
        "grant_type=client_credentials&client_assertion=x",
        "%%%",
    ] {
        let reply = world.call("POST", "/api/v1/token", None, form.as_bytes()).await;
        assert!(reply.status == 400 || reply.status == 401, "{form}: {}", reply.status);
    }
}

#[tokio::test]
async fn credentials_are_good_for_ten_days_and_for_their_vault() {
    let world = World::new().await;
    let credentials = world.vault("main").await;
    let text = credentials.to_json();
    assert_eq!(
        strongroom_api::VaultCredentials::parse(text.as_bytes()).unwrap(),
        credentials
    );
    let register = async |name: &str| {
        let key = MachineKey::generate();
        Client::register_with_credentials(&credentials, &machine_name(name), &key, world.clock.clone()).await
    };
    world.time.advance(SignedDuration::from_hours(24 * 10 - 1));
    let first = register("web-1").await.unwrap();
    assert_eq!(
        (&first.vault_name, first.vault),
        (&vault_name("main"), credentials.vault_id)
    );
    let again = register("WEB-1").await.unwrap();
    assert_eq!((again.container, again.item), (first.container, first.item));
    assert_ne!(register("web-2").await.unwrap().container, first.container);

    world.time.advance(SignedDuration::from_hours(1));
    let refused = register("web-3").await.unwrap_err();
    assert_eq!(code(&refused), Code::CredentialsExpired);
    let sentence = "The vault credentials file expired on 2030-06-11 12:00 UTC: download a new one with \
                    `strongroom vault credentials main --output FILE`";
    assert_eq!(refused.to_string(), sentence);
}

#[tokio::test]
async fn registering_again_takes_the_old_key_out_of_use() {
    let world = World::new().await;
    let credentials = world.vault("main").await;
    let old = world.machine(&credentials, "web-1").await;
    let new = world.machine(&credentials, "web-1").await;
    assert_eq!(old.registered.item, new.registered.item);
    assert_eq!(code(&old.client.machine().await.unwrap_err()), Code::AssertionRefused);
    new.client.machine().await.unwrap();
}

#[tokio::test]
async fn an_altered_secret_registers_nobody() {
    let world = World::new().await;
    let mut credentials = world.vault("main").await;
    credentials.secret = Secret::new(format!("{}x", credentials.secret.reveal()));
    let key = MachineKey::generate();
    let refused = Client::register_with_credentials(&credentials, &machine_name("m"), &key, world.clock.clone()).await;
    assert_eq!(code(&refused.unwrap_err()), Code::Unauthenticated);
}
