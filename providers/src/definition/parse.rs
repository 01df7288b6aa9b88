//! From a JSON value to a definition: each part in turn, then what must hold between the parts.

use serde_json::Value;

use super::read::Object;
use super::{
    AuthType, DefinitionError, FlowType, OAuthPart, ProviderDefinition, environment, field, form, hosts,
    oauth,
};
use crate::template::BASE_URL;
use crate::url;

/// Reads a definition.
pub(super) fn definition(mut raw: Value) -> Result<ProviderDefinition, DefinitionError> {
    if let Value::Object(map) = &mut raw {
        map.remove("connections");
    }
    let root = Object::root(&raw)?;
    schema_version(&root)?;
    let name = name(&root)?;
    let (auth_type, flow) = kind(&root)?;
    let (oauth, api_key) = credentials(&root, auth_type, flow)?;
    let fields = field::read(&root)?;
    let docs = root.spelling("docs", "docs_url")?;
    let (client_id_env, client_secret_env) = client(&root)?;
    let offered = offered(oauth.is_some(), api_key.is_some());
    let exportable: Vec<&str> =
        fields.iter().map(|field| field.name.as_str()).chain([BASE_URL, "tenant"]).collect();
    let definition = ProviderDefinition {
        display_name: root.required("display_name")?.to_owned(),
        docs: root.owned(docs)?,
        placeholder: placeholder(&root)?,
        base_url: base_url(&root)?,
        hosts: hosts::read(&root)?,
        exports: environment::exports(&root, &name, &offered, &exportable)?,
        name,
        auth_type,
        flow,
        fields,
        oauth,
        api_key,
        client_id_env,
        client_secret_env,
        raw: Value::Null,
    };
    consistent(&root, &definition)?;
    Ok(ProviderDefinition { raw, ..definition })
}

fn schema_version(root: &Object<'_>) -> Result<(), DefinitionError> {
    match root.get("schema_version") {
        None => Ok(()),
        Some(version) if *version == 1 => Ok(()),
        Some(_) => Err(root.error("schema_version", "must be 1")),
    }
}

fn name(root: &Object<'_>) -> Result<String, DefinitionError> {
    let name = root.required("name")?;
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    let starts = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    if name.len() > 64 || !starts || !name.bytes().all(inner) {
        return Err(root.error(
            "name",
            "must be up to 64 lower-case letters, digits, `-` and `_`, not starting with these two",
        ));
    }
    Ok(name.into())
}

fn kind(root: &Object<'_>) -> Result<(AuthType, FlowType), DefinitionError> {
    let auth_type = match root.required("auth_type")? {
        "oauth2" => AuthType::OAuth2,
        "api_key" => AuthType::ApiKey,
        _ => return Err(root.error("auth_type", "must be `oauth2` or `api_key`")),
    };
    let flow = match root.required("flow")? {
        "pkce" => FlowType::Pkce,
        "device_code" => FlowType::DeviceCode,
        "dcr_pkce" => FlowType::DcrPkce,
        "api_key" => FlowType::ApiKey,
        _ => return Err(root.error("flow", "must be `pkce`, `device_code`, `dcr_pkce` or `api_key`")),
    };
    if flow.auth_type() != auth_type {
        let problem = format_args!("`{}` does not fit the auth_type `{}`", flow.as_str(), auth_type.as_str())
            .to_string();
        return Err(root.error("flow", problem));
    }
    Ok((auth_type, flow))
}

type Credentials = (Option<OAuthPart>, Option<form::Form>);

fn credentials(
    root: &Object<'_>,
    auth_type: AuthType,
    flow: FlowType,
) -> Result<Credentials, DefinitionError> {
    let required = match auth_type {
        AuthType::OAuth2 => "oauth",
        AuthType::ApiKey => "api_key",
    };
    if root.object(required)?.is_none() {
        return Err(
            root.error(required, format_args!("is required by the auth_type `{}`", auth_type.as_str()))
        );
    }
    let oauth = match root.object("oauth")? {
        Some(block) => Some(oauth_part(root, &block, flow)?),
        None => None,
    };
    let api_key = match root.object("api_key")? {
        Some(block) => Some(form::read(&block, AuthType::ApiKey.credential_field())?),
        None => None,
    };
    Ok((oauth, api_key))
}

fn oauth_part(root: &Object<'_>, block: &Object<'_>, flow: FlowType) -> Result<OAuthPart, DefinitionError> {
    let (settings, urls) = oauth::read(root, block, flow)?;
    Ok(OAuthPart { block: settings, urls, form: form::read(block, AuthType::OAuth2.credential_field())? })
}

fn offered(oauth: bool, api_key: bool) -> Vec<&'static str> {
    let all = [(oauth, AuthType::OAuth2), (api_key, AuthType::ApiKey)];
    all.iter().filter(|(offered, _)| *offered).map(|(_, auth)| auth.credential_field()).collect()
}

/// The default base URL: here, or in `oauth` where the Python edition has it.
fn base_url(root: &Object<'_>) -> Result<Option<String>, DefinitionError> {
    let read = |object: &Object<'_>| match object.string(BASE_URL)? {
        Some(text) => url::check_base(text).map(Some).map_err(|error| object.error(BASE_URL, error)),
        None => Ok(None),
    };
    if let Some(own) = read(root)? {
        return Ok(Some(own));
    }
    root.object("oauth")?.map_or(Ok(None), |block| read(&block))
}

fn placeholder(root: &Object<'_>) -> Result<Option<String>, DefinitionError> {
    let text = root.owned("placeholder")?;
    let plain = |text: &String| {
        (16..=256).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    match text {
        Some(text) if !plain(&text) => {
            Err(root
                .error("placeholder", "must be at least 16 (and at most 256) letters, digits, `_` and `-`"))
        }
        text => Ok(text),
    }
}

fn client(root: &Object<'_>) -> Result<(Option<String>, Option<String>), DefinitionError> {
    let Some(client) = root.object("client")? else { return Ok((None, None)) };
    Ok((
        environment::variable(&client, "client_id_env")?,
        environment::variable(&client, "client_secret_env")?,
    ))
}

/// What no part can check alone: every field in a host, URL or placement exists and is fit to stand there.
fn consistent(root: &Object<'_>, definition: &ProviderDefinition) -> Result<(), DefinitionError> {
    let declared = |name: &str| definition.fields.iter().find(|field| field.name == name);
    for name in definition.template_fields() {
        match declared(name) {
            Some(field) if field.secret => {
                return Err(
                    root.error("fields", format_args!("`{name}` is secret and stands in a host or URL"))
                );
            }
            None if !matches!(name, BASE_URL | "tenant") => {
                return Err(root
                    .error("fields", format_args!("`{name}` stands in a host or URL and is not declared")));
            }
            _ => {}
        }
    }
    for (block, form) in
        [("oauth", definition.form(AuthType::OAuth2)), ("api_key", definition.form(AuthType::ApiKey))]
    {
        let Some(form) = form else { continue };
        let own = if block == "oauth" { AuthType::OAuth2 } else { AuthType::ApiKey }.credential_field();
        if let Some(name) =
            form.placement.fields().into_iter().find(|name| *name != own && declared(name).is_none())
        {
            return Err(
                root.error(block, format_args!("places `{{{name}}}`, which `fields` does not declare"))
            );
        }
        if let Some(name) =
            definition.hosts.variants().find(|name| !form.placement.variants.contains_key(*name))
        {
            return Err(root.error(block, format_args!("lacks the variant `{name}`, which a host names")));
        }
    }
    Ok(())
}
