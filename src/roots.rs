//! Which certificate authorities vouch for servers: the bundled roots, the system's, and extra ones by name.
//! Never a CA of ours: what we issue must not be believed by ourselves.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use authsome_ca::bundle;
use memchr::memmem;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Sessions with servers that can be resumed.
const SESSIONS: usize = 1024;

/// Why upstream servers cannot be verified.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RootsError {
    #[error("{} cannot be read", .0.display())]
    Read(PathBuf, #[source] io::Error),
    #[error("{} holds no certificate", .0.display())]
    Empty(PathBuf),
    #[error("{} holds a certificate that is not valid", .0.display())]
    Certificate(PathBuf),
    #[error("{} is a certificate authority of authsome itself", .0.display())]
    Ours(PathBuf),
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// The configuration for connections to servers. Verification cannot be switched off.
pub(crate) fn client_config(extra: &[PathBuf]) -> Result<Arc<ClientConfig>, RootsError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let system = bundle::SYSTEM_ROOTS.iter().find_map(|path| fs::read(path).ok()).unwrap_or_default();
    let theirs = certificates(&system).into_iter().filter(|certificate| !is_ours(certificate));
    roots.add_parsable_certificates(theirs);
    for path in extra {
        add_extra(&mut roots, path)?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.resumption = rustls::client::Resumption::in_memory_sessions(SESSIONS);
    Ok(Arc::new(config))
}

fn add_extra(roots: &mut RootCertStore, path: &Path) -> Result<(), RootsError> {
    let pem = fs::read(path).map_err(|error| RootsError::Read(path.into(), error))?;
    let found = certificates(&pem);
    if found.is_empty() {
        return Err(RootsError::Empty(path.into()));
    }
    for certificate in found {
        if is_ours(&certificate) {
            return Err(RootsError::Ours(path.into()));
        }
        roots.add(certificate).map_err(|_| RootsError::Certificate(path.into()))?;
    }
    Ok(())
}

fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect()
}

/// Whether one of our own CAs, also one of another home or a rotated one: all carry our organisation's name.
fn is_ours(certificate: &CertificateDer<'_>) -> bool {
    memmem::find(certificate, authsome_ca::ORGANIZATION.as_bytes()).is_some()
}
