//! Authorization servers of others' making, as processes: see `tests/servers/README.md`.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use crate::tools::{self, Need};

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// npm's.
    OidcProvider,
    /// PyPI's.
    Authlib,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OidcProvider => "oidc-provider",
            Self::Authlib => "authlib",
        }
    }

    pub(crate) fn host(self) -> &'static str {
        match self {
            Self::OidcProvider => "oidc.test",
            Self::Authlib => "authlib.test",
        }
    }

    pub(crate) fn missing(self) -> Option<String> {
        let needs: &[Need] = match self {
            Self::OidcProvider => &[
                Need::Program("curl"),
                Need::Installed("node22/node_modules/.bin/node"),
                Need::Installed("oidc-provider/node_modules/oidc-provider"),
            ],
            Self::Authlib => &[Need::Program("curl"), Need::Installed("authlib/bin/python3")],
        };
        needs.iter().find_map(|need| need.missing())
    }

    /// The endpoints, as a definition has them.
    pub(crate) fn endpoints(self) -> Value {
        let paths: [(&str, &str); 6] = match self {
            Self::OidcProvider => [
                ("authorization_url", "/auth"),
                ("token_url", "/token"),
                ("revocation_url", "/token/revocation"),
                ("introspection_url", "/token/introspection"),
                ("device_authorization_url", "/device/auth"),
                ("registration_endpoint", "/reg"),
            ],
            Self::Authlib => [
                ("authorization_url", "/authorize"),
                ("token_url", "/token"),
                ("revocation_url", "/revoke"),
                ("introspection_url", "/introspect"),
                ("device_authorization_url", "/device"),
                ("registration_endpoint", "/register"),
            ],
        };
        let url =
            |(name, path): (&str, &str)| (name.to_owned(), format!("https://{}{path}", self.host()).into());
        Value::Object(paths.into_iter().map(url).collect())
    }
}

/// A running server; it ends with the value.
pub(crate) struct Server {
    pub(crate) kind: Kind,
    process: Child,
    /// Kept open: the server may say more.
    _output: BufReader<ChildStdout>,
    port: u16,
    ca: PathBuf,
    folder: PathBuf,
    /// The private key of the client `jwt`, in PEM.
    pub(crate) client_key: String,
}

impl Server {
    /// Starts it with a certificate that it has made for itself.
    pub(crate) fn start(kind: Kind, folder: &Path) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![kind.host().to_owned()]).unwrap().self_signed(&key).unwrap();
        let (cert_file, key_file) = (folder.join("issuer.pem"), folder.join("issuer.key"));
        std::fs::write(&cert_file, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        let client_key = KeyPair::generate().unwrap();
        let mut command = command(kind, &client_key);
        command.arg("--cert").arg(&cert_file).arg("--key").arg(&key_file);
        command.args(["--issuer", &format!("https://{}", kind.host())]);
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{kind:?} said {line:?}"));
        let port = u16::try_from(ready["port"].as_u64().unwrap()).unwrap();
        let (ca, folder) = (cert_file, folder.to_owned());
        Self { kind, process, _output: output, port, ca, folder, client_key: client_key.serialize_pem() }
    }

    /// The flags by which the program finds and trusts it.
    pub(crate) fn flags(&self) -> [String; 4] {
        let mapping = format!("{}:443:127.0.0.1:{}", self.kind.host(), self.port);
        ["--upstream-ca".into(), self.ca.to_str().unwrap().into(), "--connect-to".into(), mapping]
    }

    /// What a browser shows in the end that is sent to a URL: here, or where it is sent on to.
    pub(crate) fn browse(&self, url: &str) -> String {
        let jar = self.folder.join("cookies");
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--location", "--max-redirs", "8", "--cacert"]).arg(&self.ca);
        curl.args(["--connect-to", &format!("{}:443:127.0.0.1:{}", self.kind.host(), self.port)]);
        let output = curl.arg("--cookie").arg(&jar).arg("--cookie-jar").arg(&jar).arg(url).output().unwrap();
        assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Tells the server something that only tests tell.
    pub(crate) fn control(&self, what: &str) -> Value {
        let answer = self.browse(&format!("https://{}/_test/{what}", self.kind.host()));
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{what}: {answer}"))
    }

    pub(crate) fn count(&self, what: &str) -> u64 {
        self.control("counts")[what].as_u64().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn command(kind: Kind, client_key: &KeyPair) -> Command {
    let source = tools::root().join("tests/servers").join(kind.name());
    match kind {
        Kind::OidcProvider => {
            let point = client_key.public_key_raw();
            let coordinate = |range| URL_SAFE_NO_PAD.encode(&point[range]);
            let jwk = json!({"kty": "EC", "crv": "P-256", "x": coordinate(1..33), "y": coordinate(33..65)});
            let mut command = Command::new(tools::installed("node22/node_modules/.bin/node"));
            command.arg(source.join("server.mjs")).args(["--jwk", &jwk.to_string()]);
            command
        }
        Kind::Authlib => {
            let mut command = Command::new(tools::installed("authlib/bin/python3"));
            command.arg(source.join("server.py"));
            command
        }
    }
}
