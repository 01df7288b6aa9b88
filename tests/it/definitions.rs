//! Custom definitions that are wrong, hostile or sly: each is named with file, line and field, and the rest goes on.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::support::definition::Definition;
use crate::support::home::Home;

/// A definition over several lines, with one of its lines replaced.
fn with_line(name: &str, key: &str, line: &str) -> String {
    let lines = [
        format!("\"name\": \"{name}\","),
        "\"display_name\": \"Bad\",".to_owned(),
        "\"auth_type\": \"api_key\",".to_owned(),
        "\"flow\": \"api_key\",".to_owned(),
        "\"host_url\": \"api.bad-corp.com\",".to_owned(),
        "\"api_key\": {}".to_owned(),
    ];
    let lines = lines.map(|own| if own.starts_with(&format!("\"{key}\"")) { line.to_owned() } else { own });
    format!("{{\n{}\n}}\n", lines.join("\n"))
}

/// Files that are refused, and what must be said of each.
fn refused() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let text = |name: &str, key: &str, line: &str| with_line(name, key, line).into_bytes();
    let huge = format!("\"host_url\": \"regex:{}\",", "(a|b){1,99}".repeat(60));
    vec![
        ("catchall", text("catchall", "host_url", "\"host_url\": \"*\","), "line 6: `host_url[0]`"),
        (
            "suffix",
            text("suffix", "host_url", "\"host_url\": [\"ok.bad-corp.com\", \"*.com\"],"),
            "line 6: `host_url[1]`",
        ),
        ("anything", text("anything", "host_url", "\"host_url\": \"regex:.*\","), "line 6: `host_url[0]`"),
        (
            "backtracks",
            text("backtracks", "host_url", "\"host_url\": \"regex:(a+)+\","),
            "line 6: `host_url[0]`",
        ),
        ("hugeregex", text("hugeregex", "host_url", &huge), "line 6: `host_url[0]`"),
        (
            "userinfo",
            text("userinfo", "host_url", "\"host_url\": \"https://me@api.bad-corp.com\","),
            "line 6: `host_url[0]` the URL must not contain userinfo",
        ),
        (
            "cleartext",
            text("cleartext", "host_url", "\"host_url\": \"http://api.bad-corp.com\","),
            "line 6: `host_url[0]`",
        ),
        (
            "header",
            text("header", "api_key", "\"api_key\": {\n\"header_name\": \"X Key\"}"),
            "line 8: `api_key.header_name`",
        ),
        (
            "hophop",
            text("hophop", "api_key", "\"api_key\": {\"header_name\": \"Connection\"}"),
            "line 7: `api_key.header_name`",
        ),
        (
            "twice",
            text("twice", "flow", "\"flow\": \"api_key\", \"flow\": \"api_key\","),
            "flow is given twice",
        ),
        (
            "future",
            text("future", "flow", "\"schema_version\": 2, \"flow\": \"api_key\","),
            "line 5: `schema_version` is 2",
        ),
        ("cut", b"{\n\"name\": ".to_vec(), "line 1"),
        ("latin1", b"{\"name\": \"caf\xe9\"}".to_vec(), "utf-8"),
        ("large", vec![b' '; 10 << 20], "larger than"),
        (
            "othername",
            text("elsewhere", "flow", "\"flow\": \"api_key\","),
            "line 2: `name` must equal the file's name",
        ),
    ]
}

/// What a command says of a file, wherever it says it.
fn said_of<'a>(text: &'a str, file: &str) -> Vec<&'a str> {
    text.split(['\n', ';']).filter(|sentence| sentence.contains(&format!("{file}.json"))).collect()
}

#[test]
fn what_is_refused_is_named_by_list_and_doctor_and_the_rest_goes_on() {
    let home = Home::new();
    home.define(&Definition::bearer("good", "api.good-corp.com"));
    let folder = home.path().join("providers");
    for (name, content, _) in refused() {
        std::fs::write(folder.join(format!("{name}.json")), content).unwrap();
    }
    let aside = home.scratch().join("linked.json");
    std::fs::write(&aside, with_line("linked", "", "")).unwrap();
    symlink(&aside, folder.join("linked.json")).unwrap();

    let list = home.run(&["list"]);
    assert_eq!(list.status.code(), Some(0));
    let warnings = String::from_utf8(list.stderr).unwrap();
    let doctor = home.run(&["--json", "doctor"]);
    assert_eq!(doctor.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["name"] == "definitions").unwrap();
    let message = found["message"].as_str().unwrap().to_lowercase();
    for (name, _, expected) in refused().into_iter().chain([("linked", Vec::new(), "")]) {
        let said = said_of(&warnings, name).join("\n").to_lowercase();
        assert!(!said.is_empty() && said.contains(&expected.to_lowercase()), "{name}: {said}");
        assert!(message.contains(&expected.to_lowercase()) && message.contains(name), "{name}: {message}");
    }
    let output = String::from_utf8(list.stdout).unwrap();
    assert!(output.contains("[good]") && output.contains("[openai]"), "{output}");
    home.login("good", "key-1");
    home.ok(&["get", "good"]);
}

#[test]
fn registering_it_names_file_line_and_field() {
    let home = Home::new();
    for (name, content, expected) in refused() {
        let file = home.scratch().join(format!("{name}.json"));
        std::fs::write(&file, content).unwrap();
        let output = home.run(&["register", file.to_str().unwrap()]);
        let said = String::from_utf8(output.stderr).unwrap();
        if name == "othername" {
            continue;
        }
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(said.contains(&format!("{name}.json")), "{name}: {said}");
        assert!(said.to_lowercase().contains(&expected.to_lowercase()), "{name}: {said}");
    }
    assert!(!home.path().join("providers/catchall.json").exists());
}

#[test]
fn comments_and_trailing_commas_are_welcome() {
    let home = Home::new();
    let file = home.scratch().join("lenient.json");
    let text = with_line("lenient", "api_key", "\"api_key\": {/* the default */}, // and no more\n");
    std::fs::write(&file, text).unwrap();
    home.ok(&["register", file.to_str().unwrap()]);
    assert!(home.ok(&["list"]).contains("[lenient]"));
}

#[test]
fn a_look_alike_and_a_claim_on_anothers_host_are_told_wherever_it_matters() {
    let home = Home::new();
    let sly = Definition::bearer("opena1", "api.openai.com");
    let file = home.scratch().join("opena1.json");
    std::fs::write(&file, sly.0.to_string()).unwrap();
    let sentences = ["easily taken for `openai`", "claims api.openai.com, as `openai` does"];
    let register = home.run(&["register", file.to_str().unwrap()]);
    let list = home.run(&["list"]);
    let doctor = home.run(&["doctor"]);
    for output in [&register, &list, &doctor] {
        let said = [&output.stdout[..], &output.stderr[..]].concat();
        let said = String::from_utf8(said).unwrap();
        for sentence in sentences {
            assert!(said.contains(sentence), "{sentence}: {said}");
        }
    }
}

#[test]
fn a_name_that_several_connections_export_is_told_by_the_doctor() {
    let home = Home::new();
    let exporting = |name: &str| {
        Definition::bearer(name, &format!("api.{name}.test"))
            .with("export", json!({"env": {"api_key": "SHARED_KEY"}}))
    };
    for name in ["one", "two"] {
        home.define(&exporting(name));
        home.login(name, "key-1");
    }
    let doctor = home.ok(&["doctor"]);
    assert!(doctor.contains("SHARED_KEY stands for one and two at once"), "{doctor}");
}

#[test]
fn an_alias_works_wherever_a_name_does() {
    let home = Home::new();
    home.login("klaviyo-oauth", "pk_1234567890");
    for command in ["get", "inspect", "export"] {
        assert!(home.ok(&[command, "klaviyo-oauth"]).to_lowercase().contains("klaviyo"), "{command}");
    }
    home.ok(&["connection", "default", "klaviyo-oauth", "default"]);
    for choice in [["--require", "klaviyo-oauth"], ["--connection", "klaviyo-oauth=default"]] {
        home.ok(&["run", choice[0], choice[1], "--", "true"]);
    }
    let ended: Value = serde_json::from_str(&home.ok(&["--json", "logout", "klaviyo-oauth"])).unwrap();
    assert_eq!(ended["provider"], "klaviyo");
    assert_ne!(home.run(&["get", "klaviyo"]).status.code(), Some(0));
    assert!(home.audit().iter().all(|event| event["provider"] != "klaviyo-oauth"));
}

#[test]
fn what_is_known_by_a_name_is_meant_before_an_alias() {
    let home = Home::new();
    home.login("klaviyo", "pk_1234567890");
    let own = Definition::bearer("klaviyo-oauth", "api.own-corp.com").with("export", json!({}));
    home.define(&own);
    home.login("klaviyo-oauth", "own-key");
    let file = home.path().join("providers/klaviyo-oauth.json");
    std::fs::write(&file, "{").unwrap();
    home.ok(&["remove", "klaviyo-oauth"]);
    assert!(!file.exists());
    home.ok(&["get", "klaviyo"]);

    home.define(&own);
    home.login("klaviyo-oauth", "own-key");
    std::fs::remove_file(&file).unwrap();
    let explained = home.ok(&["explain", "https://a.klaviyo.com/api/profiles"]);
    assert!(explained.contains("won") && !explained.contains("tied"), "{explained}");
    home.ok(&["logout", "klaviyo-oauth"]);
    home.ok(&["get", "klaviyo"]);
}

#[test]
fn what_was_excluded_at_login_stays_excluded() {
    let home = Home::new();
    let definition = Definition::bearer("careful", "api.careful.test");
    home.define(&definition.with("excluded", json!(["https://api.careful.test/mcp"])));
    home.login("careful", "key-1");
    home.define(&Definition::bearer("careful", "api.careful.test"));
    let explained = home.ok(&["explain", "https://api.careful.test/mcp/tools"]);
    assert!(explained.contains("excluded") && !explained.contains("won"), "{explained}");
    assert!(home.ok(&["explain", "https://api.careful.test/v1"]).contains("won"));
}

#[test]
fn what_one_provider_excludes_is_nothing_to_another() {
    let home = Home::new();
    let definition = Definition::bearer("one", "*.shared-corp.com");
    home.define(&definition.with("excluded", json!(["https://api.shared-corp.com/v1"])));
    home.define(&Definition::bearer("two", "api.shared-corp.com"));
    home.login("one", "key-1");
    home.login("two", "key-2");
    assert!(home.ok(&["explain", "https://api.shared-corp.com/v1/models"]).contains("two"));
}

#[test]
fn what_has_no_definition_says_why_and_what_is_not_routed_too() {
    let home = Home::new();
    let browser = home.run(&["inspect", "linkedin-browser"]);
    assert_eq!(browser.status.code(), Some(3));
    assert!(String::from_utf8(browser.stderr).unwrap().contains("cookies"));
    let shown: Value = serde_json::from_str(&home.ok(&["inspect", "keywords-everywhere"])).unwrap();
    let reason = shown["not_routed"].as_str().unwrap().to_owned();
    let login = home.run_with(&["login", "keywords-everywhere", "--stdin"], "key-1");
    let said = String::from_utf8(login.stderr).unwrap();
    assert!(said.contains("sent nowhere") && said.contains(&reason), "{said}");
    let mut run = home.command();
    run.args(["run", "--", "printenv", "KEYWORDS_EVERYWHERE_API_KEY"])
        .env("KEYWORDS_EVERYWHERE_API_KEY", "of-my-own");
    assert_eq!(
        String::from_utf8(run.output().unwrap().stdout).unwrap(),
        "of-my-own\n",
        "it is not ours to replace"
    );
}

#[test]
fn the_schema_is_a_json_schema_and_every_bundled_definition_fits_it() {
    let home = Home::new();
    let schema: Value = serde_json::from_str(&home.ok(&["inspect", "--schema"])).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let validator = jsonschema::validator_for(&schema).unwrap();
    for provider in authsome_providers::Registry::bundled().iter() {
        let (name, shown) = (provider.definition.name(), provider.definition.to_json());
        let errors: Vec<String> = validator
            .iter_errors(&shown)
            .map(|error| format!("{error} at {}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
    for wrong in [json!({}), json!({"name": "A"}), json!({"schema_version": 2}), json!([])] {
        assert!(!validator.is_valid(&wrong), "{wrong}");
    }
}
