//! The list of `DeleteObjects`: each key of it is deleted, so each is asked for.
//!
//! Read strictly: what two XML parsers could read in two ways is refused. No document type, no entities but XML's own,
//! no processing instructions, no comments inside a key, no element or attribute that the API does not have.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::operation::{Ask, Operation, text};
use crate::reason::Reason;

/// The most keys of one list (Amazon's limit, which every server keeps).
const MOST: usize = 1000;

/// Completes the operation of a `DeleteObjects` with the keys of its list: the first is the call's own ask, the others
/// are further ones. Leave to pass over a lock is asked for each.
pub fn objects_to_delete(operation: &mut Operation, list: &[u8]) -> Result<(), Reason> {
    let bucket = std::mem::take(&mut operation.ask.resource);
    let carried = std::mem::take(&mut operation.further);
    let objects = read(list)?;
    let mut asks = Vec::with_capacity(objects.len() * (carried.len() + 1));
    for object in &objects {
        let resource = format!("{bucket}/{}", text(object.key.as_bytes()));
        let name = if object.version.is_empty() { "s3:DeleteObject" } else { "s3:DeleteObjectVersion" };
        asks.push(Ask { alias: operation.ask.alias, ..Ask::new(name, resource.clone()) });
        asks.extend(carried.iter().map(|ask| Ask { resource: resource.clone(), ..ask.clone() }));
    }
    let mut asks = asks.into_iter();
    operation.ask = asks.next().ok_or(Reason::BadBody("the list of objects is empty"))?;
    operation.further = asks.collect();
    Ok(())
}

#[derive(Default)]
struct Object {
    key: String,
    version: String,
}

fn read(list: &[u8]) -> Result<Vec<Object>, Reason> {
    let unreadable = Reason::BadBody("it is not the XML of a DeleteObjects list");
    let list = std::str::from_utf8(list).map_err(|_| Reason::BadBody("the list of objects is not UTF-8"))?;
    let mut reader = Reader::from_str(list.strip_prefix('\u{feff}').unwrap_or(list));
    reader.config_mut().enable_all_checks(true);
    reader.config_mut().expand_empty_elements = true;
    let mut at =
        Place { unreadable, path: Vec::new(), objects: Vec::new(), value: String::new(), over: false };
    loop {
        let event = reader.read_event().map_err(|_| at.unreadable.clone())?;
        if matches!(event, Event::Eof) {
            break;
        }
        at.take(&event)?;
    }
    if at.over { Ok(at.objects) } else { Err(at.unreadable) }
}

/// The elements that the API has, as paths of local names.
const ELEMENTS: [&[&str]; 8] = [
    &["Delete"],
    &["Delete", "Quiet"],
    &["Delete", "Object"],
    &["Delete", "Object", "Key"],
    &["Delete", "Object", "VersionId"],
    &["Delete", "Object", "ETag"],
    &["Delete", "Object", "LastModifiedTime"],
    &["Delete", "Object", "Size"],
];

/// Where the reader is, and what it has read.
struct Place {
    unreadable: Reason,
    path: Vec<String>,
    objects: Vec<Object>,
    /// The text of the element that is open.
    value: String,
    /// Whether the root was closed.
    over: bool,
}

impl Place {
    fn take(&mut self, event: &Event<'_>) -> Result<(), Reason> {
        match event {
            Event::Start(start) => self.open(start),
            Event::End(_) => self.close(),
            Event::Text(raw) => self.text(&raw.xml10_content()),
            Event::CData(raw) if self.is_leaf() => self.text(&raw.xml10_content()),
            Event::GeneralRef(reference) => {
                let c = match reference.resolve_char_ref() {
                    Ok(Some(c)) => c,
                    Ok(None) => match &*reference.xml10_content() {
                        "amp" => '&',
                        "lt" => '<',
                        "gt" => '>',
                        "quot" => '"',
                        "apos" => '\'',
                        _ => return Err(self.unreadable.clone()),
                    },
                    Err(_) => return Err(self.unreadable.clone()),
                };
                if self.is_leaf() && is_char(c) {
                    self.value.push(c);
                    Ok(())
                } else {
                    Err(self.unreadable.clone())
                }
            }
            Event::Comment(_) if !self.is_leaf() => Ok(()),
            Event::Decl(declaration) if self.path.is_empty() && !self.over => {
                let utf8 = declaration.encoding().is_none_or(|encoding| {
                    encoding.is_ok_and(|encoding| encoding.eq_ignore_ascii_case("utf-8"))
                });
                let xml10 = declaration.version().is_ok_and(|version| version == "1.0");
                if utf8 && xml10 { Ok(()) } else { Err(Reason::BadBody("the list is not XML 1.0 in UTF-8")) }
            }
            _ => Err(self.unreadable.clone()),
        }
    }

    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), Reason> {
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|_| self.unreadable.clone())?;
            let name = attribute.key.as_ref();
            if name != "xmlns" && !name.starts_with("xmlns:") {
                return Err(self.unreadable.clone());
            }
        }
        self.path.push(start.local_name().as_ref().to_owned());
        let known = ELEMENTS.iter().any(|element| self.path.iter().eq(element.iter()));
        if !known || self.over {
            return Err(self.unreadable.clone());
        }
        if self.path.len() == 2 && self.path[1] == "Object" {
            if self.objects.len() == MOST {
                return Err(Reason::BadBody("the list has more than 1,000 objects"));
            }
            self.objects.push(Object::default());
        }
        self.value.clear();
        Ok(())
    }

    fn close(&mut self) -> Result<(), Reason> {
        let element = self.path.pop().unwrap_or_default();
        let value = std::mem::take(&mut self.value);
        if let Some(object) = self.objects.last_mut() {
            let place = match &*element {
                "Key" if self.path.len() == 2 => Some(&mut object.key),
                "VersionId" if self.path.len() == 2 => Some(&mut object.version),
                _ => None,
            };
            if let Some(place) = place {
                if value.is_empty() || !place.is_empty() {
                    return Err(Reason::BadBody("an object has an empty or a second Key or VersionId"));
                }
                *place = value;
            } else if element == "Object" && object.key.is_empty() {
                return Err(Reason::BadBody("an object of the list has no Key"));
            }
        }
        self.over |= self.path.is_empty();
        Ok(())
    }

    /// Text between elements is blank.
    fn text(&mut self, content: &str) -> Result<(), Reason> {
        if self.is_leaf() {
            if !content.chars().all(is_char) {
                return Err(self.unreadable.clone());
            }
            self.value.push_str(content);
        } else if !content.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
            return Err(self.unreadable.clone());
        }
        Ok(())
    }

    fn is_leaf(&self) -> bool {
        match &*self.path {
            [_, element] => element != "Object",
            path => path.len() == 3,
        }
    }
}

/// Characters that XML 1.0 has; a reference to another one is read by some parsers and refused by others.
fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}
