//! SDKs as their READMEs show them, the vendors' own but for GitLab's: each makes one request with a placeholder in its
//! environment.

use crate::api::REPLY;
use crate::canary::{ODD, filled};
use crate::stage::{Login, Stage};
use crate::support::origin::Seen;
use crate::tools::Need::{self, Node, Program, Python};

/// One SDK and its request. The script is `sdk/use_<provider>.py` or `.mjs`; it prints the reply.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub(crate) provider: &'static str,
    need: Need,
    secret: &'static str,
    /// What `login --stdin` reads, `KEY` for the secret.
    input: &'static str,
    host: &'static str,
    /// Method and path; with a query where the key stands in it.
    request: &'static str,
    /// What every request must bear, before it is `filled`.
    headers: Headers,
    /// What the server says to all of them.
    answer: &'static str,
}

type Headers = &'static [(&'static str, &'static str)];

/// One whose key has no form and is typed in alone.
const fn row(
    provider: &'static str,
    need: Need,
    (host, request): (&'static str, &'static str),
    headers: Headers,
    answer: &'static str,
) -> Row {
    Row { provider, need, secret: ODD, input: "KEY", host, request, headers, answer }
}

const BEARER: Headers = &[("authorization", "Bearer KEY")];

pub(crate) const ROWS: [Row; 58] = [
    Row {
        secret: "sk-sdk-7f3a9c51e2",
        ..row(
            "openai",
            Python("openai"),
            ("api.openai.com", "GET /v1/models"),
            BEARER,
            r#"{"object":"list","data":[{"id":"hello from the origin","object":"model","created":1,"owned_by":"o"}]}"#,
        )
    },
    Row {
        secret: "sk-ant-sdk-7f3a9c51e2",
        ..row(
            "anthropic",
            Python("anthropic"),
            ("api.anthropic.com", "GET /v1/models"),
            &[("x-api-key", "KEY")],
            include_str!("sdk/anthropic.json"),
        )
    },
    row(
        "gemini",
        Python("google/genai"),
        ("generativelanguage.googleapis.com", "GET /v1/models"),
        &[("x-goog-api-key", "KEY")],
        r#"{"models":[{"name":"models/m","displayName":"hello from the origin"}]}"#,
    ),
    row(
        "cohere",
        Python("cohere"),
        ("api.cohere.com", "GET /v1/models"),
        BEARER,
        r#"{"models":[{"name":"hello from the origin"}]}"#,
    ),
    row(
        "mistral",
        Python("mistralai"),
        ("api.mistral.ai", "GET /v1/models"),
        BEARER,
        r#"{"object":"list","data":[{"type":"base","id":"hello from the origin","object":"model","capabilities":{}}]}"#,
    ),
    row(
        "groq",
        Python("groq"),
        ("api.groq.com", "GET /openai/v1/models"),
        BEARER,
        r#"{"object":"list","data":[{"id":"hello from the origin","object":"model","created":1,"owned_by":"o"}]}"#,
    ),
    row(
        "together",
        Python("together"),
        ("api.together.ai", "GET /v1/files"),
        BEARER,
        r#"{"data":[{"id":"f1","filename":"hello from the origin"}]}"#,
    ),
    Row {
        secret: "r8_sdk7f3a9c51e2",
        ..row(
            "replicate",
            Node("replicate"),
            ("api.replicate.com", "GET /v1/models/owner/model"),
            BEARER,
            include_str!("sdk/replicate.json"),
        )
    },
    Row {
        secret: "hf_sdk7f3a9c51e2",
        ..row(
            "huggingface",
            Python("huggingface_hub"),
            ("huggingface.co", "GET /api/whoami-v2"),
            BEARER,
            r#"{"type":"user","id":"1","name":"hello from the origin","orgs":[]}"#,
        )
    },
    row(
        "elevenlabs",
        Python("elevenlabs"),
        ("api.elevenlabs.io", "GET /v1/models"),
        &[("xi-api-key", "KEY")],
        r#"[{"model_id":"m","name":"hello from the origin"}]"#,
    ),
    row(
        "deepgram",
        Python("deepgram"),
        ("api.deepgram.com", "GET /v1/projects"),
        &[("authorization", "Token KEY")],
        r#"{"projects":[{"project_id":"p1","name":"hello from the origin"}]}"#,
    ),
    row(
        "assemblyai",
        Python("assemblyai"),
        ("api.assemblyai.com", "GET /v2/transcript/t1"),
        &[("authorization", "KEY")],
        r#"{"id":"t1","status":"completed","audio_url":"https://example.com/a.mp3","text":"hello from the origin"}"#,
    ),
    row(
        "cerebras",
        Python("cerebras/cloud/sdk"),
        ("api.cerebras.ai", "GET /v1/models"),
        BEARER,
        r#"{"object":"list","data":[{"id":"hello from the origin","object":"model","created":1,"owned_by":"o"}]}"#,
    ),
    row(
        "perplexity",
        Python("perplexity"),
        ("api.perplexity.ai", "POST /search"),
        BEARER,
        r#"{"id":"s1","results":[{"title":"hello from the origin","url":"u","snippet":"s"}]}"#,
    ),
    Row {
        secret: "tvly-sdk-7f3a9c51e2",
        ..row(
            "tavily",
            Python("tavily"),
            ("api.tavily.com", "POST /search"),
            BEARER,
            r#"{"results":[{"title":"hello from the origin"}]}"#,
        )
    },
    row(
        "exa",
        Python("exa_py"),
        ("api.exa.ai", "POST /search"),
        &[("x-api-key", "KEY")],
        r#"{"results":[{"id":"r1","url":"u","title":"hello from the origin"}]}"#,
    ),
    row(
        "firecrawl",
        Python("firecrawl"),
        ("api.firecrawl.dev", "POST /v2/scrape"),
        BEARER,
        r#"{"success":true,"data":{"markdown":"hello from the origin"}}"#,
    ),
    Row {
        secret: "sdk7f3a9c51e2",
        ..row(
            "serpapi",
            Python("serpapi"),
            ("serpapi.com", "GET /search?engine=google&q=hello&api_key=KEY"),
            &[],
            r#"{"organic_results":[{"title":"hello from the origin"}]}"#,
        )
    },
    row(
        "pinecone",
        Node("@pinecone-database/pinecone"),
        ("api.pinecone.io", "GET /indexes"),
        &[("api-key", "KEY")],
        include_str!("sdk/pinecone.json"),
    ),
    row(
        "apify",
        Python("apify_client"),
        ("api.apify.com", "GET /v2/users/me"),
        BEARER,
        r#"{"data":{"id":"u","username":"hello from the origin"}}"#,
    ),
    row(
        "browserbase",
        Node("@browserbasehq/sdk"),
        ("api.browserbase.com", "GET /v1/projects"),
        &[("x-bb-api-key", "KEY")],
        r#"[{"id":"p1","name":"hello from the origin"}]"#,
    ),
    Row {
        input: "base_url=https://cloud.langfuse.com\npublic_key=pk-lf-1\napi_key=KEY\n",
        ..row(
            "langfuse",
            Python("langfuse"),
            ("cloud.langfuse.com", "GET /api/public/projects"),
            &[("authorization", "Basic <pk-lf-1:KEY>")],
            r#"{"data":[{"id":"p","name":"hello from the origin","metadata":{},"organization":{"id":"o","name":"o"}}]}"#,
        )
    },
    row(
        "langsmith",
        Python("langsmith"),
        ("api.smith.langchain.com", "GET /sessions"),
        &[("x-api-key", "KEY")],
        include_str!("sdk/langsmith.json"),
    ),
    Row {
        secret: "ghp_sdk7f3a9c51e2",
        ..row(
            "github",
            Node("octokit"),
            ("api.github.com", "GET /user"),
            BEARER,
            r#"{"login":"octocat","id":1,"name":"hello from the origin"}"#,
        )
    },
    row(
        "gitlab",
        Python("gitlab"),
        ("gitlab.com", "GET /api/v4/user"),
        BEARER,
        r#"{"id":1,"username":"root","name":"hello from the origin"}"#,
    ),
    Row {
        secret: "lin_api_sdk7f3a9c51e2",
        ..row(
            "linear",
            Node("@linear/sdk"),
            ("api.linear.app", "POST /graphql"),
            &[("authorization", "KEY")],
            r#"{"data":{"viewer":{"id":"u1","name":"hello from the origin"}}}"#,
        )
    },
    row(
        "notion",
        Node("@notionhq/client"),
        ("api.notion.com", "GET /v1/users/me"),
        BEARER,
        r#"{"object":"user","id":"u","name":"hello from the origin","type":"bot","bot":{}}"#,
    ),
    Row {
        secret: "xoxb-sdk-7f3a9c51e2",
        ..row(
            "slack",
            Python("slack_sdk"),
            ("slack.com", "POST /api/auth.test"),
            BEARER,
            r#"{"ok":true,"team":"hello from the origin"}"#,
        )
    },
    row(
        "asana",
        Node("asana"),
        ("app.asana.com", "GET /api/1.0/users/me"),
        BEARER,
        r#"{"data":{"gid":"1","name":"hello from the origin"}}"#,
    ),
    row(
        "todoist",
        Python("todoist_api_python"),
        ("api.todoist.com", "GET /api/v1/tasks/t1"),
        BEARER,
        include_str!("sdk/todoist.json"),
    ),
    row(
        "airtable",
        Node("airtable"),
        ("api.airtable.com", "GET /v0/app1/Table/rec1"),
        BEARER,
        r#"{"id":"rec1","fields":{"Name":"hello from the origin"}}"#,
    ),
    row(
        "sentry",
        Node("@sentry/api"),
        ("sentry.io", "GET /api/0/organizations/"),
        BEARER,
        r#"[{"id":"1","slug":"o","name":"hello from the origin"}]"#,
    ),
    Row {
        input: "app_key=app-KEY\nsite=datadoghq.com\napi_key=KEY\n",
        ..row(
            "datadog",
            Node("@datadog/datadog-api-client"),
            ("api.datadoghq.com", "GET /api/v1/monitor"),
            &[("dd-api-key", "KEY"), ("dd-application-key", "app-KEY")],
            r#"[{"name":"hello from the origin","query":"q","type":"metric alert"}]"#,
        )
    },
    row(
        "pagerduty",
        Python("pagerduty"),
        ("api.pagerduty.com", "GET /users/me"),
        &[("authorization", "Token token=KEY")],
        r#"{"user":{"id":"P1","type":"user","name":"hello from the origin"}}"#,
    ),
    row(
        "cloudflare",
        Node("cloudflare"),
        ("api.cloudflare.com", "GET /client/v4/zones/z1"),
        BEARER,
        r#"{"success":true,"errors":[],"messages":[],"result":{"id":"z1","name":"hello from the origin"}}"#,
    ),
    row(
        "vercel",
        Python("vercel"),
        ("api.vercel.com", "GET /v10/projects"),
        BEARER,
        r#"{"projects":[{"id":"p","name":"hello from the origin"}],"pagination":{"count":1,"next":null,"prev":null}}"#,
    ),
    row(
        "netlify",
        Node("@netlify/api"),
        ("api.netlify.com", "GET /api/v1/user"),
        BEARER,
        r#"{"id":"u","full_name":"hello from the origin"}"#,
    ),
    row(
        "neon",
        Node("@neondatabase/api-client"),
        ("console.neon.tech", "GET /api/v2/projects"),
        BEARER,
        r#"{"projects":[{"id":"p1","name":"hello from the origin"}]}"#,
    ),
    row(
        "hetzner",
        Python("hcloud"),
        ("api.hetzner.cloud", "GET /v1/locations"),
        BEARER,
        include_str!("sdk/hetzner.json"),
    ),
    row(
        "linode",
        Python("linode_api4"),
        ("api.linode.com", "GET /v4/profile"),
        BEARER,
        r#"{"username":"hello from the origin","email":"a@b.c"}"#,
    ),
    Row {
        secret: "sk_test_sdk7f3a9c51e2",
        ..row(
            "stripe",
            Python("stripe"),
            ("api.stripe.com", "GET /v1/customers/cus_1"),
            BEARER,
            r#"{"id":"cus_1","object":"customer","name":"hello from the origin"}"#,
        )
    },
    row(
        "square",
        Python("square"),
        ("connect.squareup.com", "GET /v2/locations"),
        BEARER,
        r#"{"locations":[{"id":"l1","name":"hello from the origin"}]}"#,
    ),
    Row {
        input: "account_sid=AC0123456789abcdef0123456789abcdef\napi_key=KEY\n",
        ..row(
            "twilio",
            Node("twilio"),
            ("api.twilio.com", "GET /2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef.json"),
            &[("authorization", "Basic <AC0123456789abcdef0123456789abcdef:KEY>")],
            r#"{"sid":"AC0123456789abcdef0123456789abcdef","friendly_name":"hello from the origin"}"#,
        )
    },
    row(
        "sendgrid",
        Python("sendgrid"),
        ("api.sendgrid.com", "GET /v3/user/profile"),
        BEARER,
        r#"{"first_name":"hello from the origin"}"#,
    ),
    Row {
        secret: "re_sdk7f3a9c51e2",
        ..row(
            "resend",
            Node("resend"),
            ("api.resend.com", "GET /domains/d1"),
            BEARER,
            r#"{"object":"domain","id":"d1","name":"hello from the origin"}"#,
        )
    },
    row(
        "postmark",
        Node("postmark"),
        ("api.postmarkapp.com", "GET /server"),
        &[("x-postmark-server-token", "KEY")],
        r#"{"ID":1,"Name":"hello from the origin"}"#,
    ),
    row(
        "mailgun",
        Python("mailgun"),
        ("api.mailgun.net", "GET /v3/domains"),
        &[("authorization", "Basic <api:KEY>")],
        r#"{"items":[{"name":"hello from the origin"}],"total_count":1}"#,
    ),
    Row {
        input: "dc=us19\napi_key=KEY\n",
        ..row(
            "mailchimp",
            Node("@mailchimp/mailchimp_marketing"),
            ("us19.api.mailchimp.com", "GET /3.0/ping"),
            &[("authorization", "Basic <user:KEY>")],
            r#"{"health_status":"hello from the origin"}"#,
        )
    },
    row(
        "brevo",
        Python("brevo"),
        ("api.brevo.com", "GET /v3/account"),
        &[("api-key", "KEY")],
        r#"{"firstName":"hello from the origin"}"#,
    ),
    row(
        "intercom",
        Python("intercom"),
        ("api.intercom.io", "GET /admins"),
        BEARER,
        r#"{"type":"admin.list","admins":[{"type":"admin","id":"1","name":"hello from the origin"}]}"#,
    ),
    row(
        "klaviyo",
        Node("klaviyo-api"),
        ("a.klaviyo.com", "GET /api/accounts"),
        &[("authorization", "Klaviyo-API-Key KEY")],
        r#"{"data":[{"type":"account","id":"hello from the origin"}]}"#,
    ),
    row(
        "hubspot",
        Node("@hubspot/api-client"),
        ("api.hubapi.com", "GET /crm/v3/owners"),
        BEARER,
        include_str!("sdk/hubspot.json"),
    ),
    row(
        "pipedrive",
        Node("pipedrive"),
        ("api.pipedrive.com", "GET /api/v2/deals"),
        &[("x-api-token", "KEY")],
        r#"{"success":true,"data":[{"id":1,"title":"hello from the origin"}]}"#,
    ),
    row(
        "dropbox",
        Node("dropbox"),
        ("api.dropboxapi.com", "POST /2/users/get_current_account"),
        BEARER,
        r#"{"account_id":"dbid:1","name":{"display_name":"hello from the origin"}}"#,
    ),
    row(
        "box",
        Python("box_sdk_gen"),
        ("api.box.com", "GET /2.0/users/me"),
        BEARER,
        r#"{"id":"1","type":"user","name":"hello from the origin"}"#,
    ),
    row(
        "contentful",
        Python("contentful_management"),
        ("api.contentful.com", "GET /spaces"),
        BEARER,
        r#"{"sys":{"type":"Array"},"total":1,"skip":0,"limit":25,"items":[{"sys":{"id":"s1","type":"Space"},"name":"hello from the origin"}]}"#,
    ),
    row(
        "webflow",
        Python("webflow"),
        ("api.webflow.com", "GET /v2/sites"),
        BEARER,
        r#"{"sites":[{"id":"s1","displayName":"hello from the origin"}]}"#,
    ),
    row(
        "deepl",
        Python("deepl"),
        ("api.deepl.com", "POST /v2/translate"),
        &[("authorization", "DeepL-Auth-Key KEY")],
        r#"{"translations":[{"detected_source_language":"DE","text":"hello from the origin","billed_characters":5}]}"#,
    ),
];

impl Row {
    /// What is missing here, so that it cannot be run.
    pub(crate) fn missing(&self) -> Option<String> {
        [Program(self.interpreter().0), self.need].into_iter().find_map(Need::missing)
    }

    /// The program, and how its scripts are called.
    fn interpreter(&self) -> (&'static str, &'static str) {
        if matches!(self.need, Node(_)) { ("node", "mjs") } else { ("python3", "py") }
    }

    /// Runs it and looks at everything.
    pub(crate) fn check(&self) {
        let (program, ending) = self.interpreter();
        let command = format!("{program} tests/clients/sdk/use_{}.{ending}", self.provider);
        let ran = Stage::answering(&self.login(), self.host, self.answer).run(&command, "");
        ran.expect_success();
        assert!(ran.stdout.contains(REPLY), "{}", ran.stdout);
        for (name, value) in self.headers {
            ran.expect_authenticated(self.host, name, &filled(value, self.secret));
        }
        let seen = ran.expect_requests(self.host);
        assert!(seen.iter().any(|request| self.is_expected(request)), "{seen:?}");
        let commands = &ran.sightings.commands;
        assert!(commands.iter().any(|line| line.trim_end() == command), "not looked at: {commands:?}");
        ran.expect_no_leak();
    }

    fn login(&self) -> Login {
        let (input, secret) = (self.input.replace("KEY", self.secret), self.secret.to_owned());
        Login { provider: self.provider, flags: &["--flow", "api_key"], input, secret }
    }

    fn is_expected(&self, seen: &Seen) -> bool {
        let whole = || seen.uri.path_and_query().map(|asked| asked.as_str());
        let asked = if self.request.contains('?') { whole().unwrap_or_default() } else { seen.uri.path() };
        format!("{} {asked}", seen.method) == self.request.replace("KEY", self.secret)
    }
}
