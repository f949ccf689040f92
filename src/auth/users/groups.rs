//! A file of groups, as Apache's AuthGroupFile: `group: user user` in each line.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::htpasswd::{is_small, lines};
use super::{Finding, Unavailable};

/// The groups of one user.
pub type Membership = Arc<[Box<[u8]>]>;

/// The users of a file, with their groups.
#[derive(Debug, Default)]
pub struct Groups {
    memberships: HashMap<Box<[u8]>, Membership>,
    findings: Vec<Finding>,
}

impl Groups {
    /// Parses the content of the file at `path`. The lines of a group add up.
    pub fn parse(content: &[u8], path: &Path) -> Result<Self, Unavailable> {
        is_small(content, path)?;
        let mut users: HashMap<Box<[u8]>, BTreeSet<&[u8]>> = HashMap::new();
        let mut findings = Vec::new();
        for (line, text) in lines(content) {
            let colon = text.iter().position(|byte| *byte == b':');
            let Some((name, members)) = colon.and_then(|colon| text.split_at_checked(colon)) else {
                let what =
                    "there is no `:` between a group and its users; the line is ignored".to_owned();
                findings.push(Finding { line, what });
                continue;
            };
            // The colon is no part of a word.
            let words = members.split(|byte| *byte == b':' || byte.is_ascii_whitespace());
            for word in words.filter(|word| !word.is_empty()) {
                users
                    .entry(word.into())
                    .or_default()
                    .insert(name.trim_ascii());
            }
        }
        let memberships = users.into_iter().map(|(user, groups)| {
            let groups = groups.into_iter().map(Into::into);
            (user, groups.collect::<Membership>())
        });
        Ok(Self {
            memberships: memberships.collect(),
            findings,
        })
    }

    /// Returns the groups of a user.
    pub fn of(&self, user: &[u8]) -> Option<Membership> {
        self.memberships.get(user).cloned()
    }

    /// Returns the lines without effect.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}
