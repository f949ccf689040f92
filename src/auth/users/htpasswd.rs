//! A file of users, as Apache's AuthUserFile: `user:hash` in each line.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hint::black_box;
use std::path::Path;

use super::finding::show_name;
use super::hash::UnsupportedHash;
use super::{Findings, Hash, Unavailable};

/// Limit of a file, in bytes: room for a hundred thousand users.
pub const LARGEST_FILE: usize = 16 * 1024 * 1024;

/// Limit of a line, in bytes. The longest hash has some two hundred.
const LONGEST_LINE: usize = 4096;

/// A class of hashes that takes less than one part in so many of the time of the costlier ones has no dummy.
const NEGLIGIBLE: u64 = 20;

/// The users of a file.
#[derive(Debug)]
pub struct Users {
    /// By name; `None` for a user whose first entry cannot be used.
    entries: HashMap<Box<[u8]>, Option<Entry>>,
    /// Hashes that are computed for a wrong password: one of each class that takes a share of the time.
    dummies: Vec<Hash>,
    findings: Findings,
}

/// The usable entry of a user.
#[derive(Debug)]
pub struct Entry {
    hash: Hash,
    text: Box<str>,
}

impl Entry {
    /// Returns the hash as it is written in the file: another password has another one.
    pub fn text(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Users {
    /// Parses the content of the file at `path`. Fails without a usable entry.
    pub fn parse(content: &[u8], path: &Path) -> Result<Self, Unavailable> {
        check_size(content, path)?;
        let mut users = Self {
            entries: HashMap::new(),
            dummies: Vec::new(),
            findings: Findings::default(),
        };
        for (line, text) in lines(content) {
            if text.len() > LONGEST_LINE {
                let what =
                    format!("cannot be used: line {line} is longer than {LONGEST_LINE} bytes");
                return Err(Unavailable::new(path, what));
            }
            if let Err(what) = users.add(text, path) {
                users.findings.add(line, what);
            }
        }
        if users.entries.values().all(Option::is_none) {
            return Err(users.without_usable_entry(path));
        }
        users.dummies = dummies(users.entries.values().flatten());
        Ok(users)
    }

    /// Reports whether the password is that of the user. Blocks for as long as hashing takes, which for a wrong
    /// password does not depend on the user, or on there being one.
    pub fn verify(&self, user: &[u8], password: &[u8]) -> bool {
        let entry = self.entry(user);
        let is_right = entry.is_some_and(|entry| entry.hash.verify(password));
        if !is_right {
            let done = entry.map(|entry| entry.hash.class());
            let others = self.dummies.iter();
            for hash in others.filter(|hash| Some(hash.class()) != done) {
                black_box(hash.verify(password));
            }
        }
        is_right
    }

    /// Returns the usable entry of a user.
    pub fn entry(&self, user: &[u8]) -> Option<&Entry> {
        self.entries.get(user)?.as_ref()
    }

    /// Returns the lines without effect.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Adds the entry of a line, or returns what is wrong with it.
    fn add(&mut self, line: &[u8], path: &Path) -> Result<(), String> {
        let mut fields = line.split(|byte| *byte == b':');
        let user = fields.next().unwrap_or_default();
        let Some(text) = fields.next() else {
            return Err(
                "there is no `:` between a user and a hash; the line is ignored".to_owned(),
            );
        };
        if user.is_empty() {
            return Err("there is no user before the `:`; the line is ignored".to_owned());
        }
        if self.entries.contains_key(user) {
            let user = show_name(user);
            return Err(format!(
                "`{user}` has an entry above, which counts; the line is ignored"
            ));
        }
        let parsed = parse_entry(text);
        let problem = parsed.as_ref().err().map(|error| {
            let (user, path) = (show_name(user), path.display());
            format!("`{user}` cannot log in: {error}; set the password again with `htpasswd -B {path} {user}`")
        });
        self.entries.insert(user.into(), parsed.ok());
        problem.map_or(Ok(()), Err)
    }

    fn without_usable_entry(&self, path: &Path) -> Unavailable {
        let what = self.findings.first().first().map_or_else(
            || {
                format!(
                    "has no user; add one with `htpasswd -B {} USER`",
                    path.display()
                )
            },
            |first| format!("has no usable entry; line {}: {}", first.line, first.what),
        );
        Unavailable::new(path, what)
    }
}

/// Fails for a file that is larger than the limit.
pub(super) fn check_size(content: &[u8], path: &Path) -> Result<(), Unavailable> {
    if content.len() <= LARGEST_FILE {
        Ok(())
    } else {
        Err(too_large(path))
    }
}

/// Returns the error of a file that is larger than the limit.
pub(super) fn too_large(path: &Path) -> Unavailable {
    let mebibytes = LARGEST_FILE / 1024 / 1024;
    Unavailable::new(
        path,
        format!("cannot be used: it is larger than {mebibytes} MiB"),
    )
}

/// Returns the lines that may have an entry, with their numbers from 1.
pub(super) fn lines(content: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    // Some editors begin a file with a byte order mark.
    let text = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let numbered = (1..).zip(lines);
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"))
}

fn parse_entry(text: &[u8]) -> Result<Entry, UnsupportedHash> {
    let text = str::from_utf8(text).map_err(|_| UnsupportedHash::PlainText)?;
    Ok(Entry {
        hash: Hash::parse(text)?,
        text: text.into(),
    })
}

/// Returns a hash of each class, the costliest first, until the next would take less than a twentieth of the time of
/// those before it: a user whose class is left out takes at most that much longer.
fn dummies<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<Hash> {
    let mut texts: HashMap<_, &str> = HashMap::new();
    for entry in entries {
        texts.entry(entry.hash.class()).or_insert(&entry.text);
    }
    let mut classes: Vec<_> = texts.into_iter().collect();
    classes.sort_unstable_by_key(|((_, cost), _)| std::cmp::Reverse(*cost));
    let mut sum: u64 = 0;
    let costly = classes.into_iter().take_while(|((_, cost), _)| {
        let counts = cost.saturating_mul(NEGLIGIBLE) > sum;
        sum = sum.saturating_add(*cost);
        counts
    });
    costly
        .filter_map(|(_, text)| Hash::parse(text).ok())
        .collect()
}
