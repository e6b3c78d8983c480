//! What shares an endpoint with S3 and is none of it: ostor's management, UTAPI, IAM and STS at the root, and the
//! administration of `MinIO` and RADOS Gateway, whose paths look like buckets.

use std::borrow::Cow;

use super::{Call, Sub, decoded};
use crate::operation::{Access, Ask, Operation, Tier, aws, text};
use crate::reason::Reason;

/// Whose administration could answer at the other end: paths that are reserved there are no buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Servers {
    /// `/minio/…` is `MinIO`'s own.
    pub minio: bool,
    /// `/admin/user` and the like are RADOS Gateway's own.
    pub rgw: bool,
}

/// Resources of RADOS Gateway's administration (`rgw_rest_*` registered below `rgw_admin_entry`).
const RGW: [&str; 15] = [
    "account",
    "bucket",
    "config",
    "dedup",
    "info",
    "log",
    "metadata",
    "opstate",
    "period",
    "ratelimit",
    "realm",
    "replica_log",
    "topic",
    "usage",
    "user",
];

/// Services of ostor, and the methods that each has (Virtuozzo and Acronis object storage, API references 4.5 to 7.3).
const OSTOR: [(&str, &str); 6] = [
    ("accounts", "POST DELETE"),
    ("buckets", "GET"),
    ("limits", "GET PUT DELETE"),
    ("quotas", "GET PUT DELETE"),
    ("usage", "GET DELETE"),
    ("users", "GET PUT POST DELETE"),
];

/// What UTAPI counts by (Zenko's `POST /buckets?Action=ListMetrics`).
const UTAPI: [&str; 4] = ["accounts", "buckets", "service", "users"];

/// The call of a neighbour, if it is one.
pub(super) fn find(call: &Call<'_>, sub: &Sub) -> Result<Option<Operation>, Reason> {
    if let Some(operation) = ostor(call, sub)? {
        return Ok(Some(operation));
    }
    if let Some(operation) = administration(call) {
        return Ok(Some(operation));
    }
    if !call.key.is_empty() {
        return Ok(None);
    }
    if call.bucket.is_empty() {
        return aws::at_root(&[call.query, call.form]);
    }
    Ok(utapi(call, sub))
}

/// ostor's services are query names, on any path.
fn ostor(call: &Call<'_>, sub: &Sub) -> Result<Option<Operation>, Reason> {
    const PREFIX: &[u8] = b"ostor-";
    let is_service =
        |name: &[u8]| name.get(..PREFIX.len()).is_some_and(|head| head.eq_ignore_ascii_case(PREFIX));
    let mut services = call.query.iter().filter(|parameter| is_service(&parameter.name));
    let Some(service) = services.next() else { return Ok(None) };
    if services.next().is_some() || !sub.name.is_empty() {
        return Err(Reason::BadParameter(
            service.shown_name(),
            "one ostor service or sub-resource at a time",
        ));
    }
    let service = text(&service.name[PREFIX.len()..]);
    let method = call.method;
    let known = OSTOR.iter().find(|(name, _)| *name == service);
    let takes = known.is_some_and(|(_, methods)| methods.split(' ').any(|known| known == method));
    // Flags that change a user, whatever the method is.
    let flag = ["genKey", "revokeKey", "enable", "disable"].iter().any(|flag| call.has(flag));
    let access = match method {
        _ if !takes => Access::Unknown,
        "GET" if !flag => Access::Read,
        _ => Access::Write,
    };
    let harmless = matches!(&*service, "buckets" | "limits" | "quotas" | "usage");
    let tier = if harmless { Tier::None } else { Tier::Keys };
    let name = format!("ostor:{service}.{}", method.to_ascii_lowercase());
    Ok(Some(Operation::new(Ask::new(name, call.resource()), access, tier)))
}

fn utapi(call: &Call<'_>, sub: &Sub) -> Option<Operation> {
    let mut actions = call.query.iter().filter(|parameter| parameter.name == b"Action");
    let action = actions.next()?.value.as_deref().unwrap_or_default();
    let counts = UTAPI.contains(&call.bucket) && call.method == "POST" && sub.name.is_empty();
    if !counts || actions.next().is_some() {
        return None;
    }
    let (name, access): (Cow<'_, str>, _) = match action {
        b"ListMetrics" => ("utapi:ListMetrics".into(), Access::Read),
        other => (format!("utapi:{}", text(other)).into(), Access::Unknown),
    };
    Some(Operation::new(Ask::new(name.into_owned(), call.resource()), access, Tier::None))
}

/// Judged by the path as it is sent: a bucket may stand in the host.
fn administration(call: &Call<'_>) -> Option<Operation> {
    let path = decoded(call.path);
    let mut segments = path.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty());
    let (first, second) = (segments.next()?, segments.next()?);
    let is = |name: &str| first.eq_ignore_ascii_case(name.as_bytes());
    let (minio, rgw) = (call.servers.minio && is("minio"), call.servers.rgw && is("admin"));
    if !minio && !rgw {
        return None;
    }
    let second = text(second).to_ascii_lowercase();
    match &*second {
        _ if minio => {
            let (access, tier) = match &*second {
                // Needs no key even there.
                "health" => (Access::Read, Tier::None),
                _ => (Access::Unknown, Tier::Keys),
            };
            Some(Operation::new(Ask::new(format!("minio:{second}"), ""), access, tier))
        }
        resource if RGW.contains(&resource) => {
            let name = format!("rgw:admin.{second}.{}", call.method.to_ascii_lowercase());
            Some(Operation::new(Ask::new(name, ""), Access::Unknown, Tier::Keys))
        }
        _ => None,
    }
}

/// Calls at an S3 endpoint that deal in secrets.
pub fn secret_bearing() -> impl Iterator<Item = (Cow<'static, str>, Tier)> {
    let ostor = OSTOR.iter().filter(|(service, _)| matches!(*service, "users" | "accounts"));
    let ostor = ostor.flat_map(|(service, methods)| {
        methods.split(' ').map(move |method| format!("ostor:{service}.{}", method.to_ascii_lowercase()))
    });
    let rgw = RGW.iter().flat_map(|resource| {
        ["get", "put", "post", "delete"].map(|method| format!("rgw:admin.{resource}.{method}"))
    });
    let minio = ["admin", "kms", "metrics", "prometheus"].map(|part| format!("minio:{part}"));
    let all = std::iter::once("s3:CreateSession".to_owned()).chain(ostor).chain(rgw).chain(minio);
    all.map(|name| (Cow::Owned(name), Tier::Keys))
}
