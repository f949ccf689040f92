//! A file of groups, as Apache's AuthGroupFile: `group: user user` in each line.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::htpasswd::{check_size, lines};
use super::{Findings, Unavailable};

/// The groups of one user.
pub type Membership = Arc<[Box<[u8]>]>;

/// The users of a file, with their groups.
#[derive(Debug, Default)]
pub struct Groups {
    memberships: HashMap<Box<[u8]>, Membership>,
    findings: Findings,
}

impl Groups {
    /// Parses the content of the file at `path`. The lines of a group add up.
    pub fn parse(content: &[u8], path: &Path) -> Result<Self, Unavailable> {
        check_size(content, path)?;
        let mut users: HashMap<Box<[u8]>, BTreeSet<&[u8]>> = HashMap::new();
        let mut findings = Findings::default();
        for (line, text) in lines(content) {
            let colon = text.iter().position(|byte| *byte == b':');
            let Some((name, members)) = colon.and_then(|colon| text.split_at_checked(colon)) else {
                let what = "there is no `:` between a group and its users; the line is ignored";
                findings.add(line, what.to_owned());
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
    pub fn findings(&self) -> &Findings {
        &self.findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_group_add_up() {
        let content = b"# all\n staff: alice  bob\t\r\n\nadmins:carol\nstaff:dave\nempty:\nnoise\nall users:alice\n";
        let groups = Groups::parse(content, Path::new("/etc/groups")).unwrap();
        let members = |group: &str| -> Vec<_> {
            let users = ["alice", "bob", "carol", "dave", "", ":", "noise"];
            let has = |user: &&str| {
                let membership = groups.of(user.as_bytes()).unwrap_or_default();
                membership.iter().any(|known| **known == *group.as_bytes())
            };
            users.into_iter().filter(has).collect()
        };
        for (group, expected) in [
            ("staff", vec!["alice", "bob", "dave"]),
            ("admins", vec!["carol"]),
            ("all users", vec!["alice"]),
            ("empty", vec![]),
            ("noise", vec![]),
            ("# all", vec![]),
            ("Staff", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(members(group), expected, "{group}");
        }
        let lines: Vec<_> = groups
            .findings()
            .first()
            .iter()
            .map(|finding| finding.line)
            .collect();
        assert_eq!(lines, [7]);
    }

    #[test]
    fn a_file_that_is_too_large_is_an_error() {
        use crate::auth::users::htpasswd::LARGEST_FILE;
        let content = vec![b'#'; LARGEST_FILE + 1];
        let error = Groups::parse(&content, Path::new("/etc/groups")).unwrap_err();
        let expected = "/etc/groups cannot be used: it is larger than 16 MiB";
        assert_eq!(error.to_string(), expected);
    }
}
