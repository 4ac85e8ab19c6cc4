//! Where a browser may be sent with a code: back to a program on the person's own machine, or to an address that whoever
//! manages the service principals wrote down.

use axum::http::Uri;

/// Whether an address may be written down for a service principal.
pub(crate) fn is_registrable(address: &str) -> bool {
    let plain = address.len() <= 500 && !address.contains(['#', ' ', '\\', '\n', '\r', '@']);
    let parsed = address.parse::<Uri>().ok();
    plain && parsed.is_some_and(|uri| uri.scheme_str() == Some("https") && uri.host().is_some())
}
