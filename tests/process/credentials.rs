//! Credentials that are missing, unfit or slow: told, never forwarded, and in nobody's way.

use std::fs;
use std::time::{Duration, Instant};

use super::program::Place;
use super::support::naive::Keys;
use super::*;

#[test]
fn a_missing_credential_is_told_and_never_forwarded() {
    let upstream = Upstream::ok();
    let place = Place::new();
    let id = place.write("id", "AKLATE");
    let late = format!(
        "[credentials.late]\naccess-key = {{ file = \"{id}\" }}\nsecret-key = {{ file = \"{}\" }}\n{}",
        place.path("secret"),
        zstack(&upstream).replace("\"key\"", "\"late\""),
    );
    let gateway = Gateway::with(&(cloud(&upstream) + &late));
    let target = ask("GET", "/zstack/v1/hosts");
    for _ in 0..2 {
        gateway.call(&target).refused(503, "credential-unavailable");
    }
    upstream.assert_untouched("the credential is missing");
    let ready = gateway.admin("/readyz");
    assert_eq!(ready.status, 503);
    assert!(ready.text().starts_with("credential-unavailable late:"), "{}", ready.text());
    assert!(ready.text().contains("secret-key") && !ready.text().contains("AKLATE"), "{}", ready.text());
    assert_eq!(metric(&gateway, "countersign_credential_ready{credential=\"late\"}"), Some(0.0));
    assert_eq!(metric(&gateway, "countersign_credential_ready{credential=\"key\"}"), Some(1.0));
    let refused = "countersign_refused_total{route=\"zstack\",reason=\"credential-unavailable\"}";
    assert_eq!(metric(&gateway, refused), Some(2.0));
    // The other route is as good as ever.
    gateway.call(&list()).passed(200);

    place.write("secret", "late secret");
    reload(&gateway, GOOD);
    assert_eq!(gateway.admin("/readyz").text(), "ok\n");
    gateway.call(&target).passed(200);
    assert_eq!(metric(&gateway, "countersign_credential_ready{credential=\"late\"}"), Some(1.0));
    let keys = Keys { id: "AKLATE".into(), secret: "late secret".into(), token: None };
    naive::zstack(&upstream.last(), &keys, "/zstack", 0).unwrap();

    // And gone again: the key is not kept behind the operator's back.
    fs::remove_file(place.path("secret")).unwrap();
    reload(&gateway, GOOD);
    gateway.call(&target).refused(503, "credential-unavailable");
    assert_eq!(gateway.admin("/readyz").status, 503);
}

/// Resolved, and still nothing that the scheme can sign with.
#[test]
fn a_credential_that_the_scheme_cannot_use_is_told() {
    let upstream = Upstream::ok();
    let keys = Keys::default().with_token("a session token, which CloudStack does not know");
    let gateway = Setup::default().credential("key", keys).text(&cloud(&upstream)).start();
    gateway.call(&list()).refused(503, "credential-unavailable");
    upstream.assert_untouched("there is no signer");
    let ready = gateway.admin("/readyz");
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("key: route `cloud` cannot sign cloudstack"), "{}", ready.text());
    assert_eq!(metric(&gateway, "countersign_credential_ready{credential=\"key\"}"), Some(0.0));
}

/// A credential's source may take half a minute; nothing else waits for it.
#[test]
fn a_slow_credential_holds_up_neither_admin_nor_signals() {
    let upstream = Upstream::ok();
    let place = Place::new();
    let slow = place.path("slow");
    let script = format!("test ! -e {slow} || sleep 20; echo value");
    let credential = format!(
        "[credentials.key]\naccess-key = {{ exec = [\"sh\", \"-c\", \"{script}\"] }}\nsecret-key = {{ exec = [\"echo\", \"value\"] }}\n"
    );
    let mut gateway = Setup::default().text(&(credential + &cloud(&upstream))).start();
    gateway.call(&list()).passed(200);
    place.write("slow", "");
    gateway.signal("HUP");
    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(200));
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(gateway.admin(path).status, 200, "{path}");
    }
    gateway.call(&list()).passed(200);
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}
