//! Requests drawn at random: wild ones to survive, and likely ones to sign.

use countersign::sign::{Head, Payload};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Dice;

/// A request that owns its parts.
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub bucket: Option<String>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn head(&self) -> Head<'_> {
        Head {
            method: &self.method,
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.headers,
            host_bucket: self.bucket.as_deref(),
        }
    }

    pub fn payload(&self) -> Payload<'_> {
        Payload::Whole(&self.body)
    }
}

const WILD: &[&str] = &[
    "%",
    "%2",
    "%zz",
    "%00",
    "%0A",
    "%FF",
    "%C3",
    "%c3%a9",
    "%2F",
    "%26",
    "%3D",
    "%25",
    "+",
    " ",
    "\n",
    "\r",
    "\0",
    "\t",
    "/",
    "//",
    "/..",
    "/.",
    "?",
    "#",
    "&",
    "=",
    ";",
    ":",
    "a",
    "Z",
    "~",
    "*",
    "é",
    "Σ",
    "İ",
    "😀",
    "\u{ff5e}",
    "signature",
    "APIKEY",
    "expires",
    "command=listX",
    "X-Amz-Signature=",
    "X-Amz-Date=",
    "X-Amz-Credential=KEYID/",
    "X-Amz-Expires=9",
    "X-Amz-SignedHeaders=host",
    "Signature=",
    "Expires=1",
    "AWSAccessKeyId=KEYID",
    "acl",
    "\u{7f}",
    "signatureVersion=3",
    "uploadId",
];

const AUTHORIZATIONS: &[&str] = &[
    "AWS",
    "AWS ",
    "AWS KEYID:",
    ":",
    "ZStack ",
    "ZStack KEYID:x",
    "OAuth",
    "AWS4-HMAC-SHA256",
    " ",
    "Credential=",
    "KEYID/20260304/r/s3/aws4_request",
    ",",
    "SignedHeaders=",
    "host",
    ";",
    "Signature=",
    "0",
    "=",
    "/",
    "x-amz-date",
];

const DATES: &[&str] = &[
    "Wed, 04 Mar 2026 12:00:00 GMT",
    "Wed, 04 Mar 2026 20:00:00 PRC",
    "20260304T120000Z",
    "",
    "x",
    "20260304",
    ":",
    "Wed, 04 Mar 2026 99:00:00 GMT",
    "é",
    "99999999T999999Z",
];

/// Anything at all, shaped only so far that every reader has something to chew on.
pub fn wild(dice: &mut Dice) -> Request {
    let mut headers = HeaderMap::new();
    for _ in 0..dice.below(6) {
        let name = dice.pick(&[
            "host",
            "date",
            "x-amz-date",
            "authorization",
            "content-type",
            "content-md5",
            "x-amz-meta-a",
            "x-amz-content-sha256",
            "x-amz-security-token",
            "connection",
            "x-other",
        ]);
        let text = match name {
            "date" | "x-amz-date" => dice.text(DATES, 2),
            "authorization" => dice.text(AUTHORIZATIONS, 12),
            "content-type" => "application/x-www-form-urlencoded".to_owned(),
            _ => dice.text(WILD, 4),
        };
        if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    Request {
        method: dice.text(&["GET", "POST", "P", "\n", " ", "é"], 2),
        path: dice.text(WILD, 8),
        query: if dice.chance(80) { Some(dice.text(WILD, 16)) } else { None },
        headers,
        bucket: if dice.chance(20) { Some(dice.text(WILD, 2)) } else { None },
        body: dice.text(WILD, 10).into_bytes(),
    }
}

/// A request that a gateway would let through, drawn from few letters so that draws often nearly agree.
pub fn likely(dice: &mut Dice, scheme: &str) -> Request {
    let is_api = matches!(scheme, "cloudstack" | "zstack");
    let segments: &[&str] = match scheme {
        // Dot segments mean nothing where paths are normalised: `/a/..` is `/b/..`.
        "aws-v4" => &["a", "b", "%20", "%2F", "é", "+"],
        "zstack" => &["a", "b", "/", "%20", "%2F", "%25", "zstack", "+"],
        _ => &["a", "b", "/", "%20", "%2F", "%25", "..", ".", "+", "~", "*", "%3F", "%26acl"],
    };
    let mut path = "/".to_owned();
    if scheme == "zstack" {
        path.push_str("zstack/");
    }
    path.push_str(&dice.text(segments, 4));
    let names: &[&str] = if is_api {
        &["a", "b", "ab", "A", "a.b", "a[0]", "a%5B0%5D", "%C3%A9", "%C3%89", "c", "a%20b"]
    } else {
        &["a", "b", "acl", "uploadId", "versionId", "response-expires", "%61cl", "prefix", "A"]
    };
    let values: &[&str] = &[
        "1", "2", "%26", "%3D", "%2526", "a", "A", "+", "%20", "%2B", "acl", "%26acl", "%26a%3D1", "~", "*",
        "%0A",
    ];
    let mut pieces = Vec::new();
    for _ in 0..dice.below(4) {
        let value = dice.text(values, 3);
        pieces.push(if dice.chance(20) {
            dice.pick(names).to_owned()
        } else {
            format!("{}={value}", dice.pick(names))
        });
    }
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("h"));
    for _ in 0..dice.below(4) {
        let name = dice.pick(&["x-amz-meta-a", "x-amz-meta-b", "x-amz-acl", "content-md5"]);
        let value =
            HeaderValue::from_str(&dice.text(&["1", "2", ",", " ", ":", "x-amz-acl", "/", "a"], 4)).unwrap();
        if name == "content-md5" {
            headers.insert(name, value);
        } else {
            headers.append(name, value);
        }
    }
    let mut body = Vec::new();
    if scheme == "cloudstack" {
        pieces.push("command=listX".to_owned());
        if dice.chance(40) {
            headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
            body = pieces.split_off(dice.below(pieces.len())).join("&").into_bytes();
        }
    } else {
        body.extend(dice.text(&["x", "y"], 2).bytes());
    }
    Request {
        method: if body.is_empty() { dice.pick(&["GET", "POST"]) } else { "POST" }.to_owned(),
        path,
        query: Some(pieces.join("&")).filter(|query| !query.is_empty()),
        headers,
        bucket: None,
        body,
    }
}
