#![allow(clippy::unwrap_used)]

use super::*;

const ANY: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(86_400);

#[test]
fn durations() {
    assert_eq!(duration("10m", &ANY).unwrap(), Duration::from_secs(600));
    assert_eq!(duration("120s", &ANY).unwrap(), Duration::from_secs(120));
    assert_eq!(duration("500ms", &ANY).unwrap(), Duration::from_millis(500));
    assert_eq!(duration("1h 30m", &ANY).unwrap(), Duration::from_secs(5400));
    assert_eq!(duration("1d", &ANY).unwrap(), Duration::from_secs(86_400));
    for bad in ["", "10", "m", "-1s", "10 parsecs", "1 d d", "99999999999999999999s"] {
        assert!(duration(bad, &ANY).is_err(), "{bad:?}");
    }
    let bounds = Duration::from_secs(1)..=Duration::from_secs(900);
    assert_eq!(duration("16m", &bounds).unwrap_err().what, "must be from 1s to 15m");
    assert!(duration("15m", &bounds).is_ok());
    assert!(duration("999ms", &bounds).is_err());
}

#[test]
fn durations_are_spoken_as_written() {
    for text in ["500ms", "1s", "90s", "15m", "2h", "1500ms"] {
        assert_eq!(spoken(duration(text, &ANY).unwrap()), text);
    }
}

#[test]
fn sizes() {
    assert_eq!(size("32KiB"), Ok(32 << 10));
    assert_eq!(size("1 MiB"), Ok(1 << 20));
    assert_eq!(size("2GiB"), Ok(2 << 30));
    assert_eq!(size("512B"), Ok(512));
    assert_eq!(size("512"), Ok(512));
    for bad in ["", "KiB", "1KB", "1.5MiB", "-1", "1kib", "99999999999GiB"] {
        assert!(size(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn hosts() {
    assert_eq!(host("S3.Internal").unwrap(), "s3.internal");
    assert_eq!(host("[0:0::1]").unwrap(), "[::1]");
    assert_eq!(host("10.0.0.1").unwrap(), "10.0.0.1");
    for bad in
        ["", "a..b", "a.", "::1", "[::1", "a:80", "a b", "größe", "127.1", "a/b", "1.2.3.4.5", "a.0x7f"]
    {
        assert!(host(bad).is_err(), "{bad:?}");
    }
    assert_eq!(host_and_port("A.example:8443").unwrap(), "a.example:8443");
    assert_eq!(host_and_port("[::1]:1").unwrap(), "[::1]:1");
    assert_eq!(host_and_port("[::1]").unwrap(), "[::1]");
    for bad in ["a:", "a:0", "a:65536", "a:+1", "::1"] {
        assert!(host_and_port(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn host_patterns() {
    assert_eq!(host_match("*.S3.internal").unwrap(), HostMatch::Suffix("s3.internal".into()));
    assert_eq!(host_match("a.b").unwrap(), HostMatch::Exact("a.b".into()));
    for bad in ["*", "*.", "a.*", "*.*.b", "*a.b", "*.1.2.3.4"] {
        assert!(host_match(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn path_prefixes() {
    assert_eq!(path_prefix("/").unwrap(), "");
    assert_eq!(path_prefix("/client/api").unwrap(), "/client/api");
    assert_eq!(path_prefix("/client/").unwrap(), "/client");
    for bad in
        ["", "client", "//", "/a//b", "/a/../b", "/a/.", "/a%2Fb", "/a?b", "/a#b", "/a b", "/ä", "/a\\b"]
    {
        assert!(path_prefix(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn addresses() {
    assert!(matches!(address("127.0.0.1:8480"), Ok(Address::Tcp(_))));
    assert!(matches!(address("[::1]:0"), Ok(Address::Tcp(_))));
    assert_eq!(address("unix:/run/x").unwrap(), Address::Unix("/run/x".into()));
    assert!(address("localhost:8480").unwrap_err().help.unwrap().contains("127.0.0.1:8480"));
    let long = format!("unix:/{}", "x".repeat(107));
    for bad in ["8480", ":8480", "unix:run/x", "unix:", "127.0.0.1", long.as_str()] {
        assert!(address(bad).is_err(), "{bad:?}");
    }
    assert!(is_loopback("127.9.9.9".parse().unwrap()));
    assert!(is_loopback("::ffff:127.0.0.1".parse().unwrap()));
    assert!(!is_loopback("0.0.0.0".parse().unwrap()));
}

#[test]
fn origins() {
    let good = origin("HTTPS://Cloud.Example:8443/").unwrap();
    assert_eq!((good.tls, good.host.as_str(), good.port), (true, "cloud.example", 8443));
    assert_eq!(good.authority(), "cloud.example:8443");
    assert_eq!(origin("https://a:443").unwrap().authority(), "a");
    assert_eq!(origin("http://a:443").unwrap().authority(), "a:443");
    assert_eq!(origin("http://[::1]").unwrap().bare_host(), "::1");
    for loopback in ["http://localhost:1", "http://127.3.2.1", "http://[::1]:9"] {
        assert!(origin(loopback).unwrap().is_loopback(), "{loopback}");
    }
    assert!(!origin("http://localhost.example").unwrap().is_loopback());
    for bad in [
        "",
        "cloud.example",
        "ftp://a",
        "https://",
        "https://u:p@a",
        "https://a/b",
        "https://a?b",
        "https://a#b",
        "https://a:0",
        "https://a:x",
        "https://a b",
        "https://:80",
    ] {
        assert!(origin(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn forwardable_headers() {
    assert_eq!(forwardable("X-Custom").unwrap(), "x-custom");
    for bad in [
        "Connection",
        "Authorization",
        "cookie",
        "Host",
        "x-amz-date",
        "X-Forwarded-For",
        "x-countersign-wait",
        "a b",
        "",
    ] {
        assert!(forwardable(bad).is_err(), "{bad:?}");
    }
}
