//! `rewrite`: an internal redirect to another target, which is evaluated from the first rule on.

use super::Decision;
use super::redirect::{encode_parameter, join_query};
use crate::message::{Cause, EncodedSlash, Request, Target};
use crate::route::template::{Groups, Template, Value};
use crate::route::{Captures, Scope};
use crate::section::{At, Key, Lowered, Problem, Problems, Section, Table};

/// The `rewrite` key of a rule.
pub static KEY: Key<Table> = Key::table(
    "rewrite",
    &REWRITE,
    "Replaces the path and applies the rules anew.",
)
.example("{ to = \"/index.php/$1\" }");

/// The `rewrite` section.
pub static REWRITE: Section = Section {
    title: "[site.rule.rewrite]",
    doc: "Replaces the path of the request and applies the rules again from the first one; ten times at most. PHP sees REDIRECT_URL and REDIRECT_QUERY_STRING as under Apache, and REQUEST_URI as the client sent it.",
    groups: &[&[&TO]],
};

pub(crate) static TO: Key<Option<At<String>>> = Key::text("to", "The path: a template. The text behind a `?` is the new query; without one the query is kept. `?$query&a=b` adds to it. Before a `?`, $uri is the path that the client requested, decoded, and its query precedes the rest behind the `?`; behind it, $uri is one value. A `&` that nothing follows is removed.").example("\"/index.php/$1\"");

/// An internal redirect.
#[derive(Debug)]
pub struct Rewrite {
    path: Template,
    /// The new query; `None` keeps that of the request.
    query: Option<Template>,
}

impl Rewrite {
    /// Builds the rewrite from its section; a template that cannot be parsed is a problem.
    pub fn build(section: &Lowered, groups: &Groups, problems: &mut Problems) -> Option<Self> {
        let Some(text) = section.get(&TO) else {
            problems.push(Problem::new(section.place(), "a rewrite needs `to`"));
            return None;
        };
        if !text.value.starts_with(['/', '$']) {
            let message = format!("`{}` does not begin with `/`", text.value);
            problems.push(Problem::new(text.place.clone(), message));
            return None;
        }
        let to = match Template::parse(&text.value, groups) {
            Ok(to) => to,
            Err(error) => {
                problems.push(Problem::new(text.place, error.to_string()));
                return None;
            }
        };
        let (path, query) = to.split_once('?');
        Some(Self { path, query })
    }

    /// Returns the path if it is the same for all requests.
    pub fn literal(&self) -> Option<&str> {
        self.path.literal()
    }

    /// Returns the path to which `path` is rewritten; `None` if that depends on more than the path, or if it is refused.
    pub fn leads_to(&self, path: &[u8], captures: &Captures) -> Option<Vec<u8>> {
        let to = self.path.by_path(path, captures)?;
        let target = Target::parse("/", EncodedSlash::Reject).ok()?;
        Some(target.with_path(to).ok()?.path().to_vec())
    }

    pub(super) fn decide(&self, request: &Request, captures: &Captures) -> Decision {
        let target = &request.target;
        let scope = Scope::new(request, captures);
        let path = self.path.expand_with(&scope, |value, out| {
            out.extend_from_slice(match value {
                // The path is decoded: a `?` in it begins no query.
                Value::Uri(_) => target.asked_path(),
                Value::Plain(bytes) | Value::Query(bytes) => bytes,
            });
        });
        let own = self.query.as_ref().map(|query| {
            let query = query.expand_with(&scope, encode_parameter);
            String::from_utf8_lossy(&query).into_owned()
        });
        let query = match (self.path.has_uri(), own) {
            (false, None) => target.query().map(str::to_owned),
            (true, None) => target.asked_query().map(str::to_owned),
            (true, own) => join_query([target.asked_query(), own.as_deref()]),
            (false, own) => join_query([own.as_deref()]),
        };
        match target.with_path_and_query(path, query) {
            Ok(target) => Decision::Again(target, Cause::Rewrite(request.previous())),
            Err(error) => Decision::Fail(error.into()),
        }
    }
}
