//! Connections to an [`Issuer`] that are there without a login.

use std::sync::Arc;

use authsome::auth::record::{ClientSource, decode, encode};
use authsome::auth::{ClientCredentials, binding};
use authsome::{AuthService, AuthType, ConnectionRecord};
use serde_json::{Map, Value, json};

use super::home::Home;
use super::issuer::{CLIENT, Issuer};

/// The home's connections, read and written in the test's own process.
pub(crate) fn service(home: &Home) -> AuthService {
    AuthService::builder().home(home.path()).build().unwrap()
}

/// The record of `alpha`.
pub(crate) fn record(home: &Home) -> ConnectionRecord {
    service(home).connection("alpha", None).unwrap().record
}

fn key() -> String {
    "profile:default:alpha:connection:default".to_owned()
}

/// Connects `alpha` with a refresh token of the issuer; the access token ends in so many seconds, or has.
pub(crate) fn connect(home: &Home, issuer: &Issuer, ends_in: i64) {
    home.ok(&["init"]);
    home.define(&Issuer::definition());
    let auth = service(home);
    let definition = auth.provider("alpha").unwrap().definition;
    let bound = binding::today(&definition, AuthType::OAuth2, &Default::default()).unwrap();
    let now = now();
    let record = json!({"schema_version": 1, "provider": "alpha", "profile": "default", "connection_name": "default",
        "auth_type": "oauth2", "status": "connected", "scopes": ["read", "write"], "access_token": "at-canary-0",
        "refresh_token": issuer.grant(), "token_type": "Bearer", "expires_at": time(now + ends_in),
        "obtained_at": time(now + ends_in - 3600), "binding": bound, "account": {},
        "metadata": {"flow": "pkce", "client_id": CLIENT.0}});
    let client = ClientCredentials {
        id: CLIENT.0.into(),
        secret: Some(CLIENT.1.into()),
        source: ClientSource::UserSupplied,
    };
    auth.set_client("alpha", &client).unwrap();
    let vault = auth.vault().unwrap();
    vault.put(&key(), json_bytes(&record)).unwrap();
    let metadata = json!({"schema_version": 1, "profile": "default", "provider": "alpha",
        "default_connection": "default", "connection_names": ["default"]});
    vault.put("profile:default:alpha:metadata", json_bytes(&metadata)).unwrap();
}

/// Changes the record of `alpha`.
pub(crate) fn edit(home: &Home, change: impl FnOnce(&mut ConnectionRecord)) {
    let auth = service(home);
    let vault: &Arc<_> = auth.vault().unwrap();
    let item = vault.get(&key()).unwrap().unwrap();
    let mut record: ConnectionRecord = decode(&key(), item.value.expose()).unwrap();
    change(&mut record);
    vault.put(&key(), encode(&record)).unwrap();
}

/// Lets the access token have ended.
pub(crate) fn expire(home: &Home) {
    edit(home, |record| (record.expires_at, record.obtained_at) = (Some(now() - 1), Some(now() - 3601)));
}

pub(crate) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn time(seconds: i64) -> String {
    authsome::clock::rfc3339(seconds)
}

fn json_bytes(value: &Value) -> authsome::Secret<Vec<u8>> {
    let _: &Map<String, Value> = value.as_object().unwrap();
    serde_json::to_vec(value).unwrap().into()
}
