//! `redirect`: another address for the client to go to.

use http::{HeaderValue, Response, StatusCode, header};

use super::{Body, Plan};
use crate::failure::Failure;
use crate::message::{Request, Target};
use crate::route::template::{Groups, Template};
use crate::route::{Captures, Scope};
use crate::section::{Key, Kind, Lowered, Problem, Problems, Section};

/// The `redirect` section.
pub static REDIRECT: Section = Section {
    title: "[site.rule.redirect]",
    doc: "Sends the client to another address. A query is kept unless `to` has its own.",
    keys: &[
        Key::new("to", Kind::Text, "A path, or a whole URL: a template of $rest, $1 … $9, ${name}, $path, $query, $host, $scheme. What the variables bring is percent-encoded, and comes behind the host: a `/` is put before it where it has none, so that no client chooses where others are sent.").example("\"/new/$rest\""),
        Key::new("status", Kind::Integer { min: 301, max: 308 }, "The status: 301, 302, 303, 307 or 308; 307 and 308 keep the method.").default("302"),
    ],
};

/// A redirect.
#[derive(Debug)]
pub struct Redirect {
    /// Scheme and authority, where the target has them.
    origin: Option<Template>,
    to: Template,
    status: StatusCode,
    keeps_query: bool,
}

impl Redirect {
    /// From its section; a template that cannot be read is a problem.
    pub fn build(section: &Lowered, groups: &Groups, problems: &mut Problems) -> Option<Self> {
        let Some(text) = section.text("to") else {
            problems.push(Problem::new(section.place(), "a redirect needs `to`"));
            return None;
        };
        let to = match Template::parse(&text.value, groups) {
            Ok(to) => to,
            Err(error) => {
                problems.push(Problem::new(text.place.clone(), error.to_string()));
                return None;
            }
        };
        let status = u16::try_from(section.integer("status"))
            .ok()
            .and_then(|code| StatusCode::from_u16(code).ok());
        let (origin, to) = to.split_origin();
        Some(Self {
            origin,
            to,
            status: status.unwrap_or(StatusCode::FOUND),
            keeps_query: !text.value.contains('?'),
        })
    }

    pub(super) fn decide(&self, request: &Request, captures: &Captures) -> Plan<'_> {
        let scope = Scope { request, captures };
        let expanded = self.to.expand_with(&scope, encode);
        let path = from_root(&String::from_utf8_lossy(&expanded));
        let mut location = match &self.origin {
            Some(origin) => {
                let origin = origin.expand_with(&scope, encode_name);
                String::from_utf8_lossy(&origin).into_owned() + &path
            }
            None => own_host(path),
        };
        if let Some(query) = request.target.query().filter(|_| self.keeps_query) {
            location.push('?');
            location.push_str(query);
        }
        match HeaderValue::from_str(&location) {
            Ok(value) => Plan::Answer(answer(self.status, value)),
            Err(_) => Plan::Fail(Failure::Internal("a redirect's location cannot be sent")),
        }
    }
}

/// A redirect's response, with a line for people whose client does not follow.
pub(super) fn answer(status: StatusCode, location: HeaderValue) -> Response<Body> {
    let mut response = Response::new(Body::bytes(format!("{status}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(header::LOCATION, location);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

/// What a variable brings is encoded as a path is: it cannot end the path and begin a query.
fn encode(value: &[u8], out: &mut Vec<u8>) {
    let encoded = Target::encode_path(value);
    // encode_path gives exactly one leading slash, whatever it was given.
    let encoded = if value.first() == Some(&b'/') {
        encoded.as_str()
    } else {
        encoded.trim_start_matches('/')
    };
    out.extend_from_slice(encoded.as_bytes());
}

/// What a client sent for a part of a host's name cannot end that name.
fn encode_name(value: &[u8], out: &mut Vec<u8>) {
    let in_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(byte);
    out.extend(value.iter().filter(in_name));
}

/// RFC 3986 §4.2: what does not begin with `/` could begin with a scheme, `javascript:` for one, or
/// go on with the host before it.
fn from_root(path: &str) -> String {
    match path.starts_with(['/', '?', '#']) {
        true => path.to_owned(),
        false => format!("/{path}"),
    }
}

/// A name that a client put into the path must not become the host that it is sent to:
/// `//evil.example` is one to a browser, and so is `/\evil.example`.
fn own_host(location: String) -> String {
    let rest = location.trim_start_matches(['/', '\\']);
    if location.starts_with('/') && location.len() - rest.len() > 1 {
        format!("/{rest}")
    } else {
        location
    }
}
