//! What a form sends.

use std::collections::BTreeMap;

use authsome_providers::FieldSpec;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use zeroize::Zeroizing;

use super::{FormSite, Values};
use crate::local::encoding;
use crate::local::page::{self, Given};
use crate::local::server::{Asked, Reply};
use crate::secret::Secret;

/// Before the names of fields, so that none is taken for the button.
const FIELD: &str = "field-";

impl FormSite {
    /// The values that were sent, checked; `None` is the person's Cancel.
    pub(super) fn read(&self, asked: &Asked) -> Result<Option<Values>, Reply> {
        let malformed = || Reply::new(StatusCode::BAD_REQUEST, page::refused());
        let kind = asked.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.split(';').next().map(str::trim) != Some("application/x-www-form-urlencoded") {
            return Err(malformed());
        }
        let mut sent = BTreeMap::new();
        for (name, value) in encoding::pairs(&asked.body).ok_or_else(malformed)? {
            if sent.insert(name, value).is_some() {
                return Err(malformed());
            }
        }
        match sent.remove("do").as_deref().map(String::as_str) {
            Some("cancel") => return Ok(None),
            Some("store") => {}
            _ => return Err(malformed()),
        }
        let values = self.taken(&mut sent);
        if !sent.is_empty() {
            return Err(malformed());
        }
        let wrong = |field: &FieldSpec| {
            Some((field.name.clone(), field.check(values.get(&field.name)?.expose()).err()?.to_string()))
        };
        let mistakes: BTreeMap<String, String> = self.form.fields.iter().filter_map(wrong).collect();
        if mistakes.is_empty() {
            return Ok(Some(values));
        }
        let given = Given { mistakes, ..self.kept(&values) };
        Err(Reply::new(StatusCode::UNPROCESSABLE_ENTITY, page::form(&self.form, &given)))
    }

    /// The value of each field, its default where nothing was given.
    fn taken(&self, sent: &mut BTreeMap<String, Zeroizing<String>>) -> Values {
        let value = |field: &FieldSpec| {
            let given = sent.remove(&format!("{FIELD}{}", field.name)).unwrap_or_default();
            let trimmed = given.trim();
            let value =
                if trimmed.is_empty() { field.default.as_deref().unwrap_or_default() } else { trimmed };
            (field.name.clone(), Secret::from(value))
        };
        self.form.fields.iter().map(value).collect()
    }

    /// What may be shown again.
    pub(super) fn kept(&self, values: &Values) -> Given {
        let open = self.form.fields.iter().filter(|field| !field.secret);
        let pair = |field: &FieldSpec| Some((field.name.clone(), values.get(&field.name)?.expose().clone()));
        Given { values: open.filter_map(pair).collect(), ..Given::default() }
    }
}
