//! `https`: one key that keeps a site to TLS: a redirect for what comes in clear text, and
//! Strict-Transport-Security (RFC 6797) for what does not.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::{Body, redirect};
use crate::failure::Failure;
use crate::section::{Key, Lowered, Section};

/// The `https` section.
pub static HTTPS: Section = Section {
    title: "[site.https]",
    doc: "Keeps the site to TLS: a request in clear text is redirected (308) before any rule, and answers over TLS carry Strict-Transport-Security, unless PHP sent its own. Needs a [[listen]] with `tls`.",
    groups: &[&[&HSTS, &SUBDOMAINS, &PORT]],
};

static HSTS: Key<Duration> = Key::duration("hsts", "For how long browsers shall come with TLS only; they keep to it even if you do not. \"0s\" makes them forget.").default("\"365d\"");

static SUBDOMAINS: Key<bool> = Key::flag(
    "subdomains",
    "Whether that holds for all names below the host too.",
)
.default("false");

static PORT: Key<u16> = Key::integer(
    "port",
    1..=65535,
    "The port that the redirect leads to, as clients see it.",
)
.default("443");

/// A site that is kept to TLS.
#[derive(Clone, Debug)]
pub struct Https {
    /// `:8443`; empty for the port that URLs leave out.
    port: String,
    policy: HeaderValue,
}

impl Https {
    /// From its section.
    pub fn build(section: &Lowered) -> Self {
        let seconds = section.get(&HSTS).as_secs();
        let subdomains = match section.get(&SUBDOMAINS) {
            true => "; includeSubDomains",
            false => "",
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

    /// The same host and target, with TLS. 308 (RFC 9110 §15.4.9) keeps the method and content.
    pub fn redirect(&self, host: &str, target: &str) -> Result<Response<Body>, Failure> {
        let location = format!("https://{host}{}{target}", self.port);
        redirect::answer(StatusCode::PERMANENT_REDIRECT, &location)
    }

    /// RFC 6797 §6.1; only for answers that go over TLS (§7.2).
    pub fn declare(&self, fields: &mut HeaderMap) {
        let policy = || self.policy.clone();
        fields
            .entry(header::STRICT_TRANSPORT_SECURITY)
            .or_insert_with(policy);
    }
}
