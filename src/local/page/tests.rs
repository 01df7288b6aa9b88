use authsome_providers::{AuthType, ProviderDefinition};
use serde_json::json;

use super::*;

const SCRIPT_TAG: &str = "\"'><script>alert(1)</script>";

fn subject(name: &str) -> Subject {
    Subject { display_name: name.into(), provider: name.into(), connection: name.into() }
}

fn fields() -> Vec<FieldSpec> {
    let definition = json!({
        "schema_version": 1, "name": "acme", "display_name": "Acme", "auth_type": "api_key", "flow": "api_key",
        "host_url": "{tenant}.acme.test", "fields": [{"name": "email", "label": "E-mail", "optional": true}],
        "api_key": {"key_pattern": "sk-.*", "key_pattern_hint": "A key starts with sk-."},
    });
    ProviderDefinition::from_value(definition).unwrap().fields(AuthType::ApiKey)
}

fn asking(text: &str) -> Form {
    Form {
        subject: subject(text),
        kind: FormKind::OAuthClient,
        hosts: vec![text.into()],
        stores: text.into(),
        docs: Some(format!("https://docs.acme.test/{text}")),
        redirect_uri: Some(text.into()),
        fields: fields().into_iter().map(|field| FieldSpec { label: text.into(), ..field }).collect(),
        asked_by_agent: true,
    }
}

/// The page without its own script and style.
fn without_ours(html: &str) -> String {
    assert_eq!((html.matches(SCRIPT).count(), html.matches(STYLE).count()), (1, 1));
    html.replace(&format!("<script>{SCRIPT}</script>"), "").replace(STYLE, "")
}

#[test]
fn what_others_wrote_is_never_markup() {
    let text = SCRIPT_TAG.to_owned();
    let named = |text: &str| fields().iter().map(|field| (field.name.clone(), text.to_owned())).collect();
    let given = Given { values: named(SCRIPT_TAG), mistakes: named(SCRIPT_TAG), failure: Some(text.clone()) };
    let outcomes = [
        Outcome::Stored { account: Some(text.clone()), hosts: vec![text.clone()] },
        Outcome::Denied,
        Outcome::Failed { reason: text.clone(), again: false },
        Outcome::Continue { url: format!("https://auth.acme.test/?a={text}") },
    ];
    let mut pages = vec![form(&asking(SCRIPT_TAG), &given), cancelled(&subject(SCRIPT_TAG))];
    pages.extend(outcomes.iter().map(|one| outcome(&subject(SCRIPT_TAG), one)));
    for html in pages {
        let html = without_ours(&html);
        assert!(!html.contains("<script") && !html.contains(SCRIPT_TAG), "{html}");
        assert!(html.contains("&#60;script&#62;"), "{html}");
    }
}

#[test]
fn a_form_shows_what_is_open_and_never_a_secret() {
    let values = [("tenant", "acme-tenant"), ("api_key", "sk-secret")];
    let values = values.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let mistakes = [("api_key".to_owned(), "A key starts with sk-.".to_owned())].into();
    let html = form(&asking("Acme"), &Given { values, mistakes, failure: None });
    assert!(html.contains("value=\"acme-tenant\"") && !html.contains("sk-secret"), "{html}");
    assert!(html.contains("aria-describedby=\"mistake-api_key\""), "{html}");
    let focused = html.split("<input").find(|input| input.contains("autofocus")).unwrap();
    assert!(focused.contains("field-api_key"), "{focused}");
}

#[test]
fn only_a_link_of_https_can_be_followed() {
    for docs in
        ["javascript:alert(1)", "http://docs.acme.test", "https://", "https://acme.test@evil.test/", "data:,"]
    {
        let form = Form { docs: Some(docs.into()), ..asking("Acme") };
        assert!(!super::form(&form, &Given::default()).contains("<a "), "{docs}");
    }
    let html = form(&asking("Acme"), &Given::default());
    assert!(
        html.contains("href=\"https://docs.acme.test/Acme\"") && html.contains("at docs.acme.test<"),
        "{html}"
    );
}

#[test]
fn a_page_needs_nothing_from_elsewhere() {
    let policy = policy().to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let html = without_ours(&form(&asking("Acme"), &Given::default()));
    for loaded in [" src=", "@import", "url(", "style=", "onclick", "<iframe"] {
        assert!(!html.contains(loaded), "{loaded}");
    }
}
