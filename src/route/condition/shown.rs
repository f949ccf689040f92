//! Conditions as people read them: as they are written in the configuration, as far as that is kept.

use std::fmt;

use super::exists::Wanted;
use super::field::{Name, Value};
use super::{Condition, Exists, FieldCondition, HostPattern, Set};

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "path {}", bytes(&path.0)),
            Self::Prefix(prefix) => write!(f, "prefix {}", String::from_utf8_lossy(&prefix.0)),
            Self::Pattern(pattern) => write!(f, "match '{}'", pattern.0.written()),
            Self::Extension(extension) => write!(f, "extension {}", extension.0.join(" or ")),
            Self::Method(method) => write!(f, "method {}", alternatives(&method.0)),
            Self::Host(host) => write!(f, "host {}", alternatives(&host.0)),
            Self::Scheme(scheme) => write!(f, "scheme {}", scheme.0.as_str()),
            Self::Listener(listener) => write!(f, "listener {}", alternatives(&listener.0)),
            Self::Remote(remote) => write!(f, "remote {}", remote.0),
            Self::Field(field) => field.fmt(f),
            Self::Exists(exists) => exists.fmt(f),
            Self::Any(sets) => write!(f, "any of ({})", nested(sets)),
            Self::All(sets) => write!(f, "all of ({})", nested(sets)),
        }
    }
}

impl fmt::Display for Set {
    /// Nothing for a set that always holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let conditions = self.conditions.iter().map(ToString::to_string);
        let exceptions = self.exceptions.iter();
        let exceptions = exceptions.map(|exception| format!("not {exception}"));
        let all: Vec<_> = conditions.chain(exceptions).collect();
        f.write_str(&all.join(", "))
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Below(suffix) => write!(f, "*{suffix}"),
        }
    }
}

impl fmt::Display for FieldCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Name::Header(name) => write!(f, "header {name}")?,
            Name::Query(variable) => write!(f, "query {}", variable.text)?,
            Name::Cookie(variable) => write!(f, "cookie {}", variable.text)?,
        }
        match &self.value {
            Value::Any => Ok(()),
            Value::OneOf(values) => write!(f, " = {}", bytes(values)),
            Value::Like(expression) => write!(f, " matching '{}'", expression.written()),
        }
    }
}

impl fmt::Display for Exists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = match self.wanted {
            Wanted::File => "file",
            Wanted::Directory => "directory",
            Wanted::Any => "file or directory",
        };
        write!(f, "exists {wanted} {}{}", self.root.0.display(), self.below)
    }
}

fn alternatives(values: &[impl fmt::Display]) -> String {
    let texts: Vec<_> = values.iter().map(ToString::to_string).collect();
    texts.join(" or ")
}

fn bytes(values: &[Vec<u8>]) -> String {
    let texts: Vec<_> = values
        .iter()
        .map(|text| String::from_utf8_lossy(text))
        .collect();
    texts.join(" or ")
}

fn nested(sets: &[Set]) -> String {
    let texts: Vec<_> = sets.iter().map(ToString::to_string).collect();
    texts.join("; ")
}
