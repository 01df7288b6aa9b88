//! Domains under which strangers get names: public suffixes and the tenant domains of hosting vendors.

/// Domains, reviewed by hand, whose vendor gives a name below to anyone who signs up, and that the public suffix list
/// does not (or did not always) carry. A secret for such a host is bound to one tenant by a template, never a glob.
const TENANT_DOMAINS: &[&str] = &[
    "agilecrm.com",
    "algolia.net",
    "algolianet.com",
    "amazonaws.com",
    "amazoncognito.com",
    "api-us1.com",
    "atlassian.net",
    "auth0.com",
    "azure-api.net",
    "azurewebsites.net",
    "bamboohr.com",
    "box.com",
    "chargebee.com",
    "cloud.databricks.com",
    "cloud.qdrant.io",
    "cloudapp.azure.com",
    "cloudflareaccess.com",
    "cloudfront.net",
    "cloudfunctions.net",
    "cognitiveservices.azure.com",
    "core.windows.net",
    "crm.dynamics.com",
    "desk.com",
    "dynamics.com",
    "e2b.app",
    "e2b.dev",
    "elastic-cloud.com",
    "endpoints.huggingface.cloud",
    "fly.dev",
    "force.com",
    "freshdesk.com",
    "freshservice.com",
    "freshworks.com",
    "ghe.com",
    "github.io",
    "gitlab.io",
    "gitpod.io",
    "googleusercontent.com",
    "grafana.net",
    "helpscoutdocs.com",
    "herokuapp.com",
    "hf.space",
    "kinde.com",
    "litmos.com",
    "modal.run",
    "monday.com",
    "my.salesforce.com",
    "mybigcommerce.com",
    "myfreshworks.com",
    "myshopify.com",
    "netlify.app",
    "netsuite.com",
    "ngrok-free.app",
    "ngrok.app",
    "ngrok.dev",
    "ngrok.io",
    "notion.site",
    "okta-emea.com",
    "okta.com",
    "oktapreview.com",
    "onelogin.com",
    "onrender.com",
    "openai.azure.com",
    "oraclecloud.com",
    "pages.dev",
    "pinecone.io",
    "pipedrive.com",
    "recurly.com",
    "replicate.delivery",
    "run.app",
    "search.windows.net",
    "sentry.io",
    "service-now.com",
    "sharepoint.com",
    "slack.com",
    "snowflakecomputing.com",
    "statuspage.io",
    "storage.googleapis.com",
    "supabase.co",
    "supabase.in",
    "teamwork.com",
    "trycloudflare.com",
    "typeform.com",
    "upstash.io",
    "vault.azure.net",
    "vercel.app",
    "visualstudio.com",
    "weaviate.network",
    "web.app",
    "webflow.io",
    "wixsite.com",
    "wordpress.com",
    "workers.dev",
    "xata.sh",
    "zendesk.com",
];

/// Why a domain cannot be left open to the left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenDomainError {
    /// Everybody registers names there.
    #[error("it is a public suffix")]
    PublicSuffix,
    /// The vendor lets strangers register names there.
    #[error("strangers can register names there; use a template such as `{{tenant}}`")]
    Tenants,
}

/// Whether all names below `domain`, at any depth, belong to one party. `domain` is lower-case ASCII.
pub(crate) fn check_domain(domain: &str) -> Result<(), OpenDomainError> {
    if is_public_suffix(domain) {
        return Err(OpenDomainError::PublicSuffix);
    }
    if TENANT_DOMAINS.iter().any(|tenants| is_at_or_below(tenants, domain)) {
        return Err(OpenDomainError::Tenants);
    }
    Ok(())
}

/// Whether every name that a label-wise glob matches belongs to one party; `closed` is what follows its last star.
pub(crate) fn check_glob(glob: &str, closed: &str) -> Result<(), OpenDomainError> {
    if closed.is_empty() || is_public_suffix(closed) {
        return Err(OpenDomainError::PublicSuffix);
    }
    if TENANT_DOMAINS.iter().any(|tenants| reaches_below(glob, tenants)) {
        return Err(OpenDomainError::Tenants);
    }
    Ok(())
}

/// Whether a glob matches some name below `domain`.
fn reaches_below(glob: &str, domain: &str) -> bool {
    let mut labels = glob.rsplit('.');
    domain.rsplit('.').all(|label| labels.next().is_some_and(|own| own == "*" || own == label))
        && labels.next().is_some()
}

/// Whether the name itself is a public suffix, from the ICANN or the private section; a single label always is one.
pub(crate) fn is_public_suffix(name: &str) -> bool {
    psl::suffix_str(name).is_none_or(|suffix| suffix == name)
}

/// Whether the name is a suffix of a registry (the ICANN section) or unknown to the list: names below belong to anyone.
pub(crate) fn is_registry_suffix(name: &str) -> bool {
    let suffix = psl::suffix(name.as_bytes());
    suffix.is_none_or(|suffix| suffix == name.as_bytes() && suffix.typ() != Some(psl::Type::Private))
}

/// Whether `name` is `domain` or a name below it.
pub(crate) fn is_at_or_below(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|head| head.is_empty() || head.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_of_strangers_is_never_open() {
        for domain in ["com", "co.uk", "github.io", "s3.amazonaws.com", "vercel.app", "uk", "localhost"] {
            assert_eq!(check_domain(domain), Err(OpenDomainError::PublicSuffix), "{domain}");
        }
        for domain in ["zendesk.com", "supabase.co", "windows.net", "okta.com", "googleapis.com"] {
            assert!(check_domain(domain).is_err(), "{domain}");
        }
        for domain in ["openai.com", "twilio.com", "api.github.com", "acme.zendesk.com", "example.co.uk"] {
            assert_eq!(check_domain(domain), Ok(()), "{domain}");
        }
    }

    #[test]
    fn a_glob_is_judged_by_the_names_it_reaches() {
        for (glob, closed) in
            [("*.zendesk.com", "zendesk.com"), ("*.*.windows.net", "windows.net"), ("*.com", "com")]
        {
            assert!(check_glob(glob, closed).is_err(), "{glob}");
        }
        assert_eq!(check_glob("*.windows.net", "windows.net"), Ok(()));
    }

    #[test]
    fn the_list_is_lower_case_and_has_no_double() {
        let mut seen = std::collections::BTreeSet::new();
        for domain in TENANT_DOMAINS {
            assert!(seen.insert(domain), "{domain} twice");
            assert!(
                domain.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b)),
                "{domain}"
            );
        }
    }
}
