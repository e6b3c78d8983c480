//! What a request means, by rules of its own: the oracle against which strings to sign are held.

use std::fmt::Write as _;

use http::HeaderName;
use percent_encoding::percent_decode_str;

use super::Request;

fn decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().unwrap().into_owned()
}

fn parameters(wire: &str) -> Vec<(String, String)> {
    let pieces = wire.split('&').filter(|piece| !piece.is_empty());
    pieces
        .map(|piece| piece.split_once('=').unwrap_or((piece, "")))
        .map(|(n, v)| (decoded(n), decoded(v)))
        .collect()
}

/// What a request means to the scheme's server, written so that different meanings are different texts. Independent of
/// the code under test.
pub fn meaning(scheme: &str, request: &Request) -> String {
    let mut text = String::new();
    let mut put = |part: &str| write!(text, "{}:{part};", part.len()).unwrap();
    let mut query = parameters(request.query.as_deref().unwrap_or_default());
    if scheme == "cloudstack" {
        query.extend(parameters(std::str::from_utf8(&request.body).unwrap()));
        // The protocol's own folding: names as Unicode, values only in ASCII, where letters are not escaped.
        let mut folded: Vec<_> =
            query.iter().map(|(n, v)| (n.to_lowercase(), v.to_ascii_lowercase())).collect();
        folded.sort();
        for (name, value) in &folded {
            put(name);
            put(value);
        }
        return text;
    }
    put(&request.method);
    let path = percent_decode_str(&request.path).decode_utf8().unwrap().into_owned();
    match scheme {
        "zstack" => {
            put(&path);
            return text;
        }
        "s3-v2" | "aws-v4" => put(&request.path),
        _ => put(&path),
    }
    if scheme == "s3-v2" {
        query.retain(|(name, _)| {
            matches!(name.as_str(), "acl" | "uploadId" | "versionId" | "response-expires")
        });
        query.sort_by(|a, b| a.0.cmp(&b.0));
    } else {
        query.sort();
        put(std::str::from_utf8(&request.body).unwrap());
    }
    for (name, value) in &query {
        put("q");
        put(name);
        put(value);
    }
    let mut names: Vec<&HeaderName> = request.headers.keys().collect();
    names.sort_by_key(|name| name.as_str());
    for name in names {
        let values: Vec<String> = request
            .headers
            .get_all(name)
            .iter()
            .map(|value| {
                let text = value.to_str().unwrap();
                if scheme == "s3-v2" {
                    text.trim().to_owned()
                } else {
                    text.split_whitespace().collect::<Vec<_>>().join(" ")
                }
            })
            .collect();
        let values = values.join(",");
        // Version 2 signs an absent Content-MD5 as an empty one.
        if scheme == "s3-v2" && name == "content-md5" && values.is_empty() {
            continue;
        }
        put("h");
        put(name.as_str());
        put(&values);
    }
    text
}
