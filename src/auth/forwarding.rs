//! Forwarding fields: those of trusted proxies replace the client data of the connection, those of all
//! other clients are removed or kept.

use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};

use super::TrustedProxies;
use super::forwarded::{Claim, Conflict};
use super::identifiers;
use super::trusted_fields::{TRUSTED_FIELDS, TrustedFields};
use crate::message::trace_id::{Sampling, TRACEPARENT};
use crate::message::{Host, RequestId, Wire};
use crate::section::{At, Key, Lowered, Problems};

/// Key of the networks of the trusted proxies.
pub static TRUSTED_PROXIES: Key<Vec<At<String>>> = Key::texts("trusted_proxies", "Trusted proxies in front of the gateway: addresses, networks, \"private\" for all private and loopback ones, \"unix\" for clients of a unix socket. Their `trusted_fields`, read from the right up to the first address that is not a trusted proxy, determine the client, and with it REMOTE_ADDR, HTTPS, REQUEST_SCHEME, SERVER_NAME, SERVER_PORT, HTTP_HOST, the choice of the site, `remote` conditions, limits per client, logs and redirects.").default("[]").shown("[\"10.0.0.0/8\", \"unix\"]");

/// Key of the treatment of forwarding fields that are not trusted.
pub static UNTRUSTED_FIELDS: Key<At<String>> = Key::one_of("untrusted_fields", &["remove", "keep"], "Handling of Forwarded, X-Forwarded-…, X-Real-IP, X-Client-IP, Client-IP, True-Client-IP, CF-Connecting-IP, Fastly-Client-IP, X-Cluster-Client-IP, Front-End-Https, X-Scheme, X-URL-Scheme, X-Original-Host, X-Original-URL, X-Rewrite-URL, X-Request-ID, traceparent and tracestate on their way to PHP. \"remove\": fields that do not come from a trusted proxy are removed; Forwarded and X-Forwarded-For, -Proto, -Host and -Port of a trusted one are reduced to the values accepted by `trusted_fields`, from the client on, so that an application can rely on every value that it gets. \"keep\": all pass unchanged.").default("\"remove\"");

/// `trusted_proxies`, `trusted_fields`, `untrusted_fields` and `begin_trace`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarding {
    proxies: TrustedProxies,
    fields: TrustedFields,
    keeps: bool,
    /// The flag of the traces that begin here.
    sampling: Option<Sampling>,
}

impl Forwarding {
    /// Builds it from the section with the keys.
    pub fn build(section: &Lowered, problems: &mut Problems) -> Self {
        Self {
            proxies: TrustedProxies::build(&section.get(&TRUSTED_PROXIES), problems),
            fields: TrustedFields::build(&section.get(&TRUSTED_FIELDS), problems),
            keeps: section.get(&UNTRUSTED_FIELDS).value == "keep",
            sampling: identifiers::sampling(section),
        }
    }

    /// Reports whether the peer at `address` is a trusted proxy.
    pub fn trusts(&self, address: Option<IpAddr>) -> bool {
        self.proxies.contains(address)
    }

    /// Returns the connection with the client data of this request, and completes its `id`. Removes untrusted fields
    /// from `parts`, and replaces its host by the one that the client requested from the proxy.
    pub fn apply(
        &self,
        parts: &mut Parts,
        wire: &Arc<Wire>,
        id: &mut RequestId,
    ) -> Result<Arc<Wire>, Conflict> {
        if !parts
            .headers
            .keys()
            .any(|name| is_forwarding(name.as_str()))
        {
            self.begin_trace(id);
            return Ok(Arc::clone(wire));
        }
        let trusted = self.proxies.contains(wire.client);
        self.identify(&mut parts.headers, trusted, id);
        if !trusted {
            let is_proxied = names_client(&parts.headers);
            if !self.keeps {
                remove_forwarding_fields(&mut parts.headers);
            }
            if is_proxied {
                return Ok(Arc::new(Wire {
                    is_client_unknown: true,
                    ..Wire::clone(wire)
                }));
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
            replace_authority(host, parts);
        }
        Ok(Arc::new(apply_claim(wire, &claim)))
    }

    /// Adopts the identifiers of a trusted proxy. Begins a trace, if configured, unless an application gets the
    /// traceparent in `fields`.
    fn identify(&self, fields: &mut HeaderMap, trusted: bool, id: &mut RequestId) {
        if trusted {
            identifiers::adopt(fields, self.fields, id);
        }
        if !self.keeps {
            identifiers::remove_others(fields, id);
        }
        if !fields.contains_key(&TRACEPARENT) {
            self.begin_trace(id);
        }
    }

    fn begin_trace(&self, id: &mut RequestId) {
        if let Some(sampling) = self.sampling {
            id.begin_trace(sampling);
        }
    }
}

/// Replaces the authority by the host that the client requested from the proxy.
fn replace_authority(host: &Host, parts: &mut Parts) {
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

/// Returns the connection with the client data of a claim. The TLS facts are dropped, as the handshake was
/// with the proxy and not with its client.
fn apply_claim(wire: &Wire, claim: &Claim) -> Wire {
    let mut seen = Wire {
        forwarded_port: claim.port,
        ..wire.clone()
    };
    if let Some(client) = claim.client {
        seen.client = Some(client);
        seen.is_client_unknown = false;
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

/// Reports whether a proxy has named its client in the fields.
fn names_client(fields: &HeaderMap) -> bool {
    [FORWARDED, X_FORWARDED_FOR, X_REAL_IP]
        .iter()
        .any(|name| fields.contains_key(name))
}

const FORWARDED: HeaderName = header::FORWARDED;
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Reports whether a field is one by which proxies pass on client data.
pub fn is_forwarding(name: &str) -> bool {
    name.starts_with("x-forwarded-") || FORWARDING.contains(&name)
}

/// Forwarding fields beside X-Forwarded-… that applications and frameworks are known to read, and identifiers.
const FORWARDING: [&str; 18] = [
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
    "x-request-id",
    "traceparent",
    "tracestate",
];

fn remove_forwarding_fields(fields: &mut HeaderMap) {
    let names = fields.keys().filter(|name| is_forwarding(name.as_str()));
    for name in names.cloned().collect::<Vec<_>>() {
        fields.remove(name);
    }
}
