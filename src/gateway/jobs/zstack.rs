//! ZStack's jobs: a 202 whose body says where to ask, in the management node's own address (`RestServer.sendResponse`).
//!
//! That address is written in the gateway's terms, so that callers who poll need no other way to the upstream. Of
//! the address only the path is believed, and only when it is a job's below what this route leads to.

use std::ops::Range;

use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HOST};
use http::request::Parts;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Poll;
use crate::outbound::Draft;
use crate::sign::Scheme;
use crate::snapshot::Route;
use crate::target::has_prefix;

/// Below the context path (`RestConstants.ASYNC_JOB_PATH`).
const JOB_PATH: &str = "/v1/api-jobs/";

/// How a route's jobs are named, to the upstream and to the caller.
pub(super) struct Jobs {
    context_path: String,
    /// The prefix of what the upstream is sent, and what callers write in its place.
    upstream_prefix: String,
    prefix: String,
    /// Scheme and authority by which the caller knows the gateway.
    own: Option<String>,
    /// The job that the call itself asks for.
    asked: Option<String>,
}

/// The body of a 202.
#[derive(Deserialize)]
struct Accepted<'b> {
    #[serde(borrow)]
    location: &'b RawValue,
}

impl Jobs {
    /// None for reads, which begin no job.
    pub(super) fn of(route: &Route, head: &Parts, tls: bool, draft: &Draft) -> Option<Self> {
        let Scheme::Zstack(options) = &route.scheme else { return None };
        let context_path = options.context_path.clone();
        let asked = (draft.method == Method::GET && job_of(&draft.path, &context_path).is_some())
            .then(|| draft.path.clone());
        if draft.method == Method::GET && asked.is_none() {
            return None;
        }
        let host = head.headers.get(HOST).and_then(|value| value.to_str().ok());
        let host = host.or_else(|| head.uri.authority().map(http::uri::Authority::as_str));
        let scheme = if tls { "https" } else { "http" };
        let rewritten = route.endpoint.upstream.rewrite_path.as_ref();
        Some(Self {
            context_path,
            upstream_prefix: rewritten.unwrap_or(&route.path).clone(),
            prefix: route.path.clone(),
            own: host.map(|host| format!("{scheme}://{host}")),
            asked,
        })
    }

    /// The body with its address in the gateway's terms and every other byte as it was; none when there is nothing
    /// to be changed.
    pub(super) fn rewritten(&self, body: &[u8]) -> Option<Bytes> {
        let (place, path) = self.location(body)?;
        let rest = path.strip_prefix(&self.upstream_prefix)?;
        let public = format!("{}{}{rest}", self.own.as_ref()?, self.prefix);
        let public = serde_json::to_string(&public).ok()?;
        Some([&body[..place.start], public.as_bytes(), &body[place.end..]].concat().into())
    }

    /// The question for the job that a 202 names, or that the call asked for.
    pub(super) fn poll(&self, body: &[u8], mut draft: Draft) -> Option<Poll> {
        let path = self.location(body).map(|(_, path)| path).or_else(|| self.asked.clone())?;
        let job = job_of(&path, &self.context_path)?.to_owned();
        draft.method = Method::GET;
        draft.path = path;
        draft.query = None;
        draft.headers.remove(CONTENT_TYPE);
        // A repeated name is refused, and the call's own hook was taken note of.
        draft.headers.remove("x-job-uuid");
        draft.headers.remove("x-web-hook");
        Some(Poll { job, draft, form: None })
    }

    /// Where in a body the address stands, and the path of the job that it names.
    fn location(&self, body: &[u8]) -> Option<(Range<usize>, String)> {
        let accepted: Accepted<'_> = serde_json::from_slice(body).ok()?;
        let raw = accepted.location.get();
        let address: String = serde_json::from_str(raw).ok()?;
        let path = path_of(&address)?;
        job_of(path, &self.context_path)?;
        if !has_prefix(path, &self.upstream_prefix) {
            return None;
        }
        let start = raw.as_ptr().addr().checked_sub(body.as_ptr().addr())?;
        Some((start..start + raw.len(), path.to_owned()))
    }
}

/// The path of an address with scheme and authority and nothing that could be read as anything else.
fn path_of(address: &str) -> Option<&str> {
    let rest = address.strip_prefix("http://").or_else(|| address.strip_prefix("https://"))?;
    let (authority, path) = rest.split_at(rest.find('/')?);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".:-_[]".contains(&b);
    (!authority.is_empty() && authority.bytes().all(plain)).then_some(path)
}

/// The 32 hex digits of a job's path.
fn job_of<'p>(path: &'p str, context_path: &str) -> Option<&'p str> {
    let job = path.strip_prefix(context_path)?.strip_prefix(JOB_PATH)?;
    (job.len() == 32 && job.bytes().all(|b| b.is_ascii_hexdigit())).then_some(job)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const JOB: &str = "0123456789abcdef0123456789ABCDEF";

    fn jobs(prefix: &str, upstream_prefix: &str, context_path: &str) -> Jobs {
        Jobs {
            context_path: context_path.into(),
            upstream_prefix: upstream_prefix.into(),
            prefix: prefix.into(),
            own: Some("https://gw.example:8443".into()),
            asked: None,
        }
    }

    fn rewritten(jobs: &Jobs, body: &str) -> Option<String> {
        jobs.rewritten(body.as_bytes()).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn only_the_address_changes() {
        let plain = jobs("/zstack", "/zstack", "/zstack");
        let url = format!("http://172.20.0.10:8080/zstack/v1/api-jobs/{JOB}");
        let public = format!("https://gw.example:8443/zstack/v1/api-jobs/{JOB}");
        for frame in [
            "{\"location\":\"@\"}",
            "{ \"a\" : [1.0, 1e2, {\"location\": \"x\"}],\r\n \"location\" :\t\"@\" , \"\\u0062\":null }\n",
        ] {
            let came = frame.replace('@', &url);
            assert_eq!(rewritten(&plain, &came), Some(frame.replace('@', &public)), "{frame}");
        }
        let escaped = format!("{{\"location\":\"{}\"}}", url.replace('/', "\\/"));
        assert_eq!(rewritten(&plain, &escaped), Some(format!("{{\"location\":\"{public}\"}}")));
    }

    #[test]
    fn prefixes_are_mapped_back() {
        for (prefix, upstream, context, came, went) in [
            ("/cloud", "/zstack", "/zstack", "/zstack/v1/api-jobs/", "/cloud/v1/api-jobs/"),
            ("/cloud/a", "", "", "/v1/api-jobs/", "/cloud/a/v1/api-jobs/"),
            ("", "/zstack", "/zstack", "/zstack/v1/api-jobs/", "/v1/api-jobs/"),
            ("", "", "/zstack", "/zstack/v1/api-jobs/", "/zstack/v1/api-jobs/"),
            ("/z", "/zstack/v1", "/zstack", "/zstack/v1/api-jobs/", "/z/api-jobs/"),
        ] {
            let body = format!("{{\"location\":\"http://mn{came}{JOB}\"}}");
            let expected = format!("{{\"location\":\"https://gw.example:8443{went}{JOB}\"}}");
            assert_eq!(
                rewritten(&jobs(prefix, upstream, context), &body),
                Some(expected),
                "{prefix} {upstream}"
            );
        }
    }

    #[test]
    fn what_is_no_job_of_this_route_passes() {
        let plain = jobs("/zstack", "/zstack", "/zstack");
        for location in [
            format!("http://user@mn/zstack/v1/api-jobs/{JOB}"),
            format!("http://mn?/zstack/v1/api-jobs/{JOB}"),
            format!("http://mn\\\\@evil/zstack/v1/api-jobs/{JOB}"),
            format!("http:///zstack/v1/api-jobs/{JOB}"),
            format!("/zstack/v1/api-jobs/{JOB}"),
            format!("ftp://mn/zstack/v1/api-jobs/{JOB}"),
            format!("http://mn/zstack/v1/api-jobs/{JOB}?x"),
            format!("http://mn/zstack/v1/api-jobs/{JOB}#x"),
            format!("http://mn/zstack/v1/api-jobs/{JOB}/"),
            format!("http://mn/zstack/v1/api-jobs/{JOB}0"),
            format!("http://mn/zstack/v1/api-jobs/../vm-instances/{JOB}"),
            format!("http://mn/zstack//v1/api-jobs/{JOB}"),
            format!("http://mn/other/v1/api-jobs/{JOB}"),
            format!("http://mn/v1/api-jobs/{JOB}"),
            format!("http://mn/zstack/v1/vm-instances/{JOB}"),
            "http://mn/zstack/v1/api-jobs/".to_owned(),
        ] {
            let body = format!("{{\"location\":\"{location}\"}}");
            assert_eq!(rewritten(&plain, &body), None, "{location}");
        }
        let url = format!("http://mn/zstack/v1/api-jobs/{JOB}");
        for body in [
            format!("{{\"a\":{{\"location\":\"{url}\"}}}}"),
            format!("{{\"location\":[\"{url}\"]}}"),
            format!("{{\"location\":\"{url}\",\"location\":\"{url}\"}}"),
            format!("[{{\"location\":\"{url}\"}}]"),
            format!("{{\"location\":\"{url}\"}} x"),
            String::new(),
        ] {
            assert_eq!(rewritten(&plain, &body), None, "{body}");
        }
        // A narrower route leads to no job, and asks for none.
        for prefix in ["/zstack/v1/vm-instances", "/zstack/v1/api"] {
            let narrow = jobs(prefix, prefix, "/zstack");
            assert!(narrow.location(format!("{{\"location\":\"{url}\"}}").as_bytes()).is_none());
        }
    }
}
