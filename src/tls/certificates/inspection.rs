//! Contents of the certificates, for `fcgate doctor` and the admin listener.

use std::path::PathBuf;

use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use super::{Certificates, Pair};

/// Contents of a certificate in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// The file.
    pub file: PathBuf,
    /// The host patterns that it is used for, with wildcards as `*.`.
    pub hosts: Vec<String>,
    /// Its subject alternative names.
    pub names: Vec<String>,
    /// Its validity, notBefore and notAfter, in seconds since 1970.
    pub valid: (i64, i64),
}

impl Inspected {
    /// Reports whether its names cover `host` (RFC 9525 §6.3: a wildcard is one whole label).
    pub fn covers(&self, host: &str) -> bool {
        let parent = host.split_once('.').map(|(_, parent)| parent);
        self.names.iter().any(|name| {
            let wildcard = name.strip_prefix("*.");
            name.eq_ignore_ascii_case(host)
                || wildcard
                    .zip(parent)
                    .is_some_and(|(name, host)| name.eq_ignore_ascii_case(host))
        })
    }
}

impl Certificates {
    /// Returns the contents of all certificates that can be parsed, in the order of the sites.
    pub fn inspect(&self) -> Vec<Inspected> {
        let pairs = self.pairs.iter();
        pairs.filter_map(|pair| self.inspect_pair(pair)).collect()
    }

    fn inspect_pair(&self, pair: &Pair) -> Option<Inspected> {
        let certified = pair.current.load();
        let (_, parsed) = parse_x509_certificate(certified.cert.first()?).ok()?;
        let validity = parsed.validity();
        let alternatives = parsed.subject_alternative_name().ok().flatten();
        let general_names = alternatives
            .iter()
            .flat_map(|names| &names.value.general_names);
        let names = general_names.filter_map(|name| {
            let GeneralName::DNSName(name) = name else {
                return None;
            };
            Some((*name).to_owned())
        });
        Some(Inspected {
            file: pair.certificate.clone(),
            hosts: self.hosts_of(pair),
            names: names.collect(),
            valid: (
                validity.not_before.timestamp(),
                validity.not_after.timestamp(),
            ),
        })
    }

    fn hosts_of(&self, pair: &Pair) -> Vec<String> {
        let is_it = |offer: &super::Offer| offer.iter().any(|other| std::ptr::eq(&**other, pair));
        let named = self.named.iter().filter(|(_, offer)| is_it(offer));
        let mut hosts: Vec<_> = named.map(|(host, _)| host).collect();
        hosts.sort();
        hosts
    }
}
