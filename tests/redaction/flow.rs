//! Long answers, slow ones, and answers of jobs.

use std::time::{Duration, Instant};

use crate::support::{Gateway, Talk, Upstream, answer, ask, route};
use crate::{JSON, always, json, routes};

const ZONES: &str = "/client/api?command=listZones&response=json";
const LONG: usize = 50 << 20;
/// What the gateway may grow by while a long answer passes.
const GROWTH: u64 = 16 << 20;

#[test]
fn a_long_answer_streams_at_flat_memory() {
    let filler = "f".repeat(2000);
    let item = format!("{{\"id\":\"{filler}\",\"secretkey\":\"canary-0123456789\",\"n\":[1,2,null,true]}},");
    let block = item.repeat(100);
    let count = LONG / block.len();
    let upstream = Upstream::scripted(move |talk: &mut Talk| {
        if talk.request().is_none() {
            return;
        }
        talk.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n");
        for _ in 0..count {
            if !talk.write(format!("{:x}\r\n{block}\r\n", block.len()).as_bytes()) {
                return;
            }
        }
        talk.write(b"3\r\n{}]\r\n0\r\n\r\n");
    });
    let gateway = Gateway::with(&routes(&upstream, ""));
    let before = gateway.peak();
    let start = Instant::now();
    let response = gateway.call(&ask("GET", ZONES));
    assert!(response.complete && response.status == 200);
    let goes = item.replace("canary-0123456789", "[redacted]");
    let expected = 1 + goes.len() * 100 * count + 3;
    assert_eq!(response.body.len(), expected);
    assert!(!response.body.windows(6).any(|window| window == b"canary"));
    assert!(response.body[1..].starts_with(goes.as_bytes()) && response.body.ends_with(b"},{}]"));
    let grown = gateway.peak() - before;
    assert!(grown < GROWTH, "the gateway grew by {grown} bytes in {:?}", start.elapsed());
    assert_eq!(gateway.record_of(&response)["bytes-out"], expected);
}

#[test]
fn a_secret_may_come_in_any_pieces() {
    let body = format!("{{\"a\":\"{}\",\"s\\u0065cretkey\":\"canary\",\"b\":1}}", "x".repeat(20_000));
    let goes = body.replace("canary", "[redacted]");
    let at = body.find("s\\u0065").unwrap();
    let upstream = Upstream::scripted(move |talk: &mut Talk| {
        while talk.request().is_some() {
            talk.write(
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                )
                .as_bytes(),
            );
            talk.write(&body.as_bytes()[..at]);
            for byte in body[at..].bytes() {
                std::thread::sleep(Duration::from_millis(1));
                talk.write(&[byte]);
            }
        }
    });
    let gateway = Gateway::with(&routes(&upstream, ""));
    for _ in 0..2 {
        let response = gateway.call(&ask("GET", ZONES));
        assert_eq!(response.passed(200).text(), goes);
        assert!(response.complete);
    }
    assert_eq!(upstream.connections(), 1, "it was read to the end");
}

#[test]
fn the_result_of_a_job_is_searched_too() {
    let upstream = Upstream::answering(|request| {
        json(if request.target.contains("queryAsyncJobResult") {
            "{\"queryasyncjobresultresponse\":{\"jobstatus\":1,\"jobresult\":{\"virtualmachine\":{\"secretkey\":\"canary\"}}}}"
        } else {
            "{\"deployvirtualmachineresponse\":{\"id\":\"vm-1\",\"jobid\":\"7\",\"apikey\":\"canary\"}}"
        })
    });
    let gateway = Gateway::with(
        &route(
            "cloud",
            "path = \"/client/api\"",
            &format!("\"{}\"", upstream.url()),
            "cloudstack = { credential = \"key\" }",
        )
        .replace("secrets = \"allow\"", "wait = \"60s\""),
    );
    let call = ask("GET", "/client/api?command=deployVirtualMachine&response=json");
    let response = gateway.call(&call);
    assert_eq!(
        response.passed(200).text(),
        "{\"deployvirtualmachineresponse\":{\"id\":\"vm-1\",\"jobid\":\"7\",\"apikey\":\"[redacted]\"}}"
    );
    let response = gateway.call(&call.header("x-countersign-wait", "30s"));
    assert!(response.passed(200).text().contains("{\"secretkey\":\"[redacted]\"}"), "{}", response.text());
}

#[test]
fn the_address_of_a_job_is_written_anew_and_searched() {
    let job = "0123456789abcdef0123456789abcdef";
    let body = format!("{{\"location\":\"http://mn:8080/zstack/v1/api-jobs/{job}\",\"apikey\":\"canary\"}}");
    let (gateway, _upstream) = always("", answer(202, &[JSON], body.as_bytes()));
    let response = gateway.call(&ask("POST", "/zstack/v1/zones").body("{}"));
    let own = format!("http://{}/zstack/v1/api-jobs/{job}", gateway.address);
    let goes = format!("{{\"location\":\"{own}\",\"apikey\":\"[redacted]\"}}");
    assert_eq!(response.passed(202).text(), goes);
    assert_eq!(response.headers.one("content-length"), Some(goes.len().to_string().as_str()));
}

#[test]
fn callers_of_http_1_0_get_it_too() {
    let body = format!("[\"{}\",{{\"apikey\":\"canary\"}}]", "x".repeat(40_000));
    let (gateway, _upstream) = always("", json(&body));
    let call = format!("GET {ZONES} HTTP/1.0\r\nHost: {}\r\n\r\n", gateway.address);
    let response = gateway.raw(call.as_bytes()).unwrap().unwrap();
    assert_eq!(response.passed(200).text(), body.replace("canary", "[redacted]"));
    assert!(!response.headers.has("transfer-encoding") && !response.headers.has("content-length"));
}
