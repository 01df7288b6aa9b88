//! One agent under the real `authsome run`, and what the world saw of it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

use memchr::memmem;

use super::agent::CANNOT_PLAY;
use super::{Agent, Received, Stage, VARIABLE};
use crate::run::child::{ChildError, Signals, supervise};

/// What a shell says of a program that SIGHUP, SIGINT, SIGQUIT or SIGTERM ended.
const STOPPED: [u8; 4] = [129, 130, 131, 143];

/// Why there is nothing to tell of an agent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SceneError {
    #[error("what the agent prints cannot be kept")]
    Transcript(#[from] io::Error),
    #[error("`authsome run` cannot be started")]
    Run(#[from] ChildError),
}

/// What became of an agent.
#[derive(Debug)]
pub(crate) enum Played {
    /// It ran to its end.
    Scene(Scene),
    /// It is too old to play, or not there after all.
    Unable,
    /// A signal ended it: the exit code that tells which.
    Stopped(u8),
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scene {
    /// The agent's name.
    pub(crate) agent: &'static str,
    /// What its environment held as the key.
    pub(crate) held: Option<String>,
    /// What the API received of it.
    pub(crate) received: Option<Received>,
    /// Whether the key stood in its environment, in its output or in the answer that it got.
    pub(crate) saw_key: bool,
    /// Why it did not succeed.
    pub(crate) failure: Option<String>,
}

impl Scene {
    /// Whether it was authenticated without having had the key.
    pub(crate) fn went_well(&self) -> bool {
        let authenticated = self.received.as_ref().is_some_and(|received| received.accepted);
        authenticated && self.held.is_some() && !self.saw_key && self.failure.is_none()
    }
}

impl Stage {
    /// Lets an agent play under `own run`, in a parent's environment without what would concern another home or
    /// another proxy.
    pub(crate) fn play(
        &self,
        agent: &Agent,
        own: &Path,
        environment: &[(OsString, OsString)],
        signals: &Signals,
    ) -> Result<Played, SceneError> {
        let [output, complaint] = ["out", "err"].map(|name| self.folder.path().join(name));
        let mut command = Command::new(own);
        command.arg("--home").arg(self.home()).args(["--profile", "default", "--quiet", "run"]);
        command.arg("--upstream-ca").arg(self.upstream_ca()).args(["--connect-to", &self.connect_to(), "--"]);
        command.args(&agent.command);
        command.env_clear().envs(environment.iter().filter(|(name, _)| !disturbs(name)).cloned());
        command.stdin(Stdio::null()).stdout(File::create(&output)?).stderr(File::create(&complaint)?);

        let code = supervise(signals, command, false)?;
        let received = self.api().take_received().pop();
        if CANNOT_PLAY.contains(&code) {
            return Ok(Played::Unable);
        }
        if STOPPED.contains(&code) {
            return Ok(Played::Stopped(code));
        }
        let transcript = fs::read(output)?;
        let complaint = fs::read(complaint)?;
        let key = self.key().expose().as_bytes();
        let failure = failure(code, &complaint, received.as_ref());
        Ok(Played::Scene(Scene {
            agent: agent.name,
            held: held(&transcript),
            received,
            saw_key: [&transcript, &complaint].iter().any(|text| memmem::find(text, key).is_some()),
            failure,
        }))
    }
}

/// Whether a variable of the parent would lead `run` to another home, key or way out.
fn disturbs(name: &OsStr) -> bool {
    let name = name.as_bytes().to_ascii_uppercase();
    name.starts_with(b"AUTHSOME_") || name.ends_with(b"_PROXY")
}

/// What a transcript says the environment held as the key.
fn held(transcript: &[u8]) -> Option<String> {
    let mut lines = transcript.split(|byte| *byte == b'\n');
    let value = lines.find_map(|line| line.strip_prefix(VARIABLE.as_bytes())?.strip_prefix(b"="))?;
    Some(String::from_utf8_lossy(value).into_owned())
}

fn failure(code: u8, complaint: &[u8], received: Option<&Received>) -> Option<String> {
    if code == 0 {
        return received.is_none().then(|| "its request never reached the API".to_owned());
    }
    let complaint = String::from_utf8_lossy(complaint);
    let last = complaint.lines().map(str::trim).rfind(|line| !line.is_empty());
    Some(last.map_or_else(|| format!("it ended with exit code {code}"), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(accepted: bool) -> Received {
        Received { protocol: "HTTP/2", authorization: Some("Bearer sk-demo-1".into()), accepted }
    }

    fn scene() -> Scene {
        let held = Some("authsome-proxy-managed".to_owned());
        Scene { agent: "curl", held, received: Some(received(true)), saw_key: false, failure: None }
    }

    #[test]
    fn a_scene_went_well_only_when_nothing_is_amiss() {
        assert!(scene().went_well());
        for bad in [
            Scene { saw_key: true, ..scene() },
            Scene { held: None, ..scene() },
            Scene { received: None, ..scene() },
            Scene { received: Some(received(false)), ..scene() },
            Scene { failure: Some("x".into()), ..scene() },
        ] {
            assert!(!bad.went_well(), "{bad:?}");
        }
    }

    #[test]
    fn what_was_held_is_read_from_the_whole_variable() {
        assert_eq!(held(b"A=1\nDEMO_API_KEY=placeholder\n{}").as_deref(), Some("placeholder"));
        assert_eq!(held(b"MY_DEMO_API_KEY=x\nDEMO_API_KEYS=y\n"), None);
    }

    #[test]
    fn a_failure_is_told_in_the_agents_last_words() {
        assert_eq!(
            failure(1, b"Traceback\nURLError: refused\n\n", None).as_deref(),
            Some("URLError: refused")
        );
        assert_eq!(failure(9, b"", None).as_deref(), Some("it ended with exit code 9"));
        assert_eq!(failure(0, b"", Some(&received(true))), None);
        assert!(failure(0, b"", None).is_some());
    }

    #[test]
    fn nothing_of_another_home_or_proxy_reaches_the_run() {
        for name in ["AUTHSOME_HOME", "AUTHSOME_MASTER_KEY", "https_proxy", "ALL_PROXY", "NO_PROXY"] {
            assert!(disturbs(OsStr::new(name)), "{name}");
        }
        assert!(!disturbs(OsStr::new("PATH")) && !disturbs(OsStr::new("NODE_OPTIONS")));
    }
}
