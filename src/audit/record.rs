//! What is known of one call while it goes on. Plain values that the request path fills in; [`Record::tell`] makes an
//! event of them. Nothing here writes anything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use uuid::Uuid;

use super::chain::digits;
use super::event::{Additional, Decision, Event, Identity, IdentityType, Kind};
use super::id;
use super::line::cut;
use super::parameters::Parameters;
use crate::sign::encode::hex32;
use crate::trace::Trace;

/// Characters of what a caller says it is.
const AGENT: usize = 256;
/// Bytes of one text that a record keeps room for, for the next call.
const KEPT: usize = 2 << 10;
/// Characters of a method.
const METHOD: usize = 16;

/// What the record says of every call of one route.
#[derive(Debug, Default)]
pub struct Place {
    /// The route's name.
    pub route: Arc<str>,
    /// The word of the configuration for its scheme.
    pub scheme: &'static str,
    /// The name of its credential.
    pub credential: Arc<str>,
    /// The access key id that the upstream sees; absent while the credential is not resolved.
    pub access_key: Option<String>,
    /// The region that it signs for.
    pub region: Option<String>,
    /// What kind of API it leads to, where a call's own name does not say it.
    pub source: String,
    /// Scheme and host of the upstream.
    pub upstream: String,
}

/// Who called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Who {
    /// None of the route's clients, or the call did not get that far.
    #[default]
    Unknown,
    /// The route needs no client.
    Anonymous,
    /// A client.
    Client {
        /// Its name.
        name: Arc<str>,
        /// How it was proved: the condition's name in the configuration.
        proof: &'static str,
    },
}

impl Who {
    /// The client's name; `anonymous` where none is needed, empty where none was proved.
    pub fn name(&self) -> &str {
        match self {
            Self::Unknown => "",
            Self::Anonymous => "anonymous",
            Self::Client { name, .. } => name,
        }
    }

    /// How it was proved.
    pub fn proof(&self) -> &'static str {
        if let Self::Client { proof, .. } = self { proof } else { "" }
    }
}

/// What is known of one call. Empty texts mean that the call did not get that far.
#[derive(Debug)]
pub struct Record {
    /// When it arrived.
    pub arrived: Timestamp,
    /// The same moment on the clock that only goes forward.
    pub started: Instant,
    /// The id that the answer carries.
    pub request_id: String,
    /// The address behind the connection.
    pub source: String,
    /// What the caller says it is.
    pub agent: String,
    /// The method that the caller used.
    pub method: String,
    /// Its route, once matched.
    pub place: Option<Arc<Place>>,
    /// Who called.
    pub who: Who,
    /// The local key that the caller signed with, or claimed to.
    pub local_key: String,
    /// The operation's name, as policy matches it.
    pub operation: String,
    /// The API's own name of the call, with its service.
    pub call: String,
    /// Whether the call is known to change nothing.
    pub read_only: bool,
    /// Its parameters, as far as they may be shown.
    pub parameters: Parameters,
    /// What it is about; what the deciding rule was asked about comes first.
    pub resources: Vec<String>,
    /// What policy said.
    pub decision: Option<Decision>,
    /// The rule that decided, as it stands in the configuration.
    pub rule: Option<Arc<str>>,
    /// The rules that admit the call, where the route learns.
    pub asks: Vec<String>,
    /// The status that the caller got; 0 when it left before.
    pub status: u16,
    /// The status that the upstream gave.
    pub upstream_status: Option<u16>,
    /// The upstream's own id of the request.
    pub upstream_request_id: String,
    /// The code of a refusal or failure of our own.
    pub error: &'static str,
    /// What the caller was told of it.
    pub message: String,
    /// The code of the error that the upstream answered with.
    pub upstream_error: Option<String>,
    /// What exactly was wrong, where the code alone does not say it; never a caller's text.
    pub cause: String,
    /// How the call ended, when not by its last byte.
    pub ended: &'static str,
    /// How often a request of it was sent, without polls.
    pub attempts: u32,
    /// How often the job that the call began was asked for.
    pub polls: u32,
    /// The trace that the call is part of.
    pub trace: Option<Trace>,
    /// SHA-256 of what was signed last.
    pub string_to_sign: Option<[u8; 32]>,
    /// Bytes of the request body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// Time of waiting for the record, in milliseconds.
    pub queue_ms: f64,
    /// Time to sign, in microseconds; with polls, all of it.
    pub sign_us: u64,
    /// Time from sending to the upstream's head, in milliseconds; with polls, all of it.
    pub upstream_ms: f64,
}

impl Default for Record {
    /// The record of nothing.
    fn default() -> Self {
        Self::blank(Instant::now())
    }
}

impl Record {
    /// The record of a call that arrives now.
    pub fn open(source: &str, method: &str, agent: Option<&[u8]>) -> Self {
        let mut record = Self::default();
        record.reopen(source, method, agent);
        record
    }

    /// Becomes the record of a call that arrives now. Nothing of the one before is left but its room.
    pub fn reopen(&mut self, source: &str, method: &str, agent: Option<&[u8]>) {
        let room = [
            &mut self.request_id,
            &mut self.source,
            &mut self.agent,
            &mut self.method,
            &mut self.local_key,
            &mut self.operation,
            &mut self.call,
            &mut self.upstream_request_id,
        ];
        room.into_iter().for_each(empty);
        self.parameters.clear();
        self.parameters.shrink_to(KEPT);
        self.resources.truncate(1);
        self.resources.iter_mut().for_each(empty);
        self.blanked(Instant::now());
        self.arrived = Timestamp::now();
        let mut id = Uuid::encode_buffer();
        self.request_id.push_str(id::at(self.arrived).hyphenated().encode_lower(&mut id));
        self.source.push_str(source);
        if let Some(agent) = agent {
            self.agent.push_str(&cut(&String::from_utf8_lossy(agent), AGENT));
        }
        self.method.extend(method.chars().take(METHOD));
    }

    /// Blanks everything that is no room. The pattern names every field, so that none is forgotten.
    fn blanked(&mut self, now: Instant) {
        let Self {
            arrived,
            started,
            request_id: _,
            source: _,
            agent: _,
            method: _,
            place,
            who,
            local_key: _,
            operation: _,
            call: _,
            read_only,
            parameters: _,
            resources: _,
            decision,
            rule,
            asks,
            status,
            upstream_status,
            upstream_request_id: _,
            error,
            message,
            upstream_error,
            cause,
            ended,
            attempts,
            polls,
            trace,
            string_to_sign,
            bytes_in,
            bytes_out,
            queue_ms,
            sign_us,
            upstream_ms,
        } = self;
        (*arrived, *started) = (Timestamp::UNIX_EPOCH, now);
        (*place, *who, *read_only, *decision) = (None, Who::Unknown, false, None);
        *rule = None;
        *asks = Vec::new();
        (*status, *upstream_status) = (0, None);
        (*error, *message, *upstream_error) = ("", String::new(), None);
        (*cause, *ended) = (String::new(), "");
        (*attempts, *polls) = (0, 0);
        (*trace, *string_to_sign) = (None, None);
        (*bytes_in, *bytes_out) = (0, 0);
        (*queue_ms, *sign_us, *upstream_ms) = (0.0, 0, 0.0);
    }

    fn blank(started: Instant) -> Self {
        Self {
            arrived: Timestamp::UNIX_EPOCH,
            started,
            request_id: String::new(),
            source: String::new(),
            agent: String::new(),
            method: String::new(),
            place: None,
            who: Who::Unknown,
            local_key: String::new(),
            operation: String::new(),
            call: String::new(),
            read_only: false,
            parameters: Parameters::default(),
            resources: Vec::new(),
            decision: None,
            rule: None,
            asks: Vec::new(),
            status: 0,
            upstream_status: None,
            upstream_request_id: String::new(),
            error: "",
            message: String::new(),
            upstream_error: None,
            cause: String::new(),
            ended: "",
            attempts: 0,
            polls: 0,
            trace: None,
            string_to_sign: None,
            bytes_in: 0,
            bytes_out: 0,
            queue_ms: 0.0,
            sign_us: 0,
            upstream_ms: 0.0,
        }
    }

    /// The call is about this, and about nothing that was said before.
    pub fn is_about(&mut self, resource: &str) {
        self.resources.truncate(1);
        match self.resources.first_mut() {
            Some(first) => resource.clone_into(first),
            None => self.resources.push(resource.to_owned()),
        }
    }

    /// The route's name; empty before it is found.
    pub fn route(&self) -> &str {
        self.place.as_ref().map_or("", |place| &place.route)
    }

    /// The word for the route's scheme.
    pub fn scheme(&self) -> &'static str {
        self.place.as_ref().map_or("", |place| place.scheme)
    }

    /// The name of the route's credential.
    pub fn credential(&self) -> &str {
        self.place.as_ref().map_or("", |place| &place.credential)
    }

    /// What it is about, what the deciding rule was asked about first.
    pub fn resource(&self) -> &str {
        self.resources.first().map_or("", String::as_str)
    }

    /// The upstream has answered with this status, and names the request so.
    pub fn answered(&mut self, status: u16, request_id: Option<&str>) {
        self.upstream_status = Some(status);
        self.upstream_request_id.clear();
        self.upstream_request_id.push_str(&cut(request_id.unwrap_or_default(), AGENT));
    }

    /// How the call ended when not by its last byte; empty otherwise.
    pub fn ended_early(&self) -> &'static str {
        if self.status == 0 { "caller-left" } else { self.ended }
    }

    /// Gives the event of this kind to `listen`. Whatever only the end of a call tells is of outcomes.
    pub fn tell<T>(&self, kind: Kind, listen: impl FnOnce(&Event<'_>) -> T) -> T {
        // One is what most calls are about.
        let (one, several);
        let resources = match &*self.resources {
            [] => &[][..],
            [resource] if resource.is_empty() => &[],
            [resource] => {
                one = [resource.as_str()];
                &one[..]
            }
            more => {
                let named = more.iter().map(String::as_str).filter(|resource| !resource.is_empty());
                several = named.collect::<Vec<&str>>();
                &several[..]
            }
        };
        let (source, name) = self.named();
        let place = self.place.as_deref();
        let digest = self.string_to_sign.as_ref().map(hex32);
        let trace = self.trace.map(|trace| trace.id());
        let mut additional = Additional {
            route: place.map(|place| &*place.route),
            operation: present(&self.operation),
            credential: place.and_then(|place| present(&place.credential)),
            access_key: place.and_then(|place| place.access_key.as_deref()),
            scheme: place.map(|place| place.scheme),
            decision: self.decision,
            rule: self.rule.as_deref().and_then(present),
            upstream: place.map(|place| &*place.upstream),
            method: present(&self.method),
            trace: trace.as_deref(),
            asks: &self.asks,
            ..Additional::default()
        };
        if kind == Kind::Outcome {
            let sent = self.attempts > 0;
            additional.cause = present(&self.cause);
            additional.status = (self.status != 0).then_some(self.status);
            additional.upstream_status = self.upstream_status;
            additional.bytes_in = Some(self.bytes_in);
            additional.bytes_out = Some(self.bytes_out);
            additional.queue_ms = Some(self.queue_ms);
            additional.sign_us = self.string_to_sign.is_some().then_some(self.sign_us);
            additional.first_byte_ms = sent.then_some(self.upstream_ms);
            additional.total_ms = Some(millis(self.started.elapsed()));
            additional.upstream_request_id = present(&self.upstream_request_id);
            additional.attempts = Some(self.attempts);
            additional.polls = (self.polls > 0).then_some(self.polls);
            additional.ended = present(self.ended_early()).or(Some("complete"));
            additional.string_to_sign = digest.as_ref().map(digits);
        }
        listen(&Event {
            kind,
            time: self.arrived,
            request_id: &self.request_id,
            source,
            name,
            region: place.and_then(|place| place.region.as_deref()),
            source_ip: &self.source,
            user_agent: present(&self.agent),
            identity: self.identity(),
            read_only: self.read_only,
            parameters: Some(&self.parameters),
            resources,
            error_code: present(self.error).or(self.upstream_error.as_deref()),
            error_message: present(&self.message),
            additional,
        })
    }

    fn identity(&self) -> Identity<'_> {
        let (kind, name) = match &self.who {
            Who::Unknown => (IdentityType::Unknown, None),
            Who::Anonymous => (IdentityType::Anonymous, None),
            Who::Client { name, .. } => (IdentityType::Client, Some(&**name)),
        };
        Identity { kind, name, proof: present(self.who.proof()), access_key: present(&self.local_key) }
    }

    /// The kind of API and the call's own name: `s3` and `GetObject` of `s3:GetObject`. Names without a service are of
    /// the route's.
    fn named(&self) -> (&str, &str) {
        let of_route = self.place.as_ref().map_or("", |place| &*place.source);
        match self.call.split_once(':').filter(|_| matches!(self.scheme(), "s3-v2" | "s3-v4" | "aws-v4")) {
            Some(named) => named,
            None => (of_route, &self.call),
        }
    }
}

/// Leaves a text's room without the text, unless it is large.
fn empty(text: &mut String) {
    text.clear();
    text.shrink_to(KEPT);
}

fn present(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Milliseconds with three decimals.
pub fn millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e6).round() / 1e3
}
