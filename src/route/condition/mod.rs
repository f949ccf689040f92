//! The conditions of a rule, one file a kind; this is the list.

mod by_path;
mod exists;
mod expression;
mod extension;
mod field;
mod host;
mod language;
mod listener;
mod method;
mod path;
mod pattern;
mod pcre;
mod php_names;
mod prefix;
mod remote;
mod scheme;
mod set;
mod shown;
mod spelling;

pub use by_path::Asked;
pub use exists::Exists;
pub use expression::Exhausted;
pub use extension::Extension;
pub use field::FieldCondition;
pub use host::{HostCondition, HostPattern};
pub use listener::ListenerCondition;
pub use method::MethodCondition;
pub use path::Path;
pub use pattern::Pattern;
pub use prefix::Prefix;
pub use remote::Remote;
pub use scheme::SchemeCondition;
pub use set::{Set, Verdict};
pub use spelling::check_path;

use super::Captures;
use crate::message::{Disk, Request};
use crate::section::{At, Key, Kind, Lowered, Problem, Problems, Section};

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
    /// With or without TLS.
    Scheme(SchemeCondition),
    /// The listener that the client connected to.
    Listener(ListenerCondition),
    /// The address of the client.
    Remote(Remote),
    /// A header field, a parameter of the query or a cookie.
    Field(Box<FieldCondition>),
    /// A file or a folder on the disk.
    Exists(Box<Exists>),
    /// One of these sets.
    Any(Vec<Set>),
    /// All of these sets.
    All(Vec<Set>),
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
        scheme::KEY,
        listener::KEY,
        remote::KEY,
        field::HEADER_KEY,
        field::QUERY_KEY,
        field::COOKIE_KEY,
        exists::KEY,
        any_key(&GROUP),
        all_key(&GROUP),
    ],
};

/// The conditions of one table under `any` or `all`. It has no doc: the reference shows the examples
/// of the two keys, and does not go on for ever.
static GROUP: Section = Section {
    title: "any and all",
    doc: "",
    keys: &[
        path::KEY,
        prefix::KEY,
        pattern::KEY,
        extension::KEY,
        method::KEY,
        host::KEY,
        scheme::KEY,
        listener::KEY,
        remote::KEY,
        field::HEADER_KEY,
        field::QUERY_KEY,
        field::COOKIE_KEY,
        exists::KEY,
        any_key(&GROUP),
        all_key(&GROUP),
        Key::new(
            "not",
            Kind::Table(&NOT),
            "Conditions of which none may hold.",
        ),
    ],
};

// Functions, since a constant that refers to the section that has it would be a circle.

const fn any_key(group: &'static Section) -> Key {
    Key::new("any", Kind::Tables(group), "Tables of conditions, of which one table must hold: all of its conditions. They may nest. What patterns and prefixes in them took is no variable of the action.").example("[{ extension = \"php\" }, { prefix = \"/api\", method = \"POST\" }]")
}

const fn all_key(group: &'static Section) -> Key {
    Key::new(
        "all",
        Kind::Tables(group),
        "Tables of conditions, all of which must hold: for two conditions of the same kind.",
    )
    .example("[{ header = { name = \"X-A\" } }, { header = { name = \"X-B\" } }]")
}

/// The keys of all conditions, for the sections that take them.
pub mod keys {
    pub use super::exists::KEY as EXISTS;
    pub use super::extension::KEY as EXTENSION;
    pub use super::field::{COOKIE_KEY as COOKIE, HEADER_KEY as HEADER, QUERY_KEY as QUERY};
    pub use super::host::KEY as HOST;
    pub use super::listener::KEY as LISTENER;
    pub use super::method::KEY as METHOD;
    pub use super::path::KEY as PATH;
    pub use super::pattern::KEY as MATCH;
    pub use super::prefix::KEY as PREFIX;
    pub use super::remote::KEY as REMOTE;
    pub use super::scheme::KEY as SCHEME;

    use crate::section::Key;

    /// `any`.
    pub const ANY: Key = super::any_key(&super::GROUP);
    /// `all`.
    pub const ALL: Key = super::all_key(&super::GROUP);
}

impl Condition {
    /// Whether the condition holds; patterns and prefixes leave what they took in `captures`.
    pub fn holds(
        &self,
        request: &Request,
        disk: &dyn Disk,
        captures: &mut Captures,
    ) -> Result<bool, Exhausted> {
        match self {
            Self::Path(path) => Ok(path.holds(request)),
            Self::Prefix(prefix) => Ok(prefix.holds(request, captures)),
            Self::Pattern(pattern) => pattern.holds(request, captures),
            Self::Extension(extension) => Ok(extension.holds(request)),
            Self::Method(method) => Ok(method.holds(request)),
            Self::Host(host) => Ok(host.holds(request)),
            Self::Scheme(scheme) => Ok(scheme.holds(request)),
            Self::Listener(listener) => Ok(listener.holds(request)),
            Self::Remote(remote) => Ok(remote.holds(request)),
            Self::Field(field) => field.holds(request),
            Self::Exists(exists) => Ok(exists.holds(request, captures, disk)),
            Self::Any(sets) => any(sets, true, (request, disk), captures),
            // All hold where not one does not.
            Self::All(sets) => any(sets, false, (request, disk), captures).map(|found| !found),
        }
    }

    /// Reports whether the target of the request says if it holds.
    fn asks_for_target(&self) -> bool {
        match self {
            Self::Path(_) | Self::Prefix(_) | Self::Pattern(_) | Self::Extension(_) => true,
            Self::Exists(_) => true,
            Self::Method(_) | Self::Host(_) | Self::Scheme(_) => false,
            Self::Listener(_) | Self::Remote(_) => false,
            Self::Field(field) => field.asks_for_target(),
            Self::Any(sets) | Self::All(sets) => sets.iter().any(Set::asks_for_target),
        }
    }

    /// Reports whether it names paths or prefixes.
    fn names_paths(&self) -> bool {
        match self {
            Self::Path(_) | Self::Prefix(_) => true,
            Self::Pattern(_) | Self::Extension(_) | Self::Method(_) | Self::Host(_) => false,
            Self::Scheme(_) | Self::Listener(_) | Self::Remote(_) => false,
            Self::Field(_) | Self::Exists(_) => false,
            Self::Any(sets) | Self::All(sets) => sets.iter().any(Set::name_paths),
        }
    }

    /// The pattern, where it is one.
    pub fn as_pattern(&self) -> Option<&Pattern> {
        match self {
            Self::Pattern(pattern) => Some(pattern),
            Self::Path(_) | Self::Prefix(_) | Self::Extension(_) | Self::Method(_) => None,
            Self::Host(_) | Self::Scheme(_) | Self::Listener(_) | Self::Remote(_) => None,
            Self::Field(_) | Self::Exists(_) | Self::Any(_) | Self::All(_) => None,
        }
    }
}

/// Whether one of the sets holds, or does not, as is `wanted`.
fn any(
    sets: &[Set],
    wanted: bool,
    (request, disk): (&Request, &dyn Disk),
    captures: &Captures,
) -> Result<bool, Exhausted> {
    for set in sets {
        if set.holds(request, disk, &mut captures.clone())? == wanted {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The texts of a list that is given; one without any holds for nothing, of which a warning tells.
fn listed(section: &Lowered, key: &str, problems: &mut Problems) -> Option<Vec<At<String>>> {
    if !section.is_given(key) {
        return None;
    }
    let texts = section.texts(key);
    if texts.is_empty() {
        let message = format!("`{key}` is an empty list, which holds for no request");
        problems.warn(
            Problem::new(section.place_of(key), message).help("leave the key out to mean all"),
        );
    }
    Some(texts)
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
    spelling::check_path(text, problems);
    Some(text.value.clone().into_bytes())
}

#[cfg(test)]
mod tests;
