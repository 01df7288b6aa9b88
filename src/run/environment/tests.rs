use std::collections::HashMap;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::*;

const PROXY_URL: &str = "http://run:TOKEN@127.0.0.1:4711";

fn files() -> Files {
    let file = |name: &str| PathBuf::from("/run/a").join(name);
    Files {
        bundle: file("bundle.pem"),
        ca: file("ca.pem"),
        extra_ca: file("extra.pem"),
        wgetrc: file("wgetrc"),
        apt_conf: file("apt.conf"),
        node_preload: file("authsome-node.cjs"),
        python_dir: file("python"),
    }
}

fn parent(pairs: &[(&str, &str)]) -> Variables {
    pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

struct Outcome {
    variables: HashMap<String, String>,
    notes: Vec<String>,
}

impl Outcome {
    fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }
}

/// The child of a run with a route to `api.openai.com`, its inputs changed by `change`.
fn run_with(pairs: &[(&str, &str)], change: impl for<'a> Fn(&mut Inputs<'a>)) -> Outcome {
    let (parent, files) = (parent(pairs), files());
    let routed = |name: &str| {
        "api.openai.com".strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let mut inputs = Inputs {
        parent: &parent,
        command: &[],
        proxy_url: PROXY_URL,
        files: &files,
        covers_route: &routed,
        ports: &[],
        placeholders: &[],
        taken_away: &[],
        secrets: &[],
        user_proxy: UserProxy::default(),
    };
    change(&mut inputs);
    let child = child(&inputs);
    let text = |text: OsString| text.into_string().unwrap();
    let count = child.variables.len();
    let variables: HashMap<_, _> = child.variables.into_iter().map(|(k, v)| (text(k), text(v))).collect();
    assert_eq!(variables.len(), count, "each name once");
    Outcome { variables, notes: child.notes.iter().map(Note::to_string).collect() }
}

fn run(pairs: &[(&str, &str)]) -> Outcome {
    run_with(pairs, |_| ())
}

#[test]
fn each_client_finds_the_proxy_and_the_roots() {
    let child = run(&[("PATH", "/bin"), ("ALL_PROXY", "socks5://elsewhere")]);
    assert_eq!(child.get("PATH"), Some("/bin"));
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        assert_eq!(child.get(name), Some(PROXY_URL), "{name}");
    }
    for name in
        ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "npm_config_cafile"]
    {
        assert_eq!(child.get(name), Some("/run/a/bundle.pem"), "{name}");
    }
    assert_eq!(child.get("NODE_EXTRA_CA_CERTS"), Some("/run/a/extra.pem"));
    assert_eq!(child.get("AUTHSOME_CA"), Some("/run/a/ca.pem"));
    assert_eq!(child.get("AUTHSOME_PROXY"), Some(PROXY_URL));
    assert_eq!(child.get("AUTHSOME_PROXY_MODE"), Some("true"));
    assert_eq!(child.get("SYSTEM_WGETRC"), Some("/run/a/wgetrc"));
    assert_eq!(child.get("APT_CONFIG"), Some("/run/a/apt.conf"));
    assert_eq!(child.get("NODE_OPTIONS"), Some("--require=/run/a/authsome-node.cjs"));
    assert_eq!(child.get("BUN_OPTIONS"), Some("--preload=/run/a/authsome-node.cjs"));
    assert_eq!(child.get("PYTHONPATH"), Some("/run/a/python"));
    assert_eq!(child.get("AUTHSOME_PORTS"), None);
    assert!(child.notes.is_empty());
}

#[test]
fn verification_is_never_switched_off_and_the_folder_of_roots_stays_the_parents() {
    let child = run(&[("SSL_CERT_DIR", "/own")]);
    assert_eq!(child.get("SSL_CERT_DIR"), Some("/own"));
    assert_eq!(child.get("NODE_TLS_REJECT_UNAUTHORIZED"), None);
    assert_eq!(run(&[]).get("SSL_CERT_DIR"), None);
}

#[test]
fn the_keys_that_are_put_back_name_the_wiring_and_no_placeholder() {
    let child = run_with(&[], |inputs| inputs.ports = &[8443, 9443]);
    assert_eq!(child.get("AUTHSOME_PORTS"), Some("8443,9443"));
    let keys: Vec<&str> = child.get("AUTHSOME_ENV_KEYS").unwrap().split(',').collect();
    for name in child.variables.keys() {
        assert_eq!(keys.iter().filter(|key| *key == name).count(), 1, "{name}");
    }
    assert_eq!(keys.len(), child.variables.len());

    let placeholders = [("OPENAI_API_KEY".to_owned(), "authsome-proxy-managed".to_owned())];
    let files = files();
    let with_placeholder = Inputs { placeholders: &placeholders, ..empty_inputs(&files, &|_| false) };
    let child = super::child(&with_placeholder);
    let keys = child.variables.iter().find(|(name, _)| name == "AUTHSOME_ENV_KEYS").unwrap();
    assert!(!keys.1.to_str().unwrap().contains("OPENAI_API_KEY"));
}

fn empty_inputs<'a>(files: &'a Files, covers_route: &'a dyn Fn(&str) -> bool) -> Inputs<'a> {
    Inputs {
        parent: &[],
        command: &[],
        proxy_url: PROXY_URL,
        files,
        covers_route,
        ports: &[],
        placeholders: &[],
        taken_away: &[],
        secrets: &[],
        user_proxy: UserProxy::default(),
    }
}

#[test]
fn a_placeholder_replaces_the_users_key_and_never_the_wiring() {
    let placeholders =
        ["OPENAI_API_KEY", "HTTPS_PROXY"].map(|name| (name.to_owned(), "placeholder".to_owned()));
    let (parent, files) = (parent(&[("OPENAI_API_KEY", "sk-own")]), files());
    let inputs = Inputs { parent: &parent, placeholders: &placeholders, ..empty_inputs(&files, &|_| false) };
    let child = child(&inputs);
    let get = |name: &str| child.variables.iter().find(|(key, _)| key == name).unwrap().1.to_str().unwrap();
    assert_eq!(get("OPENAI_API_KEY"), "placeholder");
    assert_eq!(get("HTTPS_PROXY"), PROXY_URL);
}

#[test]
fn keys_of_the_vault_and_of_connections_are_taken_away() {
    let taken_away = ["STRIPE_SECRET_KEY".to_owned()];
    let names = [
        "AUTHSOME_MASTER_KEY",
        "AUTHSOME_MASTER_KEY_FILE",
        "AUTHSOME_PASSPHRASE_FILE",
        "AUTHSOME_PASSPHRASE",
        "AUTHSOME_OPENAI_API_KEY",
        "AUTHSOME_OPENAI_API_KEY_FILE",
        "STRIPE_SECRET_KEY",
        "grpc_proxy",
        "NPM_CONFIG_HTTPS_PROXY",
    ];
    let parent = parent(&names.map(|name| (name, "x")));
    let files = files();
    let inputs = Inputs { parent: &parent, taken_away: &taken_away, ..empty_inputs(&files, &|_| false) };
    let child = child(&inputs);
    for name in names {
        assert!(!child.variables.iter().any(|(key, _)| key == name), "{name}");
    }
    assert!(child.notes.is_empty());
    let kept = run(&[("AUTHSOME_HOME", "/h"), ("AUTHSOME_PROFILE", "p"), ("MY_API_KEY", "k")]);
    assert_eq!(kept.get("AUTHSOME_HOME"), Some("/h"));
    assert_eq!(kept.get("AUTHSOME_PROFILE"), Some("p"));
    assert_eq!(kept.get("MY_API_KEY"), Some("k"));
}

#[test]
fn a_variable_that_contains_a_secret_is_taken_away_and_named() {
    let pairs = [("DEPLOY", "token=sk-live-12345678;x"), ("PIN", "1234"), ("LONGER", "12345"), ("EMPTY", "")];
    let child = run_with(&pairs, |inputs| inputs.secrets = &[b"sk-live-12345678", b"1234", b""]);
    assert_eq!(child.get("DEPLOY"), None);
    assert_eq!(child.get("PIN"), None);
    assert_eq!(child.get("LONGER"), Some("12345"));
    assert_eq!(child.get("EMPTY"), Some(""));
    assert_eq!(child.notes.len(), 2);
    assert_eq!(child.notes[0], "DEPLOY was taken away from the agent: its value contains a secret");
    assert!(child.notes.iter().all(|note| !note.contains("sk-live")));
}

#[test]
fn a_secret_in_a_variable_that_we_extend_does_not_pass_on() {
    let pairs = [("NODE_OPTIONS", "--title=sk-live-12345678"), ("PYTHONPATH", "/sk-live-12345678")];
    let child = run_with(&pairs, |inputs| inputs.secrets = &[b"sk-live-12345678"]);
    assert!(child.variables.values().all(|value| !value.contains("sk-live")));
}

#[test]
fn options_of_node_and_bun_are_extended_once() {
    let own = "--max-old-space-size=4096";
    let once = run(&[("NODE_OPTIONS", own), ("BUN_OPTIONS", "--smol")]);
    let node = format!("{own} --require=/run/a/authsome-node.cjs");
    assert_eq!(once.get("NODE_OPTIONS"), Some(&*node));
    assert_eq!(once.get("BUN_OPTIONS"), Some("--smol --preload=/run/a/authsome-node.cjs"));
    let twice = run(&[("NODE_OPTIONS", &node)]);
    assert_eq!(twice.get("NODE_OPTIONS"), Some(&*node));
}

#[test]
fn nodes_permission_model_is_allowed_to_read_the_preload() {
    let allowed = "--allow-fs-read=/run/a/authsome-node.cjs --allow-fs-read=/run/a/ca.pem";
    let by_options = run(&[("NODE_OPTIONS", "--permission")]);
    let require = "--require=/run/a/authsome-node.cjs";
    assert_eq!(by_options.get("NODE_OPTIONS"), Some(&*format!("--permission {require} {allowed}")));
    let keys = by_options.get("AUTHSOME_ENV_KEYS").unwrap();
    assert_eq!(keys.split(',').filter(|key| *key == "NODE_OPTIONS").count(), 1);
    let command = ["/usr/bin/node", "--experimental-permission", "a.js"].map(OsString::from);
    let files = files();
    let node_options = |command: &[OsString]| {
        let child = child(&Inputs { command, ..empty_inputs(&files, &|_| false) });
        let found = child.variables.into_iter().find(|(name, _)| name == "NODE_OPTIONS");
        found.unwrap().1.into_string().unwrap()
    };
    assert_eq!(node_options(&command), format!("{require} {allowed}"));
    assert_eq!(node_options(&["psql", "--permission"].map(OsString::from)), require);
}

#[test]
fn our_folder_comes_first_in_pythons_path_and_once() {
    let path = |value| run(&[("PYTHONPATH", value)]).get("PYTHONPATH").unwrap().to_owned();
    assert_eq!(path("/lib:/more"), "/run/a/python:/lib:/more");
    assert_eq!(path("/lib:/run/a/python"), "/run/a/python:/lib");
    assert_eq!(path(""), "/run/a/python");
    assert_eq!(path("/lib:"), "/run/a/python:/lib:");
}

#[test]
fn no_proxy_is_portable_and_never_leads_past_a_route() {
    let defaults = "localhost,127.0.0.1,::1,169.254.169.254,metadata.google.internal";
    let no_proxy = |value: &str| {
        let child = run(&[("NO_PROXY", value)]);
        let lists =
            ["NO_PROXY", "no_proxy", "npm_config_noproxy"].map(|name| child.get(name).unwrap().to_owned());
        assert!(lists.iter().all(|list| *list == lists[0]));
        (lists[0].strip_suffix(defaults).unwrap().trim_end_matches(',').to_owned(), child.notes.len())
    };
    assert_eq!(no_proxy(""), (String::new(), 0));
    assert_eq!(
        no_proxy("Corp.Example, *.intra.example 10.0.0.0/8"),
        ("corp.example,.intra.example,10.0.0.0/8".into(), 0)
    );
    assert_eq!(
        no_proxy("a.example:8080,[fd00::1]:80,fd00::2,::2"),
        ("a.example:8080,[fd00::1]:80,fd00::2,::2".into(), 0)
    );
    for entry in [
        "*",
        "api.openai.com",
        "API.OpenAI.com.",
        ".openai.com",
        "*.openai.com",
        "openai.com",
        "com",
        ".com",
        "api.openai.com:443",
        "*openai.com",
        "api.*",
        ".",
        "*.",
    ] {
        assert_eq!(no_proxy(&format!("corp.example,{entry}")), ("corp.example".into(), 1), "{entry}");
    }
    assert_eq!(no_proxy("xapi.openai.com,nopenai.com"), ("xapi.openai.com,nopenai.com".into(), 0));
}

#[test]
fn both_spellings_of_no_proxy_count_and_each_entry_once() {
    let child = run(&[("NO_PROXY", "a.example,localhost"), ("no_proxy", "b.example,a.example,*")]);
    let list = "b.example,a.example,localhost,127.0.0.1,::1,169.254.169.254,metadata.google.internal";
    assert_eq!(child.get("NO_PROXY"), Some(list));
    assert_eq!(child.notes, ["\"*\" in NO_PROXY is ignored: it would lead past the proxy"]);
}

#[test]
fn git_and_pip_get_a_proxy_setting_only_where_the_user_has_one() {
    let plain = run(&[]);
    assert_eq!((plain.get("GIT_CONFIG_COUNT"), plain.get("PIP_PROXY")), (None, None));

    let both = UserProxy { git: true, pip: true };
    let pairs = [("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "user.name"), ("GIT_CONFIG_VALUE_0", "n")];
    let child = run_with(&pairs, |inputs| inputs.user_proxy = both);
    assert_eq!(child.get("PIP_PROXY"), Some(PROXY_URL));
    assert_eq!(child.get("GIT_CONFIG_COUNT"), Some("2"));
    assert_eq!(child.get("GIT_CONFIG_KEY_0"), Some("user.name"));
    assert_eq!(child.get("GIT_CONFIG_KEY_1"), Some("http.proxy"));
    assert_eq!(child.get("GIT_CONFIG_VALUE_1"), Some(PROXY_URL));

    let own = [("PIP_PROXY", "http://own"), ("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "HTTP.proxy")];
    let child = run(&own);
    assert_eq!(child.get("PIP_PROXY"), Some(PROXY_URL));
    assert_eq!(child.get("GIT_CONFIG_COUNT"), Some("2"));
}

#[test]
fn values_that_are_no_text_survive() {
    let odd = OsString::from_vec(vec![0xff, 0x3a]);
    let parent = vec![("ODD".into(), odd.clone()), ("PYTHONPATH".into(), odd)];
    let files = files();
    let child = child(&Inputs { parent: &parent, ..empty_inputs(&files, &|_| false) });
    let get = |name: &str| child.variables.iter().find(|(key, _)| key == name).unwrap().1.as_bytes();
    assert_eq!(get("ODD"), [0xff, 0x3a]);
    assert_eq!(get("PYTHONPATH"), [b"/run/a/python:".as_slice(), &[0xff, 0x3a]].concat());
}
