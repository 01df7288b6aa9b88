//! `authsome login`

mod arguments;
mod binding;
mod device;
mod input;
mod oauth;
mod page;
mod paste;
mod wait;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::time::Duration;

use authsome_providers::{AuthType, FieldSpec, FlowType, Provider};
use serde_json::json;

use crate::audit::EventName;
use crate::auth::record::ConnectionStatus;
use crate::auth::{self, AuthService, Connection, Login};
use crate::local;

use super::desk::{DONE, Desk, event};
use super::failure::{Failure, usage};
use super::terminal::Terminal;
use super::{Outcome, destination};
pub(super) use arguments::LoginArgs;
use input::{Asked, Values};
use page::{Page, Window};

pub(super) fn run(desk: &Desk, args: &LoginArgs) -> Outcome {
    let auth = desk.auth()?;
    let provider = auth.provider(&args.provider)?;
    let name = provider.definition.name();
    let connection = if args.rebind {
        binding::rebind(desk, &auth, name, args.connection.as_deref())?
    } else {
        connect(desk, &auth, &provider, args)?
    };
    desk.record(event(EventName::Login, name, Some(&connection)))?;
    let document = json!({"status": "success", "provider": name, "connection": connection, "record_status": "connected"});
    desk.output
        .done(&document, &format!("{} is connected as {connection}", provider.definition.display_name()))?;
    if let Err(failure) = warn_outside_ca(desk) {
        desk.output.warn(&failure.message());
    }
    Ok(DONE)
}

/// Says so when clients of `authsome proxy` would not be believed about a host: the home's CA came before it.
fn warn_outside_ca(desk: &Desk) -> Result<(), Failure> {
    let Some(ca) = desk.app.home_ca()? else { return Ok(()) };
    let outside: Vec<String> = desk.app.hosts_outside(&ca)?.into_iter().collect();
    if !outside.is_empty() {
        let folder = desk.home()?.ca_folder();
        desk.output.warn(&format!(
            "the home's CA does not vouch for {}, which `run` does not need, but `proxy` does: remove {}, then authsome ca export",
            outside.join(", "),
            folder.display()
        ));
    }
    Ok(())
}

fn connect(
    desk: &Desk,
    auth: &AuthService,
    provider: &Provider,
    args: &LoginArgs,
) -> Result<String, Failure> {
    let flow = chosen(desk, auth, provider, args)?;
    auth.vault()?;
    refuse_if_connected(auth, args)?;
    match flow.auth_type() {
        AuthType::ApiKey => store_key(desk, auth, provider, args),
        AuthType::OAuth2 => oauth::connect(&oauth::Request { desk, auth, provider, args, flow }),
    }
}

/// Stores a key that is typed in.
fn store_key(
    desk: &Desk,
    auth: &AuthService,
    provider: &Provider,
    args: &LoginArgs,
) -> Result<String, Failure> {
    let auth_type = AuthType::ApiKey;
    let fields = auth.login_fields(&args.provider, Some(auth_type))?;
    let asked = Asked {
        provider,
        auth_type,
        fields: &fields,
        environment: &desk.config().environment,
        output: desk.output,
        redirect_uri: None,
    };
    let (values, page) = gathered(desk, args, &asked)?;
    let store = |values| {
        let made = auth.login(&Login {
            provider: &args.provider,
            connection: Some(args.connection()),
            auth_type: Some(auth_type),
            values,
            force: args.force || args.reset,
            ..Login::default()
        })?;
        let outcome = stored(&made);
        Ok((made, outcome))
    };
    let made = match page {
        Some(page) => page.carried_out(&values, &store)?,
        None => store(values)?.0,
    };
    Ok(made.record.connection_name)
}

/// What a login asks for: from the environment, on a page, at the terminal, from standard input; inside a run on a page
/// alone. What a page has to tell is not among the values.
fn gathered(desk: &Desk, args: &LoginArgs, asked: &Asked<'_>) -> Result<(Values, Option<Page>), Failure> {
    let mut values = Values::new();
    if let Some(base_url) = &args.base_url {
        values.insert("base_url".into(), base_url.as_str().into());
    }
    if let Some(client_id) = args.client_id.as_ref().filter(|_| asked.auth_type == AuthType::OAuth2) {
        values.insert(oauth::CLIENT_ID.into(), client_id.as_str().into());
    }
    known(&values, asked.fields, &args.provider)?;
    let window = Window::of(desk, args);
    if desk.is_inside_run() {
        let page = window.map(|window| window.ask(asked, &values)).transpose()?.flatten();
        if page.is_none() {
            desk.record_refusal("login")?;
            return Err(args.without_page());
        }
        return Ok((values, page));
    }
    if args.stdin {
        if io::stdin().is_terminal() {
            return Err(usage("standard input is a terminal: leave --stdin out, and the key is not shown"));
        }
        asked.read_all(&mut io::stdin().lock(), &mut values)?;
        return Ok((values, None));
    }
    let mut terminal = Terminal::attached(args.timeout.map(Duration::from_secs));
    let page = asked.gather(window.as_ref(), terminal.as_mut(), &mut io::stdin().lock(), &mut values)?;
    Ok((values, page))
}

/// The flow that is wished for, or that suits: what is piped in is a key where the definition takes one; where no browser
/// can be opened, a device code is better than a URL.
fn chosen(
    desk: &Desk,
    auth: &AuthService,
    provider: &Provider,
    args: &LoginArgs,
) -> Result<FlowType, Failure> {
    let definition = &provider.definition;
    let own = definition.flow();
    let for_oauth = !args.scopes.is_empty() || args.client_id.is_some();
    let offers = |flow| definition.flows().contains(&flow);
    let piped = args.stdin || !io::stdin().is_terminal() && !desk.is_inside_run();
    let has_window = Window::of(desk, args).is_some();
    let flow = match args.flow.map(FlowType::from) {
        Some(flow) => flow,
        None if offers(FlowType::ApiKey) && piped && !has_window && !for_oauth => FlowType::ApiKey,
        None if own == FlowType::Pkce && !has_window && !args.no_browser && offers(FlowType::DeviceCode) => {
            FlowType::DeviceCode
        }
        None if own == FlowType::ApiKey && for_oauth => {
            let by_oauth = |flow: &FlowType| flow.auth_type() == AuthType::OAuth2;
            definition.flows().into_iter().find(by_oauth).unwrap_or(own)
        }
        None => own,
    };
    if flow == FlowType::ApiKey && own != flow && args.flow.is_none() {
        desk.output
            .note(&format!("what is piped in is taken for a key; --flow {} is the other way", own.as_str()));
    }
    if flow == FlowType::ApiKey && for_oauth {
        return Err(usage(format!("{} takes a key: --scopes and --client-id are for OAuth", args.provider)));
    }
    Ok(auth.login_flow(&args.provider, Some(flow))?)
}

/// Says so before anything is typed in.
fn refuse_if_connected(auth: &AuthService, args: &LoginArgs) -> Result<(), Failure> {
    let listed = auth.list_connections(Some(&args.provider))?;
    let works =
        listed.iter().any(|one| one.name == args.connection() && one.status == ConnectionStatus::Connected);
    if !works || args.force || args.reset {
        return Ok(());
    }
    let (provider, connection) = (args.provider.clone(), args.connection().to_owned());
    Err(auth::Error::AlreadyConnected { provider, connection }.into())
}

fn known(values: &Values, fields: &[FieldSpec], provider: &str) -> Result<(), Failure> {
    match values.keys().find(|name| fields.iter().all(|field| field.name != **name)) {
        Some(name) => Err(usage(format!("{provider} has no {name}"))),
        None => Ok(()),
    }
}

/// What the person reads on the page when all is done.
fn stored(made: &Connection) -> local::Outcome {
    let claims = &made.record.binding.claims;
    let hosts = claims.iter().map(|claim| destination::stored(claim)).collect();
    local::Outcome::Stored { account: made.record.account.label.clone(), hosts }
}

/// What stands in the templates of the hosts: everything given that is not secret.
fn open_values(fields: &[FieldSpec], values: &Values) -> BTreeMap<String, String> {
    let open = fields.iter().filter(|field| !field.secret);
    open.filter_map(|field| Some((field.name.clone(), values.get(&field.name)?.expose().clone()))).collect()
}
