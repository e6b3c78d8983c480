//! A call's detail: how it was signed, without what nobody may see.

use super::*;

/// The detail of the only call that is kept.
fn detail(gateway: &Gateway, route: &str) -> Value {
    let mut found = Value::Null;
    eventually("the call is kept", || {
        let calls = json(gateway, &format!("/calls?filter=route:{route}"));
        found = calls[0].clone();
        found.is_object()
    });
    json(gateway, &format!("/calls/{}", found["id"].as_str().unwrap()))
}

#[test]
fn each_scheme_shows_what_was_signed_and_no_secret() {
    let upstream = Upstream::ok();
    let gateway = Setup::default().credential("key", Keys::default()).text(&every_scheme(&upstream)).start();
    look(&gateway);
    let mut pages = Vec::new();
    for (route, call) in calls() {
        gateway.call(&call).passed(200);
        let request = upstream.take().remove(0);
        verify(route, &request);
        let detail = detail(&gateway, route);
        let to_sign = detail["string-to-sign"].as_str().unwrap_or_else(|| panic!("{route}: {detail}"));
        let canonical = detail["canonical-request"].as_str();
        match route {
            "cloud" => {
                assert!(
                    to_sign.starts_with("apikey=\u{2039}20 bytes\u{203a}&command=listusers&expires="),
                    "{to_sign}"
                );
                assert!(
                    to_sign.contains("&keyword=\u{2039}16 bytes\u{203a}&response=json&signatureversion=3"),
                    "{to_sign}"
                );
            }
            "zstack" => {
                let date = request.headers.one("date").unwrap();
                assert_eq!(to_sign, format!("GET\n{date}\n/v1/vm-instances"));
            }
            "ceph" => {
                assert!(to_sign.starts_with("GET\n\n\n"), "{to_sign}");
                assert!(to_sign.contains("\nx-amz-meta-note:\u{2039}16 bytes\u{203a}\n"), "{to_sign}");
                assert!(
                    to_sign.contains("/bucket/key?acl&\u{2039}45 bytes\u{203a}&versionId=7"),
                    "{to_sign}"
                );
            }
            "s3" => {
                let canonical = canonical.unwrap();
                let begins = "GET\n/bucket/key\nresponse-content-disposition=\u{2039}16 bytes\u{203a}&versionId=7\nhost:";
                assert!(canonical.starts_with(begins), "{canonical}");
                assert!(canonical.contains("-customer-key:\u{2039}16 bytes\u{203a}\n"), "{canonical}");
                // What is shown whole is what was sent.
                let date = request.headers.one("x-amz-date").unwrap();
                assert!(canonical.contains(&format!("\nx-amz-date:{date}\n")), "{canonical}");
                assert!(to_sign.starts_with(&format!("AWS4-HMAC-SHA256\n{date}\n")), "{to_sign}");
            }
            _ => {
                let canonical = canonical.unwrap();
                let query = "Action=ListQueues&QueueNamePrefix=\u{2039}16 bytes\u{203a}&Version=2012-11-05";
                assert!(canonical.contains(query), "{canonical}");
            }
        }
        assert_eq!(canonical.is_some(), matches!(route, "s3" | "sqs"), "{route}");
        let signature = match route {
            "cloud" => {
                request.query().unwrap().split("signature=").nth(1).unwrap().split('&').next().unwrap()
            }
            _ => request
                .headers
                .one("authorization")
                .unwrap()
                .rsplit([':', '='])
                .find(|text| text.len() > 20)
                .unwrap(),
        };
        let id = detail["id"].as_str().unwrap();
        for path in
            [format!("/calls/{id}"), format!("/call?id={id}"), "/calls".into(), "/".into(), "/metrics".into()]
        {
            let text = gateway.admin(&path).text();
            assert!(
                !text.contains(signature) && !text.contains("CANARY-PARAMETER"),
                "{route} {path}: {text}"
            );
            pages.push(text);
        }
    }
    let keys = Keys::default();
    for page in pages {
        assert!(!page.contains(&keys.secret) && !page.contains("canary"), "{page}");
    }
}

#[test]
fn a_session_token_is_not_shown() {
    let upstream = Upstream::ok();
    let token = "canary+session/token=";
    let gateway = Setup::default()
        .credential("key", Keys::default().with_token(token))
        .text(
            &every_scheme(&upstream)
                .split("[routes.ceph]")
                .nth(1)
                .map(|rest| format!("[routes.ceph]{rest}"))
                .unwrap(),
        )
        .start();
    look(&gateway);
    for (route, call) in calls().into_iter().filter(|(route, _)| ["ceph", "s3", "sqs"].contains(route)) {
        gateway.call(&call).passed(200);
        let request = upstream.take().remove(0);
        assert_eq!(request.headers.one("x-amz-security-token"), Some(token), "{route}");
        let detail = detail(&gateway, route).to_string();
        assert!(detail.contains("x-amz-security-token:\u{2039}21 bytes\u{203a}"), "{route}: {detail}");
        assert!(!detail.contains("canary"), "{route}: {detail}");
    }
}

#[test]
fn while_nobody_watches_nothing_is_kept() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    for (_, call) in calls() {
        gateway.call(&call).passed(200);
    }
    gateway.wait_for_records(5);
    look(&gateway);
    gateway.call(&calls()[3].1).passed(200);
    assert_eq!(kept(&gateway, 1).len(), 1);
}

/// A refused call was never signed, and its detail says so.
#[test]
fn refused_calls_have_no_stages() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    look(&gateway);
    gateway.call(&ask("GET", "/client/api?response=json")).refused(400, "command-missing");
    let detail = detail(&gateway, "cloud");
    assert_eq!((&detail["string-to-sign"], &detail["error"]), (&Value::Null, &"command-missing".into()));
    let page = gateway.admin(&format!("/call?id={}", detail["id"].as_str().unwrap())).text();
    assert!(page.contains("it was never signed"), "{page}");
}
