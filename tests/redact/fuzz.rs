//! Spoilt documents: what is let through is what other parsers take for a document, and nothing of a secret is in it.

use std::sync::Arc;

use base64::Engine as _;
use countersign::redact::{Filter, Format, Level};
use quick_xml::events::Event;

use super::dice::Dice;
use super::{ID, SECRET, documents, filter, pieces, shown, whole};

/// Mutations of each format.
const ROUNDS: usize = 110_000;

fn spoilt(dice: &mut Dice, text: &[u8]) -> Vec<u8> {
    const BYTES: &[u8] =
        b"\"\\{}[]:,<>/&;'=!-?#x0123456789eE+.tfnul \n\t\r\0\x1f\x7f\xef\xbb\xbf\xc3\xa9\xff]";
    let mut text = text.to_vec();
    for _ in 0..=dice.roll(3) {
        let at = dice.roll(text.len());
        let byte = BYTES[dice.roll(BYTES.len())];
        match dice.roll(6) {
            0 => drop(text.remove(at)),
            1 => text.insert(at, byte),
            2 => text.truncate(at.max(1)),
            3 => {
                let to = (at + dice.roll(12)).min(text.len());
                let piece = text[at..to].to_vec();
                text.splice(at..at, piece);
            }
            _ => text[at] = byte,
        }
        if text.is_empty() {
            text.push(byte);
        }
    }
    text
}

/// Runs a document in one piece and in pieces of chance, which must come to the same.
fn outcome(dice: &mut Dice, filter: &Arc<Filter>, format: Format, text: &[u8]) -> Option<Vec<u8>> {
    let first = whole(filter, format, text).ok();
    let size = 1 + dice.roll(text.len());
    let cut = pieces(filter, format, text.chunks(size)).ok().map(|(out, _)| out);
    assert!(first == cut, "in pieces of {size}: {}", shown(text));
    first
}

/// Every string and name of a value.
fn texts(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) => found.push(text.clone()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        serde_json::Value::Object(members) => {
            for (name, value) in members {
                found.push(name.clone());
                texts(value, found);
            }
        }
        _ => {}
    }
}

#[track_caller]
fn assert_clean(text: &str) {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let engine = base64::engine::general_purpose::STANDARD_NO_PAD;
    for canary in [SECRET.to_owned(), ID.to_owned(), engine.encode(SECRET), engine.encode(ID)] {
        for text in [text, &decoded] {
            assert!(!text.contains(&canary), "a credential got out: {text}");
        }
    }
}

#[test]
fn spoilt_json() {
    let filter = filter(Level::AllSecrets);
    let corpus: Vec<_> = documents(Format::Json, 300).filter(|document| document.comes.len() < 400).collect();
    let mut dice = Dice::new(42);
    let mut passed = 0;
    for round in 0..ROUNDS {
        let text = spoilt(&mut dice, corpus[round % corpus.len()].comes.as_bytes());
        let out = outcome(&mut dice, &filter, Format::Json, &text);
        let bare = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
        let theirs = serde_json::from_slice::<serde_json::Value>(bare);
        let Some(out) = out else {
            assert!(theirs.is_err(), "refused: {}", shown(&text));
            continue;
        };
        if let Err(error) = theirs {
            // Both are JSON, and more than a `Value` can hold.
            let more = ["number out of range", "surrogate", "hex escape"];
            assert!(more.iter().any(|more| error.to_string().contains(more)), "{error}: {}", shown(&text));
            continue;
        }
        passed += 1;
        let out = out.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&out);
        let value: serde_json::Value =
            serde_json::from_slice(out).unwrap_or_else(|error| panic!("{error}: {}", shown(out)));
        let mut found = Vec::new();
        texts(&value, &mut found);
        for text in found {
            assert_clean(&text);
        }
    }
    assert!((ROUNDS / 10..ROUNDS * 9 / 10).contains(&passed), "{passed} passed");
}

/// Fails unless another reader takes a text for XML; gives its texts.
#[track_caller]
pub(crate) fn read_xml(text: &str) -> Result<Vec<String>, String> {
    let mut reader = quick_xml::Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let (mut found, mut depth) = (vec![String::new()], 0_usize);
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) => {
                depth += 1;
                attributes(&start, &mut found)?;
                found.push(String::new());
            }
            Event::Empty(start) => {
                attributes(&start, &mut found)?;
                found.push(String::new());
            }
            Event::End(_) => {
                depth -= 1;
                found.push(String::new());
            }
            Event::Text(text) => found.last_mut().unwrap().push_str(&text),
            Event::CData(text) => found.last_mut().unwrap().push_str(&text),
            Event::GeneralRef(name) => {
                let text = format!("&{};", &*name);
                let text = quick_xml::escape::unescape(&text).map_err(|error| error.to_string())?;
                found.last_mut().unwrap().push_str(&text);
            }
            Event::Comment(text) => found.push(text.to_string()),
            Event::PI(text) => found.push(text.to_string()),
            Event::Decl(_) => {}
            Event::DocType(_) => return Err("a document type".to_owned()),
            Event::Eof => return if depth == 0 { Ok(found) } else { Err("open elements".to_owned()) },
        }
    }
}

fn attributes(start: &quick_xml::events::BytesStart<'_>, found: &mut Vec<String>) -> Result<(), String> {
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let raw = attribute.value.into_owned();
        found.push(quick_xml::escape::unescape(&raw).map_err(|error| error.to_string())?.into_owned());
    }
    Ok(())
}

#[track_caller]
pub(crate) fn assert_xml(text: &str) {
    read_xml(text).unwrap_or_else(|error| panic!("{error}: {text}"));
}

#[test]
fn spoilt_xml() {
    let filter = filter(Level::AllSecrets);
    let corpus: Vec<_> = documents(Format::Xml, 300).filter(|document| document.comes.len() < 400).collect();
    let mut dice = Dice::new(43);
    let mut passed = 0;
    for round in 0..ROUNDS {
        let text = spoilt(&mut dice, corpus[round % corpus.len()].comes.as_bytes());
        let Some(out) = outcome(&mut dice, &filter, Format::Xml, &text) else { continue };
        passed += 1;
        for text in [&text, &out] {
            assert_xml(&shown(text));
        }
        for text in read_xml(&shown(&out)).unwrap() {
            assert_clean(&text);
        }
    }
    assert!((ROUNDS / 20..ROUNDS * 9 / 10).contains(&passed), "{passed} passed");
}
