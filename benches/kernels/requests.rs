//! Requests of the published vectors, as the gateway would hand them to a signer.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::secret::{Key, Secret};
use countersign::sign::{
    Edits, Head, Payload, Scheme, Scratch, Signer, Timestamp, cloudstack, s3v2, sigv4, zstack,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use sha2::Digest as _;

/// All but the unreserved characters.
pub const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Requests of one scheme and form.
pub struct Group {
    pub name: &'static str,
    pub cases: Vec<Case>,
}

/// Where the signature goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Header,
    /// A URL that holds for so many seconds.
    Query(u32),
}

/// What is said of the body.
#[derive(Clone)]
pub enum Body {
    /// Form fields, which are signed.
    Form(Vec<u8>),
    /// Hashed elsewhere, so that only the signing is measured.
    Digest([u8; 32]),
    Unsigned,
}

/// One request and the key that signs it. Cheap to clone.
#[derive(Clone)]
pub struct Case(pub Rc<Parts>);

pub struct Parts {
    pub scheme: Scheme,
    pub id: String,
    pub secret: String,
    pub token: Option<String>,
    pub method: String,
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    host_bucket: Option<String>,
    pub body: Body,
    pub now: Timestamp,
    pub form: Form,
}

impl Case {
    pub fn prepare(&self) -> Box<dyn Signer> {
        let parts = &*self.0;
        let key = Key {
            id: parts.id.clone(),
            secret: Secret::from(parts.secret.as_str()),
            session_token: parts.token.as_deref().map(Secret::from),
        };
        parts.scheme.prepare(key).expect("a usable credential")
    }

    fn head(&self) -> Head<'_> {
        let parts = &*self.0;
        Head {
            method: &parts.method,
            path: &parts.path,
            query: parts.query.as_deref(),
            headers: &parts.headers,
            host_bucket: parts.host_bucket.as_deref(),
        }
    }

    fn payload(&self) -> Payload<'_> {
        match &self.0.body {
            Body::Form(body) => Payload::Whole(body),
            Body::Digest(digest) => Payload::Digest(*digest),
            Body::Unsigned => Payload::Unsigned,
        }
    }

    fn try_sign<'s>(&self, signer: &dyn Signer, scratch: &'s mut Scratch) -> Option<Edits<'s>> {
        let (head, payload, now) = (self.head(), self.payload(), self.0.now);
        match self.0.form {
            Form::Header => signer.sign(&head, payload, now, scratch).ok(),
            Form::Query(expires) => signer.presign(&head, payload, now, expires, scratch).ok(),
        }
    }

    /// What signing writes.
    pub fn edits<'s>(&self, signer: &dyn Signer, scratch: &'s mut Scratch) -> Edits<'s> {
        self.try_sign(signer, scratch).expect("a checked case")
    }

    /// Signs, and gives the length of the signature so that the work cannot be left out.
    pub fn sign(&self, signer: &dyn Signer, scratch: &mut Scratch) -> usize {
        self.edits(signer, scratch).stages.signature.len()
    }

    /// The signature itself.
    pub fn signature(&self) -> String {
        self.edits(self.prepare().as_ref(), &mut Scratch::new()).stages.signature.to_owned()
    }

    /// Whether the signature is right: by the vector if it states one, by another HMAC if not, and by the verdict of
    /// the verifier on the request as it would be sent. False for a request that is refused by design.
    fn is_right(&self, stated: Option<&str>) -> bool {
        let parts = &*self.0;
        let signer = self.prepare();
        let mut scratch = Scratch::new();
        let Some(edits) = self.try_sign(signer.as_ref(), &mut scratch) else { return false };
        let signature = edits.stages.signature.to_owned();
        if let Some(stated) = stated {
            assert_eq!(signature, stated, "{} {}", parts.method, parts.path);
        } else {
            let mut mac = Hmac::<sha1::Sha1>::new_from_slice(parts.secret.as_bytes()).expect("any length");
            mac.update(edits.stages.string_to_sign);
            assert_eq!(signature, STANDARD.encode(mac.finalize().into_bytes()));
        }
        let mut headers = parts.headers.clone();
        for (name, value) in edits.headers.iter().flatten() {
            headers.insert(name.clone(), value.parse().expect("a header text"));
        }
        let query = edits.query.map(str::to_owned).or_else(|| parts.query.clone());
        let form = edits.form.map(|form| form.as_bytes().to_vec());
        let payload = form.as_deref().map_or(self.payload(), Payload::Whole);
        let head =
            Head { query: query.as_deref().filter(|q| !q.is_empty()), headers: &headers, ..self.head() };
        let verdict = signer.verify(&head, payload, parts.now, &mut Scratch::new());
        assert_eq!(verdict, Ok(()), "{} {}", parts.method, parts.path);
        true
    }
}

/// Every group. A file without usable requests is an error, not a fast kernel.
pub fn groups() -> Vec<Group> {
    let all = [
        ("s3-v4 header", read("s3v4_header", |v| sigv4(v, "sigv4-header"))),
        ("s3-v4 query", read("s3v4_query", |v| sigv4(v, "sigv4-query"))),
        ("aws-v4 header", read("sigv4_generic", |v| sigv4(v, "sigv4-header"))),
        ("aws-v4 query", read("sigv4_generic", |v| sigv4(v, "sigv4-query"))),
        ("s3-v2 header", read("s3v2_header", s3v2_header)),
        ("s3-v2 query", read("s3v2_query", s3v2_query)),
        ("cloudstack query", read("cloudstack", |v| cloudstack(v, "query"))),
        ("cloudstack form", read("cloudstack", |v| cloudstack(v, "form"))),
        ("cloudstack usual", usual()),
        ("zstack header", read("zstack", zstack)),
    ];
    let groups = all.map(|(name, cases)| {
        assert!(cases.len() >= 5, "{name}: only {} requests", cases.len());
        Group { name, cases }
    });
    groups.into()
}

/// The requests of a file that `make` takes, each with the signature that the vector states for it, if any.
fn read(file: &str, make: impl Fn(&Value) -> Option<(Parts, bool)>) -> Vec<Case> {
    let path = format!("{}/tests/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let file: Value = serde_json::from_slice(&std::fs::read(path).expect("a vector file")).expect("JSON");
    let vectors = file["vectors"].as_array().expect("a list of vectors");
    let cases = vectors.iter().filter_map(|vector| {
        let (parts, is_stated) = make(vector)?;
        let case = Case(Rc::new(parts));
        let stated = is_stated.then(|| text(&vector["expected"], "signature"));
        case.is_right(stated).then_some(case)
    });
    cases.collect()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no text `{name}` in {value}"))
}

fn is(value: &Value, name: &str) -> bool {
    value[name].as_bool().unwrap_or(false)
}

/// What all vectors spell alike.
fn parts(vector: &Value, scheme: Scheme, now: Timestamp, form: Form) -> Parts {
    let (request, credentials) = (&vector["request"], &vector["credentials"]);
    let mut headers = HeaderMap::new();
    for pair in request["headers"].as_array().into_iter().flatten() {
        let (name, value) = (pair[0].as_str().expect("a name"), pair[1].as_str().expect("a value"));
        let name: HeaderName = name.parse().expect("a header name");
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a header value"));
    }
    if let (Some(host), false) = (request["host"].as_str(), headers.contains_key("host")) {
        headers.insert("host", host.parse().expect("a host"));
    }
    let url = request["url"].as_str().or(request["path"].as_str()).expect("a target");
    let (path, query) = url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
    let id = credentials["access_key"].as_str().or(credentials["api_key"].as_str()).expect("a key id");
    let body = match vector["payload_mode"].as_str() {
        Some("unsigned") => Body::Unsigned,
        _ => Body::Digest(sha2::Sha256::digest(request["body"].as_str().unwrap_or_default()).into()),
    };
    Parts {
        scheme,
        id: id.to_owned(),
        secret: text(credentials, "secret_key").to_owned(),
        token: credentials["session_token"].as_str().map(str::to_owned),
        method: text(request, "method").to_owned(),
        path: path.to_owned(),
        query: query.map(str::to_owned),
        headers,
        host_bucket: request["virtual_host_bucket"].as_str().map(str::to_owned),
        body,
        now,
        form,
    }
}

fn moment(vector: &Value) -> Timestamp {
    text(vector, "clock").parse().expect("a moment")
}

/// Bodies that are not plain texts are left to the tests, and so are headers of folded lines.
fn is_plain(vector: &Value) -> bool {
    let request = &vector["request"];
    let folded = |pair: &Value| pair[1].as_str().is_some_and(|value| value.contains('\n'));
    request["body_b64"].is_null()
        && request["body_repeat"].is_null()
        && !request["headers"].as_array().is_some_and(|list| list.iter().any(folded))
}

fn sigv4(vector: &Value, kind: &str) -> Option<(Parts, bool)> {
    if text(vector, "scheme") != kind || !is_plain(vector) {
        return None;
    }
    let is_unsigned = vector["payload_mode"] == "unsigned";
    let form = match vector["expires"].as_u64() {
        Some(expires) if kind == "sigv4-query" => Form::Query(u32::try_from(expires).expect("a lifetime")),
        _ => Form::Header,
    };
    let options = sigv4::Options {
        double_encode: is(vector, "double_encode"),
        normalize: is(vector, "normalize_path"),
        content_sha256_header: match form {
            Form::Header => text(vector, "service") == "s3" || is(vector, "sign_body"),
            Form::Query(_) => is_unsigned,
        },
        ..sigv4::Options::s3(text(vector, "region"), text(vector, "service"))
    };
    Some((parts(vector, Scheme::SigV4(options), moment(vector), form), true))
}

fn dialect(vector: &Value) -> Scheme {
    Scheme::S3V2(s3v2::Options::new(s3v2::Dialect::from_name(text(vector, "dialect")).expect("a dialect")))
}

/// The signer dates the request itself, so the vector's signature over another spelling of the date is not stated.
fn s3v2_header(vector: &Value) -> Option<(Parts, bool)> {
    let now: Timestamp = "2026-03-04T05:06:07Z".parse().expect("a moment");
    let mut parts = parts(vector, dialect(vector), now, Form::Header);
    let token = parts.headers.remove("x-amz-security-token");
    parts.token = parts.token.or(token.map(|token| token.to_str().expect("a token").to_owned()));
    parts.headers.remove("date");
    parts.headers.remove("x-amz-date");
    is_plain(vector).then_some((parts, false))
}

fn s3v2_query(vector: &Value) -> Option<(Parts, bool)> {
    let seconds = |name: &str| vector[name].as_i64().expect("seconds");
    let now = Timestamp::from_second(seconds("clock_epoch")).expect("a moment");
    let lifetime = seconds("expires_epoch") - seconds("clock_epoch");
    let form = Form::Query(u32::try_from(lifetime).expect("a lifetime"));
    is_plain(vector).then(|| (parts(vector, dialect(vector), now, form), true))
}

fn cloudstack(vector: &Value, place: &str) -> Option<(Parts, bool)> {
    if vector["request"]["params_in"] != place {
        return None;
    }
    let options = cloudstack::Options::default();
    let mut parts = parts(vector, Scheme::Cloudstack(options), moment(vector), Form::Header);
    let pieces = vector["request"]["params"].as_array().expect("parameters").iter().map(|pair| {
        let spell = |at: usize| utf8_percent_encode(pair[at].as_str().expect("a text"), STRICT);
        format!("{}={}", spell(0), spell(1))
    });
    let wire = pieces.collect::<Vec<_>>().join("&");
    if place == "form" {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        parts.headers.insert("content-type", form);
        parts.body = Body::Form(wire.into_bytes());
    } else {
        parts.query = Some(wire);
        parts.body = Body::Unsigned;
    }
    // Without a command there is no call, and the verifier says so.
    let is_call = vector["request"]["params"]
        .as_array()
        .is_some_and(|list| list.iter().any(|pair| pair[0] == "command" && pair[1] != ""));
    is_call.then_some((parts, false))
}

/// Calls as tools make them all day: the vectors' values are chosen for what is hard to spell.
fn usual() -> Vec<Case> {
    const ID: &str = "1128bd56-b4d9-4ac6-a7b9-c715b187ce11";
    const OTHER: &str = "6b2e9a3c-1c1f-4c0e-9d2b-0a1b2c3d4e5f";
    let queries = [
        format!(
            "command=listVirtualMachines&response=json&zoneid={ID}&account=admin&domainid={OTHER}&state=Running\
             &page=1&pagesize=100"
        ),
        format!("command=queryAsyncJobResult&jobid={ID}&response=json"),
        "command=listZones&response=json".to_owned(),
        format!(
            "command=deployVirtualMachine&serviceofferingid={ID}&templateid={OTHER}&zoneid={ID}&name=web-01\
             &displayname=web%20server%2001&networkids={ID}%2C{OTHER}&response=json"
        ),
        format!("command=attachVolume&id={ID}&virtualmachineid={OTHER}&response=json"),
        format!(
            "response=json&command=listEvents&startdate=2026-03-01%2000%3A00%3A00&listall=true&domainid={ID}"
        ),
    ];
    let cases = queries.into_iter().map(|query| {
        let vector = serde_json::json!({
            "credentials": {
                "api_key": "plgWJfZK4gyS3mOMTVmjUVg-X-jlWlnfaUJ9GAbBbf9EdM-kAYMmAiLqzzq1ElZLYq_u38zCm0bewzGUdP66mg",
                "secret_key": "VDaACYb0LV9eNjTetIOElcVQkvJck_J_QljX_FcHRj87ZKiy0z0ty0ZsYBkoXkY9b7eq1EhwJaw7FF3akA3KBQ",
            },
            "request": {"method": "GET", "url": format!("/client/api?{query}")},
        });
        let now = "2026-03-04T05:06:07Z".parse().expect("a moment");
        let scheme = Scheme::Cloudstack(cloudstack::Options::default());
        Case(Rc::new(Parts { body: Body::Unsigned, ..parts(&vector, scheme, now, Form::Header) }))
    });
    cases.filter(|case| case.is_right(None)).collect()
}

#[allow(clippy::unnecessary_wraps, reason = "readers of other vectors leave some out")]
fn zstack(vector: &Value) -> Option<(Parts, bool)> {
    let date = text(vector, "clock_date_header");
    let (wall_clock, label) = date.rsplit_once(' ').expect("a zone");
    let wall_clock = jiff::civil::DateTime::strptime("%a, %d %b %Y %H:%M:%S", wall_clock).expect("a date");
    let now = wall_clock.to_zoned(jiff::tz::TimeZone::UTC).expect("a moment").timestamp();
    let options = zstack::Options::in_zone("UTC", Some(label)).expect("a zone");
    let options = options.with_context_path(text(vector, "context_path"));
    let mut parts = parts(vector, Scheme::Zstack(options), now, Form::Header);
    parts.headers.remove("date");
    Some((parts, true))
}
