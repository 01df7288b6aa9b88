//! What the certificates say, read back by a parser that did not write them.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic in what its tests share, too")]

use std::time::Duration;

use authsome_ca::{Ca, CaParams, Error, ForeignServer, Leaf, ORGANIZATION};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

const NOW: Duration = Duration::from_secs(1_795_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

fn params() -> CaParams {
    CaParams {
        common_name: "authsome run".into(),
        permitted: vec!["api.example.com".into(), "example.org".into()],
        lifetime: 30 * DAY,
    }
}

fn ca() -> Ca {
    Ca::generate(&params(), NOW).unwrap()
}

fn leaf(host: &str) -> (Ca, Leaf) {
    let ca = ca();
    let leaf = ca.issue(host, NOW).unwrap();
    (ca, leaf)
}

fn parse(der: &[u8]) -> X509Certificate<'_> {
    let (rest, certificate) = X509Certificate::from_der(der).unwrap();
    assert!(rest.is_empty());
    certificate
}

fn moment(time: x509_parser::time::ASN1Time) -> Duration {
    Duration::from_secs(u64::try_from(time.timestamp()).unwrap())
}

#[test]
fn the_constraints_are_critical_permit_the_names_and_exclude_every_address() {
    let ca = ca();
    let certificate = parse(ca.certificate_der());
    let constraints = certificate.name_constraints().unwrap().unwrap();
    assert!(constraints.critical);
    let names: Vec<_> = constraints.value.permitted_subtrees.iter().flatten().map(|s| &s.base).collect();
    assert_eq!(names, [&GeneralName::DNSName("api.example.com"), &GeneralName::DNSName("example.org")]);
    let excluded: Vec<_> = constraints.value.excluded_subtrees.iter().flatten().map(|s| &s.base).collect();
    assert_eq!(excluded, [&GeneralName::IPAddress(&[0; 8]), &GeneralName::IPAddress(&[0; 32])]);
    assert_eq!(ca.permitted(), ["api.example.com", "example.org"]);
}

#[test]
fn the_ca_may_sign_leaves_and_nothing_below_them() {
    let ca = ca();
    let certificate = parse(ca.certificate_der());
    let basic = certificate.basic_constraints().unwrap().unwrap();
    assert!(basic.critical && basic.value.ca);
    assert_eq!(basic.value.path_len_constraint, Some(0));
    let usage = certificate.key_usage().unwrap().unwrap();
    assert!(usage.critical);
    assert_eq!(usage.value.flags, 0b110_0000, "keyCertSign and cRLSign");
    assert_eq!(moment(certificate.validity().not_before), NOW - HOUR);
    assert_eq!(moment(certificate.validity().not_after), NOW + 30 * DAY);
    assert_eq!((ca.not_before(), ca.not_after()), (NOW - HOUR, NOW + 30 * DAY));
    assert_eq!(ca.fingerprint().len(), 64);
}

#[test]
fn two_cas_of_one_name_differ_in_subject_serial_and_key() {
    let (one, two) = (ca(), ca());
    let (a, b) = (parse(one.certificate_der()), parse(two.certificate_der()));
    assert!(a.subject().to_string().contains("CN=authsome run "));
    assert_ne!(a.subject(), b.subject());
    assert_ne!(a.raw_serial(), b.raw_serial());
    assert_ne!(one.subject_key_id(), two.subject_key_id());
    assert_ne!(one.fingerprint(), two.fingerprint());
}

#[test]
fn a_leaf_names_one_host_and_serves_tls_alone() {
    let (_, leaf) = leaf("api.example.com");
    let certificate = parse(&leaf.certificate);
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names, [GeneralName::DNSName("api.example.com")]);
    let usage = certificate.key_usage().unwrap().unwrap();
    assert_eq!(usage.value.flags, 1, "digitalSignature");
    let extended = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(extended.server_auth && !extended.any && !extended.client_auth && extended.other.is_empty());
    assert!(!certificate.is_ca());
}

#[test]
fn a_leaf_is_valid_from_an_hour_before_to_a_day_after() {
    let (_, leaf) = leaf("api.example.com");
    let certificate = parse(&leaf.certificate);
    assert_eq!((leaf.not_before, leaf.not_after), (NOW - HOUR, NOW + DAY));
    assert_eq!(moment(certificate.validity().not_before), leaf.not_before);
    assert_eq!(moment(certificate.validity().not_after), leaf.not_after);
    assert_eq!(leaf.half_life(), NOW + DAY / 2);
}

#[test]
fn a_leaf_never_outlives_its_ca() {
    let ca = ca();
    let late = ca.not_after() - HOUR;
    let leaf = ca.issue("example.org", late).unwrap();
    assert_eq!(leaf.not_after, ca.not_after());
    assert_eq!(leaf.half_life(), late + HOUR / 2);
    assert_eq!(ca.issue("example.org", NOW - HOUR).unwrap().not_before, ca.not_before());
    for moment in [ca.not_after(), ca.not_after() + DAY, ca.not_before() - HOUR, Duration::MAX] {
        assert!(matches!(ca.issue("example.org", moment), Err(Error::OutsideValidity)));
    }
}

#[test]
fn a_leaf_names_the_key_of_its_ca_and_has_one_of_its_own() {
    let (ca, leaf) = leaf("example.org");
    let certificate = parse(&leaf.certificate);
    let extensions: Vec<_> = certificate.iter_extensions().map(|e| e.parsed_extension()).collect();
    let authority = extensions.iter().find_map(|extension| match extension {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref(),
        _ => None,
    });
    let subject = extensions.iter().find_map(|extension| match extension {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id),
        _ => None,
    });
    assert_eq!(authority.unwrap().0, ca.subject_key_id());
    assert_ne!(subject.unwrap().0, ca.subject_key_id());
    assert_ne!(certificate.public_key().raw, parse(ca.certificate_der()).public_key().raw);
    let key = rcgen::KeyPair::try_from(ca.leaf_key().secret_pkcs8_der()).unwrap();
    assert_eq!(rcgen::PublicKeyData::subject_public_key_info(&key), certificate.public_key().raw);
}

#[test]
fn leaves_of_one_host_have_different_positive_serials_of_sixteen_bytes() {
    let ca = ca();
    let serials: Vec<Vec<u8>> = (0..64)
        .map(|_| parse(&ca.issue("example.org", NOW).unwrap().certificate).raw_serial().to_vec())
        .collect();
    assert!(serials.iter().all(|serial| serial.len() == 16 && serial[0] < 0x80));
    assert_eq!(serials.iter().collect::<std::collections::HashSet<_>>().len(), 64);
}

#[test]
fn a_stored_ca_is_the_same_ca_when_it_is_loaded() {
    let ca = ca();
    let loaded = Ca::load(ca.certificate_pem(), &ca.key_pem()).unwrap();
    assert_eq!(loaded.certificate_der(), ca.certificate_der());
    assert_eq!(loaded.certificate_pem(), ca.certificate_pem());
    assert_eq!(loaded.key_pem(), ca.key_pem());
    assert_eq!(loaded.permitted(), ca.permitted());
    assert_eq!(loaded.subject_key_id(), ca.subject_key_id());
    assert_eq!((loaded.not_before(), loaded.not_after()), (ca.not_before(), ca.not_after()));
    let leaf = loaded.issue("example.org", NOW).unwrap();
    assert_eq!(parse(&leaf.certificate).issuer(), parse(ca.certificate_der()).subject());
}

#[test]
fn a_key_of_another_ca_is_refused() {
    let (one, two) = (ca(), ca());
    assert!(matches!(Ca::load(one.certificate_pem(), &two.key_pem()), Err(Error::KeyMismatch)));
}

#[test]
fn what_is_no_ca_is_refused() {
    let ca = ca();
    let key = rcgen::KeyPair::generate().unwrap();
    let plain = rcgen::CertificateParams::new(vec!["example.org".to_owned()]).unwrap();
    let own = plain.self_signed(&key).unwrap().pem();
    assert!(matches!(Ca::load(&own, &key.serialize_pem()), Err(Error::NotACa)));

    let mut leaf = plain.clone();
    leaf.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let leaf = leaf.self_signed(&key).unwrap().pem();
    assert!(matches!(Ca::load(&leaf, &key.serialize_pem()), Err(Error::NotACa)));

    let mut open = plain;
    open.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    open.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let open = open.self_signed(&key).unwrap().pem();
    assert!(matches!(Ca::load(&open, &key.serialize_pem()), Err(Error::Unconstrained)));

    for text in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(matches!(Ca::load(text, &ca.key_pem()), Err(Error::Certificate)), "{text}");
        assert!(matches!(Ca::load(ca.certificate_pem(), text), Err(Error::Key)), "{text}");
    }
}

#[test]
fn a_host_outside_of_the_constraints_is_refused() {
    let ca = ca();
    for host in ["example.com", "xapi.example.com", "badexample.org", "org", "example.org.evil.net"] {
        assert!(!ca.covers(host), "{host}");
        assert!(matches!(ca.issue(host, NOW), Err(Error::OutsideConstraints(_))), "{host}");
    }
    for host in ["api.example.com", "v2.api.example.com", "example.org", "a.b.example.org"] {
        assert!(ca.covers(host), "{host}");
        assert!(ca.issue(host, NOW).is_ok(), "{host}");
    }
}

#[test]
fn what_is_no_host_name_is_refused_as_host_and_as_permitted_name() {
    let ca = ca();
    let long_label = format!("{}.example.org", "a".repeat(64));
    let too_long = format!("{}example.org", "abcdefg.".repeat(31));
    assert_eq!(too_long.len(), 259);
    for name in [
        "",
        ".",
        "under_score.example.org",
        "192.0.2.1",
        "::1",
        "[::1]",
        "*.example.org",
        &too_long,
        &long_label,
        "example.org.",
        ".example.org",
        "a..example.org",
        "EXAMPLE.org",
        "exa mple.org",
        "exämple.org",
        "-a.example.org",
        "a-.example.org",
        "example.org\0",
        "example.org:443",
        "1.2.3",
    ] {
        assert!(!ca.covers(name), "{name}");
        assert!(matches!(ca.issue(name, NOW), Err(Error::Host(_))), "{name}");
        let params = CaParams { permitted: vec![name.to_owned()], ..params() };
        assert!(matches!(Ca::generate(&params, NOW), Err(Error::Permitted(_))), "{name}");
    }
}

#[test]
fn the_longest_host_name_gets_a_leaf() {
    let ca = ca();
    let host = format!("{}a.example.org", "abcdefghi.".repeat(24));
    assert_eq!(host.len(), 253);
    let leaf = ca.issue(&host, NOW).unwrap();
    let certificate = parse(&leaf.certificate);
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    assert!(names.critical, "a common name cannot hold it, so the subject is empty");
    assert_eq!(names.value.general_names, [GeneralName::DNSName(&host)]);
    assert!(matches!(ca.issue(&format!("a{host}"), NOW), Err(Error::Host(_))));
}

#[test]
fn parameters_that_make_no_constrained_ca_are_refused() {
    let bad = |change: fn(&mut CaParams)| {
        let mut params = params();
        change(&mut params);
        Ca::generate(&params, NOW).err().unwrap()
    };
    assert!(matches!(bad(|p| p.permitted.clear()), Error::Unconstrained));
    assert!(matches!(bad(|p| p.common_name.clear()), Error::CommonName));
    assert!(matches!(bad(|p| p.common_name = "a".repeat(56)), Error::CommonName));
    assert!(matches!(bad(|p| p.lifetime = Duration::MAX), Error::Validity));
    assert!(matches!(bad(|p| p.lifetime = 9000 * 365 * DAY), Error::Validity));
}

#[test]
fn a_ca_serves_many_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Ca>();
    shared::<Leaf>();
}

#[test]
fn a_foreign_server_is_vouched_for_by_an_authority_that_is_not_ours() {
    let server = ForeignServer::certify("api.demo.test", NOW).unwrap();
    let authority = x509_parser::pem::parse_x509_pem(server.authority_pem().as_bytes()).unwrap().1;
    let authority = authority.parse_x509().unwrap();
    let certificate = parse(server.certificate());
    certificate.verify_signature(Some(authority.public_key())).unwrap();
    assert_eq!(certificate.issuer(), authority.subject());
    assert!(!authority.subject().to_string().contains(ORGANIZATION));
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names, [GeneralName::DNSName("api.demo.test")]);
    assert!(matches!(ForeignServer::certify("127.0.0.1", NOW), Err(Error::Host(_))));
}
