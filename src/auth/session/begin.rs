//! How a login begins: what it needs is found, and nothing is stored.

use std::collections::BTreeMap;

use authsome_providers::definition::{ClientAuthentication, Redirect};
use authsome_providers::{AuthType, FieldSpec, FlowType, OAuth, ProviderDefinition};

use super::super::authority::Authority;
use super::super::clients::{by_name, name_of};
use super::super::flows::{self, Server};
use super::super::login::{connection_name, failed};
use super::super::record::{ClientRecord, ClientSource, ConnectionRecord};
use super::super::refresh::is_conflict;
use super::super::{AuthService, ClientCredentials, Error, Login};
use super::{LoginSession, SUBJECT_TOKEN, Step};
use crate::secret::Secret;
use crate::vault::Expected;

/// The fields that a login by a flow asks a person for.
fn asked(definition: &ProviderDefinition, flow: FlowType) -> Vec<FieldSpec> {
    let auth_type = flow.auth_type();
    let credential = auth_type.credential_field();
    let mut fields = definition.fields(auth_type);
    fields.retain(|field| flow == FlowType::ApiKey || field.name != credential);
    if flow == FlowType::TokenExchange && fields.iter().all(|field| field.name != SUBJECT_TOKEN) {
        fields.push(FieldSpec {
            name: SUBJECT_TOKEN.to_owned(),
            label: "Token to be exchanged".to_owned(),
            secret: true,
            env_var: None,
            pattern: None,
            hint: None,
            default: None,
            optional: false,
        });
    }
    fields
}

impl AuthService {
    /// The flow of a login; the definition's own when none is wished for.
    ///
    /// # Errors
    /// [`Error::UnsupportedFlow`] when the definition does not offer it, or [`Error::ProviderNotFound`].
    pub fn login_flow(&self, provider: &str, wanted: Option<FlowType>) -> Result<FlowType, Error> {
        let definitions = self.definitions();
        let definition = &definitions.provider(provider)?.definition;
        let flow = wanted.unwrap_or(definition.flow());
        let by_oauth = flow.auth_type() == AuthType::OAuth2;
        let reason =
            definition.oauth().and_then(|settings| settings.unsupported.clone()).filter(|_| by_oauth);
        if reason.is_none() && definition.flows().contains(&flow) {
            return Ok(flow);
        }
        Err(Error::UnsupportedFlow { provider: provider.to_owned(), flow, reason })
    }

    /// What a login by a flow asks, in order, besides the OAuth client.
    ///
    /// # Errors
    /// When there is no such provider.
    pub fn flow_fields(&self, provider: &str, flow: FlowType) -> Result<Vec<FieldSpec>, Error> {
        Ok(asked(&self.definitions().provider(provider)?.definition, flow))
    }

    /// Where the browser comes back to: what has to be registered at the provider, letter by letter.
    ///
    /// # Errors
    /// When there is no such provider.
    pub fn redirect_uri(&self, provider: &str) -> Result<String, Error> {
        let definitions = self.definitions();
        let settings = definitions.provider(provider)?.definition.oauth().cloned().unwrap_or_default();
        Ok(self.redirect_for(&settings))
    }

    fn redirect_for(&self, settings: &OAuth) -> String {
        let base = match settings.redirect {
            Some(Redirect::Localhost) => "http://localhost",
            // Nothing answers there: the person pastes the URL that the browser could not open.
            Some(Redirect::HttpsOnly) => "https://localhost",
            _ => "http://127.0.0.1",
        };
        format!("{base}:{}/callback", self.callback_port)
    }

    /// Begins a login by a flow. Contacts the authorization server where it must be discovered, a client registered or a
    /// code asked for.
    ///
    /// # Errors
    /// [`Error::UnsupportedFlow`]; [`Error::AlreadyConnected`] without `force`; [`Error::AuthenticationFailed`] when a value
    /// is missing or refused, no OAuth client is known, or the server refuses; [`Error::Discovery`].
    pub fn begin_login(&self, login: &Login<'_>) -> Result<LoginSession, Error> {
        let flow = self.login_flow(login.provider, login.flow)?;
        let definitions = self.definitions();
        let definition = &definitions.provider(login.provider)?.definition;
        let name = connection_name(login.connection)?;
        if !login.force {
            self.check_free(login.provider, name)?;
        }
        let key = (AuthType::OAuth2, name);
        let draft = self.draft(definition, &asked(definition, flow), key, &login.values)?;
        let Some(settings) = definition.oauth().cloned() else {
            return Err(Error::UnsupportedFlow { provider: login.provider.to_owned(), flow, reason: None });
        };
        let mut begun = Begun { auth: self, definition, flow, draft, settings };
        let (authority, offered) = begun.authority()?;
        let scopes = if login.scopes.is_empty() { begun.scopes() } else { login.scopes.clone() };
        let (record, is_new) = begun.client(&authority, &offered, login, &scopes)?;
        let client = record.for_flows(begun.settings.client_authentication, &offered);
        let mut session = LoginSession {
            flow,
            draft: begun.draft,
            authority,
            client,
            new_client: is_new.then_some(record),
            scopes,
            force: login.force,
            step: Step::Nobody,
        };
        session.step = self.first_step(&session)?;
        Ok(session)
    }

    fn first_step(&self, session: &LoginSession) -> Result<Step, Error> {
        let failed = |error| Error::flow(&session.draft.provider, &error);
        let server = session.authority.server(self.network(), self.clock());
        match session.flow {
            FlowType::Pkce | FlowType::DcrPkce => {
                let redirect = self.redirect_for(&session.authority.settings);
                let begun = flows::authorize(server, &session.client.id, &redirect, &session.scopes);
                begun.map(Step::Browser).map_err(failed)
            }
            FlowType::DeviceCode => {
                let begun = flows::begin_device(server, &session.client, &session.scopes);
                begun.map(Step::Device).map_err(failed)
            }
            _ => Ok(Step::Nobody),
        }
    }
}

/// A login that is being begun.
struct Begun<'a> {
    auth: &'a AuthService,
    definition: &'a ProviderDefinition,
    flow: FlowType,
    draft: ConnectionRecord,
    settings: OAuth,
}

impl Begun<'_> {
    fn provider(&self) -> &str {
        self.definition.name()
    }

    fn scopes(&self) -> Vec<String> {
        self.settings.scopes.clone()
    }

    /// Endpoints from the definition, or from the server that guards its resource; and how clients may authenticate there.
    fn authority(&mut self) -> Result<(Authority, Vec<String>), Error> {
        let values: BTreeMap<String, String> = self.draft.template_values();
        let urls = self.definition.urls(&values).map_err(|error| failed(self.definition, &error))?;
        let resource = self.settings.resource.clone();
        let Some(resource) = resource.filter(|_| urls.token.is_none()) else {
            let authority = Authority {
                settings: self.settings.clone(),
                urls,
                issuer: self.settings.issuer.clone(),
                names_itself: false,
            };
            return Ok((authority, Vec::new()));
        };
        let found = flows::discover(self.auth.network(), &resource);
        let found = found.map_err(|source| Error::Discovery {
            provider: self.provider().to_owned(),
            source: source.into(),
        })?;
        self.draft.binding.discovered(&found.urls, &found.issuer);
        if let Some(named) = found.resource {
            self.settings.resource = Some(named);
        }
        if self.settings.scopes.is_empty() {
            self.settings.scopes = found.scopes;
        }
        let authority = Authority {
            settings: self.settings.clone(),
            urls: found.urls,
            issuer: Some(found.issuer),
            names_itself: found.names_itself,
        };
        Ok((authority, found.authentication))
    }

    /// The client to log in with, and whether it is to be stored with the connection.
    fn client(
        &self,
        authority: &Authority,
        offered: &[String],
        login: &Login<'_>,
        scopes: &[String],
    ) -> Result<(ClientRecord, bool), Error> {
        let mut record = match &login.client {
            Some(given) => self.auth.client_record(self.provider(), given),
            None => match self.stored_client(authority)? {
                Some(record) if !login.reset => return Ok((record, false)),
                _ if self.flow == FlowType::DcrPkce => return self.registered(authority, offered, scopes),
                _ => return Err(self.no_client()),
            },
        };
        record.token_url.clone_from(&authority.urls.token);
        Ok((record, true))
    }

    /// The client that is stored, if it was made for this token endpoint.
    fn stored_client(&self, authority: &Authority) -> Result<Option<ClientRecord>, Error> {
        let stored = self.auth.client(self.provider())?;
        Ok(stored.filter(|client| client.token_url.is_none() || client.token_url == authority.urls.token))
    }

    /// A client that registers itself is stored at once: each registration leaves one at the server.
    fn registered(
        &self,
        authority: &Authority,
        offered: &[String],
        scopes: &[String],
    ) -> Result<(ClientRecord, bool), Error> {
        let key = self.auth.keys().client(self.provider());
        let before =
            self.auth.vault()?.get(&key)?.map_or(Expected::Absent, |item| Expected::Version(item.version));
        let mut settings = authority.settings.clone();
        if settings.client_authentication.is_none() {
            let public =
                offered.is_empty() || offered.iter().any(|name| name == name_of(ClientAuthentication::None));
            settings.client_authentication = if public {
                Some(ClientAuthentication::None)
            } else {
                offered.iter().find_map(|name| by_name(name))
            };
        }
        let (http, clock) = (self.auth.network(), self.auth.clock());
        let server = Server {
            http,
            settings: &settings,
            urls: &authority.urls,
            issuer: authority.issuer.as_deref(),
            names_itself: false,
            clock,
        };
        let client = flows::register(server, &self.auth.redirect_for(&settings), scopes)
            .map_err(|error| Error::flow(self.provider(), &error))?;
        let credentials =
            ClientCredentials { id: client.id, secret: client.secret, source: ClientSource::DcrGenerated };
        let mut record = self.auth.client_record(self.provider(), &credentials);
        record.token_url.clone_from(&authority.urls.token);
        record.note_authentication(client.authentication);
        let stored = self.auth.vault()?.apply(vec![self.auth.client_change(&record).expecting(before)]);
        match stored.map_err(Error::from) {
            Ok(_) => Ok((record, false)),
            // Another login was first: a second client would end its connection's refreshes.
            Err(Error::StoreUnavailable(cause)) if is_conflict(&*cause) => {
                Ok((self.stored_client(authority)?.unwrap_or(record), false))
            }
            Err(error) => Err(error),
        }
    }

    fn no_client(&self) -> Error {
        let reason = format!(
            "it needs an OAuth client, and none is stored; register one with the redirect URI {}",
            self.auth.redirect_for(&self.settings)
        );
        Error::AuthenticationFailed { provider: self.provider().to_owned(), reason }
    }
}

/// A client's secret without the line end that a paste has.
impl ClientCredentials {
    /// Takes what a person typed or pasted: an empty secret is none.
    pub fn typed(id: &str, secret: Option<&Secret<String>>, source: ClientSource) -> Self {
        let secret = secret.map(|secret| Secret::from(secret.expose().trim()));
        Self { id: id.trim().to_owned(), secret: secret.filter(|secret| !secret.expose().is_empty()), source }
    }
}
