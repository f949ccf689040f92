//! Findings: result of a check, its consequence, and the remedy.

use std::fmt;

use serde_json::{Value, json};

/// Severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// Correct.
    Fine,
    /// Information.
    Note,
    /// Some requests will fail.
    Warning,
    /// Requests fail.
    Error,
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    /// The subject: an address, a file, a key.
    pub(super) about: String,
    pub(super) what: String,
    /// The consequence; empty if it is obvious.
    pub(super) why: String,
    /// The remedy; empty if there is nothing to change.
    pub(super) fix: String,
}

impl Finding {
    pub(super) fn new(
        severity: Severity,
        about: impl fmt::Display,
        what: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            about: about.to_string(),
            what: what.into(),
            why: String::new(),
            fix: String::new(),
        }
    }

    pub(super) fn fine(about: impl fmt::Display, what: impl Into<String>) -> Self {
        Self::new(Severity::Fine, about, what)
    }

    pub(super) fn note(about: impl fmt::Display, what: impl Into<String>) -> Self {
        Self::new(Severity::Note, about, what)
    }

    pub(super) fn warning(about: impl fmt::Display, what: impl Into<String>) -> Self {
        Self::new(Severity::Warning, about, what)
    }

    pub(super) fn error(about: impl fmt::Display, what: impl Into<String>) -> Self {
        Self::new(Severity::Error, about, what)
    }

    pub(super) fn why(self, why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            ..self
        }
    }

    pub(super) fn fix(self, fix: impl Into<String>) -> Self {
        Self {
            fix: fix.into(),
            ..self
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "severity": self.severity.as_str(),
            "about": self.about,
            "what": self.what,
            "why": self.why,
            "fix": self.fix,
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:8}{}: {}",
            self.severity.as_str(),
            self.about,
            self.what
        )?;
        if !self.why.is_empty() {
            writeln!(f, "        why: {}", self.why)?;
        }
        if !self.fix.is_empty() {
            writeln!(f, "        do:  {}", self.fix)?;
        }
        Ok(())
    }
}

impl Severity {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// Returns the exit code of a report with this maximum severity.
    pub(super) fn exit_code(self) -> u8 {
        match self {
            Self::Fine | Self::Note => 0,
            Self::Warning => 1,
            Self::Error => 2,
        }
    }
}
