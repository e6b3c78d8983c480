#![allow(clippy::unwrap_used)]

use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;

const S3: [Family; 2] = [Family::SigV4, Family::S3V2];

fn headers(list: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
    }
    headers
}

fn head<'a>(query: Option<&'a str>, headers: &'a HeaderMap) -> Head<'a> {
    Head { method: "GET", path: "/", query, headers, host_bucket: None }
}

#[test]
fn each_family_is_found_where_it_stands() {
    let authorization = |value: &str| headers(&[("authorization", value)]);
    let none = HeaderMap::new();
    let at = |family, place| Ok(Some((family, place)));
    let v4 = authorization("AWS4-HMAC-SHA256 Credential=a/b");
    let v2 = authorization("AWS a:b");
    let zstack = authorization("ZStack a:b");
    for (query, headers, families, expected) in [
        (None, &v4, &S3[..], at(Family::SigV4, Place::Header)),
        (None, &v2, &S3, at(Family::S3V2, Place::Header)),
        (Some("X-Amz-Signature=a"), &none, &S3, at(Family::SigV4, Place::Query)),
        (Some("%58-Amz-Algorithm=a&X-Amz-Credential=b"), &none, &S3, at(Family::SigV4, Place::Query)),
        (Some("Signature=a&AWSAccessKeyId=b"), &none, &S3, at(Family::S3V2, Place::Query)),
        (Some("apikey=a"), &none, &[Family::Cloudstack], at(Family::Cloudstack, Place::Query)),
        (Some("SIGNATURE=a"), &none, &[Family::Cloudstack], at(Family::Cloudstack, Place::Query)),
        (None, &zstack, &[Family::Zstack], at(Family::Zstack, Place::Header)),
        // What the route does not speak claims nothing on it.
        (None, &zstack, &S3, Ok(None)),
        (None, &v2, &[Family::SigV4], Err(VerifyError::Malformed("authorization"))),
        (Some("apiKey=a&signature=b"), &none, &S3, Ok(None)),
        (Some("Expires=1&response-expires=2&x-amz-signature=c"), &none, &S3, Ok(None)),
        // Two claims are none.
        (Some("X-Amz-Signature=a"), &v4, &S3, Err(VerifyError::Malformed("signature in two places"))),
        (
            Some("X-Amz-Signature=a&Signature=b"),
            &none,
            &S3,
            Err(VerifyError::Malformed("signature in two places")),
        ),
        (Some("Signature=a"), &v4, &S3, Err(VerifyError::Malformed("signature in two places"))),
    ] {
        assert_eq!(find(&head(query, headers), None, families), expected, "{query:?} {headers:?}");
    }
    let ecdsa = authorization("AWS4-ECDSA-P256-SHA256 Credential=a");
    assert!(find(&head(None, &ecdsa), None, &S3).is_err());
    let form = find(&head(None, &none), Some(b"a=b&apiKey=c"), &[Family::Cloudstack]);
    assert_eq!(form, at(Family::Cloudstack, Place::Form));
}

#[test]
fn claims_say_key_and_end() {
    let mut scratch = Scratch::new();
    let mut read = |at, query, list: &[(&str, &str)]| {
        let headers = headers(list);
        super::read(at, &head(query, &headers), Payload::Unsigned, &mut scratch)
            .map(|claim| (claim.key, claim.signature, claim.until.map(|until| until.to_string())))
    };
    let good = |key: &str, signature: &str, until: Option<&str>| {
        Ok((key.to_owned(), signature.to_owned(), until.map(str::to_owned)))
    };
    let header = (Family::SigV4, Place::Header);
    let v4 = "AWS4-HMAC-SHA256 Credential=ID/20260102/r/s3/aws4_request, SignedHeaders=host, Signature=abc";
    let dated = [("authorization", v4), ("x-amz-date", "20260102T030405Z")];
    assert_eq!(read(header, None, &dated), good("ID", "abc", Some("2026-01-02T03:19:05Z")));
    let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ID%2F20260102%2Fr%2Fs3%2Faws4_request&\
                 X-Amz-Date=20260102T030405Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=abc";
    let in_query = (Family::SigV4, Place::Query);
    assert_eq!(read(in_query, Some(query), &[]), good("ID", "abc", Some("2026-01-02T03:05:05Z")));
    let date = ("date", "Fri, 02 Jan 2026 03:04:05 GMT");
    let v2 = read((Family::S3V2, Place::Header), None, &[("authorization", "AWS ID:abc="), date]);
    assert_eq!(v2, good("ID", "abc=", Some("2026-01-02T03:19:05Z")));
    let v2 = (Family::S3V2, Place::Query);
    let url = "AWSAccessKeyId=ID&Expires=60&Signature=a%2Bc";
    assert_eq!(read(v2, Some(url), &[]), good("ID", "a+c", Some("1970-01-01T00:01:00Z")));
    let zstack = read((Family::Zstack, Place::Header), None, &[("authorization", "ZStack ID:abc"), date]);
    assert_eq!(zstack, good("ID", "abc", Some("2026-01-02T03:19:05Z")));
    let cloudstack = (Family::Cloudstack, Place::Query);
    assert_eq!(read(cloudstack, Some("APIKEY=ID&signature=abc"), &[]), good("ID", "abc", None));
    let third = "apiKey=ID&signature=abc&signatureVersion=3&expires=2026-01-02T03%3A04%3A05Z";
    assert_eq!(read(cloudstack, Some(third), &[]), good("ID", "abc", Some("2026-01-02T03:04:05Z")));

    for (at, query) in [
        (cloudstack, "apiKey=a&APIKEY=b&signature=c"),
        (cloudstack, "apiKey=a&signature=c&signature=c"),
        (cloudstack, "apiKey=a"),
        (cloudstack, "apiKey=a&signature=b&signatureVersion=3"),
        (v2, "AWSAccessKeyId=a&AWSAccessKeyId=b&Expires=1&Signature=c"),
        (v2, "Expires=1&Signature=c"),
        (v2, "AWSAccessKeyId=a&Signature=c"),
        (in_query, "X-Amz-Signature=a"),
    ] {
        assert!(read(at, Some(query), &[]).is_err(), "{query}");
    }
    assert!(read(header, None, &[("authorization", v4)]).is_err());
    assert!(read((Family::Zstack, Place::Header), None, &[("authorization", "ZStack a:b:c"), date]).is_err());
}
