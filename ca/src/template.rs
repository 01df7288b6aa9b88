//! What the certificates are to say.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyUsagePurpose, NameConstraints, SanType, SerialNumber,
};

use crate::{BACKDATE, CaParams, Error, dns_name, hex, whole_seconds};

/// 9999-12-31 23:59:59, the last moment that a certificate can name (RFC 5280 4.1.2.5).
const END_OF_TIME: Duration = Duration::from_secs(253_402_300_799);
/// The longest common name (RFC 5280 appendix A, ub-common-name).
const COMMON_NAME_MAX: usize = 64;
/// The organisation in the subject of every CA made here, by which our own are told from others.
pub const ORGANIZATION: &str = "authsome local certificate authority";

/// The parameters of a CA's certificate.
pub(crate) fn authority(params: &CaParams, now: Duration) -> Result<CertificateParams, Error> {
    let mut suffix = [0; 4];
    getrandom::fill(&mut suffix).map_err(Error::Random)?;
    let common_name = format!("{} {}", params.common_name, hex(&suffix));
    if params.common_name.is_empty() || common_name.chars().count() > COMMON_NAME_MAX {
        return Err(Error::CommonName);
    }
    let now = whole_seconds(now);
    let end = now.checked_add(params.lifetime).ok_or(Error::Validity)?;

    let mut certificate = certificate(now.saturating_sub(BACKDATE), whole_seconds(end))?;
    certificate.distinguished_name.push(DnType::OrganizationName, ORGANIZATION);
    certificate.distinguished_name.push(DnType::CommonName, common_name);
    certificate.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    certificate.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    certificate.name_constraints = Some(constraints(&params.permitted)?);
    Ok(certificate)
}

/// The parameters of an authority that is not ours, whatever it vouches for.
pub(crate) fn foreign_authority(
    not_before: Duration,
    not_after: Duration,
) -> Result<CertificateParams, Error> {
    let mut certificate = certificate(not_before, not_after)?;
    certificate.distinguished_name.push(DnType::CommonName, "Somebody else's certificate authority");
    certificate.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    certificate.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(certificate)
}

/// Permits the names; excludes every IP address, which constraints on DNS names alone would leave free.
fn constraints(permitted: &[String]) -> Result<NameConstraints, Error> {
    if permitted.is_empty() {
        return Err(Error::Unconstrained);
    }
    if let Some(name) = permitted.iter().find(|name| !dns_name::is_valid(name)) {
        return Err(Error::Permitted(name.clone()));
    }
    Ok(NameConstraints {
        permitted_subtrees: permitted.iter().cloned().map(GeneralSubtree::DnsName).collect(),
        excluded_subtrees: vec![
            GeneralSubtree::IpAddress(CidrSubnet::V4([0; 4], [0; 4])),
            GeneralSubtree::IpAddress(CidrSubnet::V6([0; 16], [0; 16])),
        ],
    })
}

/// The parameters of one host's certificate.
pub(crate) fn leaf(
    host: &str,
    not_before: Duration,
    not_after: Duration,
) -> Result<CertificateParams, Error> {
    let mut certificate = certificate(not_before, not_after)?;
    if host.len() <= COMMON_NAME_MAX {
        certificate.distinguished_name.push(DnType::CommonName, host);
    }
    let name = host.try_into().map_err(|_| Error::Host(host.to_owned()))?;
    certificate.subject_alt_names = vec![SanType::DnsName(name)];
    // rcgen writes the subject key identifier only where basic constraints are written too.
    certificate.is_ca = IsCa::ExplicitNoCa;
    certificate.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    certificate.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    certificate.use_authority_key_identifier_extension = true;
    Ok(certificate)
}

/// What both kinds of certificate have in common: validity and a serial number, drawn because rcgen's own
/// is a hash of the key, which leaves share.
fn certificate(not_before: Duration, not_after: Duration) -> Result<CertificateParams, Error> {
    if not_after > END_OF_TIME {
        return Err(Error::Validity);
    }
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let mut certificate = CertificateParams::default();
    certificate.distinguished_name = DistinguishedName::new();
    certificate.not_before = epoch + not_before;
    certificate.not_after = epoch + not_after;
    certificate.serial_number = Some(serial_number()?);
    Ok(certificate)
}

/// 126 random bits as 16 bytes: positive, and never shortened by a leading zero (RFC 5280 4.1.2.2).
fn serial_number() -> Result<SerialNumber, Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}
