//! For whom a trusted proxy makes a request: `X-Forwarded-For`, or `Forwarded` (RFC 7239).
//!
//! Each proxy adds the address that it saw to the end of the list. From the end, the first address that is not a
//! trusted proxy's own is the caller's: everything before it is the caller's to write. Whatever cannot be read on the
//! way there makes the caller unknown, never the proxy. Whether the peer is to be believed at all is asked before.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName};

use super::Connection;
use crate::caller::Peer;
use crate::config::ClientAddress;
use crate::snapshot::{Listener, Proxies};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

impl Connection {
    /// Who makes a request with these headers, in the world that `listener` is of: the connection's peer or, where
    /// that is a trusted proxy that tells by headers, the caller that it names. Of such a caller nothing else is
    /// known: the user, the groups and the certificate of the connection are the proxy's.
    pub fn caller(&self, headers: &HeaderMap, listener: &Listener) -> Cow<'_, Peer> {
        // A connection that a PROXY header came with speaks for one caller, to its end.
        let (None, Some(address), Some(proxies)) = (self.peer.proxy, self.peer.address, &listener.proxies)
        else {
            return Cow::Borrowed(&self.peer);
        };
        let told = match listener.speaks_for_others(address) {
            None => return Cow::Borrowed(&self.peer),
            Some(ClientAddress::XForwardedFor) => x_forwarded_for(headers, proxies),
            Some(ClientAddress::Forwarded) => forwarded(headers, proxies),
            // The world has changed since the connection began, without a header.
            Some(ClientAddress::ProxyProtocol) => None,
        };
        Cow::Owned(Peer { address: told, proxy: Some(address), ..Peer::default() })
    }
}

/// The caller by `X-Forwarded-For`: addresses with commas between them, over all lines of that name.
fn x_forwarded_for(headers: &HeaderMap, proxies: &Proxies) -> Option<IpAddr> {
    for line in headers.get_all(X_FORWARDED_FOR).into_iter().rev() {
        for element in line.to_str().ok()?.rsplit(',') {
            let address = node(trimmed(element))?;
            if !proxies.include(address) {
                return Some(address);
            }
        }
    }
    None
}

/// The caller by `Forwarded`. A line is read from its beginning, as its quoted texts may hold commas, and one that is
/// not well formed anywhere says nothing: its end may be inside a quoted text that the caller began.
fn forwarded(headers: &HeaderMap, proxies: &Proxies) -> Option<IpAddr> {
    for line in headers.get_all(FORWARDED).into_iter().rev() {
        for node in nodes(line.to_str().ok()?)?.into_iter().rev() {
            // An element without `for` is a proxy that does not say.
            let address = self::node(&node?)?;
            if !proxies.include(address) {
                return Some(address);
            }
        }
    }
    None
}

fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// An address, alone or with a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`,
/// `[2001:db8::1]:80`. `unknown` and obfuscated names (`_hidden`) are none.
fn node(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let (address, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
        (IpAddr::V6(address.parse::<Ipv6Addr>().ok()?), port)
    } else {
        let (address, port) = text.split_once(':')?;
        (IpAddr::V4(address.parse().ok()?), Some(port))
    };
    let good = |port: &str| port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    let good = port.is_none_or(|port| good(port) && port.parse::<u16>().is_ok());
    good.then(|| address.to_canonical())
}

/// The `for` of each element of a `Forwarded` line; `None` when the line is not of its grammar:
///
/// ```text
/// Forwarded         = 1#( [ forwarded-pair ] *( ";" [ forwarded-pair ] ) )
/// forwarded-pair    = token "=" ( token / quoted-string )
/// ```
///
/// Lists may have empty elements (RFC 9110, 5.6.1); a parameter may come once in an element.
fn nodes(line: &str) -> Option<Vec<Option<String>>> {
    let mut nodes = Vec::new();
    let mut rest = line;
    loop {
        let mut names: Vec<&str> = Vec::new();
        let mut node = None;
        // One element.
        loop {
            rest = rest.trim_start_matches([' ', '\t']);
            if !rest.starts_with([',', ';']) && !rest.is_empty() {
                let (name, after) = token(rest)?;
                let (value, after) = value(after.strip_prefix('=')?)?;
                if names.iter().any(|earlier| earlier.eq_ignore_ascii_case(name)) {
                    return None;
                }
                if name.eq_ignore_ascii_case("for") {
                    node = Some(value);
                }
                names.push(name);
                rest = after.trim_start_matches([' ', '\t']);
            }
            match rest.strip_prefix(';') {
                Some(after) => rest = after,
                None => break,
            }
        }
        if !names.is_empty() {
            nodes.push(node);
        }
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.is_empty() => return Some(nodes),
            None => return None,
        }
    }
}

/// A token (RFC 9110, 5.6.2) at the beginning of a text, and what follows it.
fn token(text: &str) -> Option<(&str, &str)> {
    let of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let length = text.bytes().take_while(|byte| of_token(*byte)).count();
    (length > 0).then(|| text.split_at(length))
}

/// A token or a quoted text (RFC 9110, 5.6.4) at the beginning of a text, and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        return token(text).map(|(token, rest)| (token.to_owned(), rest));
    };
    let mut out = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((out, &quoted[at + 1..])),
            '\\' => out.push(letters.next()?.1),
            other => out.push(other),
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
