//! The documents that the upstream answers with: every secret field holds a canary of its own name.

use std::collections::BTreeSet;

use quick_xml::events::Event;

use crate::calls::calls;
use crate::support::Request;

/// What every canary holds.
pub const CANARY: &str = "QZCANARYQZ";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Json,
    Xml,
}

impl Form {
    /// Whether a text is a document of this form.
    pub fn parses(self, text: &str) -> Result<(), String> {
        match self {
            Self::Json => {
                serde_json::from_str::<serde_json::Value>(text).map(drop).map_err(|error| error.to_string())
            }
            Self::Xml => {
                let mut reader = quick_xml::Reader::from_str(text);
                loop {
                    match reader.read_event() {
                        Ok(Event::Eof) => return Ok(()),
                        Ok(_) => {}
                        Err(error) => return Err(error.to_string()),
                    }
                }
            }
        }
    }
}

/// The names of the fields whose canaries a text holds.
pub fn canaries_in(text: &str) -> BTreeSet<&'static str> {
    let fields = calls().into_iter().flat_map(|call| call.fields);
    fields.map(|field| field.name).filter(|name| text.contains(&format!("{CANARY}-{name}-"))).collect()
}

/// The answer to a request, by the line that its `user-agent` names.
pub fn to(request: &Request) -> (&'static str, String) {
    let agent = request.headers.one("user-agent").unwrap();
    let (line, xml) = agent.strip_prefix("line/").unwrap().split_once(" form/").unwrap();
    let call = calls().remove(line.parse::<usize>().unwrap());
    let fields: Vec<&str> = call.fields.iter().map(|field| field.name).collect();
    if xml == "1" { ("text/xml", in_xml(&fields)) } else { ("application/json", in_json(&fields)) }
}

/// A field may be `outer.inner`, or `pair:name`: a member `name` beside a member `value`.
fn in_json(fields: &[&str]) -> String {
    let mut members = vec!["\"id\":\"harmless-1\"".to_owned(), "\"count\":1".to_owned()];
    for field in fields {
        let value = format!("\"{CANARY}-{field}-\\u0031\"");
        members.push(if let Some(name) = field.strip_prefix("pair:") {
            format!("\"settings\":[{{\"name\":\"{name}\",\"category\":\"harmless\",\"value\":{value}}}]")
        } else if let Some((outer, inner)) = field.split_once('.') {
            format!("\"{outer}\":{{\"state\":\"harmless\",\"{inner}\":{value}}}")
        } else {
            format!("\"{field}\":{value}")
        });
    }
    let item = format!("{{{}}}", members.join(", "));
    format!("{{\"response\" : {{\"list\":[{{\"name\":\"harmless-2\"}},{item}],\n\"nested\":[[{item}]]}}}}\n")
}

fn in_xml(fields: &[&str]) -> String {
    let mut members = "<id>harmless-1</id>".to_owned();
    for field in fields {
        let value = format!("{CANARY}-{field}-&#49;");
        members.push_str(&if let Some(name) = field.strip_prefix("pair:") {
            format!(
                "<settings><name>{name}</name><category>harmless</category><value>{value}</value></settings>"
            )
        } else if let Some((outer, inner)) = field.split_once('.') {
            format!("<{outer}><state>harmless</state><{inner}>{value}</{inner}></{outer}>")
        } else {
            format!("<{field}>{value}</{field}>")
        });
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<response xmlns=\"urn:x\"><item>{members}</item>\
         <deep><item>{members}</item></deep></response>\n"
    )
}
