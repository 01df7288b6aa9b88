use bytes::BytesMut;
use http::{HeaderMap, StatusCode};

use super::chunked::{Chunked, Step};
use super::head::{Framing, parse};
use super::{Fault, head};

fn framing_of(fields: &str) -> Result<(Framing, bool), String> {
    read(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n"), false)
}

fn read(text: &str, head_only: bool) -> Result<(Framing, bool), String> {
    let mut input = BytesMut::from(text);
    let (_, meaning) =
        parse(&mut input, head_only).map_err(|fault| fault.to_string())?.expect("a whole head");
    assert!(input.is_empty(), "{text:?} was not taken whole");
    Ok((meaning.framing, meaning.reusable))
}

#[test]
fn one_framing_is_understood() {
    let chunked = Framing::Chunked(Chunked::new());
    for (fields, framing, reusable) in [
        ("Content-Length: 3\r\n", Framing::Length(3), true),
        ("Content-Length: 3\r\nContent-Length: 3\r\n", Framing::Length(3), true),
        ("Content-Length: 3, 3\r\n", Framing::Length(3), true),
        ("Content-Length: 3\r\nConnection: close\r\n", Framing::Length(3), false),
        ("Content-Length: 3\r\nConnection: x, CLOSE\r\n", Framing::Length(3), false),
        ("Transfer-Encoding: chunked\r\n", chunked, true),
        ("Transfer-Encoding: Chunked\r\n", chunked, true),
        ("", Framing::UntilClose, false),
    ] {
        assert_eq!(framing_of(fields), Ok((framing, reusable)), "{fields:?}");
    }
}

#[test]
fn two_framings_or_a_doubtful_one_are_refused() {
    for fields in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: 3, 4\r\n",
        "Content-Length: +3\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x3\r\n",
        "Content-Length: \r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\x0bchunked\r\n",
        "Bad name: x\r\n",
    ] {
        assert!(framing_of(fields).is_err(), "{fields:?}");
    }
}

#[test]
fn some_answers_have_no_body_whatever_they_say() {
    let length = "Content-Length: 3\r\n";
    for status in ["204 No Content", "304 Not Modified", "103 Early Hints"] {
        let (framing, reusable) = read(&format!("HTTP/1.1 {status}\r\n{length}\r\n"), false).unwrap();
        assert_eq!((framing, reusable), (Framing::Length(0), true), "{status}");
    }
    for fields in [length, "Transfer-Encoding: chunked\r\n", ""] {
        let (framing, reusable) = read(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n"), true).unwrap();
        assert_eq!((framing, reusable), (Framing::Length(0), true), "{fields:?} to HEAD");
    }
}

#[test]
fn http_1_0_closes_unless_it_says_otherwise() {
    let old = |fields: &str| read(&format!("HTTP/1.0 200 OK\r\n{fields}\r\n"), false);
    assert_eq!(old("Content-Length: 3\r\n"), Ok((Framing::Length(3), false)));
    assert_eq!(old("Content-Length: 3\r\nConnection: keep-alive\r\n"), Ok((Framing::Length(3), true)));
    assert!(old("Transfer-Encoding: chunked\r\n").is_err());
}

#[test]
fn a_head_in_pieces_waits_for_its_last_byte() {
    let text = b"HTTP/1.1 201 Created\r\nA: 1\r\nContent-Length: 2\r\n\r\n";
    for end in 0..text.len() {
        let mut input = BytesMut::from(&text[..end]);
        assert!(parse(&mut input, false).unwrap().is_none(), "{end}");
        assert_eq!(input, text[..end], "nothing was taken");
    }
    let mut input = BytesMut::from(&[text.as_slice(), b"ok"].concat()[..]);
    let (response, _) = parse(&mut input, false).unwrap().unwrap();
    assert_eq!((response.status(), &response.headers()["a"]), (StatusCode::CREATED, &"1".parse().unwrap()));
    assert_eq!(&input[..], b"ok");
}

type Decoded = (Vec<u8>, Option<HeaderMap>, Vec<u8>);

/// What a body decodes to, in two pieces cut at `at`: its data, trailers, and what was left over.
fn decode(body: &[u8], at: usize) -> Result<Decoded, Fault> {
    let (mut chunked, mut input) = (Chunked::new(), BytesMut::from(&body[..at]));
    let (mut data, mut trailers, mut rest) = (Vec::new(), None, Some(&body[at..]));
    while !chunked.is_done() {
        match chunked.advance(&mut input)? {
            Step::Next => {}
            Step::More => input.extend_from_slice(rest.take().ok_or(Fault::Closed)?),
            Step::Frame(frame) => match frame.into_data() {
                Ok(more) => data.extend_from_slice(&more),
                Err(frame) => trailers = frame.into_trailers().ok(),
            },
        }
    }
    input.extend_from_slice(rest.unwrap_or_default());
    Ok((data, trailers, input.to_vec()))
}

#[test]
fn chunks_are_joined_wherever_they_are_cut() {
    let body = b"5\r\nhello\r\n1;a=\"b\"\r\n \r\n00000A\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\nleft";
    for at in 0..=body.len() {
        let (data, trailers, left) = decode(body, at).unwrap();
        assert_eq!(data, b"hello 0123456789", "{at}");
        assert_eq!(trailers.unwrap()["x-sum"], "1");
        assert_eq!(left, b"left");
    }
    assert_eq!(decode(b"2\r\nok\r\n0\r\n\r\nleft", 3).unwrap(), (b"ok".to_vec(), None, b"left".to_vec()));
}

#[test]
fn what_is_no_chunk_is_refused() {
    for body in [
        "\r\n",
        "x\r\n",
        " 1\r\na\r\n",
        "+1\r\na\r\n",
        "0x1\r\na\r\n",
        "1\na\n0\r\n\r\n",
        "1\n;x\r\na\r\n0\r\n\r\n",
        "1 2\r\na\r\n",
        "1\r\nab\r\n0\r\n\r\n",
        "1\r\na\n0\r\n\r\n",
        "1;a\rb\r\na\r\n",
        "10000000000000000\r\na",
        "0\r\nbad name: x\r\n\r\n",
        "0\r\nA: b\n\nHTTP/1.1 200 OK\r\n\r\n",
        "1\r\r\na\r\n0\r\n\r\n",
    ] {
        assert!(matches!(decode(body.as_bytes(), 0), Err(Fault::Malformed(_))), "{body:?}");
    }
    for body in ["", "1", "1\r\n", "1\r\na", "1\r\na\r\n", "0\r\n", "0\r\nA: b\r\n"] {
        assert!(matches!(decode(body.as_bytes(), 0), Err(Fault::Closed)), "{body:?} ends early");
    }
}

#[test]
fn extensions_and_trailers_are_bounded() {
    let long = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(5000));
    assert!(matches!(decode(long.as_bytes(), 0), Err(Fault::Malformed(_))));
    let many = format!("1;{}\r\na\r\n", "x".repeat(1000)).repeat(20) + "0\r\n\r\n";
    assert!(matches!(decode(many.as_bytes(), 0), Err(Fault::Malformed(_))));
    let trailers = format!("0\r\nA: {}", "x".repeat(20_000));
    assert!(matches!(decode(trailers.as_bytes(), 0), Err(Fault::Malformed(_))));
}

#[test]
fn a_query_without_a_path_gets_one() {
    for (uri, line) in
        [("http://a.example?x=1", "GET /?x=1 "), ("/p", "GET /p "), ("http://a.example", "GET / ")]
    {
        let (parts, ()) = http::Request::get(uri).body(()).unwrap().into_parts();
        let mut out = BytesMut::new();
        head::write(&parts, None, false, &mut out);
        assert!(out.starts_with(line.as_bytes()), "{uri}: {out:?}");
    }
}

#[test]
fn a_request_names_its_own_length_once() {
    let request = http::Request::post("/p?q=1")
        .header("host", "api.example.com")
        .header("content-length", "7")
        .header("content-length", "7")
        .header("transfer-encoding", "chunked")
        .body(())
        .unwrap();
    let (parts, ()) = request.into_parts();
    let written = |length, chunked| {
        let mut out = BytesMut::new();
        head::write(&parts, length, chunked, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    };
    let start = "POST /p?q=1 HTTP/1.1\r\nhost: api.example.com\r\n";
    assert_eq!(written(Some(7), false), format!("{start}content-length: 7\r\n\r\n"));
    assert_eq!(written(None, true), format!("{start}transfer-encoding: chunked\r\n\r\n"));
    assert_eq!(written(None, false), format!("{start}\r\n"));
}
