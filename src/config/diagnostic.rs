//! What is wrong with a configuration file: all of it, at its place, with what to do.
//!
//! [`Problems`] keeps the masked text only, so neither a rendering nor `Debug` can show what the file said where
//! a secret may stand. Messages are written by the readers, under the same rule.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    message: String,
    span: Option<Range<usize>>,
    label: String,
    also: Option<(Range<usize>, String)>,
    help: Option<String>,
}

impl Problem {
    /// A problem at a place of the file, given in bytes.
    pub(super) fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { message: message.into(), span: Some(span), label: String::new(), also: None, help: None }
    }

    /// A problem of the file as a whole.
    pub(super) fn of_file(message: impl Into<String>) -> Self {
        Self { message: message.into(), span: None, label: String::new(), also: None, help: None }
    }

    /// What stands under the caret.
    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// A second place that belongs to it.
    pub(super) fn also(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.also = Some((span, label.into()));
        self
    }

    /// What to do.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What to do, when there is something to say.
    pub(super) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// What is wrong, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// A line and a column, both counted from 1; columns are characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// Whether a rendering carries terminal colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Text only.
    Plain,
    /// ANSI colours.
    Coloured,
}

/// Everything that is wrong with one file, in the order of the file; never empty.
#[derive(Debug)]
pub struct Problems {
    name: String,
    masked: String,
    list: Vec<Problem>,
}

impl Problems {
    /// `masked` must be what [`super::mask::mask`] made of the file, or empty.
    pub(super) fn new(name: &str, masked: String, mut list: Vec<Problem>) -> Self {
        list.sort_by_key(|problem| problem.span.as_ref().map(|span| span.start));
        Self { name: name.to_owned(), masked, list }
    }

    /// The problems themselves.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// The name of the file, as it was given.
    pub fn file(&self) -> &str {
        &self.name
    }

    /// Where a problem stands, or nowhere when it is about the file as a whole.
    pub fn position(&self, problem: &Problem) -> Option<Position> {
        problem.span.as_ref().map(|span| self.position_of(span.start))
    }

    /// For a log: the first problem in one line, and how many more there are.
    pub fn brief(&self) -> String {
        let Some(first) = self.list.first() else { return self.name.clone() };
        let place = self.position(first).map_or(String::new(), |p| format!(":{}:{}", p.line, p.column));
        let more = match self.list.len() - 1 {
            0 => String::new(),
            1 => " (and 1 more problem)".to_owned(),
            more => format!(" (and {more} more problems)"),
        };
        format!("{}{place}: {}{more}", self.name, first.message)
    }

    /// The problems as a compiler would print them, each followed by an empty line.
    pub fn render(&self, style: Style) -> String {
        let renderer = match style {
            Style::Plain => Renderer::plain(),
            Style::Coloured => Renderer::styled(),
        };
        let mut out = String::new();
        for problem in &self.list {
            out.push_str(&renderer.render(&self.report(problem)));
            out.push_str("\n\n");
        }
        out
    }

    /// The problems as JSON: an array of objects with `message`, `file`, `line`, `column`, `label` and `help`.
    pub fn to_json(&self) -> serde_json::Value {
        let one = |problem: &Problem| {
            let at = self.position(problem);
            let end = problem.span.as_ref().map(|span| self.position_of(span.end));
            serde_json::json!({
                "message": problem.message,
                "file": self.name,
                "line": at.map(|p| p.line),
                "column": at.map(|p| p.column),
                "end_line": end.map(|p| p.line),
                "end_column": end.map(|p| p.column),
                "label": (!problem.label.is_empty()).then_some(&problem.label),
                "help": problem.help,
            })
        };
        self.list.iter().map(one).collect()
    }

    fn report<'a>(&'a self, problem: &'a Problem) -> Vec<Group<'a>> {
        let title = Level::ERROR.primary_title(problem.message.as_str());
        let mut group = match &problem.span {
            None => title.element(Level::NOTE.message(format!("in {}", self.name))),
            Some(span) => {
                let mut primary = AnnotationKind::Primary.span(self.clamp(span));
                if !problem.label.is_empty() {
                    primary = primary.label(problem.label.as_str());
                }
                let mut snippet =
                    Snippet::source(self.masked.as_str()).path(self.name.as_str()).annotation(primary);
                if let Some((span, label)) = &problem.also {
                    snippet = snippet
                        .annotation(AnnotationKind::Context.span(self.clamp(span)).label(label.as_str()));
                }
                title.element(snippet)
            }
        };
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        vec![group]
    }

    /// A span for the caret: inside the file and, of a value over several lines, its first line only.
    fn clamp(&self, span: &Range<usize>) -> Range<usize> {
        let start = span.start.min(self.masked.len());
        let end = span.end.clamp(start, self.masked.len());
        let line = self.masked[start..end].find('\n').map_or(end, |newline| start + newline);
        start..line
    }

    fn position_of(&self, at: usize) -> Position {
        let before = &self.masked[..at.min(self.masked.len())];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(Style::Plain).trim_end())
    }
}

impl std::error::Error for Problems {}
