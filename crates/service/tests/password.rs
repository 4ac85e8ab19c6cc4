//! Another password: by whom it can be chosen, and what becomes of the old one.

use jiff::SignedDuration;
use strongroom_api::{ChangedPassword, Client, ClientError, Code, NewPassword, Secret, SignIn};

use crate::world::World;

const NEW: &str = "a better password";

async fn change(client: &Client, old: &str, new: &str) -> Result<ChangedPassword, ClientError> {
    let new = NewPassword::parse(Secret::new(new)).unwrap();
    client.change_password(Secret::new(old), new).await
}

fn code<T: std::fmt::Debug>(refused: Result<T, ClientError>) -> Code {
    let error = refused.unwrap_err();
    error.problem().unwrap_or_else(|| panic!("{error}")).code
}

async fn sign_in(world: &World, user: &str, password: &str) -> Result<Client, ClientError> {
    let session = Client::sign_in_administrator(world.client_options(), user, Secret::new(password)).await?;
    let refresh_token = session.refresh_token;
    Client::new(world.client_options(), SignIn::Administrator { refresh_token })
}

#[tokio::test]
async fn the_new_password_opens_and_the_old_one_and_its_sessions_do_not() {
    let world = World::new().await;
    let old = world.password();
    let (here, elsewhere) = (world.administrator().await, world.administrator().await);
    let changed = change(&here, old.reveal(), NEW).await.unwrap();
    assert!(changed.first_password_file);
    let sign_in_again = SignIn::Administrator {
        refresh_token: changed.session.refresh_token,
    };
    let here = Client::new(world.client_options(), sign_in_again).unwrap();
    here.vaults().await.unwrap();
    assert_eq!(code(elsewhere.vaults().await), Code::TokenExpired);
    assert_eq!(code(sign_in(&world, "admin", old.reveal()).await), Code::WrongPassword);
    sign_in(&world, "admin", NEW).await.unwrap().vaults().await.unwrap();

    // The file is of no use any more, and is not announced as if it were.
    assert!(world.service.password_file().is_some());
    let world = world.restart().await;
    assert_eq!(world.service.password_file(), None);
    std::fs::remove_file(world.data().join("admin-password")).unwrap();
    let changed = change(&sign_in(&world, "Admin", NEW).await.unwrap(), NEW, "the third password").await;
    assert!(!changed.unwrap().first_password_file);
}

#[tokio::test]
async fn a_wrong_present_password_changes_nothing_and_soon_costs_patience() {
    let world = World::new().await;
    let old = world.password();
    let client = world.administrator().await;
    for _ in 0..5 {
        assert_eq!(code(change(&client, "wrong", NEW).await), Code::WrongPassword);
    }
    // Whoever guesses here cannot go on guessing at the sign-in, and the other way round.
    assert_eq!(code(change(&client, old.reveal(), NEW).await), Code::TooManyAttempts);
    for name in ["admin", "ADMIN"] {
        assert_eq!(code(sign_in(&world, name, old.reveal()).await), Code::TooManyAttempts);
    }
    world.time.advance(SignedDuration::from_secs(2));
    sign_in(&world, "admin", old.reveal()).await.unwrap();
}

#[tokio::test]
async fn the_service_itself_refuses_poor_passwords() {
    let world = World::new().await;
    let (old, token) = (world.password(), world.administrator_token().await);
    let long = "x".repeat(NewPassword::BYTES_MAX + 1);
    for new in ["", "eleven char", "two lines,\nthis is one", &long, old.reveal()] {
        let body = serde_json::json!({ "password": old.reveal(), "new_password": new });
        let reply = world
            .call("POST", "/api/v1/password", Some(&token), body.to_string().as_bytes())
            .await;
        assert_eq!(
            (reply.status, reply.code().as_deref()),
            (422, Some("InvalidPassword")),
            "{new}"
        );
    }
    sign_in(&world, "admin", old.reveal()).await.unwrap();
}
