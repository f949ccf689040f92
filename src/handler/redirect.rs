//! `redirect`: another address for the client to go to.

use http::{HeaderValue, Response, StatusCode, header};

use super::{Body, Decision};
use crate::failure::Failure;
use crate::message::{Request, Target};
use crate::route::template::{Groups, Template, Value};
use crate::route::{Captures, Scope};
use crate::section::{At, Key, Lowered, Problem, Problems, Section, Table};

/// The `redirect` key of a rule.
pub static KEY: Key<Table> = Key::table(
    "redirect",
    &REDIRECT,
    "Sends the client to another address.",
)
.example("{ to = \"/new/$rest\", status = 301 }");

/// The `redirect` section.
pub static REDIRECT: Section = Section {
    title: "[site.rule.redirect]",
    doc: "Sends the client to another address. A query is kept unless `to` has its own.",
    groups: &[&[&TO, &STATUS]],
};

pub(crate) static TO: Key<Option<At<String>>> = Key::text("to", "A path, or a whole URL: a template of $rest, $1 … $9, ${name}, $path, $query, $uri, $host, $scheme. What the variables bring is percent-encoded, and comes behind the host: a `/` is put before it where it has none, so that no client chooses where others are sent. Before a `?`, $uri is the path, and its query comes before what follows the `?`; behind it, $uri is one value: `/login?next=$uri`. Nothing is left of a `?` or `&` that nothing follows.").example("\"/new/$rest\"");

static STATUS: Key<u16> = Key::integer(
    "status",
    301..=308,
    "The status: 301, 302, 303, 307 or 308; 307 and 308 keep the method.",
)
.default("302");

/// A redirect.
#[derive(Debug)]
pub struct Redirect {
    /// Scheme and authority, where the target has them.
    origin: Option<Template>,
    /// Empty: the path that the client asked for.
    path: Template,
    query: Option<Template>,
    fragment: Option<Template>,
    status: StatusCode,
}

impl Redirect {
    /// From its section; a template that cannot be read is a problem.
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
        // RFC 3986 §3: the query comes before the fragment, whatever is in that.
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
        let scope = Scope { request, captures };
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
        let own = self.query.as_ref();
        let own = own.map(|query| expand(query, &scope, encode_parameter));
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

/// Sends the client to `location`.
pub(super) fn to(status: StatusCode, location: String) -> Decision {
    match answer(status, &location) {
        Ok(response) => Decision::Answer(response),
        Err(failure) => Decision::Fail(failure),
    }
}

/// A redirect's response, with a line for people whose client does not follow. RFC 3986 §2: a URI is ASCII, whatever
/// bytes the client has sent.
pub(super) fn answer(status: StatusCode, location: &str) -> Result<Response<Body>, Failure> {
    let mut ascii = String::with_capacity(location.len());
    for byte in location.bytes() {
        match byte.is_ascii() {
            true => ascii.push(char::from(byte)),
            false => ascii.push_str(&format!("%{byte:02X}")),
        }
    }
    let Ok(location) = HeaderValue::from_str(&ascii) else {
        return Err(Failure::Internal("a redirect's location cannot be sent"));
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

/// `path` with these parts of a query behind it; without a `?` where there are none.
pub(super) fn with_query<'a>(
    path: String,
    parts: impl IntoIterator<Item = Option<&'a str>>,
) -> String {
    match join_query(parts) {
        Some(query) => format!("{path}?{query}"),
        None => path,
    }
}

/// Parts of a query as one, without a `&` that nothing follows; `None` where there is nothing in them.
pub(super) fn join_query<'a>(parts: impl IntoIterator<Item = Option<&'a str>>) -> Option<String> {
    let parameters = parts.into_iter().flatten().flat_map(|part| part.split('&'));
    let parameters: Vec<_> = parameters.filter(|text| !text.is_empty()).collect();
    (!parameters.is_empty()).then(|| parameters.join("&"))
}

/// What a variable brings is encoded as a path is: it cannot end the path and begin a query.
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
    let encoded = Target::encode_path(plain);
    // encode_path gives exactly one leading slash, whatever it was given.
    let encoded = if plain.first() == Some(&b'/') {
        encoded.as_str()
    } else {
        encoded.trim_start_matches('/')
    };
    out.extend_from_slice(encoded.as_bytes());
}

/// What a variable brings into a query can neither end its parameter nor begin another; but `$query` is a query.
pub(super) fn encode_parameter(value: Value<'_>, out: &mut Vec<u8>) {
    let (Value::Plain(bytes) | Value::Uri(bytes)) = value else {
        return out.extend_from_slice(value.bytes());
    };
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
}

/// What a client sent for a part of a host's name cannot end that name.
fn encode_name(value: Value<'_>, out: &mut Vec<u8>) {
    let in_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(byte);
    out.extend(value.bytes().iter().filter(in_name));
}

/// RFC 3986 §4.2: what does not begin with `/` could begin with a scheme, `javascript:` for one, or
/// go on with the host before it.
fn from_root(path: String) -> String {
    match path.starts_with('/') {
        true => path,
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
