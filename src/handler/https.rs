//! `https`: restricts a site to TLS by one key: a redirect for requests in clear text, and Strict-Transport-Security
//! (RFC 6797) for all others.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::{Body, redirect};
use crate::failure::Failure;
use crate::section::{Key, Lowered, Section};

/// The `https` section.
pub static HTTPS: Section = Section {
    title: "[site.https]",
    doc: "Restricts the site to TLS: a request in clear text is redirected (308) before any rule, and answers over TLS carry Strict-Transport-Security, unless PHP sent its own. Needs a [[listen]] with `tls`.",
    groups: &[&[&HSTS, &SUBDOMAINS, &PORT]],
};

static HSTS: Key<Duration> = Key::duration(
    "hsts",
    "Time for which browsers use TLS only, even if the site no longer has it. \"0s\" ends it.",
)
.default("\"365d\"");

static SUBDOMAINS: Key<bool> =
    Key::flag("subdomains", "Extends `hsts` to all names below the host.").default("false");

static PORT: Key<u16> = Key::integer(
    "port",
    1..=65535,
    "Port of the redirect, as clients see it.",
)
.default("443");

/// The redirect and the policy of a site that requires TLS.
#[derive(Clone, Debug)]
pub struct Https {
    /// `:8443`; empty for the default port.
    port: String,
    policy: HeaderValue,
}

impl Https {
    /// Builds the policy from its section.
    pub fn build(section: &Lowered) -> Self {
        let seconds = section.get(&HSTS).as_secs();
        let subdomains = if section.get(&SUBDOMAINS) {
            "; includeSubDomains"
        } else {
            ""
        };
        let port = match section.get(&PORT) {
            443 => String::new(),
            port => format!(":{port}"),
        };
        Self {
            port,
            // Digits and letters are always a field value.
            policy: HeaderValue::from_str(&format!("max-age={seconds}{subdomains}"))
                .unwrap_or_else(|_| HeaderValue::from_static("max-age=0")),
        }
    }

    /// Redirects to the same host and target with TLS. 308 (RFC 9110 §15.4.9) keeps the method and content.
    pub fn redirect(&self, host: &str, target: &str) -> Result<Response<Body>, Failure> {
        let location = format!("https://{host}{}{target}", self.port);
        redirect::answer(StatusCode::PERMANENT_REDIRECT, &location)
    }

    /// Adds Strict-Transport-Security (RFC 6797 §6.1); only for answers over TLS (§7.2).
    pub fn declare(&self, fields: &mut HeaderMap) {
        let policy = || self.policy.clone();
        fields
            .entry(header::STRICT_TRANSPORT_SECURITY)
            .or_insert_with(policy);
    }
}
