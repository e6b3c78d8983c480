//! From what was asked for to the shortest `allow` list that admits it.
//!
//! For each operation one rule; where it is about what lies in a bucket, one for each bucket, with the longest prefix
//! that ends in `/` and that all of it has in common, or the resource itself if there was only one. A list that was
//! learnt admits all that it was learnt from, and as little beside as rules can say.

use std::collections::BTreeMap;

use crate::operation::Operation;

/// What was asked for, folded into rules as it comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Learnt(BTreeMap<(String, Place), Scope>);

/// Where the resources of one rule lie.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// There is none.
    Nowhere,
    /// A bucket as a whole.
    Bucket(String),
    /// What is in it.
    Inside(String),
}

/// What of it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Scope {
    /// One resource.
    Exact(String),
    /// What begins so; ends in `/`.
    Below(String),
}

/// A name that no rule can speak of alone: with a wildcard, a space or a control character in it, or beginning with
/// `@`. No API has such a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no rule can name this operation")]
pub struct Inexpressible;

impl Learnt {
    /// The rules for one call. What it asks for beside goes into few: resources in common places are folded.
    pub fn from_call(operation: &Operation) -> Vec<String> {
        let mut learnt = Self::default();
        for ask in operation.asks() {
            // What cannot be said is missed by nobody: it is refused once rules are enforced.
            let _ = learnt.add(&ask.name, &ask.resource);
        }
        learnt.rules()
    }

    /// Whether nothing was learnt.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an operation on a resource; the resource is empty where there is none.
    ///
    /// # Errors
    /// The name is none that a rule could hold.
    pub fn add(&mut self, name: &str, resource: &str) -> Result<(), Inexpressible> {
        self.fold(name, Scope::Exact(literal(resource)))
    }

    /// Adds a rule that [`Self::from_call`] gave.
    ///
    /// # Errors
    /// It is no such rule.
    pub fn add_rule(&mut self, rule: &str) -> Result<(), Inexpressible> {
        let (name, resource) = parted(rule);
        let scope = match resource.strip_suffix('*') {
            Some(prefix) if prefix.ends_with('/') => Scope::Below(prefix.to_owned()),
            _ => Scope::Exact(resource.to_owned()),
        };
        self.fold(name, scope)
    }

    fn fold(&mut self, name: &str, scope: Scope) -> Result<(), Inexpressible> {
        if !is_expressible(name) {
            return Err(Inexpressible);
        }
        let (Scope::Exact(text) | Scope::Below(text)) = &scope;
        let place = match text.split_once('/') {
            None if text.is_empty() => Place::Nowhere,
            Some((bucket, "")) if matches!(scope, Scope::Exact(_)) => Place::Bucket(bucket.to_owned()),
            None => Place::Bucket(text.clone()),
            Some((bucket, _)) => Place::Inside(bucket.to_owned()),
        };
        let scope = if let Place::Bucket(bucket) = &place { Scope::Exact(bucket.clone()) } else { scope };
        let known = self.0.entry((name.to_owned(), place)).or_insert_with(|| scope.clone());
        if *known != scope {
            *known = known.widened(&scope);
        }
        Ok(())
    }

    /// Takes in all of another.
    pub fn merge(&mut self, other: &Self) {
        for ((name, _), scope) in &other.0 {
            // What is in one of them can be said.
            let _ = self.fold(name, scope.clone());
        }
    }

    /// The list, in alphabetical order.
    pub fn rules(&self) -> Vec<String> {
        let listed = |name: &str, bucket: &str| {
            super::rule::is_listing(name)
                && self.0.contains_key(&(name.to_owned(), Place::Bucket(bucket.to_owned())))
        };
        let needed = self.0.iter().filter(|((name, place), _)| match place {
            // Whoever may list the whole bucket may list each part of it.
            Place::Inside(bucket) => !listed(name, bucket),
            Place::Nowhere | Place::Bucket(_) => true,
        });
        needed
            .map(|((name, place), scope)| match (place, scope) {
                (Place::Nowhere, _) => name.clone(),
                (_, Scope::Exact(resource)) => format!("{name} {resource}"),
                (_, Scope::Below(prefix)) => format!("{name} {prefix}*"),
            })
            .collect()
    }
}

impl Scope {
    /// The narrowest scope that holds both; they lie in one bucket.
    fn widened(&self, other: &Self) -> Self {
        let (Self::Exact(one) | Self::Below(one)) = self;
        let (Self::Exact(two) | Self::Below(two)) = other;
        let common = one.bytes().zip(two.bytes()).take_while(|(one, two)| one == two).count();
        // The byte `/` is a character of its own in UTF-8, so this is a boundary.
        let end = one.as_bytes()[..common].iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
        Self::Below(one[..end].to_owned())
    }
}

/// A resource as a pattern for itself alone, as nearly as patterns can say it: `?` stands for a `*` in it, and for what
/// no rule can begin or end with.
fn literal(resource: &str) -> String {
    let start = resource.len() - resource.trim_start_matches(|c: char| c.is_whitespace() || c == '/').len();
    let end = resource.trim_end().len();
    let shown = |(at, c): (usize, char)| {
        let outside = at < start || at >= end;
        if outside || c == '*' || c.is_control() { '?' } else { c }
    };
    resource.char_indices().map(shown).collect()
}

/// Name and resource of a rule; REST names hold a space of their own (`GET /v1/zones`).
fn parted(rule: &str) -> (&str, &str) {
    let Some(first) = rule.find(' ') else { return (rule, "") };
    let from = if rule[first + 1..].starts_with('/') { first + 1 } else { first };
    match rule[from..].find(' ') {
        Some(space) => (&rule[..from + space], &rule[from + space + 1..]),
        None => (rule, ""),
    }
}

fn is_expressible(name: &str) -> bool {
    let (method, path) = name.split_once(" /").unwrap_or((name, ""));
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '*' | '?');
    !name.is_empty() && !name.starts_with('@') && !method.contains(odd) && !path.contains(odd)
}
