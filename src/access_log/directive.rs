//! Directives of a format and their values for a record.

mod fields;
mod moment;

use std::borrow::Cow;

pub(super) use fields::{Cookie, Field};
pub(super) use moment::{Form, Moment};

use super::Record;
use super::clock::{Clock, Second};
use super::escape::Value;
use super::redact;
use crate::message::Host;
use crate::message::host::server_port;
use crate::message::wire::Scheme;

/// A directive of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Directive {
    /// A value that no request has: always a dash.
    Nothing,
    Address(Address),
    Authority(Authority),
    Scheme,
    /// mod_ssl's HTTPS: `on` or `off`.
    Https,
    Tls(Tls),
    Method,
    Target(Target),
    Protocol,
    /// Method, target and protocol.
    RequestLine,
    Status,
    Size(Size),
    Complete,
    Persistence,
    Elapsed(Unit),
    Wait(Wait),
    Site,
    Handler,
    Upstream,
    Cause,
    User,
    RequestId,
    TraceId,
    /// The process ID.
    Process,
    RequestField(Field),
    ResponseField(Field),
    Cookie(Cookie),
    Time(Moment),
}

/// An endpoint of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Client,
    ClientPort,
    Local,
    LocalPort,
}

/// Parameters that the TLS handshake negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tls {
    Protocol,
    Cipher,
    ServerName,
    /// The subject of the client certificate.
    ClientSubject,
}

/// The requested authority, and the name and port of the server, which are its own unless the site has a canonical name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Authority {
    Whole,
    Name,
    /// The port, as [`server_port`] returns it.
    Port,
}

/// Parts of the request target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Whole,
    Path,
    /// Includes the `?`.
    Query,
}

/// Sizes of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Content,
    /// A dash for an empty content.
    ContentOrDash,
    HeadAndContent,
}

/// Units of the duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Microseconds,
    Milliseconds,
    Seconds,
    /// Milliseconds, exact to the microsecond.
    Exact,
}

/// Parts of the duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Queue,
    Connect,
    Acknowledge,
    FirstByte,
}

/// Input of the directives of one line.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) record: &'a Record,
    pub(super) clock: &'a Clock,
    /// The second of the record's time.
    pub(super) second: &'a Second,
    /// Includes secrets.
    pub(super) secrets: bool,
}

impl Directive {
    /// Returns the directive's value for the record.
    pub(super) fn value<'a>(&'a self, view: View<'a>) -> Value<'a> {
        let record = view.record;
        match self {
            Self::Nothing => Value::Absent,
            Self::Address(address) => address.value(record),
            Self::Authority(authority) => authority.value(record),
            Self::Scheme => Value::text(record.wire.scheme.as_str()),
            Self::Https => Value::text(https(record.wire.scheme)),
            Self::Tls(tls) => optional(tls.text(record)),
            Self::Method => Value::text(record.method.as_str()),
            Self::Target(target) => target.value(view),
            Self::Protocol => Value::text(record.protocol),
            Self::RequestLine => request_line(view),
            Self::Status => Value::Number(record.status.into()),
            Self::Size(size) => size.value(record),
            Self::Complete => Value::Flag(record.complete),
            Self::Persistence => Value::text(persistence(record)),
            Self::Elapsed(unit) => unit.value(record),
            Self::Wait(wait) => wait.value(record),
            Self::Site => optional(record.site.as_deref()),
            Self::Handler => Value::text(record.handler),
            Self::Upstream => optional(record.upstream.as_deref()),
            Self::Cause => optional(record.cause),
            Self::User => record.user.as_ref().map_or(Value::Absent, Value::text),
            Self::RequestId => Value::owned(record.request_id.to_string()),
            Self::TraceId => trace_id(record),
            Self::Process => Value::Number(std::process::id().into()),
            Self::RequestField(field) => field.value(&record.captured.request, view.secrets),
            Self::ResponseField(field) => field.value(&record.captured.response, view.secrets),
            Self::Cookie(cookie) => cookie.value(&record.captured.request, view.secrets),
            Self::Time(moment) => moment.value(view),
        }
    }
}

impl Address {
    fn value(self, record: &Record) -> Value<'_> {
        let wire = &record.wire;
        match self {
            Self::Client => Value::text(&wire.remote_addr),
            Self::ClientPort if wire.remote_port.is_empty() => Value::Absent,
            Self::ClientPort => Value::text(&wire.remote_port),
            Self::Local => Value::text(&wire.local_addr),
            Self::LocalPort => wire
                .local_port
                .map_or(Value::Absent, |port| Value::Number(port.into())),
        }
    }
}

impl Tls {
    fn text(self, record: &Record) -> Option<&str> {
        let facts = record.wire.tls.as_deref()?;
        match self {
            Self::Protocol => Some(facts.protocol),
            Self::Cipher => Some(facts.cipher),
            Self::ServerName => facts.server_name.as_deref(),
            Self::ClientSubject => {
                let client = facts.client.as_ref();
                client.map(|client| client.subject.as_str())
            }
        }
    }
}

impl Authority {
    fn value(self, record: &Record) -> Value<'_> {
        let (named, port) = split_port(&record.host);
        let canonical = record.canonical.as_deref();
        match self {
            Self::Whole => Value::text(&record.host),
            Self::Name => match canonical.map_or(named, Host::name) {
                "" => Value::Absent,
                name => Value::text(name),
            },
            Self::Port => Value::Number(server_port(&record.wire, canonical, port).into()),
        }
    }
}

impl Target {
    fn value(self, view: View<'_>) -> Value<'_> {
        let target = view.record.target();
        let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
        match self {
            Self::Whole => Value::Text(view.shown(target)),
            Self::Path => Value::text(path),
            Self::Query => Value::Text(view.shown(query)),
        }
    }
}

impl Size {
    fn value<'a>(self, record: &Record) -> Value<'a> {
        match self {
            Self::ContentOrDash if record.bytes == 0 => Value::Absent,
            Self::Content | Self::ContentOrDash => Value::Number(record.bytes),
            Self::HeadAndContent => Value::Number(record.captured.head + record.bytes),
        }
    }
}

impl Unit {
    fn value<'a>(self, record: &Record) -> Value<'a> {
        match self {
            Self::Microseconds => whole(record.duration.as_micros()),
            Self::Milliseconds => whole(record.duration.as_millis()),
            Self::Seconds => Value::Number(record.duration.as_secs()),
            Self::Exact => Value::Milliseconds(record.duration),
        }
    }
}

impl Wait {
    fn value<'a>(self, record: &Record) -> Value<'a> {
        let duration = match self {
            Self::Queue => record.queue,
            Self::Connect => record.connect,
            Self::Acknowledge => record.acknowledge,
            Self::FirstByte => record.first_byte,
        };
        duration.map_or(Value::Absent, Value::Milliseconds)
    }
}

impl<'a> View<'a> {
    fn shown(&self, uri: &'a str) -> Cow<'a, [u8]> {
        if self.secrets {
            Cow::Borrowed(uri.as_bytes())
        } else {
            redact::uri(uri.as_bytes())
        }
    }
}

fn https(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Http => "off",
        Scheme::Https => "on",
    }
}

fn request_line(view: View<'_>) -> Value<'_> {
    let method = view.record.method.as_str().as_bytes();
    let target = view.shown(view.record.target());
    let protocol = view.record.protocol.as_bytes();
    Value::owned([method, &target, protocol].join(&b' '))
}

/// Returns the value of Apache's `%X`.
fn persistence(record: &Record) -> &'static str {
    match (record.complete, record.captured.persists) {
        (false, _) => "X",
        (true, true) => "+",
        (true, false) => "-",
    }
}

/// Splits an authority into name and port; keeps the brackets of an IPv6 address.
fn split_port(authority: &str) -> (&str, Option<u16>) {
    match authority.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port.parse().ok()),
        Some(_) | None => (authority, None),
    }
}

fn trace_id(record: &Record) -> Value<'_> {
    let id = record.request_id.trace_id();
    id.map_or(Value::Absent, |id| Value::owned(id.digits()))
}

fn optional(text: Option<&str>) -> Value<'_> {
    text.map_or(Value::Absent, Value::text)
}

fn whole<'a>(number: u128) -> Value<'a> {
    Value::Number(u64::try_from(number).unwrap_or(u64::MAX))
}
