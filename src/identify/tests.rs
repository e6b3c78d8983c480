#![allow(clippy::unwrap_used)]

use http::HeaderMap;

use super::*;
use crate::caller::Peer;
use crate::reason::Reason;

/// The clients of a route whose list and whose `[clients.*]` are these.
fn world(list: &str, clients: &str) -> (Clients, Entrance) {
    let text = format!(
        "version = 1\n[credentials.k]\naccess-key = {{ env = \"A\" }}\nsecret-key = {{ env = \"B\" }}\n\
         [routes.r]\nmatch = {{ path = \"/\" }}\nupstream = \"https://s3.example\"\nclients = [{list}]\n\
         sign.s3-v4 = {{ credential = \"k\", region = \"us-east-1\" }}\n{clients}\n\
         [server]\nlisten = [{{ address = \"127.0.0.1:1\", tls = {{ certificate = \"/c\", key = \"/k\", \
         client-ca = \"/a\" }} }}]\n"
    );
    let config = config::parse("test", &text).unwrap();
    let clients = Clients::new(&config, &ClientSecrets::default()).unwrap();
    let entrance = clients.entrance(&config.routes[0]).unwrap();
    (clients, entrance)
}

fn peer() -> Peer {
    Peer {
        address: Some("10.1.2.3".parse().unwrap()),
        proxy: None,
        user: Some(1000),
        group: Some(5),
        groups: vec![7].into(),
        names: vec!["partner.example".to_owned(), "spiffe://a/b".to_owned()].into(),
    }
}

/// Who a caller is by its connection alone, and by which proof.
fn who(list: &str, clients: &str, peer: &Peer) -> Result<(String, &'static str), Reason> {
    let (clients, entrance) = world(list, clients);
    let identity = entrance.by_connection(&clients, peer).map_err(|refusal| refusal.reason)?;
    Ok((clients.name(identity.client).to_string(), identity.proof))
}

#[test]
fn every_condition_must_hold_and_the_strongest_is_the_proof() {
    let conditions = [
        ("certificate", "certificate = \"partner.example\"", "certificate = \"other.example\""),
        ("unix-user", "unix-user = 1000", "unix-user = 1001"),
        ("unix-group", "unix-group = 7", "unix-group = 6"),
        ("from", "from = [\"10.0.0.0/8\"]", "from = [\"11.0.0.0/8\"]"),
    ];
    // Each of the sixteen sets of conditions, all of them true or one of them false.
    for set in 1..16_u32 {
        let chosen: Vec<_> =
            conditions.iter().enumerate().filter(|(n, _)| set >> n & 1 == 1).map(|(_, c)| c).collect();
        let good: Vec<&str> = chosen.iter().map(|(_, good, _)| *good).collect();
        let client = |lines: &[&str]| format!("[clients.a]\n{}", lines.join("\n"));
        let found = who("\"a\"", &client(&good), &peer());
        assert_eq!(found, Ok(("a".to_owned(), chosen[0].0)), "{good:?}");
        for (at, (_, _, bad)) in chosen.iter().enumerate() {
            let mut lines = good.clone();
            lines[at] = bad;
            assert_eq!(who("\"a\"", &client(&lines), &peer()), Err(Reason::ClientNotAllowed), "{lines:?}");
        }
        // What is not known of a connection holds nothing.
        let nobody = Peer::default();
        assert_eq!(who("\"a\"", &client(&good), &nobody), Err(Reason::ClientNotAllowed), "{good:?}");
    }
}

#[test]
fn accounts_that_nobody_has_are_nobody() {
    let clients = "[clients.a]\nunix-user = \"no such user\"\n[clients.b]\nunix-group = \"no-such-group\"";
    let clients = clients.replace("no such user", "no-such-user");
    let (prepared, _) = world("\"a\", \"b\"", &clients);
    let names: Vec<&str> = prepared.unprovable().map(|(name, _)| name).collect();
    assert_eq!(names, ["a", "b"]);
    for peer in [peer(), Peer::default(), Peer { user: Some(u32::MAX), group: Some(u32::MAX), ..peer() }] {
        assert_eq!(who("\"a\", \"b\"", &clients, &peer), Err(Reason::ClientNotAllowed));
    }
}

#[test]
fn the_routes_order_decides_among_equals() {
    let clients = "[clients.a]\nfrom = [\"10.0.0.0/8\"]\n[clients.b]\nunix-user = 1000";
    assert_eq!(who("\"a\", \"b\"", clients, &peer()).unwrap().0, "a");
    assert_eq!(who("\"b\", \"a\"", clients, &peer()).unwrap().0, "b");
    assert_eq!(who("\"b\"", clients, &peer()).unwrap(), ("b".to_owned(), "unix-user"));
}

#[test]
fn a_token_that_cannot_be_read_is_the_empty_one() {
    let shown = |value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", value.parse().unwrap());
        token::shown(&headers).unwrap()
    };
    let hash = |token: &str| Some(crate::sign::digest::sha256(token.as_bytes()));
    assert_eq!(shown("Bearer abc"), hash("abc"));
    assert_eq!(shown("bearer  abc"), hash("abc"));
    assert_eq!(shown("Basic dXNlcjphOmI="), hash("a:b"));
    for broken in ["Basic dXNlcg==", "Basic !", "Basic dXNlcjphOmI", "Bearer ", "Basic OnVzZXI6"] {
        assert!(shown(broken) == hash("") || shown(broken) == hash("user:"), "{broken}");
    }
    for other in ["Bearer", "Negotiate abc", "AWS a:b", "Bearerabc", ""] {
        assert_eq!(shown(other), None, "{other}");
    }
}
