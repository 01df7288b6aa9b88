//! The page of `authsome login` in Chromium, with its script and without.
//!
//! Pictures go to the folder that `AUTHSOME_SCREENSHOTS` names, else to `target/screenshots`.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::opener::{self, Asked};
use crate::support::home::Home;
use crate::tools::{self, Need};

/// A login of somebody who mistypes once.
#[derive(Clone, Copy)]
pub(crate) struct Visit {
    pub(crate) name: &'static str,
    provider: &'static str,
    /// Whether the browser runs scripts.
    script: bool,
    /// Whether a program inside a run asks for it.
    inside: bool,
    wrong: &'static str,
    right: &'static str,
    /// Further fields and what is typed there.
    fields: &'static [(&'static str, &'static str)],
    hint: &'static str,
    hosts: &'static [&'static str],
}

const WITH_SCRIPT: Visit = Visit {
    name: "with-script",
    provider: "stripe",
    script: true,
    inside: false,
    wrong: "pk_mistyped",
    right: "sk_test_5ca1ab1e0ddba11c0ffee",
    fields: &[],
    hint: "Stripe secret keys start with 'sk_', restricted keys with 'rk_'.",
    hosts: &["api.stripe.com", "files.stripe.com"],
};

pub(crate) const VISITS: [Visit; 4] = [
    WITH_SCRIPT,
    Visit { name: "without-script", script: false, ..WITH_SCRIPT },
    Visit { name: "inside-a-run", inside: true, ..WITH_SCRIPT },
    Visit {
        name: "several-fields",
        provider: "zendesk",
        // The browser itself refuses an empty field.
        wrong: "mis\u{7f}typed",
        right: "5ca1ab1e0ddba11c0ffee",
        fields: &[("tenant", "acme"), ("email", "me@acme.test")],
        hint: "The value contains a control character.",
        hosts: &["acme.zendesk.com/api"],
        ..WITH_SCRIPT
    },
];

impl Visit {
    pub(crate) fn missing(&self) -> Option<String> {
        let needs = [Need::Program("chromium"), Need::Program("node"), Need::Node("puppeteer-core")];
        let opener = || self.inside.then(opener::missing).flatten();
        needs.into_iter().find_map(Need::missing).or_else(opener)
    }

    pub(crate) fn check(&self) {
        let home = Home::new();
        let (mut login, url) = if self.inside { self.inside_a_run(&home) } else { self.outside(&home) };
        let seen = self.visit(&url, &home);
        assert!(login.wait().unwrap().success());
        self.expect(&seen);
        let stored = home.ok(&["get", self.provider, "--field", "api_key", "--show-secret"]);
        assert_eq!(stored.trim(), self.right);
    }

    fn outside(&self, home: &Home) -> (Child, String) {
        let mut command = home.command();
        command.env("BROWSER", "true").args(["--json", "login", self.provider, "--timeout", "120"]);
        let mut login = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut step = String::new();
        BufReader::new(login.stderr.as_mut().unwrap()).read_line(&mut step).unwrap();
        let step: Value = serde_json::from_str(&step).unwrap();
        (login, step["auth_url"].as_str().unwrap().to_owned())
    }

    /// As an agent asks, which is not told the URL.
    fn inside_a_run(&self, home: &Home) -> (Child, String) {
        let asked = Asked::begin(home, &[self.provider]);
        assert!(!asked.said().contains(&asked.url));
        (asked.login, asked.url)
    }

    /// What the browser shows.
    fn visit(&self, url: &str, home: &Home) -> Value {
        let pictures = pictures();
        std::fs::create_dir_all(&pictures).unwrap();
        let fields: Value =
            self.fields.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let plan = json!({
            "url": url, "chromium": tools::program("chromium"), "name": self.name, "script": self.script,
            "wrong": self.wrong, "right": self.right, "fields": fields, "pictures": pictures,
        });
        let mut command = Command::new("node");
        command.arg(tools::root().join("tests/clients/node/page.mjs")).arg(plan.to_string());
        command.env("PATH", tools::path()).env("HOME", home.scratch());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn expect(&self, seen: &Value) {
        assert_eq!(seen["complaints"], json!([]), "{seen}");
        let asked = seen["asked"].as_str().unwrap();
        assert!(asked.contains("Connect ") && asked.contains("Encrypted on this machine"), "{seen}");
        assert_eq!(asked.contains("A program that runs under authsome asks"), self.inside, "{seen}");
        assert_eq!(seen["second"], 410, "another window: {seen}");
        assert_eq!(seen["mistake"], self.hint, "{seen}");
        let kept: Vec<&str> = self.fields.iter().map(|(_, value)| *value).chain([""]).collect();
        assert_eq!(seen["kept"], json!(kept), "{seen}");
        assert!(seen["done"].as_str().unwrap().ends_with("is connected"), "{seen}");
        assert_eq!(seen["where"], json!(self.hosts), "{seen}");
        if self.script {
            assert_eq!(seen["shown"], json!(["text", self.wrong]), "{seen}");
            assert_eq!(seen["closes"], true, "the window stays open: {seen}");
        }
    }
}

fn pictures() -> PathBuf {
    let named = std::env::var_os("AUTHSOME_SCREENSHOTS");
    named.map_or_else(|| tools::root().join("target/screenshots"), PathBuf::from)
}
