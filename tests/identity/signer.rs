//! Callers that sign for themselves: naive signers of every scheme, written from the protocols and sharing no line with
//! the gateway.

use crate::support::naive::{Keys, decoded, encoded, hex, hmac_sha1, hmac_sha256, now, sha256};
use crate::support::{Ask, ask};

/// A request before and after it is signed.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: String,
    /// As it stands on the wire.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
}

impl Call {
    /// A request to `host` without a body.
    pub fn new(method: &str, host: &str, target: &str) -> Self {
        let headers = vec![("Host".to_owned(), host.to_owned())];
        Self { method: method.to_owned(), target: target.to_owned(), headers, body: None }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Some(body.as_ref().to_vec());
        self
    }

    /// The only value of a header.
    pub fn value(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} stands twice");
        value
    }

    /// Changes a header that is there.
    pub fn set(&mut self, name: &str, value: &str) {
        let found = self.headers.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)).unwrap();
        value.clone_into(&mut found.1);
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The pieces of the query, decoded.
    fn pairs(&self) -> Vec<(String, String)> {
        pairs(self.query())
    }

    fn add_query(&mut self, name: &str, value: &str) {
        let mark = if self.target.contains('?') { '&' } else { '?' };
        self.target.push_str(&format!("{mark}{name}={}", encoded(value.as_bytes(), "")));
    }

    /// For sending.
    pub fn ask(&self) -> Ask {
        let out = self.headers.iter().fold(ask(&self.method, &self.target), |out, (n, v)| out.header(n, v));
        match &self.body {
            Some(body) => out.body(body),
            None => out,
        }
    }
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let text = |part| String::from_utf8(decoded(part, true).unwrap()).unwrap();
    let pieces = query.split('&').filter(|piece| !piece.is_empty());
    pieces
        .map(|piece| piece.split_once('=').unwrap_or((piece, "")))
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

/// Year, month, day, hour, minute, second of a time in UTC.
fn fields(time: i64) -> [i64; 6] {
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let (mut day, second) = (time / 86_400, time % 86_400);
    let mut year = 1970;
    while day >= if leap(year) { 366 } else { 365 } {
        day -= if leap(year) { 366 } else { 365 };
        year += 1;
    }
    let months = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while day >= months[month] {
        day -= months[month];
        month += 1;
    }
    [year, i64::try_from(month).unwrap() + 1, day + 1, second / 3600, second / 60 % 60, second % 60]
}

/// `YYYYMMDDTHHMMSSZ`.
pub fn amz(time: i64) -> String {
    let [year, month, day, hour, minute, second] = fields(time);
    format!("{year}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// `YYYY-MM-DDTHH:MM:SS+0000`.
pub fn iso(time: i64) -> String {
    let [year, month, day, hour, minute, second] = fields(time);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}+0000")
}

/// `Thu, 01 Jan 1970 00:00:00 zone`.
pub fn mail(time: i64, zone: &str) -> String {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let [year, month, day, hour, minute, second] = fields(time);
    let weekday =
        ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][usize::try_from(time / 86_400 % 7).unwrap()];
    let at = usize::try_from(month - 1).unwrap() * 3;
    let month = &MONTHS[at..at + 3];
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} {zone}")
}

/// A version 4 signer.
#[derive(Clone, Copy)]
pub struct V4<'a> {
    pub region: &'a str,
    pub service: &'a str,
    /// Whether the digest is stated in a header, as S3 wants it; the path is then encoded once.
    pub s3: bool,
    /// Seconds that the caller's clock is ahead.
    pub ahead: i64,
}

impl V4<'_> {
    pub const S3: V4<'static> = V4 { region: "us-east-1", service: "s3", s3: true, ahead: 0 };
    pub const SQS: V4<'static> = V4 { region: "eu-central-1", service: "sqs", s3: false, ahead: 0 };

    /// Signs in the header. `payload` stands for the digest; by default it is that of the body.
    pub fn header(self, call: &Call, keys: &Keys, payload: Option<&str>) -> (Call, Chain) {
        let mut call = call.clone();
        let date = amz(now() + self.ahead);
        let digest = sha256(call.body.as_deref().unwrap_or_default());
        let payload = payload.unwrap_or(&digest).to_owned();
        call = call.header("X-Amz-Date", &date);
        if self.s3 {
            call = call.header("x-amz-content-sha256", &payload);
        }
        let signed = Self::names(&call);
        let (signature, chain) = self.sign(&call, keys, &date, &signed, &payload);
        let scope = &chain.scope[17..];
        let value = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed}, Signature={signature}",
            keys.id
        );
        (call.header("Authorization", &value), chain)
    }

    /// Signs in the query, for `expires` seconds.
    pub fn query(self, call: &Call, keys: &Keys, expires: i64) -> Call {
        let mut call = call.clone();
        let date = amz(now() + self.ahead);
        let scope = format!("{}/{}/{}/aws4_request", &date[..8], self.region, self.service);
        let signed = Self::names(&call);
        call.add_query("X-Amz-Algorithm", "AWS4-HMAC-SHA256");
        call.add_query("X-Amz-Credential", &format!("{}/{scope}", keys.id));
        call.add_query("X-Amz-Date", &date);
        call.add_query("X-Amz-Expires", &expires.to_string());
        call.add_query("X-Amz-SignedHeaders", &signed);
        let stated = call.pairs().into_iter().find(|(name, _)| name == "X-Amz-Content-Sha256");
        let payload = match stated {
            Some((_, stated)) => stated,
            None if self.s3 => "UNSIGNED-PAYLOAD".to_owned(),
            None => sha256(call.body.as_deref().unwrap_or_default()),
        };
        let (signature, _) = self.sign(&call, keys, &date, &signed, &payload);
        call.add_query("X-Amz-Signature", &signature);
        call
    }

    /// All headers but those that no client signs.
    fn names(call: &Call) -> String {
        let mut names: Vec<String> = call.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
        names.retain(|name| !matches!(name.as_str(), "authorization" | "user-agent" | "expect"));
        names.sort();
        names.dedup();
        names.join(";")
    }

    fn sign(self, call: &Call, keys: &Keys, date: &str, signed: &str, payload: &str) -> (String, Chain) {
        let words = |name: &str| call.value(name).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        let line = |name: &str| format!("{name}:{}\n", words(name));
        let lines: String = signed.split(';').map(line).collect();
        let path = if self.s3 {
            encoded(&decoded(call.path(), false).unwrap(), "/")
        } else {
            encoded(call.path().as_bytes(), "/")
        };
        let one =
            |(name, value): (String, String)| (encoded(name.as_bytes(), ""), encoded(value.as_bytes(), ""));
        let mut query: Vec<(String, String)> = call.pairs().into_iter().map(one).collect();
        query.sort();
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let canonical = format!("{}\n{path}\n{}\n{lines}\n{signed}\n{payload}", call.method, query.join("&"));
        let scope = format!("{date}\n{}/{}/{}/aws4_request", &date[..8], self.region, self.service);
        let mut key = hmac_sha256(format!("AWS4{}", keys.secret).as_bytes(), &date.as_bytes()[..8]);
        for part in [self.region, self.service, "aws4_request"] {
            key = hmac_sha256(&key, part.as_bytes());
        }
        let text = format!("AWS4-HMAC-SHA256\n{scope}\n{}", sha256(canonical.as_bytes()));
        let signature = hex(&hmac_sha256(&key, text.as_bytes()));
        (signature.clone(), Chain { key, scope, previous: signature })
    }
}

/// The signatures of chunks.
pub struct Chain {
    key: Vec<u8>,
    /// The date, a line end, the scope.
    scope: String,
    previous: String,
}

impl Chain {
    /// A body in signed chunks, with signed trailers if there are any.
    pub fn body(mut self, chunks: &[&[u8]], trailers: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        for chunk in chunks.iter().copied().chain([&b""[..]]) {
            let text = format!(
                "AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{}\n{}",
                self.scope,
                self.previous,
                sha256(b""),
                sha256(chunk)
            );
            self.previous = hex(&hmac_sha256(&self.key, text.as_bytes()));
            out.extend_from_slice(
                format!("{:x};chunk-signature={}\r\n", chunk.len(), self.previous).as_bytes(),
            );
            out.extend_from_slice(chunk);
            if !chunk.is_empty() || trailers.is_empty() {
                out.extend_from_slice(b"\r\n");
            }
        }
        if !trailers.is_empty() {
            let lines: String = trailers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
            let text = format!(
                "AWS4-HMAC-SHA256-TRAILER\n{}\n{}\n{}",
                self.scope,
                self.previous,
                sha256(lines.as_bytes())
            );
            let signature = hex(&hmac_sha256(&self.key, text.as_bytes()));
            let lines = lines.replace('\n', "\r\n");
            out.extend_from_slice(format!("{lines}x-amz-trailer-signature:{signature}\r\n\r\n").as_bytes());
        }
        out
    }
}

/// Sub-resources that every server signs and the tests use.
const SUB_RESOURCES: &str =
    "acl delete location partNumber policy response-content-type uploadId uploads versionId";

/// The version 2 text up to the resource's end; `bucket` stands in the host.
fn v2_text(call: &Call, date: &str, bucket: Option<&str>) -> String {
    let header = |name| call.value(name).unwrap_or_default();
    let mut amz: Vec<String> = call.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
    amz.retain(|name| name.starts_with("x-amz-"));
    amz.sort();
    let amz: String = amz.iter().map(|name| format!("{name}:{}\n", header(name).trim())).collect();
    let mut resources: Vec<String> = call
        .pairs()
        .into_iter()
        .filter(|(name, _)| SUB_RESOURCES.split(' ').any(|known| known == name))
        .map(|(name, value)| if value.is_empty() { name } else { format!("{name}={value}") })
        .collect();
    resources.sort();
    let mark = if resources.is_empty() { "" } else { "?" };
    let bucket = bucket.map(|bucket| format!("/{bucket}")).unwrap_or_default();
    format!(
        "{}\n{}\n{}\n{date}\n{amz}{bucket}{}{mark}{}",
        call.method,
        header("content-md5"),
        header("content-type"),
        call.path(),
        resources.join("&")
    )
}

/// Signs version 2 in the header; the clock is `ahead` seconds ahead.
pub fn v2_header(call: &Call, keys: &Keys, ahead: i64, bucket: Option<&str>) -> Call {
    let date = mail(now() + ahead, "GMT");
    let call = call.clone().header("Date", &date);
    let signature = hmac_sha1(keys.secret.as_bytes(), v2_text(&call, &date, bucket).as_bytes());
    call.header("Authorization", &format!("AWS {}:{signature}", keys.id))
}

/// Signs version 2 in the query, until `until`.
pub fn v2_query(call: &Call, keys: &Keys, until: i64, bucket: Option<&str>) -> Call {
    let mut call = call.clone();
    let until = until.to_string();
    let signature = hmac_sha1(keys.secret.as_bytes(), v2_text(&call, &until, bucket).as_bytes());
    call.add_query("AWSAccessKeyId", &keys.id);
    call.add_query("Expires", &until);
    call.add_query("Signature", &signature);
    call
}

/// Signs ZStack's way: method, date, and the path without the context path.
pub fn zstack(call: &Call, keys: &Keys, ahead: i64) -> Call {
    let date = mail(now() + ahead, "GMT");
    let path =
        String::from_utf8(decoded(call.path().strip_prefix("/zstack").unwrap(), false).unwrap()).unwrap();
    let text = format!("{}\n{date}\n{path}", call.method);
    let signature = hmac_sha1(keys.secret.as_bytes(), text.as_bytes());
    call.clone().header("Date", &date).header("Authorization", &format!("ZStack {}:{signature}", keys.id))
}

/// CloudStack's parameters, signed; `expires` makes it version 3.
pub fn cloudstack(parameters: &[(&str, &str)], keys: &Keys, expires: Option<&str>) -> String {
    let mut all: Vec<(&str, &str)> = parameters.to_vec();
    all.push(("apiKey", &keys.id));
    if let Some(expires) = expires {
        all.extend([("signatureVersion", "3"), ("expires", expires)]);
    }
    let java = |value: &str| encoded(value.as_bytes(), "*").replace('~', "%7E");
    let mut signed = all.clone();
    signed.sort_unstable();
    let text: Vec<String> = signed.iter().map(|(name, value)| format!("{name}={}", java(value))).collect();
    let signature = hmac_sha1(keys.secret.as_bytes(), text.join("&").to_lowercase().as_bytes());
    all.push(("signature", &signature));
    let wire = all
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name.as_bytes(), "[]"), encoded(value.as_bytes(), "")));
    wire.collect::<Vec<_>>().join("&")
}
