//! Certificates of the sites, and the agreement of listeners and sites about TLS.

use std::sync::Arc;

use super::{listen, site_section};
use crate::files::Files;
use crate::route::condition::HostPattern;
use crate::section::{Lowered, Problem, Problems};
use crate::site::Snapshot;
use crate::tls::{Certificates, ServerName};

/// Reads the certificates of all sites; `None` if there are none.
pub(super) fn build(
    sections: &[Lowered],
    previous: Option<&Snapshot>,
    files: &Files,
    problems: &mut Problems,
) -> Option<Arc<Certificates>> {
    let sites: Vec<_> = sections
        .iter()
        .flat_map(|file| file.get(&site_section::SITES))
        .collect();
    let with_tls: Vec<_> = sites
        .iter()
        .filter_map(|site| Some((names(site), site.given(&site_section::TLS)?)))
        .collect();
    // An invalid certificate counts as one.
    let is_bare =
        with_tls.is_empty() && !sites.iter().any(|site| site.is_wrong(&site_section::TLS));
    check_listeners(sections, is_bare, problems);
    check_sites(sections, &sites, problems);
    let previous = previous.and_then(|snapshot| snapshot.certificates.as_deref());
    Certificates::build(&with_tls, previous, files, problems).map(Arc::new)
}

fn names(site: &Lowered) -> Vec<ServerName> {
    // Faults of a host are reported when the sites are built.
    let ignored = &mut Problems::default();
    let patterns = site.get(&site_section::HOSTS).into_iter();
    patterns
        .filter_map(|text| HostPattern::parse(&text, ignored))
        .map(|pattern| match pattern {
            HostPattern::Exact(name) => ServerName::Exact(name),
            HostPattern::Below(suffix) => ServerName::Below(suffix),
        })
        .collect()
}

fn check_listeners(files: &[Lowered], bare: bool, problems: &mut Problems) {
    let listeners = files.iter().flat_map(|file| file.get(&listen::KEY));
    for listener in listeners.filter(|listener| bare && listener.is_given(&listen::TLS)) {
        let problem = Problem::new(
            listener.place_of(&listen::TLS),
            "the listener speaks TLS and no site has a certificate",
        );
        problems.push(problem.help(
            "[[site]] tls = { certificate = \"/etc/tls/example.pem\", key = \"/etc/tls/example.key\" }",
        ));
    }
}

fn check_sites(files: &[Lowered], sites: &[&Lowered], problems: &mut Problems) {
    let mut listeners = files.iter().flat_map(|file| file.get(&listen::KEY));
    if listeners.any(|listener| listener.is_given(&listen::TLS)) {
        return;
    }
    for site in sites
        .iter()
        .filter(|site| site.is_given(&site_section::TLS))
    {
        let what = "the site has a certificate and no listener speaks TLS";
        let problem = Problem::new(site.place_of(&site_section::TLS), what);
        problems.warn(problem.help("[[listen]] address = \":443\", tls = true"));
    }
}
