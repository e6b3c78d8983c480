//! ZStack: method and path are signed, query and body are not; the body streams, unless it names the action.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, Method};
use serde_json::Value;

use super::{Request, pairs};
use crate::gateway::judge::Desk;
use crate::gateway::payload::Source;
use crate::operation::{self, Operation, zstack::Call};
use crate::outbound::{Content, Draft};
use crate::reason::Reason;
use crate::sign::Scheme;
use crate::target::{EmptyValue, Parameter, parameters, query, strict_path};

/// Values of a body that are noted, and characters of the path of each.
const LEAVES: usize = 200;
const PATH: usize = 200;

pub(super) async fn rebuild(
    request: &Request<'_>,
    source: Source<'_>,
    desk: &mut Desk<'_>,
) -> Result<(Draft, Content, Operation), Reason> {
    let method = &request.head.method;
    if !matches!(*method, Method::GET | Method::POST | Method::PUT | Method::DELETE) {
        return Err(Reason::MethodNotAllowed("GET, POST, PUT and DELETE"));
    }
    if *method == Method::GET && !source.is_empty() {
        return Err(Reason::UnexpectedBody);
    }
    let path = strict_path(&request.rewritten())?;
    let fields = parameters(request.inbound.query.unwrap_or_default(), request.limits.parameters)?;
    desk.note(pairs(&fields));
    unique(&fields)?;
    let context_path = match &request.route.scheme {
        Scheme::Zstack(options) => options.context_path.as_str(),
        _ => "",
    };
    let (content, body) = if *method == Method::PUT {
        utf8(request.head)?;
        let body = Box::pin(source.form()).await?;
        let leaves = leaves(&body);
        let of_body = leaves.iter().map(|(path, value)| (path.as_bytes(), value.as_bytes()));
        desk.note(pairs(&fields).chain(of_body));
        (Content::Whole(body.clone(), None), body)
    } else if source.is_absent() {
        (Content::Whole(Bytes::new(), None), Bytes::new())
    } else {
        // Checksums of S3's trailers are none of ZStack's headers.
        (Box::pin(source.unsigned(&mut HeaderMap::new())).await?, Bytes::new())
    };
    let below = path.strip_prefix(context_path).unwrap_or(&path);
    let call = Call { method: method.as_str(), path: below, query: &fields, body: &body };
    let operation = operation::zstack::zstack(&call)?;
    let draft = request.draft(path, query(&fields, EmptyValue::AsSent));
    Ok((draft, content, operation))
}

/// Texts, numbers and switches of a JSON body, each by its path (`params.zoneUuid`), as far as a record may want them. A
/// body that is none has none.
fn leaves(body: &[u8]) -> Vec<(String, String)> {
    fn walk(path: &str, value: Value, found: &mut Vec<(String, String)>) {
        if found.len() == LEAVES {
            return;
        }
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let dot = if path.is_empty() { "" } else { "." };
                    let below: String =
                        path.chars().chain(dot.chars()).chain(name.chars()).take(PATH).collect();
                    walk(&below, value, found);
                }
            }
            Value::Array(values) => {
                for value in values {
                    walk(path, value, found);
                }
            }
            Value::String(text) => found.push((path.to_owned(), text)),
            Value::Null => found.push((path.to_owned(), String::new())),
            Value::Bool(_) | Value::Number(_) => found.push((path.to_owned(), value.to_string())),
        }
    }
    let mut found = Vec::new();
    if let Ok(value) = serde_json::from_slice(body) {
        walk("", value, &mut found);
    }
    found
}

/// The server decodes the body by the `charset` of its type: in another one it could name another action.
fn utf8(head: &Parts) -> Result<(), Reason> {
    let mut types = head.headers.get_all(CONTENT_TYPE).iter();
    let value = types.next().map(|value| value.to_str().unwrap_or("charset=?").to_ascii_lowercase());
    let charsets =
        value.iter().flat_map(|value| value.match_indices("charset").map(|(at, _)| &value[at + 7..]));
    let mut other = charsets.filter(|rest| {
        let name = rest.trim_start_matches([' ', '=', '"']);
        !["utf-8", "utf8", "us-ascii"].iter().any(|known| {
            name.strip_prefix(known).is_some_and(|end| end.is_empty() || end.starts_with([';', '"', ' ']))
        })
    });
    if types.next().is_some() || other.next().is_some() {
        return Err(Reason::BadHeader("content-type".into(), "the body of a PUT is JSON in UTF-8"));
    }
    Ok(())
}

fn unique(fields: &[Parameter]) -> Result<(), Reason> {
    for (index, field) in fields.iter().enumerate() {
        if fields[..index].iter().any(|earlier| earlier.name == field.name) {
            return Err(Reason::DuplicateParameter(field.shown_name()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_are_found_by_their_paths() {
        let found = leaves(br#"{"a":{"b":"x","c":[1,{"d":true}]},"e":null}"#);
        let found: Vec<_> = found.iter().map(|(path, value)| (path.as_str(), value.as_str())).collect();
        assert_eq!(found, [("a.b", "x"), ("a.c", "1"), ("a.c.d", "true"), ("e", "")]);
        assert!(leaves(b"no JSON").is_empty());
    }

    /// Long names above many values: what is kept stays small.
    #[test]
    fn what_is_noted_is_bounded() {
        let body = format!("{{\"{}\":[{}1]}}", "n".repeat(100_000), "1,".repeat(100_000));
        let found = leaves(body.as_bytes());
        assert_eq!(found.len(), LEAVES);
        assert!(found.iter().all(|(path, _)| path.len() == PATH));
    }
}
