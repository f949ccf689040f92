//! RFC 3875 §4.1: what the script is told of the request, encoded straight into the PARAMS
//! record. Where a name is not the RFC's, its source stands beside it.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;

use http::{HeaderName, Version, header};

use super::{Mapping, Script};
use crate::fastcgi::params::{ParamsEncoder, encode_pair};
use crate::message::hop_by_hop::is_hop_by_hop;
use crate::message::{Request, Scheme, TlsFacts};

/// The variables that are the same for all requests of one rule, encoded once when the
/// configuration is loaded.
#[derive(Clone, Debug)]
pub struct Constants(Vec<u8>);

impl Constants {
    /// Encodes what does not depend on the request.
    pub fn new(mapping: &Mapping) -> Self {
        let mut encoded = Vec::new();
        encode_pair(&mut encoded, b"GATEWAY_INTERFACE", b"CGI/1.1");
        encode_pair(&mut encoded, b"SERVER_SOFTWARE", b"fcgate");
        // php-cgi with cgi.force_redirect (its default) runs nothing without it.
        encode_pair(&mut encoded, b"REDIRECT_STATUS", b"200");
        encode_pair(&mut encoded, b"DOCUMENT_ROOT", mapping.document_root());
        Self(encoded)
    }

    /// The same with one more variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: &[u8]) -> Self {
        encode_pair(&mut self.0, name.as_bytes(), value);
        self
    }

    /// Name-value pairs, ready for PARAMS.
    pub fn encoded(&self) -> &[u8] {
        &self.0
    }
}

impl Mapping {
    /// The document root as PHP sees it, as bytes and without a trailing slash.
    pub fn document_root(&self) -> &[u8] {
        let root = self
            .backend_root
            .as_ref()
            .unwrap_or(&self.root.0)
            .as_os_str()
            .as_bytes();
        match root.strip_suffix(b"/") {
            Some(stripped) if !stripped.is_empty() => stripped,
            Some(_) | None => root,
        }
    }
}

/// Writes what follows from the script and how it was called.
pub fn encode_script(
    params: &mut ParamsEncoder<'_>,
    request: &Request,
    script: &Script,
    mapping: &Mapping,
) {
    let root = mapping.document_root();
    params.pair_parts(b"SCRIPT_FILENAME", &[root, &script.file]);
    params.pair(b"SCRIPT_NAME", &script.name);
    // nginx's name for SCRIPT_NAME with PATH_INFO; some applications read it.
    params.pair_parts(b"DOCUMENT_URI", &[&script.name, &script.path_info]);
    params.pair(b"REQUEST_URI", request.target.raw().as_bytes()); // Apache's name
    params.pair(
        b"QUERY_STRING",
        request.target.query().unwrap_or_default().as_bytes(),
    );
    // RFC 3875 §4.1.6: PATH_TRANSLATED only together with PATH_INFO.
    if !script.path_info.is_empty() {
        params.pair(b"PATH_INFO", &script.path_info);
        params.pair_parts(b"PATH_TRANSLATED", &[root, &script.path_info]);
    }
}

/// Writes what follows from the request alone. `length` is what will be sent on STDIN.
pub fn encode_request(params: &mut ParamsEncoder<'_>, request: &Request, length: Option<u64>) {
    request_variables(params, request);
    connection_variables(params, request);
    content_variables(params, request, length);
    protocol_variables(params, request);
}

fn request_variables(params: &mut ParamsEncoder<'_>, request: &Request) {
    params.pair(b"REQUEST_METHOD", request.method.as_str().as_bytes());
    params.pair(b"SERVER_PROTOCOL", protocol(request.version).as_bytes());
    let mut id = String::with_capacity(24);
    // Writing to a String cannot fail.
    let _ = write!(id, "{}", request.id);
    params.pair(b"REQUEST_ID", id.as_bytes());
    params.pair(b"UNIQUE_ID", id.as_bytes()); // Apache's mod_unique_id
}

fn connection_variables(params: &mut ParamsEncoder<'_>, request: &Request) {
    let wire = &request.wire;
    params.pair(b"REMOTE_ADDR", wire.remote_addr.as_bytes());
    params.pair(b"REMOTE_PORT", wire.remote_port.as_bytes());
    params.pair(b"SERVER_ADDR", wire.local_addr.as_bytes());
    // Apache with UseCanonicalName Off: both from Host, which was validated at the edge.
    let host = &request.host;
    let name = if host.name().is_empty() {
        &wire.local_addr
    } else {
        host.name()
    };
    params.pair(b"SERVER_NAME", name.as_bytes());
    let port = host.port().unwrap_or_else(|| wire.scheme.default_port());
    params.pair(b"SERVER_PORT", port.to_string().as_bytes());
    params.pair(b"REQUEST_SCHEME", wire.scheme.as_str().as_bytes()); // Apache's name
    if wire.scheme == Scheme::Https {
        params.pair(b"HTTPS", b"on");
    }
    if let Some(facts) = &wire.tls {
        tls_variables(params, facts);
    }
}

/// Apache's mod_ssl, as with `SSLOptions +StdEnvVars`.
fn tls_variables(params: &mut ParamsEncoder<'_>, facts: &TlsFacts) {
    params.pair(b"SSL_PROTOCOL", facts.protocol.as_bytes());
    params.pair(b"SSL_CIPHER", facts.cipher.as_bytes());
    params.pair(b"SSL_CIPHER_USEKEYSIZE", facts.key_bits.as_bytes());
    if let Some(name) = &facts.server_name {
        params.pair(b"SSL_TLS_SNI", name.as_bytes());
    }
    let Some(client) = &facts.client else {
        params.pair(b"SSL_CLIENT_VERIFY", b"NONE");
        return;
    };
    params.pair(b"SSL_CLIENT_VERIFY", b"SUCCESS");
    params.pair(b"SSL_CLIENT_S_DN", client.subject.as_bytes());
    if let Some(name) = &client.common_name {
        params.pair(b"SSL_CLIENT_S_DN_CN", name.as_bytes());
    }
    params.pair(b"SSL_CLIENT_I_DN", client.issuer.as_bytes());
    params.pair(b"SSL_CLIENT_M_SERIAL", client.serial.as_bytes());
}

/// RFC 3875 §4.1.2: CONTENT_LENGTH is what is really sent on STDIN; the body was spooled before
/// where the client announced no length.
fn content_variables(params: &mut ParamsEncoder<'_>, request: &Request, length: Option<u64>) {
    // An announced length of 0 is told, none at all is not.
    let announced = request.fields.contains_key(header::CONTENT_LENGTH);
    if let Some(length) = length.filter(|length| *length > 0 || announced) {
        params.pair(b"CONTENT_LENGTH", length.to_string().as_bytes());
    }
    if let Some(value) = request.fields.get(header::CONTENT_TYPE) {
        params.pair(b"CONTENT_TYPE", value.as_bytes());
    }
}

/// RFC 3875 §4.1.18: the header fields as `HTTP_…`, one variable a name.
fn protocol_variables(params: &mut ParamsEncoder<'_>, request: &Request) {
    let mut joined = Vec::new();
    for name in request.fields.keys().filter(|name| is_exported(name)) {
        let mut values = request
            .fields
            .get_all(name)
            .iter()
            .map(|value| trim(value.as_bytes()));
        let Some(first) = values.next() else { continue };
        let Some(second) = values.next() else {
            params.http_field(name.as_str(), first);
            continue;
        };
        // RFC 9110 §5.3, and RFC 9113 §8.2.3 for cookies.
        let separator: &[u8] = if name == header::COOKIE { b"; " } else { b", " };
        joined.clear();
        joined.extend_from_slice(first);
        for value in std::iter::once(second).chain(values) {
            joined.extend_from_slice(separator);
            joined.extend_from_slice(value);
        }
        params.http_field(name.as_str(), &joined);
    }
}

/// behaviours no. 20–22. Names with anything but letters, digits and hyphens could pass for
/// another field once hyphens have become underscores; `Proxy` would become HTTP_PROXY, which
/// libraries obey (httpoxy); X-Sendfile-Type and X-Accel-Mapping are the gateway's to say: a client
/// that said them would choose what file a framework hands out; Proxy-Authorization is addressed to
/// us; the two content fields have their own variables; Transfer-Encoding and its like ended at our
/// door.
fn is_exported(name: &HeaderName) -> bool {
    let plain = name
        .as_str()
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let withheld = name == header::PROXY_AUTHORIZATION
        || name == header::CONTENT_LENGTH
        || name == header::CONTENT_TYPE
        || matches!(
            name.as_str(),
            "proxy" | "x-sendfile-type" | "x-accel-mapping"
        );
    plain && !withheld && !is_hop_by_hop(name)
}

/// RFC 9110 §5.5: surrounding SP and HTAB are not part of the value.
fn trim(value: &[u8]) -> &[u8] {
    let start = value
        .iter()
        .position(|byte| !matches!(byte, b' ' | b'\t'))
        .unwrap_or(value.len());
    let end = value
        .iter()
        .rposition(|byte| !matches!(byte, b' ' | b'\t'))
        .map_or(start, |last| last + 1);
    value.get(start..end).unwrap_or_default()
}

/// RFC 3875 §4.1.16, as received.
pub fn protocol(version: Version) -> &'static str {
    if version == Version::HTTP_2 {
        "HTTP/2.0"
    } else if version == Version::HTTP_10 {
        "HTTP/1.0"
    } else {
        "HTTP/1.1"
    }
}
