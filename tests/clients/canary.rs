//! A secret of each provider, used once, is found in no process and in no file.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

use crate::leaks::Needle;
use crate::stage::{Login, Ran, Stage};
use crate::watch::Watch;

/// Characters that each way of writing writes differently.
pub(crate) const ODD: &str = "cAnaRy+/=%&\"\\7f3a9c51e2";

/// One provider and a request to it.
struct Case {
    provider: &'static str,
    secret: &'static str,
    /// What `login --stdin` reads, `KEY` for the secret.
    input: &'static str,
    host: &'static str,
    /// What follows the host; the shell fills in variables.
    path: &'static str,
    header: &'static str,
    /// What the server must get, before it is `filled`.
    value: &'static str,
}

/// One whose key is typed in alone.
const fn case(
    provider: &'static str,
    secret: &'static str,
    (host, path): (&'static str, &'static str),
    (header, value): (&'static str, &'static str),
) -> Case {
    Case { provider, secret, input: "KEY", host, path, header, value }
}

const AUTHORIZATION: &str = "authorization";
const CASES: [Case; 12] = [
    case(
        "openai",
        "sk-cAnaRy-openai-7f3a9c51e2",
        ("api.openai.com", "/v1/models"),
        (AUTHORIZATION, "Bearer KEY"),
    ),
    case("anthropic", "sk-ant-cAnaRy-7f3a9c51e2", ("api.anthropic.com", "/v1/models"), ("x-api-key", "KEY")),
    case("github", "ghp_cAnaRy7f3a9c51e2", ("api.github.com", "/user"), (AUTHORIZATION, "Bearer KEY")),
    case("gitlab", ODD, ("gitlab.com", "/api/v4/user"), (AUTHORIZATION, "Bearer KEY")),
    case(
        "stripe",
        "sk_test_cAnaRy7f3a9c51e2",
        ("api.stripe.com", "/v1/balance"),
        (AUTHORIZATION, "Bearer KEY"),
    ),
    Case {
        provider: "twilio",
        secret: ODD,
        input: "account_sid=AC0123456789abcdef0123456789abcdef\napi_key=KEY\n",
        host: "api.twilio.com",
        path: "/2010-04-01/Accounts.json",
        header: AUTHORIZATION,
        value: "Basic <AC0123456789abcdef0123456789abcdef:KEY>",
    },
    case("ashby", ODD, ("api.ashbyhq.com", "/candidate.list"), (AUTHORIZATION, "Basic <KEY:>")),
    case("lemlist", ODD, ("api.lemlist.com", "/api/team"), (AUTHORIZATION, "Basic <:KEY>")),
    case("linear", "lin_api_cAnaRy7f3a9c51e2", ("api.linear.app", "/graphql"), (AUTHORIZATION, "KEY")),
    case(
        "gemini",
        ODD,
        ("generativelanguage.googleapis.com", "/v1beta/models?key=$GEMINI_API_KEY"),
        ("x-goog-api-key", "KEY"),
    ),
    case("klaviyo", ODD, ("a.klaviyo.com", "/api/profiles"), (AUTHORIZATION, "Klaviyo-API-Key KEY")),
    Case {
        provider: "zendesk",
        secret: ODD,
        input: "tenant=acme\nemail=agent@acme.test\napi_key=KEY\n",
        host: "acme.zendesk.com",
        path: "/api/v2/users/me.json",
        header: AUTHORIZATION,
        value: "Basic <agent@acme.test/token:KEY>",
    },
];

/// The tests by name.
pub(crate) fn tests() -> Vec<(String, Box<dyn FnOnce() + Send>)> {
    let mut tests: Vec<(String, Box<dyn FnOnce() + Send>)> = Vec::new();
    for case in CASES {
        tests.push((format!("the_key_of_{}_is_seen_nowhere", case.provider), Box::new(move || case.check())));
    }
    let selves: [(&str, fn()); 7] = [
        ("a_planted_variable_is_found", planted_variable),
        ("a_planted_argument_is_found", planted_argument),
        ("a_planted_file_is_found", planted_file),
        ("a_planted_file_of_the_run_is_found", planted_file_of_the_run),
        ("planted_output_is_found", planted_output),
        ("every_form_is_found_in_a_file", every_form_in_a_file),
        ("every_form_is_found_in_an_environment", every_form_in_an_environment),
    ];
    for (name, test) in selves {
        tests.push((name.into(), Box::new(test)));
    }
    tests
}

impl Case {
    fn run(&self, script: &str) -> Ran {
        let input = self.input.replace("KEY", self.secret);
        // Linear's definition offers OAuth too, and by default; the key has no prefix, a token has one.
        let flags: &[&str] = if self.provider == "linear" { &["--flow", "api_key"] } else { &[] };
        let login = Login { provider: self.provider, flags, input, secret: self.secret.to_owned() };
        Stage::new(&[login], &[self.host]).run(script, &format!("{}\n", self.secret))
    }

    fn check(&self) {
        let ran = self.run(&format!("curl -sSf \"https://{}{}\"", self.host, self.path));
        ran.expect_success();
        let seen = ran.expect_authenticated(self.host, self.header, &filled(self.value, self.secret));
        assert!(
            seen.iter().all(|request| !request.uri.to_string().contains("authsome-proxy-managed")),
            "{seen:?}"
        );
        let curl = ran.sightings.commands.iter().any(|line| line.starts_with("curl "));
        assert_eq!(ran.sightings.folders, [1].into(), "the folder of the run was not looked at");
        assert!(curl, "curl was not looked at: {:?}", ran.sightings.commands);
        assert!(ran.stderr.contains("TRACE"), "not logged at trace level: {}", ran.stderr);
        ran.expect_no_leak();
    }
}

/// A value with the secret for `KEY`; what stands in `<>` is encoded as Basic does.
pub(crate) fn filled(value: &str, secret: &str) -> String {
    let value = value.replace("KEY", secret);
    let Some((before, pair)) = value.split_once('<') else { return value };
    format!("{before}{}", STANDARD.encode(pair.trim_end_matches('>')))
}

/// A run whose agent has come by the key and does something with it.
fn careless(script: &str) -> Ran {
    let case = &CASES[0];
    let ran = case.run(&format!("read -r key\n{script}"));
    ran.expect_success();
    ran
}

fn planted_variable() {
    let ran = careless("export key\ncurl -sSf https://api.openai.com/");
    assert!(
        ran.sightings.leaks.iter().any(|leak| leak.starts_with("environ of curl")),
        "{:?}",
        ran.sightings
    );
    assert!(ran.files.is_empty(), "{:?}", ran.files);
}

fn planted_argument() {
    let ran = careless("curl -sSf -A \"$key\" https://api.openai.com/");
    assert!(
        ran.sightings.leaks.iter().any(|leak| leak.starts_with("cmdline of curl")),
        "{:?}",
        ran.sightings
    );
    assert!(ran.files.is_empty(), "{:?}", ran.files);
}

fn planted_file() {
    let ran = careless("mkdir \"$HOME/a\"\nprintf %s \"$key\" | base64 > \"$HOME/a/b\"");
    assert!(ran.sightings.leaks.is_empty(), "{:?}", ran.sightings);
    assert!(!ran.files.is_empty() && ran.files.iter().all(|file| file.contains("/a/b: ")), "{:?}", ran.files);
}

/// One that is gone when the run has ended.
fn planted_file_of_the_run() {
    let plant = "printf %s \"$key\" > \"$(dirname \"$SSL_CERT_FILE\")/planted\"";
    let ran = careless(&format!("{plant}\ncurl -sSf https://api.openai.com/"));
    assert!(ran.sightings.leaks.iter().any(|leak| leak.contains("/planted: ")), "{:?}", ran.sightings);
    assert!(ran.files.is_empty(), "{:?}", ran.files);
}

fn planted_output() {
    let ran = careless("echo \"$key\" >&2");
    assert!(ran.files.iter().any(|file| file.contains("/stderr: ")), "{:?}", ran.files);
}

/// The ways in which a secret is written that the search must know.
fn written(secret: &str) -> Vec<String> {
    let escaped = percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC);
    let mut written = vec![
        secret.to_owned(),
        serde_json::json!({"key": secret}).to_string(),
        format!("{:?}", Some(secret)),
        format!("{:?}", HeaderValue::from_str(secret)),
        format!("https://api.test/?key={escaped}"),
        format!("https://api.test/?key={}", escaped.to_string().to_lowercase()),
    ];
    for text in ["user:KEY", "KEY:", ":KEY", "agent@acme.test/token:KEY", "Bearer KEY"] {
        written.push(STANDARD.encode(text.replace("KEY", secret)));
    }
    written
}

fn every_form_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let needle = Needle::new(ODD);
    for text in written(ODD) {
        let file = folder.path().join("planted");
        std::fs::write(&file, format!("before {text} after")).unwrap();
        assert!(!needle.found_below(folder.path()).is_empty(), "{text}");
        std::fs::write(&file, "before after").unwrap();
        assert!(needle.found_below(folder.path()).is_empty());
    }
}

fn every_form_in_an_environment() {
    for text in written(ODD) {
        let watch = Watch::start(vec![Needle::new(ODD)], PathBuf::new());
        let mut command = Command::new("cat");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).env("PLANTED", &text);
        let mut child = command.spawn().unwrap();
        // Once it answers it is the program that was started, and not the fork on its way there.
        child.stdin.as_mut().unwrap().write_all(b"?").unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        watch.follow(child.id());
        watch.eye().look();
        drop(child.stdin.take());
        child.wait().unwrap();
        let leaks = watch.end().leaks;
        assert!(leaks.iter().any(|leak| leak.starts_with("environ of cat")), "{text}: {leaks:?}");
    }
}
