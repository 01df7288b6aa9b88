//! The `authsome` command: see `authsome --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Whoever came first: nothing else in this process installs one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    authsome::cli::run(std::env::args_os())
}
