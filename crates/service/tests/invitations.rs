//! Links by which people set their passwords, and mail that finds whoever owns a vault.

use jiff::SignedDuration;
use strongroom_api::{AuditQuery, ChangeUser, Client, Code, CreateUser, Invitation, Secret, StopData, StopItem};
use strongroom_model::{Role, UserName};
use strongroom_service::{MailTls, NotifyOptions};

use crate::world;
use crate::world::World;
use crate::world::browser::{Browser, body, hidden};
use crate::world::forms::text;
use crate::world::people::PASSWORD;
use crate::world::raw::Reply;
use crate::world::receivers::{Sink, eventually};
use crate::world::scene::{Scene, code, vault, web};

const NEW: &str = "a password that eve chose";

fn through(sink: &Sink) -> NotifyOptions {
    NotifyOptions {
        mail: Some(sink.options(MailTls::None)),
        ..NotifyOptions::default()
    }
}

fn user(name: &str, email: &str) -> CreateUser {
    CreateUser {
        name: name.parse().unwrap(),
        email: email.to_owned(),
        password: None,
    }
}

fn name(text: &str) -> UserName {
    text.parse().unwrap()
}

/// Path and query of the link in a text.
fn link_in(world: &World, text: &str) -> String {
    let at = text
        .find("/welcome?link=")
        .unwrap_or_else(|| panic!("no link in {text}"));
    assert!(text[..at].ends_with(world.service.url()), "{text}");
    text[at..].split_whitespace().next().unwrap().to_owned()
}

fn handed_over(world: &World, invitation: &Invitation) -> String {
    link_in(world, invitation.link.as_ref().expect("it was not mailed").reveal())
}

/// Opens the link and fills the form.
async fn set(world: &World, link: &str, password: &str, again: &str) -> Reply {
    let browser = Browser::new(world);
    let page = browser.open(link).await;
    if page.status != 200 {
        return page;
    }
    let (token, secret) = (hidden(&page, "form_token"), hidden(&page, "link"));
    let form = [
        ("form_token", token.as_str()),
        ("link", &secret),
        ("password", password),
        ("again", again),
    ];
    browser.fill("/welcome", &form).await
}

async fn opens(world: &World, user: &str, password: &str) -> bool {
    Client::sign_in_administrator(world.client_options(), user, Secret::new(password))
        .await
        .is_ok()
}

#[tokio::test]
async fn who_is_new_gets_a_mail_with_a_link_that_is_good_once() {
    let sink = Sink::plain();
    let world = World::with(|options| options.notify = through(&sink)).await;
    let administrator = world.administrator().await;
    let created = administrator
        .create_user(&user("eve", "eve@example.org"))
        .await
        .unwrap();
    let invitation = created.invitation.unwrap();
    assert_eq!(
        (invitation.mailed_to.as_deref(), invitation.link),
        (Some("eve@example.org"), None)
    );
    assert!(!created.user.has_password && !opens(&world, "eve", "").await);
    let mails = sink.mails();
    let [mail] = &mails[..] else { panic!("{mails:?}") };
    assert_eq!(
        (mail.subject.as_str(), &mail.to[..]),
        ("[Strongroom] Set your password", &["eve@example.org".to_owned()][..])
    );
    for words in [
        "admin invites you",
        "your user name is eve",
        "until 2030-06-04 12:00 UTC",
        "strongroom login",
    ] {
        assert!(mail.text.contains(words), "{words:?} is not said: {}", mail.text);
    }
    let link = link_in(&world, &mail.text);
    // Programs that look at mails open links, too.
    for _ in 0..3 {
        assert_eq!(world.call("GET", &link, None, b"").await.status, 200);
    }
    for (password, again, words) in [
        ("eleven char", "eleven char", "has 11 characters"),
        (NEW, "another password", "differ"),
        ("", "", "has 0 characters"),
    ] {
        let page = set(&world, &link, password, again).await;
        assert!(page.status == 422 && body(&page).contains(words), "{}", body(&page));
    }
    let secret = link.split('=').nth(1).unwrap();
    let form = [("link", secret), ("password", NEW), ("again", NEW)];
    assert_eq!(
        world.form("/welcome", "", &form).await.status,
        400,
        "another site sent it"
    );
    let done = set(&world, &link, NEW, NEW).await;
    assert!(
        done.status == 200 && body(&done).contains("Your password is set"),
        "{}",
        body(&done)
    );
    assert!(opens(&world, "eve", NEW).await);
    let late = set(&world, &link, PASSWORD, PASSWORD).await;
    assert!(
        late.status == 400 && body(&late).contains("strongroom user invite"),
        "{}",
        body(&late)
    );
    assert!(!opens(&world, "eve", PASSWORD).await);
    let lines = administrator.audit(&AuditQuery::default()).await.unwrap().lines;
    let set: Vec<_> = lines.iter().filter(|line| line.path == "/welcome").collect();
    assert_eq!((set.len(), set[0].name.as_str()), (1, "eve"));
    assert!(!lines.iter().any(|line| line.path.contains(secret)));
}

#[tokio::test]
async fn a_link_ends_with_its_time_with_the_next_one_and_with_the_account() {
    let world = World::new().await;
    let administrator = world.administrator().await;
    let first = administrator
        .create_user(&user("eve", ""))
        .await
        .unwrap()
        .invitation
        .unwrap();
    assert!(first.mailed_to.is_none() && first.mail_error.is_none());
    let (first, second) = (
        handed_over(&world, &first),
        handed_over(&world, &administrator.invite_user(&name("eve")).await.unwrap()),
    );
    assert_eq!(set(&world, &first, NEW, NEW).await.status, 400);
    world.time.advance(SignedDuration::from_hours(71));
    assert_eq!(set(&world, &second, NEW, NEW).await.status, 200);

    // A forgotten password: what there is goes on until the link is used, and then nothing of it.
    let administrator = world.administrator().await;
    let refresh = world.form(
        "/api/v1/token",
        "",
        &[("grant_type", "password"), ("username", "eve"), ("password", NEW)],
    );
    let refresh = text(&refresh.await, "refresh_token");
    let third = handed_over(&world, &administrator.invite_user(&name("eve")).await.unwrap());
    assert!(opens(&world, "eve", NEW).await);
    assert_eq!(set(&world, &third, PASSWORD, PASSWORD).await.status, 200);
    assert!(!opens(&world, "eve", NEW).await && opens(&world, "eve", PASSWORD).await);
    assert_eq!(world.refresh(&refresh).await.code().as_deref(), Some("TokenExpired"));

    let late = handed_over(&world, &administrator.invite_user(&name("eve")).await.unwrap());
    world.time.advance(SignedDuration::from_hours(72));
    assert_eq!(set(&world, &late, NEW, NEW).await.status, 400);
    let administrator = world.administrator().await;
    let shut = handed_over(&world, &administrator.invite_user(&name("eve")).await.unwrap());
    let disabled = |disabled| ChangeUser {
        disabled: Some(disabled),
        ..ChangeUser::default()
    };
    administrator.change_user(&name("eve"), &disabled(true)).await.unwrap();
    assert_eq!(set(&world, &shut, NEW, NEW).await.status, 400);
    let refused = administrator.invite_user(&name("eve")).await.unwrap_err();
    assert_eq!(code(&refused), Code::AccountDisabled);
    administrator.change_user(&name("eve"), &disabled(false)).await.unwrap();
    administrator.delete_user(&name("eve")).await.unwrap();
    assert_eq!(set(&world, &shut, NEW, NEW).await.status, 400);
}

/// Whoever has the password allows a device code and waits with his question until the owner has set another one.
#[tokio::test]
async fn a_new_password_by_a_link_ends_what_is_about_to_become_a_session() {
    let world = World::new().await;
    world.user("eve", &[]).await;
    let device_code = allowed_device_code(&world, "eve").await;
    let administrator = world.administrator().await;
    let link = handed_over(&world, &administrator.invite_user(&name("eve")).await.unwrap());
    assert_eq!(set(&world, &link, NEW, NEW).await.status, 200);
    assert_eq!(poll(&world, &device_code).await, (400, "expired_token".to_owned()));
}

/// The same when the owner changes it, the account is shut, or an administrator takes the one-time passwords off it.
#[tokio::test]
async fn whatever_ends_sessions_ends_what_is_about_to_become_one() {
    let world = World::new().await;
    let administrator = world.administrator().await;
    let mine = world.user("eve", &[]).await;
    let code = allowed_device_code(&world, "eve").await;
    let change = format!("{{\"password\": \"{PASSWORD}\", \"new_password\": \"{NEW}\"}}");
    let changed = world
        .call("POST", "/api/v1/password", Some(&mine), change.as_bytes())
        .await;
    assert_eq!(changed.status, 200);
    assert_eq!(poll(&world, &code).await.1, "expired_token");

    world.user("bob", &[]).await;
    let refresh = text(&world.sign_in("bob", &[]).await, "refresh_token");
    let code = allowed_device_code(&world, "bob").await;
    administrator.reset_one_time_passwords(&name("bob")).await.unwrap();
    assert_eq!(poll(&world, &code).await.1, "expired_token");
    assert_eq!(world.refresh(&refresh).await.code().as_deref(), Some("TokenExpired"));

    world.user("carol", &[]).await;
    let refresh = text(&world.sign_in("carol", &[]).await, "refresh_token");
    let code = allowed_device_code(&world, "carol").await;
    for disabled in [true, false] {
        let change = ChangeUser {
            disabled: Some(disabled),
            ..ChangeUser::default()
        };
        administrator.change_user(&name("carol"), &change).await.unwrap();
    }
    assert_eq!(poll(&world, &code).await.1, "expired_token");
    assert_eq!(world.refresh(&refresh).await.code().as_deref(), Some("TokenExpired"));
}

/// A device code that the user has allowed, and that no program has asked for yet.
async fn allowed_device_code(world: &World, user: &str) -> String {
    let begun = world
        .form("/api/v1/device_authorization", "", &[("client_id", "cli")])
        .await;
    let browser = Browser::new(world);
    let token = hidden(&browser.open("/device").await, "form_token");
    let user_code = text(&begun, "user_code");
    let form = [
        ("form_token", token.as_str()),
        ("user_code", &user_code),
        ("username", user),
        ("password", PASSWORD),
        ("decision", "allow"),
    ];
    let done = browser.fill("/device", &form).await;
    assert!(body(&done).contains("Signed in"), "{}", body(&done));
    text(&begun, "device_code")
}

async fn poll(world: &World, device_code: &str) -> (u16, String) {
    let form = [
        ("grant_type", "device_code"),
        ("client_id", "cli"),
        ("device_code", device_code),
    ];
    world::forms::error(&world.token_form(&form).await)
}

#[tokio::test]
async fn what_cannot_be_mailed_is_handed_over() {
    let sink = Sink::plain();
    let world = World::with(|options| options.notify = through(&sink)).await;
    let administrator = world.administrator().await;
    let created = administrator
        .create_user(&user("eve", "refused@example.org"))
        .await
        .unwrap();
    let invitation = created.invitation.unwrap();
    assert!(
        invitation.mail_error.as_ref().unwrap().contains("nobody of that name"),
        "{invitation:?}"
    );
    assert_eq!(
        set(&world, &handed_over(&world, &invitation), NEW, NEW).await.status,
        200
    );
    let refused = administrator
        .create_user(&user("bob", "bob at home"))
        .await
        .unwrap_err();
    assert_eq!(code(&refused), Code::InvalidRequest);
    let change = ChangeUser {
        email: Some("eve@example.org".to_owned()),
        ..ChangeUser::default()
    };
    assert_eq!(
        administrator.change_user(&name("eve"), &change).await.unwrap().email,
        "eve@example.org"
    );
    let again = administrator.invite_user(&name("eve")).await.unwrap();
    assert_eq!(again.mailed_to.as_deref(), Some("eve@example.org"));
    let given = CreateUser {
        password: Some(Secret::new(PASSWORD)),
        ..user("bob", "bob@example.org")
    };
    assert!(administrator.create_user(&given).await.unwrap().invitation.is_none());
    assert_eq!(sink.mails().len(), 1);
}

#[tokio::test]
async fn mail_finds_whoever_owns_a_vault() {
    let sink = Sink::plain();
    let scene = Scene::of(World::with(|options| options.notify = through(&sink)).await).await;
    scene.world.vault("other").await;
    let administrator = scene.fresh_people().await;
    for (person, role, scope) in [
        ("owner", Role::Owner, "subscription"),
        ("group", Role::BackupContributor, "resource-group/default"),
        ("vault", Role::BackupContributor, "vault/main"),
        ("reader", Role::BackupReader, "subscription"),
        ("operator", Role::BackupOperator, "vault/main"),
        ("other", Role::Owner, "vault/other"),
        ("shut", Role::Owner, "vault/main"),
        ("silent", Role::Owner, "vault/main"),
    ] {
        scene.world.user(person, &[(role, scope)]).await;
        let change = ChangeUser {
            email: Some(if person == "silent" {
                String::new()
            } else {
                format!("{person}@example.org")
            }),
            disabled: (person == "shut").then_some(true),
        };
        administrator.change_user(&name(person), &change).await.unwrap();
    }
    // Nobody is to be told of anything, as far as the settings of the vault go.
    let delete = StopItem { data: StopData::Delete };
    administrator.stop_item(&vault(), &web(), &delete).await.unwrap();
    let title = "Delete Backup Data - web";
    eventually(title, async || Some(()).filter(|()| sink.about(title).len() == 3)).await;
    let mut to: Vec<String> = sink.about(title).into_iter().flat_map(|mail| mail.to).collect();
    to.sort();
    assert_eq!(to, ["group@example.org", "owner@example.org", "vault@example.org"]);
}
