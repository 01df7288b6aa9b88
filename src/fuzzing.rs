//! Doors for the fuzz targets: each takes bytes from outside and must return.

use std::sync::Arc;

use authsome_providers::ProviderDefinition;
use http::request;
use zeroize::Zeroizing;

use crate::auth::record::{self, ConnectionRecord};
use crate::credential::{Fields, Prepared};
use crate::origin::Origin;
use crate::proxy::headers::{self, Placeholders};
use crate::proxy::{parse_client_hello, read_responses};
use crate::secret::Secret;
use crate::vault::{Backend, Expected, MasterKey, MemoryBackend, Vault, Write};

/// A CONNECT target or a `Host`: what is accepted prints as itself and parses again.
pub fn authority(text: &str) {
    if let Ok(origin) = Origin::from_authority(text) {
        let printed = origin.to_string();
        assert_eq!(Origin::from_authority(&printed).as_ref(), Ok(&origin), "{text:?} became {printed:?}");
        assert!(origin.is_named_by(&printed), "{printed:?} does not name itself");
    }
    if let Ok(origin) = Origin::with_default_port(text, 443) {
        assert!(origin.is_named_by(&origin.to_string()));
    }
}

/// The first bytes of a tunnel.
pub fn client_hello(bytes: &[u8]) {
    parse_client_hello(bytes);
}

/// The head of a request, through everything that rewrites it: the placed value occurs once, the placeholder nowhere.
pub fn request_head(bytes: &[u8]) {
    let Some(mut head) = head(bytes) else { return };
    let placeholders = Placeholders::new(["authsome-proxy-managed"]);
    let Some(credential) = credential() else { return };
    headers::wants_websocket(&head.headers);
    headers::started_by_web_page(&head.headers);
    headers::proxy_token(&head.headers);
    headers::strip_request(&mut head.headers);
    headers::found_in_slots(&head, &credential, &placeholders);
    if headers::empty_slots(&mut head, &credential).is_err() || placeholders.are_in(&head) {
        return;
    }
    if headers::fill_slots(&mut head, &credential).is_ok() {
        assert_eq!(head.headers.get_all("x-api-key").iter().count(), 1);
        assert!(!placeholders.are_in(&head));
    }
}

/// What a server sends: heads, and a chunked body after each.
pub fn response(bytes: &[u8]) {
    read_responses(bytes);
}

/// A provider definition: what is accepted can be written and read again.
pub fn definition(text: &str) {
    if let Ok(definition) = ProviderDefinition::from_json(text) {
        let written = definition.to_json().to_string();
        assert!(ProviderDefinition::from_json(&written).is_ok(), "{written}");
        let _ = definition.fixed_claims();
        let _ = definition.claims(definition.auth_type(), &Default::default());
    }
}

/// A record's JSON after it was opened: what is read can be shown, written and read again.
pub fn connection_record(bytes: &[u8]) {
    if let Ok(record) = record::decode::<ConnectionRecord>("fuzz", bytes) {
        let _ = record.redacted();
        let written = record.to_json();
        assert!(
            record::decode::<ConnectionRecord>("fuzz", written.expose()).is_ok(),
            "written, but not read"
        );
    }
}

/// A sealed record: bytes that this vault did not seal never open, even under the name of its key, which `KID` in
/// the input stands for.
pub fn sealed_record(bytes: &[u8]) {
    let backend = Arc::new(MemoryBackend::default());
    let master = MasterKey::new(Zeroizing::new([7; 32]));
    let Ok(vault) = Vault::with_backend(Arc::clone(&backend) as Arc<dyn Backend>, &master) else { return };
    let Some(kid) = kid(&vault, &*backend) else { return };
    let forged = match std::str::from_utf8(bytes) {
        Ok(text) => text.replace("KID", &kid).into_bytes(),
        Err(_) => bytes.to_vec(),
    };
    let write = Write { key: "fuzz".into(), value: Some(forged), expected: Expected::Any };
    if backend.apply(&[write]).is_ok() {
        assert!(vault.get("fuzz").is_err(), "foreign bytes were opened");
    }
}

/// The identifier of the key that seals a vault's records.
fn kid(vault: &Vault, backend: &dyn Backend) -> Option<String> {
    vault.put("genuine", Secret::new(b"value".to_vec())).ok()?;
    let envelope: serde_json::Value = serde_json::from_slice(&backend.get("genuine").ok()??.value).ok()?;
    Some(envelope.get("kid")?.as_str()?.to_owned())
}

fn head(bytes: &[u8]) -> Option<request::Parts> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut fields);
    parsed.parse(bytes).ok().filter(httparse::Status::is_complete)?;
    let mut request = http::Request::builder().method(parsed.method?).uri(parsed.path?);
    for field in parsed.headers.iter() {
        request = request.header(field.name, field.value);
    }
    Some(request.body(()).ok()?.into_parts().0)
}

fn credential() -> Option<Prepared> {
    const DEFINITION: &str = r#"{"schema_version":1,"name":"fuzz","display_name":"Fuzz","auth_type":"api_key",
        "flow":"api_key","host_url":"api.example.com","api_key":{"header_name":"x-api-key","header_prefix":""}}"#;
    let definition = ProviderDefinition::from_json(DEFINITION).ok()?;
    let placement = definition.placement(definition.auth_type());
    Prepared::render(&placement, &Secrets, "authsome-proxy-managed", None).ok()
}

struct Secrets;

impl Fields for Secrets {
    fn value(&self, _name: &str) -> Option<&str> {
        Some("secret-of-the-fuzzer")
    }

    fn secret_names(&self) -> Vec<&str> {
        vec!["api_key"]
    }
}
