//! The words of mails and webhooks.

use jiff::Timestamp;
use strongroom_api::WebhookBody;
use strongroom_db::{EventRow, NewDelivery};
use strongroom_model::{AlertEvent, Channel, DeliveryId, VaultName};
use strongroom_vault::VaultRow;

use crate::alerts;

/// The subject and the text of a mail about one event.
pub(super) fn mail(event: &EventRow, url: &str) -> (String, String) {
    let alert = &event.alert;
    let head = match event.event {
        AlertEvent::Raised => alert.kind.severity().as_str(),
        AlertEvent::Resolved => "Resolved",
    };
    let vault = &event.vault;
    let subject = format!(
        "[Strongroom] {head}: {} - {} (vault {vault})",
        alert.kind.title(),
        alert.subject
    );
    let mut text = match event.event {
        AlertEvent::Raised => format!("{}.\n\n", alert.message),
        AlertEvent::Resolved => format!("This is over: {}.\n\n", alert.message),
    };
    if event.event == AlertEvent::Raised && !alert.recommendation.is_empty() {
        text += &format!("What to do: {}.\n\n", alert.recommendation.trim_end_matches('.'));
    }
    for (name, value) in [
        ("Alert", alert.kind.title().to_owned()),
        (
            "Severity",
            format!("{} (Sev {})", alert.kind.severity(), alert.kind.sev()),
        ),
        ("Vault", vault.to_string()),
        ("About", alert.subject.clone()),
        ("Code", alert.code.clone()),
        ("First", moment(alert.raised)),
        ("Last", moment(alert.last)),
        ("How often", alert.count.to_string()),
    ] {
        text += &format!("{name:<10} {value}\n");
    }
    if let Some(ended) = alert.ended {
        text += &format!("{:<10} {}\n", "Over since", moment(ended));
    }
    text += &format!("\nMore: strongroom alert show {} --vault {vault}\n", alert.id);
    (subject, text + &farewell(url, vault))
}

/// The subject and the text of a mail about an hour.
pub(super) fn digest(events: &[&EventRow], url: &str) -> (String, String) {
    let vault = &events[0].vault;
    let of = |wanted: AlertEvent| events.iter().filter(move |event| event.event == wanted);
    let (raised, resolved) = (of(AlertEvent::Raised).count(), of(AlertEvent::Resolved).count());
    let subject = format!("[Strongroom] {raised} raised, {resolved} resolved within the hour (vault {vault})");
    let mut text = String::new();
    for (wanted, heading) in [(AlertEvent::Raised, "Raised"), (AlertEvent::Resolved, "Resolved")] {
        for (index, event) in of(wanted).enumerate() {
            if index == 0 {
                text += &format!("{heading}\n");
            }
            let alert = &event.alert;
            text += &format!(
                "  {}  {}: {} - {}\n      {}\n",
                moment(event.at),
                alert.kind.severity(),
                alert.kind.title(),
                alert.subject,
                alert.message
            );
        }
    }
    text += &format!("\nMore: strongroom alert list --vault {vault}\n");
    (subject, text + &farewell(url, vault))
}

/// The body of a webhook about one event.
pub(super) fn webhook(event: &EventRow, delivery: DeliveryId) -> String {
    let body = WebhookBody {
        delivery,
        event: Some(event.event),
        vault: event.vault.clone(),
        alert: Some(alerts::view(event.alert.clone())),
    };
    serde_json::to_string(&body).expect("plain fields always serialise")
}

/// A message that tells of nothing.
pub(super) fn test(id: DeliveryId, vault: &VaultRow, channel: Channel, target: &str, url: &str) -> NewDelivery {
    let name = &vault.name;
    let (subject, body) = match channel {
        Channel::Mail => (
            format!("[Strongroom] Test (vault {name})"),
            format!("Nothing has happened: somebody tried whether mails about the vault {name} arrive.\n")
                + &farewell(url, name),
        ),
        Channel::Webhook => {
            let body = WebhookBody {
                delivery: id,
                event: None,
                vault: name.clone(),
                alert: None,
            };
            let body = serde_json::to_string(&body).expect("plain fields always serialise");
            (String::new(), body)
        }
    };
    NewDelivery {
        id,
        vault: vault.id,
        channel,
        target: target.to_owned(),
        subject,
        body,
    }
}

fn farewell(url: &str, vault: &VaultName) -> String {
    format!("\n-- \nStrongroom at {url}\nWho gets these mails: strongroom alert notify --vault {vault}\n")
}

fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
