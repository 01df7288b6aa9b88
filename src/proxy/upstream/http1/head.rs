//! Heads of HTTP/1.1 messages: how a request is written, how a response is read, and where its body ends.

use std::fmt::Write;
use std::mem::MaybeUninit;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, request};
use httparse::{EMPTY_HEADER, ParserConfig, Status};

use super::{Chunked, Fault};
use crate::proxy::headers;

/// So many fields a response may have.
const MAX_FIELDS: usize = 128;

/// How a response's body ends (RFC 9112 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// As the chunks say.
    Chunked(Chunked),
    /// With the connection.
    UntilClose,
}

impl Framing {
    /// Whether nothing is left to be read.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.is_done(),
            Self::UntilClose => false,
        }
    }
}

/// What a response head means for its connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) framing: Framing,
    /// The connection outlives the response.
    pub(super) reusable: bool,
}

/// Writes the head of a request. `length` stands in the place of the client's own Content-Length.
pub(super) fn write(head: &request::Parts, length: Option<u64>, chunked: bool, out: &mut BytesMut) {
    let target = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let fields: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    out.reserve(head.method.as_str().len() + target.len() + fields + 64);
    let slash = if target.starts_with('/') || target == "*" { "" } else { "/" };
    for part in [head.method.as_str(), " ", slash, target, " HTTP/1.1\r\n"] {
        out.put_slice(part.as_bytes());
    }
    let own = |name: &HeaderName| *name == CONTENT_LENGTH || *name == TRANSFER_ENCODING;
    for (name, value) in head.headers.iter().filter(|(name, _)| !own(name)) {
        out.put_slice(name.as_str().as_bytes());
        out.put_slice(b": ");
        out.put_slice(value.as_bytes());
        out.put_slice(b"\r\n");
    }
    if let Some(length) = length {
        let _ = write!(out, "content-length: {length}\r\n");
    }
    if chunked {
        out.put_slice(b"transfer-encoding: chunked\r\n");
    }
    out.put_slice(b"\r\n");
}

/// Takes a whole response head out of what was read; `None` until it is whole.
pub(super) fn parse(input: &mut BytesMut, head_only: bool) -> Result<Option<(Response<()>, Meaning)>, Fault> {
    if input.is_empty() {
        return Ok(None);
    }
    let (length, places, status, minor) = {
        let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut []);
        let parsed =
            ParserConfig::default().parse_response_with_uninit_headers(&mut response, input, &mut fields);
        let Status::Complete(length) = parsed.map_err(malformed)? else { return Ok(None) };
        let places = places(input, response.headers);
        (length, places, response.code.unwrap_or_default(), response.version.unwrap_or_default())
    };
    let block = input.split_to(length).freeze();
    let mut response = Response::new(());
    *response.status_mut() =
        StatusCode::from_u16(status).map_err(|_| Fault::Malformed("its status is none"))?;
    *response.headers_mut() = collect(&block, &places)?;
    let meaning = meaning(&mut response, minor, head_only)?;
    Ok(Some((response, meaning)))
}

/// The fields of a block that ends with an empty line: trailers.
pub(super) fn fields(block: &Bytes) -> Result<HeaderMap, Fault> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let parsed = match httparse::parse_headers(block, &mut fields).map_err(malformed)? {
        Status::Complete((length, parsed)) if length == block.len() => parsed,
        _ => return Err(Fault::Malformed("its trailers do not end where they seem to")),
    };
    collect(block, &places(block, parsed))
}

/// Where a field stands in its block.
struct Place {
    name: Range<usize>,
    value: Range<usize>,
}

fn places(block: &[u8], fields: &[httparse::Header<'_>]) -> Vec<Place> {
    let start = block.as_ptr() as usize;
    let within = |part: &[u8]| {
        let from = part.as_ptr() as usize - start;
        from..from + part.len()
    };
    let place = |field: &httparse::Header<'_>| Place {
        name: within(field.name.as_bytes()),
        value: within(field.value),
    };
    fields.iter().map(place).collect()
}

fn collect(block: &Bytes, places: &[Place]) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::with_capacity(places.len());
    for Place { name, value } in places {
        let name = HeaderName::from_bytes(&block[name.clone()]);
        let value = HeaderValue::from_maybe_shared(block.slice(value.clone()));
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(Fault::Malformed("a field is none"));
        };
        headers.append(name, value);
    }
    Ok(headers)
}

fn malformed(error: httparse::Error) -> Fault {
    Fault::Malformed(match error {
        httparse::Error::TooManyHeaders => "it has too many fields",
        httparse::Error::Status | httparse::Error::Version => "its first line is no status line",
        _ => "a field is none",
    })
}

fn meaning(response: &mut Response<()>, minor: u8, head_only: bool) -> Result<Meaning, Fault> {
    let status = response.status();
    let headers = response.headers_mut();
    let keeps_alive = if minor == 0 {
        headers::has_token(headers, &CONNECTION, b"keep-alive")
    } else {
        !headers::has_token(headers, &CONNECTION, b"close")
    };
    let framing = framing(headers, minor)?;
    let bodiless = head_only
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let framing = if bodiless { Framing::Length(0) } else { framing };
    Ok(Meaning { framing, reusable: keeps_alive && framing != Framing::UntilClose })
}

/// What the fields say. Two framings at once, or one that is not understood, could hide a second response.
fn framing(headers: &mut HeaderMap, minor: u8) -> Result<Framing, Fault> {
    let length = content_length(headers)?;
    if !headers.contains_key(TRANSFER_ENCODING) {
        return Ok(length.map_or(Framing::UntilClose, Framing::Length));
    }
    if length.is_some() {
        return Err(Fault::Malformed("it has two framings"));
    }
    if minor == 0 || headers::check_transfer_encoding(headers).is_err() {
        return Err(Fault::Malformed("its transfer coding is not chunked"));
    }
    Ok(Framing::Chunked(Chunked::new()))
}

/// The one length that all values name; repeated ones become one (RFC 9112 6.3, 5).
fn content_length(headers: &mut HeaderMap) -> Result<Option<u64>, Fault> {
    let malformed = || Fault::Malformed("its Content-Length is no number");
    let mut lengths = headers::tokens(headers, &CONTENT_LENGTH);
    let Some(first) = lengths.next() else { return Ok(None) };
    let mut repeated = false;
    for other in lengths {
        repeated = true;
        if other != first {
            return Err(Fault::Malformed("it has two lengths"));
        }
    }
    let digits = !first.is_empty() && first.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(first).ok().filter(|_| digits).ok_or_else(malformed)?;
    let length = text.parse().map_err(|_| malformed())?;
    if repeated {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(Some(length))
}
