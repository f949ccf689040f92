//! The keys of `forward_auth`, and its construction from them.

use http::{HeaderName, header};

use super::ForwardAuth;
use super::subrequest::{is_of_content, is_withheld};
use crate::message::{EncodedSlash, Target, hop_by_hop};
use crate::modifier::modify::Parts;
use crate::section::{At, Key, Lowered, Problem, Problems, Section, Table};

/// The key for forward authentication.
pub(in crate::modifier) static FORWARD_AUTH: Key<Table> = Key::table(
    "forward_auth",
    &SECTION,
    "Access by the answer to a subrequest, as with nginx's auth_request: 2xx grants it; 401, 403 and redirects are sent to the client; every other answer is 502. It holds for every path that an application may read in the target.",
)
.example("{ path = \"/auth/verify\", user = \"Remote-User\" }");

static SECTION: Section = Section {
    title: "[site.rule.forward_auth]",
    doc: "Access by the answer to a subrequest.",
    groups: &[&[&PATH, &REQUEST_FIELDS, &ANSWER_FIELDS, &USER]],
};

static PATH: Key<Option<At<String>>> = Key::text(
    "path",
    "Target of the subrequest: a path of this site, with a query or without. It is requested by GET without content, with the fields of the request and X-Forwarded-Method, -Uri, -Proto, -Host and -For. The rule is not applied to its own subrequest.",
)
.shown("\"/auth/verify\"");

static REQUEST_FIELDS: Key<Vec<At<String>>> = Key::texts(
    "copy_request_headers",
    "Fields of the request that the subrequest has, beside Host and X-Forwarded-…. Default: all but those of content, conditions and ranges.",
)
.example("[\"Cookie\", \"Authorization\"]");

static ANSWER_FIELDS: Key<Vec<At<String>>> = Key::texts(
    "copy_response_headers",
    "Fields of a granting answer that replace those of the request, as PHP sees them; the client's own are removed, in every spelling that has the same variable. Set-Cookie is sent to the client.",
)
.default("[]")
.example("[\"Remote-User\", \"Remote-Groups\"]");

static USER: Key<Option<At<String>>> = Key::text(
    "user",
    "Field of a granting answer that names the user: REMOTE_USER, `$remote_user`, and %u of the access log. It is copied as well. An absent or empty field names nobody.",
)
.example("\"Remote-User\"");

impl ForwardAuth {
    /// Builds the authentication from the section of a rule; `None` without the key.
    pub(in crate::modifier) fn build(section: &Lowered, parts: &mut Parts<'_>) -> Option<Self> {
        let table = section.given(&FORWARD_AUTH)?;
        let problems = &mut *parts.problems;
        let target = target(table, problems);
        let names = table.given(&REQUEST_FIELDS);
        let request_fields = names.map(|names| {
            let names = names.iter();
            names
                .filter_map(|name| parse(name, is_withheld, problems))
                .collect()
        });
        let names = table.get(&ANSWER_FIELDS);
        let mut answer_fields: Vec<_> = names
            .iter()
            .filter_map(|name| parse(name, belongs_to_answer, problems))
            .collect();
        let copies_cookies = answer_fields.contains(&header::SET_COOKIE);
        answer_fields.retain(|name| *name != header::SET_COOKIE);
        let names_nobody =
            |name: &HeaderName| belongs_to_answer(name) || *name == header::SET_COOKIE;
        let named = table.get(&USER);
        let user = named.and_then(|name| parse(&name, names_nobody, problems));
        answer_fields.extend(user.clone());
        Some(Self {
            target: target?,
            request_fields,
            answer_fields,
            copies_cookies,
            user,
        })
    }
}

/// Parses the target of the subrequest.
fn target(table: &Lowered, problems: &mut Problems) -> Option<Target> {
    let Some(path) = table.get(&PATH) else {
        if !table.is_wrong(&PATH) {
            let problem = Problem::new(table.place(), "`forward_auth` needs `path`");
            problems.push(problem.help("path = \"/auth/verify\""));
        }
        return None;
    };
    let mut refuse = |message: String| {
        let problem = Problem::new(path.place.clone(), message);
        problems.push(problem.help("write a path of this site, as \"/auth/verify\" or \"/auth.php?verify=1\", with other bytes percent-encoded"));
    };
    let is_sent = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if !path.value.starts_with('/') {
        refuse(format!("`{}` does not begin with `/`", path.value));
        return None;
    }
    if !path.value.bytes().all(is_sent) {
        let message = "`path` contains `#`, a space, a control character, or a byte above 127";
        refuse(message.to_owned());
        return None;
    }
    let parsed = Target::parse(&path.value, EncodedSlash::Reject);
    parsed.map_err(|error| refuse(error.to_string())).ok()
}

/// Reports whether a field of an answer is about the answer itself and cannot become one of the request.
fn belongs_to_answer(name: &HeaderName) -> bool {
    is_of_content(name) || hop_by_hop::is_hop_by_hop(name)
}

/// Parses the name of a field other than those that are `excluded`.
fn parse(
    text: &At<String>,
    excluded: impl Fn(&HeaderName) -> bool,
    problems: &mut Problems,
) -> Option<HeaderName> {
    let message = match HeaderName::from_bytes(text.value.as_bytes()) {
        Ok(name) if excluded(&name) => format!(
            "`{}` cannot be copied: it belongs to one message or its content",
            text.value
        ),
        Ok(name) => return Some(name),
        Err(_) => format!("`{}` is not the name of a header field", text.value),
    };
    problems.push(Problem::new(text.place.clone(), message));
    None
}
