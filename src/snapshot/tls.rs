//! TLS of both sides, built from the files that the configuration names.
//!
//! Every file is read when the world is built, so that a bad one stops a start and fails a reload.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_platform_verifier::BuilderVerifierExt;

use super::BuildError;
use crate::config::{ClientAuth, ListenerTls, Upstream};

/// The trust of a route: the system's roots, or the route's own.
pub(super) fn upstream(
    upstream: &Upstream,
    roots: Option<&[CertificateDer<'static>]>,
) -> Result<Arc<ClientConfig>, BuildError> {
    let builder = ClientConfig::builder();
    let mut tls = match (&upstream.ca_file, roots) {
        (Some(path), Some(roots)) => {
            builder.with_root_certificates(store(path, roots)?).with_no_client_auth()
        }
        _ => builder
            .with_platform_verifier()
            .map_err(|error| BuildError::new(Path::new("system trust store"), error))?
            .with_no_client_auth(),
    };
    if upstream.http2 {
        tls.alpn_protocols.push(b"h2".to_vec());
    }
    tls.alpn_protocols.push(b"http/1.1".to_vec());
    Ok(Arc::new(tls))
}

/// A listener's certificate, and which certificates of callers it takes.
pub(super) fn listener(files: &ListenerTls) -> Result<Arc<ServerConfig>, BuildError> {
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| BuildError::new(&files.key, error))?;
    let builder = match &files.client_ca {
        None => ServerConfig::builder().with_no_client_auth(),
        Some(path) => ServerConfig::builder().with_client_cert_verifier(callers(files, path)?),
    };
    let mut tls = builder
        .with_single_cert(certificates(&files.certificate)?, key)
        .map_err(|error| BuildError::new(&files.certificate, error))?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(tls))
}

/// Takes certificates that chain to the roots of `authorities`. With lists of revoked certificates, there must be one
/// of every authority in the chain; one that is past its next update is still used, as it names what was revoked.
fn callers(files: &ListenerTls, authorities: &Path) -> Result<Arc<dyn ClientCertVerifier>, BuildError> {
    let roots = store(authorities, &certificates(authorities)?)?;
    let mut verifier = WebPkiClientVerifier::builder(Arc::new(roots));
    if let Some(path) = &files.client_crl {
        verifier = verifier.with_crls(revoked(path)?);
    }
    if files.client_auth == ClientAuth::Optional {
        verifier = verifier.allow_unauthenticated();
    }
    // Roots were taken one by one: what is wrong now is a list.
    let blamed = files.client_crl.as_deref().unwrap_or(authorities);
    verifier.build().map_err(|error| BuildError::new(blamed, error))
}

/// The lists of revoked certificates in a file.
fn revoked(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, BuildError> {
    let found = CertificateRevocationListDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| BuildError::new(path, error))?;
    if found.is_empty() {
        return Err(BuildError::new(path, "no PEM list of revoked certificates (X509 CRL) in this file"));
    }
    Ok(found)
}

/// The certificates in a file.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, BuildError> {
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| BuildError::new(path, error))?;
    if found.is_empty() {
        return Err(BuildError::new(path, "no PEM certificate in this file"));
    }
    Ok(found)
}

fn store(path: &Path, roots: &[CertificateDer<'static>]) -> Result<RootCertStore, BuildError> {
    let mut store = RootCertStore::empty();
    for certificate in roots {
        store.add(certificate.clone()).map_err(|error| BuildError::new(path, error))?;
    }
    Ok(store)
}
