//! What stands in the certificates, for who looks after them.

use std::path::PathBuf;

use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use super::{Certificates, Pair};

/// A certificate that some clients are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// Its file.
    pub file: PathBuf,
    /// The hosts of the configuration for which it is shown; `*.` in front of all below a name.
    pub hosts: Vec<String>,
    /// The names in it.
    pub names: Vec<String>,
    /// From when to when it is valid, in seconds since 1970.
    pub valid: (i64, i64),
}

impl Inspected {
    /// Whether a client that asks for `host` accepts the names in it (RFC 9525 §6.3: a wildcard is
    /// one whole label).
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
    /// All certificates, in the order of the sites; one that cannot be parsed is left out.
    pub fn inspect(&self) -> Vec<Inspected> {
        let pairs = self.pairs.iter();
        pairs.filter_map(|pair| self.inspect_pair(pair)).collect()
    }

    fn inspect_pair(&self, pair: &Pair) -> Option<Inspected> {
        let certified = pair.current.load();
        let (_, parsed) = parse_x509_certificate(certified.cert.first()?).ok()?;
        let validity = parsed.validity();
        let alternatives = parsed.subject_alternative_name().ok().flatten();
        let names = alternatives
            .iter()
            .flat_map(|names| &names.value.general_names);
        let names = names.filter_map(|name| {
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
