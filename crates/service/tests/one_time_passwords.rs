//! One-time passwords: begun, confirmed, asked for, used up and ended.

use jiff::SignedDuration;
use strongroom_api::Secret;

use crate::world::World;
use crate::world::forms::error;
use crate::world::people::{PASSWORD, totp};

#[tokio::test]
async fn one_time_passwords_are_asked_for_once_they_are_confirmed() {
    let world = World::new().await;
    world.user("eve", &[]).await;
    let eve = world.client_of("eve").await;
    let begun = eve.begin_one_time_passwords(Secret::new(PASSWORD)).await.unwrap();
    let code = |world: &World| totp(&begun.secret, world.now().as_second());
    assert_eq!(world.sign_in("eve", &[]).await.status, 200, "nothing is confirmed yet");
    assert!(eve.confirm_one_time_passwords(Secret::new("12345")).await.is_err());
    let first = code(&world);
    let recovery = eve
        .confirm_one_time_passwords(Secret::new(&first))
        .await
        .unwrap()
        .recovery_codes;
    assert_eq!(recovery.len(), 10);

    let missing = world.sign_in("eve", &[]).await;
    assert_eq!(missing.code().as_deref(), Some("OneTimePasswordRequired"));
    assert_eq!(error(&missing), (401, "invalid_grant".to_owned()));
    assert_eq!(
        world.sign_in("eve", &[("one_time_password", &first)]).await.status,
        401,
        "it was used"
    );
    world.time.advance(SignedDuration::from_secs(30));
    let second = code(&world);
    assert_eq!(
        world.sign_in("eve", &[("one_time_password", &second)]).await.status,
        200
    );
    assert_eq!(
        world.sign_in("eve", &[("one_time_password", &second)]).await.status,
        401,
        "it was used"
    );
    let spare = recovery[3].reveal().to_uppercase();
    assert_eq!(world.sign_in("eve", &[("one_time_password", &spare)]).await.status, 200);
    assert_eq!(
        world.sign_in("eve", &[("one_time_password", &spare)]).await.status,
        401,
        "it was used"
    );

    // Guesses are bound, too, when they come at once.
    world.time.advance(SignedDuration::from_mins(61));
    let guess = |number: usize| {
        let world = &world;
        async move {
            world
                .sign_in("eve", &[("one_time_password", &format!("{number:06}"))])
                .await
                .status
        }
    };
    let statuses = futures_util::future::join_all((0..20).map(guess)).await;
    assert_eq!(
        statuses.iter().filter(|status| **status == 401).count(),
        5,
        "{statuses:?}"
    );

    let administrator = world.administrator().await;
    administrator
        .reset_one_time_passwords(&"eve".parse().unwrap())
        .await
        .unwrap();
    world.time.advance(SignedDuration::from_mins(61));
    assert_eq!(world.sign_in("eve", &[]).await.status, 200);
    let eve = world.client_of("eve").await;
    let begun = eve.begin_one_time_passwords(Secret::new(PASSWORD)).await.unwrap();
    let code = totp(&begun.secret, world.now().as_second());
    let codes = eve
        .confirm_one_time_passwords(Secret::new(code))
        .await
        .unwrap()
        .recovery_codes;
    eve.end_one_time_passwords(Secret::new(PASSWORD), codes[0].clone())
        .await
        .unwrap();
    assert_eq!(world.sign_in("eve", &[]).await.status, 200);
}
