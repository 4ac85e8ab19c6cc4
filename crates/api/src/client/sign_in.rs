//! Who the client is, and the short-lived token that proves it.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use strongroom_model::{Clock, ContainerId};
use tokio::sync::Mutex;

use crate::{AssertionClaims, MachineKey, Secret, TokenRequest, TokenResponse, VaultCredentials};

/// How long before its end a token is no longer used.
const MARGIN_SECONDS: i64 = 30;

/// As whom a client calls.
#[derive(Debug, Clone)]
pub enum SignIn {
    /// As nobody: health and figures only.
    Nobody,
    /// As an administrator, whose session goes on by this refresh token.
    Administrator {
        /// From [`crate::AdministratorSession`].
        refresh_token: Secret,
    },
    /// As a registered machine.
    Machine {
        /// The machine's id.
        container: ContainerId,
        /// The key that it registered with.
        key: MachineKey,
    },
    /// As the bearer of a vault credentials file: for registering only.
    Credentials(Box<VaultCredentials>),
}

/// Keeps the present token and knows how to ask for the next one.
#[derive(Debug)]
pub(crate) struct Tokens {
    sign_in: SignIn,
    clock: Clock,
    /// The service's clock minus ours, in seconds, as far as we know.
    offset: AtomicI64,
    current: Mutex<Option<Token>>,
}

#[derive(Debug, Clone)]
struct Token {
    bearer: Secret,
    until: Timestamp,
}

/// How to get at the `Authorization` header of a call.
pub(crate) enum Bearer {
    /// There is none.
    None,
    /// Here it is.
    Ready(Secret),
    /// Ask the token endpoint for it with this request.
    Ask(TokenRequest),
}

impl Tokens {
    pub(crate) fn new(sign_in: SignIn, clock: Clock) -> Self {
        Self {
            sign_in,
            clock,
            offset: AtomicI64::new(0),
            current: Mutex::new(None),
        }
    }

    pub(crate) async fn bearer(&self) -> Bearer {
        let request = match &self.sign_in {
            SignIn::Nobody => return Bearer::None,
            SignIn::Credentials(credentials) => return Bearer::Ready(credentials.bearer()),
            SignIn::Administrator { refresh_token } => {
                let refresh_token = refresh_token.clone();
                TokenRequest::RefreshToken { refresh_token }
            }
            SignIn::Machine { container, key } => {
                let client_assertion = AssertionClaims::new(*container, self.service_time()).sign(key);
                TokenRequest::ClientCredentials { client_assertion }
            }
        };
        match &*self.current.lock().await {
            Some(token) if self.clock.now() < token.until => Bearer::Ready(token.bearer.clone()),
            _ => Bearer::Ask(request),
        }
    }

    pub(crate) async fn keep(&self, response: &TokenResponse) {
        let seconds = i64::try_from(response.expires_in).unwrap_or(i64::MAX).min(86_400);
        let life = SignedDuration::from_secs((seconds - MARGIN_SECONDS).max(0));
        let until = self.clock.now().saturating_add(life).unwrap_or(Timestamp::MIN);
        let bearer = response.access_token.clone();
        *self.current.lock().await = Some(Token { bearer, until });
    }

    pub(crate) async fn forget(&self) {
        *self.current.lock().await = None;
    }

    /// Learns the service's time, for machines whose clock is wrong.
    pub(crate) fn learn_time(&self, service: Timestamp) {
        let offset = service.as_second().saturating_sub(self.clock.now().as_second());
        self.offset.store(offset, Ordering::Relaxed);
    }

    fn service_time(&self) -> Timestamp {
        let offset = SignedDuration::from_secs(self.offset.load(Ordering::Relaxed));
        self.clock.now().saturating_add(offset).unwrap_or(Timestamp::MIN)
    }
}
