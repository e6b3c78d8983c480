//! One event of the record: what is known of a call, under the field names of CloudTrail's records, with what is
//! countersign's own under `additionalEventData`. Pure values; nothing here knows a clock, a file or a chain.
//!
//! The order of the fields is the order of the line. Absent values are left out. No header, query or body enters an
//! event, and no secret or signature: parameters come only through [`super::parameters`].

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};

use super::id;
use super::line::cut;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Durable before the first byte goes upstream; for calls that are not known to be reads.
    Intent,
    /// What became of the call; every call has one.
    #[default]
    Outcome,
}

/// What kind of caller it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
pub enum IdentityType {
    /// A configured client.
    Client,
    /// The route needs none.
    Anonymous,
    /// None of the route's clients, or the call did not get that far.
    #[default]
    Unknown,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
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

/// A map whose absent values are left out.
struct Fields<M>(M);

impl<M: SerializeMap> Fields<M> {
    fn put(&mut self, name: &'static str, value: &(impl Serialize + ?Sized)) -> Result<(), M::Error> {
        self.0.serialize_entry(name, value)
    }

    fn maybe(&mut self, name: &'static str, value: Option<impl Serialize>) -> Result<(), M::Error> {
        value.map_or(Ok(()), |value| self.put(name, &value))
    }

    fn text(&mut self, name: &'static str, value: Option<&str>) -> Result<(), M::Error> {
        self.maybe(name, value.map(|value| cut(value, TEXT)))
    }
}

impl Serialize for Event<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = Fields(serializer.serialize_map(None)?);
        fields.put("eventVersion", VERSION)?;
        fields.put("eventTime", &format_args!("{:.6}", self.time))?;
        fields.put("eventID", &format_args!("{}", id::at(self.time).hyphenated()))?;
        fields.put("requestID", &cut(self.request_id, TEXT))?;
        // What CloudTrail gives to events that are not its own.
        fields.put("eventType", "ActivityLog")?;
        fields.put("eventCategory", "ActivityAuditLog")?;
        fields.put("eventSource", &cut(self.source, TEXT))?;
        fields.put("eventName", &cut(self.name, TEXT))?;
        fields.text("awsRegion", self.region)?;
        fields.put("sourceIPAddress", &cut(self.source_ip, TEXT))?;
        fields.text("userAgent", self.user_agent)?;
        fields.put("userIdentity", &self.identity)?;
        fields.put("readOnly", &self.read_only)?;
        fields.maybe("requestParameters", self.parameters.filter(|found| !found.is_empty()))?;
        let (listed, omitted) = fitting(self.resources, RESOURCES);
        if !listed.is_empty() {
            fields.put("resources", &Resources(listed))?;
        }
        fields.text("errorCode", self.error_code)?;
        fields.text("errorMessage", self.error_message)?;
        fields.put("additionalEventData", &Ours(self.kind, &self.additional, omitted))?;
        fields.0.end()
    }
}

impl Serialize for Identity<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = Fields(serializer.serialize_map(None)?);
        fields.put("type", &self.kind)?;
        fields.text("userName", self.name)?;
        fields.text("proof", self.proof)?;
        fields.text("accessKeyId", self.access_key)?;
        fields.0.end()
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

/// `[{"name":…},…]`.
struct Resources<'a>(&'a [&'a str]);

impl Serialize for Resources<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Resource<'a> {
            name: Cow<'a, str>,
        }
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for name in self.0 {
            list.serialize_element(&Resource { name: cut(name, RESOURCE) })?;
        }
        list.end()
    }
}

/// `additionalEventData`: kind, the rest, and how many resources were left out.
struct Ours<'a>(Kind, &'a Additional<'a>, usize);

impl Serialize for Ours<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(kind, ours, omitted) = self;
        let mut fields = Fields(serializer.serialize_map(None)?);
        fields.put("record", kind)?;
        fields.text("route", ours.route)?;
        fields.text("operation", ours.operation)?;
        fields.text("credential", ours.credential)?;
        fields.text("accessKeyId", ours.access_key)?;
        fields.text("scheme", ours.scheme)?;
        fields.maybe("decision", ours.decision)?;
        fields.text("rule", ours.rule)?;
        fields.text("cause", ours.cause)?;
        fields.text("upstream", ours.upstream)?;
        fields.text("method", ours.method)?;
        fields.maybe("status", ours.status)?;
        fields.maybe("upstreamStatus", ours.upstream_status)?;
        fields.maybe("bytesIn", ours.bytes_in)?;
        fields.maybe("bytesOut", ours.bytes_out)?;
        fields.maybe("queueMs", ours.queue_ms)?;
        fields.maybe("signUs", ours.sign_us)?;
        fields.maybe("firstByteMs", ours.first_byte_ms)?;
        fields.maybe("totalMs", ours.total_ms)?;
        fields.text("upstreamRequestId", ours.upstream_request_id)?;
        fields.maybe("attempts", ours.attempts)?;
        fields.maybe("polls", ours.polls)?;
        fields.text("ended", ours.ended)?;
        fields.text("stringToSignSha256", ours.string_to_sign)?;
        fields.text("traceId", ours.trace)?;
        let (asks, untold) = fitting(ours.asks, ASKS);
        if !asks.is_empty() {
            fields.put("asks", asks)?;
        }
        fields.maybe("asksOmitted", (untold > 0).then_some(untold))?;
        fields.maybe("resourcesOmitted", (*omitted > 0).then_some(omitted))?;
        fields.0.end()
    }
}

#[cfg(test)]
mod tests;
