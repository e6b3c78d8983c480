//! Calls that begin a job: waiting for its end, ZStack's job addresses, and what never happens in between.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::message::Wire;
use support::naive::{self, Keys};
use support::{Gateway, Request, Setup, Talk, Upstream, answer, ask};

const DEPLOY: &str = "/client/api?command=deployVirtualMachine&response=json&zoneid=1";
const STARTED: &[u8] =
    br#"{"deployvirtualmachineresponse":{"id":"vm-1","jobid":"0f1e2d3c-0000-4000-8000-000000000001"}}"#;
const JOB: &str = "0123456789abcdef0123456789abcdef";

fn cloudstack(extra: &str) -> String {
    format!(
        "[routes.cloud]\nmatch = {{ path = \"/client/api\" }}\nupstream = \"URL\"\n{extra}\n\
         sign.cloudstack = {{ credential = \"key\" }}\n"
    )
}

fn zstack(extra: &str) -> String {
    format!(
        "[routes.zstack]\nmatch = {{ path = \"/zstack\" }}\nupstream = \"URL\"\n{extra}\n\
         sign.zstack = {{ credential = \"key\" }}\n"
    )
}

fn gateway(upstream: &Upstream, routes: &str) -> Gateway {
    Gateway::with(&routes.replace("URL", &upstream.url()))
}

fn is_poll(request: &Request) -> bool {
    let poll = "command=queryAsyncJobResult";
    request.target.contains(poll) || request.text().contains(poll)
}

/// A CloudStack server that begins a job, and answers the polls in turn, the last answer for ever.
fn job_server(started: &'static [u8], polls: Vec<Vec<u8>>) -> Upstream {
    let asked = AtomicUsize::new(0);
    Upstream::scripted(move |talk: &mut Talk| {
        while let Some(request) = talk.request() {
            if !is_poll(&request) {
                talk.write(&answer(
                    200,
                    &[("Content-Type", "application/json"), ("X-First", "yes")],
                    started,
                ));
                continue;
            }
            let turn = asked.fetch_add(1, Ordering::SeqCst).min(polls.len() - 1);
            if polls[turn].is_empty() {
                return; // closes without a word
            }
            talk.write(&polls[turn]);
        }
    })
}

fn state(status: u8) -> Vec<u8> {
    let body = format!(
        "{{\"queryasyncjobresultresponse\":{{\"jobstatus\":{status},\"jobresult\":{{\"id\":\"vm-1\"}}}}}}"
    );
    answer(200, &[("Content-Type", "application/json"), ("X-Final", "yes")], body.as_bytes())
}

// --- CloudStack -------------------------------------------------------------------------------------------------

#[test]
fn a_deploy_is_answered_with_its_result() {
    let upstream = job_server(STARTED, vec![state(0), state(0), state(1)]);
    let gateway = gateway(&upstream, &cloudstack("wait = \"60s\""));
    let call = ask("GET", DEPLOY).header("X-Countersign-Wait", "30s").header("Accept-Encoding", "gzip");
    let start = Instant::now();
    let response = gateway.call(&call);
    let took = start.elapsed();
    response.passed(200);
    assert!((4700..7000).contains(&took.as_millis()), "polled after 1, 2.5 and 4.75 s, not {took:?}");
    assert!(response.text().contains("\"jobstatus\":1"), "{}", response.text());
    assert_eq!(response.headers.one("x-final"), Some("yes"));
    assert!(!response.headers.has("x-first"));

    let requests = upstream.requests();
    assert_eq!(requests.len(), 4);
    assert_eq!((requests[0].method.as_str(), requests[0].target.as_str()), ("POST", "/client/api"));
    for request in &requests {
        assert_eq!(request.connection, 0, "one connection serves the call and its polls");
        assert!(!request.headers.has("accept-encoding"), "a job's name could come compressed");
    }
    for poll in &requests[1..] {
        assert_eq!(poll.method, "GET");
        let fields = naive::cloudstack(poll, &Keys::default()).unwrap();
        let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            fields,
            ["command=queryAsyncJobResult", "jobid=0f1e2d3c-0000-4000-8000-000000000001", "response=json"]
        );
    }
    assert_ne!(requests[1].target, requests[2].target, "each poll is signed anew");
    let record = gateway.record_of(&response);
    assert_eq!(
        (&record["operation"], &record["polls"], &record["status"]),
        (&"deployVirtualMachine".into(), &3.into(), &200.into())
    );
    assert_eq!(gateway.records().len(), 1, "one call, one line");
    assert_eq!(gateway.wait_for_event("the job is over")["polls"], 3);
    assert!(!gateway.output().to_lowercase().contains("signature"));
}

#[test]
fn xml_and_a_failed_job() {
    let started =
        b"<?xml version=\"1.0\"?><stopvirtualmachineresponse><jobid>7</jobid></stopvirtualmachineresponse>";
    let failed = b"<?xml version=\"1.0\"?><queryasyncjobresultresponse><jobstatus>2</jobstatus><jobresult>\
        <errorcode>530</errorcode></jobresult></queryasyncjobresultresponse>";
    let upstream = job_server(started, vec![answer(200, &[("Content-Type", "text/xml")], failed)]);
    let gateway = gateway(&upstream, &cloudstack("wait = \"1h\"\nwait-by-default = true"));
    let response = gateway.call(&ask("POST", "/client/api").form("command=stopVirtualMachine&id=1"));
    response.passed(200);
    assert_eq!(response.body, failed);
    assert_eq!(response.headers.one("content-type"), Some("text/xml"));
    let fields = naive::cloudstack(&upstream.requests()[1], &Keys::default()).unwrap();
    assert_eq!(fields.into_values().collect::<Vec<_>>(), ["queryAsyncJobResult", "7"]);
}

#[test]
fn polls_are_forms_where_all_is() {
    let upstream = job_server(STARTED, vec![state(1)]);
    let route = cloudstack("wait = \"60s\"").replace("\"key\"", "\"key\", method = \"post\"");
    let gateway = gateway(&upstream, &route);
    let form = "command=deployVirtualMachine&response=json";
    let call = ask("POST", "/client/api").form(form).header("x-countersign-wait", "60s");
    assert!(gateway.call(&call).passed(200).text().contains("\"jobstatus\":1"));
    let poll = upstream.requests().remove(1);
    assert_eq!((poll.method.as_str(), poll.target.as_str()), ("POST", "/client/api"));
    assert_eq!(naive::cloudstack(&poll, &Keys::default()).unwrap()["response"], "json");
}

#[test]
fn a_wait_that_runs_out_gives_the_original_answer() {
    let upstream = job_server(STARTED, vec![state(0)]);
    let gateway = gateway(&upstream, &cloudstack("wait = \"3s\""));
    let start = Instant::now();
    let response = gateway.call(&ask("GET", DEPLOY).header("x-countersign-wait", "9h"));
    let took = start.elapsed();
    response.passed(200);
    assert_eq!(response.body, STARTED);
    assert_eq!(response.headers.one("x-first"), Some("yes"));
    assert!((2900..5000).contains(&took.as_millis()), "{took:?}");
    assert_eq!(gateway.record_of(&response)["polls"], 2, "after 1 s and after 2.5 s");
    gateway.wait_for_event("the wait is over before the job");
}

#[test]
fn who_does_not_ask_does_not_wait() {
    let upstream = job_server(STARTED, vec![state(1)]);
    let asked = gateway(&upstream, &cloudstack("wait = \"60s\""));
    let always = gateway(&upstream, &cloudstack("wait = \"60s\"\nwait-by-default = true"));
    let never = gateway(&upstream, &cloudstack(""));
    let wait = |value: &str| ask("GET", DEPLOY).header("x-countersign-wait", value);
    for (gateway, call) in
        [(&asked, ask("GET", DEPLOY)), (&asked, wait("0s")), (&always, wait("0s")), (&never, wait("30s"))]
    {
        let response = gateway.call(&call);
        assert_eq!(response.passed(200).body, STARTED);
        assert!(gateway.record_of(&response).get("polls").is_none());
    }
    // Where there is no `wait`, the header says nothing at all.
    assert_eq!(never.call(&wait("soon")).passed(200).body, STARTED);
    let requests = upstream.requests();
    assert_eq!(requests.len(), 5);
    for request in requests {
        naive::cloudstack(&request, &Keys::default()).unwrap();
    }
}

#[test]
fn an_unreadable_wait_is_refused_before_anything_is_sent() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream, &(cloudstack("wait = \"60s\"") + &zstack("wait = \"60s\"")));
    for value in ["", "60", "-5s", "soon", "60s;q=1"] {
        let response = gateway.call(&ask("GET", DEPLOY).header("x-countersign-wait", value));
        response.refused(400, "bad-header");
        assert!(response.text().contains("x-countersign-wait"), "{}", response.text());
        let call = ask("POST", "/zstack/v1/x").header("x-countersign-wait", value).body("{}");
        gateway.call(&call).refused(400, "bad-header");
    }
    let twice = ask("GET", DEPLOY).header("x-countersign-wait", "1s").header("x-countersign-wait", "1s");
    gateway.call(&twice).refused(400, "bad-header");
    upstream.assert_untouched("the header could not be read");
}

#[test]
fn polls_that_fail_are_tried_again() {
    let limited = answer(429, &[], b"slow down");
    let upstream = job_server(STARTED, vec![limited, Vec::new(), state(1)]);
    let gateway = gateway(&upstream, &cloudstack("wait = \"60s\""));
    let response = gateway.call(&ask("GET", DEPLOY).header("x-countersign-wait", "60s"));
    assert!(response.passed(200).text().contains("\"jobstatus\":1"));
    assert_eq!(gateway.record_of(&response)["polls"], 3);
}

#[test]
fn a_poll_that_is_refused_ends_the_wait() {
    let refused = answer(401, &[("Content-Type", "text/plain")], b"disabled");
    let upstream = job_server(STARTED, vec![refused]);
    let gateway = gateway(&upstream, &cloudstack("wait = \"60s\""));
    let response = gateway.call(&ask("GET", DEPLOY).header("x-countersign-wait", "60s"));
    response.passed(401);
    assert_eq!(response.body, b"disabled");
    assert_eq!(upstream.requests().len(), 2);
}

#[test]
fn a_caller_who_leaves_stops_the_polls() {
    let upstream = job_server(STARTED, vec![state(0)]);
    let gateway = gateway(&upstream, &cloudstack("wait = \"60s\""));
    let mut caller = gateway.connect();
    let call = ask("GET", DEPLOY).header("x-countersign-wait", "60s");
    caller.send(&call.bytes(gateway.address));
    upstream.wait_for(2);
    drop(caller);
    let record = gateway.wait_for_records(1).remove(0);
    assert_eq!(
        (&record["ended"], &record["operation"]),
        (&"caller-left".into(), &"deployVirtualMachine".into())
    );
    assert_eq!((&record["polls"], &record["status"]), (&1.into(), &0.into()));
    std::thread::sleep(Duration::from_millis(2500));
    let requests = upstream.requests();
    assert_eq!(requests.len(), 2, "polled on for nobody");
    assert!(!requests.iter().any(|request| request.target.contains("cancel")), "the job goes on");
}

#[test]
fn calls_about_jobs_are_not_waited_for() {
    let pending = br#"{"queryasyncjobresultresponse":{"jobid":"1","jobstatus":0}}"#;
    let upstream = Upstream::answering(|request| {
        let listed = br#"{"listvirtualmachinesresponse":{"count":1,"virtualmachine":[{"jobid":"1"}]}}"#;
        let begun = br#"{"listasyncjobsresponse":{"jobid":"1"}}"#;
        let body: &[u8] = match &request.target {
            target if target.contains("Machines") => listed,
            target if target.contains("AsyncJobs") => begun,
            _ => pending,
        };
        answer(200, &[], body)
    });
    let gateway = gateway(&upstream, &cloudstack("wait = \"60s\"\nwait-by-default = true"));
    for command in
        ["queryAsyncJobResult&jobid=1", "QUERYASYNCJOBRESULT", "listAsyncJobs", "listVirtualMachines"]
    {
        gateway.call(&ask("GET", &format!("/client/api?response=json&command={command}"))).passed(200);
    }
    assert_eq!(upstream.requests().len(), 4);
}

#[test]
fn long_answers_pass_whole() {
    let long = vec![b' '; 3 << 20];
    let body = long.clone();
    let upstream = Upstream::scripted(move |talk: &mut Talk| {
        while let Some(request) = talk.request() {
            let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
            let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            if request.target.contains("sized") {
                talk.write(&answer(200, &[], &body));
                continue;
            }
            talk.write(chunked);
            for piece in body.chunks(100_000).take(if request.target.contains("short") { 2 } else { 100 }) {
                talk.write(&chunk(piece));
                if request.target.contains("broken") && talk.connection < 100 {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            if request.target.contains("broken") || request.target.contains("short") {
                return;
            }
            talk.write(b"0\r\n\r\n");
        }
    });
    let open = "wait = \"60s\"\nwait-by-default = true\nsecrets = \"allow\"";
    let gateway = gateway(&upstream, &cloudstack(open));
    let list = |what: &str| gateway.call(&ask("GET", &format!("/client/api?command=listAll&what={what}")));
    for what in ["sized", "chunked"] {
        let response = list(what);
        assert_eq!((response.passed(200).body.len(), response.complete), (long.len(), true), "{what}");
    }
    assert_eq!(upstream.connections(), 1, "both were read to the end");
    // Beyond what is looked into, a broken answer is cut; before that, nothing of it was passed.
    let broken = gateway.raw(&ask("GET", "/client/api?command=listAll&what=broken").bytes(gateway.address));
    assert!(!broken.is_ok_and(|response| response.is_some_and(|response| response.complete)));
    list("short").refused(502, "upstream-protocol");
}

#[test]
fn compressed_answers_pass_as_they_are() {
    let upstream = Upstream::answering(|_| answer(200, &[("Content-Encoding", "gzip")], STARTED));
    let open = "wait = \"60s\"\nwait-by-default = true\nsecrets = \"allow\"";
    let gateway = gateway(&upstream, &cloudstack(open));
    let response = gateway.call(&ask("GET", DEPLOY));
    assert_eq!(response.passed(200).body, STARTED);
    assert_eq!(upstream.requests().len(), 1, "what is coded is not read");
    assert_eq!(response.headers.one("content-encoding"), Some("gzip"));
}

#[test]
fn a_drain_ends_the_wait_with_the_original_answer() {
    let upstream = job_server(STARTED, vec![state(0)]);
    let mut gateway = gateway(&upstream, &cloudstack("wait = \"60s\""));
    let mut caller = gateway.connect();
    caller.send(&ask("GET", DEPLOY).header("x-countersign-wait", "60s").bytes(gateway.address));
    upstream.wait_for(1);
    gateway.wait_for_event("waiting for a job");
    gateway.signal("TERM");
    let response = caller.response("GET");
    assert_eq!(response.passed(200).body, STARTED);
    assert!(gateway.wait().success());
}

#[test]
fn a_renewed_key_signs_the_next_poll() {
    let upstream = job_server(STARTED, vec![state(0)]);
    let gateway = gateway(&upstream, &cloudstack("wait = \"60s\""));
    let mut caller = gateway.connect();
    caller.send(&ask("GET", DEPLOY).header("x-countersign-wait", "60s").bytes(gateway.address));
    gateway.wait_for_event("waiting for a job");
    let fresh = Keys { secret: "canary/Renewed+fedcba9876543210".into(), ..Keys::default() };
    gateway.write("key.secret-key", &fresh.secret);
    gateway.signal("HUP");
    gateway.wait_for_event("configuration reloaded");
    naive::cloudstack(&upstream.wait_for(2)[1], &fresh).unwrap();
}

// --- ZStack -----------------------------------------------------------------------------------------------------

fn accepted(url: &str) -> Vec<u8> {
    answer(
        202,
        &[("Content-Type", "application/json")],
        format!("{{ \"location\" : \"{url}\",\"x\":1.0 }}\n").as_bytes(),
    )
}

fn job_url(authority: &str) -> String {
    format!("http://{authority}/zstack/v1/api-jobs/{JOB}")
}

/// A ZStack server that begins a job at `url`, and answers the polls in turn, the last answer for ever.
fn zstack_server(url: &str, polls: Vec<Vec<u8>>) -> Upstream {
    let (first, asked) = (accepted(url), AtomicUsize::new(0));
    Upstream::answering(move |request| {
        if !request.target.contains("/api-jobs/") {
            return first.clone();
        }
        polls[asked.fetch_add(1, Ordering::SeqCst).min(polls.len() - 1)].clone()
    })
}

const CREATE: &str = "/zstack/v1/vm-instances";

#[test]
fn job_addresses_are_the_gateways_own() {
    let running = answer(202, &[], b"");
    let failed = answer(503, &[("Content-Type", "application/json")], br#"{"error":{"code":"SYS.1000"}}"#);
    let upstream = zstack_server(&job_url("172.20.0.10:8080"), vec![running, failed]);
    let gateway = gateway(&upstream, &zstack("secrets = \"allow\""));
    let response = gateway.call(&ask("POST", CREATE).header("Accept-Encoding", "gzip").body("{}"));
    response.passed(202);
    let own = job_url(&gateway.address.to_string());
    assert_eq!(response.text(), format!("{{ \"location\" : \"{own}\",\"x\":1.0 }}\n"));
    assert_eq!(response.headers.one("content-length"), Some(response.body.len().to_string().as_str()));
    assert!(!upstream.last().headers.has("accept-encoding"), "the address could come compressed");

    let path = own.strip_prefix(&format!("http://{}", gateway.address)).unwrap();
    gateway.call(&ask("GET", path)).passed(202);
    let response = gateway.call(&ask("GET", path));
    assert!(response.passed(503).text().contains("SYS.1000"));
    let requests = upstream.requests();
    assert_eq!(requests.len(), 3, "a failed job is an answer, and is not asked for again");
    for request in requests {
        naive::zstack(&request, &Keys::default(), "/zstack", 0).unwrap();
    }
    gateway.call(&ask("GET", CREATE).header("Accept-Encoding", "gzip")).passed(202);
    assert_eq!(upstream.last().headers.one("accept-encoding"), Some("gzip"), "reads begin no job");
}

#[test]
fn hosts_and_prefixes_are_the_callers() {
    let upstream = zstack_server(&job_url("mn"), vec![answer(200, &[], b"{}")]);
    let gateway = gateway(
        &upstream,
        "[routes.a]\nmatch = { path = \"/cloud\" }\nupstream = { url = \"URL\", rewrite-path = \"/zstack\" }\n\
         sign.zstack = { credential = \"key\" }\n\
         [routes.b]\nmatch = { host = \"Zs.Internal\", path = \"/\" }\nupstream = \"URL\"\n\
         sign.zstack = { credential = \"key\" }\n\
         [routes.c]\nmatch = { path = \"/zstack/v1/vm-instances\" }\nupstream = \"URL\"\n\
         sign.zstack = { credential = \"key\" }\n",
    );
    let address = gateway.address.to_string();
    for (host, path, location) in [
        (address.as_str(), "/cloud/v1/vm-instances", format!("http://{address}/cloud/v1/api-jobs/{JOB}")),
        ("LocalHost", "/cloud/v1/x", format!("http://LocalHost/cloud/v1/api-jobs/{JOB}")),
        ("zs.INTERNAL:8480", "/zstack/v1/x", format!("http://zs.INTERNAL:8480/zstack/v1/api-jobs/{JOB}")),
        // This route leads to no job: the upstream's own word is all there is.
        (address.as_str(), CREATE, job_url("mn")),
    ] {
        let response = gateway.call(&ask("PUT", path).header("Host", host).body("{}"));
        assert_eq!(response.passed(202).text(), format!("{{ \"location\" : \"{location}\",\"x\":1.0 }}\n"));
    }
    gateway.call(&ask("GET", &format!("/cloud/v1/api-jobs/{JOB}"))).passed(200);
    assert_eq!(upstream.last().target, format!("/zstack/v1/api-jobs/{JOB}"));
}

#[test]
fn addresses_that_are_no_jobs_pass_and_are_never_called() {
    let evil = Upstream::ok();
    let host = evil.address;
    for location in [
        format!("http://user:pw@{host}/zstack/v1/api-jobs/{JOB}"),
        format!("http://{host}/zstack/v1/vm-instances/{JOB}"),
        format!("http://{host}/other/v1/api-jobs/{JOB}"),
        format!("http://{host}/zstack/v1/api-jobs/../accounts/{JOB}"),
        format!("http://{host}/zstack/v1/api-jobs/{JOB}?command=x"),
        format!("http://{host}/zstack/v1/api-jobs/{JOB}%0d%0a"),
        format!("//{host}/zstack/v1/api-jobs/{JOB}"),
        format!("file:///zstack/v1/api-jobs/{JOB}"),
    ] {
        let upstream = zstack_server(&location, vec![answer(200, &[], b"{}")]);
        let gateway = gateway(&upstream, &zstack("wait = \"60s\"\nwait-by-default = true"));
        let response = gateway.call(&ask("DELETE", CREATE));
        assert_eq!(response.passed(202).text(), format!("{{ \"location\" : \"{location}\",\"x\":1.0 }}\n"));
        assert_eq!(upstream.requests().len(), 1, "{location}");
    }
    // Another host in a job's address is nobody: the route's own upstream is asked.
    let upstream = zstack_server(&job_url(&host.to_string()), vec![answer(200, &[], b"{\"inventory\":{}}")]);
    let gateway = gateway(&upstream, &zstack("wait = \"60s\"\nwait-by-default = true"));
    assert_eq!(gateway.call(&ask("DELETE", CREATE)).passed(200).text(), "{\"inventory\":{}}");
    evil.assert_untouched("an address in an answer was called");
}

#[test]
fn zstack_jobs_are_waited_for() {
    let done = answer(200, &[("X-Final", "yes")], b"{\"inventory\":{}}");
    let upstream = zstack_server(&job_url("mn"), vec![answer(500, &[], b""), done]);
    let route = zstack("wait = \"60s\"\nforward-headers = [\"x-job-uuid\", \"X-Web-Hook\"]");
    let gateway = gateway(&upstream, &route);
    let call = ask("POST", CREATE)
        .header("x-countersign-wait", "30s")
        .header("X-Job-UUID", JOB)
        .header("X-Web-Hook", "http://hook.example/")
        .header("Content-Type", "application/json")
        .body("{}");
    let response = gateway.call(&call);
    assert_eq!(response.passed(200).text(), "{\"inventory\":{}}");
    assert_eq!(response.headers.one("x-final"), Some("yes"));
    let requests = upstream.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[0].headers.one("x-job-uuid"), Some(JOB));
    assert_eq!(requests[0].headers.one("x-web-hook"), Some("http://hook.example/"));
    for poll in &requests[1..] {
        assert_eq!((poll.method.as_str(), &*poll.target), ("GET", &*format!("/zstack/v1/api-jobs/{JOB}")));
        assert!(!poll.headers.has("content-type"));
        naive::zstack(poll, &Keys::default(), "/zstack", 0).unwrap();
    }
    let record = gateway.record_of(&response);
    assert_eq!((&record["operation"], &record["polls"]), (&"POST /v1/vm-instances".into(), &2.into()));
}

#[test]
fn a_failed_or_forgotten_job_is_the_answer() {
    for status in [503, 404] {
        let over = answer(status, &[], b"{\"error\":{}}");
        let upstream = zstack_server(&job_url("mn"), vec![over]);
        let gateway = gateway(&upstream, &zstack("wait = \"60s\"\nwait-by-default = true"));
        let response = gateway.call(&ask("PUT", CREATE).body("{}"));
        assert_eq!(response.passed(status).text(), "{\"error\":{}}");
        assert_eq!(upstream.requests().len(), 2);
        // Who asks for the job by itself waits as well.
        gateway.call(&ask("GET", &format!("/zstack/v1/api-jobs/{JOB}"))).passed(status);
    }
}

#[test]
fn a_wait_for_zstack_that_runs_out_gives_the_public_address() {
    let upstream = zstack_server(&job_url("mn"), vec![answer(202, &[], b"")]);
    let gateway = gateway(&upstream, &zstack("wait = \"2s\"\nwait-by-default = true"));
    let response = gateway.call(&ask("PUT", CREATE).body("{}"));
    let own = job_url(&gateway.address.to_string());
    assert_eq!(response.passed(202).text(), format!("{{ \"location\" : \"{own}\",\"x\":1.0 }}\n"));
    // A poll of the caller's own, still without an address in its body.
    let response = gateway.call(&ask("GET", &format!("/zstack/v1/api-jobs/{JOB}")));
    assert_eq!(response.passed(202).body, b"");
    assert_eq!(gateway.record_of(&response)["polls"], 1);
}

#[test]
fn job_headers_stay_behind_unless_the_route_names_them() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream, &zstack("secrets = \"allow\""));
    let call = ask("POST", CREATE).header("X-Job-UUID", JOB).header("X-Web-Hook", "http://hook.example/");
    gateway.call(&call.body("{}")).passed(200);
    // Which the naive server refuses when they arrive.
    naive::zstack(&upstream.last(), &Keys::default(), "/zstack", 0).unwrap();
}

#[test]
fn over_tls_the_address_is_https() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = std::env::temp_dir().join(format!("countersign-jobs-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let upstream = zstack_server(&job_url("mn"), vec![answer(200, &[], b"{}")]);
    let gateway = Setup::routes(&zstack("").replace("URL", &upstream.url()))
        .listen(&format!(
            "{{ address = \"127.0.0.1:0\", tls = {{ certificate = {certificate:?}, key = {key:?} }} }}"
        ))
        .start();

    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = rustls::StreamOwned::new(session, TcpStream::connect(gateway.address).unwrap());
    let call = ask("PUT", CREATE).header("Host", "localhost:8443").header("Connection", "close").body("{}");
    stream.write_all(&call.bytes(gateway.address)).unwrap();
    let text = read_all(stream);
    std::fs::remove_dir_all(&folder).unwrap();
    let body =
        format!("{{ \"location\" : \"https://localhost:8443/zstack/v1/api-jobs/{JOB}\",\"x\":1.0 }}\n");
    assert!(text.starts_with("HTTP/1.1 202") && text.ends_with(&body), "{text}");
}

fn read_all(stream: impl Read) -> String {
    let mut wire = Wire::new(stream);
    // A close without a closing alert is an error to the stream and none to this test.
    let _ = wire.rest();
    String::from_utf8(wire.seen).unwrap()
}
