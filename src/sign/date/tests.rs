//! Dates written and read back, at the edges of calendars and formats.

#![allow(clippy::unwrap_used)]

use super::*;

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn written(f: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    f(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn every_writer_at_the_edges() {
    let cases = [
        ("1970-01-01T00:00:00Z", "19700101T000000Z", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("2024-02-29T23:59:59Z", "20240229T235959Z", "Thu, 29 Feb 2024 23:59:59 GMT"),
        ("2026-11-22T06:07:08.999Z", "20261122T060708Z", "Sun, 22 Nov 2026 06:07:08 GMT"),
        ("9999-12-30T21:00:00Z", "99991230T210000Z", "Thu, 30 Dec 9999 21:00:00 GMT"),
    ];
    for (text, compact, http) in cases {
        let t = moment(text);
        assert_eq!(amz(t).unwrap().as_slice(), compact.as_bytes());
        assert_eq!(written(|out| rfc1123(utc(t).unwrap(), "GMT", out)), http);
        let whole = Timestamp::from_second(t.as_second()).unwrap();
        assert_eq!(read_amz(compact.as_bytes()), Some(whole));
        assert_eq!(read_http(http.as_bytes()), Some(whole));
        assert_eq!(read_iso(&iso(t).unwrap()), Some(whole));
    }
    assert_eq!(
        String::from_utf8_lossy(&iso(moment("2026-03-04T05:16:07Z")).unwrap()),
        "2026-03-04T05:16:07+0000"
    );
}

#[test]
fn years_without_a_spelling_are_refused() {
    for text in ["1969-12-31T23:59:59Z", "-000001-01-01T00:00:00Z"] {
        assert_eq!(amz(moment(text)), Err(SignError::Clock));
    }
}

#[test]
fn cloudstack_expires_as_the_server_reads_it() {
    let t = Some(moment("2026-03-04T05:16:07Z"));
    for good in [
        "2026-03-04T05:16:07Z",
        "2026-03-04T05:16:07+0000",
        "2026-03-04T05:16:07Z+0000",
        "2026-03-04T10:46:07+05:30",
        "2026-03-03T23:16:07-0600",
    ] {
        assert_eq!(read_iso(good.as_bytes()), t, "{good}");
    }
    let fraction = Some(moment("2026-03-04T05:16:07.123Z"));
    assert_eq!(read_iso(b"2026-03-04T05:16:07.123Z"), fraction);
    assert_eq!(read_iso(b"2026-03-04T05:16:07.123+00:00"), fraction);
    for bad in [
        "",
        "2026-03-04",
        "1772601367",
        "2026-03-04T05:16:07",
        "2026-03-04T05:16:07 0000",
        "2026-03-04T05:16:07.123+0000",
        "2026-03-04T05:16:07.Z",
        "2026-02-29T05:16:07Z",
        "2026-03-04T25:16:07Z",
        "2026-03-04T05:16:07+99:00",
        "2026-03-04T05:16:07Zx",
        "2026-03-0aT05:16:07Z",
    ] {
        assert_eq!(read_iso(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn http_dates_as_servers_read_them() {
    let t = Some(moment("2007-03-27T19:36:42Z"));
    for good in [
        "Tue, 27 Mar 2007 19:36:42 GMT",
        "Tue, 27 Mar 2007 19:36:42 +0000",
        "Tue, 27 Mar 2007 21:36:42 +0200",
    ] {
        assert_eq!(read_http(good.as_bytes()), t, "{good}");
    }
    for bad in [
        "Wed, 27 Mar 2007 19:36:42 GMT",
        "Tue, 27 Mar 2007 19:36:42",
        "Tue, 27 Mar 2007 19:36:42 PST",
        "Tue, 27 mar 2007 19:36:42 GMT",
        "Tue, 32 Mar 2007 19:36:42 GMT",
        "Tuesday, 27-Mar-07 19:36:42 GMT",
        "Tue, 27 Mar 2007 19:36:42 \u{fc}",
        "",
    ] {
        assert_eq!(read_http(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn compact_dates_are_read_strictly() {
    for bad in [
        "",
        "20240229T235959",
        "20230229T235959Z",
        "20240229 235959Z",
        "20240229T2359590Z",
        "2024022\u{e9}T235959Z",
    ] {
        assert_eq!(read_amz(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn skew_is_fifteen_minutes_either_way() {
    let now = moment("2026-03-04T05:06:07Z");
    for (offset, near) in [(0, true), (900, true), (-900, true), (901, false), (-901, false)] {
        let then = now.checked_add(SignedDuration::from_secs(offset)).unwrap();
        assert_eq!(is_near(then, now), near, "{offset}");
    }
}

/// The kept spelling is that of its second and of no other, and a moment without one is refused though zero is kept.
#[test]
fn the_latest_spelling_is_right_for_its_second() {
    let mut latest = Latest::<16>::default();
    for text in [
        "1970-01-01T00:00:00Z",
        "2026-03-04T05:16:07Z",
        "2026-03-04T05:16:07.9Z",
        "2026-03-04T05:16:08Z",
        "2026-03-04T05:16:07Z",
    ] {
        assert_eq!(latest.spell(moment(text), amz).unwrap(), amz(moment(text)).unwrap(), "{text}");
    }
    let mut latest = Latest::<16>::default();
    latest.spell(moment("1970-01-01T00:00:00Z"), amz).unwrap();
    assert_eq!(latest.spell(moment("1969-12-31T23:59:59.5Z"), amz), Err(SignError::Clock));
    let mut spelled = 0;
    for _ in 0..3 {
        let spell = |moment| {
            spelled += 1;
            http(moment)
        };
        let text = Latest::<29>::default().spell(moment("2026-03-04T05:16:07Z"), spell).unwrap();
        assert_eq!(&text, b"Wed, 04 Mar 2026 05:16:07 GMT");
    }
    let mut latest = Latest::default();
    for _ in 0..3 {
        latest
            .spell(moment("2026-03-04T05:16:07Z"), |moment| {
                spelled += 1;
                http(moment)
            })
            .unwrap();
    }
    assert_eq!(spelled, 4);
}
