//! Parameters that a server reads in another way than a policy would.

use crate::support::{Gateway, Upstream, ask, every_scheme};

#[test]
fn cloudstack_names_stand_once() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    for (first, second) in [
        ("command=listUsers", "command=destroyVirtualMachine"),
        ("command=listUsers", "COMMAND=destroyVirtualMachine"),
        ("command=listUsers", "Command=listUsers"),
        ("command=listUsers", "%63ommand=destroyVirtualMachine"),
        ("command=listUsers&id=1", "id=2"),
        ("command=listUsers&id=1", "ID=1"),
        ("command=listUsers&id", "id=1"),
        ("command=listUsers&id=", "ID"),
        ("command=listUsers&%69d=1", "id=2"),
        ("command=listUsers&response=json", "Response=xml"),
        ("command=listUsers&%C3%89=1", "%C3%A9=2"),
    ] {
        for (first, second) in [(first, second), (second, first)] {
            let both = format!("{first}&{second}");
            for call in [
                ask("GET", &format!("/client/api?{both}")),
                ask("POST", "/client/api").form(&both),
                // Half of it in the query, half in the form.
                ask("POST", &format!("/client/api?{first}")).form(second),
            ] {
                gateway.call(&call).refused(400, "duplicate-parameter");
            }
        }
    }
    upstream.assert_untouched("names that stand twice");
}

#[test]
fn cloudstack_names_have_one_reading() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    for (query, code) in [
        ("", "command-missing"),
        ("command", "command-missing"),
        ("command=", "command-missing"),
        ("Command=listUsers", "command-missing"),
        ("COMMAND=listUsers", "command-missing"),
        ("command%20=listUsers", "command-missing"),
        ("command%5B%5D=listUsers", "command-missing"),
        ("x=1;command=listUsers", "command-missing"),
        ("command=%FF", "bad-parameter"),
        ("command=listUsers&=1", "bad-parameter"),
        ("command=listUsers&a%3Db%26c=1", "bad-parameter"),
        ("command=listUsers&a%26b=1", "bad-parameter"),
        ("command=listUsers&a%3Db=1", "bad-parameter"),
        ("command=listUsers&a%0Ab=1", "bad-parameter"),
        ("command=listUsers&a%00=1", "bad-parameter"),
        ("command=listUsers&%7F=1", "bad-parameter"),
        ("command=listUsers&%C2%85=1", "bad-parameter"),
        ("command=listUsers&%FF=1", "bad-parameter"),
        ("command=listUsers&%C0%AFx=1", "bad-parameter"),
        ("command=listUsers&a=%FF", "bad-parameter"),
        ("command=listUsers&a=%ED%A0%80", "bad-parameter"),
        ("command=listUsers&a=%zz", "bad-parameter"),
        ("command=listUsers&a=%2", "bad-parameter"),
        ("command=listUsers&a=%", "bad-parameter"),
        ("command=listUsers&%zz=1", "bad-parameter"),
        ("command=listUsers&a=%u0041", "bad-parameter"),
    ] {
        gateway.call(&ask("GET", &format!("/client/api?{query}"))).refused(400, code);
        gateway.call(&ask("POST", "/client/api").form(query)).refused(400, code);
        gateway.call(&ask("POST", &format!("/client/api?{query}")).form("a1=b")).refused(400, code);
    }
    let raw = [b"command=listUsers&a=".as_slice(), b"\xff"].concat();
    let form =
        ask("POST", "/client/api").header("Content-Type", "application/x-www-form-urlencoded").body(raw);
    gateway.call(&form).refused(415, "unsupported-body");
    upstream.assert_untouched("names with two readings");
}

#[test]
fn cloudstack_reads_forms_only() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    for kind in
        ["application/json", "multipart/form-data; boundary=x", "text/plain", "application/xml", "", "x"]
    {
        let call = ask("POST", "/client/api?command=listUsers").header("Content-Type", kind);
        gateway.call(&call.body("{\"command\":\"destroyVirtualMachine\"}")).refused(415, "unsupported-body");
    }
    gateway.call(&ask("POST", "/client/api?command=listUsers").body("id=1")).refused(415, "unsupported-body");
    for method in ["PUT", "DELETE", "PATCH", "HEAD", "PROPFIND", "get", "Post"] {
        let answer = gateway.call(&ask(method, "/client/api?command=listUsers"));
        answer.refused(405, "method-not-allowed");
        assert_eq!(answer.headers.one("allow"), Some("GET, POST"));
    }
    upstream.assert_untouched("the server would not have read it");
}

#[test]
fn the_method_cannot_be_overridden() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    let call = ask("GET", "/zstack/v1/x?_method=DELETE").header("X-HTTP-Method-Override", "DELETE");
    gateway.call(&call.header("X-Method-Override", "DELETE")).passed(200);
    let request = upstream.last();
    assert!(request.method == "GET" && !String::from_utf8_lossy(&upstream.bytes(0)).contains("verride"));
}

#[test]
fn zstack_names_stand_once() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    for (query, code) in [
        ("q=a%3D1&q=b%3D2", "duplicate-parameter"),
        ("q&q", "duplicate-parameter"),
        ("q=1&%71=2", "duplicate-parameter"),
        ("a=%zz", "bad-parameter"),
        ("a=%", "bad-parameter"),
    ] {
        gateway.call(&ask("GET", &format!("/zstack/v1/x?{query}"))).refused(400, code);
    }
    for method in ["PATCH", "PROPFIND", "get", "LINK"] {
        gateway.call(&ask(method, "/zstack/v1/x")).refused(405, "method-not-allowed");
    }
    upstream.assert_untouched("two readings");
}

#[test]
fn ostor_services_are_recognised_however_they_are_spelled() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream).replace("\"ceph\"", "\"ostor\""));
    for (query, operation) in [
        ("ostor-users", "ostor:users.get"),
        ("%6fstor-users&emailAddress=x", "ostor:users.get"),
        ("emailAddress=x&ostor%2Dusers=", "ostor:users.get"),
        ("ostor-unknown", "ostor:unknown.get"),
    ] {
        for path in ["/", "/bucket", "/bucket/key"] {
            let answer =
                gateway.call(&ask("GET", &format!("{path}?{query}")).header("Host", "ceph.internal"));
            answer.passed(200);
            assert_eq!(gateway.record_of(&answer)["operation"], operation, "{path}?{query}");
        }
    }
}
