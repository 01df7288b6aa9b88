//! The clients: what each needs, what it is told to do, what the server must have got.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Version;

use crate::api::REPLY;
use crate::stage::{Login, Ran, Stage};
use crate::tools::Need::{self, Node, Program, Python};

const OPENAI_KEY: &str = "sk-clients-openai-4b1d5ca1ab1e0ddba11";
const ANTHROPIC_KEY: &str = "sk-ant-clients-77c0ffee5ca1ab1e0ddba11";
const GITHUB_TOKEN: &str = "ghp_clients0ddba115ca1ab1ec0ffee";
const HOSTS: [&str; 4] = ["api.openai.com", "api.anthropic.com", "api.github.com", "github.com"];

/// One client.
pub(crate) struct Client {
    pub(crate) name: &'static str,
    pub(crate) needs: &'static [Need],
    /// A shell's script; it prints the reply.
    script: &'static str,
    /// Whose key it comes to use.
    service: Service,
    /// The version that the server must have been spoken to in; `None` where that depends on how the client was built.
    version: Option<Version>,
}

#[derive(Clone, Copy)]
enum Service {
    Openai,
    Anthropic,
    Git,
}

impl Service {
    /// The host, the header and its value.
    fn expected(self) -> (&'static str, &'static str, String) {
        match self {
            Self::Openai => ("api.openai.com", "authorization", format!("Bearer {OPENAI_KEY}")),
            Self::Anthropic => ("api.anthropic.com", "x-api-key", ANTHROPIC_KEY.to_owned()),
            Self::Git => {
                let pair = STANDARD.encode(format!("x-access-token:{GITHUB_TOKEN}"));
                ("github.com", "authorization", format!("Basic {pair}"))
            }
        }
    }
}

const H1: Option<Version> = Some(Version::HTTP_11);
const H2: Option<Version> = Some(Version::HTTP_2);

const fn openai(
    name: &'static str,
    needs: &'static [Need],
    script: &'static str,
    version: Option<Version>,
) -> Client {
    Client { name, needs, script, service: Service::Openai, version }
}

pub(crate) const CLIENTS: [Client; 22] = [
    openai(
        "curl_http1",
        &[Program("curl")],
        r#"curl -sSf --http1.1 -H "Authorization: Bearer $OPENAI_API_KEY" https://api.openai.com/v1/hello"#,
        H1,
    ),
    openai(
        "curl_http2",
        &[Program("curl")],
        r#"curl -sSf --http2 -H "Authorization: Bearer $OPENAI_API_KEY" https://api.openai.com/v1/hello"#,
        H2,
    ),
    openai("curl_without_a_header", &[Program("curl")], "curl -sSf https://api.openai.com/v1/hello", H2),
    openai(
        "wget",
        &[Program("wget")],
        r#"wget -nv -O - --header "Authorization: Bearer $OPENAI_API_KEY" https://api.openai.com/v1/hello"#,
        H1,
    ),
    Client {
        name: "git_clone_and_push",
        needs: &[Program("git")],
        script: r#"set -e
            git clone --quiet https://github.com/owner/project.git "$HOME/clone"
            cd "$HOME/clone"
            git -c user.name=Agent -c user.email=agent@example.test commit --quiet --allow-empty -m Second
            git push --quiet origin HEAD:agent
            cat README"#,
        service: Service::Git,
        version: None,
    },
    openai("python_urllib", &[Program("python3")], "python3 tests/clients/python/urllib_client.py", H1),
    openai("python_requests", &[Python("requests")], "python3 tests/clients/python/requests_client.py", H1),
    openai("python_httpx_http1", &[Python("httpx")], "python3 tests/clients/python/httpx_client.py 1", H1),
    openai(
        "python_httpx_http2",
        &[Python("httpx"), Python("h2")],
        "python3 tests/clients/python/httpx_client.py 2",
        H2,
    ),
    openai("python_aiohttp", &[Python("aiohttp")], "python3 tests/clients/python/aiohttp_client.py", H1),
    openai("python_openai_sdk", &[Python("openai")], "python3 examples/agent.py", H1),
    openai(
        "python_openai_sdk_streaming",
        &[Python("openai")],
        "python3 tests/clients/python/openai_stream.py",
        H1,
    ),
    Client {
        name: "python_anthropic_sdk",
        needs: &[Python("anthropic")],
        script: "python3 tests/clients/python/anthropic_message.py",
        service: Service::Anthropic,
        version: H1,
    },
    openai("node_fetch", &[Program("node")], "node tests/clients/node/fetch.mjs", H1),
    openai("node_https", &[Program("node")], "node tests/clients/node/https.mjs", H1),
    openai("node_https_own_agent", &[Program("node")], "node tests/clients/node/https.mjs own-agent", H1),
    openai("node_http2", &[Program("node")], "node tests/clients/node/http2.mjs", H2),
    openai("node_axios", &[Program("node"), Node("axios")], "node tests/clients/node/axios.js", H1),
    openai("node_undici", &[Program("node"), Node("undici")], "node tests/clients/node/undici.js", None),
    openai("node_ws", &[Program("node"), Node("ws")], "node tests/clients/node/ws.js", H1),
    openai("node_openai_sdk", &[Program("node"), Node("openai")], "node examples/agent.js", H1),
    openai(
        "node_openai_sdk_streaming",
        &[Program("node"), Node("openai")],
        "node tests/clients/node/openai_stream.js",
        H1,
    ),
];

impl Client {
    /// What is missing here, so that it cannot be run.
    pub(crate) fn missing(&self) -> Option<String> {
        self.needs.iter().find_map(|need| need.missing())
    }

    /// Runs it and looks at everything.
    pub(crate) fn check(&self) {
        let ran = Stage::new(&logins(), &HOSTS).run(self.script, "");
        ran.expect_success();
        assert!(ran.stdout.contains(REPLY), "{}", ran.stdout);
        let (host, header, value) = self.service.expected();
        let seen = ran.expect_authenticated(host, header, &value);
        if let Some(version) = self.version {
            assert!(seen.iter().all(|request| request.version == version), "{seen:?}");
        }
        expect_placeholders(&ran);
        ran.expect_no_leak();
        if let Service::Git = self.service {
            assert_eq!(ran.repositories.unwrap().subject("agent"), "Second");
        }
    }
}

/// That the environment was printed, by the shell before the client, and by those clients that do so themselves, and
/// held the placeholders.
#[track_caller]
fn expect_placeholders(ran: &Ran) {
    for name in ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GITHUB_TOKEN"] {
        let line = format!("{name}=authsome-proxy-managed");
        assert!(ran.stdout.lines().any(|printed| printed == line), "{name}: {}", ran.stdout);
    }
    assert!(ran.sightings.commands.iter().any(|line| line.contains("--connect-to")), "the run was not seen");
}

fn logins() -> [Login; 3] {
    [("openai", OPENAI_KEY), ("anthropic", ANTHROPIC_KEY), ("github", GITHUB_TOKEN)]
        .map(|(provider, key)| Login { provider, flags: &[], input: key.to_owned(), secret: key.to_owned() })
}
