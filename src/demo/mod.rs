//! Endpoints that verify: one per scheme, on loopback, for `countersign demo`.
//!
//! They judge with the library's own verifier, the one that will authenticate local keys. What proves that verifier
//! right are published vectors, independent clients and real servers; the demo shows, it does not prove.

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::net::TcpListener;

use crate::sign::{ChunkMode, Head, Payload, Scratch, Signer, VerifyError};

/// The most that an endpoint reads of a body.
const MOST: usize = 1 << 20;

/// Which verifier answers to which `Host`.
pub type Verifiers = HashMap<String, Arc<dyn Signer>>;

/// Accepts on one loopback socket and judges each request by the verifier of its host, until dropped.
pub async fn endpoints(listener: TcpListener, verifiers: Verifiers) {
    let verifiers = Rc::new(verifiers);
    let scratch = Rc::new(RefCell::new(Scratch::default()));
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (verifiers, scratch) = (verifiers.clone(), scratch.clone());
        let service = service_fn(move |request| {
            let (verifiers, scratch) = (verifiers.clone(), scratch.clone());
            async move { Ok::<_, Infallible>(answer(request, &verifiers, &scratch).await) }
        });
        tokio::task::spawn_local(async move {
            // A broken connection is its caller's business.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    verifiers: &Verifiers,
    scratch: &RefCell<Scratch>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let Some(verifier) = verifiers.get(host) else {
        return verdict(StatusCode::MISDIRECTED_REQUEST, "no endpoint of this name");
    };
    let Ok(body) = Limited::new(body, MOST).collect().await else {
        return verdict(StatusCode::PAYLOAD_TOO_LARGE, "the demo reads small bodies");
    };
    let body = body.to_bytes();
    let token = head.headers.get("x-amz-content-sha256").and_then(|value| value.to_str().ok());
    let payload = match token.and_then(ChunkMode::from_token) {
        Some(mode) => Payload::Chunked(mode),
        None if token == Some("UNSIGNED-PAYLOAD") => Payload::Unsigned,
        None => Payload::Whole(&body),
    };
    let judged = verifier.verify(
        &Head {
            method: head.method.as_str(),
            path: head.uri.path(),
            query: head.uri.query(),
            headers: &head.headers,
            host_bucket: None,
        },
        payload,
        Timestamp::now(),
        &mut scratch.borrow_mut(),
    );
    match judged {
        Ok(()) => verdict(StatusCode::OK, "verified"),
        Err(VerifyError::MustPost) => verdict(StatusCode::BAD_REQUEST, "must be sent using POST"),
        Err(error) => verdict(StatusCode::FORBIDDEN, &error.to_string()),
    }
}

fn verdict(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let body = serde_json::json!({ "signature": text }).to_string() + "\n";
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}
