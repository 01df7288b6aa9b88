//! Where the values of a login come from: the environment, a page, the person at the terminal, standard input.

use std::collections::BTreeMap;
use std::io::Read;

use authsome_providers::{AuthType, FieldSpec, Provider, Source};
use zeroize::Zeroizing;

use crate::auth;
use crate::config::Environment;
use crate::local::FormKind;
use crate::secret::Secret;

use super::super::destination;
use super::super::failure::{Failure, usage};
use super::super::output::Output;

use super::super::terminal::Prompt;
use super::page::{Page, Window};
use super::{oauth, open_values};

/// No set of credentials is larger, in bytes.
const LIMIT: usize = 64 << 10;
/// How often a person may mistype.
const ATTEMPTS: usize = 3;

/// Values by the names of their fields.
pub(super) type Values = BTreeMap<String, Secret<String>>;

/// What is asked, and of whom.
pub(super) struct Asked<'a> {
    pub(super) provider: &'a Provider,
    pub(super) auth_type: AuthType,
    pub(super) fields: &'a [FieldSpec],
    pub(super) environment: &'a Environment,
    pub(super) output: Output,
    /// What an OAuth client must be registered with, for a flow in which a browser comes back.
    pub(super) redirect_uri: Option<String>,
}

impl Asked<'_> {
    /// What a page asks for.
    pub(super) fn kind(&self, values: &Values) -> FormKind {
        let mut missing = self.fields.iter().filter(|field| !values.contains_key(&field.name)).peekable();
        match self.auth_type {
            AuthType::OAuth2 if missing.peek().is_none() => FormKind::Consent,
            AuthType::OAuth2 if missing.any(oauth::is_of_client) => FormKind::OAuthClient,
            _ => FormKind::ApiKey,
        }
    }

    /// Takes each value from its variable, then asks on a page, else at the terminal, or else reads standard input.
    /// What a page has to tell is not among `values` yet.
    pub(super) fn gather<P: Prompt>(
        &self,
        window: Option<&Window<'_>>,
        mut prompt: Option<&mut P>,
        stdin: &mut dyn Read,
        values: &mut Values,
    ) -> Result<Option<Page>, Failure> {
        self.look_up(prompt.as_deref_mut(), values)?;
        let missing = |field: &&FieldSpec| !values.contains_key(&field.name);
        let is_needed = self.fields.iter().filter(missing).any(is_required);
        if let Some(window) = window.filter(|_| is_needed)
            && let Some(page) = window.ask(self, values)?
        {
            return Ok(Some(page));
        }
        match prompt {
            Some(prompt) => self.ask_all(prompt, values)?,
            None if is_needed => self.read_all(stdin, values)?,
            None => {}
        }
        Ok(None)
    }

    /// Reads the values that are still missing: one a line, as `name=value` or in order; a single one is all of it.
    pub(super) fn read_all(&self, stdin: &mut dyn Read, values: &mut Values) -> Result<(), Failure> {
        let missing: Vec<&FieldSpec> =
            self.fields.iter().filter(|field| !values.contains_key(&field.name)).collect();
        let text = read(stdin)?;
        self.output.note(&self.destination(values));
        values.extend(split(&text, &missing)?);
        Ok(())
    }

    /// The variables that the definition names. Those of a custom definition are read only after a yes: it may have
    /// been written to get hold of another provider's key.
    fn look_up<P: Prompt>(&self, mut prompt: Option<&mut P>, values: &mut Values) -> Result<(), Failure> {
        for field in self.fields.iter().filter(|field| field.secret || field.default.is_none()) {
            let Some(name) = field.env_var.as_deref().filter(|_| !values.contains_key(&field.name)) else {
                continue;
            };
            let Some(value) = self.environment.text(name) else { continue };
            if self.may_read(name, prompt.as_deref_mut(), values)? {
                self.output.note(&format!("the {} is taken from {name}", field.label));
                values.insert(field.name.clone(), value.into());
            }
        }
        Ok(())
    }

    fn may_read<P: Prompt>(
        &self,
        variable: &str,
        prompt: Option<&mut P>,
        values: &Values,
    ) -> Result<bool, Failure> {
        if self.provider.source == Source::Bundled {
            return Ok(true);
        }
        match prompt {
            Some(prompt) => {
                let question = format!("Send the value of {variable} to {}?", self.hosts(values).join(", "));
                prompt.confirm(&question)
            }
            None => {
                let name = self.provider.definition.name();
                self.output.warn(&format!(
                    "{variable} is not read: {name} is a provider of your own; say yes at a terminal"
                ));
                Ok(false)
            }
        }
    }

    fn ask_all(&self, prompt: &mut impl Prompt, values: &mut Values) -> Result<(), Failure> {
        let mut shown = false;
        for field in self.fields {
            if values.contains_key(&field.name) {
                continue;
            }
            if (field.secret || self.auth_type == AuthType::OAuth2) && !shown {
                self.output.show(&self.destination(values));
                shown = true;
            }
            let value = self.ask(prompt, field)?;
            values.insert(field.name.clone(), value);
        }
        Ok(())
    }

    fn ask(&self, prompt: &mut impl Prompt, field: &FieldSpec) -> Result<Secret<String>, Failure> {
        let question = match &field.default {
            Some(default) => format!("{} [{default}]", field.label),
            None if field.optional => format!("{} (optional)", field.label),
            None => field.label.clone(),
        };
        for _ in 0..ATTEMPTS {
            let answer = prompt.ask(&question, field.secret)?;
            let trimmed = answer.expose().trim();
            let value =
                if trimmed.is_empty() { field.default.as_deref().unwrap_or_default() } else { trimmed };
            match field.check(value) {
                Ok(()) => return Ok(value.into()),
                Err(error) => self.output.warn(&error.to_string()),
            }
        }
        Err(auth::Error::InputCancelled.into())
    }

    fn destination(&self, values: &Values) -> String {
        let definition = &self.provider.definition;
        let name = definition.display_name();
        if self.kind(values) == FormKind::OAuthClient {
            let place = definition.client_docs().unwrap_or(name);
            let redirect = self.redirect_uri.as_ref().map(|uri| format!(" with the redirect URI {uri},"));
            return format!(
                "{name} wants an OAuth client: register one{} at {place}",
                redirect.unwrap_or_default()
            );
        }
        match definition.not_routed() {
            Some(reason) => format!("the credential of {name} will be stored and sent nowhere: {reason}"),
            None => format!("the credential of {name} will be sent to {}", self.hosts(values).join(", ")),
        }
    }

    /// Where the credential will go, as far as the values tell.
    pub(super) fn hosts(&self, values: &Values) -> Vec<String> {
        let values = open_values(self.fields, values);
        destination::hosts(&self.provider.definition, self.auth_type, &values)
    }
}

fn is_required(field: &FieldSpec) -> bool {
    field.default.is_none() && !field.optional
}

fn read(stdin: &mut dyn Read) -> Result<Zeroizing<String>, Failure> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LIMIT + 1));
    stdin.take(LIMIT as u64 + 1).read_to_end(&mut bytes).map_err(Failure::Input)?;
    if bytes.len() > LIMIT {
        return Err(usage(format!("standard input holds more than {LIMIT} bytes")));
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(usage("standard input is not UTF-8")),
    }
}

/// Distributes a text over the fields that are still missing.
fn split(text: &str, missing: &[&FieldSpec]) -> Result<Values, Failure> {
    let required: Vec<&FieldSpec> = missing.iter().copied().filter(|field| is_required(field)).collect();
    let named = |line: &str| {
        let (name, value) = line.split_once('=')?;
        missing.iter().find(|field| field.name == name).map(|field| (field.name.clone(), Secret::from(value)))
    };
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let pairs: Option<Values> = lines.iter().map(|line| named(line)).collect();
    if let Some(pairs) = pairs.filter(|pairs| !pairs.is_empty() && missing.len() > 1) {
        return Ok(pairs);
    }
    if let [only] = required.as_slice() {
        return Ok(BTreeMap::from([(only.name.clone(), Secret::from(auth::without_line_end(text)))]));
    }
    let in_order = [missing, &required].into_iter().find(|fields| fields.len() == lines.len());
    match in_order {
        Some(fields) => {
            let pairs = fields.iter().zip(&lines);
            Ok(pairs.map(|(field, line)| (field.name.clone(), Secret::from(*line))).collect())
        }
        None => Err(usage(format!(
            "standard input has {} lines where {} are needed, in this order or as name=value: {}",
            lines.len(),
            required.len(),
            required.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ")
        ))),
    }
}

#[cfg(test)]
mod tests;
