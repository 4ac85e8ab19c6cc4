//! One call: attempts, sign-in, and reading the answer within bounds.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::pace::Way;
use super::sending::{body, while_it_moves};
use super::sign_in::Bearer;
use super::{Client, ClientError, SILENCE_SECONDS_MAX};
use crate::routes::{Header, RouteId};
use crate::{
    Code, MEMBERSHIP_HEADER, PROBLEM_CONTENT_TYPE, Problem, SECURITY_PIN_HEADER, SEED_HEADER, Secret, TokenRequest,
    TokenResponse,
};

/// The longest answer, in bytes, that is read into memory: lists of a hundred thousand recovery points fit.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// One request, which can be sent several times.
pub(crate) struct Call {
    method: Method,
    path: String,
    query: String,
    if_match: Option<u64>,
    pin: Option<Secret>,
    seed: Option<String>,
    /// Whether a membership secret may be shown.
    takes_membership: bool,
    content_type: &'static str,
    body: Option<Bytes>,
    /// Whether sending it twice does what sending it once does.
    idempotent: bool,
    /// How long the service may be silent before it begins to answer.
    thinking: Duration,
}

impl Call {
    pub(crate) fn new(route: RouteId, arguments: &[&(dyn std::fmt::Display + Sync)]) -> Self {
        let method = route.route().method.clone();
        Self {
            idempotent: method != Method::POST,
            method,
            path: route.path(arguments),
            query: String::new(),
            if_match: None,
            pin: None,
            seed: None,
            takes_membership: route.route().has(Header::Membership),
            content_type: "",
            body: None,
            thinking: Duration::from_secs(SILENCE_SECONDS_MAX),
        }
    }

    pub(crate) fn octets(mut self, body: Bytes) -> Self {
        self.content_type = "application/octet-stream";
        self.body = Some(body);
        self
    }

    pub(crate) fn json(mut self, body: &impl Serialize) -> Self {
        self.content_type = "application/json";
        self.body = Some(serde_json::to_vec(body).expect("plain fields always serialise").into());
        self
    }

    pub(crate) fn form(mut self, body: &impl Serialize) -> Self {
        let text = serde_urlencoded::to_string(body).expect("plain fields always serialise");
        self.content_type = "application/x-www-form-urlencoded";
        self.body = Some(text.into());
        self
    }

    /// What to ask for: the fields of `filter` that are set.
    pub(crate) fn query(mut self, filter: &impl Serialize) -> Self {
        self.query = serde_urlencoded::to_string(filter).expect("plain fields always serialise");
        self
    }

    /// Only if what is to be changed has this version.
    pub(crate) fn if_match(mut self, version: Option<u64>) -> Self {
        self.if_match = version;
        self
    }

    /// With a security PIN, which is good once: so it is not sent again.
    pub(crate) fn pin(mut self, pin: Option<&Secret>) -> Self {
        self.idempotent &= pin.is_none();
        self.pin = pin.cloned();
        self
    }

    /// With a machine's statement about the seed that is imported.
    pub(crate) fn seed(mut self, statement: &str) -> Self {
        self.seed = Some(statement.to_owned());
        self
    }

    /// A POST that may be sent again.
    pub(crate) fn repeatable(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// It takes the service so long, at most, before it begins to answer.
    pub(crate) fn thinking(mut self, most: Duration) -> Self {
        self.thinking = most;
        self
    }
}

impl Client {
    /// Sends the call until it succeeds, is refused, or the policy gives up; the answer has a success status.
    pub(crate) async fn send(&self, call: &Call) -> Result<Response, ClientError> {
        let mut attempts = self.attempts();
        loop {
            let error = match attempts.run(self.attempt(call)).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let Some(wait) = may_pass(&error, call.idempotent) else {
                return Err(error);
            };
            // A service that refuses the token of a long request may close before its answer is read.
            if matches!(error, ClientError::Interrupted { .. }) {
                self.shared.tokens.forget().await;
            }
            if !attempts.again(&error, wait).await {
                return Err(error);
            }
        }
    }

    pub(crate) async fn send_for_json<T: DeserializeOwned>(&self, call: Call) -> Result<T, ClientError> {
        let body = self.send_for_bytes(call).await?;
        serde_json::from_slice(&body).map_err(|error| ClientError::Protocol {
            what: error.to_string(),
        })
    }

    /// An answer that is cut counts as a failed attempt of its own, with attempts of its own.
    pub(crate) async fn send_for_bytes(&self, call: Call) -> Result<Bytes, ClientError> {
        let mut attempts = self.attempts();
        loop {
            let error = match self.read(self.send(&call).await?).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            let passing = may_pass(&error, call.idempotent).is_some();
            if !passing || !attempts.again(&error, Duration::ZERO).await {
                return Err(error);
            }
        }
    }

    pub(crate) async fn send_for_nothing(&self, call: Call) -> Result<(), ClientError> {
        self.send_for_bytes(call).await.map(drop)
    }

    /// One attempt. A token that is no longer good, and then a clock that is wrong, are put right.
    async fn attempt(&self, call: &Call) -> Result<Response, ClientError> {
        for _ in 0..2 {
            match self.attempt_signed(call).await {
                Err(ClientError::Refused(problem)) if self.put_right(&problem).await => {}
                result => return result,
            }
        }
        self.attempt_signed(call).await
    }

    async fn put_right(&self, problem: &Problem) -> bool {
        match (problem.code, problem.server_time) {
            (Code::AssertionRefused, Some(time)) => self.shared.tokens.learn_time(time),
            (Code::TokenExpired | Code::Unauthenticated, _) => self.shared.tokens.forget().await,
            _ => return false,
        }
        true
    }

    async fn attempt_signed(&self, call: &Call) -> Result<Response, ClientError> {
        let bearer = match self.shared.tokens.bearer(&self.token_address()).await {
            Bearer::None => None,
            Bearer::Ready(bearer) => Some(bearer),
            Bearer::Ask(request) => {
                let response = self.ask_for_token(&request).await?;
                self.shared.tokens.keep(&response).await;
                Some(response.access_token)
            }
        };
        self.exchange(call, bearer.as_ref()).await
    }

    /// What the token endpoint calls itself.
    fn token_address(&self) -> String {
        format!("{}{}", self.url(), RouteId::Token.path(&[]))
    }

    /// Asks the token endpoint, once.
    pub(crate) async fn ask_for_token(&self, request: &TokenRequest) -> Result<TokenResponse, ClientError> {
        let call = Call::new(RouteId::Token, &[]).form(request);
        let body = self.read(self.exchange(&call, None).await?).await?;
        serde_json::from_slice(&body).map_err(|error| ClientError::Protocol {
            what: error.to_string(),
        })
    }

    async fn exchange(&self, call: &Call, bearer: Option<&Secret>) -> Result<Response, ClientError> {
        let (moves, moved) = watch::channel(());
        let silence = Duration::from_secs(SILENCE_SECONDS_MAX);
        let sending = self.build(call, bearer, moves).send();
        let Some(sent) = while_it_moves(sending, moved, silence, call.thinking).await else {
            self.shared.transport.forget_idle();
            return Err(self.silent(silence.max(call.thinking)));
        };
        let response = sent.map_err(|error| self.lost(&error))?;
        match response.status().is_success() {
            true => {
                self.shared.absence.ends();
                Ok(response)
            }
            false => Err(self.refusal(response).await),
        }
    }

    fn build(&self, call: &Call, bearer: Option<&Secret>, moves: watch::Sender<()>) -> RequestBuilder {
        let mut url = self.shared.base.clone();
        url.set_path(&call.path);
        url.set_query((!call.query.is_empty()).then_some(&call.query));
        let mut request = self.shared.transport.http().request(call.method.clone(), url);
        if let Some(bearer) = bearer {
            request = request.bearer_auth(bearer.reveal());
        }
        if let Some(version) = call.if_match {
            request = request.header(header::IF_MATCH, format!("\"{version}\""));
        }
        if let Some(pin) = &call.pin {
            request = request.header(SECURITY_PIN_HEADER, pin.reveal());
        }
        if let Some(statement) = &call.seed {
            request = request.header(SEED_HEADER, statement);
        }
        if let Some(membership) = self.membership.as_ref().filter(|_| call.takes_membership) {
            request = request.header(MEMBERSHIP_HEADER, membership.reveal());
        }
        if let Some(bytes) = &call.body {
            request = request
                .header(header::CONTENT_TYPE, call.content_type)
                .header(header::CONTENT_LENGTH, bytes.len())
                .body(body(bytes.clone(), self.pace.clone(), moves));
        }
        request
    }

    async fn refusal(&self, response: Response) -> ClientError {
        let status = response.status();
        let typed = response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(PROBLEM_CONTENT_TYPE.as_bytes()));
        let body = match self.read(response).await {
            Ok(body) => body,
            Err(error) => return error,
        };
        match serde_json::from_slice(&body) {
            Ok(problem) if typed => ClientError::Refused(Box::new(problem)),
            _ => foreign(self.url(), status),
        }
    }

    async fn read(&self, mut response: Response) -> Result<Bytes, ClientError> {
        let mut body = BytesMut::new();
        while let Some(piece) = self.piece(&mut response).await? {
            if body.len() + piece.len() > ANSWER_BYTES_MAX {
                let what = format!("it is longer than {ANSWER_BYTES_MAX} bytes");
                return Err(ClientError::Protocol { what });
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }

    /// The next bytes of an answer.
    pub(crate) async fn piece(&self, response: &mut Response) -> Result<Option<Bytes>, ClientError> {
        let silence = Duration::from_secs(SILENCE_SECONDS_MAX);
        let Ok(piece) = tokio::time::timeout(silence, response.chunk()).await else {
            self.shared.transport.forget_idle();
            return Err(self.silent(silence));
        };
        let piece = piece.map_err(|error| self.lost(&error))?;
        if let Some(piece) = &piece {
            self.pace.pass(Way::Down, piece.len()).await;
        }
        Ok(piece)
    }

    fn silent(&self, time: Duration) -> ClientError {
        ClientError::Interrupted {
            url: self.url().to_owned(),
            why: format!("nothing came for {} s", time.as_secs()),
        }
    }

    pub(crate) fn lost(&self, error: &reqwest::Error) -> ClientError {
        ClientError::from_transport(self.url(), error, self.shared.absence.has_met())
    }
}

/// Something between us and the service answered: a proxy that is up while the service is not, or another program.
fn foreign(url: &str, status: StatusCode) -> ClientError {
    let why = format!("something in front of the service answered {status}: is the service running?");
    match status.as_u16() {
        503 => ClientError::Refused(Box::new(Problem::new(Code::Unavailable, why))),
        // The call may have been carried out.
        502 | 504 => ClientError::Interrupted {
            url: url.to_owned(),
            why,
        },
        _ => ClientError::Protocol {
            what: format!("HTTP status {status} without an explanation"),
        },
    }
}

/// Whether trying again may help, and how long to wait at least.
fn may_pass(error: &ClientError, idempotent: bool) -> Option<Duration> {
    match error {
        ClientError::Unreachable { .. } => Some(Duration::ZERO),
        ClientError::Interrupted { .. } if idempotent => Some(Duration::ZERO),
        ClientError::Refused(problem) => match problem.code {
            Code::Unavailable => Some(Duration::ZERO),
            Code::RequestTimeout if idempotent => Some(Duration::ZERO),
            Code::TooManyAttempts => problem.retry_after_seconds.map(Duration::from_secs),
            _ => None,
        },
        _ => None,
    }
}
