//! A home whose one provider is a real authorization server.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use authsome::auth::record::{decode, encode};
use authsome::{AuthService, ConnectionRecord};
use serde_json::{Value, json};

use super::{Cell, Row};
use crate::issuers::{Kind, Server};
use crate::support::definition::Definition;
use crate::support::home::Home;
use crate::support::login::Login;

/// A home that knows `acme`, whose tokens come from the server.
pub(super) struct Stage {
    cell: Cell,
    home: Home,
    server: Server,
}

impl Stage {
    pub(super) fn new(cell: Cell) -> Self {
        let home = Home::new();
        let server = Server::start(cell.kind, &home.scratch());
        home.ok(&["init"]);
        let mut oauth = match cell.row.flow {
            "discovered" => json!({"resource": format!("https://{}/mcp", cell.kind.host())}),
            _ => cell.kind.endpoints(),
        };
        let settings = json!({"client_authentication": cell.row.authentication, "supports_dcr": true,
            "supports_device_flow": cell.row.flow == "device_code", "supports_client_credentials": true,
            "supports_token_exchange": true, "scopes": ["openid", "offline_access", "read"],
            "authorize_params": {"prompt": "consent"}});
        let own_server = cell.row.flow == "client_credentials" || cell.row.flow == "token_exchange";
        merge(&mut oauth, settings);
        if own_server {
            oauth["scopes"] = json!(["read"]);
        }
        let flow = if cell.row.flow == "discovered" { "dcr_pkce" } else { cell.row.flow };
        home.define(&Definition(json!({"schema_version": 1, "name": "acme", "display_name": "Acme", "auth_type": "oauth2",
            "flow": flow, "host_url": format!("https://{}/mcp", cell.kind.host()), "docs": "https://docs.test/",
            "oauth": oauth})));
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let config = json!({"spec_version": 1, "callback_port": port});
        std::fs::write(home.path().join("config.json"), config.to_string()).unwrap();
        Self { cell, home, server }
    }

    fn login(&self, connection: &str) -> Login {
        let mut command = self.home.command();
        command.args(["--json", "login", "acme", "--no-browser", "--connection", connection]);
        command.args(self.server.flags());
        let Row { client, flow, .. } = self.cell.row;
        let mut input = String::new();
        if !client.is_empty() && self.service().client("acme").unwrap().is_none() {
            command.args(["--client-id", client]);
            input = match client {
                "jwt" => self.server.client_key.clone(),
                "public" => String::new(),
                _ => format!("client_secret=secret of {client}:+%\n"),
            };
        }
        if flow == "token_exchange" {
            command.arg("--stdin");
            input = format!("{input}subject_token={}\n", self.subject_token());
            if !input.contains("client_secret") {
                input = input.replace("subject_token=", "");
            }
        } else if input.starts_with("client_secret=") {
            input = input.replace("client_secret=", "");
            // On devices a secret is optional, and what is optional is read when it is announced.
            command.args((flow == "device_code").then_some("--stdin"));
        }
        started(command, &input)
    }

    /// A token of the same server, to be exchanged.
    fn subject_token(&self) -> String {
        let form = "grant_type=client_credentials&scope=read";
        let mut curl = Command::new("curl");
        let [_, ca, _, mapping] = self.server.flags();
        curl.args(["--silent", "--cacert", &ca, "--connect-to", &mapping, "--data", form]);
        curl.args([
            "--user",
            "basic:secret of basic:+%",
            &format!("https://{}/token", self.cell.kind.host()),
        ]);
        let answer: Value = serde_json::from_slice(&curl.output().unwrap().stdout).unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// Brings a login to its end.
    fn finish(&self, login: Login, agrees: bool) -> (i32, Value) {
        match self.cell.row.flow {
            "client_credentials" | "token_exchange" => {}
            "device_code" => {
                let code = login.step()["user_code"].as_str().unwrap().to_owned();
                let decision = if agrees { "approve" } else { "deny" };
                self.server.control(&format!("{decision}?user_code={code}"));
            }
            _ => {
                let url = login.step()["auth_url"].as_str().unwrap().to_owned();
                if !agrees {
                    self.server.control("deny-next");
                }
                let page = self.server.browse(&url);
                let end = if agrees { "Acme is connected" } else { "Access was denied" };
                assert!(page.contains(end), "{page}");
            }
        }
        login.ended()
    }

    /// A no is exit code 4, and nothing is connected. Where nobody is asked, the secret is wrong.
    pub(super) fn refused(&self) {
        let (code, document) = match self.cell.row.flow {
            "client_credentials" | "token_exchange" => {
                let mut command = self.home.command();
                command.args(["--json", "login", "acme", "--client-id", self.cell.row.client, "--stdin"]);
                command.args(self.server.flags());
                let input = match self.cell.row.flow {
                    "token_exchange" => "subject_token=wrong\nclient_secret=wrong\n",
                    _ => "wrong\n",
                };
                started(command, input).ended()
            }
            _ => self.finish(self.login("default"), false),
        };
        assert_eq!((code, &document["error"]), (4, &Value::from("AuthenticationFailedError")), "{document}");
        assert!(!self.home.run(&["get", "acme"]).status.success());
    }

    pub(super) fn logged_in(&self, connection: &str) {
        let (code, document) = self.finish(self.login(connection), true);
        assert_eq!(code, 0, "{document}");
        assert_eq!(
            self.record().scopes.unwrap_or_default().iter().filter(|scope| *scope == "read").count(),
            1
        );
    }

    /// The token is renewed once, the old refresh token is spent, and its reuse ends the connection with the command that
    /// repairs it.
    pub(super) fn rotated(&self) {
        let before = self.record();
        self.expire();
        let (code, document) = self.export();
        let after = self.record();
        assert_eq!(code, 0, "{document}");
        assert_ne!(document["ACME_ACCESS_TOKEN"], before.access_token.as_ref().unwrap().expose().as_str());
        assert_eq!(document["ACME_ACCESS_TOKEN"], after.access_token.as_ref().unwrap().expose().as_str());
        assert_ne!(
            before.refresh_token.as_ref().unwrap().expose(),
            after.refresh_token.as_ref().unwrap().expose()
        );
        assert_eq!(self.server.count("refreshed"), 1);
        self.survives_faults();
        self.edit(|record| record.refresh_token = before.refresh_token);
        self.expire();
        let (code, document) = self.export();
        let message = document["message"].as_str().unwrap_or_default();
        assert!(
            code == 6 && message.contains("authsome login acme --connection default --force"),
            "{document}"
        );
        self.home.ok(&["logout", "acme"]);
        self.logged_in("default");
    }

    /// An endpoint that is down, redirects or answers a page costs no refresh token.
    fn survives_faults(&self) {
        for kind in ["unavailable", "html", "redirect"] {
            self.expire();
            self.server.control(&format!("fault?kind={kind}"));
            let (code, document) = self.export();
            assert_eq!(
                (code, &document["error"]),
                (6, &Value::from("RefreshFailedError")),
                "{kind}: {document}"
            );
            self.forget_the_pause();
        }
        self.expire();
        assert_eq!(self.export().0, 0, "the refresh token is as good as ever");
    }

    pub(super) fn renewed_by_itself(&self) {
        let before = self.record().access_token.unwrap();
        self.expire();
        let (code, document) = self.export();
        assert_eq!(code, 0, "{document}");
        assert_ne!(document["ACME_ACCESS_TOKEN"], before.expose().as_str());
    }

    /// The token opens the resource, through the proxy, for a client that does not hold it.
    pub(super) fn used(&self) {
        if !self.is_for_the_resource() {
            return;
        }
        let mut command = self.home.command();
        command.arg("run").args(self.server.flags()).args(["--", "curl", "--silent", "--fail"]);
        let output = command.arg(format!("https://{}/mcp", self.cell.kind.host())).output().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "hello",
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// A token of oidc-provider is for a resource only when the resource was named.
    fn is_for_the_resource(&self) -> bool {
        self.cell.kind != Kind::OidcProvider || self.cell.row.flow != "client_credentials"
    }

    /// Whether the server takes a token at its resource.
    fn opens(&self, token: &str) -> bool {
        let [_, ca, _, mapping] = self.server.flags();
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", "--cacert", &ca, "--connect-to", &mapping]);
        curl.args(["--header", &format!("Authorization: Bearer {token}")]);
        curl.arg(format!("https://{}/mcp", self.cell.kind.host())).output().unwrap().status.success()
    }

    pub(super) fn revoked(&self) {
        let flags = self.server.flags();
        let arguments: Vec<&str> =
            ["revoke", "acme"].into_iter().chain(flags.iter().map(String::as_str)).collect();
        let token = self.record().access_token.unwrap();
        assert_eq!(self.opens(token.expose()), self.is_for_the_resource());
        self.home.ok(&arguments);
        assert!(!self.opens(token.expose()), "the server still takes the token");
        assert!(!self.home.run(&["get", "acme"]).status.success());
        assert!(self.service().client("acme").unwrap().is_none());
    }

    fn export(&self) -> (i32, Value) {
        let mut command = self.home.command();
        let config = self.home.path().join("config.json");
        let mut settings: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
        let [_, ca, _, mapping] = self.server.flags();
        merge(&mut settings, json!({"upstream_ca": [ca], "connect_to": [mapping]}));
        std::fs::write(&config, settings.to_string()).unwrap();
        let output = command.args(["--json", "export", "acme"]).output().unwrap();
        (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
    }

    fn service(&self) -> AuthService {
        AuthService::builder().home(self.home.path()).build().unwrap()
    }

    fn record(&self) -> ConnectionRecord {
        self.service().connection("acme", None).unwrap().record
    }

    fn edit(&self, change: impl FnOnce(&mut ConnectionRecord)) {
        let (key, auth) = ("profile:default:acme:connection:default", self.service());
        let item = auth.vault().unwrap().get(key).unwrap().unwrap();
        let mut record: ConnectionRecord = decode(key, item.value.expose()).unwrap();
        change(&mut record);
        auth.vault().unwrap().put(key, encode(&record)).unwrap();
    }

    fn expire(&self) {
        self.edit(|record| {
            record.expires_at = record.obtained_at.map(|then| then - 1);
            record.obtained_at = record.expires_at.map(|then| then - 3600);
        });
    }

    fn forget_the_pause(&self) {
        self.service().vault().unwrap().delete("profile:default:acme:state").unwrap();
    }
}

/// A login that is given all that it may ask for.
fn started(command: Command, input: &str) -> Login {
    let mut login = Login::start(command);
    login.type_in(input);
    login.close();
    login
}

fn merge(into: &mut Value, from: Value) {
    let more: BTreeMap<String, Value> = serde_json::from_value(from).unwrap();
    into.as_object_mut().unwrap().extend(more);
}
