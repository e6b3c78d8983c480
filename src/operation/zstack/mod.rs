//! ZStack: method and path template, or the action key of a `PUT`'s body.
//!
//! The server chooses a call by the path, then among the calls of that path by method or, for `PUT`, by the keys of the
//! body (`RestServer.handleNonUniqueApi`); a path with one call it gives to that call whatever the method is
//! (`handleUniqueApi`). So only the method that a table knows for a path makes a call known, an action is known only on
//! its own path, and what deals in keys is told from the path by any method.

mod actions;
mod body;
mod calls;
mod secrets;

use std::borrow::Cow;

use super::{Access, Ask, Operation, Tier};
use crate::reason::Reason;
use crate::target::Parameter;
use actions::ACTIONS;
use calls::CALLS;

/// A rebuilt request.
pub struct Call<'r> {
    /// The method.
    pub method: &'r str,
    /// The strictly encoded path below the context path.
    pub path: &'r str,
    /// The decoded query.
    pub query: &'r [Parameter],
    /// The body of a `PUT`, which names the action.
    pub body: &'r [u8],
}

/// Names the call.
pub fn zstack(call: &Call<'_>) -> Result<Operation, Reason> {
    let path = template(call.path);
    let (ask, further, known) = if call.method == "PUT" {
        action(&path, body::action(call.body)?)?
    } else {
        let known = takes(&path, call.method);
        (Ask::new(format!("{} {path}", call.method), ""), None, known)
    };
    let access = match call.method {
        _ if !known => Access::Unknown,
        "GET" => Access::Read,
        _ if secrets::READING_ACTIONS.contains(&&*ask.name) => Access::Read,
        _ => Access::Write,
    };
    let tier = secrets::of_call(call.method, &path, &ask.name).max(secrets::of_query(call.query));
    let mut operation = Operation::new(ask, access, tier);
    operation.further.extend(further);
    Ok(operation)
}

/// A `PUT`: what it asks for, the path as a further ask where the two are not known to belong together, and whether
/// they are.
fn action(path: &str, key: Option<String>) -> Result<(Ask, Option<Ask>, bool), Reason> {
    let named = || Ask::new(format!("PUT {path}"), "");
    let keys = find(&ACTIONS, path, |(path, _)| path).map(|(_, keys)| *keys);
    let single = keys.filter(|keys| keys.len() == 1 && !path.ends_with("/actions"));
    let known = |key: &str| keys?.iter().find(|known| **known == key).copied();
    match (key, single) {
        (Some(key), _) if known(&key).is_some() => {
            Ok((Ask::new(known(&key).unwrap_or_default(), ""), None, true))
        }
        (None, Some(keys)) => Ok((Ask::new(keys[0], ""), None, true)),
        // The server would run the path's own call and not look at the key.
        (Some(_), Some(_)) => Err(Reason::BadBody("it names an action that is none of this path")),
        (Some(key), None) => Ok((Ask::new(key, ""), Some(named()), false)),
        (None, None) => Ok((named(), None, false)),
    }
}

/// Whether the API has this method on a path.
fn takes(path: &str, method: &str) -> bool {
    let has = |methods: &str| methods.split(' ').any(|known| known == method);
    let of = |path: &str| find(&CALLS, path, |(path, ..)| path);
    of(path).is_some_and(|(_, collection, _)| has(collection))
        || path.strip_suffix("/{uuid}").and_then(of).is_some_and(|(_, _, item)| has(item))
}

/// The row of a path; a row whose path has a name in braces other than `{uuid}` takes any segment there.
fn find<'t, R>(table: &'t [R], path: &str, key: impl Fn(&R) -> &str) -> Option<&'t R> {
    if let Ok(at) = table.binary_search_by(|row| key(row).cmp(path)) {
        return Some(&table[at]);
    }
    let fits = |(pattern, segment): (&str, &str)| {
        pattern == segment || (pattern.starts_with('{') && pattern != "{uuid}" && !segment.is_empty())
    };
    let segments = path.split('/').count();
    table.iter().find(|row| {
        let pattern = key(row);
        let open = pattern.split('/').any(|part| part.starts_with('{') && part != "{uuid}");
        open && pattern.split('/').count() == segments && pattern.split('/').zip(path.split('/')).all(fits)
    })
}

/// A path with `{uuid}` in place of each id.
fn template(path: &str) -> Cow<'_, str> {
    if !path.split('/').any(is_id) {
        return Cow::Borrowed(path);
    }
    let parts: Vec<&str> =
        path.split('/').map(|segment| if is_id(segment) { "{uuid}" } else { segment }).collect();
    Cow::Owned(parts.join("/"))
}

/// 32 hexadecimal digits, as the platform makes ids, or the 36 characters of a UUID with dashes.
fn is_id(segment: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match segment.len() {
        32 => hex(segment),
        36 => {
            let lengths = [8, 4, 4, 4, 12];
            let mut parts = segment.split('-');
            lengths.iter().all(|length| parts.next().is_some_and(|part| part.len() == *length && hex(part)))
        }
        _ => false,
    }
}

pub(super) fn secret_bearing() -> impl Iterator<Item = (Cow<'static, str>, Tier)> {
    let actions = ACTIONS.iter().flat_map(|(path, keys)| {
        keys.iter().map(|key| (Cow::Borrowed(*key), secrets::of_call("PUT", path, key)))
    });
    let calls = CALLS.iter().flat_map(|(path, collection, item)| {
        let of = |path: String, methods: &'static str| {
            methods.split_whitespace().map(move |method| {
                let name = format!("{method} {path}");
                let tier = secrets::of_call(method, &path, &name);
                (Cow::Owned(name), tier)
            })
        };
        of((*path).to_owned(), collection).chain(of(format!("{path}/{{uuid}}"), item))
    });
    // An action may stand on several paths.
    let mut all: Vec<_> = actions.chain(calls).filter(|(_, tier)| *tier != Tier::None).collect();
    all.sort_unstable_by(|(a, of_a), (b, of_b)| (a, of_b).cmp(&(b, of_a)));
    all.dedup_by(|(a, _), (b, _)| a == b);
    all.into_iter()
}

#[cfg(test)]
mod tests;
