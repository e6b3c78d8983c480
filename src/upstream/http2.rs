//! HTTP/2 connections to upstreams, by hyper: one for many requests.

use std::time::Duration;

use http::{Request, Uri, header};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::LocalExecutor;
use super::head::HEAD_BYTES;
use crate::body::Body;
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
pub(super) fn framed(mut request: Request<Body>, tls: bool) -> Option<Request<Body>> {
    let host = request.headers_mut().remove(header::HOST);
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(if tls { http::uri::Scheme::HTTPS } else { http::uri::Scheme::HTTP });
    parts.authority = host.and_then(|host| http::uri::Authority::try_from(host.as_bytes()).ok());
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    Some(request)
}

/// Undoes [`framed`] for another try.
pub(super) fn unframed(mut request: Request<Body>) -> Request<Body> {
    let parts = std::mem::take(request.uri_mut()).into_parts();
    if let Some(authority) = &parts.authority
        && let Ok(host) = http::HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(header::HOST, host);
    }
    *request.uri_mut() = parts.path_and_query.map(Uri::from).unwrap_or_default();
    request
}
