//! The conditions of a rule, one file a kind; this is the list.

mod extension;
mod host;
mod method;
mod path;
mod pattern;
mod prefix;

pub use extension::Extension;
pub use host::{HostCondition, HostPattern};
pub use method::MethodCondition;
pub use path::Path;
pub use pattern::Pattern;
pub use prefix::Prefix;

use super::Captures;
use super::template::Groups;
use crate::message::Request;
use crate::section::{At, Lowered, Problem, Problems, Section};

/// One condition; several values within one are alternatives.
#[derive(Debug)]
pub enum Condition {
    /// The whole path.
    Path(Path),
    /// Leading whole segments of the path.
    Prefix(Prefix),
    /// A regular expression on the path.
    Pattern(Box<Pattern>),
    /// What follows the last dot of the last segment.
    Extension(Extension),
    /// The request method.
    Method(MethodCondition),
    /// The host that the client named.
    Host(HostCondition),
}

/// The conditions under `not`.
pub static NOT: Section = Section {
    title: "[site.rule.not]",
    doc: "Conditions of which none may hold.",
    keys: &[
        path::KEY,
        prefix::KEY,
        pattern::KEY,
        extension::KEY,
        method::KEY,
        host::KEY,
    ],
};

/// The keys of all conditions, for the sections that take them.
pub mod keys {
    pub use super::extension::KEY as EXTENSION;
    pub use super::host::KEY as HOST;
    pub use super::method::KEY as METHOD;
    pub use super::path::KEY as PATH;
    pub use super::pattern::KEY as MATCH;
    pub use super::prefix::KEY as PREFIX;
}

impl Condition {
    /// Whether the condition holds; patterns and prefixes leave what they took in `captures`.
    pub fn holds(&self, request: &Request, captures: &mut Captures) -> bool {
        match self {
            Self::Path(path) => path.holds(request),
            Self::Prefix(prefix) => prefix.holds(request, captures),
            Self::Pattern(pattern) => pattern.holds(request, captures),
            Self::Extension(extension) => extension.holds(request),
            Self::Method(method) => method.holds(request),
            Self::Host(host) => host.holds(request),
        }
    }

    /// The conditions that a section names; each value that cannot be one is a problem.
    pub fn build(section: &Lowered, problems: &mut Problems) -> Vec<Self> {
        let mut conditions = Vec::new();
        // Cheap ones first: a rule is left at the first that does not hold.
        conditions
            .extend(MethodCondition::new(&section.texts("method"), problems).map(Self::Method));
        conditions.extend(Path::new(&section.texts("path"), problems).map(Self::Path));
        conditions.extend(
            section
                .text("prefix")
                .and_then(|text| Prefix::new(&text, problems))
                .map(Self::Prefix),
        );
        conditions.extend(Extension::new(&section.texts("extension")).map(Self::Extension));
        conditions.extend(HostCondition::new(&section.texts("host"), problems).map(Self::Host));
        conditions.extend(
            section
                .text("match")
                .and_then(|text| Pattern::new(&text, problems))
                .map(|pattern| Self::Pattern(Box::new(pattern))),
        );
        conditions
    }

    /// The groups that templates of the same rule may name.
    pub fn groups(conditions: &[Self]) -> Groups {
        let patterns = conditions
            .iter()
            .rev()
            .filter_map(|condition| match condition {
                Self::Pattern(pattern) => Some(pattern.groups()),
                Self::Path(_)
                | Self::Prefix(_)
                | Self::Extension(_)
                | Self::Method(_)
                | Self::Host(_) => None,
            });
        patterns.into_iter().next().unwrap_or_default()
    }
}

/// A path in the configuration is the decoded one and begins with a slash.
fn absolute(text: &At<String>, problems: &mut Problems) -> Option<Vec<u8>> {
    if !text.value.starts_with('/') {
        problems.push(
            Problem::new(
                text.place.clone(),
                format!("`{}` does not begin with `/`", text.value),
            )
            .help("paths are matched decoded and normalised, and begin with `/`"),
        );
        return None;
    }
    Some(text.value.clone().into_bytes())
}
