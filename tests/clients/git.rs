//! Git's own server side, `git http-backend`, as a CGI program (RFC 3875).

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bytes::Bytes;
use http::{Request, Response};

use crate::support::streams::{AnyBody, full};

/// The folder whose repositories are served.
#[derive(Clone)]
pub(crate) struct Repositories {
    root: PathBuf,
}

impl Repositories {
    /// Makes `owner/project.git` with one commit of one file.
    pub(crate) fn create(root: &Path, content: &str) -> Self {
        let (work, bare) = (root.join("work"), root.join("served/owner/project.git"));
        std::fs::create_dir_all(&work).unwrap();
        std::fs::write(work.join("README"), content).unwrap();
        let identity = ["-c", "user.name=Nobody", "-c", "user.email=nobody@example.test"];
        git(&work, &["init", "--quiet", "--initial-branch=main"]);
        git(&work, &["add", "README"]);
        git(&work, &[identity.as_slice(), &["commit", "--quiet", "-m", "First"]].concat());
        git(&work, &["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
        git(&bare, &["config", "http.receivepack", "true"]);
        Self { root: root.join("served") }
    }

    /// What the newest commit of a branch says.
    pub(crate) fn subject(&self, branch: &str) -> String {
        git(&self.root.join("owner/project.git"), &["log", "-1", "--format=%s", branch])
    }

    /// Answers one request; blocks.
    pub(crate) fn answer(&self, request: &Request<Bytes>) -> Response<AnyBody> {
        let header = |name: &str| request.headers().get(name).map_or("", |value| value.to_str().unwrap());
        let mut command = Command::new("git");
        command.arg("http-backend").stdin(Stdio::piped()).stdout(Stdio::piped());
        command.env("GIT_PROJECT_ROOT", &self.root).env("GIT_HTTP_EXPORT_ALL", "1");
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", &self.root).env("REMOTE_USER", "agent");
        command.env("REQUEST_METHOD", request.method().as_str()).env("PATH_INFO", request.uri().path());
        command.env("QUERY_STRING", request.uri().query().unwrap_or_default());
        command.env("CONTENT_TYPE", header("content-type")).env("GIT_PROTOCOL", header("git-protocol"));
        command.env("CONTENT_LENGTH", request.body().len().to_string());
        command.env("HTTP_CONTENT_ENCODING", header("content-encoding"));
        let mut backend = command.spawn().unwrap();
        backend.stdin.take().unwrap().write_all(request.body()).unwrap();
        response(&backend.wait_with_output().unwrap().stdout)
    }
}

/// A CGI program's head and body.
fn response(output: &[u8]) -> Response<AnyBody> {
    let end = memchr::memmem::find(output, b"\r\n\r\n").expect("a head from git http-backend");
    let mut response = Response::builder();
    for line in std::str::from_utf8(&output[..end]).unwrap().lines() {
        let (name, value) = line.split_once(": ").unwrap();
        response = match name {
            "Status" => response.status(value.split(' ').next().unwrap()),
            _ => response.header(name, value),
        };
    }
    response.body(full(output[end + 4..].to_vec())).unwrap()
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(folder).args(arguments).env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", folder);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
