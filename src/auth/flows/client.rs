//! How a client shows who it is (RFC 6749 2.3, RFC 7523 2.2).

use authsome_providers::definition::ClientAuthentication;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{FlowError, Parameters, parameter, random};
use crate::clock::Clock;
use crate::secret::Secret;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// An assertion is used at once.
const ASSERTION_SECONDS: i64 = 60;

/// The registered application.
#[derive(Debug, Clone)]
pub(crate) struct OAuthClient {
    pub(crate) id: String,
    /// A secret, or a private key in PEM; absent for public clients.
    pub(crate) secret: Option<Secret<String>>,
    pub(crate) authentication: ClientAuthentication,
}

#[derive(Serialize)]
struct Assertion<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: &'a str,
    iat: i64,
    exp: i64,
}

impl OAuthClient {
    /// Adds to a request what shows who the client is. `audience` is the endpoint, or the server's identifier.
    pub(super) fn authenticate(
        &self,
        authentication: ClientAuthentication,
        audience: &str,
        clock: &dyn Clock,
        parameters: &mut Parameters,
    ) -> Result<Option<(HeaderName, HeaderValue)>, FlowError> {
        let secret = self.secret.as_ref();
        match (authentication, secret) {
            (ClientAuthentication::Basic, Some(secret)) => return basic(&self.id, secret).map(Some),
            (ClientAuthentication::Post, Some(secret)) => {
                parameters.push(parameter("client_id", &self.id));
                parameters.push(("client_secret".into(), secret.clone()));
            }
            (ClientAuthentication::PrivateKeyJwt, Some(key)) => {
                parameters.push(parameter("client_id", &self.id));
                parameters.push(parameter("client_assertion_type", ASSERTION_TYPE));
                parameters.push(("client_assertion".into(), self.assertion(key, audience, clock)?));
            }
            (ClientAuthentication::PrivateKeyJwt, None) => return Err(FlowError::Key("is missing")),
            _ => parameters.push(parameter("client_id", &self.id)),
        }
        Ok(None)
    }

    fn assertion(
        &self,
        key: &Secret<String>,
        audience: &str,
        clock: &dyn Clock,
    ) -> Result<Secret<String>, FlowError> {
        let (algorithm, key) = signing_key(key)?;
        let (now, unique) = (clock.unix_seconds(), random(16)?);
        let claims = Assertion {
            iss: &self.id,
            sub: &self.id,
            aud: audience,
            jti: unique.expose(),
            iat: now,
            exp: now + ASSERTION_SECONDS,
        };
        let signed = jsonwebtoken::encode(&Header::new(algorithm), &claims, &key);
        signed.map(Secret::new).map_err(|_| FlowError::Key("cannot sign"))
    }
}

/// Id and secret are form-encoded before they become the pair (RFC 6749 2.3.1); a space as `%20`, which those servers
/// read too that do not know `+`.
fn basic(id: &str, secret: &Secret<String>) -> Result<(HeaderName, HeaderValue), FlowError> {
    let encode =
        |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
    let secret = Zeroizing::new(encode(secret.expose()));
    let pair = Zeroizing::new(format!("{}:{}", encode(id), &*secret));
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| FlowError::Answer("holds a client that no header can carry"))?;
    value.set_sensitive(true);
    Ok((AUTHORIZATION, value))
}

/// A private key in PEM: RSA or P-256. Line ends may have been lost on its way through a form or a variable.
fn signing_key(text: &Secret<String>) -> Result<(Algorithm, EncodingKey), FlowError> {
    let pem = with_line_ends(text.expose()).ok_or(FlowError::Key("is not in PEM"))?;
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| FlowError::Key("is not in PEM"))?;
    match &key {
        PrivateKeyDer::Pkcs1(key) => {
            Ok((Algorithm::RS256, EncodingKey::from_rsa_der(key.secret_pkcs1_der())))
        }
        // The kind of key stands in its algorithm identifier (RFC 5958 2).
        PrivateKeyDer::Pkcs8(key) if holds(key.secret_pkcs8_der(), OID_EC) => {
            Ok((Algorithm::ES256, EncodingKey::from_ec_der(key.secret_pkcs8_der())))
        }
        PrivateKeyDer::Pkcs8(key) => {
            let inner =
                rsa_inside(key.secret_pkcs8_der()).ok_or(FlowError::Key("is neither RSA nor P-256"))?;
            Ok((Algorithm::RS256, EncodingKey::from_rsa_der(inner)))
        }
        _ => Err(FlowError::Key("must be PKCS#8, or PKCS#1 for RSA")),
    }
}

/// id-ecPublicKey (RFC 5480 2.1.1) and rsaEncryption (RFC 8017 A.1), as DER has them.
const OID_EC: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const OID_RSA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

fn holds(der: &[u8], oid: &[u8]) -> bool {
    memchr::memmem::find(der.get(..der.len().min(40)).unwrap_or_default(), oid).is_some()
}

/// The RSA key inside PKCS#8: the octet string behind the algorithm identifier (RFC 5958 2).
fn rsa_inside(der: &[u8]) -> Option<&[u8]> {
    let at = memchr::memmem::find(der.get(..der.len().min(40))?, OID_RSA)? + OID_RSA.len();
    let rest = der.get(at..)?;
    let (tag, length) = (*rest.first()?, usize::from(*rest.get(1)?));
    let header = match length {
        0..=0x7f => 2,
        0x81 => 3,
        0x82 => 4,
        _ => return None,
    };
    (tag == 0x04).then(|| rest.get(header..)).flatten()
}

fn with_line_ends(text: &str) -> Option<Zeroizing<String>> {
    let text = text.trim();
    let (label, rest) = text.strip_prefix("-----BEGIN ")?.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    let body = Zeroizing::new(body.replace("\\n", "\n"));
    let joined: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
    Some(Zeroizing::new(format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", &*joined)))
}
