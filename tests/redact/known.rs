//! Answers as the servers give them, at each level.

use std::sync::Arc;

use super::{ID, SECRET, assert_becomes, filter, shown};
use countersign::redact::{Filter, Format, Level, Needles, Redactor};

/// `~…~` is a key of an API, `!…!` any other secret.
fn at(level: Level, text: &str) -> (String, String) {
    let (mut comes, mut goes) = (String::new(), String::new());
    for (index, piece) in text.split('~').enumerate() {
        for (inner, part) in piece.split('!').enumerate() {
            let secret = index % 2 == 1 || inner % 2 == 1 && level == Level::AllSecrets;
            comes.push_str(part);
            goes.push_str(if secret { "[redacted]" } else { part });
        }
    }
    (comes, goes)
}

#[track_caller]
fn assert_known(format: Format, text: &str) {
    for level in [Level::ApiKeys, Level::AllSecrets] {
        let (comes, goes) = at(level, text);
        assert_becomes(&filter(level), format, &comes, &goes);
    }
}

#[test]
fn cloudstack() {
    assert_known(
        Format::Json,
        r#"{"registeruserkeysresponse":{"userkeys":{"apikey":"~canary-1~","secretkey":"~canary-2~"}}}"#,
    );
    assert_known(
        Format::Xml,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><listusersresponse cloud-stack-version=\"4.20.0\"><count>1</count>\
         <user><id>1</id><apikey>~canary-1~</apikey><secretkey>~canary-2~</secretkey><state>enabled</state></user>\
         </listusersresponse>",
    );
    assert_known(
        Format::Json,
        r#"{"queryasyncjobresultresponse":{"jobstatus":1,"jobresult":{"virtualmachine":{"id":"7",
            "passwordenabled":true,"password":"!canary!","userdata":"!canary!","userdataid":"9"}}}}"#,
    );
    assert_known(
        Format::Json,
        r#"{"listconfigurationsresponse":{"configuration":[{"category":"Advanced","name":"ldap.bind.password",
            "value":"!canary!","description":"x"},{"name":"expunge.delay","value":"86400"},
            {"value":"~canary~","name":"aws.secretkey"}]}}"#,
    );
    assert_known(
        Format::Xml,
        "<r><configuration><name>vpn.psk</name><value>!canary!</value></configuration><configuration>\
         <value>~canary~</value><name> user.apikey </name></configuration></r>",
    );
    assert_known(
        Format::Json,
        r#"{"listasyncjobsresponse":{"asyncjobs":[{"cmd":"x","cmdinfo":"{\"secretkey\":\"~canary~\",\"id\":\"1\"}"}]}}"#,
    );
    assert_known(
        Format::Json,
        r#"{"createsshkeypairresponse":{"keypair":{"name":"k","fingerprint":"aa:bb","privatekey":"!-----BEGIN RSA PRIVATE KEY-----\nxx\n!"}}}"#,
    );
    assert_known(
        Format::Json,
        r#"{"listbucketsresponse":{"bucket":[{"name":"b","accesskey":"~canary~","usersecretkey":"~canary~","url":"http://s/b"}]}}"#,
    );
}

#[test]
fn zstack() {
    assert_known(
        Format::Json,
        r#"{"inventories":[{"uuid":"0123","accountUuid":"1","AccessKeyID":"~canary~","AccessKeySecret":"~canary~","state":"Enabled"}]}"#,
    );
    assert_known(
        Format::Json,
        r#"{"inventory":{"scheme":"http","hostname":"h","port":4900,"token":"!canary!"}}"#,
    );
    assert_known(
        Format::Json,
        r#"{"inventories":[{"name":"console.secretKey","category":"x","defaultValue":"~a~","value":"~b~"}]}"#,
    );
}

#[test]
fn zstack_tags_and_other_texts_with_fields() {
    assert_known(
        Format::Json,
        r#"{"inventories":[{"tag":"!consolePassword::canary!"},{"tag":"hostname::web01"},{"tag":"~x.apikey::1~"}]}"#,
    );
    assert_known(
        Format::Json,
        r#"{"a":"!https://h/c?x=1&token=canary!","b":"!https://s3/k?X-Amz-Signature=ab!","c":"https://h/?next-token=1",
            "d":"~failed: {'secretKey': 1~","e":"!see <domain><graphics passwd='x'/><password>x!","f":"password: not so"}"#,
    );
    assert_known(Format::Json, r#"{"xml":"<domain>\n<graphics passwd='!x!'/></domain>"}"#);
}

#[test]
fn s3_and_amazon() {
    assert_known(
        Format::Json,
        r#"[{"UserEmail":"a@b","UserId":"1","AWSAccessKeys":[{"AWSSecretAccessKey":"~canary~"}]}]"#,
    );
    assert_known(
        Format::Xml,
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
         <AccessKeyId>~canary~</AccessKeyId><SecretAccessKey>~canary~</SecretAccessKey><SessionToken>~canary~</SessionToken>\
         <Expiration>2030-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>",
    );
    assert_known(
        Format::Json,
        r#"{"ARN":"a","Name":"n","SecretString":"!canary!","SecretBinary":"!canary!","NextToken":"AAA="}"#,
    );
    assert_known(
        Format::Json,
        r#"{"environment":[{"name":"DB_PASSWORD","value":"!canary!"},{"value":"!canary!","name":"API_TOKEN"},{"name":"A","value":"b"}]}"#,
    );
    // What is shown of a signature is emptied at every level.
    let error = |sign: &str, id: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>{id}\
             </AWSAccessKeyId><StringToSign>{sign}</StringToSign><SignatureProvided>{sign}</SignatureProvided>\
             <StringToSignBytes>{sign}</StringToSignBytes><CanonicalRequest>{sign}</CanonicalRequest><CanonicalRequestBytes>\
             {sign}</CanonicalRequestBytes><RequestId>1</RequestId></Error>"
        )
    };
    for level in [Level::ApiKeys, Level::AllSecrets] {
        assert_becomes(&filter(level), Format::Xml, &error("AWS4 x", ID), &error("", ""));
    }
}

#[test]
fn values_that_say_nothing_stay() {
    let text = r#"{"password":null,"secretkey":"","token":false,"psk": [ ],"apikey" : {},"passwd":true}"#;
    let goes = r#"{"password":null,"secretkey":"","token":false,"psk": [],"apikey" : {},"passwd":true}"#;
    assert_becomes(&filter(Level::AllSecrets), Format::Json, text, goes);
    let text = "<a><password/><secretkey></secretkey><psk a=''/></a>";
    assert_becomes(&filter(Level::AllSecrets), Format::Xml, text, text);
    for (comes, goes) in [
        (r#"{"password":7}"#, r#"{"password":"[redacted]"}"#),
        (r#"{"psk":-1.5e9 }"#, r#"{"psk":"[redacted]" }"#),
        (r#"{"secret":{"a":[1,{"b":2}]},"c":1}"#, r#"{"secret":"[redacted]","c":1}"#),
        (r#"{"secret":[0]}"#, r#"{"secret":"[redacted]"}"#),
        (
            r#"{"StringToSign":[{"a":1}],"SignatureProvided":"x"}"#,
            r#"{"StringToSign":"","SignatureProvided":""}"#,
        ),
        (r#"{"s\u0065cret":"x"}"#, r#"{"s\u0065cret":"[redacted]"}"#),
        (r#"{"a":{"AKIACANARY0000000000":1}}"#, r#"{"a":{"[redacted]":1}}"#),
        ("\"AKIACANARY0000000000\"", "\"[redacted]\""),
    ] {
        assert_becomes(&filter(Level::AllSecrets), Format::Json, comes, goes);
    }
    for (comes, goes) in [
        ("<n:secret>x<b/></n:secret>", "<n:secret>[redacted]</n:secret>"),
        ("<a><secret> </secret></a>", "<a><secret>[redacted]</secret></a>"),
        ("<p name='Password' value='x'/>", "<p name='Password' value='[redacted]'/>"),
        ("<a><p name=\"password\">x</p></a>", "<a><p name=\"password\">[redacted]</p></a>"),
        ("<a password = 'x' b='y'/>", "<a password = '[redacted]' b='y'/>"),
        ("<a>&#65;KIA<![CDATA[CANARY]]>0000000000</a>", "<a>[redacted]</a>"),
    ] {
        assert_becomes(&filter(Level::AllSecrets), Format::Xml, comes, goes);
    }
}

#[test]
fn pairs_as_far_as_they_are_followed() {
    let filter = filter(Level::AllSecrets);
    for (comes, goes) in [
        (
            r#"{"value":"x","defaultValue":2,"name":"a.password","value":"y"}"#,
            r#"{"value":"[redacted]","defaultValue":"[redacted]","name":"a.password","value":"[redacted]"}"#,
        ),
        (
            r#"{"value":"x","b":{"value":"y","name":"ok"},"name":"psk"}"#,
            r#"{"value":"[redacted]","b":{"value":"y","name":"ok"},"name":"psk"}"#,
        ),
        (
            r#"{"value":"x","b":{"value":"y","key":"psk"},"name":"ok"}"#,
            r#"{"value":"x","b":{"value":"[redacted]","key":"psk"},"name":"ok"}"#,
        ),
        // The pair's own level counts, and nothing but texts and numbers waits for a name.
        (r#"{"name":"psk","b":{"value":"y"}}"#, r#"{"name":"psk","b":{"value":"y"}}"#),
        (r#"[{"name":"psk"},{"value":"y"}]"#, r#"[{"name":"psk"},{"value":"y"}]"#),
        (r#"{"value":["y"],"name":"psk"}"#, r#"{"value":["y"],"name":"psk"}"#),
        (r#"{"name":"psk","value":["y"]}"#, r#"{"name":"psk","value":"[redacted]"}"#),
        (r#"{"name":["psk"],"value":"y"}"#, r#"{"name":["psk"],"value":"y"}"#),
    ] {
        assert_becomes(&filter, Format::Json, comes, goes);
    }
    // What is held back is bounded: the name comes too late.
    let text = format!(r#"{{"value":"y","b":"{}","name":"psk"}}"#, "b".repeat(9_000));
    assert_eq!(shown(&super::whole(&filter, Format::Json, text.as_bytes()).unwrap()), text);
}

#[test]
fn operations_with_names_of_their_own() {
    let run = |level, operation: &str, text: &str| {
        let filter = Arc::new(Filter::new(level, &[], Arc::default()));
        let mut redactor = Redactor::new(filter, Format::Json, operation);
        let mut out = Vec::new();
        redactor.push(text.as_bytes(), &mut out).unwrap();
        redactor.finish(&mut out).unwrap();
        assert_eq!(redactor.has_changed(), shown(&out) != text);
        shown(&out)
    };
    let text = r#"{"url":"https://h/bearer","uuid":"1"}"#;
    let url = r#"{"url":"[redacted]","uuid":"1"}"#;
    assert_eq!(run(Level::AllSecrets, "extractTemplate", text), url);
    assert_eq!(run(Level::AllSecrets, "listTemplates", text), text);
    assert_eq!(run(Level::ApiKeys, "extractTemplate", text), text);
    assert_eq!(
        run(Level::AllSecrets, "logInByAccount", text),
        r#"{"url":"https://h/bearer","uuid":"[redacted]"}"#
    );
}

#[test]
fn plain_texts() {
    let filter = filter(Level::ApiKeys);
    for text in [
        "",
        "wrong accessKey signature",
        "missing header 'Authorization'",
        "<html><p>Not: found</p></html>",
        "a=b",
    ] {
        assert_eq!(filter.plain(text.as_bytes()), Ok(None), "{text}");
    }
    let text = format!("access key id: {ID} does not existed or disabled");
    let erased = filter.plain(text.as_bytes()).unwrap().unwrap();
    assert_eq!(shown(&erased), "access key id: [redacted] does not existed or disabled");
    let encoded: String = SECRET.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for text in [
        "secretKey: x",
        "secret_key=x",
        "{\"apikey\": \"x\"}",
        "<apikey>x</apikey>",
        "?secretkey=x",
        &encoded,
    ] {
        assert!(filter.plain(text.as_bytes()).is_err(), "{text}");
    }
    assert!(filter.withholds(format!("x {SECRET}").as_bytes()) && !filter.withholds(b"x"));
}

#[test]
fn without_credentials_only_names_count() {
    let filter = Arc::new(Filter::new(Level::ApiKeys, &[], Arc::new(Needles::default())));
    let text = format!("{{\"a\":\"{SECRET}\",\"apikey\":\"x\"}}");
    assert_becomes(&filter, Format::Json, &text, &text.replace("\"x\"", "\"[redacted]\""));
}
