//! One event of the record: what is known of a call, under the field names of CloudTrail's records, with what is
//! countersign's own under `additionalEventData`. Pure values; nothing here knows a clock, a file or a chain.
//!
//! The order of the fields is the order of the line. Absent values are left out. No header, query or body enters an
//! event, and no secret or signature: parameters come only through [`super::parameters`].

use jiff::Timestamp;

use super::id;
use super::line::{self, Object, cut, name};
use super::parameters::Parameters;

/// The version of the line's shape: readers refuse a major version that they do not know.
pub const VERSION: &str = "1.0";
/// Characters of a text that a caller or an upstream chose.
const TEXT: usize = 256;
/// Characters of one resource: a bucket's name and an S3 key, both at their longest, with room for UTF-8 as escapes.
const RESOURCE: usize = 1_100;
/// Bytes of all resources of one event; what is beyond is counted.
const RESOURCES: usize = 64 << 10;
/// Bytes of all rules that would admit a call. None is cut: it would admit something else.
const ASKS: usize = 16 << 10;

/// Which of the two lines of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Kind {
    /// Durable before the first byte goes upstream; for calls that are not known to be reads.
    Intent,
    /// What became of the call; every call has one.
    #[default]
    Outcome,
}

impl Kind {
    /// As it stands in a line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Outcome => "outcome",
        }
    }
}

/// What kind of caller it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum IdentityType {
    /// A configured client.
    Client,
    /// The route needs none.
    Anonymous,
    /// None of the route's clients, or the call did not get that far.
    #[default]
    Unknown,
}

impl IdentityType {
    /// As it stands in a line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Client => "Client",
            Self::Anonymous => "Anonymous",
            Self::Unknown => "Unknown",
        }
    }
}

/// Who called.
#[derive(Clone, Debug, Default)]
pub struct Identity<'a> {
    /// What kind of caller.
    pub kind: IdentityType,
    /// The client's name in the configuration.
    pub name: Option<&'a str>,
    /// How it was proved: the condition's name in the configuration.
    pub proof: Option<&'a str>,
    /// The local key that the caller signed with, or claimed to.
    pub access_key: Option<&'a str>,
}

/// What policy said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may pass.
    Allow,
    /// It may not.
    Deny,
    /// It would have been refused, had the policy been enforced.
    Learn,
}

impl Decision {
    /// As it stands in a line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Learn => "learn",
        }
    }
}

/// One line about one call. `Default` is a call that did not get anywhere.
#[derive(Clone, Debug, Default)]
pub struct Event<'a> {
    /// Intent or outcome.
    pub kind: Kind,
    /// When the call arrived; of an outcome too.
    pub time: Timestamp,
    /// The call's id, the same in both of its lines and in the answer's `x-request-id`.
    pub request_id: &'a str,
    /// What kind of API: `cloudstack`, `zstack`, `s3`, `ostor`, `utapi`, or the service of `sign.aws-v4`.
    pub source: &'a str,
    /// The API's own name of the call.
    pub name: &'a str,
    /// The region that the route signs for.
    pub region: Option<&'a str>,
    /// The address behind the connection, or `unix:uid=N`.
    pub source_ip: &'a str,
    /// What the caller says it is.
    pub user_agent: Option<&'a str>,
    /// Who called.
    pub identity: Identity<'a>,
    /// Whether the call is known to change nothing.
    pub read_only: bool,
    /// Its parameters, as far as they may be shown.
    pub parameters: Option<&'a Parameters>,
    /// What it is about, the call's own resource first; further ones as the objects of a bulk delete.
    pub resources: &'a [&'a str],
    /// The code of a refusal or failure of our own, or the error code of the upstream's answer.
    pub error_code: Option<&'a str>,
    /// What the error means.
    pub error_message: Option<&'a str>,
    /// What is countersign's own.
    pub additional: Additional<'a>,
}

/// What CloudTrail has no field for. Times of the answer and its sizes are of outcomes only.
#[derive(Clone, Debug, Default)]
pub struct Additional<'a> {
    /// The route that matched.
    pub route: Option<&'a str>,
    /// The name that policy matched, with its service: `s3:GetObject` of a `HeadObject`.
    pub operation: Option<&'a str>,
    /// The name of the credential.
    pub credential: Option<&'a str>,
    /// The access key id that the upstream sees.
    pub access_key: Option<&'a str>,
    /// The scheme.
    pub scheme: Option<&'a str>,
    /// What policy said.
    pub decision: Option<Decision>,
    /// The rule that decided, as it stands in the configuration.
    pub rule: Option<&'a str>,
    /// The exact cause of an error, which the caller was not told.
    pub cause: Option<&'a str>,
    /// Scheme and host of the upstream, never a path or query.
    pub upstream: Option<&'a str>,
    /// The caller's method.
    pub method: Option<&'a str>,
    /// The status that the caller got.
    pub status: Option<u16>,
    /// The status that the upstream gave.
    pub upstream_status: Option<u16>,
    /// Bytes of the request body.
    pub bytes_in: Option<u64>,
    /// Bytes of the answer's body.
    pub bytes_out: Option<u64>,
    /// Milliseconds of waiting for a place, a budget or a durable intent.
    pub queue_ms: Option<f64>,
    /// Microseconds of signing; with polls, all of it.
    pub sign_us: Option<u64>,
    /// Milliseconds from sending to the upstream's first byte.
    pub first_byte_ms: Option<f64>,
    /// Milliseconds from arrival to the last byte.
    pub total_ms: Option<f64>,
    /// The upstream's own id of the request.
    pub upstream_request_id: Option<&'a str>,
    /// How often it was sent.
    pub attempts: Option<u32>,
    /// How often the job that it began was asked for.
    pub polls: Option<u32>,
    /// How it ended: `complete`, `caller-left`, `handed-over`, …
    pub ended: Option<&'a str>,
    /// SHA-256 of what was signed, in hex.
    pub string_to_sign: Option<&'a str>,
    /// The id of the trace that the call is part of.
    pub trace: Option<&'a str>,
    /// The rules that admit the call, where the route learns.
    pub asks: &'a [String],
}

impl Event<'_> {
    /// The line without its closing brace and newline: the chain adds the rest.
    pub fn line(&self) -> Vec<u8> {
        line::of(|line| self.write(line))
    }

    fn write(&self, line: &mut Object<'_>) {
        line.word(name!("eventVersion"), VERSION);
        line.moment(name!("eventTime"), self.time);
        line.id(name!("eventID"), id::at(self.time));
        line.text(name!("requestID"), &cut(self.request_id, TEXT));
        // What CloudTrail gives to events that are not its own.
        line.word(name!("eventType"), "ActivityLog");
        line.word(name!("eventCategory"), "ActivityAuditLog");
        line.text(name!("eventSource"), &cut(self.source, TEXT));
        line.text(name!("eventName"), &cut(self.name, TEXT));
        line.maybe(name!("awsRegion"), self.region, TEXT);
        line.text(name!("sourceIPAddress"), &cut(self.source_ip, TEXT));
        line.maybe(name!("userAgent"), self.user_agent, TEXT);
        line.object(name!("userIdentity"), |line| self.identity.write(line));
        line.switch(name!("readOnly"), self.read_only);
        if let Some(parameters) = self.parameters.filter(|found| !found.is_empty()) {
            line.object(name!("requestParameters"), |line| parameters.write(line));
        }
        let (listed, omitted) = fitting(self.resources, RESOURCES);
        if !listed.is_empty() {
            line.objects(name!("resources"), listed, |resource, object| {
                object.text(name!("name"), &cut(resource, RESOURCE));
            });
        }
        line.maybe(name!("errorCode"), self.error_code, TEXT);
        line.maybe(name!("errorMessage"), self.error_message, TEXT);
        line.object(name!("additionalEventData"), |line| self.additional.write(self.kind, omitted, line));
    }
}

#[cfg(test)]
impl Event<'_> {
    /// The line, as far as it is the event's.
    pub(crate) fn json(&self) -> String {
        String::from_utf8_lossy(&self.line()).into_owned() + "}"
    }
}

impl Identity<'_> {
    fn write(&self, line: &mut Object<'_>) {
        line.word(name!("type"), self.kind.word());
        line.maybe(name!("userName"), self.name, TEXT);
        line.maybe(name!("proof"), self.proof, TEXT);
        line.maybe(name!("accessKeyId"), self.access_key, TEXT);
    }
}

impl Additional<'_> {
    /// The fields of `additionalEventData`; `omitted` resources were left out.
    fn write(&self, kind: Kind, omitted: usize, line: &mut Object<'_>) {
        line.word(name!("record"), kind.word());
        line.maybe(name!("route"), self.route, TEXT);
        line.maybe(name!("operation"), self.operation, TEXT);
        line.maybe(name!("credential"), self.credential, TEXT);
        line.maybe(name!("accessKeyId"), self.access_key, TEXT);
        line.maybe(name!("scheme"), self.scheme, TEXT);
        line.maybe_word(name!("decision"), self.decision.map(Decision::word));
        line.maybe(name!("rule"), self.rule, TEXT);
        line.maybe(name!("cause"), self.cause, TEXT);
        line.maybe(name!("upstream"), self.upstream, TEXT);
        line.maybe(name!("method"), self.method, TEXT);
        line.maybe_number(name!("status"), self.status);
        line.maybe_number(name!("upstreamStatus"), self.upstream_status);
        line.maybe_number(name!("bytesIn"), self.bytes_in);
        line.maybe_number(name!("bytesOut"), self.bytes_out);
        line.millis(name!("queueMs"), self.queue_ms);
        line.maybe_number(name!("signUs"), self.sign_us);
        line.millis(name!("firstByteMs"), self.first_byte_ms);
        line.millis(name!("totalMs"), self.total_ms);
        line.maybe(name!("upstreamRequestId"), self.upstream_request_id, TEXT);
        line.maybe_number(name!("attempts"), self.attempts);
        line.maybe_number(name!("polls"), self.polls);
        line.maybe(name!("ended"), self.ended, TEXT);
        line.maybe(name!("stringToSignSha256"), self.string_to_sign, TEXT);
        line.maybe(name!("traceId"), self.trace, TEXT);
        let (asks, untold) = fitting(self.asks, ASKS);
        if !asks.is_empty() {
            line.texts(name!("asks"), asks.iter().map(String::as_str));
        }
        if untold > 0 {
            line.count(name!("asksOmitted"), untold);
        }
        if omitted > 0 {
            line.count(name!("resourcesOmitted"), omitted);
        }
    }
}

/// As many texts as fit into so many bytes, and how many are left out.
fn fitting<T: AsRef<str>>(texts: &[T], mut room: usize) -> (&[T], usize) {
    let fits = texts.iter().take_while(|text| {
        let taken = room.checked_sub(text.as_ref().len());
        room = taken.unwrap_or(0);
        taken.is_some()
    });
    let count = fits.count();
    (&texts[..count], texts.len() - count)
}

#[cfg(test)]
mod tests;
