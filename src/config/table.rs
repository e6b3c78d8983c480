//! A cursor over a parsed TOML table: every key is asked for by name, and what nobody asked for is a problem.
//!
//! serde stops at its first error and prints the offending value; this reader collects every problem with its
//! place and prints a value only where a caller of [`Field::text`] has said that it is not secret.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::Problem;
use super::value::{self, Fault};

/// A range of bytes of the file.
pub(super) type Span = Range<usize>;

/// What a reading has found so far: problems, and the places that may be quoted.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    pub(super) shown: Vec<Span>,
}

impl Findings {
    pub(super) fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Allows this place to be quoted.
    pub(super) fn show(&mut self, span: &Span) {
        self.shown.push(span.clone());
    }
}

/// Whether the keys of a table may be quoted when they are unknown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// They may.
    Open,
    /// A secret may stand where a key is expected.
    Guarded,
}

/// One table, key by key.
pub(super) struct Table<'d> {
    /// `routes.ceph`, empty for the file itself.
    pub(super) path: String,
    /// The key that names it.
    pub(super) span: Span,
    keys: Keys,
    rest: Vec<Field<'d>>,
    asked: Vec<&'static str>,
}

/// One key with its value, or one element of an array.
pub(super) struct Field<'d> {
    /// The last part of its path.
    pub(super) key: &'d str,
    /// As a message names it: `routes.ceph.upstream`.
    pub(super) path: String,
    /// Where the key stands; for an element, the value.
    pub(super) key_span: Span,
    value: &'d Spanned<DeValue<'d>>,
    keys: Keys,
}

impl<'d> Table<'d> {
    /// The file itself.
    pub(super) fn root(table: &'d DeTable<'d>) -> Self {
        Self::new(String::new(), 0..0, table, Keys::Open)
    }

    fn new(path: String, span: Span, table: &'d DeTable<'d>, keys: Keys) -> Self {
        let mut rest: Vec<_> = table
            .iter()
            .map(|(key, value)| Field {
                key: key.get_ref(),
                path: join(&path, key.get_ref()),
                key_span: key.span(),
                value,
                keys,
            })
            .collect();
        rest.sort_by_key(|field| field.key_span.start);
        Self { path, span, keys, rest, asked: Vec::new() }
    }

    /// From here on, unknown keys are not quoted.
    pub(super) fn guarded(mut self) -> Self {
        self.keys = Keys::Guarded;
        for field in &mut self.rest {
            field.keys = Keys::Guarded;
        }
        self
    }

    /// The field of this name, if it is there.
    pub(super) fn optional(&mut self, findings: &mut Findings, key: &'static str) -> Option<Field<'d>> {
        self.asked.push(key);
        let at = self.rest.iter().position(|field| field.key == key)?;
        let field = self.rest.remove(at);
        findings.show(&field.key_span);
        Some(field)
    }

    /// The field of this name; its absence is a problem, `help` says what to write.
    pub(super) fn required(
        &mut self,
        findings: &mut Findings,
        key: &'static str,
        help: &str,
    ) -> Option<Field<'d>> {
        let field = self.optional(findings, key);
        if field.is_none() {
            let place = if self.path.is_empty() { "the file".to_owned() } else { format!("`{}`", self.path) };
            let problem = Problem::at(self.span.clone(), format!("{place} has no `{key}`"));
            findings.push(problem.help(help));
        }
        field
    }

    /// All fields that nobody asked for, in the order of the file; for tables whose keys are names.
    pub(super) fn names(&mut self, findings: &mut Findings) -> Vec<Field<'d>> {
        let fields = std::mem::take(&mut self.rest);
        for field in &fields {
            findings.show(&field.key_span);
        }
        fields
    }

    /// The fields that nobody has asked for yet.
    pub(super) fn remaining(&self) -> &[Field<'d>] {
        &self.rest
    }

    /// Every key that is still there is unknown.
    pub(super) fn finish(self, findings: &mut Findings) {
        let place = if self.path.is_empty() { "the file".to_owned() } else { format!("`{}`", self.path) };
        for field in self.rest {
            let near = nearest(field.key, self.asked.iter().copied());
            let known = if self.asked.is_empty() {
                None
            } else {
                Some(format!("known keys: {}", self.asked.join(", ")))
            };
            let help = near.map(|key| format!("did you mean `{key}`?")).or(known);
            // Where a secret may stand in for a key, a likeness to a known key is not proof enough to quote it.
            let message = match self.keys {
                Keys::Open => {
                    findings.show(&field.key_span);
                    format!("unknown key {} in {place}", quoted(field.key))
                }
                Keys::Guarded => format!("unknown key in {place}"),
            };
            findings.push(Problem::at(field.key_span, message).label("unknown key").maybe_help(help));
        }
    }
}

impl<'d> Field<'d> {
    /// Where the value stands.
    pub(super) fn span(&self) -> Span {
        self.value.span()
    }

    /// A problem with this value.
    pub(super) fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::at(self.span(), message)
    }

    /// Says that the value has the wrong type; never what the value is.
    pub(super) fn wrong_type(&self, findings: &mut Findings, wanted: &str) {
        let found = match self.value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        let problem = self.problem(format!("`{}` must be {wanted}", self.path));
        findings.push(problem.label(format!("found {found}")));
    }

    /// A string, not quoted in any message.
    pub(super) fn guarded_text(&self, findings: &mut Findings) -> Option<&'d str> {
        let text = self.value.get_ref().as_str();
        if text.is_none() {
            self.wrong_type(findings, "a string");
        }
        text
    }

    /// A string that may be quoted.
    pub(super) fn text(&self, findings: &mut Findings) -> Option<&'d str> {
        let text = self.guarded_text(findings)?;
        findings.show(&self.span());
        Some(text)
    }

    /// A string that means something; what is wrong with it becomes a problem here.
    pub(super) fn parsed<T>(
        &self,
        findings: &mut Findings,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let text = self.text(findings)?;
        self.accept(findings, parse(text))
    }

    /// As [`Self::parsed`], for a value that is not quoted.
    pub(super) fn guarded_parsed<T>(
        &self,
        findings: &mut Findings,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let text = self.guarded_text(findings)?;
        self.accept(findings, parse(text))
    }

    /// The good outcome, or a problem at this value.
    pub(super) fn accept<T>(&self, findings: &mut Findings, outcome: Result<T, Fault>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(fault) => {
                let problem = self.problem(format!("`{}` {}", self.path, fault.what));
                findings.push(problem.maybe_help(fault.help));
                None
            }
        }
    }

    /// A duration within bounds.
    pub(super) fn duration(
        &self,
        findings: &mut Findings,
        bounds: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        if !self.is_text() {
            self.wrong_type(findings, "a duration like \"30s\"");
            return None;
        }
        self.parsed(findings, |text| value::duration(text, &bounds))
    }

    /// A size in bytes.
    pub(super) fn size(&self, findings: &mut Findings) -> Option<u64> {
        if self.is_text() {
            return self.parsed(findings, value::size);
        }
        let Some(number) = self.as_integer() else {
            self.wrong_type(findings, "a size like \"32KiB\" or a number of bytes");
            return None;
        };
        findings.show(&self.span());
        // A negative number is below every bound.
        Some(u64::try_from(number).unwrap_or(0))
    }

    /// One of a few words.
    pub(super) fn one_of<T: Copy>(&self, findings: &mut Findings, words: &[(&'static str, T)]) -> Option<T> {
        let text = self.text(findings)?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let all: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let help = nearest(text, all.iter().copied()).map(|word| format!("did you mean `{word}`?"));
            let problem = self.problem(format!("`{}` must be one of: {}", self.path, all.join(", ")));
            findings.push(problem.maybe_help(help));
        }
        found.map(|(_, value)| *value)
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self, findings: &mut Findings) -> Option<bool> {
        let value = self.value.get_ref().as_bool();
        match value {
            Some(_) => findings.show(&self.span()),
            None => self.wrong_type(findings, "`true` or `false`"),
        }
        value
    }

    /// The integer, if the value is one; no problem is reported otherwise.
    pub(super) fn as_integer(&self) -> Option<i64> {
        let integer = self.value.get_ref().as_integer()?;
        // A number beyond 64 bits is out of every range here.
        Some(i64::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(i64::MAX))
    }

    /// An integer within bounds.
    pub(super) fn integer(&self, findings: &mut Findings, bounds: RangeInclusive<i64>) -> Option<i64> {
        let Some(value) = self.as_integer() else {
            self.wrong_type(findings, "an integer");
            return None;
        };
        findings.show(&self.span());
        if !bounds.contains(&value) {
            let (low, high) = bounds.into_inner();
            findings.push(self.problem(format!("`{}` must be from {low} to {high}", self.path)));
            return None;
        }
        Some(value)
    }

    /// Whether it is a string, for fields with two forms.
    pub(super) fn is_text(&self) -> bool {
        self.value.get_ref().is_str()
    }

    /// The table, if the value is one; no problem is reported otherwise.
    pub(super) fn peek_table(&self) -> Option<Table<'d>> {
        let table = self.value.get_ref().as_table()?;
        Some(Table::new(self.path.clone(), self.key_span.clone(), table, self.keys))
    }

    /// A table; `wanted` says what else could stand here, in the message.
    pub(super) fn table_or(&self, findings: &mut Findings, wanted: &str) -> Option<Table<'d>> {
        let table = self.peek_table();
        if table.is_none() {
            self.wrong_type(findings, wanted);
        }
        table
    }

    /// A table.
    pub(super) fn table(&self, findings: &mut Findings) -> Option<Table<'d>> {
        self.table_or(findings, "a table")
    }

    /// The elements of an array.
    pub(super) fn elements(&self, findings: &mut Findings) -> Option<Vec<Field<'d>>> {
        let Some(array) = self.value.get_ref().as_array() else {
            self.wrong_type(findings, "an array");
            return None;
        };
        let element = |value: &'d Spanned<DeValue<'d>>| Field {
            key: self.key,
            path: self.path.clone(),
            key_span: value.span(),
            value,
            keys: self.keys,
        };
        Some(array.iter().map(element).collect())
    }
}

/// The candidate that a mistyped word most likely meant.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.chars().count() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Between backticks, with control characters escaped: a file must not steer the terminal that reports on it.
pub(super) fn quoted(text: &str) -> String {
    if text.chars().any(char::is_control) {
        format!("`{}`", text.escape_debug())
    } else {
        format!("`{text}`")
    }
}

fn join(path: &str, key: &str) -> String {
    let plain = |key: &str| {
        key.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect::<String>()
    };
    if path.is_empty() { plain(key) } else { format!("{path}.{}", plain(key)) }
}
