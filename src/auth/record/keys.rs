//! The names of records in the vault.

/// The names of a profile's records.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    /// The profile's name.
    pub profile: &'a str,
}

impl Keys<'_> {
    /// What all records of the profile begin with.
    pub fn all(self) -> String {
        format!("profile:{}:", self.profile)
    }

    /// What all records of a provider begin with.
    pub fn of_provider(self, provider: &str) -> String {
        format!("profile:{}:{provider}:", self.profile)
    }

    /// The record of [`ProviderMetadata`].
    pub fn metadata(self, provider: &str) -> String {
        format!("profile:{}:{provider}:metadata", self.profile)
    }

    /// The record of [`ProviderState`].
    pub fn state(self, provider: &str) -> String {
        format!("profile:{}:{provider}:state", self.profile)
    }

    /// The record of [`ClientRecord`].
    pub fn client(self, provider: &str) -> String {
        format!("profile:{}:{provider}:client", self.profile)
    }

    /// The record of [`ConnectionRecord`].
    pub fn connection(self, provider: &str, name: &str) -> String {
        format!("profile:{}:{provider}:connection:{name}", self.profile)
    }

    /// Provider and connection of a key that [`connection`](Self::connection) made.
    pub fn parse_connection(self, key: &str) -> Option<(&str, &str)> {
        let mut parts = key.split(':');
        let head = (parts.next()?, parts.next()?);
        let (provider, kind, name) = (parts.next()?, parts.next()?, parts.next()?);
        let whole = head == ("profile", self.profile) && kind == "connection" && parts.next().is_none();
        whole.then_some((provider, name))
    }
}
