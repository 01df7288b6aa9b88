//! Black-box tests: the built binary between raw clients and recording servers, all on loopback.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "tests stand outside: they open sockets and start processes")]
#![expect(dead_code, reason = "the tests that use all of the support follow with the program")]

mod cli_inside_run;
mod cli_login;
mod cli_output;
mod demo;
mod support;
mod support_itself;
