//! Naive verifiers of every scheme, written from what the servers do and sharing no line with the signer.
//!
//! They are slow, allocate freely and know only what the tests send. Each judges a request as it was read off the
//! wire, by the server's own clock, and says in words what a real server would have refused.

mod cloudstack;
mod presigned;
mod s3v2;
mod sigv4;
mod zstack;

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

pub use cloudstack::cloudstack;
pub use presigned::{presigned_v2, presigned_v4};
pub use s3v2::{S3V2, s3v2};
pub use sigv4::{Flavour, Payload, SigV4, sigv4};
pub use zstack::zstack;

/// The most that a clock may be off, in seconds: every scheme's servers allow fifteen minutes.
const SKEW: i64 = 15 * 60;

/// The real key of a route.
#[derive(Clone, Debug)]
pub struct Keys {
    pub id: String,
    pub secret: String,
    pub token: Option<String>,
}

impl Default for Keys {
    /// Secrets with characters that some encodings would change.
    fn default() -> Self {
        Self {
            id: "AKCANARYID0000000001".into(),
            secret: "canary/Secret+0123456789abcdef/+=".into(),
            token: None,
        }
    }
}

impl Keys {
    /// The same with a session token.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// The parts by their names in a configuration.
    pub fn parts(&self) -> Vec<(&'static str, &str)> {
        let token = self.token.iter().map(|token| ("session-token", token.as_str()));
        [("access-key", self.id.as_str()), ("secret-key", &self.secret)].into_iter().chain(token).collect()
    }
}

pub fn hmac_sha1(key: &[u8], text: &[u8]) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).unwrap();
    mac.update(text);
    STANDARD.encode(mac.finalize().into_bytes())
}

pub fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 in lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The bytes of a text that was read as Latin-1, as all heads are.
pub(super) fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

/// Percent-decodes; `plus` is whether `+` is a space.
pub fn decoded(text: &str, plus: bool) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digits = [bytes.next(), bytes.next()].map(|digit| digit.map(char::from));
                let [Some(high), Some(low)] = digits.map(|digit| digit.and_then(|digit| digit.to_digit(16)))
                else {
                    return Err(format!("a bad escape in {text:?}"));
                };
                out.push(u8::try_from(high * 16 + low).unwrap());
            }
            b'+' if plus => out.push(b' '),
            other => out.push(other),
        }
    }
    Ok(out)
}

/// Percent-encodes all but unreserved characters and those of `keep`.
pub fn encoded(bytes: &[u8], keep: &str) -> String {
    let mut out = String::new();
    for &byte in bytes {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "-._~".contains(c) || (c.is_ascii() && keep.contains(c)) {
            out.push(c);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Seconds since 1970.
pub fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// Days since 1970 of a date of the Gregorian calendar, counted year by year.
fn days(year: i64, month: usize, day: i64) -> Option<i64> {
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *lengths.get(month.checked_sub(1)?)?;
    if !(1970..3000).contains(&year) || day < 1 || day > length {
        return None;
    }
    let years: i64 = (1970..year).map(|year| if leap(year) { 366 } else { 365 }).sum();
    Some(years + lengths[..month - 1].iter().sum::<i64>() + day - 1)
}

/// Seconds since 1970 from digits: `[year, month, day, hour, minute, second]`.
pub(super) fn seconds(fields: [&str; 6]) -> Option<i64> {
    let widths = [4, 2, 2, 2, 2, 2];
    let whole = |(text, width): (&str, usize)| {
        (text.len() == width && text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| text.parse::<i64>().ok())
            .flatten()
    };
    let numbers: Option<Vec<i64>> = fields.into_iter().zip(widths).map(whole).collect();
    let [year, month, day, hour, minute, second] = numbers?.try_into().ok()?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(days(year, usize::try_from(month).ok()?, day)? * 86_400 + hour * 3600 + minute * 60 + second)
}

/// `EEE, dd MMM yyyy HH:mm:ss zone` in English: the wall clock as if it were UTC, and the zone. The weekday must be
/// the date's own.
pub(super) fn mail_date(text: &str) -> Option<(i64, &str)> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let words: Vec<&str> = text.split(' ').collect();
    let [weekday, day, month, year, clock, zone] = words.try_into().ok()?;
    let month = format!("{:02}", MONTHS.iter().position(|name| *name == month)? + 1);
    let clock: Vec<&str> = clock.split(':').collect();
    let [hour, minute, second] = clock.try_into().ok()?;
    let seconds = seconds([year, &month, day, hour, minute, second])?;
    let expected = WEEKDAYS[usize::try_from(seconds / 86_400 % 7).ok()?];
    (weekday == format!("{expected},") && !zone.is_empty()).then_some((seconds, zone))
}

/// `YYYYMMDDTHHMMSSZ`.
pub(super) fn amz_date(text: &str) -> Option<i64> {
    if text.len() != 16 || !text.is_ascii() || &text[8..9] != "T" || &text[15..] != "Z" {
        return None;
    }
    seconds([&text[..4], &text[4..6], &text[6..8], &text[9..11], &text[11..13], &text[13..15]])
}

pub(super) fn recent(then: i64) -> Result<(), String> {
    if (then - now()).abs() <= SKEW { Ok(()) } else { Err(format!("time too skewed: {} s", then - now())) }
}

/// Nothing but what a scheme itself sets may look like a credential: no cookie, no second authorization, no
/// signature parameter in the query, no header of a hop.
pub fn no_leftovers(request: &super::Request) -> Result<(), String> {
    for (name, value) in &request.headers.0 {
        let name = name.to_ascii_lowercase();
        let hop = ["connection", "keep-alive", "te", "trailer", "upgrade", "expect", "http2-settings"];
        let prefixes = ["x-forwarded", "proxy-", "sec-", "x-countersign"];
        let others = [
            "cookie",
            "cookie2",
            "forwarded",
            "referer",
            "origin",
            "via",
            "x-real-ip",
            "x-web-hook",
            "x-job-uuid",
            "x-http-method-override",
            "x-request-id",
            "proxy_path",
        ];
        if hop.contains(&name.as_str())
            || others.contains(&name.as_str())
            || prefixes.iter().any(|prefix| name.starts_with(prefix))
            || name.contains('_')
        {
            return Err(format!("header {name}: {value} arrived"));
        }
    }
    if request.headers.all("authorization").len() > 1 || request.headers.all("host").len() != 1 {
        return Err("two Authorization headers, or not one Host".to_owned());
    }
    Ok(())
}
