//! JSON, written twice.

use super::dice::{Dice, Document};

const MARK: &str = "\"[redacted]\"";

/// A document of some hundred bytes.
pub(crate) fn document(seed: u64) -> Document {
    let mut dice = Dice::new(seed);
    let mut document = Document::default();
    if seed.is_multiple_of(17) {
        document.both("\u{feff}");
    }
    let blank = dice.blank();
    document.both(blank);
    value(&mut dice, &mut document, 3, false);
    let blank = dice.blank();
    document.both(blank);
    document
}

/// A value. Under a secret's name it goes as a mark, unless it says nothing.
fn value(dice: &mut Dice, out: &mut Document, depth: usize, secret: bool) {
    match dice.roll(if depth == 0 { 6 } else { 10 }) {
        0 => {
            let word = dice.pick(&["null", "true", "false"]);
            out.both(word);
        }
        1 => {
            let number =
                dice.pick(&["0", "-0", "12", "-3.25", "1e5", "1.5E-7", "123456789012345678901234567890"]);
            if secret { out.turns(number, MARK) } else { out.both(number) }
        }
        2 => {
            let text = dice.secret_text();
            let text = spelled(dice, &text);
            out.turns(&text, MARK);
        }
        3 if depth > 0 => {
            let mut inner = Document::default();
            value_of_kind(dice, &mut inner, depth - 1);
            let comes = spelled(dice, &inner.comes);
            if secret {
                out.turns(&comes, MARK);
            } else if inner.comes == inner.goes {
                out.both(&comes);
            } else {
                out.turns(&comes, &serde_json::to_string(&inner.goes).unwrap());
            }
        }
        3..=5 => {
            let plain = dice.plain_text();
            let text = spelled(dice, plain);
            if secret && text != "\"\"" { out.turns(&text, MARK) } else { out.both(&text) }
        }
        _ if secret => {
            let mut inner = Document::default();
            value_of_kind(dice, &mut inner, depth - 1);
            let empty: String = inner.comes.chars().filter(|c| !c.is_whitespace()).collect();
            if matches!(empty.as_str(), "{}" | "[]") {
                out.comes.push_str(&inner.comes);
                out.goes.push_str(&empty);
            } else {
                out.turns(&inner.comes, MARK);
            }
        }
        _ => value_of_kind(dice, out, depth - 1),
    }
}

/// An array, an object, or a pair of name and value.
fn value_of_kind(dice: &mut Dice, out: &mut Document, depth: usize) {
    match dice.roll(5) {
        0 => array(dice, out, depth),
        1 | 2 => pair(dice, out, depth),
        _ => object(dice, out, depth),
    }
}

fn array(dice: &mut Dice, out: &mut Document, depth: usize) {
    out.both("[");
    let blank = dice.blank();
    out.both(blank);
    for index in 0..dice.roll(4) {
        if index > 0 {
            comma(dice, out);
        }
        value(dice, out, depth, false);
    }
    let blank = dice.blank();
    out.both(blank);
    out.both("]");
}

fn object(dice: &mut Dice, out: &mut Document, depth: usize) {
    out.both("{");
    let blank = dice.blank();
    out.both(blank);
    for index in 0..dice.roll(5) {
        if index > 0 {
            comma(dice, out);
        }
        if dice.roll(3) == 0 {
            let name = dice.secret_name();
            let name = spelled(dice, &name);
            member(dice, out, &name);
            value(dice, out, depth, true);
        } else {
            let name = dice.plain_name();
            let name = spelled(dice, name);
            member(dice, out, &name);
            value(dice, out, depth, false);
        }
    }
    let blank = dice.blank();
    out.both(blank);
    out.both("}");
}

/// `{"name": …, "value": …}` in either order, with something between.
fn pair(dice: &mut Dice, out: &mut Document, depth: usize) {
    let secret = dice.roll(2) == 0;
    let named = if secret { format!("cfg.{}", dice.secret_name()) } else { dice.plain_name().to_owned() };
    let named = spelled(dice, &named);
    let (name, value_name) =
        [("name", "value"), ("Key", "Value"), ("ParameterKey", "ParameterValue")][dice.roll(3)];
    let (name, value_name) = (format!("\"{name}\""), format!("\"{value_name}\""));
    out.both("{");
    if dice.roll(2) == 0 {
        member(dice, out, &name);
        out.both(&named);
        comma(dice, out);
        member(dice, out, &value_name);
        value(dice, out, depth, secret);
    } else {
        member(dice, out, &value_name);
        value(dice, out, 0, secret);
        for _ in 0..dice.roll(3) {
            comma(dice, out);
            member(dice, out, "\"between\"");
            value(dice, out, depth.min(1), false);
        }
        comma(dice, out);
        member(dice, out, &name);
        out.both(&named);
    }
    out.both("}");
}

fn member(dice: &mut Dice, out: &mut Document, name: &str) {
    out.both(name);
    let blank = dice.blank();
    out.both(blank);
    out.both(":");
    let blank = dice.blank();
    out.both(blank);
}

fn comma(dice: &mut Dice, out: &mut Document) {
    let blank = dice.blank();
    out.both(blank);
    out.both(",");
    let blank = dice.blank();
    out.both(blank);
}

/// A string of JSON, some of its letters escaped though they need not be.
fn spelled(dice: &mut Dice, text: &str) -> String {
    let often = dice.roll(3);
    let mut out = String::from("\"");
    for letter in text.chars() {
        let must = matches!(letter, '"' | '\\' | '\0'..='\x1f');
        if letter == '/' && dice.roll(2) == 0 {
            out.push_str("\\/");
        } else if matches!(letter, '"' | '\\') && dice.roll(2) == 0 {
            out.push('\\');
            out.push(letter);
        } else if letter == '\n' && dice.roll(2) == 0 {
            out.push_str("\\n");
        } else if must || often == 0 && dice.roll(4) == 0 {
            for half in letter.encode_utf16(&mut [0; 2]) {
                let digits = format!("\\u{half:04x}");
                out.push_str(&if dice.roll(2) == 0 {
                    digits
                } else {
                    digits.to_uppercase().replace("\\U", "\\u")
                });
            }
        } else {
            out.push(letter);
        }
    }
    out.push('"');
    out
}
