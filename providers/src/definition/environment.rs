//! Environment variables that a definition names: the exports, and which names are refused.

use super::DefinitionError;
use super::document::Export;

/// Names that loaders, shells, runtimes and TLS libraries act upon.
const RESERVED: &[&str] = &[
    "BASHOPTS",
    "BUN_INSPECT",
    "BUN_INSPECT_PRELOAD",
    "BUN_OPTIONS",
    "CLASSPATH",
    "DENO_CERT",
    "DENO_TLS_CA_STORE",
    "EDITOR",
    "ENV",
    "GCONV_PATH",
    "GOFLAGS",
    "GOPROXY",
    "HOME",
    "HOSTALIASES",
    "HOSTNAME",
    "IFS",
    "JAVA_OPTS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "KUBECONFIG",
    "LANG",
    "LESSOPEN",
    "LOCALDOMAIN",
    "LOCPATH",
    "LOGNAME",
    "MAVEN_OPTS",
    "NIX_SSL_CERT_FILE",
    "NLSPATH",
    "NODE_EXTRA_CA_CERTS",
    "NODE_OPTIONS",
    "NODE_PATH",
    "NODE_REPL_EXTERNAL_MODULE",
    "NODE_TLS_REJECT_UNAUTHORIZED",
    "NODE_USE_ENV_PROXY",
    "OPENSSL_CONF",
    "OPENSSL_MODULES",
    "PAGER",
    "PATH",
    "PERLLIB",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "PROMPT_COMMAND",
    "PS4",
    "PWD",
    "RES_OPTIONS",
    "RUBYLIB",
    "RUBYOPT",
    "SHELL",
    "SHELLOPTS",
    "SSLKEYLOGFILE",
    "TERM",
    "TMPDIR",
    "USER",
    "VISUAL",
    "ZDOTDIR",
    "_JAVA_OPTIONS",
];

const RESERVED_PREFIXES: &[&str] = &[
    "AUTHSOME_",
    "BASH_",
    "CARGO_",
    "CURL_",
    "DYLD_",
    "GIT_",
    "LD_",
    "MALLOC_",
    "NPM_CONFIG_",
    "PERL5",
    "PIP_",
    "PYTHON",
    "SSL_",
    "UV_",
    "XDG_",
];

const RESERVED_SUFFIXES: &[&str] =
    &["_PROXY", "_CA_BUNDLE", "_CA_CERT", "_CA_CERTS", "_CA_FILE", "_CAFILE", "_PRELOAD", "_CERT_FILE"];

/// Names below a reserved prefix that hold a credential and nothing else.
const CREDENTIALS: &[&str] = &["CARGO_REGISTRY_TOKEN", "UV_PUBLISH_TOKEN"];

/// The fields of a record that hold a credential of the owner's but never leave by an export.
const NEVER_EXPORTED: &[&str] = &[
    "refresh_token",
    "id_token",
    "client_id",
    "client_secret",
    "token_type",
    "expires_at",
    "scope",
    "scopes",
];

/// Whether a definition may set or read an environment variable of this name.
pub(super) fn check(name: &str) -> Result<(), &'static str> {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !(1..=128).contains(&name.len())
        || !name.bytes().all(inner)
        || name.starts_with(|first: char| first.is_ascii_digit())
    {
        return Err("is no name of an environment variable: letters, digits and `_`");
    }
    let upper = name.to_ascii_uppercase();
    if CREDENTIALS.contains(&upper.as_str()) {
        return Ok(());
    }
    let reserved = RESERVED.contains(&upper.as_str())
        || RESERVED_PREFIXES.iter().any(|prefix| upper.starts_with(prefix))
        || RESERVED_SUFFIXES.iter().any(|suffix| upper.ends_with(suffix))
        || upper == "PROXY";
    if reserved {
        Err("is a name that loaders, runtimes, proxies or authsome itself act upon")
    } else {
        Ok(())
    }
}

/// The exports of a definition: a field and the variables that it is exported as.
pub(super) type Exports = Vec<(String, Vec<String>)>;

/// Reads `export.env`, in the form `field: name(s)` or in the form `name: field`, and adds the default name of each
/// credential field in `credentials` that is not mapped.
pub(super) fn exports(
    entry: Option<&Export>,
    provider: &str,
    credentials: &[&str],
    fields: &[&str],
) -> Result<Exports, DefinitionError> {
    let mut exports = Exports::new();
    let known = [credentials, fields].concat();
    for (key, names) in entry.iter().filter_map(|export| export.env.as_ref()).flatten() {
        let names: Vec<&str> = names.0.iter().map(|name| name.0.as_str()).collect();
        read_entry(key, names, &known, &mut exports)
            .map_err(|problem| DefinitionError::field(format!("export.env.{key}"), problem))?;
    }
    for field in credentials {
        if !exports.iter().any(|(name, _)| name == field) {
            let name = format!("{provider}_{field}").to_ascii_uppercase().replace('-', "_");
            check(&name).map_err(|problem| {
                DefinitionError::field("export", format_args!("the default `{name}` {problem}; name another"))
            })?;
            exports.push(((*field).to_owned(), vec![name]));
        }
    }
    Ok(exports)
}

fn read_entry(key: &str, values: Vec<&str>, fields: &[&str], exports: &mut Exports) -> Result<(), String> {
    let known = |name: &str| {
        fields.contains(&name) || NEVER_EXPORTED.contains(&name) || super::kind::is_credential(name)
    };
    let (field, names) = match values.as_slice() {
        _ if known(key) => (key, values),
        [field] if known(field) => (*field, vec![key]),
        [] => return Ok(()),
        _ => return Err("names no field of this definition, neither as the key nor as the value".into()),
    };
    for name in &names {
        check(name).map_err(|problem| format!("`{name}` {problem}"))?;
    }
    if !fields.contains(&field) {
        return Ok(());
    }
    let names = names.into_iter().map(str::to_owned);
    match exports.iter_mut().find(|(known, _)| known == field) {
        Some((_, list)) => list.extend(names),
        None => exports.push((field.to_owned(), names.collect())),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn names_that_programs_act_upon_are_refused() {
        for refused in [
            "PATH",
            "path",
            "LD_PRELOAD",
            "DYLD_INSERT_LIBRARIES",
            "HTTP_PROXY",
            "https_proxy",
            "ALL_PROXY",
            "NO_PROXY",
            "SSL_CERT_FILE",
            "NODE_EXTRA_CA_CERTS",
            "NODE_OPTIONS",
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
            "AUTHSOME_HOME",
            "AUTHSOME_MASTER_KEY",
            "authsome_x",
            "PYTHONPATH",
            "PYTHONSTARTUP",
            "PERL5LIB",
            "RUBYOPT",
            "BASH_ENV",
            "ENV",
            "GIT_SSH_COMMAND",
            "JAVA_TOOL_OPTIONS",
            "HOME",
            "IFS",
            "XDG_RUNTIME_DIR",
            "",
            "1A",
            "A-B",
            "A=B",
            "A B",
            "É",
            "npm_config_cafile",
        ] {
            assert!(check(refused).is_err(), "{refused}");
        }
        for allowed in [
            "OPENAI_API_KEY",
            "GH_TOKEN",
            "GITHUB_TOKEN",
            "ANTHROPIC_AUTH_TOKEN",
            "lower_case",
            "X",
            "GITLAB_TOKEN",
        ] {
            assert!(check(allowed).is_ok(), "{allowed}");
        }
    }
}
