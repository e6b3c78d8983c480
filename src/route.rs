//! Which route answers to a host and a path.
//!
//! Matching looks at the raw path: nothing is decoded, no dot segment is resolved, so a path cannot be spelled
//! into another route. The more specific host wins, then the longer path prefix. Never a default route.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::config::HostMatch;
use crate::target::has_prefix;

/// The match table of a snapshot; indices are those of its routes.
#[derive(Default)]
pub struct Table {
    exact: HashMap<String, Vec<Entry>>,
    /// Longest suffix first.
    suffixes: Vec<(String, Vec<Entry>)>,
    any: Vec<Entry>,
}

/// A path prefix and the route it leads to; longest first in its list.
type Entry = (String, usize);

impl Table {
    /// Builds the table from the routes' conditions, in their order.
    pub fn new<'r>(routes: impl Iterator<Item = (&'r HostMatch, &'r str)>) -> Self {
        let mut table = Self::default();
        for (index, (host, path)) in routes.enumerate() {
            let entry = (path.to_owned(), index);
            match host {
                HostMatch::Any => table.any.push(entry),
                HostMatch::Exact(name) => table.exact.entry(name.clone()).or_default().push(entry),
                HostMatch::Suffix(name) => match table.suffixes.iter_mut().find(|(known, _)| known == name) {
                    Some((_, entries)) => entries.push(entry),
                    None => table.suffixes.push((name.clone(), vec![entry])),
                },
            }
        }
        table.suffixes.sort_by_key(|(name, _)| Reverse(name.len()));
        let lists = table.exact.values_mut().chain(table.suffixes.iter_mut().map(|(_, list)| list));
        for list in lists.chain(std::iter::once(&mut table.any)) {
            list.sort_by_key(|(path, _)| Reverse(path.len()));
        }
        table
    }

    /// The route for a host (lower case, without port) and a raw path.
    pub fn find(&self, host: &str, path: &str) -> Option<usize> {
        let under = |list: &[Entry]| {
            list.iter().find(|(prefix, _)| has_prefix(path, prefix)).map(|(_, index)| *index)
        };
        self.exact
            .get(host)
            .and_then(|list| under(list))
            .or_else(|| {
                self.suffixes
                    .iter()
                    .filter(|(name, _)| is_under(host, name))
                    .find_map(|(_, list)| under(list))
            })
            .or_else(|| under(&self.any))
    }

    /// Whether some route names this host.
    pub fn knows(&self, host: &str) -> bool {
        self.exact.contains_key(host) || self.suffixes.iter().any(|(name, _)| is_under(host, name))
    }
}

/// Whether `host` is a name below `suffix`, by at least one label.
fn is_under(host: &str, suffix: &str) -> bool {
    below(host, suffix).is_some()
}

/// The labels that stand before `.suffix`: the bucket of a virtual-hosted request.
pub fn below<'h>(host: &'h str, suffix: &str) -> Option<&'h str> {
    host.strip_suffix(suffix)?.strip_suffix('.').filter(|labels| !labels.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(routes: &[(&str, &str)]) -> Table {
        let parsed: Vec<_> = routes
            .iter()
            .map(|(host, path)| {
                let host = match (host.strip_prefix("*."), *host) {
                    (Some(suffix), _) => HostMatch::Suffix(suffix.into()),
                    (None, "") => HostMatch::Any,
                    (None, name) => HostMatch::Exact(name.into()),
                };
                (host, *path)
            })
            .collect();
        Table::new(parsed.iter().map(|(host, path)| (host, *path)))
    }

    #[test]
    fn the_more_specific_condition_wins() {
        let table =
            table(&[("", "/client"), ("", "/client/api"), ("*.s3.x", ""), ("a.s3.x", "/p"), ("*.x", "")]);
        assert_eq!(table.find("any", "/client/api"), Some(1));
        assert_eq!(table.find("any", "/client/apix"), Some(0));
        assert_eq!(table.find("any", "/clientx"), None);
        assert_eq!(table.find("a.s3.x", "/p/q"), Some(3));
        assert_eq!(table.find("a.s3.x", "/q"), Some(2));
        assert_eq!(table.find("s3.x", "/q"), Some(4));
        assert_eq!(table.find("evils3.x", "/q"), Some(4));
        assert_eq!(table.find("x", "/q"), None);
        assert_eq!(table.find("any", "/client/%61pi"), Some(0));
        assert!(table.knows("b.a.x") && !table.knows("x") && !table.knows("any"));
    }
}
