//! Lists the files in `definitions/` as a table, so that the program finds a definition without parsing the others.

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a build that cannot read its input stops"
)]

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use serde_json::Value;

fn main() {
    let folder = Path::new(&env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo")).join("definitions");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<_> =
        fs::read_dir(&folder).expect("definitions/").map(|entry| entry.expect("a file").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort_by_key(|path| path.file_stem().map(ToOwned::to_owned));
    let mut table = format!("static TABLE: [Entry; {}] = [\n", files.len());
    for path in &files {
        println!("cargo::rerun-if-changed={}", path.display());
        let text = fs::read_to_string(path).expect("readable");
        let definition: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let aliases: Vec<&str> =
            definition["aliases"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("UTF-8");
        writeln!(
            table,
            "Entry::new({name:?}, &{aliases:?}, &{:?}, include_str!({path:?})),",
            suffixes(&definition)
        )
        .expect("a string");
    }
    table.push_str("];\n");
    let out = env::var_os("OUT_DIR").expect("set by cargo");
    fs::write(Path::new(&out).join("bundled.rs"), table).expect("writable");
}

/// The names that cover the hosts of a definition which no field stands in, but for the default base URL.
fn suffixes(definition: &Value) -> Vec<String> {
    if definition.get("not_routed").is_some() {
        return Vec::new();
    }
    let base = definition["base_url"].as_str().unwrap_or("{base_url}");
    let hosts = definition["host_url"].as_array().into_iter().flatten();
    let urls = hosts.filter_map(|host| host.as_str().or_else(|| host["url"].as_str()));
    let mut names: Vec<String> = urls
        .filter(|url| !url.starts_with("regex:"))
        .map(|url| {
            let url = url.replace("{base_url}", base);
            let authority =
                url.strip_prefix("https://").unwrap_or(&url).split(['/', ':']).next().unwrap_or_default();
            authority.rsplit("*.").next().unwrap_or_default().to_owned()
        })
        .collect();
    names.retain(|name| !name.contains('{'));
    names.sort();
    names.dedup();
    names
}
