//! Every way to sign in, as programs and browsers do it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;
use strongroom_api::{ASSERTION_TYPE, AddCertificate, CertificateKey, Client, PrincipalProof, Secret, SignIn};
use strongroom_model::Role;

use crate::world::World;
use crate::world::forms::{error, text};
use crate::world::people::PASSWORD;
use crate::world::raw::{Reply, escaped};

#[tokio::test]
async fn errors_have_the_shape_of_oauth_and_ours() {
    let world = World::new().await;
    for (form, status, expected) in [
        (vec![("grant_type", "magic")], 400, "unsupported_grant_type"),
        (vec![("grant_type", "password")], 400, "invalid_request"),
        (
            vec![("grant_type", "password"), ("username", "admin"), ("password", "x")],
            401,
            "invalid_grant",
        ),
        (
            vec![("grant_type", "refresh_token"), ("refresh_token", "x")],
            401,
            "invalid_grant",
        ),
        (
            vec![
                ("grant_type", "client_credentials"),
                ("client_id", "x"),
                ("client_secret", "y"),
            ],
            401,
            "invalid_client",
        ),
        (
            vec![("grant_type", "client_credentials"), ("client_id", "x")],
            400,
            "invalid_request",
        ),
        (
            vec![("grant_type", "client_credentials"), ("client_assertion", "x")],
            401,
            "invalid_client",
        ),
    ] {
        let reply = world.token_form(&form).await;
        assert_eq!(error(&reply), (status, expected.to_owned()), "{form:?}");
        assert_eq!(text(&reply, "error_description"), text(&reply, "detail"));
    }
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_forgiven_for_a_minute() {
    let world = World::new().await;
    world.user("eve", &[]).await;
    let first = text(&world.sign_in("eve", &[]).await, "refresh_token");
    let second = text(&world.refresh(&first).await, "refresh_token");
    assert_ne!(first, second);
    // The answer was lost, or two commands asked at once.
    let again = world.refresh(&first).await;
    assert_eq!(text(&again, "refresh_token"), second);
    world.time.advance(SignedDuration::from_secs(61));
    let third = text(&world.refresh(&second).await, "refresh_token");
    assert_eq!(world.refresh(&first).await.code().as_deref(), Some("TokenReused"));
    // It is over for whoever has the newest one, too.
    assert_eq!(world.refresh(&third).await.code().as_deref(), Some("TokenExpired"));
    let access = text(&world.sign_in("eve", &[]).await, "access_token");
    assert_eq!(world.refresh(&access).await.code().as_deref(), Some("Unauthenticated"));
}

#[tokio::test]
async fn many_guesses_at_once_are_bound_like_one_after_the_other() {
    let world = World::new().await;
    world.user("eve", &[]).await;
    let guess = |number: usize| {
        let world = &world;
        async move {
            let password = format!("guess {number}");
            let form = [("grant_type", "password"), ("username", "eve"), ("password", &password)];
            world.token_form(&form).await.status
        }
    };
    let statuses = futures_util::future::join_all((0..50).map(guess)).await;
    let of = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((of(401), of(429)), (5, 45), "{statuses:?}");
    assert_eq!(world.sign_in("eve", &[]).await.status, 429);
    world.time.advance(SignedDuration::from_secs(61));
    assert_eq!(world.sign_in("eve", &[]).await.status, 200);

    let (id, secret) = world.service_principal("robot").await;
    let id = id.to_string();
    let form = |secret| {
        [
            ("grant_type", "client_credentials"),
            ("client_id", &id),
            ("client_secret", secret),
        ]
    };
    let guesses =
        futures_util::future::join_all((0..20).map(|_| async { world.token_form(&form("x")).await.status })).await;
    assert_eq!(
        guesses.iter().filter(|status| **status == 401).count(),
        5,
        "{guesses:?}"
    );
    assert_eq!(world.token_form(&form(secret.reveal())).await.status, 429);
}

fn certificate(algorithm: &'static rcgen::SignatureAlgorithm) -> (String, String) {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let params = CertificateParams::new(vec!["robot".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

#[tokio::test]
async fn a_service_principal_signs_in_with_a_certificate() {
    let world = World::new().await;
    for (number, algorithm) in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_RSA_SHA256]
        .into_iter()
        .enumerate()
    {
        let name = format!("robot-{number}");
        let (id, _) = world.service_principal(&name).await;
        let (certificate, key) = certificate(algorithm);
        let add = AddCertificate {
            label: String::new(),
            certificate: certificate.clone(),
        };
        let added = world.administrator().await.add_certificate(&name, &add).await.unwrap();
        assert_eq!(added.thumbprint.unwrap().len(), 64);
        let both = Secret::new(format!("{certificate}{key}"));
        let proof = PrincipalProof::Certificate(CertificateKey::from_pem(&both).unwrap());
        let client = Client::new(world.client_options(), SignIn::ServicePrincipal { id, proof }).unwrap();
        assert_eq!(client.account().await.unwrap().name, name);
    }
    let refused = AddCertificate {
        label: String::new(),
        certificate: "no certificate".to_owned(),
    };
    let refused = world
        .administrator()
        .await
        .add_certificate("robot-0", &refused)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("BEGIN CERTIFICATE"), "{refused}");
}

#[tokio::test]
async fn an_assertion_is_for_its_principal_its_service_its_time_and_good_once() {
    let world = World::new().await;
    let (id, _) = world.service_principal("robot").await;
    let (other, _) = world.service_principal("other").await;
    let (pem, key) = certificate(&rcgen::PKCS_RSA_SHA256);
    let add = AddCertificate {
        label: String::new(),
        certificate: pem,
    };
    world
        .administrator()
        .await
        .add_certificate("robot", &add)
        .await
        .unwrap();
    let now = world.now().as_second();
    let audience = format!("{}/api/v1/token", world.service.url());
    let key = EncodingKey::from_rsa_pem(key.as_bytes()).unwrap();
    let sign =
        |algorithm, claims: serde_json::Value| jsonwebtoken::encode(&Header::new(algorithm), &claims, &key).unwrap();
    let (id, other) = (id.to_string(), other.to_string());
    let claims =
        |id: &str, audience: &str, exp: i64| json!({"iss": id, "sub": id, "aud": audience, "jti": "1", "exp": exp});
    let attempt = async |id: &str, assertion: &str| {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", id),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", assertion),
        ];
        world.time.advance(SignedDuration::from_secs(0));
        world.token_form(&form).await.status
    };
    let right = sign(Algorithm::RS256, claims(&id, &audience, now + 600));
    assert_eq!(attempt(&id, &right).await, 200);
    assert_eq!(attempt(&id, &right).await, 401, "it was used before");
    assert_eq!(
        attempt(&id, &sign(Algorithm::PS256, claims(&id, &audience, now + 599))).await,
        200
    );
    for (who, assertion) in [
        (&other, sign(Algorithm::RS256, claims(&other, &audience, now + 600))),
        (&id, sign(Algorithm::RS256, claims(&other, &audience, now + 601))),
        (
            &id,
            sign(
                Algorithm::RS256,
                claims(&id, "https://evil.example/api/v1/token", now + 602),
            ),
        ),
        (&id, sign(Algorithm::RS256, claims(&id, &audience, now))),
    ] {
        assert_eq!(attempt(who, &assertion).await, 401);
    }
    assert_eq!(
        attempt(&id, &sign(Algorithm::RS256, claims(&id, &audience, now + 86_400))).await,
        401
    );
}

fn hidden(page: &Reply, name: &str) -> String {
    let page = String::from_utf8_lossy(&page.body).into_owned();
    let start = page.split(&format!("name=\"{name}\" value=\"")).nth(1);
    let start = start.unwrap_or_else(|| panic!("no {name} in {page}"));
    start.split('"').next().unwrap().to_owned()
}

fn cookie(page: &Reply) -> String {
    let line = page
        .head
        .lines()
        .find(|line| line.to_lowercase().starts_with("set-cookie:"))
        .unwrap();
    assert!(line.contains("Secure; HttpOnly; SameSite=Strict"), "{line}");
    let pair = line.split_once(':').unwrap().1.split(';').next().unwrap().trim();
    format!("cookie: {pair}\r\n")
}

#[tokio::test]
async fn a_device_code_waits_for_a_person() {
    let world = World::new().await;
    world.user("eve", &[(Role::BackupReader, "subscription")]).await;
    let begun = world
        .form("/api/v1/device_authorization", "", &[("client_id", "cli<1>")])
        .await;
    assert_eq!((begun.status, begun.json()["interval"].as_i64()), (200, Some(5)));
    let (code, user_code) = (text(&begun, "device_code"), text(&begun, "user_code"));
    let poll = async || {
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        let form = [("grant_type", grant), ("client_id", "cli<1>"), ("device_code", &code)];
        world.token_form(&form).await
    };
    assert_eq!(error(&poll().await), (400, "authorization_pending".to_owned()));
    assert_eq!(error(&poll().await), (400, "slow_down".to_owned()));
    world.time.advance(SignedDuration::from_secs(9));
    assert_eq!(error(&poll().await), (400, "slow_down".to_owned()));
    world.time.advance(SignedDuration::from_secs(15));
    assert_eq!(error(&poll().await), (400, "authorization_pending".to_owned()));

    let page = world
        .call("GET", &format!("/device?user_code={user_code}"), None, b"")
        .await;
    for words in [
        "content-security-policy: default-src 'none'",
        "frame-ancestors 'none'",
        "no-store",
    ] {
        assert!(page.head.contains(words), "{}", page.head);
    }
    let (cookie, token) = (cookie(&page), hidden(&page, "form_token"));
    let small = user_code.to_lowercase();
    let code_form = [("form_token", token.as_str()), ("user_code", small.as_str())];
    assert_eq!(
        world.form("/device", "", &code_form).await.status,
        400,
        "another site sent it"
    );
    let shown = world.form("/device", &cookie, &code_form).await;
    let shown_text = String::from_utf8_lossy(&shown.body).into_owned();
    assert!(
        shown.status == 200 && shown_text.contains("cli&lt;1&gt;"),
        "{shown_text}"
    );
    let full = |password| {
        let more = [("username", "eve"), ("password", password), ("decision", "allow")];
        [&code_form[..], &more[..]].concat()
    };
    assert_eq!(world.form("/device", &cookie, &full("wrong")).await.status, 401);
    assert_eq!(error(&poll().await).0, 400);
    assert_eq!(world.form("/device", &cookie, &full(PASSWORD)).await.status, 200);
    let granted = poll().await;
    assert_eq!(world.whoami(&text(&granted, "access_token")).await, "eve");
    assert_eq!(
        error(&poll().await),
        (400, "expired_token".to_owned()),
        "it is good once"
    );
    assert_eq!(world.refresh(&text(&granted, "refresh_token")).await.status, 200);

    // User codes are guessed in vain: five attempts, then patience.
    let mut statuses = Vec::new();
    for number in 0..8 {
        let guess = format!("BBBB-BBB{number}");
        let form = [("form_token", token.as_str()), ("user_code", guess.as_str())];
        statuses.push(world.form("/device", &cookie, &form).await.status);
    }
    assert_eq!(statuses, [400, 400, 400, 400, 400, 429, 429, 429]);
}

#[tokio::test]
async fn a_device_code_is_refused_or_expires() {
    let world = World::new().await;
    let begin = async || {
        world
            .form("/api/v1/device_authorization", "", &[("client_id", "cli")])
            .await
    };
    let poll = async |code: &str| {
        let form = [
            ("grant_type", "device_code"),
            ("client_id", "cli"),
            ("device_code", code),
        ];
        error(&world.token_form(&form).await).1
    };
    let begun = begin().await;
    let page = world.call("GET", "/device", None, b"").await;
    let (cookie, token) = (cookie(&page), hidden(&page, "form_token"));
    let user_code = text(&begun, "user_code");
    let form = [
        ("form_token", token.as_str()),
        ("user_code", &user_code),
        ("decision", "refuse"),
    ];
    assert_eq!(world.form("/device", &cookie, &form).await.status, 200);
    assert_eq!(poll(&text(&begun, "device_code")).await, "access_denied");
    let late = begin().await;
    world.time.advance(SignedDuration::from_mins(15));
    assert_eq!(poll(&text(&late, "device_code")).await, "expired_token");
    assert_eq!(poll("nonsense").await, "expired_token");
}

#[tokio::test]
async fn a_browser_brings_a_code_that_only_the_program_can_use() {
    let world = World::new().await;
    world.user("eve", &[]).await;
    let verifier = "v".repeat(43);
    let challenge = URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA256,
        verifier.as_bytes(),
    ));
    let redirect = "http://127.0.0.1:1234/back?x=1";
    let asked = |redirect: &str| {
        vec![
            ("response_type".to_owned(), "code".to_owned()),
            ("client_id".to_owned(), "portal".to_owned()),
            ("redirect_uri".to_owned(), redirect.to_owned()),
            ("state".to_owned(), "a\"b&c".to_owned()),
            ("code_challenge".to_owned(), challenge.clone()),
            ("code_challenge_method".to_owned(), "S256".to_owned()),
        ]
    };
    let query = |fields: &[(String, String)]| {
        let pairs: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", escaped(value)))
            .collect();
        format!("/authorize?{}", pairs.join("&"))
    };
    for elsewhere in [
        "https://evil.example/",
        "http://127.0.0.1.evil.example/",
        "http://localhost@evil.example/",
        "",
    ] {
        let page = world.call("GET", &query(&asked(elsewhere)), None, b"").await;
        assert_eq!(page.status, 400, "{elsewhere}");
        assert!(!page.head.to_lowercase().contains("location:"));
    }
    let mut plain = asked(redirect);
    plain[5].1 = "plain".to_owned();
    let back = world.call("GET", &query(&plain), None, b"").await;
    assert!(
        back.status == 303 && back.head.contains("/back?x=1&error=invalid_request"),
        "{}",
        back.head
    );

    let page = world.call("GET", &query(&asked(redirect)), None, b"").await;
    assert!(
        page.status == 200 && page.head.contains("form-action 'self' http://127.0.0.1:1234;"),
        "{}",
        page.head
    );
    let (cookie, token) = (cookie(&page), hidden(&page, "form_token"));
    assert_eq!(hidden(&page, "state"), "a&quot;b&amp;c");
    let fill = |password: &str| {
        let mut form = asked(redirect);
        for (name, value) in [
            ("form_token", token.as_str()),
            ("username", "eve"),
            ("password", password),
        ] {
            form.push((name.to_owned(), value.to_owned()));
        }
        form
    };
    let send = async |form: Vec<(String, String)>, cookie: &str| {
        let form: Vec<(&str, &str)> = form
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        world.form("/authorize", cookie, &form).await
    };
    assert_eq!(send(fill(PASSWORD), "").await.status, 400, "another site sent it");
    assert_eq!(send(fill("wrong"), &cookie).await.status, 401);
    let code = async || {
        let back = send(fill(PASSWORD), &cookie).await;
        assert_eq!(back.status, 303);
        let location = back
            .head
            .lines()
            .find(|line| line.to_lowercase().starts_with("location:"))
            .unwrap()
            .to_owned();
        assert!(
            location.contains("&state=a%22b%26c") && location.contains("&iss=https"),
            "{location}"
        );
        location
            .split("code=")
            .nth(1)
            .unwrap()
            .split('&')
            .next()
            .unwrap()
            .to_owned()
    };
    let exchange = async |code: &str, client: &str, redirect: &str, verifier: &str| {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
        ];
        world.token_form(&form).await
    };
    let good = code().await;
    let granted = exchange(&good, "portal", redirect, &verifier).await;
    assert_eq!(world.whoami(&text(&granted, "access_token")).await, "eve");
    assert_eq!(
        error(&exchange(&good, "portal", redirect, &verifier).await).1,
        "invalid_grant",
        "good once"
    );
    let other = "w".repeat(43);
    for (client, address, verifier) in [
        ("other", redirect, &verifier),
        ("portal", "http://127.0.0.1:1234/", &verifier),
        ("portal", redirect, &other),
    ] {
        assert_eq!(
            error(&exchange(&code().await, client, address, verifier).await).1,
            "invalid_grant"
        );
    }
    let late = code().await;
    world.time.advance(SignedDuration::from_secs(60));
    assert_eq!(
        error(&exchange(&late, "portal", redirect, &verifier).await).1,
        "invalid_grant"
    );
}
