//! `rate`, `burst` and `concurrency`.

use std::sync::{Arc, Condvar, Mutex};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use crate::support::*;
use crate::{configuration, reload, with_rules};

const LIST: &str = "/client/api?command=listUsers&response=json";

fn list() -> Ask {
    ask("GET", LIST)
}

/// The whole seconds of a refusal's `Retry-After`.
#[track_caller]
fn retry_after(response: &Response) -> u64 {
    response.headers.one("retry-after").unwrap().parse().unwrap()
}

#[test]
fn a_rate_is_refused_in_every_protocol() {
    let upstream = Upstream::ok();
    let calls = [
        ("cloud", list()),
        ("zstack", ask("GET", "/zstack/v1/zones")),
        ("ceph", ask("GET", "/b/k").header("Host", "ceph.internal")),
        ("s3", ask("GET", "/b/k").header("Host", "s3.internal")),
        ("sqs", ask("GET", "/sqs/?Action=ListQueues")),
    ];
    for (route, call) in calls {
        let routes = with_rules(&every_scheme(&upstream), route, "rate = \"6/h\"\nburst = 2");
        let gateway = Gateway::with(&routes);
        gateway.call(&call).passed(200);
        gateway.call(&call).passed(200);
        let response = gateway.call(&call);
        response.refused(429, "rate-limited");
        let seconds = retry_after(&response);
        assert!((550..=600).contains(&seconds), "{seconds}");
        let text = response.text();
        match route {
            "cloud" => {
                let json: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(json["listusersresponse"]["errorcode"], 429);
            }
            "zstack" => {
                assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["error"]["code"], "rate-limited");
            }
            "sqs" => assert!(text.contains("<Code>Throttling</Code>"), "{text}"),
            _ => assert!(text.contains("<Code>SlowDown</Code>"), "{text}"),
        }
        let record = gateway.record_of(&response);
        assert_eq!((&record["error"], &record["status"]), (&"rate-limited".into(), &429.into()));
        assert!(record.get("decision").is_none(), "it was not judged");
        assert_eq!(upstream.take().len(), 2);
        // Another route has its own.
        let other = if route == "cloud" { ask("GET", "/zstack/v1/zones") } else { list() };
        gateway.call(&other).passed(200);
        upstream.take();
    }
}

#[test]
fn a_rate_comes_back() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&with_rules(&every_scheme(&upstream), "cloud", "rate = \"2/s\"\nburst = 1"));
    gateway.call(&list()).passed(200);
    let response = gateway.call(&list());
    response.refused(429, "rate-limited");
    assert_eq!(retry_after(&response), 1, "half a second is said as a whole one");
    sleep(Duration::from_millis(550));
    gateway.call(&list()).passed(200);
}

#[test]
fn the_body_of_a_refused_request_is_not_read() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&with_rules(&every_scheme(&upstream), "s3", "rate = \"1/h\""));
    gateway.call(&ask("GET", "/b/k").header("Host", "s3.internal")).passed(200);
    let upload = ask("PUT", "/b/k").header("Host", "s3.internal").header("Expect", "100-continue");
    let response = gateway.call(&upload.header("Content-Length", "1000"));
    response.refused(429, "rate-limited");
    assert!(response.interim.is_empty(), "leave was given");
}

/// Workers count together: whichever takes a connection.
#[test]
fn workers_share_what_is_used() {
    let upstream = Upstream::ok();
    let routes = with_rules(&every_scheme(&upstream), "cloud", "rate = \"20/h\"");
    let gateway = Setup::routes(&routes).workers(2).start();
    let statuses: Vec<u16> = (0..60).map(|_| gateway.call(&list()).status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 20, "{statuses:?}");
    assert!(statuses[..20].iter().all(|status| *status == 200), "{statuses:?}");
    assert!(upstream.connections() >= 2, "one worker took all of it");
}

#[test]
fn a_reload_forgets_nothing_that_did_not_change() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&with_rules(&every_scheme(&upstream), "cloud", "rate = \"2/h\""));
    gateway.call(&list()).passed(200);
    gateway.call(&list()).passed(200);
    gateway.call(&list()).refused(429, "rate-limited");
    let text = configuration(&gateway);
    reload(&gateway, &text.replace("[routes.zstack]\n", "[routes.zstack]\nread-only = true\n"));
    gateway.call(&list()).refused(429, "rate-limited");
    reload(&gateway, &text.replace("rate = \"2/h\"", "rate = \"3/h\""));
    gateway.call(&list()).passed(200);
    reload(&gateway, &text.replace("rate = \"2/h\"", ""));
    for _ in 0..10 {
        gateway.call(&list()).passed(200);
    }
}

/// Answers are held back until the gate opens; heads are out before.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let closed = self.0.0.lock().unwrap();
        drop(self.0.1.wait_timeout_while(closed, PATIENCE * 2, |open| !*open));
    }
}

/// A place is taken until the last byte of the answer, not its head; a caller that leaves gives it back too.
#[test]
fn what_runs_counts_until_its_last_byte() {
    for workers in [1, 2] {
        let gate = Gate::default();
        let held = gate.clone();
        let upstream = Upstream::scripted(move |talk| {
            while let Some(request) = talk.request() {
                if request.target.contains("hold") {
                    talk.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhe");
                    held.pass();
                    talk.write(b"ld");
                } else {
                    talk.write(&answer(200, &[], b"ok"));
                }
            }
        });
        let routes = with_rules(&every_scheme(&upstream), "cloud", "concurrency = 2");
        let gateway = Setup::routes(&routes).workers(workers).start();
        let hold = ask("GET", &format!("{LIST}&hold=1"));
        let mut first = gateway.connect();
        let mut second = gateway.connect();
        for caller in [&mut first, &mut second] {
            caller.send(&hold.bytes(gateway.address));
            assert_eq!(caller.response_head().unwrap().unwrap().0, 200);
            assert_eq!(caller.read(2), b"he");
        }
        let response = gateway.call(&list());
        response.refused(429, "concurrency-limited");
        assert_eq!(retry_after(&response), 1);
        // One leaves.
        drop(first);
        eventually("its place is free", || gateway.call(&list()).status == 200);
        // A reload does not forget the other one.
        let text = configuration(&gateway);
        reload(&gateway, &text.replace("concurrency = 2", "concurrency = 1"));
        gateway.call(&list()).refused(429, "concurrency-limited");
        gate.open();
        assert_eq!(second.read(2), b"ld");
        eventually("the other place is free", || gateway.call(&list()).status == 200);
        for _ in 0..5 {
            gateway.call(&list()).passed(200);
        }
    }
}

/// A request that is refused takes no place with it.
#[test]
fn refusals_give_their_places_back() {
    let upstream = Upstream::ok();
    let lines = "concurrency = 1\ndeny = ['destroy*']";
    let gateway = Gateway::with(&with_rules(&every_scheme(&upstream), "cloud", lines));
    for _ in 0..5 {
        let call = ask("GET", "/client/api?command=destroyVirtualMachine&id=1");
        gateway.call(&call).refused(403, "operation-denied");
        gateway.call(&ask("GET", "/client/api")).refused(400, "command-missing");
        gateway.call(&list()).passed(200);
    }
}
