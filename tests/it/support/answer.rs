//! A response as a test looks at it.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// Status, head and whole body.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
}

impl Answer {
    /// A header's value, `""` when it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Status and reason of a refusal by the proxy, whose body must say the same.
    #[track_caller]
    pub(crate) fn refusal(&self) -> (u16, &str) {
        let reason = self.header("authsome-error");
        assert!(!reason.is_empty(), "not a refusal by the proxy: {self:?}");
        if !self.body.is_empty() {
            let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
            assert_eq!(body["error"], reason);
            assert!(body["message"].is_string(), "{body}");
        }
        (self.status.as_u16(), reason)
    }

    /// That it came from the server, with this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.header("authsome-error"), "", "{self:?}");
        self
    }
}

/// All values of a header, as text.
pub(crate) fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}
