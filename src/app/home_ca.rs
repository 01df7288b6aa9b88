//! The home's CA for the commands that show it.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;
use authsome_ca::Ca;
use authsome_providers::Claim;

use super::{App, authority};

impl App {
    /// The home's CA, if it was made.
    pub(crate) fn home_ca(&self) -> Result<Option<Arc<Ca>>> {
        Ok(authority::stored(&self.home()?)?.map(Arc::new))
    }

    /// The home's CA, made when there is none.
    pub(crate) fn make_home_ca(&self) -> Result<Arc<Ca>> {
        authority::of_home(&self.home()?, &self.permitted(&self.auth()?)?, &*self.clock)
    }

    /// The hosts of connections that a CA may not vouch for, a pattern as the suffix that it stays within: they
    /// came after the CA was made.
    pub(crate) fn hosts_outside(&self, ca: &Ca) -> Result<BTreeSet<String>> {
        let connections = self.auth()?.snapshot()?.connections;
        let texts = connections.iter().flat_map(|connection| &connection.record.binding.claims);
        let claims = texts.filter_map(|text| text.parse::<Claim>().ok()).filter(Claim::is_routable);
        let mut outside = BTreeSet::new();
        for claim in claims {
            let names = claim.permitted_suffix().into_iter().filter(|name| !ca.covers(name));
            outside.extend(names.map(str::to_owned));
        }
        Ok(outside)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::auth::Login;
    use crate::config::{self, Flags};

    const DEFINITION: &str = r#"{"schema_version":1,"name":"late","display_name":"Late","auth_type":"api_key",
        "flow":"api_key","host_url":"api.late.test","docs":"https://late.test/","api_key":{},
        "export":{"env":{"api_key":"LATE_API_KEY"}}}"#;

    fn connect(app: &App, provider: &str, key: &str) {
        let values = BTreeMap::from([("api_key".to_owned(), key.into())]);
        app.auth().unwrap().login(&Login { provider, values, ..Login::default() }).unwrap();
    }

    #[test]
    fn a_host_that_came_after_the_ca_is_named_as_outside() {
        let folder = tempfile::tempdir().unwrap();
        let strings = BTreeMap::from([("HOME".to_owned(), folder.path().display().to_string())]);
        let app = App::new(config::load(Flags::default(), &strings).unwrap());
        let ca = app.make_home_ca().unwrap();
        connect(&app, "openai", "sk-0123456789012345678901234");
        assert!(app.hosts_outside(&ca).unwrap().is_empty());
        app.auth().unwrap().register_provider("late.json", DEFINITION, false).unwrap();
        connect(&app, "late", "sk-late-0123456789");
        assert_eq!(app.hosts_outside(&ca).unwrap(), BTreeSet::from(["api.late.test".to_owned()]));
    }
}
