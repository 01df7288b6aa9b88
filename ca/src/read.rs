//! What a stored certificate says.

use std::time::Duration;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};

use crate::{Error, dns_name};

/// The subject key identifier of a certificate that may sign others.
pub(crate) fn authority_key_id(certificate: &X509Certificate<'_>) -> Result<Vec<u8>, Error> {
    let may_sign = matches!(certificate.key_usage(), Ok(Some(usage)) if usage.value.key_cert_sign());
    if !certificate.is_ca() || !may_sign {
        return Err(Error::NotACa);
    }
    certificate
        .iter_extensions()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        })
        .ok_or(Error::NotACa)
}

/// The permitted DNS names of a CA's certificate.
pub(crate) fn permitted_names(certificate: &X509Certificate<'_>) -> Result<Vec<String>, Error> {
    let constraints =
        certificate.name_constraints().map_err(|_| Error::Certificate)?.ok_or(Error::Unconstrained)?;
    let names: Vec<String> = constraints
        .value
        .permitted_subtrees
        .iter()
        .flatten()
        .filter_map(|subtree| match subtree.base {
            GeneralName::DNSName(name) => Some(name.to_owned()),
            _ => None,
        })
        .collect();
    match names.iter().find(|name| !dns_name::is_valid(name)) {
        Some(name) => Err(Error::Permitted(name.clone())),
        None if names.is_empty() || !constraints.critical => Err(Error::Unconstrained),
        None => Ok(names),
    }
}

/// First and last moment of validity, since the Unix epoch.
pub(crate) fn validity(certificate: &X509Certificate<'_>) -> Result<[Duration; 2], Error> {
    let since_epoch = |seconds: i64| u64::try_from(seconds).map(Duration::from_secs);
    let validity = certificate.validity();
    let not_before = since_epoch(validity.not_before.timestamp()).map_err(|_| Error::Validity)?;
    let not_after = since_epoch(validity.not_after.timestamp()).map_err(|_| Error::Validity)?;
    Ok([not_before, not_after])
}
