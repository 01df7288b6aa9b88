//! `host_url` and `domains`: the claims of a definition, their templates unfilled.

use std::collections::BTreeMap;

use super::document::HostEntry;
use super::{AuthType, DefinitionError};
use crate::claim::Claim;
use crate::suffix;
use crate::suspect::Reach;
use crate::template::{BASE_URL, Piece, Template, TemplateError};
use crate::url::{self, HttpsUrl};

/// What stands for a base URL while a template is checked.
const SAMPLE_BASE: &str = "https://base-url.example.com";
/// What stands for any other field.
const SAMPLE_LABEL: &str = "sample";
/// No definition has more hosts.
const MAX_HOSTS: usize = 512;

/// The hosts of a definition.
#[derive(Debug, Clone, Default)]
pub(super) struct Hosts {
    entries: Vec<HostUrl>,
    domains: Vec<String>,
}

#[derive(Debug, Clone)]
struct HostUrl {
    form: HostForm,
    /// The claim with stand-ins for its fields; the claim itself where there are none.
    sample: Claim,
    /// The only kind of credential that goes there.
    auth_type: Option<AuthType>,
}

#[derive(Debug, Clone)]
enum HostForm {
    /// Braces in a regex are repetitions.
    Regex(String),
    Template(Template),
}

/// Makes the hosts from `host_url` and `domains`.
pub(super) fn build(entries: Vec<HostEntry>, domains: Vec<String>) -> Result<Hosts, DefinitionError> {
    let domains = domains.into_iter().map(|domain| domain.to_ascii_lowercase()).collect();
    let mut hosts = Hosts { entries: Vec::new(), domains };
    for (at, entry) in entries.into_iter().enumerate() {
        let failed = |problem: String| DefinitionError::field(format!("host_url[{at}]"), problem);
        let (text, variant, auth_type) = match entry {
            HostEntry::Text(text) => (text, None, None),
            HostEntry::Conditional(host) => (host.url.0, host.variant.map(|name| name.0), host.auth_type),
        };
        if at == MAX_HOSTS {
            return Err(failed(format!("is one of more than {MAX_HOSTS}")));
        }
        let form = host_form(&text).map_err(|error| failed(error.to_string()))?;
        let sample = form.sample(&hosts.domains, variant).map_err(failed)?;
        hosts.entries.push(HostUrl { form, sample, auth_type });
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
    /// The names of the fields in the hosts for a kind of credential, or for any.
    pub(super) fn fields(&self, auth: Option<AuthType>) -> impl Iterator<Item = &str> {
        self.entries.iter().filter(move |entry| entry.takes(auth)).flat_map(HostUrl::fields)
    }

    /// The variants that the hosts for a kind of credential name.
    pub(super) fn variants(&self, auth: AuthType) -> impl Iterator<Item = &str> {
        let entries = self.entries.iter().filter(move |entry| entry.takes(Some(auth)));
        entries.filter_map(|entry| entry.sample.variant.as_deref())
    }

    /// The claims of a kind of credential. A host is left out when a field in it is in `absent`.
    pub(super) fn claims(
        &self,
        auth: AuthType,
        values: &BTreeMap<String, String>,
        absent: &[&str],
    ) -> Result<Vec<Claim>, TemplateError> {
        let entries = self.entries.iter().filter(|entry| entry.takes(Some(auth)));
        let given = entries.filter(|entry| !entry.fields().any(|field| absent.contains(&field)));
        given.map(|entry| entry.claim(&self.domains, values)).collect()
    }

    /// The claims with stand-ins for all fields.
    pub(super) fn samples(&self) -> Vec<Claim> {
        self.entries.iter().map(|entry| entry.sample.clone()).collect()
    }

    /// The hosts that are reached, whatever the fields hold; none for a base URL, which is a person's own.
    pub(super) fn reaches(&self) -> Vec<Reach> {
        let known = self.entries.iter().filter(|entry| entry.fields().all(|field| field != BASE_URL));
        let reach = |entry: &HostUrl| {
            let (text, host) = match &entry.form {
                HostForm::Regex(text) => (text.clone(), None),
                HostForm::Template(template) => {
                    let stars = template.pieces().iter().map(|piece| match piece {
                        Piece::Literal(text) => text.as_str(),
                        Piece::Field(_) => "*",
                    });
                    (authority(template.as_str()), Some(authority(&stars.collect::<String>())))
                }
            };
            Reach { text, host, pattern: entry.sample.pattern.clone() }
        };
        known.map(reach).collect()
    }

    /// The claims whose fields all have a value.
    pub(super) fn filled(&self, values: &BTreeMap<String, String>) -> impl Iterator<Item = Claim> {
        self.entries.iter().filter_map(|entry| entry.claim(&self.domains, values).ok())
    }
}

impl HostUrl {
    fn takes(&self, auth: Option<AuthType>) -> bool {
        self.auth_type.is_none() || auth.is_none() || self.auth_type == auth
    }

    fn fields(&self) -> impl Iterator<Item = &str> {
        let template = match &self.form {
            HostForm::Template(template) => Some(template),
            HostForm::Regex(_) => None,
        };
        template.into_iter().flat_map(Template::fields)
    }

    fn claim(&self, domains: &[String], values: &BTreeMap<String, String>) -> Result<Claim, TemplateError> {
        let HostForm::Template(template) = &self.form else { return Ok(self.sample.clone()) };
        if template.fields().next().is_none() {
            return Ok(self.sample.clone());
        }
        let text = template.fill(values)?;
        let claim = Claim::parse_host_url(&text, domains)
            .map_err(|error| TemplateError::Host { text, reason: error.to_string() })?;
        Ok(Claim { variant: self.sample.variant.clone(), ..claim })
    }
}

impl HostForm {
    fn sample(&self, domains: &[String], variant: Option<String>) -> Result<Claim, String> {
        let text = match self {
            Self::Regex(_) if variant.is_some() => return Err("a regex cannot have a variant".into()),
            Self::Regex(text) => text.clone(),
            Self::Template(template) => sample(template)?,
        };
        let claim = Claim::parse_host_url(&text, domains).map_err(|error| error.to_string())?;
        Ok(Claim { variant, ..claim })
    }
}

fn authority(url: &str) -> String {
    let rest = url.strip_prefix("https://").unwrap_or(url);
    rest.split(['/', ':']).next().unwrap_or_default().to_ascii_lowercase()
}

/// What a URL names when its fields have stand-ins.
pub(super) fn place(template: &Template) -> Result<HttpsUrl, String> {
    url::parse(&sample(template)?).map_err(|error| error.to_string())
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
