//! `host_url` and `domains`: the claims of a definition, their templates unfilled.

use std::collections::BTreeMap;

use super::DefinitionError;
use super::read::{Item, Object};
use crate::claim::Claim;
use crate::suffix;
use crate::template::{BASE_URL, Piece, Template, TemplateError};

/// What stands for a base URL while a template is checked.
const SAMPLE_BASE: &str = "https://base-url.example.com";
/// What stands for any other field.
const SAMPLE_LABEL: &str = "sample";

/// The hosts of a definition.
#[derive(Debug, Clone, Default)]
pub(super) struct Hosts {
    entries: Vec<HostUrl>,
    domains: Vec<String>,
}

#[derive(Debug, Clone)]
struct HostUrl {
    form: HostForm,
    variant: Option<String>,
}

#[derive(Debug, Clone)]
enum HostForm {
    /// Braces in a regex are repetitions.
    Regex(String),
    Template(Template),
}

/// Reads `host_url` (or `api_url`) and `domains`.
pub(super) fn read(root: &Object<'_>) -> Result<Hosts, DefinitionError> {
    let key = root.spelling("host_url", "api_url")?;
    let domains = root.strings("domains")?.into_iter().map(str::to_ascii_lowercase).collect();
    let mut hosts = Hosts { entries: Vec::new(), domains };
    for (at, item) in root.items(key)?.into_iter().enumerate() {
        let place = format!("{key}[{at}]");
        let (text, variant) = match item {
            Item::Text(text) => (text, None),
            Item::Object(object) => (object.required("url")?, Some(object.required("variant")?.to_owned())),
        };
        let form = host_form(text).map_err(|error| root.error(&place, error))?;
        let entry = HostUrl { form, variant };
        entry.check(&hosts.domains).map_err(|problem| root.error(&place, problem))?;
        hosts.entries.push(entry);
    }
    Ok(hosts)
}

fn host_form(text: &str) -> Result<HostForm, crate::template::TemplateSyntaxError> {
    if text.starts_with("regex:") {
        Ok(HostForm::Regex(text.into()))
    } else {
        text.parse().map(HostForm::Template)
    }
}

impl Hosts {
    /// The names of all fields in the hosts.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(HostUrl::template).flat_map(Template::fields)
    }

    /// The variants that the hosts name.
    pub(super) fn variants(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(|entry| entry.variant.as_deref())
    }

    pub(super) fn claims(&self, values: &BTreeMap<String, String>) -> Result<Vec<Claim>, TemplateError> {
        self.entries.iter().map(|entry| entry.claim(&self.domains, values)).collect()
    }
}

impl HostUrl {
    fn template(&self) -> Option<&Template> {
        match &self.form {
            HostForm::Template(template) => Some(template),
            HostForm::Regex(_) => None,
        }
    }

    fn claim(&self, domains: &[String], values: &BTreeMap<String, String>) -> Result<Claim, TemplateError> {
        let text = match &self.form {
            HostForm::Regex(text) => text.clone(),
            HostForm::Template(template) => template.fill(values)?,
        };
        let claim = Claim::parse_host_url(&text, domains)
            .map_err(|error| TemplateError::Host { text, reason: error.to_string() })?;
        Ok(Claim { variant: self.variant.clone(), ..claim })
    }

    fn check(&self, domains: &[String]) -> Result<(), String> {
        if self.variant.is_some() && matches!(self.form, HostForm::Regex(_)) {
            return Err("a regex cannot have a variant".into());
        }
        let text = match &self.form {
            HostForm::Regex(text) => text.clone(),
            HostForm::Template(template) => sample(template)?,
        };
        Claim::parse_host_url(&text, domains).map(drop).map_err(|error| error.to_string())
    }
}

/// The template filled with stand-ins, once its shape is found safe: a base URL only at the start and followed by a
/// path, and right of the last field of a host more than a public suffix.
pub(super) fn sample(template: &Template) -> Result<String, String> {
    let text = template.as_str();
    let misplaced = template.fields().filter(|name| *name == BASE_URL).count() > 1
        || text.split_once("{base_url}").is_some_and(|(before, after)| {
            !before.is_empty() || !(after.is_empty() || after.starts_with('/'))
        });
    if misplaced {
        return Err("`{base_url}` stands only at the start, followed by nothing or a path".into());
    }
    let authority = text.strip_prefix("https://").unwrap_or(text).split('/').next().unwrap_or_default();
    if let Some((_, tail)) = authority.rsplit_once('}').filter(|_| !authority.starts_with("{base_url}")) {
        let domain = tail.split_once('.').map_or("", |(_, domain)| domain);
        let domain = domain.split(':').next().unwrap_or_default();
        if domain.is_empty() || suffix::is_registry_suffix(domain) {
            return Err("a field must stand below a domain of the provider's".into());
        }
    }
    Ok(template.pieces().iter().map(stand_in).collect())
}

fn stand_in(piece: &Piece) -> &str {
    match piece {
        Piece::Literal(text) => text,
        Piece::Field(name) if name == BASE_URL => SAMPLE_BASE,
        Piece::Field(_) => SAMPLE_LABEL,
    }
}
