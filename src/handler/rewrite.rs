//! `rewrite`: another target for the same request, which begins again with the first rule.

use super::Plan;
use crate::message::{Cause, EncodedSlash, Request, Target};
use crate::route::template::{Groups, Template};
use crate::route::{Captures, Scope};
use crate::section::{At, Key, Kind, Lowered, Problem, Problems, Section};

/// The `rewrite` section.
pub static REWRITE: Section = Section {
    title: "[site.rule.rewrite]",
    doc: "Gives the request another path, and has the rules asked again from the first one; ten times at most. PHP sees REDIRECT_URL and REDIRECT_QUERY_STRING as under Apache, and REQUEST_URI as the client sent it.",
    keys: &[Key::new("to", Kind::Text, "The path: a template. What follows a `?` is the new query; without one the query stays. `?$query&a=b` adds to it.").example("\"/index.php/$1\"")],
};

/// A rewrite.
#[derive(Debug)]
pub struct Rewrite {
    path: Template,
    /// `None` where the query stays.
    query: Option<Template>,
}

impl Rewrite {
    /// From its section; a template that cannot be read is a problem.
    pub fn build(section: &Lowered, groups: &Groups, problems: &mut Problems) -> Option<Self> {
        let Some(text) = section.text("to") else {
            problems.push(Problem::new(section.place(), "a rewrite needs `to`"));
            return None;
        };
        if !text.value.starts_with(['/', '$']) {
            let message = format!("`{}` does not begin with `/`", text.value);
            problems.push(Problem::new(text.place.clone(), message));
            return None;
        }
        let (path, query) = match text.value.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (text.value.as_str(), None),
        };
        Some(Self {
            path: template(path, &text, groups, problems)?,
            query: match query {
                Some(query) => Some(template(query, &text, groups, problems)?),
                None => None,
            },
        })
    }

    /// Returns the path that `path` becomes; `None` if that depends on more, or if it is refused.
    pub fn leads_to(&self, path: &[u8], captures: &Captures) -> Option<Vec<u8>> {
        let to = self.path.by_path(path, captures)?;
        let target = Target::parse("/", EncodedSlash::Reject).ok()?;
        Some(target.with_path(to).ok()?.path().to_vec())
    }

    pub(super) fn decide(&self, request: &Request, captures: &Captures) -> Plan<'_> {
        let scope = Scope { request, captures };
        let path = self.path.expand(&scope);
        let query = match &self.query {
            Some(template) => {
                let query = template.expand_with(&scope, encode);
                Some(String::from_utf8_lossy(&query).into_owned())
            }
            None => request.target.query().map(str::to_owned),
        };
        match request.target.with_path_and_query(path, query) {
            Ok(target) => Plan::Again(target, Cause::Rewrite(request.previous())),
            Err(error) => Plan::Fail(error.into()),
        }
    }
}

fn template(
    part: &str,
    text: &At<String>,
    groups: &Groups,
    problems: &mut Problems,
) -> Option<Template> {
    let template = Template::parse(part, groups);
    template
        .map_err(|error| problems.push(Problem::new(text.place.clone(), error.to_string())))
        .ok()
}

/// What a variable brings into a query can neither end its parameter nor begin another.
fn encode(value: &[u8], out: &mut Vec<u8>) {
    for &byte in value {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
}
