//! The programs that play the agent. Each prints its whole environment, then asks the API with the key that it
//! believes to have.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use http::{StatusCode, Uri};

use super::{Ask, ClientError, URL, VARIABLE};

const SHELL: &str = include_str!("agent.sh");
const PYTHON: &str = include_str!("agent.py");
const NODE: &str = include_str!("agent.js");
/// A program that is too old to play ends with the first of these codes; a shim that leads to none, with the
/// shell's for a program that is not found.
pub(super) const CANNOT_PLAY: [u8; 2] = [77, 127];

/// A program that plays the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Agent {
    /// What it is called on the screen.
    pub(crate) name: &'static str,
    /// The program and its arguments.
    pub(crate) command: Vec<OsString>,
}

impl Agent {
    /// All that can play here: this program itself, and those of the others that `path` leads to. Then the names
    /// of the absent.
    pub(crate) fn cast(own: &Path, path: &OsStr) -> (Vec<Self>, Vec<&'static str>) {
        let mut present =
            vec![Self { name: "built-in", command: vec![own.into(), "demo-agent".into(), URL.into()] }];
        let mut absent = Vec::new();
        let others: [(&str, &[&str]); 3] = [
            ("curl", &["sh", "-c", SHELL, "sh", URL]),
            ("python3", &["python3", "-c", PYTHON, URL]),
            ("node", &["node", "-e", NODE, "--", URL]),
        ];
        for (name, command) in others {
            if on_path(path, name) {
                present.push(Self { name, command: command.iter().map(OsString::from).collect() });
            } else {
                absent.push(name);
            }
        }
        (present, absent)
    }
}

fn on_path(path: &OsStr, name: &str) -> bool {
    let is_program = |candidate: PathBuf| {
        fs::metadata(candidate).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(path).any(|folder| is_program(folder.join(name)))
}

/// Why the built-in agent failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ActError {
    #[error("{0} is not set")]
    Unset(&'static str),
    #[error("{0:?} is not a URL")]
    Url(String),
    #[error("{} cannot be read", .0.display())]
    Roots(PathBuf, #[source] io::Error),
    #[error("nothing can be printed")]
    Print(#[source] io::Error),
    #[error("the request failed")]
    Request(#[from] ClientError),
    #[error("the API answered {0}")]
    Status(StatusCode),
}

/// The part of the built-in agent, which knows no more than any other program: its environment.
pub(crate) fn act(
    url: &str,
    environment: &[(OsString, OsString)],
    out: &mut dyn Write,
) -> Result<(), ActError> {
    for (name, value) in environment {
        let line = [name.as_bytes(), b"=", value.as_bytes(), b"\n"].concat();
        out.write_all(&line).map_err(ActError::Print)?;
    }
    let uri: Uri = url.parse().map_err(|_| ActError::Url(url.to_owned()))?;
    let roots = PathBuf::from(variable(environment, "SSL_CERT_FILE")?);
    let key = variable(environment, VARIABLE)?.to_string_lossy();
    let proxy = variable(environment, "HTTPS_PROXY")?.to_str();
    let pem = fs::read(&roots).map_err(|error| ActError::Roots(roots, error))?;
    let ask = Ask { url: &uri, proxy, roots: &pem, authorization: &format!("Bearer {key}") };
    let answer = ask.send()?;
    out.write_all(&answer.body).map_err(ActError::Print)?;
    if answer.status.is_success() { Ok(()) } else { Err(ActError::Status(answer.status)) }
}

fn variable<'a>(environment: &'a [(OsString, OsString)], name: &'static str) -> Result<&'a OsStr, ActError> {
    let found = environment.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_os_str()).ok_or(ActError::Unset(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_the_path_plays_and_the_rest_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("curl"), "").unwrap();
        fs::set_permissions(folder.path().join("curl"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.path().join("node"), "no program").unwrap();
        let (present, absent) = Agent::cast(Path::new("/bin/authsome"), folder.path().as_os_str());
        let names: Vec<&str> = present.iter().map(|agent| agent.name).collect();
        assert_eq!((names, absent), (vec!["built-in", "curl"], vec!["python3", "node"]));
    }

    #[test]
    fn the_built_in_agent_asks_nobody_without_a_proxy() {
        let environment = [(VARIABLE, "placeholder"), ("SSL_CERT_FILE", "/nowhere")];
        let environment = environment.map(|(name, value)| (name.into(), value.into()));
        let mut printed = Vec::new();
        let outcome = act(URL, &environment, &mut printed);
        assert!(matches!(outcome, Err(ActError::Unset("HTTPS_PROXY"))), "{outcome:?}");
        assert_eq!(printed, b"DEMO_API_KEY=placeholder\nSSL_CERT_FILE=/nowhere\n");
    }
}
