//! The public crates that sign the same schemes, on those requests that they sign exactly as this crate does.

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningParams, SigningSettings, UriPathNormalizationMode, sign,
};
use countersign::sign::{Scheme, sigv4};
use percent_encoding::percent_decode_str;

use super::requests::{Body, Case, Form, Parts};

/// Another signer and the requests that it can be compared on.
pub struct Other {
    pub name: &'static str,
    pub cases: Vec<Case>,
    /// Signs each of them once.
    pub run: Box<dyn FnMut()>,
}

/// Every other signer that signs at least some of these requests alike.
pub fn all(cases: &[Case]) -> Vec<Other> {
    [aws(cases), rusty(cases)].into_iter().flatten().collect()
}

fn sigv4(case: &Case) -> Option<&sigv4::Options> {
    match &case.0.scheme {
        Scheme::SigV4(options) => Some(options),
        _ => None,
    }
}

/// Keeps what `sign` signs like this crate; nothing for a scheme that the other signer does not know.
fn comparable<T: 'static>(
    name: &'static str,
    cases: &[Case],
    make: impl Fn(&Case) -> Option<T>,
    sign: impl Fn(&T) -> String + 'static,
) -> Option<Other> {
    let alike: Vec<(Case, T)> = cases
        .iter()
        .filter_map(|case| Some((case.clone(), make(case)?)))
        .filter(|(case, theirs)| sign(theirs) == case.signature())
        .collect();
    if alike.is_empty() {
        return None;
    }
    let (cases, theirs): (Vec<_>, Vec<_>) = alike.into_iter().unzip();
    let run = move || {
        for one in &theirs {
            black_box(sign(black_box(one)));
        }
    };
    Some(Other { name, cases, run: Box::new(run) })
}

struct Aws {
    params: SigningParams<'static>,
    method: String,
    uri: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

fn aws(cases: &[Case]) -> Option<Other> {
    comparable("aws-sigv4", cases, make_aws, |aws| {
        let headers = aws.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let body = match &aws.body {
            Some(digest) => SignableBody::Precomputed(digest.clone()),
            None => SignableBody::UnsignedPayload,
        };
        let request = SignableRequest::new(&aws.method, &aws.uri, headers, body).expect("a checked request");
        let (instructions, signature) = sign(request, &aws.params).expect("a checked request").into_parts();
        black_box(instructions);
        signature
    })
}

fn make_aws(case: &Case) -> Option<Aws> {
    let options = sigv4(case)?;
    let parts: &Parts = &case.0;
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode =
        if options.double_encode { PercentEncodingMode::Double } else { PercentEncodingMode::Single };
    settings.uri_path_normalization_mode = if options.normalize {
        UriPathNormalizationMode::Enabled
    } else {
        UriPathNormalizationMode::Disabled
    };
    if let Form::Query(expires) = parts.form {
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(Duration::from_secs(expires.into()));
    } else if options.content_sha256_header {
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    let credentials = Credentials::new(&parts.id, &parts.secret, parts.token.clone(), None, "bench");
    // Leaked, so that the parameters can be kept; a handful of requests for the life of the benchmark.
    let identity = Box::leak(Box::new(credentials.into()));
    let options: &'static sigv4::Options = Box::leak(Box::new(options.clone()));
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(parts.now.as_second().try_into().ok()?);
    let params = aws_sigv4::sign::v4::SigningParams::builder()
        .identity(identity)
        .region(&options.region)
        .name(&options.service)
        .time(time)
        .settings(settings)
        .build()
        .ok()?
        .into();
    let host = parts.headers.get("host")?.to_str().ok()?;
    let query = parts.query.as_ref().map_or(String::new(), |query| format!("?{query}"));
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
    let aws = Aws {
        params,
        method: parts.method.clone(),
        uri: format!("https://{host}{}{query}", parts.path),
        headers: headers.collect::<Option<_>>()?,
        body: match &parts.body {
            Body::Digest(digest)
                if !matches!((parts.form, options.content_sha256_header), (Form::Query(_), true)) =>
            {
                Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
            }
            Body::Form(_) => return None,
            _ => None,
        },
    };
    // What it cannot read at all is no request to compare on.
    let headers = aws.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let body = SignableBody::UnsignedPayload;
    let is_readable = SignableRequest::new(&aws.method, &aws.uri, headers, body)
        .is_ok_and(|request| sign(request, &aws.params).is_ok());
    is_readable.then_some(aws)
}

fn rusty(cases: &[Case]) -> Option<Other> {
    comparable("rusty-s3", cases, make_rusty, |sign| sign())
}

/// Signs in the query only, for S3 only, and never the payload.
fn make_rusty(case: &Case) -> Option<Box<dyn Fn() -> String>> {
    let options = sigv4(case)?;
    let parts = case.0.clone();
    let Form::Query(expires) = parts.form else { return None };
    let method = match parts.method.as_str() {
        "GET" => rusty_s3::Method::Get,
        "HEAD" => rusty_s3::Method::Head,
        "PUT" => rusty_s3::Method::Put,
        "POST" => rusty_s3::Method::Post,
        "DELETE" => rusty_s3::Method::Delete,
        _ => return None,
    };
    let is_alone = parts.headers.len() == 1;
    let host = parts.headers.get("host")?.to_str().ok().filter(|_| is_alone && options.service == "s3")?;
    let url = format!("https://{host}{}", parts.path).parse().ok()?;
    let region = options.region.clone();
    let decode = |text: &str| percent_decode_str(text).decode_utf8().map(std::borrow::Cow::into_owned).ok();
    let pieces = parts.query.as_deref().unwrap_or_default().split('&').filter(|piece| !piece.is_empty());
    let query = pieces.map(|piece| {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        Some((decode(name)?, decode(value)?))
    });
    let mut query = query.collect::<Option<Vec<_>>>()?;
    query.sort();
    Some(Box::new(move || {
        let query = query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let signed = rusty_s3::signing::sign(
            &parts.now,
            method,
            Clone::clone(&url),
            &parts.id,
            &parts.secret,
            parts.token.as_deref(),
            &region,
            expires.into(),
            query,
            std::iter::empty(),
        );
        let text = signed.as_str();
        text.rsplit_once('=').map_or(text, |(_, signature)| signature).to_owned()
    }))
}
