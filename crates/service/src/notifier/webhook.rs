//! Webhooks: JSON, signed, over TLS. Whoever may read a vault may choose its webhook, so that calls go to the internet, or
//! where whoever runs the service allows it, and the answer is told in few words.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use jiff::Timestamp;
use reqwest::{Client, StatusCode, Url, header};
use strongroom_api::{SIGNATURE_HEADER, Secret};
use strongroom_db::NewDelivery;

use super::mail::chain;
use crate::network::Network;
use crate::outgoing::{self, Reach, Unreachable};

/// The longest that a receiver may take. It should answer first, then work.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Why a message did not get there, as far as people are told. What stands behind an address, and what it says, is not for
/// everybody who may name one: the log has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotTaken {
    #[error("the name in the address of the webhook was not found")]
    NotFound,
    #[error(
        "the webhook is where this service does not call: on this machine, or in a network that is not the internet's. \
         Whoever runs the service can allow it, with webhook_networks in its configuration file"
    )]
    Forbidden,
    #[error("nobody answered at the webhook as it should be; the log of the service says more")]
    NoAnswer,
    #[error("the webhook answered {0}")]
    Answered(StatusCode),
}

/// Calls webhooks.
pub(crate) struct Webhooks {
    reach: Arc<Reach>,
    /// Or why none can be called.
    client: Result<Client, String>,
}

impl Webhooks {
    /// Nothing is called yet. `allowed` is where it may call besides the internet.
    pub(crate) fn new(allowed: Vec<Network>) -> Self {
        let reach = Arc::new(Reach { allowed });
        let client = outgoing::client_within(reach.clone(), ANSWER_MAX);
        if let Err(error) = &client {
            tracing::warn!(error, "webhooks cannot be called");
        }
        Self { reach, client }
    }

    /// Calls a webhook. What it answers is not read, only whether it is content.
    pub(crate) async fn send(&self, delivery: &NewDelivery, secret: &Secret, now: Timestamp) -> Result<(), String> {
        let client = self.client.as_ref().map_err(Clone::clone)?;
        let url = outgoing::checked(&delivery.target)
            .ok_or("the address of the webhook is neither https nor on this machine")?;
        let sent = match self.reach.may_admit(&url) {
            true => post(client, url, delivery, secret, now).await,
            false => Err((NotTaken::Forbidden, "its address is not allowed".to_owned())),
        };
        sent.map_err(|(not_taken, why)| {
            tracing::warn!(delivery = %delivery.id, "a webhook was not called, or did not take the message: {why}");
            not_taken.to_string()
        })
    }
}

/// Why a message did not get there, for people and for the log.
async fn post(
    client: &Client,
    url: Url,
    delivery: &NewDelivery,
    secret: &Secret,
    now: Timestamp,
) -> Result<(), (NotTaken, String)> {
    let request = client
        .post(url)
        .header(header::CONTENT_TYPE, "application/json")
        .header(SIGNATURE_HEADER, signature(secret, now, delivery.body.as_bytes()))
        .body(delivery.body.clone());
    let answer = request.send().await.map_err(|error| {
        // Without the address: it may have a token in it.
        let error = error.without_url();
        (kind(&error), chain(&error))
    })?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err((NotTaken::Answered(status), format!("it answered {status}"))),
    }
}

fn kind(error: &reqwest::Error) -> NotTaken {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = next {
        match cause.downcast_ref() {
            Some(Unreachable::NotFound) => return NotTaken::NotFound,
            Some(Unreachable::Forbidden) => return NotTaken::Forbidden,
            None => next = cause.source(),
        }
    }
    NotTaken::NoAnswer
}

/// `t=SECONDS,v1=HEX`: the moment is signed with the body, so that an old message cannot be sent again as a new one.
fn signature(secret: &Secret, now: Timestamp, body: &[u8]) -> String {
    let seconds = now.as_second();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{seconds}.").as_bytes());
    context.update(body);
    let hex: String = context
        .sign()
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("t={seconds},v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `printf '1700000000.{}' | openssl dgst -sha256 -hmac 0123456789abcdef`.
    #[test]
    fn the_signature_is_that_of_other_programs() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let signed = signature(&Secret::new("0123456789abcdef"), now, b"{}");
        assert_eq!(
            signed,
            "t=1700000000,v1=e4f8e2ecae2295b2ddb2f0b5584c8275e226c0ebe9b3b819e70156bb67122e3e"
        );
    }
}
