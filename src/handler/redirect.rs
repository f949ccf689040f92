//! `redirect`: a redirect of the client to another URL.

use http::{HeaderValue, Response, StatusCode, header};

use super::{Body, Decision};
use crate::failure::Failure;
use crate::message::{Request, Target, percent};
use crate::route::template::{Groups, Template, Value};
use crate::route::{Captures, Scope};
use crate::section::{At, Key, Lowered, Problem, Problems, Section, Table};

/// The `redirect` key of a rule.
pub static KEY: Key<Table> = Key::table("redirect", &REDIRECT, "Redirects the client.")
    .example("{ to = \"/new/$rest\", status = 301 }");

/// The `redirect` section.
pub static REDIRECT: Section = Section {
    title: "[site.rule.redirect]",
    doc: "Redirects the client. A query is kept unless `to` has its own.",
    groups: &[&[&TO, &STATUS]],
};

pub(crate) static TO: Key<Option<At<String>>> = Key::text("to", "A path, or a whole URL: a template of $rest, $1 … $9, ${name}, $path, $query, $uri, $host, $scheme. The values of variables are percent-encoded and always follow the host: a `/` is inserted before one that lacks it, so that clients cannot choose the target host. Before a `?`, $uri is the path, and its query precedes the rest behind the `?`; behind it, $uri is one value: `/login?next=$uri`. A `?` or `&` that nothing follows is removed.").example("\"/new/$rest\"");

static STATUS: Key<u16> = Key::integer(
    "status",
    301..=308,
    "Status: 301, 302, 303, 307 or 308; 307 and 308 keep the method.",
)
.default("302");

/// A redirect of the client.
#[derive(Debug)]
pub struct Redirect {
    /// Scheme and authority, if the target has them.
    origin: Option<Template>,
    /// The path; empty for that of the request.
    path: Template,
    query: Option<Template>,
    fragment: Option<Template>,
    status: StatusCode,
}

impl Redirect {
    /// Builds the redirect from its section; a template that cannot be parsed is a problem.
    pub fn build(section: &Lowered, groups: &Groups, problems: &mut Problems) -> Option<Self> {
        let Some(text) = section.get(&TO) else {
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
        let status = StatusCode::from_u16(section.get(&STATUS)).ok();
        let (origin, to) = to.split_origin();
        // RFC 3986 §3: a `?` in the fragment begins no query.
        let (to, fragment) = to.split_once('#');
        let (path, query) = to.split_once('?');
        Some(Self {
            origin,
            path,
            query,
            fragment,
            status: status.unwrap_or(StatusCode::FOUND),
        })
    }

    pub(super) fn decide(&self, request: &Request, captures: &Captures) -> Decision {
        let scope = Scope::new(request, captures);
        let path = self.path(&scope);
        let mut location = match &self.origin {
            Some(origin) => expand(origin, &scope, encode_name) + &path,
            None => own_host(path),
        };
        let asked = &request.target;
        let kept = match (self.path.has_uri(), &self.query) {
            (true, _) => asked.asked_query(),
            (false, None) => asked.query(),
            (false, Some(_)) => None,
        };
        let template = self.query.as_ref();
        let own = template.map(|query| expand(query, &scope, encode_parameter));
        location = with_query(location, [kept, own.as_deref()]);
        if let Some(fragment) = &self.fragment {
            location += "#";
            location += &expand(fragment, &scope, encode);
        }
        to(self.status, location)
    }

    fn path(&self, scope: &Scope<'_>) -> String {
        if self.path.is_empty() && self.origin.is_none() {
            return scope.request.target.raw_path().to_owned();
        }
        from_root(expand(&self.path, scope, encode))
    }
}

fn expand(
    template: &Template,
    scope: &Scope<'_>,
    write: impl Fn(Value<'_>, &mut Vec<u8>),
) -> String {
    let expanded = template.expand_with(scope, write);
    String::from_utf8_lossy(&expanded).into_owned()
}

/// Decides to redirect the client to `location`.
pub(super) fn to(status: StatusCode, location: String) -> Decision {
    match answer(status, &location) {
        Ok(response) => Decision::Answer(response),
        Err(failure) => Decision::Fail(failure),
    }
}

/// Builds a redirect's response, with a line of text for clients that do not follow. A URI is ASCII (RFC 3986 §2): other
/// bytes are percent-encoded.
pub(super) fn answer(status: StatusCode, location: &str) -> Result<Response<Body>, Failure> {
    let mut ascii = String::with_capacity(location.len());
    for byte in location.bytes() {
        if byte.is_ascii() {
            ascii.push(char::from(byte));
        } else {
            ascii.push_str(&format!("%{byte:02X}"));
        }
    }
    let Ok(location) = HeaderValue::from_str(&ascii) else {
        return Err(Failure::Internal(
            "the Location of a redirect is not a field value",
        ));
    };
    let mut response = Response::new(Body::bytes(format!("{status}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(header::LOCATION, location);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    Ok(response)
}

/// Returns `path` with these parts of a query behind it; without a `?` if they are empty.
pub(super) fn with_query<'a>(
    path: String,
    parts: impl IntoIterator<Item = Option<&'a str>>,
) -> String {
    match join_query(parts) {
        Some(query) => format!("{path}?{query}"),
        None => path,
    }
}

/// Joins parts of a query, without empty parameters; `None` if all are empty.
pub(super) fn join_query<'a>(parts: impl IntoIterator<Item = Option<&'a str>>) -> Option<String> {
    let parts = parts.into_iter().flatten();
    let parameters: Vec<_> = parts
        .flat_map(|part| part.split('&'))
        .filter(|text| !text.is_empty())
        .collect();
    (!parameters.is_empty()).then(|| parameters.join("&"))
}

/// Percent-encodes a variable in a path: its value cannot end the path and begin a query.
fn encode(value: Value<'_>, out: &mut Vec<u8>) {
    let plain = match value {
        Value::Plain(plain) => plain,
        Value::Query(query) => return out.extend_from_slice(query),
        // Its query comes behind the path.
        Value::Uri(uri) => {
            let path = uri.split(|byte| *byte == b'?').next();
            return out.extend_from_slice(path.unwrap_or_default());
        }
    };
    let path = Target::encode_path(plain);
    // encode_path returns exactly one leading slash for any input.
    let encoded = if plain.first() == Some(&b'/') {
        path.as_str()
    } else {
        path.trim_start_matches('/')
    };
    out.extend_from_slice(encoded.as_bytes());
}

/// Percent-encodes a variable in a query: its value can neither end its parameter nor begin another. `$query` is a query
/// and stays as it is.
pub(super) fn encode_parameter(value: Value<'_>, out: &mut Vec<u8>) {
    let (Value::Plain(bytes) | Value::Uri(bytes)) = value else {
        return out.extend_from_slice(value.bytes());
    };
    percent::encode_into(out, bytes);
}

/// Removes bytes that would end a host name from a variable in one.
fn encode_name(value: Value<'_>, out: &mut Vec<u8>) {
    let in_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(byte);
    out.extend(value.bytes().iter().filter(in_name));
}

/// Puts a `/` before a path without one, which could begin with a scheme (RFC 3986 §4.2), such as `javascript:`, or
/// continue the host before it.
fn from_root(path: String) -> String {
    if path.starts_with('/') {
        path
    } else {
        format!("/{path}")
    }
}

/// Reduces leading slashes to one: a browser takes `//evil.example`, and `/\evil.example`, for a host, and a client must
/// not choose it by the path.
fn own_host(location: String) -> String {
    let rest = location.trim_start_matches(['/', '\\']);
    if location.starts_with('/') && location.len() - rest.len() > 1 {
        format!("/{rest}")
    } else {
        location
    }
}
