//! What can be said to `authsome login`.

use authsome_providers::FlowType;
use clap::{Args, ValueEnum};

use crate::auth;

use super::super::dial::DialArgs;
use super::super::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  authsome login openai                         asks for the key, on a page in your browser
  authsome login openai --no-browser            asks for it here, without showing it
  authsome login openai --stdin < key.txt       takes it from a file
  pass show openai | authsome login openai --stdin    or from another program
  authsome login gitlab --base-url https://gitlab.example.com
  authsome login openai --connection work       a second key beside the first
  authsome login github                         OAuth: asks for an app once, then GitHub asks you
  authsome login github --flow device_code      by a code that you enter on another device
  printf 'acme\\nme@acme.test\\nKEY\\n' | authsome login zendesk --stdin

A key is taken from the variable that the provider's definition names, else you
are asked for it: on a page where there is a display, else here. Without either it
is read from standard input. Several values there stand
one a line: as name=value, or in the order in which you would be asked. A key is
never an argument: others could read it.";

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Flow {
    Pkce,
    DeviceCode,
    DcrPkce,
    ApiKey,
    ClientCredentials,
    TokenExchange,
}

impl From<Flow> for FlowType {
    fn from(flow: Flow) -> Self {
        match flow {
            Flow::Pkce => Self::Pkce,
            Flow::DeviceCode => Self::DeviceCode,
            Flow::DcrPkce => Self::DcrPkce,
            Flow::ApiKey => Self::ApiKey,
            Flow::ClientCredentials => Self::ClientCredentials,
            Flow::TokenExchange => Self::TokenExchange,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in super::super) struct LoginArgs {
    /// The provider's name
    pub(in super::super) provider: String,
    /// How to authenticate
    #[arg(long, value_enum)]
    pub(super) flow: Option<Flow>,
    /// What the connection is called [default: default]
    #[arg(long, value_name = "NAME")]
    pub(super) connection: Option<String>,
    /// The scopes to ask for, separated by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(super) scopes: Vec<String>,
    /// The installation, for providers that run in many places
    #[arg(long, value_name = "URL")]
    pub(super) base_url: Option<String>,
    /// The OAuth client's id
    #[arg(long, value_name = "ID")]
    pub(super) client_id: Option<String>,
    /// Ask for the OAuth client anew, and replace the connection
    #[arg(long)]
    pub(super) reset: bool,
    /// Replace a connection that works
    #[arg(long)]
    pub(super) force: bool,
    /// Read standard input at once; ask nothing
    #[arg(long)]
    pub(super) stdin: bool,
    /// Do not open a browser
    #[arg(long)]
    pub(super) no_browser: bool,
    /// How long to wait for an answer
    #[arg(long, value_name = "SECONDS")]
    pub(super) timeout: Option<u64>,
    /// Allow a stored credential what the definition says today; shows the difference and asks
    #[arg(long, conflicts_with_all = ["stdin", "reset", "force", "base_url", "flow"])]
    pub(super) rebind: bool,
    #[command(flatten)]
    pub(in super::super) dial: DialArgs,
}

impl LoginArgs {
    pub(super) fn connection(&self) -> &str {
        self.connection.as_deref().unwrap_or("default")
    }

    /// Inside a run a provider, a connection and a time may be named; its human is asked on a page.
    pub(in super::super) fn refused_inside_run(&self) -> Option<&'static str> {
        let Self { provider: _, connection: _, timeout: _, flow, scopes, base_url, client_id, .. } = self;
        let names = flow.is_some() || !scopes.is_empty() || base_url.is_some() || client_id.is_some();
        let switches = self.reset || self.force || self.stdin || self.no_browser || self.rebind;
        (names || switches || self.dial.is_given()).then_some("login")
    }

    pub(super) fn without_page(&self) -> Failure {
        let connection = self.connection.as_ref().map(|name| format!(" --connection {name}"));
        let command = format!("login {}{}", self.provider, connection.unwrap_or_default());
        auth::Error::NoPageInsideRun(command).into()
    }
}
