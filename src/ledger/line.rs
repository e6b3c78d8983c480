//! One line of the record, as far as questions need it.
//!
//! Unknown fields pass, missing ones are empty; a line that is no JSON object of this shape is no [`Line`]. Texts are
//! borrowed from the line where it has no escapes.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A call is about to be sent.
    Intent,
    /// How a call ended.
    Outcome,
    /// A line about the log itself: a segment's beginning or end, a recovery, a gap.
    Note,
}

/// A line, parsed. Field names are CloudTrail's; ours are in [`Extra`].
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Line<'a> {
    /// When the call arrived, RFC 3339.
    #[serde(borrow)]
    pub event_time: Cow<'a, str>,
    /// The line's own id.
    #[serde(borrow, rename = "eventID")]
    pub event_id: Cow<'a, str>,
    /// The call's id, the same on its intent and its outcome.
    #[serde(borrow, rename = "requestID")]
    pub request_id: Cow<'a, str>,
    /// `cloudstack`, `zstack`, `s3`, …
    #[serde(borrow)]
    pub event_source: Cow<'a, str>,
    /// The call's name in its own API.
    #[serde(borrow)]
    pub event_name: Cow<'a, str>,
    /// The route's region.
    #[serde(borrow)]
    pub aws_region: Cow<'a, str>,
    /// An address, or `unix:uid=…`.
    #[serde(borrow, rename = "sourceIPAddress")]
    pub source: Cow<'a, str>,
    /// What the caller calls itself.
    #[serde(borrow)]
    pub user_agent: Cow<'a, str>,
    /// Who called.
    #[serde(borrow)]
    pub user_identity: Identity<'a>,
    /// Whether the call changes nothing; absent where no table knows it.
    pub read_only: Option<bool>,
    /// Parameters, as they stand.
    #[serde(borrow)]
    pub request_parameters: Option<&'a RawValue>,
    /// What the call is about; the first is the call's own.
    #[serde(borrow)]
    pub resources: Vec<Resource<'a>>,
    /// Our own code, when the answer is ours.
    #[serde(borrow)]
    pub error_code: Cow<'a, str>,
    /// And its message.
    #[serde(borrow)]
    pub error_message: Cow<'a, str>,
    /// What CloudTrail has no name for.
    #[serde(borrow, rename = "additionalEventData")]
    pub extra: Extra<'a>,
    /// A note about the segment.
    #[serde(borrow)]
    pub segment: Option<&'a RawValue>,
    /// The line's number in the chain.
    pub seq: Option<u64>,
}

/// `userIdentity`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Identity<'a> {
    /// `Client`, `Anonymous` or `Unknown`.
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    /// The configured client.
    #[serde(borrow)]
    pub user_name: Cow<'a, str>,
    /// How it was proved.
    #[serde(borrow)]
    pub proof: Cow<'a, str>,
    /// The local key that signed.
    #[serde(borrow)]
    pub access_key_id: Cow<'a, str>,
}

/// One of `resources`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Resource<'a> {
    /// `bucket`, `bucket/key`.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
}

/// `additionalEventData`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Extra<'a> {
    /// `intent` or `outcome`.
    #[serde(borrow)]
    pub record: Cow<'a, str>,
    /// The route that matched.
    #[serde(borrow)]
    pub route: Cow<'a, str>,
    /// The operation as policy knows it.
    #[serde(borrow)]
    pub operation: Cow<'a, str>,
    /// The name of the credential.
    #[serde(borrow)]
    pub credential: Cow<'a, str>,
    /// How it was signed.
    #[serde(borrow)]
    pub scheme: Cow<'a, str>,
    /// What policy said.
    #[serde(borrow)]
    pub decision: Cow<'a, str>,
    /// The rule that decided.
    #[serde(borrow)]
    pub rule: Cow<'a, str>,
    /// Where it was sent.
    #[serde(borrow)]
    pub upstream: Cow<'a, str>,
    /// The method of the caller.
    #[serde(borrow)]
    pub method: Cow<'a, str>,
    /// The status that the caller got; 0 when there was none.
    pub status: u16,
    /// The status that the upstream gave.
    pub upstream_status: Option<u16>,
    /// Bytes of the request body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// Milliseconds from arrival to the last byte.
    pub total_ms: f64,
    /// How often it was sent.
    pub attempts: u32,
    /// How it ended.
    #[serde(borrow)]
    pub ended: Cow<'a, str>,
    /// The trace that the call is part of.
    #[serde(borrow)]
    pub trace_id: Cow<'a, str>,
    /// The rules that admit the call, where the route learns.
    #[serde(borrow)]
    asks: Vec<Plain<'a>>,
}

impl Extra<'_> {
    /// The rules that admit the call, where the route learns; empty elsewhere.
    pub fn asks(&self) -> impl ExactSizeIterator<Item = &str> {
        self.asks.iter().map(|rule| &*rule.0)
    }
}

impl<'a> Line<'a> {
    /// Reads a line without its line feed; nothing where it is none of ours.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        // A list would pass for an object's values in their order.
        bytes.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(bytes).ok()).flatten()
    }

    /// What the line says; nothing where it is neither a call nor a note.
    pub fn kind(&self) -> Option<Kind> {
        match &*self.extra.record {
            _ if self.segment.is_some() => Some(Kind::Note),
            "intent" => Some(Kind::Intent),
            "outcome" => Some(Kind::Outcome),
            _ => None,
        }
    }

    /// When the call arrived, in microseconds since 1970.
    pub fn time(&self) -> Option<i64> {
        self.event_time.parse().ok().map(Timestamp::as_microsecond)
    }

    /// The client's name; `anonymous` where none was needed, empty where none was recognised.
    pub fn client(&self) -> &str {
        match (&*self.user_identity.user_name, &*self.user_identity.kind) {
            ("", "Anonymous") => "anonymous",
            (name, _) => name,
        }
    }

    /// The operation as policy knows it, or else the API's own name.
    pub fn operation(&self) -> &str {
        if self.extra.operation.is_empty() { &self.event_name } else { &self.extra.operation }
    }

    /// The call's own resource; empty where it has none.
    pub fn resource(&self) -> &str {
        self.resources.first().map_or("", |resource| &resource.name)
    }

    /// Whether the gateway answered by itself and never asked the upstream.
    pub fn refused(&self) -> bool {
        !self.error_code.is_empty() && self.extra.upstream_status.is_none() && self.extra.attempts == 0
    }

    /// Microseconds from arrival to the last byte.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "cut to the range before")]
    pub fn total_us(&self) -> u64 {
        (self.extra.total_ms * 1e3).round().clamp(0.0, 1e15) as u64
    }

    /// The bucket of an S3 call; empty elsewhere.
    pub fn bucket(&self) -> &str {
        if &*self.event_source != "s3" && !self.operation().starts_with("s3:") {
            return "";
        }
        self.resource().split('/').next().unwrap_or_default()
    }

    /// Zone and account of a CloudStack call, where its parameters name them in plain.
    pub fn zone_and_account(&self) -> (Cow<'a, str>, Cow<'a, str>) {
        let mut found = (Cow::Borrowed(""), Cow::Borrowed(""));
        let Some(parameters) = self.request_parameters.filter(|_| &*self.event_source == "cloudstack") else {
            return found;
        };
        // A parameter that is not in plain is an object, and an unusual list is a list: neither is a name.
        let Ok(parameters) = serde_json::from_str::<Parameters<'a>>(parameters.get()) else { return found };
        for (name, value) in parameters.0 {
            if name.eq_ignore_ascii_case("zoneid") {
                found.0 = value;
            } else if name.eq_ignore_ascii_case("account") {
                found.1 = value;
            }
        }
        found
    }
}

/// The parameters that stand in plain.
struct Parameters<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Parameters<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> serde::de::Visitor<'de> for Visit {
            type Value = Vec<(Cow<'de, str>, Cow<'de, str>)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("parameters")
            }

            fn visit_map<M: serde::de::MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut found = Vec::new();
                while let Some(Plain(name)) = map.next_key()? {
                    let value: &RawValue = map.next_value()?;
                    if let Ok(Plain(value)) = serde_json::from_str(value.get()) {
                        found.push((name, value));
                    }
                }
                Ok(found)
            }
        }
        deserializer.deserialize_map(Visit).map(Parameters)
    }
}

/// A text that is borrowed within a list.
#[derive(Debug, Deserialize)]
struct Plain<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_without_what_it_lacks_and_with_what_is_new() {
        let text = br#"{"eventTime":"2026-11-22T09:30:00.5Z","new":[1],"userIdentity":{"type":"Anonymous"},
            "eventName":"a\u0041","additionalEventData":{"record":"outcome","status":403,"totalMs":1.25}}"#;
        let line = Line::read(text).unwrap_or_default();
        assert_eq!(line.kind(), Some(Kind::Outcome));
        assert_eq!(line.time(), Some(1_795_339_800_500_000));
        assert_eq!((line.client(), line.operation(), line.resource()), ("anonymous", "aA", ""));
        assert_eq!((line.extra.status, line.total_us()), (403, 1250));
        for bad in ["", "[]", "{", r#"{"eventTime":1}"#, r#"{"eventName":"a","eventName":"b"}"#, "{}x"] {
            assert!(Line::read(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn rules_and_trace_are_read_with_and_without_escapes() {
        let text = br#"{"additionalEventData":{"asks":["s3:GetObject logs/*","s3:PutObject \u00fc/*"],"traceId":"0af7"}}"#;
        let line = Line::read(text).unwrap_or_default();
        assert_eq!(line.extra.asks().collect::<Vec<_>>(), ["s3:GetObject logs/*", "s3:PutObject ü/*"]);
        assert_eq!(line.extra.trace_id, "0af7");
        assert_eq!(Line::read(b"{}").unwrap_or_default().extra.asks().len(), 0);
        assert!(Line::read(br#"{"additionalEventData":{"asks":"s3:*"}}"#).is_none());
    }

    #[test]
    fn zone_and_account_are_read_only_in_plain() {
        let read = |source: &str, parameters: &str| {
            let text = format!(r#"{{"eventSource":"{source}","requestParameters":{parameters}}}"#);
            let line = Line::read(text.as_bytes()).unwrap_or_default();
            let (zone, account) = line.zone_and_account();
            (zone.into_owned(), account.into_owned())
        };
        let both = r#"{"zoneId":"z\u0041","name":{"length":3,"hash":"00"},"account":"a"}"#;
        assert_eq!(read("cloudstack", both), ("zA".into(), "a".into()));
        assert_eq!(read("zstack", both), (String::new(), String::new()));
        let hashed = r#"{"account":{"length":3,"hash":"00"},"zoneid":7}"#;
        assert_eq!(read("cloudstack", hashed), (String::new(), String::new()));
        assert_eq!(read("cloudstack", "[1]"), (String::new(), String::new()));
    }

    #[test]
    fn refused_is_what_never_reached_the_upstream() {
        let refused = |text: &str| Line::read(text.as_bytes()).is_some_and(|line| line.refused());
        assert!(refused(r#"{"errorCode":"operation-denied"}"#));
        assert!(!refused(r#"{"errorCode":"upstream-timeout","additionalEventData":{"attempts":1}}"#));
        assert!(!refused(r#"{"errorCode":"body-broken","additionalEventData":{"upstreamStatus":200}}"#));
        assert!(!refused(r#"{"additionalEventData":{"decision":"learn"}}"#));
    }
}
