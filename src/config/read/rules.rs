//! What clients and routes have in common: `allow`, `deny`, `read-only`, `rate`, `burst`, `concurrency`; and the
//! route's own `secrets`, `redact` and `policy`.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::config::Shape;
use crate::config::access::{Enforcement, Quota, Rate, Rule, Rules, Secrets, Selector};
use crate::config::table::{Field, Findings, Table, nearest};
use crate::config::value::Fault;

const SETS: [(&str, Selector); 4] = [
    ("@read", Selector::Read),
    ("@write", Selector::Write),
    ("@keys", Selector::Keys),
    ("@material", Selector::Material),
];

/// `allow`, `deny` and `read-only`; `shape` is that of the route, when they are a route's.
pub(super) fn rules(table: &mut Table<'_>, shape: Option<&Shape>, findings: &mut Findings) -> Rules {
    let allow = table.optional(findings, "allow").map(|field| list(&field, shape, findings));
    let deny = table.optional(findings, "deny").map(|field| list(&field, shape, findings));
    let read_only = table.optional(findings, "read-only").and_then(|field| field.boolean(findings));
    Rules { allow, deny: deny.unwrap_or_default(), read_only: read_only.unwrap_or(false) }
}

fn list(field: &Field<'_>, shape: Option<&Shape>, findings: &mut Findings) -> Vec<Rule> {
    let mut out: Vec<Rule> = Vec::new();
    for element in field.elements(findings).unwrap_or_default() {
        let Some(rule) = element.parsed(findings, rule) else { continue };
        let has_resources = shape.is_none_or(|shape| matches!(shape, Shape::S3 { .. }));
        if rule.resource.is_some() && !has_resources {
            let problem =
                element.problem(format!("`{}` names a resource, and this route has none", field.path));
            findings
                .push(problem.help("only S3 calls are about a resource; remove what follows the operation"));
        } else if out.contains(&rule) {
            findings.push(element.problem(format!("`{}` names `{}` twice", field.path, rule.text)));
        } else {
            out.push(rule);
        }
    }
    out
}

/// `OPERATION` or `OPERATION RESOURCE`, both globs.
fn rule(text: &str) -> Result<Rule, Fault> {
    let help = "an operation such as `listVirtualMachines` or `list*`, with a resource if need be, such as \
                `s3:GetObject logs/*`, or a set such as `@read`";
    if text.is_empty() || text != text.trim() || text.chars().any(char::is_control) {
        return Err(Fault::new("is not a rule").help(help));
    }
    let (operation, resource) = match text.split_once(' ') {
        // Methods of REST operations are followed by a path: `GET /v1/zones`, `lambda:GET /2015-03-31/functions`.
        Some((method, rest)) if rest.starts_with('/') && is_method(method) => {
            let (path, resource) =
                rest.split_once(' ').map_or((rest, None), |(path, rest)| (path, Some(rest)));
            (format!("{method} {path}"), resource)
        }
        Some((operation, resource)) => (operation.to_owned(), Some(resource)),
        None => (text.to_owned(), None),
    };
    let resource = resource.map(str::trim_start).map(str::to_owned);
    let selector = if operation.starts_with('@') {
        let set = SETS.iter().find(|(name, _)| operation.eq_ignore_ascii_case(name));
        let Some((_, set)) = set else {
            let all = SETS.map(|(name, _)| name);
            let near = nearest(&operation, all).map(|name| format!("did you mean `{name}`?"));
            return Err(Fault::new("names a set that does not exist")
                .help(near.unwrap_or_else(|| format!("there are {}", all.join(", ")))));
        };
        set.clone()
    } else {
        Selector::Glob(operation)
    };
    Ok(Rule { text: text.to_owned(), selector, resource })
}

fn is_method(word: &str) -> bool {
    let method = match word.split_once(':') {
        // Names of S3 are followed by resources only, whose buckets may be called anything.
        Some((service, method)) if !service.eq_ignore_ascii_case("s3") => method,
        Some(_) => return false,
        None => word,
    };
    method == "*" || (!method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase()))
}

/// `rate`, `burst` and `concurrency`.
pub(super) fn quota(table: &mut Table<'_>, findings: &mut Findings) -> Quota {
    const MOST: i64 = 1_000_000;
    let count = |field: &Field<'_>, findings: &mut Findings| {
        let count = field.integer(findings, 1..=MOST)?;
        u32::try_from(count).ok().and_then(NonZeroU32::new)
    };
    let rate_field = table.optional(findings, "rate");
    let burst_field = table.optional(findings, "burst");
    let concurrency = table.optional(findings, "concurrency");
    let concurrency = concurrency.and_then(|field| count(&field, findings));
    let rate = rate_field.as_ref().and_then(|field| field.parsed(findings, rate));
    let burst = burst_field.as_ref().and_then(|field| count(field, findings));
    if let (Some(field), None) = (&burst_field, &rate_field) {
        let problem = field.problem(format!("`{}` needs `rate`", field.path));
        findings.push(problem.help("say how many requests in what time, like `rate = \"100/s\"`"));
    }
    let rate = rate.map(|rate| Rate { burst: burst.unwrap_or(rate.burst), ..rate });
    Quota { rate, concurrency }
}

/// `100/s`, `600/m`, `1000/h`.
fn rate(text: &str) -> Result<Rate, Fault> {
    let read = || {
        let (count, unit) = text.split_once('/')?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return None,
        };
        let digits = !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit());
        let requests: NonZeroU32 = digits.then(|| count.parse().ok())??;
        (requests.get() <= 1_000_000).then_some(())?;
        Some(Rate { requests, per: Duration::from_secs(seconds), burst: requests })
    };
    read().ok_or_else(|| Fault::new("is not a rate").help("requests over time: `100/s`, `600/m` or `1000/h`"))
}

/// `secrets`.
pub(super) fn secrets(table: &mut Table<'_>, findings: &mut Findings) -> Secrets {
    let words = [("deny", Secrets::Deny), ("redact", Secrets::Redact), ("allow", Secrets::Allow)];
    let field = table.optional(findings, "secrets");
    field.and_then(|field| field.one_of(findings, &words)).unwrap_or_default()
}

/// `policy`.
pub(super) fn policy(table: &mut Table<'_>, findings: &mut Findings) -> Enforcement {
    let words = [("enforce", Enforcement::Enforce), ("learn", Enforcement::Learn)];
    let field = table.optional(findings, "policy");
    field.and_then(|field| field.one_of(findings, &words)).unwrap_or_default()
}

/// `redact`: further names of fields that answers must not carry.
pub(super) fn redact(table: &mut Table<'_>, secrets: Secrets, findings: &mut Findings) -> Vec<String> {
    let Some(field) = table.optional(findings, "redact") else { return Vec::new() };
    if secrets == Secrets::Allow {
        let problem = field.problem(format!("`{}` stands beside `secrets = \"allow\"`", field.path));
        findings.push(problem.help("nothing is redacted there; remove one of the two"));
    }
    let mut out = Vec::new();
    for element in field.elements(findings).unwrap_or_default() {
        out.extend(element.parsed(findings, |text| {
            let good = |c: char| c.is_ascii_graphic() && !"<>\"'&".contains(c);
            if text.is_empty() || text.len() > 128 || !text.chars().all(good) {
                return Err(Fault::new("is not the name of a field"));
            }
            Ok(text.to_owned())
        }));
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_operations_with_resources() {
        let read = |text: &str| rule(text).map(|rule| (rule.selector, rule.resource)).map_err(|_| ());
        let glob = |text: &str| Selector::Glob(text.to_owned());
        for (text, selector, resource) in [
            ("list*", glob("list*"), None),
            ("s3:GetObject logs/*", glob("s3:GetObject"), Some("logs/*")),
            ("s3:GetObject logs/a b", glob("s3:GetObject"), Some("logs/a b")),
            ("GET /v1/zones", glob("GET /v1/zones"), None),
            ("* /v1/zones", glob("* /v1/zones"), None),
            ("lambda:GET /2015-03-31/functions", glob("lambda:GET /2015-03-31/functions"), None),
            ("s3:PATCH /key", glob("s3:PATCH"), Some("/key")),
            ("@read logs/*", Selector::Read, Some("logs/*")),
            ("@KEYS", Selector::Keys, None),
        ] {
            assert_eq!(read(text), Ok((selector, resource.map(str::to_owned))), "{text}");
        }
        for bad in ["", " ", "a ", "@reads", "a\nb"] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn rates_have_a_unit() {
        assert_eq!(rate("100/s").unwrap().requests.get(), 100);
        assert_eq!(rate("600/m").unwrap().per, Duration::from_secs(60));
        for bad in ["", "100", "0/s", "-1/s", "1.5/s", "100/d", "/s", "1000001/s", "+1/s"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }
}
