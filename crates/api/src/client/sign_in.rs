//! Who the client is, and the short-lived token that proves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use strongroom_model::{ApplicationId, Clock, ContainerId};
use tokio::sync::Mutex;

use crate::{
    ASSERTION_TYPE, AssertionClaims, CertificateKey, MachineKey, Secret, TokenRequest, TokenResponse, VaultCredentials,
};

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
    /// As a person whose session other programs go on with too: the newest refresh token is kept where they find it.
    Session(Arc<dyn SessionKeeper>),
    /// As a service principal.
    ServicePrincipal {
        /// Its id.
        id: ApplicationId,
        /// What proves it.
        proof: PrincipalProof,
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

/// Keeps the newest refresh token of a session. Each is good once: whoever used one leaves the next for the others.
pub trait SessionKeeper: std::fmt::Debug + Send + Sync {
    /// The newest one that anybody left.
    fn newest(&self) -> Option<Secret>;
    /// Leaves the next one.
    fn keep(&self, refresh_token: &Secret);
}

/// What a service principal signs in with.
#[derive(Debug, Clone)]
pub enum PrincipalProof {
    /// A secret.
    Secret(Secret),
    /// The key of a certificate.
    Certificate(CertificateKey),
}

/// Keeps the present token and knows how to ask for the next one.
#[derive(Debug)]
pub(crate) struct Tokens {
    sign_in: SignIn,
    clock: Clock,
    /// The service's clock minus ours, in seconds, as far as we know.
    offset: AtomicI64,
    current: Mutex<Option<Token>>,
    /// The newest refresh token that this client was given itself.
    refresh: std::sync::Mutex<Option<Secret>>,
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
            refresh: std::sync::Mutex::default(),
        }
    }

    /// `audience`: whom a service principal's assertion is for.
    pub(crate) async fn bearer(&self, audience: &str) -> Bearer {
        if let Some(token) = &*self.current.lock().await
            && self.clock.now() < token.until
        {
            return Bearer::Ready(token.bearer.clone());
        }
        Bearer::Ask(match &self.sign_in {
            SignIn::Nobody => return Bearer::None,
            SignIn::Credentials(credentials) => return Bearer::Ready(credentials.bearer()),
            SignIn::Administrator { refresh_token } => {
                let newest = self.own_refresh().clone();
                let refresh_token = newest.unwrap_or_else(|| refresh_token.clone());
                TokenRequest::RefreshToken { refresh_token }
            }
            SignIn::Session(keeper) => {
                let newest = keeper.newest().or_else(|| self.own_refresh().clone());
                let refresh_token = newest.unwrap_or_else(|| Secret::new(""));
                TokenRequest::RefreshToken { refresh_token }
            }
            SignIn::ServicePrincipal { id, proof } => match proof {
                PrincipalProof::Secret(secret) => TokenRequest::ClientSecret {
                    client_id: id.to_string(),
                    client_secret: secret.clone(),
                },
                PrincipalProof::Certificate(key) => TokenRequest::ClientCertificate {
                    client_id: id.to_string(),
                    client_assertion_type: ASSERTION_TYPE.to_owned(),
                    client_assertion: key.assert(*id, audience, self.service_time()),
                },
            },
            SignIn::Machine { container, key } => {
                let client_assertion = AssertionClaims::new(*container, self.service_time()).sign(key);
                TokenRequest::ClientCredentials { client_assertion }
            }
        })
    }

    pub(crate) fn newest_refresh(&self) -> Option<Secret> {
        self.own_refresh().clone()
    }

    fn own_refresh(&self) -> std::sync::MutexGuard<'_, Option<Secret>> {
        self.refresh.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) async fn keep(&self, response: &TokenResponse) {
        let seconds = i64::try_from(response.expires_in).unwrap_or(i64::MAX).min(86_400);
        let life = SignedDuration::from_secs((seconds - MARGIN_SECONDS).max(0));
        let until = self.clock.now().saturating_add(life).unwrap_or(Timestamp::MIN);
        let bearer = response.access_token.clone();
        if let Some(next) = &response.refresh_token {
            *self.own_refresh() = Some(next.clone());
            if let SignIn::Session(keeper) = &self.sign_in {
                keeper.keep(next);
            }
        }
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
