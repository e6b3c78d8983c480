//! Listeners that speak TLS.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use http::Version;

use super::support::naive::Keys;
use super::tls::{self, Authority, Leaf, Session, Validity};
use super::*;

#[tokio::test]
async fn a_tls_listener_speaks_what_alpn_chooses() {
    let upstream = Upstream::ok();
    let authority = Authority::new("ca");
    let leaf = authority.server(&["gateway.example", "localhost"]);
    let front = Front::new(&leaf, None, &cloud(&plain(&upstream)), "");
    let address = front.gateway.address;
    for (offer, chosen, version) in [
        (&["h2"][..], Some("h2"), Version::HTTP_2),
        (&["http/1.1"], Some("http/1.1"), Version::HTTP_11),
        (&["http/1.1", "h2"], Some("h2"), Version::HTTP_2),
        (&[], None, Version::HTTP_11),
    ] {
        let config = tls::caller(&authority, None, offer);
        for name in ["gateway.example", "localhost"] {
            let mut session = Session::tls(address, &config, name).await.unwrap();
            assert_eq!(session.alpn.as_deref(), chosen);
            let http2 = version == Version::HTTP_2;
            let request = if http2 { get2("https", name, LIST) } else { get(name, LIST) };
            let told = session.send(request).await.unwrap();
            assert_eq!((told.status, told.version), (200, version), "{offer:?}");
            assert_eq!(told.body.as_deref(), Ok("ok"));
            assert!(told.headers.contains_key("x-request-id"));
            naive::cloudstack(&upstream.last(), &Keys::default()).unwrap();
        }
    }
    // Nothing in common: the handshake fails instead of guessing.
    let odd = tls::caller(&authority, None, &["spdy/3"]);
    assert!(Session::tls(address, &odd, "localhost").await.is_err());
    // Cleartext is not spoken here.
    let count = upstream.requests().len();
    let mut caller = front.gateway.connect();
    caller.send(&ask("GET", LIST).bytes(address));
    assert!(!matches!(caller.try_response("GET"), Ok(Some(_))));
    assert_eq!(upstream.requests().len(), count);
    let record = front.gateway.wait_for_records(8).pop().unwrap();
    assert_eq!(record["route"], "cloud");
}

#[tokio::test]
async fn client_certificates_are_verified() {
    let upstream = Upstream::ok();
    let (servers, callers, others) =
        (Authority::new("servers"), Authority::new("callers"), Authority::new("callers"));
    let front = Front::new(&servers.server(&["localhost"]), Some(&callers), &cloud(&plain(&upstream)), "");
    let address = front.gateway.address;
    let attempt = async |shows: Option<&Leaf>, alpn: &[&str]| {
        let config = tls::caller(&servers, shows, alpn);
        // With TLS 1.3 the refusal may arrive only after the caller's side of the handshake is done.
        let mut session = Session::tls(address, &config, "localhost").await?;
        let request = if alpn == ["h2"] { get2("https", "localhost", LIST) } else { get("localhost", LIST) };
        session.send(request).await.map(|told| told.status)
    };
    let usage = || rcgen::ExtendedKeyUsagePurpose::ClientAuth;
    let expired = callers.issue(&["billing"], usage(), Validity::Past);
    let wrong_use = callers.server(&["billing"]);
    let stranger = others.client("billing");
    for alpn in [&["h2"][..], &["http/1.1"]] {
        for (bad, shows) in [
            ("none", None),
            ("another authority", Some(&stranger)),
            ("expired", Some(&expired)),
            ("a server's", Some(&wrong_use)),
        ] {
            let outcome = attempt(shows, alpn).await;
            assert!(outcome.is_err(), "{bad}: {outcome:?}");
        }
    }
    upstream.assert_untouched("no caller was let in");
    assert!(front.gateway.records().is_empty());
    for alpn in [&["h2"][..], &["http/1.1"]] {
        assert_eq!(attempt(Some(&callers.client("billing")), alpn).await, Ok(200));
    }
    // The roots of callers are read anew with everything else.
    front.replace("callers.pem", &others.pem());
    reload(&front.gateway, GOOD);
    assert_eq!(attempt(Some(&stranger), &BOTH[1..]).await, Ok(200));
    assert!(attempt(Some(&callers.client("billing")), &BOTH[1..]).await.is_err());
}

/// A `ClientHello` that offers one version and no `supported_versions`.
fn hello(version: u8) -> Vec<u8> {
    // ECDHE with RSA and ECDSA: CBC for TLS 1.1, GCM for 1.2.
    let suites: &[u8] = &[0xc0, 0x13, 0xc0, 0x09, 0xc0, 0x2f, 0xc0, 0x2b];
    let extensions: &[u8] = &[
        0x00, 0x0a, 0x00, 0x04, 0x00, 0x02, 0x00, 0x17, // supported_groups: secp256r1
        0x00, 0x0b, 0x00, 0x02, 0x01, 0x00, // ec_point_formats: uncompressed
        0x00, 0x0d, 0x00, 0x06, 0x00, 0x04, 0x04, 0x03, 0x08, 0x04, // signature_algorithms
        0x00, 0x17, 0x00, 0x00, // extended_master_secret
    ];
    let mut body = vec![3, version];
    body.extend([7; 32]);
    body.push(0);
    body.extend([0, u8::try_from(suites.len()).unwrap()]);
    body.extend(suites);
    body.extend([1, 0]);
    body.extend([0, u8::try_from(extensions.len()).unwrap()]);
    body.extend(extensions);
    let length = u8::try_from(body.len()).unwrap();
    [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat()
}

#[test]
fn old_versions_of_tls_are_refused() {
    let authority = Authority::new("ca");
    let front = Front::new(&authority.server(&["localhost"]), None, &cloud("\"http://127.0.0.1:9\""), "");
    let first_record = |version: u8| {
        let mut stream = TcpStream::connect(front.gateway.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&hello(version)).unwrap();
        let mut record = [0; 7];
        stream.read_exact(&mut record).unwrap();
        record
    };
    // 22: a handshake goes on. 21: an alert, 70 is `protocol_version`.
    assert_eq!(first_record(3)[0], 22, "TLS 1.2 is spoken");
    for old in [1, 2] {
        let record = first_record(old);
        assert_eq!((record[0], record[5], record[6]), (21, 2, 70), "TLS 1.{}", old - 1);
    }
}

#[test]
fn a_handshake_has_its_time() {
    let authority = Authority::new("ca");
    let leaf = authority.server(&["localhost"]);
    let front = Front::new(&leaf, None, &cloud("\"http://127.0.0.1:9\""), "handshake-timeout = \"300ms\"");
    let start = Instant::now();
    let mut silent = front.gateway.connect();
    let mut slow = front.gateway.connect();
    slow.send(&hello(3)[..20]);
    silent.closed();
    slow.closed();
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(290) && took < Duration::from_secs(8), "{took:?}");
}

#[tokio::test]
async fn a_reload_reads_certificates_anew() {
    let upstream = Upstream::ok();
    let authority = Authority::new("ca");
    let (first, second) = (authority.server(&["localhost"]), authority.server(&["localhost"]));
    let front = Front::new(&first, None, &cloud(&plain(&upstream)), "");
    let address = front.gateway.address;
    let config = tls::caller(&authority, None, &BOTH);
    let mut old = Session::tls(address, &config, "localhost").await.unwrap();
    assert_eq!(old.send(get2("https", "localhost", LIST)).await.unwrap().status, 200);

    // Half a change is refused: the key is not that of the certificate.
    front.replace("tls.pem", &second.certificate);
    let why = reload(&front.gateway, REFUSED)["error"].as_str().unwrap().to_owned();
    assert!(why.contains("tls.pem"), "{why}");
    front.replace("tls.key", "no key at all");
    let why = reload(&front.gateway, REFUSED)["error"].as_str().unwrap().to_owned();
    assert!(why.contains("tls.key"), "{why}");
    let same = Session::tls(address, &config, "localhost").await.unwrap();
    assert_eq!(same.certificate, old.certificate);

    front.replace("tls.key", &second.key);
    reload(&front.gateway, GOOD);
    let mut new = Session::tls(address, &config, "localhost").await.unwrap();
    assert_ne!(new.certificate, old.certificate);
    for session in [&mut old, &mut new] {
        assert_eq!(session.send(get2("https", "localhost", LIST)).await.unwrap().status, 200);
    }
}
