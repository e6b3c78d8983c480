//! Certificates of callers: which handshakes succeed, and which names come of them.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use countersign::config::{self, ClientAuth, ListenerTls};
use countersign::listen::certificate;
use countersign::snapshot::Listener;
use http_body_util::Full;
use rcgen::{
    CertificateParams, CertificateRevocationListParams, CertifiedIssuer, CustomExtension, DnType,
    ExtendedKeyUsagePurpose as Usage, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType,
    SerialNumber, date_time_ymd,
};
use rustls::HandshakeKind;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::tls::{self, Authority, Leaf, Session};
use super::*;

/// An authority for callers, which also says what it has revoked.
struct Callers(CertifiedIssuer<'static, KeyPair>);

fn authority(name: &str) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params, KeyPair::generate().unwrap())
}

impl Callers {
    fn new(name: &str) -> Self {
        let (params, key) = authority(name);
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn under(&self, name: &str) -> Self {
        let (params, key) = authority(name);
        Self(CertifiedIssuer::signed_by(params, key, &self.0).unwrap())
    }

    fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "common.example");
        params.extended_key_usages = vec![Usage::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Leaf { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// A leaf for one host name.
    fn host(&self, name: &str, serial: u64) -> Leaf {
        self.issue(|params| {
            params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
            params.serial_number = Some(SerialNumber::from(serial));
        })
    }

    /// The list of what is revoked, good until the year given.
    fn revoke(&self, serials: &[u64], until: i32) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.0).unwrap().pem().unwrap()
    }
}

/// The files of a listener, gone when the test is over.
struct Files {
    folder: PathBuf,
    servers: Authority,
}

impl Files {
    fn new(callers: &Callers) -> Self {
        let folder = std::env::temp_dir().join(format!("countersign-test-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        let servers = Authority::new("servers");
        let leaf = servers.server(&["localhost"]);
        let files = Self { folder, servers };
        files.write("tls.pem", &leaf.certificate);
        files.write("tls.key", &leaf.key);
        files.write("callers.pem", &callers.0.pem());
        files
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.folder.join(name), content).unwrap();
    }

    /// The listener's `tls`, as TOML.
    fn table(&self, more: &str) -> String {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let files = [("certificate", "tls.pem"), ("key", "tls.key"), ("client-ca", "callers.pem")];
        let files = files.map(|(key, name)| format!("{key} = \"{}\"", path(name))).join(", ");
        let more = more.replace("FOLDER", &self.folder.display().to_string());
        format!("{{ address = \"127.0.0.1:0\", tls = {{ {files}{more} }} }}")
    }

    /// The listener as it is built for serving.
    fn listener(&self, crl: bool, auth: ClientAuth) -> Result<Listener, String> {
        let tls = ListenerTls {
            certificate: self.folder.join("tls.pem"),
            key: self.folder.join("tls.key"),
            client_ca: Some(self.folder.join("callers.pem")),
            client_crl: crl.then(|| self.folder.join("revoked.pem")),
            client_auth: auth,
        };
        let listener = config::Listener {
            address: config::Address::Tcp(([127, 0, 0, 1], 0).into()),
            hosts: Vec::new(),
            tls: Some(tls),
            h2c: false,
            trusted_proxies: Vec::new(),
            client_address: None,
        };
        Listener::build(&listener).map_err(|error| error.to_string())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

const NOW: i64 = 1_790_000_000;

/// The listener's side of one exchange: how the handshake went, and the names that came of it.
async fn met(
    listener: &Listener,
    caller: &Arc<rustls::ClientConfig>,
    now: i64,
) -> Result<(HandshakeKind, Vec<String>), String> {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let caller = caller.clone();
    let asking = tokio::spawn(async move {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let Ok(mut stream) = TlsConnector::from(caller).connect(name, stream).await else { return };
        // The ticket of a session comes with the first bytes.
        let _ = stream.write_all(b"x").await;
        let _ = stream.read(&mut [0]).await;
    });
    let (stream, _) = socket.accept().await.unwrap();
    let acceptor = TlsAcceptor::from(listener.tls.clone().unwrap());
    let told = match acceptor.accept(stream).await {
        Err(error) => Err(error.to_string()),
        Ok(mut stream) => {
            stream.read_exact(&mut [0]).await.unwrap();
            stream.write_all(b"y").await.unwrap();
            let session = stream.get_ref().1;
            Ok((session.handshake_kind().unwrap(), certificate::names_of(session, now)))
        }
    };
    asking.await.unwrap();
    told
}

#[tokio::test]
async fn names_are_those_that_the_certificate_states() {
    let callers = Callers::new("callers");
    let files = Files::new(&callers);
    let listener = files.listener(false, ClientAuth::Required).unwrap();
    let names = async |leaf: &Leaf| {
        let config = tls::caller(&files.servers, Some(leaf), &[]);
        met(&listener, &config, NOW).await.map(|(_, names)| names)
    };
    let host = |name: &str| SanType::DnsName(name.try_into().unwrap());
    let mail = |name: &str| SanType::Rfc822Name(name.try_into().unwrap());
    let uri = |name: &str| SanType::URI(name.try_into().unwrap());
    let ip = |name: &str| SanType::IpAddress(name.parse().unwrap());
    for (alternatives, expected) in [
        (vec![host("partner.example")], vec!["partner.example"]),
        (
            vec![host("Partner.Example"), host("*.partner.example")],
            vec!["Partner.Example", "*.partner.example"],
        ),
        (
            vec![
                uri("spiffe://example/ns/billing"),
                mail("ops@partner.example"),
                ip("192.0.2.1"),
                ip("2001:db8::1"),
            ],
            vec!["spiffe://example/ns/billing", "ops@partner.example", "192.0.2.1", "2001:db8::1"],
        ),
        // A name of one kind that looks like one of another is none.
        (vec![host("192.0.2.1"), host("a@b"), host("spiffe://example"), host("a b"), host("x")], vec!["x"]),
        (vec![mail("partner.example"), mail("spiffe://a@b"), mail("a@b"), uri("x")], vec!["a@b"]),
        (vec![uri("partner.example"), uri("192.0.2.1"), uri("2001:db8::1"), uri("urn:x:1")], vec!["urn:x:1"]),
        // The subject is not a name.
        (vec![], vec![]),
    ] {
        let leaf = callers.issue(|params| params.subject_alt_names = alternatives.clone());
        assert_eq!(names(&leaf).await.unwrap(), expected, "{alternatives:?}");
    }
    // A certificate that does not say what it is for is good for the handshake, and names nobody.
    let partner = || vec![host("partner.example")];
    for (usages, expected) in [
        (vec![Usage::ClientAuth], Ok(vec!["partner.example".to_owned()])),
        (vec![Usage::ServerAuth, Usage::ClientAuth], Ok(vec!["partner.example".to_owned()])),
        (vec![], Ok(vec![])),
        (vec![Usage::ServerAuth], Err(())),
        (vec![Usage::EmailProtection], Err(())),
        (vec![Usage::Any], Err(())),
    ] {
        let leaf = callers.issue(|params| {
            params.subject_alt_names = partner();
            params.extended_key_usages.clone_from(&usages);
        });
        assert_eq!(names(&leaf).await.map_err(drop), expected, "{usages:?}");
        // The names do not depend on TLS having looked.
        let der = CertificateDer::from_pem_slice(leaf.certificate.as_bytes()).unwrap();
        assert_eq!(certificate::names(&der, NOW), expected.unwrap_or_default(), "{usages:?}");
    }
    // The extension twice: which one? TLS itself stumbles over it already.
    let again = |alternatives: Vec<SanType>| {
        let leaf = callers.issue(|params| {
            params.subject_alt_names = alternatives;
            // A sequence of one host name, `a`.
            let content = vec![0x30, 0x03, 0x82, 0x01, b'a'];
            params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], content)];
        });
        let der = CertificateDer::from_pem_slice(leaf.certificate.as_bytes()).unwrap();
        // Cut anywhere, it is none.
        for cut in 0..der.len() {
            assert_eq!(certificate::names(&der[..cut], NOW), Vec::<String>::new(), "{cut}");
        }
        assert_eq!(certificate::names(&[&der, &[0][..]].concat(), NOW), Vec::<String>::new());
        certificate::names(&der, NOW)
    };
    assert_eq!(again(vec![]), ["a"]);
    assert_eq!(again(partner()), Vec::<String>::new());
    // Other roots, and days gone by.
    assert!(names(&Callers::new("callers").host("partner.example", 1)).await.is_err());
    let expired = callers.issue(|params| {
        params.subject_alt_names = partner();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 2, 1);
    });
    assert!(names(&expired).await.is_err());
    // Through an authority in between, which the caller shows as well.
    let between = callers.under("between");
    let mut leaf = between.host("partner.example", 1);
    assert!(names(&leaf).await.is_err());
    leaf.certificate += &between.0.pem();
    assert_eq!(names(&leaf).await.unwrap(), ["partner.example"]);
}

#[tokio::test]
async fn a_resumed_session_keeps_its_names_while_the_certificate_holds() {
    let callers = Callers::new("callers");
    let files = Files::new(&callers);
    let listener = files.listener(false, ClientAuth::Optional).unwrap();
    let leaf = callers.issue(|params| {
        params.subject_alt_names = vec![SanType::DnsName("partner.example".try_into().unwrap())];
        params.not_after = date_time_ymd(2050, 1, 1);
    });
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let shows = tls::caller(&files.servers, Some(&leaf), &[]).client_auth_cert_resolver.clone();
        let config = rustls::ClientConfig::builder_with_protocol_versions(&[version])
            .with_root_certificates(tls::roots(&files.servers))
            .with_client_cert_resolver(shows);
        let config = Arc::new(config);
        let (kind, names) = met(&listener, &config, NOW).await.unwrap();
        assert_eq!((kind, names), (HandshakeKind::Full, vec!["partner.example".to_owned()]), "{version:?}");
        let (kind, names) = met(&listener, &config, NOW).await.unwrap();
        assert_eq!(
            (kind, names),
            (HandshakeKind::Resumed, vec!["partner.example".to_owned()]),
            "{version:?}"
        );
        // In 2051 the session may still be resumed; the certificate is no name any more.
        let (kind, names) = met(&listener, &config, 2_556_144_000).await.unwrap();
        assert_eq!((kind, names), (HandshakeKind::Resumed, vec![]), "{version:?}");
        // What another world's listener gave out is worth nothing.
        let renewed = files.listener(false, ClientAuth::Optional).unwrap();
        assert_eq!(met(&renewed, &config, NOW).await.unwrap().0, HandshakeKind::Full, "{version:?}");
    }
    let anonymous = tls::caller(&files.servers, None, &[]);
    assert_eq!(met(&listener, &anonymous, NOW).await.unwrap().1, Vec::<String>::new());
}

#[tokio::test]
async fn revoked_certificates_are_refused() {
    let callers = Callers::new("callers");
    let files = Files::new(&callers);
    let between = callers.under("between");
    let (good, bad) = (callers.host("good.example", 7), callers.host("bad.example", 8));
    let mut far = between.host("far.example", 8);
    far.certificate += &between.0.pem();
    let outcome = async |leaf: &Leaf| {
        let listener = files.listener(true, ClientAuth::Optional).unwrap();
        let config = tls::caller(&files.servers, Some(leaf), &[]);
        met(&listener, &config, NOW).await.map(|(_, names)| names.concat()).map_err(drop)
    };
    for until in [2050, 2021] {
        // A list that is past its next update is better than none: what it names stays revoked.
        files.write("revoked.pem", &callers.revoke(&[8], until));
        assert_eq!(outcome(&good).await, Ok("good.example".to_owned()), "{until}");
        assert_eq!(outcome(&bad).await, Err(()), "{until}");
        // Of the authority in between there is no list, so that nobody knows.
        assert_eq!(outcome(&far).await, Err(()), "{until}");
    }
    files.write("revoked.pem", &(callers.revoke(&[], 2050) + &between.revoke(&[], 2050)));
    assert_eq!(outcome(&far).await, Ok("far.example".to_owned()));
    assert_eq!(outcome(&bad).await, Ok("bad.example".to_owned()));
    files.write("revoked.pem", &(callers.revoke(&[], 2050) + &between.revoke(&[8], 2050)));
    assert_eq!(outcome(&far).await, Err(()));
    // A list that somebody else signed says nothing about ours.
    files.write("revoked.pem", &Callers::new("callers").revoke(&[8], 2050));
    assert_eq!(outcome(&good).await, Err(()));
    for content in
        ["", "no list", &callers.0.pem(), "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n"]
    {
        files.write("revoked.pem", content);
        let error = files.listener(true, ClientAuth::Required).err().expect("a listener");
        assert!(error.contains("revoked.pem"), "{error}");
    }
}

/// The same by a process, over both versions of HTTP, and across reloads.
#[tokio::test]
async fn a_gateway_takes_lists_anew() {
    let upstream = Upstream::ok();
    let callers = Callers::new("callers");
    let files = Files::new(&callers);
    files.write("revoked.pem", &callers.revoke(&[8], 2050));
    let start = |more: &str| Setup::routes(&cloud(&upstream)).listen(&files.table(more)).start();
    let (good, bad) = (callers.host("good.example", 7), callers.host("bad.example", 8));
    let gateway = start(", client-crl = \"FOLDER/revoked.pem\"");
    let attempt = async |gateway: &Gateway, shows: Option<&Leaf>| {
        let config = tls::caller(&files.servers, shows, &["h2"]);
        // With TLS 1.3 the refusal may come only after the caller's side of the handshake is done.
        let mut session = Session::tls(gateway.address, &config, "localhost").await?;
        let request = http::Request::get(format!("https://localhost{LIST}"));
        session.send(request.body(Full::<Bytes>::default()).unwrap()).await.map(|answer| answer.status)
    };
    assert_eq!(attempt(&gateway, Some(&good)).await, Ok(200));
    assert!(attempt(&gateway, Some(&bad)).await.is_err());
    assert!(attempt(&gateway, None).await.is_err(), "a certificate is required unless it is optional");
    files.write("revoked.pem", &callers.revoke(&[7], 2050));
    gateway.signal("HUP");
    gateway.wait_for_event("configuration reloaded");
    assert!(attempt(&gateway, Some(&good)).await.is_err());
    assert_eq!(attempt(&gateway, Some(&bad)).await, Ok(200));
    files.write("revoked.pem", "no list");
    gateway.signal("HUP");
    let refused = gateway.wait_for_event("reload refused; the old configuration stays");
    assert!(refused["error"].as_str().unwrap().contains("revoked.pem"), "{refused}");
    assert!(attempt(&gateway, Some(&good)).await.is_err());
    assert_eq!(attempt(&gateway, Some(&bad)).await, Ok(200));

    let optional = start(", client-auth = \"optional\"");
    assert_eq!(attempt(&optional, None).await, Ok(200));
    assert_eq!(attempt(&optional, Some(&good)).await, Ok(200));
    // Optional is whether, not which.
    let stranger = Callers::new("callers").host("good.example", 7);
    assert!(attempt(&optional, Some(&stranger)).await.is_err());
}
