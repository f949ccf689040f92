//! Warnings about endless redirects to HTTPS, on sites whose requests never have the scheme https.

use crate::auth::TrustedFields;
use crate::auth::forwarding::TRUSTED_PROXIES;
use crate::auth::trusted_fields::TRUSTED_FIELDS;
use crate::config::{listen, server, site_section};
use crate::handler::redirect;
use crate::route::condition;
use crate::section::{Lowered, Place, Problem, Problems};

/// Checks redirects to HTTPS if no listener uses TLS: then a proxy determines the scheme.
pub(in crate::config) fn warn_of_endless_redirects(files: &[Lowered], problems: &mut Problems) {
    let mut listeners = files.iter().flat_map(|file| file.get(&listen::KEY));
    if listeners.any(|listener| listener.is_given(&listen::TLS)) {
        return;
    }
    let Some(server) = files.first().map(|main| main.get(&server::KEY)) else {
        return;
    };
    let Some((what, help)) = fault(&server) else {
        return;
    };
    let sites = files.iter().flat_map(|file| file.get(&site_section::SITES));
    for place in sites.flat_map(redirecting) {
        let message = format!("the site redirects to HTTPS and {what}");
        problems.warn(Problem::new(place, message).help(help));
    }
}

/// Returns the reason why the scheme is never https, and the remedy.
fn fault(server: &Lowered) -> Option<(&'static str, &'static str)> {
    const NAMED: &str = "[server] trusted_fields = [\"x-forwarded-for\", \"x-forwarded-proto\"], with the fields that the proxy sets";
    if !server.is_given(&TRUSTED_PROXIES) {
        return Some((
            "no listener speaks TLS",
            "[[listen]] address = \":443\", tls = true; or, behind a proxy that does, [server] trusted_proxies = [\"10.0.0.0/8\"]",
        ));
    }
    if !server.is_given(&TRUSTED_FIELDS) {
        return Some((
            "`trusted_fields` is not set: if the proxy does not set X-Forwarded-Proto, the redirects never end, and clients can set it themselves",
            NAMED,
        ));
    }
    let ignored = &mut Problems::default();
    let trusted = TrustedFields::build(&server.get(&TRUSTED_FIELDS), ignored);
    (!trusted.include_scheme() && ignored.is_empty()).then_some((
        "`trusted_fields` names no field for the scheme: the redirects never end",
        NAMED,
    ))
}

/// Returns the places of the keys that redirect plain HTTP to HTTPS.
fn redirecting(site: &Lowered) -> Vec<Place> {
    let own = site
        .is_given(&site_section::HTTPS_KEY)
        .then(|| site.place_of(&site_section::HTTPS_KEY));
    let redirects = site.get(&site_section::RULES).iter().filter(|rule| {
        let in_clear = rule
            .get(&condition::SCHEME)
            .is_some_and(|text| text.value == "http");
        let redirect = rule.given(&redirect::KEY);
        let to = redirect.and_then(|redirect| redirect.get(&redirect::TO));
        in_clear && to.is_some_and(|to| to.value.starts_with("https:"))
    });
    let places = redirects.map(|rule| rule.place_of(&redirect::KEY));
    own.into_iter().chain(places).collect()
}
