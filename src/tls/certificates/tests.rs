//! Choice of a certificate by name.

use super::*;

/// Returns certificates that differ in their paths alone.
fn certificates(sites: &[(&str, &[&str])]) -> Certificates {
    let offer = |site: &str| -> Offer {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default()
            .self_signed(&key)
            .unwrap();
        let private = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let chain = vec![certificate.der().clone()];
        let certified =
            CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider()).unwrap();
        Arc::new([Arc::new(Pair {
            certificate: site.into(),
            key: PathBuf::new(),
            current: ArcSwap::from_pointee(certified),
            seen: Mutex::new([None; 2]),
        })])
    };
    let sites = sites.iter().map(|(site, hosts)| {
        let names = hosts.iter().map(|host| match host.strip_prefix('*') {
            Some(suffix) => ServerName::Below(suffix.to_owned()),
            None => ServerName::Exact((*host).to_owned()),
        });
        (names.collect(), offer(site))
    });
    Certificates::of(sites.collect(), None, Files::own()).unwrap()
}

#[track_caller]
fn check(certificates: &Certificates, name: Option<&str>, site: &str) {
    let offer = certificates.offer(name);
    assert_eq!(offer[0].certificate.to_str(), Some(site), "{name:?}");
}

#[test]
fn the_exact_name_then_the_longest_wildcard_then_the_site_without_hosts() {
    let certificates = certificates(&[
        ("wide", &["*.example.org"]),
        ("narrow", &["*.a.example.org"]),
        ("exact", &["b.example.org", "example.org"]),
        ("default", &[]),
    ]);
    for (name, site) in [
        ("b.example.org", "exact"),
        ("B.Example.ORG", "exact"),
        ("example.org", "exact"),
        ("c.example.org", "wide"),
        ("c.d.example.org", "wide"),
        ("a.example.org", "wide"),
        ("x.a.example.org", "narrow"),
        ("badexample.org", "default"),
        ("example.com", "default"),
    ] {
        check(&certificates, Some(name), site);
    }
    check(&certificates, None, "default");
}

#[test]
fn without_such_a_site_it_is_the_first() {
    let certificates = certificates(&[("first", &["a.example"]), ("second", &["b.example"])]);
    check(&certificates, None, "first");
    check(&certificates, Some("c.example"), "first");
    check(&certificates, Some("b.example"), "second");
}

#[test]
fn no_site_no_certificates() {
    assert!(Certificates::of(Vec::new(), None, Files::own()).is_none());
}
