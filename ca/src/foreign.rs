//! A server of somebody else, as far as certificates go: to try the product without the internet.

use std::time::Duration;

use rcgen::CertifiedIssuer;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::key::Key;
use crate::{BACKDATE, Error, LEAF_LIFETIME, dns_name, template, whole_seconds};

/// One server's certificate, with the authority that vouches for it and for nobody else. It has no `Debug`.
///
/// That authority does not carry [`ORGANIZATION`](crate::ORGANIZATION): our own is never trusted upstream, so
/// it could not stand in for a stranger's.
pub struct ForeignServer {
    authority_pem: String,
    certificate: CertificateDer<'static>,
    key: Key,
}

impl ForeignServer {
    /// Makes an authority and a certificate for `host`, both valid from an hour before `now` (since the Unix
    /// epoch) to a day after it. The authority's key is forgotten.
    ///
    /// # Errors
    /// A host that is no DNS name in lower case; failure of the random source or of the signature.
    pub fn certify(host: &str, now: Duration) -> Result<Self, Error> {
        if !dns_name::is_valid(host) {
            return Err(Error::Host(host.to_owned()));
        }
        let now = whole_seconds(now);
        let (not_before, not_after) = (now.saturating_sub(BACKDATE), now.saturating_add(LEAF_LIFETIME));
        let authority = template::foreign_authority(not_before, not_after)?;
        let authority = CertifiedIssuer::self_signed(authority, Key::generate()?).map_err(Error::Sign)?;
        let key = Key::generate()?;
        let leaf = template::leaf(host, not_before, not_after)?.signed_by(&key, &authority);
        let certificate = leaf.map_err(Error::Sign)?.der().clone();
        Ok(Self { authority_pem: authority.pem(), certificate, key })
    }

    /// The authority's certificate as PEM (RFC 7468).
    pub fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    /// The server's certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The server's private key.
    pub fn key(&self) -> PrivatePkcs8KeyDer<'_> {
        self.key.pkcs8()
    }
}
