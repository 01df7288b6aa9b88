//! The home's CA for the commands that show it.

use std::sync::Arc;

use anyhow::Result;
use authsome_ca::Ca;

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
}
