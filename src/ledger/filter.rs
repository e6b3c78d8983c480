//! What is asked for: conditions that all must hold.
//!
//! A condition with several values holds when one of them does. [`Filter::matches`] is the meaning; the index only
//! finds faster what it would find.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::id::RequestId;
use super::line::Line;

/// Conditions; the empty ones hold for every call.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Names of clients, to the letter.
    pub clients: Vec<String>,
    /// Names of routes, to the letter.
    pub routes: Vec<String>,
    /// Operations.
    pub operations: Vec<Glob>,
    /// What the name of one of the call's resources begins with.
    pub resource: Option<String>,
    /// The earliest arrival, in microseconds since 1970.
    pub since: Option<i64>,
    /// Arrived before this, in microseconds since 1970.
    pub until: Option<i64>,
    /// Statuses that the caller got.
    pub statuses: Vec<Statuses>,
    /// Only what the gateway answered by itself and never sent.
    pub refused: bool,
    /// Where the caller was.
    pub sources: Vec<Source>,
    /// One call.
    pub request: Option<String>,
}

impl Filter {
    /// Whether a call's line is asked for.
    pub fn matches(&self, line: &Line<'_>) -> bool {
        let any = |names: &[String], name: &str| names.is_empty() || names.iter().any(|known| known == name);
        any(&self.clients, line.client())
            && any(&self.routes, &line.extra.route)
            && self.matches_operation(line.operation())
            && self.resource.as_deref().is_none_or(|prefix| {
                line.resources
                    .iter()
                    .any(|resource| !resource.name.is_empty() && resource.name.starts_with(prefix))
            })
            && self.matches_status(line.extra.status)
            && (!self.refused || line.refused())
            && self.matches_source(&line.source)
            && self.request.as_deref().is_none_or(|id| RequestId::of(id) == RequestId::of(&line.request_id))
            && (self.since.is_none() && self.until.is_none()
                || line.time().is_some_and(|time| self.matches_time(time)))
    }

    pub(super) fn matches_operation(&self, name: &str) -> bool {
        self.operations.is_empty() || self.operations.iter().any(|glob| glob.matches(name))
    }

    pub(super) fn matches_source(&self, source: &str) -> bool {
        self.sources.is_empty() || self.sources.iter().any(|condition| condition.matches(source))
    }

    fn matches_status(&self, status: u16) -> bool {
        self.statuses.is_empty() || self.statuses.iter().any(|statuses| statuses.0.contains(&status))
    }

    fn matches_time(&self, time: i64) -> bool {
        self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time < until)
    }
}

/// A pattern over operation names: `*` stands for any text, `?` for one character, ASCII letters of either case are
/// the same. As in the configuration's `allow` and `deny`.
#[derive(Clone, Debug)]
pub struct Glob(String);

impl FromStr for Glob {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("an operation has a name; `*` stands for every one".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

impl Glob {
    /// Whether the pattern covers the whole name. Takes time in the product of both lengths at worst.
    pub fn matches(&self, name: &str) -> bool {
        let (mut pattern, mut rest) = (self.0.chars(), name.chars());
        // Where to go on when it fails: behind the last `*`, one more character taken by it.
        let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
        loop {
            let here = rest.clone();
            let fits = match (pattern.next(), rest.next()) {
                (None, None) => return true,
                (Some('*'), _) => {
                    retry = Some((pattern.clone(), here.clone()));
                    rest = here;
                    continue;
                }
                (Some('?'), Some(_)) => true,
                (Some(wanted), Some(found)) => wanted.eq_ignore_ascii_case(&found),
                _ => false,
            };
            if !fits {
                let Some((behind, mut taken)) = retry.take() else { return false };
                if taken.next().is_none() {
                    return false;
                }
                (pattern, rest) = (behind.clone(), taken.clone());
                retry = Some((behind, taken));
            }
        }
    }
}

/// Statuses: `403`, `4xx`, `200-299`.
#[derive(Clone, Debug)]
pub struct Statuses(pub(super) RangeInclusive<u16>);

impl FromStr for Statuses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let digits =
                !text.is_empty() && text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u16>().ok().filter(|_| digits)
        };
        let range = if let Some(class) = text.to_ascii_lowercase().strip_suffix("xx") {
            number(class).filter(|class| (1..=5).contains(class)).map(|class| class * 100..=class * 100 + 99)
        } else if let Some((first, last)) = text.split_once('-') {
            number(first)
                .zip(number(last))
                .filter(|(first, last)| first <= last)
                .map(|(first, last)| first..=last)
        } else {
            number(text).map(|status| status..=status)
        };
        range
            .map(Self)
            .ok_or_else(|| "a status is written 403, 4xx or 200-299; 0 is a caller who left".to_owned())
    }
}

/// Where a caller was: an address, a network, or what the record says instead (`unix:uid=1000`).
#[derive(Clone, Debug)]
pub enum Source {
    /// An address or a network; an IPv4 address inside IPv6 is the IPv4 address.
    Net(IpNet),
    /// To the letter.
    Text(String),
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Net(address.to_canonical().into()));
        }
        match text.parse::<IpNet>() {
            Ok(net) => Ok(Self::Net(canonical(net))),
            Err(_) if text.starts_with("unix:") => Ok(Self::Text(text.to_owned())),
            Err(_) => Err("a source is an address, a network (10.0.0.0/8) or unix:uid=1000".to_owned()),
        }
    }
}

/// An IPv4 network that is written inside IPv6, as IPv4.
fn canonical(net: IpNet) -> IpNet {
    let inner = match net {
        IpNet::V6(net) => net.addr().to_ipv4_mapped().zip(net.prefix_len().checked_sub(96)),
        IpNet::V4(_) => None,
    };
    inner.and_then(|(address, length)| Ipv4Net::new(address, length).ok()).map_or(net, IpNet::V4)
}

impl Source {
    fn matches(&self, source: &str) -> bool {
        match self {
            Self::Net(net) => {
                source.parse::<IpAddr>().is_ok_and(|address| net.contains(&address.to_canonical()))
            }
            Self::Text(text) => source == text,
        }
    }
}

/// A moment: `2h` is two hours before `now` (units s, m, h, d, w), `2026-11-01` is its midnight in UTC, and RFC 3339
/// is what it says. In microseconds since 1970.
///
/// # Errors
/// What is none of these, in words for whoever wrote it.
pub fn moment(text: &str, now: Timestamp) -> Result<i64, String> {
    let wrong = || "a time is written 2h, 2026-11-01 (UTC) or 2026-11-01T09:30:00Z".to_owned();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.as_microsecond());
    }
    if text.len() == 10
        && let Ok(date) = text.parse::<Date>()
    {
        return Ok(date.to_zoned(TimeZone::UTC).map_err(|_| wrong())?.timestamp().as_microsecond());
    }
    let unit = match text.as_bytes().last() {
        Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 3600,
        Some(b'd') => 86_400,
        Some(b'w') => 604_800,
        _ => return Err(wrong()),
    };
    let number = &text[..text.len() - 1];
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let seconds = number.parse::<i64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)?;
    let before = now.checked_sub(SignedDuration::from_secs(seconds)).map_err(|_| wrong())?;
    Ok(before.as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_cover_whole_names_in_either_case() {
        let matches = |pattern: &str, name: &str| Glob(pattern.into()).matches(name);
        for (pattern, name) in [
            ("*", ""),
            ("*", "x"),
            ("list*", "LISTUsers"),
            ("*users", "listUsers"),
            ("s3:?et*", "s3:GetObject"),
            ("a*b*c", "aXbXbc"),
            ("**a", "aaa"),
            ("GET /v1/*/{uuid}", "get /v1/vm-instances/{uuid}"),
            ("?", "ü"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("list", "listUsers"), ("?", ""), ("a*b", "abc"), ("*a*", "b"), ("", "a"), ("k", "\u{212a}")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        // Exponential in a naive matcher.
        assert!(!matches(&"*a".repeat(60), &format!("{}b", "a".repeat(2000))));
    }

    #[test]
    fn statuses_and_sources_are_read_strictly() {
        let range = |text: &str| text.parse::<Statuses>().ok().map(|statuses| statuses.0);
        assert_eq!(range("403"), Some(403..=403));
        assert_eq!(range("4xx"), Some(400..=499));
        assert_eq!(range("4XX"), Some(400..=499));
        assert_eq!(range("200-299"), Some(200..=299));
        assert_eq!(range("0"), Some(0..=0));
        for bad in ["", "xx", "6xx", "4x", "-", "299-200", "+403", "1000", "4xx-5xx"] {
            assert!(range(bad).is_none(), "{bad}");
        }
        let matches = |condition: &str, source: &str| {
            condition.parse::<Source>().is_ok_and(|condition| condition.matches(source))
        };
        assert!(matches("10.0.0.0/8", "10.1.2.3"));
        assert!(matches("10.1.2.3", "::ffff:10.1.2.3"));
        assert!(matches("::ffff:10.1.2.3", "10.1.2.3"));
        assert!(matches("::ffff:10.0.0.0/104", "10.1.2.3"));
        assert!(!matches("::ffff:10.0.0.0/104", "11.1.2.3"));
        assert!(matches("::/0", "2001:db8::1"));
        assert!(matches("unix:uid=1000", "unix:uid=1000"));
        assert!(!matches("10.0.0.0/8", "unix:uid=10"));
        assert!(!matches("unix:uid=1000", "unix:uid=100"));
        for bad in ["", "10.0.0", "host", "10.0.0.0/33"] {
            assert!(bad.parse::<Source>().is_err(), "{bad}");
        }
    }

    #[test]
    fn moments_are_relative_dates_or_timestamps() {
        let Ok(now) = "2026-11-22T09:30:00Z".parse::<Timestamp>() else { panic!() };
        let second = |text: &str| moment(text, now).map(|time| time / 1_000_000).ok();
        let at = now.as_second();
        assert_eq!(second("2h"), Some(at - 7200));
        assert_eq!(second("1w"), Some(at - 604_800));
        assert_eq!(second("0s"), Some(at));
        assert_eq!(second("2026-11-22"), Some(at - 34_200));
        assert_eq!(second("2026-11-22T10:30:00+01:00"), Some(at));
        for bad in [
            "",
            "h",
            "2",
            "2y",
            "-2h",
            "+2h",
            "2026-13-01",
            "2026-11-22T09:30:00",
            "99999999999999w",
            "ü",
            "1é",
        ] {
            assert!(second(bad).is_none(), "{bad}");
        }
    }
}
