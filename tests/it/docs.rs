//! What `docs/` says is so: pages made from the code, links, commands.
//!
//! `UPDATE_DOCS=1 cargo test --test it docs` writes the pages that are made.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use authsome_providers::{ProviderDefinition, Registry};
use serde_json::Value;

use super::support::home::Home;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compares a page with what the code says, or writes it.
fn is_current(path: &str, text: &str) {
    let file = root().join(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, text).unwrap();
    }
    let stored = fs::read_to_string(&file).unwrap_or_default();
    assert!(stored == text, "{path} is out of date: UPDATE_DOCS=1 cargo test --test it docs");
}

#[test]
fn the_page_of_commands_is_made_from_them() {
    let mut page = "# Commands\n\nMade from the program's own help.\n".to_owned();
    let mut command = authsome::cli::command().disable_help_subcommand(true).color(clap::ColorChoice::Never);
    command.build();
    describe(&mut page, &mut command, "authsome");
    is_current("docs/reference/cli.md", &page);
}

fn describe(page: &mut String, command: &mut clap::Command, name: &str) {
    let help = command.render_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    write!(page, "\n## {name}\n\n```text\n{}\n```\n", help.join("\n").trim()).unwrap();
    for inner in command.get_subcommands_mut().filter(|inner| !inner.is_hide_set()) {
        let name = format!("{name} {}", inner.get_name());
        describe(page, inner, &name);
    }
}

#[test]
fn the_page_of_the_schema_is_made_from_it() {
    let schema = serde_json::to_string_pretty(&authsome_providers::json_schema()).unwrap();
    let page = format!(
        "# JSON Schema of provider definitions\n\nMade from the types that read them; `authsome inspect --schema` prints the \
         same. What each field is for: [provider definitions](../providers.md).\n\n```json\n{schema}\n```\n"
    );
    is_current("docs/reference/provider-schema.md", &page);
}

#[test]
fn the_page_of_bundled_providers_is_made_from_them() {
    let registry = Registry::bundled();
    let mut page = format!(
        "# Bundled providers\n\nMade from the {} bundled definitions; `authsome inspect <name>` has all of each.\n\n\
         | provider | name | flows | hosts | variables | |\n|---|---|---|---|---|---|\n",
        registry.iter().count()
    );
    for provider in registry.iter() {
        page.push_str(&line(&provider.definition));
    }
    is_current("docs/reference/bundled-providers.md", &page);
}

fn line(definition: &ProviderDefinition) -> String {
    let flows: Vec<&str> = definition.flows().into_iter().map(authsome::FlowType::as_str).collect();
    let variables: BTreeSet<&str> =
        definition.exports().iter().flat_map(|(_, names)| names).map(String::as_str).collect();
    let variables: Vec<String> = variables.into_iter().map(|name| format!("`{name}`")).collect();
    let unsupported = definition.oauth().and_then(|oauth| oauth.unsupported.as_deref());
    let mut notes: Vec<String> = definition.not_routed().into_iter().map(str::to_owned).collect();
    notes.extend(unsupported.map(|reason| format!("OAuth: {reason}")));
    notes.extend(definition.docs().map(|docs| format!("[docs]({docs})")));
    format!(
        "| {} | `{}` | {} | {} | {} | {} |\n",
        definition.display_name(),
        definition.name(),
        flows.join(", "),
        hosts(&definition.to_json()),
        variables.join(" "),
        notes.join("; ")
    )
}

fn hosts(raw: &Value) -> String {
    let hosts = match &raw["host_url"] {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    let text = |host: &Value| host.as_str().or(host["url"].as_str()).unwrap_or_default().replace('|', "\\|");
    hosts.iter().map(text).map(|host| format!("`{host}`")).collect::<Vec<_>>().join(" ")
}

/// Every page that a reader may come to.
fn pages() -> Vec<PathBuf> {
    let mut pages =
        vec!["README.md", "SECURITY.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "AGENTS.md", "llms.txt"]
            .into_iter()
            .map(|name| root().join(name))
            .collect();
    for folder in ["docs", "skills", "tests/servers"] {
        collect(&root().join(folder), &mut pages);
    }
    pages
}

fn collect(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("node_modules") {
            collect(&path, pages);
        } else if path.extension().is_some_and(|end| end == "md") {
            pages.push(path);
        }
    }
}

#[test]
fn every_link_leads_somewhere() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for target in links(&text) {
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            if file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            let meant = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(meant.exists(), "{}: {target}", page.display());
            if !anchor.is_empty() {
                let there = fs::read_to_string(&meant).unwrap();
                assert!(anchors(&there).contains(anchor), "{}: {target}", page.display());
            }
        }
    }
}

/// The targets of Markdown links outside of code.
fn links(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        in_code ^= line.trim_start().starts_with("```");
        if in_code || line.starts_with("    ") {
            continue;
        }
        let parts = line.split("](").skip(1);
        targets.extend(parts.filter_map(|part| part.split_once(')')).map(|(target, _)| target.to_owned()));
    }
    targets
}

/// The anchors of a page's headings, as forges make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
    let kept = |letter: &char| letter.is_alphanumeric() || "-_ ".contains(*letter);
    let anchor =
        |heading: &str| heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-");
    headings.map(anchor).collect()
}

/// Lines of a page that call the program, without what the shell adds; with whether they are to be run.
fn calls(text: &str) -> Vec<(String, bool)> {
    let mut calls = Vec::new();
    let mut block: Option<&str> = None;
    for line in text.lines() {
        if let Some(kind) = line.trim_start().strip_prefix("```") {
            block = if block.is_some() { None } else { Some(kind) };
            continue;
        }
        let Some(kind @ ("console" | "console run" | "sh")) = block else { continue };
        let call = line.split(" | ").find(|part| part.trim_start().starts_with("authsome "));
        let Some(call) = call else { continue };
        let call = call.split(['#', '<', '>', '|', '\\']).next().unwrap_or_default();
        calls.push((call.trim().to_owned(), kind == "console run"));
    }
    calls
}

/// The words of a call; what stands in quotes is one.
fn words(call: &str) -> Vec<String> {
    let (mut words, mut quote) = (vec![String::new()], None);
    for letter in call.chars() {
        match (letter, quote) {
            ('"' | '\'', None) => quote = Some(letter),
            (letter, Some(open)) if letter == open => quote = None,
            (' ', None) => words.push(String::new()),
            (letter, _) => words.last_mut().unwrap().push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn every_command_in_the_pages_is_one_and_those_that_can_run_do() {
    let (mut seen, mut ran) = (0, 0);
    for page in pages() {
        for (call, runs) in calls(&fs::read_to_string(&page).unwrap()) {
            // A command of the Python edition, which is named where a home is taken over from it.
            if call.starts_with("authsome daemon") {
                continue;
            }
            let parsed = authsome::cli::command().try_get_matches_from(words(&call));
            assert!(parsed.is_ok(), "{}: {call}: {}", page.display(), parsed.unwrap_err());
            seen += 1;
            if runs {
                let home = Home::new();
                let arguments = words(&call);
                let arguments: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
                home.ok(&arguments);
                ran += 1;
            }
        }
    }
    assert!(seen > 40 && ran > 0, "{seen} commands, {ran} run");
}

#[test]
fn what_agents_are_told_to_call_is_allowed_inside_a_run() {
    let home = Home::new();
    home.ok(&["init"]);
    let text = fs::read_to_string(root().join("skills/authsome/SKILL.md")).unwrap();
    let calls = calls(&text);
    assert!(calls.len() >= 8, "{calls:?}");
    for (call, _) in calls {
        let arguments = words(&call);
        let mut command = home.command();
        command.env("AUTHSOME_PROXY_MODE", "true").args(&arguments[1..]);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // A login asks its human on a page, for which there is no display here.
        let for_want_of_a_page = said.contains("no page can be shown");
        assert!(!said.contains("refused inside a run") || for_want_of_a_page, "{call}: {said}");
    }
    for call in ["export", "run -- true", "proxy", "vault rekey", "revoke github", "register x.json"] {
        let mut command = home.command();
        command.env("AUTHSOME_PROXY_MODE", "true").args(call.split(' '));
        let said = String::from_utf8_lossy(&command.output().unwrap().stderr).into_owned();
        assert!(said.contains("refused inside a run"), "{call}: {said}");
    }
}

#[test]
fn a_manual_page_is_there_for_each_command() {
    let home = Home::new();
    assert!(home.ok(&["man"]).starts_with(".ie"), "roff");
    let folder = home.scratch().join("man1");
    fs::create_dir(&folder).unwrap();
    home.ok(&["man", folder.to_str().unwrap()]);
    for page in ["authsome.1", "authsome-login.1", "authsome-vault-rekey.1"] {
        assert!(fs::read_to_string(folder.join(page)).unwrap().contains(".SH"), "{page}");
    }
    assert!(!folder.join("authsome-demo-agent.1").exists());
}
