//! The page on which a person sets a password by a link. Looking at it uses nothing up: programs that look at mails do so.

use std::sync::Arc;

use axum::extract::{RawQuery, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use strongroom_api::routes::RouteId;
use strongroom_api::{Code, NewPassword, Secret};
use strongroom_db::UserRow;

use super::page::{FormToken, Page, escape, hidden, refusal_page};
use super::{Asked, Refused, Signed, write_down};
use crate::audit::OWN_ACCOUNT;
use crate::incoming::{self, Incoming};
use crate::invitations::hash;
use crate::refusal::sentence;
use crate::shared::Shared;
use crate::vault_refusal::refuse;

#[derive(Default, Deserialize)]
#[serde(default)]
struct LinkForm {
    form_token: String,
    link: String,
    password: Option<Secret>,
    again: Option<Secret>,
}

/// `GET /welcome`.
pub(crate) async fn page(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery, request: Request) -> Response {
    let form: LinkForm = incoming::form(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    match owner(&shared, &form.link).await {
        Ok(user) => password_page(&FormToken::of(request.headers()), &form.link, &user, None),
        Err(refused) => refusal_page(refused),
    }
}

/// `POST /welcome`.
pub(crate) async fn form(State(shared): State<Arc<Shared>>, asked: Asked, request: Request) -> Response {
    answer(&shared, request, &asked).await.unwrap_or_else(refusal_page)
}

async fn answer(shared: &Shared, request: Request, asked: &Asked) -> Result<Response, Refused> {
    let headers = request.headers().clone();
    let body = Incoming::of(request)?.read(shared, RouteId::PasswordLinkForm).await?;
    let form: LinkForm = incoming::form(&body)?;
    let token = FormToken::check(&headers, &form.form_token)?;
    let user = owner(shared, &form.link).await?;
    let password = match chosen(form.password, form.again) {
        Ok(password) => password,
        Err(why) => return Ok(password_page(&token, &form.link, &user, Some(&why))),
    };
    let password_hash = shared.passwords.hash(password.into_secret()).await?;
    let now = shared.clock.now();
    let used = shared.db.use_password_link(hash(&form.link), &password_hash, now).await;
    if !used.map_err(|error| refuse(error.into()))? {
        return Err(worthless());
    }
    tracing::info!(user = user.name, "set the password by a link");
    let signed = Signed::User {
        id: user.id.into(),
        name: user.name.clone(),
    };
    write_down(shared, asked, OWN_ACCOUNT, Some(signed), "", 200).await;
    let body = format!(
        "<p>{} has the new password from now on, and no session from before goes on. You can close this page.</p>",
        escape(&user.name)
    );
    let (status, title) = (StatusCode::OK, "Your password is set");
    let (leads_to, token) = ("", None);
    Ok(Page {
        status,
        title,
        body,
        leads_to,
        token,
    }
    .into_response())
}

/// Whose link this is, if it is good.
async fn owner(shared: &Shared, link: &str) -> Result<UserRow, Refused> {
    let found = shared.db.password_link(hash(link), shared.clock.now()).await;
    let id = found.map_err(|error| refuse(error.into()))?.ok_or_else(worthless)?;
    let user = shared.db.user_by_id(id).await;
    let user = user.map_err(|error| refuse(error.into()))?;
    user.filter(|user| !user.disabled).ok_or_else(worthless)
}

fn worthless() -> Refused {
    Refused::new(
        Code::CodeRefused,
        "This link was used, is too old, or is not whole: ask whoever manages the users of this service for another \
         (`strongroom user invite`)",
    )
}

fn chosen(password: Option<Secret>, again: Option<Secret>) -> Result<NewPassword, String> {
    let password = password.unwrap_or(Secret::new(""));
    if again.is_none_or(|again| again != password) {
        return Err("The two passwords differ: try again".to_owned());
    }
    NewPassword::parse(password).map_err(|error| sentence(&error.to_string()))
}

fn password_page(token: &FormToken, link: &str, user: &UserRow, wrong: Option<&str>) -> Response {
    let told = wrong.map(|wrong| format!("<p class=\"bad\">{}.</p>", escape(wrong)));
    let field = |label: &str, name: &str| {
        format!(
            "<label>{label}<input name=\"{name}\" type=\"password\" autocomplete=\"new-password\" required></label>"
        )
    };
    let body = format!(
        "<p>Choose the password of <b>{}</b>: at least {} characters.</p>{}\
         <form method=\"post\" action=\"/welcome\">{}{}{}{}<button>Set it</button></form>",
        escape(&user.name),
        NewPassword::CHARACTERS_MIN,
        told.unwrap_or_default(),
        token.field(),
        hidden("link", link),
        field("New password", "password"),
        field("Once more", "again"),
    );
    let page = Page {
        status: wrong.map_or(StatusCode::OK, |_| StatusCode::UNPROCESSABLE_ENTITY),
        title: "Set your password",
        body,
        leads_to: "",
        token: Some(token),
    };
    page.into_response()
}
