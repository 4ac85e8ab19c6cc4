//! An HTTP proxy that makes tunnels (CONNECT) for those who know a name and a password.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// A proxy that runs until the process ends.
pub struct Proxy {
    pub address: SocketAddr,
    tunnels: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
}

impl Proxy {
    /// One that wants these in its `Proxy-Authorization`, in Base64 as RFC 7617 says.
    pub fn start(credentials: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tunnels, refused) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let counts = (tunnels.clone(), refused.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (tunnels, refused) = counts.clone();
                thread::spawn(move || match tunnel(client, credentials, &tunnels) {
                    Ok(true) | Err(_) => {}
                    Ok(false) => {
                        refused.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        Self {
            address,
            tunnels,
            refused,
        }
    }

    /// How many tunnels it has made.
    pub fn tunnels(&self) -> u64 {
        self.tunnels.load(Ordering::SeqCst)
    }

    /// How many it refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }
}

/// Serves one connection; `false`: it was refused.
fn tunnel(mut client: TcpStream, credentials: &str, tunnels: &AtomicU64) -> io::Result<bool> {
    let mut lines = BufReader::new(client.try_clone()?).lines();
    let request = lines.next().unwrap_or(Ok(String::new()))?;
    let mut known = false;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        known |= name.eq_ignore_ascii_case("Proxy-Authorization") && value.trim() == format!("Basic {credentials}");
    }
    let mut words = request.split(' ');
    let (Some("CONNECT"), Some(target)) = (words.next(), words.next()) else {
        client.write_all(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")?;
        return Ok(false);
    };
    if !known {
        let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"tests\"\r\n\
                       Content-Length: 0\r\n\r\n";
        client.write_all(refusal.as_bytes())?;
        return Ok(false);
    }
    let service = TcpStream::connect(target)?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    tunnels.fetch_add(1, Ordering::SeqCst);
    let (mut from_client, mut to_service) = (client.try_clone()?, service.try_clone()?);
    let up = thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_service);
        let _ = to_service.shutdown(Shutdown::Write);
    });
    let _ = io::copy(&mut &service, &mut client);
    let _ = client.shutdown(Shutdown::Both);
    let _ = up.join();
    Ok(true)
}
