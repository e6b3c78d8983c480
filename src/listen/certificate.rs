//! The names that a caller's certificate stands for, after the chain has been verified.
//!
//! Verifying is not done here. The names are the subject alternative names, as text, of every kind that is told apart
//! by how it looks: a host name, an IP address, an e-mail address, a URI. The subject itself is not read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustls::ServerConnection;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

/// The names of the caller's certificate on a connection whose handshake is done, new or resumed; none without one.
pub fn names_of(connection: &ServerConnection, now: i64) -> Vec<String> {
    let leaf = connection.peer_certificates().and_then(<[_]>::first);
    leaf.map(|certificate| names(certificate, now)).unwrap_or_default()
}

/// The names of a certificate (DER), as they stand in it; none unless it states that it is for client
/// authentication, and holds at `now`, in seconds since 1970: a resumed session may be older than its certificate's
/// last day.
///
/// TLS itself takes a certificate without an extended key usage for any use (RFC 5280, 4.2.1.12); a name is worth
/// more than a connection.
pub fn names(certificate: &[u8], now: i64) -> Vec<String> {
    names_within(certificate, now).unwrap_or_default()
}

fn names_within(certificate: &[u8], now: i64) -> Option<Vec<String>> {
    let (rest, certificate) = X509Certificate::from_der(certificate).ok()?;
    let holds = certificate.validity().is_valid_at(ASN1Time::from_timestamp(now).ok()?);
    // A repeated extension is an error here, not a choice.
    let usage = certificate.extended_key_usage().ok()??;
    if !rest.is_empty() || !holds || !usage.value.client_auth {
        return None;
    }
    let alternatives = &certificate.subject_alternative_name().ok()??.value.general_names;
    Some(alternatives.iter().filter_map(name).collect())
}

/// A name as text. One that looks like a name of another kind is none: an authority that may issue host names only
/// could write an address as one.
fn name(name: &GeneralName<'_>) -> Option<String> {
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    match *name {
        GeneralName::DNSName(host) if plain(host) && is_host(host) => Some(host.to_owned()),
        GeneralName::RFC822Name(mail) if plain(mail) && is_mail(mail) => Some(mail.to_owned()),
        GeneralName::URI(uri) if plain(uri) && has_scheme(uri) => Some(uri.to_owned()),
        GeneralName::IPAddress(octets) => ip(octets).map(|ip| ip.to_string()),
        _ => None,
    }
}

/// Host names hold no byte that an e-mail address or a URI must hold, and are no IP address.
fn is_host(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'*');
    text.bytes().all(letter) && text.parse::<IpAddr>().is_err()
}

fn is_mail(text: &str) -> bool {
    text.contains('@') && !text.contains(':')
}

fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(letter)
            && !rest.is_empty()
            && text.parse::<IpAddr>().is_err()
    })
}

/// An address as the kernel would name it: one that is mapped into IPv6 stays so, because a certificate says what it
/// says.
fn ip(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok().map(|octets| Ipv4Addr::from(octets).into()),
        16 => <[u8; 16]>::try_from(octets).ok().map(|octets| Ipv6Addr::from(octets).into()),
        _ => None,
    }
}
