//! Black-box tests: the built binary between raw clients and recording servers, all on loopback.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "tests stand outside: they open sockets and start processes")]

mod accounts;
mod addresses;
mod backpressure;
mod bad_input;
mod bindings;
mod bundled;
mod canary;
mod certificates;
mod cleartext;
mod cli_inside_run;
mod cli_login;
mod cli_output;
mod deadlines;
mod definitions;
mod demo;
mod disk;
mod failing;
mod forbidden_addresses;
mod hardening;
mod hop_by_hop;
mod keep_alive;
mod killed;
mod limits;
mod listener;
mod local_page;
mod names;
mod news;
mod paths;
mod placement;
mod pool;
mod registry;
mod response_heads;
mod routing;
mod run_child;
mod semantics;
mod shutdown;
mod smuggling;
mod streaming;
mod support;
mod support_itself;
mod unread;
mod upstream;
mod versions;
mod websocket;
