//! S3 signature version 2 in its header form, as Ceph's `rgw_auth_s3.cc` and ostor's clients have it.

use super::super::Request;
use super::{Keys, amz_date, decoded, hmac_sha1, latin1, mail_date, no_leftovers, recent};

/// The server that judges.
#[derive(Clone, Copy, Debug)]
pub enum S3V2<'a> {
    /// A RADOS gateway, whose buckets may stand before this host name.
    Ceph(&'a str),
    /// An ostor management endpoint: the text before the first `&` is the resource.
    Ostor,
}

/// Signed by every server, and by Ceph.
const CEPH: &str = "acl cors delete encryption lifecycle location logging notification object-lock partNumber policy \
    policyStatus publicAccessBlock requestPayment response-cache-control response-content-disposition \
    response-content-encoding response-content-language response-content-type response-expires tagging torrent uploadId \
    uploads versionId versioning versions website";

/// Judges a request.
pub fn s3v2(request: &Request, keys: &Keys, server: S3V2<'_>) -> Result<(), String> {
    no_leftovers(request)?;
    let authorization = request.headers.one("authorization").ok_or("AccessDenied: no authorization")?;
    let rest = authorization.strip_prefix("AWS ").ok_or("not a version 2 authorization")?;
    let (id, signature) = rest.rsplit_once(':').ok_or("no colon")?;
    if id != keys.id {
        return Err("InvalidAccessKeyId".to_owned());
    }
    if request.headers.one("x-amz-security-token").map(str::to_owned) != keys.token {
        return Err("another session token".to_owned());
    }
    let own = request.headers.one("x-amz-date");
    let date = request.headers.one("date");
    let date = match (own, date) {
        (Some(own), None) => {
            recent(amz_date(own).or_else(|| mail_date(own).map(|(at, _)| at)).ok_or("bad x-amz-date")?)?;
            ""
        }
        (None, Some(date)) => {
            let (at, zone) = mail_date(date).ok_or(format!("bad date {date:?}"))?;
            if !matches!(zone, "GMT" | "UTC" | "+0000") {
                return Err(format!("zone {zone}"));
            }
            recent(at)?;
            date
        }
        other => return Err(format!("dates that servers read differently: {other:?}")),
    };
    let mut amz: Vec<String> =
        request.headers.names().into_iter().filter(|name| name.starts_with("x-amz-")).collect();
    amz.sort();
    amz.dedup();
    let line = |name: &String| format!("{name}:{}\n", request.headers.all(name).join(","));
    let amz: String = amz.iter().map(line).collect();
    let header = |name| request.headers.one(name).unwrap_or_default();
    let (md5, kind) = (header("content-md5"), header("content-type"));
    let text = format!("{}\n{md5}\n{kind}\n{date}\n{amz}", request.method);
    let text = [latin1(&text), resource(request, server)?].concat();
    if signature != hmac_sha1(keys.secret.as_bytes(), &text) {
        return Err(format!("SignatureDoesNotMatch\n{}", String::from_utf8_lossy(&text)));
    }
    Ok(())
}

/// Bytes: a decoded value need not be text.
fn resource(request: &Request, server: S3V2<'_>) -> Result<Vec<u8>, String> {
    let base = match server {
        S3V2::Ostor => return Ok(request.target.split('&').next().unwrap_or_default().into()),
        S3V2::Ceph(base) => base,
    };
    let host = request.headers.one("host").unwrap_or_default();
    let bucket = host.strip_suffix(base).and_then(|bucket| bucket.strip_suffix('.'));
    if bucket.is_none() && host != base {
        return Err(format!("host {host} is not {base}"));
    }
    let mut found = Vec::new();
    for piece in request.query().unwrap_or_default().split('&').filter(|piece| !piece.is_empty()) {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let (name, value) = (decoded(name, true)?, decoded(value, true)?);
        if CEPH.split_whitespace().any(|known| known.as_bytes() == name) {
            found.push((name, value));
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut out = bucket.map(|bucket| format!("/{bucket}")).unwrap_or_default().into_bytes();
    out.extend_from_slice(request.path().as_bytes());
    for (index, (name, value)) in found.iter().enumerate() {
        out.push(if index == 0 { b'?' } else { b'&' });
        out.extend_from_slice(name);
        if !value.is_empty() {
            out.push(b'=');
            out.extend_from_slice(value);
        }
    }
    Ok(out)
}
