//! Calls for people at a terminal: one line of text for each outcome. Nothing here is chained, and nothing is a promise:
//! who wants a record gives it a file or a pipe.

use std::fmt::Write as _;

use super::event::{Decision, Event, IdentityType};
use super::line::cut;

/// Characters of a text that a caller or an upstream chose.
const TEXT: usize = 256;

/// The line of an outcome, with its newline, in visible ASCII whatever is in the event.
pub(super) fn line(event: &Event<'_>) -> Vec<u8> {
    let ours = &event.additional;
    let shown = |text: &str| if text.is_empty() { "-".to_owned() } else { escaped(text) };
    let maybe = |text: Option<&str>| shown(text.unwrap_or_default());
    let anonymous = event.identity.kind == IdentityType::Anonymous;
    let client = event.identity.name.or(anonymous.then_some("anonymous"));
    let mut line = format!(
        "{:.3} {} {} {} {} {} client={} key={} in={} out={} upstream={}ms total={}ms id={}",
        event.time,
        ours.status.unwrap_or_default(),
        maybe(ours.route),
        maybe(ours.method),
        shown(ours.operation.unwrap_or(event.name)),
        shown(event.source_ip),
        maybe(client),
        maybe(ours.credential),
        ours.bytes_in.unwrap_or_default(),
        ours.bytes_out.unwrap_or_default(),
        ours.first_byte_ms.unwrap_or_default(),
        ours.total_ms.unwrap_or_default(),
        shown(event.request_id),
    );
    let words = [
        ("proof", event.identity.proof),
        ("decision", ours.decision.map(Decision::word)),
        ("error", event.error_code),
        ("ended", ours.ended.filter(|ended| *ended != "complete")),
    ];
    for (name, word) in words {
        if let Some(word) = word.filter(|word| !word.is_empty()) {
            let _ = write!(line, " {name}={}", escaped(word));
        }
    }
    let texts = [
        ("resource", event.resources.first().copied()),
        ("local-key", event.identity.access_key),
        ("rule", ours.rule),
        ("cause", ours.cause),
    ];
    for (name, text) in texts {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            let _ = write!(line, " {name}=\"{}\"", escaped(text));
        }
    }
    if let Some(polls) = ours.polls.filter(|polls| *polls > 0) {
        let _ = write!(line, " polls={polls}");
    }
    if let Some(trace) = ours.trace {
        let _ = write!(line, " trace={}", escaped(trace));
    }
    line.push('\n');
    line.into_bytes()
}

/// What stands for calls that could not be shown.
pub(super) fn gap(reads: u64, writes: u64) -> Vec<u8> {
    format!("not shown: {} calls, the terminal having been too slow\n", reads.saturating_add(writes))
        .into_bytes()
}

fn escaped(text: &str) -> String {
    cut(text, TEXT).escape_default().to_string()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::event::{Additional, Identity, Kind};
    use super::*;

    fn shown(event: &Event<'_>) -> String {
        String::from_utf8(line(event)).unwrap_or_default()
    }

    #[test]
    fn a_line_tells_what_people_look_for() {
        let mut event = Event {
            kind: Kind::Outcome,
            time: Timestamp::constant(1_795_253_400, 123_456_000),
            request_id: "0193",
            name: "deployVirtualMachine",
            source_ip: "10.0.0.7",
            identity: Identity {
                name: Some("billing-cron"),
                proof: Some("unix-user"),
                access_key: Some("LOCAL01"),
                ..Identity::default()
            },
            resources: &["zone-1", "zone-2"],
            error_code: Some("operation-denied"),
            additional: Additional {
                route: Some("cloud"),
                credential: Some("cloud-lab"),
                decision: Some(Decision::Deny),
                rule: Some("deploy*"),
                cause: Some("no rule"),
                method: Some("GET"),
                status: Some(403),
                bytes_in: Some(1),
                bytes_out: Some(512),
                first_byte_ms: Some(12.3),
                total_ms: Some(13.125),
                polls: Some(2),
                trace: Some("4bf9"),
                ended: Some("caller-left"),
                ..Additional::default()
            },
            ..Event::default()
        };
        assert_eq!(
            shown(&event),
            "2026-11-21T09:30:00.123Z 403 cloud GET deployVirtualMachine 10.0.0.7 client=billing-cron key=cloud-lab \
             in=1 out=512 upstream=12.3ms total=13.125ms id=0193 proof=unix-user decision=deny error=operation-denied \
             ended=caller-left resource=\"zone-1\" local-key=\"LOCAL01\" rule=\"deploy*\" cause=\"no rule\" polls=2 trace=4bf9\n"
        );
        event.additional.ended = Some("complete");
        assert!(!shown(&event).contains("ended="));
    }

    #[test]
    fn a_call_that_did_not_get_far_has_a_line_too() {
        for (kind, client) in [(IdentityType::Unknown, "-"), (IdentityType::Anonymous, "anonymous")] {
            let identity = Identity { kind, ..Identity::default() };
            let event =
                Event { time: Timestamp::constant(0, 0), request_id: "1", identity, ..Event::default() };
            let expected = format!(
                "1970-01-01T00:00:00.000Z 0 - - - - client={client} key=- in=0 out=0 upstream=0ms total=0ms id=1\n"
            );
            assert_eq!(shown(&event), expected);
        }
    }

    #[test]
    fn no_input_breaks_a_line_or_a_terminal() {
        let bad = "a\r\n\"b\u{202e}\u{1b}[31m\u{1f600}\u{7f}".repeat(100);
        let text = bad.as_str();
        let bad = Some(text);
        let event = Event {
            request_id: text,
            name: text,
            source_ip: text,
            identity: Identity { name: bad, proof: bad, access_key: bad, ..Identity::default() },
            resources: &[text],
            error_code: bad,
            additional: Additional {
                route: bad,
                credential: bad,
                rule: bad,
                cause: bad,
                method: bad,
                ended: bad,
                trace: bad,
                ..Additional::default()
            },
            ..Event::default()
        };
        let line = shown(&event);
        assert!(line.trim_end_matches('\n').bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{line:?}");
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.len() < 40_000, "{}", line.len());
    }
}
