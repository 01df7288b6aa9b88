//! A WebSocket server that says everything back (RFC 6455).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::streams::{AnyBody, empty};

const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const CLOSE: u8 = 0x8;

/// Whether a request asks for it.
pub(crate) fn is_asked_for(request: &Request<Incoming>) -> bool {
    request.headers().get("upgrade").is_some_and(|value| value == "websocket")
}

/// Switches the connection and echoes until the client closes.
pub(crate) fn switch(request: Request<Incoming>) -> Response<AnyBody> {
    let key = request.headers()["sec-websocket-key"].to_str().unwrap();
    let accept = STANDARD.encode(Sha1::digest(format!("{key}{GUID}")));
    tokio::spawn(async move {
        let upgraded = hyper::upgrade::on(request).await.unwrap();
        // The client may go away as it likes.
        let _ = echo(TokioIo::new(upgraded)).await;
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-accept", accept)
        .body(empty())
        .unwrap()
}

/// Frames of up to 125 bytes, masked as a client's must be (section 5.2).
async fn echo(mut io: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) -> std::io::Result<()> {
    loop {
        let mut head = [0; 6];
        io.read_exact(&mut head).await?;
        let [first, length, mask @ ..] = head;
        assert!((0x80..=0x80 + 125).contains(&length), "a short masked frame: {length:#x}");
        let mut payload = vec![0; usize::from(length & 0x7f)];
        io.read_exact(&mut payload).await?;
        for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
        io.write_all(&[&[first, length & 0x7f], payload.as_slice()].concat()).await?;
        io.flush().await?;
        if first & 0xf == CLOSE {
            return io.shutdown().await;
        }
    }
}
