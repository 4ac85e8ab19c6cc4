//! One provider of OpenID Connect: found by discovery, asked with a code, and believed only as far as its signature goes.

use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClientAuthMethod, CoreErrorResponseType,
    CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreProviderMetadata,
    CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::http;
use openidconnect::{
    AccessToken, AdditionalClaims, AuthType, AuthorizationCode, ClaimsVerificationError, Client, ClientId,
    ClientSecret, CsrfToken, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, IdTokenFields, IssuerUrl, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, Scope, StandardErrorResponse, StandardTokenResponse, SubjectIdentifier, TokenResponse as _,
    UserInfoClaims,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strongroom_api::Secret;
use tokio::sync::Mutex;

use crate::outgoing;
use crate::provider_options::{ProviderError, ProviderOptions};

/// The longest that a provider may take for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// The longest answer of a provider, in bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// For so long browsers are sent where a provider said.
const KNOWN_SECONDS: i64 = 3600;

/// For so long a provider that did not answer is not asked again: strangers can make us ask.
const AWAY_SECONDS: i64 = 5;

/// How far the provider's clock and ours may be apart, in seconds.
const SKEW_SECONDS: i64 = 60;

/// Signatures that only the holder of a private key can make.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// Claims that the standard does not know, such as groups.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Others(Map<String, Value>);

impl AdditionalClaims for Others {}

type Fields = IdTokenFields<
    Others,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

type Tokens = StandardTokenResponse<Fields, CoreTokenType>;

/// The library's client: who we are at this provider.
type Party = Client<
    Others,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// A provider.
pub(super) struct Provider {
    pub(super) options: ProviderOptions,
    issuer: IssuerUrl,
    /// Where it sends browsers back to.
    redirect: RedirectUrl,
    http: reqwest::Client,
    known: Mutex<Known>,
}

/// What is known of a provider.
enum Known {
    Nothing,
    Read(Box<CoreProviderMetadata>, Timestamp),
    Away(Timestamp),
}

/// What binds an answer of the provider to the browser that was sent there.
pub(super) struct Binding {
    /// Comes back in the address.
    pub(super) state: String,
    /// Comes back inside the token.
    pub(super) nonce: String,
    /// Proves to the provider that whoever brings the code is who asked.
    pub(super) verifier: String,
}

/// What the provider says about a person.
#[derive(Debug)]
pub(super) struct Vouched {
    /// What it calls the person, for ever.
    pub(super) subject: String,
    /// All that it says.
    pub(super) claims: Map<String, Value>,
}

/// Why a provider's word does not help. The text is for the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// It does not answer as a provider does.
    #[error("{0}")]
    Away(String),
    /// It refuses the code, or what it says cannot be believed.
    #[error("{0}")]
    NotBelieved(String),
}

/// A call that did not come to an answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct CallError(String);

impl Provider {
    /// Nothing is asked yet. `url` is where browsers reach this service.
    pub(super) fn new(options: ProviderOptions, url: &str) -> Result<Self, ProviderError> {
        let refuse = |why: String| ProviderError {
            name: options.name.clone(),
            why,
        };
        let issuer = outgoing::checked(&options.issuer).filter(|url| url.query().is_none() && url.fragment().is_none());
        if issuer.is_none() {
            let why = format!(
                "\"{}\" is no issuer: it must look like https://login.example.org",
                options.issuer
            );
            return Err(refuse(why));
        }
        if options.client_id.is_empty() || options.client_secret.reveal().is_empty() {
            return Err(refuse(
                "it needs a client_id, and a secret in the secret_file".to_owned(),
            ));
        }
        let http = outgoing::client(options.authority.as_deref(), ANSWER_MAX);
        let http = http.map_err(|why| refuse(format!("its authority cannot be used: {why}")))?;
        let redirect = RedirectUrl::new(format!("{url}/external/{}", options.name));
        Ok(Self {
            issuer: IssuerUrl::new(options.issuer.clone()).map_err(|error| refuse(error.to_string()))?,
            redirect: redirect.map_err(|error| refuse(error.to_string()))?,
            http,
            known: Mutex::new(Known::Nothing),
            options,
        })
    }

    /// Where to send a browser.
    pub(super) async fn address(&self, binding: &Binding, now: Timestamp) -> Result<String, Failed> {
        let party = self.party(now, false).await?;
        let verifier = PkceCodeVerifier::new(binding.verifier.clone());
        let (state, nonce) = (CsrfToken::new(binding.state.clone()), Nonce::new(binding.nonce.clone()));
        let (url, _, _) = party
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, || state, || nonce)
            .add_scopes(self.options.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        let address = outgoing::checked(url.as_str());
        let wrong = || {
            Failed::Away(format!(
                "it has people sign in at {url}, which is neither https nor on this machine"
            ))
        };
        address.map(String::from).ok_or_else(wrong)
    }

    /// What the provider says about the person whose browser brought this code. Nothing is believed that was not said to us,
    /// to this browser, just now, and signed with a key that the provider has now.
    pub(super) async fn ask(&self, code: &Secret, binding: &Binding, now: Timestamp) -> Result<Vouched, Failed> {
        // Its keys may have been changed or taken back since we read them: people do not sign in so often that it counts.
        let party = self.party(now, true).await?;
        let tokens = party
            .exchange_code(AuthorizationCode::new(code.reveal().to_owned()))
            .map_err(|error| Failed::Away(error.to_string()))?
            .set_pkce_verifier(PkceCodeVerifier::new(binding.verifier.clone()))
            .request_async(&self.caller())
            .await
            .map_err(exchange_failed)?;
        let nonce = Nonce::new(binding.nonce.clone());
        let vouched = self.believe(&party, &tokens, &nonce, now);
        let mut vouched = vouched.map_err(|error| Failed::NotBelieved(crate::notifier::chain(&error)))?;
        if self.wants_more(&vouched.claims) {
            self.ask_more(&party, tokens.access_token().clone(), &mut vouched)
                .await?;
        }
        Ok(vouched)
    }

    fn believe(
        &self,
        party: &Party,
        tokens: &Tokens,
        nonce: &Nonce,
        now: Timestamp,
    ) -> Result<Vouched, ClaimsVerificationError> {
        let lenient = now
            .saturating_sub(SignedDuration::from_secs(SKEW_SECONDS))
            .unwrap_or(now);
        let latest = now.as_second().saturating_add(SKEW_SECONDS);
        let verifier = party
            .id_token_verifier()
            .set_allowed_algs(ALGORITHMS)
            .set_time_fn(move || SystemTime::from(lenient).into())
            .set_issue_time_verifier_fn(move |issued| match issued.timestamp() <= latest {
                true => Ok(()),
                false => Err("it was issued in the future".to_owned()),
            });
        let token = tokens.id_token();
        let token = token.ok_or_else(|| ClaimsVerificationError::Other("there is no ID token".to_owned()))?;
        let claims = token.claims(&verifier, nonce)?;
        Ok(Vouched {
            subject: claims.subject().to_string(),
            claims: members(claims),
        })
    }

    /// Whether the settings speak of something that the token does not say.
    fn wants_more(&self, claims: &Map<String, Value>) -> bool {
        let options = &self.options;
        let required = options.required.as_ref().map(|required| required.claim.as_str());
        let email = (!options.email_domains.is_empty()).then_some("email");
        let name = options.create_users.then_some(options.name_claim.as_str());
        [required, email, name]
            .into_iter()
            .flatten()
            .any(|name| !claims.contains_key(name))
    }

    /// Asks for what the token does not say: many providers tell it only there.
    async fn ask_more(&self, party: &Party, access: AccessToken, vouched: &mut Vouched) -> Result<(), Failed> {
        let subject = SubjectIdentifier::new(vouched.subject.clone());
        let Ok(request) = party.user_info(access, Some(subject)) else {
            return Ok(());
        };
        let said: Result<UserInfoClaims<Others, CoreGenderClaim>, _> = request.request_async(&self.caller()).await;
        let said = said.map_err(|error| Failed::NotBelieved(crate::notifier::chain(&error)))?;
        for (name, value) in members(&said) {
            vouched.claims.entry(name).or_insert(value);
        }
        Ok(())
    }

    /// Who we are at the provider, by what it says about itself: read anew if that is old, or `anew`.
    async fn party(&self, now: Timestamp, anew: bool) -> Result<Party, Failed> {
        let mut known = self.known.lock().await;
        let age = |since: Timestamp| now.as_second().saturating_sub(since.as_second());
        match &*known {
            Known::Read(metadata, at) if !anew && (0..KNOWN_SECONDS).contains(&age(*at)) => {
                return Ok(self.party_of(metadata));
            }
            Known::Away(at) if (0..AWAY_SECONDS).contains(&age(*at)) => {
                return Err(Failed::Away("it did not answer some seconds ago".to_owned()));
            }
            _ => {}
        }
        let found = CoreProviderMetadata::discover_async(self.issuer.clone(), &self.caller()).await;
        match found {
            Ok(metadata) => {
                let party = self.party_of(&metadata);
                *known = Known::Read(Box::new(metadata), now);
                Ok(party)
            }
            Err(error) => {
                *known = Known::Away(now);
                Err(Failed::Away(crate::notifier::chain(&error)))
            }
        }
    }

    fn party_of(&self, metadata: &CoreProviderMetadata) -> Party {
        let methods = metadata.token_endpoint_auth_methods_supported();
        let basic = methods.is_none_or(|methods| methods.contains(&CoreClientAuthMethod::ClientSecretBasic));
        let options = &self.options;
        let secret = ClientSecret::new(options.client_secret.reveal().to_owned());
        Party::from_provider_metadata(metadata.clone(), ClientId::new(options.client_id.clone()), Some(secret))
            .set_redirect_uri(self.redirect.clone())
            .set_auth_type(if basic {
                AuthType::BasicAuth
            } else {
                AuthType::RequestBody
            })
    }

    /// Makes the library's calls.
    fn caller(&self) -> impl Fn(HttpRequest) -> CallFuture + Send + Sync + 'static {
        let http = self.http.clone();
        move |request| Box::pin(call(http.clone(), request))
    }
}

type CallFuture = std::pin::Pin<Box<dyn Future<Output = Result<HttpResponse, CallError>> + Send>>;

/// One call. Addresses that the provider names itself are held to the same rule as its own.
async fn call(client: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, CallError> {
    let said = |error: reqwest::Error| CallError(crate::notifier::chain(&error.without_url()));
    let (head, body) = request.into_parts();
    let url = outgoing::checked(&head.uri.to_string())
        .ok_or_else(|| CallError(format!("{} is neither https nor on this machine", head.uri)))?;
    let sent = client
        .request(head.method, url)
        .headers(head.headers)
        .body(body)
        .send()
        .await;
    let mut answer = sent.map_err(said)?;
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(said)? {
        if bytes.len() + piece.len() > ANSWER_BYTES_MAX {
            return Err(CallError("the answer is too long".to_owned()));
        }
        bytes.extend_from_slice(&piece);
    }
    let mut response = http::Response::new(bytes);
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    Ok(response)
}

fn exchange_failed<E>(error: openidconnect::RequestTokenError<CallError, E>) -> Failed
where
    E: openidconnect::ErrorResponse + std::fmt::Display + 'static,
{
    use openidconnect::RequestTokenError::{Other, Parse, Request, ServerResponse};
    match error {
        ServerResponse(said) => Failed::NotBelieved(format!("it refused the code: {said}")),
        Request(error) => Failed::Away(error.to_string()),
        Parse(error, _) => Failed::NotBelieved(format!("its answer cannot be read: {error}")),
        Other(error) => Failed::Away(error),
    }
}

fn members(claims: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(claims) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    }
}
