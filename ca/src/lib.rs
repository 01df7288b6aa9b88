//! The certificate authorities of authsome: X.509 (RFC 5280) only, no I/O, no clock.
//!
//! A [`Ca`] is ECDSA P-256 and always constrained: it may vouch for the DNS names it was made for, and for
//! no IP address. The moment is an argument everywhere, as a duration since the Unix epoch.

#![forbid(unsafe_code)]

pub mod bundle;
mod dns_name;
mod foreign;
mod key;
mod read;
mod template;

pub use foreign::ForeignServer;
pub use template::ORGANIZATION;

use std::fmt::Write as _;
use std::time::Duration;

use rcgen::{Issuer, PublicKeyData};
use rustls_pki_types::pem::PemObject;
pub use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use key::Key;

/// How far a certificate's start lies in the past, so that a client whose clock is slow accepts it.
const BACKDATE: Duration = Duration::from_secs(60 * 60);
/// How long a leaf is good for.
const LEAF_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The common name is empty, or leaves no room for the suffix that makes it unique.
    #[error("the common name has to be 1 to 55 characters long")]
    CommonName,
    /// A CA without a permitted name would be a CA for every name.
    #[error("the certificate authority permits no name")]
    Unconstrained,
    /// A permitted name is no DNS name in lower case.
    #[error("the permitted name {0:?} is not a DNS name in lower case")]
    Permitted(String),
    /// The validity lies outside of what a certificate can express.
    #[error("the validity lies beyond the year 9999")]
    Validity,
    /// The host is no DNS name in lower case; addresses and wildcards are refused too.
    #[error("{0:?} is not a DNS name in lower case")]
    Host(String),
    /// The host is none of the permitted names, nor below one.
    #[error("{0:?} is outside of the names that the certificate authority permits")]
    OutsideConstraints(String),
    /// The CA is not valid at the given moment.
    #[error("the certificate authority is not valid at this time")]
    OutsideValidity,
    /// The text holds no certificate that can be read.
    #[error("the certificate cannot be read")]
    Certificate,
    /// The certificate may not sign others, or carries no subject key identifier.
    #[error("the certificate is not one of a certificate authority")]
    NotACa,
    /// The text holds no P-256 private key in PKCS #8.
    #[error("the private key cannot be read, or is not a P-256 key")]
    Key,
    /// The private key belongs to another certificate.
    #[error("the private key does not fit the certificate")]
    KeyMismatch,
    /// The operating system gave no random bytes.
    #[error("no random bytes could be had")]
    Random(#[source] getrandom::Error),
    /// The cryptographic library refused to make a key or a signature.
    #[error("the certificate could not be signed")]
    Sign(#[source] rcgen::Error),
}

/// What a new CA is to be.
#[derive(Debug, Clone)]
pub struct CaParams {
    /// The subject's common name; a random suffix makes it unique.
    pub common_name: String,
    /// DNS names in lower case: each permits itself and every name under it.
    pub permitted: Vec<String>,
    /// How long the CA is good for, counted from its making.
    pub lifetime: Duration,
}

/// A certificate authority with its key, and the one key that its leaves share. It has no `Debug`.
pub struct Ca {
    issuer: Issuer<'static, Key>,
    leaf_key: Key,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    subject_key_id: Vec<u8>,
    permitted: Vec<String>,
    not_before: Duration,
    not_after: Duration,
}

/// A certificate for one host; its key is [`Ca::leaf_key`].
pub struct Leaf {
    /// The certificate alone; its issuer is the trust anchor.
    pub certificate: CertificateDer<'static>,
    /// First moment of validity, since the Unix epoch.
    pub not_before: Duration,
    /// Last moment of validity, since the Unix epoch.
    pub not_after: Duration,
    half_life: Duration,
}

impl Leaf {
    /// The moment since the Unix epoch from which a new one should be minted: half-way from the issue to
    /// the end.
    pub fn half_life(&self) -> Duration {
        self.half_life
    }
}

impl Ca {
    /// Makes a CA, valid from an hour before `now` (since the Unix epoch).
    ///
    /// # Errors
    /// Parameters that make no valid, constrained CA; failure of the random source or of the signature.
    pub fn generate(params: &CaParams, now: Duration) -> Result<Self, Error> {
        let key = Key::generate()?;
        let certificate = template::authority(params, now)?.self_signed(&key).map_err(Error::Sign)?;
        Self::assemble(certificate.der().clone(), certificate.pem(), key)
    }

    /// Reads a CA that was stored as PEM: the first certificate and its PKCS #8 key.
    ///
    /// # Errors
    /// Texts that cannot be read; a certificate that is no CA's or has no permitted names; a key that does
    /// not fit it.
    pub fn load(cert_pem: &str, key_pem: &str) -> Result<Self, Error> {
        let certificate =
            CertificateDer::from_pem_slice(cert_pem.as_bytes()).map_err(|_| Error::Certificate)?;
        let key = Key::from_pem(key_pem)?;
        let pem = bundle::first(cert_pem).ok_or(Error::Certificate)?;
        Self::assemble(certificate, pem, key)
    }

    fn assemble(certificate: CertificateDer<'static>, pem: String, key: Key) -> Result<Self, Error> {
        let (rest, parsed) =
            x509_parser::parse_x509_certificate(&certificate).map_err(|_| Error::Certificate)?;
        if !rest.is_empty() {
            return Err(Error::Certificate);
        }
        let subject_key_id = read::authority_key_id(&parsed)?;
        let permitted = read::permitted_names(&parsed)?;
        let [not_before, not_after] = read::validity(&parsed)?;
        if key.subject_public_key_info() != parsed.public_key().raw {
            return Err(Error::KeyMismatch);
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|_| Error::Certificate)?;
        Ok(Self {
            issuer,
            leaf_key: Key::generate()?,
            certificate_pem: pem,
            subject_key_id,
            permitted,
            not_before,
            not_after,
            certificate,
        })
    }

    /// Issues a certificate for one host, valid from an hour before `now` (since the Unix epoch) to a day
    /// after it, never beyond the CA's own validity.
    ///
    /// # Errors
    /// A host that is no DNS name in lower case or that the CA does not cover; a CA that is not valid at
    /// `now`; failure of the random source or of the signature.
    pub fn issue(&self, host: &str, now: Duration) -> Result<Leaf, Error> {
        if !dns_name::is_valid(host) {
            return Err(Error::Host(host.to_owned()));
        }
        if !self.covers(host) {
            return Err(Error::OutsideConstraints(host.to_owned()));
        }
        let now = whole_seconds(now);
        if now < self.not_before || now >= self.not_after {
            return Err(Error::OutsideValidity);
        }
        let not_before = now.saturating_sub(BACKDATE).max(self.not_before);
        let not_after = now.saturating_add(LEAF_LIFETIME).min(self.not_after);
        let certificate = template::leaf(host, not_before, not_after)?
            .signed_by(&self.leaf_key, &self.issuer)
            .map_err(Error::Sign)?
            .der()
            .clone();
        Ok(Leaf { certificate, not_before, not_after, half_life: now + (not_after - now) / 2 })
    }

    /// Whether the constraints permit this host: it is a permitted name, or below one.
    pub fn covers(&self, host: &str) -> bool {
        dns_name::is_valid(host) && self.permitted.iter().any(|name| dns_name::is_within(host, name))
    }

    /// The DNS names that the constraints permit, each with the names under it.
    pub fn permitted(&self) -> &[String] {
        &self.permitted
    }

    /// The certificate as PEM (RFC 7468), without the key.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The certificate.
    pub fn certificate_der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The CA's own private key as PKCS #8 PEM, to be stored.
    pub fn key_pem(&self) -> Zeroizing<String> {
        self.issuer.key().to_pem()
    }

    /// The private key that all leaves share. Another CA, also the same one loaded again, has another.
    pub fn leaf_key(&self) -> PrivatePkcs8KeyDer<'_> {
        self.leaf_key.pkcs8()
    }

    /// SHA-256 of the certificate, in lower-case hexadecimal.
    pub fn fingerprint(&self) -> String {
        hex(&Sha256::digest(&self.certificate))
    }

    /// First moment of validity, since the Unix epoch.
    pub fn not_before(&self) -> Duration {
        self.not_before
    }

    /// Last moment of validity, since the Unix epoch.
    pub fn not_after(&self) -> Duration {
        self.not_after
    }

    /// The subject key identifier (RFC 5280 4.2.1.2), which leaves name as their authority's.
    pub fn subject_key_id(&self) -> &[u8] {
        &self.subject_key_id
    }
}

fn whole_seconds(moment: Duration) -> Duration {
    Duration::from_secs(moment.as_secs())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
