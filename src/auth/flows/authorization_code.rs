//! Authorization code with PKCE (RFC 6749 4.1, RFC 7636), by a loopback redirect (RFC 8252 7.3).

use std::borrow::Cow;
use std::fmt;

use authsome_providers::Endpoint;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::{FlowError, OAuthClient, Parameters, Server, Tokens, error, parameter, random};
use crate::secret::Secret;

/// 256 bits each.
const RANDOM: usize = 32;

/// What is kept between sending the browser away and its return.
pub(crate) struct AuthorizationRequest {
    /// Where the browser is sent.
    pub(crate) url: String,
    pub(crate) redirect_uri: String,
    state: Secret<String>,
    /// Absent where the server does not take PKCE.
    verifier: Option<Secret<String>>,
    issuer: Option<String>,
}

impl fmt::Debug for AuthorizationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthorizationRequest to {}", self.url.split('?').next().unwrap_or_default())
    }
}

/// What the browser brings back (RFC 6749 4.1.2, RFC 9207). Each parameter stands once.
#[derive(Debug, Default)]
pub(crate) struct Redirected {
    code: Option<Secret<String>>,
    state: Option<Secret<String>>,
    issuer: Option<String>,
    error: Option<String>,
    description: Option<String>,
}

impl Redirected {
    /// Reads the redirect's query, or the whole URL as a person pastes it.
    ///
    /// # Errors
    /// [`FlowError::Answer`] when there is no query, or a parameter stands twice (RFC 6749 3.1).
    pub(crate) fn parse(text: &str) -> Result<Self, FlowError> {
        let text = text.trim();
        let query = text.split_once('?').map_or(text, |(_, query)| query);
        let query = query.split('#').next().unwrap_or_default();
        let mut redirected = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            redirected.note(&name, value)?;
        }
        let nothing = redirected.code.is_none() && redirected.error.is_none();
        if nothing { Err(FlowError::Answer("holds neither a code nor an error")) } else { Ok(redirected) }
    }

    fn note(&mut self, name: &str, value: Cow<'_, str>) -> Result<(), FlowError> {
        let twice = || FlowError::Answer("names a parameter twice");
        let once = |place: &mut Option<String>, value: String| match place.replace(value) {
            None => Ok(()),
            Some(_) => Err(twice()),
        };
        let secret = |place: &mut Option<Secret<String>>, value: String| match place.replace(value.into()) {
            None => Ok(()),
            Some(_) => Err(twice()),
        };
        if value.contains(char::REPLACEMENT_CHARACTER) {
            return Err(FlowError::Answer("is not UTF-8"));
        }
        let value = value.into_owned();
        match name {
            "code" => secret(&mut self.code, value),
            "state" => secret(&mut self.state, value),
            "iss" => once(&mut self.issuer, value),
            "error" => once(&mut self.error, value),
            "error_description" => once(&mut self.description, value),
            _ => Ok(()),
        }
    }
}

/// Makes the URL that the browser is sent to.
///
/// # Errors
/// When the definition has no authorization endpoint.
pub(crate) fn authorize(
    server: Server<'_>,
    client_id: &str,
    redirect_uri: &str,
    scopes: &[String],
) -> Result<AuthorizationRequest, FlowError> {
    let endpoint = server.urls.authorization.as_deref().ok_or(FlowError::NoEndpoint("authorization_url"))?;
    let (state, verifier) = (random(RANDOM)?, random(RANDOM)?);
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("response_type", "code").append_pair("client_id", client_id);
    query.append_pair("redirect_uri", redirect_uri).append_pair("state", state.expose());
    if let Some((name, scopes)) = server.scope(scopes) {
        query.append_pair(&name, scopes.expose());
    }
    if server.settings.pkce {
        query
            .append_pair("code_challenge", &challenge(&verifier))
            .append_pair("code_challenge_method", "S256");
    }
    if let Some(resource) = &server.settings.resource {
        query.append_pair("resource", resource);
    }
    query.extend_pairs(&server.settings.authorize_params);
    let join = if endpoint.contains('?') { '&' } else { '?' };
    Ok(AuthorizationRequest {
        url: format!("{endpoint}{join}{}", query.finish()),
        redirect_uri: redirect_uri.to_owned(),
        state,
        verifier: server.settings.pkce.then_some(verifier),
        issuer: server.issuer.map(str::to_owned),
    })
}

fn challenge(verifier: &Secret<String>) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose()))
}

impl AuthorizationRequest {
    /// Whether an answer belongs to this request, compared in constant time.
    pub(crate) fn is_answered_by(&self, redirected: &Redirected) -> bool {
        redirected.state.as_ref().is_some_and(|state| self.state.matches(state.expose().as_bytes()))
    }

    /// The code of an answer that belongs to this request.
    fn code(&self, server: Server<'_>, redirected: Redirected) -> Result<Secret<String>, FlowError> {
        if !self.is_answered_by(&redirected) {
            return Err(FlowError::State);
        }
        match redirected.issuer.as_deref() {
            Some(issuer) if !self.is_issued_by(server, issuer) => return Err(FlowError::Issuer),
            None if server.names_itself => return Err(FlowError::Issuer),
            _ => {}
        }
        if let Some(code) = redirected.error {
            let secrets = [&self.state].into_iter();
            return Err(match code.as_str() {
                "access_denied" => FlowError::Denied,
                _ => FlowError::Refused {
                    code: error::code(&code),
                    description: redirected.description.and_then(|text| error::description(&text, secrets)),
                    retry_after: None,
                },
            });
        }
        redirected.code.ok_or(FlowError::Answer("holds no code"))
    }

    /// Whether an identifier is the server's own. Where it is not known, it must at least be on a host of its endpoints.
    fn is_issued_by(&self, server: Server<'_>, issuer: &str) -> bool {
        if let Some(own) = &self.issuer {
            return own == issuer;
        }
        let host = |url: &str| url.parse::<Endpoint>().ok().map(|endpoint| (endpoint.host, endpoint.port));
        let endpoints = [&server.urls.authorization, &server.urls.token];
        let Some(sender) = host(issuer) else { return false };
        endpoints.into_iter().flatten().any(|url| host(url).as_ref() == Some(&sender))
    }
}

/// Turns the browser's answer into tokens.
///
/// # Errors
/// When the answer belongs to another request, denies, or its code is refused.
pub(crate) fn exchange(
    server: Server<'_>,
    client: &OAuthClient,
    request: &AuthorizationRequest,
    redirected: Redirected,
) -> Result<Tokens, FlowError> {
    let code = request.code(server, redirected)?;
    let mut grant: Parameters = vec![
        parameter("grant_type", "authorization_code"),
        ("code".to_owned(), code),
        parameter("redirect_uri", &request.redirect_uri),
    ];
    grant.extend(request.verifier.iter().map(|verifier| ("code_verifier".to_owned(), verifier.clone())));
    grant.extend(server.settings.resource.iter().map(|resource| parameter("resource", resource)));
    server.token(client, grant)
}
