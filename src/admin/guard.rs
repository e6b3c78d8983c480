//! Who may ask the admin listener: somebody on this machine, and this listener's own page; no other page in a browser.

use http::header::{self, HeaderMap};
use http::{Method, StatusCode};

/// A refusal: its status and its text.
pub(super) type Refusal = (StatusCode, &'static str);

/// Refuses what is not for this listener. `own` is its address without the port.
///
/// - A name that leads here and is none of ours is how a page on another name reads what this one answers
///   (DNS rebinding), so the names are a list.
/// - A browser says which page asked (`Origin`, Fetch Metadata). Our own page may; what a user typed has no page.
/// - `Sec-Purpose` is the browser guessing ahead, for a page.
pub(super) fn admit(method: &Method, headers: &HeaderMap, own: &str) -> Result<(), Refusal> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name).trim_start_matches('[').trim_end_matches(']');
    if hosts.next().is_some() || !["localhost", "127.0.0.1", "::1", own].contains(&name) {
        return Err((StatusCode::MISDIRECTED_REQUEST, "unknown-host\n"));
    }
    let ours = format!("http://{host}");
    let other_origin =
        headers.get_all(header::ORIGIN).iter().any(|origin| origin.as_bytes() != ours.as_bytes());
    let mut sites = headers.get_all("sec-fetch-site").iter().map(http::HeaderValue::as_bytes);
    let other_site = sites.any(|site| site != b"none" && site != b"same-origin");
    if other_origin || other_site || headers.contains_key("sec-purpose") {
        return Err((StatusCode::FORBIDDEN, "browser-request\n"));
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "this listener is read-only\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(method: &Method, headers: &[(&'static str, &str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap_or(http::HeaderValue::from_static("")));
        }
        admit(method, &map, "127.0.0.5").map_or_else(|(status, _)| status.as_u16(), |()| 200)
    }

    #[test]
    fn own_names_pass_and_no_others() {
        for host in ["localhost", "localhost:8481", "127.0.0.1:1", "[::1]:8481", "[::1]", "127.0.0.5:80"] {
            assert_eq!(status(&Method::GET, &[("host", host)]), 200, "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "localhost:1x",
            "127.0.0.6",
            "0.0.0.0",
            "localhost.",
        ] {
            assert_eq!(status(&Method::GET, &[("host", host)]), 421, "{host}");
        }
        assert_eq!(status(&Method::GET, &[]), 421);
        assert_eq!(status(&Method::GET, &[("host", "localhost"), ("host", "evil.example")]), 421);
    }

    #[test]
    fn its_own_page_passes_and_no_other() {
        let ask = |headers: &[(&'static str, &str)]| {
            status(&Method::GET, &[&[("host", "127.0.0.1:8481")], headers].concat())
        };
        assert_eq!(ask(&[("origin", "http://127.0.0.1:8481")]), 200);
        assert_eq!(ask(&[("sec-fetch-site", "same-origin")]), 200);
        assert_eq!(ask(&[("sec-fetch-site", "none"), ("sec-fetch-dest", "document")]), 200);
        for origin in [
            "http://evil.example",
            "null",
            "",
            "http://127.0.0.1",
            "https://127.0.0.1:8481",
            "http://localhost:8481",
        ] {
            assert_eq!(ask(&[("origin", origin)]), 403, "{origin}");
        }
        for site in ["cross-site", "same-site", ""] {
            assert_eq!(ask(&[("sec-fetch-site", site)]), 403, "{site}");
        }
        assert_eq!(ask(&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")]), 403);
        assert_eq!(ask(&[("origin", "http://127.0.0.1:8481"), ("origin", "http://evil.example")]), 403);
        assert_eq!(ask(&[("sec-purpose", "prefetch")]), 403);
    }

    #[test]
    fn nothing_can_be_changed() {
        for method in
            [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS, Method::CONNECT]
        {
            assert_eq!(status(&method, &[("host", "localhost")]), 405, "{method}");
        }
        assert_eq!(status(&Method::HEAD, &[("host", "localhost")]), 200);
    }
}
