//! Flags, environment and `config.json` become one [`Config`]. Nothing else reads the environment.
//!
//! A flag wins over the environment, and that over the file. An empty variable counts as unset.

mod environment;

use std::path::PathBuf;

use crate::auth::{ProvidedKey, ProvidedKeys};
use crate::home::{self, EncryptionMode, Foreign, Interception, Settings, Unsettled};
use crate::secret::Secret;
use crate::vault::{Ask, MasterKeySource, Passphrase};
pub use environment::{Environment, ProcessEnvironment, Strings};

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither `--home`, nor `AUTHSOME_HOME`, nor `HOME`.
    #[error("there is no home: set AUTHSOME_HOME or HOME, or give --home")]
    NoHome,
    /// A home that is no path.
    #[error("the home is no usable path")]
    HomePath(#[source] std::io::Error),
    /// Two sources of one key.
    #[error("AUTHSOME_MASTER_KEY and AUTHSOME_MASTER_KEY_FILE are both set; unset one")]
    TwoMasterKeys,
    /// A variable whose value is no UTF-8.
    #[error("{0} is not UTF-8")]
    NotText(&'static str),
    /// The profile's name, or `config.json`.
    #[error(transparent)]
    Home(#[from] home::Error),
}

/// What the command line says, for every command.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--home`
    pub home: Option<PathBuf>,
    /// `--profile`
    pub profile: Option<String>,
    /// `--json`
    pub json: bool,
    /// `--quiet`
    pub quiet: bool,
    /// `--no-color`
    pub no_color: bool,
    /// `--verbose`
    pub verbose: bool,
    /// `--log-file`, perhaps empty
    pub log_file: Option<PathBuf>,
    /// `--upstream-ca`
    pub upstream_ca: Vec<PathBuf>,
    /// `--connect-to`
    pub connect_to: Vec<String>,
    /// `--intercept`
    pub intercept: Option<Interception>,
    /// `--unmatched`
    pub unmatched: Option<Unsettled>,
    /// `--ambiguous`
    pub ambiguous: Option<Unsettled>,
    /// `--foreign`
    pub foreign: Option<Foreign>,
    /// `init --encryption`
    pub encryption: Option<EncryptionMode>,
}

/// The proxy that our own outgoing connections take, as the parent's environment has it.
#[derive(Debug, Clone, Default)]
pub struct OutgoingProxy {
    /// For https: `HTTPS_PROXY`, else `ALL_PROXY`. May hold a password.
    pub https: Option<Secret<String>>,
    /// For http: `http_proxy` (lower case alone), else `ALL_PROXY`. May hold a password.
    pub http: Option<Secret<String>>,
    /// Hosts that are dialled directly.
    pub no_proxy: Option<String>,
}

/// Whether and how a page can be shown to the person.
#[derive(Clone, Default)]
pub(crate) struct Screen {
    /// `BROWSER`
    pub(crate) browser: Option<String>,
    /// Whether there is a display: `DISPLAY` or `WAYLAND_DISPLAY`; on macOS always, but over SSH.
    pub(crate) display: bool,
}

/// What this process is to do, validated.
#[derive(Clone)]
pub struct Config {
    /// The home's folder, absolute. It may not exist yet.
    pub home: PathBuf,
    /// The profile's name. It may not exist.
    pub profile: String,
    /// Machine-readable output.
    pub json: bool,
    /// No output but errors.
    pub quiet: bool,
    /// No colours.
    pub no_color: bool,
    /// Debug messages on stderr.
    pub verbose: bool,
    /// The log file; `None` when it is switched off.
    pub log_file: Option<PathBuf>,
    /// Where the master key comes from.
    pub master_key: MasterKeySource,
    /// Where a passphrase comes from, should one be needed.
    pub passphrase: Passphrase,
    /// Keys that the environment provides.
    pub provided_keys: ProvidedKeys,
    /// Whether this process is a descendant of a run, by `AUTHSOME_PROXY_MODE`.
    pub inside_run: bool,
    /// `XDG_RUNTIME_DIR`
    pub runtime_folder: Option<PathBuf>,
    /// Where pages are shown.
    pub(crate) screen: Screen,
    /// The proxy for our own outgoing connections. None inside a run, where the environment leads to the run's.
    pub outgoing_proxy: OutgoingProxy,
    /// Providers that win where two claim one place, best first.
    pub prefer: Vec<String>,
    /// PEM files of further roots for upstream verification.
    pub upstream_ca: Vec<PathBuf>,
    /// `host:port:address:port` mappings for dialling.
    pub connect_to: Vec<String>,
    /// Which of the last two came from `config.json`, to be named on stderr.
    pub trust_from_file: Vec<&'static str>,
    /// How `run` intercepts.
    pub intercept: Interception,
    /// Hosts without a route.
    pub unmatched: Unsettled,
    /// Requests that two providers claim alike.
    pub ambiguous: Unsettled,
    /// Credentials of the client's own.
    pub foreign: Foreign,
    /// The environment at the start.
    pub environment: Environment,
}

impl Config {
    /// Lets a person be asked for a passphrase that no file gives.
    #[must_use]
    pub fn asking(mut self, ask: Ask) -> Self {
        self.passphrase = self.passphrase.asking(ask);
        if matches!(self.master_key, MasterKeySource::Passphrase(_)) {
            self.master_key = MasterKeySource::Passphrase(self.passphrase.clone());
        }
        self
    }
}

/// Reads everything. Creates nothing.
///
/// # Errors
/// When there is no home, a name is malformed, the master key is given twice or `config.json` is damaged.
pub fn load(flags: Flags, strings: &dyn Strings) -> Result<Config, Error> {
    let environment = Environment { variables: strings.all() };
    let home = home_folder(flags.home, &environment)?;
    let settings = Settings::read(&home)?;
    let profile = flags
        .profile
        .or_else(|| environment.text("AUTHSOME_PROFILE").map(str::to_owned))
        .unwrap_or(settings.default_profile);
    home::check_name("profile", &profile)?;
    let mode = flags.encryption.unwrap_or(settings.encryption.mode);
    let passphrase = Passphrase::in_file(environment.path("AUTHSOME_PASSPHRASE_FILE"));
    let trust_from_file = [
        ("upstream_ca", flags.upstream_ca.is_empty() && !settings.upstream_ca.is_empty()),
        ("connect_to", flags.connect_to.is_empty() && !settings.connect_to.is_empty()),
    ];
    let inside_run = environment.raw("AUTHSOME_PROXY_MODE").is_some_and(|value| value != "false");
    Ok(Config {
        profile,
        json: flags.json,
        quiet: flags.quiet,
        no_color: flags.no_color || environment.raw("NO_COLOR").is_some(),
        verbose: flags.verbose,
        log_file: log_file(flags.log_file, &home),
        master_key: master_key(&environment)?.unwrap_or_else(|| MasterKeySource::of_mode(mode, &passphrase)),
        passphrase,
        provided_keys: provided_keys(&environment),
        inside_run,
        runtime_folder: environment.path("XDG_RUNTIME_DIR"),
        screen: screen(&environment),
        outgoing_proxy: if inside_run { OutgoingProxy::default() } else { outgoing_proxy(&environment) },
        prefer: settings.prefer,
        upstream_ca: first_given(flags.upstream_ca, settings.upstream_ca),
        connect_to: first_given(flags.connect_to, settings.connect_to),
        trust_from_file: trust_from_file.iter().filter(|(_, file)| *file).map(|(name, _)| *name).collect(),
        intercept: flags.intercept.or(settings.intercept).unwrap_or_default(),
        unmatched: flags.unmatched.or(settings.unmatched).unwrap_or_default(),
        ambiguous: flags.ambiguous.or(settings.ambiguous).unwrap_or_default(),
        foreign: flags.foreign.or(settings.foreign).unwrap_or_default(),
        home,
        environment,
    })
}

fn home_folder(flag: Option<PathBuf>, environment: &Environment) -> Result<PathBuf, Error> {
    let named =
        flag.filter(|path| !path.as_os_str().is_empty()).or_else(|| environment.path("AUTHSOME_HOME"));
    let path = named.or_else(|| Some(environment.path("HOME")?.join(".authsome"))).ok_or(Error::NoHome)?;
    std::path::absolute(path).map_err(Error::HomePath)
}

fn log_file(flag: Option<PathBuf>, home: &std::path::Path) -> Option<PathBuf> {
    match flag {
        None => Some(home.join("logs").join("authsome.log")),
        Some(path) if path.as_os_str().is_empty() => None,
        given => given,
    }
}

/// The key that the environment gives.
fn master_key(environment: &Environment) -> Result<Option<MasterKeySource>, Error> {
    let file = environment.path("AUTHSOME_MASTER_KEY_FILE");
    match (environment.raw("AUTHSOME_MASTER_KEY"), file) {
        (Some(_), Some(_)) => Err(Error::TwoMasterKeys),
        (Some(value), None) => {
            let text = value.to_str().ok_or(Error::NotText("AUTHSOME_MASTER_KEY"))?;
            Ok(Some(MasterKeySource::Environment(text.into())))
        }
        (None, Some(path)) => Ok(Some(MasterKeySource::EnvironmentFile(path))),
        (None, None) => Ok(None),
    }
}

fn provided_keys(environment: &Environment) -> ProvidedKeys {
    let mut keys = ProvidedKeys::default();
    for (name, value) in environment.all() {
        let (Some(name), false) = (name.to_str(), value.is_empty()) else { continue };
        let Some(rest) = name.strip_prefix("AUTHSOME_") else { continue };
        if let Some(provider) = rest.strip_suffix("_API_KEY_FILE") {
            keys.insert(provider, ProvidedKey::File(value.into()));
        } else if let (Some(provider), Some(text)) = (rest.strip_suffix("_API_KEY"), value.to_str()) {
            keys.insert(provider, ProvidedKey::Value(text.into()));
        }
    }
    keys
}

fn screen(environment: &Environment) -> Screen {
    let has = |name| environment.raw(name).is_some();
    let always = cfg!(target_os = "macos") && !has("SSH_CONNECTION");
    Screen {
        browser: environment.text("BROWSER").map(str::to_owned),
        display: always || has("DISPLAY") || has("WAYLAND_DISPLAY"),
    }
}

/// `HTTP_PROXY` in capitals is not read: a CGI request could set it.
fn outgoing_proxy(environment: &Environment) -> OutgoingProxy {
    let no_proxy = environment.text("no_proxy").or_else(|| environment.text("NO_PROXY"));
    OutgoingProxy {
        https: environment.first_secret(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
        http: environment.first_secret(&["http_proxy", "all_proxy", "ALL_PROXY"]),
        no_proxy: no_proxy.map(str::to_owned),
    }
}

fn first_given<T>(flags: Vec<T>, file: Vec<T>) -> Vec<T> {
    if flags.is_empty() { file } else { flags }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn loaded(flags: Flags, pairs: &[(&str, &str)]) -> Config {
        load(flags, &environment(pairs)).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        let file =
            r#"{"spec_version":1,"default_profile":"filed","foreign":"deny","upstream_ca":["/a.pem"]}"#;
        fs::write(folder.path().join("config.json"), file).unwrap();
        let base = [("HOME", "/nowhere"), ("AUTHSOME_HOME", home)];
        assert_eq!(loaded(Flags::default(), &base).profile, "filed");
        assert_eq!(loaded(Flags::default(), &base).foreign, Foreign::Deny);
        assert_eq!(loaded(Flags::default(), &base).trust_from_file, ["upstream_ca"]);
        let both = [base[0], base[1], ("AUTHSOME_PROFILE", "variable")];
        assert_eq!(loaded(Flags::default(), &both).profile, "variable");
        let flags = Flags {
            profile: Some("flag".into()),
            foreign: Some(Foreign::Keep),
            upstream_ca: vec!["/b.pem".into()],
            ..Flags::default()
        };
        let config = loaded(flags, &both);
        assert_eq!((config.profile.as_str(), config.foreign), ("flag", Foreign::Keep));
        assert_eq!((config.upstream_ca, config.trust_from_file), (vec!["/b.pem".into()], vec![]));
    }

    #[test]
    fn the_home_is_where_it_is_said_to_be_and_nothing_is_made() {
        let config = loaded(Flags::default(), &[("HOME", "/nowhere"), ("AUTHSOME_HOME", "")]);
        assert_eq!(config.home, PathBuf::from("/nowhere/.authsome"));
        assert_eq!(config.log_file, Some(PathBuf::from("/nowhere/.authsome/logs/authsome.log")));
        let flags = Flags { home: Some("relative".into()), log_file: Some("".into()), ..Flags::default() };
        let config = loaded(flags, &[]);
        assert!(config.home.is_absolute() && config.home.ends_with("relative") && !config.home.exists());
        assert_eq!(config.log_file, None);
        assert!(matches!(load(Flags::default(), &environment(&[])), Err(Error::NoHome)));
    }

    #[test]
    fn key_sources_are_told_apart() {
        let source = |pairs: &[(&str, &str)]| {
            let pairs = [pairs, &[("HOME", "/nowhere")]].concat();
            load(Flags::default(), &environment(&pairs)).map(|config| config.master_key)
        };
        assert!(matches!(source(&[]), Ok(MasterKeySource::File)));
        assert!(matches!(source(&[("AUTHSOME_MASTER_KEY", "x")]), Ok(MasterKeySource::Environment(_))));
        let file = ("AUTHSOME_MASTER_KEY_FILE", "/k");
        assert!(matches!(source(&[file]), Ok(MasterKeySource::EnvironmentFile(_))));
        assert!(matches!(source(&[file, ("AUTHSOME_MASTER_KEY", "x")]), Err(Error::TwoMasterKeys)));
    }

    #[test]
    fn provided_keys_are_found_by_their_providers_name() {
        let pairs = [
            ("HOME", "/nowhere"),
            ("AUTHSOME_OPENAI_API_KEY", "sk-1"),
            ("AUTHSOME_OPENAI_API_KEY_FILE", "/k"),
            ("AUTHSOME_KEYWORDS_EVERYWHERE_API_KEY_FILE", "/k2"),
            ("AUTHSOME_EMPTY_API_KEY", ""),
        ];
        let keys = loaded(Flags::default(), &pairs).provided_keys;
        assert!(matches!(keys.of("openai"), Some(ProvidedKey::Value(_))));
        assert!(matches!(keys.of("keywords-everywhere"), Some(ProvidedKey::File(_))));
        assert!(keys.of("empty").is_none() && keys.of("other").is_none());
    }

    #[test]
    fn a_malformed_file_or_name_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        for name in ["", "../x", "-a", "a b", &"a".repeat(65)] {
            let flags = Flags { profile: Some(name.into()), ..Flags::default() };
            assert!(load(flags, &environment(&[("AUTHSOME_HOME", home)])).is_err(), "{name}");
        }
        for content in ["{", "[]", r#"{"spec_version":1,"foreign":"perhaps"}"#] {
            fs::write(folder.path().join("config.json"), content).unwrap();
            let refused = load(Flags::default(), &environment(&[("AUTHSOME_HOME", home)]));
            assert!(matches!(refused, Err(Error::Home(home::Error::Settings { .. }))), "{content}");
        }
    }

    #[test]
    fn an_outgoing_proxy_is_taken_from_the_usual_names() {
        let pairs = [
            ("HOME", "/nowhere"),
            ("HTTPS_PROXY", "http://a"),
            ("HTTP_PROXY", "http://cgi"),
            ("NO_PROXY", "x"),
        ];
        let proxy = loaded(Flags::default(), &pairs).outgoing_proxy;
        assert_eq!(proxy.https.unwrap().expose(), "http://a");
        assert!(proxy.http.is_none());
        assert_eq!(proxy.no_proxy.as_deref(), Some("x"));
        let inside = [pairs.as_slice(), &[("AUTHSOME_PROXY_MODE", "true")]].concat();
        assert!(loaded(Flags::default(), &inside).outgoing_proxy.https.is_none());
    }
}
