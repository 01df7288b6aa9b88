//! Why a text is no provider definition.

use crate::json;

/// Why a text is no provider definition. The caller adds the file's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// More bytes than any definition has.
    #[error("larger than {} bytes", json::MAX_BYTES)]
    TooLarge,
    /// Not JSON with comments and trailing commas, or a key given twice.
    #[error("line {line}, column {column}: {problem}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What the parser found.
        problem: String,
    },
    /// JSON, but no object.
    #[error("not a JSON object")]
    NotAnObject,
    /// A field that is missing or refused.
    #[error("`{path}` {problem}")]
    Field {
        /// The JSON path of the field: `oauth.token_url`, `host_url[1]`.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
}
