use std::collections::BTreeMap;

use super::*;
use crate::config::{Config, Flags};

fn config(pairs: &[(&str, &str)]) -> Config {
    let variables: BTreeMap<String, String> =
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    crate::config::load(Flags { home: Some("/nowhere".into()), ..Flags::default() }, &variables).unwrap()
}

fn browser(config: &Config, trust: Trust) -> Browser<'_> {
    Browser { screen: &config.screen, environment: &config.environment, trust }
}

/// Programs with their arguments.
fn lines(commands: &[Command]) -> Vec<String> {
    let line = |command: &Command| {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
    };
    commands.iter().map(line).collect()
}

#[test]
fn the_persons_own_browser_is_opened_without_a_shell_and_not_in_the_terminal() {
    for (wish, expected) in [
        ("firefox", &["firefox http://x"][..]),
        ("chrome --app=%s:firefox -P a", &["chrome --app=http://x", "firefox -P a http://x"]),
        ("/usr/bin/w3m:lynx", &[]),
        ("$(touch x);a", &["$(touch x);a http://x"]),
    ] {
        let config = config(&[("BROWSER", wish)]);
        assert_eq!(lines(&browser(&config, Trust::Person).commands("http://x")), expected, "{wish}");
    }
}

#[test]
fn inside_a_run_the_environment_chooses_no_browser() {
    let variables =
        [("BROWSER", "/tmp/evil"), ("PATH", "/tmp/evil"), ("LD_PRELOAD", "/tmp/evil"), ("DISPLAY", ":0")];
    let config = config(&variables);
    for command in browser(&config, Trust::System).commands("http://x") {
        assert!(command.get_program().as_encoded_bytes().starts_with(b"/usr/"), "{command:?}");
        let kept: Vec<_> = command.get_envs().filter(|(_, value)| value.is_some()).collect();
        let values = || kept.iter().filter_map(|(_, value)| *value);
        assert!(values().all(|value| value != "/tmp/evil"), "{kept:?}");
        assert!(values().any(|value| value == ":0"), "{kept:?}");
    }
}

#[test]
fn a_browser_gets_no_key_of_ours() {
    let config = config(&[("BROWSER", "firefox"), ("AUTHSOME_OPENAI_API_KEY", "sk-canary")]);
    let commands = browser(&config, Trust::Person).commands("http://x");
    let removed = |command: &Command| {
        command.get_envs().any(|(name, value)| name == "AUTHSOME_OPENAI_API_KEY" && value.is_none())
    };
    assert!(commands.len() == 1 && commands.iter().all(removed));
}

#[test]
fn a_page_needs_a_display_or_a_wish() {
    for (variables, person, system) in [
        (&[][..], false, false),
        (&[("SSH_CONNECTION", "1")], false, false),
        (&[("BROWSER", "firefox")], true, false),
        (&[("DISPLAY", ":0")], true, true),
        (&[("WAYLAND_DISPLAY", "wayland-0")], true, true),
    ] {
        let config = config(variables);
        if cfg!(target_os = "macos") {
            continue;
        }
        assert_eq!(browser(&config, Trust::Person).is_possible(), person, "{variables:?}");
        assert_eq!(browser(&config, Trust::System).is_possible(), system, "{variables:?}");
    }
}

#[test]
fn a_browser_that_fails_at_once_is_an_error() {
    for (wish, works) in [("true", true), ("false", false), ("/does/not/exist", false), ("false:true", true)]
    {
        let config = config(&[("BROWSER", wish)]);
        assert_eq!(browser(&config, Trust::Person).open("http://x").is_ok(), works, "{wish}");
    }
}
