//! A browser, as far as signing in goes: it keeps cookies, and follows where it is sent.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;

use reqwest::Url;

use super::World;
use super::raw::{HERE, Reply, escaped};

/// A browser that a person uses.
pub struct Browser<'a> {
    world: &'a World,
    address: IpAddr,
    cookies: RefCell<BTreeMap<String, String>>,
}

impl<'a> Browser<'a> {
    pub fn new(world: &'a World) -> Self {
        Self::at(world, HERE)
    }

    /// The same, at another address.
    pub fn at(world: &'a World, address: IpAddr) -> Self {
        let cookies = RefCell::default();
        Self {
            world,
            address,
            cookies,
        }
    }

    /// Opens a page of the service.
    pub async fn open(&self, path: &str) -> Reply {
        self.send("GET", path, "").await
    }

    /// Sends a form to the service.
    pub async fn fill(&self, path: &str, form: &[(&str, &str)]) -> Reply {
        let pairs = form.iter().map(|(name, value)| format!("{name}={}", escaped(value)));
        self.send("POST", path, &pairs.collect::<Vec<_>>().join("&")).await
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> Reply {
        let cookies: Vec<String> = (self.cookies.borrow().iter())
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncookie: {}\r\ncontent-length: {}\r\n\r\n{body}",
            cookies.join("; "),
            body.len()
        );
        let reply = self.world.exchange_from(self.address, request.as_bytes()).await;
        for cookie in headers(&reply, "set-cookie") {
            let (pair, rules) = cookie.split_once(';').unwrap();
            assert!(rules.contains("Secure; HttpOnly; SameSite="), "{cookie}");
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
        }
        reply
    }
}

/// The values of a header.
pub fn headers(reply: &Reply, wanted: &str) -> Vec<String> {
    let pairs = reply.head.lines().filter_map(|line| line.split_once(':'));
    pairs
        .filter(|(name, _)| name.eq_ignore_ascii_case(wanted))
        .map(|(_, value)| value.trim().to_owned())
        .collect()
}

/// The value of a hidden field.
pub fn hidden(page: &Reply, name: &str) -> String {
    let page = body(page);
    let start = page.split(&format!("name=\"{name}\" value=\"")).nth(1);
    let start = start.unwrap_or_else(|| panic!("no {name} in {page}"));
    start.split('"').next().unwrap().to_owned()
}

pub fn body(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}

/// Where a page sends the browser on to another service.
pub fn sent_on(page: &Reply) -> Url {
    let [refresh] = &headers(page, "refresh")[..] else {
        panic!("it is not sent on: {} {}", page.head, body(page))
    };
    refresh.strip_prefix("0; url=").unwrap().parse().unwrap()
}

/// Path and query of an address.
pub fn path_of(address: &Url) -> String {
    format!("{}?{}", address.path(), address.query().unwrap_or_default())
}
