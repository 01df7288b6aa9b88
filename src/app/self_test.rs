//! The main job, once, in a temporary home: what `doctor` knows of the machine only by trying.

use std::time::Duration;

use http::{StatusCode, Uri};

use super::{App, Parts, RoutingOptions, authority, loopback, token};
use crate::audit::Audit;
use crate::config::{Config, OutgoingProxy};
use crate::demo::{self, Ask, ClientError, Stage, StageError};
use crate::proxy::Proxy;
use crate::proxy::listener::Admission;
use crate::run::folder::RunFolder;
use crate::secret::Secret;
use crate::vault::MasterKeySource;

/// Nothing is under way any more when the proxy is stopped.
const DRAIN: Duration = Duration::from_millis(100);
/// What an agent would send.
const PLACEHOLDER: &str = "Bearer authsome-proxy-managed";

/// The stage of the main job that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SelfTestError {
    /// There is nothing to test with.
    #[error("the test cannot be set up")]
    Stage(#[from] StageError),
    /// No proxy.
    #[error("the proxy does not start")]
    Start(#[source] anyhow::Error),
    /// No answer through the proxy: tunnel, handshake or exchange.
    #[error("no request passes through the proxy")]
    Request(#[from] ClientError),
    /// The request arrived without the credential, or the proxy refused it.
    #[error("the credential was not placed: the answer was {status} {body}")]
    NotPlaced {
        /// The answer's status.
        status: StatusCode,
        /// The answer's body, which names the reason when the proxy gave it.
        body: String,
    },
}

impl App {
    /// Sends one request through a proxy of its own to an embedded server, and looks whether the credential of
    /// a temporary home arrived. Nothing of the user's home is touched.
    pub(crate) fn self_test(&self) -> Result<(), SelfTestError> {
        let stage = Stage::set(&RunFolder::base(self.config.runtime_folder.as_deref()), &self.clock)?;
        let app = Self { config: self.on(&stage), clock: self.clock.clone() };
        let (proxy, token, roots) = app.start_for_test().map_err(SelfTestError::Start)?;
        let url = Uri::from_static(demo::URL);
        let proxy_url = format!("http://run:{}@{}", token.expose(), proxy.address());
        let ask =
            Ask { url: &url, proxy: Some(&proxy_url), roots: roots.as_bytes(), authorization: PLACEHOLDER };
        let answer = ask.send();
        proxy.shutdown(DRAIN);
        let answer = answer?;
        let arrived = stage.api().take_received().iter().any(|received| received.accepted);
        if arrived && answer.status == StatusCode::OK {
            return Ok(());
        }
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        Err(SelfTestError::NotPlaced { status: answer.status, body })
    }

    /// The configuration for a home that was made for a try-out.
    fn on(&self, stage: &Stage) -> Config {
        Config {
            home: stage.home(),
            profile: "default".into(),
            master_key: MasterKeySource::File,
            provided_keys: Default::default(),
            outgoing_proxy: OutgoingProxy::default(),
            prefer: Vec::new(),
            upstream_ca: vec![stage.upstream_ca()],
            connect_to: vec![stage.connect_to()],
            ..self.config.clone()
        }
    }

    /// A proxy as `run` starts it, its token, and the certificate of its CA as PEM.
    fn start_for_test(&self) -> anyhow::Result<(Proxy, Secret<String>, String)> {
        let auth = self.auth()?;
        let ca = authority::for_run(self.permitted(&auth)?, &*self.clock)?;
        let roots = ca.certificate_pem().to_owned();
        let token = token()?;
        let audit = Audit::open(auth.home(), self.clock.clone())?;
        let parts = Parts { auth, ca, admission: Admission::run(token.clone()), audit };
        let proxy = self.start(loopback()?, parts, &RoutingOptions::default())?;
        Ok((proxy, token, roots))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{self, Flags};

    #[test]
    fn the_main_job_works_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = folder.path().join("runtime");
        std::fs::create_dir(&runtime).unwrap();
        let strings = BTreeMap::from([
            ("HOME".to_owned(), folder.path().display().to_string()),
            ("XDG_RUNTIME_DIR".to_owned(), runtime.display().to_string()),
        ]);
        let app = App::new(config::load(Flags::default(), &strings).unwrap());
        app.self_test().unwrap();
        assert_eq!(std::fs::read_dir(&runtime).unwrap().count(), 0);
        assert!(!folder.path().join(".authsome").exists());
    }
}
