//! Variables of every request, independent of its rule's captures.

use std::borrow::Cow;

use http::HeaderName;

use super::Piece;

/// Variable of every request, independent of its rule's captures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// `$path`: the decoded, normalised path.
    Path,
    /// `$rest`: the path after the prefix of the rule; the whole path without one.
    Rest,
    /// `$query`: the raw query without its `?`; empty if there is none.
    Query,
    /// `$host`: the host name, lower-cased, without its port.
    Host,
    /// `$port`: the port that the client requested, or the default of the scheme.
    Port,
    /// `$scheme`: `http` or `https`.
    Scheme,
    /// `$protocol`: `HTTP/1.1` or `HTTP/2.0`, as SERVER_PROTOCOL.
    Protocol,
    /// `$uri`: path and query as the client sent them.
    Uri,
    /// `$method`: as the client sent it.
    Method,
    /// `$remote_addr`: the client address, `unix:` on a unix socket.
    RemoteAddr,
    /// `$remote_port`: the client port; empty on a unix socket and behind a trusted proxy.
    RemotePort,
    /// `$remote_user`: the authenticated user; empty without one.
    RemoteUser,
    /// `$request_id`: the identifier in the logs.
    RequestId,
}

/// Source of the values of a template.
pub trait Values {
    /// Returns the group of this number, 0 being the whole match; `None` if it did not match.
    fn capture(&self, index: usize) -> Option<&[u8]>;

    /// Returns the group of this name; `None` if it did not match.
    fn named(&self, name: &str) -> Option<&[u8]>;

    /// Returns the value of a request variable.
    fn variable(&self, variable: Variable) -> Cow<'_, [u8]>;

    /// Returns the first header field of this name.
    fn header(&self, name: &HeaderName) -> Option<&[u8]>;

    /// Returns the first cookie of this name, undecoded.
    fn cookie(&self, name: &str) -> Option<&[u8]>;
}

/// A value for expansion, by its encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Decoded, or never encoded: a group, a path, a name.
    Plain(&'a [u8]),
    /// `$query`, as the client sent it.
    Query(&'a [u8]),
    /// `$uri`: path and query, as the client sent them.
    Uri(&'a [u8]),
}

impl<'a> Value<'a> {
    pub(super) fn of(variable: Variable, value: &'a [u8]) -> Self {
        match variable {
            Variable::Query => Self::Query(value),
            Variable::Uri => Self::Uri(value),
            Variable::Path | Variable::Rest | Variable::Host | Variable::Port => Self::Plain(value),
            Variable::Scheme | Variable::Protocol | Variable::Method => Self::Plain(value),
            Variable::RemoteAddr | Variable::RemotePort => Self::Plain(value),
            Variable::RemoteUser | Variable::RequestId => Self::Plain(value),
        }
    }

    /// Returns the bytes, in that encoding.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Self::Plain(bytes) | Self::Query(bytes) | Self::Uri(bytes) => bytes,
        }
    }
}

/// All variables with their names.
pub(super) const VARIABLES: [(&str, Variable); 13] = [
    ("path", Variable::Path),
    ("rest", Variable::Rest),
    ("query", Variable::Query),
    ("host", Variable::Host),
    ("port", Variable::Port),
    ("scheme", Variable::Scheme),
    ("protocol", Variable::Protocol),
    ("uri", Variable::Uri),
    ("method", Variable::Method),
    ("remote_addr", Variable::RemoteAddr),
    ("remote_port", Variable::RemotePort),
    ("remote_user", Variable::RemoteUser),
    ("request_id", Variable::RequestId),
];

pub(super) fn variable(name: &str) -> Option<Variable> {
    let found = VARIABLES.iter().find(|(known, _)| *known == name);
    found.map(|(_, variable)| *variable)
}

/// Look-up of an environment variable.
pub type Environment = fn(&str) -> Option<String>;

/// Parses `${header:NAME}`, `${cookie:NAME}`, `${env:NAME}`.
pub(super) fn of_kind(
    kind: &str,
    name: &str,
    environment: Option<Environment>,
) -> Result<Piece, String> {
    match kind {
        "header" => match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) => Ok(Piece::Header(name)),
            Err(_) => Err(format!("`{name}` is not the name of a header")),
        },
        "cookie" if is_cookie_name(name) => Ok(Piece::Cookie(name.to_owned())),
        "cookie" => Err(format!("`{name}` is not the name of a cookie")),
        "env" => of_environment(name, environment),
        other => Err(format!(
            "unknown source `${{{other}:…}}`: known are `${{header:NAME}}`, `${{cookie:NAME}}` and `${{env:NAME}}`"
        )),
    }
}

fn of_environment(name: &str, environment: Option<Environment>) -> Result<Piece, String> {
    let Some(value) = environment.and_then(|look_up| look_up(name)) else {
        return Err(format!(
            "the environment variable {name} is not set: set it in the environment of the gateway"
        ));
    };
    if value.contains(|c: char| c.is_control()) {
        return Err(format!(
            "the environment variable {name} contains a control character, which no path and no header can have"
        ));
    }
    Ok(Piece::Literal(value))
}

/// Reports whether the name is a token (RFC 6265 §4.1.1).
fn is_cookie_name(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte);
    !name.is_empty() && name.bytes().all(token)
}
