//! `sign.SCHEME`: which scheme, which credential, and the options of that scheme.

use std::time::Duration;

use crate::config::diagnostic::Problem;
use crate::config::table::{Field, Findings, Table, nearest};
use crate::config::value::{self, Fault};
use crate::config::{Addressing, MethodRule, PayloadRule, Shape, UpstreamChunked};
use crate::sign::{Scheme, cloudstack, s3v2, sigv4, zstack};

use super::upstream;

/// The schemes, as the file names them.
pub(super) const NAMES: [&str; 5] = ["cloudstack", "zstack", "s3-v2", "s3-v4", "aws-v4"];

/// CloudStack refuses nothing further ahead, but a captured request should not live longer than that.
const MAX_EXPIRES: Duration = Duration::from_secs(15 * 60);
/// The precision of CloudStack's `expires`.
const MIN_EXPIRES: Duration = Duration::from_secs(1);

const ADDRESSING: [(&str, Addressing); 2] = [("path", Addressing::Path), ("virtual", Addressing::Virtual)];

/// How a route signs.
pub(super) struct Signing {
    pub(super) credential: String,
    pub(super) scheme: Scheme,
    pub(super) shape: Shape,
}

pub(super) fn read(
    field: &Field<'_>,
    upstream: Option<&upstream::Read>,
    credentials: &[&str],
    findings: &mut Findings,
) -> Option<Signing> {
    let all = NAMES.map(|name| format!("sign.{name}")).join(", ");
    let mut table =
        field.table_or(findings, "a table named after the scheme, like `sign.cloudstack = { … }`")?;
    let mut given: Vec<_> =
        NAMES.into_iter().filter_map(|name| Some((name, table.optional(findings, name)?))).collect();
    given.sort_by_key(|(_, field)| field.key_span.start);
    if given.is_empty() && table.remaining().is_empty() {
        let problem = Problem::at(field.key_span.clone(), format!("`{}` names no scheme", field.path));
        findings.push(problem.help(format!("use one of: {all}")));
    }
    table.finish(findings);
    if let [(_, first), (_, second), ..] = given.as_slice() {
        let problem = Problem::at(second.key_span.clone(), "one route, two signing schemes");
        let problem = problem.label("a second scheme").also(first.key_span.clone(), "the first");
        findings.push(problem.help("a route signs in one way; make a second route for the other"));
    }
    // All are read, for their problems; more than one is a problem already.
    let read = given.iter().map(|(name, field)| one(name, field, upstream, credentials, findings));
    read.collect::<Vec<_>>().into_iter().next().flatten()
}

fn one(
    name: &str,
    field: &Field<'_>,
    upstream: Option<&upstream::Read>,
    credentials: &[&str],
    findings: &mut Findings,
) -> Option<Signing> {
    let mut table = field.table(findings)?;
    let credential = credential(&mut table, credentials, findings);
    let read = match name {
        "cloudstack" => Some(cloudstack(&mut table, findings)),
        "zstack" => zstack(&mut table, findings),
        "s3-v2" => s3_v2(&mut table, findings),
        "s3-v4" => s3_v4(&mut table, upstream, findings),
        _ => aws_v4(&mut table, findings),
    };
    table.finish(findings);
    let (scheme, shape) = read?;
    Some(Signing { credential: credential?, scheme, shape })
}

/// The name of the credential. It is quoted only when it is one, or nearly one: somebody may put the key itself
/// here.
fn credential(table: &mut Table<'_>, credentials: &[&str], findings: &mut Findings) -> Option<String> {
    let help = match credentials {
        [] => "define `[credentials.NAME]` and write `credential = \"NAME\"`".to_owned(),
        all => format!("defined credentials: {}", all.join(", ")),
    };
    let field = table.required(findings, "credential", &help)?;
    let name = field.guarded_text(findings)?;
    if credentials.contains(&name) {
        findings.show(&field.span());
        return Some(name.to_owned());
    }
    let near = nearest(name, credentials.iter().copied());
    let message = if near.is_some() {
        findings.show(&field.span());
        format!("credential `{name}` is not defined")
    } else {
        format!("`{}` names a credential that is not defined", field.path)
    };
    let problem = field.problem(message).label("no such `[credentials.*]` in this file");
    findings.push(problem.help(near.map_or(help, |near| format!("did you mean `{near}`?"))));
    None
}

type SchemeAndShape = Option<(Scheme, Shape)>;

fn cloudstack(table: &mut Table<'_>, findings: &mut Findings) -> (Scheme, Shape) {
    let mut options = cloudstack::Options::default();
    if let Some(field) = table.optional(findings, "expires") {
        options.expires = field.duration(findings, MIN_EXPIRES..=MAX_EXPIRES).unwrap_or(options.expires);
    }
    let rules = [("auto", MethodRule::Auto), ("keep", MethodRule::Keep), ("post", MethodRule::Post)];
    let method = table.optional(findings, "method").and_then(|field| field.one_of(findings, &rules));
    let method = method.unwrap_or(MethodRule::Auto);
    (Scheme::Cloudstack(options), Shape::Cloudstack { method })
}

fn zstack(table: &mut Table<'_>, findings: &mut Findings) -> SchemeAndShape {
    let context_path = table.optional(findings, "context-path");
    let context_path = context_path.map(|field| field.parsed(findings, value::path_prefix));
    let zone_field = table.optional(findings, "time-zone");
    let zone = zone_field.as_ref().map(|field| field.parsed(findings, zone_name));
    let label_field = table.optional(findings, "time-zone-label");
    let label = label_field.as_ref().map(|field| field.parsed(findings, |text| Ok(text.to_owned())));
    let context_path = context_path.unwrap_or(Some(zstack::DEFAULT_CONTEXT_PATH.to_owned()))?;
    let zone = zone.unwrap_or(Some("GMT".to_owned()))?;
    let label = match label {
        Some(label) => Some(label?),
        None => None,
    };
    match zstack::Options::in_zone(&zone, label.as_deref()) {
        Ok(options) => Some((Scheme::Zstack(options.with_context_path(&context_path)), Shape::Zstack)),
        Err(zstack::OptionsError::UnknownZone(_)) => zone_field?.accept(findings, Err(unknown_zone())),
        Err(zstack::OptionsError::Label(_)) => {
            let help = "a name that the server's Java reads, such as `PRC`, `GMT` or `Asia/Shanghai`";
            let fault = |what: &str| Err(Fault::new(what).help(help));
            match label_field {
                Some(field) => field.accept(findings, fault("cannot name a zone in a `Date` header")),
                None => {
                    zone_field?.accept(findings, fault("needs a `time-zone-label` for the `Date` header"))
                }
            }
        }
    }
}

fn unknown_zone() -> Fault {
    Fault::new("is not a time zone of the IANA database")
        .help("write it like `Asia/Shanghai`, `Europe/Berlin` or `GMT`")
}

fn zone_name(text: &str) -> Result<String, Fault> {
    let good = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
    if text.is_empty() || text.len() > 64 || !text.chars().all(good) {
        return Err(unknown_zone());
    }
    Ok(text.to_owned())
}

fn s3_v2(table: &mut Table<'_>, findings: &mut Findings) -> SchemeAndShape {
    let dialects: Vec<_> = s3v2::Dialect::names()
        .into_iter()
        .filter_map(|name| Some((name, s3v2::Dialect::from_name(name)?)))
        .collect();
    let dialect = table.optional(findings, "dialect").map(|field| field.one_of(findings, &dialects));
    let addressing = addressing(table, findings);
    let extra = table.optional(findings, "sub-resources");
    let extra_sub_resources = extra.map(|field| sub_resources(&field, findings)).unwrap_or_default();
    let dialect = dialect.unwrap_or(s3v2::Dialect::from_name("aws"))?;
    let scheme = Scheme::S3V2(s3v2::Options { dialect, extra_sub_resources });
    let chunked = UpstreamChunked::None;
    Some((scheme, Shape::S3 { addressing, payload: PayloadRule::Unsigned, chunked }))
}

fn sub_resources(field: &Field<'_>, findings: &mut Findings) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for element in field.elements(findings).unwrap_or_default() {
        let name = element.parsed(findings, |text| {
            let fault = Fault::new("is not a sub-resource").help("query names such as `acl` or `uploadId`");
            value::name(text).map(|()| text.to_owned()).map_err(|_| fault)
        });
        let Some(name) = name else { continue };
        if out.contains(&name) {
            findings.push(element.problem(format!("`{}` names `{name}` twice", field.path)));
        } else {
            out.push(name);
        }
    }
    out
}

fn addressing(table: &mut Table<'_>, findings: &mut Findings) -> Addressing {
    let field = table.optional(findings, "addressing");
    field.and_then(|field| field.one_of(findings, &ADDRESSING)).unwrap_or(Addressing::Path)
}

fn s3_v4(
    table: &mut Table<'_>,
    upstream: Option<&upstream::Read>,
    findings: &mut Findings,
) -> SchemeAndShape {
    let region = region(table, findings);
    let service = table.optional(findings, "service");
    let service = service.map(|field| field.parsed(findings, value::scope_word));
    let addressing = addressing(table, findings);
    let rules = [
        ("auto", PayloadRule::Auto),
        ("hash", PayloadRule::Hash),
        ("unsigned", PayloadRule::Unsigned),
        ("chunked", PayloadRule::Chunked),
    ];
    let payload = table.optional(findings, "payload").and_then(|field| {
        let payload = field.one_of(findings, &rules)?;
        if payload == PayloadRule::Unsigned && upstream.is_some_and(|read| read.exposed) {
            let message = "an unsigned payload over plain http can be replaced on its way";
            findings.push(field.problem(message).help("use https, or `payload = \"auto\"`"));
        }
        Some(payload)
    });
    let forms = [
        ("signed", UpstreamChunked::Signed),
        ("trailer", UpstreamChunked::Trailer),
        ("none", UpstreamChunked::None),
    ];
    let chunked =
        table.optional(findings, "upstream-chunked").and_then(|field| field.one_of(findings, &forms));
    let chunked = chunked.unwrap_or(UpstreamChunked::Trailer);
    let service = service.unwrap_or(Some("s3".to_owned()))?;
    let shape = Shape::S3 { addressing, payload: payload.unwrap_or(PayloadRule::Auto), chunked };
    Some((Scheme::SigV4(sigv4::Options::s3(region?, service)), shape))
}

fn aws_v4(table: &mut Table<'_>, findings: &mut Findings) -> SchemeAndShape {
    let region = region(table, findings);
    let help = "the service's name in the credential scope, like `service = \"sqs\"`";
    let service = table.required(findings, "service", help);
    let service = service.and_then(|field| field.parsed(findings, value::scope_word));
    let double_encode = table.optional(findings, "double-encode");
    let double_encode = double_encode.and_then(|field| field.boolean(findings));
    let normalize = table.optional(findings, "normalize");
    let normalize = normalize.and_then(|field| field.boolean(findings));
    let mut options = sigv4::Options::aws(region?, service?);
    options.double_encode = double_encode.unwrap_or(options.double_encode);
    options.normalize = normalize.unwrap_or(options.normalize);
    Some((Scheme::SigV4(options), Shape::Aws))
}

fn region(table: &mut Table<'_>, findings: &mut Findings) -> Option<String> {
    let help = "the region in the credential scope, like `region = \"eu-central-1\"`";
    let field = table.required(findings, "region", help)?;
    field.parsed(findings, value::scope_word)
}
