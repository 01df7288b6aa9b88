//! What a route lookup costs in a table of ten connections, and in one of all bundled definitions and many custom ones.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the figures are the product")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use authsome::measure::{Part, Table, Target};
use authsome_providers::{AuthType, Claim, ProviderDefinition, Registry};
use clap::Parser;

/// A lookup in the large table may cost this many times what it costs in the small one.
const LIMIT: f64 = 1.5;
/// Providers of the small table; requests go to these in both tables.
const SMALL: [&str; 10] =
    ["anthropic", "gemini", "github", "klaviyo", "linear", "mistral", "openai", "slack", "stripe", "twilio"];
const TARGETS: [(&str, &str); 12] = [
    ("api.anthropic.com", "/v1/messages"),
    ("generativelanguage.googleapis.com", "/v1beta/models/gemini:generateContent"),
    ("api.github.com", "/repos/owner/project/issues"),
    ("github.com", "/owner/project.git/info/refs"),
    ("a.klaviyo.com", "/api/profiles"),
    ("api.linear.app", "/graphql"),
    ("api.mistral.ai", "/v1/chat/completions"),
    ("api.openai.com", "/v1/chat/completions"),
    ("slack.com", "/api/chat.postMessage"),
    ("api.stripe.com", "/v1/customers"),
    ("api.twilio.com", "/2010-04-01/Accounts.json"),
    ("api.dublin.ie1.twilio.com", "/2010-04-01/Accounts.json"),
];
const STRANGERS: [&str; 3] =
    ["registry.example.org", "evilapi.openai.com.example.net", "a.b.c.d.example.com"];

/// Measures route lookups in a small table and in a large one.
#[derive(Parser)]
#[command(name = "lookup", version)]
struct Options {
    /// Measurements of each table, in turns
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Passes over all targets in one measurement
    #[arg(long, default_value_t = 20_000)]
    passes: usize,
    /// Custom definitions in the large table
    #[arg(long, default_value_t = 1_000)]
    custom: usize,
}

/// Counts what is allocated.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Measures, prints, and says whether both limits are kept.
fn run(options: &Options) -> Result<bool> {
    let small = Table::compile(SMALL.iter().map(|name| bundled(name)).collect::<Result<Vec<_>>>()?);
    let mut all: Vec<Part> = Registry::bundled().iter().map(|provider| part(&provider.definition)).collect();
    let bundled = all.len();
    for index in 0..options.custom {
        all.push(custom(index)?);
    }
    let large = Table::compile(all);
    let targets: Vec<(Target, &str)> =
        TARGETS.iter().map(|(host, path)| (Target::new(host), *path)).collect();
    let strangers: Vec<Target> = STRANGERS.iter().map(|host| Target::new(host)).collect();
    for table in [&small, &large] {
        // A regex makes its scratch space when it is first used.
        measure(table, &targets, &strangers, 1)?;
    }
    let mut figures = [Vec::new(), Vec::new()];
    let mut allocated = 0;
    for _ in 0..options.rounds {
        for (table, figures) in [&small, &large].into_iter().zip(&mut figures) {
            let (nanoseconds, allocations) = measure(table, &targets, &strangers, options.passes)?;
            figures.push(nanoseconds);
            allocated += allocations;
        }
    }
    let [small, large] = figures.map(median);
    let ratio = large / small;
    println!("lookup in 10 connections: {small:.1} ns");
    println!("lookup in {bundled} bundled and {} custom ones: {large:.1} ns", options.custom);
    println!("ratio {ratio:.2} (limit {LIMIT}), {allocated} allocations (limit 0)");
    Ok(ratio <= LIMIT && allocated == 0)
}

fn bundled(name: &str) -> Result<Part> {
    let registry = Registry::bundled();
    let provider = registry.provider(name).with_context(|| format!("{name} is not bundled"))?;
    Ok(part(&provider.definition))
}

/// A connection whose fields all have a value.
fn part(definition: &ProviderDefinition) -> Part {
    let auth = [AuthType::ApiKey, AuthType::OAuth2].into_iter().find(|auth| definition.offers(*auth));
    let auth = auth.unwrap_or(definition.auth_type());
    let mut values = BTreeMap::new();
    for field in definition.fields(auth) {
        let sample = if field.name == "base_url" {
            format!("https://{}.example.com", definition.name())
        } else {
            "sample".to_owned()
        };
        values.insert(field.name, field.default.unwrap_or(sample));
    }
    Part {
        provider: definition.name().to_owned(),
        claims: definition.claims(auth, &values).unwrap_or_default(),
        endpoints: definition.auth_endpoints(&values),
        excluded: definition.excluded(&values),
    }
}

/// Hosts, paths, globs and regexes in turn.
fn custom(index: usize) -> Result<Part> {
    let domain = format!("custom{index}.test");
    let (url, domains) = match index % 4 {
        0 => (format!("api.{domain}"), vec![]),
        1 => (format!("https://api.{domain}/v1"), vec![]),
        2 => (format!("*.api.{domain}"), vec![]),
        _ => (format!("regex:api[0-9]\\.custom{index}\\.test"), vec![domain]),
    };
    Ok(Part {
        provider: format!("custom{index}"),
        claims: vec![Claim::parse_host_url(&url, &domains)?],
        endpoints: Vec::new(),
        excluded: Vec::new(),
    })
}

/// Nanoseconds a lookup, and how many allocations all of them made.
fn measure(
    table: &Table,
    targets: &[(Target, &str)],
    strangers: &[Target],
    passes: usize,
) -> Result<(f64, u64)> {
    let mut routed = 0;
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let start = Instant::now();
    for _ in 0..passes {
        routed += targets.iter().filter(|(target, path)| table.is_routed(target, path)).count();
        routed += strangers.iter().filter(|target| table.is_routed(target, "/")).count();
    }
    let elapsed = start.elapsed();
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    anyhow::ensure!(routed == passes * targets.len(), "a target has no route, or a stranger has one");
    let lookups = passes * (targets.len() + strangers.len());
    Ok((elapsed.as_secs_f64() * 1e9 / lookups as f64, allocations))
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
