//! Client configurations: which CA is trusted, which protocol is offered.

use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// The HTTP version of a measurement.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Protocol {
    H1,
    H2,
}

impl Protocol {
    /// As ALPN names it.
    pub(crate) fn alpn(self) -> &'static [u8] {
        match self {
            Self::H1 => b"http/1.1",
            Self::H2 => b"h2",
        }
    }
}

/// A configuration that trusts the CAs in `pem` alone and offers one protocol.
///
/// `resume` keeps tickets, as a long-lived relay does; an agent's process starts without any.
pub(crate) fn client(pem: &[u8], protocol: Protocol, resume: bool) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.context("not a PEM bundle")?)?;
    }
    anyhow::ensure!(!roots.is_empty(), "no certificate in the bundle");
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.alpn().to_vec()];
    if !resume {
        config.resumption = Resumption::disabled();
    }
    Ok(Arc::new(config))
}
