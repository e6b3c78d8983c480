//! Connections of every kind, kept while they are, and one way to call over each.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::cell::{Cell, Transport};
use crate::signer::Call;
use crate::support::message::Wire;
use crate::support::{Gateway, PATIENCE};
use crate::tls::{Authority, Session, caller};

/// What a call was answered.
#[derive(Debug)]
pub struct Told {
    pub status: u16,
    /// The code of a refusal.
    pub error: String,
    /// The call's id.
    pub id: String,
}

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

enum Line {
    One(Wire<Box<dyn Stream>>),
    Two(Session),
}

/// The connections of one thread.
pub struct Lines {
    addresses: Vec<String>,
    partner: Arc<ClientConfig>,
    stranger: Arc<ClientConfig>,
    bare: Arc<ClientConfig>,
    runtime: tokio::runtime::Runtime,
    open: HashMap<Transport, Line>,
}

impl Lines {
    pub fn to(gateway: &Gateway, authority: &Authority) -> Self {
        let named = |name: &str| caller(authority, Some(&authority.client(name)), &["http/1.1"]);
        Self {
            addresses: gateway.addresses.clone(),
            partner: named("partner.example"),
            stranger: named("partner.example.org"),
            bare: caller(authority, None, &["h2"]),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            open: HashMap::new(),
        }
    }

    fn address(&self, listener: usize) -> SocketAddr {
        self.addresses[listener].parse().unwrap()
    }

    fn tcp(&self, listener: usize) -> TcpStream {
        let stream = TcpStream::connect(self.address(listener)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn connect(&self, transport: Transport) -> Line {
        let one = |stream: Box<dyn Stream>| Line::One(Wire::new(stream));
        let tls = |config: &Arc<ClientConfig>| {
            let name = ServerName::try_from("localhost").unwrap();
            let session = ClientConnection::new(config.clone(), name).unwrap();
            one(Box::new(StreamOwned::new(session, self.tcp(2))))
        };
        let proxied = |header: &str| {
            let mut stream = self.tcp(4);
            stream.write_all(header.as_bytes()).unwrap();
            one(Box::new(stream))
        };
        match transport {
            Transport::Tcp => one(Box::new(self.tcp(0))),
            Transport::Unix => {
                let stream = UnixStream::connect(self.addresses[1].strip_prefix("unix:").unwrap()).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                one(Box::new(stream))
            }
            Transport::TlsPartner => tls(&self.partner),
            Transport::TlsStranger => tls(&self.stranger),
            Transport::TlsBare => {
                let session = Session::tls(self.address(2), &self.bare, "localhost");
                Line::Two(self.runtime.block_on(session).unwrap())
            }
            Transport::H2c => {
                Line::Two(self.runtime.block_on(Session::plain(self.address(3), true)).unwrap())
            }
            Transport::ProxyNear => proxied("PROXY TCP4 10.20.0.9 10.20.0.1 4711 443\r\n"),
            Transport::ProxyFar => proxied("PROXY TCP4 192.0.2.9 10.20.0.1 4711 443\r\n"),
        }
    }

    /// Calls over the cell's connection, which is opened if need be.
    pub fn call(&mut self, cell: &Cell) -> Told {
        let call = cell.call();
        let line = self.open.remove(&cell.transport).unwrap_or_else(|| self.connect(cell.transport));
        let (told, line) = match line {
            Line::One(wire) => one(wire, &call),
            Line::Two(session) => self.runtime.block_on(two(session, &call)),
        };
        self.open.extend(line.map(|line| (cell.transport, line)));
        told
    }
}

fn one(mut wire: Wire<Box<dyn Stream>>, call: &Call) -> (Told, Option<Line>) {
    let mut bytes = format!("{} {} HTTP/1.1\r\n", call.method, call.target);
    for (name, value) in &call.headers {
        bytes.push_str(&format!("{name}: {value}\r\n"));
    }
    bytes.push_str("\r\n");
    wire.stream.write_all(bytes.as_bytes()).unwrap();
    wire.stream.flush().unwrap();
    let head = wire.head().unwrap().expect("an answer");
    let framing = head.framing().unwrap();
    drop(wire.body(framing).unwrap());
    let header = |name: &str| head.headers.one(name).unwrap_or_default().to_owned();
    let status = head.start[9..12].parse().unwrap();
    let told = Told { status, error: header("x-countersign-error"), id: header("x-request-id") };
    let stays = !header("connection").eq_ignore_ascii_case("close");
    (told, stays.then_some(Line::One(wire)))
}

async fn two(mut session: Session, call: &Call) -> (Told, Option<Line>) {
    let host = call.value("host").unwrap();
    let mut request =
        Request::builder().method(call.method.as_str()).uri(format!("http://{host}{}", call.target));
    for (name, value) in call.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host")) {
        request = request.header(name.as_str(), value.as_str());
    }
    let answer = session.send(request.body(Full::new(Bytes::new())).unwrap()).await.unwrap();
    let id = answer.headers.get("x-request-id").map_or("", |id| id.to_str().unwrap()).to_owned();
    let told = Told { status: answer.status, error: answer.error().to_owned(), id };
    // HTTP/2 tells by GOAWAY that no more is taken: a refusal of the caller closes the connection.
    let stays = matches!(
        told.error.as_str(),
        "" | "operation-denied" | "operation-not-allowed" | "read-only" | "secrets-denied"
    );
    (told, stays.then_some(Line::Two(session)))
}
