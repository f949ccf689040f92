//! RFC 3875 §4.1: what the script is told of the request, encoded straight into the PARAMS
//! record. Where a name is not the RFC's, its source stands beside it.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;

use http::{Version, header};

use super::{Mapping, Passing, Script, redirected};
use crate::fastcgi::params::{ParamsEncoder, encode_pair};
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
        encode_pair(&mut encoded, b"DOCUMENT_ROOT", mapping.document_root());
        // Apache's; an alias is a rule of ours and has no context of its own.
        encode_pair(&mut encoded, b"CONTEXT_PREFIX", b"");
        encode_pair(
            &mut encoded,
            b"CONTEXT_DOCUMENT_ROOT",
            mapping.document_root(),
        );
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

/// To whom variables are written: how the server wants to be told of a script.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// PHP-FPM: plain paths, already split.
    #[default]
    Fpm,
    /// PHP-FPM that is to split by itself, as it does behind Apache's ProxyPassMatch.
    ApacheFpm,
    /// Any FastCGI application: as `Fpm`, and nothing of PHP-FPM is taken for granted.
    Generic,
}

/// By this PHP-FPM knows Apache; it drops all up to the path (sapi/fpm/fpm/fpm_main.c).
const APACHE: &[u8] = b"proxy:fcgi://localhost";

/// Writes what follows from the script and how it was called.
pub fn encode_script(
    params: &mut ParamsEncoder<'_>,
    request: &Request,
    script: &Script,
    mapping: &Mapping,
    backend: Backend,
) {
    let root = mapping.document_root();
    let (name, path_info) = (&script.name, &script.path_info);
    match backend {
        Backend::Fpm | Backend::Generic => {
            params.pair_parts(b"SCRIPT_FILENAME", &[root, &script.file]);
            params.pair(b"SCRIPT_NAME", name);
            // RFC 3875 §4.1.6: PATH_TRANSLATED only together with PATH_INFO.
            if !path_info.is_empty() {
                params.pair(b"PATH_INFO", path_info);
                params.pair_parts(b"PATH_TRANSLATED", &[root, path_info]);
            }
        }
        Backend::ApacheFpm => {
            params.pair_parts(b"SCRIPT_FILENAME", &[APACHE, root, &script.file, path_info]);
            params.pair_parts(b"SCRIPT_NAME", &[name, path_info]);
        }
    }
    // nginx's name for SCRIPT_NAME with PATH_INFO; some applications read it.
    params.pair_parts(b"DOCUMENT_URI", &[name, path_info]);
    params.pair(b"REQUEST_URI", request.target.raw().as_bytes()); // Apache's name
    params.pair(
        b"QUERY_STRING",
        request.target.query().unwrap_or_default().as_bytes(),
    );
    redirected::encode(params, request);
}

/// Writes what follows from the request alone. `length` is what will be sent on STDIN.
pub fn encode_request(
    params: &mut ParamsEncoder<'_>,
    request: &Request,
    passing: &Passing,
    length: Option<u64>,
) {
    request_variables(params, request);
    connection_variables(params, request);
    server_variables(params, request, passing);
    content_variables(params, request, length);
    protocol_variables(params, request, passing);
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
    params.pair(b"REQUEST_SCHEME", wire.scheme.as_str().as_bytes()); // Apache's name
    if wire.scheme == Scheme::Https {
        params.pair(b"HTTPS", b"on");
    }
    if let Some(facts) = &wire.tls {
        tls_variables(params, facts);
    }
}

/// Both from Host, which was validated at the edge, as Apache with UseCanonicalName Off; or from the
/// configuration, as with On.
fn server_variables(params: &mut ParamsEncoder<'_>, request: &Request, passing: &Passing) {
    let (wire, host) = (&request.wire, &request.host);
    let (name, port) = match &passing.canonical_name {
        Some(name) => (name.as_str(), wire.local_port),
        None if host.name().is_empty() => (wire.local_addr.as_str(), host.port()),
        None => (host.name(), host.port()),
    };
    params.pair(b"SERVER_NAME", name.as_bytes());
    let port = port.unwrap_or_else(|| wire.scheme.default_port());
    params.pair(b"SERVER_PORT", port.to_string().as_bytes());
}

/// Apache's mod_ssl, as with `SSLOptions +StdEnvVars`.
fn tls_variables(params: &mut ParamsEncoder<'_>, facts: &TlsFacts) {
    params.pair(b"SSL_PROTOCOL", facts.protocol.as_bytes());
    params.pair(b"SSL_CIPHER", facts.cipher.as_bytes());
    params.pair(b"SSL_CIPHER_USEKEYSIZE", facts.key_bits.as_bytes());
    params.pair(b"SSL_CIPHER_ALGKEYSIZE", facts.key_bits.as_bytes());
    let session = if facts.resumed { "Resumed" } else { "Initial" };
    params.pair(b"SSL_SESSION_RESUMED", session.as_bytes());
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
    for (name, value) in &client.variables {
        params.pair(name.as_bytes(), value.as_bytes());
    }
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
fn protocol_variables(params: &mut ParamsEncoder<'_>, request: &Request, passing: &Passing) {
    if !request.fields.contains_key(header::HOST) && !request.host.name().is_empty() {
        // HTTP/2 has `:authority` in its place.
        params.pair(b"HTTP_HOST", authority(request).as_bytes());
    }
    let mut joined = Vec::new();
    let fields = &request.fields;
    for name in fields.keys().filter(|name| passing.exports(name, fields)) {
        let mut values = fields
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

fn authority(request: &Request) -> String {
    match request.host.port() {
        Some(port) => format!("{}:{port}", request.host.name()),
        None => request.host.name().to_owned(),
    }
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
