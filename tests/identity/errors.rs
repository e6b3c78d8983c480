//! What callers are told, in each protocol's own form: as their libraries read it, and never more than they may know.

use crate::signer::{self, Call, V4};
use crate::support::naive::now;
use crate::support::{Response, Upstream};
use crate::{flipped, gateway, local};

fn kind(response: &Response) -> &str {
    response.headers.one("content-type").unwrap()
}

#[test]
fn cloudstack_is_answered_as_it_asked() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    let ask = |call: Call| gateway.call(&call.ask());

    // CloudStack: the format and the command stand where the caller put them.
    let text = "unable to verify user credentials and/or request signature";
    for (json, form) in [(true, false), (false, false), (true, true), (false, true)] {
        let mut parameters = vec![("command", "listUsers")];
        parameters.extend(json.then_some(("response", "json")));
        let wire = signer::cloudstack(&parameters, &flipped(), None);
        let response = ask(if form {
            Call::new("POST", "127.0.0.1", "/client/api")
                .header("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
                .body(&wire)
        } else {
            Call::new("GET", "127.0.0.1", &format!("/client/api?{wire}"))
        });
        response.refused(401, "signature-mismatch");
        if json {
            let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
            let inner = serde_json::json!({ "uuidList": [], "errorcode": 401, "errortext": text });
            assert_eq!(body, serde_json::json!({ "listusersresponse": inner }));
        } else {
            assert_eq!(kind(&response), "text/xml");
            let expected =
                format!("<listusersresponse><errorcode>401</errorcode><errortext>{text}</errortext>");
            assert!(response.text().contains(&expected), "{}", response.text());
        }
    }
    // Later refusals know the form too.
    let twice = signer::cloudstack(
        &[("command", "listUsers"), ("response", "json"), ("a", "1"), ("A", "2")],
        &local(),
        None,
    );
    let form = Call::new("POST", "127.0.0.1", "/client/api")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(&twice);
    let response = ask(form);
    response.refused(400, "duplicate-parameter");
    assert!(response.text().starts_with("{\"listusersresponse\":"), "{}", response.text());

    upstream.assert_untouched("a wrong signature");
}

#[test]
fn zstack_is_answered_in_json() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    let ask = |call: Call| gateway.call(&call.ask());
    let response = ask(signer::zstack(&Call::new("GET", "127.0.0.1", "/zstack/v1/zones"), &flipped(), 0));
    response.refused(403, "signature-mismatch");
    let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(body["error"]["details"], "wrong accessKey signature");
    let undated =
        Call::new("GET", "127.0.0.1", "/zstack/v1/zones").header("Authorization", "ZStack LOCALJOB01:a");
    ask(undated.clone()).refused(400, "signature-malformed");
    ask(undated.header("Date", "yesterday")).refused(400, "signature-malformed");

    upstream.assert_untouched("a wrong signature");
}

#[test]
fn s3_is_answered_with_amazons_codes() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    let ask = |call: Call| gateway.call(&call.ask());
    let get = Call::new("GET", "s3.internal", "/b/k");
    let response = ask(V4::S3.header(&get, &flipped(), None).0);
    assert_eq!((response.status, kind(&response)), (403, "application/xml"));
    assert!(
        response.text().contains("<Error><Code>SignatureDoesNotMatch</Code><Message>"),
        "{}",
        response.text()
    );
    let said = |call: Call, status: u16, code: &str| {
        let response = ask(call);
        assert_eq!(response.status, status, "{}", response.text());
        assert!(response.text().contains(&format!("<Code>{code}</Code>")), "{}", response.text());
    };
    let signed = V4::S3.header(&get, &local(), None).0;
    let with = |name: &str, value: &str| {
        let mut call = signed.clone();
        call.set(name, value);
        call
    };
    let good = signed.value("authorization").unwrap().to_owned();
    said(get.clone(), 403, "AccessDenied");
    said(with("x-amz-date", "20260102T030405"), 403, "AccessDenied");
    said(with("x-amz-date", "Fri, 02 Jan 2026 03:04:05 GMT"), 403, "AccessDenied");
    said(with("x-amz-content-sha256", "abc"), 403, "SignatureDoesNotMatch");
    for broken in [
        good.replace("Credential=", "Credentials="),
        good.replace("aws4_request", "aws4"),
        good.replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512"),
        good.split(", Signature").next().unwrap().to_owned(),
        format!("{good}, Signature=a"),
        good.replace("SignedHeaders=host", "SignedHeaders=Host"),
    ] {
        let response = ask(with("authorization", &broken));
        assert_eq!(response.status, 400, "{broken}: {}", response.text());
        assert!(response.text().contains("<Code>AuthorizationHeaderMalformed</Code>"), "{broken}");
    }
    let mut unstated = signed.clone();
    unstated.headers.retain(|(name, _)| name != "x-amz-content-sha256");
    said(unstated, 400, "InvalidArgument");
    let url = V4::S3.query(&get, &local(), 60);
    for (from, to) in [
        ("X-Amz-Expires=60", "X-Amz-Expires=0"),
        ("X-Amz-Expires=60", "X-Amz-Expires=604801"),
        ("X-Amz-Expires=60", "X-Amz-Expires=+60"),
        ("X-Amz-Expires=60", "X-Amz-Expires=60&X-Amz-Expires=60"),
        ("X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Algorithm=AWS4-HMAC-SHA1"),
        ("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=host%3Bx"),
    ] {
        let mut call = url.clone();
        call.target = call.target.replace(from, to);
        assert_ne!(call.target, url.target);
        said(call, 400, "AuthorizationQueryParametersError");
    }
    let mut dated = url.clone();
    dated.target = dated.target.replace("X-Amz-Date=2", "X-Amz-Date=1&y=2");
    said(dated, 403, "AccessDenied");
    let undated = Call::new("GET", "ceph.internal", "/b/k").header("Authorization", "AWS LOCALJOB01:a");
    said(undated, 403, "AccessDenied");
    let endless = Call::new("GET", "ceph.internal", "/b/k?AWSAccessKeyId=LOCALJOB01&Signature=a");
    said(endless, 400, "AuthorizationQueryParametersError");

    upstream.assert_untouched("a wrong signature");
}

#[test]
fn other_services_are_answered_in_json_or_xml() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    let ask = |call: Call| gateway.call(&call.ask());
    // Other services of Amazon's: JSON for those who name a target, XML for those who name an action.
    let json =
        Call::new("POST", "127.0.0.1", "/sqs/q").header("X-Amz-Target", "AmazonSQS.SendMessage").body("{}");
    let response = ask(V4::SQS.header(&json, &flipped(), None).0);
    response.refused(400, "signature-mismatch");
    assert_eq!(response.headers.one("x-amzn-errortype"), Some("InvalidSignatureException"));
    let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(body["__type"], "InvalidSignatureException");
    assert!(body["message"].as_str().unwrap().contains("does not match"));
    let response = ask(json.clone());
    assert_eq!(response.headers.one("x-amzn-errortype"), Some("MissingAuthenticationTokenException"));
    let form = Call::new("POST", "127.0.0.1", "/sqs/q")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("Action=SendMessage");
    let response = ask(V4::SQS.header(&form, &flipped(), None).0);
    response.refused(403, "signature-mismatch");
    let expected = "<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code>";
    assert!(response.text().contains(expected), "{}", response.text());
    let rest = V4::SQS.header(&Call::new("GET", "127.0.0.1", "/sqs/2015/functions"), &flipped(), None).0;
    let response = ask(rest);
    response.refused(403, "signature-mismatch");
    assert_eq!(kind(&response), "application/problem+json");

    upstream.assert_untouched("a wrong signature");
}

#[test]
fn nobody_learns_how_near_a_signature_was() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    let good = V4::S3.header(&Call::new("GET", "s3.internal", "/b/k"), &local(), None).0;
    let authorization = good.value("authorization").unwrap().to_owned();
    let signature = authorization.rsplit('=').next().unwrap().to_owned();
    let mut texts = Vec::new();
    // From the first character to the last, and none at all in common.
    for at in [0, 1, 31, 62, 63] {
        let mut other = signature.clone().into_bytes();
        other[at] = if other[at] == b'0' { b'1' } else { b'0' };
        let other = String::from_utf8(other).unwrap();
        let mut call = good.clone();
        call.set("authorization", &authorization.replace(&signature, &other));
        let response = gateway.call(&call.ask());
        response.refused(403, "signature-mismatch");
        assert!(!response.text().contains(&signature));
        texts.push(response.text());
        let record = gateway.record_of(&response).to_string();
        assert!(!record.contains(&signature) && !record.contains(&other), "{record}");
    }
    texts.dedup();
    assert_eq!(texts.len(), 1);
    for call in [
        signer::v2_header(&Call::new("GET", "s3.internal", "/b/k"), &flipped(), 0, None),
        signer::v2_query(&Call::new("GET", "s3.internal", "/b/k"), &flipped(), now() + 60, None),
    ] {
        let response = gateway.call(&call.ask());
        response.refused(403, "signature-mismatch");
        assert!(!response.text().contains("LOCALJOB01"), "{}", response.text());
    }
}
