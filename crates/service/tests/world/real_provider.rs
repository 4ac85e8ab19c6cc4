//! A real provider of OpenID Connect: `scripts/oidc-provider`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use jiff::Timestamp;
use reqwest::{Client, Method, Response, Url, header};
use strongroom_api::{Secret, Trust};
use strongroom_model::Clock;
use strongroom_service::ProviderOptions;

/// The longest way through it, in steps.
const STEPS_MAX: usize = 20;

/// The provider. It ends when this is dropped, with its standard input.
pub struct RealProvider {
    pub url: String,
    child: Child,
}

impl RealProvider {
    pub fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/oidc-provider");
        let mut command = Command::new(script);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line.trim().to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "it says {url:?}");
        Self { url, child }
    }

    /// People may be sent back there, and nowhere else.
    pub fn sends_back_to(&mut self, address: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{address}").unwrap();
    }

    pub fn options(&self) -> ProviderOptions {
        ProviderOptions {
            name: "corp".parse().unwrap(),
            title: "Example".to_owned(),
            issuer: self.url.clone(),
            client_id: "strongroom".to_owned(),
            client_secret: Secret::new("a secret of the client"),
            scopes: vec!["profile".to_owned(), "email".to_owned()],
            name_claim: "preferred_username".to_owned(),
            create_users: true,
            email_domains: vec!["example.org".to_owned()],
            required: Some(strongroom_service::RequiredClaim {
                claim: "groups".to_owned(),
                values: vec!["backup".to_owned()],
            }),
            authority: None,
        }
    }
}

impl Drop for RealProvider {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A browser at the provider.
pub struct Visitor {
    client: Client,
    cookies: BTreeMap<String, String>,
}

impl Visitor {
    /// What it believes does not matter, as the provider has no TLS.
    pub fn new(trust: &Trust, clock: &Clock) -> Self {
        let client = Client::builder()
            .tls_backend_preconfigured(trust.client_config(clock).unwrap())
            .redirect(reqwest::redirect::Policy::none())
            .build();
        Self {
            client: client.unwrap(),
            cookies: BTreeMap::new(),
        }
    }

    /// What time it is there.
    pub async fn time(&mut self, url: &str) -> Timestamp {
        let answer = self.call(Method::GET, url.parse().unwrap(), "").await;
        let date = answer.headers()[header::DATE].to_str().unwrap().to_owned();
        jiff::fmt::rfc2822::parse(&date).unwrap().timestamp()
    }

    /// Goes from there through all pages of the provider, as a person who signs in as `name` and agrees; returns where it is
    /// sent in the end.
    pub async fn sign_in(&mut self, from: Url, name: &str) -> Url {
        let home = from.origin();
        let (mut method, mut at, mut form) = (Method::GET, from, String::new());
        for _ in 0..STEPS_MAX {
            if at.origin() != home {
                return at;
            }
            let answer = self.call(method, at.clone(), &form).await;
            let location = answer.headers().get(header::LOCATION);
            if let Some(location) = location {
                (method, form) = (Method::GET, String::new());
                at = at.join(location.to_str().unwrap()).unwrap();
                continue;
            }
            let status = answer.status();
            let page = answer.text().await.unwrap();
            let after = |text: &str| {
                page.split(text)
                    .nth(1)
                    .map(|rest| rest.split('"').next().unwrap().to_owned())
            };
            let action = after("action=\"").unwrap_or_else(|| panic!("{at} {status}: {page}"));
            let prompt = after("name=\"prompt\" value=\"").unwrap_or_else(|| panic!("no prompt in {page}"));
            (method, at) = (Method::POST, at.join(&action).unwrap());
            form = format!("prompt={prompt}&login={name}&password=anything");
        }
        panic!("it never ends: {at}")
    }

    async fn call(&mut self, method: Method, at: Url, form: &str) -> Response {
        let cookies: Vec<String> = (self.cookies.iter())
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = self
            .client
            .request(method, at)
            .header(header::COOKIE, cookies.join("; "))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.to_owned());
        let answer = request.send().await.unwrap();
        for cookie in answer.headers().get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        answer
    }
}
