//! `--connect-to host:port:addr:port`: where a name is dialled, in curl's syntax.

use std::str::FromStr;

use crate::origin::{Origin, ParseError};

/// A mapping of one origin to the address that is dialled for it. TLS is verified for the name all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnectTo {
    origin: Origin,
    target: Origin,
}

/// Why a text is no mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConnectToError {
    /// Not four fields.
    #[error("expected host:port:address:port")]
    Shape,
    /// The first two fields are no origin.
    #[error("the first host and port are not valid")]
    Origin(#[source] ParseError),
    /// The last two fields are no address.
    #[error("the second host and port are not valid")]
    Target(#[source] ParseError),
}

impl ConnectTo {
    /// The origin, and what is dialled for it.
    pub(super) fn into_pair(self) -> (Origin, Origin) {
        (self.origin, self.target)
    }
}

impl FromStr for ConnectTo {
    type Err = ConnectToError;

    fn from_str(text: &str) -> Result<Self, ConnectToError> {
        // The colon after the first port separates the two authorities; either host may be a bracketed IPv6 address.
        let host_end = if text.starts_with('[') { text.find(']').ok_or(ConnectToError::Shape)? } else { 0 };
        let mut colons = text.match_indices(':').map(|(at, _)| at).filter(|at| *at > host_end);
        let split = colons.nth(1).ok_or(ConnectToError::Shape)?;
        let (origin, target) = (&text[..split], &text[split + 1..]);
        Ok(Self {
            origin: Origin::from_authority(origin).map_err(ConnectToError::Origin)?,
            target: Origin::from_authority(target).map_err(ConnectToError::Target)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_fields_map_one_origin_to_another() {
        let mapping: ConnectTo = "API.example.com:443:127.0.0.1:8443".parse().unwrap();
        let (origin, target) = mapping.into_pair();
        assert_eq!(
            (origin.to_string(), target.to_string()),
            ("api.example.com:443".into(), "127.0.0.1:8443".into())
        );
        let v6: ConnectTo = "a.example:443:[::1]:8443".parse().unwrap();
        assert_eq!(v6.into_pair().1.to_string(), "[::1]:8443");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "a.example:443",
            "a.example:443:127.0.0.1",
            "a.example::127.0.0.1:1",
            "a.example:x:127.0.0.1:1",
        ] {
            assert!(text.parse::<ConnectTo>().is_err(), "{text}");
        }
    }
}
