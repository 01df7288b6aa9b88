//! The chunked transfer coding of a response (RFC 9112 7.1), strictly: CRLF ends a line, nothing else does.

use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http_body::Frame;
use memchr::memmem;

use super::{Connection, Fault, head, take};
use crate::proxy::body::BoxError;

/// A chunk's size with its extensions.
const MAX_LINE: usize = 4 * 1024;
/// All extensions of a body together: nobody needs them, and each must be read.
const MAX_EXTENSIONS: usize = 16 * 1024;
const MAX_TRAILERS: usize = 16 * 1024;

/// How far a body has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunked {
    part: Part,
    extensions: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    Done,
}

impl Chunked {
    pub(super) fn new() -> Self {
        Self { part: Part::Size, extensions: 0 }
    }

    pub(super) fn is_done(self) -> bool {
        self.part == Part::Done
    }

    /// The next data, or the trailers; `None` at the end.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection,
    ) -> Poll<Result<Option<Frame<Bytes>>, BoxError>> {
        loop {
            match self.advance(&mut connection.input)? {
                Step::Frame(frame) => return Poll::Ready(Ok(Some(frame))),
                Step::Next if self.is_done() => return Poll::Ready(Ok(None)),
                Step::Next => {}
                Step::More => ready!(connection.poll_fill(cx))?,
            }
        }
    }

    pub(super) fn advance(&mut self, input: &mut BytesMut) -> Result<Step, Fault> {
        match self.part {
            Part::Size => self.size(input),
            Part::Data(_) if input.is_empty() => Ok(Step::More),
            Part::Data(left) => {
                let data = take(input, left);
                let left = left - data.len() as u64;
                self.part = if left == 0 { Part::DataEnd } else { Part::Data(left) };
                // What ends the body may have come with it, and is worth knowing with the last data.
                if left == 0 && input.starts_with(b"\r\n0\r\n\r\n") {
                    input.advance(b"\r\n0\r\n\r\n".len());
                    self.part = Part::Done;
                }
                Ok(Step::Frame(Frame::data(data)))
            }
            Part::DataEnd if input.len() < 2 => Ok(Step::More),
            Part::DataEnd if input.starts_with(b"\r\n") => {
                input.advance(2);
                self.part = Part::Size;
                Ok(Step::Next)
            }
            Part::DataEnd => Err(Fault::Malformed("a chunk is longer than its size")),
            Part::Trailers => self.trailers(input),
            Part::Done => Ok(Step::Next),
        }
    }

    fn size(&mut self, input: &mut BytesMut) -> Result<Step, Fault> {
        let Some(end) = line_end(input, MAX_LINE)? else { return Ok(Step::More) };
        let line = &input[..end];
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let blanks = line[digits..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let rest = &line[digits + blanks..];
        let plain =
            rest.is_empty() || (rest[0] == b';' && !rest.iter().any(|byte| matches!(byte, b'\r' | b'\n')));
        if digits == 0 || digits > 16 || !plain {
            return Err(Fault::Malformed("a chunk has no size"));
        }
        self.extensions += line.len() - digits;
        if self.extensions > MAX_EXTENSIONS {
            return Err(Fault::Malformed("its chunks have too many extensions"));
        }
        let size = line[..digits].iter().fold(0, |size, digit| size << 4 | hex(*digit));
        input.advance(end + 2);
        self.part = if size == 0 { Part::Trailers } else { Part::Data(size) };
        Ok(Step::Next)
    }

    fn trailers(&mut self, input: &mut BytesMut) -> Result<Step, Fault> {
        if input.starts_with(b"\r\n") {
            input.advance(2);
            self.part = Part::Done;
            return Ok(Step::Next);
        }
        let Some(end) = memmem::find(input, b"\r\n\r\n") else {
            let fits = input.len() < MAX_TRAILERS;
            return if fits { Ok(Step::More) } else { Err(Fault::Malformed("its trailers are too long")) };
        };
        let block = input.split_to(end + 4).freeze();
        self.part = Part::Done;
        Ok(Step::Frame(Frame::trailers(head::fields(&block)?)))
    }
}

pub(super) enum Step {
    Frame(Frame<Bytes>),
    Next,
    /// More must be read first.
    More,
}

/// Where the first line ends, without its CRLF.
fn line_end(input: &[u8], most: usize) -> Result<Option<usize>, Fault> {
    match memmem::find(&input[..input.len().min(most)], b"\r\n") {
        Some(end) => Ok(Some(end)),
        None if input.len() < most => Ok(None),
        None => Err(Fault::Malformed("a chunk's size is too long")),
    }
}

fn hex(digit: u8) -> u64 {
    u64::from(match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    })
}
