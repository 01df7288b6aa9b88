//! What the server answers: as little of each API as its clients need.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::git::Repositories;
use crate::support::streams::{AnyBody, fed, full};
use crate::watch::Eye;
use crate::websocket;

/// What every client is to print in the end.
pub(crate) const REPLY: &str = "hello from the origin";

/// The server behind all names.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) eye: Arc<Eye>,
    pub(crate) repositories: Option<Repositories>,
    /// The answer to everything.
    pub(crate) document: Option<&'static str>,
}

impl Api {
    pub(crate) async fn answer(self, request: Request<Incoming>) -> Response<AnyBody> {
        // The client waits for us now: whatever it was started with can be seen, and the files of its run.
        let eye = self.eye.clone();
        let look = move || {
            eye.look();
            eye.look_at_files();
        };
        tokio::task::spawn_blocking(look).await.unwrap();
        if websocket::is_asked_for(&request) {
            return websocket::switch(request);
        }
        let (head, body) = request.into_parts();
        let Ok(body) = body.collect().await else { return text("the body broke off") };
        let request = Request::from_parts(head, body.to_bytes());
        if let Some(document) = self.document {
            return json(document);
        }
        match self.repositories {
            Some(repositories) if request.uri().path().starts_with("/owner/") => {
                tokio::task::spawn_blocking(move || repositories.answer(&request)).await.unwrap()
            }
            _ => reply(&request),
        }
    }
}

fn reply(request: &Request<Bytes>) -> Response<AnyBody> {
    match (request.method(), request.uri().path()) {
        (&Method::POST, "/v1/echo") => Response::new(full(request.body().clone())),
        (&Method::POST, "/v1/chat/completions") => {
            let question: Value = serde_json::from_slice(request.body()).unwrap();
            if question["stream"] == true { chat_stream() } else { json(chat().to_string()) }
        }
        (&Method::POST, "/v1/messages") => json(message().to_string()),
        _ => text(REPLY),
    }
}

fn chat() -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-test",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": REPLY}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    })
}

/// Server-sent events, a word each.
fn chat_stream() -> Response<AnyBody> {
    let (feed, body) = fed();
    tokio::spawn(async move {
        for word in REPLY.split_inclusive(' ') {
            let event = json!({
                "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-test",
                "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": null}],
            });
            feed.send(format!("data: {event}\n\n")).await;
        }
        feed.send("data: [DONE]\n\n").await;
    });
    Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
}

fn message() -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-test",
        "content": [{"type": "text", "text": REPLY}],
        "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    })
}

fn json(text: impl Into<Bytes>) -> Response<AnyBody> {
    Response::builder().header("content-type", "application/json").body(full(text)).unwrap()
}

fn text(text: &'static str) -> Response<AnyBody> {
    Response::builder().header("content-type", "text/plain").body(full(text)).unwrap()
}
