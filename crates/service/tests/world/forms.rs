//! The token endpoint, as programs use it.

use super::World;
use super::people::PASSWORD;
use super::raw::Reply;

pub fn error(reply: &Reply) -> (u16, String) {
    (
        reply.status,
        reply.json()["error"].as_str().unwrap_or_default().to_owned(),
    )
}

pub fn text(reply: &Reply, name: &str) -> String {
    let value = reply.json()[name].clone();
    value
        .as_str()
        .unwrap_or_else(|| panic!("no {name}: {}", String::from_utf8_lossy(&reply.body)))
        .to_owned()
}

impl World {
    pub async fn token_form(&self, form: &[(&str, &str)]) -> Reply {
        self.form("/api/v1/token", "", form).await
    }

    pub async fn sign_in(&self, name: &str, more: &[(&str, &str)]) -> Reply {
        let form = [
            &[("grant_type", "password"), ("username", name), ("password", PASSWORD)],
            more,
        ]
        .concat();
        self.token_form(&form).await
    }

    pub async fn refresh(&self, token: &str) -> Reply {
        self.token_form(&[("grant_type", "refresh_token"), ("refresh_token", token)])
            .await
    }

    pub async fn whoami(&self, token: &str) -> String {
        let reply = self.call("GET", "/api/v1/account", Some(token), b"").await;
        text(&reply, "name")
    }
}
