//! Every bundled definition, for real: one request each through the proxy to its own host, and what a run's child is
//! given for it. `slots.txt` says what must arrive.

use std::collections::{BTreeMap, BTreeSet};

use authsome::auth::{AuthService, Login};
use authsome::secret::Secret;
use authsome_providers::{AuthType, ProviderDefinition, Registry};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::client::{Ask, VERSIONS};
use crate::support::origin::Seen;
use crate::support::world::World;

const TABLE: &str = include_str!("registry/slots.txt");

/// Definitions that claim what another one claims: they are connected in a world of their own.
const APART: [&str; 2] = ["cloudflare-global-key", "railway-project"];

/// A line of the table.
struct Row {
    provider: &'static str,
    auth_type: AuthType,
    variant: Option<&'static str>,
    host: &'static str,
    path: &'static str,
    slots: Vec<&'static str>,
    /// What login is given, besides the key where that has no form of its own.
    values: BTreeMap<&'static str, &'static str>,
}

impl Row {
    fn read(line: &'static str) -> Self {
        let parts: Vec<&str> = line.split('|').map(str::trim).collect();
        let [way, url, slots, values] = parts[..] else { panic!("{line}") };
        let (provider, kind) = way.split_once(' ').unwrap();
        let (kind, variant) = kind.split_once('#').map_or((kind, None), |(kind, name)| (kind, Some(name)));
        let rest = url.strip_prefix("https://").unwrap();
        let (host, path) = rest.split_at(rest.find('/').unwrap());
        let values = values.split("; ").filter_map(|pair| pair.split_once('='));
        Self {
            provider,
            auth_type: if kind == "oauth2" { AuthType::OAuth2 } else { AuthType::ApiKey },
            variant,
            host,
            path,
            slots: slots.split("; ").collect(),
            values: values.collect(),
        }
    }

    /// The credential: one that each way of writing writes differently, unless the vendor's have a form.
    fn key(&self) -> String {
        self.values
            .get("KEY")
            .map_or_else(|| format!("key-{}+/=%7f3a", self.provider), |key| (*key).to_owned())
    }

    /// A slot's text with something in the place of the key.
    fn slot(&self, slot: &str, key: &str) -> String {
        let text = slot.replace("KEY", key);
        match text.split_once('<') {
            Some((before, pair)) => format!("{before}{}", STANDARD.encode(pair.strip_suffix('>').unwrap())),
            None => text,
        }
    }

    /// A request as an SDK makes it that was given the placeholder.
    fn ask(&self, placeholder: &str) -> Ask {
        let path = self.path.trim_end_matches('/');
        let query: Vec<String> = self.parameters().map(|slot| self.slot(slot, placeholder)).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        let ask = Ask::get(&format!("{path}/probe{mark}{}", query.join("&")));
        self.headers().fold(ask, |ask, slot| {
            let slot = self.slot(slot, placeholder);
            let (name, value) = slot.split_once(": ").unwrap();
            ask.header(name, value)
        })
    }

    fn headers(&self) -> impl Iterator<Item = &'static str> {
        self.slots.iter().copied().filter(|slot| !slot.starts_with('?'))
    }

    fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.slots.iter().filter_map(|slot| slot.strip_prefix('?'))
    }

    /// That the key arrived in its slots, byte for byte, and the placeholder nowhere.
    fn check(&self, seen: &Seen, placeholder: &str) {
        let (name, key) = (self.provider, self.key());
        for slot in self.headers() {
            let slot = self.slot(slot, &key);
            let (header, value) = slot.split_once(": ").unwrap();
            assert_eq!(seen.values(header), [value], "{name}: {header}");
        }
        let query: Vec<String> =
            seen.uri.query().into_iter().flat_map(|query| query.split('&')).map(decoded).collect();
        let expected: Vec<String> = self.parameters().map(|slot| self.slot(slot, &key)).collect();
        assert_eq!(query, expected, "{name}");
        let mut texts = vec![seen.uri.to_string()];
        for value in seen.headers.values() {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            let basic = text.strip_prefix("Basic ").and_then(|pair| STANDARD.decode(pair).ok());
            texts.extend(basic.map(|pair| String::from_utf8_lossy(&pair).into_owned()));
            texts.push(text);
        }
        assert!(texts.iter().all(|text| !text.contains(placeholder)), "{name}: {texts:?}");
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

fn rows() -> Vec<Row> {
    TABLE.lines().filter(|line| !line.starts_with('#')).map(Row::read).collect()
}

/// The rows of one kind of credential that can be connected at once.
fn together(auth_type: AuthType) -> Vec<Row> {
    let mut rows = rows();
    rows.retain(|row| row.auth_type == auth_type && !APART.contains(&row.provider));
    rows
}

fn definition(name: &str) -> ProviderDefinition {
    Registry::bundled().provider(name).unwrap().definition.clone()
}

#[test]
fn the_table_has_a_line_for_each_way_to_place_each_credential() {
    let mut expected = BTreeSet::new();
    for provider in Registry::bundled().iter().filter(|provider| provider.definition.not_routed().is_none()) {
        let json = provider.definition.to_json();
        for auth in
            [AuthType::ApiKey, AuthType::OAuth2].into_iter().filter(|auth| provider.definition.offers(*auth))
        {
            for host in json["host_url"].as_array().unwrap() {
                if host.get("auth_type").is_none_or(|only| only == auth.as_str()) {
                    let variant = host.get("variant").map(|name| name.as_str().unwrap().to_owned());
                    expected.insert((provider.definition.name().to_owned(), auth, variant));
                }
            }
        }
    }
    let rows = rows();
    let found =
        rows.iter().map(|row| (row.provider.to_owned(), row.auth_type, row.variant.map(str::to_owned)));
    assert_eq!(found.collect::<BTreeSet<_>>(), expected);
    assert_eq!(rows.len(), expected.len());
}

/// A world in which all of these are connected and their hosts are one server.
async fn connected(rows: &[Row]) -> World {
    let builder = rows.iter().fold(World::empty(), |world, row| world.name(row.host));
    let auth = AuthService::builder().home(builder.home().path()).build().unwrap();
    let mut done = BTreeSet::new();
    for row in rows.iter().filter(|row| done.insert(row.provider)) {
        let mut values: BTreeMap<String, Secret<String>> = row
            .values
            .iter()
            .filter(|(name, _)| **name != "KEY")
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .collect();
        values.insert(row.auth_type.credential_field().to_owned(), row.key().as_str().into());
        let login =
            Login { provider: row.provider, auth_type: Some(row.auth_type), values, ..Login::default() };
        auth.login(&login).unwrap_or_else(|error| panic!("{}: {error}", row.provider));
    }
    builder.start().await
}

/// One request for each row, in both versions of HTTP by turns.
async fn place_all(rows: &[Row]) -> World {
    let world = connected(rows).await;
    for (row, version) in rows.iter().zip(VERSIONS.into_iter().cycle()) {
        let definition = definition(row.provider);
        let placeholder = definition.placeholder();
        let answer = world.client.ask(version, &format!("{}:443", row.host), &row.ask(placeholder)).await;
        assert_eq!(answer.status, 200, "{}: {answer:?}", row.provider);
        row.check(&world.origin.requests().pop().unwrap(), placeholder);
    }
    world
}

/// That a run's child has every exported name: the placeholder for a secret, any other field as it is.
fn expect_environment(world: &World, rows: &[Row]) {
    let output = world.run(&["env", "-0"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let environment: BTreeMap<&str, &str> =
        text.split('\0').filter_map(|pair| pair.split_once('=')).collect();
    let placeholders: BTreeSet<String> =
        rows.iter().map(|row| definition(row.provider).placeholder().to_owned()).collect();
    for row in rows {
        let definition = definition(row.provider);
        let fields = definition.fields(row.auth_type);
        for (field, names) in definition.exports() {
            let Some(spec) = fields.iter().find(|spec| spec.name == *field) else { continue };
            for name in names {
                let value = environment.get(name.as_str()).copied();
                let own = row.values.get(field.as_str()).copied().or(spec.default.as_deref());
                let right = if spec.secret {
                    value.is_some_and(|value| placeholders.contains(value))
                } else {
                    value == own || own.is_none()
                };
                assert!(right, "{}: {name} is {value:?}", row.provider);
            }
        }
        assert!(!text.contains(&row.key()), "{}", row.provider);
    }
}

#[tokio::test]
async fn every_key_arrives_in_its_slot_and_the_child_has_its_names() {
    let rows = together(AuthType::ApiKey);
    let world = place_all(&rows).await;
    expect_environment(&world, &rows);
}

#[tokio::test]
async fn every_token_arrives_in_its_slot_and_the_child_has_its_names() {
    let rows = together(AuthType::OAuth2);
    let world = place_all(&rows).await;
    expect_environment(&world, &rows);
}

#[tokio::test]
async fn what_shares_a_host_with_another_definition_works_alone() {
    let rows: Vec<Row> = rows().into_iter().filter(|row| APART.contains(&row.provider)).collect();
    assert_eq!(rows.len(), APART.len());
    let world = place_all(&rows).await;
    expect_environment(&world, &rows);
}
