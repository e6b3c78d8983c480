//! Clients and what decides over a call, in the configuration: what they mean, and what is refused with which words.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use countersign::config::{
    self, ClientAddress, ClientAuth, Config, Enforcement, Problems, Quota, Secrets, Selector,
};

fn good(text: &str) -> Config {
    config::parse("test.toml", text).unwrap_or_else(|problems| panic!("{problems}"))
}

fn bad(text: &str) -> Problems {
    match config::parse("test.toml", text) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(problems) => problems,
    }
}

/// A file of which only `server`, `client` (the lines of `[clients.ops]`, from line 4) and `route` vary.
fn file(server: &str, client: &str, route: &str) -> String {
    format!(
        "version = 1\n[server]\nlisten = [{server}]\n[clients.ops]\n{client}\n[credentials.lab]\naws-profile = \"lab\"\n\
         [routes.one]\nmatch = {{ path = \"/\" }}\nupstream = \"https://cloud.example\"\n{route}\n"
    )
}

const LOCAL: &str = "\"127.0.0.1:0\"";
const OPS: &str = "unix-user = \"ops\"";
const CLOUDSTACK: &str = "sign.cloudstack = { credential = \"lab\" }";
const S3: &str = "sign.s3-v4 = { credential = \"lab\", region = \"x\" }";

#[track_caller]
fn refused(text: &str, expected: &str) {
    let problems = bad(text);
    let found: Vec<_> = problems
        .iter()
        .map(|problem| {
            let at = problems.position(problem).unwrap();
            format!("{}:{} {}", at.line, at.column, problem.message())
        })
        .collect();
    assert_eq!(found, [expected], "\n{text}\n{problems}");
}

#[test]
fn the_full_example_shows_every_condition() {
    let config = good(include_str!("../config/full.toml"));
    let named = |name: &str| config.clients.iter().find(|client| client.name == name).unwrap();
    assert_eq!(named("billing-cron").conditions.from, ["10.20.0.0/16".parse().unwrap()]);
    assert!(named("billing-cron").rules.read_only);
    let ops = named("ops");
    assert_eq!(ops.conditions.unix_group.as_deref(), Some("ops"));
    let rate = ops.quota.rate.unwrap();
    assert_eq!((rate.requests.get(), rate.per.as_secs(), rate.burst.get()), (100, 1, 200));
    assert_eq!(ops.quota.concurrency.unwrap().get(), 64);
    let deploy = named("deploy");
    assert_eq!(deploy.conditions.unix_user.as_deref(), Some("deploy"));
    let allow = deploy.rules.allow.as_ref().unwrap();
    assert_eq!(allow[0].selector, Selector::Read);
    assert_eq!(allow[1].selector, Selector::Glob("deployVirtualMachine".into()));
    assert_eq!(deploy.rules.deny.len(), 1);
    assert_eq!(named("partner").conditions.certificate.as_deref(), Some("partner.example"));
    assert_eq!(named("agent").conditions.tokens.len(), 1);
    let keys: Vec<_> = named("backup-job").conditions.keys.iter().map(|key| &*key.access_key).collect();
    assert_eq!(keys, ["LOCALBACKUP01", "LOCALBACKUP02"]);

    let route = |name: &str| config.routes.iter().find(|route| route.name == name).unwrap();
    let cloudstack = route("cloudstack");
    assert_eq!(cloudstack.clients.as_ref().unwrap(), &["billing-cron", "ops", "deploy"]);
    assert_eq!(cloudstack.secrets, Secrets::Redact);
    assert_eq!(cloudstack.policy, Enforcement::Enforce);
    assert_eq!(cloudstack.redact, ["vncpassword"]);
    let backups = route("backups");
    assert!(backups.refuse_replays);
    assert_eq!(backups.rules.allow.as_ref().unwrap()[0].resource.as_deref(), Some("logs/*"));
    assert!(route("queue").clients.is_none() && route("queue").rules.allow.is_none());
    assert_eq!((route("queue").secrets, route("queue").quota), (Secrets::Default, Quota::default()));

    let listeners = &config.server.listen;
    assert_eq!(listeners[2].tls.as_ref().unwrap().client_auth, ClientAuth::Optional);
    assert!(listeners[2].tls.as_ref().unwrap().client_crl.is_some());
    assert_eq!(listeners[3].client_address, Some(ClientAddress::ProxyProtocol));
    assert_eq!(listeners[3].trusted_proxies, ["10.0.0.5/32".parse().unwrap()]);
}

#[test]
fn an_account_may_be_a_number() {
    let config = good(&file(LOCAL, "unix-user = 1000\nunix-group = \"users\"", CLOUDSTACK));
    assert_eq!(config.clients[0].conditions.unix_user.as_deref(), Some("1000"));
}

#[test]
fn an_empty_allow_list_is_a_list() {
    let config = good(&file(LOCAL, OPS, &format!("allow = []\n{CLOUDSTACK}")));
    assert_eq!(config.routes[0].rules.allow.as_deref(), Some(&[][..]));
}

#[test]
fn routes_with_clients_may_be_reached_from_elsewhere() {
    let route = format!("clients = [\"ops\"]\n{CLOUDSTACK}");
    assert_eq!(good(&file("\"0.0.0.0:8480\"", OPS, &route)).routes.len(), 1);
    refused(
        &file("\"0.0.0.0:8480\"", OPS, CLOUDSTACK),
        "3:11 other machines can reach this listener, and route `one` admits anyone",
    );
}

#[test]
fn each_rule_of_a_client_speaks_for_itself() {
    for (client, expected) in [
        ("", "4:10 client `ops` has no condition: anyone would be it"),
        ("read-only = true", "4:10 client `ops` has no condition: anyone would be it"),
        ("from = []", "5:8 `clients.ops.from` names no network"),
        ("from = [\"10.0.0.0/33\"]", "5:9 `clients.ops.from` is not a network"),
        ("from = [\"10.0.0.1/8\"]", "5:9 `clients.ops.from` has bits beyond its prefix"),
        ("from = \"10.0.0.0/8\"", "5:8 `clients.ops.from` must be an array"),
        ("unix-user = \"\"", "5:13 `clients.ops.unix-user` is not the name of an account"),
        ("unix-user = -1", "5:13 `clients.ops.unix-user` is not the number of an account"),
        ("certificate = \"a.example\"", "5:15 no listener asks callers for a certificate"),
        ("token = \"abc\"", "5:9 `clients.ops.token` must be a reference, not a value"),
        ("token = []", "5:9 `clients.ops.token` names no token"),
        ("keys = []", "5:8 `clients.ops.keys` names no key"),
        ("keys = [{ access-key = \"LOCAL1\" }]", "5:9 `clients.ops.keys` has no `secret-key`"),
        (
            "keys = [{ access-key = \"A/B\", secret-key = { file = \"/x\" } }]",
            "5:24 `clients.ops.keys.access-key` is not the id of a local key",
        ),
        (
            "keys = [{ access-key = \"LOCAL1\", secret-key = \"abc\" }]",
            "5:47 `clients.ops.keys.secret-key` must be a reference, not a value",
        ),
        ("uid = 5\nunix-user = 5", "5:1 unknown key `uid` in `clients.ops`"),
        ("unix-user = 5\nallow = [\"@reads\"]", "6:10 `clients.ops.allow` names a set that does not exist"),
        ("unix-user = 5\nallow = [\"\"]", "6:10 `clients.ops.allow` is not a rule"),
        ("unix-user = 5\ndeny = [\"a\", \"a\"]", "6:14 `clients.ops.deny` names `a` twice"),
        ("unix-user = 5\nrate = \"5\"", "6:8 `clients.ops.rate` is not a rate"),
        ("unix-user = 5\nburst = 5", "6:9 `clients.ops.burst` needs `rate`"),
        ("unix-user = 5\nconcurrency = 0", "6:15 `clients.ops.concurrency` must be from 1 to 1000000"),
    ] {
        refused(&file(LOCAL, client, CLOUDSTACK), expected);
    }
    let two = "keys = [{ access-key = \"LOCAL1\", secret-key = { file = \"/x\" } }]\n[clients.two]\n\
               keys = [{ access-key = \"LOCAL1\", secret-key = { file = \"/y\" } }]";
    refused(&file(LOCAL, two, CLOUDSTACK), "7:24 two local keys have the same `access-key`");
    refused(
        &file(LOCAL, &format!("{OPS}\n[clients.anonymous]\nunix-user = 5"), CLOUDSTACK),
        "6:10 `anonymous` is no name for a client",
    );
}

#[test]
fn each_rule_of_a_route_speaks_for_itself() {
    for (route, expected) in [
        ("clients = []", "11:11 `routes.one.clients` admits nobody"),
        ("clients = [\"opz\"]", "11:12 client `opz` is not defined"),
        ("clients = [\"somebody\"]", "11:12 `routes.one.clients` names a client that is not defined"),
        ("clients = [\"ops\", \"ops\"]", "11:19 `routes.one.clients` names `ops` twice"),
        ("clients = \"ops\"", "11:11 `routes.one.clients` must be an array"),
        ("deny = [\"destroy* web/*\"]", "11:9 `routes.one.deny` names a resource, and this route has none"),
        ("secrets = \"hide\"", "11:11 `routes.one.secrets` must be one of: deny, redact, allow"),
        ("policy = \"off\"", "11:10 `routes.one.policy` must be one of: enforce, learn"),
        ("read-only = \"yes\"", "11:13 `routes.one.read-only` must be `true` or `false`"),
        ("redact = true", "11:10 `routes.one.redact` must be an array"),
        ("redact = [\"a b\"]", "11:11 `routes.one.redact` is not the name of a field"),
        (
            "secrets = \"allow\"\nredact = [\"a\"]",
            "12:10 `routes.one.redact` stands beside `secrets = \"allow\"`",
        ),
        ("refuse-replays = 1", "11:18 `routes.one.refuse-replays` must be `true` or `false`"),
    ] {
        refused(&file(LOCAL, OPS, &format!("{route}\n{CLOUDSTACK}")), expected);
    }
    assert!(
        good(&file(LOCAL, OPS, &format!("deny = [\"s3:* web/*\"]\n{S3}"))).routes[0].rules.deny[0]
            .resource
            .is_some()
    );
}

#[test]
fn each_rule_of_a_listener_speaks_for_itself() {
    for (listener, expected) in [
        (
            "{ address = \"127.0.0.1:0\", trusted-proxies = [\"10.0.0.1\"] }",
            "3:56 `server.listen.trusted-proxies` needs `client-address`",
        ),
        (
            "{ address = \"127.0.0.1:0\", client-address = \"forwarded\" }",
            "3:55 `server.listen.client-address` needs `trusted-proxies`",
        ),
        (
            "{ address = \"unix:/x\", trusted-proxies = [\"10.0.0.1\"], client-address = \"forwarded\" }",
            "3:52 `server.listen.trusted-proxies` is for TCP listeners",
        ),
        (
            "{ address = \"127.0.0.1:0\", tls = { certificate = \"/a\", key = \"/b\", client-crl = \"/c\" } }",
            "3:91 `server.listen.tls.client-crl` needs `client-ca`",
        ),
    ] {
        refused(&file(listener, OPS, CLOUDSTACK), expected);
    }
}
