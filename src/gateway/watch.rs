//! What those who watch are told of a call, and what they may see of its signature.

use crate::audit::event::Decision;
use crate::audit::parameters::{self, Family};
use crate::audit::{Record, millis};
use crate::config::Shape;
use crate::live::{Call, Layout, Part, Reporter, Stages, visible};
use crate::sign::{self, Scheme, s3v2};
use crate::snapshot::Route;

/// Headers whose values may be shown. Never a token, a key of server-side encryption, or what callers keep with objects.
const HEADERS: [&[u8]; 23] = [
    b"accept",
    b"cache-control",
    b"content-encoding",
    b"content-length",
    b"content-md5",
    b"content-type",
    b"date",
    b"expires",
    b"host",
    b"range",
    b"x-amz-acl",
    b"x-amz-bucket-region",
    b"x-amz-checksum-algorithm",
    b"x-amz-content-sha256",
    b"x-amz-date",
    b"x-amz-decoded-content-length",
    b"x-amz-expected-bucket-owner",
    b"x-amz-request-payer",
    b"x-amz-sdk-checksum-algorithm",
    b"x-amz-server-side-encryption",
    b"x-amz-storage-class",
    b"x-amz-target",
    b"x-amz-trailer",
];
/// Parameters of a signature that say how it was made.
const SIGNING: [&[u8]; 7] = [
    b"expires",
    b"signatureversion",
    b"X-Amz-Algorithm",
    b"X-Amz-Credential",
    b"X-Amz-Date",
    b"X-Amz-Expires",
    b"X-Amz-SignedHeaders",
];

/// The call was signed.
pub(super) fn sign(reporter: &Reporter, route: &Route, id: &str, stages: &sign::Stages<'_>) {
    let family = family(route);
    let may_show = |part, name: &[u8], value: &[u8]| match part {
        Part::Header => HEADERS.contains(&name),
        Part::Parameter => SIGNING.contains(&name) || parameters::may_show(family, name, value),
    };
    reporter.sign(id, || Stages::redacted(layout(route), stages, &may_show));
}

fn layout(route: &Route) -> Layout {
    match route.scheme {
        Scheme::Cloudstack(_) => Layout::Parameters,
        Scheme::Zstack(_) => Layout::Lines,
        Scheme::S3V2(_) => Layout::Resource,
        Scheme::SigV4(_) => Layout::Canonical,
    }
}

/// Whose list of parameters counts.
pub(super) fn family(route: &Route) -> Family {
    match (&route.shape, &route.scheme) {
        (Shape::Cloudstack { .. }, _) => Family::Cloudstack,
        (Shape::Zstack, _) => Family::Zstack,
        (Shape::S3 { .. }, Scheme::S3V2(options)) if options.dialect == s3v2::Dialect::Ostor => Family::Ostor,
        (Shape::S3 { .. }, _) => Family::S3,
        (Shape::Aws, _) => Family::Aws,
    }
}

/// Bytes by bucket, of calls that an upstream answered.
pub(super) fn count(reporter: &Reporter, route: &Route, record: &Record) {
    let bucket = record.resource().split('/').next().unwrap_or_default();
    if matches!(route.shape, Shape::S3 { .. }) && record.error.is_empty() && !bucket.is_empty() {
        reporter.count(bucket, record.bytes_in, record.bytes_out);
    }
}

/// What is known of a call that is over.
pub(super) fn call(record: &Record) -> Call {
    let text = |text: &str| visible(text).into_owned();
    Call {
        id: record.request_id.clone(),
        time: record.arrived,
        source: text(&record.source),
        agent: text(&record.agent),
        client: record.who.name().to_owned(),
        proof: record.who.proof(),
        route: record.route().to_owned(),
        scheme: record.scheme(),
        credential: record.credential().to_owned(),
        operation: text(&record.operation),
        resource: text(record.resource()),
        decision: record.decision.map_or("", Decision::word),
        rule: record.rule.as_deref().unwrap_or_default().to_owned(),
        method: text(&record.method),
        status: record.status,
        error: record.error,
        ended: record.ended_early(),
        bytes_in: record.bytes_in,
        bytes_out: record.bytes_out,
        sign_us: record.sign_us,
        upstream_ms: record.upstream_ms,
        duration_ms: millis(record.started.elapsed()),
        trace: record.trace,
        upstream: record.place.as_ref().map(|place| place.upstream.clone()).unwrap_or_default(),
        stages: None,
    }
}
