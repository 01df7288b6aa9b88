//! Reviews the bundled definitions: how many there are, how many of their facts rest on a source of the vendor's, and
//! what has to be mended. Exits with 1 when something has.
#![expect(clippy::print_stdout, reason = "the review is the product")]

use std::process::ExitCode;

use authsome_providers::{Evidence, Provider, Registry};

/// Fewer would be a regression.
const AT_LEAST: usize = 140;

/// What agents use most, and every name of either Python edition: each is bundled, or its absence is explained.
const PROMISED: &str = "
    ahrefs airtable anthropic apollo asana ashby assemblyai atlassian bedrock beehiiv bitbucket box brave-search
    brave-search-mcp brevo buffer calendly clearbit clickup cloudflare cloudflare-mcp cohere confluence crates-io datadog
    deepgram deepseek digitalocean discord docker-hub dropbox dub elevenlabs exa figma firecrawl fireworks fly freshdesk
    g2 gemini github github-enterprise github-mcp gitlab google google-admin google-analytics google-calendar google-chat
    google-classroom google-docs google-drive google-forms google-gmail google-meet google-photos google-search-console
    google-sheets google-slides google-tasks google-vertex-ai google-youtube grafana groq hubspot huggingface hunter
    instantly intercom jira keywords-everywhere klaviyo klaviyo-oauth lemlist linear linear-mcp linkedin-browser livestorm
    mailchimp mailgun mention-me microsoft microsoft-calendar microsoft-outlook microsoft-word mistral neon netlify notion
    notion-mcp npm okta openai openrouter optimizely pagerduty perplexity pinecone postiz postmark pypi qdrant reddit
    render replicate resend rewardful savvycal semrush sendgrid sentry sentry-mcp serpapi shopify slack slack-mcp spotify
    stripe stripe-mcp supabase tavily todoist together tolt trello twilio twitch typeform upstash vercel wistia x x-browser
    xai zapier zendesk zoom
";

fn main() -> ExitCode {
    let registry = Registry::bundled();
    let all: Vec<(&Provider, Evidence)> =
        registry.iter().map(|provider| (provider, provider.definition.evidence())).collect();
    let routed = all.iter().filter(|(provider, _)| provider.definition.not_routed().is_none()).count();
    let verified: usize = all.iter().map(|(_, evidence)| evidence.verified().count()).sum();
    let unverified: usize = all.iter().map(|(_, evidence)| evidence.unverified().count()).sum();
    println!("definitions: {} ({routed} routed, {} not)", all.len(), all.len() - routed);
    println!("facts: {verified} verified, {unverified} unverified");
    for (provider, _) in &all {
        if let Some(reason) = provider.definition.not_routed() {
            println!("not routed: {}: {reason}", provider.definition.name());
        }
    }
    let mut faults: Vec<String> =
        all.iter().flat_map(|(provider, evidence)| faults(provider, evidence)).collect();
    let lacking = PROMISED
        .split_whitespace()
        .filter(|name| registry.resolve(name).is_none() && Registry::explain_absence(name).is_none());
    faults.extend(lacking.map(|name| format!("{name}: is neither bundled nor explained")));
    if routed < AT_LEAST {
        faults.push(format!("{routed} definitions are routed, {AT_LEAST} must be"));
    }
    faults.iter().for_each(|fault| println!("fault: {fault}"));
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What is wrong with the evidence of one. Hosts and slots must be verified wherever a credential is injected.
fn faults(provider: &Provider, evidence: &Evidence) -> Vec<String> {
    let definition = &provider.definition;
    let mut faults = evidence.faults();
    faults
        .extend(definition.unknown_fields().into_iter().map(|field| format!("`{field}` is read by nothing")));
    if definition.not_routed().is_none() {
        let open = evidence.unverified().filter(|fact| Evidence::is_routing(fact));
        faults.extend(
            open.map(|fact| format!("`{fact}` decides where the credential goes, and is unverified")),
        );
    }
    faults.into_iter().map(|fault| format!("{}: {fault}", definition.name())).collect()
}
