//! `authsome demo`: the main job without an account, the internet, or a trace.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::home::Home;
use crate::support::until;

fn entries(folder: &Path) -> Vec<String> {
    let found = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    found.map(|name| name.to_string_lossy().into_owned()).collect()
}

fn demo(home: &Home, arguments: &[&str]) -> std::process::Output {
    home.command().env("XDG_RUNTIME_DIR", home.scratch()).args(arguments).output().unwrap()
}

#[test]
fn every_agent_is_authenticated_without_the_key_and_nothing_is_left_behind() {
    let home = Home::new();
    let output = demo(&home, &["demo", "--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
    assert!(output.status.success(), "{document:#}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(document["status"], "ok");
    let key = document["key"].as_str().unwrap();
    assert!(key.starts_with("sk-demo-") && key.len() == 20, "{key}");

    let agents = document["agents"].as_array().unwrap();
    assert_eq!(agents[0]["name"], "built-in");
    assert_eq!(agents.len() + document["absent"].as_array().unwrap().len(), 4, "{document:#}");
    for agent in agents {
        assert_eq!(agent["held"], "authsome-proxy-managed", "{agent}");
        assert_eq!(agent["received"], format!("Bearer {key}"), "{agent}");
        assert_eq!((&agent["authenticated"], &agent["saw_key"]), (&true.into(), &false.into()), "{agent}");
        assert_eq!(agent["error"], Value::Null);
    }
    assert_eq!(entries(&home.scratch()), Vec::<String>::new(), "something is left behind");
}

#[test]
fn the_text_shows_placeholder_and_key_side_by_side_on_80_columns() {
    let home = Home::new();
    let output = demo(&home, &["demo"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let row = text.lines().find(|line| line.trim_start().starts_with("built-in")).unwrap();
    assert!(row.contains("authsome-proxy-managed  Bearer sk-demo-") && row.ends_with("ok"), "{row}");
    assert!(text.lines().all(|line| line.chars().count() <= 80 && line.trim_end() == line), "{text}");
    assert!(!text.contains('\u{1b}'), "colours without a terminal: {text:?}");
}

/// A demo whose `curl` is a shell script, and the folder in which it may leave things.
fn with_curl(home: &Home, script: &str) -> (Command, PathBuf) {
    let folder = home.scratch().join("bin");
    let runtime = home.scratch().join("runtime");
    fs::create_dir(&folder).unwrap();
    fs::create_dir(&runtime).unwrap();
    let curl = folder.join("curl");
    fs::write(&curl, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&curl, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = home.command();
    let path = format!("{}:/usr/bin:/bin", folder.display());
    command.env("PATH", path).env("XDG_RUNTIME_DIR", &runtime).args(["demo", "--json"]);
    (command, runtime)
}

#[test]
fn an_agent_that_cannot_reach_the_api_fails_the_demo() {
    let home = Home::new();
    let (mut command, runtime) = with_curl(&home, "exit 3");
    let output = command.output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &document["status"]), (Some(1), &"failed".into()), "{document:#}");
    let agents = document["agents"].as_array().unwrap();
    let curl = agents.iter().find(|agent| agent["name"] == "curl").unwrap();
    assert_eq!((&curl["authenticated"], &curl["received"]), (&false.into(), &Value::Null));
    assert!(curl["error"].as_str().unwrap().contains("exit code 3"), "{curl}");
    assert_eq!(entries(&runtime), Vec::<String>::new());
}

#[test]
fn a_shim_that_leads_to_no_program_is_no_agent() {
    let home = Home::new();
    let (mut command, _) = with_curl(&home, "exit 127");
    let output = command.output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{document:#}");
    assert!(document["absent"].as_array().unwrap().contains(&"curl".into()), "{document:#}");
}

#[tokio::test]
async fn a_demo_that_is_stopped_leaves_nothing_behind() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let home = Home::new();
        let started = home.scratch().join("started");
        let script = format!("touch {}; exec sleep 600", started.display());
        let (mut command, runtime) = with_curl(&home, &script);
        let mut demo = command.stdout(Stdio::piped()).spawn().unwrap();
        until("curl to start", || started.exists()).await;
        assert!(!entries(&runtime).is_empty());
        kill(Pid::from_raw(i32::try_from(demo.id()).unwrap()), signal).unwrap();
        let mut status = None;
        until("the demo to end", || {
            status = demo.try_wait().unwrap();
            status.is_some()
        })
        .await;
        assert_eq!(status.unwrap().code(), Some(code), "{signal}");
        assert_eq!(entries(&runtime), Vec::<String>::new(), "{signal}");
    }
}

#[test]
fn inside_a_run_there_is_no_demo() {
    let home = Home::new();
    let output = home.command().env("AUTHSOME_PROXY_MODE", "true").args(["demo", "--json"]).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!output.status.success());
    assert!(document["message"].as_str().unwrap().contains("demo"), "{document}");
}
