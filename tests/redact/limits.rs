//! Long texts, deep nesting, and what is no document at all.

use super::{ID, SECRET, assert_becomes, filter, pieces, shown, whole};
use countersign::redact::{Format, Level, MARK};

/// What a stream may hold.
const MEMORY: usize = 64 << 10;

/// A document around one long text.
fn around(format: Format, text: &str) -> Vec<u8> {
    match format {
        Format::Json => format!("{{\"a\": \"{text}\", \"b\": 1}}"),
        Format::Xml => format!("<r>\n<a>{text}</a><b c=\"\"/></r>"),
    }
    .into_bytes()
}

#[test]
fn long_texts_pass_to_the_byte() {
    let filter = filter(Level::AllSecrets);
    for unit in ["x", "é", "😀", "\\n", "\\u00e9", "&#xe9;", "a:b=c ", "%20", "{"] {
        for format in [Format::Json, Format::Xml] {
            if unit.starts_with('\\') && format == Format::Xml {
                continue;
            }
            for length in [16 << 10, (16 << 10) + 1, 100_000] {
                let text = around(format, &unit.repeat(length / unit.len()));
                for size in [1, 4093, 100_000_000] {
                    let (out, most) = pieces(&filter, format, text.chunks(size)).unwrap();
                    assert!(out == text, "{unit} {length} in pieces of {size}");
                    assert!(most <= MEMORY, "{most} bytes for {unit}");
                }
            }
        }
    }
}

#[test]
fn secrets_in_long_texts_do_not_pass() {
    let filter = filter(Level::AllSecrets);
    let percent: String = SECRET.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let slashed = SECRET.replace('/', "\\/");
    let length = 40_000;
    for place in (0..length - 300).step_by(1871).chain(8170..8194).chain(16_350..16_386) {
        for (format, secret) in [
            (Format::Json, SECRET),
            (Format::Json, ID),
            (Format::Json, &percent),
            (Format::Json, &slashed),
            (Format::Json, "\\\"secretKey\\\": \\\"canary\\\""),
            (Format::Json, "&user_password=canary"),
            (Format::Xml, SECRET),
            (Format::Xml, "&lt;password>canary"),
        ] {
            let text = format!("{}{secret}{}", "y".repeat(place), "z".repeat(length - place - secret.len()));
            let text = around(format, &text);
            let (out, most) = pieces(&filter, format, text.chunks(3001)).unwrap();
            let (again, _) = pieces(&filter, format, [&text[..]]).unwrap();
            assert!(out == again, "{secret} at {place}");
            let out = shown(&out);
            assert!(out.contains(MARK) && out.len() < text.len(), "{secret} at {place}");
            for part in [SECRET, &SECRET[..12], ID, &percent, "canary", "MENG+bPx", "MENG%2bbPx"] {
                assert!(!out.contains(part), "{secret} at {place}: {part} got out");
            }
            assert!(most <= MEMORY);
            match format {
                Format::Json => drop(serde_json::from_str::<serde_json::Value>(&out).unwrap()),
                Format::Xml => super::fuzz::assert_xml(&out),
            }
        }
    }
}

#[test]
fn letters_are_not_cut_where_a_long_text_is() {
    let filter = filter(Level::AllSecrets);
    for (shift, length) in (0..4).flat_map(|shift| [(shift, 20_000), (shift, 30_000)]) {
        for letter in ["é", "字", "😀"] {
            let text = format!("{}{}{SECRET}", "a".repeat(shift), letter.repeat(length / letter.len()));
            for format in [Format::Json, Format::Xml] {
                let out = whole(&filter, format, &around(format, &text)).unwrap();
                let out = String::from_utf8(out).unwrap();
                assert!(out.contains(MARK) && !out.contains(SECRET));
            }
        }
    }
}

#[test]
fn long_secrets_go_as_a_whole() {
    let filter = filter(Level::AllSecrets);
    for length in [0, 1, 20_000, 1_000_000] {
        let long = "s".repeat(length);
        let mark = if length == 0 { "" } else { MARK };
        for (format, comes, goes) in [
            (Format::Json, format!("{{\"password\":\"{long}\"}}"), format!("{{\"password\":\"{mark}\"}}")),
            (Format::Json, format!("{{\"userdata\":[\"{long}\"]}}"), format!("{{\"userdata\":\"{MARK}\"}}")),
            (Format::Xml, format!("<a><psk>{long}</psk></a>"), format!("<a><psk>{mark}</psk></a>")),
            (Format::Xml, format!("<a><psk><b>{long}</b></psk></a>"), format!("<a><psk>{MARK}</psk></a>")),
        ] {
            let (out, most) = pieces(&filter, format, comes.as_bytes().chunks(4096)).unwrap();
            assert_eq!(shown(&out), goes);
            assert!(most <= MEMORY);
        }
    }
}

#[test]
fn nesting_is_followed_ten_thousand_deep() {
    let filter = filter(Level::AllSecrets);
    let secret = "\"password\":\"canary\"";
    for depth in [1, 2, 3, 10, 100, 1_000, 5_000, 9_999] {
        let (open, close) = ("{\"a\":[".repeat(depth / 2), "]}".repeat(depth / 2));
        let json = format!("{open}{{{secret}}}{close}");
        let expected = json.replace("canary", MARK);
        let (out, most) = pieces(&filter, Format::Json, json.as_bytes().chunks(1000)).unwrap();
        assert!(shown(&out) == expected, "{depth}");
        assert!(most <= MEMORY, "{most} bytes at {depth}");

        let (open, close) = ("<a>".repeat(depth - 1), "</a>".repeat(depth - 1));
        let xml = format!("{open}<psk>{SECRET}</psk>{close}");
        let (out, most) = pieces(&filter, Format::Xml, xml.as_bytes().chunks(1000)).unwrap();
        assert!(shown(&out) == xml.replace(SECRET, MARK), "{depth}");
        assert!(most <= MEMORY, "{most} bytes at {depth}");
    }
    let deepest = "[".repeat(10_000) + &"]".repeat(10_000);
    assert_eq!(whole(&filter, Format::Json, deepest.as_bytes()).unwrap(), deepest.as_bytes());
    let deepest = "<a>".repeat(10_000) + &"</a>".repeat(10_000);
    assert_eq!(whole(&filter, Format::Xml, deepest.as_bytes()).unwrap(), deepest.as_bytes());
    for depth in [10_001, 200_000] {
        for (format, text) in [
            (Format::Json, "[".repeat(depth)),
            (Format::Json, "{\"password\":".repeat(depth)),
            (Format::Xml, "<a>".repeat(depth)),
        ] {
            assert_eq!(whole(&filter, format, text.as_bytes()).unwrap_err().0, "nested too deep");
        }
    }
    // Long names have less room.
    assert!(whole(&filter, Format::Xml, format!("<{}>", "n".repeat(1000)).repeat(100).as_bytes()).is_err());
}

#[test]
fn a_document_of_everything_stays_small() {
    let filter = filter(Level::AllSecrets);
    let filler = "f".repeat(30_000);
    let json = format!(
        "{}{{\"value\":1,\"b\":\"{filler}\",\"c\":\"{}\"}}{}",
        "[".repeat(9_000),
        "\\u0041".repeat(9_000),
        "]".repeat(9_000)
    );
    let xml = format!(
        "{}<value>{filler}</value><c d='{}'>{}</c>{}",
        "<a>".repeat(9_000),
        "q".repeat(16_000),
        "&#65;".repeat(9_000),
        "</a>".repeat(9_000)
    );
    for (format, text) in [(Format::Json, json), (Format::Xml, xml)] {
        let (out, most) = pieces(&filter, format, text.as_bytes().chunks(777)).unwrap();
        assert!(out == text.as_bytes());
        assert!(most <= MEMORY, "{format:?}: {most} bytes");
    }
}

#[test]
fn what_is_not_json_is_refused() {
    let filter = filter(Level::ApiKeys);
    for text in [
        "",
        " ",
        "{",
        "[1",
        "{}{}",
        "[] 1",
        "{\"a\":1,}",
        "[1,]",
        "[,1]",
        "{a:1}",
        "{'a':1}",
        "{\"a\" 1}",
        "{\"a\":}",
        "[1 2]",
        "{\"a\":1 \"b\":2}",
        "[1}",
        "{\"a\":1]",
        "]",
        "}",
        "nul",
        "nulll",
        "TRUE",
        "tru e",
        "01",
        "-",
        "1.",
        ".5",
        "+1",
        "1e",
        "1e+",
        "--1",
        "0x1",
        "NaN",
        "Infinity",
        "\"",
        "\"\\\"",
        "\"\\x41\"",
        "\"\\u12g4\"",
        "\"\\u123\"",
        "\"a\nb\"",
        "\"\t\"",
        "/* */{}",
        "// x\n{}",
        "{}//",
        "\u{feff}",
        "\u{feff}\u{feff}{}",
        "<a/>",
        "{\"a\":1}\0",
        "throw 1;{}",
    ] {
        assert!(whole(&filter, Format::Json, text.as_bytes()).is_err(), "{text:?}");
    }
    for bytes in [
        b"\"\xff\"".as_slice(),
        b"\"\xc3\"",
        b"\"\xc0\xaf\"",
        b"\"\xed\xa0\x80\"",
        b"\xff\xfe{\0}\0",
        b"{\0}\0",
        b"\x1f\x8b\x08\x00",
        b"\"\xf0\x9f",
        b"\xef\xbb{}",
    ] {
        assert!(whole(&filter, Format::Json, bytes).is_err(), "{bytes:?}");
    }
    let name = format!("{{\"{}\":1}}", "n".repeat(40_000));
    assert!(whole(&filter, Format::Json, name.as_bytes()).is_err());
}

#[test]
fn what_is_not_xml_is_refused() {
    let filter = filter(Level::ApiKeys);
    for text in [
        "",
        " ",
        "a",
        "<",
        "<a",
        "<a>",
        "<a></b>",
        "<a></a",
        "</a>",
        "<a/><b/>",
        "<a/>x",
        "x<a/>",
        "<a><b></a></b>",
        "< a/>",
        "<a / >",
        "<a b/>",
        "<a b=c/>",
        "<a b='1' b='2'/>",
        "<a b='1'c='2'/>",
        "<a b='<'/>",
        "<a b='&x;'/>",
        "<a b='&'/>",
        "<a>&nbsp;</a>",
        "<a>&#0;</a>",
        "<a>&#xD800;</a>",
        "<a>&#x110000;</a>",
        "<a>&#;</a>",
        "<a>&#+65;</a>",
        "<a>&amp</a>",
        "<a>& </a>",
        "<a>]]></a>",
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
        "<a><!ELEMENT b></a>",
        "<a><![CDATA[x]]</a>",
        "<a><![cdata[x]]></a>",
        "<![CDATA[x]]><a/>",
        "<!-- a -- b --><a/>",
        "<!-- a ---><a/>",
        "<!-- a <a/>",
        "<a>b<!-- c --></a>",
        "<a><!-- c -->b</a>",
        "<a>b<?p?></a>",
        " <?xml version='1.0'?><a/>",
        "<a/><?xml version='1.0'?>",
        "<?XML version='1.0'?><a/>",
        "<?xml?><a/>",
        "<?xml version='1.0' encoding='UTF-16'?><a/>",
        "<?xml version='1.0' encoding='utf-7'?><a/>",
        "<? x?><a/>",
        "<?p ><a/>",
        "<1a/>",
        "<a><-b/></a>",
        "<a>\u{1}</a>",
        "<a b='\u{2}'/>",
        "<a>\u{c}</a>",
        "<a\u{c}b='1'/>",
        "{}",
        "<a b>c</a>",
        "<a =''/>",
    ] {
        assert!(whole(&filter, Format::Xml, text.as_bytes()).is_err(), "{text:?}");
    }
    for bytes in [b"<a>\xff</a>".as_slice(), b"<\0a\0/\0>\0", b"\xfe\xff\0<\0a", b"<a>\xe9</a>"] {
        assert!(whole(&filter, Format::Xml, bytes).is_err(), "{bytes:?}");
    }
    let tag = format!("<a b='{}'/>", "x".repeat(40_000));
    assert!(whole(&filter, Format::Xml, tag.as_bytes()).is_err());
    for text in [
        format!("<!-- {SECRET} --><a/>"),
        format!("<a/><!-- {SECRET} -->"),
        format!("<a/><?p {ID}?>"),
        format!("<{ID}/>"),
        format!("<a {ID}='1'/>"),
        format!("<a><![CDATA[{}{SECRET}]]></a>", "x".repeat(20_000)),
        format!("<a><!-- {}{SECRET} --></a>", "x".repeat(20_000)),
    ] {
        assert!(whole(&filter, Format::Xml, text.as_bytes()).is_err());
    }
}

#[test]
fn comments_with_secrets_go() {
    let filter = filter(Level::ApiKeys);
    assert_becomes(&filter, Format::Xml, &format!("<a>\n<!-- {SECRET} --><b/></a>"), "<a><b/></a>");
    assert_becomes(&filter, Format::Xml, "<a><!-- <secretkey>x</secretkey> --><b/></a>", "<a><b/></a>");
}
