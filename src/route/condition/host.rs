//! `host`: the host that the client named, exactly or below a `*.` wildcard. Sites are chosen by
//! the same patterns.

use std::fmt;

use super::set::Builder;
use super::shown::alternatives;
use super::{Condition, Cost, Criterion, Exhausted, listed};
use crate::message::{Disk, Host, Request};
use crate::route::Captures;
use crate::section::{At, Key, Lowered, Problem, Problems};

/// The `host` key.
pub static KEY: Key<Vec<At<String>>> = Key::texts("host", "The host that the client named, without port: one or a list; \"*.example.org\" holds for every name below example.org.").example("[\"example.org\", \"*.example.org\"]");

/// A name, or all names below one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// The name itself, lower-cased.
    Exact(String),
    /// `*.example.org` as `.example.org`: any name that ends so, at any depth.
    Below(String),
}

impl HostPattern {
    /// Parses `example.org` or `*.example.org`.
    pub fn parse(text: &At<String>, problems: &mut Problems) -> Option<Self> {
        let (wildcard, name) = match text.value.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text.value.as_str()),
        };
        match Host::parse(name) {
            Ok(host) if host.port().is_none() => Some(if wildcard {
                Self::Below(format!(".{}", host.name()))
            } else {
                Self::Exact(host.name().to_owned())
            }),
            Ok(_) => {
                problems.push(
                    Problem::new(text.place.clone(), format!("`{}` names a port", text.value))
                        .help("hosts are matched without their port"),
                );
                None
            }
            Err(_) => {
                problems.push(
                    Problem::new(
                        text.place.clone(),
                        format!("`{}` is not a host name", text.value),
                    )
                    .help("write \"example.org\", or \"*.example.org\" for every name below it"),
                );
                None
            }
        }
    }

    /// Whether it holds wherever `other` does.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Exact(name)) => self.holds(name),
            (Self::Below(suffix), Self::Below(longer)) => longer.ends_with(suffix.as_str()),
            (Self::Exact(_), Self::Below(_)) => false,
        }
    }

    /// Whether a lower-cased name is meant.
    pub fn holds(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == name,
            Self::Below(suffix) => name.len() > suffix.len() && name.ends_with(suffix.as_str()),
        }
    }
}

/// Patterns of which one must hold for the request's host.
#[derive(Debug)]
pub struct HostCondition(Vec<HostPattern>);

impl HostCondition {
    /// What is no host is a problem.
    pub fn new(texts: &[At<String>], problems: &mut Problems) -> Self {
        let patterns = texts.iter();
        let patterns = patterns.filter_map(|text| HostPattern::parse(text, problems));
        Self(patterns.collect())
    }

    /// Whether it holds for any name that one of `hosts` means.
    pub fn meets(&self, hosts: &[HostPattern]) -> bool {
        let meets = |host: &HostPattern| {
            let mut own = self.0.iter();
            own.any(|pattern| pattern.covers(host) || host.covers(pattern))
        };
        hosts.iter().any(meets)
    }
}

pub(super) fn build(section: &Lowered, builder: &mut Builder<'_>) -> Option<HostCondition> {
    let texts = listed(section, &KEY, builder.problems)?;
    Some(HostCondition::new(&texts, builder.problems))
}

impl Criterion for HostCondition {
    fn cost(&self) -> Cost {
        Cost::Client
    }

    fn holds(&self, request: &Request, _: &dyn Disk, _: &mut Captures) -> Result<bool, Exhausted> {
        let name = request.host.name();
        Ok(self.0.iter().any(|pattern| pattern.holds(name)))
    }

    fn covers(&self, other: &Condition) -> bool {
        let Condition::Host(other) = other else {
            return false;
        };
        let one_covers = |other| self.0.iter().any(|pattern| pattern.covers(other));
        other.0.iter().all(one_covers)
    }
}

impl fmt::Display for HostCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host {}", alternatives(&self.0))
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
