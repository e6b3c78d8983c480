//! What a web page can make a browser send to a loopback port: none of it is signed.

use crate::support::{Gateway, Upstream, ask, every_scheme};

#[test]
fn requests_of_web_pages_are_not_signed() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    let read = || ask("GET", "/client/api?command=destroyVirtualMachine&id=1");
    let mut calls = vec![ask("OPTIONS", "/client/api?command=listUsers")];
    for (name, value) in [
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Origin", ""),
        ("Origin", "http://127.0.0.1:8480"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Sec-Fetch-Site", "Cross-Site"),
        ("Sec-Fetch-Site", ""),
        ("Sec-Fetch-Dest", "image"),
        ("Sec-Fetch-Dest", "iframe"),
        ("Sec-Fetch-Dest", "document"),
        ("Sec-Fetch-Dest", "script"),
    ] {
        calls.push(read().header(name, value));
        calls.push(ask("POST", "/client/api").header(name, value).form("command=destroyVirtualMachine&id=1"));
        calls.push(ask("PUT", "/b/k").header("Host", "s3.internal").header(name, value).body("x"));
    }
    // A second header of the name does not hide the first.
    calls.push(read().header("Sec-Fetch-Site", "none").header("Sec-Fetch-Site", "cross-site"));
    calls.push(read().header("Sec-Fetch-Dest", "empty").header("Sec-Fetch-Dest", "image"));
    // What an image tag sends to a name without TLS, where browsers leave `Sec-Fetch` out; a page may empty a header.
    for language in ["en-US,en;q=0.5", ""] {
        calls.push(read().header("User-Agent", "Mozilla/5.0 (X11)").header("Accept-Language", language));
    }
    for call in &calls {
        let answer = gateway.call(call);
        answer.refused(403, "browser-request");
        let cors: Vec<_> =
            answer.headers.names().into_iter().filter(|name| name.starts_with("access-control")).collect();
        assert!(cors.is_empty(), "{cors:?}");
    }
    upstream.assert_untouched("a web page asked for it");
    let own = read()
        .header("Sec-Fetch-Site", "none")
        .header("Sec-Fetch-Dest", "empty")
        .header("Sec-Fetch-Mode", "cors");
    gateway.call(&own).passed(200);
    gateway.call(&read().header("Sec-Fetch-Site", "same-origin")).passed(200);
    gateway.call(&read().header("User-Agent", "Mozilla/5.0 (X11) PowerShell/7.4")).passed(200);
    gateway.call(&read().header("User-Agent", "node").header("Accept-Language", "*")).passed(200);
}

#[test]
fn browser_forms_are_refused() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    let form = "multipart/form-data; boundary=x";
    for (target, host) in
        [("/b", "s3.internal"), ("/b", "ceph.internal"), ("/client/api?command=listUsers", "localhost")]
    {
        for kind in [form, "Multipart/Form-Data;boundary=x", " multipart/form-data "] {
            let call = ask("POST", target).header("Host", host).header("Content-Type", kind).body("--x--");
            gateway.call(&call).refused(415, "unsupported-body");
        }
    }
    upstream.assert_untouched("a form with a policy of its own");
}
