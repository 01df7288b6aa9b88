use std::collections::VecDeque;

use authsome_providers::{AuthType, ProviderDefinition};
use serde_json::{Value, json};

use super::*;

/// A person who answers as planned, and whoever looks over the shoulder.
#[derive(Default)]
struct Person {
    answers: VecDeque<&'static str>,
    heard: Vec<(String, bool)>,
}

impl Person {
    fn saying(answers: &[&'static str]) -> Self {
        Self { answers: answers.iter().copied().collect(), heard: Vec::new() }
    }
}

impl Prompt for Person {
    fn ask(&mut self, question: &str, masked: bool) -> Result<Secret<String>, Failure> {
        self.heard.push((question.to_owned(), masked));
        self.answers.pop_front().map(Secret::from).ok_or_else(|| auth::Error::InputCancelled.into())
    }
}

fn provider(source: Source, extra: &Value) -> Provider {
    let mut definition = json!({
        "schema_version": 1, "name": "acme", "display_name": "Acme", "auth_type": "api_key", "flow": "api_key",
        "host_url": "api.acme.test", "api_key": {"env_var": "ACME_API_KEY"},
    });
    if let (Value::Object(fields), Value::Object(extra)) = (&mut definition, extra) {
        fields.extend(extra.clone());
    }
    let definition = ProviderDefinition::from_value(definition).unwrap();
    Provider { definition, source, overrides_bundled: false }
}

fn tenanted() -> Value {
    json!({
        "host_url": "{tenant}.acme.test",
        "fields": [{"name": "email", "label": "E-mail"}, {"name": "region", "label": "Region", "default": "eu"}],
        "api_key": {"basic": {"username": "{email}", "password": "{api_key}"}},
    })
}

/// What is gathered, as plain text, from these variables, this person and this standard input.
fn gather(
    provider: &Provider,
    variables: &[(&str, &str)],
    person: Option<&mut Person>,
    stdin: &str,
) -> Result<BTreeMap<String, String>, Failure> {
    let fields = provider.definition.fields(AuthType::ApiKey);
    let variables: BTreeMap<String, String> = variables
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .chain([("HOME".into(), "/".into())])
        .collect();
    let environment = crate::config::load(crate::config::Flags::default(), &variables).unwrap().environment;
    let asked = Asked {
        provider,
        auth_type: AuthType::ApiKey,
        fields: &fields,
        environment: &environment,
        output: Output::new(false, true, true),
        redirect_uri: None,
    };
    let mut values = Values::new();
    asked.gather(None, person, &mut stdin.as_bytes(), &mut values)?;
    Ok(values.into_iter().map(|(name, value)| (name, value.expose().clone())).collect())
}

#[test]
fn a_bundled_definition_reads_its_variable_and_asks_nothing() {
    let bundled = provider(Source::Bundled, &json!({}));
    let mut person = Person::default();
    let values = gather(&bundled, &[("ACME_API_KEY", "sk-1")], Some(&mut person), "").unwrap();
    assert_eq!(values["api_key"], "sk-1");
    assert!(person.heard.is_empty());
}

#[test]
fn a_custom_definition_reads_a_variable_only_after_a_yes_that_names_it_and_the_host() {
    let custom = provider(Source::Custom, &json!({}));
    let variables = [("ACME_API_KEY", "sk-1")];
    let mut person = Person::saying(&["y"]);
    assert_eq!(gather(&custom, &variables, Some(&mut person), "").unwrap()["api_key"], "sk-1");
    let question = &person.heard[0].0;
    assert!(question.contains("ACME_API_KEY") && question.contains("api.acme.test"), "{question}");
    let mut person = Person::saying(&["", "sk-typed"]);
    assert_eq!(gather(&custom, &variables, Some(&mut person), "").unwrap()["api_key"], "sk-typed");
    assert_eq!(gather(&custom, &variables, None, "sk-piped\n").unwrap()["api_key"], "sk-piped");
}

#[test]
fn a_person_is_asked_in_order_with_secrets_masked_and_defaults_shown() {
    let provider = provider(Source::Custom, &tenanted());
    let mut person = Person::saying(&["acme", "me@acme.test", "", " sk-2 "]);
    let values = gather(&provider, &[], Some(&mut person), "").unwrap();
    assert_eq!(values["tenant"], "acme");
    assert_eq!((values["region"].as_str(), values["api_key"].as_str()), ("eu", "sk-2"));
    let heard: Vec<(&str, bool)> =
        person.heard.iter().map(|(question, masked)| (question.as_str(), *masked)).collect();
    assert_eq!(heard, [("Tenant", false), ("E-mail", false), ("Region [eu]", false), ("API key", true)]);
}

#[test]
fn a_person_who_mistypes_is_asked_again_and_not_forever() {
    let provider = provider(Source::Custom, &tenanted());
    let mut person = Person::saying(&["Not A Tenant", "acme", "me@acme.test", "", "sk"]);
    assert_eq!(gather(&provider, &[], Some(&mut person), "").unwrap()["tenant"], "acme");
    let mut person = Person::saying(&["", "", "", "", ""]);
    assert!(gather(&provider, &[], Some(&mut person), "").is_err());
    assert_eq!(person.heard.len(), 3);
}

#[test]
fn one_value_is_all_of_standard_input() {
    let provider = provider(Source::Custom, &json!({}));
    for (stdin, key) in [
        ("sk\n", "sk"),
        ("sk\r\n", "sk"),
        ("a b=c", "a b=c"),
        ("api_key=x\n", "api_key=x"),
        ("a\nb\n", "a\nb"),
    ] {
        assert_eq!(gather(&provider, &[], None, stdin).unwrap()["api_key"], key);
    }
}

#[test]
fn several_values_stand_one_a_line_by_name_or_in_order() {
    let provider = provider(Source::Custom, &tenanted());
    for stdin in [
        "api_key=sk=3\nemail=me@acme.test\ntenant=acme\n",
        "acme\nme@acme.test\nsk=3\n",
        "acme\r\nme@acme.test\r\neu\r\nsk=3",
    ] {
        let values = gather(&provider, &[], None, stdin).unwrap();
        assert_eq!((values["tenant"].as_str(), values["api_key"].as_str()), ("acme", "sk=3"), "{stdin}");
    }
    for stdin in ["", "acme\n", "1\n2\n3\n4\n5\n"] {
        let error = gather(&provider, &[], None, stdin).unwrap_err().message();
        assert!(error.contains("tenant, email, api_key"), "{error}");
    }
}

#[test]
fn what_is_no_text_or_too_long_is_refused() {
    let fails = |bytes: &[u8]| read(&mut &*bytes).is_err();
    assert!(fails(&[0xff, 0xfe]));
    assert!(fails(&vec![b'a'; LIMIT + 1]));
    assert!(!fails(&vec![b'a'; LIMIT]));
}
