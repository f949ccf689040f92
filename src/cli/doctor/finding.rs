//! One thing that was looked at: what was found, why it matters, what to change.

use std::fmt;

use serde_json::{Value, json};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// As it should be.
    Fine,
    /// Worth to know.
    Note,
    /// Some requests will fail.
    Warning,
    /// Requests fail.
    Error,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    /// What it is about: an address, a file, a key.
    pub(super) about: String,
    pub(super) what: String,
    /// Why it matters; empty where that is plain.
    pub(super) why: String,
    /// What to change; empty where nothing is to be.
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

    /// The exit code of a report whose worst it is.
    pub(super) fn exit_code(self) -> u8 {
        match self {
            Self::Fine | Self::Note => 0,
            Self::Warning => 1,
            Self::Error => 2,
        }
    }
}
