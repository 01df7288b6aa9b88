//! The definitions that come with the program.

/// File names and texts.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("anthropic.json", include_str!("../definitions/anthropic.json")),
    ("github.json", include_str!("../definitions/github.json")),
    ("openai.json", include_str!("../definitions/openai.json")),
];
