//! ZStack on the wire: time zone, context path, decoded path, streaming bodies.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::naive::{self, Keys};
use crate::support::{Upstream, ask};
use crate::with_route;

const HOUR: i64 = 3600;
const ROUTE: &str = "[routes.zstack]\nmatch = { path = \"/zstack\" }\nupstream = \"URL\"\nsecrets = \"allow\"\n\
    sign.zstack = { credential = \"key\", time-zone = \"Asia/Shanghai\" }\n";

#[test]
fn paths_are_signed_decoded_and_sent_strictly() {
    let upstream = Upstream::ok();
    let gateway = with_route(&upstream, ROUTE);
    for (came, went) in [
        ("/zstack/v1/vm-instances", "/zstack/v1/vm-instances"),
        ("/zstack/v1/vm-instances?q=name=web&limit=2", "/zstack/v1/vm-instances?q=name%3Dweb&limit=2"),
        ("/zstack/v1/vm-instances/", "/zstack/v1/vm-instances/"),
        ("/zstack/v1/%E4%B8%AD%20x/a~b*c", "/zstack/v1/%E4%B8%AD%20x/a~b%2Ac"),
        ("/zstack/v1/%e4%b8%ad", "/zstack/v1/%E4%B8%AD"),
        ("/zstack/v1/%76m-instances", "/zstack/v1/vm-instances"),
        ("/zstack/v1/a@b:c,d=e", "/zstack/v1/a%40b%3Ac%2Cd%3De"),
        ("/zstack/v1/zstack/v1", "/zstack/v1/zstack/v1"),
        ("/zstack/v1/x?q=a+b%2Bc&flag&empty=", "/zstack/v1/x?q=a%20b%2Bc&flag&empty="),
    ] {
        gateway.call(&ask("GET", came)).passed(200);
        let requests = upstream.take();
        assert_eq!(requests[0].target, went);
        naive::zstack(&requests[0], &Keys::default(), "/zstack", 8 * HOUR).unwrap();
    }
}

/// The offset of Paris now, by the rule of the European Union and no database: summer lasts from the last Sunday of
/// March to the last Sunday of October, each at 01:00 UTC.
fn paris() -> i64 {
    const DAY: i64 = 24 * HOUR;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
    // Around New Year the year may be off by one; it is winter on both sides.
    let year = 1970 + now / 31_556_952;
    let first_of_march = (year - 1970) * 365 + (year - 1969) / 4 + 59 + i64::from(year % 4 == 0);
    // 1970-01-01 was a Thursday.
    let sunday_until = |day: i64| day - (day + 4) % 7;
    let (march, october) = (sunday_until(first_of_march + 30), sunday_until(first_of_march + 244));
    let summer = march * DAY + HOUR..october * DAY + HOUR;
    if summer.contains(&now) { 2 * HOUR } else { HOUR }
}

#[test]
fn the_date_is_the_servers_local_time() {
    for (zone, label, offset) in [
        ("Asia/Shanghai", "", 8 * HOUR),
        ("PRC", "", 8 * HOUR),
        ("GMT", "", 0),
        ("Asia/Kolkata", ", time-zone-label = \"IST\"", 5 * HOUR + HOUR / 2),
        ("America/Phoenix", "", -7 * HOUR),
        ("Europe/Paris", "", paris()),
    ] {
        let upstream = Upstream::ok();
        let gateway =
            with_route(&upstream, &ROUTE.replace("\"Asia/Shanghai\"", &format!("\"{zone}\"{label}")));
        let call = ask("GET", "/zstack/v1/zones").header("Date", "Fri, 06 Aug 2021 17:58:34 PRC");
        gateway.call(&call).passed(200);
        let name = naive::zstack(&upstream.last(), &Keys::default(), "/zstack", offset).unwrap();
        let plain = |c: char| c.is_ascii_alphanumeric() || "/_".contains(c);
        assert!(name.chars().all(plain), "{zone}: {name} is no name that Java parses");
        if label.contains("IST") {
            assert_eq!(name, "IST");
        }
    }
}

#[test]
fn the_context_path_is_the_upstreams() {
    let upstream = Upstream::ok();
    let gateway = with_route(
        &upstream,
        "[routes.a]\nmatch = { path = \"/cloud\" }\nupstream = { url = \"URL\", rewrite-path = \"/zstack\" }\nsecrets = \"allow\"\n\
         sign.zstack = { credential = \"key\" }\n\
         [routes.b]\nmatch = { path = \"/plain\" }\nupstream = { url = \"URL\", rewrite-path = \"/\" }\nsecrets = \"allow\"\n\
         sign.zstack = { credential = \"key\", context-path = \"/\" }\n",
    );
    gateway.call(&ask("GET", "/cloud/v1/zones")).passed(200);
    gateway.call(&ask("GET", "/plain/v1/zones")).passed(200);
    let [first, second] = <[_; 2]>::try_from(upstream.wait_for(2)).unwrap();
    assert_eq!((first.target.as_str(), second.target.as_str()), ("/zstack/v1/zones", "/v1/zones"));
    naive::zstack(&first, &Keys::default(), "/zstack", 0).unwrap();
    naive::zstack(&second, &Keys::default(), "", 0).unwrap();
}

#[test]
fn bodies_pass_as_they_are() {
    let upstream = Upstream::ok();
    let gateway = with_route(&upstream, ROUTE);
    let body = r#"{"stopVmInstance":{"type":"grace"}}"#;
    for method in ["PUT", "POST", "DELETE"] {
        let call = ask(method, "/zstack/v1/vm-instances/uuid/actions")
            .header("Content-Type", "application/json")
            .header("Authorization", "OAuth EVIL")
            .body(body);
        gateway.call(&call).passed(200);
        let request = upstream.take().remove(0);
        naive::zstack(&request, &Keys::default(), "/zstack", 8 * HOUR).unwrap();
        assert_eq!((request.method.as_str(), request.text().as_str()), (method, body));
        assert_eq!(request.headers.one("content-type"), Some("application/json"));
    }
}
