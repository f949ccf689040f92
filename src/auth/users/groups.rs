//! A file of groups, as Apache's AuthGroupFile: `group: user user` in each line.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::htpasswd::{is_small, lines};
use super::{Finding, Unavailable};

/// The groups of a file, with their users.
#[derive(Debug, Default)]
pub struct Groups {
    users: HashMap<Box<[u8]>, HashSet<Box<[u8]>>>,
    findings: Vec<Finding>,
}

impl Groups {
    /// Parses the content of the file at `path`. The lines of a group add up.
    pub fn parse(content: &[u8], path: &Path) -> Result<Self, Unavailable> {
        is_small(content, path)?;
        let mut groups = Self::default();
        for (line, text) in lines(content) {
            let colon = text.iter().position(|byte| *byte == b':');
            let Some((name, users)) = colon.and_then(|colon| text.split_at_checked(colon)) else {
                let what = "there is no `:` between a group and its users; the line is ignored";
                let what = what.to_owned();
                groups.findings.push(Finding { line, what });
                continue;
            };
            // The colon is no part of a word.
            let words = users.split(|byte| *byte == b':' || byte.is_ascii_whitespace());
            let words = words.filter(|word| !word.is_empty());
            let group = groups.users.entry(name.trim_ascii().into()).or_default();
            group.extend(words.map(Into::into));
        }
        Ok(groups)
    }

    /// Reports whether a user belongs to a group.
    pub fn has(&self, group: &[u8], user: &[u8]) -> bool {
        self.users
            .get(group)
            .is_some_and(|users| users.contains(user))
    }

    /// Returns the lines without effect.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}
