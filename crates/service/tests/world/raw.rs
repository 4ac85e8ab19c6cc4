//! HTTP by hand, for requests that no decent client would send.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rustls_pki_types::ServerName;
use strongroom_api::{AssertionClaims, Secret, TokenResponse};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Machine, World};

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("no JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    /// A header, by its name in small letters.
    pub fn header(&self, name: &str) -> Option<String> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
    }

    /// The problem code, if it is a problem.
    pub fn code(&self) -> Option<String> {
        let value: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        Some(value.get("code")?.as_str()?.to_owned())
    }
}

/// Where tests come from, if they say nothing else, and another place.
pub const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

impl World {
    pub async fn connect(&self) -> TlsStream<TcpStream> {
        self.connect_from(HERE).await
    }

    /// Connects from one of this machine's many addresses: each is a network of its own.
    pub async fn connect_from(&self, address: IpAddr) -> TlsStream<TcpStream> {
        let config = self.trust().client_config(&self.clock).unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(address, 0)).unwrap();
        let stream = socket.connect(self.service.address()).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .unwrap()
    }

    /// Sends a request as it stands and reads until the service closes.
    pub async fn exchange(&self, request: &[u8]) -> Reply {
        self.exchange_from(HERE, request).await
    }

    /// The same, from another address.
    pub async fn exchange_from(&self, address: IpAddr, request: &[u8]) -> Reply {
        let mut stream = self.connect_from(address).await;
        stream.write_all(request).await.unwrap();
        stream.flush().await.unwrap();
        read_reply(&mut stream).await
    }

    pub async fn call(&self, method: &str, path: &str, bearer: Option<&str>, body: &[u8]) -> Reply {
        let authorization = bearer
            .map(|token| format!("authorization: Bearer {token}\r\n"))
            .unwrap_or_default();
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{authorization}content-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.exchange(&request).await
    }

    /// A form, as a browser or a program sends it, with further headers.
    pub async fn form(&self, path: &str, headers: &str, form: &[(&str, &str)]) -> Reply {
        self.form_from(HERE, path, headers, form).await
    }

    /// The same, from another address.
    pub async fn form_from(&self, address: IpAddr, path: &str, headers: &str, form: &[(&str, &str)]) -> Reply {
        let body: Vec<String> = form
            .iter()
            .map(|(name, value)| format!("{name}={}", escaped(value)))
            .collect();
        let body = body.join("&");
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.exchange_from(address, request.as_bytes()).await
    }

    /// A machine's access token.
    pub async fn machine_token(&self, machine: &Machine) -> String {
        let assertion = AssertionClaims::new(machine.registered.container, self.now()).sign(&machine.key);
        self.token(&format!(
            "grant_type=client_credentials&client_assertion={}",
            assertion.reveal()
        ))
        .await
    }

    /// The administrator's access token.
    pub async fn administrator_token(&self) -> String {
        self.token(&format!(
            "grant_type=password&username=admin&password={}",
            self.password().reveal()
        ))
        .await
    }

    pub async fn token(&self, form: &str) -> String {
        let reply = self.call("POST", "/api/v1/token", None, form.as_bytes()).await;
        let response: TokenResponse = serde_json::from_slice(&reply.body).unwrap();
        Secret::reveal(&response.access_token).to_owned()
    }
}

/// A value of a form or query.
pub fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let escape = |byte: u8| {
        if plain(byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(escape).collect()
}

pub async fn read_reply(stream: &mut TlsStream<TcpStream>) -> Reply {
    let mut bytes = Vec::new();
    // The service may end the connection without TLS's farewell after it refused a body.
    let _ = stream.read_to_end(&mut bytes).await;
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no head in {:?}", String::from_utf8_lossy(&bytes)));
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply {
        status,
        head,
        body: bytes[end + 4..].to_vec(),
    }
}
