//! Client data in the fields Forwarded (RFC 7239) and X-Forwarded-For, -Proto, -Host and -Port. Only fields that the
//! proxies write count, read from the right, where the nearest proxy appends, up to the first address that is no
//! trusted proxy.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::TrustedProxies;
use super::trusted_fields::{Field, TrustedFields};
use crate::message::{Host, Scheme};

/// Maximum length of a chain of trusted proxies; a longer one is forged.
const MAX_HOPS: usize = 32;

/// Client data of trusted fields; missing and malformed values are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// The address of the client.
    pub client: Option<IpAddr>,
    /// The scheme of the request to the outermost trusted proxy.
    pub scheme: Option<Scheme>,
    /// The requested host.
    pub host: Option<Host>,
    /// The port of the outermost proxy.
    pub port: Option<u16>,
}

/// A contradiction between Forwarded and X-Forwarded-…: a proxy wrote one of them and passed the other
/// on, and the request does not show which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "Forwarded and X-Forwarded-… differ in the {0}: configure the proxy to remove the fields that it does not set, or list those that it sets in server.trusted_fields"
)]
pub struct Conflict(pub &'static str);

impl Claim {
    /// Reads the client data in `fields`, received from a trusted proxy, as far as the proxies write them.
    pub fn read(
        fields: &HeaderMap,
        trusted: TrustedFields,
        proxies: &TrustedProxies,
    ) -> Result<Self, Conflict> {
        let standard = forwarded(fields, trusted, proxies);
        match (x_forwarded(fields, trusted, proxies), standard) {
            (Some(one), Some(other)) => one.merge(other),
            (one, other) => Ok(one.or(other).map(|family| family.claim).unwrap_or_default()),
        }
    }

    /// Reports whether there is no client data.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reduces `fields` to the values of this claim, so that an application that reads them itself, perhaps
    /// the first element of each, sees the same client data.
    pub fn write(&self, fields: &mut HeaderMap, trusted: TrustedFields, proxies: &TrustedProxies) {
        let texts = list(fields, Field::For.name());
        let hops: Vec<_> = texts.iter().map(|text| address(text)).collect();
        let found = outermost(&hops, proxies);
        let hops = found.and_then(|index| Some(texts.get(index..)?.join(", ")));
        let host = self.host.as_ref().map(ToString::to_string);
        let port = self.port.map(|port| port.to_string());
        let written = [
            (Field::For, hops),
            (
                Field::Proto,
                self.scheme.map(|scheme| scheme.as_str().to_owned()),
            ),
            (Field::Host, host),
            (Field::Port, port),
            (
                Field::Forwarded,
                believed_elements(fields, trusted, proxies),
            ),
        ];
        for (field, text) in written {
            let name = HeaderName::from_static(field.name());
            if !fields.contains_key(&name) {
                continue;
            }
            let text = text.filter(|_| trusted.has(field));
            match text.and_then(|text| HeaderValue::from_str(&text).ok()) {
                Some(value) => drop(fields.insert(name, value)),
                None => drop(fields.remove(name)),
            }
        }
    }
}

/// Client data of one family of fields: Forwarded or X-Forwarded-….
struct FamilyClaim {
    claim: Claim,
    /// The fields have a client, which may be obfuscated or malformed.
    has_client: bool,
}

impl FamilyClaim {
    /// Merges the data of both families. A value that one lacks is that of the other: behind a proxy that writes the
    /// other alone, a client could else hide itself, and count as the proxy.
    fn merge(self, other: Self) -> Result<Claim, Conflict> {
        let (one, two) = (self.claim, other.claim);
        if self.has_client && other.has_client && one.client != two.client {
            return Err(Conflict("client"));
        }
        Ok(Claim {
            client: one.client.or(two.client),
            scheme: either(one.scheme, two.scheme, "scheme")?,
            host: either(one.host, two.host, "host")?,
            port: either(one.port, two.port, "port")?,
        })
    }
}

fn either<T: PartialEq>(
    one: Option<T>,
    other: Option<T>,
    what: &'static str,
) -> Result<Option<T>, Conflict> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err(Conflict(what)),
        (one, other) => Ok(one.or(other)),
    }
}

/// Reads the de-facto fields; `None` if no trusted one is present.
fn x_forwarded(
    fields: &HeaderMap,
    trusted: TrustedFields,
    proxies: &TrustedProxies,
) -> Option<FamilyClaim> {
    let list = |field: Field| {
        if trusted.has(field) {
            list(fields, field.name())
        } else {
            Vec::new()
        }
    };
    let all = [Field::For, Field::Proto, Field::Host, Field::Port].map(list);
    if all.iter().all(Vec::is_empty) {
        return None;
    }
    let [clients, schemes, hosts, ports] = all;
    let hops: Vec<_> = clients.iter().map(|text| address(text)).collect();
    let found = outermost(&hops, proxies);
    let at = |texts: &[&str]| select_hop(texts, found, hops.len()).map(str::to_owned);
    let claim = Claim {
        client: found.and_then(|index| hops.get(index).copied().flatten()),
        scheme: at(&schemes).and_then(|text| scheme(&text)),
        host: at(&hosts).and_then(|text| Host::parse(&text).ok()),
        port: at(&ports).and_then(|text| port(&text)),
    };
    let has_client = !hops.is_empty();
    Some(FamilyClaim { claim, has_client })
}

/// Returns the value of the client at `found` of `hops`. Proxies that append to every list keep them
/// equally long; of a list of another length the last value is the nearest proxy's.
fn select_hop<'a>(texts: &[&'a str], found: Option<usize>, hops: usize) -> Option<&'a str> {
    let index = found.filter(|_| texts.len() == hops);
    match index {
        Some(index) => texts.get(index).copied(),
        None => texts.last().copied(),
    }
}

/// Reads Forwarded (RFC 7239 §4); `None` if it is absent or not trusted.
fn forwarded(
    fields: &HeaderMap,
    trusted: TrustedFields,
    proxies: &TrustedProxies,
) -> Option<FamilyClaim> {
    if !trusted.has(Field::Forwarded) {
        return None;
    }
    let mut elements = Vec::new();
    for value in fields.get_all(http::header::FORWARDED) {
        let text = value.to_str().unwrap_or("\"");
        elements.extend(split_elements(text).map(Element::read));
    }
    if elements.is_empty() {
        return None;
    }
    let hops: Vec<_> = elements
        .iter()
        .map(|element| element.as_ref().and_then(|element| element.client))
        .collect();
    // RFC 7239 §4: an element without `for` may have other parameters.
    let index = outermost(&hops, proxies).unwrap_or(hops.len() - 1);
    let element = elements.into_iter().nth(index).flatten()?;
    let host = element.host.filter(|_| trusted.has(Field::ForwardedHost));
    let claim = Claim {
        client: element.client,
        scheme: element.scheme,
        port: host.as_ref().and_then(Host::port),
        host,
    };
    let has_client = element.has_client;
    Some(FamilyClaim { claim, has_client })
}

/// Returns the elements of Forwarded from that of the client on, unchanged but for a host that is not trusted.
fn believed_elements(
    fields: &HeaderMap,
    trusted: TrustedFields,
    proxies: &TrustedProxies,
) -> Option<String> {
    let mut texts = Vec::new();
    for value in fields.get_all(http::header::FORWARDED) {
        texts.extend(split_elements(value.to_str().unwrap_or("\"")));
    }
    let hops: Vec<_> = texts
        .iter()
        .map(|text| Element::read(text).and_then(|element| element.client))
        .collect();
    let index = outermost(&hops, proxies).or_else(|| texts.len().checked_sub(1))?;
    let believed = texts.get(index..)?;
    let valid = believed.iter().all(|text| Element::read(text).is_some());
    let has_host = trusted.has(Field::ForwardedHost);
    let elements = believed.iter().map(|text| {
        if has_host {
            (*text).to_owned()
        } else {
            without_host(text)
        }
    });
    let written: Vec<_> = elements.filter(|text| !text.is_empty()).collect();
    (valid && !written.is_empty()).then(|| written.join(", "))
}

/// Returns an element without its parameter `host`.
fn without_host(element: &str) -> String {
    let is_host = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case("host")
    };
    let pairs = split_outside_quotes(element, ';').filter(|pair| !is_host(pair));
    pairs.collect::<Vec<_>>().join(";")
}

/// An element of Forwarded, written by one proxy.
#[derive(Debug, Default)]
struct Element {
    client: Option<IpAddr>,
    /// The element has a `for`, which may be obfuscated.
    has_client: bool,
    scheme: Option<Scheme>,
    host: Option<Host>,
}

impl Element {
    /// Parses an element; `None` if it is malformed (RFC 7239 §4).
    fn read(text: &str) -> Option<Self> {
        let mut element = Self::default();
        for pair in split_outside_quotes(text, ';') {
            if pair.trim().is_empty() {
                continue;
            }
            let (name, value) = pair.trim().split_once('=')?;
            let value = unquoted(value)?;
            match name.to_ascii_lowercase().as_str() {
                "for" => {
                    element.client = address(&value);
                    element.has_client = true;
                }
                "proto" => element.scheme = scheme(&value),
                "host" => element.host = Host::parse(&value).ok(),
                _ => {}
            }
        }
        Some(element)
    }
}

/// Returns the index of the client among the `hops`: from the right the first that is no trusted proxy. A
/// hop without an address, obfuscated or malformed, ends the search before it.
fn outermost(hops: &[Option<IpAddr>], proxies: &TrustedProxies) -> Option<usize> {
    let mut found = None;
    for (index, hop) in hops.iter().enumerate().rev().take(MAX_HOPS) {
        let Some(address) = hop else { break };
        found = Some(index);
        if !proxies.contains(Some(*address)) {
            break;
        }
    }
    found
}

/// Returns the elements of a list (RFC 9110 §5.6.1) in all fields of the name. A value that is no text
/// becomes the malformed element `?`.
fn list<'a>(fields: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let values = fields.get_all(name).iter();
    values
        .flat_map(|value| value.to_str().unwrap_or("?").split(','))
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .collect()
}

/// Parses `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    let address: Option<IpAddr> = text.parse().ok().or_else(with_port).or_else(bracketed);
    address.map(|address| address.to_canonical())
}

fn scheme(text: &str) -> Option<Scheme> {
    [Scheme::Http, Scheme::Https]
        .into_iter()
        .find(|scheme| text.eq_ignore_ascii_case(scheme.as_str()))
}

fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0)
}

/// Returns a token, or a quoted string without its quotes and backslashes (RFC 9110 §5.6.4).
fn unquoted(text: &str) -> Option<String> {
    let Some(rest) = text.strip_prefix('"') else {
        return (!text.contains('"')).then(|| text.to_owned());
    };
    let inner = rest.strip_suffix('"')?;
    let mut out = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => out.push(characters.next()?),
            '"' => return None,
            other => out.push(other),
        }
    }
    Some(out)
}

/// Returns the elements of a Forwarded field. RFC 9110 §5.6.1.2: empty ones are ignored.
fn split_elements(text: &str) -> impl Iterator<Item = &str> {
    let elements = split_outside_quotes(text, ',').map(str::trim);
    elements.filter(|element| !element.is_empty())
}

/// Splits a text at each `separator` outside of quoted strings.
fn split_outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(move |character: char| {
        if std::mem::take(&mut escaped) {
            return false;
        }
        escaped = quoted && character == '\\';
        quoted ^= character == '"';
        character == separator && !quoted
    })
}

#[cfg(test)]
mod tests;
