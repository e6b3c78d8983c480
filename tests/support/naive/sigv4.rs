//! AWS signature version 4 in its header form: S3 as Arsenal and Ceph judge it, other services as Amazon's test
//! suite has it, and the `aws-chunked` framing of signed uploads.

use super::super::Request;
use super::{Keys, amz_date, decoded, encoded, hex, hmac_sha256, latin1, no_leftovers, recent, sha256};

/// How the path becomes canonical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Decoded, then encoded once.
    S3,
    /// The wire path encoded again; first without dot and empty segments, if `normalize`.
    Service { double: bool, normalize: bool },
}

/// The server that judges.
#[derive(Clone, Copy, Debug)]
pub struct SigV4<'a> {
    pub region: &'a str,
    pub service: &'a str,
    pub flavour: Flavour,
}

impl SigV4<'_> {
    /// S3 in us-east-1.
    pub const S3: SigV4<'static> = SigV4 { region: "us-east-1", service: "s3", flavour: Flavour::S3 };
    /// Another service, as most are.
    pub const SQS: SigV4<'static> = SigV4 {
        region: "eu-central-1",
        service: "sqs",
        flavour: Flavour::Service { double: true, normalize: true },
    };
}

/// How the body was covered, and the body itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// By its digest.
    Hashed(Vec<u8>),
    /// Not at all.
    Unsigned(Vec<u8>),
    /// Chunk by chunk: the sizes of the chunks, and the body.
    Chunked(Vec<usize>, Vec<u8>),
}

impl Payload {
    /// The body.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Hashed(bytes) | Self::Unsigned(bytes) | Self::Chunked(_, bytes) => bytes,
        }
    }
}

/// Judges a request.
pub fn sigv4(request: &Request, keys: &Keys, server: SigV4<'_>) -> Result<Payload, String> {
    no_leftovers(request)?;
    let SigV4 { region, service, flavour } = server;
    let authorization = request.headers.one("authorization").ok_or("no authorization")?;
    let rest = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("AuthorizationHeaderMalformed")?;
    let field = |name: &str| {
        let found = rest.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
        found.ok_or(format!("no {name}"))
    };
    let date = request.headers.one("x-amz-date").ok_or("no x-amz-date")?;
    recent(amz_date(date).ok_or("bad x-amz-date")?)?;
    let scope = format!("{}/{region}/{service}/aws4_request", &date[..8]);
    if field("Credential")? != format!("{}/{scope}", keys.id) {
        return Err(format!("credential {:?}", field("Credential")));
    }
    if request.headers.one("x-amz-security-token").map(str::to_owned) != keys.token {
        return Err("another session token".to_owned());
    }

    let signed: Vec<&str> = field("SignedHeaders")?.split(';').collect();
    let mut sorted = signed.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted != signed || !signed.contains(&"host") {
        return Err(format!("signed headers {signed:?}"));
    }
    // What a hop may change, a signature must not cover.
    let changing = [
        "user-agent",
        "accept-encoding",
        "connection",
        "expect",
        "transfer-encoding",
        "te",
        "upgrade",
        "via",
    ];
    if let Some(changing) = changing.iter().find(|name| signed.contains(name)) {
        return Err(format!("{changing} is signed"));
    }
    let names = request.headers.names();
    let must = |name: &str| name.starts_with("x-amz-") || name.starts_with("x-scal-");
    if let Some(loose) = names.iter().find(|name| must(name) && !signed.contains(&name.as_str())) {
        return Err(format!("AccessDenied: {loose} was not signed"));
    }
    let mut lines = String::new();
    for name in &signed {
        let values: Vec<String> = request
            .headers
            .all(name)
            .iter()
            .map(|value| {
                value.split([' ', '\t']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
            })
            .collect();
        if values.is_empty() {
            return Err(format!("{name} is signed and absent"));
        }
        lines.push_str(&format!("{name}:{}\n", values.join(",")));
    }

    let stated = request.headers.one("x-amz-content-sha256");
    if flavour == Flavour::S3 && stated.is_none() {
        return Err("no x-amz-content-sha256".to_owned());
    }
    let payload = stated.map_or_else(|| sha256(&request.body), str::to_owned);
    let canonical = format!(
        "{}\n{}\n{}\n{lines}\n{}\n{payload}",
        request.method,
        path(request.path(), flavour)?,
        query(request.query().unwrap_or_default())?,
        signed.join(";"),
    );
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(&latin1(&canonical)));
    let mut key = hmac_sha256(format!("AWS4{}", keys.secret).as_bytes(), &date.as_bytes()[..8]);
    for part in [region, service, "aws4_request"] {
        key = hmac_sha256(&key, part.as_bytes());
    }
    let signature = field("Signature")?;
    if signature != hex(&hmac_sha256(&key, text.as_bytes())) {
        return Err(format!("SignatureDoesNotMatch\n{canonical}"));
    }
    match payload.as_str() {
        "UNSIGNED-PAYLOAD" => Ok(Payload::Unsigned(request.body.clone())),
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => {
            chunks(request, &key, &format!("{date}\n{scope}"), signature.to_owned())
        }
        digest if digest == sha256(&request.body) => Ok(Payload::Hashed(request.body.clone())),
        _ => Err("XAmzContentSHA256Mismatch".to_owned()),
    }
}

fn path(wire: &str, flavour: Flavour) -> Result<String, String> {
    let (double, normalize) = match flavour {
        Flavour::S3 => return Ok(encoded(&decoded(wire, false)?, "/")),
        Flavour::Service { double, normalize } => (double, normalize),
    };
    let mut path = wire.to_owned();
    if normalize {
        let mut kept: Vec<&str> = Vec::new();
        for segment in wire.split('/') {
            match segment {
                "" | "." => {}
                ".." => drop(kept.pop()),
                other => kept.push(other),
            }
        }
        let open = ["/", "/.", "/.."].iter().any(|end| wire.ends_with(end));
        path = format!("/{}", kept.join("/"));
        if open && !kept.is_empty() {
            path.push('/');
        }
    }
    Ok(if double { encoded(path.as_bytes(), "/") } else { encoded(&decoded(&path, false)?, "/") })
}

fn query(wire: &str) -> Result<String, String> {
    let mut pairs = Vec::new();
    for piece in wire.split('&').filter(|piece| !piece.is_empty()) {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        pairs.push((encoded(&decoded(name, true)?, ""), encoded(&decoded(value, true)?, "")));
    }
    pairs.sort();
    Ok(pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&"))
}

/// Decodes `aws-chunked` and checks the signature of every chunk.
fn chunks(request: &Request, key: &[u8], scope: &str, seed: String) -> Result<Payload, String> {
    let encoding = request.headers.one("content-encoding").unwrap_or_default();
    if encoding.split(',').next() != Some("aws-chunked") {
        return Err(format!("content-encoding {encoding:?}"));
    }
    let length = request.headers.one("x-amz-decoded-content-length").ok_or("MissingContentLength")?;
    let (mut previous, mut sizes, mut body) = (seed, Vec::new(), Vec::new());
    let mut rest = request.body.as_slice();
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n").ok_or("IncompleteBody: no size line")?;
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        let (size, signature) = line.split_once(";chunk-signature=").ok_or(format!("size line {line:?}"))?;
        let number = usize::from_str_radix(size, 16).map_err(|_| format!("size {size:?}"))?;
        if size != format!("{number:x}") {
            return Err(format!("size {size:?}"));
        }
        rest = &rest[end + 2..];
        let data = rest.get(..number).ok_or("IncompleteBody")?;
        if rest.get(number..number + 2) != Some(b"\r\n".as_slice()) {
            return Err("a chunk that does not end in CRLF".to_owned());
        }
        let text =
            format!("AWS4-HMAC-SHA256-PAYLOAD\n{scope}\n{previous}\n{}\n{}", sha256(b""), sha256(data));
        if signature != hex(&hmac_sha256(key, text.as_bytes())) {
            return Err(format!("SignatureDoesNotMatch in chunk {}", sizes.len()));
        }
        signature.clone_into(&mut previous);
        rest = &rest[number + 2..];
        if number == 0 {
            break;
        }
        sizes.push(number);
        body.extend_from_slice(data);
    }
    if !rest.is_empty() || body.len().to_string() != length {
        return Err(format!("{} bytes left, {} decoded, {length} stated", rest.len(), body.len()));
    }
    Ok(Payload::Chunked(sizes, body))
}
