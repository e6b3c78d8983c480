//! Tokens: plain and hashed, as Bearer and as Basic, and what is told to those who have none.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::routes;
use crate::support::naive::sha256;
use crate::support::{Gateway, Setup, Upstream, ask};

const PLAIN: &str = "plain-canary-token/With+chars=0123456789";
const HASHED: &str = "hashed-canary-token-0123456789abcdef";

fn gateway(upstream: &Upstream) -> Gateway {
    Setup::routes(&routes(upstream, "clients = [\"plain\", \"hashed\"]"))
        .environment("PLAIN", PLAIN)
        .environment("HASHED", &format!("sha256:{}", sha256(HASHED.as_bytes()).to_uppercase()))
        .environment("OTHER", "other-token")
        .text("[clients.plain]\ntoken = { env = \"PLAIN\" }")
        .text("[clients.hashed]\ntoken = [{ env = \"HASHED\" }]")
        .text("[clients.elsewhere]\ntoken = { env = \"OTHER\" }")
        .start()
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

#[test]
fn tokens_are_known_however_they_are_kept_and_shown() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    for (value, client) in [
        (format!("Bearer {PLAIN}"), "plain"),
        (format!("bearer  {PLAIN} "), "plain"),
        (format!("BEARER {HASHED}"), "hashed"),
        (basic("anybody", PLAIN), "plain"),
        (basic("", HASHED), "hashed"),
        (basic("a", PLAIN).replace("Basic", "basic"), "plain"),
    ] {
        for target in ["/client/api?command=listUsers", "/zstack/v1/zones", "/sqs/q?Action=ListQueues"] {
            let response = gateway.call(&ask("GET", target).header("Authorization", &value));
            response.passed(200);
            let record = gateway.record_of(&response);
            assert_eq!((&record["client"], &record["proof"]), (&client.into(), &"token".into()), "{value}");
        }
    }
    for request in upstream.take() {
        assert!(!format!("{request:?}").contains("token"), "{request:?}");
    }
}

#[test]
fn other_tokens_are_refused() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    let hash = sha256(PLAIN.as_bytes());
    for value in [
        "Bearer".to_owned() + " ",
        format!("Bearer {}", &PLAIN[1..]),
        format!("Bearer {PLAIN}x"),
        format!("Bearer {}", PLAIN.to_uppercase()),
        // The hash itself is no token, nor is that of another route's client.
        format!("Bearer sha256:{hash}"),
        format!("Bearer {hash}"),
        format!("Bearer sha256:{}", sha256(HASHED.as_bytes())),
        "Bearer other-token".to_owned(),
        basic(PLAIN, ""),
        basic(PLAIN, "x"),
        format!("Basic {PLAIN}"),
        "Basic".to_owned() + " ",
    ] {
        let response = gateway.call(&ask("GET", "/zstack/v1/zones").header("Authorization", &value));
        let code = if value.trim() == value { "token-unknown" } else { "not-authenticated" };
        assert_eq!((response.status, response.error()), (401, code), "{value}");
        assert_eq!(response.headers.one("connection"), Some("close"));
        let challenge = response.headers.one("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer"), "{challenge}");
    }
    let twice = ask("GET", "/zstack/v1/zones").header("Authorization", "Bearer x");
    gateway
        .call(&twice.header("Authorization", &format!("Bearer {PLAIN}")))
        .refused(400, "ambiguous-request");
    upstream.assert_untouched("a token that is none");
}

#[test]
fn without_a_token_one_is_asked_for_in_the_services_words() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    for (request, said) in [
        (ask("GET", "/b/k").header("Host", "s3.internal"), "<Code>AccessDenied</Code>"),
        (ask("GET", "/b/k").header("Host", "ceph.internal"), "<Code>AccessDenied</Code>"),
        (ask("GET", "/zstack/v1/zones"), "missing header 'Authorization'"),
        (ask("GET", "/client/api?command=listUsers&response=json"), "\"listusersresponse\""),
        (ask("POST", "/client/api").form("command=listUsers&response=json"), "<errorresponse>"),
        (ask("GET", "/sqs/q?Action=ListQueues"), "<Code>MissingAuthenticationToken</Code>"),
        (
            ask("POST", "/sqs/q").header("X-Amz-Target", "A.B").body("{}"),
            "MissingAuthenticationTokenException",
        ),
        (ask("GET", "/sqs/q"), "\"code\":\"not-authenticated\""),
        // A cookie or a parameter is no place for a token, and a signature is none where no key could have made it.
        (ask("GET", &format!("/zstack/v1/zones?token={PLAIN}")), "missing header"),
        (ask("GET", "/zstack/v1/zones").header("Cookie", &format!("token={PLAIN}")), "missing header"),
        (ask("GET", "/zstack/v1/zones").header("Authorization", "ZStack a:b"), "missing header"),
        (ask("GET", "/zstack/v1/zones").header("Authorization", "OAuth abc"), "missing header"),
    ] {
        let response = gateway.call(&request);
        response.refused(401, "not-authenticated");
        assert_eq!(response.headers.one("www-authenticate"), Some("Bearer"));
        assert!(response.text().contains(said), "{said}: {}", response.text());
    }
    upstream.assert_untouched("nobody in particular");
}
