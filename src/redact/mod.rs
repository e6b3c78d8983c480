//! Takes secrets out of answers as they stream. Pure: bytes in, bytes out.
//!
//! A [`Filter`] belongs to a route and says what a secret is there: fields by their name, at any depth, and every
//! credential that the gateway holds by its value, under whatever name. A [`Redactor`] applies it to one answer. What
//! matched becomes [`MARK`]; every other byte goes out as it came in; however the bytes arrive, the same ones leave;
//! and what is not strictly the format that it claims to be is [`Unreadable`], never passed on trust. At most 64 KiB
//! of an answer are kept at a time.

mod escapes;
mod fields;
mod json;
mod judge;
mod media;
mod names;
mod needles;
mod run;
mod sink;
mod utf8;
mod xml;

use std::sync::Arc;

use json::Json;
pub use media::{Format, Media};
use names::{Meaning, Names};
pub use needles::Needles;
use utf8::Utf8;
use xml::Xml;

/// What stands in the place of a secret.
pub const MARK: &str = "[redacted]";

/// The deepest nesting that is followed.
const DEEPEST: usize = 10_000;

/// How much is taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Keys of the APIs themselves.
    ApiKeys,
    /// Everything that whoever reads it can use: passwords, private keys, tokens, user data, bearer URLs.
    AllSecrets,
}

/// Why an answer cannot be looked into. Says what, never the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub &'static str);

/// What a secret is on one route. Prepared when the configuration is loaded, shared by all answers.
pub struct Filter {
    level: Level,
    names: Names,
    needles: Arc<Needles>,
}

impl Filter {
    /// A filter for a level, with further names of fields and the credentials that are held.
    pub fn new(level: Level, further: &[String], needles: Arc<Needles>) -> Self {
        Self { level, names: Names::new(level, further), needles }
    }

    /// Whether the value of a header of an answer must not go out.
    pub fn withholds(&self, header: &[u8]) -> bool {
        self.needles.are_in(header)
    }

    /// A short plain text without the credentials that stand in it; an error when it may hold a secret otherwise.
    /// Nothing tells where in such a text a field ends, so one that seems to have a secret field is refused.
    pub fn plain(&self, text: &[u8]) -> Result<Option<Vec<u8>>, Unreadable> {
        let erased = self.needles.erased(text, MARK.as_bytes());
        let rest = erased.as_deref().unwrap_or(text);
        let rules = Rules { filter: self, also: &[] };
        if self.needles.are_in(rest) || fields::is_shown_loosely(rest, &rules) {
            return Err(Unreadable("plain text that may hold a secret"));
        }
        Ok(erased)
    }
}

/// A filter, and the names that are secret in the answers of one operation only.
struct Rules<'f> {
    filter: &'f Filter,
    also: &'static [&'static str],
}

impl Rules<'_> {
    fn meaning(&self, name: &[u8]) -> Meaning {
        self.filter.names.meaning(name, self.also)
    }

    fn is_secret(&self, name: &[u8]) -> bool {
        self.filter.names.is_secret(name, self.also)
    }

    fn is_secret_parameter(&self, name: &[u8]) -> bool {
        self.filter.names.is_secret_parameter(name, self.also)
    }

    fn holds_credential(&self, text: &[u8]) -> bool {
        self.filter.needles.are_in(text)
    }
}

/// What becomes of a value by the name that it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Hide {
    /// It is judged by itself.
    #[default]
    No,
    /// [`MARK`] takes its place.
    Redacted,
    /// Nothing takes its place.
    Emptied,
}

impl Hide {
    fn replacement(self) -> &'static str {
        if self == Self::Emptied { "" } else { MARK }
    }
}

/// Filters one answer.
pub struct Redactor {
    filter: Arc<Filter>,
    also: &'static [&'static str],
    utf8: Utf8,
    machine: Machine,
}

/// Boxed: most answers are short, and the request path is better small.
enum Machine {
    Json(Box<Json>),
    Xml(Box<Xml>),
}

impl Redactor {
    /// For an answer of this format to this operation.
    pub fn new(filter: Arc<Filter>, format: Format, operation: &str) -> Self {
        let also = names::of_operation(filter.level, operation);
        let machine = match format {
            Format::Json => Machine::Json(Box::default()),
            Format::Xml => Machine::Xml(Box::default()),
        };
        Self { filter, also, utf8: Utf8::default(), machine }
    }

    /// Takes the next bytes of the answer and appends to `out` what may leave now.
    ///
    /// # Errors
    /// When these bytes cannot belong to a document of the format; what was appended before may have left.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let rules = Rules { filter: &self.filter, also: self.also };
        let input = self.utf8.check(input, out)?;
        match &mut self.machine {
            Machine::Json(json) => json.push(&rules, input, out, 0),
            Machine::Xml(xml) => xml.push(&rules, input, out, 0),
        }
    }

    /// The answer is over: appends what was kept.
    ///
    /// # Errors
    /// When the document is not whole.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        self.utf8.finish()?;
        match &mut self.machine {
            Machine::Json(json) => json.finish(out),
            Machine::Xml(xml) => xml.finish(out),
        }
    }

    /// Whether anything has gone out otherwise than it came.
    pub fn has_changed(&self) -> bool {
        match &self.machine {
            Machine::Json(json) => json.has_changed(),
            Machine::Xml(xml) => xml.has_changed(),
        }
    }

    /// How many bytes of memory its buffers take.
    pub fn footprint(&self) -> usize {
        match &self.machine {
            Machine::Json(json) => json.footprint(),
            Machine::Xml(xml) => xml.footprint(),
        }
    }
}
