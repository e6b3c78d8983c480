//! What of an answer is taken out, on each kind of route and at each level.

use base64::Engine as _;

use crate::support::naive::Keys;
use crate::support::{Ask, answer, ask};
use crate::{JSON, XML, always, assert_discreet, changing, json};

const USERS: &str = "/client/api?command=listUsers&response=json";

fn s3(method: &str, target: &str) -> Ask {
    ask(method, target).header("Host", "s3.internal")
}

#[test]
fn keys_of_the_api_stay_behind_by_default() {
    let (gateway, upstream, next) = changing("");
    let body = "{\"listusersresponse\" : {\"count\":1, \"user\":[{\"id\":\"1\",\"apikey\":\"canary-1\",\
                \"secretkey\":\"canary-2\",\"state\":\"enabled\",\"password\":\"is material\"}]}}\n";
    let goes = body.replace("canary-1", "[redacted]").replace("canary-2", "[redacted]");
    next(json(body));
    let response = gateway.call(&ask("GET", USERS));
    assert_eq!(response.passed(200).text(), goes);
    assert_eq!(response.headers.one("content-length"), Some(goes.len().to_string().as_str()));
    assert_eq!(gateway.record_of(&response)["bytes-out"], goes.len());

    let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><listusersresponse><user><apikey>canary</apikey>\
                <id>1</id></user></listusersresponse>";
    next(answer(200, &[XML], body.as_bytes()));
    let response = gateway.call(&ask("GET", "/client/api?command=listUsers"));
    assert_eq!(response.passed(200).text(), body.replace("canary", "[redacted]"));

    let body = "{\"inventories\":[{\"uuid\":\"1\",\"accessKeySecret\":\"canary\"}]}";
    next(json(body));
    let response = gateway.call(&ask("GET", "/zstack/v1/zones"));
    assert_eq!(response.passed(200).text(), body.replace("canary", "[redacted]"));

    let body = "{\"Items\":[{\"SecretAccessKey\":\"canary\",\"n\":1.50}]}";
    next(answer(
        200,
        &[("Content-Type", "application/x-amz-json-1.0"), ("x-amz-crc32", "1")],
        body.as_bytes(),
    ));
    let call = ask("POST", "/aws/").header("X-Amz-Target", "DynamoDB_20120810.Scan").body("{}");
    let response = gateway.call(&call);
    assert_eq!(response.passed(200).text(), body.replace("canary", "[redacted]"));
    assert!(!response.headers.has("x-amz-crc32"), "it no longer holds");
    assert_eq!(upstream.connections(), 3, "one of each route, used to the end");
}

#[test]
fn answers_without_secrets_pass_to_the_byte() {
    let body = "{ \"listzonesresponse\" :\t{\"zone\":[{\"id\":1.0e2,\"name\":\"\\u00e9\\/\"}] } }\r\n";
    let (gateway, _upstream) =
        always("", answer(200, &[JSON, ("ETag", "\"1\""), ("Content-MD5", "x")], body.as_bytes()));
    let response = gateway.call(&ask("GET", "/client/api?command=listZones"));
    assert_eq!(response.passed(200).text(), body);
    assert_eq!(
        (response.headers.one("etag"), response.headers.one("content-md5")),
        (Some("\"1\""), Some("x"))
    );
}

#[test]
fn each_level_takes_out_what_it_says() {
    let body = "{\"apikey\":\"k\",\"password\":\"p\",\"vncPort\":5900}";
    for (lines, goes) in [
        ("", "{\"apikey\":\"[redacted]\",\"password\":\"p\",\"vncPort\":5900}"),
        ("secrets = \"deny\"", "{\"apikey\":\"[redacted]\",\"password\":\"p\",\"vncPort\":5900}"),
        ("secrets = \"redact\"", "{\"apikey\":\"[redacted]\",\"password\":\"[redacted]\",\"vncPort\":5900}"),
        (
            "redact = [\"VNC-port\"]",
            "{\"apikey\":\"[redacted]\",\"password\":\"p\",\"vncPort\":\"[redacted]\"}",
        ),
        ("secrets = \"allow\"", body),
    ] {
        let (gateway, _upstream) = always(lines, json(body));
        for target in ["/client/api?command=listZones", "/zstack/v1/zones", "/aws/?Action=ListTables"] {
            assert_eq!(gateway.call(&ask("GET", target)).passed(200).text(), goes, "{lines} {target}");
        }
    }
}

#[test]
fn a_credential_that_is_held_is_known_by_its_value() {
    let (gateway, _upstream, next) = changing("");
    let Keys { id, secret, .. } = Keys::default();
    let percent = |upper| {
        let encode = |byte| if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") };
        secret.bytes().map(encode).collect::<String>()
    };
    let engine = base64::engine::general_purpose::STANDARD;
    for spelled in [
        secret.clone(),
        format!("key={secret};"),
        id.clone(),
        secret.replace('/', "\\/"),
        secret.bytes().map(|byte| format!("\\u{byte:04x}")).collect(),
        percent(true),
        percent(false),
        engine.encode(&secret),
        engine.encode(format!("{id}:{secret}")),
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("x{secret}")),
    ] {
        next(json(&format!("{{\"note\":\"{spelled}\",\"id\":1}}")));
        for target in ["/client/api?command=listZones", "/zstack/v1/zones", "/aws/?Action=ListTables"] {
            let response = gateway.call(&ask("GET", target));
            assert_eq!(response.passed(200).text(), "{\"note\":\"[redacted]\",\"id\":1}", "{spelled}");
        }
    }
    let xml: String = secret.bytes().map(|byte| format!("&#{byte};")).collect();
    for spelled in [secret, xml, id] {
        next(answer(200, &[XML], format!("<a><b c='{spelled}'>x</b><d>{spelled}</d></a>").as_bytes()));
        let response = gateway.call(&ask("GET", "/client/api?command=listZones"));
        assert_eq!(response.passed(200).text(), "<a><b c='[redacted]'>x</b><d>[redacted]</d></a>");
    }
}

#[test]
fn objects_are_nobodys_answer_about_keys() {
    let Keys { secret, .. } = Keys::default();
    let body = format!("{{\"secretkey\":\"{secret}\"");
    for media in ["application/json", "text/xml", "application/octet-stream"] {
        let (gateway, _upstream) =
            always("secrets = \"redact\"", answer(200, &[("Content-Type", media)], body.as_bytes()));
        for target in ["/b/k", "/b?list-type=2", "/b/k?uploadId=x"] {
            let response = gateway.call(&s3("GET", target));
            assert_eq!(response.passed(200).text(), body, "{media} {target}");
            assert_eq!(response.headers.one("content-length"), Some(body.len().to_string().as_str()));
        }
    }
}

#[test]
fn users_of_ostor_keep_their_keys() {
    let body = "[{\"UserEmail\":\"a@b\",\"AWSAccessKeys\":[{\"AWSAccessKeyId\":\"canary\",\"AWSSecretAccessKey\":\"canary\"}]}]";
    let goes = "[{\"UserEmail\":\"a@b\",\"AWSAccessKeys\":[{\"AWSAccessKeyId\":\"\",\"AWSSecretAccessKey\":\"[redacted]\"}]}]";
    let (gateway, upstream) = always("secrets = \"redact\"", json(body));
    for target in ["/?ostor-users", "/?%6fstor-users&emailAddress=a%40b", "/?ostor-new"] {
        let call = ask("GET", target).header("Host", "ostor.internal");
        let call = call.header("Accept-Encoding", "gzip").header("Range", "bytes=0-1");
        assert_eq!(gateway.call(&call).passed(200).text(), goes, "{target}");
        assert!(!upstream.last().headers.has("accept-encoding") && !upstream.last().headers.has("range"));
    }
}

#[test]
fn refused_signatures_are_not_explained() {
    let error = |shown: &str| {
        format!(
            "<?xml version=\"1.0\"?>\n<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>{shown}</AWSAccessKeyId>\
             <StringToSign>{shown}</StringToSign><SignatureProvided>{shown}</SignatureProvided><StringToSignBytes>\
             {shown}</StringToSignBytes><CanonicalRequest>{shown}</CanonicalRequest><CanonicalRequestBytes>{shown}\
             </CanonicalRequestBytes></Error>"
        )
    };
    for media in ["application/xml", "text/xml; charset=utf-8"] {
        let (gateway, _upstream) =
            always("", answer(403, &[("Content-Type", media)], error("canary").as_bytes()));
        let response = gateway.call(&s3("PUT", "/b/k").body("x"));
        assert_eq!(response.passed(403).text(), error(""));
        assert_discreet(&response);
    }
    // An error of another kind is nobody's explanation.
    let (gateway, _upstream) = always("", answer(404, &[("Content-Type", "text/html")], b"<p>not <b>here"));
    assert_eq!(gateway.call(&s3("GET", "/b/k")).passed(404).text(), "<p>not <b>here");
}

#[test]
fn errors_in_plain_text_pass_without_secrets() {
    let Keys { id, secret, .. } = Keys::default();
    let (gateway, _upstream, next) = changing("");
    let call = |kind: Option<&str>, text: &str| {
        let headers: Vec<_> = kind.map(|kind| ("Content-Type", kind)).into_iter().collect();
        next(answer(403, &headers, text.as_bytes()));
        gateway.call(&ask("GET", "/zstack/v1/zones"))
    };
    for kind in [None, Some("text/plain"), Some("text/html;charset=utf-8")] {
        for text in [
            "wrong accessKey signature",
            "missing header 'Authorization'",
            "<html><hr>no & yes</html>",
            "{no",
        ] {
            assert_eq!(call(kind, text).passed(403).text(), text);
        }
        let response = call(kind, &format!("access key id: {id} does not existed or disabled"));
        assert_eq!(response.passed(403).text(), "access key id: [redacted] does not existed or disabled");
        for text in ["secretKey: canary".to_owned(), secret.replace('/', "%2F"), "x".repeat(16_385)] {
            let response = call(kind, &text);
            response.refused(502, "answer-unreadable");
            assert_discreet(&response);
        }
    }
}

#[test]
fn documents_inside_documents_and_pairs() {
    let (gateway, _upstream) = always(
        "secrets = \"redact\"",
        json(
            "{\"listasyncjobsresponse\":{\"asyncjobs\":[{\"cmdinfo\":\"{\\\"password\\\":\\\"canary\\\",\\\"a\\\":1}\",\
             \"jobresult\":{\"configuration\":[{\"value\":\"canary\",\"name\":\"ldap.bind.password\"}],\"url\":\"https://canary\"}}]}}",
        ),
    );
    let response = gateway.call(&ask("GET", "/client/api?command=queryAsyncJobResult&jobid=1"));
    assert_eq!(
        response.passed(200).text(),
        "{\"listasyncjobsresponse\":{\"asyncjobs\":[{\"cmdinfo\":\"{\\\"password\\\":\\\"[redacted]\\\",\\\"a\\\":1}\",\
         \"jobresult\":{\"configuration\":[{\"value\":\"[redacted]\",\"name\":\"ldap.bind.password\"}],\"url\":\"[redacted]\"}}]}}"
    );
}
