//! The names that every request has, whatever its rule captured.

use std::borrow::Cow;

use http::HeaderName;

use super::Piece;

/// What every request has, whatever its rule captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// `$path`: the decoded, normalised path.
    Path,
    /// `$rest`: what follows the prefix of the rule; the whole path where it has none.
    Rest,
    /// `$query`: the raw query without its `?`; empty where there is none.
    Query,
    /// `$host`: the name of the host, lower-cased, without its port.
    Host,
    /// `$port`: the port that the client asked for, or that of the scheme.
    Port,
    /// `$scheme`: `http` or `https`.
    Scheme,
    /// `$protocol`: `HTTP/1.1` or `HTTP/2.0`, as SERVER_PROTOCOL.
    Protocol,
    /// `$uri`: path and query as the client sent them.
    Uri,
    /// `$method`: as the client sent it.
    Method,
    /// `$remote_addr`: the address of the client, `unix:` on a unix socket.
    RemoteAddr,
    /// `$remote_port`: the port of the client; empty on a unix socket and behind a trusted proxy.
    RemotePort,
    /// `$request_id`: 24 hexadecimal digits, as in the logs.
    RequestId,
}

/// What a template takes its values from.
pub trait Values {
    /// The group of this number, 0 being the whole match; `None` where it took no part in it.
    fn capture(&self, index: usize) -> Option<&[u8]>;

    /// The group of this name; `None` where it took no part in the match.
    fn named(&self, name: &str) -> Option<&[u8]>;

    /// What the request says.
    fn variable(&self, variable: Variable) -> Cow<'_, [u8]>;

    /// The first header field of this name.
    fn header(&self, name: &HeaderName) -> Option<&[u8]>;

    /// The first cookie of this name, as it was sent.
    fn cookie(&self, name: &str) -> Option<&[u8]>;
}

/// A value on its way into a text, by the form in which it comes.
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
            Variable::RequestId => Self::Plain(value),
        }
    }

    /// Its bytes, in that form.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Self::Plain(bytes) | Self::Query(bytes) | Self::Uri(bytes) => bytes,
        }
    }
}

/// The variables by their names.
pub(super) const VARIABLES: [(&str, Variable); 12] = [
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
    ("request_id", Variable::RequestId),
];

pub(super) fn variable(name: &str) -> Option<Variable> {
    let found = VARIABLES.iter().find(|(known, _)| *known == name);
    found.map(|(_, variable)| *variable)
}

/// Looks a variable of the environment up.
pub type Environment = fn(&str) -> Option<String>;

/// `${header:NAME}`, `${cookie:NAME}`, `${env:NAME}`.
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
            "there is no `${{{other}:…}}`: there are `${{header:NAME}}`, `${{cookie:NAME}}` and `${{env:NAME}}`"
        )),
    }
}

fn of_environment(name: &str, environment: Option<Environment>) -> Result<Piece, String> {
    let Some(value) = environment.and_then(|look_up| look_up(name)) else {
        return Err(format!(
            "the environment variable {name} is not set: set it where the gateway is started"
        ));
    };
    match value.contains(|c: char| c.is_control()) {
        true => Err(format!(
            "the environment variable {name} has a control character in it, which no path and no header can have"
        )),
        false => Ok(Piece::Literal(value)),
    }
}

/// RFC 6265 §4.1.1: a token.
fn is_cookie_name(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte);
    !name.is_empty() && name.bytes().all(token)
}
