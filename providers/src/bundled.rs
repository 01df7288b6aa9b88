//! The definitions that come with the program.

/// File names and texts.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("anthropic.json", include_str!("../definitions/anthropic.json")),
    ("ashby.json", include_str!("../definitions/ashby.json")),
    ("gemini.json", include_str!("../definitions/gemini.json")),
    ("github.json", include_str!("../definitions/github.json")),
    ("gitlab.json", include_str!("../definitions/gitlab.json")),
    ("klaviyo.json", include_str!("../definitions/klaviyo.json")),
    ("lemlist.json", include_str!("../definitions/lemlist.json")),
    ("linear.json", include_str!("../definitions/linear.json")),
    ("openai.json", include_str!("../definitions/openai.json")),
    ("stripe.json", include_str!("../definitions/stripe.json")),
    ("twilio.json", include_str!("../definitions/twilio.json")),
    ("zendesk.json", include_str!("../definitions/zendesk.json")),
];
