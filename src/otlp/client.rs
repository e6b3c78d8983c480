//! How spans get to their collector: one exchange on a connection of its own, over TLS where the address says so.
//!
//! For a thread that sends a batch now and then; nothing here is on the path of a call. Redirects are not followed, and
//! what is sent is never logged, nor the headers that the environment gives, which may hold a token.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::uri::Scheme;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Bytes of an answer.
const LONGEST: usize = 1 << 20;

/// The way to a collector.
pub(super) struct Client {
    tls: TlsConnector,
    /// How long an exchange may take.
    patience: Duration,
    /// Whether the last exchange failed, which is said once.
    failing: AtomicBool,
}

/// Says nothing of what it holds.
impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// One that trusts what the system trusts, or the certificates in the file `authorities`.
    pub(super) fn new(authorities: Option<&Path>, patience: Duration) -> Result<Self, String> {
        let builder = ClientConfig::builder();
        let mut config = if let Some(path) = authorities {
            builder.with_root_certificates(roots(path)?).with_no_client_auth()
        } else {
            let builder = builder.with_platform_verifier();
            builder.map_err(|error| format!("system trust store: {error}"))?.with_no_client_auth()
        };
        config.alpn_protocols.push(b"http/1.1".to_vec());
        let tls = TlsConnector::from(Arc::new(config));
        Ok(Self { tls, patience, failing: AtomicBool::new(false) })
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (scheme, host, port) = place(request.uri()).ok_or("the endpoint is no http or https address")?;
        let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
        if scheme == Scheme::HTTPS {
            let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
            converse(self.tls.connect(name, stream).await?, request).await
        } else {
            converse(stream, request).await
        }
    }

    /// Says when spans begin to be lost, and when they are not any more.
    fn note(&self, result: &Result<Response<Bytes>, HttpError>) {
        let why = match result {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("the collector answers {}", answer.status().as_u16())),
            Err(error) => Some(error.to_string()),
        };
        match (why, self.failing.load(Relaxed)) {
            (Some(why), false) => tracing::warn!(why, "spans cannot be exported"),
            (None, true) => tracing::info!("spans are exported again"),
            (why, _) => return self.failing.store(why.is_some(), Relaxed),
        }
        self.failing.fetch_xor(true, Relaxed);
    }
}

#[async_trait]
impl HttpClient for Client {
    /// Blocks: the exporter's thread does nothing else meanwhile.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let result = runtime.block_on(async {
            let late = io::Error::new(io::ErrorKind::TimedOut, "the collector takes too long");
            tokio::time::timeout(self.patience, self.exchange(request)).await.unwrap_or(Err(late.into()))
        });
        self.note(&result);
        result
    }
}

/// Where to connect to.
fn place(uri: &Uri) -> Option<(Scheme, &str, u16)> {
    let scheme = uri.scheme().filter(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme))?;
    let usual = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    Some((scheme.clone(), uri.host()?, uri.port_u16().unwrap_or(usual)))
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let (mut parts, body) = request.into_parts();
    let authority =
        parts.uri.authority().map(|authority| authority.as_str().rsplit('@').next().unwrap_or_default());
    parts.headers.insert(header::HOST, HeaderValue::try_from(authority.unwrap_or_default())?);
    parts.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    parts.uri = parts.uri.path_and_query().map_or("/", |path| path.as_str()).parse()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let answer = sender.send_request(Request::from_parts(parts, Full::new(body))).await?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, LONGEST).collect().await?.to_bytes();
        Ok(Response::from_parts(parts, body))
    };
    tokio::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        ended = connection => {
            ended?;
            // The collector closed after its answer, of which the rest is here already.
            exchange.await
        }
    }
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let said = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| said(&error))? {
        let certificate = certificate.map_err(|error| said(&error))?;
        store.add(certificate).map_err(|error| said(&error))?;
    }
    if store.is_empty() { Err(said(&"no certificate in this file")) } else { Ok(store) }
}
