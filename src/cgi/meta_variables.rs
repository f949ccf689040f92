//! Meta-variables (RFC 3875 §4.1), encoded straight into the PARAMS record. A name that is not the RFC's is
//! marked with its source.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use http::{HeaderName, Version, header};

use super::contract::{Export, plain_spelling};
use super::{Contract, Mapping, Responder, Script, ssl_variables};
use crate::fastcgi::params::{ParamsEncoder, encode_pair};
use crate::message::host::server_port;
use crate::message::request_id::X_REQUEST_ID;
use crate::message::trace_id::TRACEPARENT;
use crate::message::whitespace::trim;
use crate::message::{Cause, Previous, Request, Scheme, Wire};

/// Variables that are equal for all requests of one rule, encoded once when the configuration is loaded.
#[derive(Clone, Debug)]
pub struct Constants {
    all: Vec<u8>,
    /// Those without a root in them, for requests whose roots are resolved.
    rootless: Vec<u8>,
    /// The roots are those of a mount.
    is_mounted: bool,
}

impl Constants {
    /// Encodes the variables that do not depend on the request.
    pub fn new(mapping: &Mapping) -> Self {
        Self::mounted(mapping, "", &Contract::default())
    }

    /// Encodes them for a root at the path `prefix`; `contract` may have a document root of its own.
    pub fn mounted(mapping: &Mapping, prefix: &str, contract: &Contract) -> Self {
        let mut rootless = Vec::new();
        encode_pair(&mut rootless, b"GATEWAY_INTERFACE", b"CGI/1.1");
        encode_pair(&mut rootless, b"SERVER_SOFTWARE", b"fcgate");
        encode_pair(&mut rootless, b"SERVER_SIGNATURE", b""); // Apache's, as with ServerSignature Off
        // Apache's mod_alias.
        encode_pair(&mut rootless, b"CONTEXT_PREFIX", prefix.as_bytes());
        let is_mounted = !prefix.is_empty();
        let root = mapping.document_root();
        let mut all = rootless.clone();
        for (name, value) in document_roots(root, document_root(root, contract), is_mounted) {
            encode_pair(&mut all, name, value);
        }
        Self {
            all,
            rootless,
            is_mounted,
        }
    }

    /// Adds a variable without a root in it.
    #[must_use]
    pub fn with(mut self, name: &str, value: &[u8]) -> Self {
        encode_pair(&mut self.all, name.as_bytes(), value);
        encode_pair(&mut self.rootless, name.as_bytes(), value);
        self
    }

    /// Adds HTTP_X_ACCEL_MAPPING, which names folders below the roots.
    #[must_use]
    pub fn with_accel_mapping(mut self, mapping: &[u8]) -> Self {
        encode_pair(&mut self.all, ACCEL_MAPPING, mapping);
        self
    }

    /// Encodes the variables for a call of `script`.
    pub fn encode(&self, params: &mut ParamsEncoder<'_>, script: &Script) {
        let Some(roots) = &script.resolved else {
            return params.raw(&self.all);
        };
        params.raw(&self.rootless);
        let [root, document_root] = [&roots.script, &roots.document].map(|root| bytes(root));
        for (name, value) in document_roots(root, document_root, self.is_mounted) {
            params.pair(name, value);
        }
        if !roots.accel_mapping.is_empty() {
            params.pair(ACCEL_MAPPING, &roots.accel_mapping);
        }
    }

    /// Returns the name-value pairs for roots as configured, ready for PARAMS.
    #[cfg(test)]
    pub(crate) fn encoded(&self) -> &[u8] {
        &self.all
    }
}

/// Variable of Symfony and Rack.
const ACCEL_MAPPING: &[u8] = b"HTTP_X_ACCEL_MAPPING";

/// Returns the variables whose values are roots; CONTEXT_DOCUMENT_ROOT is Apache's, by mod_alias.
fn document_roots<'a>(
    root: &'a [u8],
    document_root: &'a [u8],
    is_mounted: bool,
) -> [(&'static [u8], &'a [u8]); 2] {
    let context = if is_mounted { root } else { document_root };
    [
        (b"DOCUMENT_ROOT", document_root),
        (b"CONTEXT_DOCUMENT_ROOT", context),
    ]
}

impl Mapping {
    /// Returns the document root as PHP sees it, as bytes and without a trailing slash.
    pub fn document_root(&self) -> &[u8] {
        bytes(self.backend_root.as_ref().unwrap_or(&self.root.0))
    }
}

impl Script {
    /// Returns the root of the script as PHP sees it, as bytes and without a trailing slash.
    pub fn root<'a>(&'a self, mapping: &'a Mapping) -> &'a [u8] {
        match &self.resolved {
            Some(roots) => bytes(&roots.script),
            None => mapping.document_root(),
        }
    }

    /// Returns DOCUMENT_ROOT, likewise.
    fn document_root<'a>(&'a self, mapping: &'a Mapping, contract: &'a Contract) -> &'a [u8] {
        match &self.resolved {
            Some(roots) => bytes(&roots.document),
            None => document_root(mapping.document_root(), contract),
        }
    }
}

/// Returns the site's document root if `root` is an alias, else `root`.
fn document_root<'a>(root: &'a [u8], contract: &'a Contract) -> &'a [u8] {
    contract
        .document_root
        .as_ref()
        .map_or(root, |own| bytes(&own.0))
}

/// Returns a path as bytes, without a trailing slash.
fn bytes(path: &Path) -> &[u8] {
    let root = path.as_os_str().as_bytes();
    match root.strip_suffix(b"/") {
        Some(stripped) if !stripped.is_empty() => stripped,
        Some(_) | None => root,
    }
}

/// Encodes the variables of the script and of its call.
pub fn encode_script(
    params: &mut ParamsEncoder<'_>,
    request: &Request,
    script: &Script,
    mapping: &Mapping,
    contract: &Contract,
) {
    let root = script.root(mapping);
    match &contract.responder {
        // Beside REDIRECT_URL PHP-FPM drops a PATH_INFO that it has not split off itself.
        Responder::Fpm if redirection_of(request).is_some() && can_be_split(script) => {
            encode_unsplit(params, script, &[b"proxy:fcgi://localhost", root]);
        }
        Responder::Fpm | Responder::Generic => {
            let document_root = script.document_root(mapping, contract);
            encode_split(params, script, [root, document_root]);
        }
        Responder::ApacheFpm(prefix) => encode_unsplit(params, script, &[prefix, root]),
    }
    encode_redirection(params, request);
    // nginx's name for SCRIPT_NAME with PATH_INFO; some applications read it.
    params.pair_parts(b"DOCUMENT_URI", &[&script.name, &script.path_info]);
    params.pair(b"REQUEST_URI", request.target.raw().as_bytes()); // Apache's name
    params.pair(
        b"QUERY_STRING",
        request.target.query().unwrap_or_default().as_bytes(),
    );
}

/// Reports whether PHP-FPM would find the same PATH_INFO; it takes a `?` for the end of the path.
fn can_be_split(script: &Script) -> bool {
    !script.path_info.is_empty() && !script.has(b'?')
}

fn encode_split(
    params: &mut ParamsEncoder<'_>,
    script: &Script,
    [root, document_root]: [&[u8]; 2],
) {
    params.pair_parts(b"SCRIPT_FILENAME", &[root, &script.file]);
    params.pair(b"SCRIPT_NAME", &script.name);
    // RFC 3875 §4.1.6: PATH_TRANSLATED only together with PATH_INFO.
    if !script.path_info.is_empty() {
        params.pair(b"PATH_INFO", &script.path_info);
        params.pair_parts(b"PATH_TRANSLATED", &[document_root, &script.path_info]);
    }
}

/// Encodes the script as mod_proxy_fcgi does for ProxyPassMatch (docs/cgi.md, "How a URL becomes a script").
/// PHP-FPM recognises Apache by the prefix, walks up to the existing file, and sets the rest itself.
fn encode_unsplit(params: &mut ParamsEncoder<'_>, script: &Script, [prefix, root]: &[&[u8]; 2]) {
    let file = [*prefix, *root, &script.file, &script.path_info];
    params.pair_parts(b"SCRIPT_FILENAME", &file);
    params.pair_parts(b"SCRIPT_NAME", &[&script.name, &script.path_info]);
}

/// Encodes Apache's REDIRECT_…: the target of the request before a rule or an error redirected it internally.
/// An index file and a front controller are no redirects, there as here.
fn encode_redirection(params: &mut ParamsEncoder<'_>, request: &Request) {
    match redirection_of(request) {
        Some(Cause::ErrorPage {
            status,
            method,
            from,
        }) => {
            params.pair(b"REDIRECT_STATUS", status.as_str().as_bytes());
            params.pair(b"REDIRECT_REQUEST_METHOD", method.as_str().as_bytes());
            encode_previous_target(params, from);
        }
        Some(Cause::Rewrite(from)) => {
            params.pair(b"REDIRECT_STATUS", b"200");
            encode_previous_target(params, from);
        }
        // php-cgi with cgi.force_redirect (its default) runs nothing without it.
        Some(Cause::Index) | None => params.pair(b"REDIRECT_STATUS", b"200"),
    }
}

fn redirection_of(request: &Request) -> Option<&Cause> {
    let mut causes = request.causes.iter().rev();
    causes.find(|cause| !matches!(cause, Cause::Index))
}

fn encode_previous_target(params: &mut ParamsEncoder<'_>, from: &Previous) {
    params.pair(b"REDIRECT_URL", &from.path);
    if let Some(query) = &from.query {
        params.pair(b"REDIRECT_QUERY_STRING", query.as_bytes());
    }
}

/// Encodes the variables of the request alone. `length` is the content on STDIN; `dropped` receives each field
/// that is not exported because its variable could be taken for that of another.
pub fn encode_request(
    params: &mut ParamsEncoder<'_>,
    request: &Request,
    length: Option<u64>,
    contract: &Contract,
    dropped: &mut dyn FnMut(&HeaderName),
) {
    request_variables(params, request);
    connection_variables(params, request);
    content_variables(params, request, length);
    protocol_variables(params, request, contract, dropped);
}

fn request_variables(params: &mut ParamsEncoder<'_>, request: &Request) {
    params.pair(b"REQUEST_METHOD", request.method.as_str().as_bytes());
    params.pair(b"SERVER_PROTOCOL", protocol(request.version).as_bytes());
    identifier_variables(params, request);
    if let Some(user) = request.user() {
        params.pair(b"REMOTE_USER", &user.name);
        if let Some(scheme) = user.scheme {
            params.pair(b"AUTH_TYPE", scheme.as_bytes());
        }
    }
}

/// Encodes the identifiers of the request and of its trace. A field that is there, from a trusted proxy or by a rule,
/// is encoded with the others.
fn identifier_variables(params: &mut ParamsEncoder<'_>, request: &Request) {
    let text = request.id.text();
    params.pair(b"REQUEST_ID", text.as_bytes());
    params.pair(b"UNIQUE_ID", text.as_bytes()); // Apache's mod_unique_id
    if !request.fields.contains_key(&X_REQUEST_ID) {
        params.pair(b"HTTP_X_REQUEST_ID", text.as_bytes());
    }
    if let Some(traceparent) = request.id.first_traceparent()
        && !request.fields.contains_key(&TRACEPARENT)
    {
        params.pair_parts(b"HTTP_TRACEPARENT", &traceparent.parts());
    }
}

fn connection_variables(params: &mut ParamsEncoder<'_>, request: &Request) {
    let wire = &request.wire;
    params.raw(
        wire.params
            .get_or_encode(|params| encode_wire(params, wire)),
    );
    let canonical = request.canonical.as_deref();
    // Apache with UseCanonicalName Off: both from Host, which was validated at the edge.
    let host = canonical.unwrap_or(&request.host);
    let name = if host.name().is_empty() {
        &wire.local_addr
    } else {
        host.name()
    };
    params.pair(b"SERVER_NAME", name.as_bytes());
    let port = server_port(wire, canonical, request.host.port());
    params.pair(b"SERVER_PORT", itoa::Buffer::new().format(port).as_bytes());
}

/// Encodes the variables that are equal for all requests of a connection.
fn encode_wire(pairs: &mut Vec<u8>, wire: &Wire) {
    encode_pair(pairs, b"REMOTE_ADDR", wire.remote_addr.as_bytes());
    encode_pair(pairs, b"REMOTE_PORT", wire.remote_port.as_bytes());
    encode_pair(pairs, b"SERVER_ADDR", wire.local_addr.as_bytes());
    encode_pair(pairs, b"REQUEST_SCHEME", wire.scheme.as_str().as_bytes()); // Apache's name
    if wire.scheme == Scheme::Https {
        encode_pair(pairs, b"HTTPS", b"on");
    }
    if let Some(facts) = &wire.tls {
        ssl_variables::encode(pairs, facts);
    }
}

/// Encodes the content variables. CONTENT_LENGTH (RFC 3875 §4.1.2) is the real length on STDIN; a body without
/// an announced length was spooled before.
fn content_variables(params: &mut ParamsEncoder<'_>, request: &Request, length: Option<u64>) {
    // An announced length of 0 is exported, a missing one is not.
    let announced = request.fields.contains_key(header::CONTENT_LENGTH);
    if let Some(length) = length.filter(|length| *length > 0 || announced) {
        params.pair(b"CONTENT_LENGTH", length.to_string().as_bytes());
    }
    if request.fields.contains_key(header::CONTENT_TYPE) {
        params.pair(b"CONTENT_TYPE", &joined(request, &header::CONTENT_TYPE));
    }
}

/// Encodes the header fields as `HTTP_…` (RFC 3875 §4.1.18), one variable per name.
fn protocol_variables(
    params: &mut ParamsEncoder<'_>,
    request: &Request,
    contract: &Contract,
    dropped: &mut dyn FnMut(&HeaderName),
) {
    let fields = &request.fields;
    let settings = (
        contract,
        contract.withholds_authorization(request.has_auth()),
    );
    // The usual request has each name once and needs no look-up.
    let is_simple = fields.keys_len() == fields.len();
    if is_simple {
        for (name, value) in fields {
            if is_exported(name, request, settings, dropped) {
                params.http_field(name.as_str(), trim(value.as_bytes()));
            }
        }
        return;
    }
    for name in fields.keys() {
        if is_exported(name, request, settings, dropped) {
            params.http_field(name.as_str(), &joined(request, name));
        }
    }
}

fn is_exported(
    name: &HeaderName,
    request: &Request,
    (contract, withholds_authorization): (&Contract, bool),
    dropped: &mut dyn FnMut(&HeaderName),
) -> bool {
    match contract.export(name, withholds_authorization) {
        Export::Exported => true,
        Export::UnlessPlainExists => !request.fields.contains_key(plain_spelling(name)),
        Export::Withheld => false,
        Export::Ambiguous => {
            dropped(name);
            false
        }
    }
}

/// Joins all values of a field: RFC 9110 §5.3, and RFC 9113 §8.2.3 for cookies.
fn joined(request: &Request, name: &HeaderName) -> Vec<u8> {
    let separator: &[u8] = if name == header::COOKIE { b"; " } else { b", " };
    let values = request.fields.get_all(name).iter();
    let trimmed: Vec<_> = values.map(|value| trim(value.as_bytes())).collect();
    trimmed.join(separator)
}

/// Returns SERVER_PROTOCOL (RFC 3875 §4.1.16), as received.
pub fn protocol(version: Version) -> &'static str {
    if version == Version::HTTP_2 {
        "HTTP/2.0"
    } else if version == Version::HTTP_10 {
        "HTTP/1.0"
    } else {
        "HTTP/1.1"
    }
}
