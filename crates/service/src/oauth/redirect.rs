//! Where a browser may be sent with a code: back to a program on the person's own machine, or to an address that whoever
//! manages the service principals wrote down.

use axum::http::Uri;
use strongroom_model::ApplicationId;

use crate::refusal::Answer;
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// The longest address, in bytes.
const BYTES_MAX: usize = 500;

/// Whether an address may be written down for a service principal.
pub(crate) fn is_registrable(address: &str) -> bool {
    let parsed = address.parse::<Uri>().ok();
    is_plain(address) && parsed.is_some_and(|uri| uri.scheme_str() == Some("https") && uri.host().is_some())
}

/// Whether a browser may be sent there for the program: to any port of the person's own machine (RFC 8252, section 7.3), or
/// to exactly what was written down.
pub(crate) async fn is_allowed(shared: &Shared, client: &str, address: &str) -> Answer<bool> {
    if !is_plain(address) {
        return Ok(false);
    }
    if is_loopback(address) {
        return Ok(true);
    }
    let Ok(id) = client.parse::<ApplicationId>() else {
        return Ok(false);
    };
    let found = shared.db.application(id).await;
    let found = found.map_err(|error| refuse(error.into()))?;
    Ok(found.is_some_and(|one| !one.disabled && one.redirects.iter().any(|known| known == address)))
}

/// The origin of an address that was allowed: a page's policy must let its form lead there.
pub(crate) fn origin(address: &str) -> String {
    let uri: Uri = address.parse().unwrap_or_default();
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    format!("{}://{authority}", uri.scheme_str().unwrap_or("https"))
}

fn is_loopback(address: &str) -> bool {
    let Ok(uri) = address.parse::<Uri>() else {
        return false;
    };
    let here = matches!(uri.host(), Some("127.0.0.1" | "[::1]" | "localhost"));
    here && uri.scheme_str() == Some("http")
}

/// Whether every program reads the address in the same way, and nothing can be smuggled into a header by it.
fn is_plain(address: &str) -> bool {
    address.len() <= BYTES_MAX
        && address.bytes().all(|byte| byte.is_ascii_graphic())
        && !address.contains(['#', '\\', '@', '"', '\'', '<', '>', ';', ','])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_machine_goes_unwritten() {
        for (address, expected) in [
            ("http://127.0.0.1:1234/back", true),
            ("http://localhost/", true),
            ("http://[::1]:9/x?y=z", true),
            ("https://127.0.0.1/", false),
            ("http://127.0.0.1.example.org/", false),
            ("http://localhost@evil.example/", false),
            ("http://127.0.0.1:80@evil.example/", false),
            ("http://localhost\\@evil.example/", false),
            ("http://localhost/#x", false),
            ("javascript:alert(1)", false),
            ("//localhost/", false),
            ("", false),
        ] {
            assert_eq!(is_plain(address) && is_loopback(address), expected, "{address}");
        }
        assert!(is_registrable("https://portal.example.org/back"));
        assert!(!is_registrable("http://portal.example.org/back") && !is_registrable("https://x/\r\ny"));
        assert_eq!(origin("http://[::1]:9/x?y=z"), "http://[::1]:9");
    }
}
