//! Certificates, a TLS upstream and TLS callers for the tests. HTTP/1.1 and HTTP/2, as ALPN has it.

#![allow(dead_code, unreachable_pub, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::support::PATIENCE;

/// A certification authority of the test's own.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub struct Leaf {
    pub certificate: String,
    pub key: String,
}

/// When a certificate holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    Now,
    Past,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server's certificate for these names.
    pub fn server(&self, names: &[&str]) -> Leaf {
        self.issue(names, ExtendedKeyUsagePurpose::ServerAuth, Validity::Now)
    }

    /// A client's certificate.
    pub fn client(&self, name: &str) -> Leaf {
        self.issue(&[name], ExtendedKeyUsagePurpose::ClientAuth, Validity::Now)
    }

    pub fn issue(&self, names: &[&str], usage: ExtendedKeyUsagePurpose, validity: Validity) -> Leaf {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, "leaf");
        params.extended_key_usages = vec![usage];
        if validity == Validity::Past {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2020, 2, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Leaf { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect()
}

fn private_key(pem: &str) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// The trust in one authority.
pub fn roots(trust: &Authority) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(certificates(&trust.pem()).remove(0)).unwrap();
    roots
}

/// A caller's side of TLS: whom it trusts, what it shows, what it offers to speak.
pub fn caller(trust: &Authority, shows: Option<&Leaf>, alpn: &[&str]) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder().with_root_certificates(roots(trust));
    let mut config = match shows {
        Some(leaf) => {
            builder.with_client_auth_cert(certificates(&leaf.certificate), private_key(&leaf.key)).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// A connection of a caller that speaks HTTP/1.1 or HTTP/2.
pub struct Session {
    sender: Sender,
    /// What ALPN chose.
    pub alpn: Option<String>,
    /// The certificate that the gateway showed.
    pub certificate: Option<Vec<u8>>,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// An answer, whole.
#[derive(Debug)]
pub struct Fetched {
    pub status: u16,
    pub version: Version,
    pub headers: HeaderMap,
    pub body: Result<String, String>,
}

impl Fetched {
    /// The code of a refusal of the gateway's own.
    pub fn error(&self) -> &str {
        self.headers.get("x-countersign-error").map_or("", |value| value.to_str().unwrap())
    }
}

impl Session {
    /// Connects over TLS; ALPN decides what is spoken.
    pub async fn tls(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> Result<Self, String> {
        Self::tls_over(connect(address).await?, config, name).await
    }

    /// Speaks TLS over a connection.
    pub async fn tls_over(stream: TcpStream, config: &Arc<ClientConfig>, name: &str) -> Result<Self, String> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let handshake = TlsConnector::from(config.clone()).connect(name, stream);
        let stream = timed(handshake).await.map_err(|error| error.to_string())?;
        let (_, session) = stream.get_ref();
        let alpn = session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
        let certificate = session.peer_certificates().map(|chain| chain[0].to_vec());
        let http2 = alpn.as_deref() == Some("h2");
        let sender = speak(TokioIo::new(stream), http2).await?;
        Ok(Self { sender, alpn, certificate })
    }

    /// Connects in the clear, with prior knowledge of HTTP/2 or none.
    pub async fn plain(address: SocketAddr, http2: bool) -> Result<Self, String> {
        let sender = speak(TokioIo::new(connect(address).await?), http2).await?;
        Ok(Self { sender, alpn: None, certificate: None })
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Fetched, String> {
        let response = match &mut self.sender {
            Sender::Http1(sender) => timed(sender.send_request(request)).await,
            Sender::Http2(sender) => timed(sender.send_request(request)).await,
        };
        fetched(response.map_err(|error| format!("{error:?}"))?).await
    }

    /// A request on a stream of its own; only HTTP/2 has those.
    pub fn stream(
        &self,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = Result<Fetched, String>> + use<> {
        let Sender::Http2(sender) = &self.sender else { panic!("HTTP/1.1 has no streams") };
        let mut sender = sender.clone();
        async move {
            let response = timed(sender.send_request(request)).await;
            fetched(response.map_err(|error| format!("{error:?}"))?).await
        }
    }
}

async fn fetched(response: Response<Incoming>) -> Result<Fetched, String> {
    let (head, body) = response.into_parts();
    let body = timed(body.collect()).await.map_err(|error| format!("{error:?}"));
    let body = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned());
    Ok(Fetched { status: head.status.as_u16(), version: head.version, headers: head.headers, body })
}

async fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    timed(TcpStream::connect(address)).await.map_err(|error| error.to_string())
}

async fn speak<S>(stream: TokioIo<S>, http2: bool) -> Result<Sender, String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    if http2 {
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), stream).await.map_err(|error| format!("{error:?}"))?;
        tokio::spawn(async move { drop(connection.await) });
        return Ok(Sender::Http2(sender));
    }
    let (sender, connection) = http1::handshake(stream).await.map_err(|error| format!("{error:?}"))?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(Sender::Http1(sender))
}

/// Bounds a wait, so that a hang fails the test that hangs.
async fn timed<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it hangs")
}

/// A request as a TLS upstream saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which connection carried it, counted from 0.
    pub connection: usize,
    /// The server name of the handshake.
    pub sni: Option<String>,
    pub version: Version,
    pub method: String,
    pub authority: Option<String>,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    /// As the naive verifiers read requests: `:authority` is the `Host` of HTTP/2.
    pub fn as_request(&self) -> super::support::Request {
        let mut headers: Vec<(String, String)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        if let Some(authority) = &self.authority {
            headers.push(("host".to_owned(), authority.clone()));
        }
        super::support::Request {
            connection: self.connection,
            method: self.method.clone(),
            target: self.target.clone(),
            headers: super::support::Headers(headers),
            framing: super::support::message::Framing::None,
            body: self.body.to_vec(),
            complete: true,
            trailers: Vec::new(),
        }
    }
}

/// An upstream that speaks TLS and answers `200` with the version of HTTP that it was spoken to in.
pub struct TlsUpstream {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Its thread ends when this is dropped.
    _running: tokio::sync::oneshot::Sender<()>,
}

impl TlsUpstream {
    pub fn new(leaf: &Leaf, alpn: &[&str]) -> Self {
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(certificates(&leaf.certificate), private_key(&leaf.key))
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let (running, ended) = tokio::sync::oneshot::channel();
        let requests = seen.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(socket).unwrap();
                tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), requests));
                let _ = ended.await;
            });
        });
        Self { address, seen, _running: running }
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The last request; there must have been one.
    #[track_caller]
    pub fn last(&self) -> Seen {
        self.seen().pop().expect("no request came")
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, seen: Arc<Mutex<Vec<Seen>>>) {
    let mut connection = 0;
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, seen, number) = (acceptor.clone(), seen.clone(), connection);
        connection += 1;
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let session = stream.get_ref().1;
            let sni = session.server_name().map(str::to_owned);
            let http2 = session.alpn_protocol() == Some(b"h2");
            let service = service_fn(move |request: Request<Incoming>| {
                let (seen, sni) = (seen.clone(), sni.clone());
                async move { Ok::<_, Infallible>(record(request, number, sni, &seen).await) }
            });
            let stream = TokioIo::new(stream);
            if http2 {
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                drop(builder.serve_connection(stream, service).await);
            } else {
                let builder = hyper::server::conn::http1::Builder::new();
                drop(builder.serve_connection(stream, service).await);
            }
        });
    }
}

async fn record(
    request: Request<Incoming>,
    connection: usize,
    sni: Option<String>,
    seen: &Mutex<Vec<Seen>>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return Response::builder().status(400).body(Full::default()).unwrap();
    };
    let version = head.version;
    seen.lock().unwrap().push(Seen {
        connection,
        sni,
        version,
        method: head.method.to_string(),
        authority: head.uri.authority().map(ToString::to_string),
        target: head.uri.path_and_query().unwrap().to_string(),
        headers: head.headers,
        body: body.to_bytes(),
    });
    Response::new(Full::from(format!("{version:?}")))
}
