//! `authsome login` by OAuth: an OAuth client is asked for once, then a person agrees in a browser or on another device.

use std::time::{Duration, Instant};

use authsome_providers::definition::ClientAuthentication;
use authsome_providers::{FieldError, FieldSpec, FlowType, Provider, ProviderDefinition};
use serde_json::json;

use crate::auth::record::ClientSource;
use crate::auth::{self, AuthService, Challenge, ClientCredentials, LoggedIn, Login, LoginSession, Progress};
use crate::local::{Callback, CallbackAddress, Loopback, Outcome, Patience, Subject};

use super::super::desk::Desk;
use super::super::failure::Failure;
use super::super::interrupt::Interrupt;
use super::input::{Asked, Values};
use super::page;
use super::wait::Waiting;
use super::{LoginArgs, gathered, stored};

/// The fields in which an OAuth client is typed in.
pub(super) const CLIENT_ID: &str = "client_id";
const CLIENT_SECRET: &str = "client_secret";

/// Whether a field is one of an OAuth client.
pub(super) fn is_of_client(field: &FieldSpec) -> bool {
    [CLIENT_ID, CLIENT_SECRET].contains(&field.name.as_str())
}

/// What is asked for on the command line.
pub(super) struct Request<'a> {
    pub(super) desk: &'a Desk,
    pub(super) auth: &'a AuthService,
    pub(super) provider: &'a Provider,
    pub(super) args: &'a LoginArgs,
    pub(super) flow: FlowType,
}

/// A login under way.
enum Begun {
    /// A person has to do something, and perhaps a browser comes back here.
    Waiting(Box<LoginSession>, Option<Callback>),
    Done(Box<LoggedIn>),
}

/// Logs in, and returns the connection's name.
pub(super) fn connect(request: &Request<'_>) -> Result<String, Failure> {
    let fields = request.fields()?;
    let asked = Asked {
        provider: request.provider,
        auth_type: request.flow.auth_type(),
        fields: &fields,
        environment: &request.desk.config().environment,
        output: request.desk.output,
        redirect_uri: request.redirect_uri()?,
    };
    let (values, page) = gathered(request.desk, request.args, &asked)?;
    let had_page = page.is_some();
    let interrupt = Interrupt::watched();
    let begin = |values| request.begin(values, &interrupt);
    let begun = match page {
        Some(page) => page.carried_out(&values, &begin)?,
        None => begin(values)?.0,
    };
    let made = match begun {
        Begun::Done(made) => made,
        Begun::Waiting(session, callback) => {
            let wait = Waiting { request, interrupt: &interrupt, deadline: request.deadline(&session) };
            wait.for_person(*session, callback, had_page)?
        }
    };
    made.warnings.iter().for_each(|warning| request.desk.output.warn(warning));
    Ok(made.connection.record.connection_name)
}

impl Request<'_> {
    fn name(&self) -> &str {
        self.definition().name()
    }

    fn definition(&self) -> &ProviderDefinition {
        &self.provider.definition
    }

    /// What a client is registered with, where a browser comes back to it.
    fn redirect_uri(&self) -> Result<Option<String>, Failure> {
        let by_browser = matches!(self.flow, FlowType::Pkce | FlowType::DcrPkce);
        Ok(by_browser.then(|| self.auth.redirect_uri(self.name())).transpose()?)
    }

    /// What is asked for: what the definition wants, and the OAuth client unless one is at hand.
    fn fields(&self) -> Result<Vec<FieldSpec>, Failure> {
        let mut fields = self.auth.flow_fields(self.name(), self.flow)?;
        let given = self.args.client_id.is_some();
        let at_hand = !self.args.reset && !given && self.auth.client(self.name())?.is_some();
        let registers = self.flow == FlowType::DcrPkce && !given;
        if !at_hand && !registers {
            fields.extend(self.client_fields());
        }
        Ok(fields)
    }

    fn client_fields(&self) -> Vec<FieldSpec> {
        let definition = self.definition();
        let field = |name: &str, label: &str, variable: Option<&str>| FieldSpec {
            name: name.to_owned(),
            label: label.to_owned(),
            secret: false,
            env_var: variable.map(str::to_owned),
            pattern: None,
            hint: None,
            default: None,
            optional: false,
        };
        let id = field(CLIENT_ID, "Client ID", definition.client_id_env());
        let settings = definition.oauth().cloned().unwrap_or_default();
        let way = settings.client_authentication;
        let label = if way == Some(ClientAuthentication::PrivateKeyJwt) {
            "Private key (PEM)"
        } else {
            "Client secret"
        };
        let secret = FieldSpec {
            secret: true,
            // Where the definition does not say, a public client is possible; on devices it is the usual one (RFC 8628 5.6).
            optional: way.is_none() || settings.public_clients || self.flow == FlowType::DeviceCode,
            ..field(CLIENT_SECRET, label, definition.client_secret_env())
        };
        if way == Some(ClientAuthentication::None) { vec![id] } else { vec![id, secret] }
    }

    /// Begins the login, and takes the port that the browser comes back to.
    fn begin(&self, mut values: Values, interrupt: &Interrupt) -> Result<(Begun, Outcome), Failure> {
        let client = self.client(&mut values)?;
        let mut session = self.auth.begin_login(&Login {
            provider: self.name(),
            connection: Some(self.args.connection()),
            flow: Some(self.flow),
            scopes: self.args.scopes.clone(),
            client,
            values,
            force: self.args.force || self.args.reset,
            reset: self.args.reset,
            ..Login::default()
        })?;
        let (url, redirect_uri) = match session.challenge() {
            Challenge::Browser { url, redirect_uri } => (url.to_owned(), Some(redirect_uri.to_owned())),
            Challenge::Device { verification_uri, verification_uri_complete, .. } => {
                (verification_uri_complete.unwrap_or(verification_uri).to_owned(), None)
            }
            _ => return self.at_once(&mut session),
        };
        let address = redirect_uri.as_deref().and_then(callback_address);
        let deadline = self.deadline(&session);
        let callback = address.map(|address| self.listen(&address, deadline, interrupt)).transpose()?;
        Ok((Begun::Waiting(Box::new(session), callback), Outcome::Continue { url }))
    }

    fn at_once(&self, session: &mut LoginSession) -> Result<(Begun, Outcome), Failure> {
        match self.auth.resume_login(session, None)? {
            Progress::Connected(made) => {
                let outcome = stored(&made.connection);
                Ok((Begun::Done(made), outcome))
            }
            _ => Err(auth::Error::InputCancelled.into()),
        }
    }

    fn client(&self, values: &mut Values) -> Result<Option<ClientCredentials>, Failure> {
        let Some(id) = values.remove(CLIENT_ID) else { return Ok(None) };
        let secret = values.remove(CLIENT_SECRET);
        for field in self.client_fields() {
            let value = if field.name == CLIENT_ID { Some(&id) } else { secret.as_ref() };
            if value.is_none_or(|value| value.expose().trim().is_empty()) {
                field.check("").map_err(|error| self.refused(&field, &error))?;
            }
        }
        let variable = self.definition().client_id_env();
        let from_variable = variable.and_then(|name| self.desk.config().environment.text(name));
        let source = if from_variable == Some(id.expose().as_str()) {
            ClientSource::EnvImported
        } else {
            ClientSource::UserSupplied
        };
        Ok(Some(ClientCredentials::typed(id.expose(), secret.as_ref(), source)))
    }

    fn refused(&self, field: &FieldSpec, error: &FieldError) -> auth::Error {
        let (provider, reason) = (self.name().to_owned(), format!("{}: {error}", field.label));
        auth::Error::AuthenticationFailed { provider, reason }
    }

    fn listen(
        &self,
        address: &CallbackAddress,
        deadline: Instant,
        interrupt: &Interrupt,
    ) -> Result<Callback, Failure> {
        let cancelled = || interrupt.happened();
        let output = self.desk.output;
        let port = address.port;
        let mut waiting = || {
            if output.is_json() {
                output.step(&json!({"status": "waiting", "port": port}));
            } else {
                output.note(&format!("port {port} is in use, perhaps by another login: waiting for it"));
            }
        };
        let patience = Patience { deadline, cancelled: &cancelled };
        Callback::bind(address, self.subject(), patience, &mut waiting)
            .map_err(|error| page::failure(self.name(), error))
    }

    fn subject(&self) -> Subject {
        Subject {
            display_name: self.definition().display_name().to_owned(),
            provider: self.name().to_owned(),
            connection: self.args.connection().to_owned(),
        }
    }

    fn deadline(&self, session: &LoginSession) -> Instant {
        let own = match session.challenge() {
            Challenge::Device { expires_in, .. } => expires_in,
            _ => page::WAIT,
        };
        Instant::now() + self.args.timeout.map_or(own, Duration::from_secs)
    }
}

/// The address of a loopback redirect; none for one that nothing here can answer.
fn callback_address(redirect_uri: &str) -> Option<CallbackAddress> {
    let rest = redirect_uri.strip_prefix("http://")?;
    let (authority, path) = rest.split_at(rest.find('/')?);
    let (host, port) = authority.rsplit_once(':')?;
    let host = if host == "localhost" { Loopback::Name } else { Loopback::Address };
    Some(CallbackAddress { host, port: port.parse().ok()?, path: path.to_owned() })
}
