//! People sign in with another provider: what is offered, who is let in, and what is not believed.

use jiff::SignedDuration;
use reqwest::Url;
use serde_json::{Value, json};
use strongroom_api::{AuditQuery, ChangeUser, Code, LinkIdentity, Secret};
use strongroom_model::{Role, UserName};
use strongroom_service::{ProviderOptions, RequiredClaim};

use crate::world::World;
use crate::world::browser::{Browser, body, headers, hidden, path_of, sent_on};
use crate::world::forms::{error, text};
use crate::world::issuer::Issuer;
use crate::world::people::{PASSWORD, totp};
use crate::world::raw::{ELSEWHERE, HERE, Reply};
use crate::world::real_provider::{RealProvider, Visitor};
use crate::world::scene::code;

async fn world_of(issuer: &Issuer, change: impl FnOnce(&mut ProviderOptions)) -> World {
    let mut options = issuer.options();
    change(&mut options);
    World::with(|serve| serve.providers = vec![options]).await
}

/// A program that waits under a code, and where its person's browser is sent on to.
struct Waiting<'a> {
    browser: Browser<'a>,
    device_code: String,
    address: Url,
}

impl<'a> Waiting<'a> {
    async fn begin(world: &'a World) -> Self {
        let browser = Browser::new(world);
        let begun = world
            .form("/api/v1/device_authorization", "", &[("client_id", "cli")])
            .await;
        let user_code = text(&begun, "user_code");
        let page = browser.open(&format!("/device?user_code={user_code}")).await;
        let token = hidden(&page, "form_token");
        let form = [("form_token", token.as_str()), ("user_code", &user_code)];
        let page = browser.fill("/device", &form).await;
        assert!(body(&page).contains("value=\"corp\" formnovalidate>Sign in with Example"));
        let sent = browser
            .fill("/device", &[&form[..], &[("provider", "corp")]].concat())
            .await;
        assert_eq!(sent.status, 200, "{}", body(&sent));
        let device_code = text(&begun, "device_code");
        let address = sent_on(&sent);
        Self {
            browser,
            device_code,
            address,
        }
    }

    /// What the program is told.
    async fn poll(&self, world: &World) -> Reply {
        world.time.advance(SignedDuration::from_secs(6));
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        let form = [
            ("grant_type", grant),
            ("client_id", "cli"),
            ("device_code", &self.device_code),
        ];
        world.token_form(&form).await
    }
}

/// Begins, and comes back as this person; returns the page and what the program is told.
async fn sign_in(world: &World, issuer: &Issuer, subject: &str, claims: Value) -> (Reply, Reply) {
    let waiting = Waiting::begin(world).await;
    let back = issuer.approve(world, &waiting.address, subject, claims);
    let page = waiting.browser.open(&back).await;
    let told = waiting.poll(world).await;
    (page, told)
}

#[track_caller]
fn refused(page: &Reply, status: u16, words: &[&str]) {
    let shown = body(page);
    assert_eq!(page.status, status, "{shown}");
    for words in words {
        assert!(shown.contains(words), "{words:?} is not said: {shown}");
    }
    assert!(shown.contains(">Begin again</a>"), "{shown}");
}

fn name(text: &str) -> UserName {
    text.parse().unwrap()
}

fn link(subject: &str) -> LinkIdentity {
    LinkIdentity {
        provider: "corp".parse().unwrap(),
        subject: subject.to_owned(),
    }
}

#[tokio::test]
async fn somebody_whom_an_administrator_linked_is_let_in_and_nobody_else() {
    let issuer = Issuer::start().await;
    let world = world_of(&issuer, |_| {}).await;
    world.user("eve", &[(Role::BackupReader, "subscription")]).await;
    let (page, told) = sign_in(
        &world,
        &issuer,
        "0 & 1",
        json!({"email": "eve@example.org", "email_verified": true}),
    )
    .await;
    // Neither the name nor the address makes anybody eve.
    refused(&page, 403, &["strongroom user link", "--subject &#39;0 &amp; 1&#39;"]);
    assert_eq!(error(&told).1, "authorization_pending");

    let administrator = world.administrator().await;
    let linked = administrator.link_identity(&name("eve"), &link("0 & 1")).await.unwrap();
    assert_eq!(
        (linked.issuer.as_str(), linked.created_by.as_str()),
        (issuer.url.as_str(), "admin")
    );
    // Wrong passwords of somebody else at the same address are no hindrance.
    for _ in 0..6 {
        world
            .token_form(&[("grant_type", "password"), ("username", "eve"), ("password", "x")])
            .await;
    }
    let (page, told) = sign_in(&world, &issuer, "0 & 1", json!({})).await;
    assert!(
        page.status == 200 && body(&page).contains("Signed in"),
        "{}",
        body(&page)
    );
    assert_eq!(world.whoami(&text(&told, "access_token")).await, "eve");
    let shown = administrator.user(&name("eve")).await.unwrap();
    assert_eq!(shown.identities[0].provider, Some("corp".parse().unwrap()));
    assert!(shown.identities[0].used.is_some());

    world.user("bob", &[]).await;
    for (user, wish, expected) in [
        ("bob", link("0 & 1"), Code::IdentityExists),
        ("bob", link(""), Code::InvalidRequest),
        ("nobody", link("2"), Code::PrincipalNotFound),
        (
            "bob",
            LinkIdentity {
                provider: "other".parse().unwrap(),
                ..link("2")
            },
            Code::ProviderNotFound,
        ),
    ] {
        let refused = administrator.link_identity(&name(user), &wish).await.unwrap_err();
        assert_eq!(code(&refused), expected);
    }
    // Unlinked, and out: at once, and next time.
    let refresh = text(&told, "refresh_token");
    let elsewhere = administrator
        .unlink_identity(&name("bob"), linked.id)
        .await
        .unwrap_err();
    assert_eq!(code(&elsewhere), Code::IdentityNotFound);
    administrator.unlink_identity(&name("eve"), linked.id).await.unwrap();
    assert_eq!(world.refresh(&refresh).await.code().as_deref(), Some("TokenExpired"));
    let (page, _) = sign_in(&world, &issuer, "0 & 1", json!({})).await;
    refused(&page, 403, &["strongroom user link"]);

    let lines = administrator.audit(&AuditQuery::default()).await.unwrap().lines;
    let seen: Vec<(String, String, u16)> = (lines.into_iter())
        .filter(|line| line.path.contains("external") || line.path.contains("identities"))
        .map(|line| (line.name, line.method, line.status))
        .collect();
    let line = |name: &str, method: &str, status| (name.to_owned(), method.to_owned(), status);
    let (failed, ended) = (line("corp", "GET", 403), line("admin", "DELETE", 204));
    assert_eq!(
        seen[..3],
        [failed.clone(), line("admin", "POST", 201), line("eve", "GET", 200)]
    );
    assert_eq!(seen[seen.len() - 2..], [ended, failed]);
}

/// Sends a program's browser to the page, and on; returns where it comes back in the end.
async fn authorize(world: &World, issuer: &Issuer, subject: &str, claims: Value) -> Reply {
    let browser = Browser::new(world);
    let query = "response_type=code&client_id=portal&redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fback&state=its+state\
                 &code_challenge=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa&code_challenge_method=S256";
    let page = browser.open(&format!("/authorize?{query}")).await;
    let mut form: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap();
    form.push(("form_token".to_owned(), hidden(&page, "form_token")));
    form.push(("provider".to_owned(), "corp".to_owned()));
    let form: Vec<(&str, &str)> = form
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let address = sent_on(&browser.fill("/authorize", &form).await);
    browser.open(&issuer.approve(world, &address, subject, claims)).await
}

#[tokio::test]
async fn a_newcomer_becomes_a_user_without_a_role_if_the_provider_may_do_that() {
    let issuer = Issuer::start().await;
    let world = world_of(&issuer, |options| options.create_users = true).await;
    let claims = json!({"preferred_username": "eve", "email": "eve@example.org", "email_verified": true});
    let back = authorize(&world, &issuer, "1", claims.clone()).await;
    let location = &headers(&back, "location")[0];
    assert!(
        back.status == 303 && location.starts_with("http://127.0.0.1:9/back?code="),
        "{location}"
    );
    assert!(location.contains("&state=its+state"), "{location}");
    let administrator = world.administrator().await;
    let eve = administrator.user(&name("eve")).await.unwrap();
    assert_eq!(
        (eve.email.as_str(), eve.has_password, eve.identities.len()),
        ("eve@example.org", false, 1)
    );
    // There is no password that would do.
    for password in ["", "x"] {
        let form = [("grant_type", "password"), ("username", "eve"), ("password", password)];
        assert_eq!(world.token_form(&form).await.status, 401);
    }
    let (_, told) = sign_in(&world, &issuer, "1", json!({"preferred_username": "renamed"})).await;
    let token = text(&told, "access_token");
    let account = world.call("GET", "/api/v1/account", Some(&token), b"").await.json();
    assert_eq!(
        (account["name"].as_str(), account["roles"].as_array().unwrap().len()),
        (Some("eve"), 0)
    );
    let own = world.call(
        "POST",
        "/api/v1/password",
        Some(&token),
        br#"{"password":"","new_password":"twelve letters"}"#,
    );
    assert!(body(&own.await).contains("strongroom user invite"));

    // Who has a name that is taken is not whoever has it.
    let back = authorize(&world, &issuer, "2", claims).await;
    refused(
        &back,
        403,
        &[
            "There is a user called eve already",
            "strongroom user link",
            "/authorize?response_type=code",
        ],
    );
    for (said, words) in [
        (json!("a b"), "cannot be a name here"),
        (Value::Null, "says &quot;&quot; for"),
    ] {
        let back = authorize(&world, &issuer, "3", json!({"preferred_username": said})).await;
        refused(&back, 403, &[words]);
    }
    let shut = ChangeUser {
        disabled: Some(true),
        ..ChangeUser::default()
    };
    administrator.change_user(&name("eve"), &shut).await.unwrap();
    let (page, told) = sign_in(&world, &issuer, "1", json!({})).await;
    refused(&page, 403, &["The account is shut"]);
    assert_eq!(error(&told).1, "authorization_pending");
    administrator.delete_user(&name("eve")).await.unwrap();
    let again = authorize(&world, &issuer, "1", json!({"preferred_username": "eve"})).await;
    assert_eq!(again.status, 303, "{}", body(&again));

    let lines = administrator.audit(&AuditQuery::default()).await.unwrap().lines;
    let made = lines
        .iter()
        .filter(|line| line.action.ends_with("principals/write") && line.path == "/external/corp");
    assert_eq!(made.map(|line| line.name.as_str()).collect::<Vec<_>>(), ["eve", "eve"]);
}

#[tokio::test]
async fn what_does_not_hold_is_not_believed() {
    let issuer = Issuer::start().await;
    let world = world_of(&issuer, |options| options.create_users = true).await;
    let now = || world.now().as_second();
    for (what, claims) in [
        ("wrong nonce", json!({"nonce": "0".repeat(64)})),
        ("no nonce", json!({"nonce": null})),
        ("other audience", json!({"aud": "another program"})),
        (
            "one audience too many",
            json!({"aud": ["strongroom", "another program"]}),
        ),
        ("other issuer", json!({"iss": "https://login.example.org"})),
        ("no subject", json!({"sub": null})),
    ] {
        let (page, told) = sign_in(&world, &issuer, "eve", claims).await;
        assert_eq!(
            (page.status, error(&told).1.as_str()),
            (400, "authorization_pending"),
            "{what}"
        );
        refused(&page, 400, &["cannot be relied on", "/device?user_code="]);
        world.time.advance(SignedDuration::from_secs(61));
    }
    for claims in [
        json!({"iat": now() - 600, "exp": now() - 61}),
        json!({"iat": now() + 90, "exp": now() + 600}),
    ] {
        let (page, _) = sign_in(&world, &issuer, "eve", claims).await;
        refused(&page, 400, &["cannot be relied on"]);
    }
    world.time.advance(SignedDuration::from_secs(61));
    // Clocks differ a little.
    let late = json!({"iat": now() - 600, "exp": now() - 50});
    assert_eq!(sign_in(&world, &issuer, "eve", late).await.0.status, 200);
    let early = json!({"iat": now() + 50, "exp": now() + 600});
    assert_eq!(sign_in(&world, &issuer, "eve", early).await.0.status, 200);
    assert_eq!(world.administrator().await.users().await.unwrap().users.len(), 2);
}

#[tokio::test]
async fn keys_are_those_that_the_provider_has_now() {
    let issuer = Issuer::start().await;
    let world = world_of(&issuer, |options| options.create_users = true).await;
    assert_eq!(sign_in(&world, &issuer, "eve", json!({})).await.0.status, 200);
    // Another key, and one of the same name.
    for id in ["second", "second"] {
        issuer.replace_key(id);
        assert_eq!(sign_in(&world, &issuer, "eve", json!({})).await.0.status, 200);
    }
    let waiting = Waiting::begin(&world).await;
    let back = issuer.approve(&world, &waiting.address, "eve", json!({}));
    issuer.replace_key("third");
    refused(&waiting.browser.open(&back).await, 400, &["cannot be relied on"]);
}

#[tokio::test]
async fn a_sign_in_belongs_to_the_browser_that_began_it() {
    let issuer = Issuer::start().await;
    let world = world_of(&issuer, |options| options.create_users = true).await;
    let waiting = Waiting::begin(&world).await;
    let back = issuer.approve(&world, &waiting.address, "eve", json!({}));
    let elsewhere = Browser::new(&world);
    refused(&elsewhere.open(&back).await, 400, &["not begun in this browser"]);
    let busy = Waiting::begin(&world).await;
    refused(&busy.browser.open(&back).await, 400, &["not begun in this browser"]);
    // Another's code in one's own sign-in: proof key and nonce are another's.
    let own = issuer.approve(&world, &busy.address, "mallory", json!({}));
    let state = own.split("&state=").nth(1).unwrap();
    let mixed = format!("{}&state={state}", back.split("&state=").next().unwrap());
    refused(&busy.browser.open(&mixed).await, 400, &["cannot be relied on"]);

    let waiting = Waiting::begin(&world).await;
    let back = issuer.approve(&world, &waiting.address, "eve", json!({}));
    refused(
        &waiting.browser.open(&back.replace("/corp?", "/other?")).await,
        400,
        &["not begun"],
    );
    let waiting = Waiting::begin(&world).await;
    let back = issuer.approve(&world, &waiting.address, "eve", json!({}));
    let page = waiting
        .browser
        .open(&format!("{back}&iss=https%3A%2F%2Fevil.example"))
        .await;
    refused(&page, 400, &["no answer of Example &lt;Corp&gt;"]);
    // A hundred failures are free, as all people of a house may come from one address; what comes then costs patience.
    for _ in 5..100 {
        refused(&waiting.browser.open(&back).await, 400, &["gone through with already"]);
    }
    refused(&waiting.browser.open(&back).await, 429, &["Too many"]);
    world.time.advance(SignedDuration::from_secs(61));
    refused(&waiting.browser.open(&back).await, 400, &["gone through with already"]);

    world.time.advance(SignedDuration::from_hours(2));
    let late = Waiting::begin(&world).await;
    let back = issuer.approve(
        &world,
        &late.address,
        "eve",
        json!({"exp": world.now().as_second() + 9000}),
    );
    world.time.advance(SignedDuration::from_mins(15));
    refused(&late.browser.open(&back).await, 400, &["took too long"]);
    assert_eq!(world.administrator().await.users().await.unwrap().users.len(), 1);
}

/// Behind one address are many people: that one of them fails is no hindrance to the others.
#[tokio::test]
async fn who_fails_does_not_shut_out_the_house() {
    let issuer = Issuer::start().await;
    let world = world_of(&issuer, |options| options.create_users = true).await;
    let stray = Browser::new(&world);
    for _ in 0..20 {
        refused(&stray.open("/external/corp?state=x&code=y").await, 400, &["not begun"]);
    }
    let (page, told) = sign_in(&world, &issuer, "eve", json!({"preferred_username": "eve"})).await;
    assert_eq!(page.status, 200, "{}", body(&page));
    assert_eq!(world.whoami(&text(&told, "access_token")).await, "eve");
}

/// Whoever takes all the places that his network has takes them from nobody else.
#[tokio::test]
async fn a_stranger_does_not_take_everybodys_places() {
    let issuer = Issuer::start().await;
    let world = world_of(&issuer, |options| options.create_users = true).await;
    let begin = async |address| {
        let form = [("client_id", "cli")];
        world
            .form_from(address, "/api/v1/device_authorization", "", &form)
            .await
    };
    let user_code = text(&begin(HERE).await, "user_code");
    for number in 1..100 {
        assert_eq!(begin(HERE).await.status, 200, "{number}");
    }
    let full = begin(HERE).await;
    assert_eq!((full.status, full.code().as_deref()), (503, Some("Unavailable")));
    let elsewhere = text(&begin(ELSEWHERE).await, "user_code");

    let send = async |browser: &Browser<'_>, code: &str| {
        let token = hidden(&browser.open("/device").await, "form_token");
        let form = [
            ("form_token", token.as_str()),
            ("user_code", code),
            ("provider", "corp"),
        ];
        browser.fill("/device", &form).await
    };
    let greedy = Browser::new(&world);
    for number in 0..100 {
        assert_eq!(send(&greedy, &user_code).await.status, 200, "{number}");
    }
    let full = send(&greedy, &user_code).await;
    assert!(
        full.status == 503 && body(&full).contains("Too many people"),
        "{}",
        body(&full)
    );
    let honest = Browser::at(&world, ELSEWHERE);
    assert_eq!(send(&honest, &elsewhere).await.status, 200);
    // Nor for ever.
    world.time.advance(SignedDuration::from_mins(15));
    assert_eq!(begin(HERE).await.status, 200);
}

#[tokio::test]
async fn a_provider_that_says_no_or_nothing() {
    let issuer = Issuer::start().await;
    let world = world_of(&issuer, |options| options.create_users = true).await;
    issuer.break_down(true);
    let browser = Browser::new(&world);
    let begun = world
        .form("/api/v1/device_authorization", "", &[("client_id", "cli")])
        .await;
    let user_code = text(&begun, "user_code");
    let page = browser.open("/device").await;
    let token = hidden(&page, "form_token");
    let form = [
        ("form_token", token.as_str()),
        ("user_code", &user_code),
        ("provider", "corp"),
    ];
    let page = browser.fill("/device", &form).await;
    assert_eq!(page.status, 503, "{}", body(&page));
    assert!(body(&page).contains("use a password"), "{}", body(&page));
    issuer.break_down(false);
    world.time.advance(SignedDuration::from_secs(5));
    let address = sent_on(&browser.fill("/device", &form).await);
    let state = address
        .query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap()
        .1
        .into_owned();
    let said = "error=access_denied&error_description=%3Cb%3Eyou+may+not.";
    let page = browser.open(&format!("/external/corp?{said}&state={state}")).await;
    refused(
        &page,
        400,
        &[
            "did not sign you in: &lt;b&gt;you may not.</p>",
            &format!("user_code={}", user_code.replace('-', "")),
        ],
    );
    let unknown = browser
        .fill("/device", &[&form[..2], &[("provider", "other")]].concat())
        .await;
    assert_eq!(unknown.status, 400);
}

#[tokio::test]
async fn only_people_of_whom_the_provider_says_what_the_settings_ask_for() {
    let issuer = Issuer::start().await;
    let required = |values: &[&str]| RequiredClaim {
        claim: "groups".to_owned(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    };
    // The token does not say it, but the other place where a provider tells more does.
    let world = world_of(&issuer, |options| {
        options.create_users = true;
        options.required = Some(required(&["it", "backup"]));
    })
    .await;
    assert_eq!(sign_in(&world, &issuer, "eve", json!({})).await.0.status, 200);
    let (page, _) = sign_in(&world, &issuer, "eve", json!({"groups": ["sales"]})).await;
    refused(&page, 403, &["groups it or backup"]);
    let world = world_of(&issuer, |options| {
        options.create_users = true;
        options.email_domains = vec!["example.org".to_owned()];
    })
    .await;
    let (page, _) = sign_in(&world, &issuer, "eve", json!({"email": "eve@example.org"})).await;
    refused(&page, 403, &["verified e-mail address is in example.org"]);
}

#[tokio::test]
async fn the_last_owner_keeps_a_way_in() {
    let issuer = Issuer::start().await;
    let world = world_of(&issuer, |options| options.create_users = true).await;
    assert_eq!(sign_in(&world, &issuer, "eve", json!({})).await.0.status, 200);
    world.assign("eve", Role::Owner, "subscription").await;
    let administrator = world.administrator().await;
    let identity = administrator.user(&name("eve")).await.unwrap().identities[0].id;
    let (_, told) = sign_in(&world, &issuer, "eve", json!({})).await;
    let token = text(&told, "access_token");
    let gone = world.call("DELETE", "/api/v1/users/admin", Some(&token), b"").await;
    assert_eq!(gone.status, 204, "{}", body(&gone));
    let path = format!("/api/v1/users/eve/identities/{identity}");
    let kept = world.call("DELETE", &path, Some(&token), b"").await;
    assert_eq!(kept.code().as_deref(), Some("LastOwner"));
}

#[tokio::test]
async fn one_time_passwords_are_the_providers_business() {
    let issuer = Issuer::start().await;
    let world = world_of(&issuer, |_| {}).await;
    world.user("eve", &[]).await;
    let eve = world.client_of("eve").await;
    let begun = eve.begin_one_time_passwords(Secret::new(PASSWORD)).await.unwrap();
    let shown = totp(&begun.secret, world.now().as_second());
    eve.confirm_one_time_passwords(Secret::new(shown)).await.unwrap();
    assert_eq!(
        world.sign_in("eve", &[]).await.code().as_deref(),
        Some("OneTimePasswordRequired")
    );
    world
        .administrator()
        .await
        .link_identity(&name("eve"), &link("1"))
        .await
        .unwrap();
    assert_eq!(sign_in(&world, &issuer, "1", json!({})).await.0.status, 200);
}

/// With a provider that others wrote: the whole way, by a device code, twice.
#[tokio::test]
async fn a_real_provider() {
    let mut provider = RealProvider::start();
    // It knows nothing of our clock: we go by its own.
    let other = World::new().await;
    let mut visitor = Visitor::new(&other.trust(), &other.clock);
    let now = visitor.time(&provider.url).await;
    let world = World::at(now, |options| options.providers = vec![provider.options()]).await;
    provider.sends_back_to(&format!("{}/external/corp", world.service.url()));
    for (person, known) in [("eve", 2), ("eve", 2), ("bob", 3)] {
        let waiting = Waiting::begin(&world).await;
        let mut visitor = Visitor::new(&other.trust(), &other.clock);
        let back = visitor.sign_in(waiting.address.clone(), person).await;
        assert!(back.as_str().starts_with(world.service.url()), "{back}");
        let page = waiting.browser.open(&path_of(&back)).await;
        assert_eq!(page.status, 200, "{}", body(&page));
        let token = text(&waiting.poll(&world).await, "access_token");
        assert_eq!(world.whoami(&token).await, person);
        let users = world.administrator().await.users().await.unwrap().users;
        assert_eq!(users.len(), known);
        let user = users.iter().find(|user| user.name == person).unwrap();
        assert_eq!(user.identities[0].subject, person);
        assert_eq!(user.email, format!("{person}@example.org"));
    }
    // A code is good once, there too: whoever comes back twice is not let in again.
    let waiting = Waiting::begin(&world).await;
    let back = path_of(
        &Visitor::new(&other.trust(), &other.clock)
            .sign_in(waiting.address.clone(), "eve")
            .await,
    );
    assert_eq!(waiting.browser.open(&back).await.status, 200);
    refused(&waiting.browser.open(&back).await, 400, &["gone through with already"]);
    let again = Waiting::begin(&world).await;
    let state = again
        .address
        .query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap()
        .1
        .into_owned();
    let code = back.split("code=").nth(1).unwrap().split('&').next().unwrap();
    let page = again
        .browser
        .open(&format!("/external/corp?code={code}&state={state}"))
        .await;
    refused(&page, 400, &["cannot be relied on"]);
}
