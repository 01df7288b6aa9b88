//! A home, a server and a watch, and `authsome run` among them.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use http::HeaderMap;

use crate::api::Api;
use crate::git::Repositories;
use crate::leaks::Needle;
use crate::support::authority::Authority;
use crate::support::home::Home;
use crate::support::origin::{Origin, Plan, Seen};
use crate::tools;
use crate::watch::{Sightings, Watch};

/// No client takes as long as this, on a loaded machine either.
const LIMIT: Duration = Duration::from_secs(90);

/// A credential as it is typed in.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) provider: &'static str,
    /// Further arguments of `login`.
    pub(crate) flags: &'static [&'static str],
    /// What `login --stdin` reads.
    pub(crate) input: String,
    /// What must be found nowhere.
    pub(crate) secret: String,
}

/// All that a run needs, with the credentials stored.
pub(crate) struct Stage {
    runtime: tokio::runtime::Runtime,
    home: Home,
    origin: Origin,
    repositories: Option<Repositories>,
    watch: Watch,
    needles: Vec<Needle>,
    flags: Vec<String>,
}

/// What came of a run.
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// What the server got.
    pub(crate) requests: Vec<Seen>,
    pub(crate) sightings: Sightings,
    /// Files that hold a secret; the output is among them.
    pub(crate) files: Vec<String>,
    pub(crate) repositories: Option<Repositories>,
    /// Keeps the files until everything has been asserted.
    _home: Home,
}

impl Stage {
    /// One server for all hosts.
    pub(crate) fn new(logins: &[Login], hosts: &[&str]) -> Self {
        Self::build(logins, hosts, None)
    }

    /// One server that gives this JSON to whatever it is asked; no other host can be reached.
    pub(crate) fn answering(login: &Login, host: &str, document: &'static str) -> Self {
        let mut stage = Self::build(std::slice::from_ref(login), &[host], Some(document));
        stage.flags.push("--unmatched=deny".to_owned());
        stage
    }

    fn build(logins: &[Login], hosts: &[&str], document: Option<&'static str>) -> Self {
        let home = Home::new();
        let needles: Vec<_> = logins.iter().map(|login| Needle::new(&login.secret)).collect();
        let watch = Watch::start(needles.clone(), home.runtime());
        for login in logins {
            let arguments = [&["login", login.provider, "--stdin"], login.flags].concat();
            home.login_with(&arguments, &login.input);
        }
        let authority = Authority::new();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let repositories = hosts
            .contains(&"github.com")
            .then(|| Repositories::create(&home.scratch().join("git"), crate::api::REPLY));
        let api = Api { eye: watch.eye(), repositories: repositories.clone(), document };
        let plan = Plan::default().handler(move |request| api.clone().answer(request));
        let origin = runtime.block_on(Origin::start(authority.certify(hosts), plan));
        let pem = home.scratch().join("upstream-ca.pem");
        std::fs::write(&pem, authority.pem()).unwrap();
        let mut flags = vec!["--upstream-ca".to_owned(), pem.to_str().unwrap().to_owned()];
        for host in hosts {
            flags.push(format!("--connect-to={host}:443:127.0.0.1:{}", origin.address.port()));
        }
        Self { runtime, home, origin, repositories, watch, needles, flags }
    }

    /// Runs a shell's script as the agent, logging all that can be logged. The script is preceded by `env`.
    pub(crate) fn run(self, script: &str, input: &str) -> Ran {
        let mut command = self.home.command();
        command.args(["--verbose", "run"]).args(&self.flags).args(["--", "sh", "-c"]);
        command.arg(format!("env\n{script}")).current_dir(tools::root());
        command.env("AUTHSOME_LOG", "trace").env("PATH", tools::path()).env("NODE_PATH", tools::node_path());
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_CONFIG_NOSYSTEM", "1");
        let (stdout, stderr) = (self.scratch("stdout"), self.scratch("stderr"));
        let child = self.spawn(command, input, &stdout, &stderr);
        self.watch.follow(child.id());
        let status = finished(child);
        let sightings = self.watch.end();
        let requests = self.origin.requests();
        self.runtime.shutdown_background();
        let folders = [self.home.scratch(), self.home.runtime()];
        let search = |needle: &Needle| folders.each_ref().map(|folder| needle.found_below(folder)).concat();
        let files = self.needles.iter().flat_map(search).collect();
        let read = |path: PathBuf| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        let (stdout, stderr, repositories) = (read(stdout), read(stderr), self.repositories);
        Ran { status, stdout, stderr, requests, sightings, files, repositories, _home: self.home }
    }

    fn spawn(&self, mut command: Command, input: &str, stdout: &PathBuf, stderr: &PathBuf) -> Child {
        // A file without a name: what is typed in is not what the run leaves behind.
        let mut typed = tempfile::tempfile().unwrap();
        typed.write_all(input.as_bytes()).unwrap();
        typed.seek(SeekFrom::Start(0)).unwrap();
        command.stdin(typed).stdout(File::create(stdout).unwrap()).stderr(File::create(stderr).unwrap());
        command.spawn().unwrap()
    }

    fn scratch(&self, name: &str) -> PathBuf {
        self.home.scratch().join(name)
    }
}

impl Ran {
    /// That it ended well.
    #[track_caller]
    pub(crate) fn expect_success(&self) {
        assert!(self.status.success(), "{}\n{}\n{}", self.status, self.stdout, self.stderr);
    }

    /// That requests came to a host. Gives their heads.
    #[track_caller]
    pub(crate) fn expect_requests(&self, host: &str) -> Vec<&Seen> {
        let seen: Vec<_> = self.requests.iter().filter(|seen| host_of(seen) == host).collect();
        assert!(!seen.is_empty(), "nothing came to {host}: {:?}\n{}", self.requests, self.stderr);
        seen
    }

    /// That requests came to a host, each with this one value in a header. Gives their heads.
    #[track_caller]
    pub(crate) fn expect_authenticated(&self, host: &str, header: &str, value: &str) -> Vec<&Seen> {
        let seen = self.expect_requests(host);
        for request in &seen {
            assert_eq!(request.values(header), [value], "{request:?}");
        }
        seen
    }

    /// That no secret was seen in a process or found in a file.
    #[track_caller]
    pub(crate) fn expect_no_leak(&self) {
        assert!(self.sightings.leaks.is_empty(), "{:?}", self.sightings.leaks);
        assert!(self.files.is_empty(), "{:?}", self.files);
    }
}

fn host_of(seen: &Seen) -> String {
    let host = |headers: &HeaderMap| headers.get("host").map(|host| host.to_str().unwrap().to_owned());
    seen.uri.host().map(str::to_owned).or_else(|| host(&seen.headers)).unwrap_or_default()
}

fn finished(mut child: Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if start.elapsed() > LIMIT {
            let _ = child.kill();
            panic!("still running after {LIMIT:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
