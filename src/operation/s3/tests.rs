#![allow(clippy::unwrap_used)]

use http::HeaderValue;

use super::*;
use crate::target::parameters;

const ALL: Servers = Servers { minio: true, rgw: true };
const NONE: Servers = Servers { minio: false, rgw: false };

fn asked(method: &str, target: &str, headers: &[(&'static str, &str)]) -> Result<Operation, Reason> {
    at(method, target, "", headers, ALL)
}

fn at(
    method: &str,
    target: &str,
    form: &str,
    headers: &[(&'static str, &str)],
    servers: Servers,
) -> Result<Operation, Reason> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (bucket, key) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    let (query, form) = (parameters(query, 100).unwrap(), parameters(form, 100).unwrap());
    s3(&Call { method, bucket, key, path, query: &query, form: &form, headers: &map, servers })
}

fn further(operation: &Operation) -> Vec<(&str, &str)> {
    operation.further.iter().map(|ask| (&*ask.name, &*ask.resource)).collect()
}

#[test]
fn the_tables_are_complete() {
    for entry in SERVICE.iter().chain(&BUCKET).chain(&OBJECT) {
        assert!(entry.sub.is_empty() || SUB_RESOURCES.contains(&entry.sub), "{}", entry.sub);
        assert!(entry.name.starts_with("s3:") && (entry.alias.is_empty() || entry.alias.starts_with("s3:")));
        assert!(!entry.alias.eq_ignore_ascii_case(entry.name), "{}", entry.name);
    }
    for sub in SUB_RESOURCES {
        assert!(BUCKET.iter().chain(&OBJECT).any(|entry| entry.sub == sub), "{sub}");
    }
    for table in [&BUCKET[..], &OBJECT] {
        for (index, entry) in table.iter().enumerate() {
            let again = |other: &Entry| (other.method, other.sub) == (entry.method, entry.sub);
            assert!(!table[..index].iter().any(again), "{} {}", entry.method, entry.sub);
        }
    }
    for list in [&SUB_RESOURCES[..], &MODIFIERS] {
        assert!(list.is_sorted_by(|a, b| a < b));
    }
    assert!(BUCKET.len() + OBJECT.len() >= 99);
}

#[test]
fn calls_have_iam_names() {
    for (method, target, name, call, resource) in [
        ("GET", "/", "s3:ListAllMyBuckets", "s3:ListBuckets", ""),
        ("GET", "/b", "s3:ListBucket", "s3:ListObjects", "b"),
        ("GET", "/b?list-type=2", "s3:ListBucket", "s3:ListObjectsV2", "b"),
        (
            "GET",
            "/b/?list-type=2&prefix=logs%2F&delimiter=%2F",
            "s3:ListBucket",
            "s3:ListObjectsV2",
            "b/logs/",
        ),
        ("GET", "/b?versions&prefix=a", "s3:ListBucketVersions", "s3:ListObjectVersions", "b/a"),
        ("GET", "/b?uploads&prefix=a", "s3:ListBucketMultipartUploads", "s3:ListMultipartUploads", "b/a"),
        ("GET", "/b?prefix=", "s3:ListBucket", "s3:ListObjects", "b"),
        ("HEAD", "/b", "s3:ListBucket", "s3:HeadBucket", "b"),
        ("PUT", "/b", "s3:CreateBucket", "s3:CreateBucket", "b"),
        ("DELETE", "/b", "s3:DeleteBucket", "s3:DeleteBucket", "b"),
        ("GET", "/b?acl", "s3:GetBucketAcl", "s3:GetBucketAcl", "b"),
        ("GET", "/b?acl=", "s3:GetBucketAcl", "s3:GetBucketAcl", "b"),
        ("DELETE", "/b?lifecycle", "s3:PutLifecycleConfiguration", "s3:DeleteBucketLifecycle", "b"),
        ("DELETE", "/b?policy", "s3:DeleteBucketPolicy", "s3:DeleteBucketPolicy", "b"),
        (
            "GET",
            "/b?inventory&id=x",
            "s3:GetInventoryConfiguration",
            "s3:GetBucketInventoryConfiguration",
            "b",
        ),
        ("GET", "/b?inventory", "s3:GetInventoryConfiguration", "s3:ListBucketInventoryConfigurations", "b"),
        ("POST", "/b?delete", "s3:DeleteObject", "s3:DeleteObjects", "b"),
        ("GET", "/b/k", "s3:GetObject", "s3:GetObject", "b/k"),
        ("GET", "/b/k?partNumber=2", "s3:GetObject", "s3:GetObject", "b/k"),
        ("GET", "/b/k?versionId=v", "s3:GetObjectVersion", "s3:GetObjectVersion", "b/k"),
        ("HEAD", "/b/k", "s3:GetObject", "s3:HeadObject", "b/k"),
        ("HEAD", "/b/k?versionId=v", "s3:GetObjectVersion", "s3:HeadObject", "b/k"),
        ("GET", "/b/k?x-id=GetObject&response-content-type=a%2Fb", "s3:GetObject", "s3:GetObject", "b/k"),
        ("GET", "/b/k?cachebuster=7", "s3:GetObject", "s3:GetObject", "b/k"),
        ("PUT", "/b/k?x-id=PutObject", "s3:PutObject", "s3:PutObject", "b/k"),
        ("PUT", "/b/k?partNumber=1&uploadId=x", "s3:PutObject", "s3:UploadPart", "b/k"),
        ("POST", "/b/k?uploads", "s3:PutObject", "s3:CreateMultipartUpload", "b/k"),
        ("POST", "/b/k?uploadId=x", "s3:PutObject", "s3:CompleteMultipartUpload", "b/k"),
        ("DELETE", "/b/k?uploadId=x", "s3:AbortMultipartUpload", "s3:AbortMultipartUpload", "b/k"),
        ("GET", "/b/k?uploadId=x&max-parts=5", "s3:ListMultipartUploadParts", "s3:ListParts", "b/k"),
        ("PUT", "/b/k?acl&versionId=v", "s3:PutObjectVersionAcl", "s3:PutObjectVersionAcl", "b/k"),
        ("DELETE", "/b/k?tagging", "s3:DeleteObjectTagging", "s3:DeleteObjectTagging", "b/k"),
        ("DELETE", "/b/k?versionId=v", "s3:DeleteObjectVersion", "s3:DeleteObjectVersion", "b/k"),
        ("POST", "/b/k?select&select-type=2", "s3:GetObject", "s3:SelectObjectContent", "b/k"),
        ("POST", "/b/k?restore", "s3:RestoreObject", "s3:RestoreObject", "b/k"),
        ("PUT", "/b/k?renameObject", "s3:PutObject", "s3:RenameObject", "b/k"),
        ("GET", "/b/a%20b/%25/%0A%FF", "s3:GetObject", "s3:GetObject", "b/a b/%25/%0A%FF"),
        ("GET", "/b//../k", "s3:GetObject", "s3:GetObject", "b//../k"),
    ] {
        let operation = asked(method, target, &[]).unwrap();
        assert_eq!(
            (&*operation.ask.name, operation.call(), &*operation.ask.resource),
            (name, call, resource),
            "{method} {target}"
        );
        let reads = matches!(method, "GET" | "HEAD") || target.contains("select");
        assert_eq!(operation.access, if reads { Access::Read } else { Access::Write }, "{method} {target}");
        assert_eq!((operation.tier, operation.further), (Tier::None, vec![]), "{method} {target}");
    }
    let session = asked("GET", "/b?session", &[]).unwrap();
    assert_eq!(
        (&*session.ask.name, session.access, session.tier),
        ("s3:CreateSession", Access::Write, Tier::Keys)
    );
}

#[test]
fn what_no_table_knows_is_unknown() {
    for (method, target) in [
        ("PATCH", "/b/k"),
        ("POST", "/b/k"),
        ("POST", "/b"),
        ("HEAD", "/"),
        ("PUT", "/"),
        ("GET", "//k"),
        ("PUT", "//b/k"),
        ("HEAD", "/b/k?acl"),
        ("PUT", "/b/k?uploadId=x"),
        ("PUT", "/b/k?partNumber=1"),
        ("GET", "/b?newThing"),
        ("GET", "/b/k?newThing="),
        ("PUT", "/b/k?newThing"),
        ("PUT", "/b/k?newThing=1"),
        ("DELETE", "/b?newThing=1"),
        ("PUT", "/b?ACL"),
        ("GET", "/b?retention"),
        ("DELETE", "/b/k?policy"),
        ("POST", "/b?Action=ListMetrics"),
        ("POST", "/b/k?Action=ListMetrics"),
    ] {
        let operation = asked(method, target, &[]).unwrap();
        let expected = (format!("s3:{method}"), Access::Unknown);
        assert_eq!((operation.ask.name.to_string(), operation.access), expected, "{method} {target}");
    }
}

#[test]
fn two_sub_resources_are_refused() {
    for (method, target) in [
        ("GET", "/b?acl&policy"),
        ("POST", "/b?uploads&delete"),
        ("POST", "/b/k?uploads&uploadId=x"),
        ("PUT", "/b/k?tagging&%61cl"),
        ("GET", "/?ostor-users&ostor-limits"),
        ("GET", "/b?ostor-users&acl"),
        ("POST", "/?Action=A&Action=B"),
    ] {
        assert!(asked(method, target, &[]).is_err(), "{target}");
    }
    assert!(asked("GET", "/b?acl&acl", &[]).is_ok());
}

#[test]
fn a_prefix_given_twice_is_asked_for_twice() {
    let operation = asked("GET", "/b?prefix=a&prefix=b", &[]).unwrap();
    assert_eq!(operation.ask.resource, "b/a");
    assert_eq!(further(&operation), [("s3:ListBucket", "b/b")]);
}

#[test]
fn headers_carry_authority() {
    for (method, target, header, asks) in [
        ("PUT", "/b/k", ("x-amz-acl", "public-read"), &[("s3:PutObjectAcl", "b/k")][..]),
        ("PUT", "/b/k", ("x-amz-grant-read", "id=1"), &[("s3:PutObjectAcl", "b/k")]),
        ("POST", "/b/k?uploads", ("x-amz-grant-full-control", "id=1"), &[("s3:PutObjectAcl", "b/k")]),
        ("PUT", "/b/k", ("x-amz-tagging", "a=b"), &[("s3:PutObjectTagging", "b/k")]),
        ("PUT", "/b/k", ("x-amz-object-lock-mode", "GOVERNANCE"), &[("s3:PutObjectRetention", "b/k")]),
        ("PUT", "/b/k", ("x-amz-object-lock-legal-hold", "ON"), &[("s3:PutObjectLegalHold", "b/k")]),
        ("PUT", "/b", ("x-amz-acl", "private"), &[("s3:PutBucketAcl", "b")]),
        ("PUT", "/b?acl", ("x-amz-acl", "private"), &[]),
        (
            "PUT",
            "/b",
            ("x-amz-bucket-object-lock-enabled", "true"),
            &[("s3:PutBucketObjectLockConfiguration", "b")],
        ),
        (
            "DELETE",
            "/b/k",
            ("x-amz-bypass-governance-retention", "true"),
            &[("s3:BypassGovernanceRetention", "b/k")],
        ),
        ("GET", "/b/k", ("x-amz-acl", "private"), &[]),
        ("PUT", "/b/k?X-Amz-Acl=public-read", ("x-amz-meta-a", "b"), &[("s3:PutObjectAcl", "b/k")]),
        ("PUT", "/b/k?x-amz-grant-write=a", ("x-amz-meta-a", "b"), &[("s3:PutObjectAcl", "b/k")]),
        ("PUT", "/b/k", ("x-amz-copy-source", "/src/a%20b%3Fc+d"), &[("s3:GetObject", "src/a b?c+d")]),
        ("PUT", "/b/k", ("x-amz-copy-source", "src%2Fk?versionId=v"), &[("s3:GetObjectVersion", "src/k")]),
        ("PUT", "/b/k", ("x-amz-copy-source", "src/k%25"), &[("s3:GetObject", "src/k%25")]),
        ("PUT", "/b/k?partNumber=1&uploadId=u", ("x-amz-copy-source", "src/k"), &[("s3:GetObject", "src/k")]),
        (
            "PUT",
            "/b/k?renameObject",
            ("x-amz-rename-source", "/old"),
            &[("s3:GetObject", "b/old"), ("s3:DeleteObject", "b/old")],
        ),
        (
            "PUT",
            "/b/k?renameObject",
            ("x-amz-rename-source", "b/old"),
            &[
                ("s3:GetObject", "b/b/old"),
                ("s3:DeleteObject", "b/b/old"),
                ("s3:GetObject", "b/old"),
                ("s3:DeleteObject", "b/old"),
            ],
        ),
    ] {
        let operation = asked(method, target, &[header]).unwrap();
        assert_eq!(further(&operation), asks, "{method} {target} {header:?}");
    }
    let copy = asked("PUT", "/b/k", &[("x-amz-copy-source", "s/k")]).unwrap();
    assert_eq!((&*copy.ask.name, copy.call()), ("s3:PutObject", "s3:CopyObject"));
    let part = asked("PUT", "/b/k?partNumber=1&uploadId=u", &[("x-amz-copy-source", "s/k")]).unwrap();
    assert_eq!((&*part.ask.name, part.call()), ("s3:PutObject", "s3:UploadPartCopy"));
}

#[test]
fn sources_with_two_readings_are_refused() {
    for source in [
        "",
        "/",
        "b",
        "b/",
        "/b",
        "//b/k",
        "%2F/b/k",
        "%2Fb/k",
        "b/k%2",
        "b/k%zz",
        "b/k?",
        "b/k?x=1",
        "b/k?versionId=",
        "b/k?versionId=v&x=y",
        "?versionId=v",
        "b?versionId=v",
    ] {
        assert!(asked("PUT", "/b/k", &[("x-amz-copy-source", source)]).is_err(), "{source}");
    }
    let two = [("x-amz-copy-source", "a/b"), ("x-amz-copy-source", "a/c")];
    assert!(asked("PUT", "/b/k", &two).is_err());
    assert!(asked("PUT", "/b/k?x-amz-copy-source=a%2Fb", &[]).is_err());
    for archive in ["x-amz-meta-snowball-auto-extract", "x-amz-meta-minio-snowball-auto-extract"] {
        assert!(asked("PUT", "/b/k", &[(archive, "true")]).is_err(), "{archive}");
        assert!(asked("PUT", &format!("/b/k?{}=true", archive.to_uppercase()), &[]).is_err(), "{archive}");
    }
}

#[test]
fn sources_are_written_in_one_way() {
    for (sent, written) in [
        ("/b/k", "/b/k"),
        ("b%2Fa+b%20(c)", "b/a%2Bb%20%28c%29"),
        ("b/k?versionId=a.b_c", "b/k?versionId=a.b_c"),
        ("b/k?versionId=null", "b/k?versionId=null"),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-copy-source", HeaderValue::from_str(sent).unwrap());
        write_sources(&mut headers).unwrap();
        assert_eq!(headers["x-amz-copy-source"], written);
    }
}

#[test]
fn neighbours_do_not_hide_behind_objects() {
    for (method, target, form, name, access, tier) in [
        ("GET", "/?ostor-users&emailAddress=a", "", "ostor:users.get", Access::Read, Tier::Keys),
        ("GET", "/?ostor-users&genKey", "", "ostor:users.get", Access::Write, Tier::Keys),
        ("PUT", "/b/k?a=b&%6fstor-users=", "", "ostor:users.put", Access::Write, Tier::Keys),
        ("GET", "/?OSTOR-users", "", "ostor:users.get", Access::Read, Tier::Keys),
        ("GET", "/?ostor-usage", "", "ostor:usage.get", Access::Read, Tier::None),
        ("PUT", "/?ostor-limits&bucket=b", "", "ostor:limits.put", Access::Write, Tier::None),
        ("POST", "/?ostor-limits", "", "ostor:limits.post", Access::Unknown, Tier::None),
        ("GET", "/?ostor-keys%0A", "", "ostor:keys%0A.get", Access::Unknown, Tier::Keys),
        (
            "POST",
            "/buckets?Action=ListMetrics&Version=20160815",
            "",
            "utapi:ListMetrics",
            Access::Read,
            Tier::None,
        ),
        ("POST", "/buckets?Action=Frobnicate", "", "utapi:Frobnicate", Access::Unknown, Tier::None),
        ("POST", "/", "Action=AssumeRole", "sts:AssumeRole", Access::Write, Tier::Keys),
        ("POST", "/?Action=CreateAccessKey", "", "iam:CreateAccessKey", Access::Write, Tier::Keys),
        ("GET", "/minio/admin/v3/list-users", "", "minio:admin", Access::Unknown, Tier::Keys),
        ("GET", "//minio//admin/v3", "", "minio:admin", Access::Unknown, Tier::Keys),
        ("GET", "/minio/%61dmin/v3", "", "minio:admin", Access::Unknown, Tier::Keys),
        ("GET", "/minio/health/live", "", "minio:health", Access::Read, Tier::None),
        ("GET", "/admin/user?format=json&uid=a", "", "rgw:admin.user.get", Access::Unknown, Tier::Keys),
        ("PUT", "/admin/user/?key&uid=a", "", "rgw:admin.user.put", Access::Unknown, Tier::Keys),
    ] {
        let operation = at(method, target, form, &[], ALL).unwrap();
        assert_eq!(
            (&*operation.ask.name, operation.access, operation.tier),
            (name, access, tier),
            "{method} {target}"
        );
    }
    for target in ["/minio/admin/v3", "/admin/user"] {
        assert_eq!(at("GET", target, "", &[], NONE).unwrap().ask.name, "s3:GetObject");
    }
    assert_eq!(asked("GET", "/admin/readme.txt", &[]).unwrap().ask.name, "s3:GetObject");
    assert_eq!(asked("GET", "/minio", &[]).unwrap().ask.name, "s3:ListBucket");
    // The bucket stands in the host.
    let call = Call {
        method: "GET",
        bucket: "b",
        key: "minio/admin/v3",
        path: "/minio/admin/v3",
        query: &[],
        form: &[],
        headers: &HeaderMap::new(),
        servers: ALL,
    };
    assert_eq!(s3(&call).unwrap().ask.name, "minio:admin");
}

fn deleted(list: &str, headers: &[(&'static str, &str)]) -> Result<Vec<(String, String)>, Reason> {
    let mut operation = asked("POST", "/b?delete", headers).unwrap();
    objects_to_delete(&mut operation, list.as_bytes())?;
    assert!(operation.call() == "s3:DeleteObjects" && operation.access == Access::Write);
    Ok(operation.asks().map(|ask| (ask.name.to_string(), ask.resource.clone())).collect())
}

fn keys(list: &str) -> Result<Vec<String>, Reason> {
    deleted(list, &[]).map(|asks| asks.into_iter().map(|(_, resource)| resource).collect())
}

#[test]
fn every_key_of_a_list_is_asked_for() {
    let list = |inner: &str| keys(&format!("<Delete>{inner}</Delete>"));
    let object = |key: &str| list(&format!("<Object><Key>{key}</Key></Object>"));
    assert_eq!(object("a").unwrap(), ["b/a"]);
    assert_eq!(object("a &amp;&lt;&gt;&quot;&apos;&#97;&#x4e2d;%").unwrap(), ["b/a &<>\"'a\u{4e2d}%25"]);
    assert_eq!(object("a\r\nb\rc&#13;&#10;").unwrap(), ["b/a%0Ab%0Ac%0D%0A"]);
    assert_eq!(object(" a ").unwrap(), ["b/ a "]);
    assert_eq!(object("a<![CDATA[<&amp;]]>b").unwrap(), ["b/a<&amp;b"]);
    assert_eq!(
        keys("\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!-- x -->\n<s:Delete xmlns:s=\"http://s3/\">\n \
              <s:Quiet>true</s:Quiet><s:Object>\n <s:ETag>e</s:ETag> <s:Key>a</s:Key></s:Object><!-- y -->\n\
              <s:Object><s:Key>c/d</s:Key><s:Size>1</s:Size></s:Object></s:Delete>\n").unwrap(),
        ["b/a", "b/c/d"]
    );
    let versions = "<Delete xmlns=\"x\"><Object><Key>a</Key></Object><Object><VersionId>v</VersionId><Key>c</Key></Object></Delete>";
    let named = |name: &str, resource: &str| (name.to_owned(), resource.to_owned());
    assert_eq!(
        deleted(versions, &[]).unwrap(),
        [named("s3:DeleteObject", "b/a"), named("s3:DeleteObjectVersion", "b/c")]
    );
    let bypass = "s3:BypassGovernanceRetention";
    assert_eq!(
        deleted(versions, &[("x-amz-bypass-governance-retention", "true")]).unwrap(),
        [
            named("s3:DeleteObject", "b/a"),
            named(bypass, "b/a"),
            named("s3:DeleteObjectVersion", "b/c"),
            named(bypass, "b/c")
        ]
    );
    let many = |count: usize| list(&"<Object><Key>k</Key></Object>".repeat(count)).map(|keys| keys.len());
    assert_eq!(many(1000), Ok(1000));
    assert!(many(1001).is_err());
}

#[test]
fn lists_with_two_readings_are_refused() {
    let object = "<Object><Key>a</Key></Object>";
    for list in [
        String::new(),
        "<Delete/>".into(),
        "<Delete><Quiet>true</Quiet></Delete>".into(),
        "<Delete><Object/></Delete>".into(),
        "<Delete><Object><Key/></Object></Delete>".into(),
        "<Delete><Object><Key></Key></Object></Delete>".into(),
        "<Delete><Object><VersionId>v</VersionId></Object></Delete>".into(),
        "<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>".into(),
        "<Delete><Object><Key>a</Key><VersionId/></Object></Delete>".into(),
        "<Delete><Object><Key>a<!-- x -->b</Key></Object></Delete>".into(),
        "<Delete><Object><Key>a<x>b</x></Key></Object></Delete>".into(),
        "<Delete><Object><Key a=\"b\">a</Key></Object></Delete>".into(),
        "<Delete><Object><Key>a&nbsp;</Key></Object></Delete>".into(),
        "<Delete><Object><Key>a&#0;</Key></Object></Delete>".into(),
        "<Delete><Object><Key>a&#1;</Key></Object></Delete>".into(),
        "<Delete><Object><Key>a\u{1}</Key></Object></Delete>".into(),
        "<Delete><Object><Key>a&</Key></Object></Delete>".into(),
        "<Delete><Object><Key>a</Key><Other>x</Other></Object></Delete>".into(),
        format!("<Delete><Objects>{object}</Objects></Delete>"),
        format!("<Delete><Object>{object}<Key>b</Key></Object></Delete>"),
        format!("<Delete>{object}</Delete>{object}"),
        format!("<Delete>{object}</Delete><Delete>{object}</Delete>"),
        format!("<Delete>{object}</Delete>x"),
        format!("<Delete>x{object}</Delete>"),
        format!("<Delete>&#97;{object}</Delete>"),
        format!("<Delete>{object}"),
        format!("<delete>{object}</delete>"),
        object.into(),
        format!("<!DOCTYPE Delete [<!ENTITY k \"x\">]><Delete>{object}</Delete>"),
        format!("<?php x ?><Delete>{object}</Delete>"),
        format!("<?xml version=\"1.1\"?><Delete>{object}</Delete>"),
        format!("<?xml version=\"1.0\" encoding=\"utf-16\"?><Delete>{object}</Delete>"),
        format!("{{\"Delete\":\"{object}\"}}"),
    ] {
        assert!(matches!(keys(&list), Err(Reason::BadBody(_))), "{list}");
    }
    let mut operation = asked("POST", "/b?delete", &[]).unwrap();
    assert!(objects_to_delete(&mut operation, b"<Delete><Object><Key>\xff</Key></Object></Delete>").is_err());
}
