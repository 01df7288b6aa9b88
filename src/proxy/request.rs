//! A request on its way up: what came in, and the only thing that may go out.

use std::sync::{Arc, PoisonError};

use http::header::HOST;
use http::uri::{PathAndQuery, Scheme};
use http::{Method, Request, Uri, Version, request};
use hyper::body::{Body, Incoming};
use hyper::upgrade::OnUpgrade;

use crate::credential::{Prepared, Rules};
use crate::home::{Foreign, Unsettled};
use crate::origin::Origin;
use crate::proxy::body::{Kept, Progress, RequestBody};
use crate::proxy::error::Error;
use crate::proxy::exchange::Grant;
use crate::proxy::headers::{self, Found};
use crate::proxy::settings::Settings;
use crate::proxy::trail::{Note, Trail};
use crate::routes::{Lookup, Route};

/// A larger body is not kept, in bytes.
const MAX_KEPT: u64 = 64 * 1024;

/// A request whose names agree with its tunnel.
pub(crate) struct Inbound {
    pub(crate) origin: Origin,
    pub(crate) head: request::Parts,
    body: RequestBody,
    upgrade: Option<OnUpgrade>,
}

/// A request that may have to be sent once more.
pub(crate) struct Copy {
    origin: Origin,
    head: request::Parts,
    kept: Kept,
    size: u64,
}

impl Copy {
    /// The request again; `None` while its body has not come to its end.
    pub(crate) fn into_inbound(self) -> Option<Inbound> {
        let body = std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner)).freeze();
        let whole = body.len() as u64 == self.size;
        let Self { origin, head, .. } = self;
        whole.then(|| Inbound { origin, head, body: RequestBody::again(body), upgrade: None })
    }
}

/// A permitted request with its credential, if its route has one: all that an upstream connection takes.
pub(crate) struct Outbound {
    request: Request<RequestBody>,
    account: Account,
}

/// What remains of a request once it is sent.
#[derive(Clone)]
pub(crate) struct Account {
    /// How far the body has come.
    pub(crate) progress: Arc<Progress>,
    /// The client's socket, if a WebSocket was asked for.
    pub(crate) upgrade: Option<OnUpgrade>,
}

impl Inbound {
    /// Checks that the request names the tunnel's origin and nothing else, and removes what belongs to the
    /// client's connection only.
    pub(crate) fn admit(origin: &Origin, mut request: Request<Incoming>) -> Result<Self, Error> {
        agree(origin, &request)?;
        headers::check_transfer_encoding(request.headers())?;
        if [Method::TRACE, Method::CONNECT].contains(request.method()) || request.method().as_str() == "TRACK"
        {
            return Err(Error::Method(request.method().clone()));
        }
        let websocket = request.version() == Version::HTTP_11 && headers::wants_websocket(request.headers());
        let upgrade = websocket.then(|| hyper::upgrade::on(&mut request));
        let (mut head, body) = request.into_parts();
        head.extensions.clear();
        headers::strip_request(&mut head.headers);
        Ok(Self { origin: origin.clone(), head, body: RequestBody::new(body), upgrade })
    }

    /// A copy that can be sent once more, when the body is small or there is none. The body is kept as it passes.
    pub(crate) fn copy(&mut self) -> Option<Copy> {
        let size = self.body.size_hint().exact().filter(|size| *size <= MAX_KEPT)?;
        if self.upgrade.is_some() {
            return None;
        }
        let kept = self.body.keep();
        Some(Copy { origin: self.origin.clone(), head: self.head.clone(), kept, size })
    }

    /// The route, or `None` where the request goes on without a credential.
    pub(crate) fn route(
        &self,
        rules: &Rules,
        settings: &Settings,
        trail: &mut Trail,
    ) -> Result<Option<Arc<Route>>, Error> {
        if headers::started_by_web_page(&self.head.headers) {
            trail.note(Note::WebPage);
            return Ok(None);
        }
        let bears_placeholder = || rules.placeholders.are_in(&self.head);
        match rules.routes.lookup(&self.origin, self.head.uri.path()) {
            Lookup::Route(route) => Ok(Some(Arc::clone(route))),
            Lookup::None if bears_placeholder() => Err(Error::NoRouteForPath {
                origin: self.origin.clone(),
                providers: rules.routes.providers(&self.origin),
            }),
            Lookup::None => Ok(None),
            Lookup::Ambiguous if settings.ambiguous == Unsettled::Deny || bears_placeholder() => {
                Err(Error::Ambiguous { providers: rules.routes.providers(&self.origin) })
            }
            Lookup::Ambiguous => {
                trail.note(Note::Ambiguous);
                Ok(None)
            }
        }
    }

    /// Turns the request into one that may be sent. The credential replaces whatever the client had in its
    /// slots; a placeholder anywhere else is refused.
    pub(crate) fn authorize(
        mut self,
        grant: Option<&Grant>,
        rules: &Rules,
        settings: &Settings,
        trail: &mut Trail,
    ) -> Result<Outbound, Error> {
        let credential = match grant {
            Some(grant) => self.empty_slots(&grant.credential, rules, settings, trail)?,
            None => None,
        };
        if rules.placeholders.are_in(&self.head) {
            return Err(Error::PlaceholderMisplaced);
        }
        if let Some(credential) = credential {
            headers::fill_slots(&mut self.head, credential)?;
            trail.injected();
        }
        self.into_outbound()
    }

    /// Clears the slots, unless the client brought a value of its own and the user wants it kept.
    fn empty_slots<'c>(
        &mut self,
        credential: &'c Prepared,
        rules: &Rules,
        settings: &Settings,
        trail: &mut Trail,
    ) -> Result<Option<&'c Prepared>, Error> {
        if headers::found_in_slots(&self.head, credential, &rules.placeholders) == Found::Foreign {
            match settings.foreign {
                Foreign::Replace => trail.note(Note::ForeignReplaced),
                Foreign::Keep => {
                    trail.note(Note::ForeignKept);
                    return Ok(None);
                }
                Foreign::Deny => return Err(Error::ForeignCredential { provider: trail.provider() }),
            }
        }
        headers::empty_slots(&mut self.head, credential)?;
        Ok(Some(credential))
    }

    fn into_outbound(self) -> Result<Outbound, Error> {
        let Self { mut head, body, upgrade, .. } = self;
        if upgrade.is_some() {
            headers::restore_websocket(&mut head.headers);
        }
        head.uri = target(&head)?;
        if head.version == Version::HTTP_2 {
            head.headers.remove(HOST);
        } else {
            head.version = Version::HTTP_11;
        }
        let account = Account { progress: body.progress(), upgrade };
        Ok(Outbound { request: Request::from_parts(head, body), account })
    }
}

impl Outbound {
    /// What to remember of the request.
    pub(crate) fn account(&self) -> Account {
        self.account.clone()
    }

    pub(crate) fn into_request(self) -> Request<RequestBody> {
        self.request
    }
}

/// The four-way check's last part: `Host`, `:authority` and an absolute target all name the tunnel's origin.
fn agree(origin: &Origin, request: &Request<Incoming>) -> Result<(), Error> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next().map(|host| host.to_str().map_err(|_| Error::BadRequest("Host is not a name")));
    let host = host.transpose()?;
    if hosts.next().is_some() {
        return Err(Error::HostConflict);
    }
    let target = request.uri().authority().map(http::uri::Authority::as_str);
    if target.is_some()
        && request.uri().scheme() != Some(&Scheme::HTTPS)
        && request.method() != Method::CONNECT
    {
        return Err(Error::BadRequest("the target names another scheme than https"));
    }
    match (host, target) {
        (None, None) => Err(Error::BadRequest("the request names no host")),
        (None, Some(_)) if request.version() < Version::HTTP_2 => {
            Err(Error::BadRequest("the request has no Host field"))
        }
        (Some(name), None) | (None, Some(name)) => named(origin, name),
        (Some(host), Some(target)) => {
            let consistent =
                Origin::with_default_port(target, 443).is_ok_and(|target| target.is_named_by(host));
            if consistent { named(origin, target) } else { Err(Error::HostConflict) }
        }
    }
}

fn named(origin: &Origin, name: &str) -> Result<(), Error> {
    if origin.is_named_by(name) {
        return Ok(());
    }
    match Origin::with_default_port(name, 443) {
        Ok(_) => Err(Error::Misdirected(origin.clone())),
        Err(_) => Err(Error::BadRequest("Host is not host or host:port")),
    }
}

/// The request target in the form that the protocol takes: origin-form (RFC 9112 3.2.1), or scheme and
/// authority beside the path (RFC 9113 8.3.1).
fn target(head: &request::Parts) -> Result<Uri, Error> {
    let path = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    if head.version != Version::HTTP_2 {
        return Ok(Uri::from(path));
    }
    let authority = match (head.uri.authority(), head.headers.get(HOST)) {
        (Some(authority), _) => authority.clone(),
        (None, Some(host)) => {
            let host = host.to_str().ok().and_then(|host| host.parse().ok());
            host.ok_or(Error::BadRequest("Host is not a name"))?
        }
        (None, None) => return Err(Error::BadRequest("the request names no host")),
    };
    let uri = Uri::builder().scheme(Scheme::HTTPS).authority(authority).path_and_query(path).build();
    uri.map_err(|_| Error::BadRequest("the target is not a path"))
}
