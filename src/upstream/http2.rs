//! HTTP/2 connections to upstreams, by hyper: one for many requests.

use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Uri, header};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::LocalExecutor;
use super::head::HEAD_BYTES;
use crate::body::Body;
use crate::outbound::SignedHead;
use crate::reason::Reason;

/// What requests are sent with.
pub(super) type Sender = http2::SendRequest<Body>;

/// Begins to speak HTTP/2.
pub(super) async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
) -> Result<Sender, Reason> {
    let mut builder = http2::Builder::new(LocalExecutor);
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .max_header_list_size(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX));
    let handshake = builder.handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(|_| Reason::UpstreamProtocol)?;
    tokio::task::spawn_local(async move { drop(connection.await) });
    Ok(sender)
}

/// HTTP/2 carries the signed `Host` as `:authority`.
pub(super) fn framed(head: SignedHead, body: Body, tls: bool) -> Option<Request<Body>> {
    let SignedHead { method, target, mut headers } = head;
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(if tls { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = headers.remove(header::HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(target).ok()?);
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    *request.headers_mut() = headers;
    Some(request)
}

/// Undoes [`framed`] for another try.
pub(super) fn unframed(request: Request<Body>) -> (SignedHead, Body) {
    let (head, body) = request.into_parts();
    let mut headers = head.headers;
    if let Some(host) = head.uri.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok()) {
        headers.insert(header::HOST, host);
    }
    let target = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    (SignedHead { method: head.method, target: Bytes::copy_from_slice(target.as_bytes()), headers }, body)
}
