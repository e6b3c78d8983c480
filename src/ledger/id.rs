//! The id of a call, the same on its intent and its outcome, as it is compared and stored.

use std::fmt;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Value, ValueRef};
use uuid::Uuid;

/// The id of a call: a UUID however it is written, or any other text to the letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum RequestId {
    Uuid(Uuid),
    Text(Box<str>),
}

impl RequestId {
    pub(super) fn of(text: &str) -> Self {
        Uuid::try_parse(text).map_or_else(|_| Self::Text(text.into()), Self::Uuid)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uuid(id) => id.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// Sixteen bytes or a text: a text of sixteen letters is no UUID.
impl ToSql for RequestId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Uuid(id) => ToSqlOutput::Borrowed(ValueRef::Blob(id.as_bytes())),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

impl From<RequestId> for Value {
    fn from(id: RequestId) -> Self {
        match id {
            RequestId::Uuid(id) => Self::Blob(id.as_bytes().to_vec()),
            RequestId::Text(text) => Self::Text(text.into()),
        }
    }
}

impl FromSql for RequestId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Blob(bytes) => Uuid::from_slice(bytes).map(Self::Uuid).map_err(FromSqlError::other),
            value => value.as_str().map(|text| Self::Text(text.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_one_however_it_is_written_and_a_text_is_none() {
        let id = "0193a7f2-9c3b-7e10-8a55-00112233abcd";
        assert_eq!(RequestId::of(id), RequestId::of(&id.to_uppercase()));
        assert_eq!(RequestId::of(&id.to_uppercase()).to_string(), id);
        for text in ["", "sixteen letters!", "x0193a7f2-9c3b-7e10-8a55-00112233abcd"] {
            assert_eq!(RequestId::of(text), RequestId::Text(text.into()));
            assert_eq!(RequestId::of(text).to_string(), text);
        }
        for id in [RequestId::of(id), RequestId::of("sixteen letters!")] {
            let stored = id.to_sql().map(|stored| match stored {
                ToSqlOutput::Borrowed(value) => RequestId::column_result(value).ok(),
                _ => None,
            });
            assert_eq!(stored.ok().flatten(), Some(id));
        }
    }
}
