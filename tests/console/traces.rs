//! `traceparent` goes on: rewritten, unsigned, recorded.

use super::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

#[test]
fn a_trace_goes_on_in_every_scheme() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    for (route, call) in calls() {
        let call =
            call.header("Traceparent", &format!("00-{TRACE}-{SPAN}-01")).header("Tracestate", "vendor=EVIL");
        let answered = gateway.call(&call);
        answered.passed(200);
        let request = upstream.take().remove(0);
        verify(route, &request);
        let sent = request.headers.one("traceparent").unwrap_or_else(|| panic!("{route}: {request:?}"));
        let parts: Vec<&str> = sent.split('-').collect();
        assert_eq!((parts.len(), parts[0], parts[1], parts[3]), (4, "00", TRACE, "01"), "{route}");
        assert!(parts[2].len() == 16 && parts[2] != SPAN, "{route}: {sent}");
        assert!(!request.headers.has("tracestate"), "{route}");
        // A hop that writes its own does not break the signature.
        let signed = request.headers.one("authorization").unwrap_or_default();
        assert!(!signed.contains("traceparent"), "{route}: {signed}");
        assert_eq!(gateway.record_of(&answered)["trace-id"], TRACE, "{route}");
    }
}

#[test]
fn what_is_no_trace_ends_here_and_none_is_made_up() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    let zero = "0".repeat(32);
    for value in ["", "EVIL", &format!("00-{zero}-{SPAN}-01"), &format!("00-{TRACE}-{SPAN}-01, evil")] {
        for (route, call) in calls() {
            let answered = gateway.call(&call.header("Traceparent", value));
            answered.passed(200);
            let request = upstream.take().remove(0);
            assert!(!request.headers.has("traceparent"), "{route}: {value}");
            assert_eq!(gateway.record_of(&answered).get("trace-id"), None, "{route}: {value}");
        }
    }
}
