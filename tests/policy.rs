//! How rules are judged: the tables of `docs/policy.md`, and random rules against an oracle that shares nothing with
//! the crate but the words.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "hostile/dice.rs"]
#[allow(dead_code, unreachable_pub, clippy::print_stdout)]
mod dice;

use countersign::config::{self, Enforcement, Secrets};
use countersign::operation::{Access, Ask, Operation, Tier};
use countersign::policy::learn::Learnt;
use countersign::policy::{By, Cause, Decision, Policy, Verdict, judge};
use dice::Dice;

/// The rules of a route or client, as they would stand in its table.
fn policy(keys: &str) -> Policy {
    let text = format!(
        "version = 1\n[credentials.key]\naws-profile = \"x\"\n[routes.r]\nmatch = {{ path = \"/\" }}\n\
         upstream = \"https://s3.example\"\nsign.s3-v4 = {{ credential = \"key\", region = \"x\" }}\n{keys}\n"
    );
    let config = config::parse("policy.toml", &text).unwrap_or_else(|problems| panic!("{keys}: {problems}"));
    Policy::new(&config.routes[0].rules)
}

fn asked(name: &str, alias: Option<&'static str>, resource: &str) -> Ask {
    Ask { name: name.to_owned().into(), alias, resource: resource.to_owned() }
}

fn operation(name: &str, resource: &str, access: Access) -> Operation {
    Operation { ask: asked(name, None, resource), further: Vec::new(), access, tier: Tier::None }
}

fn judged<'o>(route: &Policy, operation: &'o Operation) -> Decision<'o> {
    judge(route, None, Secrets::Default, Enforcement::Enforce, operation)
}

/// Whether one rule admits an operation, and whether it forbids it.
fn verdicts(rule: &str, operation: &Operation) -> (bool, bool) {
    let allowed = judged(&policy(&format!("allow = ['{rule}']")), operation);
    let denied = judged(&policy(&format!("deny = ['{rule}']")), operation);
    assert!(allowed.cause.is_none_or(|cause| cause == Cause::NotAllowed), "{allowed:?}");
    assert!(denied.cause.is_none_or(|cause| cause == Cause::Denied), "{denied:?}");
    (allowed.verdict == Verdict::Allow, denied.verdict == Verdict::Deny)
}

#[test]
fn rules_match_as_documented() {
    use Access::{Read, Unknown, Write};
    for (rule, name, resource, access, allows, denies) in [
        // Names.
        ("list*", "listVirtualMachines", "", Read, true, true),
        ("LIST*", "listVirtualMachines", "", Read, true, true),
        ("list*", "deployVirtualMachine", "", Write, false, false),
        ("list?sers", "listUsers", "", Read, true, true),
        ("list?sers", "listsers", "", Read, false, false),
        ("listUsers", "listUsersMore", "", Read, false, false),
        ("istUsers", "listUsers", "", Read, false, false),
        ("GET /v1/zones", "GET /v1/zones", "", Read, true, true),
        ("GET /v1/*", "GET /v1/vm-instances/{uuid}", "", Read, true, true),
        ("* /v1/zones", "DELETE /v1/zones", "", Write, true, true),
        ("lambda:GET /2015-03-31/functions", "lambda:GET /2015-03-31/functions", "", Unknown, true, true),
        // Unknown operations.
        ("list*", "listSomethingNew", "", Unknown, false, true),
        ("list?omethingNew", "listSomethingNew", "", Unknown, false, true),
        ("listsomethingnew", "listSomethingNew", "", Unknown, true, true),
        ("*", "listSomethingNew", "", Unknown, true, true),
        ("**", "listSomethingNew", "", Unknown, false, true),
        ("@read", "listSomethingNew", "", Unknown, false, false),
        ("@write", "listSomethingNew", "", Unknown, false, true),
        // Sets.
        ("@read", "s3:GetObject", "b/k", Read, true, true),
        ("@read", "s3:PutObject", "b/k", Write, false, false),
        ("@write", "s3:PutObject", "b/k", Write, true, true),
        ("@write", "s3:GetObject", "b/k", Read, false, false),
        ("@READ b/*", "s3:GetObject", "b/k", Read, true, true),
        ("@read b/*", "s3:GetObject", "c/k", Read, false, false),
        // Resources: letter case, `*` over `/`, `?`.
        ("s3:GetObject logs/*", "s3:GetObject", "logs/2024/a", Read, true, true),
        ("S3:GETOBJECT logs/*", "s3:GetObject", "logs/a", Read, true, true),
        ("s3:GetObject LOGS/*", "s3:GetObject", "logs/a", Read, false, false),
        ("s3:GetObject logs/*", "s3:GetObject", "logs-private/a", Read, false, false),
        ("s3:GetObject logs*", "s3:GetObject", "logs-private/a", Read, true, true),
        ("s3:GetObject */a", "s3:GetObject", "logs/2024/a", Read, true, true),
        ("s3:GetObject logs/?", "s3:GetObject", "logs/é", Read, true, true),
        ("s3:GetObject logs/a b", "s3:GetObject", "logs/a b", Read, true, true),
        ("s3:GetObject logs/a", "s3:GetObject", "logs/a/b", Read, false, false),
        // Calls without a resource.
        ("s3:ListAllMyBuckets logs", "s3:ListAllMyBuckets", "", Read, false, false),
        ("s3:* logs/*", "s3:ListAllMyBuckets", "", Read, false, false),
        ("s3:* *", "s3:ListAllMyBuckets", "", Read, true, true),
        ("* *", "listUsers", "", Read, true, true),
        ("s3:* **", "s3:ListAllMyBuckets", "", Read, false, false),
        ("s3:* ?*", "s3:ListAllMyBuckets", "", Read, false, false),
        // Buckets and what is in them.
        ("s3:* logs", "s3:DeleteBucket", "logs", Write, true, true),
        ("s3:* logs/*", "s3:DeleteBucket", "logs", Write, false, true),
        ("s3:* logs/2024/*", "s3:DeleteBucket", "logs", Write, false, false),
        ("s3:* logs*", "s3:DeleteBucket", "logs", Write, true, true),
        ("s3:GetObject logs", "s3:GetObject", "logs/2024/a", Read, false, true),
        ("s3:GetObject log?", "s3:GetObject", "logs/2024/a", Read, false, true),
        // Listings.
        ("s3:ListBucket logs", "s3:ListBucket", "logs", Read, true, true),
        ("s3:ListBucket logs", "s3:ListBucket", "logs/2024/", Read, true, true),
        ("s3:ListBucket log?", "s3:ListBucket", "logs/2024/", Read, true, true),
        ("s3:ListBucket logs", "s3:ListBucketVersions", "logs/2024/", Read, false, false),
        ("s3:ListBucket* logs", "s3:ListBucketVersions", "logs/2024/", Read, true, true),
        ("s3:ListBucket* logs", "s3:ListBucketMultipartUploads", "logs/2024/", Read, true, true),
        ("s3:ListBucket logs", "s3:ListBucket", "logs-private/2024/", Read, false, false),
        ("s3:ListBucket logs/*", "s3:ListBucket", "logs", Read, false, true),
        ("s3:ListBucket logs/*", "s3:ListBucket", "logs/", Read, false, true),
        ("s3:ListBucket logs/*", "s3:ListBucket", "logs/2024", Read, true, true),
        ("s3:ListBucket logs/2024/*", "s3:ListBucket", "logs/2024/", Read, true, true),
        ("s3:ListBucket logs/2024/*", "s3:ListBucket", "logs/2024/01", Read, true, true),
        ("s3:ListBucket logs/2024/*", "s3:ListBucket", "logs/2024", Read, false, true),
        ("s3:ListBucket logs/2024/*", "s3:ListBucket", "logs/2", Read, false, true),
        ("s3:ListBucket logs/2024/*", "s3:ListBucket", "logs", Read, false, true),
        ("s3:ListBucket logs/2024/*", "s3:ListBucket", "logs/2025/", Read, false, false),
        ("s3:ListBucket logs/2024/*", "s3:ListBucket", "other", Read, false, false),
        ("s3:* */secret", "s3:ListBucket", "any/prefix", Read, false, true),
        ("s3:GetObject logs/2024/*", "s3:GetObject", "logs/2024", Read, false, false),
        // Names without their service.
        ("DeleteObject", "s3:DeleteObject", "b/k", Write, false, true),
        ("deleteobject", "s3:DeleteObject", "b/k", Write, false, true),
        ("SendMessage", "sqs:SendMessage", "", Write, false, true),
        ("Delete*", "s3:DeleteObject", "b/k", Write, false, false),
        ("s3", "s3:DeleteObject", "b/k", Write, false, false),
    ] {
        let operation = operation(name, resource, access);
        assert_eq!(verdicts(rule, &operation), (allows, denies), "{rule} on {name} {resource}");
    }
}

#[test]
fn both_names_of_a_call_count() {
    let call = |name, alias, resource: &str| {
        let mut operation = operation(name, resource, Access::Read);
        operation.ask.alias = Some(alias);
        operation
    };
    let head = call("s3:GetObject", "s3:HeadObject", "b/k");
    let plain = operation("s3:GetObject", "b/k", Access::Read);
    for (rule, head_matches, plain_matches) in
        [("s3:GetObject", true, true), ("s3:HeadObject", true, false), ("s3:Head* b/*", true, false)]
    {
        assert_eq!(verdicts(rule, &head), (head_matches, head_matches), "{rule}");
        assert_eq!(verdicts(rule, &plain), (plain_matches, plain_matches), "{rule}");
    }
    // HeadBucket is authorised as a listing and shows no name: a prefix that is denied does not matter to it.
    let head = call("s3:ListBucket", "s3:HeadBucket", "logs");
    assert_eq!(verdicts("s3:* logs/secret/*", &head), (false, false));
    assert_eq!(verdicts("s3:ListBucket logs", &head), (true, true));
    let list = call("s3:ListBucket", "s3:ListObjectsV2", "logs");
    assert_eq!(verdicts("s3:* logs/secret/*", &list), (false, true));
}

#[test]
fn tiers_make_sets() {
    for (tier, access, rule, allows, denies) in [
        (Tier::Keys, Access::Write, "@keys", true, true),
        (Tier::Keys, Access::Unknown, "@keys", false, true),
        (Tier::Keys, Access::Write, "@material", false, false),
        (Tier::Material, Access::Read, "@material", true, true),
        (Tier::Material, Access::Unknown, "@material", false, true),
        (Tier::Material, Access::Read, "@read", true, true),
        (Tier::Material, Access::Read, "@keys", false, false),
    ] {
        let call = Operation { tier, ..operation("x", "", access) };
        let [allow, deny] = ["allow", "deny"].map(|key| policy(&format!("{key} = ['{rule}']")));
        let open = |policy| judge(policy, None, Secrets::Allow, Enforcement::Enforce, &call).verdict;
        assert_eq!(
            (open(&allow) == Verdict::Allow, open(&deny) == Verdict::Deny),
            (allows, denies),
            "{rule} {tier:?}"
        );
    }
}

#[test]
fn secrets_open_tiers_and_nothing_else_does() {
    for (tier, secrets, passes) in [
        (Tier::Keys, Secrets::Default, false),
        (Tier::Keys, Secrets::Deny, false),
        (Tier::Keys, Secrets::Redact, true),
        (Tier::Keys, Secrets::Allow, true),
        (Tier::Material, Secrets::Default, true),
        (Tier::Material, Secrets::Deny, false),
        (Tier::Material, Secrets::Redact, true),
        (Tier::Material, Secrets::Allow, true),
        (Tier::None, Secrets::Deny, true),
    ] {
        let call = Operation { tier, ..operation("registerUserKeys", "", Access::Write) };
        for keys in ["", "allow = ['registerUserKeys']", "allow = ['@keys', '@material', '*']"] {
            for enforcement in [Enforcement::Enforce, Enforcement::Learn] {
                let decision = judge(&policy(keys), Some(&policy("")), secrets, enforcement, &call);
                let refused = (!passes).then_some(Cause::Secrets(tier));
                assert_eq!(decision.cause, refused, "{tier:?} {secrets:?} {keys}");
                assert_eq!(decision.verdict, if passes { Verdict::Allow } else { Verdict::Deny });
                assert_eq!(&*decision.rule == "secrets", !passes);
            }
        }
    }
}

#[test]
fn the_order_is_deny_secrets_read_only_allow() {
    let route = policy("allow = ['list*']\ndeny = ['destroy*']\nread-only = true");
    let keys = |operation: Operation| Operation { tier: Tier::Keys, ..operation };
    for (call, cause, rule) in [
        (keys(operation("destroyAll", "", Access::Write)), Some(Cause::Denied), "destroy*"),
        (keys(operation("registerUserKeys", "", Access::Write)), Some(Cause::Secrets(Tier::Keys)), "secrets"),
        (operation("stopVirtualMachine", "", Access::Write), Some(Cause::ReadOnly), "read-only"),
        (operation("somethingNew", "", Access::Unknown), Some(Cause::ReadOnly), "read-only"),
        (operation("getUser", "", Access::Read), Some(Cause::NotAllowed), "allow"),
        (operation("listUsers", "", Access::Read), None, "list*"),
    ] {
        let decision = judged(&route, &call);
        assert_eq!((decision.cause, &*decision.rule), (cause, rule), "{call:?}");
        let verdict = if cause.is_none() { Verdict::Allow } else { Verdict::Deny };
        assert_eq!(decision.verdict, verdict);
        let learnt = judge(&route, None, Secrets::Default, Enforcement::Learn, &call);
        let passes = matches!(cause, Some(Cause::ReadOnly | Cause::NotAllowed));
        assert_eq!(learnt.verdict, if passes { Verdict::Learn } else { verdict }, "{call:?}");
        assert_eq!((learnt.cause, &*learnt.rule), (cause, rule), "{call:?}");
    }
}

#[test]
fn route_and_client_must_agree() {
    let call = operation("listUsers", "", Access::Write);
    for (route, client, verdict, by, rule) in [
        ("", "", Verdict::Allow, By::Route, ""),
        ("allow = ['list*']", "", Verdict::Allow, By::Route, "list*"),
        ("", "allow = ['listU*']", Verdict::Allow, By::Client, "listU*"),
        ("allow = ['list*']", "allow = ['listU*']", Verdict::Allow, By::Route, "list*"),
        ("allow = ['list*']", "allow = ['get*']", Verdict::Deny, By::Client, "allow"),
        ("allow = ['get*']", "allow = ['list*']", Verdict::Deny, By::Route, "allow"),
        ("allow = []", "", Verdict::Deny, By::Route, "allow"),
        ("", "allow = []", Verdict::Deny, By::Client, "allow"),
        ("deny = ['list*']", "allow = ['*']", Verdict::Deny, By::Route, "list*"),
        ("allow = ['*']", "deny = ['list*']", Verdict::Deny, By::Client, "list*"),
        ("read-only = true", "", Verdict::Deny, By::Route, "read-only"),
        ("", "read-only = true", Verdict::Deny, By::Client, "read-only"),
    ] {
        let (route_rules, client_rules) = (policy(route), policy(client));
        let decision =
            judge(&route_rules, Some(&client_rules), Secrets::Default, Enforcement::Enforce, &call);
        assert_eq!(
            (decision.verdict, decision.by, &*decision.rule),
            (verdict, by, rule),
            "{route} | {client}"
        );
    }
}

#[test]
fn everything_that_is_asked_for_counts() {
    let copy = Operation {
        ask: asked("s3:PutObject", Some("s3:CopyObject"), "to/b"),
        further: vec![asked("s3:GetObject", None, "from/a"), asked("s3:PutObjectAcl", None, "to/b")],
        access: Access::Write,
        tier: Tier::None,
    };
    for (keys, cause, resource) in [
        ("", None, "to/b"),
        ("allow = ['@read from/*', '@write to/*']", None, "to/b"),
        ("allow = ['s3:GetObject from/*', 's3:PutObject to/*', 's3:PutObjectAcl to/*']", None, "to/b"),
        ("allow = ['@write']", Some(Cause::NotAllowed), "from/a"),
        ("allow = ['@write to/*', '@read to/*']", Some(Cause::NotAllowed), "from/a"),
        ("allow = ['s3:GetObject from/*', 's3:PutObject to/*']", Some(Cause::NotAllowed), "to/b"),
        ("deny = ['s3:GetObject from/*']", Some(Cause::Denied), "from/a"),
        ("deny = ['@read from/*']", Some(Cause::Denied), "from/a"),
        ("deny = ['s3:PutObjectAcl']", Some(Cause::Denied), "to/b"),
        ("read-only = true", Some(Cause::ReadOnly), "to/b"),
    ] {
        let rules = policy(keys);
        let decision = judged(&rules, &copy);
        assert_eq!((decision.cause, decision.ask.resource.as_str()), (cause, resource), "{keys}");
    }
    // One key of a thousand.
    let key = |name: String| asked("s3:DeleteObject", Some("s3:DeleteObjects"), &name);
    let further: Vec<Ask> = (1..1000).map(|n| key(format!("b/tmp/{n}"))).collect();
    let mut list = Operation { ask: key("b/tmp/0".into()), further, access: Access::Write, tier: Tier::None };
    let rules = policy("allow = ['s3:DeleteObject b/tmp/*']");
    assert_eq!(judged(&rules, &list).verdict, Verdict::Allow);
    list.further[700].resource = "b/precious".to_owned();
    let decision = judged(&rules, &list);
    assert_eq!((decision.verdict, decision.ask.resource.as_str()), (Verdict::Deny, "b/precious"));
}

/// A deny of what comes later is found though what comes first would only be learnt.
#[test]
fn learning_does_not_hide_a_ban() {
    let mut call = operation("s3:PutObject", "a/b", Access::Write);
    call.further.push(asked("s3:GetObject", None, "secret/x"));
    let (route, client) = (policy("allow = []\nread-only = true"), policy("deny = ['* secret/*']"));
    let decision = judge(&route, Some(&client), Secrets::Default, Enforcement::Learn, &call);
    assert_eq!((decision.verdict, decision.by), (Verdict::Deny, By::Client));
}

/// What `docs/policy.md` says, said again in the plainest way.
mod oracle {
    use countersign::operation::{Access, Ask, Operation};

    fn glob(pattern: &str, text: &str) -> bool {
        match (pattern.chars().next(), text.chars().next()) {
            (None, None) => true,
            (Some('*'), _) => glob(&pattern[1..], text) || (!text.is_empty() && glob(pattern, &text[1..])),
            (Some('?'), Some(_)) => glob(&pattern[1..], &text[1..]),
            (Some(a), Some(b)) => a == b && glob(&pattern[1..], &text[1..]),
            _ => false,
        }
    }

    /// Every continuation of at most three characters: as much as the patterns of this test can want.
    fn continuations() -> Vec<String> {
        let letters = ["a", "b", "/"];
        let mut all = vec![String::new()];
        for length in 0..3 {
            let longer: Vec<String> = all
                .iter()
                .filter(|text| text.len() == length)
                .flat_map(|text| letters.iter().map(move |letter| format!("{text}{letter}")))
                .collect();
            all.extend(longer);
        }
        all
    }

    fn resource_matches(allow: bool, pattern: &str, ask: &Ask) -> bool {
        let resource = &ask.resource;
        if pattern == "*" {
            return true;
        }
        if resource.is_empty() {
            return false;
        }
        let bucket = resource.split('/').next().unwrap();
        let names_bucket = !pattern.contains('/') && glob(pattern, bucket);
        let listing = ask.name.starts_with("s3:ListBucket");
        if allow {
            return glob(pattern, resource) || listing && names_bucket;
        }
        let whole = resource.contains('/');
        let below = if whole { resource.clone() } else { format!("{resource}/") };
        let shown = |more: &String| glob(pattern, &format!("{below}{more}"));
        names_bucket || glob(pattern, &below) || listing && continuations().iter().any(shown)
    }

    pub(super) fn matches(allow: bool, rule: &str, operation: &Operation, index: usize) -> bool {
        let ask = if index == 0 { &operation.ask } else { &operation.further[index - 1] };
        let reads = index > 0 && (ask.name.starts_with("s3:Get") || ask.name.starts_with("s3:List"));
        let access = if reads { Access::Read } else { operation.access };
        let (names, resource) = rule.split_once(' ').unwrap_or((rule, "*"));
        let named = match names {
            "@read" => access == Access::Read,
            "@write" if allow => access == Access::Write,
            "@write" => access != Access::Read,
            pattern => {
                let whole = glob(&pattern.to_lowercase(), &ask.name.to_lowercase());
                let wild = pattern.contains(['*', '?']) && pattern != "*";
                let bare = !allow && !wild && ask.name.ends_with(&format!(":{pattern}"));
                (whole || bare) && !(allow && access == Access::Unknown && wild)
            }
        };
        named && resource_matches(allow, resource, ask)
    }
}

const RULE_NAMES: [&str; 12] = [
    "*",
    "s3:*",
    "s3:GetObject",
    "s3:getobject",
    "s3:Get*",
    "s3:ListBucket",
    "s3:?utObject",
    "GetObject",
    "@read",
    "@write",
    "s3:New",
    "s3:PutObject",
];
const RULE_RESOURCES: [&str; 14] =
    ["", "", "", " *", " a", " a/*", " a/b", " a/b/*", " b", " ?/a", " */b", " a*", " a/?", " b/a*"];
const CALLS: [(&str, Access); 5] = [
    ("s3:GetObject", Access::Read),
    ("s3:PutObject", Access::Write),
    ("s3:ListBucket", Access::Read),
    ("s3:New", Access::Unknown),
    ("s3:GetNew", Access::Unknown),
];
const RESOURCES: [&str; 9] = ["", "a", "b", "a/b", "a/b/", "a/b/a", "b/a", "a/a", "ab"];

fn rules(dice: &mut Dice, most: usize) -> Vec<String> {
    let count = dice.below(most + 1);
    (0..count).map(|_| format!("{}{}", dice.pick(&RULE_NAMES), dice.pick(&RULE_RESOURCES))).collect()
}

fn random_operation(dice: &mut Dice) -> Operation {
    let (name, access) = CALLS[dice.below(CALLS.len())];
    let mut call = operation(name, dice.pick(&RESOURCES), access);
    if access != Access::Read {
        for _ in 0..dice.below(3) {
            let (name, _) = CALLS[dice.below(CALLS.len())];
            call.further.push(asked(name, None, dice.pick(&RESOURCES)));
        }
    }
    call
}

/// Rules of a route or client: `allow` if any, `deny`, `read-only`.
struct Drawn {
    allow: Option<Vec<String>>,
    deny: Vec<String>,
    read_only: bool,
}

impl Drawn {
    fn draw(dice: &mut Dice) -> Self {
        let unique = |mut rules: Vec<String>| {
            rules.sort();
            rules.dedup();
            rules
        };
        let allow = (dice.below(3) > 0).then(|| unique(rules(dice, 4)));
        let deny = if dice.below(2) == 0 { unique(rules(dice, 2)) } else { Vec::new() };
        Self { allow, deny, read_only: dice.below(6) == 0 }
    }

    fn policy(&self) -> Policy {
        let list =
            |rules: &[String]| format!("[{}]", rules.iter().map(|r| format!("'{r}', ")).collect::<String>());
        let allow = self.allow.as_ref().map(|rules| format!("allow = {}\n", list(rules))).unwrap_or_default();
        policy(&format!("{allow}deny = {}\nread-only = {}", list(&self.deny), self.read_only))
    }

    fn cause(&self, call: &Operation, stage: usize) -> bool {
        let any = |allow: bool, rules: &[String], index| {
            rules.iter().any(|rule| oracle::matches(allow, rule, call, index))
        };
        let mut indices = 0..=call.further.len();
        match stage {
            0 => indices.any(|index| any(false, &self.deny, index)),
            1 => self.read_only && call.access != Access::Read,
            _ => self.allow.as_ref().is_some_and(|allow| indices.any(|index| !any(true, allow, index))),
        }
    }
}

#[test]
fn random_rules_agree_with_the_oracle() {
    let mut dice = Dice::new("random rules");
    let mut seen = std::collections::HashMap::new();
    for turn in 0..4_000 {
        let (route, client) = (Drawn::draw(&mut dice), Drawn::draw(&mut dice));
        let (route_rules, client_rules) = (route.policy(), client.policy());
        for _ in 0..25 {
            let call = random_operation(&mut dice);
            let causes = [Cause::Denied, Cause::ReadOnly, Cause::NotAllowed];
            let expected = causes.into_iter().enumerate().find_map(|(stage, cause)| {
                [(By::Route, &route), (By::Client, &client)]
                    .into_iter()
                    .find(|(_, rules)| rules.cause(&call, stage))
                    .map(|(by, _)| (cause, by))
            });
            let decision =
                judge(&route_rules, Some(&client_rules), Secrets::Default, Enforcement::Enforce, &call);
            let found = decision.cause.map(|cause| (cause, decision.by));
            let told = || {
                format!(
                    "turn {turn}: {call:?}\nroute {:?} {:?}\nclient {:?} {:?}\n{decision:?}",
                    route.allow, route.deny, client.allow, client.deny
                )
            };
            assert_eq!(found, expected, "{}", told());
            *seen.entry(format!("{expected:?}")).or_insert(0) += 1;
        }
    }
    assert!(seen.len() == 7 && seen.values().all(|count| *count > 1000), "{seen:?}");
}

/// Lists that were learnt admit what they were learnt from, whatever it was, and survive the way through the record.
#[test]
fn what_was_learnt_is_admitted() {
    let mut dice = Dice::new("what was learnt");
    let names = ["s3:GetObject", "s3:ListBucket", "s3:PutObject", "s3:DeleteBucket", "listUsers"];
    let parts = ["a", "b c", "2024", "*", "?", "é", " ", "%25", "x'y", "\""];
    for turn in 0..2_000 {
        let mut calls = Vec::new();
        for _ in 0..=dice.below(6) {
            let name = dice.pick(&names);
            let bucket = dice.pick(&["logs", "data", "b"]);
            let key: Vec<&str> = (0..dice.below(4)).map(|_| dice.pick(&parts)).collect();
            let resource = match name {
                "listUsers" => String::new(),
                "s3:DeleteBucket" => bucket.to_owned(),
                _ if key.is_empty() && name == "s3:ListBucket" => bucket.to_owned(),
                _ if key.is_empty() => format!("{bucket}/x"),
                _ => format!("{bucket}/{}", key.join("/")),
            };
            let mut call = operation(name, &resource, Access::Write);
            if name == "s3:PutObject" && dice.below(2) == 0 {
                call.further.push(asked("s3:GetObject", None, &format!("{bucket}/source")));
            }
            calls.push(call);
        }
        let mut learnt = Learnt::default();
        for call in &calls {
            for rule in Learnt::from_call(call) {
                learnt.add_rule(&rule).unwrap();
            }
        }
        let list: Vec<String> = learnt.rules();
        let quoted = list.iter().map(|rule| format!("'''{rule}''', ")).collect::<String>();
        let rules = policy(&format!("allow = [{quoted}]"));
        for call in &calls {
            assert_eq!(judged(&rules, call).verdict, Verdict::Allow, "turn {turn}: {call:?}\n{list:#?}");
        }
        // Nothing of another bucket or name came with it.
        for other in ["s3:GetObject", "s3:PutObject"] {
            let call = operation(other, "elsewhere/x", Access::Read);
            assert_eq!(judged(&rules, &call).verdict, Verdict::Deny, "{list:#?}");
        }
    }
}

#[test]
fn the_smallest_list() {
    let learnt = |calls: &[(&str, &str)]| {
        let mut learnt = Learnt::default();
        for (name, resource) in calls {
            learnt.add(name, resource).unwrap();
        }
        learnt.rules()
    };
    for (calls, rules) in [
        (&[("listUsers", ""), ("listUsers", "")][..], &["listUsers"][..]),
        (&[("s3:GetObject", "logs/2024/a")], &["s3:GetObject logs/2024/a"]),
        (&[("s3:GetObject", "logs/2024/a"), ("s3:GetObject", "logs/2024/b")], &["s3:GetObject logs/2024/*"]),
        (&[("s3:GetObject", "logs/2024/a"), ("s3:GetObject", "logs/2025/a")], &["s3:GetObject logs/*"]),
        (&[("s3:GetObject", "logs/20"), ("s3:GetObject", "logs/21")], &["s3:GetObject logs/*"]),
        (
            &[("s3:GetObject", "a/x"), ("s3:GetObject", "b/x"), ("s3:PutObject", "a/x")],
            &["s3:GetObject a/x", "s3:GetObject b/x", "s3:PutObject a/x"],
        ),
        (&[("s3:ListBucket", "logs"), ("s3:ListBucket", "logs/2024/")], &["s3:ListBucket logs"]),
        (&[("s3:ListBucket", "logs/"), ("s3:ListBucket", "logs/2024/")], &["s3:ListBucket logs"]),
        (&[("s3:ListBucket", "logs/2024/")], &["s3:ListBucket logs/2024/"]),
        (
            &[("s3:ListBucket", "logs/2024/01"), ("s3:ListBucket", "logs/2024/")],
            &["s3:ListBucket logs/2024/*"],
        ),
        (
            &[("s3:GetObject", "logs/a*b"), ("s3:GetObject", "data/end ")],
            &["s3:GetObject data/end?", "s3:GetObject logs/a?b"],
        ),
        (&[("GET /v1/zones", ""), ("lambda:GET /x", "")], &["GET /v1/zones", "lambda:GET /x"]),
    ] {
        assert_eq!(learnt(calls), rules, "{calls:?}");
    }
    for odd in ["", "@read", "list*", "a b", "list?sers", "a\nb", "GET /v1/a b"] {
        assert!(Learnt::default().add(odd, "").is_err(), "{odd:?}");
    }
}
