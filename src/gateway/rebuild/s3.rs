//! S3: bucket and key are taken from host or path, and put where the upstream wants them.
//!
//! Keys may hold any byte; dots and empty segments stay. The caller's presigned parameters never arrive. Browser
//! forms are refused: their policy document is a second signature over other names.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use md5::{Digest, Md5};

use super::{Request, form_fields, is_form, pairs};
use crate::body::spool::Reservation;
use crate::checksum::Algorithm;
use crate::config::{Addressing, HostMatch, PayloadRule, UpstreamChunked};
use crate::gateway::judge::Desk;
use crate::gateway::payload::{Source, media_type};
use crate::operation::Operation;
use crate::operation::s3::{Call, Servers, decoded, objects_to_delete, s3, write_sources};
use crate::outbound::{Content, Draft};
use crate::reason::Reason;
use crate::route::below;
use crate::sign::s3v2::{self, Dialect};
use crate::sign::{Scheme, sigv4};
use crate::target::{EmptyValue, Parameter, object_path, parameters, query};

const CHECKSUM_ALGORITHM: HeaderName = HeaderName::from_static("x-amz-sdk-checksum-algorithm");
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

pub(super) async fn rebuild(
    request: &Request<'_>,
    mut source: Source<'_>,
    desk: &mut Desk<'_>,
    addressing: Addressing,
    payload: PayloadRule,
    chunked: UpstreamChunked,
) -> Result<(Draft, Content, Operation), Reason> {
    let method = &request.head.method;
    if *method == Method::POST && media_type(request.head).as_deref() == Some("multipart/form-data") {
        return Err(Reason::UnsupportedBody("browser-form uploads carry a policy of their own"));
    }
    let mut fields = parameters(request.inbound.query.unwrap_or_default(), request.limits.parameters)?;
    fields.retain(|Parameter { name, .. }| {
        // A name that is no text is nobody's.
        !std::str::from_utf8(name)
            .is_ok_and(|name| sigv4::is_query_credential(name) || s3v2::is_query_credential(name))
    });
    let dialect = match &request.route.scheme {
        Scheme::S3V2(options) => Some(options.dialect),
        _ => None,
    };
    if dialect == Some(Dialect::Ostor) {
        service_first(&mut fields)?;
    }
    // SigV2 servers sign an empty sub-resource without `=`, whatever the wire says.
    let empty = if dialect.is_some() { EmptyValue::Bare } else { EmptyValue::AsSent };

    let path = object_path(&request.rewritten())?;
    let (bucket, key) = bucket_and_key(request, &path)?;
    note(desk, bucket, key, &fields);
    let mut draft = request.draft(String::new(), query(&fields, empty));
    write_sources(&mut draft.headers)?;
    // `None`: as it came, strictly encoded.
    let other = if addressing == Addressing::Virtual && is_host_label(bucket) {
        draft.host = format!("{bucket}.{}", draft.host).into();
        draft.host_bucket = Some(bucket.to_owned());
        Some(format!("/{key}"))
    } else if bucket.is_empty() {
        Some(if key.is_empty() { "/".to_owned() } else { format!("//{key}") })
    } else if key.is_empty() && !request.inbound.path.ends_with('/') {
        Some(format!("/{bucket}"))
    } else if is_joined(&path, bucket, key) {
        None
    } else {
        Some(format!("/{bucket}/{key}"))
    };
    if dialect == Some(Dialect::Ostor) && source.is_empty() {
        // The management API is signed with an empty type by every client of it.
        draft.headers.remove(http::header::CONTENT_TYPE);
    }
    let mut call = Call {
        method: method.as_str(),
        bucket,
        key,
        path: other.as_deref().unwrap_or(&path),
        query: &fields,
        form: &[],
        headers: &draft.headers,
        servers: servers(dialect, &draft.host),
    };
    if *method == Method::POST && bucket.is_empty() && key.is_empty() && is_form(request.head) {
        // IAM and STS, which some servers speak at the root, name their calls in a form.
        let body = Box::pin(source.form()).await?;
        let form = form_fields(&body, request.limits.parameters)?;
        desk.note(pairs(&fields).chain(pairs(&form)));
        call.form = &form;
        let operation = s3(&call)?;
        draft.path = other.unwrap_or(path);
        return Ok((draft, Content::Whole(body, None), operation));
    }
    let mut operation = s3(&call)?;
    draft.path = other.unwrap_or(path);
    if !source.is_empty() && operation.call() != "s3:DeleteObjects" {
        desk.judge(&operation)?;
    }
    let headers = &mut draft.headers;
    if operation.call() == "s3:CompleteMultipartUpload" {
        // Here they are checksums of the object that the parts make, not of their list.
        source.forget_checksums();
    }
    // Whatever waits for a body is boxed: its state would make that of every other call larger.
    let content = if operation.call() == "s3:DeleteObjects" {
        let (list, reservation) = Box::pin(stating_md5(source, headers)).await?;
        objects_to_delete(&mut operation, &list)?;
        Content::Whole(list, Some(reservation))
    } else if source.is_absent() {
        Content::Whole(Bytes::new(), None)
    } else if dialect.is_some() {
        Box::pin(source.unsigned_without_trailers(headers)).await?
    } else {
        Box::pin(source.signed(payload, chunked, headers)).await?
    };
    let has_trailers = matches!(&content, Content::Chunked { trailers, .. } if !trailers.is_empty());
    if !has_trailers && !states_checksum(headers) {
        // Amazon refuses the name of an algorithm without a checksum of it.
        headers.remove(CHECKSUM_ALGORITHM);
    }
    Ok((draft, content, operation))
}

/// Whether a path is `/bucket/key`.
fn is_joined(path: &str, bucket: &str, key: &str) -> bool {
    let rest = path.strip_prefix('/').and_then(|rest| rest.strip_prefix(bucket));
    rest.and_then(|rest| rest.strip_prefix('/')).is_some_and(|rest| rest == key)
}

/// Notes bucket and key beside what stands in the query.
fn note(desk: &mut Desk<'_>, bucket: &str, key: &str, fields: &[Parameter]) {
    let (bucket, key) = (decoded(bucket), decoded(key));
    let place = [(&b"bucketName"[..], &*bucket), (&b"key"[..], &*key)];
    desk.note(place.into_iter().filter(|(_, value)| !value.is_empty()).chain(pairs(fields)));
}

/// Whose administration could be at the other end. SigV2 is told by its dialect; Amazon by its name; any other SigV4
/// endpoint may be either.
fn servers(dialect: Option<Dialect>, host: &str) -> Servers {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let amazon = [".amazonaws.com", ".amazonaws.com.cn"].iter().any(|domain| name.ends_with(domain));
    let (minio, rgw) = match dialect {
        Some(Dialect::Minio) => (true, false),
        Some(Dialect::Ceph) => (false, true),
        Some(Dialect::Arsenal | Dialect::Ostor) => (false, false),
        Some(Dialect::Aws) | None => (!amazon, !amazon),
    };
    Servers { minio, rgw }
}

/// `DeleteObjects` needs the digest of its list; a caller who left it out gets it added.
async fn stating_md5(source: Source<'_>, headers: &mut HeaderMap) -> Result<(Bytes, Reservation), Reason> {
    let mut md5 = Md5::new();
    let list = source.held(Some(&mut md5), headers).await?;
    if !headers.contains_key(CONTENT_MD5) && !states_checksum(headers) {
        let digest = STANDARD.encode(md5.finalize());
        headers.insert(CONTENT_MD5, HeaderValue::try_from(digest).map_err(|_| Reason::Internal)?);
    }
    Ok(list)
}

fn states_checksum(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| Algorithm::from_header(name.as_str()).is_some())
}

/// Bucket and key, strictly encoded, from a virtual host or from the strictly encoded path.
fn bucket_and_key<'r>(request: &'r Request<'_>, path: &'r str) -> Result<(&'r str, &'r str), Reason> {
    let path = path.strip_prefix('/').unwrap_or(path);
    if let HostMatch::Suffix(suffix) = &request.route.host
        && let Some(bucket) = below(&request.inbound.host, suffix)
    {
        // A host name can hold bytes that no bucket's name does.
        if !bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')) {
            return Err(Reason::UnknownHost);
        }
        return Ok((bucket, path));
    }
    Ok(path.split_once('/').unwrap_or((path, "")))
}

/// Whether a bucket can stand in front of a host name under one wildcard certificate: Amazon's naming rule without
/// dots. Any other bucket is named in the path, as the SDKs do.
fn is_host_label(bucket: &str) -> bool {
    (3..=63).contains(&bucket.len())
        && bucket.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !bucket.starts_with('-')
        && !bucket.ends_with('-')
}

/// ostor signs the text before the first `&`: the service stands first, and there is one.
fn service_first(fields: &mut [Parameter]) -> Result<(), Reason> {
    let mut services = fields.iter().enumerate().filter(|(_, field)| field.name.starts_with(b"ostor-"));
    let first = services.next().map(|(index, _)| index);
    if let Some((_, second)) = services.next() {
        return Err(Reason::BadParameter(second.shown_name(), "one ostor service at a time"));
    }
    if let Some(index) = first {
        fields[..=index].rotate_right(1);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_moves_to_the_front() {
        let mut fields =
            [Parameter::new("b", "1"), Parameter::new("c", "2"), Parameter::new("ostor-users", "")];
        assert_eq!(service_first(&mut fields), Ok(()));
        assert_eq!(fields.map(|field| field.shown_name()), ["ostor-users", "b", "c"]);
        let mut two = [Parameter::new("ostor-users", ""), Parameter::new("ostor-limits", "")];
        assert!(service_first(&mut two).is_err());
    }

    #[test]
    fn only_plain_names_become_hosts() {
        assert!(is_host_label("my-bucket1"));
        for other in ["ab", "a.b.c", "UPPER", "under_score", "-lead", "trail-", "x%20y", ""] {
            assert!(!is_host_label(other), "{other}");
        }
    }
}
