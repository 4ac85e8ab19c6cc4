//! Tells people and programs of alerts.
//!
//! Two steps, each of which may run on any node and twice: what happened to alerts becomes deliveries, in one transaction;
//! then deliveries are tried until they are there, by whoever has the lease, for up to a day.

mod mail;
mod message;
mod plan;
mod webhook;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::SignedDuration;
use strongroom_api::TestResult;
use strongroom_db::{DbError, DeliveryRow, NewDelivery, Outcome};
use strongroom_model::{Channel, DeliveryId, MailAddress, NotificationSettings, Place, Role, VaultId, next_try};
use strongroom_vault::VaultRow;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use uuid::Builder;

pub use mail::MailError;
pub(crate) use mail::{Mail, Mailer, chain};
pub(crate) use webhook::Webhooks;

use crate::password::random_bytes;
use crate::shared::Shared;

/// So many events become deliveries at a time.
const EVENTS_AT_ONCE: u32 = 500;
/// So many deliveries are tried at a time.
const DELIVERIES_AT_ONCE: u32 = 8;
/// The longest that an attempt may take.
const ATTEMPT_MAX: Duration = Duration::from_secs(45);
/// How long an attempt has the delivery for itself: longer than it can take.
const LEASE: SignedDuration = SignedDuration::from_secs(120);
/// How long an attempt may go on when the service ends.
const FAREWELL: Duration = Duration::from_secs(5);
/// The longest error that is remembered, in characters.
const ERROR_MAX: usize = 500;

/// The ways out.
pub(crate) struct Channels {
    pub(crate) mailer: Option<Mailer>,
    pub(crate) webhooks: Webhooks,
}

/// Runs until the service ends.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut ending = shared.ending.clone();
    let mut ticks = interval(shared.upkeep.tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = ending.wait_for(|&ending| ending) => return,
        }
        let mut ended = shared.ending.clone();
        let farewell = async {
            let _ = ended.wait_for(|&ending| ending).await;
            sleep(FAREWELL).await;
        };
        tokio::select! {
            result = look(&shared) => if let Err(error) = result {
                tracing::error!(%error, "could not tell of alerts: trying again");
            },
            () = farewell => return,
        }
    }
}

async fn look(shared: &Shared) -> Result<(), DbError> {
    tell(shared).await?;
    deliver(shared).await
}

/// Makes deliveries of what happened to alerts.
async fn tell(shared: &Shared) -> Result<(), DbError> {
    let now = shared.clock.now();
    let events = shared.db.events_to_tell(now, EVENTS_AT_ONCE).await?;
    if events.is_empty() {
        return Ok(());
    }
    let mut owners = HashMap::new();
    for event in &events {
        let vault = event.alert.vault;
        if let std::collections::hash_map::Entry::Vacant(place) = owners.entry(vault) {
            place.insert(owners_of(shared, vault).await?);
        }
    }
    let telling = plan::plan(
        events,
        &plan::Context {
            owners: &owners,
            url: &shared.url,
            new_id: &|| new_id(shared),
        },
    );
    // If another node was faster, it has told.
    shared.db.tell(&telling, now).await.map(drop)
}

/// Who owns a vault: those who are told of what takes its protection away, whatever its settings say. Whom the configuration
/// names, and users who may delete its data: Owners and Backup Contributors of the vault, its group or the subscription.
async fn owners_of(shared: &Shared, vault: VaultId) -> Result<Vec<MailAddress>, DbError> {
    let mut owners = shared.notify.owners.clone();
    if let Some(vault) = shared.db.vault(vault).await? {
        let place = Place::vault(&vault.resource_group, vault.id);
        let mails = shared
            .db
            .mails_of(&[Role::Owner, Role::BackupContributor], place.scopes());
        owners.extend(mails.await?.iter().filter_map(|mail| mail.parse().ok()));
    }
    Ok(owners)
}

async fn deliver(shared: &Shared) -> Result<(), DbError> {
    let now = shared.clock.now();
    let found = shared.db.deliveries_to_try(now, DELIVERIES_AT_ONCE).await?;
    let tried = join_all(found.iter().map(|found| attempt(shared, found))).await;
    tried.into_iter().collect()
}

/// Tries a delivery, if no other node does.
async fn attempt(shared: &Shared, found: &DeliveryRow) -> Result<(), DbError> {
    let now = shared.clock.now();
    let until = now.saturating_add(LEASE).unwrap_or(now);
    if !shared.db.claim_delivery(found, now, until).await? {
        return Ok(());
    }
    let delivery = &found.delivery;
    let sent = timeout(ATTEMPT_MAX, send(shared, delivery)).await;
    let sent = sent.unwrap_or_else(|_| Err("it took too long".to_owned()));
    let attempts = found.attempts + 1;
    let now = shared.clock.now();
    let outcome = match sent {
        Ok(()) => Outcome::Delivered,
        Err(why) => {
            let why: String = why.chars().take(ERROR_MAX).collect();
            match next_try(found.made, attempts, now) {
                Some(next) => {
                    tracing::warn!(delivery = %delivery.id, channel = %delivery.channel, attempts, "could not tell of an alert: {why}");
                    Outcome::Again(next, why)
                }
                None => {
                    tracing::error!(delivery = %delivery.id, channel = %delivery.channel, attempts, "gave up telling of an alert: {why}");
                    Outcome::GivenUp(why)
                }
            }
        }
    };
    shared.metrics.state.attempted(delivery.channel, &outcome);
    shared.db.note_attempt(delivery.id, attempts, &outcome, now).await
}

/// Sends it; the error is a sentence for the administrator.
async fn send(shared: &Shared, delivery: &NewDelivery) -> Result<(), String> {
    match delivery.channel {
        Channel::Mail => {
            let Some(mailer) = &shared.channels.mailer else {
                return Err("the service knows no mail server: name one in its configuration file".to_owned());
            };
            let mail = Mail {
                id: delivery.id.to_string(),
                to: &delivery.target,
                subject: &delivery.subject,
                body: &delivery.body,
            };
            mailer.send(&mail, shared.clock.now()).await
        }
        Channel::Webhook => {
            let row = shared.db.notifications(delivery.vault).await;
            let row = row.map_err(|error| error.to_string())?;
            let secret = shared.seals.unseal(delivery.vault, &row.secret);
            let secret = secret.ok_or("the secret of the webhook cannot be opened: set another one")?;
            shared
                .channels
                .webhooks
                .send(delivery, &secret, shared.clock.now())
                .await
        }
    }
}

/// Sends a test message to everybody who is told, and says how it went.
pub(crate) async fn test(shared: &Shared, vault: &VaultRow, settings: &NotificationSettings) -> Vec<TestResult> {
    let mails = settings.recipients.iter().map(|mail| (Channel::Mail, mail.to_string()));
    let webhook = settings.webhook.iter().map(|url| (Channel::Webhook, url.to_string()));
    let tries = mails.chain(webhook).map(async |(channel, target)| {
        let delivery = message::test(new_id(shared), vault, channel, &target, &shared.url);
        let sent = timeout(ATTEMPT_MAX, send(shared, &delivery)).await;
        let sent = sent.unwrap_or_else(|_| Err("it took too long".to_owned()));
        TestResult {
            channel,
            target,
            error: sent.err(),
        }
    });
    join_all(tries).await
}

fn new_id(shared: &Shared) -> DeliveryId {
    let milliseconds = u64::try_from(shared.clock.now().as_millisecond()).unwrap_or(0);
    DeliveryId::from_uuid(Builder::from_unix_timestamp_millis(milliseconds, &random_bytes()).into_uuid())
}
