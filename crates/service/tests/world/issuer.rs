//! A small issuer of OpenID Connect that can be told to lie. The library that tokens are checked with is not used here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Url;
use serde_json::{Value, json};
use strongroom_api::Secret;
use strongroom_service::ProviderOptions;
use tokio::net::TcpListener;

use super::World;

const SECRET: &str = "a secret of the client";

/// An issuer.
pub struct Issuer {
    pub url: String,
    shared: Arc<Issuing>,
}

struct Issuing {
    url: String,
    key: Mutex<Key>,
    /// Each code is good once.
    codes: Mutex<HashMap<String, Approved>>,
    count: AtomicUsize,
    broken: Mutex<bool>,
}

struct Approved {
    challenge: String,
    redirect: String,
    token: String,
    more: Value,
}

struct Key {
    id: String,
    private: EncodingKey,
    public: Value,
}

impl Key {
    fn new(id: &str) -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let point = pair.public_key_raw();
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        Self {
            id: id.to_owned(),
            private: EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap(),
            public: json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": id,
                "x": text(&point[1..33]), "y": text(&point[33..])}),
        }
    }

    fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.id.clone());
        jsonwebtoken::encode(&header, claims, &self.private).unwrap()
    }
}

impl Issuer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Issuing {
            url: url.clone(),
            key: Mutex::new(Key::new("first")),
            codes: Mutex::default(),
            count: AtomicUsize::default(),
            broken: Mutex::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/me", get(me))
            .with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared }
    }

    /// What the service's configuration says about it.
    pub fn options(&self) -> ProviderOptions {
        ProviderOptions {
            name: "corp".parse().unwrap(),
            title: "Example <Corp>".to_owned(),
            issuer: self.url.clone(),
            client_id: "strongroom".to_owned(),
            client_secret: Secret::new(SECRET),
            scopes: vec!["profile".to_owned(), "email".to_owned()],
            name_claim: "preferred_username".to_owned(),
            create_users: false,
            email_domains: vec![],
            required: None,
            authority: None,
        }
    }

    /// A person called `subject` signs in there and agrees. `change` is what the token says besides; `null` takes a claim out.
    /// Returns path and query that the browser is sent back with.
    pub fn approve(&self, world: &World, address: &Url, subject: &str, change: Value) -> String {
        let query: HashMap<_, _> = address.query_pairs().into_owned().collect();
        let is = |name: &str, value: &str| assert_eq!(query[name], value, "{address}");
        assert!(
            address.as_str().starts_with(&format!("{}/login?", self.url)),
            "{address}"
        );
        is("client_id", "strongroom");
        is("response_type", "code");
        is("code_challenge_method", "S256");
        assert!(query["scope"].split(' ').any(|scope| scope == "openid"), "{address}");
        let now = world.now().as_second();
        let mut claims = json!({
            "iss": self.url, "sub": subject, "aud": "strongroom", "iat": now, "exp": now + 300,
            "nonce": query["nonce"], "preferred_username": subject,
        });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let token = self.shared.key.lock().unwrap().sign(&claims);
        let code = format!("code-{}", self.shared.count.fetch_add(1, Ordering::Relaxed));
        let approved = Approved {
            challenge: query["code_challenge"].clone(),
            redirect: query["redirect_uri"].clone(),
            token,
            more: json!({"sub": subject, "groups": ["backup"]}),
        };
        self.shared.codes.lock().unwrap().insert(code.clone(), approved);
        let path = Url::parse(&query["redirect_uri"]).unwrap().path().to_owned();
        format!("{path}?code={code}&state={}", query["state"])
    }

    /// Has another key from now on, and only that.
    pub fn replace_key(&self, id: &str) {
        *self.shared.key.lock().unwrap() = Key::new(id);
    }

    /// Whether it answers anything but errors.
    pub fn break_down(&self, broken: bool) {
        *self.shared.broken.lock().unwrap() = broken;
    }
}

async fn configuration(State(issuing): State<Arc<Issuing>>) -> Response {
    if *issuing.broken.lock().unwrap() {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let at = |path: &str| format!("{}/{path}", issuing.url);
    let configuration = json!({
        "issuer": issuing.url, "authorization_endpoint": at("login"), "token_endpoint": at("token"),
        "jwks_uri": at("keys"), "userinfo_endpoint": at("me"), "response_types_supported": ["code"],
        "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256"],
    });
    Json(configuration).into_response()
}

async fn keys(State(issuing): State<Arc<Issuing>>) -> Json<Value> {
    Json(json!({"keys": [issuing.key.lock().unwrap().public]}))
}

async fn token(State(issuing): State<Arc<Issuing>>, headers: HeaderMap, body: String) -> Response {
    let form: HashMap<String, String> = serde_urlencoded::from_str(&body).unwrap();
    let basic = format!(
        "Basic {}",
        STANDARD.encode(format!("strongroom:{}", SECRET.replace(' ', "+")))
    );
    let known = headers
        .get("authorization")
        .is_some_and(|value| value.as_bytes() == basic.as_bytes());
    let approved = issuing.codes.lock().unwrap().remove(&form["code"]);
    let proved = |approved: &Approved| {
        let proof = URL_SAFE_NO_PAD.encode(digest(&SHA256, form["code_verifier"].as_bytes()));
        proof == approved.challenge && form["redirect_uri"] == approved.redirect
    };
    let Some(approved) = approved.filter(|approved| known && proved(approved)) else {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))).into_response();
    };
    let access = URL_SAFE_NO_PAD.encode(approved.more.to_string());
    Json(json!({"access_token": access, "token_type": "Bearer", "expires_in": 60, "id_token": approved.token}))
        .into_response()
}

/// What the token did not say is in the access token, for the sake of simplicity.
async fn me(headers: HeaderMap) -> Json<Value> {
    let bearer = headers["authorization"]
        .to_str()
        .unwrap()
        .strip_prefix("Bearer ")
        .unwrap();
    Json(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(bearer).unwrap()).unwrap())
}
