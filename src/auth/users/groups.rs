//! A file of groups, as Apache's AuthGroupFile: `group: user user` in each line.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::htpasswd::{check_size, lines};
use super::{Findings, Unavailable};

/// The groups of a file, with their users.
#[derive(Debug, Default)]
pub struct Groups {
    users: HashMap<Box<[u8]>, HashSet<Box<[u8]>>>,
    findings: Findings,
}

impl Groups {
    /// Parses the content of the file at `path`. The lines of a group add up.
    pub fn parse(content: &[u8], path: &Path) -> Result<Self, Unavailable> {
        check_size(content, path)?;
        let mut groups = Self::default();
        for (line, text) in lines(content) {
            let colon = text.iter().position(|byte| *byte == b':');
            let Some((name, users)) = colon.and_then(|colon| text.split_at_checked(colon)) else {
                let what = "there is no `:` between a group and its users; the line is ignored";
                groups.findings.add(line, what.to_owned());
                continue;
            };
            // The colon is no part of a word.
            let words = users
                .split(|byte| *byte == b':' || byte.is_ascii_whitespace())
                .filter(|word| !word.is_empty());
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
            let has = |user: &&str| groups.has(group.as_bytes(), user.as_bytes());
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
