//! The flags of every command that dials.

use std::path::PathBuf;

use clap::Args;

/// How servers are found and verified.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection options")]
pub(super) struct DialArgs {
    /// Trust the certificates in this PEM file too; may be repeated
    #[arg(long, value_name = "PEM")]
    pub(super) upstream_ca: Vec<PathBuf>,
    /// Dial ADDR:PORT2 where HOST:PORT is asked for; TLS is verified for HOST all the same; may be repeated
    #[arg(long, value_name = "HOST:PORT:ADDR:PORT2")]
    pub(super) connect_to: Vec<String>,
}
