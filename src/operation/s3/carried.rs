//! Authority that headers carry: the source of a copy, an ACL, tags or a lock that are set with an object, and leave to
//! pass over one.
//!
//! Presigned URLs may carry `x-amz-*` headers in their query, where servers read them as if they were headers.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Call, decoded};
use crate::operation::{Ask, Operation, text};
use crate::reason::Reason;
use crate::sign::encode::{Keep, Plus, decode, percent};

pub(super) static COPY_SOURCE: HeaderName = HeaderName::from_static("x-amz-copy-source");
static RENAME_SOURCE: HeaderName = HeaderName::from_static("x-amz-rename-source");
/// With either of them a server takes the body apart, and writes keys that nobody has named here (MinIO, Snowball).
static ARCHIVES: [HeaderName; 2] = [
    HeaderName::from_static("x-amz-meta-snowball-auto-extract"),
    HeaderName::from_static("x-amz-meta-minio-snowball-auto-extract"),
];
static ACL: HeaderName = HeaderName::from_static("x-amz-acl");
static TAGGING: HeaderName = HeaderName::from_static("x-amz-tagging");
static LOCK_MODE: HeaderName = HeaderName::from_static("x-amz-object-lock-mode");
static LOCKED_UNTIL: HeaderName = HeaderName::from_static("x-amz-object-lock-retain-until-date");
static LEGAL_HOLD: HeaderName = HeaderName::from_static("x-amz-object-lock-legal-hold");
static LOCK_ENABLED: HeaderName = HeaderName::from_static("x-amz-bucket-object-lock-enabled");
static OWNERSHIP: HeaderName = HeaderName::from_static("x-amz-object-ownership");
static BYPASS: HeaderName = HeaderName::from_static("x-amz-bypass-governance-retention");

/// Writes the headers that name a source strictly, so that they have one reading: a `+` is a plus, a `?` begins the
/// version and nothing else.
pub fn write_sources(headers: &mut HeaderMap) -> Result<(), Reason> {
    for name in [&COPY_SOURCE, &RENAME_SOURCE] {
        let Some(source) = Source::of(headers, name)? else { continue };
        let value = HeaderValue::try_from(source.written()).map_err(|_| Reason::Internal)?;
        headers.insert(name, value);
    }
    Ok(())
}

/// Adds what the headers of a call ask for.
pub(super) fn add(call: &Call<'_>, operation: &mut Operation) -> Result<(), Reason> {
    if let Some(name) = [&COPY_SOURCE, &RENAME_SOURCE].into_iter().find(|name| in_query(call, name)) {
        return Err(Reason::BadParameter(name.to_string(), "send it as a header"));
    }
    if let Some(archive) = ARCHIVES.iter().find(|archive| states(call, archive)) {
        let why = "archives are not unpacked through this gateway";
        return Err(Reason::BadHeader(archive.to_string().into(), why));
    }
    let Operation { ask, further, .. } = &mut *operation;
    let mut also = |name: &'static str| further.push(Ask::new(name, ask.resource.clone()));
    let puts_object = (call.method == "PUT" || call.method == "POST") && !call.key.is_empty();
    if puts_object {
        if states_acl(call) {
            also("s3:PutObjectAcl");
        }
        if states(call, &TAGGING) {
            also("s3:PutObjectTagging");
        }
        if states(call, &LOCK_MODE) || states(call, &LOCKED_UNTIL) {
            also("s3:PutObjectRetention");
        }
        if states(call, &LEGAL_HOLD) {
            also("s3:PutObjectLegalHold");
        }
    } else if call.method == "PUT" && call.key.is_empty() && !call.bucket.is_empty() {
        if states_acl(call) && ask.name != "s3:PutBucketAcl" {
            also("s3:PutBucketAcl");
        }
        if states(call, &LOCK_ENABLED) {
            also("s3:PutBucketObjectLockConfiguration");
        }
        if states(call, &OWNERSHIP) {
            also("s3:PutBucketOwnershipControls");
        }
    }
    if states(call, &BYPASS) {
        also("s3:BypassGovernanceRetention");
    }
    if call.key.is_empty() { Ok(()) } else { sources(call, operation) }
}

fn states_acl(call: &Call<'_>) -> bool {
    let grants = |name: &str| name.len() > 12 && name[..12].eq_ignore_ascii_case("x-amz-grant-");
    states(call, &ACL)
        || call.headers.keys().any(|name| grants(name.as_str()))
        || call.query.iter().any(|field| std::str::from_utf8(&field.name).is_ok_and(grants))
}

fn states(call: &Call<'_>, name: &HeaderName) -> bool {
    call.headers.contains_key(name) || in_query(call, name)
}

fn in_query(call: &Call<'_>, name: &HeaderName) -> bool {
    call.query.iter().any(|field| field.name.eq_ignore_ascii_case(name.as_str().as_bytes()))
}

/// A copy reads its source; a renaming moves it away, within the bucket.
fn sources(call: &Call<'_>, operation: &mut Operation) -> Result<(), Reason> {
    if let Some(source) = Source::of(call.headers, &COPY_SOURCE)? {
        let name = if source.version.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
        if !source.path.contains(&b'/') {
            return Err(malformed(&COPY_SOURCE));
        }
        operation.further.push(Ask { alias: Some("s3:CopyObject"), ..Ask::new(name, text(&source.path)) });
    }
    if let Some(source) = Source::of(call.headers, &RENAME_SOURCE)? {
        let bucket = decoded(call.bucket);
        let mut resources = vec![[&bucket, &b"/"[..], &source.path].concat()];
        // Whether a server takes the bucket for a part of the key, nobody here knows.
        if source.path.strip_prefix(&*bucket).is_some_and(|rest| rest.starts_with(b"/")) {
            resources.push(source.path.into_owned());
        }
        for (resource, name) in
            resources.iter().flat_map(|of| [(of, "s3:GetObject"), (of, "s3:DeleteObject")])
        {
            operation.further.push(Ask { alias: Some("s3:RenameObject"), ..Ask::new(name, text(resource)) });
        }
    }
    Ok(())
}

/// `bucket/key?versionId=…`, percent-encoded, or an access point's ARN in place of the bucket.
struct Source<'h> {
    /// Whether a slash stands in front; it means nothing.
    slash: bool,
    path: Cow<'h, [u8]>,
    version: Option<Cow<'h, [u8]>>,
}

impl<'h> Source<'h> {
    fn of(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<Self>, Reason> {
        let mut values = headers.get_all(name).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Reason::BadHeader(name.to_string().into(), "it stands more than once"));
        }
        let malformed = || malformed(name);
        let value = value.as_bytes();
        let (path, version) = match value.iter().position(|byte| *byte == b'?') {
            Some(at) => {
                let version = value[at..].strip_prefix(b"?versionId=").ok_or_else(malformed)?;
                let version =
                    plain(version).filter(|version| !version.is_empty() && !version.contains(&b'&'));
                (&value[..at], Some(version.ok_or_else(malformed)?))
            }
            None => (value, None),
        };
        let slash = path.starts_with(b"/");
        let path = plain(&path[usize::from(slash)..]).ok_or_else(malformed)?;
        // `//` in front would make an empty bucket, which some servers pass over.
        if path.is_empty()
            || path.starts_with(b"/")
            || path.ends_with(b"/") && !path[..path.len() - 1].contains(&b'/')
        {
            return Err(malformed());
        }
        Ok(Some(Self { slash, path, version }))
    }

    fn written(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.path.len() + 16);
        out.extend(self.slash.then_some(b'/'));
        percent(&self.path, Keep::Path, &mut out);
        if let Some(version) = &self.version {
            out.extend_from_slice(b"?versionId=");
            percent(version, Keep::Unreserved, &mut out);
        }
        out
    }
}

fn plain(encoded: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !encoded.contains(&b'%') {
        return Some(Cow::Borrowed(encoded));
    }
    let mut out = Vec::with_capacity(encoded.len());
    decode(encoded, Plus::Literal, &mut out).ok().map(|()| Cow::Owned(out))
}

fn malformed(name: &HeaderName) -> Reason {
    Reason::BadHeader(
        name.to_string().into(),
        "not a percent-encoded `bucket/key` or `bucket/key?versionId=…`",
    )
}
