//! Sealing of records with AES-256-GCM (NIST SP 800-38D); nothing else names the cipher.
//!
//! The key of the record and the version of the schema are associated data, so that a sealed value
//! opens only where it was written.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce, Tag};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Version of the envelope and of what is associated with it.
const SCHEMA: u32 = 1;

const ALGORITHM: &str = "AES-256-GCM";

/// Why a value could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// What is stored is no envelope of a version that we know.
    #[error("the record is no sealed envelope of a known version")]
    Envelope,
    /// Sealed by a key that is not at hand.
    #[error("the record is sealed with another key")]
    OtherKey,
    /// Changed since it was sealed, or moved here from another record.
    #[error("the record was tampered with, or belongs to another key")]
    Tampered,
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random,
}

/// A 256-bit key with the identifier that its envelopes carry.
pub(super) struct SealingKey {
    kid: String,
    bytes: Zeroizing<[u8; 32]>,
    cipher: Aes256Gcm,
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    enc: u32,
    alg: String,
    kid: String,
    nonce: String,
    ciphertext: String,
    tag: String,
}

impl SealingKey {
    /// A new random key, its identifier random as well.
    pub(super) fn generate() -> Result<Self, SealError> {
        let mut bytes = Zeroizing::new([0; 32]);
        let mut kid = [0; 8];
        getrandom::fill(&mut *bytes).map_err(|_| SealError::Random)?;
        getrandom::fill(&mut kid).map_err(|_| SealError::Random)?;
        Ok(Self::new(hex(&kid), bytes))
    }

    /// A key known from elsewhere, named by its digest.
    pub(super) fn named_by_digest(bytes: Zeroizing<[u8; 32]>) -> Self {
        let digest = Sha256::new().chain_update(b"authsome key identifier\0").chain_update(*bytes).finalize();
        Self::new(hex(&digest[..8]), bytes)
    }

    fn new(kid: String, bytes: Zeroizing<[u8; 32]>) -> Self {
        let cipher = Aes256Gcm::new((&*bytes).into());
        Self { kid, bytes, cipher }
    }

    /// What envelopes call the key.
    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    /// The key that a sealed value asks for.
    pub(super) fn kid_of(sealed: &[u8]) -> Result<String, SealError> {
        #[derive(Deserialize)]
        struct Kid {
            kid: String,
        }
        let envelope: Kid = serde_json::from_slice(sealed).map_err(|_| SealError::Envelope)?;
        Ok(envelope.kid)
    }

    /// Seals a value for the record `name`.
    pub(super) fn seal(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; 12];
        getrandom::fill(&mut nonce).map_err(|_| SealError::Random)?;
        let mut buffer = Zeroizing::new(value.to_vec());
        let tag = self
            .cipher
            .encrypt_inout_detached(&Nonce::from(nonce), &associated(name), buffer.as_mut_slice().into())
            .map_err(|_| SealError::Envelope)?;
        let envelope = Envelope {
            enc: SCHEMA,
            alg: ALGORITHM.to_owned(),
            kid: self.kid.clone(),
            nonce: STANDARD.encode(nonce),
            ciphertext: STANDARD.encode(&*buffer),
            tag: STANDARD.encode(tag),
        };
        serde_json::to_vec(&envelope).map_err(|_| SealError::Envelope)
    }

    /// Opens what was sealed for the record `name`.
    pub(super) fn open(&self, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let envelope: Envelope = serde_json::from_slice(sealed).map_err(|_| SealError::Envelope)?;
        if envelope.enc != SCHEMA || envelope.alg != ALGORITHM {
            return Err(SealError::Envelope);
        }
        if envelope.kid != self.kid {
            return Err(SealError::OtherKey);
        }
        let nonce: [u8; 12] = decode(&envelope.nonce)?.try_into().map_err(|_| SealError::Envelope)?;
        let tag: [u8; 16] = decode(&envelope.tag)?.try_into().map_err(|_| SealError::Envelope)?;
        let mut buffer = Zeroizing::new(decode(&envelope.ciphertext)?);
        self.cipher
            .decrypt_inout_detached(
                &Nonce::from(nonce),
                &associated(name),
                buffer.as_mut_slice().into(),
                &Tag::from(tag),
            )
            .map_err(|_| SealError::Tampered)?;
        Ok(buffer)
    }

    /// Opens a value of the Python edition, `base64(nonce).base64(ciphertext||tag)`, with nothing associated.
    pub(super) fn open_compact(&self, sealed: &[u8]) -> Result<Secret<Vec<u8>>, SealError> {
        let text = std::str::from_utf8(sealed).map_err(|_| SealError::Envelope)?;
        let (nonce, rest) = text.split_once('.').ok_or(SealError::Envelope)?;
        let nonce: [u8; 12] = decode(nonce)?.try_into().map_err(|_| SealError::Envelope)?;
        let mut buffer = Zeroizing::new(decode(rest)?);
        let length = buffer.len().checked_sub(16).ok_or(SealError::Envelope)?;
        let tag: [u8; 16] = buffer[length..].try_into().map_err(|_| SealError::Envelope)?;
        buffer.truncate(length);
        self.cipher
            .decrypt_inout_detached(&Nonce::from(nonce), b"", buffer.as_mut_slice().into(), &Tag::from(tag))
            .map_err(|_| SealError::Tampered)?;
        Ok(Secret::new(std::mem::take(&mut *buffer)))
    }

    /// Seals `other` with this key.
    pub(super) fn wrap(&self, other: &Self) -> Result<Vec<u8>, SealError> {
        self.seal(&wrapped_name(&other.kid), &*other.bytes)
    }

    /// Opens a key that this one sealed.
    pub(super) fn unwrap(&self, kid: &str, sealed: &[u8]) -> Result<Self, SealError> {
        let opened = self.open(&wrapped_name(kid), sealed)?;
        let bytes: [u8; 32] = opened.as_slice().try_into().map_err(|_| SealError::Envelope)?;
        Ok(Self::new(kid.to_owned(), Zeroizing::new(bytes)))
    }
}

fn wrapped_name(kid: &str) -> String {
    format!("data key {kid}")
}

fn associated(name: &str) -> Vec<u8> {
    format!("authsome/{SCHEMA}/{name}").into_bytes()
}

fn decode(text: &str) -> Result<Vec<u8>, SealError> {
    STANDARD.decode(text).map_err(|_| SealError::Envelope)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
