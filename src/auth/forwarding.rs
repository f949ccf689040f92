//! Whose word about a client is taken, and what becomes of the word of everybody else.

use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Uri, header};

use super::TrustedProxies;
use super::forwarded::{Claim, Conflict};
use super::trusted_fields::{TRUSTED_FIELDS, TrustedFields};
use crate::message::{Host, Wire};
use crate::section::{At, Key, Lowered, Problems};

/// The networks of the proxies.
pub static TRUSTED_PROXIES: Key<Vec<At<String>>> = Key::texts("trusted_proxies", "The proxies in front of the gateway whose word about a client counts: addresses, networks, \"private\" for all private and loopback ones, \"unix\" for whoever connects through a unix socket. From them the fields of `trusted_fields` are believed, read from the right up to the first address that is no trusted proxy: REMOTE_ADDR, HTTPS, REQUEST_SCHEME, SERVER_NAME, SERVER_PORT, HTTP_HOST, the choice of the site, `remote` conditions, limits per client, logs and redirects follow.").default("[]").shown("[\"10.0.0.0/8\", \"unix\"]");

/// What becomes of the fields of others.
pub static UNTRUSTED_FIELDS: Key<At<String>> = Key::one_of("untrusted_fields", &["remove", "keep"], "What PHP sees of Forwarded, X-Forwarded-…, X-Real-IP, X-Client-IP, Client-IP, True-Client-IP, CF-Connecting-IP, Fastly-Client-IP, X-Cluster-Client-IP, Front-End-Https, X-Scheme, X-URL-Scheme, X-Original-Host, X-Original-URL and X-Rewrite-URL that come from anybody but a trusted proxy: \"remove\": nothing; and of Forwarded and X-Forwarded-For, -Proto, -Host and -Port from a trusted one what is believed of them by `trusted_fields`, from the client on, so that an application may believe what it sees; \"keep\": all, as they came.").default("\"remove\"");

/// The three, understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarding {
    proxies: TrustedProxies,
    fields: TrustedFields,
    keeps: bool,
}

impl Forwarding {
    /// From the section that has the keys.
    pub fn build(section: &Lowered, problems: &mut Problems) -> Self {
        Self {
            proxies: TrustedProxies::build(&section.get(&TRUSTED_PROXIES), problems),
            fields: TrustedFields::build(&section.get(&TRUSTED_FIELDS), problems),
            keeps: section.get(&UNTRUSTED_FIELDS).value == "keep",
        }
    }

    /// Returns whether the peer at `address` is a trusted proxy.
    pub fn trusts(&self, address: Option<IpAddr>) -> bool {
        self.proxies.contains(address)
    }

    /// The connection as the client of this request has it. `parts` loses what nobody has a right
    /// to say, and gets the host that the client asked the proxy for.
    pub fn apply(&self, parts: &mut Parts, wire: &Arc<Wire>) -> Result<Arc<Wire>, Conflict> {
        if !parts
            .headers
            .keys()
            .any(|name| is_forwarding(name.as_str()))
        {
            return Ok(Arc::clone(wire));
        }
        if !self.proxies.contains(wire.client) {
            if !self.keeps {
                remove(&mut parts.headers);
            }
            return Ok(Arc::clone(wire));
        }
        let claim = Claim::read(&parts.headers, self.fields, &self.proxies)?;
        if !self.keeps {
            claim.write(&mut parts.headers, self.fields, &self.proxies);
        }
        if claim.is_empty() {
            return Ok(Arc::clone(wire));
        }
        if let Some(host) = &claim.host {
            ask_for(host, parts);
        }
        Ok(Arc::new(seen_through(wire, &claim)))
    }
}

/// Replaces the authority by that which the client named to the proxy.
fn ask_for(host: &Host, parts: &mut Parts) {
    if let Ok(value) = HeaderValue::from_str(&host.to_string()) {
        parts.headers.insert(header::HOST, value);
        if let Some(target) = parts.uri.path_and_query().cloned() {
            parts.uri = without_authority(target);
        }
    }
}

fn without_authority(target: PathAndQuery) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = Some(target);
    Uri::from_parts(parts).unwrap_or_default()
}

/// What TLS settled was with the proxy, and says nothing of its client.
fn seen_through(wire: &Wire, claim: &Claim) -> Wire {
    let mut seen = Wire {
        forwarded_port: claim.port,
        ..wire.clone()
    };
    if let Some(client) = claim.client {
        seen.client = Some(client);
        seen.remote_addr = client.to_string();
        seen.remote_port = String::new();
        seen.tls = None;
    }
    if let Some(scheme) = claim.scheme {
        seen.scheme = scheme;
        seen.tls = None;
    }
    seen
}

/// Fields by which somebody in front tells of the client.
pub fn is_forwarding(name: &str) -> bool {
    name.starts_with("x-forwarded-") || FORWARDING.contains(&name)
}

/// Those that applications and frameworks are known to read, beside X-Forwarded-….
const FORWARDING: [&str; 15] = [
    "forwarded",
    "x-forwarded",
    "x-real-ip",
    "x-client-ip",
    "client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-cluster-client-ip",
    "front-end-https",
    "x-scheme",
    "x-url-scheme",
    "x-original-host",
    "x-original-url",
    "x-rewrite-url",
];

fn remove(fields: &mut HeaderMap) {
    let names = fields.keys().filter(|name| is_forwarding(name.as_str()));
    for name in names.cloned().collect::<Vec<_>>() {
        fields.remove(name);
    }
}
