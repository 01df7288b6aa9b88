//! Values that a person types into a page of ours.

use std::time::{Duration, Instant};

use authsome_providers::ProviderDefinition;
use serde_json::json;

use crate::auth;
use crate::local::browser::{Browser, BrowserError, Trust};
use crate::local::{Bridge, Form, FormKind, LocalError, Outcome, Patience, Subject, Submission};

use super::super::desk::Desk;
use super::super::failure::Failure;
use super::super::interrupt::Interrupt;
use super::LoginArgs;
use super::input::{Asked, Values};

/// How long a page waits where no time is given.
pub(super) const WAIT: Duration = Duration::from_secs(300);

/// The browser of the person, when a page can be shown there.
pub(super) struct Window<'a> {
    desk: &'a Desk,
    browser: Browser<'a>,
    connection: &'a str,
    wait: Duration,
}

impl<'a> Window<'a> {
    /// `None` without a display, and when it is not wanted.
    pub(super) fn of(desk: &'a Desk, args: &'a LoginArgs) -> Option<Self> {
        let trust = if desk.is_inside_run() { Trust::System } else { Trust::Person };
        let config = desk.config();
        let browser = Browser { screen: &config.screen, environment: &config.environment, trust };
        let wanted = !args.no_browser && !args.stdin;
        let wait = args.timeout.map_or(WAIT, Duration::from_secs);
        (wanted && browser.is_possible()).then(|| Self { desk, browser, connection: args.connection(), wait })
    }

    /// Whether a program inside a run asks. It does not learn where the page is: what it types in there is not what its
    /// human wants stored.
    fn is_for_agent(&self) -> bool {
        self.browser.trust == Trust::System
    }

    /// Opens a URL of somebody else's.
    pub(super) fn open(&self, url: &str) -> Result<(), BrowserError> {
        self.browser.open(url)
    }

    /// Shows the page and waits for it. `None` when no browser can be started, which has been said.
    pub(super) fn ask(&self, asked: &Asked<'_>, values: &Values) -> Result<Option<Page>, Failure> {
        let output = self.desk.output;
        let provider = asked.provider.definition.name().to_owned();
        let bridge = Bridge::open(self.form(asked, values)).map_err(|error| failure(&provider, error))?;
        if let Err(error) = self.browser.open(bridge.url()) {
            output.note(&format!("no page can be shown: {:#}", anyhow::Error::from(error)));
            return Ok(None);
        }
        let (url, interrupt) = (bridge.url(), Interrupt::watched());
        match (output.is_json(), self.is_for_agent()) {
            (true, true) => output.step(&json!({"status": "pending", "expires_in": self.wait.as_secs()})),
            (true, false) => {
                output
                    .step(&json!({"status": "pending", "auth_url": url, "expires_in": self.wait.as_secs()}));
            }
            (false, true) => output.say("a page is open in your human's browser, and waits for an answer"),
            (false, false) => {
                output.show(&format!("a page is open in your browser; if none appears, open {url}"));
            }
        }
        let deadline = Instant::now() + self.wait;
        Page::waited(provider, bridge, deadline, interrupt).map(Some)
    }

    fn form(&self, asked: &Asked<'_>, values: &Values) -> Form {
        let definition = &asked.provider.definition;
        let kind = asked.kind(values);
        let for_client = kind == FormKind::OAuthClient;
        Form {
            subject: Subject {
                display_name: definition.display_name().to_owned(),
                provider: definition.name().to_owned(),
                connection: self.connection.to_owned(),
            },
            kind,
            hosts: match definition.not_routed() {
                Some(_) => Vec::new(),
                None => asked.hosts(values),
            },
            stores: self.stores(definition),
            docs: if for_client { definition.client_docs() } else { definition.docs() }.map(str::to_owned),
            redirect_uri: asked.redirect_uri.clone().filter(|_| for_client),
            fields: asked.fields.iter().filter(|field| !values.contains_key(&field.name)).cloned().collect(),
            asked_by_agent: self.is_for_agent(),
        }
    }

    fn stores(&self, definition: &ProviderDefinition) -> String {
        let config = self.desk.config();
        let mut text = format!("Encrypted on this machine, in {}", config.home.display());
        if config.profile != "default" {
            text += &format!(", profile {}", config.profile);
        }
        if let Some(reason) = definition.not_routed() {
            text += &format!("; sent nowhere: {reason}");
        }
        text
    }
}

/// A page that was filled in, whose reader waits for what comes of it.
pub(super) struct Page {
    provider: String,
    bridge: Bridge,
    submission: Submission,
    deadline: Instant,
    interrupt: Interrupt,
}

impl Page {
    fn waited(
        provider: String,
        bridge: Bridge,
        deadline: Instant,
        interrupt: Interrupt,
    ) -> Result<Self, Failure> {
        let cancelled = || interrupt.happened();
        let waited = bridge.wait(Patience { deadline, cancelled: &cancelled });
        let submission = waited.map_err(|error| failure(&provider, error))?;
        Ok(Self { provider, bridge, submission, deadline, interrupt })
    }

    /// Does what was asked for, with what was typed in beside `values`, and shows what came of it. What is refused for
    /// what it is may be typed in again.
    pub(super) fn carried_out<T>(
        self,
        values: &Values,
        work: &dyn Fn(Values) -> Result<(T, Outcome), Failure>,
    ) -> Result<T, Failure> {
        let Self { provider, bridge, submission, deadline, interrupt } = self;
        let all = values.iter().chain(&submission.values);
        let failure = match work(all.map(|(name, value)| (name.clone(), value.clone())).collect()) {
            Ok((done, outcome)) => {
                submission.finish(&outcome);
                return Ok(done);
            }
            Err(failure) => failure,
        };
        let again = matches!(failure.cause(), Some(auth::Error::AuthenticationFailed { .. }));
        submission.finish(&Outcome::Failed { reason: failure.message(), again });
        if again {
            Self::waited(provider, bridge, deadline, interrupt)?.carried_out(values, work)
        } else {
            Err(failure)
        }
    }
}

pub(super) fn failure(provider: &str, error: LocalError) -> Failure {
    match error {
        LocalError::TimedOut | LocalError::Cancelled => auth::Error::InputCancelled.into(),
        other => {
            let reason = format!("{:#}", anyhow::Error::from(other));
            auth::Error::AuthenticationFailed { provider: provider.to_owned(), reason }.into()
        }
    }
}
