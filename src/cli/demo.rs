//! `authsome demo`, and the agent that it brings along.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use clap::Args;
use serde_json::{Value, json};

use super::Outcome;
use super::desk::{DONE, Desk};
use super::failure::Failure;
use super::output::{Output, visible};
use crate::app::{Ending, Tale};
use crate::config::{ProcessEnvironment, Strings};
use crate::demo::{self, Scene, Stage};

const TITLE: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const PLACEHOLDER: Style = AnsiColor::Yellow.on_default();
const KEY: Style = AnsiColor::Green.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// The widths of an agent's name, of what it held and of what the API received.
const COLUMNS: [usize; 3] = [8, 22, 27];

#[derive(Debug, Args)]
pub(super) struct ActArgs {
    /// What to ask for
    url: String,
}

pub(super) fn run(desk: &Desk) -> Outcome {
    let output = desk.output;
    let started = Instant::now();
    let ending = desk.app.demo(&mut |stage, scene| {
        let piece = scene.map_or_else(|| opening(stage), row);
        Ok(output.piece(&piece)?)
    })?;
    let tale = match ending {
        Ending::Told(tale) => tale,
        Ending::Stopped(code) => return Ok(code.into()),
    };
    let took = started.elapsed();
    output.answer(&document(&tale, took), || closing(&tale, took))?;
    Ok(if tale.went_well() { DONE } else { ExitCode::FAILURE })
}

/// Plays the agent: prints the environment, asks, prints the answer.
pub(super) fn act(args: &ActArgs, output: Output) -> Outcome {
    let mut printed = Vec::new();
    let acted = demo::act(&args.url, &ProcessEnvironment.all(), &mut printed);
    output.data(&printed)?;
    acted.map_err(|error| Failure::App(error.into()))?;
    Ok(DONE)
}

fn opening(stage: &Stage) -> String {
    let key = stage.key().expose();
    let [agent, held, _] = COLUMNS;
    let variable = demo::VARIABLE;
    format!(
        "{TITLE}An agent that holds no secret gets its HTTPS request authenticated.{TITLE:#}\n\n\
         A temporary vault holds a key, made up for this demo a moment ago:\n    {KEY}{key}{KEY:#}\n\
         The API at https://api.demo.test lives inside this program and wants that key.\n\
         Each agent runs as a child of `authsome run` and sends what it has.\n\n\
         {TITLE}  {:agent$}  {:held$}  What the API received{TITLE:#}\n\
         {FAINT}  {:agent$}  {variable:held$}  Authorization{FAINT:#}\n",
        "Agent", "What it held", "",
    )
}

/// One agent's line, and what went wrong below it.
fn row(scene: &Scene) -> String {
    let [agent, held, received] = COLUMNS;
    let arrived = scene.received.as_ref();
    let (mark, word) = if scene.went_well() { (GOOD, "ok") } else { (BAD, "FAIL") };
    let value = |text: Option<&str>| visible(text.unwrap_or("nothing"));
    let held_text = value(scene.held.as_deref());
    let received_text = value(arrived.and_then(|arrived| arrived.authorization.as_deref()));
    let arrived_style = if arrived.is_some_and(|arrived| arrived.accepted) { KEY } else { BAD };
    let held_style = if scene.saw_key { BAD } else { PLACEHOLDER };
    let mut row = format!(
        "  {:agent$}  {held_style}{held_text:held$}{held_style:#}  \
         {arrived_style}{received_text:received$}{arrived_style:#}  {:8}  {mark}{word}{mark:#}\n",
        scene.agent,
        arrived.map_or("", |arrived| arrived.protocol),
    );
    for trouble in troubles(scene) {
        row.push_str(&format!("  {:agent$}  {BAD}{}{BAD:#}\n", "", visible(&trouble)));
    }
    row
}

fn troubles(scene: &Scene) -> Vec<String> {
    let mut troubles = Vec::new();
    if scene.saw_key {
        troubles.push("it saw the key".to_owned());
    }
    troubles.extend(scene.failure.clone());
    troubles
}

fn closing(tale: &Tale, took: Duration) -> String {
    let absent = match tale.absent.as_slice() {
        [] => String::new(),
        names => format!("  {FAINT}not here, or too old: {}{FAINT:#}\n", names.join(", ")),
    };
    let (all, well) = (tale.scenes.len(), tale.scenes.iter().filter(|scene| scene.went_well()).count());
    let praise = match all {
        1 => "The agent was authenticated, and did not see the key:".to_owned(),
        _ => format!("All {all} agents were authenticated, and none of them saw the key:"),
    };
    let verdict = if tale.went_well() {
        format!(
            "{GOOD}{praise}{GOOD:#}\n\
             it was in no environment, no output and no answer. This took {:.1} s, and\n\
             nothing of it is left on this machine.\n\n\
             With a key of your own:\n  authsome login openai\n  authsome run -- python3 agent.py\n",
            took.as_secs_f64(),
        )
    } else {
        format!("{BAD}{} of {all} agents failed.{BAD:#} `authsome doctor` may tell why.\n", all - well)
    };
    format!("{absent}\n{verdict}")
}

fn document(tale: &Tale, took: Duration) -> Value {
    json!({
        "status": if tale.went_well() { "ok" } else { "failed" },
        "url": demo::URL,
        "key": tale.key,
        "key_origin": "made up for this demo",
        "agents": tale.scenes.iter().map(agent).collect::<Vec<_>>(),
        "absent": tale.absent,
        "seconds": (took.as_secs_f64() * 100.0).round() / 100.0,
    })
}

fn agent(scene: &Scene) -> Value {
    let received = scene.received.as_ref();
    json!({
        "name": scene.agent,
        "held": scene.held,
        "received": received.map(|received| &received.authorization),
        "protocol": received.map(|received| received.protocol),
        "authenticated": received.is_some_and(|received| received.accepted),
        "saw_key": scene.saw_key,
        "error": scene.failure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::Received;

    fn scene(saw_key: bool) -> Scene {
        let authorization = Some("Bearer sk-demo-0123456789ab".to_owned());
        Scene {
            agent: "built-in",
            held: Some("authsome-proxy-managed".into()),
            received: Some(Received { protocol: "HTTP/1.1", authorization, accepted: true }),
            saw_key,
            failure: None,
        }
    }

    fn tale(saw_key: bool) -> Tale {
        Tale {
            key: "sk-demo-0123456789ab".into(),
            scenes: vec![scene(saw_key)],
            absent: vec!["node", "curl"],
        }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn no_line_is_wider_than_80_columns() {
        for tale in [tale(false), tale(true)] {
            let text = row(&tale.scenes[0]) + &closing(&tale, Duration::from_millis(1234));
            let text = plain(&text);
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        }
    }

    #[test]
    fn an_agent_that_saw_the_key_fails_the_demo() {
        assert!(tale(false).went_well() && !tale(true).went_well());
        let text = plain(&(row(&scene(true)) + &closing(&tale(true), Duration::ZERO)));
        assert!(
            text.contains("FAIL") && text.contains("it saw the key") && text.contains("1 of 1"),
            "{text}"
        );
        assert_eq!(document(&tale(true), Duration::ZERO)["status"], "failed");
        assert_eq!(document(&tale(false), Duration::ZERO)["agents"][0]["held"], "authsome-proxy-managed");
    }

    #[test]
    fn an_agent_that_sent_nothing_is_told_as_such() {
        let scene = Scene { received: None, failure: Some("refused\u{1b}[2J".into()), ..scene(false) };
        let text = plain(&row(&scene));
        assert!(text.contains("nothing") && text.contains("refused\u{fffd}[2J"), "{text}");
    }
}
