//! What mails and webhooks of a test arrive at.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse as _;
use serde::Deserialize;
use strongroom_service::{MailOptions, MailTls};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// The longest that a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until there is something.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A mail that came.
#[derive(Debug, Clone, Deserialize)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    pub subject: String,
    pub text: String,
    pub headers: std::collections::HashMap<String, String>,
    pub tls: bool,
    pub user: String,
}

/// A real mail server: `scripts/smtp-sink`.
pub struct Sink {
    pub folder: TempDir,
    pub port: u16,
    /// The certificate of the authority that its own is from, if it wants TLS.
    pub authority: Option<String>,
    /// Ends when this is dropped, with its standard input.
    child: Child,
}

impl Sink {
    pub fn plain() -> Self {
        Self::start(tempfile::tempdir().unwrap(), None)
    }

    /// One that takes nothing before TLS and a sign-in.
    pub fn starttls() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (authority, certificate, key) = certificates();
        std::fs::write(folder.path().join("server.pem"), certificate).unwrap();
        std::fs::write(folder.path().join("server.key"), key).unwrap();
        Self::start(folder, Some(authority))
    }

    fn start(folder: TempDir, authority: Option<String>) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/smtp-sink");
        let mut command = Command::new(script);
        command.arg(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        if authority.is_some() {
            command.arg("starttls");
        }
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let port = line.trim().parse().expect("the sink says its port");
        Self {
            folder,
            port,
            authority,
            child,
        }
    }

    pub fn options(&self, tls: MailTls) -> MailOptions {
        MailOptions {
            host: "127.0.0.1".to_owned(),
            port: Some(self.port),
            tls,
            authority: self.authority.clone(),
            from: "strongroom@example.org".parse().unwrap(),
            sign_in: None,
        }
    }

    /// All mails so far, oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        let read = |path: &PathBuf| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        paths.iter().map(read).collect()
    }

    /// Those with this in their subjects.
    pub fn about(&self, words: &str) -> Vec<Mail> {
        let mut mails = self.mails();
        mails.retain(|mail| mail.subject.contains(words));
        mails
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// An authority, and a certificate and its key for 127.0.0.1.
fn certificates() -> (String, String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(vec![]).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = parameters.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(parameters, key);
    let server_key = rcgen::KeyPair::generate().unwrap();
    let server = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = server.signed_by(&server_key, &issuer).unwrap();
    (authority.pem(), certificate.pem(), server_key.serialize_pem())
}

/// A call that came.
#[derive(Debug, Clone)]
pub struct Call {
    pub signature: String,
    pub body: Bytes,
}

/// A receiver of webhooks, which answers as it is told.
pub struct Receiver {
    pub url: String,
    shared: Arc<Received>,
}

#[derive(Default)]
struct Received {
    calls: Mutex<Vec<Call>>,
    answers: Mutex<VecDeque<u16>>,
}

impl Receiver {
    /// Answers with these statuses one after the other, then always 200.
    pub async fn start(answers: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let shared = Arc::new(Received {
            calls: Mutex::default(),
            answers: Mutex::new(answers.iter().copied().collect()),
        });
        let router = Router::new().fallback(receive).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared }
    }

    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap().clone()
    }
}

async fn receive(State(shared): State<Arc<Received>>, headers: HeaderMap, body: Bytes) -> axum::response::Response {
    let signature = headers.get("strongroom-signature").map(|value| value.to_str().unwrap());
    shared.calls.lock().unwrap().push(Call {
        signature: signature.unwrap_or_default().to_owned(),
        body,
    });
    let status = shared.answers.lock().unwrap().pop_front().unwrap_or(200);
    let location = [(header::LOCATION, "/elsewhere")];
    (StatusCode::from_u16(status).unwrap(), location).into_response()
}
