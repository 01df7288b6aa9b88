//! How a login ends: tokens become a connection.

use authsome_providers::FlowType;
use authsome_providers::definition::Account as AccountSettings;
use authsome_providers::template::Template;

use super::super::authority::{CLIENT_ID, FLOW};
use super::super::flows::{self, FlowError, Server, Tokens};
use super::super::login::check_placement;
use super::super::record::{Account, ConnectionRecord};
use super::super::{AuthService, Error};
use super::{LoggedIn, LoginSession, SUBJECT_TOKEN};
use crate::secret::Secret;

impl AuthService {
    /// A token for a flow that asks nobody.
    pub(super) fn without_a_person(&self, session: &LoginSession) -> Result<Tokens, Error> {
        let server = session.authority.server(self.network(), self.clock());
        repeat(server, session.flow, &session.client, &session.draft, &session.scopes)
            .map_err(|error| Error::flow(&session.draft.provider, &error))
    }

    /// Stores what a flow has yielded.
    pub(super) fn complete(&self, session: &LoginSession, tokens: Tokens) -> Result<LoggedIn, Error> {
        let mut record = session.draft.clone();
        let mut warnings = narrower(&session.scopes, tokens.scopes.as_deref());
        let rest = self.take_tokens(&mut record, tokens);
        record.scopes.get_or_insert_with(|| session.scopes.clone());
        record.metadata.insert(FLOW.to_owned(), session.flow.as_str().into());
        record.metadata.insert(CLIENT_ID.to_owned(), session.client.id.as_str().into());
        let definitions = self.definitions();
        let definition = &definitions.provider(&record.provider)?.definition;
        check_placement(definition, &record)?;
        match self.whose(session, &record, &rest) {
            Ok(account) => record.account = account,
            Err(error) => warnings.push(format!("whose account it is cannot be told: {error}")),
        }
        let client = session.new_client.iter().map(|client| self.client_change(client)).collect();
        let connection = self.store_new(record, session.force, client)?;
        Ok(LoggedIn { connection, warnings })
    }

    /// Puts tokens into a record, and returns the rest of the answer. A refresh token that is not repeated stays.
    pub(in super::super) fn take_tokens(
        &self,
        record: &mut ConnectionRecord,
        tokens: Tokens,
    ) -> serde_json::Value {
        let now = self.now();
        record.access_token = Some(tokens.access_token);
        record.refresh_token = tokens.refresh_token.or(record.refresh_token.take());
        record.id_token = tokens.id_token.or(record.id_token.take());
        record.token_type = tokens.token_type.or(record.token_type.take());
        record.scopes = tokens.scopes.or(record.scopes.take());
        record.expires_at = tokens.expires_in.map(|seconds| now.saturating_add(seconds));
        record.obtained_at = Some(now);
        tokens.rest
    }

    /// Whose token it is: by the request that the definition names, or by what the server knows of the token.
    fn whose(
        &self,
        session: &LoginSession,
        record: &ConnectionRecord,
        answer: &serde_json::Value,
    ) -> Result<Account, FlowError> {
        let server = session.authority.server(self.network(), self.clock());
        let Some(settings) = &session.authority.settings.account else {
            return Ok(introspected(server, session, record));
        };
        let Some(url) = &settings.url else {
            return Ok(flows::account_in(answer, (&settings.id, settings.label.as_deref())));
        };
        let headers = self.account_headers(record, settings)?;
        let template = url.parse::<Template>();
        let template = template.map_err(|error| FlowError::Mismatch(error.to_string()))?;
        let filled = template.fill(&record.template_values());
        let url = filled.map_err(|error| FlowError::Mismatch(error.to_string()))?;
        flows::account(self.network(), &url, &headers, (&settings.id, settings.label.as_deref()))
    }

    fn account_headers(
        &self,
        record: &ConnectionRecord,
        settings: &AccountSettings,
    ) -> Result<Vec<(String, Secret<String>)>, FlowError> {
        let mut headers =
            super::super::export::headers(record).map_err(|error| FlowError::Mismatch(error.to_string()))?;
        headers.extend(settings.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())));
        Ok(headers)
    }
}

/// Asks for a token anew, for a flow that asks nobody.
pub(in super::super) fn repeat(
    server: Server<'_>,
    flow: FlowType,
    client: &flows::OAuthClient,
    record: &ConnectionRecord,
    scopes: &[String],
) -> Result<Tokens, FlowError> {
    match flow {
        FlowType::TokenExchange => {
            let subject =
                record.fields.get(SUBJECT_TOKEN).ok_or(FlowError::Answer("needs a subject token"))?;
            flows::token_exchange(server, client, &subject.value, scopes)
        }
        _ => flows::client_credentials(server, client, scopes),
    }
}

/// What RFC 7662 tells, for a server that offers it; nothing when it does not answer.
fn introspected(server: Server<'_>, session: &LoginSession, record: &ConnectionRecord) -> Account {
    let token = record.access_token.as_ref().filter(|_| server.urls.introspection.is_some());
    let known = token.and_then(|token| flows::introspect(server, &session.client, token).ok());
    let text = |name: &str| known.as_ref()?.get(name)?.as_str().map(str::to_owned);
    Account { id: text("sub"), label: text("username"), ..Account::default() }
}

/// A warning when less was granted than was asked for (RFC 6749 3.3).
fn narrower(asked: &[String], granted: Option<&[String]>) -> Vec<String> {
    let Some(granted) = granted else { return Vec::new() };
    // Servers answer this one with a refresh token.
    let told = |scope: &&String| *scope != "offline_access";
    let missing: Vec<&str> =
        asked.iter().filter(told).filter(|scope| !granted.contains(scope)).map(String::as_str).collect();
    match missing.as_slice() {
        [] => Vec::new(),
        missing => vec![format!("these scopes were not granted: {}", missing.join(" "))],
    }
}
