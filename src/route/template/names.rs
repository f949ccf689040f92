//! What the templates of a rule may name besides what every request has.

use super::variable::Environment;

/// The names that templates of a rule may use: the groups of its pattern, the root of its site, the
/// environment. The default is that of a rule without a pattern, where even `$0` means nothing, of a
/// site without a root.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    /// The number of the last group; `None` without a pattern.
    pub(super) last: Option<usize>,
    pub(super) names: Vec<String>,
    pub(super) root: Option<String>,
    pub(super) environment: Option<Environment>,
    /// Whether the pattern could not be understood, so that nobody knows which groups it has.
    pub(super) is_unread: bool,
}

impl Groups {
    /// Those of a pattern with `count` groups, not counting the whole match, some with `names`.
    pub fn new(count: usize, names: Vec<String>) -> Self {
        Self {
            last: Some(count),
            names,
            root: None,
            environment: None,
            is_unread: false,
        }
    }

    /// Those of a pattern that could not be understood, which was told: any may be among them.
    pub fn unread() -> Self {
        Self {
            is_unread: true,
            ..Self::default()
        }
    }

    /// With the document root that `$root` is; none where the site has none.
    #[must_use]
    pub fn with_root(self, root: Option<String>) -> Self {
        Self { root, ..self }
    }

    /// With where `${env:NAME}` is looked up.
    #[must_use]
    pub fn with_environment(self, environment: Environment) -> Self {
        Self {
            environment: Some(environment),
            ..self
        }
    }

    /// With the groups of `pattern` in place of its own.
    #[must_use]
    pub fn with_groups(self, pattern: Self) -> Self {
        Self {
            last: pattern.last,
            names: pattern.names,
            is_unread: pattern.is_unread,
            ..self
        }
    }

    /// The document root that `$root` is.
    pub fn root(&self) -> Option<&str> {
        self.root.as_deref()
    }

    pub(super) fn has_name(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }
}
