//! Rules 31 and 32: our certificates say no more than they must.

use std::os::unix::fs::PermissionsExt;

use x509_parser::prelude::*;

use crate::support::authority;
use crate::support::client::Ask;
use crate::support::definition::Definition;
use crate::support::origin::{Origin, Plan};
use crate::support::tls;
use crate::support::wire::{Hello, Wire};
use crate::support::world::{ALPHA, World};

fn parsed(der: &[u8]) -> X509Certificate<'_> {
    X509Certificate::from_der(der).unwrap().1
}

#[tokio::test]
async fn a_leaf_is_for_one_name_and_for_a_day() {
    let world = World::new().await;
    let wire = world.client.h1(ALPHA).await;
    let leaf = parsed(&wire.chain[0]);
    let names = leaf.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names, [GeneralName::DNSName("api.alpha.test")]);

    let now = ASN1Time::now().timestamp();
    let (from, to) = (leaf.validity().not_before.timestamp(), leaf.validity().not_after.timestamp());
    assert!((3600..3700).contains(&(now - from)), "begins {} s ago", now - from);
    assert!((24 * 3600 - 100..=24 * 3600).contains(&(to - now)), "ends in {} s", to - now);

    let usage = leaf.key_usage().unwrap().unwrap();
    assert!(usage.value.digital_signature() && !usage.value.key_cert_sign());
    let extended = leaf.extended_key_usage().unwrap().unwrap();
    assert!(extended.value.server_auth && !extended.value.client_auth && !extended.value.any);
    assert!(!leaf.is_ca());
    let serial = leaf.raw_serial();
    assert!(serial.len() >= 8 && serial[0] < 0x80 && serial.iter().any(|byte| *byte != 0), "{serial:?}");
    assert_eq!(leaf.public_key().algorithm.algorithm.to_id_string(), "1.2.840.10045.2.1");
}

#[tokio::test]
async fn a_leaf_names_the_key_of_its_issuer_and_has_one_of_its_own() {
    let world = World::new().await;
    let wire = world.client.h1(ALPHA).await;
    let leaf = parsed(&wire.chain[0]);
    let pem = world.home.ok(&["ca", "export"]);
    let pem = Pem::iter_from_buffer(pem.as_bytes()).next().unwrap().unwrap();
    let ca = pem.parse_x509().unwrap();
    let extension = |certificate: &X509Certificate<'_>| {
        let mut keys = (None, None);
        for extension in certificate.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => keys.0 = Some(id.0.to_vec()),
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    keys.1 = id.key_identifier.as_ref().map(|id| id.0.to_vec());
                }
                _ => {}
            }
        }
        keys
    };
    assert!(extension(&leaf).0.is_some());
    assert_eq!(extension(&leaf).1, extension(&ca).0);
    assert_ne!(leaf.public_key().raw, ca.public_key().raw);
    assert_eq!(leaf.issuer(), ca.subject());
    leaf.verify_signature(Some(ca.public_key())).unwrap();
}

#[tokio::test]
async fn two_hosts_get_two_serials_and_one_host_one_leaf() {
    let world = World::builder()
        .provider(Definition::bearer("beta", "api.beta.test"))
        .name("api.beta.test")
        .start()
        .await;
    let first = world.client.h1(ALPHA).await.chain;
    let again = world.client.h2_chain(ALPHA).await;
    let other = world.client.h1("api.beta.test:443").await.chain;
    assert_eq!(first[0], again[0], "a leaf a host, from the cache");
    assert_ne!(parsed(&first[0]).raw_serial(), parsed(&other[0]).raw_serial());
}

#[tokio::test]
async fn the_ca_is_constrained_to_the_routed_hosts_and_to_no_address() {
    let world = World::builder().provider(Definition::bearer("gamma", "*.glob.test")).start().await;
    let pem = world.home.ok(&["ca", "export"]);
    let pem = Pem::iter_from_buffer(pem.as_bytes()).next().unwrap().unwrap();
    let ca = pem.parse_x509().unwrap();
    let constraints = ca.name_constraints().unwrap().unwrap();
    assert!(constraints.critical);
    let permitted = constraints.value.permitted_subtrees.as_ref().unwrap();
    let permitted: Vec<_> = permitted.iter().map(|tree| tree.base.clone()).collect();
    for name in ["api.alpha.test", "glob.test", "api.openai.com"] {
        assert!(permitted.contains(&GeneralName::DNSName(name)), "{name} not in {permitted:?}");
    }
    assert!(permitted.iter().all(|name| matches!(name, GeneralName::DNSName(_))), "{permitted:?}");
    let excluded = constraints.value.excluded_subtrees.as_ref().unwrap();
    for length in [8, 32] {
        let all = |name: &GeneralName<'_>| matches!(name, GeneralName::IPAddress(bytes) if bytes.len() == length && bytes.iter().all(|byte| *byte == 0));
        assert!(excluded.iter().any(|tree| all(&tree.base)), "{excluded:?}");
    }
    let basic = ca.basic_constraints().unwrap().unwrap();
    assert!(basic.value.ca && basic.value.path_len_constraint == Some(0));
}

#[tokio::test]
async fn a_stolen_ca_key_deceives_nobody_about_other_hosts() {
    let world = World::new().await;
    let certificate = world.home.ok(&["ca", "export"]);
    let key = std::fs::read_to_string(world.home.path().join("ca/ca.key")).unwrap();
    for (name, deceived) in [("api.alpha.test", true), ("other.test", false)] {
        let server = Origin::start(authority::forged(&certificate, &key, &[name]), Plan::default()).await;
        let wire = Wire::new(tokio::net::TcpStream::connect(server.address).await.unwrap());
        let hello = Hello::to(name, tls::H1);
        assert_eq!(wire.tls(&world.client.roots, &hello).await.is_ok(), deceived, "{name}");
    }
}

#[tokio::test]
async fn the_key_of_the_homes_ca_is_private_and_unique() {
    let (one, other) = tokio::join!(World::new(), World::new());
    let folder = one.home.path().join("ca");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.join("ca.key")), 0o600);
    assert_eq!(mode(&one.home.path()), 0o700);
    let key = |world: &World| std::fs::read(world.home.path().join("ca/ca.key")).unwrap();
    assert_ne!(key(&one), key(&other));
    one.ask(http::Version::HTTP_11, &Ask::get("/")).await.expect(200);
}
