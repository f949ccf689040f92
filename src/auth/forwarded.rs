//! What the fields Forwarded (RFC 7239) and X-Forwarded-For, -Proto, -Host and -Port say of the
//! client, as far as it can be believed: of the fields that the proxy writes, read from the right, where the nearest
//! proxy writes, up to the first address that is no trusted proxy.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::TrustedProxies;
use super::trusted_fields::{Field, TrustedFields};
use crate::message::{Host, Scheme};

/// Proxies in a row that are followed: a chain that is longer was written by somebody else.
const MAX_HOPS: usize = 32;

/// What is believed; what is not said, or not understood, is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// The address of the client.
    pub client: Option<IpAddr>,
    /// How it reached the outermost trusted proxy.
    pub scheme: Option<Scheme>,
    /// The host that it asked for.
    pub host: Option<Host>,
    /// The port that it connected to.
    pub port: Option<u16>,
}

/// The two families of fields name different clients, schemes or hosts: a proxy wrote one of them
/// and passed the other on from somebody else, and nobody can tell which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "Forwarded and X-Forwarded-… differ in the {0}: have the proxy remove those that it does not write, or say which it writes in server.trusted_fields"
)]
pub struct Conflict(pub &'static str);

impl Claim {
    /// Reads what `fields`, received from a trusted proxy, say, as far as the proxy writes them.
    pub fn read(
        fields: &HeaderMap,
        trusted: TrustedFields,
        proxies: &TrustedProxies,
    ) -> Result<Self, Conflict> {
        let said = forwarded(fields, trusted, proxies);
        match (x_forwarded(fields, trusted, proxies), said) {
            (Some(one), Some(other)) => one.with(other),
            (one, other) => Ok(one.or(other).map(|said| said.claim).unwrap_or_default()),
        }
    }

    /// Whether anything is claimed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Leaves in `fields` what is believed and nothing else: an application that reads them itself,
    /// and perhaps the first element of each, sees what we see.
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

/// What one family of fields says.
struct Said {
    claim: Claim,
    /// Whether it has a client, which may be hidden or no address.
    has_client: bool,
}

impl Said {
    /// Returns what both families say together. What one leaves out takes nothing from the other: behind a proxy that
    /// writes the other alone, a client could else make itself unknown, and be taken for the proxy.
    fn with(self, other: Self) -> Result<Claim, Conflict> {
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

/// The de-facto fields; `None` where there is none of those that are trusted.
fn x_forwarded(
    fields: &HeaderMap,
    trusted: TrustedFields,
    proxies: &TrustedProxies,
) -> Option<Said> {
    let list = |field: Field| match trusted.has(field) {
        true => list(fields, field.name()),
        false => Vec::new(),
    };
    let all = [Field::For, Field::Proto, Field::Host, Field::Port].map(list);
    if all.iter().all(Vec::is_empty) {
        return None;
    }
    let [clients, schemes, hosts, ports] = all;
    let hops: Vec<_> = clients.iter().map(|text| address(text)).collect();
    let found = outermost(&hops, proxies);
    let at = |texts: &[&str]| beside(texts, found, hops.len()).map(str::to_owned);
    let claim = Claim {
        client: found.and_then(|index| hops.get(index).copied().flatten()),
        scheme: at(&schemes).and_then(|text| scheme(&text)),
        host: at(&hosts).and_then(|text| Host::parse(&text).ok()),
        port: at(&ports).and_then(|text| port(&text)),
    };
    let has_client = !hops.is_empty();
    Some(Said { claim, has_client })
}

/// The value that belongs to the client at `found` of `hops`: proxies that add one to each of the
/// lists keep them alike; of a list of another length the last value is the nearest proxy's.
fn beside<'a>(texts: &[&'a str], found: Option<usize>, hops: usize) -> Option<&'a str> {
    let index = found.filter(|_| texts.len() == hops);
    match index {
        Some(index) => texts.get(index).copied(),
        None => texts.last().copied(),
    }
}

/// RFC 7239 §4; `None` where the field is not there, or not trusted.
fn forwarded(fields: &HeaderMap, trusted: TrustedFields, proxies: &TrustedProxies) -> Option<Said> {
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
    // RFC 7239 §5.2: an element may say nothing of the client, and still something of the rest.
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
    Some(Said { claim, has_client })
}

/// Returns the elements of Forwarded from that of the client on, as they were written, but for a host that is not
/// trusted.
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
    let written: Vec<_> = match trusted.has(Field::ForwardedHost) {
        true => believed.iter().map(|text| (*text).to_owned()).collect(),
        false => believed.iter().map(|text| without_host(text)).collect(),
    };
    let written: Vec<_> = written
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
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

/// What one proxy wrote.
#[derive(Debug, Default)]
struct Element {
    client: Option<IpAddr>,
    /// Whether it has a `for`, which may be hidden.
    has_client: bool,
    scheme: Option<Scheme>,
    host: Option<Host>,
}

impl Element {
    /// `None`: not the syntax of RFC 7239 §4.
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

/// The index of the client among the `hops`: from the right the first that is no trusted proxy. A hop
/// that names no address, for it is hidden or malformed, ends the walk before it.
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

/// RFC 9110 §5.6.1: the elements of a list, in all fields of the name; a value that is no text is one
/// that means nothing.
fn list<'a>(fields: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let values = fields.get_all(name).iter();
    values
        .flat_map(|value| value.to_str().unwrap_or("?").split(','))
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .collect()
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
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

/// RFC 9110 §5.6.4: a token, or a quoted string without its quotes and backslashes.
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

/// The parts between `separator`s that stand in no quoted string.
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
