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
    #[error("{}`{path}` {problem}", line.map(|line| format!("line {line}: ")).unwrap_or_default())]
    Field {
        /// Where the field, or what should hold it, stands; counted from 1. `None` when there was no text.
        line: Option<usize>,
        /// The JSON path of the field: `oauth.token_url`, `host_url[1]`.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl DefinitionError {
    /// A field that is missing or refused, before its line is known.
    pub(crate) fn field(path: impl Into<String>, problem: impl ToString) -> Self {
        Self::Field { line: None, path: path.into(), problem: problem.to_string() }
    }

    /// Adds the line to what was found in `text`.
    pub(crate) fn in_text(self, text: &str) -> Self {
        match self {
            Self::Field { line: None, path, problem } => {
                Self::Field { line: json::line_of(text, &path, super::parse::SPELLINGS), path, problem }
            }
            other => other,
        }
    }
}
