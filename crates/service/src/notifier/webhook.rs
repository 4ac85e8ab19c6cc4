//! Webhooks: JSON, signed, over TLS, or to this machine.

use std::time::Duration;

use aws_lc_rs::hmac;
use jiff::Timestamp;
use reqwest::{Client, header};
use strongroom_api::{SIGNATURE_HEADER, Secret};
use strongroom_db::NewDelivery;

use super::mail::chain;
use crate::outgoing;

/// The longest that a receiver may take. It should answer first, then work.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Calls webhooks.
pub(crate) struct Webhooks {
    /// Or why none can be called.
    client: Result<Client, String>,
}

impl Webhooks {
    /// Nothing is called yet.
    pub(crate) fn new() -> Self {
        let client = outgoing::client(None, ANSWER_MAX);
        if let Err(error) = &client {
            tracing::warn!(error, "webhooks cannot be called");
        }
        Self { client }
    }

    /// Calls a webhook. What it answers is not read, only whether it is content.
    pub(crate) async fn send(&self, delivery: &NewDelivery, secret: &Secret, now: Timestamp) -> Result<(), String> {
        let client = self.client.as_ref().map_err(Clone::clone)?;
        let url = outgoing::checked(&delivery.target)
            .ok_or("the address of the webhook is neither https nor on this machine")?;
        let request = client
            .post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(SIGNATURE_HEADER, signature(secret, now, delivery.body.as_bytes()))
            .body(delivery.body.clone());
        // Without the address: it may have a token in it.
        let answer = request.send().await.map_err(|error| chain(&error.without_url()))?;
        match answer.status().is_success() {
            true => Ok(()),
            false => Err(format!("the webhook answered {}", answer.status())),
        }
    }
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
