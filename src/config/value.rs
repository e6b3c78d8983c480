//! Words of the configuration that mean something: durations, sizes, names, hosts, paths, addresses, URLs.
//!
//! Pure functions from text to a value or a [`Fault`]. A fault never repeats the text: the caller knows whether it
//! may be quoted, and quotes the line.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;

use super::{Address, HostMatch};

/// What is wrong with a value, to follow the name of its key, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) what: String,
    pub(super) help: Option<String>,
}

impl Fault {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), help: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The longest `sun_path` of Linux, without its closing NUL (unix(7)).
const UNIX_PATH_MAX: usize = 107;

/// A day, as durations mean it.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// `10m`, `30s`, `500ms`, `1h 30m`, `90d`, within bounds.
pub(super) fn duration(text: &str, bounds: &RangeInclusive<Duration>) -> Result<Duration, Fault> {
    let value = parsed_duration(text).ok_or_else(|| {
        let days = if *bounds.end() > DAY { "`30m`, `24h` or `90d`" } else { "`30s`, `10m` or `500ms`" };
        Fault::new("is not a duration").help(format!("write it like {days}"))
    })?;
    if bounds.contains(&value) {
        return Ok(value);
    }
    let (low, high) = (bounds.start(), bounds.end());
    Err(Fault::new(format!("must be from {} to {}", spoken(*low), spoken(*high))))
}

/// jiff knows no days here, because a day of the calendar may have 23 hours. These have 24.
fn parsed_duration(text: &str) -> Option<Duration> {
    let whole = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let days = text.split_once('d').filter(|(days, _)| whole(days));
    let Some((days, rest)) = days else {
        return Duration::try_from(text.parse::<jiff::SignedDuration>().ok()?).ok();
    };
    let days = DAY.checked_mul(days.parse().ok()?)?;
    let rest = rest.trim();
    if rest.is_empty() {
        Some(days)
    } else {
        days.checked_add(parsed_duration(rest).filter(|rest| *rest < DAY)?)
    }
}

/// A duration as this file writes it.
pub(super) fn spoken(duration: Duration) -> String {
    match (duration.as_secs(), duration.subsec_millis()) {
        (seconds, 0) if seconds > DAY.as_secs() && seconds % DAY.as_secs() == 0 => {
            format!("{}d", seconds / DAY.as_secs())
        }
        (seconds, 0) if seconds > 0 && seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        (seconds, 0) if seconds > 0 && seconds % 60 == 0 => format!("{}m", seconds / 60),
        (seconds, 0) => format!("{seconds}s"),
        _ => format!("{}ms", duration.as_millis()),
    }
}

/// `512B`, `32KiB`, `1MiB`, `2GiB`: bytes.
pub(super) fn size(text: &str) -> Result<u64, Fault> {
    let fault = || {
        Fault::new("is not a size")
            .help("write bytes as a number, or a whole number of `KiB`, `MiB` or `GiB`")
    };
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit.trim_start() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(fault()),
    };
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(fault)
}

/// The name of a route or credential, as it stands in logs and metric labels.
pub(super) fn name(text: &str) -> Result<(), Fault> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !text.is_empty() && text.len() <= 64 && text.chars().all(good) {
        return Ok(());
    }
    Err(Fault::new("is not a usable name").help("up to 64 letters, digits, `-`, `_` and `.`"))
}

/// A region or service: one segment of a credential scope.
pub(super) fn scope_word(text: &str) -> Result<String, Fault> {
    name(text).map(|()| text.to_owned()).map_err(|_| {
        Fault::new("is not a usable word of a credential scope")
            .help("up to 64 letters, digits, `-`, `_` and `.`, like `eu-central-1`")
    })
}

/// A host name or IP address without port: lower case, an IPv6 address in brackets and in its shortest form.
pub(super) fn host(text: &str) -> Result<String, Fault> {
    if let Some(inner) = text.strip_prefix('[') {
        let address = inner.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        return address
            .map(|address| format!("[{address}]"))
            .ok_or_else(|| Fault::new("is not an IPv6 address in brackets"));
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(Fault::new("is an IPv6 address without brackets").help("write it like `[::1]`"));
    }
    if !text.is_ascii() {
        return Err(Fault::new("is not an ASCII host name").help("write the punycode form (`xn--…`)"));
    }
    if text.contains(':') {
        return Err(Fault::new("must not have a port").help("ports play no part in the match"));
    }
    let lower = text.to_ascii_lowercase();
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    // What ends in a number is an IPv4 address or nothing (WHATWG URL, "ends in a number"): resolvers read
    // `127.1` and `2130706433` as addresses.
    let last = lower.rsplit('.').next().unwrap_or_default();
    let numeric = last.starts_with(|c: char| c.is_ascii_digit())
        && (last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x"));
    let good = lower.len() <= 253 && lower.split('.').all(label);
    if !good || (numeric && lower.parse::<Ipv4Addr>().is_err()) {
        return Err(Fault::new("is not a host name"));
    }
    Ok(lower)
}

/// A host with an optional port, as it stands in a `Host` header.
pub(super) fn host_and_port(text: &str) -> Result<String, Fault> {
    let after_brackets = text.rfind(']').map_or(0, |at| at + 1);
    match text[after_brackets..].rfind(':') {
        Some(colon) if text.parse::<Ipv6Addr>().is_err() => {
            let (name, port) = text.split_at(after_brackets + colon);
            Ok(format!("{}:{}", host(name)?, self::port(&port[1..])?))
        }
        _ => host(text),
    }
}

fn port(text: &str) -> Result<u16, Fault> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten().filter(|port| *port != 0);
    number.ok_or_else(|| Fault::new("has a port that is not a number from 1 to 65535"))
}

/// A route's host: a name, or `*.` and a suffix.
pub(super) fn host_match(text: &str) -> Result<HostMatch, Fault> {
    if let Some(suffix) = text.strip_prefix("*.") {
        if suffix.contains('*') {
            return Err(Fault::new("has more than one `*`").help("`*.suffix` is the only pattern"));
        }
        let suffix = host(suffix)?;
        if is_ip(&suffix) {
            return Err(Fault::new("puts `*.` before an IP address"));
        }
        return Ok(HostMatch::Suffix(suffix));
    }
    if text.contains('*') {
        let help = "`*` may only stand for the first labels, as in `*.s3.internal`";
        return Err(Fault::new("has a `*` that is not at the front").help(help));
    }
    host(text).map(HostMatch::Exact)
}

/// A path prefix, without its trailing `/`: the root is `""`. It is compared with the raw request target, so
/// nothing in it may be written in two ways.
pub(super) fn path_prefix(text: &str) -> Result<String, Fault> {
    let refuse = |what: &str, help: &str| Err(Fault::new(what).help(help));
    if !text.starts_with('/') {
        return refuse("must begin with `/`", "a path prefix is compared from the first byte of the path");
    }
    if text.contains(['?', '#']) {
        return refuse("must be a path only", "queries and fragments play no part in the match");
    }
    if text.contains('%') {
        return refuse(
            "must not be percent-encoded",
            "prefixes are compared byte for byte; use plain characters",
        );
    }
    let plain = |b: u8| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b);
    if !text.bytes().all(plain) {
        return refuse("holds a character that cannot stand in a path", "use plain ASCII characters");
    }
    let trimmed = text.strip_suffix('/').unwrap_or(text);
    let mut segments = trimmed.split('/').skip(1);
    if segments.any(|segment| segment.is_empty() || segment == "." || segment == "..") {
        return refuse("has an empty, `.` or `..` segment", "write the path without them");
    }
    Ok(trimmed.to_owned())
}

/// A file by its absolute path: a daemon's working directory is nobody's business.
pub(super) fn absolute(text: &str) -> Result<PathBuf, Fault> {
    if !text.starts_with('/') || text.contains('\0') {
        return Err(Fault::new("must be an absolute path").help("begin it with `/`"));
    }
    Ok(PathBuf::from(text))
}

/// `ip:port` or `unix:/path`.
/// A network in CIDR form, or one address. Bits beyond the prefix are a mistake: was the network meant, or the host?
pub(super) fn network(text: &str) -> Result<IpNet, Fault> {
    let help = "write a network like `10.20.0.0/16` or `fd00::/8`, or one address";
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.into());
    }
    let network: IpNet = text.parse().map_err(|_| Fault::new("is not a network").help(help))?;
    if network.addr() != network.network() {
        let fault = Fault::new("has bits beyond its prefix");
        return Err(fault.help(format!("write `{}` for the network", network.trunc())));
    }
    Ok(network)
}

pub(super) fn address(text: &str) -> Result<Address, Fault> {
    if let Some(path) = text.strip_prefix("unix:") {
        let path = absolute(path).map_err(|_| {
            Fault::new("must name a socket by its absolute path").help("write it like `unix:/run/x.sock`")
        })?;
        if path.as_os_str().len() > UNIX_PATH_MAX {
            return Err(Fault::new(format!(
                "is longer than {UNIX_PATH_MAX} bytes, the most for a socket's path"
            )));
        }
        return Ok(Address::Unix(path));
    }
    socket_address(text).map(Address::Tcp)
}

/// `ip:port`.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, Fault> {
    text.parse().map_err(|_| {
        let help = match text.strip_prefix("localhost:") {
            Some(port) if self::port(port).is_ok() => {
                format!("names are not resolved here: write `127.0.0.1:{port}` or `[::1]:{port}`")
            }
            _ => "write it like `127.0.0.1:8480`, `[::1]:8480` or, for a data listener, `unix:/path`"
                .to_owned(),
        };
        Fault::new("is not an IP address with a port").help(help)
    })
}

/// Whether only this machine can reach what is bound to this address.
pub(super) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Whether a host, in the form that [`host`] gives, is an IP address.
pub(super) fn is_ip(host: &str) -> bool {
    host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok()
}

/// The scheme and authority of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// Whether it begins with `https`.
    pub(super) tls: bool,
    /// In the form that [`host`] gives.
    pub(super) host: String,
    /// The port, written or implied.
    pub(super) port: u16,
}

impl Origin {
    /// Whether it names this machine: 127.0.0.0/8, `::1` or `localhost`.
    pub(super) fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.bare_host().parse().is_ok_and(is_loopback)
    }

    /// The host without brackets.
    pub(super) fn bare_host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// As a `Host` header writes it: a port stands in it unless it is the scheme's default.
    pub(super) fn authority(&self) -> String {
        let default = if self.tls { 443 } else { 80 };
        if self.port == default { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }
}

/// An upstream's URL: scheme and authority, and nothing else.
pub(super) fn origin(text: &str) -> Result<Origin, Fault> {
    let refuse = |what: &str, help: &str| Err(Fault::new(what).help(help));
    let lower = text.to_ascii_lowercase();
    let (tls, skip) = if lower.starts_with("https://") {
        (true, 8)
    } else if lower.starts_with("http://") {
        (false, 7)
    } else {
        return refuse("must begin with `https://` or `http://`", "write it like `https://cloud.example`");
    };
    let rest = &text[skip..];
    if rest.contains('@') {
        return refuse("must not hold a user or password", "keys belong in `[credentials.*]`, by reference");
    }
    if rest.contains('?') {
        return refuse("must not have a query", "the query is the caller's");
    }
    if rest.contains('#') {
        return refuse("must not have a fragment", "remove it");
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if !matches!(path, "" | "/") {
        let help = "to change the path of requests, use `{ url = \"…\", rewrite-path = \"…\" }`";
        return refuse("must not have a path", help);
    }
    let after_brackets = authority.rfind(']').map_or(0, |at| at + 1);
    let (name, port) = match authority[after_brackets..].rfind(':') {
        Some(colon) => {
            let (name, port) = authority.split_at(after_brackets + colon);
            (name, self::port(&port[1..])?)
        }
        None => (authority, if tls { 443 } else { 80 }),
    };
    let host =
        host(name).map_err(|fault| Fault { what: format!("has a host that {}", fault.what), ..fault })?;
    Ok(Origin { tls, host, port })
}

/// A request header that may be passed on: not one that a hop, a signer or the gateway itself owns.
pub(super) fn forwardable(text: &str) -> Result<String, Fault> {
    const HOP: &[&str] = &[
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
    ];
    const IDENTITY: &[&str] = &["authorization", "cookie", "set-cookie"];
    const OWNED: &[&str] = &["host", "date", "content-length", "expect", "x-request-id"];
    const FORWARDING: &[&str] = &["forwarded", "via", "x-real-ip", "true-client-ip"];
    let name: HeaderName = text.parse().map_err(|_| Fault::new("is not a header name"))?;
    let name = name.as_str();
    let refuse = |what: &str| Err(Fault::new(what).help("remove it from the list"));
    if HOP.contains(&name) {
        return refuse("is a hop-by-hop header, which ends at the gateway");
    }
    if IDENTITY.contains(&name) || name.starts_with("x-amz-") {
        return refuse("is a header of credentials or signatures, which the signer alone writes");
    }
    if OWNED.contains(&name) || name.starts_with("x-countersign-") {
        return refuse("is a header that the gateway itself writes");
    }
    if FORWARDING.contains(&name) || name.starts_with("x-forwarded-") {
        return refuse("is a forwarding header, which an upstream could take for the truth");
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests;
