//! Links by which people set their passwords: made for whoever is new or has forgotten, good once, and mailed if that is
//! possible. Only their hashes are kept, so they are sent at once and not by the outbox of the alerts.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use strongroom_api::{Code, Invitation, Secret};
use strongroom_db::UserRow;

use crate::notifier::Mail;
use crate::parse::parse;
use crate::password::random_text;
use crate::principal::Account;
use crate::refusal::{Answer, Refusal};
use crate::shared::Shared;
use crate::users;
use crate::vault_refusal::refuse;

/// How long a link is good, in hours: over a weekend.
const HOURS: i64 = 72;

/// `POST /api/v1/users/{user}/invitation`.
pub(crate) async fn invite(
    State(shared): State<Arc<Shared>>,
    account: Account,
    Path(user): Path<String>,
) -> Answer<(StatusCode, Json<Invitation>)> {
    let user = users::find(&shared, &parse(&user)?).await?;
    if user.disabled {
        let detail = format!(
            "The account is shut: open it with `strongroom user enable {}` first",
            user.name
        );
        return Err(Refusal::new(Code::AccountDisabled, detail));
    }
    let invitation = make(&shared, &user, &account.name).await?;
    Ok((StatusCode::CREATED, Json(invitation)))
}

/// Makes a link for the user, and mails it. What cannot be mailed is for the caller to hand over.
pub(crate) async fn make(shared: &Shared, user: &UserRow, by: &str) -> Answer<Invitation> {
    let now = shared.clock.now();
    let expires = now.saturating_add(SignedDuration::from_hours(HOURS));
    let expires = expires.expect("a signed duration carries no calendar units");
    let secret = random_text();
    let put = shared.db.put_password_link(user.id, hash(&secret), expires).await;
    put.map_err(|error| refuse(error.into()))?;
    let link = format!("{}/welcome?link={secret}", shared.url);
    let mut invitation = Invitation {
        expires,
        mailed_to: None,
        mail_error: None,
        link: None,
    };
    if let (Some(mailer), false) = (&shared.channels.mailer, user.email.is_empty()) {
        let mail = Mail {
            id: uuid::Uuid::from_bytes(crate::password::random_bytes()).to_string(),
            to: &user.email,
            subject: "[Strongroom] Set your password",
            body: &words(shared, user, by, &link, expires),
        };
        match mailer.send(&mail, now).await {
            Ok(()) => invitation.mailed_to = Some(user.email.clone()),
            Err(why) => {
                tracing::warn!(user = user.name, "could not mail an invitation: {why}");
                invitation.mail_error = Some(why);
            }
        }
    }
    if invitation.mailed_to.is_none() {
        invitation.link = Some(Secret::new(link));
    }
    tracing::info!(
        user = user.name,
        mailed = invitation.mailed_to.is_some(),
        "made a link to set a password"
    );
    Ok(invitation)
}

/// What is kept of the secret of a link.
pub(crate) fn hash(secret: &str) -> [u8; 32] {
    *blake3::hash(secret.as_bytes()).as_bytes()
}

fn words(shared: &Shared, user: &UserRow, by: &str, link: &str, expires: Timestamp) -> String {
    let (name, url) = (&user.name, &shared.url);
    let until = expires.strftime("%Y-%m-%d %H:%M UTC");
    format!(
        "{by} invites you to Strongroom at {url}, where your user name is {name}.\n\n\
         Set your password on this page. It works once, until {until}:\n\n{link}\n\n\
         Then sign in:\n\n    strongroom login {url} --ca ca.pem --user {name}\n\n\
         ca.pem is the certificate of the service's authority: get it from {by} by a safe way.\n\
         If you did not expect this, tell {by}, and do not open the page.\n\n\
         -- \nStrongroom at {url}\n"
    )
}
