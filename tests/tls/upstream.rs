//! Upstreams that speak TLS, and HTTP/2 towards them.

use http::Version;

use super::support::naive::{Keys, SigV4};
use super::tls::{Authority, TlsUpstream, Validity};
use super::*;

/// What an upstream's TLS must be, and what becomes of the request when it is not.
#[test]
fn an_upstream_is_trusted_by_its_certificate() {
    let (ours, others) = (Authority::new("ours"), Authority::new("ours"));
    let server = || rcgen::ExtendedKeyUsagePurpose::ServerAuth;
    let good = TlsUpstream::new(&ours.server(&["localhost", "127.0.0.1"]), &["http/1.1"]);
    let stranger = TlsUpstream::new(&others.server(&["localhost"]), &["http/1.1"]);
    let misnamed = TlsUpstream::new(&ours.server(&["elsewhere.example"]), &["http/1.1"]);
    let expired = TlsUpstream::new(&ours.issue(&["localhost"], server(), Validity::Past), &["http/1.1"]);
    let cleartext = Upstream::scripted(|talk| {
        talk.skip(5);
        talk.write(b"HTTP/1.1 400 This is no TLS\r\ncontent-length: 0\r\n\r\n");
    });
    let place = std::env::temp_dir().join(format!("countersign-test-{}.pem", uuid::Uuid::new_v4()));
    fs::write(&place, ours.pem()).unwrap();
    let trusted = format!("ca-file = \"{}\"", place.display());
    let all = [
        ("good", good.address, "localhost", &trusted),
        ("ip", good.address, "127.0.0.1", &trusted),
        ("stranger", stranger.address, "localhost", &trusted),
        ("misnamed", misnamed.address, "localhost", &trusted),
        ("expired", expired.address, "localhost", &trusted),
        ("cleartext", cleartext.address, "localhost", &trusted),
        ("unknown", good.address, "localhost", &String::new()),
    ];
    let routes = all.map(|(name, address, host, trust)| {
        let upstream = format!(
            "{{ url = \"https://{host}:{}\", rewrite-path = \"/client/api\", {trust} }}",
            address.port()
        );
        let upstream = upstream.replace(",  }", " }");
        route(name, &format!("path = \"/{name}\""), &upstream, "cloudstack = { credential = \"key\" }")
    });
    let gateway = Gateway::with(&routes.concat());
    for (name, ..) in all {
        let told = gateway.call(&ask("GET", &format!("/{name}?command=listUsers&response=json")));
        if matches!(name, "good" | "ip") {
            told.passed(200);
            assert_eq!(told.text(), "HTTP/1.1");
        } else {
            told.refused(502, "upstream-tls");
            assert!(told.text().contains("\"errorcode\":502"), "{name}: {}", told.text());
        }
    }
    assert_eq!(good.seen().len(), 2);
    assert_eq!((stranger.seen().len(), misnamed.seen().len(), expired.seen().len()), (0, 0, 0));
    assert!(cleartext.requests().is_empty());
    // An address is not sent as a server name.
    let names: Vec<_> = good.seen().into_iter().map(|seen| seen.sni).collect();
    assert_eq!(names, [Some("localhost".to_owned()), None]);
    fs::remove_file(place).unwrap();
}

#[test]
fn connect_address_host_and_server_name_are_three_things() {
    let authority = Authority::new("ca");
    for (alpn, http2) in [(&["http/1.1"][..], false), (&BOTH, true)] {
        let upstream = TlsUpstream::new(&authority.server(&["tls.example"]), alpn);
        let ca = std::env::temp_dir().join(format!("countersign-test-{}.pem", uuid::Uuid::new_v4()));
        fs::write(&ca, authority.pem()).unwrap();
        let gateway = Gateway::with(&s3(&format!(
            "{{ url = \"https://{}\", host = \"signed.example:8443\", sni = \"tls.example\", ca-file = \"{}\", http2 = {http2} }}",
            upstream.address,
            ca.display()
        )));
        gateway.call(&ask("GET", "/bucket/key?versionId=7")).passed(200);
        let seen = upstream.last();
        assert_eq!(seen.sni.as_deref(), Some("tls.example"));
        let server = SigV4::S3;
        naive::sigv4(&seen.as_request(), &Keys::default(), server).unwrap();
        if http2 {
            assert_eq!(seen.version, Version::HTTP_2);
            assert_eq!(seen.authority.as_deref(), Some("signed.example:8443"));
            assert!(!seen.headers.contains_key("host"));
        } else {
            assert_eq!(seen.headers["host"], "signed.example:8443");
        }
        fs::remove_file(ca).unwrap();
    }
}

#[test]
fn http2_upstream_is_a_matter_of_both_sides() {
    let authority = Authority::new("ca");
    let leaf = authority.server(&["localhost"]);
    let (new, old) = (TlsUpstream::new(&leaf, &BOTH), TlsUpstream::new(&leaf, &["http/1.1"]));
    let ca = std::env::temp_dir().join(format!("countersign-test-{}.pem", uuid::Uuid::new_v4()));
    fs::write(&ca, authority.pem()).unwrap();
    let route = |name: &str, upstream: &TlsUpstream, http2: bool| {
        let upstream = format!(
            "{{ url = \"https://localhost:{}\", ca-file = \"{}\", rewrite-path = \"/bucket\", http2 = {http2} }}",
            upstream.address.port(),
            ca.display()
        );
        let sign = "s3-v4 = { credential = \"key\", region = \"us-east-1\" }";
        route(name, &format!("path = \"/{name}\""), &upstream, sign)
    };
    let routes = route("both", &new, true) + &route("ours", &old, true) + &route("theirs", &new, false);
    let gateway = Setup::routes(&routes).start();
    let server = SigV4::S3;
    for (name, upstream, version) in [
        ("both", &new, Version::HTTP_2),
        ("ours", &old, Version::HTTP_11),
        ("theirs", &new, Version::HTTP_11),
    ] {
        let told = gateway.call(&ask("PUT", &format!("/{name}/a+b//c~")).body("small"));
        assert_eq!(told.passed(200).text(), format!("{version:?}"), "{name}");
        let seen = upstream.last();
        assert_eq!((seen.version, seen.body.as_ref()), (version, &b"small"[..]), "{name}");
        naive::sigv4(&seen.as_request(), &Keys::default(), server).unwrap();
    }
    // A long body is signed chunk by chunk on HTTP/2 too, past every window.
    let long = vec![b'x'; 3 << 20];
    gateway.call(&ask("PUT", "/both/long").body(&long)).passed(200);
    let seen = new.last();
    match naive::sigv4(&seen.as_request(), &Keys::default(), server).unwrap() {
        naive::Payload::Chunked(_, decoded) => assert_eq!(decoded.len(), long.len()),
        other => panic!("{other:?}"),
    }
    // Many requests at once share the connection.
    let before = new.seen().len();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| gateway.call(&ask("GET", "/both/key")).passed(200).status);
        }
    });
    let shared: Vec<usize> = new.seen()[before..].iter().map(|seen| seen.connection).collect();
    assert_eq!((shared.len(), shared.iter().all(|connection| *connection == seen.connection)), (8, true));
    fs::remove_file(ca).unwrap();
}

#[test]
fn a_reload_reads_upstream_roots_anew() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let upstream = TlsUpstream::new(&new.server(&["localhost"]), &["http/1.1"]);
    let ca = std::env::temp_dir().join(format!("countersign-test-{}.pem", uuid::Uuid::new_v4()));
    fs::write(&ca, old.pem()).unwrap();
    let gateway = Gateway::with(&cloud(&format!(
        "{{ url = \"https://localhost:{}\", ca-file = \"{}\" }}",
        upstream.address.port(),
        ca.display()
    )));
    gateway.call(&ask("GET", LIST)).refused(502, "upstream-tls");
    fs::write(&ca, new.pem()).unwrap();
    gateway.call(&ask("GET", LIST)).refused(502, "upstream-tls");
    reload(&gateway, GOOD);
    gateway.call(&ask("GET", LIST)).passed(200);
    // The same roots again: the connection that they opened goes on being used.
    reload(&gateway, GOOD);
    gateway.call(&ask("GET", LIST)).passed(200);
    let connections: Vec<usize> = upstream.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections[0], connections[1]);
    fs::write(&ca, "no certificate").unwrap();
    let why = reload(&gateway, REFUSED)["error"].as_str().unwrap().to_owned();
    assert!(why.contains(ca.to_str().unwrap()), "{why}");
    gateway.call(&ask("GET", LIST)).passed(200);
    fs::remove_file(&ca).unwrap();
}
