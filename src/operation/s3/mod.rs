//! S3: IAM action names by method, path, query and headers, with bucket and key.
//!
//! Servers pick the call of a request by its sub-resource, each in an order of its own; a request with two of them is
//! refused. What no table knows is `s3:METHOD`, and so is a request with a bare query name that no table knows: it may
//! be a newer call. The neighbours that share the endpoint (ostor's management, UTAPI, IAM and STS at the root, the
//! administration of `MinIO` and RADOS Gateway) are told apart first, so that none hides behind the name of an object.

mod calls;
mod carried;
mod list;
mod neighbours;

use std::borrow::Cow;

use http::HeaderMap;

use super::{Access, Ask, Operation, Tier, push_text, text};
use crate::reason::Reason;
use crate::sign::encode::{Plus, decode};
use crate::target::Parameter;
use calls::{BUCKET, Entry, MODIFIERS, OBJECT, SERVICE, SUB_RESOURCES, VERSIONED};
use carried::COPY_SOURCE;
pub use carried::write_sources;
pub use list::objects_to_delete;
pub use neighbours::{Servers, secret_bearing};

/// A rebuilt request.
pub struct Call<'r> {
    /// The method.
    pub method: &'r str,
    /// The strictly encoded bucket; empty for none.
    pub bucket: &'r str,
    /// The strictly encoded key; empty for none.
    pub key: &'r str,
    /// The strictly encoded path as it is sent: the bucket may stand in the host.
    pub path: &'r str,
    /// The decoded query.
    pub query: &'r [Parameter],
    /// The decoded fields of a form body; empty when the body is none.
    pub form: &'r [Parameter],
    /// The headers as they are sent.
    pub headers: &'r HeaderMap,
    /// Whose administration could be at the other end.
    pub servers: Servers,
}

impl Call<'_> {
    fn has(&self, name: &str) -> bool {
        self.query.iter().any(|parameter| parameter.name == name.as_bytes())
    }

    fn resource(&self) -> String {
        let mut resource = String::with_capacity(self.bucket.len() + 1 + self.key.len());
        push_text(&decoded(self.bucket), &mut resource);
        if !self.key.is_empty() {
            resource.push('/');
            push_text(&decoded(self.key), &mut resource);
        }
        resource
    }
}

/// Names the call. `DeleteObjects` is named without its keys: they stand in the body, see [`objects_to_delete`].
pub fn s3(call: &Call<'_>) -> Result<Operation, Reason> {
    let sub = sub_resource(call)?;
    if let Some(operation) = neighbours::find(call, &sub)? {
        return Ok(operation);
    }
    let mut operation = match known(call, &sub) {
        Some(entry) => named(call, entry),
        None => unknown(call),
    };
    under_prefixes(call, &mut operation);
    carried::add(call, &mut operation)?;
    Ok(operation)
}

fn named(call: &Call<'_>, entry: &Entry) -> Operation {
    let version =
        call.has("versionId").then(|| VERSIONED.iter().find(|(name, _)| *name == entry.name)).flatten();
    let name = version.map_or(entry.name, |(_, versioned)| versioned);
    let ask = Ask { alias: alias(call, entry), ..Ask::new(name, call.resource()) };
    match (call.method, entry.sub) {
        (_, "session") => Operation::new(ask, Access::Write, Tier::Keys),
        ("GET" | "HEAD", _) | ("POST", "select") => Operation::new(ask, Access::Read, Tier::None),
        _ => Operation::new(ask, Access::Write, Tier::None),
    }
}

fn unknown(call: &Call<'_>) -> Operation {
    // RADOS Gateway looks for calls of IAM and STS in any body that is posted to the root.
    let root = call.bucket.is_empty() && call.method == "POST";
    let tier = if root { Tier::Keys } else { Tier::None };
    Operation::new(Ask::new(format!("s3:{}", call.method), call.resource()), Access::Unknown, tier)
}

/// What the query asks for beside the thing itself.
struct Sub {
    /// The sub-resource; empty for the thing itself.
    name: &'static str,
    /// Whether the query holds something that could be a sub-resource of a newer API.
    doubtful: bool,
}

/// The one sub-resource of a query.
fn sub_resource(call: &Call<'_>) -> Result<Sub, Reason> {
    let mut sub = Sub { name: "", doubtful: false };
    let reads = matches!(call.method, "GET" | "HEAD");
    for parameter in call.query {
        let name = &*parameter.name;
        if let Some(found) = SUB_RESOURCES.iter().find(|known| known.as_bytes() == name) {
            if !sub.name.is_empty() && sub.name != *found {
                return Err(Reason::BadParameter(parameter.shown_name(), "one sub-resource at a time"));
            }
            sub.name = found;
        } else if !is_modifier(name) {
            // Reads with a value that nobody knows are what web caches and logs make of plain reads.
            sub.doubtful |= !reads || parameter.value.as_ref().is_none_or(Vec::is_empty);
        }
    }
    Ok(sub)
}

fn is_modifier(name: &[u8]) -> bool {
    let prefixed = |prefix: &str| {
        name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    MODIFIERS.iter().any(|known| known.as_bytes() == name) || prefixed("x-amz-") || prefixed("response-")
}

/// The entry of a call in the tables.
fn known(call: &Call<'_>, sub: &Sub) -> Option<&'static Entry> {
    if sub.doubtful {
        return None;
    }
    let table: &[Entry] = match (call.bucket.is_empty(), call.key.is_empty()) {
        (true, true) => &SERVICE,
        (false, true) => &BUCKET,
        (false, false) => &OBJECT,
        // Some servers take `//bucket/key` for `/bucket/key`.
        (true, false) => return None,
    };
    // A part is sent with both numbers, and nothing else is.
    let part = (call.has("partNumber"), call.has("uploadId"));
    if call.method == "PUT" && matches!(part, (true, false) | (false, true)) {
        return None;
    }
    table.iter().find(|entry| entry.method == call.method && entry.sub == sub.name)
}

/// The API's own name of a call, where it depends on more than method and sub-resource.
fn alias(call: &Call<'_>, entry: &Entry) -> Option<&'static str> {
    let copies = || call.headers.contains_key(&COPY_SOURCE);
    match (entry.method, entry.sub, entry.alias) {
        ("PUT", "", _) if copies() && !call.key.is_empty() => Some("s3:CopyObject"),
        ("PUT", "uploadId", _) if copies() => Some("s3:UploadPartCopy"),
        ("GET", "", "s3:ListObjects") if call.has("list-type") => Some("s3:ListObjectsV2"),
        ("GET", "inventory", _) if !call.has("id") => Some("s3:ListBucketInventoryConfigurations"),
        ("GET", "analytics", _) if !call.has("id") => Some("s3:ListBucketAnalyticsConfigurations"),
        ("GET", "metrics", _) if !call.has("id") => Some("s3:ListBucketMetricsConfigurations"),
        ("GET", "intelligent-tiering", _) if !call.has("id") => {
            Some("s3:ListBucketIntelligentTieringConfigurations")
        }
        (_, _, "") => None,
        (_, _, alias) => Some(alias),
    }
}

/// Listings are about the keys below a prefix. A prefix that is given twice is two asks: servers pick one.
fn under_prefixes(call: &Call<'_>, operation: &mut Operation) {
    let lists = ["s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"];
    let lists = lists.contains(&&*operation.ask.name);
    if !lists || call.method != "GET" {
        return;
    }
    let values = call.query.iter().filter(|parameter| parameter.name == b"prefix");
    let prefixes =
        values.filter_map(|parameter| parameter.value.as_deref()).filter(|prefix| !prefix.is_empty());
    let bucket = operation.ask.resource.clone();
    for (index, prefix) in prefixes.enumerate() {
        let resource = format!("{bucket}/{}", text(prefix));
        if index == 0 {
            operation.ask.resource = resource;
        } else {
            operation.further.push(Ask { resource, ..operation.ask.clone() });
        }
    }
}

/// The bytes of what was strictly encoded.
pub fn decoded(encoded: &str) -> Cow<'_, [u8]> {
    if !encoded.contains('%') {
        return Cow::Borrowed(encoded.as_bytes());
    }
    let mut out = Vec::with_capacity(encoded.len());
    match decode(encoded.as_bytes(), Plus::Literal, &mut out) {
        Ok(()) => Cow::Owned(out),
        Err(_) => Cow::Borrowed(encoded.as_bytes()),
    }
}

#[cfg(test)]
mod tests;
