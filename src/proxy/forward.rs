//! Plain HTTP in absolute form: passed on without a credential, on a connection of its own.

use std::sync::Arc;

use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri, Version};
use hyper::body::Incoming;

use crate::origin::Origin;
use crate::proxy::body::{RequestBody, ResponseBody};
use crate::proxy::error::Error;
use crate::proxy::response::refuse_oddities;
use crate::proxy::{Worker, headers};

/// Forwards `GET http://host/…` (RFC 9112 3.2.2). A placeholder is refused: it would leave in the clear.
pub(crate) async fn forward(
    worker: &Arc<Worker>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Error> {
    let origin = named(&request)?;
    if request.version() == Version::HTTP_11 && !request.headers().contains_key(HOST) {
        return Err(Error::BadRequest("the request has no Host field"));
    }
    headers::check_transfer_encoding(request.headers())?;
    let rules = worker.shared.credentials.current().await?;
    let (mut head, body) = request.into_parts();
    headers::strip_request(&mut head.headers);
    if rules.placeholders.are_in(&head) {
        return Err(Error::PlaceholderMisplaced);
    }
    if worker.shared.settings.refuses(&origin) {
        return Err(Error::Unmatched(origin));
    }
    let target = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    head.uri = Uri::from(target);
    head.version = Version::HTTP_11;
    if !head.headers.contains_key(HOST)
        && let Ok(host) = HeaderValue::from_str(&origin.to_string())
    {
        head.headers.insert(HOST, host);
    }
    head.extensions.clear();
    let ready = worker.upstream.cleartext(&origin).await?;
    let sent = ready.send(Request::from_parts(head, RequestBody::new(body)), None).await;
    let mut response = sent.map_err(|failure| failure.of(&origin))?;
    refuse_oddities(&origin, response.status(), false)?;
    response.extensions_mut().clear();
    headers::strip_response(response.headers_mut());
    *response.version_mut() = Version::HTTP_11;
    Ok(response.map(|body| ResponseBody::upstream(body, None)))
}

/// The origin that the target names. A `Host` field that differs is refused (RFC 9112 3.2.2 lets the target win;
/// two names are one too many here).
fn named(request: &Request<Incoming>) -> Result<Origin, Error> {
    let authority = request.uri().authority().ok_or(Error::BadRequest("the URL names no host"))?;
    let origin = Origin::with_default_port(authority.as_str(), 80).map_err(Error::BadAuthority)?;
    let mut hosts = request.headers().get_all(HOST).iter();
    let agrees = |host: &HeaderValue| {
        let host = host.to_str().ok().and_then(|host| Origin::with_default_port(host, 80).ok());
        host.as_ref() == Some(&origin)
    };
    if hosts.next().is_some_and(|host| !agrees(host)) || hosts.next().is_some() {
        return Err(Error::HostConflict);
    }
    Ok(origin)
}
