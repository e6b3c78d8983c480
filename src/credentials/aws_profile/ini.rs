//! The format of the shared AWS files: sections in brackets, `key = value` lines, `#` and `;` comments, indented
//! lines that belong to the line above. Borrows everything; copies no value.

/// The lines of one section, in order.
pub(super) struct Section<'t> {
    lines: Vec<(&'t str, &'t str)>,
}

impl<'t> Section<'t> {
    /// The value of a key, whose letter case plays no part; the last one counts. An empty value is no value.
    pub(super) fn value(&self, key: &str) -> Option<&'t str> {
        let found = self.lines.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(key));
        found.map(|(_, value)| *value).filter(|value| !value.is_empty())
    }
}

/// The section whose name is wanted. One that stands twice is one section, as the SDKs merge them.
pub(super) fn section<'t>(text: &'t str, wanted: &dyn Fn(&str) -> bool) -> Option<Section<'t>> {
    let mut found = None;
    let mut inside = false;
    for line in text.lines() {
        // Indented lines are nested settings, such as those below `s3 =`; no credential stands there.
        if line.starts_with([' ', '\t', '#', ';']) {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let name = rest.split(']').next().unwrap_or_default().trim();
            inside = wanted(name);
            if inside {
                found.get_or_insert_with(|| Section { lines: Vec::new() });
            }
        } else if let (true, Some(section), Some((key, value))) = (inside, &mut found, line.split_once('=')) {
            section.lines.push((key.trim(), without_comment(value)));
        }
    }
    found
}

/// A comment after a value needs a blank before it: keys may hold a `#`.
fn without_comment(value: &str) -> &str {
    let comment =
        value.match_indices(['#', ';']).map(|(at, _)| at).find(|at| value[..*at].ends_with([' ', '\t']));
    value[..comment.unwrap_or(value.len())].trim()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const TEXT: &str = "# top\n[one]\nkey = a#b ; no\ns3 =\n  key = nested\n\n[two]\nKEY=first\nkey = last\nnone =\n\
                        [ one ]\r\nmore = x\r\n";

    #[test]
    fn reads_one_section() {
        let one = section(TEXT, &|name| name == "one").unwrap();
        assert_eq!(one.value("key"), Some("a#b"));
        assert_eq!(one.value("more"), Some("x"), "a section that stands twice is one");
        assert_eq!(one.value("none"), None);
        let two = section(TEXT, &|name| name == "two").unwrap();
        assert_eq!(two.value("key"), Some("last"));
        assert_eq!(two.value("none"), None, "an empty value is none");
        assert!(section(TEXT, &|name| name == "three").is_none());
    }
}
