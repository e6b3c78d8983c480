//! Forwarding headers at a gateway process: each request of a proxy's connection has a caller of its own.

use super::*;

#[test]
fn each_request_has_the_caller_that_the_proxy_names() {
    let upstream = Upstream::ok();
    for (told_by, other, lines) in [
        (
            "x-forwarded-for",
            "Forwarded",
            [
                ("203.0.113.9", "203.0.113.9"),
                ("8.8.8.8, 2001:db8::1", "2001:db8::1"),
                ("203.0.113.7, 127.0.0.2", "203.0.113.7"),
                ("203.0.113.7, nonsense", "unknown"),
                ("127.0.0.2", "unknown"),
            ],
        ),
        (
            "forwarded",
            "X-Forwarded-For",
            [
                ("for=203.0.113.9", "203.0.113.9"),
                ("for=8.8.8.8, for=\"[2001:db8::1]:4711\";proto=https", "2001:db8::1"),
                ("for=203.0.113.7, for=\"127.0.0.2:1\"", "203.0.113.7"),
                ("for=203.0.113.7, for=unknown", "unknown"),
                ("for=127.0.0.2", "unknown"),
            ],
        ),
    ] {
        let gateway = Setup::routes(&cloud(&upstream)).listen(&behind_proxy(told_by, "")).start();
        let mut proxy = Caller::over(from_proxy(gateway.address));
        let mut source = |ask: &Ask| {
            let answer = proxy.call(ask);
            gateway.record_of(&answer)["source"].as_str().unwrap().to_owned()
        };
        let misled =
            |ask: Ask| ask.header(other, if other == "Forwarded" { "for=6.6.6.6" } else { "6.6.6.6" });
        for (line, expected) in lines {
            let told = source(&misled(ask("GET", LIST)).header(told_by, line));
            assert_eq!(told, format!("{expected} via 127.0.0.2"), "{line}");
            let seen = upstream.last();
            for name in ["x-forwarded-for", "forwarded"] {
                assert!(seen.headers.all(name).is_empty(), "{name} reached the upstream");
            }
        }
        // Several lines are one list; a request without any has no known caller, on a used connection as well.
        let (first, second) = (lines[0].0, lines[2].0);
        let two = ask("GET", LIST).header(told_by, first).header(told_by, second);
        assert_eq!(source(&two), "203.0.113.7 via 127.0.0.2");
        assert_eq!(source(&misled(ask("GET", LIST))), "unknown via 127.0.0.2");
        // What is refused at the door has its source as well.
        let refused = source(&ask("GET", LIST).header("Host", "evil.example").header(told_by, first));
        assert_eq!(refused, "203.0.113.9 via 127.0.0.2");

        // Anybody else may write what it likes.
        let answer = gateway.call(&ask("GET", LIST).header(told_by, first));
        answer.passed(200);
        assert_eq!(gateway.record_of(&answer)["source"], "127.0.0.1");
        assert!(upstream.last().headers.all(told_by).is_empty());
    }
}
