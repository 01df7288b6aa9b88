//! The files of a run: certificates in the forms that clients read, and the preloads for Node and Python.

use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use authsome_ca::bundle;

const NODE_PRELOAD: &str = include_str!("shims/authsome-node.cjs");
const SITECUSTOMIZE: &str = include_str!("shims/sitecustomize.py");

/// Variables by which a user names roots beyond the system's; the bundle keeps those.
const ROOTS_OF_THE_USER: [&str; 4] =
    ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "DENO_CERT"];

/// The files that the child's environment points to.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    /// The roots the user had, and our CA: for settings that replace a client's roots.
    pub(crate) bundle: PathBuf,
    /// Our CA alone.
    pub(crate) ca: PathBuf,
    /// Our CA and what `NODE_EXTRA_CA_CERTS` or `DENO_CERT` named: for settings that add to a client's roots.
    pub(crate) extra_ca: PathBuf,
    /// The system's wgetrc with our bundle.
    pub(crate) wgetrc: PathBuf,
    /// The user's `APT_CONFIG` with our bundle.
    pub(crate) apt_conf: PathBuf,
    /// The preload for Node and Bun.
    pub(crate) node_preload: PathBuf,
    /// The folder of `sitecustomize.py`.
    pub(crate) python_dir: PathBuf,
}

/// Writes the files into `dir`, an empty folder of this run (its path without spaces, which `BUN_OPTIONS`
/// and wgetrc cannot quote). `parent` is the environment of authsome itself: it names the user's own roots.
///
/// # Errors
/// A file that cannot be made, or exists already: nothing is overwritten and no link is followed.
pub(crate) fn write(dir: &Path, ca_pem: &str, parent: &[(OsString, OsString)]) -> io::Result<Files> {
    let files = Files {
        bundle: dir.join("bundle.pem"),
        ca: dir.join("ca.pem"),
        extra_ca: dir.join("extra.pem"),
        wgetrc: dir.join("wgetrc"),
        apt_conf: dir.join("apt.conf"),
        node_preload: dir.join("authsome-node.cjs"),
        python_dir: dir.join("python"),
    };
    let added = ["NODE_EXTRA_CA_CERTS", "DENO_CERT"].map(|name| file_named_by(parent, name));
    create(&files.bundle, 0o644, &bundle::combined(&roots(parent), ca_pem))?;
    create(&files.ca, 0o644, &bundle::combined("", ca_pem))?;
    create(&files.extra_ca, 0o644, &bundle::combined(&added.concat(), ca_pem))?;

    let bundle = files.bundle.display();
    let wgetrc = match variable(parent, "SYSTEM_WGETRC") {
        Some(path) => read(Path::new(path)),
        None => read(Path::new("/etc/wgetrc")),
    };
    create(&files.wgetrc, 0o600, &format!("{wgetrc}\nca_certificate = {bundle}\n"))?;
    let apt_conf = file_named_by(parent, "APT_CONFIG");
    create(&files.apt_conf, 0o600, &format!("{apt_conf}\nAcquire::https::CaInfo \"{bundle}\";\n"))?;

    create(&files.node_preload, 0o600, NODE_PRELOAD)?;
    let made = DirBuilder::new().mode(0o700).create(&files.python_dir);
    made.map_err(|error| naming(&files.python_dir, &error))?;
    create(&files.python_dir.join("sitecustomize.py"), 0o600, SITECUSTOMIZE)?;
    Ok(files)
}

/// The roots that the user's programs trust now: those of `SSL_CERT_FILE` or else the system's, and what
/// other variables add.
fn roots(parent: &[(OsString, OsString)]) -> String {
    let named = |name: &&str| variable(parent, name).map(Path::new);
    let candidates = named(&"SSL_CERT_FILE").into_iter().chain(bundle::SYSTEM_ROOTS.iter().map(Path::new));
    let found = candidates.map(|path| (path, read(path))).find(|(_, text)| !text.is_empty());
    let (system, mut roots) = found.map_or((None, String::new()), |(path, text)| (Some(path), text));
    let mut added: Vec<&Path> = ROOTS_OF_THE_USER.iter().filter_map(named).collect();
    added.retain(|path| Some(*path) != system);
    added.dedup();
    for path in added {
        roots.push('\n');
        roots.push_str(&read(path));
    }
    roots
}

fn file_named_by(parent: &[(OsString, OsString)], name: &str) -> String {
    variable(parent, name).map(|path| read(Path::new(path))).unwrap_or_default()
}

fn variable<'a>(parent: &'a [(OsString, OsString)], name: &str) -> Option<&'a OsStr> {
    parent.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_os_str())
}

/// The text of a file that may be missing. Comments in it may be in any encoding.
fn read(path: &Path) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn create(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        // The umask has narrowed the mode; another user id of a container may have to read the certificates.
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(text.as_bytes())
    };
    write().map_err(|error| naming(path, &error))
}

fn naming(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot create {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "-----BEGIN CERTIFICATE-----\nOURS\n-----END CERTIFICATE-----\n";
    const CORPORATE: &str = "-----BEGIN CERTIFICATE-----\nCORP\n-----END CERTIFICATE-----\n";
    const SYSTEM: &str = "-----BEGIN CERTIFICATE-----\nSYST\n-----END CERTIFICATE-----\n";

    fn environment(pairs: &[(&str, &Path)]) -> Vec<(OsString, OsString)> {
        pairs.iter().map(|(name, path)| (OsString::from(name), path.as_os_str().to_owned())).collect()
    }

    fn text(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn every_file_is_written_with_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let files = write(dir.path(), OURS, &[]).unwrap();
        assert!(text(&files.bundle).ends_with(OURS));
        assert_eq!(text(&files.ca), OURS);
        assert_eq!(text(&files.extra_ca), OURS);
        let bundle = files.bundle.display();
        assert!(text(&files.wgetrc).ends_with(&format!("\nca_certificate = {bundle}\n")));
        assert!(text(&files.apt_conf).ends_with(&format!("\nAcquire::https::CaInfo \"{bundle}\";\n")));
        assert_eq!(text(&files.node_preload), NODE_PRELOAD);
        assert_eq!(text(&files.python_dir.join("sitecustomize.py")), SITECUSTOMIZE);
        assert_eq!([mode(&files.bundle), mode(&files.ca), mode(&files.extra_ca)], [0o644; 3]);
        assert_eq!([mode(&files.wgetrc), mode(&files.apt_conf), mode(&files.node_preload)], [0o600; 3]);
        assert_eq!(mode(&files.python_dir), 0o700);
    }

    #[test]
    fn a_bundle_of_the_users_that_cannot_be_read_leaves_the_systems() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty");
        std::fs::write(&empty, "").unwrap();
        assert_eq!(roots(&environment(&[("SSL_CERT_FILE", &empty)])), roots(&[]));
        assert_eq!(roots(&environment(&[("SSL_CERT_FILE", &dir.path().join("gone"))])), roots(&[]));
    }

    #[test]
    fn roots_that_the_user_added_stay_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let (system, corporate) = (dir.path().join("system"), dir.path().join("corporate"));
        std::fs::write(&system, SYSTEM).unwrap();
        std::fs::write(&corporate, CORPORATE).unwrap();
        let parent = environment(&[("SSL_CERT_FILE", &system), ("NODE_EXTRA_CA_CERTS", &corporate)]);
        let files = write(dir.path(), OURS, &parent).unwrap();
        assert_eq!(text(&files.bundle), [SYSTEM, CORPORATE, OURS].concat());
        assert_eq!(text(&files.extra_ca), [CORPORATE, OURS].concat());
        assert_eq!(text(&files.ca), OURS);
    }

    #[test]
    fn settings_of_the_user_for_wget_and_apt_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (wgetrc, apt) = (dir.path().join("own-wgetrc"), dir.path().join("own-apt"));
        std::fs::write(&wgetrc, "tries = 7").unwrap();
        std::fs::write(&apt, "Acquire::Retries 7;").unwrap();
        let parent = environment(&[("SYSTEM_WGETRC", &wgetrc), ("APT_CONFIG", &apt)]);
        let files = write(dir.path(), OURS, &parent).unwrap();
        assert!(text(&files.wgetrc).starts_with("tries = 7\nca_certificate"));
        assert!(text(&files.apt_conf).starts_with("Acquire::Retries 7;\nAcquire::https"));
    }

    #[test]
    fn a_link_in_the_way_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, dir.path().join("ca.pem")).unwrap();
        let error = write(dir.path(), OURS, &[]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert!(error.to_string().contains("ca.pem"), "{error}");
        assert_eq!(text(&victim), "precious");
    }

    #[test]
    fn a_private_key_in_the_users_file_is_not_copied() {
        let dir = tempfile::tempdir().unwrap();
        let mixed = dir.path().join("mixed");
        let key = "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----\n";
        std::fs::write(&mixed, [key, CORPORATE].concat()).unwrap();
        let files = write(dir.path(), OURS, &environment(&[("SSL_CERT_FILE", &mixed)])).unwrap();
        assert_eq!(text(&files.bundle), [CORPORATE, OURS].concat());
    }
}
