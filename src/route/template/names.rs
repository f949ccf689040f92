//! Names for the templates of a rule, beside the variables of every request.

use super::variable::Environment;

/// Names available to the templates of a rule: the groups of its pattern, the root of its site, the
/// environment. The default is a rule without a pattern, where even `$0` is unknown, of a site without
/// a root.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    /// The number of the last group; `None` without a pattern.
    pub(super) last: Option<usize>,
    pub(super) names: Vec<String>,
    pub(super) root: Option<String>,
    pub(super) environment: Option<Environment>,
    /// The pattern failed to parse, so its groups are unknown.
    pub(super) is_unread: bool,
}

impl Groups {
    /// Builds the names of a pattern with `count` groups, not counting the whole match, some with `names`.
    pub fn new(count: usize, names: Vec<String>) -> Self {
        Self {
            last: Some(count),
            names,
            root: None,
            environment: None,
            is_unread: false,
        }
    }

    /// Builds the names of a pattern that failed to parse, a fault already reported: any group is accepted.
    pub fn unread() -> Self {
        Self {
            is_unread: true,
            ..Self::default()
        }
    }

    /// Sets the document root for `$root`; `None` if the site has none.
    #[must_use]
    pub fn with_root(self, root: Option<String>) -> Self {
        Self { root, ..self }
    }

    /// Sets the look-up for `${env:NAME}`.
    #[must_use]
    pub fn with_environment(self, environment: Environment) -> Self {
        Self {
            environment: Some(environment),
            ..self
        }
    }

    /// Replaces the groups by those of `pattern`.
    #[must_use]
    pub fn with_groups(self, pattern: Self) -> Self {
        Self {
            last: pattern.last,
            names: pattern.names,
            is_unread: pattern.is_unread,
            ..self
        }
    }

    /// Returns the document root for `$root`.
    pub fn root(&self) -> Option<&str> {
        self.root.as_deref()
    }

    pub(super) fn has_name(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }
}
