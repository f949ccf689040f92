//! The certificates of all sites, and their choice by SNI.

mod inspection;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::pem::{self, PemError, Stamp};
pub use inspection::Inspected;

use crate::files::Files;
use crate::message::ByHost;
use crate::section::{At, Key, Lowered, Place, Problem, Problems, Section, absolute_path};

/// The `tls` section of a site.
pub static SITE_TLS: Section = Section {
    title: "[site.tls]",
    doc: "The certificate of the site, for every [[listen]] with `tls`. A client gets the certificate of the site whose `hosts` contain the name that it requests (SNI), else that of the site without `hosts`, else the first. Changed files, of at most 4 MiB each, are read again within seconds, with the rights of the user that starts the gateway: they may be readable by root alone. Connections are not affected, and an unusable file changes nothing.",
    groups: &[&[&CERTIFICATE, &KEY]],
};

pub(crate) static CERTIFICATE: Key<Vec<At<String>>> = Key::texts("certificate", "PEM file of the certificate followed by its intermediates, an absolute path; or a list, for ECDSA and RSA side by side: the first that a client supports is used.").example("\"/etc/tls/example.pem\"");

pub(crate) static KEY: Key<Vec<At<String>>> = Key::texts("key", "PEM file of the private key, not encrypted; or a list in the order of `certificate`. Default: the file of the certificate contains both.").example("\"/etc/tls/example.key\"");

/// Host pattern of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerName {
    /// One host, in lower case.
    Exact(String),
    /// All hosts with this suffix: `.example.org`.
    Below(String),
}

/// The certificates of all sites, by host.
#[derive(Debug)]
pub struct Certificates {
    pairs: Vec<Arc<Pair>>,
    named: ByHost<Offer>,
    default: Offer,
    tickets: Option<Arc<dyn ProducesTickets>>,
    /// Access to the files when they change.
    files: Files,
}

/// Certificates of one site, in order of preference.
type Offer = Arc<[Arc<Pair>]>;

/// A certificate and its private key, from two files.
#[derive(Debug)]
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
    current: ArcSwap<CertifiedKey>,
    /// States of the files at their last read.
    seen: Mutex<[Option<Stamp>; 2]>,
}

impl Certificates {
    /// Reads the files of the `tls` sections of all sites, each with the hosts of its site; adds errors
    /// to `problems`. `None` if no certificate can be used. Sessions of `previous` can be resumed.
    pub fn build(
        sites: &[(Vec<ServerName>, &Lowered)],
        previous: Option<&Self>,
        files: &Files,
        problems: &mut Problems,
    ) -> Option<Self> {
        let offers = sites.iter().filter_map(|(names, section)| {
            let offer: Offer = site_pairs(section, files, problems).into();
            (!offer.is_empty()).then(|| (names.clone(), offer))
        });
        Self::of(offers.collect(), previous, files.after_load())
    }

    fn of(
        sites: Vec<(Vec<ServerName>, Offer)>,
        previous: Option<&Self>,
        files: Files,
    ) -> Option<Self> {
        let nameless = sites.iter().find(|(names, _)| names.is_empty());
        let default = Arc::clone(&nameless.or_else(|| sites.first())?.1);
        let mut named = ByHost::default();
        let mut pairs = Vec::new();
        for (names, offer) in sites {
            pairs.extend(offer.iter().cloned());
            for name in names {
                let offer = Arc::clone(&offer);
                match name {
                    ServerName::Exact(name) => named.insert(name, offer),
                    ServerName::Below(suffix) => named.insert_below(suffix, offer),
                };
            }
        }
        Some(Self {
            pairs,
            named,
            default,
            tickets: previous.map_or_else(tickets, |previous| previous.tickets.clone()),
            files,
        })
    }

    /// Reads again the certificates whose files have changed. Returns the replaced ones, and an error for
    /// each that cannot be used. Blocks.
    pub fn refresh(&self) -> Vec<Result<PathBuf, PemError>> {
        self.pairs
            .iter()
            .filter_map(|pair| pair.refresh(&self.files))
            .collect()
    }

    /// Returns the access to files that change.
    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    /// Returns the producer of session tickets for listeners without client certificates.
    pub(super) fn tickets(&self) -> Option<Arc<dyn ProducesTickets>> {
        self.tickets.clone()
    }

    fn offer(&self, name: Option<&str>) -> &Offer {
        let name = name.map(str::to_ascii_lowercase);
        let named = name.and_then(|name| self.named.get(&name));
        named.unwrap_or(&self.default)
    }
}

/// Builds a producer of RFC 5077 tickets under keys that live for 12 hours and are replaced every 6;
/// `None` without a source of random numbers.
pub(super) fn tickets() -> Option<Arc<dyn ProducesTickets>> {
    aws_lc_rs::Ticketer::new().ok()
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let offer = self.offer(hello.server_name()).iter();
        offer
            .map(|pair| pair.current.load_full())
            .find(|certified| certified.key.choose_scheme(schemes).is_some())
    }
}

impl Pair {
    fn load(certificate: PathBuf, key: PathBuf, files: &Files) -> Result<Self, PemError> {
        for file in [&certificate, &key] {
            files.grant(file);
        }
        let seen = [&certificate, &key].map(|file| pem::stamp(file, files));
        let certified = pem::pair(&certificate, &key, files)?;
        Ok(Self {
            certificate,
            key,
            current: ArcSwap::from_pointee(certified),
            seen: Mutex::new(seen),
        })
    }

    /// Reads the files again if one has changed. The two are rarely replaced at the same moment: the old pair
    /// stays until they match again, and each change of either is reported once.
    fn refresh(&self, files: &Files) -> Option<Result<PathBuf, PemError>> {
        let now = [&self.certificate, &self.key].map(|file| pem::stamp(file, files));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return None;
        }
        *seen = now;
        drop(seen);
        let read = pem::pair(&self.certificate, &self.key, files);
        Some(read.map(|certified| {
            self.current.store(Arc::new(certified));
            self.certificate.clone()
        }))
    }
}

fn site_pairs(section: &Lowered, files: &Files, problems: &mut Problems) -> Vec<Arc<Pair>> {
    if section.is_wrong(&KEY) || section.is_wrong(&CERTIFICATE) {
        return Vec::new();
    }
    let certificates = section.get(&CERTIFICATE);
    let keys = match section.get(&KEY) {
        keys if keys.is_empty() => certificates.clone(),
        keys => keys,
    };
    if certificates.is_empty() {
        let problem = Problem::new(section.place(), "`tls` needs a `certificate`");
        problems.push(problem.help("certificate = \"/etc/tls/example.pem\""));
    }
    if certificates.len() != keys.len() {
        problems.push(Problem::new(
            section.place_of(&KEY),
            format!(
                "{} certificates and {} keys: each certificate needs its key",
                certificates.len(),
                keys.len()
            ),
        ));
        return Vec::new();
    }
    let pairs = certificates.into_iter().zip(keys);
    pairs
        .filter_map(|(certificate, key)| load([&certificate, &key], files, problems))
        .collect()
}

fn load(
    [certificate, key]: [&At<String>; 2],
    files: &Files,
    problems: &mut Problems,
) -> Option<Arc<Pair>> {
    let paths = [certificate, key].map(|text| absolute_path(text, problems));
    let [Some(certificate_file), Some(key_file)] = paths else {
        return None;
    };
    match Pair::load(certificate_file.clone(), key_file, files) {
        Ok(pair) => Some(Arc::new(pair)),
        Err(error) => {
            let text = if error.file == certificate_file {
                certificate
            } else {
                key
            };
            problems.push(problem(text.place.clone(), &error));
            None
        }
    }
}

/// Builds the problem of an unusable file, at its key in the configuration.
pub(super) fn problem(place: Place, error: &PemError) -> Problem {
    let problem = Problem::new(place, error.to_string());
    match error.help {
        Some(help) => problem.help(help),
        None => problem,
    }
}

#[cfg(test)]
mod tests;
