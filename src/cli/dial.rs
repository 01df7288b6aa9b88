//! The flags of every command that dials.

use std::path::PathBuf;

use clap::Args;

use crate::config::Flags;

/// How servers are found and verified.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection options")]
pub(super) struct DialArgs {
    /// Trust the certificates in this PEM file too; may be repeated
    #[arg(long, value_name = "PEM")]
    upstream_ca: Vec<PathBuf>,
    /// Dial ADDR:PORT2 where HOST:PORT is asked for; TLS is verified for HOST all the same; may be repeated
    #[arg(long, value_name = "HOST:PORT:ADDR:PORT2")]
    connect_to: Vec<String>,
}

impl DialArgs {
    pub(super) fn is_given(&self) -> bool {
        !self.upstream_ca.is_empty() || !self.connect_to.is_empty()
    }

    pub(super) fn add_to(&self, flags: &mut Flags) {
        flags.upstream_ca.clone_from(&self.upstream_ca);
        flags.connect_to.clone_from(&self.connect_to);
    }
}
