//! The filter of answers, by itself: what it takes out, what it leaves to the byte, however the bytes arrive.
//!
//! The judge is a generator that writes every document twice, as it comes and as it must go (`json.rs`, `xml.rs`),
//! and for spoilt documents other people's parsers. Neither shares a line with the filter.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod dice;
mod fuzz;
mod json;
mod known;
mod limits;
mod xml;

use std::sync::Arc;

use countersign::redact::{Filter, Format, Level, Needles, Redactor, Unreadable};
use countersign::secret::Key;
use dice::Document;

/// The secret key that the gateway holds.
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// Its id.
const ID: &str = "AKIACANARY0000000000";

/// A filter at a level, which holds one credential and has `vncDisplay` as a further name.
fn filter(level: Level) -> Arc<Filter> {
    let key = Key { id: ID.to_owned(), secret: SECRET.into(), session_token: None };
    Arc::new(Filter::new(level, &["vncDisplay".to_owned()], Arc::new(Needles::of([&key]))))
}

/// What becomes of a document that arrives in these pieces, and the most memory that it took.
fn pieces<'p>(
    filter: &Arc<Filter>,
    format: Format,
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> Result<(Vec<u8>, usize), Unreadable> {
    let mut redactor = Redactor::new(filter.clone(), format, "listThings");
    let (mut out, mut most) = (Vec::new(), 0);
    for piece in pieces {
        redactor.push(piece, &mut out)?;
        most = most.max(redactor.footprint());
    }
    redactor.finish(&mut out)?;
    Ok((out, most))
}

/// What becomes of a document in one piece.
fn whole(filter: &Arc<Filter>, format: Format, text: &[u8]) -> Result<Vec<u8>, Unreadable> {
    pieces(filter, format, [text]).map(|(out, _)| out)
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Fails unless a document becomes this one, cut in two at every place and into single bytes.
#[track_caller]
fn assert_becomes(filter: &Arc<Filter>, format: Format, text: &str, expected: &str) {
    let bytes = text.as_bytes();
    let first = whole(filter, format, bytes).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(shown(&first), expected, "from {text}");
    for at in 1..bytes.len() {
        let (halves, _) = pieces(filter, format, [&bytes[..at], &bytes[at..]]).unwrap();
        assert!(halves == first, "cut at {at}: {}\nof {text}", shown(&halves));
    }
    let (bytewise, _) = pieces(filter, format, bytes.chunks(1)).unwrap();
    assert!(bytewise == first, "byte by byte: {}\nof {text}", shown(&bytewise));
}

/// The first `count` documents that are worth cutting.
fn documents(format: Format, count: usize) -> impl Iterator<Item = Document> {
    let document = match format {
        Format::Json => json::document,
        Format::Xml => xml::document,
    };
    (0..).map(document).filter(|document| (40..=1200).contains(&document.comes.len())).take(count)
}

#[test]
fn three_hundred_documents_however_they_are_cut() {
    let filter = filter(Level::AllSecrets);
    let (mut changed, mut secrets) = (0, 0);
    for format in [Format::Json, Format::Xml] {
        for Document { comes, goes, secrets: count } in documents(format, 160) {
            assert_becomes(&filter, format, &comes, &goes);
            changed += usize::from(comes != goes);
            secrets += count;
        }
    }
    assert!((200..310).contains(&changed) && secrets > 300, "{changed} changed, {secrets} secrets");
}
