//! Which events become which deliveries, and which wait for the end of their hour.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use strongroom_db::{EventRow, NewDelivery, Telling};
use strongroom_model::{AlertEvent, AlertId, Channel, DeliveryId, MailAddress, VaultId};

use super::message;

/// What a plan needs beside the events.
pub(super) struct Context<'a> {
    /// The owners of each vault.
    pub(super) owners: &'a HashMap<VaultId, Vec<MailAddress>>,
    /// Where the service is.
    pub(super) url: &'a str,
    /// Makes ids.
    pub(super) new_id: &'a dyn Fn() -> DeliveryId,
}

/// Plans what is told of these events.
pub(super) fn plan(events: Vec<EventRow>, context: &Context<'_>) -> Telling {
    let mut telling = Telling::default();
    let mut digests: BTreeMap<VaultId, Vec<EventRow>> = BTreeMap::new();
    for event in events {
        if event.due.is_some() {
            digests.entry(event.alert.vault).or_default().push(event.clone());
            telling.told.push(event);
            continue;
        }
        let owners = context.owners.get(&event.alert.vault).map_or(&[][..], Vec::as_slice);
        let audience = event.settings.audience(event.alert.kind, owners);
        let (subject, body) = message::mail(&event, context.url);
        for mail in &audience.mails {
            let delivery = delivery(context, &event, Channel::Mail, mail.as_str(), (&subject, &body));
            telling.deliveries.push(delivery);
        }
        if let Some(webhook) = &audience.webhook {
            let mut delivery = delivery(context, &event, Channel::Webhook, webhook.as_str(), ("", ""));
            delivery.body = message::webhook(&event, delivery.id);
            telling.deliveries.push(delivery);
        }
        match audience.in_digest {
            true => telling.waiting.push((event.clone(), end_of_hour(event.at))),
            false => telling.told.push(event),
        }
    }
    for events in digests.into_values() {
        telling.deliveries.extend(digest(events, context));
    }
    telling
}

/// One mail to each recipient about an hour of a vault; none if nothing is left of it.
fn digest(events: Vec<EventRow>, context: &Context<'_>) -> Vec<NewDelivery> {
    let of = |wanted: AlertEvent| -> HashSet<AlertId> {
        let events = events.iter().filter(|event| event.event == wanted);
        events.map(|event| event.alert.id).collect()
    };
    let (raised, resolved) = (of(AlertEvent::Raised), of(AlertEvent::Resolved));
    let passed: HashSet<_> = raised.intersection(&resolved).collect();
    let left: Vec<&EventRow> = events
        .iter()
        .filter(|event| !passed.contains(&event.alert.id))
        .collect();
    let Some(first) = left.first() else {
        return Vec::new();
    };
    let (subject, body) = message::digest(&left, context.url);
    let recipients = first.settings.recipients.iter();
    recipients
        .map(|mail| delivery(context, first, Channel::Mail, mail.as_str(), (&subject, &body)))
        .collect()
}

fn delivery(
    context: &Context<'_>,
    event: &EventRow,
    channel: Channel,
    target: &str,
    (subject, body): (&str, &str),
) -> NewDelivery {
    NewDelivery {
        id: (context.new_id)(),
        vault: event.alert.vault,
        channel,
        target: target.to_owned(),
        subject: subject.to_owned(),
        body: body.to_owned(),
    }
}

/// The next full hour.
fn end_of_hour(at: Timestamp) -> Timestamp {
    let second = at.as_second();
    Timestamp::from_second(second - second.rem_euclid(3600) + 3600).unwrap_or(at)
}
