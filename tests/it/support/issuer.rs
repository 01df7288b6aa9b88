//! An authorization server: it rotates refresh tokens, counts, and fails as a test tells it to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::authority::Authority;
use super::definition::Definition;
use super::origin::{Origin, Plan};
use super::soon;
use super::streams::{AnyBody, empty, fed, full};

/// The server's host.
pub(crate) const HOST: &str = "auth.alpha.test";
/// The OAuth client that it knows.
pub(crate) const CLIENT: (&str, &str) = ("client-1", "cs-canary-5ca1ab1e");

/// What a token request gets instead of its answer.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// An answer in place of the right one; nothing has changed at the server.
    Say(u16, &'static str, String),
    /// The grant is carried out, and its answer is not sent.
    DropAfterCommit,
    /// The grant is carried out, and its answer is cut short.
    Truncate,
}

/// What has happened.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    pub(crate) refreshes: usize,
    /// Refresh tokens that came a second time.
    pub(crate) reused: usize,
    pub(crate) registered: usize,
    pub(crate) revoked: Vec<String>,
}

#[derive(Default)]
struct State {
    /// Codes with their challenge.
    codes: BTreeMap<String, String>,
    /// Refresh tokens that are good, and those that were.
    live: BTreeSet<String>,
    spent: BTreeSet<String>,
    access: BTreeSet<String>,
    next: usize,
    /// Device codes for which somebody has decided.
    devices: BTreeMap<String, bool>,
    faults: VecDeque<Fault>,
    counts: Counts,
}

/// The server; it ends with the test's runtime.
pub(crate) struct Issuer {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    gate: watch::Sender<bool>,
    waiting: watch::Receiver<usize>,
    _origin: Origin,
}

impl Issuer {
    pub(crate) async fn start(authority: &Authority) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let (gate, open) = watch::channel(true);
        let (arrivals, waiting) = watch::channel(0);
        let arrivals = Arc::new(arrivals);
        let inner = Arc::clone(&state);
        let plan = Plan::default().alpn(super::tls::H1).handler(move |request| {
            let (state, mut open, arrivals) = (Arc::clone(&inner), open.clone(), Arc::clone(&arrivals));
            async move {
                arrivals.send_modify(|count| *count += 1);
                let _ = open.wait_for(|open| *open).await;
                answer(&state, request).await
            }
        });
        let origin = Origin::start(authority.certify(&[HOST]), plan).await;
        Self { address: origin.address, state, gate, waiting, _origin: origin }
    }

    /// `alpha`, whose tokens come from here.
    pub(crate) fn definition() -> Definition {
        let url = |path: &str| format!("https://{HOST}{path}");
        Definition(
            json!({"schema_version": 1, "name": "alpha", "display_name": "Alpha", "auth_type": "oauth2",
            "flow": "pkce", "host_url": "api.alpha.test", "docs": "https://docs.test/",
            "oauth": {"authorization_url": url("/authorize"), "token_url": url("/token"),
                "revocation_url": url("/revoke"), "device_authorization_url": url("/device"),
                "registration_endpoint": url("/register"), "supports_device_flow": true, "supports_dcr": true,
                "supports_client_credentials": true, "supports_token_exchange": true,
                "scopes": ["read", "write"], "client_authentication": "basic"},
            "client": {"client_id_env": "ALPHA_CLIENT_ID", "client_secret_env": "ALPHA_CLIENT_SECRET"}}),
        )
    }

    /// The flags by which the program finds and trusts it.
    pub(crate) fn flags(&self, home: &super::home::Home, authority: &Authority) -> Vec<String> {
        let file = home.scratch().join("issuer-ca.pem");
        std::fs::write(&file, authority.pem()).unwrap();
        let mapping = format!("{HOST}:443:127.0.0.1:{}", self.address.port());
        ["--upstream-ca", file.to_str().unwrap(), "--connect-to", &mapping].map(str::to_owned).to_vec()
    }

    /// The token requests from now on fail so, one each.
    pub(crate) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().faults.extend(faults);
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state().counts.clone()
    }

    /// Whether a refresh token would be taken now.
    pub(crate) fn is_live(&self, token: &str) -> bool {
        self.state().live.contains(token)
    }

    /// Whether an access token is one of its own.
    pub(crate) fn is_valid(&self, token: &str) -> bool {
        self.state().access.contains(token)
    }

    /// A refresh token as a login would get one.
    pub(crate) fn grant(&self) -> String {
        let mut state = self.state();
        state.tokens().1
    }

    /// What a browser comes back with whose person agrees.
    pub(crate) fn agree(&self, url: &str) -> String {
        let query = query(url.split_once('?').unwrap().1);
        let mut state = self.state();
        state.next += 1;
        let code = format!("code-{}", state.next);
        state.codes.insert(code.clone(), query["code_challenge"].clone());
        format!("{}?code={code}&state={}&iss=https%3A%2F%2F{HOST}", query["redirect_uri"], query["state"])
    }

    /// Decides about the last device code.
    pub(crate) fn decide(&self, user_code: &str, yes: bool) {
        self.state().devices.insert(user_code.to_owned(), yes);
    }

    /// Lets requests wait, or go on.
    pub(crate) fn hold(&self, closed: bool) {
        self.gate.send_replace(!closed);
    }

    /// Waits until so many requests have come.
    pub(crate) async fn asked(&self, times: usize) {
        let mut waiting = self.waiting.clone();
        soon("requests at the issuer", waiting.wait_for(|count| *count >= times)).await.unwrap();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn tokens(&mut self) -> (Value, String) {
        self.next += 1;
        let (access, refresh) = (format!("at-canary-{}", self.next), format!("rt-canary-{}", self.next));
        self.access.insert(access.clone());
        self.live.insert(refresh.clone());
        let answer = json!({"access_token": access, "refresh_token": refresh, "token_type": "Bearer",
            "expires_in": 3600, "scope": "read write"});
        (answer, refresh)
    }

    fn token(&mut self, form: &BTreeMap<String, String>) -> (u16, Value) {
        let error = |code: &str| (400, json!({"error": code, "error_description": "no"}));
        match form["grant_type"].as_str() {
            "authorization_code" => {
                let challenge = self.codes.remove(&form["code"]);
                let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
                if challenge == Some(hash) { (200, self.tokens().0) } else { error("invalid_grant") }
            }
            "refresh_token" => {
                self.counts.refreshes += 1;
                let token = &form["refresh_token"];
                if self.live.remove(token) {
                    self.spent.insert(token.clone());
                    return (200, self.tokens().0);
                }
                self.counts.reused += usize::from(self.spent.contains(token));
                error("invalid_grant")
            }
            "urn:ietf:params:oauth:grant-type:device_code" => match self.devices.get("AB-CD") {
                Some(true) => (200, self.tokens().0),
                Some(false) => error("access_denied"),
                None => error("authorization_pending"),
            },
            "client_credentials" => (200, self.tokens().0),
            "urn:ietf:params:oauth:grant-type:token-exchange" if form["subject_token"] == "subject-1" => {
                (200, self.tokens().0)
            }
            _ => error("unsupported_grant_type"),
        }
    }
}

async fn answer(state: &Mutex<State>, request: Request<Incoming>) -> Response<AnyBody> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    match head.uri.path() {
        "/token" => return token(state, &head, &body),
        "/device" => {}
        "/revoke" => {
            let token = query(std::str::from_utf8(&body).unwrap())["token"].clone();
            let mut state = state.lock().unwrap();
            state.live.remove(&token);
            state.counts.revoked.push(token);
            return Response::new(empty());
        }
        "/register" => {
            state.lock().unwrap().counts.registered += 1;
            return json_response(201, &json!({"client_id": CLIENT.0, "client_secret": CLIENT.1}));
        }
        _ => return json_response(404, &json!({})),
    }
    json_response(
        200,
        &json!({"device_code": "dc-canary", "user_code": "AB-CD", "interval": 1, "expires_in": 60,
        "verification_uri": format!("https://{HOST}/activate")}),
    )
}

fn token(state: &Mutex<State>, head: &http::request::Parts, body: &Bytes) -> Response<AnyBody> {
    let form = query(std::str::from_utf8(body).unwrap());
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", CLIENT.0, CLIENT.1));
    let known = head.headers.get("authorization").is_some_and(|value| value == &format!("Basic {pair}"));
    let mut state = state.lock().unwrap();
    match state.faults.pop_front() {
        Some(Fault::Say(status, media, text)) => {
            let response = Response::builder().status(status).header(CONTENT_TYPE, media);
            response.header("location", "https://evil.test/").body(full(text)).unwrap()
        }
        Some(fault) => {
            let (_, document) = state.token(&form);
            broken(fault, &document.to_string())
        }
        None if !known => json_response(401, &json!({"error": "invalid_client"})),
        None => {
            let (status, document) = state.token(&form);
            json_response(status, &document)
        }
    }
}

/// A body that breaks off: after half of it, or before its beginning.
fn broken(fault: Fault, text: &str) -> Response<AnyBody> {
    let (feed, body) = fed();
    let half = if matches!(fault, Fault::Truncate) { &text[..text.len() / 2] } else { "" }.to_owned();
    tokio::spawn(async move {
        feed.send(half).await;
        feed.abort().await;
    });
    Response::builder().header("content-length", text.len()).body(body).unwrap()
}

fn json_response(status: u16, document: &Value) -> Response<AnyBody> {
    let status = StatusCode::from_u16(status).unwrap();
    let response = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
    response.body(full(document.to_string())).unwrap()
}

/// The pairs of a query or form.
pub(crate) fn query(text: &str) -> BTreeMap<String, String> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}
