//! Every flow against every authorization server that has it: login, refresh with rotation, revocation, refusals.

mod stage;

use crate::issuers::Kind;
use stage::Stage;

/// A flow with a kind of client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    flow: &'static str,
    /// The client that the servers know; none where it registers itself.
    client: &'static str,
    authentication: &'static str,
    servers: &'static [Kind],
}

const BOTH: &[Kind] = &[Kind::OidcProvider, Kind::Authlib];

const fn row(flow: &'static str, client: &'static str, authentication: &'static str) -> Row {
    Row { flow, client, authentication, servers: BOTH }
}

const ROWS: [Row; 12] = [
    row("pkce", "public", "none"),
    row("pkce", "basic", "basic"),
    row("pkce", "post", "post"),
    Row { servers: &[Kind::OidcProvider], ..row("pkce", "jwt", "private_key_jwt") },
    row("device_code", "public", "none"),
    row("device_code", "basic", "basic"),
    row("dcr_pkce", "", "none"),
    row("client_credentials", "basic", "basic"),
    row("client_credentials", "post", "post"),
    Row { servers: &[Kind::Authlib], ..row("token_exchange", "basic", "basic") },
    Row { servers: &[Kind::Authlib], ..row("token_exchange", "post", "post") },
    row("discovered", "", "none"),
];

/// A row at one server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    row: Row,
    kind: Kind,
}

pub(crate) fn cells() -> impl Iterator<Item = Cell> {
    ROWS.into_iter().flat_map(|row| row.servers.iter().map(move |kind| Cell { row, kind: *kind }))
}

/// Which flow is tested where.
pub(crate) fn print_matrix() {
    println!("{:20} {:16} {:14} {:14}", "flow", "client", "oidc-provider", "authlib");
    for row in ROWS {
        let cell = |kind: Kind| if row.servers.contains(&kind) { "tested" } else { "has none" };
        let client = if row.client.is_empty() { "registers itself" } else { row.authentication };
        println!("{:20} {client:16} {:14} {:14}", row.flow, cell(Kind::OidcProvider), cell(Kind::Authlib));
    }
}

impl Cell {
    pub(crate) fn name(&self) -> String {
        let client = if self.row.client.is_empty() { "registered" } else { self.row.client };
        format!("flow::{}::{}::{client}", self.kind.name(), self.row.flow)
    }

    pub(crate) fn missing(&self) -> Option<String> {
        self.kind.missing()
    }

    pub(crate) fn check(&self) {
        let stage = Stage::new(*self);
        stage.refused();
        stage.logged_in("default");
        match self.row.flow {
            "client_credentials" | "token_exchange" => stage.renewed_by_itself(),
            _ => stage.rotated(),
        }
        stage.used();
        stage.revoked();
    }
}
