//! Which route answers to a host and a path.
//!
//! Matching looks at the raw path: nothing is decoded, no dot segment is resolved, so a path cannot be spelled
//! into another route. The more specific host wins, then the longer path prefix. Never a default route.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::config::HostMatch;

/// The match table of a snapshot; indices are those of its routes. What a lookup costs does not depend on how many
/// there are.
#[derive(Default)]
pub struct Table {
    exact: HashMap<String, Paths>,
    suffixes: Longest<Paths>,
    any: Paths,
}

/// Path prefixes and the routes they lead to.
type Paths = Longest<usize>;

/// Texts of which the longest one that something begins or ends with is looked up: once for every length that occurs,
/// because nothing else could be found.
struct Longest<T> {
    by_text: HashMap<String, T>,
    /// Longest first, each once.
    lengths: Vec<usize>,
}

impl<T> Default for Longest<T> {
    fn default() -> Self {
        Self { by_text: HashMap::new(), lengths: Vec::new() }
    }
}

impl<T: Default> Longest<T> {
    /// What stands at `text`, made if need be.
    fn entry(&mut self, text: &str) -> &mut T {
        if let Err(at) = self.lengths.binary_search_by_key(&Reverse(text.len()), |length| Reverse(*length)) {
            self.lengths.insert(at, text.len());
        }
        self.by_text.entry(text.to_owned()).or_default()
    }
}

impl Paths {
    /// The first route with a prefix has it.
    fn add(&mut self, prefix: &str, index: usize) {
        if !self.by_text.contains_key(prefix) {
            *self.entry(prefix) = index;
        }
    }

    /// The route with the longest prefix on a segment boundary.
    fn find(&self, path: &str) -> Option<usize> {
        self.lengths.iter().find_map(|length| {
            let (prefix, rest) = path.split_at_checked(*length)?;
            let on_boundary = rest.is_empty() || rest.starts_with('/');
            on_boundary.then(|| self.by_text.get(prefix).copied())?
        })
    }
}

impl Longest<Paths> {
    /// The suffixes that a host is under by at least one label, longest first.
    fn over(&self, host: &str) -> impl Iterator<Item = &Paths> {
        self.lengths.iter().filter_map(move |length| {
            let (labels, suffix) = host.split_at_checked(host.len().checked_sub(*length)?)?;
            let is_under = labels.len() > 1 && labels.ends_with('.');
            is_under.then(|| self.by_text.get(suffix))?
        })
    }
}

impl Table {
    /// Builds the table from the routes' conditions, in their order.
    pub fn new<'r>(routes: impl Iterator<Item = (&'r HostMatch, &'r str)>) -> Self {
        let mut table = Self::default();
        for (index, (host, path)) in routes.enumerate() {
            let paths = match host {
                HostMatch::Any => &mut table.any,
                HostMatch::Exact(name) => table.exact.entry(name.clone()).or_default(),
                HostMatch::Suffix(name) => table.suffixes.entry(name),
            };
            paths.add(path, index);
        }
        table
    }

    /// The route for a host (lower case, without port) and a raw path.
    pub fn find(&self, host: &str, path: &str) -> Option<usize> {
        self.exact
            .get(host)
            .and_then(|paths| paths.find(path))
            .or_else(|| self.suffixes.over(host).find_map(|paths| paths.find(path)))
            .or_else(|| self.any.find(path))
    }

    /// Whether some route names this host.
    pub fn knows(&self, host: &str) -> bool {
        self.exact.contains_key(host) || self.suffixes.over(host).next().is_some()
    }
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
    /// What the table must find, by looking at every route.
    fn naively(routes: &[(HostMatch, String)], host: &str, path: &str) -> Option<usize> {
        let under = |prefix: &str| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let rank = |wanted: &HostMatch| match wanted {
            HostMatch::Exact(name) => (name == host).then_some(usize::MAX),
            HostMatch::Suffix(name) => below(host, name).map(|_| name.len() + 1),
            HostMatch::Any => Some(0),
        };
        let fitting = routes.iter().enumerate().filter(|(_, (_, prefix))| under(prefix));
        let ranked = fitting.filter_map(|(index, (wanted, prefix))| {
            rank(wanted).map(|host| (host, prefix.len(), Reverse(index)))
        });
        ranked.max().map(|(.., Reverse(index))| index)
    }

    #[test]
    fn many_routes_are_found_as_few_are() {
        let mut state = 1_u32;
        let mut below_number = |limit: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize % limit
        };
        let hosts = ["a", "b.a", "c.b.a", "aa", "b.aa", "x.c.b.a", ".a", "a.", "", "ä.a", "b.ä"];
        let parts = ["", "/", "/p", "/p/q", "/pp", "/p/q/r", "/p/", "//", "/ä", "/ä/p", "/%70"];
        for _ in 0..100 {
            let routes: Vec<(HostMatch, String)> = (0..=below_number(8))
                .map(|_| {
                    let name = hosts[below_number(hosts.len())].to_owned();
                    let host = match below_number(3) {
                        0 => HostMatch::Any,
                        1 => HostMatch::Exact(name),
                        _ => HostMatch::Suffix(name),
                    };
                    (host, parts[below_number(parts.len())].to_owned())
                })
                .collect();
            let table = Table::new(routes.iter().map(|(host, path)| (host, path.as_str())));
            for host in hosts {
                for first in parts {
                    for second in parts {
                        let path = format!("{first}{second}");
                        let expected = naively(&routes, host, &path);
                        assert_eq!(table.find(host, &path), expected, "{routes:?} {host} {path}");
                    }
                }
                let named = routes.iter().any(|(wanted, _)| match wanted {
                    HostMatch::Any => false,
                    HostMatch::Exact(name) => name == host,
                    HostMatch::Suffix(name) => below(host, name).is_some(),
                });
                assert_eq!(table.knows(host), named, "{routes:?} {host}");
            }
        }
    }
}
