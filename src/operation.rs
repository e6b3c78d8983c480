//! The name of what a request asks for, as logs and (later) policy speak of it.
//!
//! Pure: it looks at the rebuilt request, so that the name is that of what is sent. Names follow the service:
//! CloudStack's `command`, `METHOD /v1/...` for ZStack, IAM action names for S3, `service:Action` elsewhere.

use std::borrow::Cow;

use http::HeaderMap;

use crate::target::Parameter;

/// The longest name that is kept; a longer one is cut.
const LONGEST: usize = 128;

/// CloudStack: the command itself.
pub fn cloudstack(command: &str) -> String {
    cut(command)
}

/// ZStack: method and path below the context path, with ids left in place.
pub fn zstack(method: &str, path: &str, context_path: &str) -> String {
    cut(&format!("{method} {}", path.strip_prefix(context_path).unwrap_or(path)))
}

/// Any other AWS service: `Action` of the query or form, or the last part of `x-amz-target`, else method and path.
pub fn aws<'p>(
    service: &str,
    method: &str,
    path: &str,
    mut fields: impl Iterator<Item = &'p Parameter>,
    headers: &HeaderMap,
) -> String {
    let action = fields.find(|field| field.name == b"Action").and_then(|field| field.value.as_deref());
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    match (action.map(String::from_utf8_lossy), target) {
        (Some(action), _) => cut(&format!("{service}:{action}")),
        (None, Some(target)) => cut(&format!("{service}:{}", target.rsplit('.').next().unwrap_or(target))),
        (None, None) => cut(&format!("{service}:{method} {path}")),
    }
}

/// S3, with ostor's management calls and UTAPI's metrics, which speak over the same endpoint.
pub fn s3(method: &str, bucket: &str, key: &str, query: &[Parameter], headers: &HeaderMap) -> String {
    let has = |name: &str| query.iter().any(|parameter| parameter.name == name.as_bytes());
    let value = |name: &str| {
        let found = query.iter().find(|parameter| parameter.name == name.as_bytes())?;
        Some(String::from_utf8_lossy(found.value.as_deref().unwrap_or_default()).into_owned())
    };
    if let Some(service) = query.iter().find_map(|p| p.name.strip_prefix(b"ostor-")) {
        return cut(&format!("ostor:{}.{}", String::from_utf8_lossy(service), method.to_ascii_lowercase()));
    }
    if method == "POST"
        && let Some(action) = value("Action")
    {
        return cut(&format!("utapi:{action}"));
    }
    let name = if !key.is_empty() {
        object(method, &has, headers.contains_key("x-amz-copy-source")).map(Cow::Borrowed)
    } else if !bucket.is_empty() {
        bucket_level(method, &has)
    } else {
        (method == "GET").then_some("ListBuckets".into())
    };
    name.map_or_else(|| format!("s3:{}", cut(method)), |name| format!("s3:{name}"))
}

fn object(method: &str, has: &dyn Fn(&str) -> bool, copy: bool) -> Option<&'static str> {
    Some(match method {
        "GET" if has("acl") => "GetObjectAcl",
        "GET" if has("tagging") => "GetObjectTagging",
        "GET" if has("retention") => "GetObjectRetention",
        "GET" if has("legal-hold") => "GetObjectLegalHold",
        "GET" if has("attributes") => "GetObjectAttributes",
        "GET" if has("torrent") => "GetObjectTorrent",
        "GET" if has("uploadId") => "ListMultipartUploadParts",
        "GET" if has("versionId") => "GetObjectVersion",
        "GET" => "GetObject",
        "HEAD" => "HeadObject",
        "PUT" if has("partNumber") && has("uploadId") && copy => "UploadPartCopy",
        "PUT" if has("partNumber") && has("uploadId") => "UploadPart",
        "PUT" if has("acl") => "PutObjectAcl",
        "PUT" if has("tagging") => "PutObjectTagging",
        "PUT" if has("retention") => "PutObjectRetention",
        "PUT" if has("legal-hold") => "PutObjectLegalHold",
        "PUT" if copy => "CopyObject",
        "PUT" => "PutObject",
        "POST" if has("uploads") => "CreateMultipartUpload",
        "POST" if has("uploadId") => "CompleteMultipartUpload",
        "POST" if has("restore") => "RestoreObject",
        "POST" if has("select") => "SelectObjectContent",
        "DELETE" if has("uploadId") => "AbortMultipartUpload",
        "DELETE" if has("tagging") => "DeleteObjectTagging",
        "DELETE" if has("versionId") => "DeleteObjectVersion",
        "DELETE" => "DeleteObject",
        _ => return None,
    })
}

/// Bucket sub-resources whose IAM name is the verb and one noun.
const BUCKET_NOUNS: [(&str, &str); 19] = [
    ("acl", "BucketAcl"),
    ("cors", "BucketCORS"),
    ("policy", "BucketPolicy"),
    ("policyStatus", "BucketPolicyStatus"),
    ("lifecycle", "LifecycleConfiguration"),
    ("versioning", "BucketVersioning"),
    ("website", "BucketWebsite"),
    ("logging", "BucketLogging"),
    ("notification", "BucketNotification"),
    ("tagging", "BucketTagging"),
    ("encryption", "EncryptionConfiguration"),
    ("replication", "ReplicationConfiguration"),
    ("requestPayment", "BucketRequestPayment"),
    ("accelerate", "AccelerateConfiguration"),
    ("object-lock", "BucketObjectLockConfiguration"),
    ("publicAccessBlock", "BucketPublicAccessBlock"),
    ("ownershipControls", "BucketOwnershipControls"),
    ("inventory", "InventoryConfiguration"),
    ("analytics", "AnalyticsConfiguration"),
];

fn bucket_level(method: &str, has: &dyn Fn(&str) -> bool) -> Option<Cow<'static, str>> {
    if let Some((_, noun)) = BUCKET_NOUNS.iter().find(|(name, _)| has(name)) {
        let verb = match method {
            "GET" => "Get",
            "PUT" => "Put",
            "DELETE" => "Delete",
            _ => return None,
        };
        return Some(format!("{verb}{noun}").into());
    }
    let name = match method {
        "GET" if has("location") => "GetBucketLocation",
        "GET" if has("uploads") => "ListBucketMultipartUploads",
        "GET" if has("versions") => "ListBucketVersions",
        "GET" => "ListBucket",
        "HEAD" => "HeadBucket",
        "PUT" => "CreateBucket",
        "POST" if has("delete") => "DeleteObjects",
        "DELETE" => "DeleteBucket",
        _ => return None,
    };
    Some(name.into())
}

/// Cuts a name that a caller chose to what a log line should hold.
fn cut(name: &str) -> String {
    name.chars().take(LONGEST).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::target::parameters;

    fn named(method: &str, bucket: &str, key: &str, query: &str) -> String {
        s3(method, bucket, key, &parameters(query, 100).unwrap(), &HeaderMap::new())
    }

    #[test]
    fn s3_calls_have_iam_names() {
        for (method, bucket, key, query, name) in [
            ("GET", "", "", "", "s3:ListBuckets"),
            ("GET", "b", "", "list-type=2", "s3:ListBucket"),
            ("GET", "b", "", "acl", "s3:GetBucketAcl"),
            ("PUT", "b", "", "", "s3:CreateBucket"),
            ("POST", "b", "", "delete", "s3:DeleteObjects"),
            ("GET", "b", "k", "", "s3:GetObject"),
            ("PUT", "b", "k", "partNumber=1&uploadId=x", "s3:UploadPart"),
            ("POST", "b", "k", "uploads", "s3:CreateMultipartUpload"),
            ("PATCH", "b", "k", "", "s3:PATCH"),
            ("GET", "", "", "ostor-users&emailAddress=a", "ostor:users.get"),
            ("PUT", "", "", "%6fstor-users", "ostor:users.put"),
            ("POST", "buckets", "", "Action=ListMetrics", "utapi:ListMetrics"),
        ] {
            assert_eq!(named(method, bucket, key, query), name);
        }
        for (noun, _) in BUCKET_NOUNS {
            assert!(named("GET", "b", "", noun).starts_with("s3:Get"), "{noun}");
        }
    }
}
