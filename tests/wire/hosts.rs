//! The `Host` that arrives is the upstream's own; the one that came decides the route and nothing else.

use crate::support::naive::{self, Keys};
use crate::support::{Gateway, Setup, Upstream, ask, every_scheme};

const ROUTE: &str = "[routes.cloud]\nmatch = { path = \"/client/api\" }\nupstream = { url = \"URL\"HOST }\nsecrets = \"allow\"\n\
    sign.cloudstack = { credential = \"key\" }\n";
const CALL: &str = "/client/api?command=listUsers";

#[test]
fn the_host_is_exactly_the_upstreams() {
    for (host, expected) in [
        ("", None),
        (", host = \"cloud.example\"", Some("cloud.example")),
        (", host = \"cloud.example:8443\"", Some("cloud.example:8443")),
    ] {
        let upstream = Upstream::ok();
        let gateway = Gateway::with(&ROUTE.replace("URL", &upstream.url()).replace("HOST", host));
        gateway.call(&ask("GET", CALL)).passed(200);
        let request = upstream.last();
        naive::cloudstack(&request, &Keys::default()).unwrap();
        let expected = expected.map_or_else(|| upstream.address.to_string(), str::to_owned);
        assert_eq!(request.headers.one("host"), Some(expected.as_str()));
    }
}

#[test]
fn known_hosts_are_answered_and_no_others() {
    let upstream = Upstream::ok();
    let gateway = Setup::routes(&every_scheme(&upstream))
        .listen("{ address = \"127.0.0.1:0\", hosts = [\"gateway.lan\"] }")
        .start();
    let own = gateway.address.to_string();
    let good = [
        &own,
        "127.0.0.1",
        "127.0.0.1:1",
        "localhost",
        "LocalHost:65535",
        "[::1]",
        "[::1]:80",
        "gateway.lan",
        "GATEWAY.lan:8480",
    ];
    for host in good {
        gateway.call(&ask("GET", CALL).header("Host", host)).passed(200);
    }
    assert_eq!(upstream.take().len(), good.len());
    let connections = upstream.connections();
    for host in [
        "0.0.0.0",
        "[::]",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "127.1",
        "0177.0.0.1",
        "0x7f.1",
        "127.0.0.1.",
        "localhost.",
        "evil.example",
        "rebind.example:8480",
        "gateway.lan.evil.example",
        "xgateway.lan",
        "s3.internal.",
        "x.s3.internal",
        "localhost:abc",
        "localhost:",
        "localhost:1:2",
        ":80",
        "",
        "127.0.0.2",
    ] {
        let answer = gateway.call(&ask("GET", CALL).header("Host", host));
        let verdict = (answer.status, answer.error());
        assert_eq!(verdict, (421, "unknown-host"), "{host:?}");
    }
    for path in ["/", "/client", "/client/apix", "/client/", "/zstackx", "/%63lient/api", "/x/../client/api"]
    {
        gateway.call(&ask("GET", path)).refused(404, "route-not-found");
    }
    assert_eq!((upstream.take().len(), upstream.connections()), (0, connections));
}

#[test]
fn the_more_specific_route_answers() {
    let (first, second) = (Upstream::ok(), Upstream::ok());
    let sign = "sign.s3-v4 = { credential = \"key\", region = \"us-east-1\" }";
    let gateway = Gateway::with(&format!(
        "[routes.one]\nmatch = {{ path = \"/a\" }}\nupstream = \"{0}\"\n{sign}\nsecrets = \"allow\"\n\
         [routes.two]\nmatch = {{ path = \"/a/b\" }}\nupstream = \"{1}\"\n{sign}\nsecrets = \"allow\"\n\
         [routes.three]\nmatch = {{ host = \"*.b.internal\", path = \"/a\" }}\nupstream = \"{1}\"\n{sign}\nsecrets = \"allow\"\n",
        first.url(),
        second.url(),
    ));
    for (host, path, upstream) in [
        ("localhost", "/a", &first),
        ("localhost", "/a/", &first),
        ("localhost", "/a/bc", &first),
        ("localhost", "/a/b", &second),
        ("localhost", "/a/b/c", &second),
        ("x.b.internal", "/a/k", &second),
    ] {
        gateway.call(&ask("GET", path).header("Host", host)).passed(200);
        assert_eq!(upstream.take().len(), 1, "{host}{path}");
    }
}

#[test]
fn a_route_without_its_credential_forwards_nothing() {
    let upstream = Upstream::ok();
    let gone = "access-key = { env = \"COUNTERSIGN_TEST_ABSENT\" }\nsecret-key = { file = \"/nonexistent\" }";
    let text = format!(
        "[credentials.gone]\n{gone}\n{}[routes.dead]\nmatch = {{ path = \"/dead\" }}\nupstream = \"{}\"\nsecrets = \"allow\"\n\
         sign.cloudstack = {{ credential = \"gone\" }}\n",
        every_scheme(&upstream),
        upstream.url(),
    );
    let gateway = Gateway::with(&text);
    let answer = gateway.call(&ask("GET", "/dead?command=listUsers&response=json"));
    answer.refused(503, "credential-unavailable");
    upstream.assert_untouched("there was nothing to sign with");
    gateway.call(&ask("GET", CALL)).passed(200);
    let ready = gateway.admin("/readyz");
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("gone"), "{}", ready.text());
}
