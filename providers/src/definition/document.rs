//! The JSON of a definition, field by field: what serde reads, and what the JSON Schema says of it.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::evidence::{Gap, Reference};
use super::shape::{
    BaseUrl, FieldName, HeaderName, KeyPattern, List, Name, NonEmpty, Object, Placeholder, Text, UrlTemplate,
    ValueTemplate, Variable, nullable, plain,
};
use super::{AuthType, FlowType, OAuth};

/// Where a provider's credential may go, how it is placed there, and what a login asks. Comments and trailing commas are
/// accepted. Unknown fields are kept and ignored.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(title = "authsome provider definition")]
#[serde(expecting = "an object")]
pub(super) struct Document {
    /// The version of this schema.
    #[serde(default)]
    #[schemars(with = "Option<u64>", extend("const" = super::SCHEMA_VERSION))]
    #[expect(dead_code, reason = "checked before anything else is read")]
    schema_version: serde::de::IgnoredAny,
    /// Equals the file's name without `.json`.
    pub(super) name: Name,
    /// Other names that people may use for it.
    #[serde(default)]
    pub(super) aliases: List<Name>,
    /// The name that a person reads.
    pub(super) display_name: NonEmpty,
    /// The kind of credential of the default flow; the block of that kind is required.
    pub(super) auth_type: AuthType,
    /// The default flow: `api_key` for the auth_type `api_key`, one of the others for `oauth2`.
    pub(super) flow: FlowType,
    /// Why the credential is injected nowhere, when it is not.
    pub(super) not_routed: Option<NonEmpty>,
    /// Where the credential may go. `api_url` is read too.
    #[serde(default)]
    pub(super) host_url: List<HostEntry>,
    /// URLs at and below which the credential never goes, although `host_url` covers them.
    #[serde(default)]
    pub(super) excluded: List<UrlTemplate>,
    /// The domains that a regex of `host_url` stays within.
    #[serde(default)]
    pub(super) domains: List<Text>,
    /// The default of `{base_url}`. Also read from `oauth`.
    pub(super) base_url: Option<BaseUrl>,
    /// The page on which a person makes the credential. `docs_url` is read too.
    pub(super) docs: Option<Text>,
    /// What the child of a run holds instead of a secret.
    pub(super) placeholder: Option<Placeholder>,
    /// What login asks besides the credential, the base URL and the tenant.
    #[serde(default)]
    pub(super) fields: List<Object<FieldEntry>>,
    /// Access tokens: endpoints, what the flows must know, and where a token stands.
    #[schemars(with = "Option<OAuthBlock>")]
    pub(super) oauth: Option<Value>,
    pub(super) registration: Option<Object<Registration>>,
    /// Keys that the vendor hands out, and where a key stands.
    pub(super) api_key: Option<Object<FormEntry>>,
    pub(super) client: Option<Object<Client>>,
    pub(super) export: Option<Object<Export>>,
    /// What a person should know: hosts left out, headers that the client must send itself.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    #[expect(dead_code, reason = "shown as it was written")]
    notes: serde::de::IgnoredAny,
    /// What the facts rest on.
    #[serde(default)]
    #[schemars(with = "Vec<Reference>")]
    #[expect(dead_code, reason = "read when evidence is asked for")]
    sources: serde::de::IgnoredAny,
    /// Facts that no source of the vendor's was found for.
    #[serde(default)]
    #[schemars(with = "Vec<Gap>")]
    #[expect(dead_code, reason = "read when evidence is asked for")]
    unverified: serde::de::IgnoredAny,
}

/// The block `oauth`: the settings, the endpoints and the form of the token. They are read one after the other.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a shape for the schema")]
struct OAuthBlock {
    #[schemars(flatten)]
    endpoints: EndpointsEntry,
    #[schemars(flatten)]
    settings: OAuth,
    #[schemars(flatten)]
    form: FormEntry,
}

/// A host, or a host with conditions.
#[derive(Debug, Clone, JsonSchema)]
#[serde(untagged)]
pub(super) enum HostEntry {
    /// `host`, `*.host`, `https://host[:port][/path]`, or `regex:pattern` (with `domains`).
    Text(String),
    /// A host that takes the credential in a form of its own, or only one kind of credential.
    Conditional(ConditionalHost),
}

/// A host with conditions.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `url`")]
pub(super) struct ConditionalHost {
    pub(super) url: NonEmpty,
    /// The name of a placement in `variants`.
    pub(super) variant: Option<FieldName>,
    /// The only kind of credential that goes there.
    pub(super) auth_type: Option<AuthType>,
}

/// A value that login asks for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `name`")]
pub(super) struct FieldEntry {
    pub(super) name: FieldName,
    pub(super) label: Option<Text>,
    /// Whether it is sealed, masked, and replaced by the placeholder inside a run.
    pub(super) secret: Option<bool>,
    pub(super) env_var: Option<Variable>,
    pub(super) key_pattern: Option<KeyPattern>,
    pub(super) key_pattern_hint: Option<Text>,
    pub(super) default: Option<Text>,
    /// Whether it may stay empty; hosts that name it are left out then.
    pub(super) optional: Option<bool>,
}

/// The endpoints of the authorization server (RFC 8414). They never receive an injected credential.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
pub(super) struct EndpointsEntry {
    /// Where the browser is sent.
    pub(super) authorization_url: Option<UrlTemplate>,
    /// Where codes and refresh tokens become access tokens.
    pub(super) token_url: Option<UrlTemplate>,
    /// Where refresh tokens become access tokens, when not at `token_url`.
    pub(super) refresh_url: Option<UrlTemplate>,
    /// RFC 7009. `{client_id}` stands for the id of the OAuth client.
    pub(super) revocation_url: Option<UrlTemplate>,
    /// RFC 7662.
    pub(super) introspection_url: Option<UrlTemplate>,
    /// RFC 8628.
    pub(super) device_authorization_url: Option<UrlTemplate>,
    /// RFC 7591.
    pub(super) registration_endpoint: Option<UrlTemplate>,
    /// The default of `{base_url}`, as the Python edition has it.
    pub(super) base_url: Option<BaseUrl>,
}

/// How a credential looks and where it stands in a request.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
pub(super) struct FormEntry {
    /// What login calls it.
    pub(super) label: Option<Text>,
    /// The variable that login takes it from when it is set.
    pub(super) env_var: Option<Variable>,
    /// A regular expression that the whole credential matches.
    pub(super) key_pattern: Option<KeyPattern>,
    /// What to say of a credential that does not match.
    pub(super) key_pattern_hint: Option<Text>,
    /// `Authorization` unless said otherwise.
    pub(super) header_name: Option<HeaderName>,
    /// `Bearer` unless said otherwise; none for `null`.
    #[serde(default, deserialize_with = "nullable")]
    pub(super) header_prefix: Option<Option<Text>>,
    /// In place of `header_name` and `header_prefix`.
    pub(super) placement: Option<Object<PlacementEntry>>,
    pub(super) clear: Option<Object<ClearEntry>>,
    /// Placements for the hosts that name them.
    pub(super) variants: Option<BTreeMap<String, Object<PlacementEntry>>>,
}

/// Headers, Basic and query parameters; at least one holds the credential.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
pub(super) struct PlacementEntry {
    pub(super) headers: Option<BTreeMap<String, ValueTemplate>>,
    pub(super) basic: Option<Object<BasicEntry>>,
    pub(super) query: Option<BTreeMap<String, ValueTemplate>>,
    pub(super) clear: Option<Object<ClearEntry>>,
}

/// `Authorization: Basic` (RFC 7617).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
pub(super) struct BasicEntry {
    pub(super) username: Option<ValueTemplate>,
    pub(super) password: Option<ValueTemplate>,
}

/// Places that are emptied besides, so that a value of the client's cannot compete.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
pub(super) struct ClearEntry {
    #[serde(default)]
    pub(super) headers: List<Text>,
    #[serde(default)]
    pub(super) query: List<Text>,
}

/// The Python edition's place of the registration endpoint.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
pub(super) struct Registration {
    pub(super) registration_endpoint: Option<UrlTemplate>,
}

/// Where login, and a person, find an OAuth client.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
pub(super) struct Client {
    /// The page on which a person registers one, when it is another than the credential's.
    pub(super) docs: Option<Text>,
    pub(super) client_id_env: Option<Variable>,
    pub(super) client_secret_env: Option<Variable>,
}

/// How the child of a run finds the fields.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
pub(super) struct Export {
    /// `field: name`, `field: [names]`, or `name: field`.
    pub(super) env: Option<BTreeMap<String, List<Text>>>,
}

impl<'de> Deserialize<'de> for HostEntry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(HostVisitor)
    }
}

struct HostVisitor;

impl<'de> Visitor<'de> for HostVisitor {
    type Value = HostEntry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a host, or an object with `url`")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<HostEntry, E> {
        plain(text.to_owned()).map(HostEntry::Text).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HostEntry, A::Error> {
        ConditionalHost::deserialize(MapAccessDeserializer::new(map)).map(HostEntry::Conditional)
    }
}
