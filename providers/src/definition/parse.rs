//! From a JSON value to a definition: the document as serde reads it, each part in turn, then what must hold between
//! the parts.

use serde::Deserialize;
use serde_json::Value;

use super::document::{Document, EndpointsEntry, FormEntry};
use super::{
    AuthType, DefinitionError, FlowType, OAuth, OAuthPart, ProviderDefinition, SCHEMA_VERSION, environment,
    field, form, hosts, oauth,
};
use crate::template::BASE_URL;

/// Two spellings of a field: ours, and the Python edition's.
pub(super) const SPELLINGS: &[(&str, &str)] =
    &[("host_url", "api_url"), ("docs", "docs_url"), ("supports_device_flow", "supports_device_code")];

/// Reads a definition.
pub(super) fn definition(mut raw: Value) -> Result<ProviderDefinition, DefinitionError> {
    let Value::Object(map) = &mut raw else { return Err(DefinitionError::NotAnObject) };
    map.remove("connections");
    if let Some(version) = map.get("schema_version").filter(|version| !version.is_null())
        && *version != SCHEMA_VERSION
    {
        let problem = format!("is {version}; this version of authsome knows {SCHEMA_VERSION} alone");
        return Err(DefinitionError::field("schema_version", problem));
    }
    spelled_once(&raw)?;
    let document = read::<Document>(&in_one_spelling(&raw), "")?;
    let definition = build(document)?;
    consistent(&definition)?;
    Ok(ProviderDefinition { raw, ..definition })
}

fn spelled_once(raw: &Value) -> Result<(), DefinitionError> {
    for (block, object) in [("", raw), ("oauth.", &raw["oauth"])] {
        let twice =
            SPELLINGS.iter().find(|(ours, theirs)| !object[*ours].is_null() && !object[*theirs].is_null());
        if let Some((ours, theirs)) = twice {
            let problem = format!("means the same as `{ours}`, which is given too");
            return Err(DefinitionError::field(format!("{block}{theirs}"), problem));
        }
    }
    Ok(())
}

/// The document with our spellings, and without fields that are `null`: these count as absent.
pub(super) fn in_one_spelling(raw: &Value) -> Value {
    let mut document = raw.clone();
    drop_nulls(&mut document);
    for block in ["", "/oauth"] {
        let Some(Value::Object(map)) = document.pointer_mut(block) else { continue };
        for (ours, theirs) in SPELLINGS {
            if let Some(value) = map.remove(*theirs) {
                map.insert((*ours).to_owned(), value);
            }
        }
    }
    document
}

/// `header_prefix` alone means something as `null`.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, value| !value.is_null() || key == "header_prefix");
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Reads a part of the document that stands at `path`.
fn read<'a, T: Deserialize<'a>>(value: &'a Value, path: &str) -> Result<T, DefinitionError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let inner = error.path().to_string();
        let inner = if inner == "." { "" } else { &inner };
        let message = error.inner().to_string();
        let (missing, problem) = reworded(&message);
        let steps = [path, inner, missing].into_iter().filter(|step| !step.is_empty());
        DefinitionError::field(steps.collect::<Vec<_>>().join("."), problem)
    })
}

/// Serde's complaint in the words of the others: a field that is missing in the place, and what is wrong.
fn reworded(message: &str) -> (&str, String) {
    let field = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
    if let Some(field) = field {
        return (field, "is required".into());
    }
    let unexpected = ["invalid type: ", "unknown variant ", "invalid value: "];
    let found = unexpected.iter().find_map(|start| message.strip_prefix(start)?.split_once(", expected "));
    (
        "",
        found.map_or_else(
            || message.to_owned(),
            |(found, expected)| format!("must be {expected}, not {found}"),
        ),
    )
}

fn build(document: Document) -> Result<ProviderDefinition, DefinitionError> {
    let (name, auth_type, flow) = (document.name.0, document.auth_type, document.flow);
    if flow.auth_type() != auth_type {
        let problem = format!("`{}` does not fit the auth_type `{}`", flow.as_str(), auth_type.as_str());
        return Err(DefinitionError::field("flow", problem));
    }
    let registration = document.registration.and_then(|registration| registration.0.registration_endpoint);
    let (oauth, inner_base) = match &document.oauth {
        Some(block) => oauth_part(block, registration, flow).map(|(part, base)| (Some(part), base))?,
        None => (None, None),
    };
    let key = AuthType::ApiKey.credential_field();
    let api_key = document.api_key.map(|entry| form::build("api_key", entry.0, key)).transpose()?;
    let offered = offered(oauth.is_some(), api_key.is_some());
    if !offered.contains(&auth_type.credential_field()) {
        let block = if auth_type == AuthType::OAuth2 { "oauth" } else { "api_key" };
        let problem = format!("is required by the auth_type `{}`", auth_type.as_str());
        return Err(DefinitionError::field(block, problem));
    }
    let fields = field::build(document.fields.0.into_iter().map(|entry| entry.0).collect())?;
    let exportable: Vec<&str> =
        fields.iter().map(|field| field.name.as_str()).chain([BASE_URL, "tenant"]).collect();
    let exports = environment::exports(document.export.as_deref(), &name, &offered, &exportable)?;
    let domains = document.domains.0.into_iter().map(|domain| domain.0).collect();
    let client = document.client.unwrap_or_default().0;
    Ok(ProviderDefinition {
        aliases: document.aliases.0.into_iter().map(|alias| alias.0).collect(),
        display_name: document.display_name.0,
        not_routed: document.not_routed.map(|reason| reason.0),
        docs: document.docs.map(|docs| docs.0),
        placeholder: document.placeholder.map(|placeholder| placeholder.0),
        base_url: document.base_url.map(|base| base.0).or(inner_base),
        hosts: hosts::build(document.host_url.0, domains)?,
        excluded: document.excluded.0.into_iter().map(|url| url.0).collect(),
        exports,
        name,
        auth_type,
        flow,
        fields,
        oauth,
        api_key,
        client_docs: client.docs.map(|docs| docs.0),
        client_id_env: client.client_id_env.map(|variable| variable.0),
        client_secret_env: client.client_secret_env.map(|variable| variable.0),
        raw: Value::Null,
    })
}

/// The OAuth part, and the base URL in it.
fn oauth_part(
    block: &Value,
    registration: Option<super::shape::UrlTemplate>,
    flow: FlowType,
) -> Result<(OAuthPart, Option<String>), DefinitionError> {
    let mut endpoints = read::<EndpointsEntry>(block, "oauth")?;
    let base = endpoints.base_url.take().map(|base| base.0);
    let settings = read::<OAuth>(block, "oauth")?;
    let entry = read::<FormEntry>(block, "oauth")?;
    let (settings, urls) = oauth::build(settings, endpoints, registration, flow)?;
    let form = form::build("oauth", entry, AuthType::OAuth2.credential_field())?;
    Ok((OAuthPart { block: settings, urls, form }, base))
}

fn offered(oauth: bool, api_key: bool) -> Vec<&'static str> {
    let all = [(oauth, AuthType::OAuth2), (api_key, AuthType::ApiKey)];
    all.iter().filter(|(offered, _)| *offered).map(|(_, auth)| auth.credential_field()).collect()
}

/// What is excluded lies in the hosts, and names no field that they lack; an account is asked for where a token goes anyway.
fn within_the_hosts(definition: &ProviderDefinition) -> Result<(), DefinitionError> {
    let hosts: Vec<&str> = definition.hosts.fields(None).collect();
    let claims = definition.hosts.samples();
    for (at, url) in definition.excluded.iter().enumerate() {
        let failed = |problem: &str| DefinitionError::field(format!("excluded[{at}]"), problem);
        if url.fields().any(|field| !hosts.contains(&field)) {
            return Err(failed("names a field that no host has"));
        }
        let place = hosts::place(url).map_err(|problem| failed(&problem))?;
        if !claims.iter().any(|claim| claim.matches_host(&place.host, place.port) && claim.meets(&place.path))
        {
            return Err(failed("lies outside of `host_url`"));
        }
    }
    let Some(part) = &definition.oauth else { return Ok(()) };
    let account = part.block.account.as_ref().and_then(|account| account.url.as_ref()?.parse().ok());
    let Some(account) = account else {
        return Ok(());
    };
    let failed = |problem: &str| DefinitionError::field("oauth.account.url", problem);
    let place = hosts::place(&account).map_err(|problem| failed(&problem))?;
    let own = claims.iter().any(|claim| claim.matches_host(&place.host, place.port));
    if own || part.urls.samples().any(|url| (&url.host, url.port) == (&place.host, place.port)) {
        return Ok(());
    }
    Err(failed("is on no host of the definition"))
}

/// What no part can check alone: every field in a host, URL or placement exists and is fit to stand there.
fn consistent(definition: &ProviderDefinition) -> Result<(), DefinitionError> {
    let declared = |name: &str| definition.fields.iter().find(|field| field.name == name);
    for name in definition.template_fields(None) {
        let problem = match declared(name) {
            Some(field) if field.secret => "is secret and stands in a host or URL",
            None if !matches!(name, BASE_URL | "tenant") => "stands in a host or URL and is not declared",
            _ => continue,
        };
        return Err(DefinitionError::field("fields", format!("`{name}` {problem}")));
    }
    within_the_hosts(definition)?;
    for (block, auth) in [("oauth", AuthType::OAuth2), ("api_key", AuthType::ApiKey)] {
        let Some(form) = definition.form(auth) else { continue };
        let strange = |name: &&str| *name != auth.credential_field() && declared(name).is_none();
        if let Some(name) = form.placement.fields().into_iter().find(strange) {
            let problem = format!("places `{{{name}}}`, which `fields` does not declare");
            return Err(DefinitionError::field(block, problem));
        }
        let missing = |name: &&str| !form.placement.variants.contains_key(*name);
        if let Some(name) = definition.hosts.variants(auth).find(missing) {
            return Err(DefinitionError::field(
                block,
                format!("lacks the variant `{name}`, which a host names"),
            ));
        }
    }
    Ok(())
}
