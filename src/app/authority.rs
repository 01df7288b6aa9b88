//! Which CA signs leaves: the run's, in memory, or the home's.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use authsome_ca::{Ca, CaParams};
use authsome_providers::{Claim, Registry};

use crate::auth::record::ConnectionRecord;
use crate::clock::Clock;
use crate::home::{Home, files};

/// A run's CA ends with the run, and after this long in any case.
const RUN_LIFETIME: Duration = Duration::from_secs(90 * 24 * 60 * 60);
const HOME_LIFETIME: Duration = Duration::from_secs(825 * 24 * 60 * 60);
/// A certificate with the names of a thousand definitions has some 30 KiB.
const MAX_PEM: u64 = 1024 * 1024;

/// A CA for one run, never on disk.
pub(super) fn for_run(permitted: Vec<String>, clock: &dyn Clock) -> Result<Arc<Ca>> {
    let params = CaParams { common_name: "authsome run".into(), permitted, lifetime: RUN_LIFETIME };
    Ok(Arc::new(Ca::generate(&params, clock.since_epoch()).context("cannot make the run's CA")?))
}

/// The home's CA, made when there is none.
pub(super) fn of_home(home: &Home, permitted: &[String], clock: &dyn Clock) -> Result<Arc<Ca>> {
    if let Some(ca) = stored(home)? {
        return Ok(Arc::new(ca));
    }
    let _lock = home.lock()?;
    if let Some(ca) = stored(home)? {
        return Ok(Arc::new(ca));
    }
    let common_name = "authsome".to_owned();
    let params = CaParams { common_name, permitted: permitted.to_vec(), lifetime: HOME_LIFETIME };
    let ca = Ca::generate(&params, clock.since_epoch()).context("cannot make the home's CA")?;
    files::make_folder(&home.ca_folder())?;
    files::replace(&home.ca_key(), ca.key_pem().as_bytes())?;
    files::replace(&home.ca_certificate(), ca.certificate_pem().as_bytes())?;
    Ok(Arc::new(ca))
}

/// The home's CA, if it was made.
pub(super) fn stored(home: &Home) -> Result<Option<Ca>> {
    let Some(certificate) = text(&home.ca_certificate(), files::read)? else { return Ok(None) };
    let Some(key) = text(&home.ca_key(), files::read_private)? else {
        bail!("{} is missing beside its certificate", home.ca_key().display());
    };
    let ca = Ca::load(&certificate, &key);
    Ok(Some(ca.with_context(|| format!("{} is not usable", home.ca_folder().display()))?))
}

type Read = fn(&Path, u64) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, files::FileError>;

fn text(path: &Path, read: Read) -> Result<Option<zeroize::Zeroizing<String>>> {
    let Some(bytes) = read(path, MAX_PEM)? else { return Ok(None) };
    let text = String::from_utf8(bytes.to_vec()).with_context(|| format!("{} is not PEM", path.display()))?;
    Ok(Some(text.into()))
}

/// Every name that a definition or a stored connection claims.
pub(super) fn permitted<'a>(
    registry: &Registry,
    records: impl IntoIterator<Item = &'a ConnectionRecord>,
) -> Vec<String> {
    let stored = records.into_iter().flat_map(|record| &record.binding.claims);
    let stored = stored.filter_map(|text| text.parse::<Claim>().ok());
    let mut names = registry.suffixes();
    for claim in stored.filter(Claim::is_routable) {
        names.extend(claim.permitted_suffix().into_iter().map(str::to_owned));
    }
    names.into_iter().collect()
}
