//! The body of a `PUT`: a JSON object of which one key names the action.
//!
//! The server reads it leniently (Gson) and looks for the first action of the path that the object has as a key; what
//! is accepted here has one reading: strict JSON in UTF-8, no key twice, one key that could be an action.

use std::fmt;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};

use crate::reason::Reason;

/// Keys that stand beside the action's (`RestServer.handleApi`), or in its place.
const BESIDE: [&str; 5] = ["params", "session", "sessionUuid", "systemTags", "userTags"];

/// The key that names the action; none when no key could.
pub(super) fn action(body: &[u8]) -> Result<Option<String>, Reason> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let keys = reader.deserialize_map(Keys).and_then(|keys| reader.end().map(|()| keys));
    let keys = keys.map_err(|_| Reason::BadBody("it is no JSON object whose keys stand once"))?;
    let mut actions = keys.into_iter().filter(|key| !BESIDE.contains(&&**key));
    match (actions.next(), actions.next()) {
        (_, Some(_)) => Err(Reason::BadBody("it names more than one action")),
        (action, None) => Ok(action),
    }
}

/// Reads the keys of an object, each of which may stand once.
struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = Vec<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<String>, A::Error> {
        let mut keys: Vec<String> = Vec::new();
        while let Some((key, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
            if keys.contains(&key) {
                return Err(serde::de::Error::custom("a key twice"));
            }
            keys.push(key);
            if keys.len() > 64 {
                return Err(serde::de::Error::custom("too many keys"));
            }
        }
        Ok(keys)
    }
}
