//! The service's own certificate authority: made once, it issues the server's certificate and renews it.

use std::net::IpAddr;

use jiff::{Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use serde::{Deserialize, Serialize};

const AUTHORITY_DAYS: i64 = 3653;
const SERVER_DAYS: i64 = 365;

/// A server certificate that is valid for less time than this is renewed.
const RENEW_DAYS: i64 = 30;

const DAY_SECONDS: i64 = 86_400;

/// Certificates could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {action}: {source}")]
pub struct AuthorityError {
    action: &'static str,
    source: rcgen::Error,
}

/// A certificate and its key, in PEM form.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// What the server's certificate says, kept beside it so that nobody has to parse certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServerFacts {
    /// The host names and addresses, sorted.
    pub(crate) names: Vec<String>,
    pub(crate) expires: Timestamp,
}

impl ServerFacts {
    /// What a certificate made `now` would say.
    pub(crate) fn new(mut names: Vec<String>, now: Timestamp) -> Self {
        names.sort();
        names.dedup();
        let expires = after(now, SERVER_DAYS);
        Self { names, expires }
    }

    /// Whether the certificate with these facts still does for `wanted`.
    pub(crate) fn serves(&self, wanted: &Self, now: Timestamp) -> bool {
        self.names == wanted.names && self.expires > after(now, RENEW_DAYS) && self.expires <= wanted.expires
    }
}

/// Makes an authority, valid for ten years.
pub(crate) fn make_authority(now: Timestamp) -> Result<Pair, AuthorityError> {
    let key = KeyPair::generate().map_err(failed("make the authority's key"))?;
    let mut params = authority_params();
    set_validity(&mut params, now, after(now, AUTHORITY_DAYS));
    let certificate = params
        .self_signed(&key)
        .map_err(failed("sign the authority's certificate"))?;
    Ok(Pair {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

/// Issues a server certificate with `facts`.
pub(crate) fn issue_server(authority_key: &str, facts: &ServerFacts, now: Timestamp) -> Result<Pair, AuthorityError> {
    let signing_key = KeyPair::from_pem(authority_key).map_err(failed("read the authority's key"))?;
    let issuer = Issuer::new(authority_params(), signing_key);
    let key = KeyPair::generate().map_err(failed("make the server's key"))?;
    let names = facts.names.clone();
    let mut params = CertificateParams::new(names).map_err(failed("write the host names into a certificate"))?;
    params.distinguished_name.push(DnType::CommonName, "Strongroom service");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params, now, facts.expires);
    let certificate = params
        .signed_by(&key, &issuer)
        .map_err(failed("sign the server's certificate"))?;
    Ok(Pair {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

/// The names that a server's certificate is always for, and those that were configured.
pub(crate) fn server_names(machine: &str, address: IpAddr, configured: &[String]) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    // A machine name that is no host name would make the whole certificate impossible.
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if !machine.is_empty() && machine.chars().all(is_host) {
        names.push(machine.to_owned());
    }
    if !address.is_unspecified() {
        names.push(address.to_string());
    }
    names.extend_from_slice(configured);
    names
}

/// The same for making the authority and for issuing in its name: an issuer is recognised by its distinguished name and
/// the identifier of its key.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "Strongroom certificate authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Certificates begin a day early, as the clocks of machines differ, and end a day late, as they count whole days.
fn set_validity(params: &mut CertificateParams, now: Timestamp, expires: Timestamp) {
    let (year, month, day) = date(after(now, -1));
    params.not_before = rcgen::date_time_ymd(year, month, day);
    let (year, month, day) = date(after(expires, 1));
    params.not_after = rcgen::date_time_ymd(year, month, day);
}

fn date(time: Timestamp) -> (i32, u8, u8) {
    let date = time.to_zoned(TimeZone::UTC).date();
    (
        date.year().into(),
        date.month().unsigned_abs(),
        date.day().unsigned_abs(),
    )
}

fn after(now: Timestamp, days: i64) -> Timestamp {
    let moved = now.as_second().saturating_add(days * DAY_SECONDS);
    Timestamp::from_second(moved).unwrap_or(now)
}

fn failed(action: &'static str) -> impl FnOnce(rcgen::Error) -> AuthorityError {
    move |source| AuthorityError { action, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(days: i64) -> Timestamp {
        after("2026-11-21T12:00:00Z".parse().unwrap(), days)
    }

    #[test]
    fn a_certificate_is_renewed_in_time_and_for_new_names() {
        let names = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let facts = ServerFacts::new(names(&["b", "a"]), at(0));
        let serves = |list, day| facts.serves(&ServerFacts::new(names(list), at(day)), at(day));
        assert!(serves(&["a", "b"], 0));
        assert!(serves(&["a", "b"], 334));
        assert!(!serves(&["a", "b"], 336));
        assert!(!serves(&["a", "b", "c"], 0));
        // A certificate from the future was made by a clock that was wrong then, or is wrong now.
        assert!(!serves(&["a", "b"], -10));
    }

    #[test]
    fn authority_and_server_certificates_are_made() {
        let authority = make_authority(at(0)).unwrap();
        let names = server_names("box", "10.0.0.7".parse().unwrap(), &["v.example.org".to_owned()]);
        assert_eq!(
            names,
            ["localhost", "127.0.0.1", "::1", "box", "10.0.0.7", "v.example.org"]
        );
        let server = issue_server(&authority.key, &ServerFacts::new(names, at(0)), at(0)).unwrap();
        assert!(server.certificate.starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(issue_server("nonsense", &ServerFacts::new(vec![], at(0)), at(0)).is_err());
    }

    #[test]
    fn odd_machine_names_are_left_out() {
        assert_eq!(
            server_names("a_b", "0.0.0.0".parse().unwrap(), &[]),
            ["localhost", "127.0.0.1", "::1"]
        );
    }
}
