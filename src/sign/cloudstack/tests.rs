//! What `sign` emits, and what it refuses. The strings to sign themselves are held by the vectors.

#![allow(clippy::unwrap_used)]

use http::HeaderMap;

use super::*;
use crate::secret::Secret;
use crate::sign::Signer as _;

fn signer() -> Signer {
    let key = Key { id: "KEY".to_owned(), secret: Secret::from("s3cr3t"), session_token: None };
    Signer::new(Options::default(), key).unwrap()
}

fn now() -> Timestamp {
    "2026-03-04T05:06:07Z".parse().unwrap()
}

fn form_headers() -> HeaderMap {
    HeaderMap::from_iter([(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("Application/X-WWW-form-urlencoded; charset=UTF-8"),
    )])
}

fn head<'a>(method: &'a str, query: Option<&'a str>, headers: &'a HeaderMap) -> Head<'a> {
    Head { method, path: "/client/api", query, headers, host_bucket: None }
}

#[test]
fn a_query_is_rebuilt_strictly() {
    let headers = HeaderMap::new();
    let query = "command=listUsers&APIkey=x&name=a+b%2a~&&SIGNATURE=y&SessionKey=z&expires=1&flag";
    let mut scratch = Scratch::new();
    let edits =
        signer().sign(&head("GET", Some(query), &headers), Payload::Whole(b""), now(), &mut scratch).unwrap();
    let (rest, signature) = edits.query.unwrap().rsplit_once("&signature=").unwrap();
    assert_eq!(
        rest,
        "command=listUsers&name=a%20b%2A~&flag=&apiKey=KEY&signatureVersion=3&expires=2026-03-04T05%3A16%3A07%2B0000"
    );
    assert!(!signature.contains(['+', '/', '=']));
    assert_eq!(edits.form, None);
    assert!(edits.headers.iter().all(Option::is_none));
}

/// Pieces that are copied, respelled, dropped and signed in another spelling than they are sent in, side by side.
#[test]
fn neighbours_do_not_disturb_each_other() {
    let headers = HeaderMap::new();
    let query = "&z=1&signature=q&y=%20&x=a%2Ab&apikey=k&&w=+&v=~&u=%C3%89&expiresX=2&t&command=c&s=%c3%89";
    let mut scratch = Scratch::new();
    let edits =
        signer().sign(&head("GET", Some(query), &headers), Payload::Whole(b""), now(), &mut scratch).unwrap();
    let own = "apiKey=KEY&signatureVersion=3&expires=2026-03-04T05%3A16%3A07%2B0000";
    let (rest, _) = edits.query.unwrap().rsplit_once("&signature=").unwrap();
    let sent = "z=1&y=%20&x=a%2Ab&w=%20&v=~&u=%C3%89&expiresX=2&t=&command=c&s=%C3%89";
    assert_eq!(rest, format!("{sent}&{own}"));
    assert_eq!(
        String::from_utf8_lossy(edits.stages.string_to_sign),
        "apikey=key&command=c&expires=2026-03-04t05%3a16%3a07%2b0000&expiresx=2&s=%c3%89&signatureversion=3&t=\
         &u=%c3%89&v=%7e&w=%20&x=a*b&y=%20&z=1"
    );
}

#[test]
fn a_form_takes_what_the_gateway_adds() {
    let headers = form_headers();
    let mut scratch = Scratch::new();
    let body = Payload::Whole(b"name=x&apikey=y");
    let edits = signer()
        .sign(&head("POST", Some("command=a&Expires=1"), &headers), body, now(), &mut scratch)
        .unwrap();
    assert_eq!(edits.query, Some("command=a"));
    assert!(edits.form.unwrap().starts_with("name=x&apiKey=KEY&signatureVersion=3&expires="));

    // A query of nothing but reserved names is replaced by an empty one; no query stays no query.
    let edits =
        signer().sign(&head("POST", Some("signature=1"), &headers), body, now(), &mut scratch).unwrap();
    assert_eq!(edits.query, Some(""));
    let edits = signer().sign(&head("POST", None, &headers), body, now(), &mut scratch).unwrap();
    assert_eq!(edits.query, None);
}

#[test]
fn expires_never_exceeds_the_ceiling() {
    let options = Options { expires: Duration::from_secs(86_400), ..Options::default() };
    let key = Key { id: "K".to_owned(), secret: Secret::from("s"), session_token: None };
    let (headers, mut scratch) = (HeaderMap::new(), Scratch::new());
    let signer = Signer::new(options, key).unwrap();
    let edits = signer.sign(&head("GET", None, &headers), Payload::Unsigned, now(), &mut scratch).unwrap();
    assert!(edits.query.unwrap().contains("expires=2026-03-04T05%3A21%3A07%2B0000"));
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let headers = form_headers();
    let mut scratch = Scratch::new();
    let mut outcome = |query, body: &[u8]| {
        signer().sign(&head("POST", Some(query), &headers), Payload::Whole(body), now(), &mut scratch).err()
    };
    assert_eq!(outcome("a%3Db%26c=1", b""), Some(SignError::Ambiguous("parameter name")));
    assert_eq!(outcome("a%3D=1", b""), Some(SignError::Ambiguous("parameter name")));
    assert_eq!(outcome("a%26=1", b""), Some(SignError::Ambiguous("parameter name")));
    assert_eq!(outcome("=1", b""), Some(SignError::Ambiguous("parameter name")));
    assert_eq!(outcome("a=1&b=2&a=1", b""), Some(SignError::Repeated("query")));
    assert_eq!(outcome("a=1", b"a=1"), Some(SignError::Repeated("query and form")));
    assert_eq!(outcome("a%0Ab=1", b""), Some(SignError::Control("parameter name")));
    assert_eq!(outcome("a=%zz", b""), Some(SignError::Encoding("query")));
    assert_eq!(outcome("a=%FF", b""), Some(SignError::Encoding("query")));
    assert_eq!(outcome("a=%C3%89%C3", b""), Some(SignError::Encoding("query")));
    assert_eq!(outcome("a=1", b"b=%C3"), Some(SignError::Encoding("form")));
    assert_eq!(outcome("a=%0A&A=2", b"b=1"), None);
}

#[test]
fn names_fold_as_in_java() {
    let mut scratch = Scratch::new();
    let text =
        string_to_sign([("\u{39f}\u{394}\u{39f}\u{3a3}", "\u{3a3}"), ("\u{130}", "")], &mut scratch).unwrap();
    // A final sigma in the name, an escaped one in the value; a dotted capital I becomes i and a combining dot.
    assert_eq!(text, "i\u{307}=&\u{3bf}\u{3b4}\u{3bf}\u{3c2}=%ce%a3".as_bytes());
}

#[test]
fn names_sort_by_utf16_code_unit() {
    let mut scratch = Scratch::new();
    let text = string_to_sign([("\u{ff5e}", "1"), ("\u{1f600}", "2"), ("z", "3")], &mut scratch).unwrap();
    assert_eq!(text, "z=3&\u{1f600}=2&\u{ff5e}=1".as_bytes());
}
