//! What the doctor looks at, in an order in which each check needs those before it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;

use crate::auth::record::ConnectionStatus;
use crate::auth::{self, AuthService, binding};
use crate::clock;
use crate::home::files;

use super::super::desk::Desk;
use super::super::failure::Failure;
use super::super::list;
use super::Trouble;

type Check = fn(&Desk) -> Result<String, Trouble>;

/// Name, check, and what most often helps.
pub(super) const ALL: [(&str, Check, &str); 10] = [
    ("home", home, "name another folder with --home, or mend this one as the message says"),
    ("profile", profile, "choose one of authsome profile list"),
    (
        "master key",
        master_key,
        "put the right key back: master.key, the entry of the keyring, the passphrase, or AUTHSOME_MASTER_KEY",
    ),
    ("store", store, "put a copy of the profile's store.db back, or move it away and log in again"),
    ("lock", lock, "end the process that holds the lock, or let this user write to the home"),
    ("definitions", definitions, "mend the file in providers/"),
    ("connections", connections, "mend the vault first"),
    ("audit log", audit_log, "make audit.log a file of your own that can be written"),
    ("certificates", certificates, "remove the folder ca/, export anew and tell the clients"),
    (
        "proxy",
        proxy,
        "let this user listen on 127.0.0.1 and write to XDG_RUNTIME_DIR or /tmp; --verbose tells more",
    ),
];

fn home(desk: &Desk) -> Result<String, Trouble> {
    let home = desk.home()?;
    let path = home.root().display();
    let metadata =
        std::fs::metadata(home.root()).map_err(|error| Trouble { message: error.to_string(), fix: None })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Trouble::new(
            format!("{path} is open to others (mode {mode:o})"),
            format!("chmod 700 {path}"),
        ));
    }
    Ok(path.to_string())
}

fn profile(desk: &Desk) -> Result<String, Trouble> {
    let name = &desk.config().profile;
    desk.home()?.profile(name).map_err(auth::Error::from)?;
    Ok(name.clone())
}

fn master_key(desk: &Desk) -> Result<String, Trouble> {
    match desk.auth()?.vault() {
        Ok(_) => Ok(format!("{} opens the vault", desk.config().master_key.name())),
        // A store that fails is the next check's.
        Err(auth::Error::StoreUnavailable(_)) => Ok(desk.config().master_key.name().to_owned()),
        Err(error) => Err(error.into()),
    }
}

fn store(desk: &Desk) -> Result<String, Trouble> {
    let auth = desk.auth()?;
    unlocked(&auth)?;
    let records = auth.check_vault()?;
    auth.vault()?.probe().map_err(auth::Error::from)?;
    Ok(format!("{records} records open, and it can be written"))
}

/// Without the key, no advice about what it seals is good advice.
fn unlocked(auth: &AuthService) -> Result<(), Trouble> {
    match auth.vault() {
        Err(auth::Error::EncryptionUnavailable(_)) => {
            Err(Trouble::new("not looked at: the vault is locked", "mend the master key first"))
        }
        _ => Ok(()),
    }
}

fn lock(desk: &Desk) -> Result<String, Trouble> {
    let auth = desk.auth()?;
    drop(auth.profile().lock().map_err(auth::Error::from)?);
    Ok("free".to_owned())
}

fn definitions(desk: &Desk) -> Result<String, Trouble> {
    let auth = desk.auth()?;
    let definitions = auth.definitions();
    let mut wrong: Vec<String> = definitions
        .broken
        .iter()
        .map(|broken| format!("providers/{}: {}", broken.file, broken.error))
        .collect();
    let mut overriding = Vec::new();
    for provider in definitions.registry.iter() {
        let name = provider.definition.name();
        if provider.overrides_bundled {
            overriding.push(name);
        }
        let claims = provider.definition.fixed_claims();
        if claims.iter().any(|claim| !claim.is_routable()) {
            wrong.push(format!(
                "providers/{name}.json: a regex that leaves its domain open is not routed; add `domains`"
            ));
        }
    }
    if !wrong.is_empty() {
        let folder = auth.home().providers_folder();
        return Err(Trouble::new(
            wrong.join("; "),
            format!("edit or remove the file in {}", folder.display()),
        ));
    }
    let mut notes = vec![format!("{} providers", definitions.registry.names().len())];
    if !overriding.is_empty() {
        notes.push(format!("bundled ones that yours replace: {}", overriding.join(", ")));
    }
    let told = list::suspicions(&auth).into_iter();
    notes.extend(told.map(|(name, told)| format!("providers/{name}.json: {told}")));
    Ok(notes.join("; "))
}

fn connections(desk: &Desk) -> Result<String, Trouble> {
    let auth = desk.auth()?;
    unlocked(&auth)?;
    let snapshot = auth.snapshot()?;
    let mut wrong: Vec<(String, String)> = snapshot
        .unreadable
        .into_iter()
        .map(|one| {
            let fix = format!("authsome login {} --connection {} --force", one.provider, one.connection);
            (format!("{}/{}: {}", one.provider, one.connection, Failure::from(one.error).message()), fix)
        })
        .collect();
    for connection in &snapshot.connections {
        wrong.extend(ailing(&auth, connection, desk.now()));
    }
    if wrong.is_empty() {
        let mut notes = vec![format!("{} usable", snapshot.connections.len())];
        notes.extend(shared_names(&auth, &snapshot.connections));
        return Ok(notes.join("; "));
    }
    let (messages, fixes): (Vec<String>, Vec<String>) = wrong.into_iter().unzip();
    Err(Trouble::new(messages.join("; "), fixes.join("; ")))
}

/// The variables of a run that several providers set.
fn shared_names(auth: &AuthService, connections: &[auth::Connection]) -> Vec<String> {
    let mut setters: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for connection in connections.iter().filter(|connection| connection.is_default) {
        let record = &connection.record;
        let Ok(provider) = auth.provider(&record.provider) else { continue };
        let set = provider.definition.exports().iter().filter(|(field, _)| record.field(field).is_some());
        for name in set.flat_map(|(_, names)| names) {
            setters.entry(name.clone()).or_default().insert(record.provider.clone());
        }
    }
    let shared = setters.into_iter().filter(|(_, providers)| providers.len() > 1);
    let told = |(name, providers): (String, BTreeSet<String>)| {
        format!("{name} stands for {} at once", providers.into_iter().collect::<Vec<_>>().join(" and "))
    };
    shared.map(told).collect()
}

/// What keeps a connection from being used, and the fix.
fn ailing(auth: &AuthService, connection: &auth::Connection, now: i64) -> Option<(String, String)> {
    let record = &connection.record;
    let (provider, name) = (&record.provider, &record.connection_name);
    let again = format!("authsome login {provider} --connection {name}");
    let status = record.status_at(now);
    if status != ConnectionStatus::Connected {
        return Some((format!("{provider}/{name} is {status}"), format!("{again} --force")));
    }
    let Ok(known) = auth.provider(provider) else {
        return Some((format!("{provider}/{name} has no definition"), format!("authsome remove {provider}")));
    };
    let today = binding::today(&known.definition, record.auth_type, &record.template_values());
    let changed = today.is_ok_and(|today| !record.binding_changes(&today).is_empty());
    changed.then(|| {
        (
            format!("{provider}/{name}: its definition has changed since the login"),
            format!("{again} --rebind"),
        )
    })
}

fn audit_log(desk: &Desk) -> Result<String, Trouble> {
    let path = desk.home()?.audit_log();
    files::open_append(&path).map_err(auth::Error::from)?;
    Ok(format!("{} can be written", path.display()))
}

fn certificates(desk: &Desk) -> Result<String, Trouble> {
    let Some(ca) = desk.app.home_ca()? else {
        return Ok("runs make their own; this home has none yet".to_owned());
    };
    let now = desk.app.clock().since_epoch();
    let ends = clock::rfc3339(i64::try_from(ca.not_after().as_secs()).unwrap_or(i64::MAX));
    if now < ca.not_before() || ca.not_after() <= now {
        let folder = desk.home()?.ca_folder();
        let fix = format!("remove {} and export anew", folder.display());
        return Err(Trouble::new(format!("the home's CA is not valid now; it ends {ends}"), fix));
    }
    Ok(format!("the home's CA is valid until {ends}"))
}

/// Tries the main job: all else may be well, and still no request passes.
fn proxy(desk: &Desk) -> Result<String, Trouble> {
    desk.app.self_test().map_err(anyhow::Error::from)?;
    Ok("a request to an embedded server was authenticated".to_owned())
}
