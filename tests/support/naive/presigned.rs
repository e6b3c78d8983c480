//! Signed URLs of S3, versions 2 and 4, as strict servers judge them.

use super::super::Request;
use super::{Keys, amz_date, decoded, encoded, hex, hmac_sha1, hmac_sha256, now, sha256};

/// The parameters of a query, decoded, in their order.
fn pairs(request: &Request) -> Result<Vec<(String, String)>, String> {
    let text = |part: &str| String::from_utf8(decoded(part, true)?).map_err(|_| "not UTF-8".to_owned());
    let pieces = request.query().unwrap_or_default().split('&').filter(|piece| !piece.is_empty());
    pieces
        .map(|piece| {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            Ok((text(name)?, text(value)?))
        })
        .collect()
}

fn one(pairs: &[(String, String)], name: &str) -> Result<String, String> {
    let mut found = pairs.iter().filter(|(known, _)| known == name);
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Ok(value.clone()),
        _ => Err(format!("not exactly one {name}")),
    }
}

/// Judges a version 4 URL; gives the seconds that it still holds.
pub fn presigned_v4(request: &Request, keys: &Keys, region: &str) -> Result<i64, String> {
    if request.headers.has("authorization") {
        return Err("InvalidArgument: only one auth mechanism allowed".to_owned());
    }
    let pairs = pairs(request)?;
    let field = |name: &str| one(&pairs, name);
    let date = field("X-Amz-Date")?;
    let scope = format!("{}/{region}/s3/aws4_request", &date[..8]);
    if field("X-Amz-Algorithm")? != "AWS4-HMAC-SHA256"
        || field("X-Amz-Credential")? != format!("{}/{scope}", keys.id)
    {
        return Err("another algorithm, key or scope".to_owned());
    }
    let holds: i64 = field("X-Amz-Expires")?.parse().map_err(|_| "bad X-Amz-Expires")?;
    let left = amz_date(&date).ok_or("bad X-Amz-Date")? + holds - now();
    if !(1..=604_800).contains(&holds) || left <= 0 {
        return Err("AccessDenied: request has expired".to_owned());
    }
    if field("X-Amz-Security-Token").ok() != keys.token {
        return Err("another session token".to_owned());
    }
    let signed = field("X-Amz-SignedHeaders")?;
    let signed: Vec<&str> = signed.split(';').collect();
    for name in request.headers.names() {
        if (name == "host" || name.starts_with("x-amz-")) && !signed.contains(&name.as_str()) {
            return Err(format!("AccessDenied: {name} was not signed"));
        }
    }
    let lines: String = signed
        .iter()
        .map(|name| format!("{name}:{}\n", request.headers.one(name).unwrap_or("ABSENT").trim()))
        .collect();
    let mut query: Vec<(String, String)> = pairs
        .iter()
        .filter(|(name, _)| name != "X-Amz-Signature")
        .map(|(name, value)| (encoded(name.as_bytes(), ""), encoded(value.as_bytes(), "")))
        .collect();
    query.sort();
    let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let payload = request.headers.one("x-amz-content-sha256").unwrap_or("UNSIGNED-PAYLOAD");
    let canonical = format!(
        "{}\n{}\n{}\n{lines}\n{}\n{payload}",
        request.method,
        encoded(&decoded(request.path(), false)?, "/"),
        query.join("&"),
        signed.join(";"),
    );
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let mut key = hmac_sha256(format!("AWS4{}", keys.secret).as_bytes(), &date.as_bytes()[..8]);
    for part in [region, "s3", "aws4_request"] {
        key = hmac_sha256(&key, part.as_bytes());
    }
    if field("X-Amz-Signature")? != hex(&hmac_sha256(&key, text.as_bytes())) {
        return Err(format!("SignatureDoesNotMatch\n{canonical}"));
    }
    if payload != "UNSIGNED-PAYLOAD" && payload != sha256(&request.body) {
        return Err("XAmzContentSHA256Mismatch".to_owned());
    }
    Ok(left)
}

/// Judges a version 2 URL to a server that finds buckets in paths; gives the seconds that it still holds.
pub fn presigned_v2(request: &Request, keys: &Keys) -> Result<i64, String> {
    const SIGNED: &str = "acl partNumber response-cache-control response-content-disposition \
        response-content-type response-expires tagging uploadId versionId";
    if request.headers.has("authorization") {
        return Err("InvalidArgument: only one auth mechanism allowed".to_owned());
    }
    let pairs = pairs(request)?;
    let expires = one(&pairs, "Expires")?;
    let left = expires.parse::<i64>().map_err(|_| "bad Expires")? - now();
    if left <= 0 {
        return Err("AccessDenied: request has expired".to_owned());
    }
    if one(&pairs, "AWSAccessKeyId")? != keys.id {
        return Err("InvalidAccessKeyId".to_owned());
    }
    let mut amz: Vec<String> = request.headers.names();
    amz.retain(|name| name.starts_with("x-amz-"));
    amz.sort();
    let amz: String = amz
        .iter()
        .map(|name| format!("{name}:{}\n", request.headers.one(name).unwrap_or_default()))
        .collect();
    let mut resources: Vec<String> = pairs
        .iter()
        .filter(|(name, _)| SIGNED.split_whitespace().any(|signed| signed == name))
        .map(|(name, value)| if value.is_empty() { name.clone() } else { format!("{name}={value}") })
        .collect();
    resources.sort();
    let mark = if resources.is_empty() { "" } else { "?" };
    let header = |name| request.headers.one(name).unwrap_or_default();
    let text = format!(
        "{}\n{}\n{}\n{expires}\n{amz}{}{mark}{}",
        request.method,
        header("content-md5"),
        header("content-type"),
        request.path(),
        resources.join("&"),
    );
    if one(&pairs, "Signature")? != hmac_sha1(keys.secret.as_bytes(), text.as_bytes()) {
        return Err(format!("SignatureDoesNotMatch\n{text}"));
    }
    Ok(left)
}
