//! The bench itself: the direct lane and the relay, every timed scenario for a moment, through the built program.

use std::process::Command;

use serde_json::Value;

#[test]
fn direct_and_relay_are_measured_and_every_request_is_accounted_for() {
    let json = std::env::temp_dir().join(format!("authsome-bench-smoke-{}.json", std::process::id()));
    let output = Command::new(env!("CARGO_BIN_EXE_authsome-bench"))
        .args(["run", "--authsome", "none", "--rounds", "1", "--seconds", "0.2", "--json"])
        .arg(&json)
        .args(
            ["h1", "h2", "latency-h1", "warm", "cold", "up", "passed", "sse-h1", "sse-h2", "idle", "start"]
                .map(|name| format!("--only={name}")),
        )
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    std::fs::remove_file(&json).unwrap();

    let median = |figure: &str, lane: &str| document["figures"][figure][lane]["median"].as_f64();
    for figure in
        ["h1.cpu_us", "h2.cpu_us", "warm.cpu_ms", "cold.cpu_ms", "up.cpu_s_per_gib", "passed.cpu_s_per_gib"]
    {
        assert!(median(figure, "relay").unwrap() > 0.0, "{figure}: {document}");
        assert_eq!(median(figure, "direct"), None, "the direct lane has no proxy");
    }
    for figure in ["h1.requests_per_s", "latency_h1.p50_us", "sse_h1.p99_us", "sse_h2.p99_us"] {
        assert!(
            median(figure, "direct").unwrap() > 0.0 && median(figure, "relay").unwrap() > 0.0,
            "{figure}"
        );
    }
    assert!(
        median("latency_h1.added_p50_us", "relay").is_some() && median("start.ready_ms", "relay").is_some()
    );

    assert!(median("idle.intercepted_kib", "relay").unwrap() > median("idle.passed_kib", "relay").unwrap());

    let arrivals = document["arrivals"].as_array().unwrap();
    assert_eq!(arrivals.len(), 4, "direct and relay, intercepted and passed: {arrivals:?}");
    for arrival in arrivals {
        assert_eq!(arrival["sent"], arrival["arrived"], "{arrival}");
        assert_eq!(arrival["with_credential"], 0, "{arrival}");
    }
    assert!(text.contains("PASS  relay: requests that arrived without the credential"), "{text}");
}

#[test]
fn a_lookup_allocates_nothing_however_large_the_table() {
    let output = Command::new(env!("CARGO_BIN_EXE_lookup"))
        .args(["--rounds", "1", "--passes", "20"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("1000 custom ones") && text.contains(" 0 allocations (limit 0)"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
