//! XML, written twice.

use super::dice::{Dice, Document};

const MARK: &str = "[redacted]";

/// A document of some hundred bytes.
pub(crate) fn document(seed: u64) -> Document {
    let mut dice = Dice::new(seed ^ 0xabcd);
    let mut out = Document::default();
    if dice.roll(2) == 0 {
        let declaration = dice.pick(&[
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
            "<?xml version='1.0'?>\n",
            "<?xml version=\"1.0\" encoding='us-ascii' standalone=\"yes\" ?>",
        ]);
        out.both(declaration);
    }
    aside(&mut dice, &mut out);
    element(&mut dice, &mut out, 3);
    aside(&mut dice, &mut out);
    out
}

fn aside(dice: &mut Dice, out: &mut Document) {
    let aside = dice.pick(&["", "", "\n", "<!-- a comment - of <no> secret -->", "<?target some data?>\n"]);
    out.both(aside);
}

fn element(dice: &mut Dice, out: &mut Document, depth: usize) {
    if dice.roll(4) == 0 {
        return pair(dice, out, depth);
    }
    let secret = dice.roll(3) == 0;
    let name = if secret { dice.secret_name() } else { dice.plain_name().to_owned() };
    let name = prefixed(dice, &name);
    named(dice, out, depth, &name, secret);
}

fn prefixed(dice: &mut Dice, name: &str) -> String {
    if dice.roll(5) == 0 { format!("ns:{name}") } else { name.to_owned() }
}

/// An element of this name, whose content is a secret or is not.
fn named(dice: &mut Dice, out: &mut Document, depth: usize, name: &str, secret: bool) {
    out.both("<");
    out.both(name);
    for index in 0..dice.roll(3) {
        attribute(dice, out, index);
    }
    if dice.roll(8) == 0 {
        out.both(" />");
        return;
    }
    out.both(">");
    let mut inner = Document::default();
    content(dice, &mut inner, depth);
    if secret && !inner.comes.is_empty() {
        out.turns(&inner.comes, MARK);
    } else {
        out.both("");
        out.comes.push_str(&inner.comes);
        out.goes.push_str(&inner.goes);
        out.secrets += inner.secrets;
    }
    out.both("</");
    out.both(name);
    let blank = dice.blank();
    out.both(blank);
    out.both(">");
}

fn content(dice: &mut Dice, out: &mut Document, depth: usize) {
    match dice.roll(if depth == 0 { 4 } else { 8 }) {
        0 => {}
        1 => {
            let text = dice.secret_text();
            let text = spelled(dice, &text);
            out.turns(&text, MARK);
        }
        2 | 3 => {
            let text = dice.plain_text();
            let text = spelled(dice, text);
            out.both(&text);
        }
        4 => {
            let inner = super::json::document(u64::try_from(dice.roll(1000)).unwrap() * 17 + 1);
            let (comes, goes) = (inner.comes, inner.goes);
            let document = comes.trim_start().starts_with(['{', '[']);
            if !document {
                out.both("<x/>");
            } else if comes == goes {
                let comes = spelled(dice, &comes);
                out.both(&comes);
            } else {
                let comes = spelled(dice, &comes);
                out.turns(&comes, &escaped(&goes));
            }
        }
        _ => {
            for _ in 0..dice.roll(4) {
                let blank = dice.pick(&["", "\n  ", "<!-- - -->", "<?p?>"]);
                out.both(blank);
                element(dice, out, depth - 1);
            }
        }
    }
}

fn attribute(dice: &mut Dice, out: &mut Document, index: usize) {
    let quote = dice.pick(&["\"", "'"]);
    let spell = |text: &str| escaped(text).replace('\n', "&#10;").replace('\t', "&#x9;");
    out.both("\n ");
    match dice.roll(3) {
        0 => {
            let name = format!("a{index}:{}", dice.secret_name());
            out.both(&name);
            out.both(" =");
            out.both(quote);
            let text = spell(dice.plain_text());
            if text.is_empty() { out.both("") } else { out.turns(&text, MARK) }
        }
        1 => {
            out.both(&format!("b{index}="));
            out.both(quote);
            let text = dice.secret_text();
            out.turns(&spell(&text), MARK);
        }
        _ => {
            out.both(&format!("ns:c{index}= "));
            out.both(quote);
            let text = spell(dice.plain_text());
            out.both(&text);
        }
    }
    out.both(quote);
}

/// `<name>…</name><value>…</value>` in either order.
fn pair(dice: &mut Dice, out: &mut Document, depth: usize) {
    let secret = dice.roll(2) == 0;
    let text = if secret { dice.secret_name() } else { dice.plain_name().to_owned() };
    let (name, value) = [("name", "value"), ("Key", "Value"), ("ns:name", "defaultvalue")][dice.roll(3)];
    let name = format!("<{name}>{text}</{name}>");
    out.both("<entry>");
    if dice.roll(2) == 0 {
        out.both(&name);
        named(dice, out, depth, value, secret);
    } else {
        named(dice, out, 0, value, secret);
        let between = dice.pick(&["", "<x/>", "\n", "<y>text</y>"]);
        out.both(between);
        out.both(&name);
    }
    out.both("</entry>");
}

/// A text, some of it as references or CDATA though it need not be.
fn spelled(dice: &mut Dice, text: &str) -> String {
    if dice.roll(3) == 0 && !text.contains("]]>") {
        let middle = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
        let (first, last) = text.split_at(middle);
        return if dice.roll(2) == 0 {
            format!("<![CDATA[{text}]]>")
        } else {
            format!("{}<![CDATA[{last}]]>", escaped(first))
        };
    }
    let often = dice.roll(2);
    let mut out = String::new();
    for letter in text.chars() {
        if often == 0 && dice.roll(4) == 0 {
            let code = u32::from(letter);
            out.push_str(&if dice.roll(2) == 0 { format!("&#{code};") } else { format!("&#x{code:X};") });
        } else {
            out.push_str(&escaped(&letter.to_string()));
        }
    }
    out
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&apos;")
}
